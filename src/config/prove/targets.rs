//! Where rules lead: targets that cannot do what every request of a rule needs, and fallbacks that nothing comes to.

use std::collections::{HashMap, HashSet};

use super::File;
use crate::config::rules::ReadRule;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::provider::catalogue::{self, Capability, Mode, Model};
use crate::provider::cost::cost;
use crate::rule::NumberFact;
use crate::rule::analysis::{Prover, Verdict};
use crate::rule::ast::Expression;
use crate::rule::facts;
use crate::rule::predicate::{Atom, Comparison, Predicate, ValueFact, ValueTest};
use crate::rule::request::RequestShape;
use crate::rule::strategies::Choice;
use crate::source::{Span, Spanned};
use crate::table::RouteNode;
use crate::wire::ir::Usage;

// === what targets can do

/// Something that a request may need of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Need {
    Can(NumberFact, Capability),
    /// A window of more tokens than this.
    Window(u64),
    Embeddings,
    Generation,
}

/// What each fact needs: as sure as the catalogue is. Files are left out, of which it knows PDF alone.
const COUNTED: [(NumberFact, Capability); 3] = [
    (NumberFact::Images, Capability::Images),
    (NumberFact::Audio, Capability::Audio),
    (NumberFact::Tools, Capability::Tools),
];

/// Reports targets of the rule at this position that lack what all its requests need. `shape` is one of them.
pub(super) fn check(
    file: &File<'_>,
    (at, rule): (usize, &ReadRule),
    shape: &RequestShape,
    prover: &mut Prover<'_>,
    diagnostics: &mut Diagnostics,
) {
    let mut known: HashMap<Need, bool> = HashMap::new();
    let mut told = HashSet::new();
    for (name, outer) in targets(file, &rule.then) {
        let Some(model) = known_model(file, &name.value) else { continue };
        for need in lacks(model) {
            let is_needed = *known.entry(need).or_insert_with(|| needed(need, at, shape, prover));
            if is_needed && told.insert((name.value.as_str(), need)) {
                diagnostics.push_with(Code::LacksCapability, || {
                    let when = rule.when_span;
                    lacking(need, at, &name.value, (when, name.span, outer)).witness(file.curl(shape))
                });
            }
        }
    }
}

