//! Wishes of callers for their requests' way: obeyed where the file allows them, refused where it does not, and never sent on.

use std::borrow::Cow;

use routeplane::rule::request::RequestShape;
use routeplane::table::wishes::Asked;
use routeplane::table::{Draw, Health, HealthView, Outcome, RoutingTable};
use routeplane::wire::Operation;
use serde_json::{Value, json};

use crate::gateway::{Gateway, providers};
use crate::http_client;
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::Sandbox;
use crate::table::table;

const FILE: &str = r#"version: 1
allow_request_routing: true
providers:
  up:
    protocol: openai-chat
    base_url: "http://127.0.0.1:1/v1"
    models: [a, b, shared]
    prices: { a: { input: 1, output: 10 }, b: { input: 3, output: 1 }, shared: { input: 5, output: 5 } }
  down:
    protocol: openai-chat
    base_url: "http://127.0.0.1:2/v1"
    models: [shared]
    prices: { shared: { input: 2, output: 2 } }
presets:
  both: { route: up/a > up/b }
rules: |
  when model == "up/b" and user == "guest" -> deny 403 "not for guests"
"#;

fn wished(
    table: &RoutingTable,
    shape: &RequestShape,
    health: &dyn HealthView,
    members: &Value,
) -> Result<String, String> {
    let texts: Vec<(String, String)> =
        members.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    let member = |name: &str| texts.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
    let asked = Asked::read(true, Operation::Generate, member);
    let renamed = asked.renamed(shape);
    Ok(match table.decide(shape, (&asked, &renamed), health, Draw(0.5)).outcome {
        Outcome::Attempts { attempts, .. } => {
            let names = attempts.iter().map(|attempt| format!("{}/{}", attempt.provider.name, attempt.model));
            names.collect::<Vec<_>>().join(" ")
        }
        Outcome::Deny { status, .. } => format!("denied {status}"),
        Outcome::NotFound(why) => format!("not found: {why}"),
        Outcome::Unmet(unmet) => return Err(unmet.message),
    })
}

#[test]
fn wishes_order_filter_and_extend_what_was_decided() {
    let table = table(FILE, &[]);
    let asked = |model: &str, members: Value| wished(&table, &RequestShape::new(model), &Health::new(&table), &members);
    let cases = [
        ("up/a", json!({ "models": ["up/b", "up/a"] }), "up/a up/b"),
        ("up/a", json!({ "models": ["@both"] }), "up/a up/b"),
        ("@both", json!({ "routing": { "model": { "sort": "cost" } } }), "up/b up/a"),
        ("shared", json!({ "provider": { "order": ["down"] } }), "down/shared up/shared"),
        ("shared", json!({ "provider": { "sort": "price" } }), "down/shared up/shared"),
        (
            "up/shared",
            json!({ "provider": { "order": ["down", "up"], "allow_fallbacks": false } }),
            "down/shared up/shared",
        ),
        ("up/shared", json!({ "provider": { "only": ["down"] } }), "down/shared"),
        ("up/shared", json!({ "routing": { "provider": { "fallbacks": ["down"] } } }), "up/shared down/shared"),
        ("up/a", json!({ "models": ["shared"], "provider": { "ignore": ["up"], "order": ["down"] } }), "down/shared"),
        ("up/a", json!({ "models": ["up/b"], "provider": { "max_price": { "completion": 2 } } }), "up/b"),
        ("up/a", json!({ "models": ["up/b"], "provider": { "allow_fallbacks": false } }), "up/a up/b"),
        ("up/a", json!({ "provider": null, "models": [] }), "up/a"),
    ];
    for (model, members, expected) in cases {
        assert_eq!(asked(model, members.clone()).as_deref(), Ok(expected), "{model} {members}");
    }
    for (members, told) in [
        (json!({ "models": ["up-a"] }), "the model `up-a` cannot be a fallback"),
        (json!({ "provider": { "order": ["downn"] } }), "did you mean `down`?"),
        (json!({ "provider": { "max_price": { "prompt": 0.5 } } }), "no target fits"),
        (json!({ "provider": { "data_collection": "deny" } }), "unknown field `data_collection`"),
        // The catalogue knows nothing of these models.
        (json!({ "provider": { "require_parameters": true } }), "no target fits"),
    ] {
        let error = asked("up/a", members.clone()).unwrap_err();
        assert!(error.contains(told), "{members}: {error}");
    }
}

