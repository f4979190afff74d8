//! The text of a new `routeplane.yaml`.

use std::fmt::Write as _;

use super::discover::{Choice, Found};

/// Where the JSON Schema is, seen from the file: beside it, so that it is the schema of the program that checks the file,
/// and there without a network.
pub(super) const SCHEMA_FILE: &str = "routeplane.schema.json";

/// Longest list, in bytes, that stays on one line.
const LINE: usize = 100;

/// Most targets of one route; more are no use to a newcomer.
const MOST_TARGETS: usize = 4;

/// A commented file that fits `found`; on the demo provider where there is nothing else to route to.
pub(super) fn text(found: &[Found]) -> String {
    let chosen: Vec<Chosen> = found.iter().filter_map(Chosen::of).take(MOST_TARGETS).collect();
    let routes = if chosen.is_empty() { Routes::demo() } else { Routes::across(&chosen) };
    [&head(), &providers(found, chosen.is_empty()), &presets(&routes), &rules(), &tests(&routes)]
        .map(String::as_str)
        .join("\n")
}

/// Targets of one provider, as they are written in routes.
struct Chosen {
    capable: String,
    small: String,
}

impl Chosen {
    fn of(found: &Found) -> Option<Chosen> {
        let Choice { capable, small } = found.choice.as_ref()?;
        let target = |model: &str| format!("{}/{model}", found.provider);
        Some(Chosen { capable: target(capable), small: target(small) })
    }
}

/// What the presets lead to: targets in the order of their attempts.
struct Routes {
    default: Vec<String>,
    fast: Vec<String>,
    /// The preset `fast` has the small models only, and hands on to `default`.
    fast_then_default: bool,
    /// The preset `fallback` of the demo.
    demo: bool,
}

impl Routes {
    fn demo() -> Routes {
        let chat = || vec!["demo/chat".to_owned()];
        Routes { default: chat(), fast: chat(), fast_then_default: false, demo: true }
    }

    fn across(chosen: &[Chosen]) -> Routes {
        let [only] = chosen else {
            let default = chosen.iter().map(|chosen| chosen.capable.clone()).collect();
            let fast: Vec<String> = chosen.iter().map(|chosen| chosen.small.clone()).collect();
            let apart = chosen.iter().all(|chosen| chosen.capable != chosen.small);
            return Routes { default, fast, fast_then_default: apart, demo: false };
        };
        let (default, fast) = if only.capable == only.small {
            (vec![only.capable.clone()], vec![only.small.clone()])
        } else {
            let (capable, small) = (only.capable.clone(), only.small.clone());
            (vec![capable.clone(), small.clone()], vec![small, capable])
        };
        Routes { default, fast, fast_then_default: false, demo: false }
    }
}

fn head() -> String {
    format!(
        "# yaml-language-server: $schema=./{SCHEMA_FILE}\n\
         #\n\
         # Written by `routeplane init`. `routeplane check` proves this file, `routeplane start` serves it, and every edit\n\
         # of it applies at once or is refused with the reason.\n\
         \n\
         version: 1\n\
         listen: 127.0.0.1:4356\n"
    )
}

fn providers(found: &[Found], on_demo: bool) -> String {
    let mut text = String::from(
        "# Known providers need no entry, a key in the environment is enough; an entry says that this file counts on them.\n\
         # Keys are named, never written here. Any other server works as well:\n\
         #   gpu-box: { protocol: openai-chat, base_url: \"http://10.0.0.7:8000/v1\", models: [qwen3-32b] }\n\
         providers:\n",
    );
    if on_demo {
        text.push_str("  demo: {} # built in; needs no key\n");
    }
    for found in found {
        provider(found, &mut text);
    }
    text
}

fn provider(found: &Found, text: &mut String) {
    let (name, whence) = (&found.provider, &found.whence);
    if found.key.is_none() && found.models.is_empty() {
        line(text, format_args!("  {name}: {{}} # {whence}"));
        return;
    }
    line(text, format_args!("  {name}: # {whence}"));
    if let Some(key) = &found.key {
        line(text, format_args!("    key: {}", scalar(&format!("env:{key}"))));
    }
    if !found.models.is_empty() {
        line(text, format_args!("    models:"));
    }
    for model in &found.models {
        line(text, format_args!("      - {}", scalar(model)));
    }
}

fn presets(routes: &Routes) -> String {
    let mut text = String::from(
        "# Routes with names of your own: ask for one as the model `default` or `@default`. `>` reads \"and if that fails\";\n\
         # `split(90 @default, 10 @fast)` draws by weight.\n\
         presets:\n",
    );
    let mut preset = |comment: &str, name: &str, route: &str| {
        line(&mut text, format_args!("  # {comment}\n  {name}:\n    route: {}", scalar(route)));
    };
    preset("Models that can do much.", "default", &routes.default.join(" > "));
    let mut fast = routes.fast.join(" > ");
    if routes.fast_then_default {
        fast.push_str(" > @default");
    }
    preset("Models that are quick and cheap.", "fast", &fast);
    if routes.demo {
        preset(
            "The first model always fails, so that a fallback can be watched.",
            "fallback",
            "demo/fail-503 > @default",
        );
    }
    text
}

