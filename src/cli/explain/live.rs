//! Explanations of a running gateway.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::Args;
use crate::cli::Exit;
use crate::cli::control::{self, AddressArg};
use crate::cli::output::{Format, complain, print, print_json};
use crate::config::Env;

const PATIENCE: Duration = Duration::from_secs(5);

/// Asks, and prints the generation that decides and the explanation.
///
/// # Errors
/// No gateway can be asked, or it does not understand the request; it has been said.
pub(super) fn ask(args: &Args, question: &Value, env: &Env) -> Result<(), Exit> {
    let instance = control::find(AddressArg { address: args.address }, env)?;
    let (status, mut answer) =
        control::ask_with(&instance, Method::POST, ("/admin/explain", Some(question)), PATIENCE)?;
    if status != StatusCode::OK {
        complain(text(&answer, "/error/message"));
        return Err(Exit::Usage);
    }
    match args.format.format {
        Format::Human => {
            print(format!("generation {}\n{}", text(&answer, "/generation"), text(&answer, "/text").trim_end()));
        }
        Format::Json => {
            answer.as_object_mut().map(|members| members.remove("text"));
            print_json(&answer);
        }
    }
    Ok(())
}

fn text(answer: &Value, pointer: &str) -> String {
    match answer.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
