//! The table as text.

use super::RoutingTable;

/// BLAKE3 of the table's content, hex.
pub fn id(table: &RoutingTable) -> Box<str> {
    blake3::hash(format!("{table:?}").as_bytes()).to_hex().as_str().into()
}
