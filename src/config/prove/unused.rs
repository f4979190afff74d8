//! Presets and providers of the file that no request comes to.

use std::collections::HashSet;

use super::File;
use crate::config::resolve::split_target;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::glob::Glob;
use crate::rule::TextFact;
use crate::rule::analysis::{Prover, Verdict};
use crate::rule::ast::Expression;
use crate::rule::predicate::{Atom, Predicate, TextTest};
use crate::rule::request::RequestShape;
use crate::table::{RouteNode, RuleOutcome};

/// Reports them. `fires` says of every rule whether it takes a request.
pub(super) fn check(file: &File<'_>, fires: &[bool], prover: &mut Prover<'_>, diagnostics: &mut Diagnostics) {
    let mut used = Used::default();
    for (rule, fires) in file.rules.iter().zip(fires) {
        if *fires {
            used.follow(file, &rule.then);
        }
    }
    let open = open_rules(file, fires);
    for entry in &file.document.presets {
        let name = entry.name.value.as_str();
        if !used.presets.contains(name) && asked_for(file, &open, &preset_names(name), prover) != Some(false) {
            used.presets.insert(name);
            file.preset(name).into_iter().for_each(|expression| used.follow(file, expression));
        }
    }
    for entry in &file.document.presets {
        let name = entry.name.value.as_str();
        if !used.presets.contains(name) {
            diagnostics.push_with(Code::UnusedPreset, || {
                let diagnostic = Diagnostic::new(Code::UnusedPreset, format!("nothing leads to the preset `{name}`"))
                    .label(entry.name.span, "no rule names it, and a request that names it is routed otherwise")
                    .help("let a rule lead to it, or end the rules with `otherwise -> as requested`, or remove it");
                with_witness(file, diagnostic, &format!("@{name}"))
            });
        }
    }
    for entry in &file.document.providers {
        let name = entry.name.value.as_str();
        if !used.providers.contains(name) && asked_for(file, &open, &provider_names(file, name), prover) == Some(false)
        {
            diagnostics.push_with(Code::UnusedProvider, || {
                let diagnostic =
                    Diagnostic::new(Code::UnusedProvider, format!("nothing leads to the provider `{name}`"))
                        .label(entry.name.span, "no rule names it, and a request that names it is routed otherwise")
                        .help("let a rule lead to it, or end the rules with `otherwise -> as requested`, or remove it");
                with_witness(file, diagnostic, &format!("{name}/any"))
            });
        }
    }
}

/// A request that names it, and the rule that takes it.
fn with_witness(file: &File<'_>, diagnostic: Diagnostic, model: &str) -> Diagnostic {
    let shape = RequestShape::hello(model);
    match file.table.rule_index.first(&file.table.rules, &shape) {
        Some(taken) => diagnostic.witness(format!("{}\nis taken by rule {}", file.curl(&shape), taken + 1)),
        None => diagnostic,
    }
}

/// What rules and used presets name.
#[derive(Default)]
struct Used<'f> {
    presets: HashSet<&'f str>,
    providers: HashSet<&'f str>,
}

impl<'f> Used<'f> {
    fn follow(&mut self, file: &File<'f>, expression: &'f Expression) {
        let mut open = vec![expression];
        while let Some(expression) = open.pop() {
            match expression {
                Expression::Target(name) => {
                    self.providers.extend(split_target(&name.value).map(|(provider, _)| provider));
                }
                Expression::Preset(name) => {
                    if self.presets.insert(&name.value) {
                        open.extend(file.preset(&name.value));
                    }
                }
                other => open.extend(other.parts()),
            }
        }
    }
}

/// The rules under which a model means what it means by itself, the last first; before them, that no rule fires.
fn open_rules(file: &File<'_>, fires: &[bool]) -> Vec<Option<usize>> {
    let rules = file.table.rules.iter().zip(fires).enumerate().rev();
    let open = rules.filter(|(_, (rule, fires))| {
        let asks = match rule.then {
            RuleOutcome::AsRequested => true,
            RuleOutcome::Route(index) => file.table.route(index).is_some_and(|route| as_requested(&route.node)),
        };
        asks && **fires
    });
    let mut all = vec![None];
    all.extend(open.map(|(at, _)| Some(at)));
    all
}

fn as_requested(node: &RouteNode) -> bool {
    match node {
        RouteNode::AsRequested(_) => true,
        other => other.parts().any(as_requested),
    }
}

/// Whether a request with one of these models is routed as requested. `None` where that could not be decided.
fn asked_for(file: &File<'_>, open: &[Option<usize>], models: &Predicate, prover: &mut Prover<'_>) -> Option<bool> {
    let covered = file.table.rules.iter().any(|rule| rule.when == Predicate::Always);
    for rule in open.iter().filter(|rule| rule.is_some() || !covered) {
        match prover.reaches(*rule, &[(models, true)]) {
            Verdict::Request(_) => return Some(true),
            Verdict::Never(_) => {}
            Verdict::Undecided => return None,
        }
    }
    Some(false)
}

fn model(test: TextTest) -> Predicate {
    Predicate::Atom(Atom::Text { fact: TextFact::Model, test })
}

fn preset_names(name: &str) -> Predicate {
    model(TextTest::In([name.into(), format!("@{name}").into()].into()))
}

fn provider_names(file: &File<'_>, name: &str) -> Predicate {
    let index = file.table.provider_names.get(name);
    let own = |target| file.table.target(target).is_some_and(|target| Some(&target.provider) == index);
    let listed = file.table.models.iter().filter(|(_, target)| own(**target)).map(|(model, _)| model.clone());
    let like = |glob: String| model(TextTest::Like(Glob(glob.into())));
    let listed: Box<[Box<str>]> = listed.collect();
    let mut names = vec![like(format!("{name}/*")), like(format!("{name}:*"))];
    if !listed.is_empty() {
        names.push(model(TextTest::In(listed)));
    }
    Predicate::Any(names.into())
}
