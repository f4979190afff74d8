//! The request path: a connection is accepted, a request is read, decided, tried, and answered.
//!
//! | file | what it does |
//! |---|---|
//! | `server`, `head_watch`, `cut` | connections: accept, limits, graceful stop, the last words of what a stop cuts off |
//! | `ingress` | from method and path to a protocol and an operation |
//! | `guard` | Host, Origin, client keys |
//! | `receive` | the caller's body, bounded |
//! | `dispatch` | a request from its first byte to its answer |
//! | `walk`, `scopes` | the loop: try, try again, fall back; whose retries and time bounds count |
//! | `unmet` | what a caller is told whose request no target is asked |
//! | `outgoing` | the upstream's request: edits, lanes, headers |
//! | `hedge` | attempts beside each other |
//! | `shadow` | copies for a second target, compared |
//! | `attempt` | one try at one target |
//! | `failure` | what went wrong, and whether to try again |
//! | `pipe`, `stream` | a stream on its way back: watched or translated, merged frames |
//! | `stamp` | the id and the time of answers whose upstream gives none |
//! | `responses` | Responses calls that go on from earlier answers, and questions about these |
//! | `structured` | answers of a given form: judged, mended, asked for again |
//! | `content` | what is said, heard for the spans of presets that ask for it |
//! | `recorded` | what the record of a call gets to know |
//! | `respond` | heads and errors for the caller |
//! | `objects` | files and batches that a provider keeps |
//! | `models` | the list of models, in three dialects |
//! | `access` | tokens for requests that are no calls of a model |
//! | `admin` | everything that is no model call: health, metrics, the configuration's status and reload |
//! | `estimate` | tokens that nobody counted |
//! | `explain` | decides about a request that is not sent |
//! | `doors` | the listeners, moved by a reload |

pub mod access;
pub mod admin;
pub mod attempt;
pub mod body;
mod cached;
pub mod console;
mod content;
pub mod cut;
pub mod dispatch;
pub mod doors;
pub mod estimate;
pub mod explain;
pub mod failure;
pub mod guard;
pub mod head_watch;
mod hedge;
pub mod ingress;
mod limits;
pub mod models;
pub mod objects;
pub mod outgoing;
pub mod pipe;
pub mod receive;
mod recorded;
pub mod respond;
pub mod responses;
mod scopes;
pub mod server;
pub mod shadow;
pub mod stamp;
pub mod stream;
pub mod structured;
pub mod tensorzero;
mod unmet;
mod walk;
mod warning;

use std::sync::Arc;

pub use body::ResponseBody;

use self::shadow::Shadows;
use crate::live::LiveTable;
use crate::state::cache::Cache;
use crate::state::inferences::Inferences;
use crate::state::objects::Owners;
use crate::state::responses::Responses;
use crate::table::facts;
use crate::telemetry::Sinks;
use crate::telemetry::traffic::Traffic;

/// What every request needs: the live table, the counters, and the router of everything that is not a model call.
pub struct Gateway {
    pub live: Arc<LiveTable>,
    pub traffic: Arc<Traffic>,
    /// Where the records of model calls go.
    pub sinks: Arc<Sinks>,
    /// Answers of Responses calls that others may go on from.
    pub responses: Arc<Responses>,
    /// Whose is what providers keep.
    pub objects: Arc<Owners>,
    /// Answers that equal requests may get again.
    pub cache: Arc<Cache>,
    /// Inferences that feedback may be given about.
    pub inferences: Arc<Inferences>,
    /// Room for the copies that mirrors get.
    pub shadows: Shadows,
    /// `/admin/*`, `/metrics`, `/livez`, `/readyz`, `/`.
    pub side: axum::Router,
}

/// Seconds since 1970: the clock that rules read.
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
