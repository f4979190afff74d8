//! What requests authenticate with: keys and tokens, and the pools of a provider's keys. A 429 cools one key, not the
//! provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

use super::ProviderState;

/// One key of a provider, or a token of its cloud. No `Debug`, no `Display`: it cannot be printed by accident.
pub struct Credential {
    /// BLAKE3 of provider, address and key: what makes it the same key after a reload.
    identity: blake3::Hash,
    /// What a peer could repeat.
    secret: Box<str>,
    form: Form,
    /// Milliseconds after [`epoch`] until which the key is not used.
    cooling_until: AtomicU64,
}

/// How a credential is used.
enum Form {
    /// `Bearer KEY` and `KEY`, made once.
    Text {
        bearer: HeaderValue,
        bare: HeaderValue,
        /// Google: the project whose quota a person's login uses.
        project: Option<HeaderValue>,
    },
    /// Keys of AWS, which sign and never travel themselves.
    Aws(aws_credential_types::Credentials),
}

impl Credential {
    /// A key or token that travels in a header; `None` for a text that cannot.
    pub fn text(secret: &str) -> Option<Credential> {
        credential(blake3::hash(secret.as_bytes()), secret)
    }

    /// An access key of AWS.
    pub fn aws(id: String, secret: String, session: Option<String>) -> Credential {
        let mut hasher = blake3::Hasher::new();
        for text in [&id, &secret, session.as_ref().unwrap_or(&String::new())] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        let travels = session.as_deref().unwrap_or(&secret).into();
        let keys = aws_credential_types::Credentials::new(id, secret, session, None, "routeplane");
        Credential {
            identity: hasher.finalize(),
            secret: travels,
            form: Form::Aws(keys),
            cooling_until: AtomicU64::new(0),
        }
    }

    /// `Bearer KEY`; `None` where it is no text.
    pub fn bearer(&self) -> Option<HeaderValue> {
        match &self.form {
            Form::Text { bearer, .. } => Some(bearer.clone()),
            Form::Aws(_) => None,
        }
    }

    /// `KEY`; `None` where it is no text.
    pub fn bare(&self) -> Option<HeaderValue> {
        match &self.form {
            Form::Text { bare, .. } => Some(bare.clone()),
            Form::Aws(_) => None,
        }
    }

    /// This token, used on the quota of a project (Google).
    pub fn on_behalf_of(mut self, quota: &str) -> Credential {
        if let Form::Text { project, .. } = &mut self.form {
            *project = HeaderValue::from_str(quota).ok();
        }
        self
    }

    /// The project whose quota it uses, where it names one.
    pub fn quota_project(&self) -> Option<HeaderValue> {
        match &self.form {
            Form::Text { project, .. } => project.clone(),
            Form::Aws(_) => None,
        }
    }

    /// Keys to sign with; `None` where it is a text.
    pub fn aws_keys(&self) -> Option<&aws_credential_types::Credentials> {
        match &self.form {
            Form::Aws(keys) => Some(keys),
            Form::Text { .. } => None,
        }
    }

    /// Whether both are the same key or token.
    pub fn is_same_as(&self, other: &Credential) -> bool {
        self.identity == other.identity
    }

    /// The key is not used for `pause`.
    pub fn cool(&self, pause: Duration) {
        let until = now_ms().saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        self.cooling_until.fetch_max(until, Ordering::Relaxed);
    }

    fn cooling_until(&self) -> u64 {
        self.cooling_until.load(Ordering::Relaxed)
    }

    /// Replaces this key in a text that may reach somebody. A key of a few letters is a placeholder, not a secret:
    /// replacing it would only spoil the text.
    pub fn scrub(&self, text: &mut Vec<u8>) {
        const SHORTEST: usize = 8;
        if self.secret.len() < SHORTEST || memchr::memmem::find(text, self.secret.as_bytes()).is_none() {
            return;
        }
        let mut clean = Vec::with_capacity(text.len());
        let mut rest = text.as_slice();
        while let Some((before, after)) = memchr::memmem::find(rest, self.secret.as_bytes())
            .and_then(|at| Some((rest.get(..at)?, rest.get(at + self.secret.len()..)?)))
        {
            clean.extend_from_slice(before);
            clean.extend_from_slice(b"[redacted]");
            rest = after;
        }
        clean.extend_from_slice(rest);
        *text = clean;
    }
}

/// A provider's keys, used in turn.
pub struct KeyPool {
    keys: Box<[Arc<Credential>]>,
    next: AtomicUsize,
}

