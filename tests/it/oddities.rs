//! Odd traffic that real clients and upstreams send, through the program: what one side says, the other gets.

use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::{Gateway, providers};
use crate::http_client::{Response, request};
use crate::mock_upstream::dialect::{Reply, Stream};
use crate::mock_upstream::{Act, MockUpstream};

/// A stream of server-sent events with these data.
fn sse(events: &[&str]) -> Reply {
    let events = events.iter().map(|data| format!("data: {data}\n\n").into_bytes()).collect();
    let error = Box::new(|_: &str| Vec::new());
    Reply::Stream(Stream { content_type: "text/event-stream", events, pause: Duration::ZERO, error })
}

fn chat_chunk(delta: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
    )
}

/// An upstream of Chat Completions that streams an answer of these deltas.
async fn streaming(deltas: &'static [&'static str]) -> MockUpstream {
    let chunks = deltas.iter().map(|delta| chat_chunk(delta, "null"));
    let chunks: Vec<String> = chunks.chain([chat_chunk("{}", "\"stop\""), "[DONE]".to_owned()]).collect();
    let script = move |_: &_| sse(&chunks.iter().map(String::as_str).collect::<Vec<_>>());
    MockUpstream::start([Act::script(script)]).await
}

/// Asks `model` something in Anthropic's words.
async fn ask(gateway: &Gateway, model: &str, stream: bool) -> Response {
    let body =
        json!({ "model": model, "max_tokens": 9, "stream": stream, "messages": [{ "role": "user", "content": "x" }] });
    request(gateway.address, "POST", "/v1/messages", &[], body.to_string().as_bytes()).await.expect_status(200)
}

