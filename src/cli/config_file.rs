//! Where the configuration is.

use std::path::{Path, PathBuf};

use crate::config::Env;

/// The file's name where none is given.
pub(super) const NAME: &str = "routeplane.yaml";

/// `--config`, for every command that reads the configuration.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ConfigArg {
    /// The configuration file. Without it, the first of these that is there: ./routeplane.yaml,
    /// $XDG_CONFIG_HOME/routeplane/routeplane.yaml (~/.config without the variable); if there is none, the built-in
    /// defaults hold
    #[arg(long, value_name = "PATH", env = "ROUTEPLANE_CONFIG", hide_env_values = true)]
    pub(super) config: Option<PathBuf>,
}

/// The path of the configuration; `None`: there is none. A path that was given is not looked for.
pub(super) fn find(given: Option<&Path>, env: &Env) -> Option<PathBuf> {
    match given {
        Some(path) => Some(path.to_owned()),
        None => candidates(env).into_iter().find(|path| path.exists()),
    }
}

fn candidates(env: &Env) -> Vec<PathBuf> {
    let home = env.get("HOME").map(|home| Path::new(home).join(".config"));
    let user = env.get("XDG_CONFIG_HOME").map(PathBuf::from).or(home);
    let user = user.map(|folder| folder.join("routeplane").join(NAME));
    std::iter::once(PathBuf::from(NAME)).chain(user).collect()
}
