//! The known providers, read from their embedded files.

use crate::config::document::ProviderEntry;
use crate::config::{decode, yaml};
use crate::diagnostic::Diagnostics;
use crate::provider::presets::PRESETS;
use crate::source::SourceMap;

/// Every provider file, in the order of their names. A test proves that all of them can be read.
pub(super) fn entries() -> Vec<ProviderEntry> {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    let mut entry = |name: &str, text: &str| {
        let source = sources.add(name, text);
        let root = yaml::parse(source, text, &mut diagnostics)?;
        decode::decode_provider(&root, name, &mut diagnostics)
    };
    PRESETS.iter().filter_map(|(name, text)| entry(name, text)).collect()
}
