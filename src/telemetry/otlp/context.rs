//! W3C trace context (Recommendation of 23 November 2021), and which requests are sampled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::extra::Extra;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// Longest `tracestate` that is passed on; the Recommendation asks for 512 characters at least.
const LONGEST_STATE: usize = 512;

/// The place of a request in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub id: u128,
    /// Of the request's own span.
    pub span: u64,
    /// The caller's span.
    pub parent: Option<u64>,
    pub sampled: bool,
    /// What other vendors have to say, unread.
    pub state: Option<Box<str>>,
    /// What the caller adds to its export.
    pub extra: Option<Arc<Extra>>,
}

impl Trace {
    /// The trace's id and that of the request's own span, in hexadecimal digits.
    pub(in crate::telemetry) fn digits(&self) -> ([[u8; 2]; 16], [[u8; 2]; 8]) {
        (digits(self.id.to_be_bytes()), digits(self.span.to_be_bytes()))
    }

    /// The headers that tell an upstream that `span` calls it.
    pub fn headers(&self, span: u64) -> [Option<(HeaderName, HeaderValue)>; 2] {
        let mut parent = [b'-'; 55];
        let (id, _) = self.digits();
        let span = digits(span.to_be_bytes());
        let flags = if self.sampled { b"01" } else { b"00" };
        for (at, part) in [(0, &b"00"[..]), (3, id.as_flattened()), (36, span.as_flattened()), (53, flags)] {
            if let Some(place) = parent.get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
            }
        }
        let state = self.state.as_deref().and_then(|state| HeaderValue::from_str(state).ok());
        [HeaderValue::from_bytes(&parent).ok().map(|value| (PARENT, value)), state.map(|value| (STATE, value))]
    }
}

impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (id, span) = self.digits();
        let mut trace = to.serialize_struct("Trace", 3)?;
        trace.serialize_field("trace_id", text(&id))?;
        trace.serialize_field("span_id", text(&span))?;
        trace.serialize_field("sampled", &self.sampled)?;
        trace.end()
    }
}

/// Each byte as two hexadecimal digits, without the machinery of formats: several ids are written for each request.
fn digits<const N: usize>(bytes: [u8; N]) -> [[u8; 2]; N] {
    bytes.map(|byte| DIGITS.get(usize::from(byte)).copied().unwrap_or_default())
}

/// The two digits of each byte.
const DIGITS: [[u8; 2]; 256] = {
    let (mut all, mut byte) = ([[0; 2]; 256], 0_u8);
    let mut left: &mut [[u8; 2]] = &mut all;
    while let Some((first, more)) = left.split_first_mut() {
        *first = [digit(byte >> 4), digit(byte & 15)];
        (left, byte) = (more, byte.wrapping_add(1));
    }
    all
};

const fn digit(half: u8) -> u8 {
    if half < 10 { b'0' + half } else { b'a' + half - 10 }
}

fn text(digits: &[[u8; 2]]) -> &str {
    std::str::from_utf8(digits.as_flattened()).unwrap_or_default()
}

/// A number that is no id of another span.
pub fn span_id() -> u64 {
    fastrand::u64(1..)
}

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Of those that the sampler decides about, from 0 to 1.
    pub ratio: f64,
    /// A caller that has decided is followed.
    pub by_parent: bool,
}

/// A sampler that reloads may change while requests ask it.
#[derive(Debug, Default)]
pub struct LiveSampler {
    on: AtomicBool,
    by_parent: AtomicBool,
    /// Ids of traces below this are sampled, by their lower 63 bits.
    below: AtomicU64,
}

impl LiveSampler {
    /// `None`: nothing is traced.
    pub fn set(&self, sampler: Option<Sampler>) {
        if let Some(Sampler { ratio, by_parent }) = sampler {
            self.by_parent.store(by_parent, Ordering::Relaxed);
            self.below.store((ratio.clamp(0.0, 1.0) * (1u64 << 63) as f64) as u64, Ordering::Relaxed);
        }
        self.on.store(sampler.is_some(), Ordering::Relaxed);
    }

