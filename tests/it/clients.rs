//! Clients besides the vendors' own SDKs, which `sdk` has: the Vercel AI SDK, LangChain, and those of Mistral and Cohere.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::mock_upstream::dialect::{self, Reply};
use crate::mock_upstream::http::Request;
use crate::mock_upstream::{Act, MockUpstream};
use crate::sdk::{Sdk, check, command_for};

/// What only vendors' own SDKs do; and what the packages do not read in Chat Completions besides.
const NO_LISTS: &[&str] = &["models", "count_tokens", "kept"];
const NO_LISTS_NOR_REASONING: &[&str] = &["models", "count_tokens", "kept", "reasoning", "reasoning_stream"];

/// The Vercel AI SDK with one of its packages.
const fn vercel(caller: Caller, package: &'static [(&'static str, &'static str)]) -> Sdk {
    Sdk { script: "node/with_ai_sdk.mjs", caller, variables: package, lacks: NO_LISTS }
}

#[tokio::test]
async fn vercel_ai_sdk_as_openai_compatible() {
    check(&vercel(Caller::Chat, &[("AI_SDK_PROVIDER", "compatible")])).await;
}

#[tokio::test]
async fn vercel_ai_sdk_as_openai_by_chat_completions() {
    // Its package for OpenAI knows no reasoning in Chat Completions.
    let sdk = vercel(Caller::Chat, &[("AI_SDK_PROVIDER", "openaiChat")]);
    check(&Sdk { lacks: NO_LISTS_NOR_REASONING, ..sdk }).await;
}

#[tokio::test]
async fn vercel_ai_sdk_as_openai_by_responses() {
    check(&vercel(Caller::Responses, &[("AI_SDK_PROVIDER", "openaiResponses")])).await;
}

#[tokio::test]
async fn vercel_ai_sdk_as_anthropic() {
    check(&vercel(Caller::Messages, &[("AI_SDK_PROVIDER", "anthropic")])).await;
}

#[tokio::test]
async fn vercel_ai_sdk_as_google() {
    check(&vercel(Caller::Gemini, &[("AI_SDK_PROVIDER", "google")])).await;
}

/// LangChain with one of its classes.
const fn langchain(caller: Caller, class: &'static [(&'static str, &'static str)]) -> Sdk {
    Sdk { script: "further/with_langchain.py", caller, variables: class, lacks: NO_LISTS }
}

#[tokio::test]
async fn langchain_as_openai_by_chat_completions() {
    let sdk = langchain(Caller::Chat, &[("LANGCHAIN_MODEL", "chat")]);
    check(&Sdk { lacks: NO_LISTS_NOR_REASONING, ..sdk }).await;
}

#[tokio::test]
async fn langchain_as_openai_by_responses() {
    check(&langchain(Caller::Responses, &[("LANGCHAIN_MODEL", "responses")])).await;
}

#[tokio::test]
async fn langchain_as_anthropic() {
    check(&langchain(Caller::Messages, &[("LANGCHAIN_MODEL", "anthropic")])).await;
}

/// LangChain for JavaScript with one of its classes.
const fn langchain_js(caller: Caller, class: &'static [(&'static str, &'static str)]) -> Sdk {
    Sdk { script: "node/with_langchain.mjs", caller, variables: class, lacks: NO_LISTS }
}

#[tokio::test]
async fn langchain_js_as_openai_by_chat_completions() {
    let sdk = langchain_js(Caller::Chat, &[("LANGCHAIN_MODEL", "chat")]);
    check(&Sdk { lacks: NO_LISTS_NOR_REASONING, ..sdk }).await;
}

#[tokio::test]
async fn langchain_js_as_openai_by_responses() {
    check(&langchain_js(Caller::Responses, &[("LANGCHAIN_MODEL", "responses")])).await;
}

#[tokio::test]
async fn langchain_js_as_anthropic() {
    let sdk = langchain_js(Caller::Messages, &[("LANGCHAIN_MODEL", "anthropic")]);
    check(&Sdk { lacks: &["models", "count_tokens", "kept", "stream_usage"], ..sdk }).await;
}

#[tokio::test]
async fn mistral_for_node() {
    let lacks = &["models", "kept", "reasoning", "reasoning_stream", "tools_stream", "stream_usage", "embeddings"];
    check(&Sdk { script: "node/with_mistral.mjs", caller: Caller::Chat, variables: &[], lacks }).await;
}

#[tokio::test]
async fn mistral_for_python() {
    // It takes a streamed call of a tool only in one piece, and vectors only with an `id`, as Mistral sends them; and it has no
    // word to ask for a stream's usage.
    let lacks = &["models", "kept", "reasoning", "reasoning_stream", "tools_stream", "stream_usage", "embeddings"];
    check(&Sdk { script: "further/with_mistral.py", caller: Caller::Chat, variables: &[], lacks }).await;
}

#[tokio::test]
async fn cohere_for_python_reranks() {
    let mock = MockUpstream::start([Act::script(ranked)]).await;
    let file = providers(&[("up", "openai-chat", &mock)]).replace(", key:", ", operations: [rerank], key:");
    let gateway = Gateway::start(&file).await;
    let mut command = command_for("further/with_cohere.py").await;
    let output = command.arg(format!("http://{}", gateway.address)).stdin(Stdio::null()).output().await.unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the script failed:\n{complained}\n{}", gateway.log());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["v1"], json!([[1, 0.98], [2, 0.25]]));
    assert_eq!(said["v2"], said["v1"]);
    assert_eq!((&said["error"]["class"], &said["error"]["status"]), (&json!("NotFoundError"), &json!(404)));
    assert!(said["error"]["body"].as_str().unwrap().contains("no such model"), "{said}");
}

/// A provider that ranks, where it is asked in Cohere's shape.
fn ranked(request: &Request) -> Reply {
    let body = request.json();
    let asked = body["query"] == "capital of France" && body["documents"][1] == "Paris" && body["top_n"] == 2;
    if request.path().ends_with("/rerank") && asked && body["model"] == "m1" {
        let results = json!([{ "index": 1, "relevance_score": 0.98 }, { "index": 2, "relevance_score": 0.25 }]);
        return Reply::ok(json!({ "id": "r1", "results": results, "meta": { "api_version": { "version": "2" } } }));
    }
    Reply::Whole { status: 404, headers: Vec::new(), body: dialect::error(request, 404, "no such model") }
}
