//! Protocols at a cloud's own addresses, and prompt caching that callers ask for in OpenAI's shape.

use routeplane::config::activate::provider;
use routeplane::config::{Env, decode, parse, yaml};
use routeplane::diagnostic::Diagnostics;
use routeplane::provider::presets;
use routeplane::source::SourceMap;
use routeplane::state::Uris;
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{Operation, ProtocolId};
use serde_json::{Value, json};

use crate::laws::fixtures::{destination, head, inbound, outbound};

/// A request of Chat Completions as Anthropic gets it.
fn to_anthropic(body: &Value) -> Value {
    let chat = inbound(ProtocolId::OpenAiChat.codec().unwrap());
    let request = chat.decode_request(&head(false), body.to_string().as_bytes()).unwrap();
    let messages = outbound(ProtocolId::AnthropicMessages.codec().unwrap());
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    messages
        .encode_request(&request, &destination("claude-sonnet-4-5", &Quirks::default()), &mut out, &mut losses)
        .unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_cache_mark_on_a_chat_part_reaches_anthropic() {
    let mark = json!({ "type": "ephemeral", "ttl": "1h" });
    let body = to_anthropic(&json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "a long document", "cache_control": mark },
        { "type": "text", "text": "a question" },
    ] }] }));
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            { "type": "text", "text": "a long document", "cache_control": mark },
            { "type": "text", "text": "a question" },
        ])
    );
}

#[test]
fn system_parts_stay_blocks_with_their_cache_marks() {
    let mark = json!({ "type": "ephemeral" });
    let body = to_anthropic(&json!({ "model": "m", "max_tokens": 9, "messages": [
        { "role": "system", "content": [
            { "type": "text", "text": "rules", "cache_control": mark }, { "type": "text", "text": "the date" },
        ] },
        { "role": "user", "content": "hi" },
    ] }));
    let system =
        json!([{ "type": "text", "text": "rules", "cache_control": mark }, { "type": "text", "text": "the date" }]);
    assert_eq!(body["system"], system);
}

/// Resources that lack the version-free path: the model is the deployment's name, and every path has a version of the API.
#[test]
fn azure_deployments_with_an_api_version_are_paths_of_the_file() {
    let text = "providers:
  azure:
    base_url: https://acme.openai.azure.com
    keys: env:AZURE_OPENAI_API_KEY
    endpoints:
      openai-chat:
        paths:
          generate: /openai/deployments/{model}/chat/completions?api-version=2024-10-21
          stream: /openai/deployments/{model}/chat/completions?api-version=2024-10-21
          embed: /openai/deployments/{model}/embeddings?api-version=2024-10-21
";
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    let source = sources.add("routeplane.yaml", text);
    let entry = parse(source, &sources, &mut diagnostics).unwrap().providers.pop();
    let known = sources.add("azure", presets::find("azure").unwrap());
    let root = yaml::parse(known, &sources.get(known).unwrap().text, &mut diagnostics).unwrap();
    let preset = decode::decode_provider(&root, "azure", &mut diagnostics);
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    let azure = provider("azure", preset.as_ref(), entry.as_ref(), &Env::default(), &mut Vec::new()).unwrap();
    let endpoint = &azure.endpoints[0];
    let outbound = outbound(endpoint.protocol.codec().unwrap());
    for (operation, stream, path) in [
        (Operation::Generate, false, "chat/completions"),
        (Operation::Generate, true, "chat/completions"),
        (Operation::Embed, false, "embeddings"),
    ] {
        let uri = Uris::of(endpoint).get(endpoint, outbound, operation, "my gpt", stream).unwrap();
        let expected =
            format!("https://acme.openai.azure.com/openai/deployments/my%20gpt/{path}?api-version=2024-10-21");
        assert_eq!(uri.to_string(), expected);
    }
}

#[test]
fn quirks_of_a_model_add_to_those_of_its_provider() {
    let text = "providers:
  own:
    protocol: openai-chat
    base_url: http://127.0.0.1:9/v1
    quirks: { no_stream_options: true, refused_members: [user] }
    model_quirks:
      \"o1-*\": { refused_members: [temperature] }
      \"*-mini-*\": { developer_as_system: true }
";
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    let source = sources.add("routeplane.yaml", text);
    let entry = parse(source, &sources, &mut diagnostics).unwrap().providers.pop();
    let own = provider("own", None, entry.as_ref(), &Env::default(), &mut Vec::new()).unwrap();
    let quirks = |model| {
        let quirks = own.endpoints[0].quirks_of(model).into_owned();
        assert!(quirks.no_stream_options, "{model}");
        (quirks.refused_members.join(" "), quirks.developer_as_system)
    };
    assert_eq!(quirks("o1-mini-2024"), ("user temperature".to_owned(), true));
    assert_eq!(quirks("o1-mini"), ("user temperature".to_owned(), false));
    assert_eq!(quirks("gpt-5-mini-2025"), ("user".to_owned(), true));
    assert_eq!(quirks("o1"), ("user".to_owned(), false));
}
