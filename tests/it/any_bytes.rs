//! What must hold for any bytes whatever. The fuzz targets (`fuzz/`) make up inputs for these functions; the tests below run
//! them over the fixtures, over cut and changed fixtures, and over inputs that once broke something (`tests/any_bytes/`).
//!
//! The first bytes of an input choose what it is read as, the rest is read.

use routeplane::config::{self, Env, Files, Inputs};
use routeplane::diagnostic::{Diagnostics, github, json, render, sarif};
use routeplane::rule::{compile, parse};
use routeplane::source::{SourceId, SourceMap, Span};
use routeplane::wire::frame::{Decoder, Frame, FrameError, Framing};
use routeplane::wire::ir::{self, ErrorKind, Event, fold};
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{Destination, Head, Inbound, Operation, Outbound, PROTOCOLS, Protocol, ProtocolId};

use crate::laws::grammar;

/// Most bytes of a frame.
const LIMIT: usize = 1 << 16;

type Frames = (Vec<(String, String)>, Result<(), FrameError>);

// === frames ===

/// Input: the framing and the length of the pieces, bytes. They are cut into the same frames however they come.
pub(crate) fn frames(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let framings = [Framing::Sse, Framing::JsonArray, Framing::EventStream, Framing::EventStreamChunks];
    let sealed;
    let (framing, bytes) = match usize::from(choice % 6) {
        at @ 0..=3 => (framings[at], bytes),
        // No guess gets past a checksum.
        at => {
            sealed = seal(bytes);
            (framings[at - 2], sealed.as_slice())
        }
    };
    let whole = read(framing, &mut std::iter::once(bytes));
    let length = usize::from(choice / 6) + 1;
    assert_eq!(read(framing, &mut bytes.chunks(length)), whole, "in pieces of {length}");
}

fn read(framing: Framing, pieces: &mut dyn Iterator<Item = &[u8]>) -> Frames {
    let mut decoder = Decoder::new(framing, LIMIT);
    let mut seen = Vec::new();
    let mut each = |frame: Frame<'_>| seen.push((frame.event.to_owned(), frame.data.to_owned()));
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut each) {
            return (seen, Err(error));
        }
    }
    let end = decoder.finish(&mut each);
    (seen, end)
}

