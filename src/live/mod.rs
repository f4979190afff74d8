//! The live table: one pointer, swapped whole. A request takes it once ([`LiveTable::load`]) and keeps what it got.

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
