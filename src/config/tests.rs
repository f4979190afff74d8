//! The file's own `tests:`, decided offline by the same function that decides about requests.

use super::document::{Document, TestEntry, TestExpect, TestRequest};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::rule::facts;
use crate::rule::request::RequestShape;
use crate::source::{Span, Spanned};
use crate::table::dump::lane_word;
use crate::table::explain::{Explanation, explain};
use crate::table::{Draw, Health, Outcome, RoutingTable};
use crate::wire::ProtocolId;

/// Runs every test and reports those that fail.
pub(super) fn run(document: &Document, table: &RoutingTable, diagnostics: &mut Diagnostics) {
    for (test, number) in document.tests.iter().zip(1..).filter(|(test, _)| !test.faulty) {
        run_one(test, number, table, diagnostics);
    }
}

fn run_one(test: &TestEntry, number: usize, table: &RoutingTable, diagnostics: &mut Diagnostics) {
    if says_nothing(&test.expect) {
        diagnostics.push(
            Diagnostic::new(Code::TestWithoutExpectation, format!("{} expects nothing", called(test, number)))
                .label(place(test), "cannot fail")
                .help("write for example `expect: { served_by: openai/gpt-5 }`"),
        );
        return;
    }
    let shape = shape(&test.request, table, diagnostics);
    let health = health(&test.given.down, table, diagnostics);
    let (Some(shape), Some(health)) = (shape, health) else { return };
    let draw = Draw(test.given.draw.map_or(0.0, |draw| draw.value));
    let explanation = explain(table, &shape, &health, draw);
    let failures = failures(&test.expect, &explanation);
    if failures.is_empty() {
        return;
    }
    let mut diagnostic = Diagnostic::new(Code::TestFailed, format!("{} fails", called(test, number)));
    for (span, text) in failures {
        diagnostic = diagnostic.label(span, text);
    }
    diagnostics.push(diagnostic.help(format!("what is decided:\n{}", explanation.to_string().trim_end())));
}

fn called(test: &TestEntry, number: usize) -> String {
    match &test.name {
        Some(name) => format!("the test `{}`", name.value),
        None => format!("test {number}"),
    }
}

fn place(test: &TestEntry) -> Span {
    test.expect.span.or(test.name.as_ref().map(|name| name.span)).unwrap_or(test.span)
}

fn says_nothing(expect: &TestExpect) -> bool {
    let TestExpect { rule, route, attempts, served_by, denied, lane, span: _ } = expect;
    rule.is_none() && route.is_none() && attempts.is_none() && served_by.is_none() && denied.is_none() && lane.is_none()
}

// === the request

fn shape(request: &TestRequest, table: &RoutingTable, diagnostics: &mut Diagnostics) -> Option<RequestShape> {
    let mut shape = RequestShape::new(request.model.as_ref().map_or("", |model| &model.value));
    (shape.protocol, shape.embeddings) = protocol(request.protocol.as_ref().map_or("chat", |word| &word.value));
    shape.stream = request.stream.is_some_and(|stream| stream.value);
    shape.user = request.user.as_ref().map(|user| user.value.clone());
    shape.tools = request.tools.iter().map(|tool| tool.value.clone()).collect();
    shape.images = count(request.images);
    shape.messages = count(request.messages);
    shape.input_tokens = count(request.input_tokens);
    shape.max_tokens = count(request.max_tokens);
    shape.headers =
        request.headers.iter().map(|(name, value)| (name.value.to_ascii_lowercase(), value.value.clone())).collect();
    if let Some(written) = &request.key {
        let key = table.keys.iter().find(|key| *key.id == *written.value);
        let Some(key) = key else {
            let nearest = did_you_mean(&written.value, table.keys.iter().map(|key| &*key.id));
            diagnostics.push(unknown("client key", written, nearest.map(str::to_owned)));
            return None;
        };
        shape.key = Some(key.id.to_string());
        let attributes = key.attributes.iter();
        shape.key_attributes = attributes.map(|(name, value)| (name.to_string(), value.to_string())).collect();
    }
    Some(shape)
}

