//! `routeplane diff`: what two files do differently, against trying everything, and as a user meets it.

use std::process::Command;

use fastrand::Rng;
use routeplane::rule::request::RequestShape;
use routeplane::table::compare::compare;
use routeplane::table::select::AllUp;
use routeplane::table::{Draw, Outcome, RoutingTable};

use crate::analysis::random;
use crate::sandbox::Sandbox;

// === against trying everything

/// What a caller sees of a decision.
fn seen(table: &RoutingTable, shape: &RequestShape) -> String {
    let mut shape = shape.clone();
    let key = shape.key.as_deref().and_then(|id| table.keys.iter().find(|key| *key.id == *id));
    shape.key = key.map(|key| key.id.to_string());
    shape.key_attributes =
        key.iter().flat_map(|key| &key.attributes).map(|(name, value)| (name.to_string(), value.to_string())).collect();
    match table.select(&shape, &AllUp, Draw(0.0)).outcome {
        Outcome::Attempts { attempts, .. } => attempts
            .iter()
            .map(|attempt| format!("{}/{} {:?}", attempt.provider.name, attempt.model, attempt.settings))
            .collect::<Vec<_>>()
            .join(" > "),
        Outcome::Deny { status, .. } => format!("deny {status}"),
        Outcome::NotFound(_) | Outcome::Unmet(_) => "not found".to_owned(),
    }
}

/// A file of rules, presets and keys that may be written in another way.
#[derive(Clone)]
struct Written {
    rules: Vec<(String, String)>,
    presets: [String; 3],
    team: &'static str,
    keys: bool,
}

const OUTCOMES: [&str; 7] =
    ["demo/t0", "demo/t1", "demo/t0 > demo/t1", "deny 403", "as requested", "@a > demo/t2", "@b"];

impl Written {
    fn table(&self) -> RoutingTable {
        let rules: String = self.rules.iter().map(|(when, then)| format!("  when {when} -> {then}\n")).collect();
        let [a, b, ab] = &self.presets;
        let keys = match self.keys {
            true => format!(
                "keys: {{ a: {{ key: env:K, team: a }}, b: {{ key: env:K, team: {} }}, ab: env:K }}\n",
                self.team
            ),
            false => String::new(),
        };
        let text = format!("{keys}presets: {{ a: {a}, b: {b}, ab: {ab} }}\nrules: |\n  # rules\n{rules}");
        crate::table::table(&text, &[("K", "k")])
    }

    /// The same with something changed, or only moved.
    fn changed(&self, random: &mut Rng, condition: &mut dyn FnMut(&mut Rng) -> String) -> Written {
        let mut other = self.clone();
        for _ in 0..random.usize(1..3) {
            let at = random.usize(..other.rules.len());
            match random.u8(0..8) {
                0 => {
                    let to = random.usize(..other.rules.len());
                    other.rules.swap(at, to);
                }
                1 if other.rules.len() > 1 => drop(other.rules.remove(at)),
                2 => {
                    let rule = (condition(random), random.choice(OUTCOMES).unwrap().to_owned());
                    other.rules.insert(at, rule);
                }
                3 => other.rules[at].1 = random.choice(OUTCOMES).unwrap().to_owned(),
                4 => other.rules[at].0 = format!("({}) and not ({})", other.rules[at].0, condition(random)),
                5 => other.rules[at].0 = format!("not not ({})", other.rules[at].0),
                6 => {
                    let preset = random.usize(..3);
                    let route = random.choice(["demo/t0", "demo/t1", "demo/t3 > demo/t0"]).unwrap();
                    other.presets[preset] = route.to_owned();
                }
                _ => other.team = random.choice(["ab", "b"]).unwrap(),
            }
        }
        other
    }
}

