//! The JSON of a record, written for every line of the access log: what `serde_json` writes of it, for less. Names of members
//! stand here as they are written, numbers and texts are written in one pass, and what few records have is left to
//! `serde_json`. A test holds the two together.

use std::time::Duration;

use serde::Serialize;

use super::clock;
use super::otlp::Trace;
use super::record::{Charge, Fact, Fault, Record, Skipped, Tried};
use crate::wire::ir::Usage;

/// Room for a usual line.
const USUAL: usize = 1024;

/// Appends a record.
pub(super) fn write(record: &Record, out: &mut Vec<u8>) {
    out.reserve(USUAL);
    asked(record, out);
    list(out, b",\"attempts\":[", &record.attempts, tried);
    list_if(out, b",\"skipped\":[", &record.skipped, skipped);
    list_if(out, b",\"finish_reasons\":[", &record.finish_reasons, |reason, out| text(out, reason));
    taken(record, out);
    ended(record, out);
    told(record, out);
    if let Some(inputs) = &record.inputs {
        put(out, b",\"inputs\":");
        by_serde_json(out, inputs);
    }
    if let Some(trace) = &record.trace {
        place(trace, out);
    }
    out.push(b'}');
}

/// Appends a record, and before its own members its `number`.
pub(super) fn numbered(number: u64, record: &Record, out: &mut Vec<u8>) {
    self::number(out, b"{\"number\":", number);
    let start = out.len();
    write(record, out);
    if let Some(first) = out.get_mut(start) {
        *first = b',';
    }
}

/// What was asked for, and where it went.
fn asked(record: &Record, out: &mut Vec<u8>) {
    number(out, b"{\"v\":", record.version.into());
    ours(out, b",\"time\":\"", clock::rfc3339_millis(record.time).as_str());
    member(out, b",\"request_id\":", &record.request_id);
    number(out, b",\"generation\":", record.generation);
    ours(out, b",\"protocol\":\"", record.protocol.name());
    ours(out, b",\"operation\":\"", record.operation);
    flag(out, b",\"stream\":", record.stream);
    member_if(out, b",\"key\":", record.key.as_deref());
    member_if(out, b",\"model\":", record.model.as_deref());
    number_if(out, b",\"rule\":", record.rule.map(u64::from));
    member_if(out, b",\"route\":", record.route.as_deref());
    member_if(out, b",\"target\":", record.target.as_deref());
    member_if(out, b",\"response_model\":", record.response_model.as_deref());
}

fn tried(tried: &Tried, out: &mut Vec<u8>) {
    // What is only for spans and metrics is named, too: whoever adds a field decides here.
    let Tried {
        target,
        told_apart: _,
        lane,
        cause,
        status,
        start,
        first,
        end,
        losses,
        left,
        span: _,
        server: _,
        content: _,
    } = tried;
    let (provider, model) = tried.parts();
    member(out, b"{\"target\":", target);
    member(out, b",\"provider\":", provider);
    member(out, b",\"model\":", model);
    ours(out, b",\"lane\":\"", lane);
    ours(out, b",\"cause\":\"", cause);
    number_if(out, b",\"status\":", status.map(u64::from));
    millis_if(out, b",\"start_ms\":", Some(*start));
    millis_if(out, b",\"first_ms\":", *first);
    millis_if(out, b",\"end_ms\":", *end);
    list_if(out, b",\"losses\":[", losses, |loss, out| text(out, loss));
    if let Some(Charge { usage, cost_usd }) = left.as_deref() {
        counts(out, b",\"usage_estimated\":{", usage);
        real_if(out, b",\"cost_estimated_usd\":", *cost_usd);
    }
    out.push(b'}');
}

fn skipped(skipped: &Skipped, out: &mut Vec<u8>) {
    let Skipped { target, reason } = skipped;
    member(out, b"{\"target\":", target);
    ours(out, b",\"reason\":\"", reason);
    out.push(b'}');
}

