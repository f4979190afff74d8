//! Requests for the means of their targets, and answers turned back.

use serde_json::{Value, json};

use super::*;
use crate::wire::ir::{self, Candidate, Delta, Event, Finish, FinishReason, Part, PartKind, Response, Text, ToolCall};
use crate::wire::json::Ext;
use crate::wire::loss::Losses;
use crate::wire::quirk::Quirks;
use crate::wire::{Head, Operation, Outbound, ProtocolId, StreamDecoder};

const SCHEMA: &str =
    r#"{"type":"object", "properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;

fn request(members: &Value) -> ir::Request {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    for (key, value) in members.as_object().unwrap() {
        body[key] = value.clone();
    }
    let mut body = body.to_string();
    // The caller's own spelling of the schema.
    body = body.replace("\"SCHEMA\"", SCHEMA);
    let head = Head { operation: Operation::Generate, path_model: None, path_stream: false, alt_sse: true };
    ProtocolId::OpenAiChat.codec().unwrap().inbound().unwrap().decode_request(&head, body.as_bytes()).unwrap()
}

fn format() -> Value {
    json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": "SCHEMA" } })
}

fn outbound(protocol: ProtocolId) -> &'static dyn Outbound {
    protocol.codec().unwrap().outbound().unwrap()
}

/// The request as a target gets it, what was done, and the losses of that.
fn prepared(
    protocol: ProtocolId,
    model: &str,
    quirk: StructuredOutput,
    members: &Value,
) -> (ir::Request, Applied, String) {
    let mut asked = request(members);
    // As if another protocol had brought it.
    asked.origin = ProtocolId::OpenAiResponses;
    let quirks = Quirks { structured_output: quirk, ..Quirks::default() };
    let outbound = outbound(protocol);
    let plan = outbound.output_plan(model, &quirks);
    let mut losses = Losses::default();
    let applied = request::prepare(&mut asked, (protocol, outbound), &plan, &mut losses);
    (asked, applied, losses.to_string())
}

fn system_text(request: &ir::Request) -> Option<&str> {
    let message = request.messages.first().filter(|message| message.role == ir::Role::System)?;
    match message.parts.first()? {
        Part::Text(text) => Some(&text.text),
        _ => None,
    }
}

#[test]
fn each_target_has_its_means() {
    use ProtocolId::{AnthropicMessages, BedrockConverse, Gemini, OpenAiChat};
    let tools = json!({ "response_format": format(), "tools": [{ "type": "function", "function": { "name": "f" } }] });
    let alone = json!({ "response_format": format() });
    let thinking = json!({ "response_format": format(), "reasoning_effort": "high" });
    for (protocol, model, quirk, members, means, losses) in [
        (OpenAiChat, "m", StructuredOutput::Auto, &alone, Means::BestEffort, ""),
        (OpenAiChat, "m", StructuredOutput::Strict, &alone, Means::Strict, ""),
        (OpenAiChat, "m", StructuredOutput::Tool, &alone, Means::Tool, "response_format=emulated"),
        (OpenAiChat, "m", StructuredOutput::Tool, &tools, Means::JsonMode, "response_format=degraded"),
        (OpenAiChat, "m", StructuredOutput::Json, &alone, Means::JsonMode, "response_format=degraded"),
        (OpenAiChat, "m", StructuredOutput::Prompt, &alone, Means::Prompt, "response_format=degraded"),
        (AnthropicMessages, "claude-sonnet-4-6", StructuredOutput::Auto, &alone, Means::Strict, ""),
        (AnthropicMessages, "claude-sonnet-4-6", StructuredOutput::Auto, &tools, Means::Strict, ""),
        (
            AnthropicMessages,
            "claude-sonnet-4-6",
            StructuredOutput::Json,
            &alone,
            Means::Prompt,
            "response_format=degraded",
        ),
        (
            AnthropicMessages,
            "claude-3-5-haiku-20241022",
            StructuredOutput::Auto,
            &alone,
            Means::Tool,
            "response_format=emulated",
        ),
        (
            AnthropicMessages,
            "claude-3-5-haiku-20241022",
            StructuredOutput::Auto,
            &tools,
            Means::Prompt,
            "response_format=degraded",
        ),
        (
            AnthropicMessages,
            "claude-3-7-sonnet-20250219",
            StructuredOutput::Auto,
            &thinking,
            Means::Prompt,
            "response_format=degraded",
        ),
        (Gemini, "gemini-2.5-flash", StructuredOutput::Auto, &alone, Means::Strict, ""),
        (Gemini, "gemini-2.5-flash", StructuredOutput::Auto, &tools, Means::Prompt, "response_format=degraded"),
        (Gemini, "gemini-3-pro-preview", StructuredOutput::Auto, &tools, Means::Strict, ""),
        (
            BedrockConverse,
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            StructuredOutput::Auto,
            &alone,
            Means::Strict,
            "",
        ),
        (
            BedrockConverse,
            "amazon.nova-lite-v1:0",
            StructuredOutput::Auto,
            &alone,
            Means::Tool,
            "response_format=emulated",
        ),
    ] {
        let (_, applied, told) = prepared(protocol, model, quirk, members);
        assert_eq!((applied.means, told.as_str()), (Some(means), losses), "{protocol} {model} {quirk:?} {members}");
    }
}

