//! What is live, what is wanted, and what became of the last reload: one record, shown by `/admin/config/status`,
//! `/readyz`, `routeplane status`, the metrics and the service manager.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::watch;

use crate::telemetry::clock::rfc3339;
use crate::telemetry::metrics::{Metrics, ReloadResult, WatchState};

/// The state of the configuration.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub version: &'static str,
    /// The file; absent where the built-in defaults hold.
    pub config: Option<PathBuf>,
    /// Where requests are accepted.
    pub listen: SocketAddr,
    pub active: Version,
    /// The file as it is now. Differs from `active` while it is refused.
    pub desired: Desired,
    /// The file is not what is live.
    pub drift: bool,
    /// The file is gone.
    pub config_missing: bool,
    pub last_reload: Reload,
    /// Why the file as it is now was refused; empty when it is live.
    pub last_error: serde_json::Value,
    pub watch: Watching,
    /// The process is stopping.
    pub draining: bool,
}

/// A configuration that is live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    pub generation: u64,
    pub id: String,
    /// RFC 3339, UTC.
    pub since: String,
}

/// The file as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Desired {
    pub id: String,
    pub since: String,
}

/// The last reload that had something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reload {
    /// `ack`, `nack` or `noop`.
    pub result: &'static str,
    pub at: String,
    /// What an accepted file changed, a line each.
    pub changes: Vec<String>,
}

/// How the file is watched, and why it is not watched better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Watching {
    pub mode: &'static str,
    pub detail: Option<String>,
}

/// The current [`Status`], and everybody who is told when it changes.
pub struct Board {
    status: watch::Sender<Status>,
    metrics: Arc<Metrics>,
    history: Mutex<VecDeque<Entry>>,
}

/// Reloads that are remembered.
const REMEMBERED: usize = 50;

/// A reload of the past that changed something, or was refused.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The configuration that is live since.
    pub generation: u64,
    /// Of the file that was read.
    pub id: String,
    #[serde(flatten)]
    pub reload: Reload,
    /// Why it was refused; empty where it was not.
    pub errors: serde_json::Value,
}

