//! What becomes of requests that a translation can only carry in part, and how the answers say it.

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::{Act, MockUpstream};

/// An upstream for each protocol, and a gateway with `presets` in front of them.
struct Setup {
    gateway: Gateway,
    upstreams: [MockUpstream; 5],
}

impl Setup {
    async fn start(presets: &str) -> Setup {
        let good = MockUpstream::good;
        let upstreams = [good().await, good().await, good().await, good().await, good().await];
        let entries: Vec<_> =
            Caller::ALL.iter().zip(&upstreams).map(|(caller, mock)| (name(*caller), caller.protocol(), mock)).collect();
        let yaml = format!("{}presets:\n{presets}", providers(&entries));
        Setup { gateway: Gateway::start(&yaml).await, upstreams }
    }

    /// How many requests each upstream got, in the order of [`Caller::ALL`].
    fn counts(&self) -> [usize; 5] {
        self.upstreams.each_ref().map(|mock| mock.requests().len())
    }

    async fn ask(&self, caller: Caller, model: &str, stream: bool) -> Response {
        let mut body = caller.body(model, "hello", stream);
        add_untranslatable(caller, &mut body);
        caller.post(self.gateway.address, model, &body, stream).await
    }
}

fn name(caller: Caller) -> &'static str {
    match caller {
        Caller::Chat => "chat",
        Caller::Responses => "responses",
        Caller::Messages => "messages",
        Caller::Gemini => "gemini",
        Caller::Converse => "converse",
    }
}

/// A member that none of the other protocols has.
fn untranslatable(caller: Caller) -> &'static str {
    match caller {
        Caller::Chat => "logit_bias",
        Caller::Responses => "truncation",
        Caller::Messages => "container",
        Caller::Gemini => "cachedContent",
        Caller::Converse => "promptVariables",
    }
}

const SECRET: &str = "a-value-that-is-not-told";

fn add_untranslatable(caller: Caller, body: &mut Value) {
    body[untranslatable(caller)] = if caller == Caller::Chat { json!({ SECRET: 1 }) } else { json!(SECRET) };
}

fn others(caller: Caller) -> impl Iterator<Item = Caller> {
    Caller::ALL.into_iter().filter(move |other| *other != caller)
}

#[tokio::test]
async fn streams_and_whole_answers_say_what_was_lost() {
    let setup = Setup::start("  plain: chat/m1\n").await;
    for caller in Caller::ALL {
        for stream in [false, true] {
            for other in others(caller) {
                let answer = setup.ask(caller, &format!("{}/m1", name(other)), stream).await.expect_status(200);
                let losses = answer.header("x-routeplane-losses").unwrap_or_default();
                let expected = format!("{}=dropped", untranslatable(caller));
                assert!(losses.contains(&expected), "{caller:?} to {other:?}, stream {stream}: `{losses}`");
                assert!(!losses.contains(SECRET), "{losses}");
            }
            let same = setup.ask(caller, &format!("{}/m1", name(caller)), stream).await.expect_status(200);
            assert_eq!(same.header("x-routeplane-losses"), None, "{caller:?}, stream {stream}");
        }
    }
}

#[tokio::test]
async fn a_whole_answer_adds_what_its_own_translation_lost() {
    let choice = |index: u32| {
        json!({ "index": index, "finish_reason": "stop",
        "message": { "role": "assistant", "content": "hi" } })
    };
    let answer = json!({ "id": "c1", "object": "chat.completion", "created": 1, "model": "m1",
        "choices": [choice(0), choice(1)] });
    let act = Act::Respond { status: 200, headers: Vec::new(), body: answer.to_string().into_bytes() };
    let mock = MockUpstream::start([act]).await;
    let gateway = Gateway::start(&providers(&[("chat", "openai-chat", &mock)])).await;
    let mut body = Caller::Messages.body("chat/m1", "hello", false);
    add_untranslatable(Caller::Messages, &mut body);
    let answer = Caller::Messages.post(gateway.address, "chat/m1", &body, false).await.expect_status(200);
    assert_eq!(answer.header("x-routeplane-losses"), Some("container=dropped, choices=dropped"), "{answer:?}");
}

