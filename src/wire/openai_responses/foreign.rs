//! A request of another protocol, as an upstream of this one takes it. No ids of items are written: those belong to who
//! minted them.

use base64::Engine;
use serde_json::value::RawValue;

use super::encode::{role_word, write_choice, write_format, write_summary};
use super::request::LOGPROBS;
use super::{SELF, content, freeform, item};
use crate::wire::ir::{
    Error, Media, MediaKind, MediaSource, Message, Opaque, OutputFormat, Part, Reasoning, ReasoningEffort, Request,
    Role, Sampling, ToolChoice, ToolKind, ToolResult,
};
use crate::wire::json::{self, Ext, ObjectWriter};
use crate::wire::loss::Losses;
use crate::wire::stops::Stops;
use crate::wire::tool_ids::ToolIds;
use crate::wire::{Destination, ProtocolId, untaken};

/// OpenAI refuses a smaller limit.
const LEAST_OUTPUT: u64 = 16;

pub(super) fn write(request: &Request, destination: &Destination<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
    let (instructions, messages) = instructions(request, losses);
    let mut items = Items { out: Vec::new(), ids: ToolIds::new(false), freeform: Vec::new(), losses };
    messages.iter().for_each(|message| items.message(message));
    let input = items.out;
    json::object(out, |body| {
        body.field("model", destination.model);
        body.optional("instructions", &instructions);
        body.array("input", input, |item, out| out.extend_from_slice(&item));
        write_tools(request, body, losses);
        if let Some(choice) = &request.tool_choice {
            write_choice(choice, &[], body.key("tool_choice"));
        } else if let Some(name) = freeform::chosen(request) {
            write_choice(&ToolChoice::Tool(name.clone()), &[name], body.key("tool_choice"));
        }
        body.optional("parallel_tool_calls", &request.parallel_tool_calls);
        write_sampling(&request.sampling, body, losses);
        let thoughts = write_reasoning(request, destination, body, losses);
        write_include(thoughts, &request.sampling, body);
        write_text(request, body);
        for (key, value) in request.ext.0.iter().filter(|(key, _)| is_shared(request, key)) {
            body.raw(key, value);
        }
        // The caller's protocol keeps nothing, and OpenAI would by default.
        body.field("store", &false);
        if request.stream {
            body.field("stream", &true);
        }
        body.optional("user", &request.user);
        body.optional("metadata", &request.metadata);
    });
    let is_chosen = request.tool_choice.is_none() && freeform::chosen(request).is_some();
    let taken = |key: &str| match key {
        VERBOSITY => verbosity(request).is_some(),
        "tool_choice" => is_chosen,
        key => is_shared(request, key),
    };
    losses.dropped_ext("", &Ext(request.ext.0.iter().filter(|(key, _)| !taken(key)).cloned().collect()));
}

/// Members of a request that OpenAI's two protocols have by the same name and with the same meaning.
const SHARED: [&str; 6] = [
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
];

/// Other vendors have words of their own for the tier.
const TIERS: [&str; 5] = [r#""auto""#, r#""default""#, r#""flex""#, r#""scale""#, r#""priority""#];

fn is_shared(request: &Request, key: &str) -> bool {
    let known = || key != "service_tier" || request.ext.get(key).is_some_and(|tier| TIERS.contains(&tier.get()));
    request.origin == ProtocolId::OpenAiChat && SHARED.contains(&key) && known()
}

/// At the top level there, within `text` here.
const VERBOSITY: &str = "verbosity";

fn verbosity(request: &Request) -> Option<&RawValue> {
    let own = request.origin == ProtocolId::OpenAiChat;
    request.ext.get(VERBOSITY).filter(|word| own && json::kind(word) == json::Kind::String)
}

/// The system texts before the conversation; those within it stay where they are.
fn instructions<'r>(request: &'r Request, losses: &mut Losses) -> (Option<String>, &'r [Message]) {
    let leading = request.messages.iter().take_while(|message| message.role == Role::System).count();
    let (system, rest) = request.messages.split_at_checked(leading).unwrap_or((&[], &request.messages));
    let mut texts = Vec::new();
    for message in system {
        losses.dropped_ext("messages.", &message.ext);
        for part in &message.parts {
            if let Part::Text(text) | Part::Refusal(text) = part {
                losses.dropped_ext("messages.content.", &text.ext);
                texts.push(text.text.as_str());
            } else {
                losses.dropped("messages.content", "`instructions` is text only");
            }
        }
    }
    ((!texts.is_empty()).then(|| texts.join("\n\n")), rest)
}