fn rules() -> String {
    "# Read from top to bottom; the first that matches decides. `as requested` takes the model at its word.\n\
     # To serve a name that a client has built in: when model == \"gpt-4o-mini\" -> @fast\n\
     rules: |\n  \
       when model == \"auto\" -> @default\n  \
       otherwise -> as requested\n"
        .to_owned()
}

fn tests(routes: &Routes) -> String {
    let mut text = String::from(
        "# What must stay true; `routeplane check` decides it without a network and without keys.\ntests:\n",
    );
    let mut attempts = routes.fast.clone();
    if routes.fast_then_default {
        attempts.extend_from_slice(&routes.default);
    }
    test(&mut text, "auto means the default preset", "auto", &[], &Expect::Attempts(Some(1), &routes.default));
    test(&mut text, "fast begins with a small model", "fast", &[], &Expect::Attempts(None, &attempts));
    if let [first, second, ..] = routes.default.as_slice() {
        let down = std::slice::from_ref(first);
        test(&mut text, "the default falls back", "default", down, &Expect::ServedBy(second));
    }
    if routes.demo {
        let attempts = ["demo/fail-503".to_owned(), "demo/chat".to_owned()];
        test(&mut text, "the fallback has somewhere to go", "fallback", &[], &Expect::Attempts(None, &attempts));
    }
    if let Some(last) = routes.fast.last() {
        let attempts = std::slice::from_ref(last);
        test(&mut text, "a model asked for by name is not replaced", last, &[], &Expect::Attempts(None, attempts));
    }
    text
}

enum Expect<'a> {
    /// The rule that fires, and every attempt in order.
    Attempts(Option<u64>, &'a [String]),
    ServedBy(&'a str),
}

fn test(text: &mut String, name: &str, model: &str, down: &[String], expect: &Expect<'_>) {
    line(text, format_args!("  - name: {}", scalar(name)));
    line(text, format_args!("    request: {{ model: {} }}", scalar(model)));
    if !down.is_empty() {
        line(text, format_args!("    given: {{ down:{} }}", list(down)));
    }
    match expect {
        Expect::ServedBy(target) => line(text, format_args!("    expect: {{ served_by: {} }}", scalar(target))),
        Expect::Attempts(rule, attempts) => {
            line(text, format_args!("    expect:"));
            if let Some(rule) = rule {
                line(text, format_args!("      rule: {rule}"));
            }
            line(text, format_args!("      attempts:{}", list(attempts)));
        }
    }
}

/// What follows `key:` for a list of targets: on one line where they fit, else one a line. What a route can name needs no quotes in either.
fn list(items: &[String]) -> String {
    let scalars: Vec<String> = items.iter().map(|item| scalar(item)).collect();
    let line = format!(" [{}]", scalars.join(", "));
    if line.len() <= LINE {
        return line;
    }
    scalars.iter().fold(String::new(), |text, item| format!("{text}\n        - {item}"))
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{line}");
}

/// A text as a YAML scalar on one line, quoted where it has to be.
fn scalar(text: &str) -> String {
    let mut options = serde_saphyr::SerializerOptions::default();
    options.prefer_block_scalars = false;
    let written = serde_saphyr::to_string_with_options(&text, options).unwrap_or_else(|_| format!("{text:?}"));
    written.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::scalar;

    #[test]
    fn scalars_are_quoted_where_they_have_to_be() {
        assert_eq!(scalar("openai/gpt-5 > google/gemini"), "openai/gpt-5 > google/gemini");
        for text in [
            "@fast",
            "no",
            "- a",
            "a: b",
            "a #b",
            "",
            "tab\t",
            "1.5",
            "é\"'",
            "{x}",
            "line\nbreak",
            &"long ".repeat(60),
        ] {
            let written = scalar(text);
            assert!(!written.contains('\n'), "{written}");
            let mut diagnostics = crate::diagnostic::Diagnostics::default();
            let yaml = format!("k: {written}\n");
            let root = crate::config::yaml::parse(crate::source::SourceId(0), &yaml, &mut diagnostics);
            let crate::config::node::Kind::Mapping(entries) = root.unwrap().kind else { panic!("{yaml}") };
            let crate::config::node::Kind::String(read) = &entries[0].value.kind else { panic!("{yaml}") };
            assert_eq!(read.text, text);
        }
    }
}
