//! Where a word of the file is defined.

use std::ops::Range;

use super::{File, word_at};

/// Where something is defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// In the file itself.
    Here(Range<usize>),
    /// A file that this one names, relative to its folder.
    File(String),
}

/// Where the word at `at` is defined: a preset, a provider of the file, a file that the file names.
pub fn define(file: &File<'_>, at: usize) -> Option<Definition> {
    let range = word_at(file.text, at);
    let word = file.text.get(range.clone()).filter(|word| !word.is_empty())?;
    let bare = word.strip_prefix('@').unwrap_or(word);
    if let Some(preset) = file.presets().find(|preset| preset.value == bare) {
        return Some(Definition::Here(preset.span.range()));
    }
    let provider = bare.split('/').next().unwrap_or(bare);
    if let Some(provider) = file.providers().find(|own| own.value == provider) {
        return Some(Definition::Here(provider.span.range()));
    }
    let extension = word.rsplit_once('.').map(|(_, extension)| extension);
    let is_file = matches!(extension, Some("md" | "txt" | "json" | "yaml" | "yml" | "minijinja" | "j2"));
    is_file.then(|| Definition::File(word.to_owned()))
}
