//! `routeplane init`: a first `routeplane.yaml` that fits the keys and the model servers of this machine.

pub mod discover;
mod probe;
mod template;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::Env;
use discover::LocalServer;

/// Write a first routeplane.yaml that fits the keys and the model servers of this machine.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// The file to write
    #[arg(long, value_name = "PATH", default_value = "routeplane.yaml")]
    pub config: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
    /// Print the file instead of writing it
    #[arg(long, conflicts_with = "force")]
    pub stdout: bool,
    /// Do not look for model servers on this machine
    #[arg(long)]
    pub no_probe: bool,
}

/// Writes the file and says what to do next. Exit code 1 where it cannot be written.
pub async fn run(args: InitArgs, env: &Env, out: &mut dyn Write, err: &mut dyn Write) -> std::io::Result<ExitCode> {
    let servers = if args.no_probe { Vec::new() } else { probe::servers().await };
    let text = file(env, &servers);
    if args.stdout {
        out.write_all(text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Err(reason) = write(&args.config, &text, args.force) {
        writeln!(err, "{reason}")?;
        return Ok(ExitCode::from(1));
    }
    next_steps(&args.config, env, &servers, out)?;
    Ok(ExitCode::SUCCESS)
}

/// The text of a configuration that fits.
pub fn file(env: &Env, servers: &[LocalServer]) -> String {
    template::text(&discover::found(env, servers))
}
