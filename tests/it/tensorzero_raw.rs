//! What answers of TensorZero's surface tell of the upstream's own words, where TensorZero's client does not show it, or its
//! gateway needs a database for it. The rest is compared with the original (`tests/parity/raw`).

use serde_json::{Value, json};

use crate::gateway::{Gateway, provider_key, providers};
use crate::http_client;
use crate::mock_upstream::{Act, MockUpstream};

const SECTION: &str = r#"
presets:
  small: up/m1
  draft.v1: up/m2
  draft: "@draft.v1"
  extract.v1: up/m1
  extract: "@extract.v1"
tensorzero:
  functions:
    draft: { type: chat, variants: { v1: "@draft.v1" } }
    extract: { type: json, variants: { v1: "@extract.v1" }, output_schema: { type: object } }
  models: { small: "@small" }
  embedding_models: { e: up/e1 }
retries: { attempts: 1 }
"#;

async fn gateway(mock: &MockUpstream) -> Gateway {
    Gateway::start(&format!("{}{SECTION}", providers(&[("up", "openai-chat", mock)]))).await
}

fn body(more: Value) -> Value {
    let mut body = json!({ "input": { "messages": [{ "role": "user", "content": "hi" }] } });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn chunks(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn a_stream_may_end_with_the_whole_answer() {
    let mock = MockUpstream::good().await;
    let gateway = gateway(&mock).await;
    let asked = json!({ "stream": true, "include_aggregated_response": true });
    let send = async |more: Value| {
        let mut body = body(asked.clone());
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        chunks(&http_client::post(gateway.address, "/inference", &body).await.expect_status(200).text())
    };
    let told = send(json!({ "model_name": "small" })).await;
    let said: String = told.iter().filter_map(|chunk| chunk["content"][0]["text"].as_str()).collect();
    let (last, others) = told.split_last().unwrap();
    assert_eq!(last["aggregated_response"], json!([{ "type": "text", "text": said }]));
    assert!(!said.is_empty() && others.iter().all(|chunk| chunk.get("aggregated_response").is_none()));

    let told = send(json!({ "function_name": "extract" })).await;
    let said: String = told.iter().filter_map(|chunk| chunk["raw"].as_str()).collect();
    assert_eq!(told.last().unwrap()["aggregated_response"], json!({ "raw": said, "parsed": null }));

    let call = json!({ "messages": [{ "role": "user", "content": "case:tools" }] });
    let tool = |name: &str| json!({ "name": name, "description": "", "parameters": { "type": "object" } });
    let tools = [tool("get_weather"), tool("get_time")];
    let told = send(json!({ "model_name": "small", "input": call, "additional_tools": tools })).await;
    let blocks = told.last().unwrap()["aggregated_response"].as_array().unwrap();
    let calls: Vec<&Value> = blocks.iter().filter(|block| block["type"] == "tool_call").collect();
    assert!(!calls.is_empty(), "{blocks:?}");
    for call in calls {
        assert!(serde_json::from_str::<Value>(call["raw_arguments"].as_str().unwrap()).unwrap().is_object(), "{call}");
    }

    let whole = body(json!({ "model_name": "small", "include_aggregated_response": true }));
    let refused = http_client::post(gateway.address, "/inference", &whole).await.expect_status(400).json();
    assert!(refused["error"].as_str().unwrap().contains("`stream: true`"), "{refused}");
}

#[tokio::test]
async fn errors_tell_what_the_tries_before_them_were_answered_and_no_key() {
    let mock = MockUpstream::start([Act::EchoHeaders(500)]).await;
    let gateway = gateway(&mock).await;
    let asked = body(json!({ "function_name": "draft", "include_raw_response": true }));
    let native = http_client::post(gateway.address, "/inference", &asked).await.expect_status(502);
    let messages = json!([{ "role": "user", "content": "hi" }]);
    let asked = json!({ "model": "tensorzero::model_name::small", "messages": messages, "tensorzero::include_raw_response": true });
    let chat = http_client::post(gateway.address, "/openai/v1/chat/completions", &asked).await.expect_status(502);
    let asked = json!({ "model": "e", "input": "x", "tensorzero::include_raw_response": true });
    let vectors = http_client::post(gateway.address, "/openai/v1/embeddings", &asked).await.expect_status(500);
    for (error, member, api) in [
        (&native, "raw_response", "chat_completions"),
        (&chat, "tensorzero_raw_response", "chat_completions"),
        (&vectors, "tensorzero_raw_response", "embeddings"),
    ] {
        let body = error.json();
        let [tried] = body[member].as_array().unwrap().as_slice() else { panic!("{body}") };
        assert_eq!((&tried["provider_type"], &tried["api_type"]), (&json!("openai"), &json!(api)));
        assert!(tried["data"].as_str().unwrap().contains("user-agent"), "{tried}");
        assert!(!error.text().contains(&provider_key("up")), "{body}");
    }
    // Nobody asked.
    let asked = body(json!({ "function_name": "draft" }));
    let silent = http_client::post(gateway.address, "/inference", &asked).await.expect_status(502).json();
    assert_eq!(silent.as_object().unwrap().len(), 1, "{silent}");
}

#[tokio::test]
async fn of_an_answer_from_the_cache_there_is_nothing_raw() {
    let mock = MockUpstream::good().await;
    let gateway = gateway(&mock).await;
    for stream in [false, true] {
        let asked = body(json!({ "model_name": "small", "stream": stream, "cache_options": { "enabled": "on" },
            "include_raw_response": true, "include_raw_usage": true }));
        let send = async || http_client::post(gateway.address, "/inference", &asked).await.expect_status(200);
        let (first, again) = (send().await, send().await);
        assert_eq!(mock.requests().len(), 1 + usize::from(stream));
        if stream {
            let told = |text: &str, name: &str| chunks(text).iter().filter(|chunk| chunk.get(name).is_some()).count();
            assert!(told(&first.text(), "raw_chunk") > 2 && told(&first.text(), "raw_usage") == 1, "{}", first.text());
            assert_eq!(
                (told(&again.text(), "raw_chunk"), told(&again.text(), "raw_usage")),
                (0, 0),
                "{}",
                again.text()
            );
        } else {
            let (first, again) = (first.json(), again.json());
            assert!(first["raw_response"][0]["data"].is_string() && first["raw_usage"][0]["data"].is_object());
            assert_eq!((&again["raw_response"], &again["raw_usage"]), (&json!([]), &json!([])));
        }
    }
}