#[tokio::test]
async fn a_refusal_falls_back_to_a_target_that_carries_everything() {
    let presets: String = Caller::ALL
        .map(|caller| {
            let others: String = others(caller).map(|other| format!("{}/m1, ", name(other))).collect();
            let own = name(caller);
            format!("  careful-{own}: {{ route: [{others}{own}/m1], on_loss: refuse }}\n")
        })
        .concat();
    let setup = Setup::start(&presets).await;
    for (at, caller) in Caller::ALL.into_iter().enumerate() {
        for stream in [false, true] {
            let before = setup.counts();
            let model = format!("careful-{}", name(caller));
            let answer = setup.ask(caller, &model, stream).await.expect_status(200);
            assert_eq!(answer.header("x-routeplane-target"), Some(&*format!("{}/m1", name(caller))), "{answer:?}");
            assert_eq!(answer.header("x-routeplane-losses"), None, "{answer:?}");
            let mut expected = before;
            expected[at] += 1;
            assert_eq!(setup.counts(), expected, "only the caller's own protocol is asked");
            let seen = setup.upstreams[at].requests().pop().unwrap().request.text();
            assert!(seen.contains(SECRET), "{seen}");
        }
    }
}

#[tokio::test]
async fn where_nobody_carries_it_the_caller_is_told_what_and_why() {
    let presets: String = Caller::ALL
        .map(|caller| {
            let others: Vec<String> = others(caller).map(|other| format!("{}/m1", name(other))).collect();
            format!("  foreign-to-{}: {{ route: {}, on_loss: refuse }}\n", name(caller), others.join(" > "))
        })
        .concat();
    let setup = Setup::start(&presets).await;
    for caller in Caller::ALL {
        for stream in [false, true] {
            let model = format!("foreign-to-{}", name(caller));
            let answer = setup.ask(caller, &model, stream).await.expect_status(400);
            assert_eq!(answer.header("x-routeplane-code"), Some("would_lose"), "{answer:?}");
            assert_eq!(answer.header("x-routeplane-origin"), Some("gateway"), "{answer:?}");
            let (_, message) = caller.error(&answer.json());
            let first = format!("{}/m1", name(others(caller).next().unwrap()));
            let field = format!("`{}`", untranslatable(caller));
            for part in [first.as_str(), &field, "`on_loss: refuse`", "`on_loss: allow`", caller.protocol()] {
                assert!(message.contains(part), "no {part} in: {message}");
            }
            assert!(!message.contains(SECRET), "{message}");
            // What loses nothing goes through the same preset.
            caller.ask(setup.gateway.address, &model, "hello", stream).await.expect_status(200);
        }
    }
    assert!(setup.upstreams.iter().flat_map(MockUpstream::requests).all(|seen| !seen.request.text().contains(SECRET)));
}

#[tokio::test]
async fn a_long_list_of_losses_is_cut() {
    let setup = Setup::start("  careful: { route: messages/m1, on_loss: refuse }\n").await;
    let mut body = Caller::Chat.body("careful", "hello", false);
    for number in 0..2_000 {
        body[format!("unknown_{number}_{}", "x".repeat(200))] = json!(1);
    }
    let refused = Caller::Chat.post(setup.gateway.address, "careful", &body, false).await.expect_status(400);
    let (_, message) = Caller::Chat.error(&refused.json());
    assert!(message.contains(" more, ask for a model") && message.len() < 2_000, "{message}");
    body["model"] = json!("messages/m1");
    let sent = Caller::Chat.post(setup.gateway.address, "messages/m1", &body, false).await.expect_status(200);
    assert!(sent.header("x-routeplane-losses").is_some_and(|losses| losses.len() < 3_000), "{sent:?}");
}

#[tokio::test]
async fn emulation_is_no_loss() {
    let setup = Setup::start("  careful: { route: gemini/m1, on_loss: refuse }\n").await;
    // An older Gemini takes no images in results of tools; they are sent beside the result.
    let mut body = Caller::Messages.tool_results("careful");
    let image = json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": crate::callers::IMAGE } });
    body["messages"][2]["content"][0]["content"] = json!([{ "type": "text", "text": "sunny" }, image]);
    let answer = Caller::Messages.post(setup.gateway.address, "careful", &body, false).await.expect_status(200);
    assert_eq!(answer.header("x-routeplane-losses"), Some("messages.tool.content=emulated"), "{answer:?}");
}

