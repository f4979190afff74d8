//! Short-lived credentials of clouds: fetched when a request first needs one, renewed in the background ahead of their
//! end, and carried over a reload that does not change whose they are.
//!
//! | file | what it does |
//! |---|---|
//! | `aws` | AWS keys from the places where AWS's SDKs look, and signatures made with them |
//! | `google` | access tokens of Google Cloud |
//! | `azure` | access tokens of Microsoft Entra ID |
//! | `web` | small bounded exchanges with token services |
//! | `standing` | what is held, and why there is nothing |
//! | `clock` | points in time as clouds write them |
//!
//! A request that finds a usable credential reads one pointer. Only where there is none does it wait, and all that wait are
//! answered by one fetch. Nothing is fetched for a provider that nobody calls.

pub mod aws;
mod azure;
mod clock;
mod google;
mod standing;
mod web;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::time::Instant;

use super::credentials::now_ms;
use super::{Credential, Secrets};
use crate::config::Env;
use crate::provider::Provider;
use crate::provider::identity::{Cloud, CloudIdentity};
use crate::upstream::Pools;
pub use standing::{Standing, State};
pub use web::CONNECT;

/// A credential is renewed this long before its end, or when a quarter of its life is left, whichever is later. Google's
/// metadata service hands out a new token only in the last five minutes of the old one.
const AHEAD: Duration = Duration::from_secs(240);
/// Longest time that one fetch, with all its exchanges, may take.
const FETCH: Duration = Duration::from_secs(20);
/// How long a failed fetch answers those who come after it.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Between two tries to renew a credential that still works.
const AFTER_FAILED_RENEWAL: Duration = Duration::from_secs(10);
/// Between two renewals because an upstream refused a credential.
const AFTER_REFUSAL: Duration = Duration::from_secs(30);
/// A clock that differs by less is not worth correcting: AWS allows five minutes.
const SKEW: u64 = 60;

/// What a fetch yields.
pub struct Grant {
    pub credential: Credential,
    /// From now to its end; `None` where it has none that is known.
    pub lifetime: Option<Duration>,
}

/// Gets a credential; the error is one line for people, without secrets.
pub type Fetch = Arc<dyn Fn() -> Fetching + Send + Sync>;
pub type Fetching = Pin<Box<dyn Future<Output = Result<Grant, String>> + Send>>;

/// Where one provider's credentials come from, and the one that is held.
pub struct TokenSource {
    /// BLAKE3 of who is asked as whom: what makes it the same source after a reload.
    identity: blake3::Hash,
    fetch: Fetch,
    current: ArcSwapOption<Held>,
    /// Told of the end of each fetch.
    rounds: watch::Sender<Round>,
    fetching: AtomicBool,
    /// [`now_ms`] before which no refusal causes a fetch.
    no_renewal_until: AtomicU64,
    /// Seconds that the cloud's clock is ahead of this machine's.
    skew: AtomicI64,
}

struct Held {
    credential: Arc<Credential>,
    renew_at: Option<Instant>,
    ends_at: Option<Instant>,
}

/// How the last fetch ended.
#[derive(Clone, Default)]
struct Round {
    failed: Option<(Instant, Arc<str>)>,
}

impl TokenSource {
    pub fn new(identity: blake3::Hash, fetch: Fetch) -> TokenSource {
        TokenSource {
            identity,
            fetch,
            current: ArcSwapOption::empty(),
            rounds: watch::Sender::new(Round::default()),
            fetching: AtomicBool::new(false),
            no_renewal_until: AtomicU64::new(0),
            skew: AtomicI64::new(0),
        }
    }

    pub fn identity(&self) -> blake3::Hash {
        self.identity
    }

