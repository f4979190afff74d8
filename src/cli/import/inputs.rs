//! The files that are imported: paths, and globs as TensorZero has them (`*` stays within a folder, `**` does not).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::Exit;
use crate::import::tensorzero::Text;
use crate::live::files::read_text;

/// Why nothing is imported.
pub(super) struct Problem {
    pub(super) exit: Exit,
    pub(super) message: String,
}

/// How deep folders are searched, and how many entries are looked at.
const DEPTH: usize = 32;
const ENTRIES: usize = 100_000;

/// All files, in the order of their names.
pub(super) fn read(inputs: &[String]) -> Result<Vec<Text>, Problem> {
    let mut paths = BTreeSet::new();
    for input in inputs {
        let path = Path::new(input);
        if path.is_dir() {
            return Err(missing(format!(
                "`{input}` is a folder: name its files, e.g. `{}/**/*.toml`",
                input.trim_end_matches('/')
            )));
        }
        if path.exists() || !input.contains(['*', '?', '[', '{']) {
            paths.insert(path.to_owned());
            continue;
        }
        let found = matching(input);
        if found.is_empty() {
            return Err(missing(format!("no file matches `{input}`; `*` stays within a folder, `**` does not")));
        }
        paths.extend(found);
    }
    paths.into_iter().map(|path| one(&path)).collect()
}

fn missing(message: String) -> Problem {
    Problem { exit: Exit::NoInput, message }
}

fn one(path: &Path) -> Result<Text, Problem> {
    let text = read_text(path).map_err(|error| missing(format!("cannot read `{}`: {error}", path.display())))?;
    let place = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok(Text { name: path.display().to_string(), place: place.display().to_string(), text })
}

/// Files whose path matches, below the part of the pattern that holds no wildcard.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let patterns = alternatives(pattern);
    let mut found = Vec::new();
    for pattern in patterns {
        let fixed: Vec<&str> = pattern.split('/').take_while(|part| !part.contains(['*', '?', '['])).collect();
        let root = match fixed.as_slice() {
            [] => PathBuf::from("."),
            [""] => PathBuf::from("/"),
            parts => PathBuf::from(parts.join("/")),
        };
        let mut budget = ENTRIES;
        let wanted: Vec<&str> = pattern.split('/').skip(fixed.len()).collect();
        // One of several names that are written out.
        if wanted.is_empty() && root.is_file() {
            found.push(root);
            continue;
        }
        walk(&root, &wanted, fixed.is_empty(), &mut budget, DEPTH, &mut found);
    }
    found
}

fn walk(folder: &Path, wanted: &[&str], is_here: bool, budget: &mut usize, depth: usize, found: &mut Vec<PathBuf>) {
    let Some((part, rest)) = wanted.split_first().filter(|_| depth > 0) else { return };
    if *part == "**" {
        walk(folder, rest, is_here, budget, depth, found);
    }
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Some(left) = budget.checked_sub(1) else { return };
        *budget = left;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let path = if is_here { PathBuf::from(name) } else { folder.join(name) };
        // Links to folders are not followed: they may lead back.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        match (*part, is_folder) {
            ("**", true) => walk(&path, wanted, false, budget, depth - 1, found),
            ("**", false) => {}
            (part, true) if !rest.is_empty() && fits(part, name) => walk(&path, rest, false, budget, depth - 1, found),
            (part, false) if rest.is_empty() && fits(part, name) && path.is_file() => found.push(path),
            _ => {}
        }
    }
}

/// `{a,b}` written out.
fn alternatives(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let Some((inner, after)) = rest.split_once('}') else { return vec![pattern.to_owned()] };
    inner.split(',').flat_map(|choice| alternatives(&format!("{before}{choice}{after}"))).collect()
}

/// `*` any text, `?` one character, `[a-z]` one of them, `[!a-z]` none of them.
fn fits(pattern: &str, name: &str) -> bool {
    let mut pattern_chars = pattern.chars();
    let Some(first) = pattern_chars.next() else { return name.is_empty() };
    let rest = pattern_chars.as_str();
    let mut name_chars = name.chars();
    match first {
        '*' => fits(rest, name) || (name_chars.next().is_some() && fits(pattern, name_chars.as_str())),
        '?' => name_chars.next().is_some() && fits(rest, name_chars.as_str()),
        '[' => {
            let Some((set, rest)) = rest.split_once(']') else { return false };
            let Some(c) = name_chars.next() else { return false };
            let (negated, set) = set.strip_prefix(['!', '^']).map_or((false, set), |set| (true, set));
            is_in(set, c) != negated && fits(rest, name_chars.as_str())
        }
        c => name_chars.next() == Some(c) && fits(rest, name_chars.as_str()),
    }
}

fn is_in(set: &str, c: char) -> bool {
    let chars: Vec<char> = set.chars().collect();
    let ranges = chars.windows(3).any(|window| matches!(window, [from, '-', to] if *from <= c && c <= *to));
    ranges || chars.contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_stay_within_a_folder_unless_they_say_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.toml", "b.toml", "x.txt", "sub/c.toml", "sub/deep/d.toml"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let root = folder.path().display().to_string();
        let found = |pattern: &str| {
            let mut names: Vec<String> = matching(&format!("{root}/{pattern}"))
                .iter()
                .map(|path| path.strip_prefix(&root).unwrap().display().to_string())
                .collect();
            names.sort();
            names.dedup();
            names
        };
        assert_eq!(found("*.toml"), ["a.toml", "b.toml"]);
        assert_eq!(found("**/*.toml"), ["a.toml", "b.toml", "sub/c.toml", "sub/deep/d.toml"]);
        assert_eq!(found("{a,sub/c}.toml"), ["a.toml", "sub/c.toml"]);
        assert_eq!(found("[!a].toml"), ["b.toml"]);
        assert_eq!(found("s?b/*"), ["sub/c.toml"]);
        assert_eq!(found("*.yaml"), [""; 0]);
    }
}
