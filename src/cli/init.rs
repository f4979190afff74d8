//! `routeplane init`: a first `routeplane.yaml` that fits the keys and the model servers of this machine.

pub mod discover;
mod probe;
mod template;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::Exit;
use super::output::{complain, print};
use crate::config::{Env, schema};
use discover::{Found, LocalServer};
use template::SCHEMA_FILE;

/// Write a first configuration that fits the keys and the model servers of this machine
///
/// Providers are found by the variables of the environment that hold their keys (the values are not read into the file), and
/// model servers by asking their usual ports on this machine. With neither, the file uses the built-in demo provider.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write
    #[arg(long, value_name = "PATH", default_value = super::config_file::NAME)]
    config: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Print the file instead of writing it
    #[arg(long, conflicts_with = "force")]
    stdout: bool,
    /// Do not ask the ports of this machine for model servers
    #[arg(long)]
    no_probe: bool,
}

pub fn run(args: &Args, env: &Env) -> Exit {
    let servers = match args.no_probe {
        true => Vec::new(),
        false => match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(probe::servers()),
            Err(_) => Vec::new(),
        },
    };
    let found = discover::found(env, &servers);
    let text = template::text(&found);
    if args.stdout {
        print(text.trim_end());
        return Exit::Done;
    }
    if let Err(refusal) = write_file(&args.config, &text, args.force) {
        complain(refusal.message);
        return refusal.exit;
    }
    let schema = write_schema(&args.config);
    print(next_steps(&args.config, &found, schema));
    Exit::Done
}

/// The text of a configuration that fits.
pub fn file(env: &Env, servers: &[LocalServer]) -> String {
    template::text(&discover::found(env, servers))
}

struct Refusal {
    exit: Exit,
    message: String,
}

/// Writes the whole file or nothing: a gateway may be watching it.
fn write_file(path: &Path, text: &str, force: bool) -> Result<(), Refusal> {
    let beside = path.with_extension("yaml.new");
    let written = if force {
        fs::write(&beside, text).and_then(|()| fs::rename(&beside, path))
    } else {
        let created = OpenOptions::new().write(true).create_new(true).open(path);
        created.and_then(|mut file| file.write_all(text.as_bytes()))
    };
    written.map_err(|error| refusal(path, &error))
}

fn refusal(path: &Path, error: &std::io::Error) -> Refusal {
    let path = path.display();
    match error.kind() {
        ErrorKind::AlreadyExists => Refusal {
            exit: Exit::Failed,
            message: format!(
                "`{path}` is there already; `--force` replaces it, `--config OTHER.yaml` writes another, `--stdout` only prints"
            ),
        },
        ErrorKind::PermissionDenied => {
            Refusal { exit: Exit::Denied, message: format!("`{path}` may not be written by this user: {error}") }
        }
        _ => Refusal { exit: Exit::Failed, message: format!("`{path}` cannot be written: {error}") },
    }
}

/// What became of the schema.
enum Schema {
    Written,
    /// One is there, and stays.
    Kept,
    Failed,
}

/// For editors; the configuration is good without it.
fn write_schema(config: &Path) -> Schema {
    let path = config.with_file_name(SCHEMA_FILE);
    match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(mut file) => match file.write_all(schema::json_schema().as_bytes()) {
            Ok(()) => Schema::Written,
            Err(_) => Schema::Failed,
        },
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Schema::Kept,
        Err(_) => Schema::Failed,
    }
}

fn next_steps(config: &Path, found: &[Found], schema: Schema) -> String {
    let is_default = config == Path::new(super::config_file::NAME);
    let (file, option) = match is_default {
        true => (String::new(), String::new()),
        false => (format!(" {}", config.display()), format!(" --config {}", config.display())),
    };
    let mut text = format!("wrote {}", config.display());
    match schema {
        Schema::Written => text.push_str(&format!(", and {SCHEMA_FILE} for editors")),
        Schema::Kept => {}
        Schema::Failed => text.push_str(&format!("; for editors: `routeplane schema > {SCHEMA_FILE}`")),
    }
    text.push('\n');
    for found in found {
        text.push_str(&format!("  {} ({})\n", found.provider, found.whence));
    }
    if found.is_empty() {
        text.push_str(
            "no key was found, so it uses the built-in demo provider; set a key such as OPENAI_API_KEY or ANTHROPIC_API_KEY \
             and run `routeplane init --force` for a file that uses it\n",
        );
    }
    text.push_str(&format!(
        "\nnext:\n  routeplane check{file}\n  routeplane start{option}\n  curl http://127.0.0.1:4356/v1/chat/completions \
         -d '{{\"model\":\"default\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'"
    ));
    text
}
