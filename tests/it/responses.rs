//! Responses calls that go on from earlier answers, over any upstream, and what can be asked about these.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{Gateway, provider_key, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::{Act, MockUpstream, dialect};

/// One upstream, and a gateway with `more` in its file.
struct Setup {
    gateway: Gateway,
    mock: MockUpstream,
    protocol: &'static str,
}

impl Setup {
    async fn start(upstream: Caller, more: &str) -> Setup {
        let mock = MockUpstream::good().await;
        let protocol = upstream.protocol();
        let gateway = Gateway::start(&format!("{}{more}", providers(&[("up", protocol, &mock)]))).await;
        Setup { gateway, mock, protocol }
    }

    async fn create(&self, body: Value) -> Response {
        create(self.gateway.address, "", body).await
    }

    async fn ask(&self, method: &str, path: &str) -> Response {
        http_client::request(self.gateway.address, method, &format!("/v1/responses/{path}"), &[], b"").await
    }

    /// Everything that the upstream was sent last.
    fn seen(&self) -> String {
        self.mock.requests().last().expect("a request").request.text()
    }
}

async fn create(gateway: SocketAddr, key: &str, mut body: Value) -> Response {
    body["model"] = body.get("model").cloned().unwrap_or(json!("up/m1"));
    let bearer = format!("Bearer {key}");
    let headers: &[(&str, &str)] = if key.is_empty() { &[] } else { &[("authorization", &bearer)] };
    http_client::request(gateway, "POST", "/v1/responses", headers, body.to_string().as_bytes()).await
}

/// The answer of a call, whole or from the last event of its stream.
fn answer(response: &Response) -> Value {
    match response.header("content-type") {
        Some(kind) if kind.starts_with("text/event-stream") => {
            response.json_events().pop().expect("events")["response"].clone()
        }
        _ => response.json(),
    }
}

fn id(response: &Response) -> String {
    answer(response)["id"].as_str().expect("an id").to_owned()
}

/// Protocols that are translated to.
const FOREIGN: [Caller; 3] = [Caller::Chat, Caller::Messages, Caller::Gemini];

#[tokio::test]
async fn a_conversation_goes_on_over_every_upstream() {
    for upstream in FOREIGN {
        for stream in [false, true] {
            let setup = Setup::start(upstream, "").await;
            let first =
                setup.create(json!({ "input": "the first question", "stream": stream })).await.expect_status(200);
            let one = id(&first);
            let second = json!({ "input": [{ "role": "user", "content": "the second" }], "previous_response_id": one, "stream": stream });
            let second = setup.create(second).await.expect_status(200);
            let answered = answer(&second);
            assert_eq!(answered["previous_response_id"], one.as_str(), "{upstream:?}: {answered}");
            assert_ne!(answered["id"], one.as_str());
            let third = json!({ "input": "the third", "previous_response_id": answered["id"], "stream": stream });
            setup.create(third).await.expect_status(200);
            let seen = setup.seen();
            let said = ["the first question", dialect::TEXT, "the second", dialect::TEXT, "the third"];
            let mut rest = seen.as_str();
            for text in said {
                let at =
                    rest.find(text).unwrap_or_else(|| panic!("{upstream:?}: `{text}` is not in its place: {seen}"));
                rest = &rest[at + text.len()..];
            }
            assert!(!seen.contains("previous_response_id") && !seen.contains("resp_"), "{seen}");
            // An answer can be gone on from more than once.
            let branch = json!({ "input": "another second", "previous_response_id": one });
            setup.create(branch).await.expect_status(200);
            let seen = setup.seen();
            assert!(seen.contains("the first question") && !seen.contains("the second"), "{seen}");
        }
    }
}

