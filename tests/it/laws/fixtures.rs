//! The fixtures `tests/wire/<protocol>/<case>/{request.json, response.json, stream.sse, error-<status>*.json}`. A file may be
//! absent; what is there obeys the laws. A binary stream is written as `stream.events`: a line a message, the name of the
//! event, a space, its payload; `exception:` stands before the name of an exception.

use std::path::{Path, PathBuf};

use routeplane::wire::frame::{Decoder, Frame, event_stream};
use routeplane::wire::ir::{Error, ErrorKind, Event, Request};
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{Destination, Head, Inbound, Operation, Outbound, PROTOCOLS, Protocol, ProtocolId};

/// One case of one protocol.
pub(crate) struct Case {
    pub(crate) protocol: &'static dyn Protocol,
    pub(crate) folder: PathBuf,
}

impl Case {
    pub(crate) fn name(&self) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
        self.folder.strip_prefix(root).unwrap().display().to_string()
    }

    pub(crate) fn read(&self, file: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.join(file)).ok()
    }

    /// The bytes of the stream.
    pub(crate) fn stream(&self) -> Option<Vec<u8>> {
        self.read("stream.sse").or_else(|| self.read("stream.events").map(|text| messages(&text)))
    }

    /// Status and body of each error.
    pub(crate) fn errors(&self) -> Vec<(u16, Vec<u8>)> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let status = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("error-")?.get(..3)?.parse().ok();
        files.iter().filter_map(|path| Some((status(path)?, std::fs::read(path).unwrap()))).collect()
    }
}

/// An event stream in binary, from a line a message.
fn messages(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in std::str::from_utf8(text).unwrap().lines() {
        let (name, payload) = line.split_once(' ').unwrap();
        let write = |out: &mut Vec<u8>| out.extend_from_slice(payload.as_bytes());
        match name.strip_prefix("exception:") {
            Some(name) => event_stream::write_exception(name, write, &mut out),
            None => event_stream::write_event(name, write, &mut out),
        }
    }
    out
}

/// Every case of every protocol that this build speaks.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for protocol in PROTOCOLS.iter().copied() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire").join(folder(protocol.id()));
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let mut folders: Vec<PathBuf> =
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        cases.extend(folders.into_iter().map(|folder| Case { protocol, folder }));
    }
    assert!(!cases.is_empty(), "no fixtures");
    cases
}

/// The folder of a protocol's fixtures: the name of its module.
fn folder(protocol: ProtocolId) -> &'static str {
    match protocol {
        ProtocolId::OpenAiChat => "openai_chat",
        ProtocolId::OpenAiResponses => "openai_responses",
        ProtocolId::AnthropicMessages => "anthropic_messages",
        ProtocolId::Gemini => "gemini_generate",
        ProtocolId::BedrockConverse => "bedrock_converse",
        ProtocolId::TensorZero | ProtocolId::TensorZeroChat => "tensorzero",
    }
}

pub(crate) fn inbound(protocol: &'static dyn Protocol) -> &'static dyn Inbound {
    protocol.inbound().unwrap()
}

pub(crate) fn outbound(protocol: &'static dyn Protocol) -> &'static dyn Outbound {
    protocol.outbound().unwrap()
}

/// Protocols that offer both roles: the pairs of the laws are made of these.
pub(crate) fn both_roles() -> Vec<&'static dyn Protocol> {
    let both = |protocol: &&dyn Protocol| protocol.inbound().is_some() && protocol.outbound().is_some();
    PROTOCOLS.iter().copied().filter(both).collect()
}

pub(crate) fn head(stream: bool) -> Head<'static> {
    Head { operation: Operation::Generate, path_model: Some("model-1"), path_stream: stream, alt_sse: true }
}

/// Where requests of the tests go.
pub(crate) fn destination<'a>(model: &'a str, quirks: &'a Quirks) -> Destination<'a> {
    Destination { model, quirks, max_output_tokens: Some(8192) }
}

/// The events of a stream's bytes.
pub(crate) fn events(protocol: &'static dyn Protocol, pieces: &[&[u8]]) -> Vec<Event> {
    let outbound = outbound(protocol);
    let mut frames = Decoder::new(outbound.framing(), 1 << 24);
    let mut decoder = outbound.stream_decoder(&Quirks::default());
    let mut events = Vec::new();
    let mut each = |frame: Frame<'_>| decoder.frame(&frame, &mut events);
    let read =
        pieces.iter().try_for_each(|piece| frames.push(piece, &mut each)).and_then(|()| frames.finish(&mut each));
    match read {
        Ok(()) => decoder.finish(&mut events),
        Err(error) => events.push(Event::Error(Error::new(ErrorKind::Upstream, error.to_string()))),
    }
    events
}

/// A stream in the words of `protocol`, as a caller gets it that asked for usage.
pub(crate) fn encode_stream(protocol: &'static dyn Protocol, events: &[Event], request: &Request) -> Vec<u8> {
    let mut encoder = inbound(protocol).stream_encoder(&head(true), request);
    let mut out = Vec::new();
    for event in events {
        encoder.event(event, &mut out);
    }
    encoder.finish(&mut out);
    out
}

/// A request that asks for a stream and its usage.
pub(crate) fn streaming_request() -> Request {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#;
    inbound(ProtocolId::OpenAiChat.codec().unwrap()).decode_request(&head(true), body).unwrap()
}
