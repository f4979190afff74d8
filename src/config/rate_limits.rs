//! The `rate_limits:` section, checked.

use std::collections::BTreeSet;

use super::decode::leaf::parse_whole;
use super::decode::texts::parse_rate;
use super::document::KeyEntry;
use super::document::limits::{RateEntry, RateLimitEntry};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::rule::TextFact;
use crate::rule::facts::{self, Kind};
use crate::source::{Span, Spanned};
use crate::table::limits::{Rate, RateLimit, Resource, Subject, Wanted};

/// The limits in the file's order.
pub(super) fn read(entries: &[RateLimitEntry], keys: &[KeyEntry], diagnostics: &mut Diagnostics) -> Box<[RateLimit]> {
    entries.iter().filter_map(|entry| limit(entry, keys, diagnostics)).collect()
}

fn limit(entry: &RateLimitEntry, keys: &[KeyEntry], diagnostics: &mut Diagnostics) -> Option<RateLimit> {
    let scope: Vec<Option<(Subject, Wanted)>> =
        entry.scope.iter().map(|(name, values)| one(name, values, diagnostics)).collect();
    let lists =
        [(Resource::Attempts, &entry.attempts), (Resource::Tokens, &entry.tokens), (Resource::Cost, &entry.cost)];
    let written = lists.iter().flat_map(|(resource, list)| list.iter().map(|entry| (*resource, entry)));
    let rates: Vec<Option<Rate>> = written.map(|(resource, entry)| rate(resource, entry, diagnostics)).collect();
    if rates.is_empty() && !entry.faulty {
        diagnostics.push(
            Diagnostic::new(Code::BadRateLimit, format!("the rate limit `{}` limits nothing", entry.name.value))
                .label(entry.name.span, "neither `attempts` nor `tokens` nor `cost`")
                .help("write how much there may be, e.g. `attempts: 100/minute`"),
        );
        return None;
    }
    warn_of_windows(entry, &rates, diagnostics);
    let unpriced = unpriced(entry, diagnostics);
    let scope: Box<[(Subject, Wanted)]> = scope.into_iter().collect::<Option<_>>()?;
    warn_of_keys(entry, &scope, keys, diagnostics);
    Some(RateLimit {
        name: entry.name.value.as_str().into(),
        scope,
        priority: entry.priority.map(|priority| priority.value),
        unpriced: unpriced?,
        rates: rates.into_iter().collect::<Option<_>>()?,
    })
}

fn bad(message: String, span: Span, label: &str) -> Diagnostic {
    Diagnostic::new(Code::BadRateLimit, message).label(span, label)
}

// === whom it is for

fn one(name: &Spanned<String>, values: &[Spanned<String>], diagnostics: &mut Diagnostics) -> Option<(Subject, Wanted)> {
    let subject = subject(name, diagnostics)?;
    let wanted = match values {
        [] => {
            let message = format!("no value of `{}` is named", name.value);
            diagnostics.push(bad(message, name.span, "for which values?").help("write `each`, `total`, or values"));
            return None;
        }
        [only] if only.value == "each" => Wanted::Each,
        [only] if only.value == "total" => Wanted::Total,
        values => Wanted::OneOf(values.iter().map(|value| value.value.as_str().into()).collect()),
    };
    Some((subject, wanted))
}

/// `key`, `key.team`, `tag("customer")`, `provider`, ...
fn subject(written: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<Subject> {
    let text = written.value.trim();
    match text {
        "provider" => return Some(Subject::Provider),
        "target" => return Some(Subject::Target),
        _ => {}
    }
    if let Some(attribute) = text.strip_prefix("key.").filter(|attribute| !attribute.is_empty()) {
        return Some(Subject::Fact(TextFact::KeyAttribute(attribute.into())));
    }
    let (name, parameter) = match text.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.trim_end().strip_suffix(')').map(unquoted)),
        None => (text, None),
    };
    let fact = facts::find(name);
    let made = fact.and_then(|fact| match (fact.kind, fact.parameter, parameter) {
        (Kind::Text(make), Some(_), Some(parameter)) if !parameter.is_empty() => Some(make(parameter)),
        (Kind::Text(make), None, None) => Some(make("")),
        _ => None,
    });
    if made.is_none() {
        diagnostics.push(no_subject(written, name));
    }
    made.map(Subject::Fact)
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    inner.unwrap_or(text)
}

fn no_subject(written: &Spanned<String>, name: &str) -> Diagnostic {
    let texts = || facts::FACTS.iter().filter(|fact| matches!(fact.kind, Kind::Text(_)));
    let message = format!("`{}` is nothing that a limit can count by", written.value);
    let diagnostic = bad(message, written.span, "no text of a request");
    if let Some(fact) = texts().find(|fact| fact.name == name) {
        let form = if fact.parameter.is_some() { format!("{name}(\"...\")") } else { name.to_owned() };
        return diagnostic.help(format!("write `{form}`"));
    }
    let names = || texts().map(|fact| fact.name).chain(["provider", "target"]);
    match did_you_mean(name, names()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic.help(format!("write one of {}, or `key.ATTRIBUTE`", names().collect::<Vec<_>>().join(", "))),
    }
}

