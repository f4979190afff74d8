//! The request path, end to end: every client protocol in front of every upstream protocol, and what passes untouched.

use serde_json::json;

use crate::callers::{Caller, Heard};
use crate::gateway::{Gateway, providers};
use crate::http_client::{self, Response};
use crate::keep_alive::first_word;
use crate::mock_upstream::{Act, MockUpstream, dialect};

/// One upstream for each protocol, and a gateway in front of them.
struct Matrix {
    gateway: Gateway,
    upstreams: Vec<(Caller, MockUpstream)>,
}

impl Matrix {
    async fn start() -> Matrix {
        let mut upstreams = Vec::new();
        for upstream in Caller::ALL {
            upstreams.push((upstream, MockUpstream::good().await));
        }
        let entries: Vec<_> =
            upstreams.iter().map(|(upstream, mock)| (name(*upstream), upstream.protocol(), mock)).collect();
        let gateway = Gateway::start(&providers(&entries)).await;
        Matrix { gateway, upstreams }
    }

    /// Every pair of a caller and an upstream, as the model that leads there.
    fn pairs(&self) -> impl Iterator<Item = (Caller, Caller, String)> {
        let pair = |caller| Caller::ALL.map(|upstream| (caller, upstream, format!("{}/m1", name(upstream))));
        Caller::ALL.into_iter().flat_map(pair)
    }

    async fn ask(&self, caller: Caller, model: &str, case: &str, stream: bool) -> Response {
        let answer = caller.ask(self.gateway.address, model, case, stream).await;
        assert!(answer.complete, "{caller:?} to {model}, {case}: {answer:?}");
        answer
    }

    /// Asks every pair for `case`, whole and streamed, and hands what was heard to `check`.
    async fn check(&self, case: &str, check: impl Fn(Caller, Caller, &Heard)) {
        for (caller, upstream, model) in self.pairs() {
            let whole = self.ask(caller, &model, case, false).await.expect_status(200);
            check(caller, upstream, &caller.heard(&whole));
            let stream = self.ask(caller, &model, case, true).await.expect_status(200);
            assert!(caller.has_end_marker(&stream), "{caller:?} to {model}, {case}: {stream:?}");
            check(caller, upstream, &caller.heard_in_stream(&stream));
        }
    }
}

/// The provider's name in the matrix.
fn name(upstream: Caller) -> &'static str {
    match upstream {
        Caller::Chat => "chat",
        Caller::Responses => "responses",
        Caller::Messages => "messages",
        Caller::Gemini => "gemini",
        Caller::Converse => "converse",
    }
}

fn stop_word(caller: Caller, calls: bool) -> &'static str {
    match (caller, calls) {
        (Caller::Chat, false) => "stop",
        (Caller::Chat, true) => "tool_calls",
        (Caller::Responses, _) => "completed",
        (Caller::Messages | Caller::Converse, false) => "end_turn",
        (Caller::Messages | Caller::Converse, true) => "tool_use",
        (Caller::Gemini, _) => "STOP",
    }
}

#[tokio::test]
async fn text_usage_and_stop_reason_in_every_pair() {
    let matrix = Matrix::start().await;
    let check = |caller: Caller, upstream: Caller, heard: &Heard| {
        let expected = Heard {
            text: dialect::TEXT.to_owned(),
            stop: stop_word(caller, false).to_owned(),
            usage: (dialect::INPUT_TOKENS, dialect::CACHED_TOKENS, dialect::TEXT_TOKENS),
            ..Heard::default()
        };
        assert_eq!(heard, &expected, "{caller:?} to {upstream:?}");
    };
    matrix.check("hello", check).await;
}

#[tokio::test]
async fn three_parallel_tool_calls_in_every_pair() {
    let matrix = Matrix::start().await;
    let expected: Vec<_> = dialect::CALLS
        .iter()
        .map(|(_, name, arguments)| ((*name).to_owned(), serde_json::from_str::<serde_json::Value>(arguments).unwrap()))
        .collect();
    let check = |caller: Caller, upstream: Caller, heard: &Heard| {
        assert_eq!(heard.calls, expected, "{caller:?} to {upstream:?}");
        assert_eq!(heard.stop, stop_word(caller, true), "{caller:?} to {upstream:?}");
    };
    matrix.check("case:tools", check).await;
}

