//! `routeplane explain`.

mod curl;
mod live;

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use http::{HeaderMap, Uri};
use serde_json::{Value, json};

use super::config_file::ConfigArg;
use super::output::{Format, FormatArg, complain, print, print_json};
use super::{Exit, compiled};
use crate::config::Env;
use crate::config::decode::leaf::{parse_duration, parse_whole};
use crate::proxy::explain::{self, Given, Pretended, add_header};
use crate::state::uris;
use crate::table::dump;
use crate::table::health::AllUp;

/// Say where a request goes, and why: every rule that was tried, the route, and the attempts in order
///
/// No provider is asked. The request is a JSON body, a curl command, or made of the flags. It is decided by the file, with
/// everything up, or by a running gateway (`--live`) and what that has measured.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A JSON body; `-` reads it from stdin
    file: Option<PathBuf>,
    /// The model that is asked for; wins over that of the body
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// The protocol of the request
    #[arg(long, value_name = "PROTOCOL", default_value = "chat")]
    protocol: Protocol,
    /// A header, as `name: value`; may be repeated
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Ask for a stream
    #[arg(long)]
    stream: bool,
    /// The id of the client key that the request is made with
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// The user that the request is made for, whatever its body says
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The size of the input, such as 1200 or 150k, instead of that of the body
    #[arg(long, value_name = "NUMBER", value_parser = tokens)]
    input_tokens: Option<u64>,
    /// A target (provider/model) or a provider that is down; may be repeated
    #[arg(long, value_name = "TARGET")]
    down: Vec<String>,
    /// A target or a provider that is passed over, unless nothing else is left; may be repeated
    #[arg(long, value_name = "TARGET")]
    cooling: Vec<String>,
    /// How long answers of a target or a provider take, such as `openai/gpt-5=800ms`; may be repeated
    #[arg(long, value_name = "TARGET=TIME", value_parser = latency)]
    latency: Vec<(String, u64)>,
    /// Requests that are on their way to a target or a provider, such as `openai=3`; may be repeated
    #[arg(long, value_name = "TARGET=NUMBER", value_parser = in_flight)]
    in_flight: Vec<(String, u64)>,
    /// How often every round_robin has chosen before
    #[arg(long, value_name = "NUMBER")]
    turn: Option<u64>,
    /// The random draw of splits, 0 to 1
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0)]
    draw: f64,
    /// A curl command in one argument, as it would be sent to the gateway
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["file", "model", "headers", "stream"])]
    curl: Option<String>,
    /// Print the compiled table instead
    #[arg(long, conflicts_with_all = ["file", "model", "headers", "stream", "curl", "key", "user", "input_tokens", "down", "cooling", "latency", "in_flight", "turn", "draw", "live"])]
    table: bool,
    /// Ask the running gateway: by the file that is live, and by what it has measured
    #[arg(long, conflicts_with = "config")]
    live: bool,
    /// The address of the gateway that is asked; needed only where several run
    #[arg(long, value_name = "ADDRESS", requires = "live")]
    address: Option<SocketAddr>,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    format: FormatArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    Chat,
    Responses,
    Messages,
    Gemini,
    Converse,
    Embeddings,
}

impl Protocol {
    /// The path names the model and says whether a stream is asked for.
    fn names_model_in_path(self) -> bool {
        match self {
            Protocol::Gemini | Protocol::Converse => true,
            Protocol::Chat | Protocol::Responses | Protocol::Messages | Protocol::Embeddings => false,
        }
    }
}

pub(super) fn run(args: &Args, env: &Env) -> Exit {
    if args.live {
        return match pretended(args).and_then(|pretended| pretended.to_json()) {
            Ok(question) => live::ask(args, &question, env).err().unwrap_or(Exit::Done),
            Err(problem) => {
                complain(problem);
                Exit::Usage
            }
        };
    }
    let table = match compiled::table(&args.config, env) {
        Ok(table) => table,
        Err(exit) => return exit,
    };
    if args.table {
        match args.format.format {
            Format::Human => print(dump::text(&table).trim_end()),
            Format::Json => print_json(&dump::json(&table)),
        }
        return Exit::Done;
    }
    let explained = pretended(args).and_then(|pretended| {
        explain::request(&table, &pretended, &AllUp, |explanation| match args.format.format {
            Format::Human => print(explanation.to_string().trim_end()),
            Format::Json => print_json(&explanation.json()),
        })
    });
    match explained {
        Ok(()) => Exit::Done,
        Err(problem) => {
            complain(problem);
            Exit::Usage
        }
    }
}

