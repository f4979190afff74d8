//! `routeplane completions`.

use clap_complete::Shell;

use super::output::print;
use super::{Exit, description};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut description(), "routeplane", &mut script);
    print(String::from_utf8_lossy(&script).trim_end());
    Exit::Done
}
