//! The machinery, with fetches that a test scripts and a clock that it moves.

use std::sync::Mutex;

use super::*;

/// A source whose fetches yield what the test says, one after the other; the last for ever.
fn scripted(script: &[(&'static str, Option<u64>)]) -> (Arc<TokenSource>, Arc<Mutex<usize>>) {
    let script: Vec<_> = script.to_vec();
    let count = Arc::new(Mutex::new(0));
    let fetches = Arc::clone(&count);
    let fetch: Fetch = Arc::new(move || {
        let at = {
            let mut count = fetches.lock().unwrap();
            *count += 1;
            *count - 1
        };
        let (text, seconds) = script[at.min(script.len() - 1)];
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            match text.strip_prefix('!') {
                Some(problem) => Err(problem.to_owned()),
                None => Ok(Grant {
                    credential: Credential::text(text).unwrap(),
                    lifetime: seconds.map(Duration::from_secs),
                }),
            }
        })
    });
    (Arc::new(TokenSource::new(blake3::hash(b"x"), fetch)), count)
}

async fn bearer(source: &Arc<TokenSource>) -> Result<String, String> {
    let credential = source.credential().await.map_err(|problem| problem.to_string())?;
    Ok(credential.bare().unwrap().to_str().unwrap().to_owned())
}

