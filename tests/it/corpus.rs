//! The codecs over recorded traffic. `ROUTEPLANE_CORPUS` names a folder with `wire/<provider>/<record>.json`; the records are
//! not part of the project, so the test is ignored where the variable is unset.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use routeplane::wire::frame::{Decoder, Frame, Framing};
use routeplane::wire::ir::{self, Event, fold};
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{Head, Operation, Protocol, ProtocolId};
use serde_json::Value;

use crate::laws::fixtures::{both_roles, destination, encode_stream, inbound, outbound, streaming_request};
use crate::laws::gist;
use crate::ledger::ablation::Silence;
use crate::ledger::schemas::Judge;
use crate::ledger::{answers, requests, streams};

#[test]
#[ignore = "set ROUTEPLANE_CORPUS"]
fn recorded_traffic_is_read_written_and_translated() {
    let folder = std::env::var("ROUTEPLANE_CORPUS").expect("set ROUTEPLANE_CORPUS to the folder that holds `wire/`");
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut failures = Vec::new();
    for path in records(&Path::new(&folder).join("wire")) {
        let record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let Some(protocol) = protocol_of(&record) else { continue };
        let outcome = catch_unwind(AssertUnwindSafe(|| check(protocol, &record)));
        let outcome = outcome.unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<String>().cloned();
            Err(format!("panic: {}", text.unwrap_or_else(|| "of unknown cause".to_owned())))
        });
        let count =
            counts.entry(format!("{} {}", record["provider"].as_str().unwrap_or("?"), protocol.id())).or_default();
        count.0 += 1;
        if let Err(reason) = outcome {
            count.1 += 1;
            failures.push(format!("{}: {reason}", path.file_stem().unwrap().display()));
        }
    }
    for (name, (all, failed)) in &counts {
        println!("{name:50} {all:5} records {failed:4} failed");
    }
    for failure in &failures {
        println!("{}", failure.chars().take(700).collect::<String>());
    }
    assert!(!counts.is_empty(), "no records below {folder}/wire");
    assert!(failures.is_empty(), "{} records failed", failures.len());
}

/// What is written of recorded requests fits the schemas that the vendors publish.
#[test]
#[ignore = "set ROUTEPLANE_CORPUS"]
fn recorded_requests_fit_the_published_schemas() {
    let folder = std::env::var("ROUTEPLANE_CORPUS").expect("set ROUTEPLANE_CORPUS to the folder that holds `wire/`");
    let mut judge = Judge::new();
    for path in records(&Path::new(&folder).join("wire")) {
        let record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let Some(protocol) = protocol_of(&record) else { continue };
        if record["request"]["body"].is_object() && record["response"]["status"].as_u64().unwrap_or(200) < 400 {
            judge.judge(protocol, &record["request"]["body"], record["streaming"] == true);
        }
    }
    println!("{} requests judged", judge.judged);
    judge.faults.iter().for_each(|(fault, count)| println!("{count:5} {fault}"));
    assert!(judge.judged > 1_000 && judge.faults.is_empty(), "{} faults", judge.faults.len());
}

/// Member by member: what is neither translated nor reported, over all records.
#[test]
#[ignore = "set ROUTEPLANE_CORPUS"]
fn nothing_of_recorded_traffic_is_lost_in_silence() {
    let folder = std::env::var("ROUTEPLANE_CORPUS").expect("set ROUTEPLANE_CORPUS to the folder that holds `wire/`");
    let (mut asked, mut answered) = (Silence::default(), Silence::default());
    for path in records(&Path::new(&folder).join("wire")) {
        let record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let Some(protocol) = protocol_of(&record) else { continue };
        if record["response"]["status"].as_u64().unwrap_or(200) >= 400 {
            continue;
        }
        requests::search(&mut asked, protocol, &record["request"]["body"]);
        if record["framing"] == "json" {
            answers::search(&mut answered, protocol, &record["response"]["body"]);
        }
    }
    println!("{} paths of requests, {} of answers", asked.len(), answered.len());
    let lines = [requests::unexplained(&asked), answers::unexplained(&answered)].concat();
    lines.iter().for_each(|line| println!("{line}"));
    assert!(lines.is_empty(), "{} paths are lost in silence", lines.len());
}