#[tokio::test]
async fn calls_and_their_results_meet_over_every_upstream() {
    for upstream in FOREIGN {
        let setup = Setup::start(upstream, "").await;
        let body = Caller::Responses.body("up/m1", "case:tools", false);
        let asked = answer(&setup.create(body.clone()).await.expect_status(200));
        let calls: Vec<&Value> = asked["output"].as_array().unwrap().iter().collect();
        assert_eq!(calls.len(), 3, "{asked}");
        let results: Vec<Value> = calls
            .iter()
            .zip(["sunny", "rainy", "noon"])
            .map(|(call, text)| json!({ "type": "function_call_output", "call_id": call["call_id"], "output": text }))
            .collect();
        let next = json!({ "input": results, "previous_response_id": asked["id"], "tools": body["tools"] });
        let said = Caller::Responses.heard(&setup.create(next).await.expect_status(200)).text;
        let places: Vec<_> = ["sunny", "rainy", "noon"].iter().map(|word| said.find(word)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{upstream:?}: {said}");
    }
}

#[tokio::test]
async fn instructions_are_not_inherited() {
    let setup = Setup::start(Caller::Chat, "").await;
    let one = id(&setup.create(json!({ "input": "one", "instructions": "be brief" })).await.expect_status(200));
    setup.create(json!({ "input": "two", "previous_response_id": one })).await.expect_status(200);
    assert!(!setup.seen().contains("be brief"), "{}", setup.seen());
}

#[tokio::test]
async fn an_answer_can_be_asked_for_and_deleted() {
    for stream in [false, true] {
        let setup = Setup::start(Caller::Messages, "").await;
        let created = setup
            .create(json!({ "input": "hello", "stream": stream, "metadata": { "team": "lab" }, "temperature": 0.5 }))
            .await
            .expect_status(200);
        let created = answer(&created);
        assert_eq!((&created["metadata"]["team"], &created["temperature"]), (&json!("lab"), &json!(0.5)), "{created}");
        let one = created["id"].as_str().unwrap();
        let shown = setup.ask("GET", one).await.expect_status(200);
        assert_eq!(shown.json(), created);
        let cancelled = setup.ask("POST", &format!("{one}/cancel")).await.expect_status(400);
        assert!(Caller::Responses.error(&cancelled.json()).1.contains("background"), "{cancelled:?}");
        let gone = setup.ask("DELETE", one).await.expect_status(200).json();
        assert_eq!(gone, json!({ "id": one, "object": "response", "deleted": true }));
        for (method, path) in
            [("GET", one.to_owned()), ("DELETE", one.to_owned()), ("GET", format!("{one}/input_items"))]
        {
            let answer = setup.ask(method, &path).await.expect_status(404);
            assert!(Caller::Responses.error(&answer.json()).1.contains("not found"), "{answer:?}");
        }
        let next = setup.create(json!({ "input": "more", "previous_response_id": one })).await.expect_status(400);
        assert_eq!(Caller::Responses.error(&next.json()).0, "previous_response_not_found");
        assert_eq!(setup.mock.requests().len(), 1, "the upstream was asked once, to answer");
    }
}

#[tokio::test]
async fn input_items_come_in_pages() {
    let setup = Setup::start(Caller::Chat, "").await;
    let parts = json!([{ "role": "user", "content": [{ "type": "input_text", "text": "b" }], "id": "msg_mine" }, { "role": "user", "content": "c" }]);
    let one = id(&setup.create(json!({ "input": "a" })).await.expect_status(200));
    let two = id(&setup.create(json!({ "input": parts, "previous_response_id": one })).await.expect_status(200));
    let list =
        async |query: &str| setup.ask("GET", &format!("{two}/input_items{query}")).await.expect_status(200).json();
    let texts = |page: &Value| -> Vec<String> {
        let items = page["data"].as_array().unwrap().iter();
        items.map(|item| item["content"][0]["text"].as_str().unwrap().to_owned()).collect()
    };
    let all = list("?order=asc").await;
    assert_eq!(texts(&all), ["a", dialect::TEXT, "b", "c"]);
    assert_eq!((&all["object"], &all["has_more"]), (&json!("list"), &json!(false)));
    let newest = list("?limit=3").await;
    assert_eq!(texts(&newest), ["c", "b", dialect::TEXT]);
    assert_eq!((&newest["has_more"], &newest["first_id"]), (&json!(true), &newest["data"][0]["id"]));
    assert_eq!(newest["data"][1]["id"], "msg_mine");
    let rest = list(&format!("?limit=3&after={}", newest["last_id"].as_str().unwrap())).await;
    assert_eq!((texts(&rest), &rest["has_more"]), (vec!["a".to_owned()], &json!(false)));
    for wrong in ["?limit=0", "?limit=x", "?order=up", "?after=nobody"] {
        setup.ask("GET", &format!("{two}/input_items{wrong}")).await.expect_status(400);
    }
}

#[tokio::test]
async fn what_must_not_be_stored_is_not() {
    for upstream in [Caller::Chat, Caller::Responses] {
        for stream in [false, true] {
            let setup = Setup::start(upstream, "").await;
            let one = id(&setup
                .create(json!({ "input": "secret", "store": false, "stream": stream }))
                .await
                .expect_status(200));
            setup.ask("GET", &one).await.expect_status(404);
            assert!(setup.mock.requests().iter().all(|seen| seen.request.method == "POST"), "{upstream:?}");
        }
    }
    let setup = Setup::start(Caller::Chat, "responses: { entries: 0 }\n").await;
    let one = id(&setup.create(json!({ "input": "hello" })).await.expect_status(200));
    setup.ask("GET", &one).await.expect_status(404);
}

#[tokio::test]
async fn the_bounds_of_the_file_hold() {
    let setup = Setup::start(Caller::Chat, "responses: { entries: 2, memory: 20kB, ttl: 1h }\n").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(id(&setup.create(json!({ "input": "hello" })).await.expect_status(200)));
    }
    setup.ask("GET", &ids[0]).await.expect_status(404);
    setup.ask("GET", &ids[1]).await.expect_status(200);
    let large = id(&setup.create(json!({ "input": "x".repeat(16_000) })).await.expect_status(200));
    setup.ask("GET", &large).await.expect_status(200);
    setup.ask("GET", &ids[2]).await.expect_status(404);
    let short = Setup::start(Caller::Chat, "responses: { ttl: 1ms }\n").await;
    let old = id(&short.create(json!({ "input": "hello" })).await.expect_status(200));
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    short.ask("GET", &old).await.expect_status(404);
}

