//! The file's own `tests:`, decided offline by the same function that decides about requests.

mod expect;
mod given;
mod request;
mod sense;

use super::document::{Document, TestEntry, TestExpect};
use super::{FailedTest, Files};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::source::{SourceMap, Span, Spanned};
use crate::table::explain::{Carry, decided, explained};
use crate::table::{Attempt, RoutingTable};
use expect::Case;
use request::Pretended;

/// What tests are decided with.
#[derive(Clone, Copy)]
pub(super) struct World<'w> {
    pub(super) table: &'w RoutingTable,
    /// Recorded bodies are read through it.
    pub(super) files: &'w dyn Files,
    /// Without it, what tests expect of losses is not judged.
    pub(super) carry: Option<Carry>,
}

/// Runs every test and reports those that fail.
pub(super) fn run(document: &Document, world: &World<'_>, diagnostics: &mut Diagnostics) {
    same_names(document, diagnostics);
    for (test, number) in document.tests.iter().zip(1..).filter(|(test, _)| !test.faulty) {
        run_one(test, number, world, diagnostics);
    }
}

/// The tests that fail, each with what is wrong.
pub(super) fn failed(document: &Document, world: &World<'_>, sources: &SourceMap) -> Vec<FailedTest> {
    let tests = document.tests.iter().zip(1..).filter(|(test, _)| !test.faulty);
    let failed = tests.filter_map(|(test, number)| {
        let mut diagnostics = Diagnostics::default();
        run_one(test, number, world, &mut diagnostics);
        if !diagnostics.has_errors() {
            return None;
        }
        let why = diagnostics.iter().flat_map(|found| match found.code {
            Code::TestFailed => found.labels.iter().map(|label| label.text.clone()).collect(),
            _ => vec![found.message.clone()],
        });
        Some(FailedTest {
            name: test.name.as_ref().map(|name| name.value.clone()),
            line: sources.line_column(test.span).0,
            why: why.collect(),
        })
    });
    failed.collect()
}

/// Who reads that a test fails must be able to find it.
fn same_names(document: &Document, diagnostics: &mut Diagnostics) {
    let mut seen: std::collections::HashMap<&str, Span> = std::collections::HashMap::new();
    for name in document.tests.iter().filter_map(|test| test.name.as_ref()) {
        if let Some(first) = seen.get(name.value.as_str()) {
            diagnostics.push_with(Code::TestTwice, || {
                Diagnostic::new(Code::TestTwice, format!("two tests are called `{}`", name.value))
                    .label(name.span, "again here")
                    .label(*first, "called so here")
                    .help("give one of them another name, or remove it")
            });
        } else {
            seen.insert(&name.value, name.span);
        }
    }
}

fn run_one(test: &TestEntry, number: usize, world: &World<'_>, diagnostics: &mut Diagnostics) {
    if says_nothing(&test.expect) {
        diagnostics.push(
            Diagnostic::new(Code::TestWithoutExpectation, format!("{} expects nothing", called(test, number)))
                .label(place(test), "cannot fail")
                .help("write for example `expect: { served_by: openai/gpt-5 }`"),
        );
        return;
    }
    let sense = sense::check(test, world.table, diagnostics);
    let priced = given::priced(&test.given, world.table, diagnostics);
    let table = priced.as_ref().and_then(Option::as_ref).unwrap_or(world.table);
    let given = given::read(&test.given, table, diagnostics);
    let request = request::read(test, &World { table, ..*world }, diagnostics);
    let (Some(()), Some(_), Some(given), Some(request)) = (sense, &priced, given, request) else { return };
    let judged = request.with_facts(table, |pretended| {
        let world = World { table, ..*world };
        judge(test, number, &world, &given, pretended)
    });
    match judged {
        Ok(failure) => failure.into_iter().for_each(|failure| diagnostics.push(failure)),
        Err(problem) => {
            let path = test.request.body.as_ref();
            let diagnostic = Diagnostic::new(Code::TestBody, format!("this body is no request: {problem}"));
            diagnostics.push(
                path.into_iter()
                    .fold(diagnostic, |diagnostic, path| diagnostic.label(path.span, "recorded here"))
                    .help("record the JSON body of a request, and name its protocol with `protocol:`"),
            );
        }
    }
}

/// The finding of a test that fails: its expectations, and the decision beside them.
fn judge(
    test: &TestEntry,
    number: usize,
    world: &World<'_>,
    given: &given::Given<'_>,
    Pretended { facts, recorded, asked }: Pretended<'_, '_>,
) -> Option<Diagnostic> {
    let carried = recorded.zip(world.carry);
    let lost = |attempt: &Attempt<'_>| carried.map(|(recorded, carry)| carry(recorded, attempt));
    let renamed = asked.renamed(facts);
    let decided = decided(world.table, facts, (asked, &renamed), &given.health, given.draw);
    let failures = expect::failures(&test.expect, &Case { facts, decision: &decided.decision, lost: &lost });
    if failures.is_empty() {
        return None;
    }
    let mut explanation = explained(world.table, facts, (asked, &renamed), decided);
    if let Some((recorded, carry)) = carried {
        explanation.add_losses(recorded, carry);
    }
    let diagnostic = Diagnostic::new(Code::TestFailed, format!("{} fails", called(test, number)));
    let diagnostic = failures.into_iter().fold(diagnostic, |diagnostic, (span, text)| diagnostic.label(span, text));
    Some(diagnostic.help(format!("what is decided:\n{}", explanation.to_string().trim_end())))
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
    let TestExpect { rule, route, attempts, served_by, denied, lane, losses, degraded, max_cost, header, span: _ } =
        expect;
    let texts = [route, served_by, lane].into_iter().all(Option::is_none);
    let lists = [attempts, losses].into_iter().all(Option::is_none);
    let numbers = rule.is_none() && denied.is_none() && max_cost.is_none() && degraded.is_none();
    texts && lists && numbers && header.is_empty()
}

fn unknown(what: &str, name: &Spanned<String>, nearest: Option<String>) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::TestUnknownName, format!("unknown {what} `{}`", name.value))
        .label(name.span, "not in this file");
    match nearest {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(name.span, near),
        None => diagnostic.help("name something that the file has"),
    }
}

fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    did_you_mean(name, candidates).map(str::to_owned)
}