/// As [`nothing_of_recorded_traffic_is_lost_in_silence`], of the events of streams.
#[test]
#[ignore = "set ROUTEPLANE_CORPUS"]
fn nothing_of_recorded_streams_is_lost_in_silence() {
    let folder = std::env::var("ROUTEPLANE_CORPUS").expect("set ROUTEPLANE_CORPUS to the folder that holds `wire/`");
    let mut silence = streams::Silence::default();
    for path in records(&Path::new(&folder).join("wire")) {
        let record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let Some(protocol) = protocol_of(&record) else { continue };
        let response = &record["response"];
        let (framing, bytes) = match record["framing"].as_str() {
            Some("sse") => (Framing::Sse, response["sse"].as_str().unwrap_or_default().as_bytes().to_vec()),
            Some("aws-eventstream") => {
                (Framing::EventStream, STANDARD.decode(response["body_base64"].as_str().unwrap_or_default()).unwrap())
            }
            Some("json-array") => (Framing::JsonArray, response["body"].to_string().into_bytes()),
            _ => continue,
        };
        silence.search(protocol, framing, &bytes);
    }
    println!("{} paths of events", silence.len());
    let lines = silence.unexplained();
    lines.iter().for_each(|line| println!("{line}"));
    assert!(lines.is_empty(), "{} paths are lost in silence", lines.len());
}

pub(crate) fn records(wire: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(wire).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    files.sort();
    files
}

pub(crate) fn protocol_of(record: &Value) -> Option<&'static dyn Protocol> {
    let id = match record["protocol"].as_str()? {
        "openai.chat" => ProtocolId::OpenAiChat,
        "openai.responses" => ProtocolId::OpenAiResponses,
        "anthropic.messages" => ProtocolId::AnthropicMessages,
        "gemini.generateContent" | "gemini.streamGenerateContent" => ProtocolId::Gemini,
        "bedrock.converse" | "bedrock.converse-stream" => ProtocolId::BedrockConverse,
        _ => return None,
    };
    id.codec().filter(|codec| codec.outbound().is_some())
}

fn check(protocol: &'static dyn Protocol, record: &Value) -> Result<(), String> {
    let status = record["response"]["status"].as_u64().unwrap_or(200);
    let refused = (400..500).contains(&status);
    match check_request(protocol, record) {
        // What the provider refused, the gateway may refuse.
        Err(_) if refused => {}
        outcome => outcome?,
    }
    let response = &record["response"];
    let text = ["body_text", "sse", "ndjson"].into_iter().find_map(|key| response[key].as_str());
    if status >= 400 {
        let body = text.map_or_else(|| response["body"].to_string(), ToOwned::to_owned);
        let error = outbound(protocol).decode_error(u16::try_from(status).unwrap(), body.as_bytes());
        return if error.message.is_empty() { Err("an error without words".to_owned()) } else { Ok(()) };
    }
    match record["framing"].as_str() {
        Some("sse") => {
            check_stream(protocol, Framing::Sse, response["sse"].as_str().unwrap_or_default().as_bytes(), record)
        }
        Some("aws-eventstream") => {
            let bytes = STANDARD.decode(response["body_base64"].as_str().unwrap_or_default());
            check_stream(protocol, Framing::EventStream, &bytes.map_err(|error| error.to_string())?, record)
        }
        Some("json-array") => {
            let body = text.map_or_else(|| response["body"].to_string(), ToOwned::to_owned);
            check_stream(protocol, Framing::JsonArray, body.as_bytes(), record)
        }
        Some("json") if response["body"].is_object() => check_answer(protocol, &response["body"]),
        Some(_) | None => Ok(()),
    }
}

