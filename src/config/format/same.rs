//! Whether two texts say the same: equal values at equal places, rules and routes word by word, and equal comments.

use crate::config::node::{Kind, Node};
use crate::config::yaml::{layout, parse};
use crate::diagnostic::Diagnostics;
use crate::rule::lines;
use crate::rule::parse::words::{self, Word, WordKind};
use crate::source::SourceId;

pub(super) fn says_the_same(before: &str, after: &str) -> bool {
    let read = |text: &str| {
        let mut diagnostics = Diagnostics::default();
        parse(SourceId(0), text, &mut diagnostics).filter(|_| !diagnostics.has_errors())
    };
    let (Some(first), Some(second)) = (read(before), read(after)) else { return false };
    same_value(&first, &second, Place::Root) && comments(before) == comments(after)
}

/// Where in the file a value stands, as far as it matters for what texts mean.
#[derive(Clone, Copy)]
enum Place {
    Root,
    Presets,
    Preset,
    Route,
    Rules,
    Other,
}

impl Place {
    fn below(self, key: &str) -> Place {
        match (self, key) {
            (Place::Root, "presets") => Place::Presets,
            (Place::Root, "rules") => Place::Rules,
            (Place::Presets, _) => Place::Preset,
            (Place::Preset, "route") => Place::Route,
            _ => Place::Other,
        }
    }
}

fn same_value(before: &Node, after: &Node, place: Place) -> bool {
    if before.alias.is_some() != after.alias.is_some() {
        return false;
    }
    match (&before.kind, &after.kind) {
        (Kind::Null, Kind::Null) => true,
        (Kind::Bool(before), Kind::Bool(after)) => before == after,
        (Kind::Number(before), Kind::Number(after)) => before.text == after.text,
        (Kind::String(before), Kind::String(after)) => same_text(&before.text, &after.text, place),
        (Kind::Sequence(before), Kind::Sequence(after)) => {
            let place = if matches!(place, Place::Preset | Place::Route) { Place::Route } else { Place::Other };
            before.len() == after.len()
                && before.iter().zip(after).all(|(before, after)| same_value(before, after, place))
        }
        (Kind::Mapping(before), Kind::Mapping(after)) => {
            before.len() == after.len()
                && before.iter().zip(after).all(|(before, after)| {
                    let key = before.key.value.as_str();
                    key == after.key.value && same_value(&before.value, &after.value, place.below(key))
                })
        }
        (Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Sequence(_) | Kind::Mapping(_), _) => {
            false
        }
    }
}

fn same_text(before: &str, after: &str, place: Place) -> bool {
    let same = |before: Option<Vec<String>>, after| before.is_some() && before == after;
    before == after
        || match place {
            Place::Rules => same(words_of_rules(before), words_of_rules(after)),
            Place::Preset | Place::Route => same(words_of(words::of_route(before)), words_of(words::of_route(after))),
            Place::Root | Place::Presets | Place::Other => false,
        }
}

/// The words of all rules, each rule with an end.
fn words_of_rules(text: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for range in lines::cut(text) {
        all.extend(words_of(words::of_rule(text.get(range)?))?);
        all.push("\n".to_owned());
    }
    Some(all)
}

fn words_of(words: Option<Vec<Word>>) -> Option<Vec<String>> {
    let words = words?.into_iter().filter(|word| word.kind != WordKind::Comment);
    Some(words.map(|word| word.text).collect())
}

/// The comments of the file, those between rules left out.
fn comments(text: &str) -> Option<Vec<&str>> {
    let root = layout::layout(text)?;
    Some(layout::comments(text, &root).into_iter().filter_map(|range| text.get(range)).collect())
}