fn pretended(args: &Args) -> Result<Pretended, String> {
    let mut pretended = match (&args.curl, &args.file) {
        (Some(command), _) => curl::read(command)?,
        (None, Some(file)) => from_body(args, &read(file)?)?,
        (None, None) => from_body(args, "{}")?,
    };
    pretended.given = Given {
        key: args.key.clone(),
        user: args.user.clone(),
        input_tokens: args.input_tokens,
        down: args.down.clone(),
        cooling: args.cooling.clone(),
        latency_ms: args.latency.iter().cloned().collect(),
        in_flight: args.in_flight.iter().cloned().collect(),
        turn: args.turn,
        draw: args.draw,
    };
    Ok(pretended)
}

fn read(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map(|_| text).map_err(|error| format!("`{}` cannot be read: {error}", file.display()))
}

fn from_body(args: &Args, text: &str) -> Result<Pretended, String> {
    let mut body: Value = serde_json::from_str(text).map_err(|error| format!("the body is not JSON: {error}"))?;
    let members = body.as_object_mut().ok_or("the body must be a JSON object")?;
    let written = members.get("model").and_then(Value::as_str).map(str::to_owned);
    let model = args.model.clone().or(written).ok_or("say which model is asked for, with `--model` or in the body")?;
    let (content, empty) = match args.protocol {
        Protocol::Chat | Protocol::Messages => ("messages", json!([{ "role": "user", "content": "Hello" }])),
        Protocol::Gemini => ("contents", json!([{ "role": "user", "parts": [{ "text": "Hello" }] }])),
        Protocol::Converse => ("messages", json!([{ "role": "user", "content": [{ "text": "Hello" }] }])),
        Protocol::Responses | Protocol::Embeddings => ("input", json!("Hello")),
    };
    members.entry(content).or_insert(empty);
    if args.protocol.names_model_in_path() {
        members.remove("model");
    } else {
        members.insert("model".to_owned(), model.clone().into());
        if args.stream {
            members.insert("stream".to_owned(), true.into());
        }
    }
    let mut headers = HeaderMap::new();
    for header in &args.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| format!("write `--header '{header}: VALUE'`"))?;
        add_header(&mut headers, name.trim(), value.trim())?;
    }
    let uri = path(args, &model)?;
    Ok(Pretended { uri, headers, body: body.to_string().into_bytes(), given: Given::default() })
}

/// Reads `openai/gpt-5=800ms`, to milliseconds.
fn latency(text: &str) -> Result<(String, u64), String> {
    let said = text.rsplit_once('=').and_then(|(target, time)| Some((target.to_owned(), parse_duration(time)?)));
    let (target, time) = said.ok_or_else(|| "write a target and a time, such as `openai/gpt-5=800ms`".to_owned())?;
    Ok((target, u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

/// Reads `openai=3`.
fn in_flight(text: &str) -> Result<(String, u64), String> {
    let said = text.rsplit_once('=').and_then(|(target, count)| Some((target.to_owned(), parse_whole(count)?)));
    said.ok_or_else(|| "write a target and a number, such as `openai=3`".to_owned())
}

/// Reads `1200`, `150k`, `1M`.
fn tokens(text: &str) -> Result<u64, String> {
    parse_whole(text).ok_or_else(|| "write a whole number, such as `1200` or `150k`".to_owned())
}

fn path(args: &Args, model: &str) -> Result<Uri, String> {
    let path = match (args.protocol, args.stream) {
        (Protocol::Chat, _) => "/v1/chat/completions".to_owned(),
        (Protocol::Responses, _) => "/v1/responses".to_owned(),
        (Protocol::Messages, _) => "/v1/messages".to_owned(),
        (Protocol::Embeddings, _) => "/v1/embeddings".to_owned(),
        (Protocol::Gemini, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        (Protocol::Converse, true) => format!("/model/{}/converse-stream", uris::segment(model)),
        (Protocol::Converse, false) => format!("/model/{}/converse", uris::segment(model)),
        (Protocol::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
    };
    path.parse().map_err(|error| format!("`{model}` cannot be part of a path: {error}"))
}