fn check_request(protocol: &'static dyn Protocol, record: &Value) -> Result<(), String> {
    let body = &record["request"]["body"];
    // What nobody can send us need not be read.
    if !body.is_object() || protocol.inbound().is_none() {
        return Ok(());
    }
    let path = record["request"]["path"].as_str().unwrap_or_default();
    let model = path.rsplit_once("models/").and_then(|(_, rest)| rest.split([':', '?']).next());
    let head = Head {
        operation: Operation::Generate,
        path_model: model.filter(|model| !model.is_empty()).or(Some("model-1")),
        path_stream: path.contains(":stream"),
        alt_sse: path.contains("alt=sse"),
    };
    let in_path = matches!(protocol.id(), ProtocolId::Gemini | ProtocolId::BedrockConverse);
    if !in_path && body["model"].as_str().is_none() {
        return Ok(());
    }
    let text = body.to_string();
    let request = inbound(protocol).decode_request(&head, text.as_bytes());
    let request = request.map_err(|error| format!("request refused: {}", error.message))?;
    let quirks = Quirks { tool_choice_any: body["tool_choice"] == "any", ..Quirks::default() };
    let written = encoded(protocol, &request, &quirks)?;
    let back: Value =
        serde_json::from_slice(&written).map_err(|error| format!("request written as no JSON: {error}"))?;
    let (body, back) = (normal(protocol.id(), body), normal(protocol.id(), &back));
    if back != body {
        return Err(format!("request changed: {}", difference(&body, &back, "")));
    }
    for target in both_roles().into_iter().filter(|target| target.id() != protocol.id()) {
        // A refusal is an answer; only a document that its own protocol refuses is not.
        let Ok(out) = encoded(target, &request, &Quirks::default()) else { continue };
        inbound(target).decode_request(&head, &out).map_err(|error| {
            format!("request to {}: {} in {}", target.id(), error.message, String::from_utf8_lossy(&out))
        })?;
    }
    Ok(())
}

fn encoded(protocol: &'static dyn Protocol, request: &ir::Request, quirks: &Quirks) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    outbound(protocol)
        .encode_request(request, &destination(&request.model, quirks), &mut out, &mut Losses::default())
        .map_err(|error| format!("request not written: {}", error.message))?;
    Ok(out)
}

/// What an encoder writes where a caller left it out or spelled it otherwise: Chat Completions requires `"type": "function"`,
/// and Gemini's own spelling is camel case.
fn normal(protocol: ProtocolId, document: &Value) -> Value {
    match protocol {
        ProtocolId::OpenAiChat => {
            let mut document = document.clone();
            let members = document.as_object_mut().into_iter().flatten();
            for (_, value) in members.filter(|(key, _)| matches!(key.as_str(), "tools" | "tool_choice")) {
                typed(value);
            }
            document
        }
        ProtocolId::Gemini => standard_base64(camel(document)),
        ProtocolId::OpenAiResponses
        | ProtocolId::AnthropicMessages
        | ProtocolId::BedrockConverse
        | ProtocolId::TensorZero
        | ProtocolId::TensorZeroChat => document.clone(),
    }
}

/// Google reads both alphabets of base64; the hub has the standard one.
fn standard_base64(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(standard_base64).collect(),
        Value::Object(members) => {
            let standard = |(key, value): (String, Value)| match (key.as_str(), &value) {
                ("data", Value::String(data)) => {
                    let data = data.trim_end_matches('=').replace('-', "+").replace('_', "/");
                    (key, Value::String(data))
                }
                _ => (key, standard_base64(value)),
            };
            Value::Object(members.into_iter().map(standard).collect())
        }
        other => other,
    }
}

fn typed(tool: &mut Value) {
    match tool {
        Value::Array(tools) => tools.iter_mut().for_each(typed),
        Value::Object(tool) if tool.get("function").is_some_and(Value::is_object) => {
            tool.insert("type".to_owned(), "function".into());
        }
        _ => {}
    }
}

fn camel(value: &Value) -> Value {
    let spelled = |key: &str| {
        let mut words = key.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |text, word| {
            text + &word[..1.min(word.len())].to_uppercase() + word.get(1..).unwrap_or_default()
        })
    };
    match value {
        Value::Object(members) => members.iter().map(|(key, value)| (spelled(key), camel(value))).collect(),
        Value::Array(elements) => elements.iter().map(camel).collect(),
        other => other.clone(),
    }
}

fn has(body: &Value, member: &str) -> bool {
    body.get(member).is_some()
}