    /// The place of a request with these headers.
    pub fn place(&self, headers: &HeaderMap) -> Option<Trace> {
        if !self.on.load(Ordering::Relaxed) {
            return None;
        }
        let caller = parent(headers);
        let id = caller.map_or_else(|| fastrand::u128(..).max(1), |(id, ..)| id);
        let drawn = (id as u64) >> 1 < self.below.load(Ordering::Relaxed);
        let sampled = match caller {
            Some((_, _, sampled)) if self.by_parent.load(Ordering::Relaxed) => sampled,
            _ => drawn,
        };
        let state = caller.and_then(|_| state(headers));
        Some(Trace { id, span: span_id(), parent: caller.map(|(_, span, _)| span), sampled, state, extra: None })
    }
}

/// Trace, span and whether it is sampled, by a valid `traceparent`.
fn parent(headers: &HeaderMap) -> Option<(u128, u64, bool)> {
    let mut all = headers.get_all(PARENT).iter();
    let (only, None) = (all.next()?.to_str().ok()?, all.next()) else { return None };
    let mut fields = only.trim().split('-');
    let version = hex(fields.next()?, 2)?;
    let (id, span, flags) = (hex(fields.next()?, 32)?, hex(fields.next()?, 16)?, hex(fields.next()?, 2)?);
    let fits = match version {
        0 => fields.next().is_none(),
        0xff => false,
        // Later versions may have more fields.
        _ => true,
    };
    (fits && id != 0 && span != 0).then_some((id, span as u64, flags & 1 == 1))
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(lower)).then(|| u128::from_str_radix(text, 16).ok())?
}

fn state(headers: &HeaderMap) -> Option<Box<str>> {
    let parts: Option<Vec<&str>> = headers.get_all(STATE).iter().map(|value| value.to_str().ok()).collect();
    let state = parts?.join(",");
    (!state.is_empty() && state.len() <= LONGEST_STATE).then(|| state.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(parent: &str, state: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(PARENT, HeaderValue::from_str(parent).unwrap());
        for one in state {
            headers.append(STATE, HeaderValue::from_str(one).unwrap());
        }
        headers
    }

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_valid_contexts_are_followed() {
        let sampler = LiveSampler::default();
        assert_eq!(sampler.place(&headers(GOOD, &[])), None, "off");
        sampler.set(Some(Sampler { ratio: 0.0, by_parent: true }));
        let trace = sampler.place(&headers(GOOD, &["a=1", "b=2"])).unwrap();
        assert_eq!(trace.id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(
            (trace.parent, trace.sampled, trace.state.as_deref()),
            (Some(0xb7ad_6b71_6920_3331), true, Some("a=1,b=2"))
        );
        let [Some((_, parent)), Some((_, state))] = trace.headers(1) else { panic!() };
        assert_eq!(parent, "00-0af7651916cd43dd8448eb211c80319c-0000000000000001-01");
        assert_eq!(state, "a=1,b=2");
        assert!(
            sampler
                .place(&headers("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", &[]))
                .unwrap()
                .parent
                .is_some()
        );
        for wrong in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            let trace = sampler.place(&headers(wrong, &["a=1"])).unwrap();
            assert_eq!((trace.parent, trace.state, trace.sampled), (None, None, false), "{wrong}");
            assert!(trace.id != 0);
        }
    }

    #[test]
    fn a_part_of_the_traces_is_sampled() {
        let sampler = LiveSampler::default();
        let count = || (0..4000).filter(|_| sampler.place(&HeaderMap::new()).unwrap().sampled).count();
        for (ratio, expected) in [(0.0, 0..=0), (0.25, 800..=1200), (1.0, 4000..=4000)] {
            sampler.set(Some(Sampler { ratio, by_parent: true }));
            assert!(expected.contains(&count()), "{ratio}");
        }
        sampler.set(Some(Sampler { ratio: 0.0, by_parent: false }));
        assert!(!sampler.place(&headers(GOOD, &[])).unwrap().sampled, "the caller is not asked");
    }
}