#[tokio::test]
async fn one_client_key_knows_nothing_of_anothers_answers() {
    for upstream in [Caller::Chat, Caller::Responses] {
        let mock = MockUpstream::good().await;
        let file = providers(&[("up", upstream.protocol(), &mock)]);
        let gateway = Gateway::start(&format!("{file}keys: {{ a: env:KEY_OF_a, b: env:KEY_OF_b }}\n")).await;
        let (a, b) = (provider_key("a"), provider_key("b"));
        let one = id(&create(gateway.address, &a, json!({ "input": "a's secret" })).await.expect_status(200));
        let asked = mock.requests().len();
        let ask = async |key: &str, method: &str, path: String| {
            let bearer = format!("Bearer {key}");
            let target = format!("/v1/responses/{path}");
            http_client::request(gateway.address, method, &target, &[("authorization", &bearer)], b"").await
        };
        for (method, end) in [("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")] {
            let known = ask(&b, method, format!("{one}{end}")).await.expect_status(404);
            let unknown = ask(&b, method, format!("resp_nobodys{end}")).await.expect_status(404);
            assert_eq!(known.text().replace(&one, "resp_nobodys").len(), unknown.text().len(), "{known:?} {unknown:?}");
        }
        let next = create(gateway.address, &b, json!({ "input": "tell", "previous_response_id": one })).await;
        assert_eq!(Caller::Responses.error(&next.expect_status(400).json()).0, "previous_response_not_found");
        assert_eq!(mock.requests().len(), asked, "{upstream:?}: nothing of it went upstream");
        ask(&a, "GET", one.clone()).await.expect_status(200);
        ask("wrong", "GET", one).await.expect_status(401);
    }
}

