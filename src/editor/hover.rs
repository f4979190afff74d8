//! What a word of the file means.

use std::fmt::Write;
use std::ops::Range;

use super::context::{Slot, context, field_of};
use super::{File, line_at, word_at};
use crate::config::decode::shape::Field;
use crate::provider::catalogue::Model;
use crate::rule::facts::{self, Fact};
use crate::rule::strategies::STRATEGIES;
use crate::table::dump;

/// A text in Markdown about the word at `at`, and where the word is.
pub fn hover(file: &File<'_>, at: usize) -> Option<(Range<usize>, String)> {
    let range = word_at(file.text, at);
    let word = file.text.get(range.clone()).filter(|word| !word.is_empty())?;
    let context = context(file.text, range.end);
    if context.slot == Slot::Comment {
        return None;
    }
    let in_rules = context.path.first().is_some_and(|first| first == "rules") && context.path.len() == 1;
    let text = match word.strip_prefix('@') {
        Some(name) => preset(file, name),
        None if word.contains('/') => target(file, word),
        None if in_rules && context.slot != Slot::Key => fact(file.text, &range, word),
        None if context.path == ["presets"] => preset(file, word),
        None if context.path == ["providers"] => provider(file, word),
        None => key(&context.path, context.slot, word).or_else(|| strategy(word)),
    };
    Some((range, text?))
}

/// The chain that a preset stands for, and what its targets cost.
fn preset(file: &File<'_>, name: &str) -> Option<String> {
    let table = file.table?;
    let route = table.presets.get(name).and_then(|index| table.routes.get(index.0 as usize))?;
    let chain = dump::route_text(table, &route.node);
    let mut text = format!("**preset `@{name}`**\n\n```text\n{chain}\n```\n");
    let mut seen = Vec::new();
    for target in chain.split_whitespace().filter(|word| word.contains('/')) {
        let Some((provider, model)) = target.split_once('/').filter(|_| !seen.contains(&target)) else { continue };
        seen.push(target);
        if let Some(model) = file.model(provider, model) {
            let _ = writeln!(text, "- `{target}`: {}", summary(model));
        }
    }
    Some(text)
}

/// A model, or the provider in front of it.
fn target(file: &File<'_>, word: &str) -> Option<String> {
    let (name, model) = word.split_once('/')?;
    match file.model(name, model) {
        Some(found) => {
            let capabilities: Vec<&str> = found.capabilities.iter().map(|capability| capability.name()).collect();
            let mut text = format!("**`{word}`** ({})\n\n- {}\n", found.mode.name(), summary(found));
            if let Some(output) = found.max_output_tokens {
                let _ = writeln!(text, "- answers of at most {} tokens", thousands(output));
            }
            if !capabilities.is_empty() {
                let _ = writeln!(text, "- {}", capabilities.join(", "));
            }
            Some(text)
        }
        None => {
            let known = file.provider(name).iter().flatten().next().is_some();
            known.then(|| format!("**`{word}`**\n\nnot in the catalogue; it goes to `{name}` as it is\n"))
        }
    }
}

/// The window and the prices in one line.
pub(super) fn summary(model: &Model) -> String {
    let mut parts = Vec::new();
    parts.extend(model.max_input_tokens.map(|window| format!("{} tokens", thousands(window))));
    if let (Some(input), Some(output)) = (model.prices.input, model.prices.output) {
        parts.push(format!("${input} in, ${output} out per million"));
    }
    if parts.is_empty() { "nothing is known of it".to_owned() } else { parts.join("; ") }
}

/// `1M`, `128k`, `8192`.
fn thousands(count: u32) -> String {
    match count {
        count if count % 1_000_000 == 0 => format!("{}M", count / 1_000_000),
        count if count % 1_000 == 0 => format!("{}k", count / 1_000),
        count => count.to_string(),
    }
}

fn provider(file: &File<'_>, name: &str) -> Option<String> {
    let mut text = format!("**provider `{name}`**\n\n");
    let entries = file.provider(name);
    let first = |of: &dyn Fn(&crate::config::document::ProviderEntry) -> Option<String>| {
        entries.iter().flatten().find_map(|entry| of(entry))
    };
    text.push_str(&first(&|entry| entry.title.as_ref().map(|title| title.value.clone()))?);
    text.push('\n');
    if let Some(url) = first(&|entry| entry.base_url.as_ref().map(|url| url.value.clone())) {
        let _ = writeln!(text, "\n- {url}");
    }
    if let Some(docs) = first(&|entry| entry.docs.as_ref().map(|docs| docs.value.clone())) {
        let _ = writeln!(text, "- {docs}");
    }
    Some(text)
}

/// A fact or a word of the rule language.
fn fact(text: &str, range: &Range<usize>, word: &str) -> Option<String> {
    // What stands in quotes is a text.
    let line = line_at(text, range.start);
    let before = text.get(line.start..range.start).unwrap_or("");
    if before.matches(['"']).count() % 2 == 1 {
        return None;
    }
    if word.starts_with("key.") {
        return Some(format!("**`{word}`**\n\nan attribute of the client key, as `keys:` gives it\n"));
    }
    facts::find(word).map(about_fact).or_else(|| strategy(word))
}

fn strategy(word: &str) -> Option<String> {
    let (name, form, about) = STRATEGIES.iter().find(|(name, _, _)| *name == word)?;
    Some(format!("**strategy `{name}`**\n\n{about}\n\nfor example `{form}`\n"))
}

fn about_fact(fact: &Fact) -> String {
    let parameter = fact.parameter.map(|parameter| format!("({parameter})")).unwrap_or_default();
    format!("**fact `{}`**{parameter}\n\n{}\n\nfor example `{}`\n", fact.name, fact.about, fact.example)
}

/// A key of the file.
fn key(path: &[String], slot: Slot, word: &str) -> Option<String> {
    let mut path = path.to_vec();
    if slot == Slot::Key {
        path.push(word.to_owned());
    } else if path.last().is_none_or(|last| last != word) {
        return None;
    }
    field_of(&path).map(about_key)
}

fn about_key(field: &'static Field) -> String {
    let doc: Vec<&str> = field.doc.iter().map(|line| line.trim()).collect();
    let default = field.default.map(|default| format!("\n\nby default `{default}`")).unwrap_or_default();
    format!("**`{}`**: {}\n\n{}{default}\n", field.key, field.shape.phrase(), doc.join(" "))
}
