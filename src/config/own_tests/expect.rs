//! What a test expects, held against the decision.

use crate::config::document::TestExpect;
use crate::provider::catalogue;
use crate::provider::cost::decimal;
use crate::rule::{Facts, NumberFact};
use crate::source::{Span, Spanned};
use crate::table::dump::lane_word;
use crate::table::{Attempt, Decision, Outcome};
use crate::wire::Operation;
use crate::wire::loss::Losses;

/// What becomes of a request on its way to a target, as [`Carry`](crate::table::explain::Carry) tells it.
type Carried = Option<Result<Losses, String>>;

/// One request and what was decided about it.
pub(super) struct Case<'c, 't> {
    pub(super) facts: &'c dyn Facts,
    pub(super) decision: &'c Decision<'t>,
    /// What an attempt would lose of the request; `None` where nobody can tell.
    pub(super) lost: &'c dyn Fn(&Attempt<'_>) -> Option<Carried>,
}

impl<'c, 't> Case<'c, 't> {
    fn attempts(&self) -> &'c [Attempt<'t>] {
        match &self.decision.outcome {
            Outcome::Attempts { attempts, .. } => attempts,
            Outcome::Deny { .. } | Outcome::NotFound(_) | Outcome::Unmet(_) => &[],
        }
    }

    fn operation(&self) -> Operation {
        if self.facts.embeddings() { Operation::Embed } else { Operation::Generate }
    }

    /// The status of a refusal.
    fn status(&self) -> Option<u16> {
        match self.decision.outcome {
            Outcome::Deny { status, .. } => Some(status),
            Outcome::NotFound(_) => Some(404),
            Outcome::Unmet(_) => Some(400),
            Outcome::Attempts { .. } => None,
        }
    }

    fn served(&self) -> String {
        match (self.attempts().first(), self.status()) {
            (Some(first), _) => format!("served by {}", name(first)),
            (None, Some(status)) => format!("denied with {status}"),
            (None, None) => "every target is down".to_owned(),
        }
    }
}

fn name(attempt: &Attempt<'_>) -> String {
    format!("{}/{}", attempt.provider.name, attempt.model)
}

/// Each expectation that is not met, at its place, with what there is instead.
pub(super) fn failures(expect: &TestExpect, case: &Case<'_, '_>) -> Vec<(Span, String)> {
    let mut failures = Vec::new();
    let decision = case.decision;
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
    if let Some(expected) = &expect.attempts
        && !expected.iter().map(|name| name.value.clone()).eq(case.attempts().iter().map(name))
    {
        failures.extend(list_span(expected).or(expect.span).map(|span| (span, attempts_text(case))));
    }
    if let Some(server) = &expect.served_by
        && case.attempts().first().map(name).as_ref() != Some(&server.value)
    {
        failures.push((server.span, case.served()));
    }
    if let Some(denied) = expect.denied {
        let status = case.status();
        if status.map(u64::from) != Some(denied.value) {
            let text = status.map_or("it is not denied".to_owned(), |status| format!("it is denied with {status}"));
            failures.push((denied.span, text));
        }
    }
    of_first_attempt(expect, case, &mut failures);
    failures
}

/// From the first to the last of a list.
fn list_span(list: &[Spanned<String>]) -> Option<Span> {
    let (first, last) = (list.first()?.span, list.last()?.span);
    Some(Span { end: last.end, ..first })
}

fn attempts_text(case: &Case<'_, '_>) -> String {
    let targets: Vec<String> = case.attempts().iter().map(name).collect();
    if targets.is_empty() { case.served() } else { format!("attempts are {}", targets.join(", ")) }
}

// === the first attempt

