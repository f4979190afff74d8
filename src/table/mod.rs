//! The routing table: everything about routing, compiled, immutable, printable. Plain data in arenas; indices, no pointers.

mod auto;
mod choose;
pub mod compare;
pub mod diff;
pub mod dump;
pub mod explain;
pub mod facts;
pub mod health;
pub mod index;
pub mod limits;
pub mod route;
mod secrets;
pub mod select;
pub mod settings;
pub mod target;
pub mod telemetry;
pub mod tensorzero;
pub mod wishes;
pub mod witness;

use std::collections::BTreeMap;
use std::net::SocketAddr;

pub use health::{Condition, Health, HealthView, Vitals};
pub use route::{ChooseBy, Leaf, Route, RouteNode, Rule, RuleOutcome};
pub use select::{Attempt, Decision, Draw, Mirror, Outcome, Race};
pub use settings::Settings;
pub use target::{Lane, Lanes, Target};

use crate::pattern::Pattern;
use crate::provider::{Provider, SecretRef};

/// Index in [`RoutingTable::providers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderIdx(pub u32);

/// Index in [`RoutingTable::targets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetIdx(pub u32);

/// Index in [`RoutingTable::routes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteIdx(pub u32);

/// Index in [`RoutingTable::settings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SettingsIdx(pub u32);

/// Index in [`RoutingTable::turns`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TurnIdx(pub u32);

/// The compiled file. A request sees one of these, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutingTable {
    /// BLAKE3 of the canonical dump, hex: equal content, equal id.
    pub id: Box<str>,
    pub listen: SocketAddr,
    /// Client keys; empty means that none is asked for.
    pub keys: Box<[ClientKey]>,
    /// Minutes from UTC of the clock that `hour` and `weekday` read.
    pub utc_offset: i32,
    /// Callers may say in their requests which models and providers they want, where their keys do not say otherwise.
    pub allow_request_routing: bool,
    /// Callers may ask why their requests went where they went; without it, they may where no client keys are asked for.
    pub allow_explain: Option<bool>,
    pub limits: Limits,
    pub rate_limits: Box<[limits::RateLimit]>,
    pub kept: Kept,
    pub cache: CacheLimits,
    /// The surface of a TensorZero gateway, where the file has that section.
    pub tensorzero: Option<Box<tensorzero::Surface>>,
    pub files: FilesPolicy,
    pub reload: ReloadSettings,
    /// One line for each model call, where the file asks for that.
    pub access_log: Option<telemetry::AccessLog>,
    /// What the file says of a collector.
    pub otlp: Option<telemetry::Otlp>,
    /// What is taken out of texts that go to spans.
    pub redact: Box<[Pattern]>,
    /// The last requests are not kept in memory, and what they spent is not added up.
    pub forgets: bool,
    pub providers: Box<[Provider]>,
    pub targets: Box<[Target]>,
    /// Combined settings of presets; entry 0 holds the file's defaults.
    pub settings: Box<[Settings]>,
    pub routes: Box<[Route]>,
    /// Presets by name, without `@`.
    pub presets: BTreeMap<Box<str>, RouteIdx>,
    /// Names that mean a target: `provider/model` for every listed model, and each bare model that one provider serves.
    pub models: BTreeMap<Box<str>, TargetIdx>,
    /// Bare names that more than one active provider serves, with their providers: refused with the choice.
    pub ambiguous: BTreeMap<Box<str>, Box<[ProviderIdx]>>,
    /// For each provider, the target that stands for a model it does not list.
    pub wildcards: Box<[TargetIdx]>,
    /// Positions of providers by name.
    pub provider_names: BTreeMap<Box<str>, ProviderIdx>,
    /// Known providers that have no key here, with the variables that would activate each.
    pub inactive: BTreeMap<Box<str>, Box<str>>,
    /// Settings of an `as requested` around those of the preset that the caller names: (outer, inner) → combined.
    pub nested: BTreeMap<(SettingsIdx, SettingsIdx), SettingsIdx>,
    /// What takes turns, by a name that stays the same over reloads.
    pub turns: Box<[Box<str>]>,
    pub rules: Box<[Rule]>,
    /// Follows from `rules`.
    pub rule_index: index::RuleIndex,
}

