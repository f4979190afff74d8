//! The table of the configuration, for commands that print facts of it.

use super::config_file::{self, ConfigArg};
use super::output::{complain, print_error};
use super::refusal::{style_of_stderr, summary};
use super::{Exit, check, refusal};
use crate::config::Env;
use crate::diagnostic::render::render;
use crate::live::candidate::Inputs;
use crate::table::RoutingTable;

/// Compiles the file that `start` would serve; its warnings are left to `check`.
///
/// # Errors
/// The exit code where there is no table; what is wrong has been printed.
pub(super) fn table(config: &ConfigArg, env: &Env) -> Result<RoutingTable, Exit> {
    let config = config_file::find(config.config.as_deref(), env);
    let inputs = Inputs { config, listen: None, env: env.clone() };
    let evaluation = check::evaluate(&inputs).map_err(|refused| refusal::report(&refused))?;
    evaluation.compiled.map(|compiled| compiled.table).ok_or_else(|| {
        print_error(render(&evaluation.diagnostics, &evaluation.sources, style_of_stderr()).trim_end());
        complain(summary(&evaluation.diagnostics));
        Exit::BadConfig
    })
}