#[test]
fn a_request_without_a_form_is_left_alone() {
    for members in [json!({}), json!({ "response_format": { "type": "text" } })] {
        let (_, applied, losses) =
            prepared(ProtocolId::AnthropicMessages, "claude-3-haiku", StructuredOutput::Auto, &members);
        assert_eq!((applied, losses.as_str()), (Applied::default(), ""));
    }
}

#[test]
fn a_forced_tool_has_the_schema_as_it_is_and_a_name_of_its_own() {
    let members = json!({ "response_format": format(), "tool_choice": "none",
        "tools": [{ "type": "function", "function": { "name": "respond_with_schema" } }] });
    let (request, applied, _) =
        prepared(ProtocolId::AnthropicMessages, "claude-3-5-haiku-20241022", StructuredOutput::Auto, &members);
    assert_eq!(applied.tool.as_deref(), Some("respond_with_schema_"));
    assert_eq!(request.tool_choice, Some(ir::ToolChoice::Tool("respond_with_schema_".into())));
    let tools = request.tools.unwrap();
    assert_eq!(tools.len(), 2, "a history may hold calls of the caller's tool");
    let ir::ToolKind::Function { parameters, .. } = &tools[1].kind else { panic!("{tools:?}") };
    assert_eq!(parameters.as_ref().unwrap().get(), SCHEMA);
    assert!(request.output.is_none());
}

#[test]
fn words_give_the_schema_as_it_is() {
    for (quirk, json_mode) in [(StructuredOutput::Json, true), (StructuredOutput::Prompt, false)] {
        let (request, ..) = prepared(ProtocolId::OpenAiChat, "m", quirk, &json!({ "response_format": format() }));
        let text = system_text(&request).unwrap();
        assert!(text.ends_with(SCHEMA) && text.contains("JSON"), "{text}");
        assert_eq!(matches!(request.output, Some(ir::OutputFormat::Json)), json_mode, "{:?}", request.output);
    }
}

