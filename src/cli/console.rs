//! `routeplane console`.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::Exit;
use super::control::{self, AddressArg};
use super::output::print;
use crate::config::Env;

const PATIENCE: Duration = Duration::from_secs(5);

/// Print the address of a running gateway's console, a page for the browser of this machine
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    address: AddressArg,
}

pub(super) fn run(args: &Args, env: &Env) -> Exit {
    match address(args, env) {
        Ok(address) => {
            print(address);
            Exit::Done
        }
        Err(exit) => exit,
    }
}

/// With the gateway's token, where the file asks for client keys: behind `#`, which a browser sends to nobody.
fn address(args: &Args, env: &Env) -> Result<String, Exit> {
    let instance = control::find(args.address, env)?;
    let (_, live) = control::ask(&instance, Method::GET, "/admin/table", PATIENCE)?;
    let guarded = live.pointer("/table/keys").and_then(Value::as_array).is_some_and(|keys| !keys.is_empty());
    let page = format!("http://{}/console", control::reachable(instance.address));
    Ok(if guarded { format!("{page}#token={}", instance.token) } else { page })
}
