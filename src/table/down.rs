//! A state of the world that is assumed: which providers and targets are down.

use std::collections::HashSet;

use super::dump::target_name;
use super::{HealthView, ProviderIdx, RoutingTable, Target, TargetIdx};
use crate::diagnostic::did_you_mean;

/// What a test, or whoever asks for an explanation, says is down.
pub struct Down<'t> {
    table: &'t RoutingTable,
    providers: HashSet<ProviderIdx>,
    targets: HashSet<(ProviderIdx, &'t str)>,
}

impl<'t> Down<'t> {
    /// Nothing is down.
    pub fn new(table: &'t RoutingTable) -> Down<'t> {
        Down { table, providers: HashSet::new(), targets: HashSet::new() }
    }

    /// A provider or a target (`provider/model`) is down. `None` for what the table does not have: a slip of the finger
    /// would say less than it seems to.
    pub fn add(&mut self, name: &'t str) -> Option<()> {
        if let Some(index) = self.table.provider_names.get(name) {
            self.providers.insert(*index);
            return Some(());
        }
        let (provider, model) = name.split_once(['/', ':'])?;
        let index = *self.table.provider_names.get(provider)?;
        let has = |target: &Target| target.provider == index && target.model.as_deref() == Some(model);
        self.table.targets.iter().any(has).then(|| {
            self.targets.insert((index, model));
        })
    }

    /// The nearest name that [`add`](Down::add) would know.
    pub fn nearest(&self, name: &str) -> Option<String> {
        let targets: Vec<String> = self.table.targets.iter().map(|target| target_name(self.table, target)).collect();
        let providers = self.table.providers.iter().map(|provider| &*provider.name);
        did_you_mean(name, targets.iter().map(String::as_str).chain(providers)).map(str::to_owned)
    }
}

impl HealthView for Down<'_> {
    fn is_down(&self, target: TargetIdx, model: &str) -> bool {
        let provider = self.table.target(target).map(|target| target.provider);
        provider.is_some_and(|provider| self.providers.contains(&provider) || self.targets.contains(&(provider, model)))
    }
}
