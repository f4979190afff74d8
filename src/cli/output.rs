//! What the commands print: facts to stdout, complaints to stderr.

use std::fmt::Display;
use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Human,
    /// For programs: one JSON value
    Json,
}

/// `--format`, for every command that prints facts.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct FormatArg {
    /// The form of what is printed
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub format: Format,
}

/// Prints to stdout. Who closes the pipe has read enough.
pub fn print(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

pub fn print_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(text),
        Err(error) => complain(format!("the answer cannot be written as JSON: {error}")),
    }
}

/// Prints one line to stderr.
pub fn complain(message: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "routeplane: {message}");
}

/// Prints to stderr as it is.
pub fn print_error(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
