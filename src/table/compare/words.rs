//! What a class of requests loses or gains, in words.

use super::effect::{Aim, Effect};
use crate::provider::catalogue::Prices;
use crate::wire::{Operation, ProtocolId};

/// What is different, a line each, for a caller of this protocol.
pub fn differences(old: &Effect, new: &Effect, caller: ProtocolId, operation: Operation) -> Vec<String> {
    let (was, is) = (old.aims(), new.aims());
    let (Some(first_was), Some(first_is)) = (was.first(), is.first()) else {
        return vec![between(old, new)];
    };
    let mut lines = Vec::new();
    if first_was.name != first_is.name {
        lines.push(format!("tried first: {} instead of {}", first_is.name, first_was.name));
    }
    let gone = missing(&was, &is, &first_was.name);
    let added = missing(&is, &was, &first_is.name);
    lines.extend(gone.iter().map(|name| format!("fallback lost: {name}")));
    lines.extend(added.iter().map(|name| format!("fallback gained: {name}")));
    if was.len() > 1 && is.len() == 1 {
        lines.push("no fallback is left".to_owned());
    }
    lines.extend(price(first_was, first_is));
    let (lane_was, lane_is) = (first_was.lane(caller, operation), first_is.lane(caller, operation));
    if lane_was != lane_is {
        lines.push(format!("lane: {lane_is} instead of {lane_was}"));
    }
    for aim in &is {
        if let Some(before) = was.iter().find(|before| before.name == aim.name) {
            lines.extend(of_target(before, aim, first_was.name == aim.name && first_is.name == aim.name));
        }
    }
    if lines.is_empty() {
        lines.push(between(old, new));
    }
    lines
}

fn between(old: &Effect, new: &Effect) -> String {
    match (old, new) {
        (Effect::Refused { .. } | Effect::Unknown, Effect::Refused { .. } | Effect::Unknown) => {
            format!("{new} instead of {old}")
        }
        (Effect::Refused { .. } | Effect::Unknown, _) => format!("no longer {old}: {new}"),
        (_, Effect::Refused { .. } | Effect::Unknown) => format!("{new} now, and not {old}"),
        _ => format!("{new} instead of {old}"),
    }
}

/// Targets of `all` that are not among `others`; the one that is tried first is told otherwise.
fn missing(all: &[&Aim], others: &[&Aim], first: &str) -> Vec<String> {
    let absent = all.iter().filter(|aim| aim.name != first && !others.iter().any(|other| other.name == aim.name));
    absent.map(|aim| aim.name.clone()).collect()
}

fn price(was: &Aim, is: &Aim) -> Option<String> {
    if was.prices == is.prices {
        return None;
    }
    let text = |prices: &Option<Prices>| match prices {
        Some(Prices { input: Some(input), output: Some(output), .. }) => format!("{input} / {output}"),
        _ => "unknown".to_owned(),
    };
    let total = |prices: &Option<Prices>| prices.as_ref().and_then(|prices| Some(prices.input? + prices.output?));
    let how = match (total(&was.prices), total(&is.prices)) {
        (Some(before), Some(after)) if after > before => "price up",
        (Some(before), Some(after)) if after < before => "price down",
        _ => "price",
    };
    let (before, after) = (text(&was.prices), text(&is.prices));
    Some(format!("{how}: {after} instead of {before} USD per million tokens of input / output"))
}

/// What is different at one target.
fn of_target(was: &Aim, is: &Aim, is_first: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let (gone, added) = (without(&was.settings, &is.settings), without(&is.settings, &was.settings));
    if !gone.is_empty() || !added.is_empty() {
        let signed = gone.iter().map(|word| format!("-{word}")).chain(added.iter().map(|word| format!("+{word}")));
        lines.push(format!("settings at {}: {}", is.name, signed.collect::<Vec<_>>().join(", ")));
    }
    if was.way != is.way {
        let lines_of = |way: &str| -> Vec<String> { way.lines().map(str::to_owned).collect() };
        let (before, after) = (lines_of(&was.way), lines_of(&is.way));
        let signed = without(&before, &after).into_iter().map(|line| format!("-{line}"));
        let signed = signed.chain(without(&after, &before).into_iter().map(|line| format!("+{line}")));
        lines.push(format!("{} is asked otherwise: {}", is.provider, signed.collect::<Vec<_>>().join("; ")));
    }
    if !is_first && was.prices != is.prices {
        lines.extend(price(was, is).map(|line| format!("{line}, at {}", is.name)));
    }
    lines
}

fn without(all: &[String], others: &[String]) -> Vec<String> {
    all.iter().filter(|word| !others.contains(word)).cloned().collect()
}