fn of_first_attempt(expect: &TestExpect, case: &Case<'_, '_>, failures: &mut Vec<(Span, String)>) {
    let wants_first = [
        expect.lane.as_ref().map(|lane| lane.span),
        expect.max_cost.map(|cost| cost.span),
        expect.degraded.map(|degraded| degraded.span),
        expect.losses.as_ref().and_then(|list| list_span(list).or(expect.span)),
        expect.header.first().map(|(name, _)| name.span),
    ];
    let Some(first) = case.attempts().first() else {
        failures.extend(wants_first.into_iter().flatten().map(|span| (span, "there is no attempt".to_owned())));
        return;
    };
    if let Some(lane) = &expect.lane {
        let actual = lane_word(first.lane(case.facts.protocol(), case.operation()));
        if actual != lane.value {
            failures.push((lane.span, format!("the lane is {actual}")));
        }
    }
    if let Some(most) = expect.max_cost {
        match ceiling(first, case) {
            Ok(cost) if cost <= most.value => {}
            Ok(cost) => failures.push((most.span, format!("it may cost {} at {}", decimal(cost), name(first)))),
            Err(why) => failures.push((most.span, why)),
        }
    }
    for (header, value) in &expect.header {
        let set = first.settings.headers.set.iter().find(|(name, _)| name.as_str().eq_ignore_ascii_case(&header.value));
        match set.map(|(_, actual)| actual.to_str().unwrap_or("bytes that are no text")) {
            Some(actual) if actual == value.value => {}
            Some(actual) => failures.push((value.span, format!("it is set to `{actual}`"))),
            None => failures.push((header.span, "no preset sets it".to_owned())),
        }
    }
    if expect.losses.is_some() || expect.degraded.is_some() {
        losses(expect, first, case, failures);
    }
}

fn losses(expect: &TestExpect, first: &Attempt<'_>, case: &Case<'_, '_>, failures: &mut Vec<(Span, String)>) {
    let Some(carried) = (case.lost)(first) else { return };
    let span = expect.losses.as_ref().and_then(|list| list_span(list).or(expect.span));
    let lost = match carried {
        Some(Ok(losses)) => meaning(&losses),
        Some(Err(refusal)) => {
            let places = span.into_iter().chain(expect.degraded.map(|degraded| degraded.span));
            failures.extend(places.map(|span| (span, format!("{} is not asked: {refusal}", name(first)))));
            return;
        }
        None => Vec::new(),
    };
    let said = if lost.is_empty() { "nothing is lost".to_owned() } else { format!("lost: {}", lost.join(", ")) };
    if let (Some(expected), Some(span)) = (&expect.losses, span) {
        let mut expected: Vec<&str> = expected.iter().map(|field| field.value.as_str()).collect();
        expected.sort_unstable();
        expected.dedup();
        if expected != lost {
            failures.push((span, said.clone()));
        }
    }
    if let Some(degraded) = expect.degraded
        && degraded.value == lost.is_empty()
    {
        failures.push((degraded.span, said));
    }
}

/// The fields that do not arrive as they were meant, in order, each once.
fn meaning(losses: &Losses) -> Vec<String> {
    let lost = losses.iter().filter(|loss| loss.effect.loses_meaning());
    let mut fields: Vec<String> = lost.map(|loss| loss.field.to_string()).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// The most that the attempt may cost, in USD: all input at its price, and the longest answer.
fn ceiling(attempt: &Attempt<'_>, case: &Case<'_, '_>) -> Result<f64, String> {
    /// A price in USD per million tokens is one in millionths of a USD per token.
    const USD_PER_MICRO: f64 = 1e-6;
    let target = name(attempt);
    let unknown = |what: &str| format!("the price of {what} at {target} is not known");
    let prices = attempt.target.prices_of(attempt.provider, attempt.model);
    let prices = prices.ok_or_else(|| format!("the prices of {target} are not known"))?;
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 tokens")]
    let price = |tokens: u64, price: f64| tokens as f64 * price * USD_PER_MICRO;
    let input = price(case.facts.number(NumberFact::InputTokens), prices.input.ok_or_else(|| unknown("input"))?);
    if case.operation() == Operation::Embed {
        return Ok(input);
    }
    let longest = longest(attempt, case).ok_or_else(|| {
        format!("how long an answer of {target} may be is not known; the request or a preset can say `max_tokens`")
    })?;
    Ok(input + price(longest, prices.output.ok_or_else(|| unknown("output"))?))
}

/// Tokens that the answer may have: what a preset insists on, the caller says, a preset proposes, or the model can.
fn longest(attempt: &Attempt<'_>, case: &Case<'_, '_>) -> Option<u64> {
    let of = |settings: &[(Box<str>, Box<str>)]| {
        settings.iter().find(|(name, _)| **name == *"max_tokens").and_then(|(_, value)| value.parse::<u64>().ok())
    };
    let asked = Some(case.facts.number(NumberFact::MaxTokens)).filter(|tokens| *tokens > 0);
    let known = || {
        let model = catalogue::find(attempt.provider.catalogue.as_deref()?, attempt.model)?;
        model.max_output_tokens.map(u64::from)
    };
    of(&attempt.settings.overrides).or(asked).or_else(|| of(&attempt.settings.params)).or_else(known)
}