#[tokio::test]
async fn what_a_provider_keeps_is_asked_for_there() {
    for stream in [false, true] {
        let setup = Setup::start(Caller::Responses, "").await;
        let other = MockUpstream::good().await;
        let first = setup.create(json!({ "input": "hello", "stream": stream })).await.expect_status(200);
        let one = id(&first);
        assert_eq!(one, "resp_mock", "the provider's own id");
        for (method, path, expected) in [
            ("GET", one.clone(), "/v1/responses/resp_mock"),
            (
                "GET",
                format!("{one}?include[]=reasoning.encrypted_content"),
                "/v1/responses/resp_mock?include[]=reasoning.encrypted_content",
            ),
            ("POST", format!("{one}/cancel"), "/v1/responses/resp_mock/cancel"),
            ("GET", format!("{one}/input_items?limit=2"), "/v1/responses/resp_mock/input_items?limit=2"),
        ] {
            let said = setup.ask(method, &path).await.expect_status(200);
            assert_eq!(said.json()["for"], expected);
            let seen = setup.mock.requests().pop().unwrap().request;
            assert_eq!((seen.method.as_str(), seen.target.as_str()), (method, expected));
            let bearer = format!("Bearer {}", provider_key("up"));
            assert_eq!(seen.header("authorization"), Some(bearer.as_str()));
        }
        // A call that goes on from it is passed on as it is.
        let next = json!({ "input": "more", "previous_response_id": one });
        setup.create(next).await.expect_status(200);
        assert!(setup.seen().contains("\"previous_response_id\":\"resp_mock\""), "{}", setup.seen());
        setup.ask("DELETE", &one).await.expect_status(200);
        let asked = setup.mock.requests().len();
        setup.ask("GET", &one).await.expect_status(404);
        assert_eq!((setup.mock.requests().len(), other.requests().len()), (asked, 0));
    }
}

#[tokio::test]
async fn a_conversation_stays_with_the_provider_that_keeps_it() {
    let (keeper, other) = (MockUpstream::good().await, MockUpstream::good().await);
    let chat = MockUpstream::good().await;
    let file = providers(&[
        ("keeper", "openai-responses", &keeper),
        ("other", "openai-responses", &other),
        ("chat", "openai-chat", &chat),
    ]);
    let presets = "presets:\n  first-other: [other/m1, chat/m1, keeper/m1]\n  elsewhere: [other/m1, chat/m1]\n";
    let gateway = Gateway::start(&format!("{file}{presets}")).await;
    let ask = async |body: Value| create(gateway.address, "", body).await;
    let one = id(&ask(json!({ "input": "hello", "model": "keeper/m1" })).await.expect_status(200));
    let next = ask(json!({ "input": "more", "model": "first-other", "previous_response_id": one })).await;
    assert_eq!(next.expect_status(200).header("x-routeplane-target"), Some("keeper/m1"));
    let nowhere = ask(json!({ "input": "more", "model": "elsewhere", "previous_response_id": one })).await;
    let (kind, message) = Caller::Responses.error(&nowhere.expect_status(400).json());
    assert_eq!(kind, "previous_response_not_found");
    assert!(message.contains("`keeper`"), "{message}");
    assert!(other.requests().is_empty() && chat.requests().is_empty());
    // An id that nobody here knows: a provider may.
    let unknown = ask(json!({ "input": "more", "model": "keeper/m1", "previous_response_id": "resp_old" })).await;
    unknown.expect_status(200);
    let refused = ask(json!({ "input": "more", "model": "chat/m1", "previous_response_id": "resp_old" })).await;
    assert_eq!(Caller::Responses.error(&refused.expect_status(400).json()).0, "previous_response_not_found");
}

