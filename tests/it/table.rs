//! From the file to the decision: compiled tables, what is said about files that do not compile, and `select`.

use routeplane::config::{self, Compilation, Env, Files, Inputs};
use routeplane::rule::request::RequestShape;
use routeplane::table::select::AllUp;
use routeplane::table::{Decision, Draw, Outcome, RoutingTable};

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

pub(crate) fn compile(text: &str, env: &[(&str, &str)]) -> Compilation {
    let env = Env::new(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    config::compile(Inputs { file: Some(("routeplane.yaml", text)), env: &env, files: &NoFiles })
}

fn table(text: &str, env: &[(&str, &str)]) -> RoutingTable {
    let compilation = compile(text, env);
    let said: Vec<String> = compilation.diagnostics.iter().map(|d| format!("{} {}", d.code, d.message)).collect();
    compilation.table.unwrap_or_else(|| panic!("{said:#?}"))
}

/// `route: attempt, attempt (skipped ...)`.
fn shown(decision: &Decision<'_>) -> String {
    let rule = decision.rule.map_or(String::new(), |rule| format!("rule {rule} → "));
    match &decision.outcome {
        Outcome::Attempts { attempts, .. } => {
            let names: Vec<String> =
                attempts.iter().map(|attempt| format!("{}/{}", attempt.provider.name, attempt.model)).collect();
            format!("{rule}{}: {}", decision.route, names.join(", "))
        }
        Outcome::Deny { status, text } => format!("{rule}{}: deny {status} {}", decision.route, text.unwrap_or("")),
        Outcome::NotFound(why) => format!("{rule}{}: {why:?}", decision.route),
    }
}

fn decided(table: &RoutingTable, request: &RequestShape) -> String {
    shown(&table.select(request, &AllUp, Draw(0.0)))
}

const EXAMPLE: &str = r#"
version: 1
providers:
  openai: {}
  anthropic: { keys: [env:ANTHROPIC_API_KEY, env:ANTHROPIC_API_KEY_2] }
  gpu-box: { protocol: openai-chat, base_url: "http://10.0.0.7:8000/v1", models: [qwen3-32b] }
presets:
  default: { route: anthropic/claude-sonnet-4-6 > openai/gpt-5 }
  cheap:   { route: "openai/gpt-5-mini > gpu-box/qwen3-32b > @default" }
  canary:  { route: "split(95 @default, 5 openai/gpt-5.1)", sticky: user }
  long: google/gemini-2.5-pro
rules: |
  when model == "auto" and input_tokens > 150k              -> @long
  when has tools and last_tool in ["read_file", "grep"]     -> @cheap
  when images > 0 and model ~ "qwen*"                       -> google/gemini-2.5-flash
  when header("x-team") == "research" or key.team == "lab"  -> anthropic/claude-opus-4-7 > @default
  when model ~ "gpt-4*"                                     -> openai/gpt-5-mini
  when protocol == messages and reasoning >= high           -> anthropic/claude-opus-4-7
  when tag("env") == "prod" and input_tokens > 900k         -> deny 413 "too long for production"
  otherwise                                                 -> as requested
"#;

#[test]
fn the_example_decides() {
    let table = table(EXAMPLE, &[("OPENAI_API_KEY", "x")]);
    let request = RequestShape::new;
    let with = |model: &str, change: fn(&mut RequestShape)| {
        let mut shape = RequestShape::new(model);
        change(&mut shape);
        decided(&table, &shape)
    };
    assert_eq!(with("auto", |r| r.input_tokens = 200_000), "rule 1 → @long: google/gemini-2.5-pro");
    assert_eq!(
        with("auto", |r| {
            r.headers.insert("x-team".into(), "research".into());
        }),
        "rule 4 → rule 4: anthropic/claude-opus-4-7, anthropic/claude-sonnet-4-6, openai/gpt-5"
    );
    assert_eq!(with("gpt-4o", |_| ()), "rule 5 → rule 5: openai/gpt-5-mini");
    assert_eq!(decided(&table, &request("@default")), "rule 8 → @default: anthropic/claude-sonnet-4-6, openai/gpt-5");
    assert_eq!(decided(&table, &request("cheap")).matches('/').count(), 4);
    assert_eq!(decided(&table, &request("openai/new-model")), "rule 8 → openai/new-model: openai/new-model");
    assert_eq!(decided(&table, &request("openai:new-model")), "rule 8 → openai:new-model: openai/new-model");
    assert_eq!(decided(&table, &request("qwen3-32b")), "rule 8 → qwen3-32b: gpu-box/qwen3-32b");
}

#[test]
fn without_a_file_the_environment_and_the_demo_are_there() {
    let env = Env::new([("GEMINI_API_KEY".to_owned(), "k".to_owned())]);
    let compilation = config::compile(Inputs { file: None, env: &env, files: &NoFiles });
    let table = compilation.table.unwrap();
    let names: Vec<&str> = table.providers.iter().map(|provider| &*provider.name).collect();
    assert_eq!(names, ["demo", "google"]);
    assert_eq!(decided(&table, &RequestShape::new("demo/chat")), "demo/chat: demo/chat");
    assert!(decided(&table, &RequestShape::new("openai/gpt-5")).contains("OPENAI_API_KEY"));
}