#[test]
fn random_pairs_of_files_are_compared_as_trying_compares_them() {
    let mut random = Rng::with_seed(11);
    let (mut different, mut equal) = (0, 0);
    for _ in 0..600 {
        let (mut condition, names, keys) = random::conditions(&mut random);
        let rules = (0..random.usize(1..5))
            .map(|_| (condition(&mut random), random.choice(OUTCOMES).unwrap().to_owned()))
            .collect();
        let presets = ["demo/t0", "demo/t1", "demo/t3"].map(str::to_owned);
        let old = Written { rules, presets, team: "ab", keys: !keys.is_empty() };
        let new = old.changed(&mut random, &mut condition);
        let (before, after) = (old.table(), new.table());
        let conditions: Vec<_> = before.rules.iter().chain(&after.rules).map(|rule| rule.when.clone()).collect();
        let mut shapes = random::requests(&conditions, &names, &keys);
        let models = ["a", "@b", "ab", "demo/t0", "demo/other", "nothing"];
        if !names.contains(&"model") {
            shapes = shapes
                .iter()
                .flat_map(|shape| models.map(|model| RequestShape { model: model.to_owned(), ..shape.clone() }))
                .collect();
        }
        let found = compare(&before, &after);
        let shown = || format!("{:#?}\n{:#?}", before.rules, after.rules);
        assert_eq!(found.undecided, 0, "{}", shown());
        for change in &found.changes {
            let witness = &change.witness;
            assert_ne!(seen(&before, witness), seen(&after, witness), "{witness:?} of\n{}", shown());
        }
        let missed = shapes.iter().find(|shape| seen(&before, shape) != seen(&after, shape));
        if found.changes.is_empty() {
            assert_eq!(missed, None, "{}", shown());
            equal += 1;
        } else {
            different += 1;
        }
    }
    assert!(different > 200 && equal > 100, "{different} different, {equal} equal");
}

// === as a user meets it

const OLD: &str = r#"version: 1
providers:
  box: { protocol: openai-chat, base_url: "http://10.0.0.7:8000/v1", models: [m, n], prices: { m: { input: 1, output: 2 }, n: { input: 3, output: 6 } } }
  claude: { protocol: anthropic-messages, base_url: "http://10.0.0.8", models: [c] }
presets:
  default: box/m > claude/c
  inner: { route: box/n, params: { temperature: 0.2 } }
  canary: "split(95 @default, 5 box/n)"
rules: |
  when header("x-team") == "research" -> box/m > claude/c
  when model ~ "gpt-4*"               -> @inner
  when images > 0                     -> deny 403
  otherwise                           -> as requested
tests:
  - { name: research, request: { model: x, headers: { x-team: research } }, expect: { served_by: box/m } }
  - { name: images, request: { model: x, images: 1 }, expect: { denied: 403 } }
"#;

fn diff(new: &str, arguments: &[&str], code: i32) -> String {
    let sandbox = Sandbox::with(OLD);
    sandbox.write("new.yaml", new);
    let all: Vec<&str> = ["diff", "routeplane.yaml", "new.yaml"].into_iter().chain(arguments.iter().copied()).collect();
    sandbox.run(&all).expect(code).stdout
}

#[test]
fn nothing_is_said_where_nothing_changes() {
    let silent = [
        OLD.to_owned(),
        format!("# a comment\n{OLD}"),
        // Disjoint rules, the other way round.
        OLD.replace("  when images > 0                     -> deny 403\n", "")
            .replace("  when model ~", "  when images > 0 and not model ~ \"gpt-4*\" and header(\"x-team\") != \"research\" -> deny 403\n  when model ~"),
        OLD.replace("box/m > claude/c\n  when model", "@default\n  when model"),
        OLD.replace("  when images > 0 ", "  when has images "),
        OLD.replace("split(95 @default, 5 box/n)", "split(19 (box/m > claude/c), 1 box/n)"),
    ];
    for new in silent {
        assert_eq!(diff(&new, &["--exit-code"], 0), "nothing changes for any request\n", "{new}");
    }
    // A preset that nobody can ask for may be called as one likes.
    let hidden = OLD.replace("otherwise                           -> as requested", "otherwise -> @default");
    let sandbox = Sandbox::with(&hidden);
    sandbox.write("new.yaml", &hidden.replace("inner", "renamed"));
    let said = sandbox.run(&["diff", "routeplane.yaml", "new.yaml", "--exit-code"]).expect(0).stdout;
    assert_eq!(said, "nothing changes for any request\n");
}