#[test]
fn an_unfit_schema_goes_by_other_means() {
    let open = json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "n", "schema": { "type": "object" } } } });
    for (protocol, quirk, means) in [
        (ProtocolId::OpenAiChat, StructuredOutput::Strict, Means::BestEffort),
        (ProtocolId::AnthropicMessages, StructuredOutput::Auto, Means::Tool),
        (ProtocolId::BedrockConverse, StructuredOutput::Auto, Means::Tool),
    ] {
        let (request, applied, losses) = prepared(protocol, "claude-sonnet-4-6", quirk, &open);
        assert_eq!(applied.means, Some(means), "{protocol}");
        assert!(losses.contains("response_format.json_schema.schema=degraded"), "{losses}");
        if let Some(ir::OutputFormat::Schema { strict, schema, .. }) = request.output {
            assert_eq!((strict, schema.get()), (None, r#"{"type":"object"}"#));
        }
    }
}

#[test]
fn a_target_of_the_callers_own_protocol_gets_the_callers_own_words() {
    let mut own = request(&json!({ "response_format": format() }));
    let quirks = Quirks { structured_output: StructuredOutput::Strict, ..Quirks::default() };
    let chat = outbound(ProtocolId::OpenAiChat);
    let (plan, mut losses) = (chat.output_plan("m", &quirks), Losses::default());
    let applied = request::prepare(&mut own, (ProtocolId::OpenAiChat, chat), &plan, &mut losses);
    assert_eq!((applied.means, losses.is_empty()), (Some(Means::Strict), true));
    let Some(ir::OutputFormat::Schema { schema, strict, .. }) = own.output else { panic!("{:?}", own.output) };
    assert_eq!((schema.get(), strict), (SCHEMA, None));
}

// === answers

const PIECES: [&str; 4] = ["{\"ans", "wer\":[1,", "\"}\"", "]}"];

/// A decoder that says what it was given.
struct Script(Vec<Event>);

impl StreamDecoder for Script {
    fn frame(&mut self, _: &crate::wire::frame::Frame<'_>, _: &mut Vec<Event>) {}

    fn finish(&mut self, out: &mut Vec<Event>) {
        out.append(&mut self.0);
    }
}

fn call(index: u32) -> Vec<Event> {
    let kind = PartKind::ToolCall { id: Some("c".into()), name: "respond_with_schema".into() };
    let mut events = vec![Event::PartStart { index, candidate: 0, kind }];
    events.extend(PIECES.map(|piece| Event::Delta { index, delta: Delta::Arguments(piece.into()) }));
    events.push(Event::PartEnd { index });
    events
}

fn text(index: u32, text: &str) -> Vec<Event> {
    vec![
        Event::PartStart { index, candidate: 0, kind: PartKind::Text },
        Event::Delta { index, delta: Delta::Text(text.into()) },
        Event::PartEnd { index },
    ]
}

fn finish(reason: FinishReason) -> Event {
    Event::Finish { candidate: 0, finish: Finish::new(reason) }
}

/// The answer that the caller sees: streamed, and whole, which must be the same.
#[track_caller]
fn seen(events: Vec<Event>, applied: &Applied) -> Candidate {
    let mut whole = ir::fold(ProtocolId::AnthropicMessages, &events).unwrap();
    answer::restore(&mut whole, applied);
    let mut decoder = stream::Restored::new(Box::new(Script(events)), applied.clone());
    let mut out = Vec::new();
    decoder.finish(&mut out);
    let streamed: Response = ir::fold(ProtocolId::AnthropicMessages, &out).unwrap();
    assert_eq!(whole, streamed);
    whole.candidates.into_iter().next().unwrap()
}

fn by_tool() -> Applied {
    Applied { means: Some(Means::Tool), tool: Some("respond_with_schema".into()), wrapped: true, ..Applied::default() }
}

#[test]
fn a_call_becomes_the_answer() {
    let start = Event::Start { id: None, model: None, created: None };
    let thought = Event::PartStart { index: 0, candidate: 0, kind: PartKind::Reasoning };
    let events: Vec<Event> = [start, thought, Event::PartEnd { index: 0 }]
        .into_iter()
        .chain(text(1, "I will call the tool."))
        .chain(call(2))
        .chain(call(3))
        .chain([finish(FinishReason::ToolCalls)])
        .collect();
    let candidate = seen(events, &by_tool());
    assert_eq!(candidate.parts.len(), 2, "{candidate:?}");
    assert_eq!(candidate.parts[1], Part::Text(Text::new("[1,\"}\"]")));
    assert_eq!(candidate.finish.unwrap().reason, FinishReason::Stop);
}

#[test]
fn words_without_a_call_stay() {
    let events: Vec<Event> = text(0, "I cannot.").into_iter().chain([finish(FinishReason::Refusal)]).collect();
    let candidate = seen(events, &by_tool());
    assert_eq!(candidate.parts, [Part::Text(Text::new("I cannot."))]);
    assert_eq!(candidate.finish.unwrap().reason, FinishReason::Refusal);
}

#[test]
fn a_cut_call_stays_cut() {
    let mut events: Vec<Event> = call(0).into_iter().take(3).collect();
    events.push(finish(FinishReason::Length));
    let candidate = seen(events, &by_tool());
    assert_eq!(candidate.parts, [Part::Text(Text::new("[1,"))]);
    assert_eq!(candidate.finish.unwrap().reason, FinishReason::Length);
}

#[test]
fn other_calls_are_not_touched() {
    let mut response = Response {
        origin: ProtocolId::OpenAiChat,
        id: None,
        model: None,
        created: None,
        candidates: vec![Candidate {
            parts: vec![Part::ToolCall(ToolCall {
                id: None,
                name: "f".into(),
                arguments: "{}".into(),
                signature: None,
                ext: Ext::default(),
            })],
            finish: Some(Finish::new(FinishReason::ToolCalls)),
            ext: Ext::default(),
        }],
        usage: None,
        ext: Ext::default(),
    };
    let before = response.clone();
    answer::restore(&mut response, &Applied { tool: Some("g".into()), ..Applied::default() });
    assert_eq!(response, before);
}

#[test]
fn a_fence_is_taken_off_in_pieces() {
    let applied = Applied { means: Some(Means::Prompt), ..Applied::default() };
    let mut events = vec![Event::PartStart { index: 0, candidate: 0, kind: PartKind::Text }];
    events.extend("```json\n{\"a\": 1}\n```".chars().map(|c| Event::Delta { index: 0, delta: Delta::Text(c.into()) }));
    events.push(finish(FinishReason::Stop));
    assert_eq!(seen(events, &applied).parts, [Part::Text(Text::new("{\"a\": 1}"))]);
}

#[test]
fn the_schema_of_a_correction_is_said_once() {
    let mut asked = request(&json!({}));
    request::correct(&mut asked, "{}", "at `/a`: something");
    let texts: Vec<&Part> = asked.messages.iter().flat_map(|message| &message.parts).collect();
    assert_eq!(texts.len(), 3);
    assert!(matches!(texts[2], Part::Text(text) if text.text.contains("at `/a`: something")), "{texts:?}");
}
