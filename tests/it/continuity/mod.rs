//! Reasoning that survives a change of vendor: every upstream here verifies the proofs of reasoning that it gets, as its
//! vendor does.

mod clients;
mod vendors;

use serde_json::{Value, json};

use crate::gateway::{Gateway, provider};
use crate::http_client;
use crate::mock_upstream::dialect::Reply;
use crate::mock_upstream::{Act, MockUpstream};
use clients::{Client, Conversation};
use vendors::{FINAL, STAND_IN, sign, thought};

const CLAUDE: &str = "anthropic/claude-sonnet-4-5";
const OTHER_CLAUDE: &str = "relay/claude-sonnet-4-5";
const GEMINI: &str = "google/gemini-3-pro-preview";
const GPT: &str = "openai/gpt-5";
const CODEX: &str = "codex/gpt-5";
const ROUTER: &str = "router/anthropic/claude-haiku-4.5";
const BEDROCK: &str = "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0";

/// A gateway in front of the vendors.
struct Setup {
    gateway: Gateway,
    claude: MockUpstream,
    relay: MockUpstream,
    gemini: MockUpstream,
    gpt: MockUpstream,
    codex: MockUpstream,
    router: MockUpstream,
    bedrock: MockUpstream,
}

impl Setup {
    async fn start(more: &str) -> Setup {
        let claude = MockUpstream::start([Act::script(vendors::anthropic("anthropic"))]).await;
        let relay = MockUpstream::start([Act::script(vendors::anthropic("relay"))]).await;
        let gemini = MockUpstream::start([Act::script(vendors::google("google"))]).await;
        let gpt = MockUpstream::start([Act::script(vendors::openai)]).await;
        let codex = MockUpstream::start([Act::script(vendors::responses("codex"))]).await;
        let router = MockUpstream::start([Act::script(vendors::openrouter)]).await;
        let bedrock = MockUpstream::start([Act::script(vendors::bedrock)]).await;
        let replay = format!(
            "  router: {{ protocol: openai-chat, base_url: \"{}\", key: env:KEY_OF_router, \
             quirks: {{ reasoning_replay: reasoning_details }} }}\n",
            router.base_url("openai-chat")
        );
        let entries = [
            replay,
            provider("bedrock", "bedrock-converse", &bedrock.base_url("bedrock-converse")),
            provider("anthropic", "anthropic-messages", &claude.base_url("anthropic-messages")),
            provider("relay", "anthropic-messages", &relay.base_url("anthropic-messages")),
            provider("google", "gemini", &gemini.base_url("gemini")),
            provider("openai", "openai-chat", &gpt.base_url("openai-chat")),
            provider("codex", "openai-responses", &codex.base_url("openai-chat")),
        ];
        let yaml = format!("version: 1\nretries: {{ attempts: 1 }}\nproviders:\n{}{more}", entries.concat());
        Setup { gateway: Gateway::start(&yaml).await, claude, relay, gemini, gpt, codex, router, bedrock }
    }

    /// One question, each turn of it answered by the next of `models`; the last one must come to the end.
    async fn walk(&self, conversation: &mut Conversation, models: [&str; 4]) {
        conversation.say("Take three steps.");
        for (at, model) in models.into_iter().enumerate() {
            let turn = conversation.turn(self.gateway.address, model).await;
            let expected = if at == 3 { FINAL } else { "" };
            assert_eq!(turn.text, expected, "{:?} {model}: {:?}", conversation.client, turn.response);
            assert_eq!(turn.response.header("x-routeplane-attempts"), Some("1"));
        }
    }
}

/// The last request that an upstream got.
fn last(upstream: &MockUpstream) -> String {
    upstream.requests().pop().unwrap().request.text()
}

fn every_client() -> impl Iterator<Item = Conversation> {
    let each = |client| [false, true].map(|stream| Conversation::new(client, stream));
    Client::ALL.into_iter().flat_map(each)
}