#[tokio::test]
async fn tool_results_reach_every_upstream_in_order() {
    let matrix = Matrix::start().await;
    for (caller, upstream, model) in matrix.pairs() {
        let body = caller.tool_results(&model);
        let answer = caller.post(matrix.gateway.address, &model, &body, false).await.expect_status(200);
        let text = caller.heard(&answer).text;
        let places: Vec<_> = ["sunny", "rainy", "noon"].iter().map(|word| text.find(word)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{caller:?} to {upstream:?}: {text}");
    }
}

#[tokio::test]
async fn reasoning_in_every_pair() {
    let matrix = Matrix::start().await;
    let check = |caller: Caller, upstream: Caller, heard: &Heard| {
        assert_eq!(heard.reasoning, dialect::REASONING, "{caller:?} to {upstream:?}");
        assert_eq!(heard.text, dialect::TEXT, "{caller:?} to {upstream:?}");
        assert_eq!(heard.usage.2, dialect::TEXT_TOKENS + dialect::REASONING_TOKENS, "{caller:?} to {upstream:?}");
    };
    matrix.check("case:reasoning", check).await;
}

#[tokio::test]
async fn images_in_every_pair() {
    let matrix = Matrix::start().await;
    let expected = format!("image/png of {} bytes", dialect::decoded_length(crate::callers::IMAGE));
    matrix
        .check("case:image", |caller, upstream, heard| assert_eq!(heard.text, expected, "{caller:?} to {upstream:?}"))
        .await;
}

#[tokio::test]
async fn structured_output_in_every_pair() {
    let matrix = Matrix::start().await;
    let check = |caller: Caller, upstream: Caller, heard: &Heard| {
        assert_eq!(heard.text, dialect::STRUCTURED, "{caller:?} to {upstream:?}");
    };
    matrix.check("case:structured", check).await;
}

#[tokio::test]
async fn upstream_errors_speak_the_callers_dialect() {
    let matrix = Matrix::start().await;
    let kinds = |status| match status {
        400 => ["", "", "invalid_request_error", "INVALID_ARGUMENT", ""],
        404 => ["model_not_found", "model_not_found", "not_found_error", "NOT_FOUND", ""],
        _ => ["rate_limit_exceeded", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED", ""],
    };
    for status in [400, 404, 429] {
        for (caller, upstream, model) in matrix.pairs() {
            for stream in [false, true] {
                let case = format!("case:error-{status}");
                let answer = matrix.ask(caller, &model, &case, stream).await.expect_status(status);
                let (kind, message) = caller.error(&answer.json());
                assert!(message.contains(&format!("the mock was asked for {status}")), "{caller:?}: {message}");
                let expected = kinds(status)[caller as usize];
                assert!(
                    expected.is_empty() || kind == expected,
                    "{caller:?} to {upstream:?}: `{kind}`, not `{expected}`"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_refused_provider_key_does_not_look_like_a_refused_client_key() {
    let matrix = Matrix::start().await;
    for (caller, _, model) in matrix.pairs() {
        let answer = matrix.ask(caller, &model, "case:error-401", false).await;
        assert_eq!(answer.status, caller.status(502), "{answer:?}");
        caller.error(&answer.json());
    }
}

#[tokio::test]
async fn every_answer_says_who_served_it() {
    let matrix = Matrix::start().await;
    for (caller, upstream, model) in matrix.pairs() {
        for stream in [false, true] {
            let answer = matrix.ask(caller, &model, "hello", stream).await;
            let header =
                |name: &str| answer.header(name).unwrap_or_else(|| panic!("no `{name}`: {answer:?}")).to_owned();
            assert_eq!(header("x-routeplane-target"), model);
            assert_eq!(header("x-routeplane-route"), model);
            assert_eq!(header("x-routeplane-attempts"), "1");
            assert_eq!(header("x-routeplane-generation"), "1");
            assert!(!header("x-request-id").is_empty(), "{caller:?} to {upstream:?}");
        }
    }
}

#[tokio::test]
async fn what_a_target_cannot_express_is_reported() {
    let matrix = Matrix::start().await;
    let mut body = Caller::Chat.body("messages/m1", "hello", false);
    body["seed"] = json!(7);
    let answer = Caller::Chat.post(matrix.gateway.address, "messages/m1", &body, false).await.expect_status(200);
    let losses = answer.header("x-routeplane-losses").unwrap_or_else(|| panic!("no losses: {answer:?}"));
    assert!(losses.contains("seed"), "{losses}");
    body["model"] = json!("chat/m1");
    let same = Caller::Chat.post(matrix.gateway.address, "chat/m1", &body, false).await.expect_status(200);
    assert_eq!(same.header("x-routeplane-losses"), None, "{same:?}");
}

#[tokio::test]
async fn streams_are_not_cached_on_their_way() {
    let matrix = Matrix::start().await;
    for (caller, _, model) in matrix.pairs() {
        let answer = matrix.ask(caller, &model, "hello", true).await;
        let expected =
            if caller == Caller::Converse { "application/vnd.amazon.eventstream" } else { "text/event-stream" };
        assert!(answer.header("content-type").unwrap().starts_with(expected), "{answer:?}");
        assert_eq!(answer.header("content-encoding"), None);
        assert_eq!(answer.header("content-length"), None);
    }
}

/// A body with everything that a rewrite would change: blanks, order, escapes, numbers, unknown members.
fn odd_body(caller: Caller, model: &str) -> String {
    let conversation = match caller {
        Caller::Gemini => {
            "\"contents\" : [ {\"parts\":[{\"text\":\"h\\u0065llo \\ud83d\\ude00\"}],\n\t\"role\":\"user\"} ]"
        }
        Caller::Responses => "\"input\" : [ {\"content\":\"h\\u0065llo \\ud83d\\ude00\",\n\t\"role\":\"user\"} ]",
        Caller::Chat | Caller::Messages | Caller::Converse => {
            "\"messages\" : [ {\"content\":\"h\\u0065llo \\ud83d\\ude00\",\n\t\"role\":\"user\"} ]"
        }
    };
    let model = if matches!(caller, Caller::Gemini | Caller::Converse) {
        String::new()
    } else {
        format!("\"model\"  :  \"{model}\" , ")
    };
    format!(
        "{{ \"z_unknown\": {{\"b\": 1, \"a\": [1.0, 1e400, 123456789012345678901234567890]}},\r\n {model}\"max_tokens\":  12 ,\
         {conversation}, \"a_unknown\":null}}  "
    )
}

#[tokio::test]
async fn a_pass_through_changes_nothing_but_the_model() {
    // Blanks and unknown members in the answer too: nobody reads it on the way.
    let answer = "{ \"z\": 1e400,\r\n\t\"choices\" : [ ], \"content\":[],\"candidates\":[], \"a\":\"\\u0065\" }\n";
    for caller in Caller::ALL {
        let body = answer.as_bytes().to_vec();
        let mock = MockUpstream::start([Act::Respond { status: 200, headers: Vec::new(), body }]).await;
        let gateway = Gateway::start(&providers(&[("up", caller.protocol(), &mock)])).await;
        let (sent, target) = (odd_body(caller, "up/m1"), caller.target("up/m1", false));
        let got = http_client::request(gateway.address, "POST", &target, caller.headers(), sent.as_bytes()).await;
        assert_eq!(got.expect_status(200).text(), answer, "{caller:?}");
        let seen = mock.only_request().request;
        assert_eq!(seen.text(), sent.replace("\"up/m1\"", "\"m1\""), "{caller:?}");
        assert_eq!(
            seen.path().trim_start_matches("/v1beta"),
            caller.target("m1", false).trim_start_matches("/v1beta"),
            "{caller:?}"
        );
    }
}

#[tokio::test]
async fn a_passed_through_stream_is_the_upstreams_bytes() {
    let matrix = Matrix::start().await;
    for (caller, mock) in &matrix.upstreams {
        for case in ["hello", "case:tools", "case:reasoning"] {
            let through = matrix.ask(*caller, &format!("{}/m1", name(*caller)), case, true).await;
            let direct = caller.ask(mock.address(), "m1", case, true).await;
            assert_eq!(through.text(), direct.text(), "{caller:?}");
        }
    }
}

#[tokio::test]
async fn a_chat_caller_that_did_not_ask_for_usage_gets_a_plain_stream() {
    let matrix = Matrix::start().await;
    for (_, upstream, model) in matrix.pairs().filter(|(caller, ..)| *caller == Caller::Chat) {
        let mut body = Caller::Chat.body(&model, "hello", true);
        body.as_object_mut().unwrap().remove("stream_options");
        let answer = Caller::Chat.post(matrix.gateway.address, &model, &body, true).await.expect_status(200);
        assert!(Caller::Chat.has_end_marker(&answer), "{answer:?}");
        assert_eq!(Caller::Chat.heard_in_stream(&answer).text, dialect::TEXT);
        assert!(!answer.text().contains("prompt_tokens"), "{upstream:?}: {answer:?}");
    }
}

#[tokio::test]
async fn no_event_is_held_back() {
    let pause = std::time::Duration::from_millis(150);
    for upstream in Caller::ALL {
        let mock = MockUpstream::start([Act::SlowStream(pause)]).await;
        let gateway = Gateway::start(&providers(&[("up", upstream.protocol(), &mock)])).await;
        for caller in Caller::ALL {
            let mut connection = caller.begin(gateway.address, "up/m1", "hello", true).await;
            let started = tokio::time::Instant::now();
            connection.head().await;
            let mut seen = String::new();
            while !seen.contains("Hello") {
                seen += &String::from_utf8_lossy(&connection.chunk().await.expect("the first word"));
            }
            // The whole stream has at least three events more.
            let first = u32::try_from(first_word(upstream)).unwrap();
            assert!(
                started.elapsed() < pause * (2 * first + 3) / 2,
                "{caller:?} to {upstream:?}: {:?}",
                started.elapsed()
            );
            assert!(!seen.contains("mock."), "{caller:?} to {upstream:?}: {seen}");
        }
    }
}

#[tokio::test]
async fn connections_to_the_upstream_are_used_again() {
    let matrix = Matrix::start().await;
    let (_, mock) = &matrix.upstreams[0];
    for turn in 0..6 {
        matrix.ask(Caller::Chat, "chat/m1", "hello", turn % 2 == 1).await.expect_status(200);
    }
    let connections: std::collections::BTreeSet<_> = mock.requests().iter().map(|record| record.connection).collect();
    // A caller has its answer a moment before the connection is free again: a hurried one may find it busy, and then there are
    // two. More would mean that free ones are passed over.
    assert!(connections.len() <= 2, "six requests, one after the other, took {connections:?}");
}

#[tokio::test]
async fn many_requests_on_one_connection() {
    let matrix = Matrix::start().await;
    let mut connection = http_client::Connection::open(matrix.gateway.address).await;
    for (caller, _, model) in matrix.pairs() {
        for stream in [false, true] {
            let body = caller.body(&model, "hello", stream).to_string();
            connection.send("POST", &caller.target(&model, stream), caller.headers(), body.as_bytes()).await;
            connection.response().await.expect_status(200);
        }
    }
}

#[tokio::test]
async fn a_stream_without_alt_sse_is_a_json_array_for_google_callers() {
    let matrix = Matrix::start().await;
    for upstream in Caller::ALL.map(name) {
        let target = format!("/v1beta/models/{upstream}/m1:streamGenerateContent");
        let body = Caller::Gemini.body("", "hello", false);
        let answer = http_client::post(matrix.gateway.address, &target, &body).await.expect_status(200);
        let chunks = answer.json();
        let texts = chunks.as_array().expect("an array").iter();
        let text: String =
            texts.filter_map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str()).collect();
        assert_eq!(text, dialect::TEXT, "to {upstream}");
    }
}

#[tokio::test]
async fn google_paths_under_v1_and_with_an_escaped_slash() {
    let matrix = Matrix::start().await;
    for target in ["/v1/models/chat/m1:generateContent", "/v1beta/models/chat%2Fm1:generateContent"] {
        let answer = http_client::post(matrix.gateway.address, target, &Caller::Gemini.body("", "hello", false)).await;
        assert_eq!(Caller::Gemini.heard(&answer.expect_status(200)).text, dialect::TEXT);
    }
}

#[tokio::test]
async fn embeddings_reach_both_families() {
    let matrix = Matrix::start().await;
    for model in ["chat/e1", "gemini/e1"] {
        let body = json!({ "model": model, "input": ["one", "three"] });
        let answer = http_client::post(matrix.gateway.address, "/v1/embeddings", &body).await.expect_status(200).json();
        assert_eq!(answer["data"][1]["embedding"], json!(dialect::vector("three")), "{model}: {answer}");
        let body = json!({ "model": model, "input": "one", "encoding_format": "base64" });
        let answer = http_client::post(matrix.gateway.address, "/v1/embeddings", &body).await.expect_status(200).json();
        assert!(answer["data"][0]["embedding"].is_string(), "{model}: {answer}");
        let requests = json!({ "requests": [
            { "model": format!("models/{model}"), "content": { "parts": [{ "text": "three" }] } },
        ] });
        let target = format!("/v1beta/models/{model}:batchEmbedContents");
        let answer = http_client::post(matrix.gateway.address, &target, &requests).await.expect_status(200).json();
        assert_eq!(answer["embeddings"][0]["values"], json!(dialect::vector("three")), "{model}: {answer}");
    }
    let body = json!({ "model": "messages/e1", "input": "one" });
    let answer = http_client::post(matrix.gateway.address, "/v1/embeddings", &body).await;
    assert!((400..500).contains(&answer.status), "Anthropic has no embeddings: {answer:?}");
}

#[tokio::test]
async fn tokens_are_counted_upstream_or_estimated() {
    let matrix = Matrix::start().await;
    for (caller, upstream, model) in matrix.pairs().filter(|(caller, ..)| *caller != Caller::Chat) {
        let mut body = caller.body(&model, "hello", false);
        let (target, member) = match caller {
            Caller::Responses => ("/v1/responses/input_tokens".to_owned(), "input_tokens"),
            Caller::Messages => ("/v1/messages/count_tokens".to_owned(), "input_tokens"),
            Caller::Converse => {
                body = json!({ "input": { "converse": body } });
                (format!("/model/{}/count-tokens", model.replace('/', "%2F")), "inputTokens")
            }
            _ => (format!("/v1beta/models/{model}:countTokens"), "totalTokens"),
        };
        body.as_object_mut().unwrap().remove("max_tokens");
        let sent = body.to_string();
        let answer =
            http_client::request(matrix.gateway.address, "POST", &target, caller.headers(), sent.as_bytes()).await;
        let count = answer.expect_status(200).json()[member].as_u64();
        match upstream {
            Caller::Chat => assert!(count.is_some_and(|count| count > 0), "{caller:?}: estimated"),
            Caller::Responses | Caller::Messages | Caller::Gemini | Caller::Converse => {
                assert_eq!(count, Some(dialect::COUNTED_TOKENS), "{caller:?} to {upstream:?}")
            }
        }
    }
}

#[tokio::test]
async fn models_are_listed_in_three_dialects() {
    let mock = MockUpstream::good().await;
    let yaml = format!(
        "version: 1\nproviders:\n  up: {{ protocol: openai-chat, base_url: \"{}\", key: env:KEY_OF_up, models: [m1, m2] }}\n\
         presets:\n  fast: {{ route: up/m1 }}\n",
        mock.base_url("openai-chat")
    );
    let gateway = Gateway::start(&yaml).await;
    let list = |headers: &'static [(&'static str, &'static str)], target: &'static str| async move {
        http_client::request(gateway.address, "GET", target, headers, b"").await.expect_status(200).json()
    };
    let names = |items: &serde_json::Value, member: &str| -> Vec<String> {
        items.as_array().unwrap().iter().map(|item| item[member].as_str().unwrap().to_owned()).collect()
    };
    let openai = list(&[], "/v1/models").await;
    assert_eq!(openai["object"], "list");
    let ids = names(&openai["data"], "id");
    assert!(["up/m1", "up/m2", "fast"].iter().all(|id| ids.iter().any(|known| known == id)), "{ids:?}");
    assert_eq!(list(&[], "/v1/models?client_version=0.130.0").await, openai, "what Codex adds changes nothing");
    let anthropic = list(&[("anthropic-version", "2023-06-01")], "/v1/models").await;
    assert_eq!(anthropic["has_more"], false);
    assert_eq!(names(&anthropic["data"], "id"), ids);
    let google = list(&[], "/v1beta/models").await;
    let expected: Vec<String> = ids.iter().map(|id| format!("models/{id}")).collect();
    assert_eq!(names(&google["models"], "name"), expected);
    assert!(mock.requests().is_empty(), "the list is the table's, not the upstream's");
}

#[tokio::test]
async fn an_unknown_model_is_a_404_with_a_suggestion() {
    let matrix = Matrix::start().await;
    for caller in Caller::ALL {
        for (asked, suggestion) in [("@nothing", None), ("chta/m1", Some("chat"))] {
            let answer = caller.ask(matrix.gateway.address, asked, "hello", false).await.expect_status(404);
            let (kind, message) = caller.error(&answer.json());
            assert!(["model_not_found", "not_found_error", "NOT_FOUND", ""].contains(&kind.as_str()), "{kind}");
            assert!(message.contains(asked), "{message}");
            assert!(suggestion.is_none_or(|name| message.contains(name)), "{message}");
            assert!(answer.header("x-request-id").is_some());
        }
    }
}

#[tokio::test]
async fn a_request_id_of_the_caller_is_kept_where_it_is_harmless() {
    let matrix = Matrix::start().await;
    let ask = |id: &'static str| {
        let body = Caller::Chat.body("chat/m1", "hello", false).to_string();
        let address = matrix.gateway.address;
        async move {
            let answer =
                http_client::request(address, "POST", "/v1/chat/completions", &[("x-request-id", id)], body.as_bytes())
                    .await;
            answer.header("x-request-id").unwrap().to_owned()
        }
    };
    assert_eq!(ask("abc-123.X_y").await, "abc-123.X_y");
    let replaced = ask("not an id; really").await;
    assert!(replaced.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)), "{replaced}");
}
