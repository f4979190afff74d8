//! Which facts are looked up, and in which order of preference.

use std::collections::{BTreeSet, HashMap};

use super::needs::{Kept, Key, Need, Needed};
use super::ranges::Cuts;
use crate::rule::predicate::Predicate;

/// Facts with texts that are indexed; each costs a look-up in every decision.
const MOST_TEXTS: usize = 8;
/// Facts with numbers that are indexed; each costs a way through a tree in every decision.
const MOST_VALUES: usize = 2;
/// From so many rules on, reading a request's body whole costs less than asking each of them.
const MANY: usize = 200;
/// Parts of a whole.
const MILLION: usize = 1_000_000;
/// Where a request is expected to meet more of the rules than this, looking them up saves nothing.
const MOST_SHARE: usize = 750_000;

/// Leaves out needs of facts inside the conversation where asking the rule might not read one: a few rules that begin with
/// `hour` must not cost a request the reading of its body.
pub(super) fn forget_costly(conditions: &[&Predicate], needed: &mut [Kept<'_>]) {
    let inside = needed.iter().filter(|needs| needs.iter().any(|(key, _)| key.lies_inside())).count();
    if inside > MANY {
        return;
    }
    for (condition, needs) in conditions.iter().zip(needed) {
        if !reads_inside_first(condition) {
            needs.retain(|(key, _)| !key.lies_inside());
        }
    }
}

/// Whoever asks the condition reads the conversation, whatever the request.
fn reads_inside_first(condition: &Predicate) -> bool {
    match condition {
        Predicate::Always => false,
        Predicate::Not(inner) => reads_inside_first(inner),
        Predicate::All(parts) | Predicate::Any(parts) => parts.first().is_some_and(reads_inside_first),
        Predicate::Atom(atom) => Key::of(atom).lies_inside(),
    }
}

/// The facts to index, the most selective first: those of whose rules a request is expected to meet the least part.
pub(super) fn ranked<'p>(needed: &[Kept<'p>]) -> Vec<Key<'p>> {
    let mut by_key: HashMap<Key<'p>, Vec<&Need<'p>>> = HashMap::new();
    for (key, need) in needed.iter().flatten() {
        by_key.entry(*key).or_default().push(need);
    }
    let mut keys: Vec<(usize, String, Key<'p>)> =
        by_key.into_iter().map(|(key, needs)| (share(&needs), name(key), key)).collect();
    // By name where the shares are equal, so that equal files give equal tables.
    keys.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let (mut texts, mut values) = (MOST_TEXTS, MOST_VALUES);
    keys.retain(|(share, _, key)| {
        let left = match key {
            Key::Text(_) | Key::Tools => &mut texts,
            Key::Value(_) | Key::Stream => &mut values,
        };
        let kept = *left > 0 && *share <= MOST_SHARE;
        *left -= usize::from(kept);
        kept
    });
    keys.into_iter().map(|(_, _, key)| key).collect()
}

/// The part of the rules, in millionths, that one request is expected to meet: where any of the texts they need is as likely
/// as any other and as none of them, and where a number lies in any of the pieces that their bounds cut as likely as in any
/// other.
fn share(needs: &[&Need<'_>]) -> usize {
    let mut texts: BTreeSet<Needed<'_>> = BTreeSet::new();
    let mut entries = 0usize;
    for list in needs.iter().filter_map(|need| need.texts()) {
        texts.extend(list);
        entries += list.len();
    }
    let cuts = Cuts::of(needs.iter().filter_map(|need| need.ranges()));
    let covered: usize = needs.iter().filter_map(|need| need.ranges()).map(|ranges| cuts.count(ranges)).sum();
    let kinds = if texts.is_empty() { cuts.len() } else { texts.len() + 1 };
    MILLION.saturating_mul(entries + covered) / (kinds * needs.len()).max(1)
}

/// Texts before numbers.
fn name(key: Key<'_>) -> String {
    match key {
        Key::Text(fact) => format!("1 {fact}"),
        Key::Tools => "2".to_owned(),
        Key::Value(fact) => format!("3 {fact}"),
        Key::Stream => "4".to_owned(),
    }
}
