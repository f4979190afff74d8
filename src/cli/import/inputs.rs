//! The files that are imported: paths, and globs as TensorZero has them (`*` stays within a folder, `**` does not).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

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
        let wrong = |error: globset::Error| missing(format!("`{input}` is no pattern of files: {}", error.kind()));
        let found = matching(input).map_err(wrong)?;
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

/// Files whose path matches, in the folder that the pattern begins with, and below.
fn matching(pattern: &str) -> Result<Vec<PathBuf>, globset::Error> {
    let matcher = GlobBuilder::new(pattern).literal_separator(true).build()?.compile_matcher();
    let parts: Vec<&str> = pattern.split('/').collect();
    let is_fixed = |part: &&&str| !part.contains(['*', '?', '[', '{']);
    let fixed = parts.iter().take_while(is_fixed).count();
    // Braces may hold folders, too: each `/` may lead one folder down.
    let depth = if pattern.contains("**") { DEPTH } else { parts.len() - fixed };
    let root = match parts.get(..fixed).unwrap_or_default() {
        [] => PathBuf::new(),
        [""] => PathBuf::from("/"),
        parts => PathBuf::from(parts.join("/")),
    };
    let mut found = Vec::new();
    walk(&root, &matcher, depth, &mut ENTRIES.clone(), &mut found);
    Ok(found)
}

fn walk(folder: &Path, matcher: &GlobMatcher, depth: usize, budget: &mut usize, found: &mut Vec<PathBuf>) {
    let is_here = folder.as_os_str().is_empty();
    let Ok(entries) = fs::read_dir(if is_here { Path::new(".") } else { folder }) else { return };
    for entry in entries.flatten() {
        let Some(left) = budget.checked_sub(1) else { return };
        *budget = left;
        let path = folder.join(entry.file_name());
        // Links to folders are not followed: they may lead back.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if depth > 1 {
                walk(&path, matcher, depth - 1, budget, found);
            }
        } else if matcher.is_match(&path) && path.is_file() {
            found.push(path);
        }
    }
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
                .unwrap()
                .iter()
                .map(|path| path.strip_prefix(&root).unwrap().display().to_string())
                .collect();
            names.sort();
            names
        };
        assert_eq!(found("*.toml"), ["a.toml", "b.toml"]);
        assert_eq!(found("**/*.toml"), ["a.toml", "b.toml", "sub/c.toml", "sub/deep/d.toml"]);
        assert_eq!(found("{a,sub/c}.toml"), ["a.toml", "sub/c.toml"]);
        assert_eq!(found("[!a].toml"), ["b.toml"]);
        assert_eq!(found("s?b/*"), ["sub/c.toml"]);
        assert_eq!(found("{a,sub/{c,deep/d}}.toml"), ["a.toml", "sub/c.toml", "sub/deep/d.toml"]);
        assert_eq!(found("**/deep/*"), ["sub/deep/d.toml"]);
        assert_eq!(found("*.yaml"), [""; 0]);
        assert!(matching(&format!("{root}/[a.toml")).is_err());
    }
}