#[test]
fn classes_of_requests_are_told_with_what_they_lose_and_gain() {
    let new = OLD
        .replace("-> box/m > claude/c", "-> claude/c")
        .replace("gpt-4*", "gpt-*")
        .replace("temperature: 0.2", "temperature: 0.7")
        .replace("  when images > 0                     -> deny 403\n", "")
        .replace(
            "canary: \"split(95 @default, 5 box/n)\"",
            "canary: \"split(50 @default, 50 box/n)\"\n  fresh: claude/c",
        )
        .replace("models: [c]", "models: [c, d]")
        .replace("version: 1\n", "version: 1\nlisten: 127.0.0.1:9999\n");
    let human = diff(&new, &[], 3);
    let github = diff(&new, &["--format", "github"], 3);
    insta::with_settings!({
        snapshot_path => "../../snapshots/cli",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("diff", human);
        insta::assert_snapshot!("diff-github", github);
    });
    let json: serde_json::Value = serde_json::from_str(&diff(&new, &["--format", "json"], 3)).unwrap();
    assert!(json["changes"].as_array().unwrap().len() >= 4, "{json}");
    assert_eq!(json["failing_tests"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(json["undecided"], 0);
    // Every witness is a command that `explain` reads.
    let sandbox = Sandbox::with(new.split("tests:").next().unwrap());
    for change in json["changes"].as_array().unwrap() {
        let curl = change["witness"].as_str().unwrap().split("  # where").next().unwrap();
        sandbox.run(&["explain", "--curl", curl]).expect(0);
    }
}

#[test]
fn a_changed_price_or_address_is_an_effect_and_needs_no_failing_test() {
    let new = OLD.replace("{ input: 1, output: 2 }", "{ input: 2, output: 4 }");
    assert!(diff(&new, &[], 0).contains("price up: 2 / 4 instead of 1 / 2"));
    assert!(diff(&new, &["--exit-code"], 3).contains("for example:"));
    let new = OLD.replace("http://10.0.0.7:8000/v1", "http://10.0.0.9:8000/v1");
    assert!(diff(&new, &[], 0).contains("box is asked otherwise: -openai-chat at http://10.0.0.7:8000/v1"));
}

#[test]
fn files_come_from_git_too() {
    let sandbox = Sandbox::with(OLD);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(sandbox.path("")).args(["-c", "user.name=t", "-c", "user.email=t@example.com"]);
        assert!(command.args(arguments).output().unwrap().status.success(), "{arguments:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "routeplane.yaml"]);
    git(&["commit", "-qm", "first"]);
    sandbox.write("routeplane.yaml", &OLD.replace("deny 403", "deny 404"));
    let said = sandbox.run(&["diff", "git:HEAD:routeplane.yaml", "routeplane.yaml"]).expect(3).stdout;
    assert!(said.contains("refused with 404 instead of refused with 403"), "{said}");
    for (place, code, expected) in [
        ("git:HEAD:absent.yaml", 66, "absent.yaml"),
        ("git:nowhere:routeplane.yaml", 66, "nowhere"),
        ("git:--output=x:routeplane.yaml", 66, "is not a revision"),
        ("git:HEAD", 2, "git:REVISION:PATH"),
        ("absent.yaml", 66, "absent.yaml"),
    ] {
        let failed = sandbox.run(&["diff", place, "routeplane.yaml"]).expect(code);
        assert!(failed.stderr.contains(expected), "{failed:?}");
    }
    sandbox.write("bad.yaml", "presets: { a: @b }\n");
    assert!(sandbox.run(&["diff", "routeplane.yaml", "bad.yaml"]).expect(78).stderr.contains("cannot be compared"));
}