/// The first place where two documents differ.
fn difference(before: &Value, after: &Value, path: &str) -> String {
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            let key = keys.into_iter().find(|key| a.get(*key) != b.get(*key)).unwrap();
            match (a.get(key), b.get(key)) {
                (Some(x), Some(y)) => difference(x, y, &format!("{path}.{key}")),
                (x, y) => format!("{path}.{key}: {x:?} became {y:?}"),
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let at = a.iter().zip(b).position(|(x, y)| x != y).unwrap();
            difference(&a[at], &b[at], &format!("{path}[{at}]"))
        }
        (before, after) => format!("{path}: {before} became {after}"),
    }
}

fn check_answer(protocol: &'static dyn Protocol, body: &Value) -> Result<(), String> {
    let text = body.to_string();
    let answer = match outbound(protocol).decode_response(text.as_bytes(), &Quirks::default()) {
        Ok(answer) => answer,
        // An error under HTTP 200 is read as one.
        Err(error) if has(body, "error") || body.to_string().contains("\"error\"") => {
            return if error.message.is_empty() { Err("an error without words".to_owned()) } else { Ok(()) };
        }
        Err(error) => return Err(format!("answer refused: {}", error.message)),
    };
    if outbound(protocol).usage(text.as_bytes()) != answer.usage {
        return Err("usage is read in two ways".to_owned());
    }
    for target in both_roles() {
        let mut out = Vec::new();
        inbound(target).encode_response(&answer, &mut out, &mut Losses::default());
        let back = outbound(target)
            .decode_response(&out, &Quirks::default())
            .map_err(|error| format!("answer to {}: {}", target.id(), error.message))?;
        same(&answer, &back, target)?;
    }
    Ok(())
}

fn check_stream(protocol: &'static dyn Protocol, framing: Framing, bytes: &[u8], record: &Value) -> Result<(), String> {
    let mut frames = Decoder::new(framing, 1 << 26);
    let mut decoder = outbound(protocol).stream_decoder(&Quirks::default());
    let mut events = Vec::new();
    let mut each = |frame: Frame<'_>| decoder.frame(&frame, &mut events);
    for piece in bytes.chunks(61) {
        frames.push(piece, &mut each).map_err(|error| error.to_string())?;
    }
    frames.finish(&mut each).map_err(|error| error.to_string())?;
    decoder.finish(&mut events);
    let folded = match fold(protocol.id(), &events) {
        Ok(folded) => folded,
        Err(error) => return expected_failure(&error, &String::from_utf8_lossy(bytes), record),
    };
    let request = streaming_request();
    for target in both_roles() {
        let out = encode_stream(target, &events, &request);
        let mut frames = Decoder::new(outbound(target).framing(), 1 << 26);
        let mut decoder = outbound(target).stream_decoder(&Quirks::default());
        let mut again: Vec<Event> = Vec::new();
        let mut each = |frame: Frame<'_>| decoder.frame(&frame, &mut again);
        frames.push(&out, &mut each).and_then(|()| frames.finish(&mut each)).map_err(|error| error.to_string())?;
        decoder.finish(&mut again);
        let back =
            fold(target.id(), &again).map_err(|error| format!("stream to {}: {}", target.id(), error.message))?;
        same(&folded, &back, target)?;
    }
    Ok(())
}

/// Streams that were recorded with an error in them, or cut short.
fn expected_failure(error: &ir::Error, text: &str, record: &Value) -> Result<(), String> {
    let features = record["features"].to_string();
    let expected = text.contains("\"error\"") || features.contains("truncated") || features.contains("error");
    if expected { Ok(()) } else { Err(format!("stream failed: {:?}: {}", error.kind, error.message)) }
}

/// Words and calls survive; one answer is enough, because not every protocol has room for several.
fn same(before: &ir::Response, after: &ir::Response, target: &'static dyn Protocol) -> Result<(), String> {
    let (before, after) = (gist::answer(before), gist::answer(after));
    let (Some(before), Some(after)) = (before.first(), after.first()) else {
        return Ok(());
    };
    if (&after.text, &after.calls) != (&before.text, &before.calls) {
        return Err(format!("answer to {}: {before:?} became {after:?}", target.id()));
    }
    Ok(())
}
