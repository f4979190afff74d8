//! What of a stream reaches a caller of another protocol, or is reported, member by member of its events.

use std::collections::BTreeMap;

use routeplane::wire::frame::{Decoder, Frame, Framing};
use routeplane::wire::ir::Event;
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{CALLERS_ONLY, PROTOCOLS, Protocol, ProtocolId};
use serde_json::Value;

use super::ablation::{Place, holds_more, kinds, members, without};
use super::answers::{Reasons, explained};
use crate::laws::fixtures::{cases, head, inbound, outbound, streaming_request};

/// Paths of members of events, and what became of them.
#[derive(Default)]
pub(crate) struct Silence {
    /// How often each path was looked at, and how often it made no difference.
    paths: BTreeMap<String, (usize, usize)>,
}

type Said = Vec<(String, String)>;

fn frames(framing: Framing, bytes: &[u8]) -> Said {
    let mut frames = Vec::new();
    let mut decoder = Decoder::new(framing, 1 << 26);
    let mut each = |frame: Frame<'_>| frames.push((frame.event.to_owned(), frame.data.to_owned()));
    let read = decoder.push(bytes, &mut each).and_then(|()| decoder.finish(&mut each));
    // What a recorder has put behind the end is another stream.
    let end = frames.iter().position(|(_, data)| data.contains("\"message_stop\""));
    frames.truncate(end.map_or(frames.len(), |end| end + 1));
    if read.is_ok() { short(frames) } else { Vec::new() }
}

/// The stream with no more than two events of one form in a row: a word more or less says nothing new.
fn short(frames: Said) -> Said {
    let form = |(event, data): &(String, String)| {
        let document = serde_json::from_str::<Value>(data).unwrap_or_default();
        let paths = members(&document).into_iter().map(|place| kinds(&document, &place));
        (event.clone(), document["type"].to_string(), paths.collect::<Vec<_>>())
    };
    let forms: Vec<_> = frames.iter().map(form).collect();
    let is_third = |at: usize| at > 1 && forms[at] == forms[at - 1] && forms[at] == forms[at - 2];
    frames.into_iter().enumerate().filter(|(at, _)| !is_third(*at)).map(|(_, frame)| frame).collect()
}

fn events(protocol: &'static dyn Protocol, frames: &Said) -> Vec<Event> {
    let mut decoder = outbound(protocol).stream_decoder(&Quirks::default());
    let mut events = Vec::new();
    frames.iter().for_each(|(event, data)| decoder.frame(&Frame { event, data }, &mut events));
    decoder.finish(&mut events);
    events
}

fn written(caller: &'static dyn Protocol, events: &[Event]) -> (Vec<u8>, Losses) {
    let mut encoder = inbound(caller).stream_encoder(&head(true), &streaming_request());
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(&mut out);
    (out, encoder.losses().clone())
}

impl Silence {
    /// Leaves out each member that says something, of all events that have it, and looks at what comes of the rest.
    pub(crate) fn search(&mut self, protocol: &'static dyn Protocol, framing: Framing, bytes: &[u8]) {
        let frames = frames(framing, bytes);
        let said = events(protocol, &frames);
        if said.iter().any(|event| matches!(event, Event::Error(_))) {
            return;
        }
        let documents: Vec<Option<Value>> = frames.iter().map(|(_, data)| serde_json::from_str(data).ok()).collect();
        let mut places: BTreeMap<String, Vec<(usize, Place)>> = BTreeMap::new();
        for (at, document) in documents.iter().enumerate() {
            let Some(document) = document else { continue };
            let kind = document["type"].as_str().unwrap_or(&frames[at].0);
            for place in members(document) {
                let path = format!("[{kind}].{}", kinds(document, &place));
                places.entry(path).or_default().push((at, place));
            }
        }
        let callers = PROTOCOLS.iter().chain(CALLERS_ONLY).copied().filter(|caller| caller.inbound().is_some());
        let mut callers: Vec<Caller> = callers
            .filter(|caller| caller.id() != protocol.id())
            .map(|caller| Caller { caller, whole: written(caller, &said), reported: Vec::new() })
            .collect();
        // The outer ones come first: their paths are shorter.
        for (path, places) in &places {
            // What has made a difference once is not silent; only what holds something more is looked at again.
            let told = |caller: &Caller| {
                let counts = self.paths.get(&format!("{} to {}: {path}", protocol.id(), caller.caller.id()));
                counts.is_some_and(|(tried, without)| tried > without)
            };
            let (at, place) = &places[0];
            if !documents[*at].as_ref().is_some_and(|document| holds_more(document, place)) && callers.iter().all(told)
            {
                continue;
            }
            let rest = events(protocol, &rest(&frames, &documents, places));
            for Caller { caller, whole, reported } in &mut callers {
                if reported.iter().any(|outer| path.starts_with(outer.as_str())) || is_named(path, &whole.1) {
                    continue;
                }
                let rest = written(*caller, &rest);
                if rest.0 == whole.0 && rest.1 != whole.1 {
                    reported.push(path.clone());
                }
                let counts = self.paths.entry(format!("{} to {}: {path}", protocol.id(), caller.id())).or_default();
                counts.0 += 1;
                counts.1 += usize::from(rest == *whole);
            }
        }
    }