/// A client key: who may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientKey {
    /// The id in the file: what logs and rules call it.
    pub id: Box<str>,
    pub secret: SecretRef,
    /// Until when it opens anything.
    pub expires: Option<Expiry>,
    /// It opens nothing.
    pub disabled: bool,
    /// `key.team`, `key.<attr>`.
    pub attributes: BTreeMap<Box<str>, Box<str>>,
    /// In place of the file's own.
    pub allow_request_routing: Option<bool>,
    /// In place of the file's own.
    pub allow_explain: Option<bool>,
    /// Opens the console and `/admin/`.
    pub admin: bool,
}

/// The end of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// Seconds since 1970.
    pub at: u64,
    /// As it is written in the file.
    pub text: Box<str>,
}

/// Bounds of what a caller may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request body.
    pub body: u64,
    /// Connections at once.
    pub connections: u32,
    /// How long a stop or a moved listener waits for requests in flight.
    pub drain: std::time::Duration,
}

impl RoutingTable {
    /// Whether the holder of a client key (by its position; `None` where no key is asked for) may keep files at a provider.
    pub fn keeps_files_for(&self, key: Option<usize>) -> bool {
        let id = key.and_then(|at| self.keys.get(at)).map(|key| &key.id);
        match (&self.files.keys, id) {
            (None, _) => self.keys.len() <= 1 || self.files.per_key,
            (Some(listed), Some(id)) => listed.contains(id),
            (Some(_), None) => false,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { body: 32 << 20, connections: 10_000, drain: std::time::Duration::from_secs(120) }
    }
}

/// How much is kept of answers that later Responses calls may go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// How long one answer is kept.
    pub ttl: std::time::Duration,
    /// How many.
    pub entries: usize,
    /// Bytes of all of them together.
    pub memory: usize,
}

impl Default for Kept {
    fn default() -> Kept {
        Kept { ttl: std::time::Duration::from_secs(24 * 60 * 60), entries: 10_000, memory: 64 << 20 }
    }
}

/// How much is kept of answers for requests with the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheLimits {
    /// Whether anything is, also where a request asks for it.
    pub enabled: bool,
    /// The oldest that an answer may be.
    pub ttl: std::time::Duration,
    /// Bytes of all of them together.
    pub memory: usize,
}

impl Default for CacheLimits {
    fn default() -> CacheLimits {
        CacheLimits { enabled: true, ttl: std::time::Duration::from_secs(24 * 60 * 60), memory: 64 << 20 }
    }
}

/// Who may keep files and batches at a provider, and at which.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilesPolicy {
    /// The provider of requests that name none.
    pub provider: Option<Box<str>>,
    /// Ids of the client keys whose holders share what is kept; `None`: nobody has to share it with another.
    pub keys: Option<Box<[Box<str>]>>,
    /// Each client key has what was made with it, and nothing else.
    pub per_key: bool,
}

/// How changes of the file are noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadSettings {
    pub watch: WatchMode,
    /// Between two looks, where the file is polled.
    pub poll_interval: std::time::Duration,
    /// A file that has lost more than half of its presets and rules is refused unless this is set.
    pub allow_shrink: bool,
}

impl Default for ReloadSettings {
    fn default() -> ReloadSettings {
        ReloadSettings { watch: WatchMode::Auto, poll_interval: std::time::Duration::from_secs(2), allow_shrink: false }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchMode {
    /// Events of the operating system, and a slow poll beside them for file systems that give none.
    Auto,
    Poll,
    /// Only SIGHUP, `routeplane reload` and `POST /admin/reload`.
    Off,
}

impl SettingsIdx {
    /// The file's defaults, without any preset.
    pub const BASE: SettingsIdx = SettingsIdx(0);
}

impl RoutingTable {
    pub fn provider(&self, index: ProviderIdx) -> Option<&Provider> {
        self.providers.get(index.0 as usize)
    }

    pub fn target(&self, index: TargetIdx) -> Option<&Target> {
        self.targets.get(index.0 as usize)
    }

    pub fn route(&self, index: RouteIdx) -> Option<&Route> {
        self.routes.get(index.0 as usize)
    }

    pub fn settings(&self, index: SettingsIdx) -> Option<&Settings> {
        self.settings.get(index.0 as usize)
    }
}
