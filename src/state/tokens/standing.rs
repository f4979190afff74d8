//! How it stands with a provider's credentials, for people and programs.

use serde::Serialize;
use tokio::time::Instant;

use super::TokenSource;

/// What is held, and what became of the last fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub state: State,
    /// Seconds to the end of what is held; absent where it has none that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_in_s: Option<u64>,
    /// Why the last fetch gave nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How long ago that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_s_ago: Option<u64>,
}

/// Whether requests can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody has asked for one yet.
    Unasked,
    Usable,
    /// The last one has ended, or none could be had.
    Missing,
}

impl TokenSource {
    /// How it stands now. Nothing is fetched for the sake of that.
    pub fn standing(&self) -> Standing {
        let now = Instant::now();
        let held = self.current.load();
        let failed = self.rounds.borrow().failed.clone();
        let left = held.as_ref().and_then(|held| held.ends_at).map(|end| end.saturating_duration_since(now));
        let state = match (held.as_ref(), left) {
            (Some(_), Some(left)) if left.is_zero() => State::Missing,
            (Some(_), _) => State::Usable,
            (None, _) if failed.is_some() => State::Missing,
            (None, _) => State::Unasked,
        };
        Standing {
            state,
            ends_in_s: left.map(|left| left.as_secs()),
            failed_s_ago: failed.as_ref().map(|(at, _)| now.saturating_duration_since(*at).as_secs()),
            problem: failed.map(|(_, problem)| problem.to_string()),
        }
    }
}
