//! Tests that can never mean anything: what they expect does not exist, or cannot come together.

use super::{nearest, unknown};
use crate::config::document::{TestEntry, TestExpect};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{Span, Spanned};
use crate::table::RoutingTable;

/// Reports what is wrong with the expectation itself, and with what it is said of. `None` where something is.
pub(super) fn check(test: &TestEntry, table: &RoutingTable, diagnostics: &mut Diagnostics) -> Option<()> {
    let mut findings = Vec::new();
    names(&test.expect, table, &mut findings);
    contradictions(test, &mut findings);
    let sound = findings.is_empty();
    findings.into_iter().for_each(|finding| diagnostics.push(finding));
    sound.then_some(())
}

// === names

fn names(expect: &TestExpect, table: &RoutingTable, findings: &mut Vec<Diagnostic>) {
    if let Some(rule) = expect.rule
        && !(1..=table.rules.len() as u64).contains(&rule.value)
    {
        findings.push(
            Diagnostic::new(Code::TestUnknownName, format!("there is no rule {}", rule.value))
                .label(rule.span, "not in this file")
                .help(match table.rules.len() {
                    0 => "the file has no rules".to_owned(),
                    1 => "the file has one rule, which is number 1".to_owned(),
                    count => format!("the rules of the file are numbered from 1 to {count}"),
                }),
        );
    }
    if let Some(route) = &expect.route
        && !is_route(&route.value, table)
    {
        let presets = table.presets.keys().map(|name| &**name);
        findings.push(unknown("preset or target", route, nearest(route.value.trim_start_matches('@'), presets)));
    }
    let targets = expect.attempts.iter().flatten().chain(&expect.served_by);
    for target in targets.filter(|target| !is_target(&target.value, table)) {
        let models = table.models.keys().map(|name| &**name).filter(|name| name.contains('/'));
        findings.push(unknown("target", target, nearest(&target.value, models)));
    }
}

/// What a decision may call its route: a preset, a rule, or the name that was asked for.
fn is_route(name: &str, table: &RoutingTable) -> bool {
    let bare = name.trim_start_matches('@');
    let rule = name.strip_prefix("rule ").and_then(|number| number.parse::<usize>().ok());
    table.presets.contains_key(bare)
        || rule.is_some_and(|number| (1..=table.rules.len()).contains(&number))
        || (!name.starts_with('@') && (name.contains(['/', ':']) || table.models.contains_key(name)))
}

/// `provider/model` of a provider that the table has; any model may be asked of it.
fn is_target(name: &str, table: &RoutingTable) -> bool {
    name.split_once('/')
        .is_some_and(|(provider, model)| table.provider_names.contains_key(provider) && !model.is_empty())
}

// === what cannot come together

fn contradictions(test: &TestEntry, findings: &mut Vec<Diagnostic>) {
    let TestExpect { attempts, served_by, denied, lane, losses, degraded, max_cost, header, .. } = &test.expect;
    let of_first: [(&str, Option<Span>); 6] = [
        ("served_by", served_by.as_ref().map(|name| name.span)),
        ("lane", lane.as_ref().map(|lane| lane.span)),
        ("losses", losses.as_ref().and_then(|list| list.first()).map(|first| first.span)),
        ("degraded", degraded.map(|degraded| degraded.span)),
        ("max_cost", max_cost.map(|cost| cost.span)),
        ("header", header.first().map(|(name, _)| name.span)),
    ];
    if let Some(denied) = denied
        && let Some((name, span)) = of_first.into_iter().find_map(|(name, span)| Some((name, span?)))
    {
        findings.push(exclude(("denied", denied.span), (name, span), "a request that is denied is sent nowhere"));
        return;
    }
    if let (Some(attempts), Some(server)) = (attempts, served_by)
        && let Some(first) = attempts.first()
        && first.value != server.value
    {
        let why = "the first of the attempts serves, and targets that are down are not among them";
        findings.push(exclude(("attempts", first.span), ("served_by", server.span), why));
    }
    if test.request.body.is_none() {
        let whole = test.expect.span.unwrap_or(test.span);
        let losses = losses.as_ref().map(|list| ("losses", list.first().map_or(whole, |first| first.span)));
        if let Some((name, span)) = losses.or(degraded.map(|degraded| ("degraded", degraded.span))) {
            findings.push(
                Diagnostic::new(Code::TestContradiction, format!("`{name}` needs the body of a request"))
                    .label(span, "of a request that is only described, nobody knows the fields")
                    .help("record a body, and name it: `request: { body: recorded/hello.json, protocol: messages }`"),
            );
        }
    }
    with_body(test, findings);
    if let (Some(time), Some((name, span))) = (&test.given.time, clock_facts(test).next()) {
        findings.push(exclude(("time", time.span), (name, span), "both say when the request is made"));
    }
}

/// Facts that say when the request is made.
fn clock_facts(test: &TestEntry) -> impl Iterator<Item = (&'static str, Span)> {
    let hour = test.request.hour.map(|hour| ("hour", hour.span));
    let weekday = test.request.weekday.as_ref().map(|weekday| ("weekday", weekday.span));
    hour.into_iter().chain(weekday)
}

/// Facts beside a body that has its own.
fn with_body(test: &TestEntry, findings: &mut Vec<Diagnostic>) {
    let request = &test.request;
    let Some(body) = &request.body else { return };
    let first = |list: &[Spanned<String>]| list.first().map(|first| first.span);
    let facts: [(&str, Option<Span>, &str); 11] = [
        ("tools", first(&request.tools), ""),
        ("last_tool", request.last_tool.as_ref().map(|tool| tool.span), ""),
        ("images", request.images.map(|count| count.span), ""),
        ("files", request.files.map(|count| count.span), ""),
        ("audio", request.audio.map(|count| count.span), ""),
        ("messages", request.messages.map(|count| count.span), ""),
        ("max_tokens", request.max_tokens.map(|count| count.span), ""),
        ("output", request.output.as_ref().map(|output| output.span), ""),
        ("reasoning", request.reasoning.as_ref().map(|level| level.span), ""),
        (
            "session",
            request.session.as_ref().map(|session| session.span),
            "; sessions are named by `headers: { x-routeplane-session: ... }`",
        ),
        (
            "tags",
            request.tags.first().map(|(name, _)| name.span),
            "; a tag may also be a header, `x-routeplane-tag-NAME`",
        ),
    ];
    for (name, span, more) in facts {
        let Some(span) = span else { continue };
        findings.push(
            Diagnostic::new(Code::TestContradiction, format!("`{name}` is read from the body"))
                .label(span, "said twice")
                .label(body.span, "this body says it")
                .help(format!("remove it{more}")),
        );
    }
}

fn exclude((one, first): (&str, Span), (other, second): (&str, Span), why: &str) -> Diagnostic {
    Diagnostic::new(Code::TestContradiction, format!("`{one}` and `{other}` exclude each other"))
        .label(second, "cannot hold")
        .label(first, "together with this")
        .help(format!("{why}; remove one of them"))
}
