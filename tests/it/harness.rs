//! The harness proves itself: the mock's answers, heard by the callers without a gateway between them, and its faults.

use std::time::Duration;

use tokio::time::Instant;

use crate::callers::Caller;
use crate::mock_upstream::{Act, MockUpstream, dialect};

#[tokio::test]
async fn the_mock_says_the_same_in_every_dialect_whole_and_streamed() {
    let mock = MockUpstream::good().await;
    for case in ["case:text", "case:reasoning", "case:tools", "case:image", "case:structured"] {
        let mut all = Vec::new();
        for caller in Caller::ALL {
            let whole = caller.ask(mock.address(), "m1", case, false).await.expect_status(200);
            let stream = caller.ask(mock.address(), "m1", case, true).await.expect_status(200);
            assert!(stream.complete && caller.has_end_marker(&stream), "{caller:?}: {stream:?}");
            let heard = caller.heard(&whole);
            assert_eq!(heard, caller.heard_in_stream(&stream), "{caller:?}, {case}");
            all.push((heard.text, heard.reasoning, heard.calls, heard.usage));
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{case}: {all:#?}");
    }
}

#[tokio::test]
async fn the_mock_reads_tool_results_in_every_dialect() {
    let mock = MockUpstream::good().await;
    for caller in Caller::ALL {
        let answer = caller.post(mock.address(), "m1", &caller.tool_results("m1"), false).await.expect_status(200);
        let text = caller.heard(&answer).text;
        assert!(["sunny", "rainy", "noon"].iter().all(|word| text.contains(word)), "{caller:?}: {text}");
    }
}

#[tokio::test]
async fn the_mock_refuses_in_the_dialect() {
    let mock = MockUpstream::good().await;
    for caller in Caller::ALL {
        let answer = caller.ask(mock.address(), "m1", "case:error-404", false).await.expect_status(404);
        let (kind, message) = caller.error(&answer.json());
        assert!(["model_not_found", "not_found_error", "NOT_FOUND", ""].contains(&kind.as_str()), "{kind}");
        assert_eq!(message, "the mock was asked for 404");
    }
}

#[tokio::test]
async fn acts_are_played_in_order_and_the_last_one_stays() {
    let mock = MockUpstream::start([Act::status(500), Act::rate_limited("7"), Act::Answer]).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(Caller::Chat.ask(mock.address(), "m1", "hello", false).await.status);
    }
    assert_eq!(statuses, [500, 429, 200, 200]);
    assert_eq!(mock.requests().len(), 4);
}

#[tokio::test]
async fn a_truncated_stream_is_well_framed_and_lacks_the_end_marker() {
    let mock = MockUpstream::start([Act::Truncate(3)]).await;
    for caller in Caller::ALL {
        let answer = caller.ask(mock.address(), "m1", "hello", true).await;
        assert!(answer.complete && !caller.has_end_marker(&answer), "{caller:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_reset_stream_is_cut() {
    let mock = MockUpstream::start([Act::ResetMidStream(3)]).await;
    let answer = Caller::Chat.ask(mock.address(), "m1", "hello", true).await;
    assert!(!answer.complete && answer.text().contains("Hello"), "{answer:?}");
}

#[tokio::test]
async fn a_stream_error_is_the_last_event() {
    let mock = MockUpstream::start([Act::StreamError(3)]).await;
    for caller in Caller::ALL {
        let answer = caller.ask(mock.address(), "m1", "hello", true).await;
        assert_eq!(caller.in_band_error(&answer).as_deref(), Some("overloaded in the middle"));
    }
}

#[tokio::test]
async fn the_mock_notices_when_its_caller_leaves() {
    for act in
        [Act::StallBeforeHead, Act::StallMidBody, Act::StallMidStream(2), Act::SlowStream(Duration::from_secs(9))]
    {
        let mock = MockUpstream::start([act]).await;
        let connection = Caller::Chat.begin(mock.address(), "m1", "hello", true).await;
        mock.wait_for_requests(1).await;
        let left = Instant::now();
        drop(connection);
        assert!(mock.wait_for_hang_up(0).await - left < Duration::from_millis(200));
        assert!(!mock.only_request().finished);
    }
}

#[tokio::test]
async fn embeddings_and_token_counts_are_there() {
    let mock = MockUpstream::good().await;
    let body = serde_json::json!({ "model": "e1", "input": ["one", "three"] });
    let answer = crate::http_client::post(mock.address(), "/v1/embeddings", &body).await.json();
    assert_eq!(answer["data"][1]["embedding"], serde_json::json!(dialect::vector("three")));
    let count = crate::http_client::post(mock.address(), "/v1/messages/count_tokens", &body).await.json();
    assert_eq!(count["input_tokens"], dialect::COUNTED_TOKENS);
}