    /// A credential that works now.
    ///
    /// # Errors
    /// Why there is none, in words for the caller.
    pub async fn credential(self: &Arc<Self>) -> Result<Arc<Credential>, Arc<str>> {
        if let Some(credential) = self.usable() {
            return Ok(credential);
        }
        let mut rounds = self.rounds.subscribe();
        // A fetch may have ended between the two looks.
        if let Some(credential) = self.usable() {
            return Ok(credential);
        }
        if let Some(problem) = self.failed_within(AFTER_FAILURE) {
            return Err(problem);
        }
        self.begin_fetch();
        while rounds.changed().await.is_ok() {
            if let Some(credential) = self.usable() {
                return Ok(credential);
            }
            if let Some((_, problem)) = &rounds.borrow_and_update().failed {
                return Err(Arc::clone(problem));
            }
        }
        Err("the fetch of a credential was given up".into())
    }

    /// Another credential than `refused`, which the upstream did not take; `None` where there is none to be had.
    pub async fn renewed(self: &Arc<Self>, refused: &Arc<Credential>) -> Option<Arc<Credential>> {
        let differs = |held: &Arc<Credential>| !held.is_same_as(refused);
        if let Some(held) = self.usable().filter(differs) {
            return Some(held);
        }
        let now = now_ms();
        let pause = u64::try_from(AFTER_REFUSAL.as_millis()).unwrap_or(u64::MAX);
        let until = self.no_renewal_until.load(Ordering::Relaxed);
        let exchange = |until, next| {
            self.no_renewal_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if until > now || !exchange(until, now.saturating_add(pause)) {
            return None;
        }
        let mut rounds = self.rounds.subscribe();
        self.begin_fetch();
        rounds.changed().await.ok()?;
        self.usable().filter(differs)
    }

    /// Seconds that the cloud's clock is ahead of this machine's.
    pub fn skew(&self) -> i64 {
        self.skew.load(Ordering::Relaxed)
    }

    /// This moment by the cloud's clock.
    pub fn now(&self) -> SystemTime {
        let skew = self.skew();
        let distance = Duration::from_secs(skew.unsigned_abs());
        let now = SystemTime::now();
        let moved = if skew < 0 { now.checked_sub(distance) } else { now.checked_add(distance) };
        moved.unwrap_or(now)
    }

    /// What time it is in the cloud. A difference that matters is taken into account from now on.
    pub fn note_time(&self, theirs: SystemTime) {
        let ours = self.now();
        let (ahead, distance) = match theirs.duration_since(ours) {
            Ok(distance) => (true, distance),
            Err(behind) => (false, behind.duration()),
        };
        if distance.as_secs() < SKEW {
            return;
        }
        let seconds = i64::try_from(distance.as_secs()).unwrap_or(0);
        self.skew.fetch_add(if ahead { seconds } else { -seconds }, Ordering::Relaxed);
    }

    fn usable(self: &Arc<Self>) -> Option<Arc<Credential>> {
        let held = self.current.load();
        let held = held.as_ref()?;
        let now = Instant::now();
        if held.ends_at.is_some_and(|end| end <= now) {
            return None;
        }
        if held.renew_at.is_some_and(|at| at <= now) && self.failed_within(AFTER_FAILED_RENEWAL).is_none() {
            self.begin_fetch();
        }
        Some(Arc::clone(&held.credential))
    }

    fn failed_within(&self, time: Duration) -> Option<Arc<str>> {
        let round = self.rounds.borrow();
        let (at, problem) = round.failed.as_ref()?;
        (at.elapsed() < time).then(|| Arc::clone(problem))
    }

    /// One fetch at a time. It goes on when the request that began it is given up.
    fn begin_fetch(self: &Arc<Self>) {
        if self.fetching.swap(true, Ordering::AcqRel) {
            return;
        }
        let failed = Some("the fetch was given up; this is a fault of routeplane".into());
        tokio::spawn(run(InFlight { source: Arc::clone(self), failed }));
    }
}

async fn run(mut flight: InFlight) {
    let fetched = tokio::time::timeout(FETCH, (flight.source.fetch)()).await;
    let fetched = fetched.unwrap_or_else(|_| Err(format!("no answer within {} s", FETCH.as_secs())));
    match fetched {
        Ok(grant) => {
            let now = Instant::now();
            let renew_in = grant.lifetime.map(|lifetime| lifetime.saturating_sub(AHEAD.min(lifetime / 4)));
            flight.failed = None;
            flight.source.current.store(Some(Arc::new(Held {
                credential: Arc::new(grant.credential),
                renew_at: renew_in.and_then(|wait| now.checked_add(wait)),
                ends_at: grant.lifetime.and_then(|lifetime| now.checked_add(lifetime)),
            })));
        }
        Err(problem) => {
            tracing::warn!(problem, "no new credential");
            flight.failed = Some(problem.into());
        }
    }
}

/// The fetch that runs. However it ends, those who wait are told.
struct InFlight {
    source: Arc<TokenSource>,
    failed: Option<Arc<str>>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.source.fetching.store(false, Ordering::Release);
        self.source.rounds.send_replace(Round { failed: self.failed.take().map(|problem| (Instant::now(), problem)) });
    }
}

