//! What may stand at a place: keys, words, targets, conditions.

use super::context::{Context, Slot, context, items, shape};
use super::{File, line_at, word_at};
use crate::config::decode::shape::{Field, Mapping, Shape};
use crate::config::known;
use crate::provider::catalogue::{self, Mode};
use crate::rule::facts::{FACTS, OUTPUT, PROTOCOL, REASONING, WEEKDAY};
use crate::rule::strategies::STRATEGIES;

/// Something that may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What is written.
    pub text: String,
    pub kind: ProposalKind,
    /// In a few words.
    pub detail: String,
    /// In sentences.
    pub about: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalKind {
    Key,
    Word,
    Model,
    Provider,
    Preset,
    Fact,
    Strategy,
}

/// Names and what they are, for a list of proposals.
type Described = (&'static str, &'static str);

/// Forms of a target that are no strategies.
const FORMS: &[Described] = &[
    ("as requested", "what the caller's model means by itself"),
    ("deny ", "refuses the request: `deny 403 \"why\"`"),
];

const OPERATORS: &[Described] = &[
    ("and", "both hold"),
    ("or", "one of both holds"),
    ("not", "does not hold"),
    ("has", "`has tools` is `tools > 0`"),
    ("in", "is one of a list"),
    ("is absent", "the request does not say it"),
    ("->", "what the rule leads to"),
];

const RULES: &[Described] =
    &[("when", "a rule with a condition"), ("otherwise", "the last rule, for all other requests")];

/// What may stand at `at`, and the bytes that it replaces.
pub fn complete(file: &File<'_>, at: usize) -> (std::ops::Range<usize>, Vec<Proposal>) {
    let word = word_at(file.text, at);
    let word = word.start..at.max(word.start);
    let written = file.text.get(word.clone()).unwrap_or("");
    let context = context(file.text, at);
    let mut proposals = match context.slot {
        Slot::Comment => Vec::new(),
        Slot::Key => keys(file, &context),
        Slot::Value => value(file, &context, at, written),
        Slot::Block if context.path == ["rules"] => rule(file, at, written),
        Slot::Block => Vec::new(),
    };
    proposals.retain(|proposal| proposal.text.starts_with(written));
    (word, proposals)
}

fn keys(file: &File<'_>, context: &Context) -> Vec<Proposal> {
    match shape(&context.path).map(items) {
        Some(Shape::Mapping(mapping)) => of_mapping(mapping),
        Some(Shape::Keyed { keys, .. }) => described(ProposalKind::Key, keys().into_iter().map(|key| (key, ""))),
        Some(Shape::Map { .. }) if context.path == ["providers"] => {
            let known = known::providers().entries.iter();
            let new = known.filter(|entry| file.providers().all(|own| own.value != entry.name.value));
            new.map(|entry| Proposal {
                text: entry.name.value.clone(),
                kind: ProposalKind::Provider,
                detail: entry.title.as_ref().map(|title| title.value.clone()).unwrap_or_default(),
                about: String::new(),
            })
            .collect()
        }
        _ => Vec::new(),
    }
}

fn of_mapping(mapping: &Mapping) -> Vec<Proposal> {
    let proposal = |field: &Field| Proposal {
        text: field.key.to_owned(),
        kind: ProposalKind::Key,
        detail: field.shape.phrase(),
        about: field.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "),
    };
    mapping.fields.iter().map(proposal).collect()
}

fn described(kind: ProposalKind, list: impl IntoIterator<Item = Described>) -> Vec<Proposal> {
    let proposal = |(text, detail): Described| Proposal {
        text: text.to_owned(),
        kind,
        detail: detail.to_owned(),
        about: String::new(),
    };
    list.into_iter().map(proposal).collect()
}