#[tokio::test]
async fn a_conversation_moves_between_vendors_and_back_in_every_dialect() {
    let setup = Setup::start("").await;
    for mut conversation in every_client() {
        setup.walk(&mut conversation, [CLAUDE, GEMINI, GPT, CLAUDE]).await;
        setup.walk(&mut conversation, [GEMINI, CODEX, CLAUDE, GEMINI]).await;
        setup.walk(&mut conversation, [CODEX, CLAUDE, GPT, CODEX]).await;
        setup.walk(&mut conversation, [GPT, GEMINI, CODEX, GPT]).await;
    }
    // Nobody had to ask twice.
    let answers = 4 * 4 * 2 * Client::ALL.len();
    let upstreams = [&setup.claude, &setup.gemini, &setup.gpt, &setup.codex];
    assert_eq!(upstreams.iter().map(|upstream| upstream.requests().len()).sum::<usize>(), answers);
}

#[tokio::test]
async fn proofs_come_back_to_their_issuer_unchanged() {
    let setup = Setup::start("").await;
    for mut conversation in every_client() {
        let at = format!("{:?}, stream {}", conversation.client, conversation.stream);
        setup.walk(&mut conversation, [CLAUDE, GEMINI, CODEX, CLAUDE]).await;
        let seen = last(&setup.claude);
        let text = thought("anthropic", 0);
        assert!(seen.contains(&text) && seen.contains(&sign("anthropic", &text)), "{at}: {seen}");
        let turn = {
            conversation.say("Take three more.");
            conversation.turn(setup.gateway.address, GEMINI).await
        };
        assert_eq!(turn.target(), GEMINI);
        let seen = last(&setup.gemini);
        assert!(seen.contains(&sign("google", &json!({ "n": 1 }).to_string())), "{at}: {seen}");
        conversation.turn(setup.gateway.address, CODEX).await;
        let seen = last(&setup.codex);
        let text = thought("codex", 2);
        assert!(seen.contains(&text) && seen.contains(&sign("codex", &text)), "{at}: {seen}");
    }
}

#[tokio::test]
async fn what_openrouter_gave_comes_back_to_it_in_every_dialect() {
    let setup = Setup::start("").await;
    for mut conversation in every_client() {
        setup.walk(&mut conversation, [ROUTER, ROUTER, CLAUDE, ROUTER]).await;
        setup.walk(&mut conversation, [GEMINI, ROUTER, ROUTER, CODEX]).await;
        // To a caller of Chat Completions this is all one protocol: see the next test.
        let other = if conversation.client == Client::Chat { GEMINI } else { GPT };
        setup.walk(&mut conversation, [ROUTER, other, ROUTER, CLAUDE]).await;
    }
    let upstreams = [&setup.claude, &setup.gemini, &setup.gpt, &setup.codex, &setup.router];
    let asked: usize = upstreams.iter().map(|upstream| upstream.requests().len()).sum();
    assert_eq!(asked, 3 * 4 * 2 * Client::ALL.len(), "nobody had to ask twice");
}

#[tokio::test]
async fn thoughts_that_a_strict_upstream_of_the_protocol_refuses_are_left_out() {
    let setup = Setup::start("").await;
    for stream in [false, true] {
        let mut conversation = Conversation::new(Client::Chat, stream);
        conversation.say("Take three steps.");
        for (model, requests) in [(ROUTER, 1), (GPT, 2), (ROUTER, 1), (GPT, 2)] {
            let upstream = if model == GPT { &setup.gpt } else { &setup.router };
            let before = upstream.requests().len();
            let turn = conversation.turn(setup.gateway.address, model).await;
            assert_eq!(upstream.requests().len() - before, requests, "{model}: {:?}", turn.response);
            let told = turn.losses().contains("messages.content.reasoning=dropped");
            assert_eq!(told, requests == 2, "{model}: {:?}", turn.response);
        }
    }
}

#[tokio::test]
async fn a_signature_on_a_text_comes_back_on_it_in_every_dialect() {
    let setup = Setup::start("").await;
    for mut conversation in every_client() {
        setup.walk(&mut conversation, [GEMINI; 4]).await;
        conversation.say("And three more.");
        conversation.turn(setup.gateway.address, GEMINI).await;
        let seen: Value = setup.gemini.requests().pop().unwrap().request.json();
        let parts =
            seen["contents"].as_array().unwrap().iter().flat_map(|content| content["parts"].as_array().unwrap());
        let signed = sign("google", vendors::FINAL);
        let found = parts.filter(|part| part["thoughtSignature"] == signed).count();
        assert_eq!(found, 1, "{:?}, stream {}: {seen:#}", conversation.client, conversation.stream);
        // Another vendor does not get it, and goes on without.
        let turn = conversation.turn(setup.gateway.address, CODEX).await;
        assert_eq!(turn.response.header("x-routeplane-attempts"), Some("1"));
    }
}

