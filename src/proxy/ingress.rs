//! From method and path to what the caller wants.

use std::borrow::Cow;

use http::header::UPGRADE;
use http::{HeaderMap, Method, Uri};

use super::objects::path::{self as objects, Object};
use super::tensorzero::doors::Door;
use crate::wire::{Head, Operation, ProtocolId};

/// What a request line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ingress<'a> {
    /// A call of a model.
    Call(Call<'a>),
    /// `GET` of the list of models, or of one of them.
    Models { dialect: ProtocolId, id: Option<Cow<'a, str>> },
    /// A question about an answer that has been given.
    Stored(Stored<'a>),
    /// A request about files or batches that a provider keeps.
    Object(Object<'a>),
    /// A connection that is to become a WebSocket, at the path of Responses calls.
    WebSocket,
    /// A path of a model call, with a method that it does not have.
    MethodNotAllowed { dialect: ProtocolId },
    /// Something of TensorZero's surface that is no call of a model.
    TensorZero(Door),
    /// Everything else: administration, health, unknown paths.
    Side,
}

/// A question about an answer of Responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<'a> {
    pub id: Cow<'a, str>,
    pub wish: Wish,
}

/// What is wished of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Show,
    Delete,
    Cancel,
    InputItems,
}

/// A call of a model, as far as method and path tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call<'a> {
    pub protocol: ProtocolId,
    pub operation: Operation,
    pub path_model: Option<Cow<'a, str>>,
    pub path_stream: bool,
    pub alt_sse: bool,
}

impl Call<'_> {
    /// The same with a model of its own.
    pub fn into_owned(self) -> Call<'static> {
        let Call { protocol, operation, path_model, path_stream, alt_sse } = self;
        let path_model = path_model.map(|model| Cow::Owned(model.into_owned()));
        Call { protocol, operation, path_model, path_stream, alt_sse }
    }

    /// What of it the codecs see.
    pub fn head(&self) -> Head<'_> {
        Head {
            operation: self.operation,
            path_model: self.path_model.as_deref(),
            path_stream: self.path_stream,
            alt_sse: self.alt_sse,
        }
    }
}

/// Reads the request line. `/v1` may be left out where the OpenAI SDKs are given a base URL without it.
pub fn read<'a>(method: &Method, uri: &'a Uri, headers: &HeaderMap) -> Ingress<'a> {
    let path = uri.path();
    let fixed = |protocol, operation| {
        post(method, Call { protocol, operation, path_model: None, path_stream: false, alt_sse: false })
    };
    match path {
        "/v1/chat/completions" | "/chat/completions" => fixed(ProtocolId::OpenAiChat, Operation::Generate),
        "/v1/responses" | "/responses" if asks_for_websocket(headers) => Ingress::WebSocket,
        "/v1/responses" | "/responses" => fixed(ProtocolId::OpenAiResponses, Operation::Generate),
        "/v1/messages" => fixed(ProtocolId::AnthropicMessages, Operation::Generate),
        "/v1/messages/count_tokens" => fixed(ProtocolId::AnthropicMessages, Operation::CountTokens),
        "/v1/embeddings" | "/embeddings" => fixed(ProtocolId::OpenAiChat, Operation::Embed),
        "/v2/rerank" => fixed(ProtocolId::OpenAiChat, Operation::Rerank),
        "/v1/responses/input_tokens" | "/responses/input_tokens" => {
            fixed(ProtocolId::OpenAiResponses, Operation::CountTokens)
        }
        "/v1/responses/compact" | "/responses/compact" => fixed(ProtocolId::OpenAiResponses, Operation::Compact),
        _ => match Operation::at(path.strip_prefix("/v1").unwrap_or(path)) {
            Some(operation) => fixed(ProtocolId::OpenAiChat, operation),
            None => below(method, uri, headers),
        },
    }
}

/// Paths that name a model or an answer.
fn below<'a>(method: &Method, uri: &'a Uri, headers: &HeaderMap) -> Ingress<'a> {
    let path = uri.path();
    if let Some(rest) = path.strip_prefix("/v1/responses/").or_else(|| path.strip_prefix("/responses/")) {
        return under_responses(method, rest);
    }
    match objects::read(method, path, headers) {
        Some(Ok(object)) => return Ingress::Object(object),
        Some(Err(dialect)) => return Ingress::MethodNotAllowed { dialect },
        None => {}
    }
    match path.strip_prefix("/model/") {
        Some(rest) => bedrock_call(method, rest),
        None => under_models(method, uri, headers),
    }
}

