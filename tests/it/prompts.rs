//! Prompts that templates make, and the ways in which JSON is asked for, on the wire.

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::{Act, MockUpstream};
use routeplane::diagnostic::Severity;

const FILES: &[(&str, &str)] = &[
    ("t/static.j2", "You are terse.\n"),
    ("t/named.j2", "Write of {{ topic }}{% if tone is defined %}, {{ tone }}{% endif %}."),
    ("t/system_legacy.j2", "Rules. {{ system_text }}"),
    ("t/user_legacy.j2", "<q>{{ user_text }}</q>"),
    ("t/outer.j2", "{% include \"inner.j2\" %}!"),
    ("t/inner.j2", "included {{ user_text }}"),
    ("t/outer_static.j2", "Now: {% include \"part.j2\" %}"),
    ("t/part.j2", "one"),
    ("s/topic.json", r#"{"type":"object","properties":{"topic":{"type":"string"}},"required":["topic"]}"#),
];

struct Setup {
    gateway: Gateway,
    mock: MockUpstream,
}

impl Setup {
    async fn start(presets: &str) -> Setup {
        Setup::over("openai-chat", presets).await
    }

    async fn over(protocol: &str, presets: &str) -> Setup {
        let mock = MockUpstream::good().await;
        let yaml = format!("{}template_root: t\npresets:\n{presets}", providers(&[("up", protocol, &mock)]));
        Setup { gateway: Gateway::start_beside(&yaml, FILES).await, mock }
    }

    async fn post(&self, body: &Value) -> Response {
        http_client::post(self.gateway.address, "/v1/chat/completions", body).await
    }

    /// What arrives of this conversation.
    async fn messages(&self, model: &str, messages: Value) -> Value {
        self.post(&json!({ "model": model, "messages": messages })).await.expect_status(200);
        let last = self.mock.requests().pop().unwrap();
        serde_json::from_slice::<Value>(&last.request.body).unwrap()["messages"].take()
    }

    /// The refusal of this conversation, which reaches no upstream.
    async fn refusal(&self, model: &str, messages: Value) -> Value {
        let before = self.mock.requests().len();
        let answer = self.post(&json!({ "model": model, "messages": messages })).await.expect_status(400);
        assert_eq!(self.mock.requests().len(), before);
        answer.json()["error"].clone()
    }
}

fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

fn system(text: &str) -> Value {
    json!({ "role": "system", "content": text })
}

fn with(role: &str, name: &str, arguments: Value) -> Value {
    json!({ "role": role, "content": [{ "type": "template", "name": name, "arguments": arguments }] })
}

#[tokio::test]
async fn a_static_system_text_takes_the_place_of_the_callers() {
    let setup = Setup::start("  p: { route: up/m1, templates: { system: t/static.j2 } }\n").await;
    let expected = json!([system("You are terse."), user("hi")]);
    assert_eq!(setup.messages("@p", json!([user("hi")])).await, expected);
    let two = json!([system("Be long."), { "role": "developer", "content": "Really." }, user("hi")]);
    assert_eq!(setup.messages("@p", two).await, expected);
}

#[tokio::test]
async fn every_caller_and_every_target_get_the_templates() {
    for upstream in Caller::ALL {
        let presets = "  p: { route: up/m1, templates: { system: t/static.j2, user: { path: t/user_legacy.j2, form: legacy } } }\n";
        let setup = Setup::over(upstream.protocol(), presets).await;
        for (at, caller) in Caller::ALL.into_iter().enumerate() {
            caller.ask(setup.gateway.address, "@p", "hello", false).await.expect_status(200);
            let body = String::from_utf8(setup.mock.requests()[at].request.body.clone()).unwrap();
            assert!(body.contains("You are terse."), "{caller:?} to {upstream:?}: {body}");
            assert!(body.contains("<q>hello</q>"), "{caller:?} to {upstream:?}: {body}");
        }
    }
}

#[tokio::test]
async fn a_legacy_template_is_made_of_plain_texts() {
    let presets = "  p: { route: up/m1, templates: { system: { path: t/system_legacy.j2, form: legacy }, user: { path: t/user_legacy.j2, form: legacy } } }\n";
    let setup = Setup::start(presets).await;
    let sent = setup
        .messages("@p", json!([system("Be kind."), user("hi"), { "role": "assistant", "content": "yes" }, user("so")]))
        .await;
    let rules = system("Rules. Be kind.");
    assert_eq!(sent, json!([rules, user("<q>hi</q>"), { "role": "assistant", "content": "yes" }, user("<q>so</q>")]));
    // Without a system text there is nothing to print.
    let sent = setup.messages("@p", json!([user("hi")])).await;
    assert_eq!(sent[0], system("Rules. none"));
    // A raw text passes by.
    let raw = json!({ "role": "user", "content": [{ "type": "raw_text", "value": "as it is" }] });
    let sent = setup.messages("@p", json!([raw])).await;
    assert!(sent[1].to_string().contains("as it is") && !sent[1].to_string().contains("<q>"), "{sent}");
}

#[tokio::test]
async fn a_named_template_is_made_of_arguments_and_leaves_texts_alone() {
    let presets = "  p: { route: up/m1, templates: { user: t/named.j2, other: t/static.j2 }, arguments: { other: { type: object } } }\n  \
                   strict: { route: up/m1, templates: { user: t/named.j2 }, arguments: { user: s/topic.json } }\n";
    let setup = Setup::start(presets).await;
    let sent = setup
        .messages("@p", json!([user("plain"), with("user", "user", json!({ "topic": "trains", "tone": "dry" }))]))
        .await;
    assert_eq!(sent[0], user("plain"));
    assert!(sent[1].to_string().contains("Write of trains, dry."), "{sent}");
    let sent = setup.messages("@p", json!([with("user", "other", json!({}))])).await;
    assert!(sent[0].to_string().contains("You are terse."), "{sent}");
    // A schema is checked, and wants no plain text beside it.
    let sent = setup.messages("@strict", json!([with("user", "user", json!({ "topic": "x" }))])).await;
    assert!(sent[0].to_string().contains("Write of x."), "{sent}");
    let error = setup.refusal("@strict", json!([with("user", "user", json!({ "topic": 1 }))])).await;
    assert_eq!(error["code"], "bad_arguments", "{error}");
    let error = setup.refusal("@strict", json!([user("plain")])).await;
    assert_eq!(error["code"], "arguments_missing", "{error}");
    let error = setup.refusal("@p", json!([with("user", "absent", json!({}))])).await;
    assert_eq!(error["code"], "unknown_template", "{error}");
    let error = setup.refusal("@p", json!([with("user", "user", json!({ "subject": "x" }))])).await;
    assert_eq!(error["code"], "template_failed", "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("`t/named.j2` in line 1") && message.contains("undefined"), "{message}");
}

#[tokio::test]
async fn the_system_template_takes_arguments_where_it_has_a_schema() {
    let presets = "  p: { route: up/m1, templates: { system: t/named.j2 }, arguments: { system: s/topic.json } }\n";
    let setup = Setup::start(presets).await;
    let sent = setup.messages("@p", json!([with("system", "system", json!({ "topic": "trains" })), user("hi")])).await;
    assert_eq!(sent, json!([system("Write of trains."), user("hi")]));
    for messages in [json!([user("hi")]), json!([system("plain"), user("hi")])] {
        assert_eq!(setup.refusal("@p", messages).await["code"], "arguments_missing");
    }
}

#[tokio::test]
async fn wrappers_and_includes_and_texts_before_the_template() {
    let presets = "  p: { route: up/m1, system: First., templates: { system: t/static.j2, user: t/named.j2 }, wrappers: { user: t/outer.j2 } }\n";
    let setup = Setup::start(presets).await;
    let sent = setup.messages("@p", json!([user("hi")])).await;
    assert_eq!(sent, json!([system("First.\n\nYou are terse."), user("included hi!")]));
}

#[tokio::test]
async fn a_template_that_fails_makes_way_for_the_next_variant() {
    let presets = "  bad: { route: up/m1, templates: { system: t/named.j2 } }\n  good: { route: up/m2, templates: { system: t/static.j2 } }\n  both: \"@bad > @good\"\n";
    let setup = Setup::start(presets).await;
    let answer = setup.post(&json!({ "model": "@both", "messages": [user("hi")] })).await.expect_status(200);
    assert_eq!(answer.header("x-routeplane-target"), Some("up/m2"));
    let sent: Value = serde_json::from_slice(&setup.mock.only_request().request.body).unwrap();
    assert_eq!(sent["messages"][0], system("You are terse."));
}

#[tokio::test]
async fn a_stream_passes_and_is_counted() {
    let setup = Setup::start("  p: { route: up/m1, templates: { system: t/static.j2 } }\n").await;
    let body = json!({ "model": "@p", "stream": true, "messages": [user("hi")], "seed": 7, "unknown_member": [1, 2] });
    let answer = setup.post(&body).await.expect_status(200);
    assert!(answer.events().iter().any(|event| event.contains("[DONE]")));
    let sent: Value = serde_json::from_slice(&setup.mock.only_request().request.body).unwrap();
    assert_eq!((&sent["seed"], &sent["unknown_member"]), (&json!(7), &json!([1, 2])));
    assert_eq!(sent["stream_options"]["include_usage"], true);
}

// === JSON

const SCHEMA: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}"#;

/// What a request with this preset sends, and what comes back.
async fn json_mode(settings: &str, body: Value) -> (Value, Value) {
    let answer = json!({ "id": "c1", "object": "chat.completion", "created": 1, "model": "m1", "choices": [{
        "index": 0, "finish_reason": "tool_calls", "message": { "role": "assistant", "content": null, "tool_calls": [{
            "id": "call_1", "type": "function", "function": { "name": "respond", "arguments": "{\"answer\":\"yes\"}" } }] } }] });
    let acts = match settings.contains("tool") {
        true => Act::Respond { status: 200, headers: Vec::new(), body: answer.to_string().into_bytes() },
        false => Act::Answer,
    };
    let mock = MockUpstream::start([acts]).await;
    let presets = format!("presets:\n  p: {{ route: up/m1, {settings} }}\n");
    let yaml = format!("{}{presets}", providers(&[("up", "openai-chat", &mock)]));
    let gateway = Gateway::start_beside(&yaml, &[("out.json", SCHEMA)]).await;
    let answer = http_client::post(gateway.address, "/v1/chat/completions", &body).await.expect_status(200);
    (serde_json::from_slice(&mock.only_request().request.body).unwrap(), answer.json())
}

fn ask(messages: Value) -> Value {
    json!({ "model": "@p", "messages": messages })
}

#[tokio::test]
async fn strict_sends_the_schema_as_it_is() {
    let (sent, _) = json_mode("json_mode: strict, output: out.json", ask(json!([user("hi")]))).await;
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let format =
        json!({ "type": "json_schema", "json_schema": { "name": "response", "strict": true, "schema": schema } });
    assert_eq!(sent["response_format"], format);
    assert_eq!(sent["messages"], json!([user("hi")]));
    let (sent, _) = json_mode("json_mode: strict", ask(json!([user("hi")]))).await;
    assert_eq!(sent["response_format"]["json_schema"]["schema"], json!({}));
}

#[tokio::test]
async fn on_says_the_word_where_nobody_has() {
    let one = async |messages: Value| {
        let (sent, _) = json_mode("json_mode: on, output: out.json", ask(messages)).await;
        assert_eq!(sent["response_format"], json!({ "type": "json_object" }));
        sent["messages"].clone()
    };
    assert_eq!(one(json!([user("hi")])).await, json!([system("Respond using JSON."), user("hi")]));
    assert_eq!(one(json!([user("as json")])).await, json!([system("Respond using JSON."), user("as json")]));
    let both = json!([system("Respond using JSON.\n\nBe kind."), user("hi")]);
    assert_eq!(one(json!([system("Be kind."), user("hi")])).await, both);
    let said = json!([system("Write Json."), user("hi")]);
    assert_eq!(one(said.clone()).await, said);
}

#[tokio::test]
async fn tool_makes_the_answer_out_of_a_call() {
    let (sent, answer) = json_mode("json_mode: tool, output: out.json", ask(json!([user("hi")]))).await;
    let function = &sent["tools"][0]["function"];
    assert_eq!(function["name"], "respond");
    assert_eq!(function["description"], "Respond to the user using the output schema provided.");
    assert_eq!(function["parameters"], serde_json::from_str::<Value>(SCHEMA).unwrap());
    assert_eq!(sent["tool_choice"], json!({ "type": "function", "function": { "name": "respond" } }));
    assert_eq!(sent.get("response_format"), None);
    assert_eq!(answer["choices"][0]["message"]["content"], "{\"answer\":\"yes\"}");
}

#[tokio::test]
async fn off_sends_nothing_and_a_callers_own_form_wins() {
    let (sent, _) = json_mode("json_mode: off, output: out.json", ask(json!([user("hi")]))).await;
    assert_eq!((sent.get("response_format"), sent.get("tools")), (None, None));
    let mut body = ask(json!([user("in json"), system("x")]));
    body["response_format"] = json!({ "type": "json_object" });
    let (sent, _) = json_mode("json_mode: strict, output: out.json", body).await;
    assert_eq!(sent["response_format"], json!({ "type": "json_object" }));
}

// === what `check` finds

/// The findings about a preset with `settings`, `file` beside it: code, message, and where each label points.
fn findings(top: &str, settings: &str, files: &[(&str, &str)]) -> Vec<String> {
    struct Beside<'f>(&'f [(&'f str, &'f str)]);
    impl routeplane::config::Files for Beside<'_> {
        fn read(&self, path: &str) -> Result<String, String> {
            let found = self.0.iter().find(|(name, _)| *name == path);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| "there is no such file".to_owned())
        }
    }
    let yaml = format!("version: 1\n{top}presets:\n  p: {{ route: demo/chat, {settings} }}\n");
    let env = routeplane::config::Env::new([]);
    let inputs =
        routeplane::config::Inputs { file: Some(("r.yaml", &yaml)), listen: None, env: &env, files: &Beside(files) };
    let compiled = routeplane::config::compile(inputs);
    let errors = compiled.diagnostics.iter().filter(|finding| finding.severity == Severity::Error);
    let told = errors.map(|finding| {
        let places = finding.labels.iter().map(|label| {
            let (line, column) = compiled.sources.line_column(label.span);
            format!("{}:{line}:{column}", compiled.sources.name(label.span.source))
        });
        format!("{} {} @ {}", finding.code, finding.message, places.collect::<Vec<_>>().join(", "))
    });
    told.collect()
}