#[test]
fn a_rule_holds_for_every_name_that_a_caller_gives() {
    let table = table(FILE, &[]);
    let guest = |model: &str| RequestShape { user: Some("guest".to_owned()), ..RequestShape::new(model) };
    let health = Health::new(&table);
    let members = json!({ "models": ["up/b", "up/shared"] });
    assert_eq!(wished(&table, &guest("up/a"), &health, &members).as_deref(), Ok("up/a up/shared"));
    assert_eq!(wished(&table, &guest("up/b"), &health, &members).as_deref(), Ok("denied 403"));
}

#[test]
fn hedges_and_shadows_outlast_wishes_that_leave_them_together() {
    let file = format!(
        "{FILE}  when model == \"never\" -> @raced > @watched\n",
        FILE = FILE.replace(
            "  both: { route: up/a > up/b }\n",
            "  both: { route: up/a > up/b }\n  \
               raced: { route: \"hedge(up/a, up/b, after 1s) > up/shared\" }\n  \
               watched: { route: \"shadow(up/a > up/b, mirror down/shared, sample 100%)\" }\n"
        )
    );
    let table = table(&file, &[]);
    let asked = |model: &str, members: Value| {
        let texts: Vec<(String, String)> =
            members.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        let member = |name: &str| texts.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
        let shape = RequestShape::new(model);
        let asked = Asked::read(true, Operation::Generate, member);
        let renamed = asked.renamed(&shape);
        match table.decide(&shape, (&asked, &renamed), &Health::new(&table), Draw(0.5)).outcome {
            Outcome::Attempts { attempts, races, mirrors, .. } => {
                let name = |at: usize| format!("{}/{}", attempts[at].provider.name, attempts[at].model);
                let names = |from: usize, until: usize| (from..until).map(name).collect::<Vec<_>>().join(" ");
                let races = races.iter().map(|race| {
                    format!("; race {} against {}", names(race.from, race.second), names(race.second, race.until))
                });
                let mirrors = mirrors.iter().map(|mirror| {
                    format!("; {} copied to {}", names(mirror.from, mirror.until), mirror.attempt.provider.name)
                });
                names(0, attempts.len()) + &races.chain(mirrors).collect::<String>()
            }
            other => panic!("{other:?}"),
        }
    };
    let cases = [
        ("@raced", json!({ "models": ["down/shared"] }), "up/a up/b up/shared down/shared; race up/a against up/b"),
        // The answer of `up/b` is the cheapest, and then those that cost the same or more follow.
        ("@raced", json!({ "routing": { "model": { "sort": "cost" } } }), "up/b up/shared up/a"),
        ("@raced", json!({ "provider": { "max_price": { "completion": 9 } } }), "up/b up/shared"),
        ("up/shared", json!({ "models": ["@raced"] }), "up/shared up/a up/b; race up/a against up/b"),
        ("@watched", json!({ "models": ["up/shared"] }), "up/a up/b up/shared; up/a up/b copied to down"),
        ("@watched", json!({ "provider": { "ignore": ["down"] } }), "up/a up/b"),
        ("@watched", json!({ "provider": { "only": ["up"] } }), "up/a up/b"),
        (
            "@watched",
            json!({ "models": ["up/shared"], "routing": { "model": { "sort": "cost" } } }),
            "up/b up/shared up/a; up/b copied to down; up/a copied to down",
        ),
    ];
    for (model, members, expected) in cases {
        assert_eq!(asked(model, members.clone()), expected, "{model} {members}");
    }
}