/// Lets what runs in the background come to its end.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test(start_paused = true)]
async fn all_that_wait_are_answered_by_one_fetch() {
    let (source, fetches) = scripted(&[("one", Some(3600))]);
    let waiting: Vec<_> =
        (0..50).map(|_| Arc::clone(&source)).map(|s| tokio::spawn(async move { bearer(&s).await })).collect();
    for one in waiting {
        assert_eq!(one.await.unwrap().unwrap(), "one");
    }
    assert_eq!(*fetches.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_ahead_of_its_end_while_it_is_used() {
    let (source, fetches) = scripted(&[("one", Some(3600)), ("two", Some(3600))]);
    assert_eq!(bearer(&source).await.unwrap(), "one");
    tokio::time::advance(Duration::from_secs(3600 - 250)).await;
    assert_eq!(bearer(&source).await.unwrap(), "one");
    settle().await;
    assert_eq!(*fetches.lock().unwrap(), 1, "not yet");
    tokio::time::advance(Duration::from_secs(15)).await;
    assert_eq!(bearer(&source).await.unwrap(), "one", "nobody waits for the renewal");
    settle().await;
    assert_eq!(bearer(&source).await.unwrap(), "two");
    assert_eq!(*fetches.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_short_life_is_used_for_three_quarters() {
    let (source, fetches) = scripted(&[("one", Some(100)), ("two", Some(100))]);
    assert_eq!(bearer(&source).await.unwrap(), "one");
    tokio::time::advance(Duration::from_secs(70)).await;
    bearer(&source).await.unwrap();
    settle().await;
    assert_eq!(*fetches.lock().unwrap(), 1);
    tokio::time::advance(Duration::from_secs(6)).await;
    bearer(&source).await.unwrap();
    settle().await;
    assert_eq!(*fetches.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_keeps_the_token_until_it_ends() {
    let (source, fetches) = scripted(&[("one", Some(3600)), ("!down", None), ("!down", None), ("!still down", None)]);
    assert_eq!(bearer(&source).await.unwrap(), "one");
    tokio::time::advance(Duration::from_secs(3400)).await;
    assert_eq!(bearer(&source).await.unwrap(), "one");
    settle().await;
    assert_eq!(bearer(&source).await.unwrap(), "one");
    settle().await;
    assert_eq!(*fetches.lock().unwrap(), 2, "not tried again at once");
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(bearer(&source).await.unwrap(), "one");
    settle().await;
    assert_eq!(*fetches.lock().unwrap(), 3);
    tokio::time::advance(Duration::from_secs(200)).await;
    assert_eq!(bearer(&source).await.unwrap_err(), "still down");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_remembered_for_a_moment_and_then_tried_again() {
    let (source, fetches) = scripted(&[("!down", None), ("one", None)]);
    assert_eq!(bearer(&source).await.unwrap_err(), "down");
    assert_eq!(bearer(&source).await.unwrap_err(), "down");
    assert_eq!(*fetches.lock().unwrap(), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(bearer(&source).await.unwrap(), "one");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_does_not_end_the_fetch_that_others_wait_for() {
    let (source, fetches) = scripted(&[("one", Some(3600))]);
    let first = Arc::clone(&source);
    let first = tokio::spawn(async move { bearer(&first).await });
    tokio::task::yield_now().await;
    let second = Arc::clone(&source);
    let second = tokio::spawn(async move { bearer(&second).await });
    tokio::task::yield_now().await;
    first.abort();
    assert_eq!(second.await.unwrap().unwrap(), "one");
    assert_eq!(*fetches.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once_and_not_again_and_again() {
    let (source, fetches) = scripted(&[("one", Some(3600)), ("two", Some(3600)), ("three", Some(3600))]);
    let one = source.credential().await.unwrap();
    let two = source.renewed(&one).await.expect("another token");
    assert_eq!(two.bare().unwrap(), "two");
    assert_eq!(source.renewed(&one).await.expect("the one that is there").bare().unwrap(), "two");
    assert!(source.renewed(&two).await.is_none(), "an upstream that refuses everything causes no storm of fetches");
    assert_eq!(*fetches.lock().unwrap(), 2);
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(source.renewed(&two).await.unwrap().bare().unwrap(), "three");
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_still_the_same_are_not_tried_again() {
    let (source, _) = scripted(&[("static", None)]);
    let refused = source.credential().await.unwrap();
    assert!(source.renewed(&refused).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_never_ends_is_given_up() {
    let fetch: Fetch = Arc::new(|| Box::pin(std::future::pending()));
    let source = Arc::new(TokenSource::new(blake3::hash(b"x"), fetch));
    assert_eq!(source.credential().await.err().unwrap().as_ref(), "no answer within 20 s");
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_panics_leaves_nobody_waiting() {
    let fetch: Fetch = Arc::new(|| Box::pin(async { panic!("a fault of routeplane") }));
    let source = Arc::new(TokenSource::new(blake3::hash(b"x"), fetch));
    let waiting = Arc::clone(&source);
    let waiting = tokio::spawn(async move { waiting.credential().await.map(drop) });
    let waited = tokio::time::timeout(Duration::from_secs(1), waiting).await;
    assert!(waited.is_ok_and(|ended| ended.unwrap().is_err()), "an error, at once");
}

#[tokio::test]
async fn the_clouds_clock_is_taken_over_where_it_differs_by_much() {
    let (source, _) = scripted(&[("x", None)]);
    source.note_time(SystemTime::now() + Duration::from_secs(20));
    assert_eq!(source.skew(), 0);
    source.note_time(SystemTime::now() - Duration::from_secs(3600));
    assert!((-3601..=-3599).contains(&source.skew()), "{}", source.skew());
    source.note_time(SystemTime::now());
    assert!((-1..=1).contains(&source.skew()), "{}", source.skew());
}

#[tokio::test(start_paused = true)]
async fn how_it_stands_is_said_without_a_fetch() {
    let (source, fetches) = scripted(&[("!no account", None), ("one", Some(3600)), ("!gone", None)]);
    assert_eq!((source.standing().state, source.standing().problem), (State::Unasked, None));
    assert_eq!(*fetches.lock().unwrap(), 0);
    assert!(bearer(&source).await.is_err());
    let standing = source.standing();
    assert_eq!((standing.state, standing.problem.as_deref()), (State::Missing, Some("no account")));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(source.standing().failed_s_ago, Some(2));
    assert_eq!(bearer(&source).await.unwrap(), "one");
    let standing = source.standing();
    assert_eq!((standing.state, standing.problem, standing.ends_in_s), (State::Usable, None, Some(3600)));
    // A renewal that fails is told while the old one works, and after.
    tokio::time::advance(Duration::from_secs(3600 - 100)).await;
    assert_eq!(bearer(&source).await.unwrap(), "one");
    settle().await;
    let standing = source.standing();
    assert_eq!((standing.state, standing.problem.as_deref()), (State::Usable, Some("gone")));
    tokio::time::advance(Duration::from_secs(100)).await;
    assert_eq!((source.standing().state, source.standing().ends_in_s), (State::Missing, Some(0)));
}