/// The catalogue's row of `provider/model`.
fn known_model(file: &File<'_>, name: &str) -> Option<&'static Model> {
    let (provider, model) = crate::config::resolve::split_target(name)?;
    let index = file.table.provider_names.get(provider)?;
    catalogue::find(file.table.provider(*index)?.catalogue.as_deref()?, model)
}

fn lacks(model: &Model) -> impl Iterator<Item = Need> {
    // A row without capabilities says nothing of them.
    let says = model.mode == Mode::Chat && model.capabilities.iter().next().is_some();
    let capabilities = model.capabilities;
    let cannot = COUNTED.into_iter().filter(move |(_, capability)| says && !capabilities.has(*capability));
    let window = model.max_input_tokens.map(|window| Need::Window(u64::from(window)));
    let kind = match model.mode {
        Mode::Embedding => Some(Need::Generation),
        Mode::Chat | Mode::Responses => Some(Need::Embeddings),
        Mode::Rerank | Mode::Completion => None,
    };
    cannot.map(|(fact, capability)| Need::Can(fact, capability)).chain(window).chain(kind)
}

/// Whether every request that the rule takes has this need. `shape` is one of them.
fn needed(need: Need, rule: usize, shape: &RequestShape, prover: &mut Prover<'_>) -> bool {
    let number = |fact, comparison, value| {
        let test = ValueTest::Compare(comparison, value);
        Predicate::Atom(Atom::Value { fact: ValueFact::Number(fact), test })
    };
    let embeddings = facts::PROTOCOL.list.len() as u64 - 1;
    let protocol = |comparison| {
        let test = ValueTest::Compare(comparison, embeddings);
        Predicate::Atom(Atom::Value { fact: ValueFact::Protocol, test })
    };
    let without = match need {
        Need::Can(fact, _) => number(fact, Comparison::Equal, 0),
        Need::Window(tokens) => number(NumberFact::InputTokens, Comparison::AtMost, tokens),
        Need::Embeddings => protocol(Comparison::NotEqual),
        Need::Generation => protocol(Comparison::Equal),
    };
    !without.holds(shape) && matches!(prover.reaches(Some(rule), &[(&without, true)]), Verdict::Never(_))
}

fn lacking(need: Need, rule: usize, target: &str, (when, place, outer): (Span, Span, Option<Span>)) -> Diagnostic {
    let number = rule + 1;
    let (message, all, cannot) = match need {
        Need::Can(fact, _) => {
            let what = match fact {
                NumberFact::Images => "images",
                NumberFact::Audio => "audio",
                _ => "tools",
            };
            (
                format!("rule {number} sends {what} to `{target}`, which takes none"),
                format!("every request that comes here has {what}"),
                format!("no {what}, as far as the catalogue knows"),
            )
        }
        Need::Window(tokens) => (
            format!("rule {number} sends more to `{target}` than it can read"),
            format!("every request that comes here is estimated at more than {tokens} tokens"),
            format!("reads {tokens} tokens, as far as the catalogue knows"),
        ),
        Need::Embeddings => (
            format!("rule {number} asks `{target}` for embeddings, which it does not make"),
            "every request that comes here is for embeddings".to_owned(),
            "generates text, as far as the catalogue knows".to_owned(),
        ),
        Need::Generation => (
            format!("rule {number} asks `{target}` for an answer, and it makes embeddings alone"),
            "no request that comes here is for embeddings".to_owned(),
            "makes embeddings, as far as the catalogue knows".to_owned(),
        ),
    };
    let diagnostic = Diagnostic::new(Code::LacksCapability, message).label(place, cannot).label(when, all);
    let diagnostic = match outer {
        Some(outer) => diagnostic.label(outer, "leads there"),
        None => diagnostic,
    };
    diagnostic.help("choose another model; `routeplane models` says what each can do")
}

/// Every target that the expression leads to, and where a preset was named on the way.
fn targets<'f>(file: &File<'f>, expression: &'f Expression) -> Vec<(&'f Spanned<String>, Option<Span>)> {
    let mut targets = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![(expression, None)];
    while let Some((expression, outer)) = open.pop() {
        match expression {
            Expression::Target(name) => targets.push((name, outer)),
            Expression::Preset(name) => {
                if seen.insert(name.value.as_str())
                    && let Some(inner) = file.preset(&name.value)
                {
                    open.push((inner, outer.or(Some(name.span))));
                }
            }
            other => open.extend(other.parts().into_iter().rev().map(|part| (part, outer))),
        }
    }
    targets
}

// === prices that nobody knows

/// Reports members of `cheapest` whose price is neither in the catalogue nor in the file.
pub(super) fn check_prices(file: &File<'_>, diagnostics: &mut Diagnostics) {
    let rules = file.rules.iter().map(|rule| &rule.then);
    let mut open: Vec<&Expression> = file.expressions.iter().flatten().chain(rules).collect();
    let mut told = HashSet::new();
    while let Some(expression) = open.pop() {
        if let Expression::Choose { by: Choice::Cheapest, members, .. } = expression {
            let first = members.iter().flat_map(|member| first_targets(file, member));
            let unknown = first.filter(|(name, _)| !has_price(file, &name.value));
            for (name, outer) in unknown.filter(|(name, _)| told.insert(name.span)) {
                diagnostics.push(unknown_price(name, outer));
            }
        }
        open.extend(expression.parts());
    }
}

