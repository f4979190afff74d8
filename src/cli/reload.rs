//! `routeplane reload`.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::Exit;
use super::control::{self, AddressArg};
use super::output::{Format, FormatArg, complain, print, print_error, print_json};
use super::status::findings;
use crate::config::Env;
use crate::config::decode::leaf::parse_duration;

/// More than the gateway itself waits: it is the one that says that it took too long.
const GRACE: Duration = Duration::from_secs(5);

/// Make a running gateway read its file now, and say what became of it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long to wait for the verdict
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    wait: Duration,
    #[command(flatten)]
    address: AddressArg,
    #[command(flatten)]
    format: FormatArg,
}

/// Reads `500ms`, `10s`, `2m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration with its unit, such as `10s` or `500ms`".to_owned())
}

pub(super) fn run(args: &Args, env: &Env) -> Exit {
    ask(args, env).unwrap_or_else(|exit| exit)
}

fn ask(args: &Args, env: &Env) -> Result<Exit, Exit> {
    let instance = control::find(args.address, env)?;
    let path = format!("/admin/reload?wait={}ms", args.wait.as_millis());
    let (status, answer) = control::ask(&instance, Method::POST, &path, args.wait + GRACE)?;
    if args.format.format == Format::Json {
        print_json(&answer);
    } else {
        describe(status, &answer);
    }
    Ok(match status {
        StatusCode::OK => Exit::Done,
        StatusCode::ACCEPTED => Exit::Timeout,
        StatusCode::UNPROCESSABLE_ENTITY => Exit::BadConfig,
        _ => Exit::Failed,
    })
}

fn describe(status: StatusCode, answer: &Value) {
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    match status {
        StatusCode::OK if answer.get("result").and_then(Value::as_str) == Some("noop") => {
            print(format_args!("nothing has changed; generation {} is live", number("generation")));
        }
        StatusCode::OK => {
            print(format_args!("generation {} is live", number("generation")));
            let changes = answer.get("changed").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for change in changes.iter().filter_map(Value::as_str) {
                print(format_args!("  {change}"));
            }
        }
        StatusCode::ACCEPTED => complain("the reload is still running; see `routeplane status`"),
        StatusCode::UNPROCESSABLE_ENTITY => {
            for line in findings(answer.get("errors")) {
                print_error(line);
            }
            complain(format_args!("the file is refused; generation {} stays live", number("active_generation")));
        }
        _ => complain(format_args!("the gateway answered {status}: {answer}")),
    }
}