#[tokio::test]
async fn claude_goes_on_at_bedrock_and_back_for_callers_of_converse() {
    let setup = Setup::start("").await;
    for models in [
        [CLAUDE, BEDROCK, CLAUDE, BEDROCK],
        [GEMINI, BEDROCK, GPT, BEDROCK],
        [CODEX, BEDROCK, ROUTER, BEDROCK],
        [BEDROCK, CODEX, GEMINI, BEDROCK],
    ] {
        let mut conversation = Conversation::new(Client::Converse, false);
        setup.walk(&mut conversation, models).await;
    }
    assert_eq!(setup.bedrock.requests().len(), 8);
    let seen = last(&setup.bedrock);
    assert!(seen.contains(&sign("anthropic", &thought("anthropic", 0))), "{seen}");
}

#[tokio::test]
async fn a_failover_in_the_middle_of_a_turn_goes_on() {
    let setup = Setup::start("").await;
    let presets = |models: &[&str]| format!("presets:\n  r: {{ route: {} }}\n", models.join(" > "));
    for backup in [GEMINI, GPT, CODEX] {
        for mut conversation in every_client() {
            let claude = MockUpstream::start([
                Act::script(vendors::anthropic("anthropic")),
                Act::status(529),
                Act::script(vendors::anthropic("anthropic")),
            ])
            .await;
            let entry = |name: &str, protocol: &str, upstream: &MockUpstream| {
                let base = if protocol == "openai-responses" { "openai-chat" } else { protocol };
                provider(name, protocol, &upstream.base_url(base))
            };
            let entries = [
                entry("anthropic", "anthropic-messages", &claude),
                entry("google", "gemini", &setup.gemini),
                entry("openai", "openai-chat", &setup.gpt),
                entry("codex", "openai-responses", &setup.codex),
            ];
            let yaml = format!(
                "version: 1\nretries: {{ attempts: 1 }}\nproviders:\n{}{}",
                entries.concat(),
                presets(&[CLAUDE, backup])
            );
            let gateway = Gateway::start(&yaml).await;
            conversation.say("Take three steps.");
            let mut targets = Vec::new();
            let mut text = String::new();
            for _ in 0..4 {
                let turn = conversation.turn(gateway.address, "r").await;
                targets.push(turn.target().to_owned());
                text = turn.text;
            }
            assert_eq!(targets, [CLAUDE, backup, CLAUDE, CLAUDE], "{:?}", conversation.client);
            assert_eq!(text, FINAL);
        }
    }
}

#[tokio::test]
async fn proofs_that_another_upstream_of_the_protocol_made_are_left_out_when_it_refuses_them() {
    let setup = Setup::start("").await;
    for stream in [false, true] {
        let mut conversation = Conversation::new(Client::Messages, stream);
        conversation.say("Take three steps.");
        for (model, requests) in [(CLAUDE, 1), (OTHER_CLAUDE, 2), (OTHER_CLAUDE, 2), (CLAUDE, 2)] {
            let upstream = if model == CLAUDE { &setup.claude } else { &setup.relay };
            let before = upstream.requests().len();
            let turn = conversation.turn(setup.gateway.address, model).await;
            assert_eq!(upstream.requests().len() - before, requests, "{model}: {:?}", turn.response);
            let told = turn.losses().contains("messages.content.signature=dropped");
            assert_eq!(told, requests == 2, "{model}: {:?}", turn.response);
        }
    }
    let metrics = http_client::get(setup.gateway.address, "/metrics").await.text();
    let counted = metrics.lines().find(|line| line.contains("reasoning_refused") && line.contains("anthropic"));
    assert!(counted.is_some_and(|line| line.ends_with(" 2")), "{metrics}");
}

