//! From the file to the decision: compiled tables, what is said about files that do not compile, and `select`.

use routeplane::config::{self, Compilation, Env, Files, Inputs};
use routeplane::diagnostic::render::{Style, render};
use routeplane::rule::request::RequestShape;
use routeplane::table::select::AllUp;
use routeplane::table::{Decision, Draw, Outcome, RoutingTable, dump};

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

// === fixtures

/// `# env: A=x B=y` at the head of a fixture.
fn environment(text: &str) -> Vec<(&str, &str)> {
    let line = text.lines().find_map(|line| line.strip_prefix("# env: ")).unwrap_or("");
    line.split_whitespace().filter_map(|word| word.split_once('=')).collect()
}

/// What the comments of a fixture promise: `# error: RP0060 "underlined"`.
fn promised(text: &str) -> Vec<String> {
    let comments = text.lines().filter_map(|line| {
        ["# error: ", "# warning: "]
            .iter()
            .find_map(|mark| line.split_once(mark).map(|(_, rest)| rest.trim().to_owned()))
    });
    comments.collect()
}

fn found(compilation: &Compilation) -> Vec<String> {
    let findings = compilation.diagnostics.iter().map(|diagnostic| {
        let underlined = diagnostic.labels.first().map_or("", |label| compilation.sources.text(label.span));
        format!("{} {underlined:?}", diagnostic.code)
    });
    findings.collect()
}

#[test]
fn fixtures() {
    let wrong = std::cell::RefCell::new(Vec::new());
    insta::glob!("../table", "*.yaml", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let compilation = compile(&text, &environment(&text));
        let (mut promised, mut found) = (promised(&text), found(&compilation));
        promised.sort();
        found.sort();
        if found != promised {
            wrong.borrow_mut().push(format!("{}\n  found    {found:?}\n  promised {promised:?}", path.display()));
        }
        let mut out = render(&compilation.diagnostics, &compilation.sources, Style::Plain);
        if let Some(table) = &compilation.table {
            out.push_str(&dump::text(table));
        }
        insta::with_settings!({
            snapshot_path => "../../snapshots/table",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            filters => [(r"(?m) +$", "")],
        }, { insta::assert_snapshot!("table", out) });
    });
    assert!(wrong.borrow().is_empty(), "{}", wrong.borrow().join("\n"));
}

// === decisions

fn example() -> RoutingTable {
    table(include_str!("../table/example.yaml"), &[("OPENAI_API_KEY", "x")])
}

#[test]
fn the_example_decides() {
    let table = example();
    let with = |model: &str, change: fn(&mut RequestShape)| {
        let mut shape = RequestShape::new(model);
        change(&mut shape);
        decided(&table, &shape)
    };
    let plain = |model: &str| decided(&table, &RequestShape::new(model));
    assert_eq!(with("auto", |r| r.input_tokens = 200_000), "rule 1 → @long: google/gemini-2.5-pro");
    assert_eq!(with("gpt-4o", |_| ()), "rule 5 → rule 5: openai/gpt-5-mini");
    assert_eq!(plain("@default"), "rule 8 → @default: anthropic/claude-sonnet-4-6, openai/gpt-5");
    assert_eq!(plain("default"), plain("@default"));
    assert_eq!(plain("openai/new-model"), "rule 8 → openai/new-model: openai/new-model");
    assert_eq!(plain("openai:new-model"), "rule 8 → openai:new-model: openai/new-model");
    assert_eq!(plain("qwen3-32b"), "rule 8 → qwen3-32b: gpu-box/qwen3-32b");
    assert_eq!(plain("gpt-5"), "rule 8 → gpt-5: openai/gpt-5");
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
