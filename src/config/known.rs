//! The provider files that come with the program, decoded once.

use std::sync::LazyLock;

use super::document::ProviderEntry;
use super::{decode, yaml};
use crate::diagnostic::Diagnostics;
use crate::provider::presets::PRESETS;
use crate::source::SourceMap;

/// Every known provider.
pub struct Known {
    /// Sorted by name.
    pub entries: Vec<ProviderEntry>,
    /// The files, so that a diagnostic can point into them. A compilation adds the user's file behind them.
    pub sources: SourceMap,
    /// What is wrong with the files: nothing, says a test.
    pub diagnostics: Diagnostics,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut known = Known { entries: Vec::new(), sources: SourceMap::default(), diagnostics: Diagnostics::default() };
    for (name, text) in PRESETS {
        let source = known.sources.add(format!("presets/providers/{name}.yaml"), *text);
        let entry = yaml::parse(source, text, &mut known.diagnostics)
            .and_then(|root| decode::decode_provider(&root, name, &mut known.diagnostics));
        known.entries.extend(entry);
    }
    known
});

pub fn providers() -> &'static Known {
    &KNOWN
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_provider_file_is_sound() {
        let known = super::providers();
        assert!(known.diagnostics.is_empty(), "{:?}", known.diagnostics);
        assert_eq!(known.entries.len(), crate::provider::presets::PRESETS.len());
    }
}