fn count(written: Option<Spanned<u64>>) -> u64 {
    written.map_or(0, |count| count.value)
}

/// The decoder lets no other word through.
fn protocol(word: &str) -> (ProtocolId, bool) {
    let known = ProtocolId::ALL.into_iter().find(|id| id.fact() == word);
    (known.unwrap_or(ProtocolId::OpenAiChat), facts::PROTOCOL.list.last() == Some(&word))
}

// === the state of the world

fn health<'t>(
    written: &[Spanned<String>],
    table: &'t RoutingTable,
    diagnostics: &mut Diagnostics,
) -> Option<Health<'t>> {
    let mut health = Health::new(table);
    let mut complete = Some(());
    for name in written {
        if health.down(&name.value).is_none() {
            diagnostics.push(unknown("target or provider", name, health.nearest(&name.value)));
            complete = None;
        }
    }
    complete.map(|()| health)
}

fn unknown(what: &str, name: &Spanned<String>, nearest: Option<String>) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::TestUnknownName, format!("unknown {what} `{}`", name.value))
        .label(name.span, "not in this file");
    match nearest {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(name.span, near),
        None => diagnostic.help("name something that the file has"),
    }
}

// === the expectations

/// Each expectation that is not met, at its place, with what there is instead.
fn failures(expect: &TestExpect, explanation: &Explanation<'_>) -> Vec<(Span, String)> {
    let decision = &explanation.decision;
    let mut failures = Vec::new();
    if let Some(rule) = expect.rule
        && decision.rule.map(u64::from) != Some(rule.value)
    {
        let fires = decision.rule.map_or("no rule fires".to_owned(), |fired| format!("rule {fired} fires"));
        failures.push((rule.span, fires));
    }
    if let Some(route) = &expect.route
        && decision.route.trim_start_matches('@') != route.value.trim_start_matches('@')
    {
        failures.push((route.span, format!("the route is {}", decision.route)));
    }
    if let Some(attempts) = &expect.attempts
        && !attempts.iter().map(|name| &name.value).eq(explanation.attempts.iter().map(|attempt| &attempt.target))
    {
        let span = attempts.first().map(|first| first.span).zip(attempts.last().map(|last| last.span));
        let span = span.map(|(first, last)| Span { end: last.end, ..first }).or(expect.span);
        failures.extend(span.map(|span| (span, attempts_text(explanation))));
    }
    let first = explanation.attempts.first();
    if let Some(server) = &expect.served_by
        && first.map(|attempt| &attempt.target) != Some(&server.value)
    {
        failures.push((server.span, served_text(explanation)));
    }
    if let Some(denied) = expect.denied {
        let status = status(&decision.outcome);
        if status.map(u64::from) != Some(denied.value) {
            let text = status.map_or("it is not denied".to_owned(), |status| format!("it is denied with {status}"));
            failures.push((denied.span, text));
        }
    }
    if let Some(lane) = &expect.lane {
        let actual = first.map(|attempt| lane_word(attempt.lane));
        if actual != Some(lane.value.as_str()) {
            let text = actual.map_or("there is no attempt".to_owned(), |lane| format!("the lane is {lane}"));
            failures.push((lane.span, text));
        }
    }
    failures
}

fn attempts_text(explanation: &Explanation<'_>) -> String {
    let targets: Vec<&str> = explanation.attempts.iter().map(|attempt| attempt.target.as_str()).collect();
    if targets.is_empty() { served_text(explanation) } else { format!("attempts are {}", targets.join(", ")) }
}

fn served_text(explanation: &Explanation<'_>) -> String {
    match (explanation.attempts.first(), status(&explanation.decision.outcome)) {
        (Some(first), _) => format!("served by {}", first.target),
        (None, Some(status)) => format!("denied with {status}"),
        (None, None) => "every target is down".to_owned(),
    }
}

/// The status of a refusal.
fn status(outcome: &Outcome<'_>) -> Option<u16> {
    match outcome {
        Outcome::Deny { status, .. } => Some(*status),
        Outcome::NotFound(_) => Some(404),
        Outcome::Attempts { .. } => None,
    }
}
