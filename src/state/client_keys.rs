//! Who may call: client keys, found by digest and compared in constant time.

use std::collections::HashMap;

use subtle::ConstantTimeEq;

use super::Secrets;
use crate::table::RoutingTable;

/// Longest key that is looked at.
const LONGEST: usize = 512;

/// The table's client keys. Empty: none is asked for (loopback only).
#[derive(Default)]
pub struct ClientKeys {
    /// BLAKE3 of the key to its position in `RoutingTable::keys`.
    by_digest: HashMap<[u8; 32], usize>,
    required: bool,
}

impl ClientKeys {
    pub(crate) fn resolve(table: &RoutingTable, secrets: &Secrets<'_>, problems: &mut Vec<String>) -> ClientKeys {
        let mut by_digest = HashMap::new();
        for (position, key) in table.keys.iter().enumerate() {
            match secrets.get(&key.secret) {
                Ok(Some(secret)) if secret.len() < 16 => {
                    problems.push(format!("client key `{}` is shorter than 16 characters", key.id));
                }
                Ok(Some(secret)) => {
                    by_digest.insert(*blake3::hash(secret.as_bytes()).as_bytes(), position);
                }
                Ok(None) => problems.push(format!("client key `{}`: {} is not set", key.id, key.secret)),
                Err(problem) => problems.push(format!("client key `{}`: {problem}", key.id)),
            }
        }
        ClientKeys { by_digest, required: !table.keys.is_empty() }
    }

    /// Whether callers must show a key.
    pub fn required(&self) -> bool {
        self.required
    }

    /// The position in `RoutingTable::keys` of the key that was presented.
    pub fn find(&self, presented: &[u8]) -> Option<usize> {
        if presented.is_empty() || presented.len() > LONGEST {
            return None;
        }
        let digest = *blake3::hash(presented).as_bytes();
        let (known, position) = self.by_digest.get_key_value(&digest)?;
        bool::from(known.ct_eq(&digest)).then_some(*position)
    }
}
