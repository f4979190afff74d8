//! `routeplane status`.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::Exit;
use super::control::{self, AddressArg};
use super::output::{Format, FormatArg, print, print_json};
use crate::config::Env;

const PATIENCE: Duration = Duration::from_secs(5);

/// Say what a running gateway serves, and whether its file is live
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    address: AddressArg,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, env: &Env) -> Exit {
    match ask(args, env) {
        Ok(()) => Exit::Done,
        Err(exit) => exit,
    }
}

fn ask(args: &Args, env: &Env) -> Result<(), Exit> {
    let instance = control::find(args.address, env)?;
    let (_, mut status) = control::ask(&instance, Method::GET, "/admin/config/status", PATIENCE)?;
    if let Some(members) = status.as_object_mut() {
        members.insert("pid".to_owned(), instance.pid.into());
    }
    match args.format.format {
        Format::Json => print_json(&status),
        Format::Human => print(describe(&status)),
    }
    Ok(())
}

fn describe(status: &Value) -> String {
    let text = |pointer: &str| match status.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let config = match text("/config") {
        path if path.is_empty() => "no file; the built-in defaults hold".to_owned(),
        path => path,
    };
    let watch = match (text("/watch/mode"), text("/watch/detail")) {
        (mode, detail) if detail.is_empty() => mode,
        (mode, detail) => format!("{mode} ({detail})"),
    };
    let mut lines = vec![
        format!("routeplane {}, pid {}, http://{}", text("/version"), text("/pid"), text("/listen")),
        format!("  config      {config}"),
        format!("  watched by  {watch}"),
        format!(
            "  live        generation {}, id {}, since {}",
            text("/active/generation"),
            short(&text("/active/id")),
            text("/active/since")
        ),
        format!("  last reload {} at {}", text("/last_reload/result"), text("/last_reload/at")),
    ];
    let cooling = status.pointer("/cooling").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    lines.extend(cooling.iter().map(|target| {
        let part = |name: &str| target.get(name).and_then(Value::as_str).unwrap_or_default();
        let left = target.get("cooling_ms").and_then(Value::as_u64).unwrap_or_default();
        format!("  cooling     {}, for {left} ms more", part("target"))
    }));
    let tokens = status.pointer("/tokens").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    lines.extend(tokens.iter().filter_map(token));
    if let Some(subjects) = status.pointer("/limited_subjects").and_then(Value::as_u64).filter(|count| *count > 0) {
        lines.push(format!("  limits      {subjects} subjects are counted"));
    }
    let ended = status.pointer("/ended_keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    lines.extend(ended.iter().map(|key| {
        let part = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default();
        format!("  key         `{}` {}", part("key"), part("why"))
    }));
    if status.pointer("/drift") == Some(&Value::Bool(true)) {
        lines.push(format!("  refused     the file as it is since {}:", text("/desired/since")));
        lines.extend(findings(status.pointer("/last_error")).into_iter().map(|line| format!("    {line}")));
    }
    lines.join("\n")
}

/// A provider whose cloud gives no credentials, or gave none last time.
fn token(standing: &Value) -> Option<String> {
    let text = |name: &str| standing.get(name).and_then(Value::as_str);
    let (provider, problem) = (text("provider")?, text("problem")?);
    let meanwhile = match standing.get("ends_in_s").and_then(Value::as_u64) {
        Some(left) if text("state") == Some("usable") => format!(" (the one that is held works for {left} s more)"),
        _ => String::new(),
    };
    Some(format!("  no token    {provider}: {problem}{meanwhile}"))
}

fn short(id: &str) -> &str {
    crate::live::status::short(id)
}

/// The lines of an array of findings, as `/admin/` gives them.
pub(super) fn findings(errors: Option<&Value>) -> Vec<String> {
    let errors = errors.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    errors.iter().filter_map(|error| error.get("text").and_then(Value::as_str)).map(str::to_owned).collect()
}