/// A message of an event stream with right checksums: the first byte is the length of the headers.
fn seal(bytes: &[u8]) -> Vec<u8> {
    let (&headers, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let headers = usize::from(headers).min(bytes.len());
    let be = |number: usize| u32::try_from(number).unwrap().to_be_bytes();
    let mut out = [be(bytes.len() + 16), be(headers)].concat();
    out.extend(crc32(&out).to_be_bytes());
    out.extend_from_slice(bytes);
    out.extend(crc32(&out).to_be_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

// === decoders ===

/// Protocol (`0` to `4`, in the order of [`PROTOCOLS`]) and what it is: `0` a request, `1` an answer, `2` an error, `3` a
/// stream, as the fixtures are written.
fn chosen(data: &[u8]) -> Option<(&'static dyn Protocol, u8, &[u8])> {
    let [protocol, kind, rest @ ..] = data else { return None };
    let protocol = PROTOCOLS[usize::from(protocol.wrapping_sub(b'0')) % PROTOCOLS.len()];
    Some((protocol, kind.wrapping_sub(b'0') % 4, rest))
}

fn roles(protocol: &'static dyn Protocol) -> (&'static dyn Inbound, &'static dyn Outbound) {
    (protocol.inbound().unwrap(), protocol.outbound().unwrap())
}

/// TensorZero's two forms, which only callers speak; `5` and `6` where a protocol is chosen.
fn faces() -> [&'static dyn Inbound; 2] {
    [ProtocolId::TensorZero, ProtocolId::TensorZeroChat].map(|id| id.codec().unwrap().inbound().unwrap())
}

/// A request of TensorZero's surface is read or refused; what was read is JSON in every protocol that takes it.
fn surface(at: usize, bytes: &[u8]) {
    let face = faces()[at];
    for operation in Operation::ALL {
        let _ = face.peek(&head(operation), bytes);
    }
    let embeddings = ProtocolId::TensorZeroChat.codec().unwrap().embeddings_in().unwrap();
    let _ = embeddings.decode_request(&head(Operation::Embed), bytes);
    let Ok(request) = face.decode_request(&head(Operation::Generate), bytes) else { return };
    PROTOCOLS.iter().filter_map(|target| written(*target, &request)).for_each(|out| is_json(&out));
}

/// Every reader of a protocol reads or refuses; what it read is written, and the writing is stable.
pub(crate) fn decoders(data: &[u8]) {
    if let [face @ (b'5' | b'6'), _, bytes @ ..] = data {
        return surface(usize::from(face - b'5'), bytes);
    }
    let Some((protocol, kind, bytes)) = chosen(data) else { return };
    let (inbound, outbound) = roles(protocol);
    match kind {
        0 => requests(protocol, bytes),
        1 => {
            // The usage is read in two ways, and both find the same.
            if let Ok(answer) = outbound.decode_response(bytes, &Quirks::default()) {
                let mut out = Vec::new();
                inbound.encode_response(&answer, &mut out, &mut Losses::default());
                is_json(&out);
            }
            outbound.usage(bytes);
            outbound.decode_token_count(bytes);
            if let Some(embeddings) = protocol.embeddings() {
                let _ = embeddings.decode_response(bytes);
            }
        }
        2 => {
            let error = outbound.decode_error(400, bytes);
            assert!(!error.message.is_empty());
            let mut out = Vec::new();
            inbound.encode_error(&error, &mut out);
            is_json(&out);
        }
        _ => {
            events(protocol, bytes);
        }
    }
}

fn head(operation: Operation) -> Head<'static> {
    Head { operation, path_model: Some("model-1"), path_stream: true, alt_sse: true }
}

/// By its grammar: half of a surrogate pair, which a caller may write in a schema of its own, is no character, and is passed on.
fn is_json(text: &[u8]) {
    let read = serde_json::from_slice::<&serde_json::value::RawValue>(text);
    assert!(read.is_ok(), "{:?} in {}", read.err(), String::from_utf8_lossy(text));
}

fn requests(protocol: &'static dyn Protocol, bytes: &[u8]) {
    let (inbound, _) = roles(protocol);
    for operation in Operation::ALL {
        let _ = inbound.peek(&head(operation), bytes);
    }
    let _ = inbound.decode_request(&head(Operation::CountTokens), bytes);
    if let Some(embeddings) = protocol.embeddings_in() {
        let _ = embeddings.decode_request(&head(Operation::Embed), bytes);
    }
    let head = head(Operation::Generate);
    let Ok(request) = inbound.decode_request(&head, bytes) else { return };
    let Some(once) = written(protocol, &request) else { return };
    is_json(&once);
    let again = inbound.decode_request(&head, &once);
    let again = again.unwrap_or_else(|error| panic!("{error:?} in {}", String::from_utf8_lossy(&once)));
    let twice = written(protocol, &again).expect("what was written before");
    // Members may change places; nothing else may.
    let [once, twice] = [&once, &twice].map(|text| serde_json::from_slice::<serde_json::Value>(text).ok());
    assert_eq!(twice, once);
}

/// The request as the protocol writes it, `None` where it refuses it.
fn written(protocol: &'static dyn Protocol, request: &ir::Request) -> Option<Vec<u8>> {
    let quirks = Quirks::default();
    let destination = Destination { model: &request.model, quirks: &quirks, max_output_tokens: Some(8192) };
    let mut out = Vec::new();
    let (_, outbound) = roles(protocol);
    outbound.encode_request(request, &destination, &mut out, &mut Losses::default()).ok()?;
    Some(out)
}

/// The events of a stream. They are numbered in a row, and nothing follows an error.
fn events(protocol: &'static dyn Protocol, bytes: &[u8]) -> Vec<Event> {
    let (_, outbound) = roles(protocol);
    let mut decoder = outbound.stream_decoder(&Quirks::default());
    let mut events = Vec::new();
    let mut each = |frame: Frame<'_>| {
        outbound.observe(&frame);
        decoder.frame(&frame, &mut events);
    };
    if outbound.framing() == Framing::EventStream {
        let text = String::from_utf8_lossy(bytes);
        for (event, data) in text.lines().filter_map(|line| line.split_once(' ')) {
            each(Frame { event, data });
        }
    } else {
        let mut frames = Decoder::new(outbound.framing(), LIMIT);
        let _ = frames.push(bytes, &mut each).and_then(|()| frames.finish(&mut each));
    }
    decoder.finish(&mut events);
    if let Err(error) = fold(protocol.id(), &events) {
        assert_ne!(error.kind, ErrorKind::Internal, "{error:?}");
    }
    let error = events.iter().position(|event| matches!(event, Event::Error(_)));
    assert!(error.is_none_or(|at| at + 1 == events.len()), "{events:?}");
    events
}

// === translation ===

/// Whatever one protocol reads, every other writes in its own grammar.
pub(crate) fn translate(data: &[u8]) {
    let Some((protocol, kind, bytes)) = chosen(data) else { return };
    let (inbound, outbound) = roles(protocol);
    match kind {
        0 => {
            let Ok(request) = inbound.decode_request(&head(Operation::Generate), bytes) else { return };
            for target in PROTOCOLS.iter().copied().filter(|target| target.id() != protocol.id()) {
                let Some(out) = written(target, &request) else { continue };
                let read = roles(target).0.decode_request(&head(Operation::Generate), &out);
                let text = String::from_utf8_lossy(&out);
                assert!(read.is_ok(), "to {}: {:?} in {text}", target.id(), read.err());
            }
        }
        1 => {
            let Ok(answer) = outbound.decode_response(bytes, &Quirks::default()) else { return };
            for target in PROTOCOLS.iter().copied() {
                let mut out = Vec::new();
                roles(target).0.encode_response(&answer, &mut out, &mut Losses::default());
                let read = roles(target).1.decode_response(&out, &Quirks::default());
                let text = String::from_utf8_lossy(&out);
                assert!(read.is_ok(), "to {}: {:?} in {text}", target.id(), read.err());
            }
            for face in faces() {
                let mut out = Vec::new();
                face.encode_response(&answer, &mut out, &mut Losses::default());
                is_json(&out);
            }
        }
        2 => {
            let error = outbound.decode_error(400, bytes);
            for inbound in PROTOCOLS.iter().map(|target| roles(*target).0).chain(faces()) {
                let mut out = Vec::new();
                inbound.encode_error(&error, &mut out);
                is_json(&out);
            }
        }
        _ => streams(protocol.id(), &events(protocol, bytes)),
    }
}

/// A stream in every protocol's words: where it is clean, it obeys the grammar; where it broke, so does what was written.
fn streams(source: ProtocolId, events: &[Event]) {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#;
    let chat = roles(ProtocolId::OpenAiChat.codec().unwrap()).0;
    let request = chat.decode_request(&head(Operation::Generate), body).unwrap();
    let broke = events.iter().any(|event| matches!(event, Event::Error(_)));
    let several = events.iter().any(|event| matches!(event, Event::PartStart { candidate: 1.., .. }));
    for face in faces() {
        let mut encoder = face.stream_encoder(&head(Operation::Generate), &request);
        let mut out = Vec::new();
        events.iter().for_each(|event| encoder.event(event, &mut out));
        encoder.finish(&mut out);
        let (frames, end) = read(Framing::Sse, &mut std::iter::once(out.as_slice()));
        assert!(matches!(end, Ok(()) | Err(FrameError::TooLarge { .. })), "{end:?}");
        frames.iter().filter(|(_, data)| data != "[DONE]").for_each(|(_, data)| is_json(data.as_bytes()));
    }
    let finishes = events.iter().filter(|event| matches!(event, Event::Finish { .. })).count();
    for target in PROTOCOLS.iter().copied() {
        let (inbound, outbound) = roles(target);
        let mut encoder = inbound.stream_encoder(&head(Operation::Generate), &request);
        let mut out = Vec::new();
        for event in events {
            encoder.event(event, &mut out);
        }
        encoder.finish(&mut out);
        let (frames, end) = read(outbound.framing(), &mut std::iter::once(out.as_slice()));
        // An upstream's event may be as large as the limit, and what it becomes larger.
        assert!(matches!(end, Ok(()) | Err(FrameError::TooLarge { .. })), "{}: {end:?}", target.id());
        if !broke && !several && finishes == 1 && end.is_ok() {
            // Words of the protocol's own that nobody here knows are told as they came.
            if target.id() != source {
                grammar::check(target.id(), &out, target.id().name());
            }
            let mut decoder = outbound.stream_decoder(&Quirks::default());
            let mut again = Vec::new();
            for (event, data) in &frames {
                decoder.frame(&Frame { event, data }, &mut again);
            }
            decoder.finish(&mut again);
            let back = fold(target.id(), &again);
            assert!(back.is_ok(), "{}: {back:?} of {events:?}", target.id());
        }
    }
}

// === the file ===

/// Spans lie in their text, between its characters, and every form of the findings can be printed.
fn check_findings(diagnostics: &Diagnostics, sources: &SourceMap) {
    for diagnostic in diagnostics.iter() {
        let fix = diagnostic.fix.iter().map(|fix| fix.span);
        for span in diagnostic.labels.iter().map(|label| label.span).chain(fix) {
            let text = &sources.get(span.source).expect("a label's source").text;
            assert!(text.get(span.range()).is_some(), "{diagnostic:?} in {} bytes", text.len());
        }
    }
    render::render(diagnostics, sources, render::Style::Human { color: true });
    let forms = [json::to_json(diagnostics, sources), sarif::to_sarif(diagnostics, sources)];
    forms.iter().for_each(|form| is_json(form.as_bytes()));
    github::to_github(diagnostics, sources);
}

/// Input: `0` for a rule, `1` for a route, `2` for a condition, and its text. What is understood is printed, and means the same when it is
/// read again.
pub(crate) fn rules(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut sources = SourceMap::default();
    let source = sources.add("rule", text);
    let place = |range: std::ops::Range<usize>| Span::new(source, range.start, range.end);
    let mut diagnostics = Diagnostics::default();
    match choice % 3 {
        0 => {
            let rule = parse::rule(text, &place, &mut diagnostics);
            let when = rule.as_ref().and_then(|rule| rule.when.as_ref());
            let when = when.and_then(|condition| compile::predicate(condition, &mut diagnostics));
            if let Some(rule) = rule.filter(|_| !diagnostics.has_errors()) {
                let condition = when.as_ref().map_or("otherwise".to_owned(), |when| format!("when {when}"));
                let printed = format!("{condition} -> {}", rule.then);
                let again = parse::rule(&printed, &nowhere, &mut Diagnostics::default()).expect(&printed);
                let same =
                    again.when.map(|when| compile::predicate(&when, &mut Diagnostics::default()).expect(&printed));
                assert_eq!((same, again.then.to_string()), (when, rule.then.to_string()), "{printed}");
            }
        }
        1 => {
            let route = parse::route(text, &place, &mut diagnostics);
            if let Some(route) = route.filter(|_| !diagnostics.has_errors()) {
                let printed = route.to_string();
                let again = parse::route(&printed, &nowhere, &mut Diagnostics::default());
                assert_eq!(again.map(|again| again.to_string()), Some(printed));
            }
        }
        _ => {
            let condition = parse::condition(text, &place, &mut diagnostics);
            let predicate = condition.and_then(|condition| compile::predicate(&condition, &mut diagnostics));
            if let Some(predicate) = predicate.filter(|_| !diagnostics.has_errors()) {
                let printed = predicate.to_string();
                let again = parse::condition(&printed, &nowhere, &mut Diagnostics::default());
                let again = again.and_then(|again| compile::predicate(&again, &mut Diagnostics::default()));
                assert_eq!(again, Some(predicate), "{printed}");
            }
        }
    }
    check_findings(&diagnostics, &sources);
}

fn nowhere(_: std::ops::Range<usize>) -> Span {
    Span::new(SourceId(0), 0, 0)
}

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, path: &str) -> Result<String, String> {
        Err(format!("there is no {path}"))
    }
}