/// Refuses media that this protocol has no part for. A file in OpenAI's store is known to both of its protocols.
///
/// # Errors
/// Such media, of a caller of another protocol.
pub(super) fn check(request: &Request) -> Result<(), Error> {
    if request.origin == SELF {
        return Ok(());
    }
    let stored = request.origin == ProtocolId::OpenAiChat;
    untaken::check(request, "Responses", |media| match (media.kind, &media.source) {
        (MediaKind::File, MediaSource::FileId(_)) if stored => None,
        (_, MediaSource::FileId(_)) => Some(untaken::UPLOADED),
        (MediaKind::Audio, _) => Some(("sound", "send a transcript")),
        (MediaKind::Video, _) => Some(untaken::VIDEO),
        (MediaKind::Image | MediaKind::File, _) => None,
    })
}

struct Items<'l> {
    out: Vec<Vec<u8>>,
    ids: ToolIds,
    /// Ids of calls of freeform tools, whose outputs are items of another type.
    freeform: Vec<String>,
    losses: &'l mut Losses,
}

impl Items<'_> {
    fn push(&mut self, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        let mut item = Vec::new();
        json::object(&mut item, fill);
        self.out.push(item);
    }

    fn message(&mut self, message: &Message) {
        self.losses.dropped_ext("messages.", &message.ext);
        if message.name.is_some() {
            self.losses.dropped("messages.name", "Responses has no names of speakers");
        }
        if message.role == Role::Assistant {
            return message.parts.iter().for_each(|part| self.said(part));
        }
        for part in &message.parts {
            if let Part::ToolResult(result) = part {
                self.result(result);
            }
        }
        let parts = self.parts(&message.parts);
        if !parts.is_empty() {
            let role = role_word(message.role);
            self.push(|item| {
                item.field("type", "message");
                item.field("role", role);
                item.array("content", parts, |part, out| out.extend_from_slice(&part));
            });
        }
    }

    /// Texts and media; what is neither is reported and left out.
    fn parts(&mut self, parts: &[Part]) -> Vec<Vec<u8>> {
        let mut written = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) | Part::Refusal(text) => {
                    self.losses.dropped_ext("messages.content.", &text.ext);
                    written.push(text_part(&text.text));
                }
                Part::Media(media) => written.extend(self.media(media)),
                Part::Opaque(part) => self.opaque(part),
                Part::Reasoning(_) | Part::ToolCall(_) => {
                    self.losses.dropped("messages.content", "only the model's turns have thoughts and calls");
                }
                // Written before, as an item of its own.
                Part::ToolResult(_) => {}
            }
        }
        written
    }

    fn opaque(&mut self, part: &Opaque) {
        self.losses.dropped_part(
            "messages.content",
            &part.raw,
            "only the provider whose word it is understands this part",
        );
    }

    fn media(&mut self, media: &Media) -> Option<Vec<u8>> {
        self.losses.dropped_ext("messages.content.", &media.ext);
        match (media.kind, &media.source) {
            // Refused before.
            (MediaKind::Audio | MediaKind::Video, _) => return None,
            (_, MediaSource::Text { text, .. }) => return Some(self.inline(media, text)),
            (MediaKind::File, MediaSource::Base64 { media_type, data }) if media_type.starts_with("text/") => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(data).ok();
                if let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
                    return Some(self.inline(media, &text));
                }
            }
            (MediaKind::Image | MediaKind::File, _) => {}
        }
        let mut media = media.clone();
        match (media.kind, &media.source) {
            (MediaKind::File, MediaSource::Base64 { media_type, .. }) => {
                // OpenAI requires a name of a file that comes as content.
                let ending = media_type.rsplit('/').next().unwrap_or("bin").to_owned();
                media.name.get_or_insert_with(|| format!("document.{ending}"));
            }
            (MediaKind::File, MediaSource::FileId(_)) => {
                if media.name.take().is_some() {
                    self.losses.dropped("messages.content.name", "a stored file has a name");
                }
            }
            _ => {
                if media.name.take().is_some() {
                    self.losses.dropped("messages.content.name", "Responses has no names of images");
                }
                // OpenAI's schema requires a word for it.
                media.detail.get_or_insert_with(|| "auto".to_owned());
            }
        }
        let mut part = Vec::new();
        json::object(&mut part, |writer| content::write_media(&media, writer));
        Some(part)
    }

    fn inline(&mut self, media: &Media, text: &str) -> Vec<u8> {
        self.losses.emulated("messages.content.document", "a text document goes as text");
        match &media.name {
            Some(name) => text_part(&format!("{name}\n\n{text}")),
            None => text_part(text),
        }
    }

    fn result(&mut self, result: &ToolResult) {
        self.losses.dropped_ext("messages.content.tool_result.", &result.ext);
        let id = self.ids.result(result.call_id.as_deref(), result.name.as_deref());
        let failed = result.is_error == Some(true);
        if failed {
            self.losses.emulated("messages.content.is_error", "the result of a failed tool begins with `Error: `");
        }
        let mark = if failed { "Error: " } else { "" };
        let output = match result.content.as_slice() {
            [] => quoted(mark),
            [Part::Text(text)] => {
                self.losses.dropped_ext("messages.content.", &text.ext);
                quoted(&format!("{mark}{}", text.text))
            }
            parts => {
                let mut parts = self.parts(parts);
                if failed {
                    parts.insert(0, text_part(mark));
                }
                let mut list = Vec::new();
                json::array(&mut list, parts, |part, out| out.extend_from_slice(&part));
                list
            }
        };
        let of_freeform = self.freeform.contains(&id);
        self.push(|item| {
            item.field("type", if of_freeform { "custom_tool_call_output" } else { "function_call_output" });
            item.field("call_id", &id);
            item.key("output").extend_from_slice(&output);
        });
    }

    /// A part of the model's turn is an item.
    fn said(&mut self, part: &Part) {
        match part {
            Part::Text(text) | Part::Refusal(text) => {
                self.losses.dropped_ext("messages.content.", &text.ext);
                if !text.text.is_empty() {
                    self.push(|item| {
                        item.field("role", "assistant");
                        item.field("content", &text.text);
                    });
                }
            }
            Part::ToolCall(call) => {
                self.losses.dropped_ext("messages.content.tool_call.", &call.ext);
                if call.signature.is_some() {
                    self.foreign_proof();
                }
                let id = self.ids.call(call.id.as_deref(), &call.name);
                if freeform::is_call(call) {
                    self.freeform.push(id.clone());
                    return self.push(|writer| {
                        writer.field("type", "custom_tool_call");
                        writer.field("call_id", &id);
                        writer.field("name", &call.name);
                        writer.field("input", &item::unwrapped(&call.arguments));
                    });
                }
                self.push(|item| {
                    item.field("type", "function_call");
                    item.field("call_id", &id);
                    item.field("name", &call.name);
                    item.field("arguments", if call.arguments.is_empty() { "{}" } else { &call.arguments });
                });
            }
            Part::Reasoning(reasoning) => self.thoughts(reasoning),
            Part::Media(_) => {
                self.losses.dropped("messages.content.media", "Responses has no media in the model's turns")
            }
            Part::Opaque(part) => self.opaque(part),
            Part::ToolResult(_) => {
                self.losses.dropped("messages.content.tool_result", "only the caller's turns have results");
            }
        }
    }

    fn foreign_proof(&mut self) {
        self.losses.dropped("messages.content.signature", "only the provider that signed it understands it");
    }

    fn thoughts(&mut self, reasoning: &Reasoning) {
        self.losses.dropped_ext("messages.content.reasoning.", &reasoning.ext);
        match &reasoning.signature {
            Some(proof) if proof.issuer == SELF => self.push(|item| {
                item.field("type", "reasoning");
                write_summary(&reasoning.text, item);
                item.field("encrypted_content", &proof.value);
            }),
            proof => {
                if proof.is_some() || reasoning.redacted.is_some() {
                    self.foreign_proof();
                }
                self.losses.dropped("messages.content.reasoning", "OpenAI takes back only its own thoughts");
            }
        }
    }
}

