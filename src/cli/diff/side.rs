//! One of two files: from the disk, or from Git.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::cli::Exit;
use crate::cli::output::{complain, print_error};
use crate::cli::refusal::{style_of_stderr, summary};
use crate::config::{self, Env, Files, Inputs, Tests};
use crate::diagnostic::render::render;
use crate::live::files::{MAX_BYTES, Snapshot, SnapshotFiles, Unreadable};
use crate::table::RoutingTable;

/// A file that compiles, whatever its tests say.
pub(super) struct Side {
    /// As it was given.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) table: RoutingTable,
    origin: Origin,
}

enum Origin {
    Disk(Snapshot),
    Git(GitFiles),
}

impl Side {
    /// # Errors
    /// The exit code where there is no table; what is wrong has been printed.
    pub(super) fn load(given: &str, env: &Env) -> Result<Side, Exit> {
        let (origin, text) = match given.strip_prefix("git:") {
            Some(place) => from_git(place)?,
            None => from_disk(given)?,
        };
        let compilation = with_files(&origin, |files| {
            let inputs = Inputs { file: Some((given, &text)), listen: None, env, files };
            config::compile_with(inputs, Tests::Leave)
        });
        let Some(table) = compilation.table else {
            print_error(render(&compilation.diagnostics, &compilation.sources, style_of_stderr()).trim_end());
            complain(format_args!("`{given}` cannot be compared: {}", summary(&compilation.diagnostics)));
            return Err(Exit::BadConfig);
        };
        Ok(Side { name: given.to_owned(), text, table, origin })
    }

    /// Shows the files that this one names to `then`.
    pub(super) fn with_files<T>(&self, then: impl FnOnce(&dyn Files) -> T) -> T {
        with_files(&self.origin, then)
    }
}

fn with_files<T>(origin: &Origin, then: impl FnOnce(&dyn Files) -> T) -> T {
    match origin {
        Origin::Disk(snapshot) => then(&SnapshotFiles::new(snapshot)),
        Origin::Git(files) => then(files),
    }
}

fn from_disk(given: &str) -> Result<(Origin, String), Exit> {
    let snapshot = Snapshot::read(Some(&PathBuf::from(given)), &BTreeSet::new());
    let text = match snapshot.text() {
        Ok(text) => text.to_owned(),
        Err(problem) => {
            complain(format_args!("`{given}` cannot be read: {problem}"));
            return Err(match problem {
                Unreadable::Missing => Exit::NoInput,
                Unreadable::PermissionDenied => Exit::Denied,
                _ => Exit::BadConfig,
            });
        }
    };
    Ok((Origin::Disk(snapshot), text))
}

fn from_git(place: &str) -> Result<(Origin, String), Exit> {
    let Some((revision, path)) =
        place.split_once(':').filter(|(revision, path)| !revision.is_empty() && !path.is_empty())
    else {
        complain(format_args!(
            "`git:{place}` names no file; write `git:REVISION:PATH`, such as `git:HEAD:routeplane.yaml`"
        ));
        return Err(Exit::Usage);
    };
    let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let files = GitFiles { revision: revision.to_owned(), folder };
    match show(revision, path) {
        Ok(text) => Ok((Origin::Git(files), text)),
        Err(problem) => {
            complain(format_args!("`git:{place}` cannot be read: {problem}"));
            Err(Exit::NoInput)
        }
    }
}

/// Files as a revision has them.
struct GitFiles {
    revision: String,
    /// Of the configuration, with its `/`.
    folder: String,
}

impl Files for GitFiles {
    fn read(&self, path: &str) -> Result<String, String> {
        show(&self.revision, &format!("{}{path}", self.folder))
    }
}

/// The text of `path`, seen from the root of the repository (or, with `./`, from here), as it was at `revision`.
fn show(revision: &str, path: &str) -> Result<String, String> {
    if revision.starts_with('-') {
        return Err(format!("`{revision}` is not a revision"));
    }
    let shown = Command::new("git").args(["show", "--no-textconv", &format!("{revision}:{path}")]).output();
    let shown = shown.map_err(|error| format!("`git` cannot be run: {error}"))?;
    if !shown.status.success() {
        let said = String::from_utf8_lossy(&shown.stderr);
        let said = said.lines().next().unwrap_or("git says nothing").trim_start_matches("fatal: ");
        return Err(format!("{said} (paths begin at the root of the repository, or with `./` here)"));
    }
    if shown.stdout.len() as u64 > MAX_BYTES {
        return Err(Unreadable::TooLarge.to_string());
    }
    String::from_utf8(shown.stdout).map_err(|_| Unreadable::NotText.to_string())
}
