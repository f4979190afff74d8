//! Writes the output of an import: all of it or nothing, and never over what somebody else wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::inputs::Problem;
use crate::cli::Exit;
use crate::config::{Compilation, Env, schema};
use crate::diagnostic::Code;
use crate::import::tensorzero::Output;

const CONFIG: &str = "routeplane.yaml";
const SCHEMA: &str = "routeplane.schema.json";
/// What an earlier import wrote may be replaced.
const MARK: &str = "# Written by `routeplane import-tensorzero`";

/// What became of the files.
#[derive(Default)]
pub(super) struct Written {
    new: usize,
    replaced: usize,
    same: usize,
}

/// Writes everything below `folder`.
///
/// # Errors
/// Files that are there and differ, unless `force`; or what keeps one from being written.
pub(super) fn write(folder: &Path, output: &Output, force: bool) -> Result<Written, Problem> {
    let mut files: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for (path, text) in &output.files {
        files.insert(folder.join(within(path)?), text);
    }
    files.insert(folder.join(CONFIG), &output.yaml);
    let differing: Vec<&PathBuf> =
        files.iter().filter(|(path, text)| is_anothers(path, text)).map(|(path, _)| path).collect();
    if let (Some(first), false) = (differing.first(), force) {
        let more = if differing.len() > 1 { format!(" (and {} more)", differing.len() - 1) } else { String::new() };
        return Err(Problem {
            exit: Exit::Failed,
            message: format!(
                "`{}` is there and differs{more}; `--out DIR` writes elsewhere, `--force` replaces it",
                first.display()
            ),
        });
    }
    let mut written = Written::default();
    for (path, text) in &files {
        match fs::read(path) {
            Ok(known) if known == text.as_bytes() => {
                written.same += 1;
                continue;
            }
            Ok(_) => written.replaced += 1,
            Err(_) => written.new += 1,
        }
        whole_file(path, text).map_err(|error| Problem {
            exit: if error.kind() == std::io::ErrorKind::PermissionDenied { Exit::Denied } else { Exit::Failed },
            message: format!("`{}` cannot be written: {error}", path.display()),
        })?;
    }
    let schema_file = folder.join(SCHEMA);
    if !schema_file.exists() {
        // For editors; the configuration is good without it.
        let _ = whole_file(&schema_file, &schema::json_schema());
    }
    Ok(written)
}

/// A path that stays below the folder it is put into.
fn within(path: &str) -> Result<&Path, Problem> {
    let path = Path::new(path);
    if path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(path);
    }
    Err(Problem {
        exit: Exit::Failed,
        message: format!("`{}` would be written outside of the output's folder", path.display()),
    })
}

/// A file that is there, differs, and was not written by an earlier import.
fn is_anothers(path: &Path, text: &str) -> bool {
    match fs::read(path) {
        Ok(known) => known != text.as_bytes() && !String::from_utf8_lossy(&known).contains(MARK),
        Err(_) => path.exists(),
    }
}

/// Writes the whole file or nothing: a gateway may be watching it.
pub(super) fn whole_file(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

/// What was written, and what to do next.
pub(super) fn told(folder: &Path, output: &Output, written: &Written, compilation: &Compilation, env: &Env) -> String {
    let config = folder.join(CONFIG);
    let config = config.strip_prefix(".").unwrap_or(&config).display();
    let Written { new, replaced, same } = written;
    let mut text = format!("wrote {config}: {new} files new, {replaced} replaced, {same} as they were; ");
    match output.tests {
        0 => text.push_str("it passes `routeplane check`\n"),
        1 => text.push_str("it passes `routeplane check` with its test\n"),
        tests => text.push_str(&format!("it passes `routeplane check` with its {tests} tests\n")),
    }
    let missing = variables(output, compilation, env);
    if !missing.is_empty() {
        text.push_str(&format!("variables that it needs and that are not set here: {}\n", missing.join(", ")));
    }
    text.push_str(&format!("next: `routeplane start --config {config}`"));
    text
}

/// Variables that the file needs and the environment lacks.
fn variables(output: &Output, compilation: &Compilation, env: &Env) -> Vec<String> {
    let missing = compilation.diagnostics.iter().filter(|found| found.code == Code::MissingVariable);
    let mut names: Vec<String> =
        missing.filter_map(|found| found.message.split('`').nth(1)).map(str::to_owned).collect();
    names.extend(output.variables.iter().filter(|name| env.get(name).is_none()).cloned());
    names.sort();
    names.dedup();
    names
}
