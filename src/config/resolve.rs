//! Names of expressions: every provider and preset that a target expression names must exist, and presets must not lead
//! back to themselves.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::rule::ast::{Expression, PresetName};
use crate::source::{Span, Spanned};

/// A preset whose expression has been read.
pub(super) struct NamedRoute<'d> {
    pub(super) name: &'d Spanned<String>,
    pub(super) expression: Option<&'d Expression>,
}

/// What may be named.
pub(super) struct Names<'n> {
    /// Providers of the file and known ones.
    pub(super) providers: HashSet<&'n str>,
    /// Position and place of each preset.
    pub(super) presets: HashMap<&'n str, (usize, Span)>,
    /// Models that a provider of the file lists, for suggestions: bare name to `provider/model`.
    pub(super) models: BTreeMap<&'n str, String>,
    /// Searches that may still be made: a file of ten thousand wrong names must not cost a second.
    pub(super) suggestions: u32,
}

/// Every target of the expression, in order.
pub(super) fn targets<'e>(expression: &'e Expression, visit: &mut dyn FnMut(&'e Spanned<String>)) {
    match expression {
        Expression::Target(name) => visit(name),
        other => other.parts().into_iter().for_each(|part| targets(part, visit)),
    }
}

/// Every preset that the expression names, in order.
fn presets<'e>(expression: &'e Expression, visit: &mut dyn FnMut(&'e Spanned<String>)) {
    match expression {
        Expression::Preset(name) => visit(name),
        other => other.parts().into_iter().for_each(|part| presets(part, visit)),
    }
}

/// `provider/model` taken apart, `provider:model` too.
pub(super) fn split_target(name: &str) -> Option<(&str, &str)> {
    let (provider, model) = name.split_once(['/', ':'])?;
    (!provider.is_empty() && !model.is_empty()).then_some((provider, model))
}

impl<'n> Names<'n> {
    /// Reports every name in `expression` that means nothing, and what makes no sense where it stands.
    pub(super) fn check(&mut self, expression: &Expression, diagnostics: &mut Diagnostics) {
        if let Expression::Fallback(members) = expression {
            members.iter().for_each(|member| refuse_deny(member, diagnostics));
        }
        self.check_inner(expression, diagnostics);
    }

    fn check_inner(&mut self, expression: &Expression, diagnostics: &mut Diagnostics) {
        match expression {
            Expression::Target(name) => self.check_target(name, diagnostics),
            Expression::Preset(name) => self.check_preset(name, diagnostics),
            Expression::Fallback(members) => members.iter().for_each(|member| self.check_inner(member, diagnostics)),
            Expression::Split { arms, span } => {
                if arms.iter().all(|(weight, _)| weight.value <= 0.0) {
                    diagnostics.push(
                        Diagnostic::new(Code::EmptySplit, "every weight of this `split` is 0")
                            .label(*span, "nothing could be drawn")
                            .help("give one arm a weight, or write a fallback: `a/b > c/d`"),
                    );
                }
                for (_, arm) in arms {
                    refuse_deny(arm, diagnostics);
                    self.check_inner(arm, diagnostics);
                }
            }
            Expression::Choose { by, members, span } => {
                if members.len() < 2 {
                    diagnostics.push(
                        Diagnostic::new(Code::NothingToChoose, format!("`{}` has nothing to choose from", by.name()))
                            .label(*span, "one member")
                            .help("add another, or write the target alone"),
                    );
                }
                self.check_parts(expression, diagnostics);
            }
            Expression::Hedge { .. } | Expression::Shadow { .. } => self.check_parts(expression, diagnostics),
            Expression::AsRequested(_) | Expression::Deny { .. } => {}
        }
    }

    fn check_parts(&mut self, expression: &Expression, diagnostics: &mut Diagnostics) {
        for part in expression.parts() {
            refuse_deny(part, diagnostics);
            self.check_inner(part, diagnostics);
        }
    }

    fn check_target(&mut self, name: &Spanned<String>, diagnostics: &mut Diagnostics) {
        let Some((provider, _)) = split_target(&name.value) else {
            diagnostics.push(self.not_a_target(name));
            return;
        };
        if self.providers.contains(provider) {
            return;
        }
        let start = name.span.start as usize;
        let span = Span::new(name.span.source, start, (start + provider.len()).min(name.span.end as usize));
        let diagnostic = Diagnostic::new(Code::UnknownProvider, format!("unknown provider `{provider}`"))
            .label(span, "neither in `providers:` nor built in");
        let near = self.nearest(provider, |names| names.providers.iter().copied().collect());
        diagnostics.push(match near {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(span, near),
            None => diagnostic.help(format!(
                "add it under `providers:`, e.g. `{provider}: {{ protocol: openai-chat, base_url: ... }}`"
            )),
        });
    }

    fn not_a_target(&mut self, name: &Spanned<String>) -> Diagnostic {
        let diagnostic = Diagnostic::new(Code::NotATarget, format!("`{}` is not a target", name.value))
            .label(name.span, "no provider before it");
        let better = if self.presets.contains_key(name.value.as_str()) {
            Some(PresetName(&name.value).to_string())
        } else {
            self.models.get(name.value.as_str()).cloned()
        };
        match better {
            Some(better) => diagnostic.help(format!("did you mean `{better}`?")).fix(name.span, better),
            None => diagnostic.help("a target is `provider/model`, e.g. `openai/gpt-5`, or `@preset`"),
        }
    }