#[test]
fn auto_takes_a_capable_active_model_by_what_is_asked() {
    let file = "version: 1\nproviders: { openai: {}, anthropic: {} }\n";
    let keys = [("OPENAI_API_KEY", "sk-1"), ("ANTHROPIC_API_KEY", "sk-2")];
    let table = table(file, &keys);
    let health = Health::new(&table);
    let first = |shape: &RequestShape, health: &dyn HealthView, sort: &str| {
        let members = json!({ "routing": { "model": { "sort": sort } } });
        let attempts = wished(&table, shape, health, &members).unwrap();
        attempts.split(' ').next().unwrap().to_owned()
    };
    let shape = RequestShape::hello("auto");
    let plain = match table.select(&shape, &health, Draw(0.5)).outcome {
        Outcome::Attempts { attempts, .. } => {
            assert_eq!(attempts.len(), 4);
            assert!(attempts.iter().all(|attempt| attempt.target.prices_of(attempt.provider, attempt.model).is_some()));
            format!("{}/{}", attempts[0].provider.name, attempts[0].model)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(plain, first(&shape, &health, "cost"), "cost is what is meant where nothing is said");
    let mut measured = Health::new(&table);
    measured
        .state("anthropic/claude-opus-4-5", |vitals| {
            (vitals.first_token_ms, vitals.latency_ms) = (Some(200.0), Some(900.0));
        })
        .unwrap();
    assert_eq!(first(&shape, &measured, "latency"), "anthropic/claude-opus-4-5");
    assert_eq!(first(&shape, &measured, "performance"), "anthropic/claude-opus-4-5");
    // What does not fit into a window is not tried there.
    let long = RequestShape { input_tokens: 900_000, ..RequestShape::hello("auto") };
    let Outcome::Attempts { attempts, .. } = table.select(&long, &health, Draw(0.5)).outcome else {
        panic!("attempts")
    };
    let window = |id: &str, provider: &str| {
        routeplane::provider::catalogue::find(provider, id).unwrap().max_input_tokens.unwrap()
    };
    assert!(attempts.iter().all(|attempt| window(attempt.model, &attempt.provider.name) >= 900_000));
    // The file's own preset is what `auto` means, where it has one.
    let own = crate::table::table("version: 1\npresets: { auto: demo/chat }\n", &keys);
    let decision = own.select(&shape, &Health::new(&own), Draw(0.0));
    assert_eq!(decision.route, Cow::Borrowed("@auto"));
}

fn body(protocol: &str, model: &str) -> (&'static str, Value) {
    let words = json!([{ "role": "user", "content": "hello" }]);
    match protocol {
        "chat" => ("/v1/chat/completions", json!({ "model": model, "messages": words })),
        "messages" => ("/v1/messages", json!({ "model": model, "max_tokens": 9, "messages": words })),
        _ => ("/v1/responses", json!({ "model": model, "input": "hello" })),
    }
}

async fn behind(allowed: bool) -> (Gateway, MockUpstream, MockUpstream) {
    let (first, second) = (MockUpstream::start([Act::status(500)]).await, MockUpstream::good().await);
    let entries = [("first", "openai-chat", &first), ("second", "openai-chat", &second)];
    let file = format!("{}retries: {{ attempts: 1 }}\nallow_request_routing: {allowed}\n", providers(&entries));
    (Gateway::start(&file).await, first, second)
}

#[tokio::test]
async fn wishes_are_obeyed_and_go_to_nobody() {
    for protocol in ["chat", "messages", "responses"] {
        let (gateway, first, second) = behind(true).await;
        let (path, mut body) = body(protocol, "first/m1");
        body["models"] = json!(["second/m2"]);
        body["provider"] = json!({ "allow_fallbacks": true });
        body["routing"] = json!({ "provider": { "fallbacks": ["second"] } });
        let answer = http_client::post(gateway.address, path, &body).await.expect_status(200);
        assert_eq!(answer.header("x-routeplane-target"), Some("second/m2"), "{protocol}");
        for upstream in [&first, &second] {
            let sent: Value = serde_json::from_slice(&upstream.only_request().request.body).unwrap();
            assert!(
                ["models", "provider", "routing"].iter().all(|name| sent.get(*name).is_none()),
                "{protocol}: {sent}"
            );
        }
    }
}

#[tokio::test]
async fn wishes_that_the_file_does_not_allow_are_refused_in_the_callers_dialect() {
    let (gateway, first, second) = behind(false).await;
    for protocol in ["chat", "messages", "responses"] {
        let (path, mut body) = body(protocol, "second/m2");
        body["provider"] = json!({ "only": ["second"] });
        let answer = http_client::post(gateway.address, path, &body).await.expect_status(400);
        assert_eq!(answer.header("x-routeplane-code"), Some("request_routing_not_allowed"));
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("allow_request_routing: true"), "{message}");
    }
    assert!(first.requests().is_empty() && second.requests().is_empty());
}

/// What the request path does is what `explain` says, by the file and by the running gateway.
#[tokio::test]
async fn wishes_are_explained() {
    let (gateway, _first, _second) = behind(true).await;
    let body = json!({
        "model": "first/m1", "models": ["second/m2"], "provider": { "sort": "latency" },
        "messages": [{ "role": "user", "content": "hello" }],
    });
    let explained = |body: &Value| {
        let asked = json!({ "body": body });
        async move {
            let answer = http_client::post(gateway.address, "/admin/explain", &asked).await.expect_status(200).json();
            answer["explanation"].clone()
        }
    };
    let told = explained(&body).await;
    let attempts = told["outcome"]["attempts"].as_array().unwrap();
    let names: Vec<&str> = attempts.iter().map(|attempt| attempt["target"].as_str().unwrap()).collect();
    assert_eq!(names, ["first/m1", "second/m2"]);
    assert_eq!(told["wishes"], json!(["models second/m2", "each model by latency"]));
    assert_eq!(told["names"], json!([{ "model": "second/m2", "rule": null, "route": "second/m2", "denied": null }]));
    assert!(attempts.iter().all(|attempt| attempt["losses"] == json!([])), "wishes are nothing that gets lost: {told}");
    let mut strange = body.clone();
    strange["provider"] = json!({ "only": ["secnd"] });
    let told = explained(&strange).await;
    assert_eq!(told["outcome"]["unmet"]["code"], "no_target_allowed", "{told}");
    strange["provider"] = json!({ "onyl": ["second"] });
    let told = explained(&strange).await;
    assert_eq!(told["outcome"]["unmet"]["code"], "bad_routing", "{told}");
}

#[test]
fn explain_says_what_a_body_asks_for() {
    let sandbox = Sandbox::with(FILE);
    let body = r#"{ "model": "up/a", "models": ["up/b", "shared"], "user": "guest", "provider": { "order": ["down"] },
        "messages": [] }"#;
    sandbox.write("body.json", body);
    let told = sandbox.run(&["explain", "body.json"]).expect(0).stdout;
    let expected = "model up/a over chat\n\
                    asked for: models up/b, shared; providers in the order down\n\
                    \x20 up/b is denied with 403 by rule 1, and left out\n\
                    \x20 shared leads to shared\n\
                    rule 1 does not fire: model == \"up/b\" (here: \"up/a\")\n\
                    route up/a\n\
                    \x20 1. up/a, pass-through\n\
                    \x20 2. down/shared, pass-through\n\
                    \x20 3. up/shared, pass-through\n";
    assert_eq!(told, expected);
    sandbox.write("routeplane.yaml", &FILE.replace("allow_request_routing: true", ""));
    let told = sandbox.run(&["explain", "body.json"]).expect(0).stdout;
    assert!(
        told.contains("  refused with 400: this gateway does not let callers choose targets by `models`"),
        "{told}"
    );
}

