//! From the file to the decision: compiled tables, what is said about files that do not compile, and `select`.

use routeplane::config::{self, Compilation, Env, Files, Inputs};
use routeplane::diagnostic::render::{Style, render};
use routeplane::rule::request::RequestShape;
use routeplane::table::diff::diff;
use routeplane::table::explain::explain;
use routeplane::table::select::AllUp;
use routeplane::table::wishes::Asked;
use routeplane::table::{Decision, Draw, Outcome, RoutingTable, dump};

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

pub(crate) fn compile(text: &str, env: &[(&str, &str)]) -> Compilation {
    let env = Env::new(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    config::compile(Inputs { file: Some(("routeplane.yaml", text)), listen: None, env: &env, files: &NoFiles })
}

pub(crate) fn table(text: &str, env: &[(&str, &str)]) -> RoutingTable {
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
        Outcome::Unmet(unmet) => format!("{rule}{}: {}", decision.route, unmet.message),
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
    let compilation = config::compile(Inputs { file: None, listen: None, env: &env, files: &NoFiles });
    let table = compilation.table.unwrap();
    let names: Vec<&str> = table.providers.iter().map(|provider| &*provider.name).collect();
    assert_eq!(names, ["demo", "google"]);
    assert_eq!(decided(&table, &RequestShape::new("demo/chat")), "demo/chat: demo/chat");
    assert!(decided(&table, &RequestShape::new("openai/gpt-5")).contains("OPENAI_API_KEY"));
}

/// Names of the attempts under a draw, those that are down left out.
fn attempts(table: &RoutingTable, shape: &RequestShape, draw: f64) -> Vec<String> {
    match table.select(shape, &AllUp, Draw(draw)).outcome {
        Outcome::Attempts { attempts, .. } => attempts.iter().map(|attempt| attempt.model.to_owned()).collect(),
        outcome => panic!("{outcome:?}"),
    }
}

const SPLITS: &str = r#"
providers: { box: { protocol: openai-chat, base_url: "http://10.0.0.7:8000/v1" } }
presets:
  one: split(90 box/a, 10 box/b, 0 box/c)
  sticky: { route: "split(50 box/a, 50 box/b)", sticky: user }
  renamed: { route: "split(50 box/a, 50 box/b)", sticky: user }
  two: split(50 box/a, 50 box/b) > split(50 box/c, 50 box/d)
"#;

#[test]
fn a_split_draws_by_weight_and_falls_back_in_order() {
    let table = table(SPLITS, &[]);
    let shape = RequestShape::new("@one");
    assert_eq!(attempts(&table, &shape, 0.0), ["a", "b", "c"]);
    assert_eq!(attempts(&table, &shape, 0.899), ["a", "b", "c"]);
    assert_eq!(attempts(&table, &shape, 0.9), ["b", "a", "c"]);
    // A weight of 0 is never drawn, whatever the draw.
    assert_eq!(attempts(&table, &shape, 1.0), ["b", "a", "c"]);
}

#[test]
fn after_a_failed_arm_the_rest_is_drawn_with_the_same_number() {
    let text = r#"
providers: { box: { protocol: openai-chat, base_url: "http://10.0.0.7:8000/v1" } }
presets: { one: "split(0.7 box/a, 0.2 box/b, 0.1 box/c, 0 box/z, 0 box/y)" }
"#;
    let table = table(text, &[]);
    let shape = RequestShape::new("@one");
    for (draw, order) in
        [(0.0, "abczy"), (0.699, "acbzy"), (0.701, "baczy"), (0.88, "bcazy"), (0.95, "cbazy"), (1.0, "cbazy")]
    {
        assert_eq!(attempts(&table, &shape, draw).concat(), order, "{draw}");
    }
}

/// The draws of TensorZero, which keep the users of a running experiment where they are.
#[test]
fn an_episode_is_drawn_as_tensorzero_draws_it() {
    let preset = |name: &str, weights: &str| format!("  {name}: {{ route: \"{weights}\", sticky: episode }}\n");
    let sets = [
        "split(0.7 box/a, 0.2 box/b, 0.1 box/c) > box/d",
        // A candidate of weight 0 comes after the fallbacks.
        "split(1 box/a, 1 box/b) > box/d > box/c",
    ];
    let one = |number: u32| format!("019b0000-0000-7000-8000-{number:012}");
    for (number, function, fraction, orders) in [
        (1, "generate_haiku", 0.969_987_433, ["cbad", "badc"]),
        (1, "draft_email", 0.201_949_517, ["abcd", "abdc"]),
        (2, "generate_haiku", 0.558_341_791, ["abcd", "badc"]),
        (2, "draft_email", 0.879_404_815, ["bcad", "badc"]),
        (3, "generate_haiku", 0.050_966_396, ["abcd", "abdc"]),
        (4, "draft_email", 0.366_575_710, ["abcd", "abdc"]),
    ] {
        let drawn = routeplane::rule::facts::episode_fraction(function, &one(number));
        assert!((drawn - fraction).abs() < 1e-9, "{function} {number}: {drawn}");
        for (set, order) in sets.iter().zip(orders) {
            let text = format!(
                "providers: {{ box: {{ protocol: openai-chat, base_url: \"http://10.0.0.7:8000/v1\" }} }}\npresets:\n{}",
                preset(function, set)
            );
            let table = table(&text, &[]);
            let mut shape = RequestShape::new(format!("@{function}"));
            // However the id is spelled.
            for id in [one(number), one(number).to_uppercase()] {
                shape.headers.insert("x-routeplane-episode".to_owned(), id);
                assert_eq!(attempts(&table, &shape, 0.5).concat(), order, "{function} {number} {set}");
            }
        }
    }
}

#[test]
fn a_sticky_split_gives_one_user_one_arm() {
    let table = table(SPLITS, &[]);
    let first = |preset: &str, user: usize, draw: f64| {
        let mut shape = RequestShape::new(preset);
        shape.user = Some(format!("user-{user}"));
        attempts(&table, &shape, draw).remove(0)
    };
    let arms: Vec<String> = (0..1000).map(|user| first("@sticky", user, 0.0)).collect();
    assert!((0..1000).all(|user| arms[user] == first("@sticky", user, 0.99)));
    let to_a = arms.iter().filter(|arm| *arm == "a").count();
    assert!((430..570).contains(&to_a), "{to_a}");
    // Two presets do not give the same users to their first arms.
    let alike = (0..1000).filter(|user| arms[*user] == first("@renamed", *user, 0.0)).count();
    assert!((430..570).contains(&alike), "{alike}");
    // These are the values of every replica and every version: a change of them moves users.
    assert_eq!(arms[..8].concat(), "bbaabbbb");
    // Without a user each request draws.
    assert_eq!(attempts(&table, &RequestShape::new("@sticky"), 0.99), ["b", "a"]);
}

#[test]
fn two_splits_of_one_request_are_drawn_apart() {
    let table = table(SPLITS, &[]);
    let shape = RequestShape::new("@two");
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for step in 0..4000 {
        let drawn = attempts(&table, &shape, f64::from(step) / 4000.0);
        *seen.entry(format!("{}{}", drawn[0], drawn[2])).or_default() += 1;
    }
    assert_eq!(seen.len(), 4);
    assert!(seen.values().all(|count| (850..1150).contains(count)), "{seen:?}");
}

#[test]
fn names_mean_presets_then_targets_then_models() {
    let text = r#"
providers:
  one: { protocol: openai-chat, base_url: "http://one.example/v1", models: [shared, mine, org/model, cheap] }
  two: { protocol: openai-chat, base_url: "http://two.example/v1", models: [shared, "qwen3:32b"] }
presets: { cheap: two/small, self: as requested > one/mine }
"#;
    let table = table(text, &[]);
    let plain = |model: &str| decided(&table, &RequestShape::new(model));
    assert_eq!(plain("cheap"), "@cheap: two/small");
    assert_eq!(plain("one/cheap"), "one/cheap: one/cheap");
    assert_eq!(plain("mine"), "mine: one/mine");
    assert_eq!(plain("org/model"), "org/model: one/org/model");
    assert_eq!(plain("qwen3:32b"), "qwen3:32b: two/qwen3:32b");
    assert_eq!(plain("two:qwen3:32b"), "two:qwen3:32b: two/qwen3:32b");
    assert_eq!(plain("shared"), "shared: Ambiguous { providers: [\"one\", \"two\"] }");
    assert_eq!(plain("sharde"), "sharde: Unknown { suggestion: Some(\"shared\") }");
    assert_eq!(plain("two/"), "two/: Unknown { suggestion: Some(\"two/shared\") }");
    assert_eq!(plain(""), ": Unknown { suggestion: None }");
    // A preset that says `as requested` and is asked for by name does not mean itself.
    assert_eq!(plain("self"), "@self: one/mine");
    assert!(plain("groq/x").contains("Inactive"), "{}", plain("groq/x"));
}

#[test]
fn a_bare_name_goes_to_the_model_s_maker() {
    let table = table(
        "presets: {}",
        &[("OPENAI_API_KEY", "x"), ("AZURE_API_KEY", "x"), ("AZURE_API_BASE", "https://a.example")],
    );
    assert!(table.provider_names.contains_key("azure"));
    assert_eq!(decided(&table, &RequestShape::new("gpt-5")), "gpt-5: openai/gpt-5");
}

#[test]
fn settings_of_as_requested_hold_around_the_preset_that_is_asked_for() {
    let text = r#"
presets:
  guarded: { route: as requested, override: { user: guarded }, params: { seed: 1 } }
  mild: { route: demo/chat, params: { temperature: 0, seed: 2 } }
  exact: { route: demo/chat, on_loss: refuse }
rules: otherwise -> @guarded
"#;
    let table = table(text, &[]);
    let settings = |model: &str| {
        let shape = RequestShape::new(model);
        let explained = explain(&table, &shape, (&Asked::Nothing, &[]), &AllUp, Draw(0.0));
        explained.attempts[0].settings.join(" ")
    };
    assert_eq!(settings("demo/chat"), "seed=1 user:=\"guarded\"");
    assert_eq!(settings("@mild"), "seed=1 temperature=0 user:=\"guarded\"");
    assert_eq!(settings("@exact"), "seed=1 user:=\"guarded\" on_loss refuse");
    // It cannot mean itself, and there is nothing else that it could mean.
    assert!(decided(&table, &RequestShape::new("guarded")).contains("Unknown"));
}

// === comparison

#[test]
fn a_diff_names_what_changed_and_nothing_else() {
    let old = r#"
keys: { ci: env:K }
presets:
  default: demo/x
  cheap: demo/y > @default
  gone: demo/z
rules: |
  when stream -> @cheap
  when has tools -> demo/t
"#;
    let env = [("K", "k")];
    let before = table(old, &env);
    let same = format!("# a comment\n{}", old.replace("demo/y > @default", "demo/y   >   @default"));
    let after = table(&same, &env);
    assert_eq!(diff(&before, &after).changes, []);
    assert_eq!(before.id, after.id);

    let new = old
        .replace("default: demo/x", "default: demo/w")
        .replace("  gone: demo/z\n", "")
        .replace("  when stream", "  when user is absent -> deny 401\n  when stream")
        .replace("demo/t", "demo/u")
        .replace("keys: {", "listen: 127.0.0.1:1\nkeys: { new: env:K,");
    let changed = diff(&before, &table(&new, &env));
    insta::with_settings!({
        snapshot_path => "../../snapshots/table",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("diff", changed.to_string()) });
    assert!(changed.summary().starts_with("setting listen changed, key new added, "));

    let swapped = old.replace(
        "  when stream -> @cheap\n  when has tools -> demo/t\n",
        "  when has tools -> demo/t\n  when stream -> @cheap\n",
    );
    assert_eq!(diff(&before, &table(&swapped, &env)).summary(), "rule order changed");
}

#[test]
fn an_explanation_tells_every_rule() {
    let table = example();
    let mut shape = RequestShape::new("auto");
    shape.headers.insert("x-team".into(), "research".into());
    let explanation = explain(&table, &shape, (&Asked::Nothing, &[]), &AllUp, Draw(0.0));
    insta::with_settings!({
        snapshot_path => "../../snapshots/table",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("explain", explanation.to_string());
        insta::assert_json_snapshot!("explain-json", explanation.json());
    });
}

#[test]
fn the_json_of_a_table_is_complete_and_without_secrets() {
    let text = "keys: { me: very-secret-1 }\nproviders: { openai: { key: very-secret-2, headers: { x-api-key: very-secret-3 } } }\n";
    let compilation = compile(text, &[]);
    let table = compilation.table.unwrap();
    assert_eq!(compilation.literals.len(), 2);
    let everything = format!("{}{}{table:?}{:?}", dump::json(&table), dump::text(&table), compilation.literals);
    for secret in ["very-secret-1", "very-secret-2"] {
        assert!(!everything.contains(secret));
    }
    assert!(!dump::text(&table).contains("very-secret-3") && !dump::json(&table).to_string().contains("very-secret-3"));
    let json = dump::json(&table);
    assert_eq!(json["providers"][0]["lanes"]["generate"]["chat"], "pass-through");
    assert_eq!(json["id"].as_str().unwrap().len(), 64);
}

// === hostile and large files

/// A file with one to three of its lines deleted, doubled, swapped with the next or cut.
fn mutated(text: &str, random: &mut fastrand::Rng) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(0..lines.len() - 1);
        match random.u8(0..5) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => lines.swap(at, at + 1),
            3 => {
                let cut = random.usize(0..=lines[at].chars().count());
                lines[at] = lines[at].chars().take(cut).collect();
            }
            _ => {
                let with = ["(", ">", "@", "\"", ": ", "é", " -> ", "#", "0"][random.usize(0..9)];
                let place = lines[at].char_indices().map(|(at, _)| at).nth(random.usize(0..20)).unwrap_or(0);
                lines[at].insert_str(place, with);
            }
        }
    }
    lines.join("\n")
}

