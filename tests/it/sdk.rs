//! The official SDKs against the binary: each drives the gateway in front of each upstream protocol, and what the SDK
//! parsed is compared with what the upstream said.
//!
//! The SDKs are installed once into `.sdk/`, in a folder named by the hash of the pinned requirements.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::callers::{Caller, IMAGE};
use crate::gateway::{Gateway, providers};
use crate::mock_upstream::dialect::Reply;
use crate::mock_upstream::http::Request;
use crate::mock_upstream::{Act, MockUpstream, dialect};

/// The repository.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

static PYTHON: OnceCell<PathBuf> = OnceCell::const_new();
static FURTHER: OnceCell<PathBuf> = OnceCell::const_new();
static NODE: OnceCell<PathBuf> = OnceCell::const_new();

/// One SDK: the script that drives it, the protocol that it speaks, and which results of the script (`reasoning`, `models`,
/// ...) are beyond it.
pub(crate) struct Sdk {
    pub(crate) script: &'static str,
    pub(crate) caller: Caller,
    pub(crate) variables: &'static [(&'static str, &'static str)],
    pub(crate) lacks: &'static [&'static str],
}

#[tokio::test]
async fn openai_for_python() {
    check(&Sdk { script: "python/with_openai.py", caller: Caller::Chat, variables: &[], lacks: &[] }).await;
}

#[tokio::test]
async fn anthropic_for_python() {
    check(&Sdk { script: "python/with_anthropic.py", caller: Caller::Messages, variables: &[], lacks: &[] }).await;
}

#[tokio::test]
async fn google_for_python_at_its_default_path() {
    check(&Sdk { script: "python/with_google.py", caller: Caller::Gemini, variables: &[], lacks: &[] }).await;
}

#[tokio::test]
async fn google_for_python_at_v1beta() {
    let variables = &[("GOOGLE_API_VERSION", "v1beta")];
    check(&Sdk { script: "python/with_google.py", caller: Caller::Gemini, variables, lacks: &[] }).await;
}

#[tokio::test]
async fn boto3_for_python() {
    // Nobody is to look for keys of AWS beyond those in the script.
    let variables = &[("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_CONFIG_FILE", "/dev/null")];
    check(&Sdk { script: "python/with_boto3.py", caller: Caller::Converse, variables, lacks: &[] }).await;
}

#[tokio::test]
async fn openai_for_node() {
    check(&Sdk { script: "node/with_openai.mjs", caller: Caller::Chat, variables: &[], lacks: &[] }).await;
}

#[tokio::test]
async fn anthropic_for_node() {
    check(&Sdk { script: "node/with_anthropic.mjs", caller: Caller::Messages, variables: &[], lacks: &[] }).await;
}

#[tokio::test]
async fn openai_responses_for_python() {
    check(&Sdk { script: "python/with_openai_responses.py", caller: Caller::Responses, variables: &[], lacks: &[] })
        .await;
}

#[tokio::test]
async fn openai_responses_for_node() {
    check(&Sdk { script: "node/with_openai_responses.mjs", caller: Caller::Responses, variables: &[], lacks: &[] })
        .await;
}

#[tokio::test]
async fn openai_files_and_batches_for_python() {
    let mock = MockUpstream::start([Act::script(kept)]).await;
    let file =
        providers(&[("up", "openai-chat", &mock)]).replace(", key:", ", operations: [files, batches, uploads], key:");
    let gateway = Gateway::start(&file).await;
    let script = "python/with_openai_files.py";
    let mut command = command_for(script).await;
    let output = command.arg(format!("http://{}", gateway.address)).stdin(Stdio::null()).output().await.unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} failed:\n{complained}\n{}", gateway.log());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "file": ["file-1", 79, "batch"], "shown": "in.jsonl", "files": ["file-1"],
        "batch": ["batch_1", "validating", { "team": "lab" }], "batches": ["batch_1"], "done": "completed",
        "output": "{\"custom_id\":\"a\"}\n", "cancelled": "cancelling", "deleted": true, "missing": 404,
        "upload": ["upload_1", "completed", "file-1"],
    });
    assert_eq!(said, expected);
}