/// What the file says for everybody, a key may say otherwise for its holder.
#[tokio::test]
async fn a_key_may_be_allowed_what_others_are_not() {
    let upstream = MockUpstream::good().await;
    for (of_file, of_key) in [(false, true), (true, false)] {
        let file = format!(
            "{}allow_request_routing: {of_file}\nkeys:\n  plain: \"file:plain\"\n  \
             other: {{ key: \"file:other\", allow_request_routing: {of_key} }}\n",
            providers(&[("up", "openai-chat", &upstream)])
        );
        let (plain, other) = ("plain-0123456789abcdef", "other-0123456789abcdef");
        let gateway = Gateway::start_beside(&file, &[("plain", plain), ("other", other)]).await;
        for (key, allowed) in [(plain, of_file), (other, of_key)] {
            let (path, mut body) = body("chat", "up/m1");
            body["models"] = json!(["up/m2"]);
            let bearer = format!("Bearer {key}");
            let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
            let body = body.to_string();
            let answer = http_client::request(gateway.address, "POST", path, &headers, body.as_bytes()).await;
            assert_eq!(answer.status, if allowed { 200 } else { 400 }, "{key}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn openrouter_gets_its_own_members() {
    let upstream = MockUpstream::good().await;
    let file = format!(
        "version: 1\nproviders: {{ openrouter: {{ base_url: \"{}\", key: env:KEY_OF_openrouter }} }}\n",
        upstream.base_url("openai-chat")
    );
    let gateway = Gateway::start(&file).await;
    let (path, mut body) = body("chat", "openrouter/qwen/qwen3-32b");
    body["provider"] = json!({ "order": ["groq"] });
    http_client::post(gateway.address, path, &body).await.expect_status(200);
    let sent: Value = serde_json::from_slice(&upstream.only_request().request.body).unwrap();
    assert_eq!(sent["provider"], json!({ "order": ["groq"] }));
}
