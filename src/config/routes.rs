//! From expressions to routes: presets are put in where they are named, with their settings on every target.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::lanes;
use super::layer::Layers;
use super::resolve::split_target;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::provider::Provider;
use crate::rule::TextFact;
use crate::rule::ast::Expression;
use crate::rule::strategies::Choice;
use crate::source::{Span, Spanned};
use crate::table::{ChooseBy, Lanes, Leaf, ProviderIdx, RouteNode, SettingsIdx, Target, TargetIdx, TurnIdx};

/// Targets of one route, of all routes, and how deep presets and parentheses may nest.
const ROUTE_LEAVES: usize = 10_000;
const ALL_LEAVES: usize = 200_000;
const DEPTH: usize = 128;

/// Every target of the table, each once.
pub(super) struct Targets<'p> {
    providers: &'p [Provider],
    lanes: Vec<Arc<[Arc<Lanes>]>>,
    names: HashMap<&'p str, ProviderIdx>,
    known: HashMap<(ProviderIdx, Box<str>), TargetIdx>,
    targets: Vec<Target>,
    pub(super) wildcards: Vec<TargetIdx>,
}

impl<'p> Targets<'p> {
    pub(super) fn new(providers: &'p [Provider]) -> Targets<'p> {
        let mut targets = Targets {
            providers,
            lanes: providers.iter().map(lanes::of).collect(),
            names: HashMap::new(),
            known: HashMap::new(),
            targets: Vec::new(),
            wildcards: Vec::new(),
        };
        for (index, provider) in (0..).map(ProviderIdx).zip(providers) {
            targets.names.insert(&provider.name, index);
            let wildcard = targets.push(index, None);
            targets.wildcards.extend(wildcard);
        }
        targets
    }

    pub(super) fn provider(&self, name: &str) -> Option<ProviderIdx> {
        self.names.get(name).copied()
    }

    pub(super) fn providers(&self) -> &'p [Provider] {
        self.providers
    }

    /// The target of this model, new or known.
    pub(super) fn target(&mut self, provider: ProviderIdx, model: &str) -> Option<TargetIdx> {
        if let Some(known) = self.known.get(&(provider, model.into())) {
            return Some(*known);
        }
        let index = self.push(provider, Some(model.into()))?;
        self.known.insert((provider, model.into()), index);
        Some(index)
    }

    fn push(&mut self, provider: ProviderIdx, model: Option<Box<str>>) -> Option<TargetIdx> {
        let sets = self.lanes.get(provider.0 as usize)?;
        let at = self.providers.get(provider.0 as usize)?;
        let prices = model.as_deref().and_then(|model| at.prices_of(model));
        let plans = |model: &str| at.endpoints.iter().map(|endpoint| endpoint.output_plan(model)).collect();
        let outputs = model.as_deref().map(plans).unwrap_or_default();
        let own = model.as_deref().and_then(|model| sets.get(at.serving(model)));
        let lanes = Arc::clone(own.or(sets.last())?);
        let by_model = (model.is_none() && sets.len() > 1).then(|| Arc::clone(sets));
        self.targets.push(Target { provider, model, prices, outputs, lanes, by_model });
        u32::try_from(self.targets.len() - 1).ok().map(TargetIdx)
    }

    pub(super) fn finish(self) -> (Box<[Target]>, Box<[TargetIdx]>) {
        (self.targets.into(), self.wildcards.into())
    }
}

/// One preset, ready to be put in.
pub(super) struct PresetRoute<'d> {
    pub(super) name: &'d Spanned<String>,
    pub(super) expression: &'d Expression,
    pub(super) settings: SettingsIdx,
    pub(super) sticky: Option<TextFact>,
}

/// Expands expressions whose names have been checked. Without a cycle, every preset comes to an end.
pub(super) struct Expander<'d, 'p> {
    pub(super) presets: Vec<PresetRoute<'d>>,
    pub(super) by_name: HashMap<&'d str, usize>,
    pub(super) targets: Targets<'p>,
    pub(super) layers: Layers,
    /// A preset under what it inherits, with the number of its targets; `None` where it is too large.
    expanded: HashMap<Inherited, Option<(RouteNode, usize)>>,
    leaves: usize,
    splits: usize,
    /// Names of what takes turns.
    pub(super) turns: Vec<Box<str>>,
}

/// A preset, and the settings and stickiness around it.
type Inherited = (usize, SettingsIdx, Option<TextFact>);

/// Where an expression stands: what an inner part inherits.
#[derive(Clone)]
struct Place<'s> {
    outer: SettingsIdx,
    sticky: Option<&'s TextFact>,
    /// Name of the preset or rule.
    salt: &'s str,
    depth: usize,
}

impl<'d, 'p> Expander<'d, 'p> {
    pub(super) fn new(presets: Vec<PresetRoute<'d>>, targets: Targets<'p>, layers: Layers) -> Expander<'d, 'p> {
        let by_name = presets.iter().enumerate().map(|(index, preset)| (preset.name.value.as_str(), index)).collect();
        Expander {
            presets,
            by_name,
            targets,
            layers,
            expanded: HashMap::new(),
            leaves: 0,
            splits: 0,
            turns: Vec::new(),
        }
    }

