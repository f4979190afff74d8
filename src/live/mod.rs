//! The live table: one pointer, swapped whole. A request takes it once ([`LiveTable::load`]) and keeps what it got.
//!
//! | file | what it does |
//! |---|---|
//! | `files` | reads the configuration and the files it names |
//! | `candidate` | from files to something that could become live, or a refusal; the same for `check`, `start` and a reload |
//! | `reload` | the task that swaps |
//! | `watch` | notices that a file may have changed |
//! | `reap` | drops what no request holds any more |
//! | `status` | what is live, what is wanted, what became of the last reload |
//! | `findings` | findings in the forms of logs and answers |

pub mod candidate;
pub mod files;
pub mod findings;
pub mod reap;
pub mod reload;
pub mod status;
pub mod watch;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::state::Runtime;
use crate::table::RoutingTable;

/// Everything that one generation of requests sees. Swapped as one pointer, or it would not be atomic.
pub struct Live {
    pub table: RoutingTable,
    /// Counts accepted reloads, from 1.
    pub generation: u64,
    /// Connections, credentials and keys that belong to this table; carried over by identity.
    pub runtime: Runtime,
}

/// The one place where the current [`Live`] is.
pub struct LiveTable(ArcSwap<Live>);

impl LiveTable {
    pub fn new(live: Live) -> LiveTable {
        LiveTable(ArcSwap::from_pointee(live))
    }

    /// The current table. Take it once per request.
    pub fn load(&self) -> Arc<Live> {
        self.0.load_full()
    }

    /// Makes `live` current and returns what was. Cannot fail.
    pub fn swap(&self, live: Arc<Live>) -> Arc<Live> {
        self.0.swap(live)
    }
}

#[cfg(test)]
mod tests;