#[tokio::test]
async fn a_conversation_may_move_to_another_upstream() {
    let (chat, own) = (MockUpstream::good().await, MockUpstream::good().await);
    let file = providers(&[("chat", "openai-chat", &chat), ("own", "openai-responses", &own)]);
    let gateway = Gateway::start(&file).await;
    let body = json!({ "input": "case:reasoning", "model": "chat/m1" });
    let one = answer(&create(gateway.address, "", body).await.expect_status(200));
    assert_eq!(one["output"][0]["type"], "reasoning", "{one}");
    let next = json!({ "input": "and now", "model": "own/m1", "previous_response_id": one["id"] });
    let two = id(&create(gateway.address, "", next).await.expect_status(200));
    let seen = own.only_request().request.json();
    let expected = json!([
        { "role": "user", "content": "case:reasoning" },
        { "type": "message", "status": "completed", "role": "assistant",
          "content": [{ "type": "output_text", "text": dialect::TEXT, "annotations": [], "logprobs": [] }] },
        { "role": "user", "content": "and now" },
    ]);
    assert_eq!(seen["input"], expected, "another vendor's thoughts, and ids that it does not know, stay here");
    assert!(seen.get("previous_response_id").is_none());
    // From here on the provider keeps it.
    let third = json!({ "input": "third", "model": "own/m1", "previous_response_id": two });
    create(gateway.address, "", third).await.expect_status(200);
    assert_eq!(own.requests().pop().unwrap().request.json()["previous_response_id"], two.as_str());
}

#[tokio::test]
async fn a_failed_stream_is_kept_as_one() {
    let mock = MockUpstream::start([Act::StreamError(3), Act::Answer]).await;
    let gateway =
        Gateway::start(&format!("{}retries: {{ attempts: 1 }}\n", providers(&[("up", "openai-chat", &mock)]))).await;
    let failed = create(gateway.address, "", json!({ "input": "hello", "stream": true })).await.expect_status(200);
    let last = failed.json_events().pop().unwrap();
    assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.failed"), &json!("failed")), "{last}");
    assert!(last["response"]["error"]["message"].as_str().unwrap().contains("overloaded"), "{last}");
    let target = format!("/v1/responses/{}", last["response"]["id"].as_str().unwrap());
    let shown = http_client::request(gateway.address, "GET", &target, &[], b"").await.expect_status(200);
    assert_eq!(shown.json(), last["response"]);
}

#[tokio::test]
async fn what_only_openai_has_is_refused_in_words() {
    let setup = Setup::start(Caller::Chat, "").await;
    for (member, value) in
        [("background", json!(true)), ("conversation", json!("conv_1")), ("prompt", json!({ "id": "pmpt_1" }))]
    {
        let mut body = json!({ "input": "hello" });
        body[member] = value;
        let refused = setup.create(body.clone()).await.expect_status(400);
        let (_, message) = Caller::Responses.error(&refused.json());
        assert!(message.contains(&format!("`{member}`")), "{message}");
        let own = Setup::start(Caller::Responses, "").await;
        own.create(body).await.expect_status(200);
        assert!(own.seen().contains(member), "passed on to {}", own.protocol);
    }
    assert!(setup.mock.requests().is_empty());
}

#[tokio::test]
async fn tokens_of_a_conversation_are_counted() {
    let setup = Setup::start(Caller::Messages, "").await;
    let one = id(&setup.create(json!({ "input": "the first" })).await.expect_status(200));
    let body = json!({ "model": "up/m1", "input": "the second", "previous_response_id": one });
    let counted =
        http_client::post(setup.gateway.address, "/v1/responses/input_tokens", &body).await.expect_status(200);
    assert_eq!(counted.json(), json!({ "object": "response.input_tokens", "input_tokens": dialect::COUNTED_TOKENS }));
    assert!(setup.seen().contains("the first") && setup.seen().contains("the second"), "{}", setup.seen());
}

