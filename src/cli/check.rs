//! `routeplane check`.

mod losses;
mod stages;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::Value;

use super::config_file;
use super::output::{complain, print, print_error, print_json};
use super::refusal::{style_of_stderr, summary};
use super::{Exit, refusal};
use crate::config::{Env, notes};
use crate::diagnostic::render::render;
use crate::diagnostic::{Code, Diagnostics, Severity, github, json, sarif};
use crate::live::candidate::{self, Cause, Compiled, Evaluation, Inputs, Refusal};
use crate::live::files::Snapshot;
use crate::proxy::explain::front_end;
use crate::source::SourceMap;

/// Prove the configuration file, offline: the same judgement as that of a reload, and the file's own tests
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file; without it, the one that `start` would take
    file: Option<PathBuf>,
    /// The form of the findings
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// What besides errors leads to exit code 3
    #[arg(long, value_name = "WHAT")]
    deny: Option<Deny>,
    /// List what becomes of each documented field of a request where a route translates it; with `--format json`, one
    /// object of `findings` and `losses`
    #[arg(long)]
    losses: bool,
    /// Also print what is no mistake: requests that no rule meets, and rules whose order decides
    #[arg(long)]
    info: bool,
    /// Explain a diagnostic, such as RP0020, instead of checking
    #[arg(long, value_name = "CODE", conflicts_with_all = ["file", "format", "deny", "losses", "info"])]
    explain: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, with the lines in question
    Human,
    /// A JSON array
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    Warnings,
}

pub(super) fn run(args: &Args, env: &Env) -> Exit {
    if let Some(code) = &args.explain {
        return explain(code);
    }
    if args.losses && matches!(args.format, Format::Sarif | Format::Github) {
        complain("`--losses` has no such form; leave `--format` out, or write `--format json`");
        return Exit::Usage;
    }
    let given = args.file.as_deref().or(env.get("ROUTEPLANE_CONFIG").map(Path::new));
    let Some(config) = config_file::find(given, env) else {
        complain("there is no configuration file; name one, or write one with `routeplane init`");
        return Exit::NoInput;
    };
    let inputs = Inputs { config: Some(config.clone()), listen: None, env: env.clone() };
    match evaluate(&inputs) {
        Ok(evaluation) => {
            let Evaluation { diagnostics, sources, compiled, .. } = &evaluation;
            let text = sources.named(&config.display().to_string()).unwrap_or_default();
            let compiled = compiled.as_ref();
            let diagnostics = &informed(args, diagnostics, compiled);
            report(args, &config, diagnostics, sources, || {
                compiled.map(|compiled| seen(args, compiled, stages::lines(compiled, text, diagnostics, env)))
            })
        }
        Err(refused) if refused.cause == Cause::Invalid => {
            report(args, &config, &refused.diagnostics, &refused.sources, || None)
        }
        Err(refused) => refusal::report(&refused),
    }
}

/// The findings, with information where it is asked for.
fn informed(args: &Args, diagnostics: &Diagnostics, compiled: Option<&Compiled>) -> Diagnostics {
    let mut diagnostics = diagnostics.clone();
    if let Some(compiled) = compiled.filter(|_| args.info) {
        notes(&compiled.table, &compiled.proof, &mut diagnostics);
        diagnostics.sort();
    }
    diagnostics
}

/// Looks at the files once, and once more for each set of files that turn out to belong to them.
pub(super) fn evaluate(inputs: &Inputs) -> Result<Evaluation, Refusal> {
    let mut others = BTreeSet::new();
    loop {
        let snapshot = Snapshot::read(inputs.config.as_deref(), &others);
        let evaluation = candidate::evaluate(&front_end, inputs, &snapshot)?;
        let known = others.len();
        others.extend(evaluation.unlisted.iter().cloned());
        if others.len() == known {
            return Ok(evaluation);
        }
    }
}

/// What a file that compiles holds.
struct Seen {
    /// What was looked at, for people.
    stages: Vec<String>,
    /// The list that was asked for, in the form that was asked for.
    listed: Option<String>,
    losses: Value,
}

fn seen(args: &Args, compiled: &Compiled, mut stages: Vec<String>) -> Seen {
    let wanted = args.losses || args.format == Format::Human;
    let translations = if wanted { losses::translations(&compiled.table) } else { Vec::new() };
    stages.extend(losses::lines(&translations));
    Seen { stages, listed: args.losses.then(|| losses::text(&translations)), losses: losses::json(&translations) }
}

/// `seen` is called where it is needed; `None` comes of a file that does not compile.
fn report(
    args: &Args,
    config: &Path,
    diagnostics: &Diagnostics,
    sources: &SourceMap,
    seen: impl FnOnce() -> Option<Seen>,
) -> Exit {
    match args.format {
        Format::Json if args.losses => print_json(&serde_json::json!({
            "findings": json::value(diagnostics, sources),
            "losses": seen().map(|seen| seen.losses),
        })),
        Format::Json => print(json::to_json(diagnostics, sources)),
        Format::Sarif => print(sarif::to_sarif(diagnostics, sources)),
        Format::Github => print(github::to_github(diagnostics, sources).trim_end()),
        Format::Human => {
            if !diagnostics.is_empty() {
                print_error(render(diagnostics, sources, style_of_stderr()).trim_end());
            }
            if let Some(Seen { stages, listed, .. }) = seen() {
                stages.into_iter().for_each(print);
                listed.iter().filter(|listed| !listed.is_empty()).for_each(|listed| print(listed.trim_end()));
            }
            print(format_args!("{}: {}", config.display(), summary(diagnostics)));
        }
    }
    let denied = args.deny == Some(Deny::Warnings) && diagnostics.count(Severity::Warning) > 0;
    if diagnostics.has_errors() || denied { Exit::Findings } else { Exit::Done }
}

fn explain(code: &str) -> Exit {
    let wanted = code.trim().to_uppercase();
    match Code::ALL.iter().find(|code| code.to_string() == wanted) {
        Some(code) => {
            print(format_args!("{code}: {}", code.explanation()));
            Exit::Done
        }
        None => {
            complain(format_args!("there is no diagnostic `{code}`; docs/diagnostics.md lists them all"));
            Exit::Usage
        }
    }
}
