//! What the commands print: facts to stdout, complaints to stderr.

use std::fmt::Display;
use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Human,
    /// For programs: one JSON value
    Json,
}

/// `--format`, for every command that prints facts.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct FormatArg {
    /// The form of what is printed
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
}

/// Prints to stdout. Who closes the pipe has read enough.
pub(super) fn print(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

pub(super) fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(text),
        Err(error) => complain(format!("the answer cannot be written as JSON: {error}")),
    }
}

/// Prints one line to stderr.
pub(super) fn complain(message: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "routeplane: {message}");
}

/// Prints to stderr as it is.
pub(super) fn print_error(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