#[tokio::test]
async fn a_web_socket_is_refused_so_that_clients_go_on_without() {
    let setup = Setup::start(Caller::Chat, "").await;
    let headers = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
    let answer = http_client::request(setup.gateway.address, "GET", "/v1/responses", &headers, b"").await;
    assert_eq!(answer.clone().expect_status(426).header("connection"), Some("close"), "{answer:?}");
    assert!(Caller::Responses.error(&answer.json()).1.contains("`stream: true`"), "{answer:?}");
}

#[tokio::test]
async fn a_conversation_is_compacted_by_its_provider_alone() {
    let setup = Setup::start(
        Caller::Responses,
        "retries: { attempts: 1 }\npresets: { p: { route: up/m1, params: { temperature: 0 } } }\n",
    )
    .await;
    let sent = r#"{ "model": "p",  "input": [{"type":"message","role":"user","content":"case:text"}], "novelty": 1 }"#;
    for path in ["/v1/responses/compact", "/responses/compact"] {
        let got = http_client::request(setup.gateway.address, "POST", path, &[], sent.as_bytes()).await;
        got.expect_status(200);
        let seen = setup.mock.requests().pop().unwrap().request;
        let expected = sent.replace("\"p\"", "\"m1\"");
        assert_eq!((seen.path(), seen.text()), ("/v1/responses/compact", expected), "as it is, without parameters");
    }
    let setup = Setup::start(Caller::Messages, "").await;
    let body = json!({ "model": "up/m1", "input": "a" });
    let got = http_client::post(setup.gateway.address, "/v1/responses/compact", &body).await.expect_status(400);
    let message = got.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("does not compact conversations"), "{message}");
    assert!(setup.mock.requests().is_empty());
}

#[tokio::test]
async fn stop_texts_cut_answers_of_an_upstream_that_takes_none() {
    let setup = Setup::start(Caller::Responses, "").await;
    let at = dialect::TEXT.find(' ').unwrap();
    let (kept, stop) = (&dialect::TEXT[..at], &dialect::TEXT[at..at + 3]);
    let ask = async |stream: bool| {
        let body = json!({
            "model": "up/m1", "messages": [{ "role": "user", "content": "case:text" }], "stop": [stop], "stream": stream,
            "stream_options": stream.then(|| json!({ "include_usage": true })),
        });
        let got = http_client::post(setup.gateway.address, "/v1/chat/completions", &body).await.expect_status(200);
        assert!(got.header("x-routeplane-losses").is_some_and(|losses| losses.starts_with("stop=emulated")), "{got:?}");
        assert!(!setup.seen().contains("\"stop\""), "{}", setup.seen());
        got
    };
    let whole = ask(false).await.json();
    assert_eq!(whole["choices"][0]["message"]["content"], kept);
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    assert_eq!(whole["usage"]["completion_tokens"], dialect::TEXT_TOKENS, "what it took, not what is shown of it");
    let events = ask(true).await.json_events();
    let said: String = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    let usage = events.iter().find_map(|event| event["usage"]["completion_tokens"].as_u64());
    assert_eq!((said.as_str(), usage), (kept, Some(dialect::TEXT_TOKENS)));
    // To callers whose protocol tells it, it is told which one was met.
    let body = json!({
        "model": "up/m1", "max_tokens": 99, "messages": [{ "role": "user", "content": "case:text" }],
        "stop_sequences": ["never", stop],
    });
    let headers = Caller::Messages.headers();
    let body = body.to_string();
    let got = http_client::request(setup.gateway.address, "POST", "/v1/messages", headers, body.as_bytes()).await;
    let got = got.expect_status(200).json();
    assert_eq!((&got["stop_reason"], &got["stop_sequence"]), (&json!("stop_sequence"), &json!(stop)));
}
