//! Explanations of a running gateway: of requests that are sent, in a header of their answers, and of those that are not.

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::Sandbox;

const NAME: &str = "x-routeplane-explain";

const RULES: &str = "rules: |\n  when header(\"authorization\") == \"Bearer nobody\" -> deny 401\n  \
                     when header(\"x-team\") == \"lab\" -> deny 403 \"not you\"\n  otherwise -> as requested\n";

async fn asked(gateway: &Gateway, more: &[(&str, &str)], model: &str, stream: bool) -> Response {
    let words = "do not tell";
    let body =
        json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": words }] }).to_string();
    let headers = [&[("content-type", "application/json"), (NAME, "1")], more].concat();
    http_client::request(gateway.address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).await
}

fn explanation(answer: &Response) -> Value {
    let text = answer.header(NAME).unwrap_or_else(|| panic!("no explanation: {:?}", answer.headers));
    assert!(text.len() <= 3_000 && !text.contains("do not tell"), "{text}");
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn an_answer_says_why_it_came_from_there() {
    let first = MockUpstream::start([Act::status(500), Act::status(500), Act::status(500)]).await;
    let second = MockUpstream::good().await;
    let entries = [("first", "openai-chat", &first), ("second", "anthropic-messages", &second)];
    let file = format!(
        "{}retries: {{ attempts: 1 }}\npresets: {{ r: \"least_busy(first/m1, second/m1)\", turns: \"round_robin(second/m1, second/m2)\" }}\n{RULES}",
        providers(&entries)
    );
    let gateway = Gateway::start(&file).await;
    for stream in [false, true] {
        let answer = asked(&gateway, &[("authorization", "Bearer my-secret")], "@r", stream).await.expect_status(200);
        let told = explanation(&answer);
        let expected = json!([
            { "rule": 1, "because": "header(\"authorization\") == \"Bearer nobody\"", "actual": "not shown" },
            { "rule": 2, "because": "header(\"x-team\") == \"lab\"", "actual": "absent" },
        ]);
        assert_eq!((&told["generation"], &told["not_fired"], &told["rule"]), (&json!(1), &expected, &json!(3)));
        let mut lanes: Vec<(&str, &str)> = Vec::new();
        for attempt in told["attempts"].as_array().unwrap() {
            lanes.push((attempt["target"].as_str().unwrap(), attempt["lane"].as_str().unwrap()));
        }
        lanes.sort_unstable();
        assert_eq!(lanes, [("first/m1", "pass-through"), ("second/m1", "translated")]);
        assert_eq!(told["health"].as_array().map(Vec::len), Some(2), "{told}");
        assert!((0.0..1.0).contains(&told["draw"].as_f64().unwrap()));
    }
    let told = explanation(&asked(&gateway, &[], "@turns", false).await.expect_status(200));
    assert_eq!(told["turns"][0]["turn"], 0, "{told}");
    let told = explanation(&asked(&gateway, &[], "@turns", false).await.expect_status(200));
    assert_eq!(told["turns"][0]["turn"], 1, "an explanation takes no turn of its own: {told}");
    // A refusal is explained as well.
    let told = explanation(&asked(&gateway, &[("x-team", "lab")], "@r", false).await.expect_status(403));
    assert_eq!((&told["rule"], &told["attempts"]), (&json!(2), &Value::Null));
    let told = explanation(&asked(&gateway, &[], "größenwahn", false).await.expect_status(404));
    assert_eq!(told["model"], "größenwahn");
    // Nobody else is told, and nobody upstream is asked.
    let plain = Caller::Chat.ask(gateway.address, "@r", "hello", false).await;
    assert_eq!(plain.header(NAME), None);
    let sent = first.requests().into_iter().chain(second.requests());
    assert!(sent.map(|sent| sent.request).all(|request| request.headers.iter().all(|(name, _)| name != NAME)));
}

#[tokio::test]
async fn only_who_may_know_is_told() {
    let upstream = MockUpstream::good().await;
    let entries = providers(&[("up", "openai-chat", &upstream)]);
    let keys = "keys:\n  plain: \"file:plain\"\n  ops: { key: \"file:ops\", allow_explain: true }\n  \
                kiosk: { key: \"file:kiosk\", allow_explain: false }\n";
    let files =
        [("plain", "plain-0123456789abcdef"), ("ops", "ops-0123456789abcdef"), ("kiosk", "kiosk-0123456789abcdef")];
    for (of_file, expected) in [
        ("", [false, true, false]),
        ("allow_explain: true\n", [true, true, false]),
        ("allow_explain: false\n", [false, true, false]),
    ] {
        let gateway = Gateway::start_beside(&format!("{entries}{keys}{of_file}"), &files).await;
        for ((_, key), may) in files.iter().zip(expected) {
            let bearer = format!("Bearer {key}");
            let answer = asked(&gateway, &[("authorization", &bearer)], "up/m1", false).await.expect_status(200);
            assert_eq!(explanation(&answer)["error"].is_null(), may, "{of_file} {key}");
        }
    }
    // Where no keys are asked for, everybody on this machine may; not who comes through a proxy.
    let gateway = Gateway::start(&entries).await;
    assert!(explanation(&asked(&gateway, &[], "up/m1", false).await)["error"].is_null());
    let from_afar = asked(&gateway, &[("x-forwarded-for", "10.0.0.1")], "up/m1", false).await.expect_status(200);
    assert!(explanation(&from_afar)["error"].as_str().unwrap().starts_with("not allowed here"));
    let gateway = Gateway::start(&format!("{entries}allow_explain: false\n")).await;
    assert!(explanation(&asked(&gateway, &[], "up/m1", false).await)["error"].is_string());
}

#[tokio::test]
async fn the_running_gateway_is_asked_by_what_it_has_measured() {
    let file =
        "version: 1\npresets:\n  turns: round_robin(demo/chat, demo/echo)\n  quick: fastest(demo/chat, demo/echo)\n";
    let sandbox = Sandbox::with(file);
    let daemon = sandbox.start(&[]).await;
    for _ in 0..3 {
        Caller::Chat.ask(daemon.address, "@turns", "hello", false).await.expect_status(200);
    }
    let explained = |arguments: &[&str]| {
        let arguments = [&["explain", "--live", "--format", "json"], arguments].concat();
        sandbox.run(&arguments).expect(0).json()
    };
    for _ in 0..2 {
        let told = explained(&["--model", "@turns"]);
        assert_eq!(told["explanation"]["turns"][0]["turn"], 3, "whoever asks takes no turn: {told}");
        assert_eq!(told["explanation"]["outcome"]["attempts"][0]["target"], "demo/echo");
    }
    let told = explained(&["--model", "@quick"]);
    let health = told["explanation"]["health"].as_array().unwrap();
    assert!(health.len() == 2 && health.iter().all(|target| target["first_token_ms"].is_number()), "{told}");
    // What is given wins over what is measured, the same in the file and in the running gateway.
    let given =
        ["--model", "@quick", "--latency", "demo/chat=9s", "--latency", "demo/echo=20ms", "--cooling", "demo/chat"];
    let told = explained(&given);
    let outcome = &told["explanation"]["outcome"];
    assert_eq!(
        (&outcome["attempts"][0]["target"], &outcome["skipped"][0]["target"]),
        (&json!("demo/echo"), &json!("demo/chat"))
    );
    let offline = sandbox.run(&[&["explain", "--format", "json"], &given[..]].concat()).expect(0).json();
    assert_eq!(offline["outcome"], *outcome);
    let offline =
        sandbox.run(&["explain", "--model", "@turns", "--turn", "1", "--in-flight", "demo=3"]).expect(0).stdout;
    assert!(offline.contains("has chosen 1 times before\n") && offline.contains("  1. demo/echo"), "{offline}");

    let text = sandbox.run(&["explain", "--live", "--model", "@quick"]).expect(0).stdout;
    assert!(text.starts_with("generation 1\nmodel @quick over chat\nlooked at demo/"), "{text}");
    sandbox.write("routeplane.yaml", &format!("{file}  third: demo/chat\n"));
    daemon.reload().await.expect_status(200);
    assert_eq!(explained(&["--model", "@third"])["generation"], 2);
    let wrong = sandbox.run(&["explain", "--live", "--model", "x", "--down", "demo/caht"]).expect(2);
    assert!(wrong.stderr.contains("did you mean `demo/chat`?"), "{wrong:?}");
    for wrong in ["demo/chat", "demo/chat=soon", "=5ms=x"] {
        sandbox.run(&["explain", "--model", "x", "--latency", wrong]).expect(2);
    }
    drop(daemon);
    sandbox.run(&["explain", "--live", "--model", "x"]).expect(69);
}