impl KeyPool {
    pub(crate) fn new(provider: &str, scope: &str, secrets: Vec<String>, carried: Option<&[ProviderState]>) -> KeyPool {
        let carried: Vec<&Arc<Credential>> =
            carried.unwrap_or_default().iter().flat_map(|provider| &provider.keys.keys).collect();
        let key = |secret: String| {
            let identity = identity(provider, scope, &secret);
            let known = carried.iter().find(|credential| credential.identity == identity);
            known.map(|credential| Arc::clone(credential)).or_else(|| credential(identity, &secret).map(Arc::new))
        };
        KeyPool { keys: secrets.into_iter().filter_map(key).collect(), next: AtomicUsize::new(0) }
    }

    /// The next key in turn that is not cooling; where all are, the one that is ready soonest. `None`: the pool is empty.
    pub fn pick(&self) -> Option<&Arc<Credential>> {
        if let [only] = &*self.keys {
            return Some(only);
        }
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn =
            || self.keys.iter().cycle().skip(start.checked_rem(self.keys.len()).unwrap_or(0)).take(self.keys.len());
        let now = now_ms();
        in_turn().find(|key| key.cooling_until() <= now).or_else(|| in_turn().min_by_key(|key| key.cooling_until()))
    }

    /// The first key, whether it cools or not: for what one account keeps, and another does not see.
    pub fn first(&self) -> Option<&Arc<Credential>> {
        self.keys.first()
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether some key is not cooling: another try may succeed at once.
    pub fn has_ready_key(&self) -> bool {
        let now = now_ms();
        self.keys.iter().any(|key| key.cooling_until() <= now)
    }

    /// Replaces every key of the pool in a text that may reach somebody.
    pub fn scrub(&self, text: &mut Vec<u8>) {
        for key in &self.keys {
            key.scrub(text);
        }
    }
}

fn identity(provider: &str, scope: &str, secret: &str) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for text in [provider, scope, secret] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize()
}

/// `None` cannot happen for secrets that were checked to be printable ASCII.
fn credential(identity: blake3::Hash, secret: &str) -> Option<Credential> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {secret}")).ok()?;
    let mut bare = HeaderValue::from_str(secret).ok()?;
    bearer.set_sensitive(true);
    bare.set_sensitive(true);
    let cooling_until = AtomicU64::new(0);
    Some(Credential {
        identity,
        secret: secret.into(),
        form: Form::Text { bearer, bare, project: None },
        cooling_until,
    })
}

/// Milliseconds of this process's own, monotonic clock.
pub(super) fn now_ms() -> u64 {
    static EPOCH: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    u64::try_from(EPOCH.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(secrets: &[&str], carried: Option<&[ProviderState]>) -> KeyPool {
        KeyPool::new("p", "http://x", secrets.iter().map(|secret| (*secret).to_owned()).collect(), carried)
    }

    #[tokio::test]
    async fn keys_take_turns_and_a_cooling_one_is_passed_over() {
        let pool = pool(&["a", "b"], None);
        let picked: Vec<HeaderValue> = (0..4).map(|_| pool.pick().unwrap().bare().unwrap()).collect();
        assert_eq!(picked, ["a", "b", "a", "b"]);
        pool.keys[0].cool(Duration::from_secs(60));
        assert!((0..4).all(|_| pool.pick().unwrap().bare().unwrap() == "b"));
        pool.keys[1].cool(Duration::from_secs(5));
        assert!((0..4).all(|_| pool.pick().unwrap().bare().unwrap() == "b"), "the one that is ready soonest");
    }

    #[tokio::test]
    async fn a_reload_keeps_a_cooling_key_cool() {
        let before = pool(&["a", "b"], None);
        before.keys[0].cool(Duration::from_secs(60));
        let state = [ProviderState {
            keys: before,
            tokens: None,
            endpoints: Box::new([]),
            counters: Default::default(),
            unusable: None,
        }];
        let after = pool(&["b", "a"], Some(&state));
        assert!((0..4).all(|_| after.pick().unwrap().bare().unwrap() == "b"));
    }

    #[tokio::test]
    async fn a_key_is_scrubbed_wherever_it_stands() {
        let pool = pool(&["sk-secret"], None);
        let mut text = b"bad key sk-secret, sk-secret!".to_vec();
        pool.scrub(&mut text);
        assert_eq!(text, b"bad key [redacted], [redacted]!");
    }
}
