//! The secrets that a table refers to.

use super::RoutingTable;
use crate::provider::{HeaderText, SecretRef};

impl RoutingTable {
    /// Every reference to a secret.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let headers = self.providers.iter().flat_map(|provider| {
            let headers = provider.endpoints.iter().flat_map(|endpoint| &endpoint.headers);
            headers.filter_map(|(_, text)| match text {
                HeaderText::Secret(secret) => Some(secret),
                HeaderText::Literal(_) => None,
            })
        });
        let keys = self.providers.iter().flat_map(|provider| &provider.keys);
        let identities = self.providers.iter().filter_map(|provider| provider.identity.as_ref());
        let identities = identities.flat_map(|identity| identity.credentials.secrets());
        let collector = self.otlp.iter().flat_map(|otlp| &otlp.headers).map(|(_, secret)| secret);
        keys.chain(identities).chain(headers).chain(collector).chain(self.keys.iter().map(|key| &key.secret))
    }
}