/// Input: a file. It becomes a table, or there are findings that say why not; written in its one form it does, too, and
/// stays as it is.
pub(crate) fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let env = Env::new([("OPENAI_API_KEY".to_owned(), "sk-of-nobody".to_owned())]);
    let compile =
        |text| config::compile(Inputs { file: Some(("f.yaml", text)), listen: None, env: &env, files: &NoFiles });
    let compiled = compile(text);
    assert_eq!(compiled.table.is_none(), compiled.diagnostics.has_errors());
    check_findings(&compiled.diagnostics, &compiled.sources);
    if let Some(once) = formatted(text) {
        assert_eq!(formatted(&once).as_ref(), Some(&once), "of {text}");
        assert_eq!(compile(&once).table.is_some(), compiled.table.is_some(), "{once}\nof {text}");
    }
}

fn formatted(text: &str) -> Option<String> {
    let mut sources = SourceMap::default();
    let source = sources.add("f.yaml", text);
    config::format::format(source, &sources, &mut Diagnostics::default())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use routeplane::wire::frame::event_stream;

    use super::*;

    fn files(folder: &Path, out: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path, out) } else { out.push(path) }
        }
    }

    fn all(folder: &str) -> Vec<PathBuf> {
        let mut out = Vec::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut out);
        out.sort();
        out
    }

    /// Each fixture as it is, cut off in the middle, and with one byte changed.
    fn variants(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut variants = vec![bytes.to_vec()];
        for part in 1..8 {
            variants.push(bytes[..bytes.len() * part / 8].to_vec());
            let mut changed = bytes.to_vec();
            let at = bytes.len() * part / 8;
            if let Some(byte) = changed.get_mut(at) {
                *byte = *b"\"}],:0n\\".get(part).unwrap();
            }
            variants.push(changed);
        }
        variants
    }

    #[test]
    fn every_protocol_bears_what_is_changed_in_its_fixtures() {
        for path in all("tests/wire") {
            let name = path.display().to_string();
            let Some(at) = PROTOCOLS.iter().position(|protocol| name.contains(folder(protocol.id()))) else { continue };
            let kind = match path.file_name().unwrap().to_str().unwrap() {
                "request.json" => b'0',
                "response.json" => b'1',
                name if name.starts_with("error-") => b'2',
                _ => b'3',
            };
            for bytes in variants(&std::fs::read(&path).unwrap()) {
                let data = [&[b'0' + u8::try_from(at).unwrap(), kind][..], &bytes].concat();
                decoders(&data);
                translate(&data);
                frames(&[&[7 * 6][..], &bytes].concat());
            }
        }
    }

    /// The requests with which parity is tried.
    #[test]
    fn the_surface_of_tensorzero_bears_what_is_changed_in_requests() {
        let files = all("tests/parity").into_iter().filter(|path| path.ends_with("requests.json"));
        let mut tried = 0;
        for path in files {
            let requests: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            for body in requests.iter().filter_map(|request| request.get("body")) {
                tried += 1;
                for bytes in variants(body.to_string().as_bytes()) {
                    for face in [*b"50", *b"60"] {
                        decoders(&[&face[..], &bytes].concat());
                    }
                }
            }
        }
        assert!(tried > 100, "{tried}");
    }

    fn folder(protocol: ProtocolId) -> &'static str {
        match protocol {
            ProtocolId::OpenAiChat => "/openai_chat/",
            ProtocolId::OpenAiResponses => "/openai_responses/",
            ProtocolId::AnthropicMessages => "/anthropic_messages/",
            ProtocolId::Gemini => "/gemini_generate/",
            ProtocolId::BedrockConverse => "/bedrock_converse/",
            ProtocolId::TensorZero | ProtocolId::TensorZeroChat => "/tensorzero/",
        }
    }

    #[test]
    fn files_are_compiled_or_refused_with_findings_in_bounds() {
        for path in all("tests/config").into_iter().chain(all("tests/table")) {
            for bytes in variants(&std::fs::read(&path).unwrap()) {
                config(&bytes);
            }
        }
    }

    #[test]
    fn messages_of_an_event_stream_are_sealed_as_the_codec_seals_them() {
        let mut message = Vec::new();
        event_stream::write_event("e", |out| out.extend_from_slice(b"{}"), &mut message);
        let headers = message.len() - 16 - 2;
        let inside = [&[u8::try_from(headers).unwrap()], &message[12..message.len() - 4]].concat();
        assert_eq!(seal(&inside), message);
    }

    /// What fuzzing found, by the name of its target.
    #[test]
    fn what_once_broke_something_does_so_no_more() {
        for path in all("tests/any_bytes") {
            let bytes = std::fs::read(&path).unwrap();
            let target = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
            match target {
                "frames" => frames(&bytes),
                "decoders" => decoders(&bytes),
                "translate" => translate(&bytes),
                "rules" => rules(&bytes),
                "config" => config(&bytes),
                other => panic!("`{other}` is no target"),
            }
        }
    }
}
