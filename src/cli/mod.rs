//! The commands. Each is a file with its arguments (`Args`) and what it does (`run`); the list is [`Command`].

mod background;
mod banner;
mod check;
mod compiled;
mod completions;
mod config_file;
mod console;
mod control;
mod daemon;
mod diff;
mod exit;
mod explain;
mod fmt;
mod import;
pub mod init;
mod lsp;
mod models;
mod output;
mod providers;
mod reference;
mod refusal;
mod reload;
mod replace;
mod replay;
mod schema;
mod start;
mod status;
mod stop;
mod surroundings;
mod table;
mod top;
mod version;

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};

pub use exit::Exit;

use crate::config::Env;

/// An LLM gateway whose routing file is compiled, proved and reloaded live.
///
/// Without a command, `routeplane` does what `routeplane start` does.
#[derive(Debug, Parser)]
#[command(name = "routeplane", version, disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

/// Every command, in the order of the help text.
#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Start(start::Args),
    Stop(stop::Args),
    Status(status::Args),
    Reload(reload::Args),
    Top(top::Args),
    Console(console::Args),
    Check(check::Args),
    Fmt(fmt::Args),
    Lsp(lsp::Args),
    Explain(Box<explain::Args>),
    ImportTensorzero(import::Args),
    Diff(diff::Args),
    Replay(replay::Args),
    Models(models::Args),
    Providers(providers::Args),
    /// Print the JSON Schema of the configuration file
    Schema,
    Completions(completions::Args),
    Version(version::Args),
    #[command(hide = true)]
    Reference(reference::Args),
}

/// Runs the command that `arguments` (the program's name first) ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let env = environment();
    let command = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.command.unwrap_or_else(|| Command::Start(start::Args::default())),
        Err(error) => {
            // Help and version are "errors" that go to stdout and succeed. A closed pipe is nobody's concern.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    match command {
        Command::Init(args) => init::run(&args, &env),
        Command::Start(args) => start::run(&args, env),
        Command::Stop(args) => stop::run(&args, &env),
        Command::Status(args) => status::run(&args, &env),
        Command::Reload(args) => reload::run(&args, &env),
        Command::Top(args) => top::run(&args, &env),
        Command::Console(args) => console::run(&args, &env),
        Command::Check(args) => check::run(&args, &env),
        Command::Fmt(args) => fmt::run(&args, &env),
        Command::Lsp(args) => lsp::run(&args, &env),
        Command::Explain(args) => explain::run(&args, &env),
        Command::ImportTensorzero(args) => import::run(&args, &env),
        Command::Diff(args) => diff::run(&args, &env),
        Command::Replay(args) => replay::run(&args, &env),
        Command::Models(args) => models::run(&args, &env),
        Command::Providers(args) => providers::run(&args, &env),
        Command::Schema => schema::run(),
        Command::Completions(args) => completions::run(&args),
        Command::Version(args) => version::run(&args),
        Command::Reference(args) => reference::run(&args),
    }
}

/// The clap description of the whole program.
fn description() -> clap::Command {
    Cli::command()
}

/// The one snapshot of the environment. Variables that are not UTF-8 can hold nothing that is used here.
fn environment() -> Env {
    let utf8 =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut variables = utf8.collect();
    surroundings::complete(&mut variables);
    Env::new(variables)
}
