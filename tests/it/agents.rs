//! Claude Code and Codex, as npm has them, at work through the gateway in front of every upstream protocol: each reads a file
//! with its shell, writes another, and tells what the shell said. What the upstream is asked, and what the agent makes of its
//! answers, is checked.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::mock_upstream::dialect::{INPUT_TOKENS, REASONING_TOKENS, SIGNATURE, TEXT_TOKENS};
use crate::mock_upstream::{MockUpstream, responses};
use crate::sdk::packages;

/// What stands in the file that the agent reads.
const NOTES: &str = "the word is heliotrope";
const PROMPT: &str = "case:agent Read notes.txt, then write answer.txt.";

static AGENTS: OnceCell<PathBuf> = OnceCell::const_new();

/// An agent in a folder of its own, with a home of its own and nothing of the machine's environment but the way to programs.
async fn agent(script: &str, work: &Path, home: &Path) -> Command {
    let agents = AGENTS.get_or_init(|| packages("agents")).await;
    let mut command = Command::new("node");
    command.arg(agents.join("node_modules").join(script)).current_dir(work).stdin(Stdio::null()).kill_on_drop(true);
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap());
    command
}

/// What an agent printed: a line of JSON, or several.
async fn run(mut command: Command, place: &str, gateway: &Gateway) -> Vec<Value> {
    let output = command.output().await.unwrap();
    let (printed, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{place}: {printed}\n{complained}\n{}", gateway.log());
    printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// A folder to work in, and a home.
fn folders() -> [tempfile::TempDir; 2] {
    let [work, home] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    std::fs::write(work.path().join("notes.txt"), NOTES).unwrap();
    [work, home]
}

/// What the agents ask for: which model answers is the file's to say.
const MODEL: &str = "auto";

async fn gateway(upstream: Caller, mock: &MockUpstream) -> Gateway {
    let file = providers(&[("up", upstream.protocol(), mock)]);
    // Claude Code forgets thoughts of answers that another model than the one it asked for says it gave.
    let settings = "retries: { attempts: 1 }\nanswer_model: asked\npresets: { default: up/m1 }\n";
    Gateway::start(&format!("{file}{settings}rules: when model == \"{MODEL}\" -> @default\n")).await
}

#[tokio::test]
async fn claude_code_completes_a_session_in_front_of_every_upstream() {
    for upstream in Caller::ALL {
        let place = format!("Claude Code in front of {}", upstream.protocol());
        let mock = MockUpstream::good().await;
        let gateway = gateway(upstream, &mock).await;
        let [work, home] = folders();
        let mut command = agent("@anthropic-ai/claude-code/cli-wrapper.cjs", work.path(), home.path()).await;
        command.env("ANTHROPIC_BASE_URL", format!("http://{}", gateway.address)).env("ANTHROPIC_AUTH_TOKEN", "any");
        // Neither updates nor reports: nothing but the gateway is to be asked.
        command.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        command.args(["--print", "--output-format", "json", "--model", MODEL, "--allowedTools", "Bash"]);
        command.args(["--", PROMPT]);
        let printed = run(command, &place, &gateway).await;
        let said = printed.last().unwrap();
        assert_eq!((&said["is_error"], &said["num_turns"]), (&json!(false), &json!(3)), "{place}: {said}");
        assert!(said["result"].as_str().unwrap().contains(NOTES), "{place}: {said}");
        let output = 3 * TEXT_TOKENS + 2 * REASONING_TOKENS;
        assert_eq!(said["usage"]["output_tokens"], output, "{place}: {said}");
        check_work(upstream, &mock, work.path(), &place);
    }
}

#[tokio::test]
async fn codex_completes_a_session_in_front_of_every_upstream() {
    for upstream in Caller::ALL {
        let place = format!("Codex in front of {}", upstream.protocol());
        let mock = MockUpstream::good().await;
        let gateway = gateway(upstream, &mock).await;
        let [work, home] = folders();
        let settings = format!(
            "model = \"{MODEL}\"\nmodel_provider = \"routeplane\"\ncheck_for_update_on_startup = false\n\
             analytics.enabled = false\n[model_providers.routeplane]\nname = \"Routeplane\"\n\
             base_url = \"http://{}/v1\"\nwire_api = \"responses\"\n",
            gateway.address
        );
        std::fs::create_dir(home.path().join(".codex")).unwrap();
        std::fs::write(home.path().join(".codex/config.toml"), settings).unwrap();
        let mut command = agent("@openai/codex/bin/codex.js", work.path(), home.path()).await;
        // The folder is thrown away; a sandbox of its own needs more of the kernel than a test may ask for.
        command.args(["exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", PROMPT]);
        let printed = run(command, &place, &gateway).await;
        let last = printed.last().unwrap();
        assert_eq!(last["type"], "turn.completed", "{place}: {printed:#?}");
        let output = 3 * TEXT_TOKENS + 2 * REASONING_TOKENS;
        let usage = (&last["usage"]["input_tokens"], &last["usage"]["output_tokens"]);
        assert_eq!(usage, (&json!(3 * INPUT_TOKENS), &json!(output)), "{place}: {last}");
        let of = |kind: &str| -> Vec<&Value> {
            let done = printed.iter().filter(|line| line["type"] == "item.completed").map(|line| &line["item"]);
            done.filter(|item| item["type"] == kind).collect()
        };
        let commands: Vec<_> = of("command_execution").iter().map(|item| item["exit_code"].clone()).collect();
        assert_eq!(commands, [0, 0], "{place}: {printed:#?}");
        let told = of("agent_message");
        assert!(told.last().unwrap()["text"].as_str().unwrap().contains(NOTES), "{place}: {told:?}");
        check_work(upstream, &mock, work.path(), &place);
    }
}

/// The agent's shell did what the upstream said, and the upstream got its own thoughts back with the results.
fn check_work(upstream: Caller, mock: &MockUpstream, work: &Path, place: &str) {
    assert_eq!(std::fs::read_to_string(work.join("answer.txt")).unwrap(), "written", "{place}");
    let requests = mock.requests();
    let bodies: Vec<String> = requests.iter().map(|record| record.request.text()).collect();
    assert_eq!(bodies.len(), 3, "{place}: {bodies:#?}");
    assert!(bodies[1].contains(NOTES), "{place}: {}", bodies[1]);
    let proof = match upstream {
        Caller::Messages | Caller::Gemini | Caller::Converse => SIGNATURE,
        Caller::Responses => responses::ENCRYPTED,
        // Nothing there proves whose thoughts they are, and most providers do not want them back.
        Caller::Chat => return,
    };
    assert!(bodies[1].contains(proof) && bodies[2].matches(proof).count() == 2, "{place}: {}", bodies[2]);
}