#[tokio::test]
async fn a_call_that_gemini_s_own_dialect_brings_from_elsewhere_gets_the_stand_in() {
    let setup = Setup::start("").await;
    let mut conversation = Conversation::new(Client::Gemini, false);
    conversation.say("Take three steps.");
    // A client that has its history from somewhere else: no proof, no mark.
    conversation
        .history
        .push(json!({ "role": "model", "parts": [{ "functionCall": { "name": "step", "args": { "n": 0 } } }] }));
    conversation.history.push(json!({ "role": "user", "parts": [
        { "functionResponse": { "name": "step", "response": { "output": "stepped" } } },
    ] }));
    conversation.turn(setup.gateway.address, GEMINI).await;
    assert_eq!(setup.gemini.requests().len(), 2);
    assert!(last(&setup.gemini).contains(STAND_IN));
}

#[tokio::test]
async fn thoughts_of_others_go_as_text_where_the_file_says_so() {
    let setup =
        Setup::start("presets:\n  r: { route: \"google/gemini-3-pro-preview\", on_foreign_reasoning: text }\n").await;
    for mut conversation in every_client() {
        conversation.say("Take three steps.");
        conversation.turn(setup.gateway.address, CLAUDE).await;
        let turn = conversation.turn(setup.gateway.address, "r").await;
        let seen = last(&setup.gemini);
        let expected = format!("<thinking>\\n{}\\n</thinking>", thought("anthropic", 0));
        assert!(seen.contains(&expected), "{:?}: {seen}", conversation.client);
        assert!(turn.losses().contains("messages.content.reasoning=degraded") || conversation.client == Client::Gemini);
    }
}

#[tokio::test]
async fn a_target_is_skipped_within_a_turn_and_asked_again_after_it() {
    let presets = "presets:\n  pinned: { route: \"google/gemini-3-pro-preview > anthropic/claude-sonnet-4-5\", on_foreign_reasoning: skip }\n  only: { route: \"google/gemini-3-pro-preview\", on_foreign_reasoning: skip }\n";
    let setup = Setup::start(presets).await;
    for mut conversation in every_client() {
        conversation.say("Take three steps.");
        conversation.turn(setup.gateway.address, CLAUDE).await;
        let refused = conversation.post(setup.gateway.address, "only").await.expect_status(400);
        assert_eq!(refused.header("x-routeplane-code"), Some("foreign_reasoning"), "{refused:?}");
        assert!(refused.text().contains("on_foreign_reasoning: strip"), "{refused:?}");
        for _ in 0..3 {
            let turn = conversation.turn(setup.gateway.address, "pinned").await;
            assert_eq!(turn.target(), CLAUDE, "{:?}", conversation.client);
        }
        conversation.say("And three more.");
        let turn = conversation.turn(setup.gateway.address, "pinned").await;
        assert_eq!(turn.target(), GEMINI, "{:?}", conversation.client);
    }
}

#[tokio::test]
async fn a_damaged_proof_is_left_out() {
    let setup = Setup::start("").await;
    for mut conversation in every_client() {
        conversation.say("Take three steps.");
        conversation.turn(setup.gateway.address, CODEX).await;
        let mut body = conversation.body(CODEX);
        let damaged = damage(&mut body);
        if conversation.client == Client::Responses {
            continue;
        }
        assert!(damaged > 0, "{body:#}");
        let answer = conversation.post_body(setup.gateway.address, CODEX, &body).await.expect_status(200);
        let losses = answer.header("x-routeplane-losses").unwrap_or_default();
        assert!(losses.contains("messages.content.signature=dropped"), "{:?}: {answer:?}", conversation.client);
        let seen = last(&setup.codex);
        assert!(!seen.contains("encrypted_content\":\""), "{seen}");
    }
}

/// Changes a letter in every sealed proof.
fn damage(value: &mut Value) -> usize {
    match value {
        Value::String(text) if text.starts_with("rp1.") || text.starts_with("cnAxL") => {
            let at = text.len() / 2;
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            text.replace_range(at..=at, other);
            1
        }
        Value::Array(list) => list.iter_mut().map(damage).sum(),
        Value::Object(members) => members.values_mut().map(damage).sum(),
        _ => 0,
    }
}

#[tokio::test]
async fn a_sealed_proof_of_another_s_conversation_opens_nothing_but_itself() {
    let setup = Setup::start("").await;
    let mut one = Conversation::new(Client::Chat, false);
    one.say("Take three steps. The word is zanzibar.");
    one.turn(setup.gateway.address, CLAUDE).await;
    let stolen = one.history[1].clone();
    let mut other = Conversation::new(Client::Chat, false);
    other.say("Take three steps.");
    other.history.push(stolen);
    other.history.push(one.history[2].clone());
    other.turn(setup.gateway.address, CLAUDE).await.response.expect_status(200);
    let seen = last(&setup.claude);
    assert!(!seen.contains("zanzibar"), "{seen}");
}

