//! What of a request reaches an upstream of another protocol, or is reported, member by member.

use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{PROTOCOLS, Protocol, ProtocolId};
use serde_json::Value;

use super::ablation::{Silence, Written};
use super::answers::{Reasons, without_reason};
use super::models;
use crate::laws::fixtures::{cases, destination, head, inbound, outbound};

fn translated(protocol: &'static dyn Protocol, target: &'static dyn Protocol, body: &Value) -> Option<Written> {
    let request = inbound(protocol).decode_request(&head(false), body.to_string().as_bytes()).ok()?;
    let (mut out, mut losses, quirks) = (Vec::new(), Losses::default(), Quirks::default());
    let destination = destination(models(target.id())[0], &quirks);
    outbound(target).encode_request(&request, &destination, &mut out, &mut losses).ok()?;
    Some((out, losses))
}

/// Adds what of `body` reaches no upstream of another protocol in silence.
pub(crate) fn search(silence: &mut Silence, protocol: &'static dyn Protocol, body: &Value) {
    if protocol.inbound().is_none() {
        return;
    }
    for target in PROTOCOLS.iter().copied().filter(|target| target.id() != protocol.id()) {
        let prefix = format!("{} to {}: ", protocol.id(), target.id());
        silence.search(&prefix, body, |body| translated(protocol, target, body));
    }
}

/// Members of requests that are left out in silence, because nothing is lost with them; paths as in the list of answers.
pub(super) const UNSAID: Reasons = &[
    (ProtocolId::OpenAiChat, &["*].type", "messages.tool_calls[*].index"], TAG),
    (ProtocolId::OpenAiResponses, &["*].type"], TAG),
    (ProtocolId::AnthropicMessages, &["model", "*.cache_control.type"], TAG),
    (ProtocolId::Gemini, &["*.role"], TAG),
    (ProtocolId::BedrockConverse, &["*.toolUse.type", "*[text].type"], TAG),
    (ProtocolId::OpenAiChat, &["stream"], STREAM),
    (ProtocolId::OpenAiResponses, &["stream"], STREAM),
    (ProtocolId::AnthropicMessages, &["stream"], STREAM),
    (ProtocolId::OpenAiChat, &["*.parameters.type"], SCHEMA),
    (ProtocolId::OpenAiResponses, &["*.parameters.type"], SCHEMA),
    (ProtocolId::Gemini, &["*.parameters.type", "*.parametersJsonSchema.type"], SCHEMA),
    (ProtocolId::BedrockConverse, &["*.inputSchema.json.type"], SCHEMA),
    (
        ProtocolId::OpenAiChat,
        &[
            "parallel_tool_calls",
            "response_format",
            "response_format.type",
            "tool_choice.type",
            "n",
            "*.detail",
            "*.cache_control.type",
        ],
        USUAL,
    ),
    // The other lifetime makes a difference.
    (ProtocolId::OpenAiChat, &["*.cache_control.ttl"], USUAL),
    (ProtocolId::AnthropicMessages, &["*.cache_control.ttl"], USUAL),
    (ProtocolId::OpenAiResponses, &["parallel_tool_calls", "*.detail"], USUAL),
    (ProtocolId::Gemini, &["generationConfig.candidateCount"], USUAL),
    (ProtocolId::BedrockConverse, &["*.toolResult.status", "*.toolResult.content.document.format"], USUAL),
    (ProtocolId::OpenAiChat, &["logprobs"], ALTERNATIVES),
    (ProtocolId::Gemini, &["generationConfig.responseLogprobs"], ALTERNATIVES),
    (ProtocolId::OpenAiChat, &["stream_options*"], "a stream ends with its usage unasked"),
    (ProtocolId::AnthropicMessages, &["thinking.display"], THINKING),
    (ProtocolId::Gemini, &["generationConfig.thinkingConfig.*"], THINKING),
    (ProtocolId::OpenAiResponses, &["reasoning.*"], THINKING),
    (ProtocolId::BedrockConverse, &["additionalModelRequestFields.*"], THINKING),
    (ProtocolId::BedrockConverse, &["*.toolResult.toolUseId"], "calls and results are matched by order"),
    (
        ProtocolId::Gemini,
        &["*.functionResponse.id", "*.function_response.id"],
        "calls and results are matched by order",
    ),
    (
        ProtocolId::Gemini,
        &["tools.functionDeclarations.parameters_json_schema.properties.timezone*"],
        "of a tool that the choice of tools leaves out",
    ),
    (ProtocolId::OpenAiChat, &["response_format.json_schema.name"], LABEL),
    (ProtocolId::OpenAiResponses, &["text.format.name"], LABEL),
    (
        ProtocolId::OpenAiResponses,
        &["tools[custom].format", "tools[custom].format.type"],
        "a freeform text is the only argument of the function; a grammar is told in its description",
    ),
    (ProtocolId::BedrockConverse, &["*.jsonSchema.name"], LABEL),
    (ProtocolId::OpenAiChat, &["response_format.json_schema.strict"], "the schema is kept to as the model can"),
    (ProtocolId::OpenAiResponses, &["text.format.strict"], "the schema is kept to as the model can"),
    (ProtocolId::OpenAiResponses, &["*].id", "*].status"], "what only the provider needs that stored the item"),
    (ProtocolId::OpenAiResponses, &["*].call_id"], "calls and results are matched by name and order"),
    (
        ProtocolId::Gemini,
        &["*.functionResponse.name", "*.function_response.name"],
        "calls and results are matched by their ids",
    ),
    (
        ProtocolId::Gemini,
        &["*.fileData.mimeType", "*.fileData.mime_type", "*.file_data.mime_type"],
        "the address and the kind of the part say the same",
    ),
    (
        ProtocolId::Gemini,
        &["generationConfig.responseMimeType", "generationConfig.response_mime_type"],
        "the schema beside it says the same",
    ),
    (
        ProtocolId::OpenAiChat,
        &["messages.reasoning", "messages.reasoning_details*"],
        "other forms of the same thoughts, which are reported once",
    ),
];

const TAG: &str = "says what its place says";
const THINKING: &str =
    "where the model does not think, or shows what it thinks anyway; the lists of fields are exact about it";
const STREAM: &str = "the path says it";
const SCHEMA: &str = "a schema of arguments is one of an object";
const USUAL: &str = "what happens anyway";
const ALTERNATIVES: &str = "the number of alternatives beside it asks for the pieces, too";
const LABEL: &str = "a label for the provider, not for the model";

/// What is silent without a reason.
pub(crate) fn unexplained(silence: &Silence) -> Vec<&str> {
    without_reason(silence, UNSAID)
}

#[test]
fn no_member_of_a_request_is_lost_in_silence() {
    let mut silence = Silence::default();
    for case in cases() {
        if let Some(body) = case.read("request.json") {
            search(&mut silence, case.protocol, &serde_json::from_slice(&body).unwrap());
        }
    }
    assert!(silence.len() > 100);
    assert_eq!(unexplained(&silence), [""; 0]);
}
