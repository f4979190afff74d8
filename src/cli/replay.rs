//! `routeplane replay`.

mod call;
mod facts;
mod lines;
mod tally;
mod world;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::config_file::ConfigArg;
use super::output::{Format, FormatArg, complain, print, print_json};
use super::{Exit, compiled};
use crate::config::Env;
use crate::table::RoutingTable;
use call::{Call, Redecided};
use lines::Lines;
use tally::Tally;

/// Decide recorded calls again, by another file: which of them would go elsewhere, and what they would cost there
///
/// The access log holds what rules may ask for, and no text of a prompt. Nothing is sent.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The access log, in JSON lines; `-` reads stdin
    log: PathBuf,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    format: FormatArg,
    /// End with 3 where some call would go elsewhere
    #[arg(long)]
    exit_code: bool,
}

pub(super) fn run(args: &Args, env: &Env) -> Exit {
    let table = match compiled::table(&args.config, env) {
        Ok(table) => table,
        Err(exit) => return exit,
    };
    let tally = match tally_of(&args.log, &table) {
        Ok(tally) => tally,
        Err(error) => {
            complain(format_args!("`{}` cannot be read: {error}", args.log.display()));
            return if error.kind() == std::io::ErrorKind::NotFound { Exit::NoInput } else { Exit::Failed };
        }
    };
    match args.format.format {
        Format::Human => print(tally.to_string().trim_end()),
        Format::Json => print_json(&tally.json()),
    }
    if tally.is_all_unreadable() {
        complain("no line is a record of the access log; it must be written with `format: json`");
        return Exit::Failed;
    }
    if args.exit_code && tally.changes() { Exit::Findings } else { Exit::Done }
}

/// Line by line: a log of gigabytes takes no more memory than a short one.
fn tally_of(log: &Path, table: &RoutingTable) -> std::io::Result<Tally> {
    let mut tally = Tally::default();
    let mut count = |number: u64, line: Result<&[u8], &str>| match line.map_err(str::to_owned).and_then(Call::read) {
        Ok(call) => match call.again(table) {
            Redecided::Not => tally.not_decided(),
            redecided => tally.add(number, &call, redecided),
        },
        Err(problem) => tally.unreadable(number, problem),
    };
    if log == Path::new("-") {
        Lines::new(std::io::stdin().lock()).each(&mut count)?;
    } else {
        Lines::new(BufReader::new(File::open(log)?)).each(&mut count)?;
    }
    Ok(tally)
}