fn post<'a>(method: &Method, call: Call<'a>) -> Ingress<'a> {
    if method == Method::POST { Ingress::Call(call) } else { Ingress::MethodNotAllowed { dialect: call.protocol } }
}

/// `{model}/{method}` of the Bedrock runtime. AWS's SDKs encode the model; by hand its slashes may come as they are.
fn bedrock_call<'a>(method: &Method, rest: &'a str) -> Ingress<'a> {
    let call = |model, operation, path_stream| {
        let protocol = ProtocolId::BedrockConverse;
        post(method, Call { protocol, operation, path_model: decode(model), path_stream, alt_sse: false })
    };
    match rest.rsplit_once('/') {
        Some((model, "converse")) => call(model, Operation::Generate, false),
        Some((model, "converse-stream")) => call(model, Operation::Generate, true),
        Some((model, "count-tokens")) => call(model, Operation::CountTokens, false),
        _ => Ingress::Side,
    }
}

fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// `{id}`, `{id}/cancel`, `{id}/input_items`.
fn under_responses<'a>(method: &Method, rest: &'a str) -> Ingress<'a> {
    let (id, end) = rest.split_once('/').unwrap_or((rest, ""));
    let wish = match (end, method.as_str()) {
        ("", "GET") => Wish::Show,
        ("", "DELETE") => Wish::Delete,
        ("cancel", "POST") => Wish::Cancel,
        ("input_items", "GET") => Wish::InputItems,
        _ => return Ingress::MethodNotAllowed { dialect: ProtocolId::OpenAiResponses },
    };
    match decode(id) {
        Some(id) => Ingress::Stored(Stored { id, wish }),
        None => Ingress::MethodNotAllowed { dialect: ProtocolId::OpenAiResponses },
    }
}

/// `/v1/models...` and `/v1beta/models...`: lists, and Google's calls, which name the model in the path.
fn under_models<'a>(method: &Method, uri: &'a Uri, headers: &HeaderMap) -> Ingress<'a> {
    let path = uri.path();
    let google = path.starts_with("/v1beta/");
    let Some(rest) = ["/v1beta/models", "/v1/models", "/models"].iter().find_map(|prefix| path.strip_prefix(prefix))
    else {
        return Ingress::Side;
    };
    let dialect = if google { ProtocolId::Gemini } else { listing_dialect(headers) };
    let id = match rest.strip_prefix('/') {
        Some(id) => decode(id),
        None if rest.is_empty() => None,
        None => return Ingress::Side,
    };
    if method == Method::POST
        && let Some(call) = rest.strip_prefix('/').and_then(|rest| google_call(rest, uri.query()))
    {
        return Ingress::Call(call);
    }
    if method == Method::GET {
        return Ingress::Models { dialect, id };
    }
    Ingress::MethodNotAllowed { dialect }
}

/// `{model}:{method}`; the model may hold colons and slashes of its own.
fn google_call<'a>(rest: &'a str, query: Option<&str>) -> Option<Call<'a>> {
    let (model, method) = rest.rsplit_once(':').or_else(|| rest.rsplit_once("%3A"))?;
    let (operation, path_stream) = match method {
        "generateContent" => (Operation::Generate, false),
        "streamGenerateContent" => (Operation::Generate, true),
        "countTokens" => (Operation::CountTokens, false),
        "embedContent" | "batchEmbedContents" => (Operation::Embed, false),
        _ => return None,
    };
    let alt_sse = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    Some(Call { protocol: ProtocolId::Gemini, operation, path_model: decode(model), path_stream, alt_sse })
}

