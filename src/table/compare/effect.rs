//! What becomes of a request, without the names that only the file's author sees: two files that do the same have equal
//! effects, however they are written.

use std::fmt;
use std::rc::Rc;

use crate::provider::catalogue::Prices;
use crate::rule::predicate::Quoted;
use crate::table::dump::{self, lane_word, settings_words};
use crate::table::select::Meaning;
use crate::table::{Lane, Leaf, RouteNode, RoutingTable, Settings, SettingsIdx};
use crate::wire::{Operation, ProtocolId};

/// How the arm of a choice begins that only gets a copy.
const MIRROR: &str = "mirror";

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Target(Rc<Aim>),
    /// Try in order.
    Chain(Vec<Effect>),
    /// One of these, and the others after it.
    Choice {
        how: String,
        arms: Vec<(String, Effect)>,
    },
    /// What the caller's model means, with these settings around it.
    Requested(Vec<String>),
    Refused {
        status: u16,
        text: Option<String>,
    },
    /// The name means nothing.
    Unknown,
}

/// One target, and everything by which an attempt at it may differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Aim {
    /// `provider/model`.
    pub name: String,
    pub provider: String,
    /// How the provider is asked.
    pub way: String,
    /// The word for the lane of every caller, for answers and for embeddings.
    pub lanes: Vec<(ProtocolId, Operation, &'static str)>,
    pub prices: Option<Prices>,
    /// What presets and defaults add, in words.
    pub settings: Vec<String>,
}

/// Makes effects of one table.
pub struct Effects<'t> {
    table: &'t RoutingTable,
    /// How each provider is asked, in their order.
    ways: Vec<String>,
    /// What settings are compared with.
    plain: Settings,
}