    /// What never made a difference, and has no reason.
    pub(crate) fn unexplained(&self) -> Vec<&str> {
        let silent = self.paths.iter().filter(|(_, (tried, without))| *tried > 0 && tried == without);
        let silent = silent.map(|(path, _)| path.as_str());
        silent.filter(|line| !explained(line, UNSAID)).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }
}

/// What a caller gets of the whole stream, and the paths of what is dropped as a whole and reported.
struct Caller {
    caller: &'static dyn Protocol,
    whole: (Vec<u8>, Losses),
    reported: Vec<String>,
}

/// Whether a loss has the name of a member, or of a type, on the way, or the hub's word for it.
fn is_named(path: &str, losses: &Losses) -> bool {
    let (_, inside) = path.split_once("].").unwrap();
    let mut steps = inside.split(['.', '[', ']']).filter(|step| !step.is_empty());
    steps.any(|step| {
        let name = match step {
            "citation" | "citationMetadata" => "citations",
            "redactedContent" => "signature",
            "image_generation_call" => "media",
            step => step,
        };
        losses.iter().any(|loss| loss.field.rsplit('.').next() == Some(name))
    })
}

/// The frames without the values at these places.
fn rest(frames: &Said, documents: &[Option<Value>], places: &[(usize, Place)]) -> Said {
    let mut frames = frames.clone();
    let mut at = 0;
    while let Some((frame, _)) = places.get(at) {
        let same: Vec<&Place> =
            places[at..].iter().take_while(|(other, _)| other == frame).map(|(_, place)| place).collect();
        let document = documents[*frame].as_ref().unwrap();
        let rest = same.iter().fold(document.clone(), |rest, place| without(&rest, place));
        frames[*frame].1 = rest.to_string();
        at += same.len();
    }
    frames
}

