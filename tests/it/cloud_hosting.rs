//! Anthropic Messages as Bedrock and Vertex serve them: the caller's document and the answer's events arrive as they are, in
//! the cloud's own envelope.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use routeplane::proxy::pipe::{Out, Pipe, Terms};
use routeplane::wire::frame::event_stream;
use routeplane::wire::hosting::Hosting;
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{Operation, Outbound, ProtocolId};
use serde_json::{Value, json};

use crate::http_client::{self, Response};
use crate::laws::fixtures::{self, destination, head, inbound};
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::{Daemon, Sandbox};

const CLAUDE: &str = "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const AT_VERTEX: &str = "vertex/claude-sonnet-4-5@20250929";

fn hosted(hosting: Hosting) -> &'static dyn Outbound {
    ProtocolId::AnthropicMessages.codec().unwrap().hosted(hosting).unwrap()
}

fn url(mock: &MockUpstream) -> String {
    format!("http://{}", mock.address())
}

fn bedrock(upstream: &MockUpstream) -> Sandbox {
    let sandbox = Sandbox::new()
        .env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", &url(upstream))
        .env("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-1");
    sandbox.write("routeplane.yaml", "version: 1\nproviders:\n  bedrock: {}\nretries: { attempts: 1 }\n");
    sandbox
}

/// Vertex, with a token of the metadata server.
async fn vertex(upstream: &MockUpstream) -> (Sandbox, MockUpstream) {
    let token = json!({ "access_token": "token-1", "expires_in": 3600 }).to_string().into_bytes();
    let metadata = MockUpstream::start([Act::Respond { status: 200, headers: Vec::new(), body: token }]).await;
    let sandbox = Sandbox::new()
        .env("GOOGLE_VERTEX_BASE_URL", &url(upstream))
        .env("GCE_METADATA_HOST", &metadata.address().to_string());
    let yaml = "version: 1\nproviders:\n  vertex: { project: p, location: us-east5 }\nretries: { attempts: 1 }\n";
    sandbox.write("routeplane.yaml", yaml);
    (sandbox, metadata)
}

fn respond(status: u16, content_type: &str, body: Vec<u8>) -> Act {
    Act::Respond { status, headers: vec![("content-type", content_type.to_owned())], body }
}

fn message() -> Value {
    json!({
        "id": "msg_bdrk_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": [{ "type": "text", "text": "Hello", "novelty": true }], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": { "input_tokens": 3, "output_tokens": 5 },
    })
}

/// The events of one short answer, as Anthropic writes their data.
fn events() -> Vec<String> {
    let started = json!({ "type": "message_start", "message": {
        "id": "msg_bdrk_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": { "input_tokens": 3, "output_tokens": 1 } } });
    let metrics = json!({ "inputTokenCount": 3, "outputTokenCount": 5, "invocationLatency": 9, "firstByteLatency": 4 });
    [
        started,
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "Hel" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "lo ☃" } }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null }, "usage": { "output_tokens": 5 } }),
        json!({ "type": "message_stop", "amazon-bedrock-invocationMetrics": metrics }),
    ]
    .map(|event| event.to_string())
    .into()
}

fn chunk(event: &str, out: &mut Vec<u8>) {
    let payload = json!({ "bytes": STANDARD.encode(event), "p": "abcdef" }).to_string();
    event_stream::write_event("chunk", |out| out.extend(payload.bytes()), out);
}

fn chunks(events: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    events.iter().for_each(|event| chunk(event, &mut out));
    out
}

fn throttled(out: &mut Vec<u8>) {
    let body = br#"{"message":"Too many tokens, please wait"}"#;
    event_stream::write_exception("throttlingException", |out| out.extend_from_slice(body), out);
}

fn in_chunks(body: Vec<u8>) -> Act {
    respond(200, "application/vnd.amazon.eventstream", body)
}