#[tokio::test]
async fn a_warning_names_members_and_never_what_they_hold() {
    let presets = "  told: { route: messages/m1, on_loss: warn }\n  untold: { route: messages/m1, on_loss: allow }\n";
    let setup = Setup::start(presets).await;
    for stream in [false, true] {
        let untold = setup.ask(Caller::Chat, "untold", stream).await.expect_status(200);
        assert!(untold.header("x-routeplane-losses").is_some(), "{untold:?}");
    }
    let line = "the translation lost something";
    assert!(!setup.gateway.log().contains(line), "{}", setup.gateway.log());
    for (stream, lines) in [(false, 1), (true, 2)] {
        let told = setup.ask(Caller::Chat, "told", stream).await.expect_status(200);
        assert!(told.header("x-routeplane-losses").is_some(), "{told:?}");
        let log = setup.gateway.log();
        let warned: Vec<&str> = log.lines().filter(|text| text.contains(line)).collect();
        assert_eq!(warned.len(), lines, "{log}");
        assert!(warned.iter().all(|text| text.contains("logit_bias") && text.contains("messages/m1")), "{log}");
        assert!(!log.contains(SECRET), "{log}");
    }
}

#[tokio::test]
async fn the_outer_preset_decides_and_what_it_leaves_open_the_inner_one_does() {
    let presets = "  strict: { route: messages/m1, on_loss: refuse }
  lenient: { route: messages/m1, on_loss: allow }
  strict-in-lenient: { route: \"@strict\", on_loss: allow }
  lenient-in-strict: { route: \"@lenient\", on_loss: refuse }
  strict-inside: { route: \"@strict\", params: { temperature: 0.5 } }
  strict-first: \"@strict > messages/m1\"
";
    let setup = Setup::start(presets).await;
    let expected = [
        ("strict", 400),
        ("lenient", 200),
        ("strict-in-lenient", 200),
        ("lenient-in-strict", 400),
        ("strict-inside", 400),
        ("strict-first", 200),
    ];
    for (model, status) in expected {
        let answer = setup.ask(Caller::Chat, model, false).await;
        assert_eq!(answer.status, status, "{model}: {answer:?}");
    }
}

#[tokio::test]
async fn the_file_s_own_parameters_count_too() {
    let setup = Setup::start("  careful: { route: messages/m1, on_loss: refuse, params: { seed: 7 } }\n").await;
    let answer = Caller::Chat.ask(setup.gateway.address, "careful", "hello", false).await.expect_status(400);
    assert_eq!(answer.json()["error"]["param"], "seed", "{answer:?}");
}

#[tokio::test]
async fn a_count_of_tokens_is_not_refused() {
    let setup = Setup::start("  careful: { route: gemini/m1, on_loss: refuse }\n").await;
    let mut body = Caller::Messages.body("careful", "hello", false);
    add_untranslatable(Caller::Messages, &mut body);
    let answer = http_client::post(setup.gateway.address, "/v1/messages/count_tokens", &body).await.expect_status(200);
    assert!(answer.json()["input_tokens"].as_u64().is_some_and(|count| count > 0), "{answer:?}");
    assert_eq!(answer.header("x-routeplane-estimated"), None, "the upstream was asked: {answer:?}");
}

#[tokio::test]
async fn a_tool_that_only_its_vendor_runs_is_told_or_refused() {
    let tools = [
        (Caller::Chat, json!([{ "type": "web_search_preview" }, { "type": "custom", "custom": { "name": "grep" } }])),
        (
            Caller::Responses,
            json!([{ "type": "web_search" }, { "type": "code_interpreter", "container": { "type": "auto" } }]),
        ),
        (Caller::Messages, json!([{ "type": "web_search_20250305", "name": "web_search" }])),
        (Caller::Gemini, json!([{ "googleSearch": {} }, { "codeExecution": {} }])),
    ];
    let presets: String = Caller::ALL
        .map(|caller| format!("  strict-{}: {{ route: {}/m1, on_loss: refuse }}\n", name(caller), name(caller)))
        .concat();
    let setup = Setup::start(&presets).await;
    for (caller, tools) in tools {
        for other in others(caller) {
            let model = format!("{}/m1", name(other));
            let mut body = caller.body(&model, "hello", false);
            body["tools"] = tools.clone();
            let sent = caller.post(setup.gateway.address, &model, &body, false).await;
            let told = sent.header("x-routeplane-losses").is_some_and(|losses| losses.contains("tools"));
            assert!(sent.status == 400 || told, "{caller:?} to {other:?}: {sent:?}");
            let strict = format!("strict-{}", name(other));
            if caller != Caller::Gemini {
                body["model"] = json!(strict);
            }
            let refused = caller.post(setup.gateway.address, &strict, &body, false).await.expect_status(400);
            assert!(caller.error(&refused.json()).1.contains("tools"), "{refused:?}");
        }
    }
}
