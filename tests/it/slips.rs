//! A file that works, with one slip on each of its lines: a letter too many or too few, a quote that is missing, a blank too
//! many or too few. The message must name the line, and where a word was misspelled, the word.

use routeplane::diagnostic::{Diagnostic, Diagnostics, Severity};
use routeplane::source::SourceMap;

use crate::checked::judge;

const FILE: &str = r#"version: 1
listen: 127.0.0.1:4356

providers:
  openai: {}
  anthropic: { keys: [env:ANTHROPIC_API_KEY] }
  gpu-box: { protocol: openai-chat, base_url: "http://10.0.0.7:8000/v1", models: [qwen3-32b], auth: none }

presets:
  default: { route: anthropic/claude-sonnet-4-6 > openai/gpt-5 }
  cheap: { route: "cheapest(openai/gpt-5-mini, openai/gpt-5-nano) > @default" }
  canary: { route: "split(95 @default, 5 openai/gpt-5.1)", sticky: user }
  support:
    route: "hedge(anthropic/claude-haiku-4-5, openai/gpt-5-mini, after 1500ms) > @cheap"
    params: { temperature: 0.2, max_tokens: 800 }
    timeout: { first_token: 4s, total: 60s }
    retries: { attempts: 2, on: [429, 5xx, timeout, empty] }

rules: |
  when model == "auto" and input_tokens > 150k             -> @canary
  when has tools and last_tool in ["read_file", "grep"]    -> @cheap
  when images > 0 and model ~ "qwen*"                      -> google/gemini-2.5-flash
  when header("x-team") == "research" or user is absent    -> anthropic/claude-opus-4-7 > @default
  when protocol == messages and reasoning >= high          -> @support
  when tag("env") == "prod" and not stream                 -> deny 413 "too long for production"
  otherwise                                                -> as requested

tests:
  - name: research goes to opus
    request: { model: auto, headers: { x-team: research }, input_tokens: 1200 }
    expect: { rule: 4, attempts: [anthropic/claude-opus-4-7, anthropic/claude-sonnet-4-6, openai/gpt-5] }
  - name: opus down falls back
    request: { model: auto, headers: { x-team: research } }
    given: { down: [anthropic/claude-opus-4-7] }
    expect: { served_by: anthropic/claude-sonnet-4-6 }
"#;

/// Lines of the first place of each error, from 1.
fn lines(sources: &SourceMap, diagnostics: &Diagnostics) -> Vec<usize> {
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error);
    errors.filter_map(|found| found.labels.first()).map(|label| sources.line_column(label.span).0).collect()
}

/// What a finding says, its fix included.
fn says(found: &Diagnostic) -> String {
    let fix = found.fix.as_ref().map_or("", |fix| &fix.replacement);
    let labels: Vec<&str> = found.labels.iter().map(|label| label.text.as_str()).collect();
    format!("{} {} {} {fix}", found.message, labels.join(" "), found.help.as_deref().unwrap_or(""))
}

/// Judges a text; every finding has a place in it.
fn judged(text: &str) -> (SourceMap, Diagnostics) {
    let (sources, diagnostics) = judge("routeplane.yaml", text);
    for found in diagnostics.iter() {
        let place = found.labels.first().unwrap_or_else(|| panic!("{found:?} has no place in\n{text}"));
        assert!(sources.get(place.span.source).unwrap().text.get(place.span.range()).is_some(), "{found:?}");
    }
    (sources, diagnostics)
}

/// The file with this change to one of its lines.
fn changed(line: usize, to: &str) -> String {
    let lines = FILE.lines().enumerate();
    lines.map(|(at, old)| format!("{}\n", if at == line { to } else { old })).collect()
}

