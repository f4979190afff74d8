//! Operations that are relayed in OpenAI's shapes: rerank, images, speech, transcription and the like.

use serde_json::{Value, json};

use crate::gateway::{Gateway, provider_key, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::{Act, MockUpstream};

fn answers(kind: &str, body: impl Into<Vec<u8>>) -> Act {
    Act::Respond { status: 200, headers: vec![("content-type", kind.to_owned())], body: body.into() }
}

fn form(model: &str, sound: &str) -> String {
    let field = |name: &str, more: &str, value: &str| {
        format!("--xYz\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{value}\r\n")
    };
    let file = field("file", "; filename=\"a.wav\"\r\nContent-Type: audio/wav", sound);
    format!("{file}{}{}--xYz--\r\n", field("model", "", model), field("language", "", "en"))
}

async fn post_form(gateway: &Gateway, target: &str, body: &str) -> Response {
    let kind = "multipart/form-data; boundary=xYz";
    http_client::request(gateway.address, "POST", target, &[("content-type", kind)], body.as_bytes()).await
}

async fn gateway(mock: &MockUpstream) -> Gateway {
    Gateway::start(&format!("{}retries: {{ attempts: 1 }}\n", providers(&[("up", "openai-chat", mock)]))).await
}

#[tokio::test]
async fn every_relayed_path_reaches_the_upstream_with_its_own_name_of_the_model() {
    let mock = MockUpstream::start([answers("application/json", r#"{"ok":[1.50, 2]}"#)]).await;
    let gateway = gateway(&mock).await;
    let paths = ["/rerank", "/completions", "/moderations", "/images/generations", "/audio/speech"];
    for path in paths {
        let body = json!({ "model": "up/some-model", "z": 1, "input": "x" });
        let got = http_client::post(gateway.address, &format!("/v1{path}"), &body).await.expect_status(200);
        assert_eq!(got.text(), r#"{"ok":[1.50, 2]}"#, "{path}: byte for byte");
        assert_eq!(got.header("x-routeplane-target"), Some("up/some-model"));
    }
    for (seen, path) in mock.requests().iter().zip(paths) {
        assert_eq!(seen.request.path(), format!("/v1{path}"));
        assert_eq!(seen.request.json(), json!({ "model": "some-model", "z": 1, "input": "x" }));
        assert_eq!(seen.request.header("authorization"), Some(&*format!("Bearer {}", provider_key("up"))));
    }
}

#[tokio::test]
async fn a_form_passes_byte_for_byte_but_for_the_name_of_the_model() {
    let mock = MockUpstream::start([answers("application/json", r#"{"text":"hello"}"#)]).await;
    let gateway = gateway(&mock).await;
    for path in ["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits", "/v1/images/variations"] {
        let got = post_form(&gateway, path, &form("up/whisper", "RIFF\r\n--xY\0")).await.expect_status(200);
        assert_eq!(got.text(), r#"{"text":"hello"}"#);
        let seen = mock.requests().pop().unwrap().request;
        assert_eq!((seen.path(), seen.text()), (path, form("whisper", "RIFF\r\n--xY\0")));
        assert_eq!(seen.header("content-type"), Some("multipart/form-data; boundary=xYz"));
    }
}

#[tokio::test]
async fn a_form_without_a_model_or_with_two_is_refused_before_it_goes_anywhere() {
    let mock = MockUpstream::good().await;
    let gateway = gateway(&mock).await;
    let two = form("up/a", "x").replace("name=\"language\"", "name=\"model\"");
    for (body, says) in [
        (two, "the form has `model` twice"),
        (form("up/a", "x").replace("\"model\"", "\"other\""), "the form has no field `model`"),
        (form("up/a", "x").replace("--xYz--", ""), "its last boundary is missing"),
    ] {
        let got = post_form(&gateway, "/v1/audio/transcriptions", &body).await.expect_status(400);
        assert!(got.text().contains(says), "{}", got.text());
    }
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn sound_passes_as_it_comes() {
    let sound: Vec<u8> = (0..200_000u32).map(|at| (at % 251) as u8).collect();
    let mock = MockUpstream::start([answers("audio/mpeg", sound.clone())]).await;
    let gateway = gateway(&mock).await;
    let body = json!({ "model": "up/tts-1", "input": "hello", "voice": "alloy" });
    let got = http_client::post(gateway.address, "/v1/audio/speech", &body).await.expect_status(200);
    assert_eq!(got.header("content-type"), Some("audio/mpeg"));
    assert!(got.complete && got.body == sound);
}

#[tokio::test]
async fn sound_that_breaks_off_is_not_dressed_up_as_whole() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 5000000\r\n\r\n";
    let cut = |length: usize| Act::Raw([head.as_bytes(), &vec![7; length]].concat());
    let mock = MockUpstream::start([cut(0), cut(4_000_000)]).await;
    let gateway = gateway(&mock).await;
    let body = json!({ "model": "up/tts-1", "input": "hello", "voice": "alloy" });
    let got = http_client::post(gateway.address, "/v1/audio/speech", &body).await.expect_status(502);
    assert!(got.text().contains("upstream_truncated"), "nothing had left: {}", got.text());
    let got = http_client::post(gateway.address, "/v1/audio/speech", &body).await.expect_status(200);
    assert!(!got.complete && got.body.iter().all(|byte| *byte == 7), "nothing is written into sound");
}

#[tokio::test]
async fn a_vendors_own_events_pass_as_they_come() {
    let events = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\"}\n\n\
                  event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"usage\":{\"input_tokens\":9}}\n\n";
    let mock = MockUpstream::start([answers("text/event-stream", events)]).await;
    let gateway = gateway(&mock).await;
    let body = json!({ "model": "up/gpt-image-1", "prompt": "a cat", "stream": true });
    let got = http_client::post(gateway.address, "/v1/images/generations", &body).await.expect_status(200);
    assert_eq!((got.text().as_str(), got.complete), (events, true));
    let metrics = http_client::get(gateway.address, "/metrics").await.text();
    assert!(metrics.lines().any(|line| line.contains("up") && line.ends_with(" 9")), "{metrics}");
}

#[tokio::test]
async fn an_error_in_place_of_an_answer_falls_back() {
    let bad =
        MockUpstream::start([answers("text/event-stream", "event: error\ndata: {\"error\":{\"message\":\"no\"}}\n\n")])
            .await;
    let good = MockUpstream::start([answers("audio/mpeg", "sound")]).await;
    let yaml = providers(&[("bad", "openai-chat", &bad), ("good", "openai-chat", &good)]);
    let gateway =
        Gateway::start(&format!("{yaml}presets: {{ voice: bad/tts > good/tts }}\nretries: {{ attempts: 1 }}\n")).await;
    let body = json!({ "model": "voice", "input": "hello" });
    let got = http_client::post(gateway.address, "/v1/audio/speech", &body).await.expect_status(200);
    assert_eq!(got.text(), "sound");
    assert_eq!(got.header("x-routeplane-target"), Some("good/tts"));
}

#[tokio::test]
async fn a_provider_that_has_no_such_thing_is_not_asked() {
    let mock = MockUpstream::good().await;
    let yaml = providers(&[("up", "openai-chat", &mock)]).replace("protocol:", "operations: [images], protocol:");
    let gateway = Gateway::start(&yaml).await;
    let body = json!({ "model": "up/tts", "input": "hello" });
    let got = http_client::post(gateway.address, "/v1/audio/speech", &body).await.expect_status(400);
    assert!(got.text().contains("list it in `operations`"), "{}", got.text());
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn a_completion_streams_and_is_counted() {
    let events = "data: {\"choices\":[{\"text\":\"Hi\",\"index\":0,\"finish_reason\":null}]}\n\n\
                  data: {\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":7}}\n\n\
                  data: [DONE]\n\n";
    let mock = MockUpstream::start([answers("text/event-stream", events)]).await;
    let gateway = gateway(&mock).await;
    let body = json!({ "model": "up/davinci", "prompt": "hello", "stream": true });
    let got = http_client::post(gateway.address, "/v1/completions", &body).await.expect_status(200);
    assert_eq!((got.text().as_str(), got.complete), (events, true));
}

#[tokio::test]
async fn texts_that_exceed_a_batch_become_several_calls_and_one_answer() {
    let mock = MockUpstream::start([
        answers("application/json", r#"{"embedding":[0.5],"inputTextTokenCount":3}"#),
        answers("application/json", r#"{"embedding":[1.5],"inputTextTokenCount":4}"#),
    ])
    .await;
    let gateway = Gateway::start(&providers(&[("up", "bedrock-converse", &mock)])).await;
    let body = json!({ "model": "up/amazon.titan-embed-text-v2:0", "input": ["a", "b", "c"] });
    let got = http_client::post(gateway.address, "/v1/embeddings", &body).await.expect_status(200).json();
    assert_eq!(got["data"].as_array().unwrap().len(), 3);
    assert_eq!(got["usage"]["prompt_tokens"], 11, "one of three and two of four");
    let mut sent: Vec<String> =
        mock.requests().iter().map(|seen| seen.request.json()["inputText"].to_string()).collect();
    sent.sort();
    assert_eq!(sent, ["\"a\"", "\"b\"", "\"c\""]);
    assert!(mock.requests().iter().all(|seen| seen.request.path() == "/model/amazon.titan-embed-text-v2%3A0/invoke"));
}

#[tokio::test]
async fn one_batch_that_fails_fails_them_all() {
    let mock = MockUpstream::start([
        answers("application/json", r#"{"embedding":[0.5],"inputTextTokenCount":3}"#),
        Act::Respond { status: 400, headers: Vec::new(), body: br#"{"message":"too long"}"#.to_vec() },
    ])
    .await;
    let gateway = Gateway::start(&providers(&[("up", "bedrock-converse", &mock)])).await;
    let body = json!({ "model": "up/amazon.titan-embed-text-v2:0", "input": ["a", "b", "c"] });
    let got = http_client::post(gateway.address, "/v1/embeddings", &body).await.expect_status(400);
    assert!(got.text().contains("too long"), "{}", got.text());
}

#[tokio::test]
async fn coheres_models_of_bedrock_rerank() {
    let said = r#"{"results":[{"index":1,"relevance_score":0.9}]}"#;
    let refusal = Act::Respond { status: 400, headers: Vec::new(), body: br#"{"message":"too long"}"#.to_vec() };
    let mock = MockUpstream::start([answers("application/json", said), refusal]).await;
    let entry = providers(&[("up", "bedrock-converse", &mock)]).replace(", key:", ", operations: [rerank], key:");
    let gateway = Gateway::start(&format!("{entry}retries: {{ attempts: 1 }}\n")).await;
    let mut body = json!({
        "model": "up/cohere.rerank-v3-5:0", "query": "q", "documents": ["a", "b"], "top_n": 1, "return_documents": true,
    });
    let got = http_client::post(gateway.address, "/v1/rerank", &body).await.expect_status(200);
    assert_eq!((got.text().as_str(), got.header("x-routeplane-losses")), (said, Some("return_documents=dropped")));
    let seen = mock.only_request().request;
    assert_eq!(seen.path(), "/model/cohere.rerank-v3-5%3A0/invoke");
    assert_eq!(seen.json(), json!({ "query": "q", "documents": ["a", "b"], "top_n": 1, "api_version": 2 }));
    let got = http_client::post(gateway.address, "/v2/rerank", &body).await.expect_status(400);
    assert_eq!(got.json()["error"]["message"], "too long", "in the caller's dialect");
    body["model"] = json!("up/amazon.rerank-v1:0");
    let got = http_client::post(gateway.address, "/v1/rerank", &body).await.expect_status(400);
    assert_eq!(got.json()["error"]["code"], "unsupported_model");
    assert_eq!(mock.requests().len(), 2);
}

#[tokio::test]
async fn vectors_and_rerank_in_other_words() {
    let mock = MockUpstream::start([
        answers(
            "application/json",
            r#"{"object":"list","data":[{"index":0,"embedding":[0.5]}],"model":"v","usage":{"total_tokens":4}}"#,
        ),
        answers(
            "application/json",
            r#"{"object":"list","data":[{"index":1,"relevance_score":0.9}],"usage":{"total_tokens":6}}"#,
        ),
    ])
    .await;
    let quirks = "quirks: { embed_output_dimension: true, rerank_top_k: true }, protocol:";
    let gateway = Gateway::start(&providers(&[("up", "openai-chat", &mock)]).replace("protocol:", quirks)).await;
    let embed =
        json!({ "model": "up/v", "input": "a", "dimensions": 256, "encoding_format": "base64", "input_type": "query" });
    let got = http_client::post(gateway.address, "/v1/embeddings", &embed).await.expect_status(200).json();
    assert_eq!(got["data"][0]["embedding"], "AAAAPw==", "the caller asked for base64");
    assert_eq!(got["usage"], json!({ "prompt_tokens": 4, "total_tokens": 4 }));
    let rerank = json!({ "model": "up/v", "query": "q", "documents": ["a", "b"], "top_n": 1 });
    let got = http_client::post(gateway.address, "/v2/rerank", &rerank).await.expect_status(200).json();
    assert_eq!(got["results"], json!([{ "index": 1, "relevance_score": 0.9 }]));
    let sent: Vec<Value> = mock.requests().iter().map(|seen| seen.request.json()).collect();
    assert_eq!(sent[0], json!({ "model": "v", "input": ["a"], "output_dimension": 256, "input_type": "query" }));
    assert_eq!(sent[1], json!({ "model": "v", "query": "q", "documents": ["a", "b"], "top_k": 1 }));
}