fn text_part(text: &str) -> Vec<u8> {
    let mut part = Vec::new();
    content::write_text("input_text", text, &mut part);
    part
}

fn quoted(text: &str) -> Vec<u8> {
    json::quoted(text).into_bytes()
}

fn write_tools(request: &Request, body: &mut ObjectWriter<'_>, losses: &mut Losses) {
    let mut tools = Vec::new();
    for tool in request.tools.iter().flatten() {
        match &tool.kind {
            ToolKind::Function { .. } => {
                losses.dropped_ext("tools.", &tool.ext);
                tools.push(function(&tool.kind));
            }
            // A raw tool that the caller brought for upstreams of this very protocol.
            ToolKind::Opaque { origin: SELF, raw, .. } => tools.push(raw.get().as_bytes().to_vec()),
            ToolKind::Opaque { origin, name, raw } => match freeform::tool(*origin, raw, losses) {
                Some(tool) => tools.push(tool),
                None => losses.dropped_tool(name, "only the provider that runs this tool has it"),
            },
        }
    }
    if !tools.is_empty() {
        body.array("tools", tools, |tool, out| out.extend_from_slice(&tool));
    }
}

fn function(kind: &ToolKind) -> Vec<u8> {
    let mut out = Vec::new();
    json::object(&mut out, |tool| {
        if let ToolKind::Function { name, description, parameters, strict } = kind {
            tool.field("type", "function");
            tool.field("name", name);
            tool.optional("description", description);
            match parameters {
                Some(schema) => tool.raw("parameters", schema),
                None => tool.key("parameters").extend_from_slice(br#"{"type":"object","properties":{}}"#),
            }
            // Left out it means `true` here, which changes or refuses most schemas.
            tool.field("strict", &strict.unwrap_or(false));
        }
    });
    out
}

fn write_sampling(sampling: &Sampling, body: &mut ObjectWriter<'_>, losses: &mut Losses) {
    if let Some(limit) = sampling.max_tokens {
        if limit.value < LEAST_OUTPUT {
            losses.degraded("max_tokens", "OpenAI takes no limit below 16");
        }
        body.field("max_output_tokens", &limit.value.max(LEAST_OUTPUT));
    }
    body.optional("temperature", &sampling.temperature);
    body.optional("top_p", &sampling.top_p);
    body.optional("top_logprobs", &sampling.top_logprobs);
    if Stops::of(sampling.stop.as_deref()).is_some() {
        losses.emulated("stop", "the answer is cut where a stop text begins");
    }
    for (member, given) in [
        ("top_k", sampling.top_k.is_some()),
        ("seed", sampling.seed.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.as_ref().is_some_and(|n| n.as_f64() != Some(0.0))),
        ("presence_penalty", sampling.presence_penalty.as_ref().is_some_and(|n| n.as_f64() != Some(0.0))),
        ("n", sampling.candidates.is_some_and(|count| count != 1)),
    ] {
        if given {
            losses.dropped(member, "Responses has no such member");
        }
    }
}

/// Writes `reasoning`, and asks for thoughts that can be given back: nothing is stored.
fn write_reasoning(
    request: &Request,
    to: &Destination<'_>,
    body: &mut ObjectWriter<'_>,
    losses: &mut Losses,
) -> Option<&'static str> {
    let reasoning = request.reasoning.as_ref()?;
    reasoning.report_unmodelled(losses);
    let effort = reasoning.effort_in_words("Responses has words for the effort, not a number of tokens", losses);
    let effort = match effort {
        Some(_) if to.quirks.no_reasoning_effort => {
            losses.dropped("reasoning_effort", "this upstream refuses it");
            None
        }
        // Many models refuse the word, and those that do not reason refuse the member.
        Some(ReasoningEffort::None) => {
            losses.degraded("reasoning_effort", "thinking was turned off; the upstream's default stands");
            None
        }
        effort => effort,
    };
    let shown = reasoning.include == Some(true);
    if effort.is_none() && !shown {
        return None;
    }
    body.object("reasoning", |body| {
        body.optional("effort", &effort.map(ReasoningEffort::word));
        if shown {
            body.field("summary", "auto");
        }
    });
    Some("reasoning.encrypted_content")
}

/// Asks for what an answer has only where it is asked for.
fn write_include(thoughts: Option<&str>, sampling: &Sampling, body: &mut ObjectWriter<'_>) {
    let likely = sampling.wants_logprobs().then_some(LOGPROBS);
    if thoughts.is_some() || likely.is_some() {
        body.array("include", thoughts.into_iter().chain(likely), json::write);
    }
}

/// What form the text is to have, and how much of it.
fn write_text(request: &Request, body: &mut ObjectWriter<'_>) {
    let (mut output, verbosity) = (request.output.clone(), verbosity(request));
    if output.is_none() && verbosity.is_none() {
        return;
    }
    // Where nothing is said, Responses takes a schema for a strict one, and refuses most.
    if let Some(OutputFormat::Schema { strict, .. }) = &mut output {
        strict.get_or_insert(false);
    }
    body.object("text", |text| {
        if let Some(output) = &output {
            text.object("format", |format| write_format(output, format));
        }
        if let Some(verbosity) = verbosity {
            text.raw(VERBOSITY, verbosity);
        }
    });
}