/// A client that shortens its texts by UTF-16 units sends half of a character. No target of another protocol gets less than the rest.
#[tokio::test]
async fn half_a_character_costs_no_more_than_itself() {
    for protocol in ["openai-chat", "openai-responses", "anthropic-messages", "gemini", "bedrock-converse"] {
        let mock = MockUpstream::good().await;
        let gateway = Gateway::start(&providers(&[("up", protocol, &mock)])).await;
        for (own, path, body) in [
            (
                "openai-chat",
                "/v1/chat/completions",
                r#"{"model":"up/m","messages":[{"role":"user","content":"half \ud83d end"}]}"#,
            ),
            ("openai-responses", "/v1/responses", r#"{"model":"up/m","input":"half \ud83d end"}"#),
            (
                "anthropic-messages",
                "/v1/messages",
                r#"{"model":"up/m","max_tokens":9,"messages":[{"role":"user","content":"half \ude00 end"}]}"#,
            ),
            (
                "gemini",
                "/v1beta/models/up/m:generateContent",
                r#"{"contents":[{"parts":[{"text":"half \ud83d end"}]}]}"#,
            ),
        ] {
            if own == protocol {
                // Passes as it is, and the mock upstream is as strict as any.
                continue;
            }
            request(gateway.address, "POST", path, &[], body.as_bytes()).await.expect_status(200);
            let got = mock.requests().last().unwrap().request.text();
            assert!(got.contains("half ") && got.contains(" end"), "{path} to {protocol}: {got}");
        }
    }
}

/// An upstream that cuts its text by UTF-16 units sends the halves of a character in two chunks.
#[tokio::test]
async fn a_character_that_a_stream_cuts_in_two_arrives() {
    let mock = streaming(&[r#"{"role":"assistant","content":"a\ud83d"}"#, r#"{"content":"\ude00!"}"#]).await;
    let gateway = Gateway::start(&providers(&[("up", "openai-chat", &mock)])).await;
    let events = ask(&gateway, "up/m", true).await.json_events();
    let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(text, "a😀!");
}

/// Answers that are numbered come in any order; a caller whose protocol has one answer gets the first.
#[tokio::test]
async fn the_first_of_several_answers_is_the_one_with_number_0() {
    let choice = |index: u64, text: &str| json!({ "index": index, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" });
    let whole = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice(1, "two"), choice(0, "one")] });
    let mock = MockUpstream::start([Act::script(move |_| Reply::ok(whole.clone()))]).await;
    let gateway = Gateway::start(&providers(&[("up", "openai-chat", &mock)])).await;
    let answer = ask(&gateway, "up/m", false).await.json();
    assert_eq!(answer["content"][0]["text"], "one");
}

/// `answer_model: asked`, for clients that only trust answers of the model that they asked for: relayed and translated, whole
/// and streamed. Nothing else in the answer changes.
#[tokio::test]
async fn answers_name_the_model_that_was_asked_for_where_the_file_says_so() {
    let protocols = ["openai-chat", "openai-responses", "anthropic-messages", "gemini", "bedrock-converse"];
    for protocol in protocols {
        let mock = MockUpstream::good().await;
        let presets = "presets:\n  own: { route: up/m, answer_model: asked }\n  theirs: up/m\n";
        let gateway = Gateway::start(&format!("{}{presets}", providers(&[("up", protocol, &mock)]))).await;
        let ask = async |path: &str, mut body: Value, model: &str, stream: bool| {
            body["model"] = json!(model);
            body["stream"] = json!(stream);
            let body = body.to_string();
            request(gateway.address, "POST", path, &[], body.as_bytes()).await.expect_status(200)
        };
        let messages = json!([{ "role": "user", "content": "hi" }]);
        for (path, body) in [
            ("/v1/chat/completions", json!({ "messages": messages })),
            ("/v1/responses", json!({ "input": "hi" })),
            ("/v1/messages", json!({ "messages": messages, "max_tokens": 9 })),
        ] {
            let names = async |model: &str, stream: bool| {
                let answer = ask(path, body.clone(), model, stream).await;
                let documents = if stream { answer.json_events() } else { vec![answer.json()] };
                let said =
                    |at: &Value| ["/model", "/message/model", "/response/model"].map(|path| at.pointer(path).cloned());
                let said = documents.iter().flat_map(said).flatten().map(|name| name.as_str().unwrap().to_owned());
                let said = said.collect::<std::collections::BTreeSet<String>>();
                assert_eq!(said.len(), 1, "{path} of {protocol}, streamed {stream}: {said:?}");
                said
            };
            for stream in [false, true] {
                assert_eq!(names("own", stream).await, ["own".to_owned()].into(), "{path} of {protocol}, {stream}");
                let theirs = names("theirs", stream).await;
                assert!(
                    !theirs.contains("theirs") && !theirs.contains(""),
                    "{path} of {protocol}, {stream}: {theirs:?}"
                );
            }
        }
        let gemini = |model: &str, verb: &str| format!("/v1beta/models/{model}:{verb}");
        let body = json!({ "contents": [{ "parts": [{ "text": "hi" }] }] }).to_string();
        let whole = request(gateway.address, "POST", &gemini("own", "generateContent"), &[], body.as_bytes()).await;
        assert_eq!(whole.expect_status(200).json()["modelVersion"], "own", "{protocol}");
        let path = gemini("own", "streamGenerateContent?alt=sse");
        let streamed = request(gateway.address, "POST", &path, &[], body.as_bytes()).await.expect_status(200);
        assert!(streamed.json_events().iter().all(|event| event["modelVersion"] == "own"), "{protocol}: {streamed:?}");
    }
}

/// Google's package for JavaScript writes lengths, which are of 64 bits, as texts. JSON Schema knows numbers.
#[tokio::test]
async fn counts_in_schemas_of_googles_callers_are_numbers_elsewhere() {
    let schema = json!({ "type": "OBJECT", "properties": { "a": { "type": "ARRAY", "minItems": "2", "items": { "type": "STRING", "maxLength": "9" } } } });
    let body = json!({ "contents": [{ "parts": [{ "text": "hi" }] }], "tools": [{ "functionDeclarations": [{ "name": "f", "parameters": schema }] }] });
    let mock = MockUpstream::good().await;
    let gateway = Gateway::start(&providers(&[("up", "openai-chat", &mock)])).await;
    let path = "/v1beta/models/up/m:generateContent";
    request(gateway.address, "POST", path, &[], body.to_string().as_bytes()).await.expect_status(200);
    let list = &mock.only_request().request.json()["tools"][0]["function"]["parameters"]["properties"]["a"];
    assert_eq!((&list["minItems"], &list["items"]["maxLength"]), (&json!(2), &json!(9)));
}

/// The head of a stream has left before anybody knows what its answer loses; the record says it.
#[tokio::test]
async fn what_a_streamed_answer_loses_is_in_the_record() {
    let mock = streaming(&[r#"{"role":"assistant","content":"see","annotations":[{"type":"url_citation"}]}"#]).await;
    let gateway = Gateway::start(&providers(&[("up", "openai-chat", &mock)])).await;
    let answer = ask(&gateway, "up/m", true).await;
    assert!(!answer.header("x-routeplane-losses").unwrap_or_default().contains("annotations"));
    let record = crate::records::records(&gateway, 1).await.remove(0);
    let losses = record["attempts"][0]["losses"].as_array().unwrap();
    assert!(losses.contains(&json!("content.citations.url_citation=dropped")), "{record:#}");
}

/// What a stream loses is known at its end only; `on_loss: warn` says it then.
#[tokio::test]
async fn what_a_streamed_answer_loses_is_warned_of() {
    let mock = streaming(&[r#"{"role":"assistant","content":"see","annotations":[{"type":"url_citation"}]}"#]).await;
    let presets = "presets:\n  told: { route: up/m, on_loss: warn }\n  untold: { route: up/m, on_loss: allow }\n";
    let gateway = Gateway::start(&format!("{}{presets}", providers(&[("up", "openai-chat", &mock)]))).await;
    for (model, lines) in [("untold", 0), ("told", 1)] {
        ask(&gateway, model, true).await;
        // The record is written behind the warning.
        crate::records::records(&gateway, lines + 1).await;
        let log = gateway.log();
        let warned: Vec<&str> = log.lines().filter(|line| line.contains("the translation lost something")).collect();
        assert_eq!(warned.len(), lines, "{log}");
        let tells = |line: &&str| line.contains("content.citations.url_citation") && line.contains("up/m");
        assert!(warned.iter().all(tells), "{log}");
    }
}

/// Mistral's thoughts come in any number of pieces; where their text arrives, nothing is lost.
#[tokio::test]
async fn thoughts_in_pieces_are_no_loss() {
    let text = |text: &str| json!({ "type": "text", "text": text });
    for (pieces, lost) in [
        (json!([]), false),
        (json!([text("one, ")]), false),
        (json!([text("one, "), text("two")]), false),
        (json!([text("one, "), { "type": "reference", "reference_ids": [1] }]), true),
    ] {
        let content = json!([{ "type": "thinking", "thinking": pieces, "closed": true }, text("Hello")]);
        let whole = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": content }, "finish_reason": "stop" }] });
        let mock = MockUpstream::start([Act::script(move |_| Reply::ok(whole.clone()))]).await;
        let gateway = Gateway::start(&providers(&[("up", "openai-chat", &mock)])).await;
        let answer = ask(&gateway, "up/m", false).await;
        let losses = answer.header("x-routeplane-losses").unwrap_or_default();
        assert_eq!(losses.contains("content.thinking=dropped"), lost, "{pieces}: {losses}");
        let got = answer.json().to_string();
        assert_eq!(got.contains("one, "), pieces[0].is_object(), "{got}");
        assert_eq!(got.contains("two"), pieces[1]["text"] == "two", "{got}");
    }
}

/// Some relays print what they count.
#[tokio::test]
async fn counts_that_are_written_as_texts_are_counted() {
    let answers = [
        (
            "openai-chat",
            json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "a" }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": "12", "completion_tokens": "3", "total_tokens": "15" } }),
        ),
        (
            "gemini",
            json!({ "candidates": [{ "content": { "role": "model", "parts": [{ "text": "a" }] }, "finishReason": "STOP" }],
            "usageMetadata": { "promptTokenCount": "12", "candidatesTokenCount": "3", "totalTokenCount": "15" } }),
        ),
        (
            "bedrock-converse",
            json!({ "output": { "message": { "role": "assistant", "content": [{ "text": "a" }] } }, "stopReason": "end_turn",
            "usage": { "inputTokens": "12", "outputTokens": "3", "totalTokens": "15" } }),
        ),
    ];
    for (protocol, whole) in answers {
        let mock = MockUpstream::start([Act::script(move |_| Reply::ok(whole.clone()))]).await;
        let gateway = Gateway::start(&providers(&[("up", protocol, &mock)])).await;
        let usage = ask(&gateway, "up/m", false).await.json()["usage"].clone();
        assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(12), &json!(3)), "{protocol}: {usage}");
    }
    let vectors =
        json!({ "predictions": [{ "embeddings": { "values": [0.5], "statistics": { "token_count": "7" } } }] });
    let count = json!({ "totalTokens": "12" });
    let mock = MockUpstream::start([vectors, count].map(|body| Act::script(move |_| Reply::ok(body.clone())))).await;
    let gateway = Gateway::start(&providers(&[("up", "gemini", &mock)])).await;
    let post = async |path: &str, body: Value| {
        let answer = request(gateway.address, "POST", path, &[], body.to_string().as_bytes()).await;
        answer.expect_status(200).json()
    };
    let embedded = post("/v1/embeddings", json!({ "model": "up/m", "input": "a" })).await;
    assert_eq!(embedded["usage"]["prompt_tokens"], 7, "{embedded}");
    let messages = json!([{ "role": "user", "content": "x" }]);
    let counted = post("/v1/messages/count_tokens", json!({ "model": "up/m", "messages": messages })).await;
    assert_eq!(counted["input_tokens"], 12, "{counted}");
}

/// Both of OpenAI's protocols have freeform tools: a caller of Chat Completions has them of an upstream of Responses.
#[tokio::test]
async fn freeform_tools_reach_openai_s_other_protocol_and_their_calls_come_back() {
    let call =
        json!({ "type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "sql", "input": "SELECT 2" });
    let whole = json!({ "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed",
        "output": [call.clone()], "usage": { "input_tokens": 1, "output_tokens": 1, "total_tokens": 2 } });
    let streamed = [
        json!({ "type": "response.created", "response": { "id": "resp_1", "model": "m", "created_at": 1, "output": [] } }),
        json!({ "type": "response.output_item.added", "output_index": 0,
            "item": { "type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "sql", "input": "" } }),
        json!({ "type": "response.custom_tool_call_input.delta", "output_index": 0, "item_id": "ctc_1", "delta": "SELECT 2" }),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": call }),
        json!({ "type": "response.completed", "response": whole.clone() }),
    ]
    .map(|event| event.to_string());
    let mock = MockUpstream::start([
        Act::script(move |_| Reply::ok(whole.clone())),
        Act::script(move |_| sse(&streamed.each_ref().map(String::as_str))),
    ])
    .await;
    let gateway = Gateway::start(&providers(&[("up", "openai-responses", &mock)])).await;
    let grammar = json!({ "syntax": "lark", "definition": "start: /a+/" });
    let mut body = json!({ "model": "up/m", "messages": [
            { "role": "user", "content": "x" },
            { "role": "assistant", "content": null,
                "tool_calls": [{ "id": "call_1", "type": "custom", "custom": { "name": "sql", "input": "SELECT 1" } }] },
            { "role": "tool", "tool_call_id": "call_1", "content": "1" },
        ],
        "tools": [
            { "type": "custom", "custom": { "name": "sql", "description": "d", "format": { "type": "grammar", "grammar": grammar } } },
            { "type": "custom", "custom": { "name": "note", "format": { "type": "text" } } },
        ],
        "tool_choice": { "type": "custom", "custom": { "name": "sql" } } });
    let post = async |body: &Value| {
        let answer = request(gateway.address, "POST", "/v1/chat/completions", &[], body.to_string().as_bytes()).await;
        answer.expect_status(200)
    };
    let answer = post(&body).await;
    let losses = answer.header("x-routeplane-losses").unwrap_or_default();
    assert!(!losses.contains("tool"), "{losses}");
    let sent = mock.requests().last().unwrap().request.json();
    let tools = json!([
        { "type": "custom", "name": "sql", "description": "d",
            "format": { "type": "grammar", "syntax": "lark", "definition": "start: /a+/" } },
        { "type": "custom", "name": "note", "format": { "type": "text" } },
    ]);
    assert_eq!(sent["tools"], tools);
    assert_eq!(sent["tool_choice"], json!({ "type": "custom", "name": "sql" }));
    let items = [
        json!({ "type": "custom_tool_call", "call_id": "call_1", "name": "sql", "input": "SELECT 1" }),
        json!({ "type": "custom_tool_call_output", "call_id": "call_1", "output": "1" }),
    ];
    assert_eq!(sent["input"].as_array().unwrap()[1..], items);
    let custom = json!({ "name": "sql", "input": "SELECT 2" });
    let told = answer.json()["choices"][0]["message"]["tool_calls"].clone();
    assert_eq!(told, json!([{ "id": "call_2", "type": "custom", "custom": custom }]));

    body["stream"] = json!(true);
    let events = post(&body).await.json_events();
    let calls: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["delta"]["tool_calls"][0]).collect();
    let begun = calls.iter().find(|call| call["type"] == "custom").unwrap();
    assert_eq!((&begun["id"], &begun["custom"]["name"]), (&json!("call_2"), &json!("sql")));
    let input: String = calls.iter().filter_map(|call| call["custom"]["input"].as_str()).collect();
    assert_eq!(input, "SELECT 2");
    assert!(calls.iter().all(|call| call["function"].is_null()), "{events:?}");
}