/// A request as Claude Code sends it.
async fn messages(daemon: &Daemon, path: &str, model: &str, stream: bool, betas: &str) -> Response {
    let mut body =
        json!({ "model": model, "max_tokens": 300, "messages": [{ "role": "user", "content": "hi" }], "novelty": 1 });
    if stream {
        body["stream"] = json!(true);
    }
    let headers = [("anthropic-version", "2023-06-01"), ("anthropic-beta", betas)];
    http_client::request(daemon.address, "POST", path, &headers, body.to_string().as_bytes()).await
}

async fn chat(daemon: &Daemon, model: &str, stream: bool) -> Response {
    let body =
        json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }], "stream": stream }).to_string();
    http_client::request(daemon.address, "POST", "/v1/chat/completions", &[], body.as_bytes()).await
}

// === documents ===

/// Every fixture of this protocol, as the clouds get it: Anthropic's document but for three members.
#[test]
fn a_hosted_document_is_anthropics_but_for_model_stream_and_version() {
    let own = ProtocolId::AnthropicMessages.codec().unwrap();
    let mut seen = 0;
    for case in fixtures::cases().into_iter().filter(|case| case.protocol.id() == own.id()) {
        let (name, Some(body)) = (case.name(), case.read("request.json")) else { continue };
        let request =
            inbound(own).decode_request(&head(false), &body).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let written = |outbound: &dyn Outbound| {
            let mut out = b"before".to_vec();
            let quirks = Quirks::default();
            outbound.encode_request(&request, &destination("m", &quirks), &mut out, &mut Losses::default()).unwrap();
            serde_json::from_slice::<Value>(out.strip_prefix(b"before").unwrap()).unwrap()
        };
        for (hosting, version) in [(Hosting::Vertex, "vertex-2023-10-16"), (Hosting::Bedrock, "bedrock-2023-05-31")] {
            let mut expected = written(own.outbound().unwrap());
            let members = expected.as_object_mut().unwrap();
            members.remove("model").unwrap();
            members.remove("stream");
            members.insert("anthropic_version".to_owned(), json!(version));
            assert_eq!(written(hosted(hosting)), expected, "{name}");
        }
        seen += 1;
    }
    assert!(seen > 3, "the fixtures are read");
}