/// Members of events that are left out in silence, because nothing is lost with them; paths as in the list of whole answers.
const UNSAID: Reasons = &[
    (ProtocolId::OpenAiChat, &["[].object", "*.type", "*.role", "*.index", "*[thinking].closed"], TAG),
    (ProtocolId::OpenAiResponses, &["*.type", "*.role", "*.status", "*.response.object"], TAG),
    (ProtocolId::AnthropicMessages, &["*.type", "*.role", "[ping]*"], TAG),
    (ProtocolId::Gemini, &["*.role"], TAG),
    (ProtocolId::BedrockConverse, &["*.role", "*.type", "*.contentBlockIndex"], TAG),
    (ProtocolId::OpenAiChat, &["[].id", "[].model", "[].created"], NAME),
    (ProtocolId::AnthropicMessages, &["*.message[message].id", "*.message[message].model"], NAME),
    (ProtocolId::Gemini, &["[].responseId", "[].modelVersion", "[].createTime"], NAME),
    (ProtocolId::OpenAiChat, &["[].obfuscation"], PADDING),
    (ProtocolId::OpenAiResponses, &["*.obfuscation"], PADDING),
    (ProtocolId::BedrockConverse, &["*.p"], PADDING),
    (ProtocolId::OpenAiChat, &["[].choices.message*"], "repeats what the deltas said"),
    (
        ProtocolId::OpenAiChat,
        &["[].x_groq*"],
        "Groq's own numbers of the request, and the usage, which stands beside it",
    ),
    (
        ProtocolId::OpenAiChat,
        &[
            "[].usage.cache_creation",
            "[].usage.draft_tokens_acceptance",
            "[].usage.cache_read_input_tokens",
            "[].usage.cache_creation_input_tokens",
            "[].usage.prompt_cache_hit_tokens",
            "[].usage.prompt_cache_miss_tokens",
            "[].usage.total_tokens",
            "[].usage.cost*",
            "[].usage.completion_tokens_details.reasoning_tokens",
        ],
        "as in whole answers",
    ),
    (ProtocolId::OpenAiChat, &["[].choices.usage.total_tokens"], COUNTED),
    (ProtocolId::Gemini, &["[].usageMetadata.totalTokenCount"], COUNTED),
    (ProtocolId::OpenAiChat, &["[].choices.delta.tool_calls.id"], "the number of a call says which it is, too"),
    (ProtocolId::BedrockConverse, &["[metadata].usage.cacheReadInput*", "[metadata].usage.totalTokens"], COUNTED),
    (
        ProtocolId::AnthropicMessages,
        &["[message_delta].usage.*", "[message_start].message[message].usage.*"],
        "counts are told at both ends; the last ones hold",
    ),
    (
        ProtocolId::AnthropicMessages,
        &["*[thinking_delta].estimated_tokens"],
        "an estimate of what is counted at the end",
    ),
    (
        ProtocolId::AnthropicMessages,
        &["*[redacted_thinking].data"],
        "reported as `content.signature` or `reasoning.redacted`",
    ),
    (
        ProtocolId::AnthropicMessages,
        &["*.stop_details[refusal].category", "*.stop_details[refusal].recommended_model"],
        "as in whole answers",
    ),
    (
        ProtocolId::AnthropicMessages,
        &["*_page_number", "*_block_index", "*.document_index", "*.search_result_index"],
        "reported as `content.citations.source_index`, `source_start`, `source_end`, be they told or not",
    ),
    (ProtocolId::Gemini, &["*.functionCall.partialArgs.willContinue"], "the next piece, or none, says it"),
    (
        ProtocolId::Gemini,
        &["*.segment.startIndex", "*.segment.endIndex", "*.segment.text"],
        "the words and each end of the place say the same",
    ),
    (ProtocolId::OpenAiResponses, &["[response.created]*", "[response.in_progress]*", "[response.queued]*"], AGAIN),
    (ProtocolId::OpenAiResponses, &["*.sequence_number", "*.item_id", "*.output_index", "*.content_index"], ORDER),
    (ProtocolId::OpenAiResponses, &["*.summary_index", "*.annotation_index", "*.id", "*.call_id"], ORDER),
    (
        ProtocolId::OpenAiResponses,
        &[
            "[response.output_item.added]*",
            "[response.content_part.added]*",
            "[response.reasoning_summary_part.*",
            "[response.output_text.annotation.added]*",
        ],
        AGAIN,
    ),
    (
        ProtocolId::OpenAiResponses,
        &[
            "[response.output_text.done]*",
            "[response.output_text.delta].logprobs*",
            "[response.refusal.done]*",
            "[response.reasoning_text.done]*",
            "[response.reasoning_summary_text.done]*",
            "[response.function_call_arguments.*",
            "[response.custom_tool_call_input.*",
            "[response.content_part.done].part[refusal]*",
            "[response.output_item.done].item[function_call]",
            "[response.output_item.done].item[function_call].name",
            "[response.output_item.done].item[function_call].arguments",
            "[response.output_item.done].item[message]",
            "[response.content_part.done].part[output_text].text",
            "[response.content_part.done].part[reasoning_text]*",
            "[response.output_item.done].item[message].content*",
            "[response.output_item.done].item[reasoning].content*",
            "[response.output_item.done].item[reasoning].summary*",
        ],
        AGAIN,
    ),
    (
        ProtocolId::OpenAiResponses,
        &[
            "[response.code_interpreter_call*",
            "[response.mcp_*",
            "[response.shell_call*",
            "[response.web_search_call*",
            "[response.file_search_call*",
            "[response.image_generation_call*",
        ],
        "how a tool of the provider's gets on; what it comes to is told at its end",
    ),
    (
        ProtocolId::OpenAiResponses,
        &["*[url_citation].end_index", "*[container_file_citation].end_index"],
        "a place ends at the latest where its text does",
    ),
    (
        ProtocolId::OpenAiResponses,
        &["*.background", "*.output_format"],
        "what was asked for, and what the picture says",
    ),
    (
        ProtocolId::OpenAiResponses,
        &["[response.completed].*", "[response.incomplete].*"],
        "the whole answer once more, and what was asked for",
    ),
];

const TAG: &str = "says what its place says";
const NAME: &str =
    "the caller's protocol has no member for it; `x-request-id` names the answer, `x-routeplane-target` its model";
const PADDING: &str = "padding";
const COUNTED: &str = "a sum of other counts, or given under both names";
const AGAIN: &str = "told in other events as well";
const ORDER: &str = "which part an event belongs to; where nothing says it, it is the last one";

#[test]
fn no_member_of_an_event_is_lost_in_silence() {
    let mut silence = Silence::default();
    for case in cases() {
        if let Some(stream) = case.stream() {
            silence.search(case.protocol, outbound(case.protocol).framing(), &stream);
        }
    }
    assert!(silence.len() > 1_000, "{}", silence.len());
    assert_eq!(silence.unexplained(), [""; 0]);
}