/// A provider that keeps one file and one batch.
fn kept(request: &Request) -> Reply {
    let file = || {
        json!({ "id": "file-1", "object": "file", "bytes": 79, "created_at": 1, "filename": "in.jsonl",
            "purpose": "batch", "status": "processed" })
    };
    let batch = |status: &str| {
        json!({ "id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-1",
            "completion_window": "24h", "status": status, "created_at": 1, "output_file_id": "file-2",
            "metadata": { "team": "lab" } })
    };
    let list = |one: Value| json!({ "object": "list", "data": [one], "has_more": false });
    let upload = |status: &str| {
        json!({ "id": "upload_1", "object": "upload", "bytes": 158, "created_at": 1, "expires_at": 2,
            "filename": "in.jsonl", "purpose": "batch", "status": status, "file": null })
    };
    let form = request.text().contains("name=\"purpose\"\r\n\r\nbatch") && request.text().contains("custom_id");
    match (request.method.as_str(), request.path()) {
        ("POST", "/v1/files") if form => Reply::ok(file()),
        ("GET", "/v1/files") => Reply::ok(list(file())),
        ("GET", "/v1/files/file-1") => Reply::ok(file()),
        ("GET", "/v1/files/file-2/content") => {
            Reply::Whole { status: 200, headers: Vec::new(), body: "{\"custom_id\":\"a\"}\n".to_owned() }
        }
        ("DELETE", "/v1/files/file-1") => Reply::ok(json!({ "id": "file-1", "object": "file", "deleted": true })),
        ("POST", "/v1/batches") if request.json()["input_file_id"] == "file-1" => Reply::ok(batch("validating")),
        ("GET", "/v1/batches") => Reply::ok(list(batch("completed"))),
        ("GET", "/v1/batches/batch_1") => Reply::ok(batch("completed")),
        ("POST", "/v1/batches/batch_1/cancel") => Reply::ok(batch("cancelling")),
        ("POST", "/v1/uploads") if request.json()["mime_type"] == "text/jsonl" => Reply::ok(upload("pending")),
        ("POST", "/v1/uploads/upload_1/parts") if request.text().contains("name=\"data\"") => {
            Reply::ok(json!({ "id": "part_1", "object": "upload.part", "created_at": 1, "upload_id": "upload_1" }))
        }
        ("POST", "/v1/uploads/upload_1/complete") if request.json()["part_ids"] == json!(["part_1", "part_1"]) => {
            let mut done = upload("completed");
            done["file"] = file();
            Reply::ok(done)
        }
        _ => Reply::Whole { status: 404, headers: Vec::new(), body: dialect::error(request, 404, "no such thing") },
    }
}

pub(crate) async fn check(sdk: &Sdk) {
    for upstream in Caller::ALL {
        let mock = MockUpstream::good().await;
        let file = providers(&[("up", upstream.protocol(), &mock)]).replace(", key:", ", models: [m1, e1], key:");
        let gateway = Gateway::start(&format!("{file}retries: {{ attempts: 1 }}\n")).await;
        let said = run(sdk, &gateway, ability(sdk.caller, upstream)).await;
        let place = format!("{} in front of {}", sdk.script, upstream.protocol());
        for name in sdk.lacks {
            assert!(said.get(name).is_none(), "{place}: it has `{name}` after all: {}", said[name]);
        }
        check_answers(sdk, &said, &place);
        check_errors(&said, &place);
        check_lists(sdk, upstream, &said, &place);
        check_cancel(&mock, &said, &place).await;
    }
}

/// Whether the protocol has embeddings.
fn embeds(upstream: Caller) -> bool {
    matches!(upstream, Caller::Chat | Caller::Gemini)
}

/// What a script may do besides: embed with a model, ask for answers that the gateway keeps (one that its provider keeps is
/// the provider's to tell).
fn ability(caller: Caller, upstream: Caller) -> &'static str {
    match (caller, upstream) {
        (Caller::Responses, Caller::Responses) => "-",
        (Caller::Responses, _) => "kept",
        _ if embeds(upstream) => "up/e1",
        _ => "-",
    }
}