impl Board {
    /// The board of a process whose first configuration is live.
    pub fn new(config: Option<PathBuf>, listen: SocketAddr, id: &str, metrics: Arc<Metrics>) -> Board {
        let now = SystemTime::now();
        let at = rfc3339(now);
        metrics.config.activated(1, short(id), unix_seconds(now));
        metrics.config.watch(WatchState::Off);
        metrics.config.generations(1, 0.0);
        let status = Status {
            version: env!("CARGO_PKG_VERSION"),
            config,
            listen,
            active: Version { generation: 1, id: id.to_owned(), since: at.clone() },
            desired: Desired { id: id.to_owned(), since: at.clone() },
            drift: false,
            config_missing: false,
            last_reload: Reload { result: ReloadResult::Ack.name(), at, changes: Vec::new() },
            last_error: serde_json::Value::Array(Vec::new()),
            watch: Watching { mode: WatchState::Off.name(), detail: None },
            draining: false,
        };
        let first = Entry {
            generation: 1,
            id: id.to_owned(),
            reload: status.last_reload.clone(),
            errors: serde_json::Value::Array(Vec::new()),
        };
        Board { status: watch::Sender::new(status), metrics, history: Mutex::new([first].into()) }
    }

    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The last reloads that changed something or were refused, newest first; the last of them is the start, if it is still
    /// remembered.
    pub fn history(&self) -> Vec<Entry> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn remember(&self, id: &str, errors: serde_json::Value) {
        let (generation, reload) = {
            let status = self.status.borrow();
            (status.active.generation, status.last_reload.clone())
        };
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.push_front(Entry { generation, id: id.to_owned(), reload, errors });
        history.truncate(REMEMBERED);
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The file is live as generation `generation`.
    pub fn acknowledge(&self, generation: u64, id: &str, listen: SocketAddr, changes: Vec<String>) {
        let now = SystemTime::now();
        let at = rfc3339(now);
        self.metrics.config.activated(generation, short(id), unix_seconds(now));
        self.metrics.config.count(ReloadResult::Ack);
        self.status.send_modify(|status| {
            status.listen = listen;
            status.active = Version { generation, id: id.to_owned(), since: at.clone() };
            status.last_reload = Reload { result: ReloadResult::Ack.name(), at, changes };
            status.settle();
        });
        self.remember(id, serde_json::Value::Array(Vec::new()));
        service_manager::ready(&format!("generation {generation} is live"));
    }

    /// The file is what is live already. Says whether that ended a drift.
    pub fn unchanged(&self) -> bool {
        self.metrics.config.count(ReloadResult::Noop);
        self.metrics.config.in_step();
        let ended = self.status.borrow().drift;
        self.status.send_modify(|status| {
            status.last_reload =
                Reload { result: ReloadResult::Noop.name(), at: rfc3339(SystemTime::now()), changes: Vec::new() };
            status.settle();
        });
        let generation = self.status.borrow().active.generation;
        service_manager::ready(&format!("generation {generation} is live"));
        ended
    }

    /// The file is refused; what was live stays.
    pub fn refuse(&self, id: &str, missing: bool, errors: serde_json::Value) {
        let at = rfc3339(SystemTime::now());
        self.metrics.config.refused(missing);
        self.metrics.config.count(ReloadResult::Nack);
        self.status.send_modify(|status| {
            if status.desired.id != id {
                status.desired = Desired { id: id.to_owned(), since: at.clone() };
            }
            status.drift = true;
            status.config_missing = missing;
            status.last_reload = Reload { result: ReloadResult::Nack.name(), at, changes: Vec::new() };
            status.last_error = errors.clone();
        });
        self.remember(id, errors);
        let generation = self.status.borrow().active.generation;
        service_manager::ready(&format!("the file is refused; generation {generation} stays live"));
    }

    /// One more request was answered by a reload that another had started.
    pub fn coalesced(&self) {
        self.metrics.config.count(ReloadResult::Coalesced);
    }

    pub fn watching(&self, state: WatchState, detail: Option<String>) {
        self.metrics.config.watch(state);
        let watching = Watching { mode: state.name(), detail };
        let changed = self.status.send_if_modified(|status| {
            let changed = status.watch != watching;
            status.watch = watching.clone();
            changed
        });
        match &watching.detail {
            Some(detail) if changed => tracing::warn!(mode = watching.mode, %detail, "the configuration is polled"),
            _ if changed => tracing::info!(mode = watching.mode, "watching the configuration"),
            _ => {}
        }
    }

    /// The process is stopping: no reload is accepted any more, and `/readyz` says so.
    pub fn drain(&self) {
        self.status.send_modify(|status| status.draining = true);
        service_manager::stopping();
    }
}

impl Status {
    fn settle(&mut self) {
        if self.desired.id != self.active.id {
            self.desired = Desired { id: self.active.id.clone(), since: rfc3339(SystemTime::now()) };
        }
        self.drift = false;
        self.config_missing = false;
        self.last_error = serde_json::Value::Array(Vec::new());
    }

    /// `"g42-<id16>"`: equal for equal generation and content, with its quotation marks.
    pub fn etag(&self) -> String {
        format!("\"g{}-{}\"", self.active.generation, short(&self.active.id))
    }
}

/// The first 16 digits of an id: enough to compare by eye.
pub fn short(id: &str) -> &str {
    id.get(..16).unwrap_or(id)
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// systemd's readiness protocol (sd_notify); silent where there is no service manager.
pub mod service_manager {
    use sd_notify::NotifyState;

    pub fn ready(status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// systemd 253 and newer want the time with it.
    pub fn reloading() {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            tell(&[NotifyState::Reloading, now]);
        }
    }

    pub(super) fn stopping() {
        tell(&[NotifyState::Stopping]);
    }

    fn tell(state: &[NotifyState]) {
        if let Err(error) = sd_notify::notify(state) {
            tracing::debug!(%error, "the service manager cannot be told");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_709_164_800), "2024-02-29T00:00:00Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn a_refusal_drifts_and_the_old_content_ends_it() {
        let metrics = Arc::new(Metrics::new());
        let board = Board::new(None, ([127, 0, 0, 1], 4356).into(), "aaaa", metrics);
        board.refuse("bbbb", true, serde_json::json!([{ "code": "RP0180" }]));
        let status = board.status();
        assert!(status.drift && status.config_missing);
        let history = board.history();
        assert_eq!(history.iter().map(|entry| entry.reload.result).collect::<Vec<_>>(), ["nack", "ack"]);
        assert_eq!((history[0].id.as_str(), history[0].generation), ("bbbb", 1));
        assert_eq!(history[0].errors[0]["code"], "RP0180");
        assert_eq!((status.active.generation, status.desired.id.as_str()), (1, "bbbb"));
        assert!(board.unchanged());
        let status = board.status();
        assert!(!status.drift && !status.config_missing);
        assert_eq!(status.desired.id, "aaaa");
        assert!(!board.unchanged());
    }
}
