//! `routeplane version`.

use super::Exit;
use super::output::{Format, FormatArg, print, print_json};

/// Print the version
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    match args.format.format {
        Format::Human => print(format_args!("routeplane {version}")),
        Format::Json => print_json(&serde_json::json!({ "name": "routeplane", "version": version })),
    }
    Exit::Done
}