    /// The route of the preset at `index`.
    pub(super) fn preset(&mut self, index: usize, diagnostics: &mut Diagnostics) -> Option<RouteNode> {
        let span = self.presets.get(index)?.name.span;
        let expression = self.presets.get(index)?.expression;
        let node = self.named(index, &Place { outer: SettingsIdx::BASE, sticky: None, salt: "", depth: 0 });
        self.finished(node, expression, span, diagnostics)
    }

    /// The route of a rule.
    pub(super) fn rule(
        &mut self,
        expression: &Expression,
        name: &str,
        span: Span,
        diagnostics: &mut Diagnostics,
    ) -> Option<RouteNode> {
        self.splits = 0;
        let place = Place { outer: SettingsIdx::BASE, sticky: None, salt: name, depth: 0 };
        let node = self.expression(expression, &place);
        self.finished(node, expression, span, diagnostics)
    }

    fn finished(
        &mut self,
        node: Option<(RouteNode, usize)>,
        expression: &Expression,
        span: Span,
        diagnostics: &mut Diagnostics,
    ) -> Option<RouteNode> {
        let within = node.filter(|(_, leaves)| {
            self.leaves += leaves;
            *leaves <= ROUTE_LEAVES && self.leaves <= ALL_LEAVES
        });
        let Some((node, _)) = within else {
            diagnostics.push(
                Diagnostic::new(Code::RouteTooLarge, "this route reaches too many targets")
                    .label(span, format!("more than {ROUTE_LEAVES}, or nested too deep, or too many with all others"))
                    .help("presets that name presets multiply; name fewer of them"),
            );
            return None;
        };
        self.warn_of_duplicates(expression, diagnostics);
        Some(node)
    }

    /// `None` where it is too large.
    fn named(&mut self, index: usize, around: &Place<'_>) -> Option<(RouteNode, usize)> {
        let key = (index, around.outer, around.sticky.cloned());
        if let Some(known) = self.expanded.get(&key) {
            return known.clone();
        }
        let preset = self.presets.get(index)?;
        let (expression, name) = (preset.expression, preset.name.value.as_str());
        let sticky = preset.sticky.clone().or_else(|| around.sticky.cloned());
        let settings = self.layers.combine(around.outer, preset.settings);
        let splits = std::mem::replace(&mut self.splits, 0);
        let place = Place { outer: settings, sticky: sticky.as_ref(), salt: name, depth: around.depth + 1 };
        let expanded = self.expression(expression, &place);
        self.splits = splits;
        self.expanded.insert(key, expanded.clone());
        expanded
    }

    fn expression(&mut self, expression: &Expression, place: &Place<'_>) -> Option<(RouteNode, usize)> {
        if place.depth > DEPTH {
            return None;
        }
        let inner = Place { depth: place.depth + 1, ..place.clone() };
        match expression {
            Expression::Target(name) => {
                let (provider, model) = split_target(&name.value)?;
                let target = self.targets.provider(provider).and_then(|index| self.targets.target(index, model))?;
                Some((RouteNode::Leaf(Leaf { target, settings: place.outer }), 1))
            }
            Expression::Preset(name) => {
                let index = *self.by_name.get(name.value.as_str())?;
                self.named(index, place)
            }
            Expression::Fallback(members) => {
                let mut nodes = Vec::new();
                let mut leaves = 0;
                for member in members {
                    let (node, count) = self.expression(member, &inner)?;
                    leaves = within(leaves + count)?;
                    match node {
                        // A chain in a chain is one chain.
                        RouteNode::Fallback(members) => nodes.extend(members),
                        node => nodes.push(node),
                    }
                }
                Some((RouteNode::Fallback(nodes.into()), leaves))
            }
            Expression::Split { arms, .. } => {
                self.splits += 1;
                let salt =
                    if self.splits > 1 { format!("{}#{}", place.salt, self.splits) } else { place.salt.to_owned() };
                let mut nodes = Vec::new();
                let mut leaves = 0;
                for (weight, arm) in arms {
                    let (node, count) = self.expression(arm, &inner)?;
                    leaves = within(leaves + count)?;
                    nodes.push((weight.value, node));
                }
                Some((
                    RouteNode::Split { arms: nodes.into(), sticky: place.sticky.cloned(), salt: salt.into() },
                    leaves,
                ))
            }
            Expression::Choose { by, members, .. } => {
                let (nodes, leaves) = self.expressions(members.iter(), &inner)?;
                let by = match by {
                    Choice::RoundRobin => ChooseBy::Turn(self.turn(format!("{} {expression}", place.salt))),
                    Choice::Cheapest => ChooseBy::Price,
                    Choice::Fastest => ChooseBy::FirstToken,
                    Choice::LeastBusy => ChooseBy::InFlight,
                };
                Some((RouteNode::Choose { by, members: nodes.into() }, leaves))
            }
            Expression::Hedge { first, second, after, .. } => {
                let ([first, second], leaves) = self.pair(first, second, &inner)?;
                Some((RouteNode::Hedge { first, second, after: after.value }, leaves))
            }
            Expression::Shadow { main, mirror, sample, .. } => {
                let ([main, mirror], leaves) = self.pair(main, mirror, &inner)?;
                Some((RouteNode::Shadow { main, mirror, sample: sample.value }, leaves))
            }
            Expression::AsRequested(_) => Some((RouteNode::AsRequested(place.outer), 1)),
            Expression::Deny { status, text, .. } => {
                Some((RouteNode::Deny { status: status.value, text: text.as_deref().map(Into::into) }, 1))
            }
        }
    }