#[test]
fn what_is_wrong_with_a_template_is_found_when_the_file_is_read() {
    let template = "templates: { user: a.j2 }";
    let one = |top: &str, settings: &str, files: &[(&str, &str)], expected: &str| {
        let found = findings(top, settings, files);
        assert_eq!(found.len(), 1, "{settings}: {found:?}");
        assert!(found[0].contains(expected), "{settings}: `{}` has no `{expected}`", found[0]);
    };
    one("", template, &[], "cannot read `a.j2`: there is no such file @ r.yaml:3");
    let broken = [("a.j2", "fine\n  {% if %}")];
    one("", template, &broken, "RP0093 `a.j2` is no template: syntax error");
    one("", template, &broken, "@ a.j2:2:");
    let naming = [("a.j2", "{% include name %}")];
    one("", template, &naming, "which template this includes is not known before a request is there @ a.j2:1:12");
    let other = [("a.j2", "x\n{% include \"b.j2\" %}"), ("b.j2", "b")];
    one("", template, &other, "`b.j2` is no template of this file @ a.j2:2:12");
    assert_eq!(findings("", "templates: { user: a.j2, more: b.j2 }", &other), [] as [String; 0]);
    let out = [("t/a.j2", "{% include \"../b.j2\" %}"), ("b.j2", "b")];
    one(
        "template_root: t\n",
        "templates: { user: t/a.j2 }",
        &out,
        "`../b.j2` leads out of `template_root` @ t/a.j2:1:12",
    );
    one("template_root: ../t\n", "system: x", &[], "`template_root` must be below the folder of the configuration");
    let absent = [("t/a.j2", "{% include \"b.j2\" %}")];
    one("template_root: t\n", "templates: { user: t/a.j2 }", &absent, "cannot read `t/b.j2`");
    let variables = [("a.j2", "{{ user_text }} {{ topic }} {% for x in list %}{{ x }}{% endfor %}")];
    let legacy = "templates: { user: { path: a.j2, form: legacy } }";
    one("", legacy, &variables, "the template reads `list`, `topic`, which is never defined");
    assert_eq!(
        findings("", &format!("{legacy}, arguments: {{ user: {{ type: object }} }}"), &variables),
        [] as [String; 0]
    );
    one("", "wrappers: { user: a.j2 }", &variables, "the template reads `list`, `topic`, which is never defined");
    one("", "wrappers: { narrator: a.j2 }", &variables, "`narrator` is no role");
    one(
        "",
        "templates: { other: { path: a.j2, form: legacy } }",
        &variables,
        "`form: legacy` is for templates of a role",
    );
    one("", "templates: { other: { form: named } }", &[], "the template `other` has no `path`");
    one("", "arguments: { user: { type: object } }", &[], "there is no template `user` here");
    let wrong = format!("{template}, arguments: {{ user: {{ type: objekt }} }}");
    one("", &wrong, &[("a.j2", "x")], "`arguments` cannot be used");
}

#[tokio::test]
async fn a_changed_template_is_a_reload() {
    let setup = Setup::start("  p: { route: up/m1, templates: { system: t/outer_static.j2 } }\n").await;
    assert_eq!(setup.messages("@p", json!([user("hi")])).await[0], system("Now: one"));
    std::fs::write(setup.gateway.folder().join("t/part.j2"), "two").unwrap();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while setup.messages("@p", json!([user("hi")])).await[0] != system("Now: two") {
        assert!(tokio::time::Instant::now() < deadline, "{}", setup.gateway.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
