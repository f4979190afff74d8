//! The language server, by a client that speaks its protocol over the program's own input and output.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

struct Client {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    folder: PathBuf,
    next: i64,
    published: Value,
}

impl Client {
    fn start(sandbox: &Sandbox) -> Client {
        let mut command = sandbox.command(&["lsp", "--stdio"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let folder = sandbox.path("").canonicalize().unwrap();
        let mut client = Client { child, stdin, stdout, folder, next: 0, published: Value::Null };
        let initialized = client.ask("initialize", json!({ "processId": null, "capabilities": {} }));
        assert_eq!(initialized["serverInfo"]["name"], "routeplane");
        assert_eq!(initialized["capabilities"]["textDocumentSync"]["change"], 1);
        client.tell("initialized", json!({}));
        client
    }

    fn uri(&self, name: &str) -> String {
        format!("file://{}", self.folder.join(name).display())
    }

    fn write(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.stdin, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.stdin.flush().unwrap();
    }

    fn read(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "the server has ended");
            match line.trim().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.stdout.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.write(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// The result of a request; an error is given as it is.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.read();
            if message["method"] == "textDocument/publishDiagnostics" {
                self.published = message["params"].clone();
            }
            if message["id"] == json!(id) {
                return message.get("result").or(message.get("error")).cloned().unwrap_or_default();
            }
        }
    }

    fn open(&mut self, name: &str, text: &str) {
        let uri = self.uri(name);
        let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }

    fn change(&mut self, name: &str, version: i64, text: &str) {
        let document = json!({ "uri": self.uri(name), "version": version });
        self.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": [{ "text": text }] }));
    }

    /// The findings of the configuration, when nothing is left to be done. The answer to a request may come before the findings
    /// of what was told before it; that to the next one does not.
    fn findings(&mut self) -> Value {
        for _ in 0..2 {
            self.ask("routeplane/nothing", Value::Null);
        }
        self.published.clone()
    }

    /// A request about the place of `^` in the text, which is what the document becomes without it.
    fn at(&mut self, method: &str, text: &str) -> Value {
        let at = text.find('^').unwrap();
        let plain = text.replacen('^', "", 1);
        self.change("routeplane.yaml", 2, &plain);
        let before = &text[..at];
        let line = before.matches('\n').count();
        let character = before.rsplit('\n').next().unwrap().encode_utf16().count();
        let document = json!({ "uri": self.uri("routeplane.yaml") });
        let position = json!({ "line": line, "character": character });
        self.ask(method, json!({ "textDocument": document, "position": position }))
    }

    fn labels(&mut self, text: &str) -> Vec<String> {
        let items = self.at("textDocument/completion", text);
        items.as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap().to_owned()).collect()
    }

    fn hover(&mut self, text: &str) -> String {
        self.at("textDocument/hover", text)["contents"]["value"].as_str().unwrap_or("").to_owned()
    }

    fn end(mut self) {
        assert_eq!(self.ask("shutdown", Value::Null), Value::Null);
        self.tell("exit", Value::Null);
        assert!(self.child.wait().unwrap().success());
    }
}