/// What the answer took.
fn taken(record: &Record, out: &mut Vec<u8>) {
    if let Some(usage) = &record.usage {
        counts(out, b",\"usage\":{", usage);
    }
    if let Some(usage) = &record.usage_estimated {
        counts(out, b",\"usage_estimated\":{", usage);
    }
    real_if(out, b",\"cost_usd\":", record.cost_usd);
    real_if(out, b",\"cost_estimated_usd\":", record.cost_estimated_usd);
}

/// How it ended, and when.
fn ended(record: &Record, out: &mut Vec<u8>) {
    number(out, b",\"status\":", record.status.into());
    ours(out, b",\"outcome\":\"", record.outcome.word());
    if let Some(Fault { code, origin }) = &record.error {
        put(out, b",\"error\":{");
        if let Some(code) = code {
            member(out, b"\"code\":", code);
            out.push(b',');
        }
        ours(out, b"\"origin\":\"", origin);
        out.push(b'}');
    }
    number(out, b",\"bytes_in\":", record.bytes_in);
    number(out, b",\"bytes_out\":", record.bytes_out);
    millis_if(out, b",\"decided_ms\":", record.decided);
    millis_if(out, b",\"first_ms\":", record.first);
    millis_if(out, b",\"total_ms\":", Some(record.total));
}

/// What rules may ask for.
fn told(record: &Record, out: &mut Vec<u8>) {
    map_if(out, b",\"tags\":{", &record.tags, |value, out| text(out, value));
    map_if(out, b",\"facts\":{", &record.facts, |fact, out| match fact {
        Fact::Absent => put(out, b"null"),
        Fact::Text(value) => text(out, value),
        Fact::Number(value) => digits(out, *value),
        Fact::Flag(value) => flag(out, b"", *value),
    });
    real_if(out, b",\"draw\":", record.draw);
    if record.cached {
        put(out, b",\"cached\":true");
    }
}

fn place(trace: &Trace, out: &mut Vec<u8>) {
    let (id, span) = trace.digits();
    put(out, b",\"trace\":{\"trace_id\":\"");
    put(out, id.as_flattened());
    put(out, b"\",\"span_id\":\"");
    put(out, span.as_flattened());
    flag(out, b"\",\"sampled\":", trace.sampled);
    out.push(b'}');
}

// === members: `name` is all that stands before the value

#[inline]
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

/// Text of somebody else's.
#[inline]
fn member(out: &mut Vec<u8>, name: &[u8], value: &str) {
    put(out, name);
    text(out, value);
}

#[inline]
fn member_if(out: &mut Vec<u8>, name: &[u8], value: Option<&str>) {
    if let Some(value) = value {
        member(out, name, value);
    }
}

/// A word of ours, which has no letter that JSON escapes; `name` ends with the quote before it.
#[inline]
fn ours(out: &mut Vec<u8>, name: &[u8], word: &str) {
    put(out, name);
    put(out, word.as_bytes());
    out.push(b'"');
}

#[inline]
fn flag(out: &mut Vec<u8>, name: &[u8], value: bool) {
    put(out, name);
    put(out, if value { b"true" } else { b"false" });
}

#[inline]
fn number(out: &mut Vec<u8>, name: &[u8], value: u64) {
    put(out, name);
    digits(out, value);
}

#[inline]
fn number_if(out: &mut Vec<u8>, name: &[u8], value: Option<u64>) {
    if let Some(value) = value {
        number(out, name, value);
    }
}

#[inline]
fn real_if(out: &mut Vec<u8>, name: &[u8], value: Option<f64>) {
    if let Some(value) = value {
        put(out, name);
        by_serde_json(out, &value);
    }
}

#[inline]
fn millis_if(out: &mut Vec<u8>, name: &[u8], value: Option<Duration>) {
    if let Some(value) = value {
        put(out, name);
        millis(out, value);
    }
}

/// The counts that are known.
fn counts(out: &mut Vec<u8>, name: &[u8], usage: &Usage) {
    put(out, name);
    let mut between: &[u8] = b"\"";
    for (name, count) in usage.counts() {
        let Some(count) = count else { continue };
        put(out, between);
        put(out, name.as_bytes());
        number(out, b"\":", count);
        between = b",\"";
    }
    out.push(b'}');
}