#[test]
fn mutated_files_get_one_verdict() {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..400 {
        let text = mutated(include_str!("../table/example.yaml"), &mut random);
        let (first, second) = (compile(&text, &[]), compile(&text, &[]));
        assert_eq!(first.diagnostics, second.diagnostics, "{text}");
        assert_eq!(first.table.map(|table| table.id), second.table.as_ref().map(|table| table.id.clone()), "{text}");
        assert_eq!(second.table.is_some(), !second.diagnostics.has_errors(), "{text}");
        for label in second.diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels) {
            let source = second.sources.get(label.span.source).unwrap();
            assert!(source.text.get(label.span.range()).is_some(), "{label:?} in {text}");
        }
        let _ = render(&second.diagnostics, &second.sources, Style::Plain);
        if second.table.is_some() { good += 1 } else { bad += 1 }
    }
    assert!(good > 50 && bad > 50, "{good} good, {bad} bad");
}

/// 1,000 presets in a chain of tens, 10,000 rules.
fn large(wrong: bool) -> String {
    let mut text = String::from("presets:\n");
    for number in 0..1000 {
        let route =
            if number % 10 == 0 { "demo/chat".to_owned() } else { format!("\"demo/m{number} > @p{}\"", number - 1) };
        text.push_str(&format!("  p{number}: {{ route: {route}, params: {{ seed: {number} }} }}\n"));
    }
    text.push_str("rules: |\n");
    for number in 0..10_000 {
        let target = if wrong { format!("@q{number}") } else { format!("@p{} > demo/r", number % 1000) };
        text.push_str(&format!("  when model == \"m{number}\" -> {target}\n"));
    }
    text
}

#[test]
fn large_files_compile() {
    let compiled = table(&large(false), &[]);
    assert_eq!(compiled.rules.len(), 10_000);
    assert_eq!(decided(&compiled, &RequestShape::new("m9999")).matches("demo/").count(), 11);
    assert!(compile(&large(true), &[]).table.is_none());
}

#[test]
fn presets_that_multiply_are_refused() {
    let mut text = String::from("presets:\n  p0: demo/x > demo/y\n");
    for number in 1..60 {
        text.push_str(&format!("  p{number}: \"@p{0} > @p{0}\"\n", number - 1));
    }
    let compilation = compile(&text, &[]);
    assert!(found(&compilation).iter().any(|finding| finding.starts_with("RP0065")));
    let mut text = String::from("presets:\n  p0: demo/x\n");
    for number in 1..2000 {
        text.push_str(&format!("  p{number}: \"@p{} > demo/y\"\n", number - 1));
    }
    assert!(compile(&text, &[]).table.is_none());
}