/// Runs the script and returns what it printed.
async fn run(sdk: &Sdk, gateway: &Gateway, ability: &str) -> Value {
    let mut command = command_for(sdk.script).await;
    let output = command
        .arg(format!("http://{}", gateway.address))
        .args(["up/m1", ability])
        .envs(sdk.variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (printed, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} failed:\n{complained}\n{}", sdk.script, gateway.log());
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{} printed `{printed}`: {error}", sdk.script))
}

fn check_answers(sdk: &Sdk, said: &Value, place: &str) {
    let stop = |calls: bool| match (sdk.caller, calls) {
        (Caller::Chat, false) => "stop",
        (Caller::Chat, true) => "tool_calls",
        (Caller::Responses, _) => "completed",
        (Caller::Messages | Caller::Converse, false) => "end_turn",
        (Caller::Messages | Caller::Converse, true) => "tool_use",
        (Caller::Gemini, _) => "STOP",
    };
    let usage = |output: u64| json!([dialect::INPUT_TOKENS, dialect::CACHED_TOKENS, output]);
    let calls: Vec<Value> = dialect::CALLS
        .iter()
        .map(|(_, name, arguments)| json!([name, serde_json::from_str::<Value>(arguments).unwrap()]))
        .collect();
    let plain = json!({
        "text": dialect::TEXT, "reasoning": "", "calls": [], "stop": stop(false), "usage": usage(dialect::TEXT_TOKENS),
    });
    let tools = json!({
        "text": "", "reasoning": "", "calls": calls, "stop": stop(true), "usage": usage(dialect::TEXT_TOKENS),
    });
    let reasoning = json!({
        "text": dialect::TEXT, "reasoning": dialect::REASONING, "calls": [], "stop": stop(false),
        "usage": usage(dialect::TEXT_TOKENS + dialect::REASONING_TOKENS),
    });
    for (name, expected) in [("text", plain), ("tools", tools), ("reasoning", reasoning)] {
        let streamed = if name == "text" { "stream".to_owned() } else { format!("{name}_stream") };
        let mut in_stream = expected.clone();
        if sdk.lacks.contains(&"stream_usage") {
            in_stream["usage"] = Value::Null;
        }
        for (given, expected) in [(name, expected), (streamed.as_str(), in_stream)] {
            if !sdk.lacks.contains(&given) {
                assert_eq!(said[given], expected, "{place}: {given}");
            }
        }
    }
    let results = said["tool_results"].as_str().unwrap();
    let places: Vec<_> = ["sunny", "rainy", "noon"].iter().map(|word| results.find(word)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{place}: {results}");
    assert_eq!(said["image"], format!("image/png of {} bytes", dialect::decoded_length(IMAGE)), "{place}");
    assert_eq!(said["structured"], json!({ "answer": 42, "unit": "km" }), "{place}");
}

/// The classes of the packages (Google's, Vercel's, Mistral's) that have one for every refusal.
const ONE_CLASS: [&str; 3] = ["ClientError", "AI_APICallError", "SDKError"];

fn check_errors(said: &Value, place: &str) {
    let expected = [
        ("not_found", 404, ["NotFoundError", "ResourceNotFoundException"], "the mock was asked for 404"),
        ("unknown_model", 404, ["NotFoundError", "ResourceNotFoundException"], "@nothing"),
        ("rate_limited", 429, ["RateLimitError", "ThrottlingException"], "the mock was asked for 429"),
    ];
    for (name, status, classes, words) in expected {
        let error = &said[name];
        assert_eq!(error["status"], status, "{place}: {name}: {error}");
        let one = ONE_CLASS.iter().any(|class| error["class"] == *class);
        assert!(one || classes.iter().any(|class| error["class"] == *class), "{place}: {name}: {error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{place}: {name}: {error}");
    }
}

fn check_lists(sdk: &Sdk, upstream: Caller, said: &Value, place: &str) {
    let Sdk { caller, lacks, .. } = *sdk;
    if caller == Caller::Responses {
        if !lacks.contains(&"kept") {
            check_kept(upstream, said, place);
        }
        return;
    }
    if !lacks.contains(&"models") {
        let models = said["models"].as_array().unwrap();
        let listed = if caller == Caller::Gemini { "models/up/m1" } else { "up/m1" };
        assert!(models.iter().any(|model| model == listed), "{place}: {models:?}");
    }
    let embeds = embeds(upstream) && !lacks.contains(&"embeddings");
    if embeds && !matches!(caller, Caller::Messages | Caller::Converse) {
        assert_eq!(said["embeddings"], json!([dialect::vector("one"), dialect::vector("three")]), "{place}");
    }
    match (caller, upstream) {
        (Caller::Chat, _) => {}
        _ if lacks.contains(&"count_tokens") => {}
        // Estimated.
        (_, Caller::Chat) => assert!(said["count_tokens"].as_u64().is_some_and(|count| count > 0), "{place}"),
        _ => assert_eq!(said["count_tokens"], dialect::COUNTED_TOKENS, "{place}"),
    }
}

fn check_kept(upstream: Caller, said: &Value, place: &str) {
    assert!(said["count_tokens"].as_u64().is_some_and(|count| count > 0), "{place}: {}", said["count_tokens"]);
    if upstream != Caller::Responses {
        let expected =
            json!({ "shown": true, "items": ["case:text", dialect::TEXT, "case:text again"], "team": "lab" });
        assert_eq!(said["kept"], expected, "{place}");
    }
}

/// The stream that the script left early ended upstream too.
async fn check_cancel(mock: &MockUpstream, said: &Value, place: &str) {
    assert_eq!(said["cancel"], 3, "{place}");
    let requests = mock.requests();
    let long = requests.iter().rposition(|record| record.request.text().contains("case:long")).expect("case:long");
    mock.wait_for_hang_up(long).await;
    assert!(!mock.requests()[long].finished, "{place}: the upstream went on to the end");
}

// === Installing ===

pub(crate) async fn command_for(script: &str) -> Command {
    if !script.starts_with("node/") {
        let home = if script.starts_with("further/") {
            FURTHER.get_or_init(|| install("further", "further/requirements.txt")).await
        } else {
            PYTHON.get_or_init(install_python).await
        };
        let mut command = Command::new(home.join("bin/python"));
        command.arg(Path::new(ROOT).join("tests/sdk").join(script));
        return command;
    }
    let home = NODE.get_or_init(install_node).await;
    let name = script.trim_start_matches("node/");
    // Node looks for packages beside the script, so the script goes to them.
    // Another test may be reading it, and reads the old one to its end.
    let fresh = home.join(format!("{}-{name}", fastrand::u64(..)));
    std::fs::copy(Path::new(ROOT).join("tests/sdk").join(script), &fresh).unwrap();
    std::fs::rename(&fresh, home.join(name)).unwrap();
    let mut command = Command::new("node");
    command.arg(home.join(name));
    command
}

/// A folder for what `files` pin, and whether it is already filled. An unfinished one is emptied.
fn folder(name: &str, files: &[&str]) -> (PathBuf, bool) {
    let mut hash = blake3::Hasher::new();
    for file in files {
        hash.update(&std::fs::read(Path::new(ROOT).join("tests/sdk").join(file)).unwrap());
    }
    let folder = Path::new(ROOT).join(".sdk").join(format!("{name}-{}", &hash.finalize().to_hex()[..16]));
    let filled = folder.join("complete").exists();
    if !filled {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
    }
    (folder, filled)
}

/// Python with what `requirements` (a path below `tests/`) pin, installed once.
pub(crate) async fn python_with(name: &str, requirements: &str) -> PathBuf {
    install(name, &format!("../{requirements}")).await
}

async fn install_python() -> PathBuf {
    install("python", "python/requirements.txt").await
}

async fn install(name: &str, requirements: &str) -> PathBuf {
    let (folder, filled) = folder(name, &[requirements]);
    if !filled {
        let requirements = Path::new(ROOT).join("tests/sdk").join(requirements);
        let missing = "install Python 3 with its `venv` module (Debian: apt-get install python3-venv)";
        step(Command::new("python3").args(["-m", "venv"]).arg(&folder), missing).await;
        let pip = folder.join("bin/pip");
        let why = "the Python SDKs could not be installed";
        step(
            Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(requirements),
            why,
        )
        .await;
        std::fs::write(folder.join("complete"), "").unwrap();
    }
    folder
}

async fn install_node() -> PathBuf {
    packages("node").await
}

/// The packages of npm that `tests/sdk/NAME` pins, installed once. What they would run when they are installed is not run.
pub(crate) async fn packages(name: &str) -> PathBuf {
    let (folder, filled) = folder(name, &[&format!("{name}/package.json"), &format!("{name}/package-lock.json")]);
    if !filled {
        for file in ["package.json", "package-lock.json", ".npmrc"] {
            std::fs::copy(Path::new(ROOT).join("tests/sdk").join(name).join(file), folder.join(file)).unwrap();
        }
        let missing =
            "install Node.js with npm (Debian: apt-get install nodejs npm); these SDKs need version 20 or later";
        step(Command::new("node").arg("--version"), missing).await;
        step(Command::new("npm").args(["ci", "--ignore-scripts"]).current_dir(&folder), missing).await;
        std::fs::write(folder.join("complete"), "").unwrap();
    }
    folder
}

/// Runs one step of an installation; where it fails, the test fails with what the step said and what to do.
async fn step(command: &mut Command, advice: &str) {
    let name = format!("{:?}", command.as_std());
    let output = match command.stdin(Stdio::null()).output().await {
        Ok(output) => output,
        Err(error) => panic!("{name}: {error}; {advice}"),
    };
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{name} failed; {advice}:\n{}", String::from_utf8_lossy(&said));
}
