//! What is written down of finished requests until it is brought to its places. Whoever ends a request writes, while its
//! record is at hand; a record that crossed to another thread would be read from another core's cache, and each block of
//! memory that went with it would cost the request path several times what one of its own does.

use std::sync::Arc;
use std::time::Instant;

use super::otlp::{Samples, Way, spans};
use super::record::Record;
use super::spend::Books;
use super::{json, line};

/// Requests of one batch, at most.
const MOST: usize = 256;
/// Bytes of one batch, at most, but for what its last request adds.
const LONGEST: usize = 256 << 10;

/// What is to be written of each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Forms {
    /// The last requests are kept, and added up.
    pub kept: bool,
    /// A line of JSON goes to the access log.
    pub json: bool,
    /// A line for people goes to the access log.
    pub words: bool,
    /// Measurements go to a collector.
    pub measured: bool,
}

impl Forms {
    /// As a number, which reloads may change while requests read it.
    pub(super) fn bits(self) -> u8 {
        [self.kept, self.json, self.words, self.measured].iter().fold(0, |bits, form| bits << 1 | u8::from(*form))
    }

    pub(super) fn from_bits(bits: u8) -> Forms {
        let is = |place: u8| bits >> place & 1 == 1;
        Forms { kept: is(3), json: is(2), words: is(1), measured: is(0) }
    }
}

/// Of some requests: their lines, their spans, and what they add to counts.
#[derive(Default)]
pub(super) struct Batch {
    /// One behind the other, as are the others.
    json: Vec<u8>,
    words: Vec<u8>,
    spans: Vec<u8>,
    ended: Vec<Ended>,
    /// What was spent.
    pub books: Books,
    pub samples: Samples,
}

/// Where what was written of one request ends.
struct Ended {
    at: Instant,
    json: usize,
    words: usize,
    spans: usize,
    /// How many spans.
    count: usize,
    way: Option<Arc<Way>>,
}

/// What is written of one request; a line has its end.
pub(super) struct Told<'b> {
    /// When the request was over.
    pub at: Instant,
    pub json: &'b [u8],
    pub words: &'b [u8],
    pub spans: &'b [u8],
    /// How many spans.
    pub count: usize,
    /// How they are to be sent, where that is another way than that of all.
    pub way: Option<&'b Arc<Way>>,
}

impl Batch {
    /// Writes down what is wanted of a record. `at`: when its request was over.
    pub(super) fn add(&mut self, record: &Record, at: Instant, forms: Forms) {
        if forms.json || forms.kept {
            json::write(record, &mut self.json);
            self.json.push(b'\n');
        }
        if forms.words {
            line::write(record, &mut self.words);
        }
        if forms.kept {
            self.books.count(record);
        }
        if forms.measured {
            self.samples.add(record);
        }
        let count = spans::count(record);
        if count > 0 {
            spans::write(record, &mut self.spans);
        }
        let way = spans::way(record).cloned();
        let (json, words, spans) = (self.json.len(), self.words.len(), self.spans.len());
        self.ended.push(Ended { at, json, words, spans, count, way });
    }

    /// How many requests are in it.
    pub(super) fn len(&self) -> usize {
        self.ended.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.ended.len() >= MOST || self.bytes() >= LONGEST
    }

    fn bytes(&self) -> usize {
        self.json.len() + self.words.len() + self.spans.len()
    }

    /// What is written of each request, in the order in which they were added.
    pub(super) fn told(&self) -> impl Iterator<Item = Told<'_>> {
        let (mut json, mut words, mut spans) = (&*self.json, &*self.words, &*self.spans);
        let (mut said, mut worded, mut traced) = (0, 0, 0);
        self.ended.iter().map(move |ended| Told {
            at: ended.at,
            json: next(&mut json, &mut said, ended.json),
            words: next(&mut words, &mut worded, ended.words),
            spans: next(&mut spans, &mut traced, ended.spans),
            count: ended.count,
            way: ended.way.as_ref(),
        })
    }

    /// Makes it empty, to be filled again. What grew beyond a usual batch is not kept.
    pub(super) fn clear(&mut self) {
        if self.bytes() >= 2 * LONGEST {
            *self = Batch::default();
            return;
        }
        self.json.clear();
        self.words.clear();
        self.spans.clear();
        self.ended.clear();
        self.books.clear();
        self.samples.clear();
    }
}

/// The bytes up to `end`, which are taken off `rest`; it begins at `start`.
fn next<'b>(rest: &mut &'b [u8], start: &mut usize, end: usize) -> &'b [u8] {
    let (part, behind) = rest.split_at_checked(end.saturating_sub(*start)).unwrap_or((rest, &[]));
    (*rest, *start) = (behind, end);
    part
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::wire::ProtocolId;

    const ALL: Forms = Forms { kept: true, json: true, words: true, measured: true };

    fn record(id: &str) -> Record {
        Record::new(SystemTime::UNIX_EPOCH, id.into(), 1, ProtocolId::Gemini)
    }

    #[test]
    fn forms_are_what_they_were_as_a_number() {
        for bits in 0..16 {
            assert_eq!(Forms::from_bits(bits).bits(), bits);
        }
        assert_eq!(Forms::from_bits(ALL.bits()), ALL);
        let words = Forms { words: true, ..Forms::default() };
        assert_eq!(Forms::from_bits(words.bits()), words);
    }

    #[test]
    fn each_request_finds_its_own_lines() {
        let mut batch = Batch::default();
        let at = Instant::now();
        batch.add(&record("first"), at, ALL);
        batch.add(&record("second"), at, Forms { words: true, ..Forms::default() });
        batch.add(&record("third"), at, Forms { kept: true, ..Forms::default() });
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let told: Vec<(String, String)> = batch.told().map(|told| (text(told.json), text(told.words))).collect();
        assert_eq!(told.len(), 3);
        let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["request_id"].clone();
        assert_eq!((id(&told[0].0), told[1].0.as_str(), id(&told[2].0)), ("first".into(), "", "third".into()));
        assert!(told[0].1.ends_with("first\n") && told[1].1.ends_with("second\n") && told[2].1.is_empty());
        batch.clear();
        assert_eq!((batch.len(), batch.told().count()), (0, 0));
    }

    #[test]
    fn a_batch_is_full_by_requests_or_by_bytes() {
        let mut batch = Batch::default();
        let at = Instant::now() + Duration::from_secs(1);
        (0..MOST - 1).for_each(|_| batch.add(&record("r"), at, Forms::default()));
        assert!(!batch.is_full());
        batch.add(&record("r"), at, Forms::default());
        assert!(batch.is_full());
        let mut batch = Batch::default();
        batch.add(&record(&"r".repeat(LONGEST)), at, ALL);
        assert!(batch.is_full());
    }
}