/// The targets that an expression may try first.
fn first_targets<'f>(file: &File<'f>, expression: &'f Expression) -> Vec<(&'f Spanned<String>, Option<Span>)> {
    let mut targets = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![(expression, None)];
    while let Some((expression, outer)) = open.pop() {
        match expression {
            Expression::Target(name) => targets.push((name, outer)),
            Expression::Preset(name) if seen.insert(name.value.as_str()) => {
                open.extend(file.preset(&name.value).map(|inner| (inner, outer.or(Some(name.span)))));
            }
            Expression::Fallback(_) | Expression::Hedge { .. } | Expression::Shadow { .. } => {
                open.extend(expression.parts().first().map(|first| (*first, outer)));
            }
            other => open.extend(other.parts().into_iter().map(|part| (part, outer))),
        }
    }
    targets
}

fn has_price(file: &File<'_>, name: &str) -> bool {
    let one = Usage { input: Some(1), output: Some(1), ..Usage::default() };
    let priced = || {
        let (provider, model) = crate::config::resolve::split_target(name)?;
        let provider = file.table.provider(*file.table.provider_names.get(provider)?)?;
        // What makes embeddings has no answer to pay for.
        let prices = provider.prices_of(model)?;
        let row = provider.catalogue.as_deref().and_then(|catalogue| catalogue::find(catalogue, model));
        let mode = row.map(|model| model.mode);
        let usage = if mode == Some(Mode::Embedding) { Usage { output: None, ..one } } else { one };
        cost(&usage, &prices)
    };
    priced().is_some()
}

fn unknown_price(name: &Spanned<String>, outer: Option<Span>) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::UnknownPrice, format!("nobody knows what `{}` costs", name.value))
        .label(name.span, "comes last, whatever it costs");
    let diagnostic = outer.into_iter().fold(diagnostic, |diagnostic, outer| diagnostic.label(outer, "leads there"));
    diagnostic.help("write its price, in USD per million tokens, under `prices:` of its provider")
}

// === fallbacks that nothing comes to

/// Reports members of chains behind one that refuses the request, and a second `as requested`.
pub(super) fn check_fallbacks(file: &File<'_>, diagnostics: &mut Diagnostics) {
    let rules = file.rules.iter().map(|rule| &rule.then);
    for expression in file.expressions.iter().flatten().chain(rules) {
        if let Expression::Fallback(members) = expression {
            after_a_refusal(file, members, diagnostics);
            requested_again(members, diagnostics);
        }
    }
}

fn after_a_refusal(file: &File<'_>, members: &[Expression], diagnostics: &mut Diagnostics) {
    let refuses = members.iter().position(|member| match member {
        Expression::Preset(name) => file.route(&name.value).is_some_and(refuses),
        _ => false,
    });
    let Some((member, next)) = refuses.and_then(|at| Some((members.get(at)?, members.get(at + 1)?))) else { return };
    diagnostics.push(
        Diagnostic::new(Code::UnreachedFallback, format!("nothing comes after `{member}`"))
            .label(next.span(), "never tried")
            .label(member.span(), "refuses the request, and a refusal is no failure")
            .help(format!("remove what follows, or let a rule of its own lead to `{member}`")),
    );
}

fn refuses(node: &RouteNode) -> bool {
    match node {
        RouteNode::Deny { .. } => true,
        // What a mirror refuses concerns nobody.
        RouteNode::Shadow { main, .. } => refuses(main),
        other => other.parts().any(refuses),
    }
}

fn requested_again(members: &[Expression], diagnostics: &mut Diagnostics) {
    let mut places = members.iter().filter_map(|member| match member {
        Expression::AsRequested(span) => Some(*span),
        _ => None,
    });
    if let (Some(first), Some(second)) = (places.next(), places.next()) {
        diagnostics.push(
            Diagnostic::new(Code::UnreachedFallback, "`as requested` is tried once")
                .label(second, "left out: it has just failed")
                .label(first, "tried here first")
                .help("remove it"),
        );
    }
}