    fn check_preset(&mut self, name: &Spanned<String>, diagnostics: &mut Diagnostics) {
        if self.presets.contains_key(name.value.as_str()) {
            return;
        }
        let diagnostic = Diagnostic::new(Code::UnknownPreset, format!("unknown preset `{}`", PresetName(&name.value)))
            .label(name.span, "not in `presets:`");
        let near = self.nearest(&name.value, |names| names.presets.keys().copied().collect());
        diagnostics.push(match near {
            Some(near) => {
                let place = self.presets.get(near).map(|(_, span)| *span);
                let near = PresetName(near).to_string();
                let diagnostic = diagnostic.help(format!("did you mean `{near}`?")).fix(name.span, near);
                place.into_iter().fold(diagnostic, |diagnostic, place| diagnostic.label(place, "defined here"))
            }
            None => diagnostic.help(format!("define it: `presets: {{ {}: provider/model }}`", name.value)),
        });
    }

    fn nearest(&mut self, wanted: &str, candidates: impl Fn(&Self) -> Vec<&'n str>) -> Option<&'n str> {
        self.suggestions = self.suggestions.checked_sub(1)?;
        let mut names = candidates(self);
        // Of equally near names the first by alphabet, whatever the order of the set.
        names.sort_unstable();
        did_you_mean(wanted, names)
    }
}

fn refuse_deny(member: &Expression, diagnostics: &mut Diagnostics) {
    if let Expression::Deny { span, .. } = member {
        diagnostics.push(
            Diagnostic::new(Code::DenyNotAlone, "`deny` stands alone")
                .label(*span, "decided before any target is tried")
                .help("make it the outcome of a rule of its own, or leave it out: when every target fails the caller gets the last failure"),
        );
    }
}

/// Presets that lead back to themselves: one finding a cycle, with its path.
pub(super) fn check_cycles(routes: &[NamedRoute<'_>], names: &Names<'_>, diagnostics: &mut Diagnostics) {
    let edges: Vec<Vec<usize>> = routes.iter().map(|route| edges(route, names)).collect();
    let mut state = vec![Visit::New; routes.len()];
    for start in 0..routes.len() {
        if let Some(cycle) = cycle_from(start, &edges, &mut state) {
            diagnostics.push(cycle_finding(routes, &cycle));
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    New,
    Open,
    Done,
}

fn edges(route: &NamedRoute<'_>, names: &Names<'_>) -> Vec<usize> {
    let mut out = Vec::new();
    if let Some(expression) = route.expression {
        presets(expression, &mut |name| out.extend(names.presets.get(name.value.as_str()).map(|(index, _)| *index)));
    }
    out
}

/// Depth first with a stack of its own: a chain of a thousand presets must not use up the thread's.
fn cycle_from(start: usize, edges: &[Vec<usize>], state: &mut [Visit]) -> Option<Vec<usize>> {
    let visit = |state: &[Visit], node: usize| state.get(node).copied().unwrap_or(Visit::Done);
    let set = |state: &mut [Visit], node: usize, to: Visit| {
        if let Some(entry) = state.get_mut(node) {
            *entry = to;
        }
    };
    if visit(state, start) != Visit::New {
        return None;
    }
    let mut path: Vec<(usize, usize)> = vec![(start, 0)];
    let mut found = None;
    set(state, start, Visit::Open);
    while let Some((node, next)) = path.last_mut() {
        let child = edges.get(*node).and_then(|children| children.get(*next)).copied();
        *next += 1;
        match child {
            None => {
                set(state, *node, Visit::Done);
                path.pop();
            }
            Some(child) if visit(state, child) == Visit::New => {
                set(state, child, Visit::Open);
                path.push((child, 0));
            }
            Some(child) if visit(state, child) == Visit::Open && found.is_none() => {
                let from = path.iter().position(|(node, _)| *node == child).unwrap_or(0);
                found = Some(path.iter().skip(from).map(|(node, _)| *node).collect());
            }
            Some(_) => {}
        }
    }
    found
}

/// Steps of a circle that a finding shows.
const SHOWN: usize = 12;

fn cycle_finding(routes: &[NamedRoute<'_>], cycle: &[usize]) -> Diagnostic {
    let members: Vec<&NamedRoute<'_>> = cycle.iter().filter_map(|index| routes.get(*index)).collect();
    let mut path: Vec<String> =
        members.iter().chain(members.first()).map(|member| PresetName(&member.name.value).to_string()).collect();
    if path.len() > SHOWN {
        path.splice(SHOWN - 2..path.len() - 1, ["...".to_owned()]);
    }
    let mut diagnostic = Diagnostic::new(Code::PresetCycle, format!("presets lead in a circle: {}", path.join(" > ")));
    for (member, next) in members.iter().zip(members.iter().cycle().skip(1)).take(SHOWN) {
        let mut place = None;
        if let Some(expression) = member.expression {
            presets(expression, &mut |name| {
                if name.value == next.name.value {
                    place.get_or_insert(name.span);
                }
            });
        }
        diagnostic = diagnostic.label(
            place.unwrap_or(member.name.span),
            format!("`{}` goes on to `{}`", PresetName(&member.name.value), PresetName(&next.name.value)),
        );
    }
    diagnostic.help("remove one of these steps")
}