impl<'t> Effects<'t> {
    pub fn new(table: &'t RoutingTable) -> Effects<'t> {
        let indices = (0..).map(crate::table::ProviderIdx).zip(&table.providers);
        let ways = indices.map(|(index, _)| dump::provider_way(table, index)).collect();
        Effects { table, ways, plain: Settings::default() }
    }

    /// What a rule with this route, or (without one) the plain meaning of a model, does. Without a `model` its meaning
    /// stays open.
    pub fn of(&self, route: Option<&RouteNode>, model: Option<&str>) -> Effect {
        let mut looked_up = false;
        let effect = match route {
            Some(node) => self.node(node, SettingsIdx::BASE, model, &mut looked_up),
            None => self.requested(SettingsIdx::BASE, model, &mut looked_up),
        };
        plain(effect)
    }

    fn node(&self, node: &RouteNode, outer: SettingsIdx, model: Option<&str>, looked_up: &mut bool) -> Effect {
        match node {
            RouteNode::Leaf(leaf) => {
                let settings = self.nested(outer, leaf.settings);
                self.target(Leaf { target: leaf.target, settings }, "")
            }
            RouteNode::Fallback(members) => {
                Effect::Chain(members.iter().map(|member| self.node(member, outer, model, looked_up)).collect())
            }
            RouteNode::Split { arms, sticky, salt } => {
                let total: f64 = arms.iter().map(|(weight, _)| weight).sum();
                let share = |weight: f64| if total > 0.0 { weight / total * 100.0 } else { 0.0 };
                let how = match sticky {
                    // Whoever is drawn for depends on the salt, which is the preset's name.
                    Some(fact) => format!("split by {fact} under {}", Quoted(salt)),
                    None => "split".to_owned(),
                };
                let arms =
                    arms.iter().map(|(weight, arm)| (percent(share(*weight)), self.node(arm, outer, model, looked_up)));
                Effect::Choice { how, arms: arms.collect() }
            }
            RouteNode::Choose { by, members } => {
                let arms = members.iter().map(|member| (String::new(), self.node(member, outer, model, looked_up)));
                Effect::Choice { how: by.choice().name().to_owned(), arms: arms.collect() }
            }
            RouteNode::Hedge { first, second, after } => {
                let arms = [first, second].map(|member| (String::new(), self.node(member, outer, model, looked_up)));
                Effect::Choice { how: format!("hedge after {} ms ", after.as_millis()), arms: arms.into() }
            }
            RouteNode::Shadow { main, mirror, sample } => {
                let main = (String::new(), self.node(main, outer, model, looked_up));
                let copy = format!("{MIRROR} {}", percent(f64::from(*sample) / 100.0));
                let mirror = (copy, self.node(mirror, outer, model, looked_up));
                Effect::Choice { how: "shadow".to_owned(), arms: vec![main, mirror] }
            }
            RouteNode::AsRequested(settings) => self.requested(self.nested(outer, *settings), model, looked_up),
            RouteNode::Deny { status, text } => {
                Effect::Refused { status: *status, text: text.as_ref().map(|text| text.to_string()) }
            }
        }
    }

    fn requested(&self, settings: SettingsIdx, model: Option<&str>, looked_up: &mut bool) -> Effect {
        let Some(name) = model else { return Effect::Requested(self.words(settings)) };
        if std::mem::replace(looked_up, true) {
            return Effect::Chain(Vec::new());
        }
        match self.table.meaning(name) {
            Meaning::Preset(route) => self.node(&route.node, settings, model, looked_up),
            Meaning::Target { target, model } => self.target(Leaf { target, settings }, model),
            Meaning::Nothing(_) => Effect::Unknown,
        }
    }

    fn target(&self, leaf: Leaf, requested: &str) -> Effect {
        let Some(target) = self.table.target(leaf.target) else { return Effect::Unknown };
        let Some(provider) = self.table.provider(target.provider) else { return Effect::Unknown };
        let model = target.model.as_deref().unwrap_or(requested);
        let operations = [Operation::Generate, Operation::Embed];
        let ways = operations.into_iter().flat_map(|operation| ProtocolId::ALL.map(|caller| (caller, operation)));
        let lanes = ways
            .map(|(caller, operation)| (caller, operation, lane_word(target.lane(provider, model, caller, operation))));
        Effect::Target(Rc::new(Aim {
            name: format!("{}/{model}", provider.name),
            provider: provider.name.to_string(),
            way: self.ways.get(target.provider.0 as usize).cloned().unwrap_or_default(),
            lanes: lanes.collect(),
            prices: target.prices_of(provider, model),
            settings: self.words(leaf.settings),
        }))
    }

    fn words(&self, settings: SettingsIdx) -> Vec<String> {
        self.table.settings(settings).map_or_else(Vec::new, |settings| settings_words(settings, &self.plain))
    }

    fn nested(&self, outer: SettingsIdx, inner: SettingsIdx) -> SettingsIdx {
        match (outer, inner) {
            (SettingsIdx::BASE, inner) => inner,
            (outer, SettingsIdx::BASE) => outer,
            pair => self.table.nested.get(&pair).copied().unwrap_or(outer),
        }
    }
}

fn percent(share: f64) -> String {
    let text = format!("{share:.4}");
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

// === one form for everything that does the same

/// Chains without chains in them, choices of one without a choice; what can never be tried is left out.
fn plain(effect: Effect) -> Effect {
    match effect {
        Effect::Chain(members) => {
            let mut flat = Vec::new();
            for member in members {
                match plain(member) {
                    Effect::Chain(inner) => flat.extend(inner),
                    other => flat.push(other),
                }
            }
            chain(flat)
        }
        Effect::Choice { how, mut arms } => {
            for (_, arm) in &mut arms {
                *arm = plain(std::mem::replace(arm, Effect::Unknown));
            }
            match arms.as_slice() {
                [_] => arms.pop().map_or(Effect::Unknown, |(_, only)| only),
                _ => Effect::Choice { how, arms },
            }
        }
        other => other,
    }
}

/// The chain of these: a target is tried once, nothing comes after a refusal, and a refusal or an unknown name counts only
/// where nothing can be tried.
fn chain(members: Vec<Effect>) -> Effect {
    let mut kept: Vec<Effect> = Vec::new();
    let mut refusal = None;
    let mut unknown = false;
    for member in members {
        match member {
            Effect::Refused { .. } => {
                refusal = Some(member);
                break;
            }
            Effect::Unknown => unknown = true,
            Effect::Target(_) if kept.contains(&member) => {}
            member => kept.push(member),
        }
    }
    // A name whose meaning is open may turn out to have none.
    let is_open = kept.iter().all(|member| matches!(member, Effect::Requested(_)));
    if kept.is_empty() || is_open {
        kept.extend(refusal);
    }
    match kept.as_slice() {
        [] if unknown => Effect::Unknown,
        [_] => kept.pop().unwrap_or(Effect::Unknown),
        [] => Effect::Unknown,
        _ => Effect::Chain(kept),
    }
}

// === reading it

impl Effect {
    /// Whether it depends on what the caller's model means.
    pub fn is_open(&self) -> bool {
        match self {
            Effect::Requested(_) => true,
            Effect::Chain(members) => members.iter().any(Effect::is_open),
            Effect::Choice { arms, .. } => arms.iter().any(|(_, arm)| arm.is_open()),
            Effect::Target(_) | Effect::Refused { .. } | Effect::Unknown => false,
        }
    }

    /// Every target, in the order in which they are tried where every choice falls on its first arm.
    pub fn aims(&self) -> Vec<&Aim> {
        let mut aims: Vec<&Aim> = Vec::new();
        self.collect(&mut aims);
        aims
    }

    fn collect<'e>(&'e self, aims: &mut Vec<&'e Aim>) {
        match self {
            Effect::Target(aim) => {
                if !aims.iter().any(|known| known.name == aim.name) {
                    aims.push(aim);
                }
            }
            Effect::Chain(members) => members.iter().for_each(|member| member.collect(aims)),
            Effect::Choice { arms, .. } => {
                // Who gets a copy gives no answer.
                let answering = arms.iter().filter(|(label, _)| !label.starts_with(MIRROR));
                answering.for_each(|(_, arm)| arm.collect(aims));
            }
            Effect::Requested(_) | Effect::Refused { .. } | Effect::Unknown => {}
        }
    }

    /// What of it makes two models of one provider alike: for telling many names in one line.
    pub(super) fn outline(&self) -> String {
        match self {
            Effect::Target(aim) => format!("{}/* {} {}", aim.provider, aim.way, aim.settings.join(",")),
            Effect::Unknown => String::new(),
            other => other.to_string(),
        }
    }
}

impl Aim {
    /// The word for the lane of this caller.
    pub fn lane(&self, caller: ProtocolId, operation: Operation) -> &'static str {
        let known = self.lanes.iter().find(|(id, of, _)| *id == caller && *of == operation);
        known.map_or(lane_word(&Lane::Refused("".into())), |(_, _, word)| word)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Target(aim) => f.write_str(&aim.name),
            Effect::Chain(members) => {
                for (at, member) in members.iter().enumerate() {
                    write!(f, "{}{member}", if at > 0 { " > " } else { "" })?;
                }
                Ok(())
            }
            Effect::Choice { how, arms } => {
                let arms: Vec<String> =
                    arms.iter().map(|(share, arm)| format!("{share} {arm}").trim().to_owned()).collect();
                write!(f, "{how}({})", arms.join(", "))
            }
            Effect::Requested(_) => f.write_str("as requested"),
            Effect::Refused { status, text: None } => write!(f, "refused with {status}"),
            Effect::Refused { status, text: Some(text) } => write!(f, "refused with {status} {}", Quoted(text)),
            Effect::Unknown => f.write_str("unknown model, 404"),
        }
    }
}
