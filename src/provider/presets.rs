//! The provider files of `presets/providers/`, embedded when the program is built: one file, one provider.

/// Name and YAML text of every known provider, sorted by name.
pub static PRESETS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/presets.rs"));

/// The text of `presets/providers/NAME.yaml`, `None` for a provider that nobody described yet.
pub fn find(name: &str) -> Option<&'static str> {
    let at = PRESETS.binary_search_by_key(&name, |(name, _)| name).ok()?;
    PRESETS.get(at).map(|(_, text)| *text)
}

/// Every known provider's name, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::{PRESETS, find};

    #[test]
    fn files_are_found_by_name() {
        assert!(PRESETS.is_sorted_by(|a, b| a.0 < b.0), "binary search needs unique, sorted names");
        assert!(PRESETS.iter().all(|(name, text)| find(name) == Some(text)));
        assert_eq!(find("opnai"), None);
    }
}