fn list<T>(out: &mut Vec<u8>, name: &[u8], values: &[T], write: impl Fn(&T, &mut Vec<u8>)) {
    put(out, name);
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(value, out);
    }
    out.push(b']');
}

fn list_if<T>(out: &mut Vec<u8>, name: &[u8], values: &[T], write: impl Fn(&T, &mut Vec<u8>)) {
    if !values.is_empty() {
        list(out, name, values, write);
    }
}

fn map_if<N: AsRef<str>, T>(out: &mut Vec<u8>, name: &[u8], pairs: &[(N, T)], write: impl Fn(&T, &mut Vec<u8>)) {
    if pairs.is_empty() {
        return;
    }
    put(out, name);
    for (at, (name, value)) in pairs.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        text(out, name.as_ref());
        out.push(b':');
        write(value, out);
    }
    out.push(b'}');
}

// === values

fn by_serde_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        // No value of a record is one that JSON cannot say; the line stays one that can be read.
        out.truncate(start);
        put(out, b"null");
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    if !is_plain(text) {
        return by_serde_json(out, text);
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    put(out, text.as_bytes());
    out.push(b'"');
}

/// Whether a text is in JSON as it is: no quote, no backslash, no control character.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().all(|byte| *byte >= b' ' && *byte != b'"' && *byte != b'\\');
    };
    // The last eight are looked at once more where the text is no whole number of eights.
    let (eights, _) = bytes.as_chunks();
    eights.iter().chain([last]).fold(0, |found, eight| found | to_escape(*eight)) == 0
}

/// Zero where none of eight bytes is one that JSON escapes. All are looked at at once, as the bytes of one number.
fn to_escape(eight: [u8; 8]) -> u64 {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST: u64 = EACH << 7;
    let bytes = u64::from_ne_bytes(eight);
    // The highest bit of the lowest byte that is less than `limit` is set, and none where no byte is.
    let below = |bytes: u64, limit: u64| bytes.wrapping_sub(EACH * limit) & !bytes & HIGHEST;
    let is = |letter: u8| below(bytes ^ (EACH * u64::from(letter)), 1);
    below(bytes, b' '.into()) | is(b'"') | is(b'\\')
}

#[inline]
fn digits(out: &mut Vec<u8>, number: u64) {
    put(out, itoa::Buffer::new().format(number).as_bytes());
}

