//! `routeplane reference`: the pages of the documentation that are made from the program. Hidden; a test compares them
//! with the files in `docs/`.

use std::fmt::Write;

use clap::{Arg, Command, ValueEnum};

use super::output::print;
use super::{Exit, description};
use crate::diagnostic::{Code, Severity};

/// Print a page of the documentation
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    page: Page,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Page {
    /// docs/cli.md
    Cli,
    /// docs/diagnostics.md
    Diagnostics,
}

pub(super) fn run(args: &Args) -> Exit {
    let page = match args.page {
        Page::Cli => cli(),
        Page::Diagnostics => diagnostics(),
    };
    print(page.trim_end());
    Exit::Done
}

fn cli() -> String {
    let mut page = String::from(
        "# Commands\n\n<!-- Made by `routeplane reference cli`. Do not edit: a test compares. -->\n\n\
         `routeplane` alone does what `routeplane start` does.\n",
    );
    for command in description().get_subcommands().filter(|command| !command.is_hide_set()) {
        describe(command, &mut page);
    }
    page.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        line(&mut page, format_args!("| {} | {} |", exit.number(), exit.meaning()));
    }
    page.push_str(
        "\n## Environment\n\n| variable | meaning |\n|---|---|\n\
         | `ROUTEPLANE_CONFIG` | the configuration file, as `--config` |\n\
         | `ROUTEPLANE_LOG` | what is logged: a level, or `target=level` pairs; `warn,routeplane=info` by default |\n\
         | `XDG_CONFIG_HOME` | where `routeplane/routeplane.yaml` is looked for |\n\
         | `XDG_RUNTIME_DIR`, `XDG_STATE_HOME` | where running gateways leave the files by which `stop`, `status` and `reload` find them |\n",
    );
    page
}

fn describe(command: &Command, page: &mut String) {
    line(page, format_args!("\n## `routeplane {}`\n", command.get_name()));
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    line(page, format_args!("{}", about.split("\n\n").map(sentence).collect::<Vec<_>>().join("\n\n")));
    let shown = |arg: &&Arg| !arg.is_hide_set() && arg.get_id() != "help";
    let arguments: Vec<&Arg> = command.get_arguments().filter(shown).collect();
    if arguments.is_empty() {
        return;
    }
    page.push_str("\n| argument | meaning |\n|---|---|\n");
    for argument in arguments {
        line(page, format_args!("| `{}` | {} |", signature(argument), meaning(argument)));
    }
}

/// `--format FORMAT`, `FILE`.
fn signature(argument: &Arg) -> String {
    let value = argument.get_action().takes_values().then(|| {
        let names = argument.get_value_names().unwrap_or_default();
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    });
    match (argument.get_long(), value) {
        (Some(long), Some(value)) => format!("--{long} {value}"),
        (Some(long), None) => format!("--{long}"),
        (None, value) => value.unwrap_or_else(|| argument.get_id().to_string().to_uppercase()),
    }
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let mut text = sentence(&help.map(ToString::to_string).unwrap_or_default());
    let values: Vec<String> =
        argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if argument.get_action().takes_values() && !values.is_empty() {
        let _ = write!(text, " One of {}.", values.join(", "));
    }
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        let _ = write!(text, " By default {}.", defaults.join(", "));
    }
    text.replace('\n', " ").replace('|', "\\|")
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

fn diagnostics() -> String {
    let mut page = String::from(
        "# Diagnostics\n\n<!-- Made by `routeplane reference diagnostics`. Do not edit: a test compares. -->\n\n\
         What `routeplane check` and a reload have to say about a file. `routeplane check --explain CODE` prints one of these.\n",
    );
    for code in Code::ALL {
        let severity = match code.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "note",
        };
        line(&mut page, format_args!("\n## {code}\n\n*{severity}* · {}", code.explanation()));
    }
    page
}

/// Writing to a text cannot fail.
fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(page, "{text}");
}