/// Words of the language and of the file: not names and texts of the user's own.
fn words(number: usize, line: &str) -> Vec<(usize, &str)> {
    let in_rules = line.starts_with("  when ") || line.starts_with("  otherwise");
    let mut words = Vec::new();
    let mut at = 0;
    let mut quoted = false;
    for part in line.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_')) {
        let word = part.trim_end_matches(|c: char| !(c.is_alphanumeric() || c == '_'));
        let before = line[..at].chars().next_back().unwrap_or(' ');
        let after = line[at + word.len()..].chars().next().unwrap_or(' ');
        let is_key = after == ':' && !in_rules && matches!(before, ' ' | '{');
        let own_name = !in_rules && line.len() - line.trim_start().len() == 2 && at == 2 && number < 17;
        let model_parameter = line.trim_start().starts_with("params:") && at > 6;
        let header_name = word == "team";
        let in_a_target = "/.-@".contains(before) || "/.-".contains(after);
        let bare = in_rules && !quoted && !in_a_target && word.chars().all(|c| c.is_alphabetic() || c == '_');
        if word.len() > 2 && (is_key && !own_name && !model_parameter && !header_name || bare) {
            words.push((at, word));
        }
        quoted ^= part.contains('"');
        at += part.len();
    }
    words
}

/// Two letters of the middle change places; of equal ones, one is left out.
fn misspelled(word: &str) -> String {
    let middle = word.len() / 2;
    let (a, b) = (&word[middle - 1..middle], &word[middle..=middle]);
    let swapped = if a == b { a.to_owned() } else { format!("{b}{a}") };
    format!("{}{swapped}{}", &word[..middle - 1], &word[middle + 1..])
}

#[test]
fn the_file_itself_has_no_errors() {
    let (sources, diagnostics) = judged(FILE);
    let found: Vec<String> = diagnostics.iter().map(says).collect();
    assert_eq!(lines(&sources, &diagnostics), [0; 0], "{found:?}");
}

#[test]
fn a_misspelled_word_is_named_with_its_line_and_its_fix() {
    let mut failures = Vec::new();
    let mut tried = 0;
    for (number, line) in FILE.lines().enumerate() {
        for (at, word) in words(number, line) {
            let wrong = misspelled(word);
            let text = changed(number, &format!("{}{wrong}{}", &line[..at], &line[at + word.len()..]));
            let (sources, diagnostics) = judged(&text);
            tried += 1;
            let here = diagnostics.iter().filter(|found| {
                found.labels.first().is_some_and(|label| sources.line_column(label.span).0 == number + 1)
            });
            if !here.into_iter().any(|found| says(found).contains(word)) {
                let said: Vec<String> = diagnostics.iter().map(says).collect();
                failures.push(format!("line {}, `{wrong}` for `{word}`: {said:#?}", number + 1));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {tried}\n{}", failures.len(), failures.join("\n"));
    assert!(tried > 60, "{tried}");
}

#[test]
fn a_quote_that_is_missing_is_found_on_its_line() {
    let mut failures = Vec::new();
    for (number, line) in FILE.lines().enumerate() {
        for (at, _) in line.match_indices('"') {
            let text = changed(number, &format!("{}{}", &line[..at], &line[at + 1..]));
            let (sources, diagnostics) = judged(&text);
            let lines = lines(&sources, &diagnostics);
            if !lines.contains(&(number + 1)) {
                let said: Vec<String> = diagnostics.iter().map(says).collect();
                failures.push(format!("line {}, column {}: found at {lines:?}: {said:#?}", number + 1, at + 1));
            }
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_wrong_indentation_is_found_at_its_line_or_beside_it() {
    let mut failures = Vec::new();
    for (number, line) in FILE.lines().enumerate().filter(|(_, line)| line.starts_with(' ')) {
        for shifted in [format!(" {line}"), line[1..].to_owned()] {
            let text = changed(number, &shifted);
            let (sources, diagnostics) = judged(&text);
            let lines = lines(&sources, &diagnostics);
            let near = |found: &usize| found.abs_diff(number + 1) <= 1;
            // Some shifts change nothing; what is wrong must be said near by.
            if !lines.is_empty() && !lines.iter().any(near) {
                let said: Vec<String> = diagnostics.iter().map(says).collect();
                failures.push(format!("line {} as {shifted:?}: found at {lines:?}: {said:#?}", number + 1));
            }
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
}