    fn expressions<'e>(
        &mut self,
        members: impl Iterator<Item = &'e Expression>,
        place: &Place<'_>,
    ) -> Option<(Vec<RouteNode>, usize)> {
        let mut nodes = Vec::new();
        let mut leaves = 0;
        for member in members {
            let (node, count) = self.expression(member, place)?;
            leaves = within(leaves + count)?;
            nodes.push(node);
        }
        Some((nodes, leaves))
    }

    fn pair(
        &mut self,
        first: &Expression,
        second: &Expression,
        place: &Place<'_>,
    ) -> Option<([Box<RouteNode>; 2], usize)> {
        let (first, one) = self.expression(first, place)?;
        let (second, two) = self.expression(second, place)?;
        Some(([Box::new(first), Box::new(second)], within(one + two)?))
    }

    /// The turn of this name, new or known. Equal expressions in one preset take turns together.
    fn turn(&mut self, name: String) -> TurnIdx {
        let at = self.turns.iter().position(|known| **known == *name).unwrap_or_else(|| {
            self.turns.push(name.into());
            self.turns.len() - 1
        });
        TurnIdx(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// Members of one expression that reach the same target with the same settings.
    fn warn_of_duplicates(&mut self, expression: &Expression, diagnostics: &mut Diagnostics) {
        if matches!(expression, Expression::Target(_) | Expression::Preset(_)) {
            return;
        }
        let mut seen = HashMap::new();
        self.duplicates(expression, &mut seen, diagnostics);
    }

    fn duplicates<'e>(
        &mut self,
        expression: &'e Expression,
        seen: &mut HashMap<Leaf, &'e Spanned<String>>,
        diagnostics: &mut Diagnostics,
    ) {
        match expression {
            // A copy of a request may go to the same model.
            Expression::Shadow { main, .. } => self.duplicates(main, seen, diagnostics),
            Expression::Target(name) | Expression::Preset(name) => {
                let place = Place { outer: SettingsIdx::BASE, sticky: None, salt: "", depth: 0 };
                let Some((node, _)) = self.expression(expression, &place) else { return };
                let mut leaves = HashSet::new();
                collect(&node, &mut leaves);
                let twice = leaves.iter().filter_map(|leaf| seen.get(leaf)).min_by_key(|first| first.span);
                if let Some(first) = twice {
                    diagnostics.push(duplicate(expression, name, first, matches!(expression, Expression::Preset(_))));
                }
                leaves.into_iter().for_each(|leaf| {
                    seen.entry(leaf).or_insert(name);
                });
            }
            other => other.parts().into_iter().for_each(|part| self.duplicates(part, seen, diagnostics)),
        }
    }
}

fn duplicate(expression: &Expression, name: &Spanned<String>, first: &Spanned<String>, preset: bool) -> Diagnostic {
    let message =
        if preset { format!("`{expression}` tries a target again") } else { format!("`{expression}` is tried twice") };
    Diagnostic::new(Code::DuplicateTarget, message)
        .label(name.span, "left out: it will just have failed")
        .label(first.span, "tried here first")
        .help("to try a target more often before going on, set `retries: { attempts: 3 }`")
}

fn collect(node: &RouteNode, leaves: &mut HashSet<Leaf>) {
    match node {
        RouteNode::Leaf(leaf) => {
            leaves.insert(*leaf);
        }
        RouteNode::Shadow { main, .. } => collect(main, leaves),
        other => other.parts().for_each(|part| collect(part, leaves)),
    }
}

fn within(leaves: usize) -> Option<usize> {
    (leaves <= ROUTE_LEAVES).then_some(leaves)
}

/// Settings of every `as requested` and of every target in `nodes`.
pub(super) fn settings_of<'n>(
    nodes: impl Iterator<Item = &'n RouteNode>,
) -> (HashSet<SettingsIdx>, HashSet<SettingsIdx>) {
    let mut requested = HashSet::new();
    let mut all = HashSet::new();
    let mut open: Vec<&RouteNode> = nodes.collect();
    while let Some(node) = open.pop() {
        match node {
            RouteNode::Leaf(leaf) => {
                all.insert(leaf.settings);
            }
            RouteNode::AsRequested(settings) => {
                requested.insert(*settings);
                all.insert(*settings);
            }
            other => open.extend(other.parts()),
        }
    }
    requested.remove(&SettingsIdx::BASE);
    all.remove(&SettingsIdx::BASE);
    (requested, all)
}