/// OpenAI, Anthropic and (with its newer SDKs) Google all list models under `/v1/models`; headers tell them apart.
fn listing_dialect(headers: &HeaderMap) -> ProtocolId {
    if headers.contains_key("anthropic-version") {
        ProtocolId::AnthropicMessages
    } else if headers.contains_key("x-goog-api-key") || headers.contains_key("x-goog-api-client") {
        ProtocolId::Gemini
    } else {
        ProtocolId::OpenAiChat
    }
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    let text = percent_encoding::percent_decode_str(text).decode_utf8().ok()?;
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, uri: &str, expect: &str) {
        let uri: Uri = uri.parse().unwrap();
        let read = read(&method.parse().unwrap(), &uri, &HeaderMap::new());
        let text = match read {
            Ingress::Call(call) => format!(
                "{} {:?} {}{}{}",
                call.protocol,
                call.operation,
                call.path_model.as_deref().unwrap_or("-"),
                if call.path_stream { " stream" } else { "" },
                if call.alt_sse { " sse" } else { "" }
            ),
            Ingress::Models { dialect, id } => format!("models {dialect} {}", id.as_deref().unwrap_or("-")),
            Ingress::Stored(stored) => format!("stored {} {:?}", stored.id, stored.wish),
            Ingress::Object(object) => format!("{} {:?}", object.kind.name(), object.deed),
            Ingress::WebSocket => "websocket".to_owned(),
            Ingress::MethodNotAllowed { dialect } => format!("405 {dialect}"),
            Ingress::TensorZero(door) => format!("{door:?}"),
            Ingress::Side => "side".to_owned(),
        };
        assert_eq!(text, expect, "{method} {uri}");
    }

    #[test]
    fn paths_mean_what_the_sdks_mean_by_them() {
        check("POST", "/v1/chat/completions", "openai-chat Generate -");
        check("GET", "/v1/chat/completions", "405 openai-chat");
        check("POST", "/v1/responses", "openai-responses Generate -");
        check("POST", "/responses", "openai-responses Generate -");
        check("POST", "/v1/responses/input_tokens", "openai-responses CountTokens -");
        check("POST", "/v1/responses/compact", "openai-responses Compact -");
        check("GET", "/v1/responses/resp_1", "stored resp_1 Show");
        check("DELETE", "/responses/resp_1", "stored resp_1 Delete");
        check("POST", "/v1/responses/resp_1/cancel", "stored resp_1 Cancel");
        check("GET", "/v1/responses/resp%2F1/input_items?limit=3", "stored resp/1 InputItems");
        check("POST", "/v1/responses/resp_1", "405 openai-responses");
        check("GET", "/v1/responses/resp_1/other", "405 openai-responses");
        check("POST", "/v1/messages?beta=true", "anthropic-messages Generate -");
        check("POST", "/v1/messages/count_tokens", "anthropic-messages CountTokens -");
        check("POST", "/v1beta/models/gemini-2.5-pro:generateContent", "gemini Generate gemini-2.5-pro");
        check("POST", "/v1/models/a/b:c:streamGenerateContent?alt=sse", "gemini Generate a/b:c stream sse");
        check(
            "POST",
            "/v1beta/models/openai%2Fgpt-5:streamGenerateContent?key=x",
            "gemini Generate openai/gpt-5 stream",
        );
        check("POST", "/v1beta/models/m:batchEmbedContents", "gemini Embed m");
        check("GET", "/v1/models", "models openai-chat -");
        check("GET", "/v1/models/openai/gpt-5", "models openai-chat openai/gpt-5");
        check("GET", "/v1beta/models", "models gemini -");
        check("POST", "/v1/embeddings", "openai-chat Embed -");
        check("POST", "/model/up%2Fm1/converse", "bedrock-converse Generate up/m1");
        check("POST", "/model/us.x.m-v1%3A0/converse-stream", "bedrock-converse Generate us.x.m-v1:0 stream");
        check(
            "POST",
            "/model/arn:aws:bedrock:r:1:p/x/count-tokens",
            "bedrock-converse CountTokens arn:aws:bedrock:r:1:p/x",
        );
        check("GET", "/model/m/converse", "405 bedrock-converse");
        check("POST", "/model//converse", "bedrock-converse Generate -");
        check("POST", "/model/m/invoke", "side");
        check("POST", "/v1/images/generations", "openai-chat Images -");
        check("POST", "/audio/transcriptions", "openai-chat Transcribe -");
        check("POST", "/v2/rerank", "openai-chat Rerank -");
        check("POST", "/v1/files", "files Create");
        check("GET", "/v1/messages/batches/b/results?x=1", "batches Results");
        check("GET", "/v1/modelsx", "side");
        check("GET", "/livez", "side");
        check("POST", "/v1beta/models/m:unknown", "405 gemini");
    }
}