/// Milliseconds, to the microsecond: the shortest number that is that one, as for any real number.
fn millis(out: &mut Vec<u8>, time: Duration) {
    /// Longer times have more digits than a real number can tell apart.
    const LONGEST: u64 = 1_000_000_000;
    if time.as_secs() >= LONGEST {
        return by_serde_json(out, &(time.as_micros() as f64 / 1e3));
    }
    let micros = time.subsec_micros();
    digits(out, time.as_secs() * 1000 + u64::from(micros / 1000));
    let digit = |unit: u32| b'0' + (micros / unit % 10) as u8;
    match (digit(100), digit(10), digit(1)) {
        (tenth, b'0', b'0') => put(out, &[b'.', tenth]),
        (tenth, hundredth, b'0') => put(out, &[b'.', tenth, hundredth]),
        (tenth, hundredth, thousandth) => put(out, &[b'.', tenth, hundredth, thousandth]),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::json;
    use smallvec::smallvec;

    use super::*;
    use crate::telemetry::inputs::{Inputs, Measured};
    use crate::telemetry::record::Outcome;
    use crate::wire::ProtocolId;

    fn odd(text: &str) -> Record {
        let mut record = Record::new(SystemTime::UNIX_EPOCH, text.into(), 7, ProtocolId::Gemini);
        (record.key, record.model, record.response_model) = (Some(text.into()), Some(text.into()), Some(text.into()));
        (record.route, record.target) = (Some(text.into()), Some(text.into()));
        (record.stream, record.cached, record.finish_reasons) = (true, true, smallvec![text.into()]);
        (record.decided, record.first) = (Some(Duration::from_micros(10)), Some(Duration::from_micros(1500)));
        (record.total, record.bytes_in, record.bytes_out) = (Duration::from_secs(3), 11, 12);
        record.usage_estimated = Some(Box::new(Usage { output: Some(0), web_searches: Some(1), ..Usage::default() }));
        record.cost_estimated_usd = Some(1.0);
        (record.rule, record.status, record.outcome) = (Some(1), 502, Outcome::BrokeOff);
        record.attempts = smallvec![Tried {
            target: format!("up/{text}").into(),
            told_apart: true,
            lane: "translate",
            cause: "status",
            status: Some(503),
            start: Duration::from_micros(1),
            first: None,
            end: Some(Duration::from_millis(2)),
            losses: vec![text.into(), "b".into()],
            left: Some(Box::new(Charge { usage: Usage { input: Some(2), ..Usage::default() }, cost_usd: Some(0.5) })),
            span: 1,
            server: None,
            content: None,
        }];
        record.skipped = vec![Skipped { target: text.into(), reason: "cooling" }];
        record.error = Some(Fault { code: Some(text.into()), origin: "gateway" });
        record.usage = Some(Usage { input: Some(u64::MAX), ..Usage::default() });
        (record.cost_usd, record.draw) = (Some(0.000_012_3), Some(0.1));
        record.tags = vec![(text.into(), text.into())];
        record.facts = smallvec![("user".into(), Fact::Absent), ("x".into(), Fact::Text(text.into()))];
        record.facts.extend([("n".into(), Fact::Number(3)), ("f".into(), Fact::Flag(true))]);
        let measured = Measured {
            cooling_ms: Some(Duration::from_secs(1)),
            first_token_ms: Some(1.5),
            latency_ms: None,
            in_flight: 2,
        };
        let wishes = Some(json!({ text: [1, -2, 2.5, null, true, { "a": text }] }));
        record.inputs = Some(Box::new(Inputs { health: vec![(text.into(), measured)], turns: Vec::new(), wishes }));
        record.trace =
            Some(Trace { id: u128::MAX - 1, span: 0xab, parent: None, sampled: true, state: None, extra: None });
        record
    }

    #[test]
    fn words_of_ours_are_those_of_serde_json() {
        for protocol in ProtocolId::CALLERS {
            let mut record = Record::new(SystemTime::UNIX_EPOCH, "r".into(), 7, protocol);
            for outcome in [Outcome::Ok, Outcome::Refused, Outcome::Failed, Outcome::CallerLeft, Outcome::CutOff] {
                record.outcome = outcome;
                let mut out = Vec::new();
                write(&record, &mut out);
                assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&record).unwrap());
            }
        }
    }

    #[test]
    fn a_record_is_what_serde_json_writes() {
        for text in ["", "plain", "sl/ash é 漢 🦀 \u{7f}", "quote\" back\\ tab\t new\n nul\0 \u{1f}", "\u{2028}"] {
            let bare = Record::new(SystemTime::UNIX_EPOCH, text.into(), 7, ProtocolId::Gemini);
            for record in [odd(text), bare] {
                let mut out = b"before".to_vec();
                write(&record, &mut out);
                let expected = format!("before{}", serde_json::to_string(&record).unwrap());
                assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }

    #[test]
    fn times_and_numbers_are_what_serde_json_writes() {
        let seconds = [0, 1, 59, 999_999_999, 1_000_000_000, 1 << 40].map(Duration::from_secs);
        for micros in (0..1_100).chain([9_990, 10_000, 100_000, 123_450, 999_999]) {
            for time in seconds.map(|whole| whole + Duration::from_micros(micros)) {
                let mut out = Vec::new();
                millis(&mut out, time);
                let expected = serde_json::to_string(&(time.as_micros() as f64 / 1e3)).unwrap();
                assert_eq!(String::from_utf8(out).unwrap(), expected, "{time:?}");
            }
        }
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            digits(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    #[test]
    fn each_letter_is_looked_at_wherever_it_stands() {
        for length in 1..20 {
            for at in 0..length {
                for byte in 0..0x80 {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    let text = String::from_utf8(text).unwrap();
                    let plain = serde_json::to_string(&text).unwrap().len() == length + 2;
                    assert_eq!(is_plain(&text), plain, "{text:?}");
                }
            }
        }
    }
}