#[tokio::test]
async fn signatures_of_ai_studio_do_not_reach_vertex() {
    for mut conversation in every_client() {
        let studio = MockUpstream::start([Act::script(vendors::google("studio"))]).await;
        let vertex = MockUpstream::start([Act::script(vendors::google("vertex"))]).await;
        let entries = [("studio", &studio), ("cloud", &vertex)];
        let entries = entries.map(|(name, upstream)| provider(name, "gemini", &upstream.base_url("gemini")));
        let gateway = Gateway::start(&format!("version: 1\nproviders:\n{}", entries.concat())).await;
        conversation.say("Take three steps.");
        let mut text = String::new();
        for model in ["studio", "cloud", "studio", "cloud"] {
            text = conversation.turn(gateway.address, &format!("{model}/gemini-3-pro-preview")).await.text;
        }
        assert_eq!(text, FINAL);
        // Only where everything passes through is a foreign signature tried at all, and left out at once.
        let refused = if conversation.client == Client::Gemini { 3 } else { 0 };
        assert_eq!(studio.requests().len() + vertex.requests().len(), 4 + refused, "{:?}", conversation.client);
    }
}

#[tokio::test]
async fn thoughts_of_any_vendor_come_back_as_text_where_the_upstream_demands_them() {
    let deepseek = MockUpstream::good().await;
    let setup = Setup::start(&format!(
        "  deep: {{ protocol: openai-chat, base_url: \"{}\", key: env:KEY_OF_deep, quirks: {{ reasoning_replay: reasoning_content }} }}\n",
        deepseek.base_url("openai-chat")
    ))
    .await;
    for mut conversation in every_client() {
        conversation.say("Take three steps.");
        conversation.turn(setup.gateway.address, CLAUDE).await;
        conversation.post(setup.gateway.address, "deep/m").await.expect_status(200);
        let seen = deepseek.requests().pop().unwrap().request.json();
        let asking =
            seen["messages"].as_array().unwrap().iter().find(|message| message["role"] == "assistant").unwrap();
        assert_eq!(asking["reasoning_content"], thought("anthropic", 0), "{:?}: {seen:#}", conversation.client);
        assert!(asking.get("reasoning_details").is_none(), "{seen:#}");
    }
}

#[tokio::test]
async fn thoughts_between_tags_are_thoughts_in_every_dialect() {
    const PIECES: [&str; 5] = ["<thi", "nk>half a", " thought</th", "ink>\n\nThe ", "answer."];
    let answer = |request: &crate::mock_upstream::http::Request| {
        let chunk = |delta: Value, reason: Value| {
            let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
            let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice] });
            format!("data: {chunk}\n\n")
        };
        if request.json()["stream"] != true {
            let message = json!({ "role": "assistant", "content": PIECES.concat() });
            let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
            return Reply::ok(
                json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice] }),
            );
        }
        let mut events: Vec<String> =
            PIECES.iter().map(|piece| chunk(json!({ "content": piece }), Value::Null)).collect();
        events.push(chunk(json!({}), json!("stop")));
        events.push("data: [DONE]\n\n".to_owned());
        vendors::stream(events)
    };
    let open = MockUpstream::start([Act::script(answer)]).await;
    let yaml = format!(
        "version: 1\nproviders:\n  open: {{ protocol: openai-chat, base_url: \"{}\", quirks: {{ think_tags: true }} }}\n",
        open.base_url("openai-chat")
    );
    let gateway = Gateway::start(&yaml).await;
    for mut conversation in every_client().filter(|conversation| conversation.client != Client::Chat) {
        conversation.say("Think.");
        let turn = conversation.turn(gateway.address, "open/m").await;
        assert_eq!(turn.text, "The answer.", "{:?}: {:?}", conversation.client, turn.response);
        let said = json!(conversation.history).to_string();
        // Gemini's callers keep the pieces of a stream apart.
        let thought = said.contains("half a") && said.contains(" thought");
        assert!(thought && !said.contains("think>"), "{:?}: {said}", conversation.client);
    }
}