fn words(list: &[&'static str]) -> Vec<Proposal> {
    described(ProposalKind::Word, list.iter().map(|word| (*word, "")))
}

fn value(file: &File<'_>, context: &Context, at: usize, written: &str) -> Vec<Proposal> {
    let Some(shape) = shape(&context.path).map(items) else { return Vec::new() };
    let target_of_a_test = matches!(context.path.last().map(String::as_str), Some("attempts" | "served_by" | "down"))
        && context.path.first().is_some_and(|first| first == "tests");
    match shape {
        _ if target_of_a_test => targets(file, written),
        Shape::Mapping(Mapping { short: Some(short), fields, .. }) => {
            let field = fields.iter().find(|field| field.key == *short);
            field.map(|field| of_shape(file, &field.shape, at, written)).unwrap_or_default()
        }
        shape => of_shape(file, shape, at, written),
    }
}

fn of_shape(file: &File<'_>, shape: &'static Shape, at: usize, written: &str) -> Vec<Proposal> {
    match items(shape) {
        Shape::Choice(list) => words(list),
        Shape::Flag => words(&["true", "false"]),
        Shape::Version => words(&["1"]),
        Shape::Failure => words(&["408", "429", "5xx", "timeout", "connect", "empty"]),
        Shape::Secret => words(&["env:", "file:"]),
        Shape::Expression => targets(file, written),
        Shape::Rules => rule(file, at, written),
        _ => Vec::new(),
    }
}

/// Target expressions: presets, `provider/model`, forms.
fn targets(file: &File<'_>, written: &str) -> Vec<Proposal> {
    if let Some((provider, _)) = written.split_once('/') {
        return models(file, provider);
    }
    let preset = |name: &str| Proposal {
        text: format!("@{name}"),
        kind: ProposalKind::Preset,
        detail: "preset".to_owned(),
        about: String::new(),
    };
    let mut proposals: Vec<Proposal> = file.presets().map(|name| preset(&name.value)).collect();
    if written.starts_with('@') {
        return proposals;
    }
    let own = file.providers().map(|name| (name.value.as_str(), "provider of this file"));
    let known = known::providers().entries.iter();
    let known = known.map(|entry| (entry.name.value.as_str(), entry.title.as_ref().map_or("", |title| &title.value)));
    let mut seen = std::collections::BTreeSet::new();
    for (name, detail) in own.chain(known).filter(|(name, _)| seen.insert(*name)) {
        proposals.push(Proposal {
            text: format!("{name}/"),
            kind: ProposalKind::Provider,
            detail: detail.to_owned(),
            about: String::new(),
        });
    }
    proposals.extend(STRATEGIES.iter().map(|(name, form, about)| Proposal {
        text: format!("{name}("),
        kind: ProposalKind::Strategy,
        detail: (*form).to_owned(),
        about: (*about).to_owned(),
    }));
    proposals.extend(described(ProposalKind::Strategy, FORMS.iter().copied()));
    proposals
}

/// The models of a provider: those that its entry lists, then those of the catalogue.
fn models(file: &File<'_>, provider: &str) -> Vec<Proposal> {
    let listed = file.provider(provider).into_iter().flatten().flat_map(|entry| entry.models.iter().flatten());
    let listed = listed.map(|model| (model.value.as_str(), "listed in `models:`".to_owned()));
    let known = catalogue::of_provider(file.catalogue_name(provider)).iter().map(|model| {
        let about = if model.mode == Mode::Chat { super::hover::summary(model) } else { model.mode.name().to_owned() };
        (model.id, about)
    });
    let mut seen = std::collections::BTreeSet::new();
    let proposal = |(model, detail): (&str, String)| Proposal {
        text: format!("{provider}/{model}"),
        kind: ProposalKind::Model,
        detail,
        about: String::new(),
    };
    listed.chain(known).filter(|(model, _)| seen.insert(model.to_string())).map(proposal).collect()
}

/// A rule: its beginning, a condition, or what it leads to.
fn rule(file: &File<'_>, at: usize, written: &str) -> Vec<Proposal> {
    let line = line_at(file.text, at);
    let head = file.text.get(line.start..at).unwrap_or("");
    let head = head.strip_suffix(written).unwrap_or(head).trim();
    let head = head.strip_prefix("rules:").unwrap_or(head).trim_start_matches(['"', '\'', ' ']);
    if head.contains("->") {
        return targets(file, written);
    }
    if head.is_empty() {
        return described(ProposalKind::Word, RULES.iter().chain(OPERATORS).copied());
    }
    if let Some(list) = words_of_fact(head) {
        return words(list);
    }
    let facts = FACTS.iter().map(|fact| Proposal {
        text: match fact.parameter {
            Some(_) => format!("{}(", fact.name),
            None => fact.name.to_owned(),
        },
        kind: ProposalKind::Fact,
        detail: fact.about.to_owned(),
        about: format!("for example `{}`", fact.example),
    });
    facts.chain(described(ProposalKind::Word, OPERATORS.iter().copied())).collect()
}

/// The words that may follow `protocol ==` and facts like it.
fn words_of_fact(head: &str) -> Option<&'static [&'static str]> {
    let before = head.trim_end_matches(|c: char| !"=<>![".contains(c));
    if before.len() < head.len() && !head.trim_end().ends_with(',') {
        return None;
    }
    let before = before.trim_end_matches(['=', '<', '>', '!', '[', ' ']);
    let before = before.strip_suffix(" in").or(before.strip_suffix(" not in")).unwrap_or(before);
    let fact = before.trim_end().rsplit([' ', '(']).next()?;
    let facts = [("protocol", PROTOCOL), ("reasoning", REASONING), ("output", OUTPUT), ("weekday", WEEKDAY)];
    facts.iter().find(|(name, _)| *name == fact).map(|(_, words)| words.list)
}