/// Says of a limit by keys that no key of the file is in it.
fn warn_of_keys(entry: &RateLimitEntry, scope: &[(Subject, Wanted)], keys: &[KeyEntry], diagnostics: &mut Diagnostics) {
    for ((subject, wanted), (written, _)) in scope.iter().zip(&entry.scope) {
        let values: BTreeSet<&str> = match subject {
            Subject::Fact(TextFact::Key) => keys.iter().map(|key| key.name.value.as_str()).collect(),
            Subject::Fact(TextFact::KeyAttribute(name)) => {
                let all = keys.iter().flat_map(|key| &key.attributes);
                all.filter(|(known, _)| *known.value == **name).map(|(_, value)| value.value.as_str()).collect()
            }
            _ => continue,
        };
        let held = match wanted {
            Wanted::Each | Wanted::Total => !values.is_empty(),
            Wanted::OneOf(wanted) => wanted.iter().any(|wanted| values.contains(&**wanted)),
        };
        if !held {
            let message = format!("the rate limit `{}` is for no key of this file", entry.name.value);
            diagnostics.push(
                Diagnostic::new(Code::IdleRateLimit, message)
                    .label(written.span, "no key has such a value")
                    .help("name keys or attributes of `keys:`, or count by something else"),
            );
        }
    }
}

// === how much

fn rate(resource: Resource, entry: &RateEntry, diagnostics: &mut Diagnostics) -> Option<Rate> {
    let Some(written) = &entry.rate else {
        if !entry.faulty {
            let diagnostic = bad("a rate without an amount".to_owned(), entry.span, "no `rate`");
            diagnostics.push(diagnostic.help("write `{ rate: 100/minute, burst: 500 }`"));
        }
        return None;
    };
    let (amount, window) = parse_rate(&written.value)?;
    let refill = units(resource, amount, written.span, diagnostics);
    let capacity = match &entry.burst {
        Some(burst) => units(resource, &burst.value, burst.span, diagnostics),
        None => refill,
    };
    Some(Rate { resource, refill: refill?, capacity: capacity?, window })
}

/// What an attempt at a model without a price counts.
fn unpriced(entry: &RateLimitEntry, diagnostics: &mut Diagnostics) -> Option<u64> {
    let Some(written) = &entry.unpriced else { return Some(0) };
    if entry.cost.is_empty() {
        let message = format!("`unpriced` says nothing where `{}` limits no cost", entry.name.value);
        diagnostics.push(bad(message, written.span, "no `cost` here").help("add `cost: 5/day`, or remove it"));
        return None;
    }
    units(Resource::Cost, &written.value, written.span, diagnostics)
}

/// The most that a limit can hold: a million USD, and as many tokens as nobody uses.
const MOST: u64 = 1_000_000_000_000_000;

/// An amount in units of the resource.
fn units(resource: Resource, written: &str, span: Span, diagnostics: &mut Diagnostics) -> Option<u64> {
    let units = match resource {
        Resource::Attempts | Resource::Tokens => parse_whole(written),
        Resource::Cost => parse_decimal(written),
    };
    let units = units.filter(|units| *units <= MOST);
    if units.is_none() {
        let message = format!("`{written}` is not an amount of {}", resource.word());
        let help = match resource {
            Resource::Attempts | Resource::Tokens => "write a whole number: `100`, `50k`, `1M`",
            Resource::Cost => "write USD, with up to nine digits behind the point: `5`, `0.25`",
        };
        diagnostics.push(bad(message, span, "no amount").help(help));
    }
    units
}

/// USD in billionths of one.
fn parse_decimal(text: &str) -> Option<u64> {
    const DIGITS: usize = 9;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > DIGITS || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<DIGITS$}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(fraction)
}

/// Says of two rates of one resource and one window that the larger has no effect.
fn warn_of_windows(entry: &RateLimitEntry, rates: &[Option<Rate>], diagnostics: &mut Diagnostics) {
    let mut seen = BTreeSet::new();
    for rate in rates.iter().flatten() {
        if !seen.insert((rate.resource, rate.window.millis())) {
            let message = format!(
                "`{}` has two rates of {} for a {}",
                entry.name.value,
                rate.resource.word(),
                rate.window.word()
            );
            diagnostics.push(
                Diagnostic::new(Code::BadRateLimit, message)
                    .label(entry.name.span, "which of them holds?")
                    .help("keep one rate for each window"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usd_are_counted_in_billionths() {
        for (text, expected) in [
            ("5", Some(5_000_000_000)),
            ("0.25", Some(250_000_000)),
            ("0.000000001", Some(1)),
            ("0.0000000001", None),
            ("-1", None),
            ("1e3", None),
            (".5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse_decimal(text), expected, "{text}");
        }
    }
}
