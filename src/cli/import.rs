//! `routeplane import-tensorzero`.

mod inputs;
mod outputs;

use std::path::{Path, PathBuf};

use super::Exit;
use super::output::{Format, complain, print, print_error};
use super::refusal::{style_of_stderr, summary};
use crate::config::{Env, Files};
use crate::diagnostic::Severity;
use crate::diagnostic::render::render;
use crate::import::report;
use crate::import::tensorzero::{self, Freeze, Import, Output};
use crate::live::files::read_text;

/// Make a `routeplane.yaml` of a TensorZero configuration, with a verdict for every setting
///
/// Templates, schemas and tools are copied beside it, and the result is proved as `routeplane check` does before anything is
/// written. Ends with 0 where everything is carried over, 2 with warnings, 3 with a loss that breaks requests, 4 where
/// TensorZero itself would refuse the input.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files, or globs such as `config/**/*.toml`; several are put together as TensorZero does
    #[arg(required = true, value_name = "PATH")]
    inputs: Vec<String>,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Also write the verdict of every setting to this file, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The form of what is printed
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Write nothing but the report
    #[arg(long)]
    dry_run: bool,
    /// Write nothing unless everything is carried over without a warning
    #[arg(long)]
    strict: bool,
    /// Replace files that are there and differ
    #[arg(long)]
    force: bool,
    /// The share of a variant in an experiment that TensorZero adapts, e.g. `reply=v1:0.7`
    #[arg(long, value_name = "FUNCTION=VARIANT:WEIGHT", value_parser = freeze)]
    freeze: Vec<Freeze>,
}

fn freeze(text: &str) -> Result<Freeze, String> {
    let parts = || {
        let (function, rest) = text.split_once('=')?;
        let (variant, weight) = rest.rsplit_once(':')?;
        let weight: f64 = weight.parse().ok()?;
        Some(Freeze { function: function.to_owned(), variant: variant.to_owned(), weight })
    };
    parts().filter(|freeze| freeze.weight.is_finite()).ok_or_else(|| "write FUNCTION=VARIANT:WEIGHT".to_owned())
}

pub(super) fn run(args: &Args, env: &Env) -> Exit {
    let texts = match inputs::read(&args.inputs) {
        Ok(texts) => texts,
        Err(problem) => {
            complain(problem.message);
            return problem.exit;
        }
    };
    let import = tensorzero::import(&texts, &Disk, &args.freeze);
    if let Err(exit) = write_report(args, &import) {
        return exit;
    }
    match &import.output {
        None => refused(args, &import),
        Some(output) => imported(args, env, &import, output),
    }
}

/// The disk, as the configuration names it.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<String, String> {
        read_text(Path::new(path)).map_err(|error| error.to_string())
    }
}

fn write_report(args: &Args, import: &Import) -> Result<(), Exit> {
    let Some(path) = &args.report else { return Ok(()) };
    let text = format!("{}\n", report::json(&import.findings, &import.sources));
    outputs::whole_file(path, &text).map_err(|error| {
        complain(format_args!("`{}` cannot be written: {error}", path.display()));
        Exit::Failed
    })
}

fn refused(args: &Args, import: &Import) -> Exit {
    print_error(render(&import.diagnostics, &import.sources, style_of_stderr()).trim_end());
    match args.format {
        Format::Json => print(report::json(&import.findings, &import.sources)),
        Format::Human => print(format_args!(
            "TensorZero would refuse this, and nothing is written: {}",
            summary(&import.diagnostics)
        )),
    }
    Exit::Refused
}

fn imported(args: &Args, env: &Env, import: &Import, output: &Output) -> Exit {
    let compilation = tensorzero::prove(output, env);
    if compilation.diagnostics.has_errors() {
        let of_environment = !tensorzero::prove(output, &Env::default()).diagnostics.has_errors();
        print_error(render(&compilation.diagnostics, &compilation.sources, style_of_stderr()).trim_end());
        complain(match of_environment {
            true => {
                "the output passes `routeplane check` but for a variable that is set wrong here, so nothing is written: mend \
                 the variable, or unset it"
            }
            false => {
                "the output does not pass `routeplane check`, so nothing is written. This is a mistake of the importer: please \
                 report it with the input, without its secrets"
            }
        });
        return Exit::Failed;
    }
    let gravest = report::gravest(&import.findings);
    let held_back = args.strict && gravest > Severity::Info;
    let written = match args.dry_run || held_back {
        true => Ok(outputs::Written::default()),
        false => outputs::write(&args.out, output, args.force),
    };
    let written = match written {
        Ok(written) => written,
        Err(problem) => {
            complain(problem.message);
            return problem.exit;
        }
    };
    match args.format {
        Format::Json => print(report::json(&import.findings, &import.sources)),
        Format::Human => {
            print(report::human(&import.findings, &import.sources).trim_end());
            let last = match (args.dry_run, held_back) {
                (true, _) => "nothing is written (`--dry-run`)".to_owned(),
                (false, true) => {
                    "nothing is written: `--strict` wants everything carried over without a warning".to_owned()
                }
                (false, false) => outputs::told(&args.out, output, &written, &compilation, env),
            };
            print(last);
        }
    }
    match gravest {
        Severity::Info => Exit::Done,
        Severity::Warning => Exit::Usage,
        Severity::Error => Exit::Findings,
    }
}