/// What Anthropic's own role does in its own way, the hosted one must do too: a default in its place would go unseen.
#[test]
fn a_hosted_role_leaves_no_method_to_a_default() {
    let methods = |file: &str, from: &str| {
        let path = format!("{}/src/wire/anthropic_messages/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let (_, rest) = text.split_once(from).unwrap();
        let body = rest.split("\n}\n").next().unwrap();
        let names =
            body.lines().filter_map(|line| line.strip_prefix("    fn ")).map(|line| line.split('(').next().unwrap());
        names.map(str::to_owned).collect::<std::collections::BTreeSet<String>>()
    };
    let own = methods("mod.rs", "impl Outbound for AnthropicMessages {");
    let hosted = methods("hosted.rs", "impl Outbound for Hosted {");
    assert!(own.len() > 10, "{own:?}");
    assert!(own.is_subset(&hosted), "missing: {:?}", own.difference(&hosted));
}

#[test]
fn a_hosted_model_stands_in_the_path() {
    let path = |hosting, operation, stream| hosted(hosting).path(operation, "us.anthropic.claude-x-v1:0", stream);
    assert_eq!(
        path(Hosting::Bedrock, Operation::Generate, true).as_deref(),
        Some("/model/us.anthropic.claude-x-v1%3A0/invoke-with-response-stream")
    );
    assert_eq!(path(Hosting::Bedrock, Operation::CountTokens, false), None, "Converse counts");
    let model = hosted(Hosting::Vertex).path(Operation::Generate, "claude-x@20250929", true);
    assert_eq!(model.as_deref(), Some("/publishers/anthropic/models/claude-x@20250929:streamRawPredict"));
}

/// However the bytes of AWS's frames arrive, the caller gets the same events.
#[test]
fn the_events_of_chunks_are_the_same_for_any_cut() {
    let caller = inbound(ProtocolId::AnthropicMessages.codec().unwrap());
    let mut stream = chunks(&events()[..4]);
    throttled(&mut stream);
    let read = |size: usize| {
        let (mut pipe, mut out) = (Pipe::relay(caller, hosted(Hosting::Bedrock), Terms::default()), Out::default());
        stream.chunks(size).for_each(|piece| pipe.push(piece.to_vec().into(), &mut out));
        pipe.finish(&mut out);
        String::from_utf8(out.take().to_vec()).unwrap()
    };
    let whole = read(stream.len());
    assert!(whole.starts_with("event: message_start\ndata: {\"type\":\"message_start\""), "{whole}");
    assert!(whole.contains("lo ☃") && whole.matches("event: error\n").count() == 1, "{whole}");
    assert!(whole.contains("rate_limit_error"), "{whole}");
    for size in [1, 2, 7, 64, 1000] {
        assert_eq!(read(size), whole, "pieces of {size} bytes");
    }
}

#[test]
fn tokens_of_gemini_at_vertex_are_counted_without_a_wrapper() {
    let gemini = ProtocolId::Gemini.codec().unwrap();
    let body = br#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    let request = inbound(gemini).decode_request(&head(false), body).unwrap();
    let written = |plain_token_counts| {
        let quirks = Quirks { plain_token_counts, ..Quirks::default() };
        let mut out = Vec::new();
        let outbound = gemini.outbound().unwrap();
        outbound.encode_count_tokens(&request, &destination("m", &quirks), &mut out, &mut Losses::default()).unwrap();
        serde_json::from_slice::<Value>(&out).unwrap()
    };
    let contents = json!([{ "role": "user", "parts": [{ "text": "hi" }] }]);
    assert_eq!(written(true), json!({ "contents": contents }));
    assert_eq!(written(false)["generateContentRequest"]["contents"], contents);
}

// === Bedrock ===

#[tokio::test]
async fn claude_at_bedrock_gets_the_callers_own_document_and_its_answer_passes() {
    let upstream = MockUpstream::start([respond(200, "application/json", message().to_string().into_bytes())]).await;
    let sandbox = bedrock(&upstream);
    let daemon = sandbox.start(&[]).await;
    let betas = "interleaved-thinking-2025-05-14,files-api-2025-04-14, context-1m-2025-08-07";
    let answer = messages(&daemon, "/v1/messages?beta=true", CLAUDE, false, betas).await.expect_status(200);
    assert_eq!(answer.text(), message().to_string(), "byte for byte");
    let request = upstream.only_request().request;
    assert_eq!(request.target, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke");
    let expected = json!({
        "max_tokens": 300, "messages": [{ "role": "user", "content": "hi" }], "novelty": 1,
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["interleaved-thinking-2025-05-14", "context-1m-2025-08-07"],
    });
    assert_eq!(request.json(), expected);
    assert_eq!((request.header("anthropic-beta"), request.header("anthropic-version")), (None, None));
    assert_eq!(request.header("authorization"), Some("Bearer bedrock-api-key-1"));
    let losses = answer.header("x-routeplane-losses").unwrap_or_default();
    assert!(losses.contains("anthropic-beta.files-api-2025-04-14") && !losses.contains("context-1m"), "{losses}");
}

#[tokio::test]
async fn claudes_stream_at_bedrock_reaches_its_own_callers_event_by_event() {
    let upstream = MockUpstream::start([in_chunks(chunks(&events()))]).await;
    let sandbox = bedrock(&upstream);
    let daemon = sandbox.start(&[]).await;
    let answer = messages(&daemon, "/v1/messages", CLAUDE, true, "").await.expect_status(200);
    assert!(answer.complete && answer.header("content-type") == Some("text/event-stream"), "{answer:?}");
    assert_eq!(answer.events(), events());
    let names: Vec<String> =
        answer.text().lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect();
    assert_eq!(names.len(), events().len());
    assert_eq!((names[0].as_str(), names[6].as_str()), ("message_start", "message_stop"));
    let request = upstream.only_request().request;
    assert!(request.target.ends_with("/invoke-with-response-stream"), "{request:?}");
    assert_eq!(request.json().get("stream"), None);
    let output = daemon.metric("routeplane_tokens_total{provider=\"bedrock\",kind=\"output\"}").await;
    assert_eq!(output, 5.0);
}

#[tokio::test]
async fn callers_of_other_protocols_reach_claude_at_bedrock_through_the_hub() {
    let whole = respond(200, "application/json", message().to_string().into_bytes());
    let upstream = MockUpstream::start([whole, in_chunks(chunks(&events()))]).await;
    let sandbox = bedrock(&upstream);
    let daemon = sandbox.start(&[]).await;
    let answer = chat(&daemon, CLAUDE, false).await.expect_status(200);
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "Hello");
    let answer = chat(&daemon, CLAUDE, true).await.expect_status(200);
    let text: String = (answer.json_events().iter())
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(text, "Hello ☃");
    for record in upstream.requests() {
        let body = record.request.json();
        assert_eq!(body["anthropic_version"], "bedrock-2023-05-31");
        assert!(body["max_tokens"].is_u64() && body.get("model").is_none() && body.get("stream").is_none(), "{body}");
    }
}

#[tokio::test]
async fn models_of_other_makers_at_bedrock_go_by_converse() {
    let upstream = MockUpstream::start([crate::cloud_aws::converse()]).await;
    let sandbox = bedrock(&upstream);
    let daemon = sandbox.start(&[]).await;
    chat(&daemon, "bedrock/amazon.nova-lite-v1:0", false).await.expect_status(200);
    assert_eq!(upstream.only_request().request.target, "/model/amazon.nova-lite-v1%3A0/converse");
}

#[tokio::test]
async fn an_exception_behind_content_ends_the_stream_in_the_callers_dialect() {
    // More than one read of the gateway takes: what follows cannot arrive together with the first words.
    let delta = json!({ "type": "text_delta", "text": "word ".repeat(2000) });
    let delta = json!({ "type": "content_block_delta", "index": 0, "delta": delta }).to_string();
    let mut all = events()[..4].to_vec();
    all.extend(std::iter::repeat_n(delta, 300));
    let mut stream = chunks(&all);
    throttled(&mut stream);
    let upstream = MockUpstream::start([in_chunks(stream)]).await;
    let sandbox = bedrock(&upstream);
    let daemon = sandbox.start(&[]).await;
    let answer = messages(&daemon, "/v1/messages", CLAUDE, true, "").await.expect_status(200);
    let last = answer.json_events().pop().unwrap();
    assert_eq!((&last["type"], &last["error"]["type"]), (&json!("error"), &json!("rate_limit_error")));
    let answer = chat(&daemon, CLAUDE, true).await.expect_status(200);
    let last = answer.json_events().pop().unwrap();
    assert!(last["error"]["message"].as_str().unwrap().contains("Too many tokens"), "{last}");
}

#[tokio::test]
async fn an_exception_before_content_is_an_answer_of_its_own() {
    let mut stream = chunks(&events()[..1]);
    throttled(&mut stream);
    let upstream = MockUpstream::start([in_chunks(stream)]).await;
    let sandbox = bedrock(&upstream);
    let daemon = sandbox.start(&[]).await;
    let answer = messages(&daemon, "/v1/messages", CLAUDE, true, "").await.expect_status(429);
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
}

#[tokio::test]
async fn a_stream_of_chunks_that_is_cut_is_no_clean_end() {
    let upstream = MockUpstream::start([in_chunks(chunks(&events()[..4]))]).await;
    let sandbox = bedrock(&upstream);
    let daemon = sandbox.start(&[]).await;
    let answer = messages(&daemon, "/v1/messages", CLAUDE, true, "").await.expect_status(200);
    assert_eq!(answer.json_events().pop().unwrap()["type"], "error", "{answer:?}");
}

#[tokio::test]
async fn bedrocks_errors_come_in_anthropics_shape() {
    let cases = [
        (400, "Input is too long for requested model.", 400, "invalid_request_error"),
        (429, "Too many requests, please wait before trying again.", 429, "rate_limit_error"),
        (503, "Bedrock is unable to process your request.", 503, "overloaded_error"),
    ];
    for (status, text, expected, kind) in cases {
        let body = json!({ "message": text }).to_string().into_bytes();
        let upstream = MockUpstream::start([respond(status, "application/json", body)]).await;
        let sandbox = bedrock(&upstream);
        let daemon = sandbox.start(&[]).await;
        let answer = messages(&daemon, "/v1/messages", CLAUDE, false, "").await.expect_status(expected);
        let said = answer.json();
        assert_eq!((&said["type"], &said["error"]["type"]), (&json!("error"), &json!(kind)), "{said}");
        assert!(said["error"]["message"].as_str().unwrap().contains(text), "{said}");
    }
}

// === Vertex ===

#[tokio::test]
async fn claude_at_vertex_gets_the_callers_own_document_and_its_answer_passes() {
    let upstream = MockUpstream::start([respond(200, "application/json", message().to_string().into_bytes())]).await;
    let (sandbox, _metadata) = vertex(&upstream).await;
    let daemon = sandbox.start(&[]).await;
    let betas = "context-1m-2025-08-07,files-api-2025-04-14";
    let answer = messages(&daemon, "/v1/messages?beta=true", AT_VERTEX, false, betas).await.expect_status(200);
    assert_eq!(answer.text(), message().to_string(), "byte for byte");
    let request = upstream.only_request().request;
    let models = "/v1/projects/p/locations/us-east5/publishers/anthropic/models";
    assert_eq!(request.target, format!("{models}/claude-sonnet-4-5@20250929:rawPredict"));
    let expected = json!({
        "max_tokens": 300, "messages": [{ "role": "user", "content": "hi" }], "novelty": 1,
        "anthropic_version": "vertex-2023-10-16",
    });
    assert_eq!(request.json(), expected);
    assert_eq!((request.header("anthropic-beta"), request.header("anthropic-version")), (Some(betas), None));
    assert_eq!(request.header("authorization"), Some("Bearer token-1"));
}

#[tokio::test]
async fn claudes_stream_at_vertex_passes_byte_for_byte() {
    let sse: String = events()
        .iter()
        .map(|event| {
            format!(
                "event: {}\ndata: {event}\n\n",
                serde_json::from_str::<Value>(event).unwrap()["type"].as_str().unwrap()
            )
        })
        .collect();
    let upstream = MockUpstream::start([respond(200, "text/event-stream", sse.clone().into_bytes())]).await;
    let (sandbox, _metadata) = vertex(&upstream).await;
    let daemon = sandbox.start(&[]).await;
    let answer = messages(&daemon, "/v1/messages", AT_VERTEX, true, "").await.expect_status(200);
    assert_eq!(answer.text(), sse);
    assert!(upstream.only_request().request.target.ends_with(":streamRawPredict"));
    let answer = chat(&daemon, AT_VERTEX, true).await.expect_status(200);
    assert!(answer.text().contains("lo ☃") && answer.text().ends_with("data: [DONE]\n\n"), "{answer:?}");
}

#[tokio::test]
async fn tokens_at_vertex_are_counted_by_a_model_of_its_own() {
    let upstream = MockUpstream::start([respond(200, "application/json", br#"{"input_tokens":12}"#.to_vec())]).await;
    let (sandbox, _metadata) = vertex(&upstream).await;
    let daemon = sandbox.start(&[]).await;
    let body = json!({ "model": AT_VERTEX, "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    let headers = [("anthropic-version", "2023-06-01")];
    let path = "/v1/messages/count_tokens";
    let answer = http_client::request(daemon.address, "POST", path, &headers, body.as_bytes()).await.expect_status(200);
    assert_eq!(answer.json()["input_tokens"], 12);
    let request = upstream.only_request().request;
    assert!(request.target.ends_with("/publishers/anthropic/models/count-tokens:rawPredict"), "{request:?}");
    let expected = json!({
        "model": "claude-sonnet-4-5@20250929", "messages": [{ "role": "user", "content": "hi" }],
        "anthropic_version": "vertex-2023-10-16",
    });
    assert_eq!(request.json(), expected);
}

#[tokio::test]
async fn vertexs_errors_come_in_anthropics_shape() {
    let body = json!({ "error": { "code": 429, "message": "Quota exceeded for online_prediction", "status": "RESOURCE_EXHAUSTED" } });
    let upstream = MockUpstream::start([respond(429, "application/json", body.to_string().into_bytes())]).await;
    let (sandbox, _metadata) = vertex(&upstream).await;
    let daemon = sandbox.start(&[]).await;
    let answer = messages(&daemon, "/v1/messages", AT_VERTEX, false, "").await.expect_status(429);
    let said = answer.json();
    assert_eq!((&said["type"], &said["error"]["type"]), (&json!("error"), &json!("rate_limit_error")), "{said}");
    assert!(said["error"]["message"].as_str().unwrap().contains("Quota exceeded"), "{said}");
}

#[tokio::test]
async fn each_makers_models_at_vertex_go_their_own_way() {
    let upstream = MockUpstream::good().await;
    let (sandbox, _metadata) = vertex(&upstream).await;
    let daemon = sandbox.start(&[]).await;
    chat(&daemon, "vertex/gemini-2.5-flash", false).await.expect_status(200);
    chat(&daemon, "vertex/meta/llama-3.3-70b-instruct-maas", false).await.expect_status(200);
    let targets: Vec<String> = upstream.requests().into_iter().map(|record| record.request.target).collect();
    let place = "/v1/projects/p/locations/us-east5";
    assert_eq!(targets[0], format!("{place}/publishers/google/models/gemini-2.5-flash:generateContent"));
    assert_eq!(targets[1], format!("{place}/endpoints/openapi/chat/completions"));
    assert_eq!(upstream.requests()[1].request.json()["model"], "meta/llama-3.3-70b-instruct-maas");
}

#[tokio::test]
async fn vectors_at_vertex_are_predictions() {
    let prediction = |value: f64| json!({ "embeddings": { "values": [value], "statistics": { "token_count": 2 } } });
    let one = json!({ "predictions": [prediction(0.5)] });
    let two = json!({ "predictions": [prediction(0.5), prediction(-1.0)] });
    let said = |body: &Value| respond(200, "application/json", body.to_string().into_bytes());
    let upstream = MockUpstream::start([said(&two), said(&one), said(&one), said(&one)]).await;
    let (sandbox, _metadata) = vertex(&upstream).await;
    let daemon = sandbox.start(&[]).await;
    let body = json!({ "model": "vertex/text-embedding-005", "input": ["a", "b"], "dimensions": 256 });
    let got = http_client::post(daemon.address, "/v1/embeddings", &body).await.expect_status(200).json();
    assert_eq!((&got["data"][1]["embedding"], &got["usage"]["prompt_tokens"]), (&json!([-1.0]), &json!(4)));
    // The models named after Gemini take one text a call.
    let body = json!({ "model": "vertex/gemini-embedding-001", "input": ["a", "b"] });
    let got = http_client::post(daemon.address, "/v1/embeddings", &body).await.expect_status(200).json();
    assert_eq!((got["data"].as_array().unwrap().len(), &got["usage"]["prompt_tokens"]), (2, &json!(4)));
    // Google's own callers ask in the form of AI Studio.
    let body = json!({ "content": { "parts": [{ "text": "a" }] }, "taskType": "RETRIEVAL_QUERY" });
    let target = "/v1beta/models/vertex/text-embedding-005:embedContent";
    let got = http_client::post(daemon.address, target, &body).await.expect_status(200).json();
    assert_eq!(got["embedding"]["values"], json!([0.5]));
    let seen = upstream.requests();
    let model = "/v1/projects/p/locations/us-east5/publishers/google/models/text-embedding-005:predict";
    assert_eq!(seen[0].request.path(), model);
    let instances = json!([{ "content": "a" }, { "content": "b" }]);
    let expected = json!({ "instances": instances, "parameters": { "outputDimensionality": 256 } });
    assert_eq!(seen[0].request.json(), expected);
    let last = json!({ "instances": [{ "content": "a", "task_type": "RETRIEVAL_QUERY" }] });
    assert_eq!((seen[3].request.path(), seen[3].request.json()), (model, last));
}
