//! `routeplane fmt`.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::config_file;
use super::output::{complain, print, print_error};
use super::refusal::{style_of_stderr, summary};
use super::{Exit, replace};
use crate::config::{Env, format};
use crate::diagnostic::Diagnostics;
use crate::diagnostic::render::render;
use crate::live::files::{MAX_BYTES, Snapshot, Unreadable};
use crate::source::SourceMap;

/// Write configuration files in their one form: indentation, blanks, quotes of expressions, arrows of rules below each
/// other
///
/// What a file means, its comments and the order of its keys stay. A file that cannot be read stays as it is. It is replaced
/// as a whole, so that a gateway that watches it never sees half of it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The files, or `-` for the standard input; without one, the file that `start` would take
    files: Vec<PathBuf>,
    /// Write nothing, name the files that are not in this form, and end with exit code 3 if there is one
    #[arg(long)]
    check: bool,
    /// Print the result instead of writing it
    #[arg(long, conflicts_with = "check")]
    stdout: bool,
}

pub(super) fn run(args: &Args, env: &Env) -> Exit {
    let mut files = args.files.clone();
    if files.is_empty() {
        let Some(found) = config_file::find(env.get("ROUTEPLANE_CONFIG").map(Path::new), env) else {
            complain("there is no configuration file; name one, or write one with `routeplane init`");
            return Exit::NoInput;
        };
        files.push(found);
    }
    // The first failure decides how the command ends, and the other files are formatted all the same.
    let mut end = Exit::Done;
    for file in &files {
        let ended = one(args, file);
        if end == Exit::Done {
            end = ended;
        }
    }
    end
}

fn one(args: &Args, file: &Path) -> Exit {
    let piped = file == Path::new("-");
    let text = match if piped { read_stdin() } else { read(file) } {
        Ok(text) => text,
        Err((exit, reason)) => {
            complain(format_args!("`{}` cannot be read: {reason}", file.display()));
            return exit;
        }
    };
    let Some(formatted) = formatted(file, &text) else { return Exit::Findings };
    if args.check {
        if formatted == text {
            return Exit::Done;
        }
        print(format_args!("{}: not formatted; `routeplane fmt {}` mends it", file.display(), file.display()));
        return Exit::Findings;
    }
    if piped || args.stdout {
        // Who closes the pipe has read enough.
        let _ = io::stdout().lock().write_all(formatted.as_bytes());
        return Exit::Done;
    }
    if formatted == text {
        return Exit::Done;
    }
    match replace::replace(file, &text, &formatted) {
        Ok(()) => {
            print(format_args!("{}: formatted", file.display()));
            Exit::Done
        }
        Err(error) => {
            complain(format_args!("`{}` cannot be written: {error}", file.display()));
            if error.kind() == io::ErrorKind::PermissionDenied { Exit::Denied } else { Exit::Failed }
        }
    }
}

/// The text in its one form, or what keeps it from being read, which is printed.
fn formatted(file: &Path, text: &str) -> Option<String> {
    let mut sources = SourceMap::default();
    let source = sources.add(file.display().to_string(), text);
    let mut diagnostics = Diagnostics::default();
    let formatted = format::format(source, &sources, &mut diagnostics);
    if formatted.is_none() {
        diagnostics.sort();
        print_error(render(&diagnostics, &sources, style_of_stderr()).trim_end());
        complain(format_args!("`{}` stays as it is: {}", file.display(), summary(&diagnostics)));
    }
    formatted
}

fn read(file: &Path) -> Result<String, (Exit, String)> {
    let snapshot = Snapshot::read(Some(file), &std::collections::BTreeSet::new());
    snapshot.text().map(str::to_owned).map_err(|error| {
        let exit = match error {
            Unreadable::Missing => Exit::NoInput,
            Unreadable::PermissionDenied => Exit::Denied,
            _ => Exit::BadConfig,
        };
        (exit, error.to_string())
    })
}

fn read_stdin() -> Result<String, (Exit, String)> {
    let mut text = String::new();
    match io::stdin().lock().take(MAX_BYTES + 1).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err((Exit::BadConfig, error.to_string())),
    }
}