/// The source of a provider that is asked as somebody at a cloud; the one of `carried` where it is the same.
///
/// # Errors
/// A secret that cannot be had.
pub(super) fn source(
    provider: &Provider,
    secrets: &Secrets<'_>,
    pools: &Pools,
    carried: &[super::ProviderState],
) -> Result<Option<Arc<TokenSource>>, String> {
    let Some(asked_as) = &provider.identity else { return Ok(None) };
    let mut values = Vec::new();
    for reference in asked_as.credentials.secrets() {
        values.push(secrets.get(reference)?.unwrap_or_default());
    }
    let identity = hash(&provider.name, asked_as, &values);
    let known = carried.iter().filter_map(|state| state.tokens.as_ref()).find(|known| known.identity == identity);
    if let Some(known) = known {
        return Ok(Some(Arc::clone(known)));
    }
    let web = web::Web::new(pools.clone());
    let fetch = match asked_as.cloud {
        Cloud::Aws => aws::fetch(aws::Chain::new(asked_as, secrets, web)?),
        Cloud::Google => google::fetch(google::Source::new(asked_as, secrets, web)),
        Cloud::Azure => {
            let host = provider.endpoints.first().map_or("", |endpoint| endpoint.base_url.authority.host());
            azure::fetch(azure::Source::new(asked_as, host, secrets, web)?)
        }
    };
    Ok(Some(Arc::new(TokenSource::new(identity, fetch))))
}

/// The environment is not part of it: it is a snapshot that a reload does not take anew.
fn hash(provider: &str, asked_as: &CloudIdentity, secrets: &[String]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for text in [provider, &format!("{asked_as:?}")].into_iter().chain(secrets.iter().map(String::as_str)) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize()
}

/// A path as the file or the environment writes it: below the configuration's folder unless it is absolute, `~/` being
/// the user's home.
fn path_of(written: &str, folder: &Path, env: &Env) -> std::path::PathBuf {
    match (written.strip_prefix("~/"), home(env)) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => folder.join(written),
    }
}

fn home(env: &Env) -> Option<&str> {
    env.get("HOME").or_else(|| env.get("USERPROFILE"))
}

/// A small text file, read where waiting for the disk holds nobody up; `None` where it does not exist.
///
/// # Errors
/// Why it cannot be read, with its path.
async fn read_file(path: std::path::PathBuf) -> Result<Option<String>, String> {
    let shown = path.display().to_string();
    let read = tokio::task::spawn_blocking(move || super::read_key_file(&path)).await;
    match read {
        Ok(Ok(text)) => Ok(Some(text)),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Ok(Err(error)) => Err(format!("`{shown}` cannot be read: {error}")),
        Err(_) => Err(format!("`{shown}` cannot be read")),
    }
}

#[cfg(test)]
mod tests;