const TEXT: &str = "\
version: 1
providers:
  openai: {}
  box: { protocol: openai-chat, base_url: \"http://10.0.0.7:8000/v1\", models: [qwen3-32b], auth: none }
presets:
  default: openai/gpt-5 > anthropic/claude-sonnet-4-6
  cheap: box/qwen3-32b > @default
  helper: { route: \"@cheap\", system: prompt.md }
rules: |
  when images > 0 and tag(\"é🦀\") == \"a\" -> @cheap
  otherwise -> as requested
tests:
  - name: images are cheap
    request: { model: x, images: 1 }
    expect: { rule: 2 }
";

fn snapshot(name: &str, value: &Value) {
    insta::with_settings!({
        snapshot_path => "../../snapshots/lsp",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!(name, serde_json::to_string_pretty(value).unwrap()) });
}

/// Without what differs from run to run.
fn plain(client: &Client, value: &Value) -> Value {
    serde_json::from_str(&value.to_string().replace(&client.folder.display().to_string(), "/work-folder")).unwrap()
}

#[test]
fn findings_come_while_one_types_and_bring_their_fixes() {
    let sandbox = Sandbox::with(TEXT).env("OPENAI_API_KEY", "k").env("ANTHROPIC_API_KEY", "k");
    sandbox.write("prompt.md", "Be brief.");
    let mut client = Client::start(&sandbox);
    client.open("routeplane.yaml", TEXT);
    let clean = client.findings();
    assert_eq!((&clean["diagnostics"], &clean["version"]), (&json!([]), &json!(1)), "{clean}");

    let wrong =
        TEXT.replace("\"é🦀\") ==", "\"é🦀\") =").replace("@default\n", "@defalt\n").replace("rule: 2", "rule: 7");
    client.change("routeplane.yaml", 2, &wrong);
    let findings = client.findings();
    snapshot("findings", &plain(&client, &findings));

    let uri = client.uri("routeplane.yaml");
    let everywhere = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 99, "character": 0 } });
    let asked = json!({ "textDocument": { "uri": uri }, "range": everywhere, "context": { "diagnostics": [] } });
    let actions = client.ask("textDocument/codeAction", asked);
    let titles: Vec<&Value> = actions.as_array().unwrap().iter().map(|action| &action["title"]).collect();
    assert_eq!(titles, ["write `@default`", "write `==`"]);
    let change = &actions[1]["edit"]["changes"][&uri][0];
    // Behind é (one unit) and a crab (two).
    assert_eq!(change["range"]["start"], json!({ "line": 9, "character": 33 }), "{change}");

    // A file that is named counts as the editor has it.
    client.open("prompt.md", "Help {{ name }}");
    client.change("routeplane.yaml", 3, TEXT);
    let of_prompt = client.findings();
    assert!(of_prompt["diagnostics"].to_string().contains("system"), "{of_prompt}");
    client.change("prompt.md", 2, "Help.");
    assert_eq!(client.findings()["diagnostics"], json!([]));
    client.tell("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
    assert_eq!(client.findings()["diagnostics"], json!([]));
    client.end();
}

#[test]
fn words_are_explained_and_lead_to_where_they_are_defined() {
    let sandbox = Sandbox::with(TEXT).env("OPENAI_API_KEY", "k").env("ANTHROPIC_API_KEY", "k");
    sandbox.write("prompt.md", "Be brief.");
    let mut client = Client::start(&sandbox);
    client.open("routeplane.yaml", TEXT);
    client.findings();

    let preset = client.hover(&TEXT.replace("\"@cheap\"", "\"@che^ap\""));
    assert!(preset.contains("box/qwen3-32b") && preset.contains("anthropic/claude-sonnet-4-6"), "{preset}");
    assert!(preset.contains("`openai/gpt-5`: 2"), "a window and a price: {preset}");
    let model = client.hover(&TEXT.replace("openai/gpt-5 >", "openai/gp^t-5 >"));
    assert!(model.contains("**`openai/gpt-5`** (chat)") && model.contains("per million"), "{model}");
    let fact = client.hover(&TEXT.replace("images > 0", "ima^ges > 0"));
    assert!(fact.contains("**fact `images`**"), "{fact}");
    let key = client.hover(&TEXT.replace("base_url:", "base^_url:"));
    assert!(key.contains("vendor's own SDK"), "{key}");
    let provider = client.hover(&TEXT.replace("  openai: {}", "  open^ai: {}"));
    assert!(provider.contains("https://api.openai.com/v1"), "{provider}");
    assert_eq!(client.hover(&TEXT.replace("version: 1", "version: 1 # no^te")), "");

    for (written, line, character) in [("-> @ch^eap", 6, 2), ("system: pro^mpt.md", 0, 0), ("box/qw^en3-32b >", 3, 2)] {
        let place = client.at("textDocument/definition", &TEXT.replace(&written.replace('^', ""), written));
        assert_eq!(place["range"]["start"], json!({ "line": line, "character": character }), "{written}: {place}");
    }
    let prompt = client.at("textDocument/definition", &TEXT.replace("prompt.md", "pro^mpt.md"));
    assert_eq!(prompt["uri"], client.uri("prompt.md"));
    assert_eq!(client.at("textDocument/definition", &TEXT.replace("rule: 2", "ru^le: 2")), Value::Null);
    client.end();
}

#[test]
fn what_may_stand_at_a_place_is_proposed_while_the_file_is_unfinished() {
    let sandbox = Sandbox::with(TEXT);
    let mut client = Client::start(&sandbox);
    client.open("routeplane.yaml", TEXT);
    client.findings();
    let with = |from: &str, to: &str| TEXT.replacen(from, to, 1);
    for (text, proposed, not_proposed) in [
        (with("version: 1\n", "version: 1\npre^\n"), "presets", "rules"),
        (with("{ route: \"@cheap\"", "{ ^ route: \"@cheap\""), "timeout", "listen"),
        (with("{ route: \"@cheap\"", "{ route: \"@^"), "@default", "as requested"),
        (with("default: openai/gpt-5", "default: openai/gpt-5^"), "openai/gpt-5-mini", "@cheap"),
        (with("default: openai/gpt-5", "default: box/^"), "box/qwen3-32b", "openai/"),
        (with("default: openai/gpt-5", "default: o^"), "openai/", "anthropic/"),
        (with("-> @cheap", "-> ^"), "@cheap", "images"),
        (with("when images > 0", "when im^"), "images", "tools"),
        (with("when images > 0", "when protocol == ^"), "messages", "images"),
        (with("when images > 0", "when reasoning >= ^"), "high", "messages"),
        (with("images > 0 and", "images > 0 ^"), "and", "when"),
        (with("protocol: openai-chat", "protocol: openai-chat, auth: none, include_usage: ^"), "false", "keys"),
        (with("rule: 2", "^"), "served_by", "down"),
        (with("  openai: {}", "  openai: {}\n  ant^"), "anthropic", "openai"),
    ] {
        let labels = client.labels(&text);
        assert!(labels.iter().any(|label| label == proposed), "{proposed} of {labels:?} in\n{text}");
        assert!(labels.iter().all(|label| label != not_proposed), "{not_proposed} of {labels:?} in\n{text}");
    }
    assert_eq!(client.labels(&with("version: 1", "version: 1 # im^")), [""; 0]);
    let item = &client.at("textDocument/completion", &with("when images > 0", "when é and im^"))[0];
    assert_eq!(item["textEdit"]["range"]["start"]["character"], 13, "{item}");
    client.end();
}

#[test]
fn the_outline_formatting_and_unknown_requests() {
    let sandbox = Sandbox::with(TEXT);
    let mut client = Client::start(&sandbox);
    client.open("routeplane.yaml", TEXT);
    let document = json!({ "textDocument": { "uri": client.uri("routeplane.yaml") } });
    let outline = client.ask("textDocument/documentSymbol", document.clone());
    let shown: Vec<String> = (outline.as_array().unwrap().iter())
        .map(|section| {
            let inside = section["children"].as_array().into_iter().flatten();
            let names: Vec<&str> = inside.map(|child| child["name"].as_str().unwrap()).collect();
            format!("{}: {}", section["name"].as_str().unwrap(), names.join(", "))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "version: ",
            "providers: openai, box",
            "presets: default, cheap, helper",
            "rules: when images > 0 and tag(\"é🦀\") == \"a\" -> @cheap, otherwise -> as requested",
            "tests: images are cheap",
        ]
    );
    let mut formatting = document.clone();
    formatting["options"] = json!({ "tabSize": 2, "insertSpaces": true });
    let edits = client.ask("textDocument/formatting", formatting.clone());
    assert!(edits[0]["newText"].as_str().unwrap().contains("  otherwise                            -> as"), "{edits}");
    client.change("routeplane.yaml", 2, "a: [");
    assert_eq!(client.ask("textDocument/formatting", formatting), Value::Null);
    assert_eq!(client.ask("textDocument/rename", document)["code"], -32601);
    assert_eq!(client.ask("textDocument/hover", json!({}))["code"], -32602);
    // A file that is none of ours has no findings and no answers.
    client.open("other.yaml", "a: [");
    let other =
        json!({ "textDocument": { "uri": client.uri("other.yaml") }, "position": { "line": 0, "character": 0 } });
    assert_eq!(client.ask("textDocument/hover", other), Value::Null);
    client.end();
}
