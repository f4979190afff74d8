//! What the routes of a file lose where they translate: the ledger, for the targets, models and quirks of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::provider::{Transport, catalogue};
use crate::table::{Lane, Leaf, RouteNode, RoutingTable};
use crate::wire::ledger::{self, Entry, Fate};
use crate::wire::{Destination, Operation, PROTOCOLS, ProtocolId};

/// One way of callers of one protocol to one target.
pub(super) struct Translation<'t> {
    caller: ProtocolId,
    /// What the target speaks.
    protocol: ProtocolId,
    /// `provider/model`.
    target: String,
    /// The routes that lead there.
    routes: Vec<&'t str>,
    entries: Vec<Entry>,
}

/// Every translation that a route of the file can ask for, by caller and target.
pub(super) fn translations(table: &RoutingTable) -> Vec<Translation<'_>> {
    let mut found: BTreeMap<(ProtocolId, String), Translation<'_>> = BTreeMap::new();
    for route in &table.routes {
        let mut leaves = Vec::new();
        collect(&route.node, &mut leaves);
        let callers = PROTOCOLS.iter().filter(|protocol| protocol.inbound().is_some()).map(|protocol| protocol.id());
        for (caller, leaf) in callers.flat_map(|caller| leaves.iter().map(move |leaf| (caller, *leaf))) {
            let Some((name, model)) = name(table, leaf) else { continue };
            if let Some(known) = found.get_mut(&(caller, name.clone())) {
                if known.routes.last() != Some(&&*route.name) {
                    known.routes.push(&route.name);
                }
            } else if let Some((protocol, entries)) = derived(table, caller, leaf, model) {
                let translation =
                    Translation { caller, protocol, target: name.clone(), routes: vec![&route.name], entries };
                found.insert((caller, name), translation);
            }
        }
    }
    found.into_values().collect()
}

fn collect(node: &RouteNode, leaves: &mut Vec<Leaf>) {
    match node {
        RouteNode::Leaf(leaf) => leaves.push(*leaf),
        other => other.parts().for_each(|part| collect(part, leaves)),
    }
}

fn name(table: &RoutingTable, leaf: Leaf) -> Option<(String, &str)> {
    let target = table.target(leaf.target)?;
    let model = target.model.as_deref()?;
    Some((format!("{}/{model}", table.provider(target.provider)?.name), model))
}

/// The target's protocol and what becomes of each field; `None` where nothing is translated.
fn derived(table: &RoutingTable, caller: ProtocolId, leaf: Leaf, model: &str) -> Option<(ProtocolId, Vec<Entry>)> {
    let target = table.target(leaf.target)?;
    let provider = table.provider(target.provider)?;
    if provider.transport == Transport::Demo {
        return None;
    }
    let Lane::Translate { endpoint } = target.lane(provider, model, caller, Operation::Generate) else { return None };
    let endpoint = provider.endpoints.get(usize::from(*endpoint))?;
    let known = provider.catalogue.as_deref().and_then(|provider| catalogue::find(provider, model));
    let quirks = endpoint.quirks_of(model);
    let destination = Destination {
        model,
        quirks: &quirks,
        max_output_tokens: known.and_then(|model| model.max_output_tokens).map(u64::from),
    };
    Some((endpoint.protocol, ledger::pair(caller, endpoint.protocol, &destination)))
}

/// A line for each set of routes that lose the same, for people.
pub(super) fn lines(translations: &[Translation<'_>]) -> Vec<String> {
    let mut by_route: BTreeMap<&str, BTreeMap<ProtocolId, BTreeSet<&str>>> = BTreeMap::new();
    for translation in translations {
        let lost = translation.entries.iter().filter(|entry| entry.fate().loses_meaning());
        let lost: BTreeSet<&str> = lost.map(|entry| entry.field.path).collect();
        for route in &translation.routes {
            by_route.entry(route).or_default().entry(translation.caller).or_default().extend(&lost);
        }
    }
    let mut by_line: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (route, callers) in by_route {
        let counts = callers
            .iter()
            .map(|(caller, lost)| format!("{} {} of {}", caller.fact(), lost.len(), ledger::fields(*caller).len()));
        by_line.entry(counts.collect::<Vec<_>>().join(", ")).or_default().push(route);
    }
    if by_line.is_empty() {
        return Vec::new();
    }
    let head = "losses   fields of a request that some target does not take in full (`--losses` names them)";
    let line = |(counts, routes): (String, Vec<&str>)| format!("         {}: {counts}", routes.join(", "));
    std::iter::once(head.to_owned()).chain(by_line.into_iter().map(line)).collect()
}

/// The whole list, for people.
pub(super) fn text(translations: &[Translation<'_>]) -> String {
    let mut text = String::new();
    for translation in translations {
        let Translation { caller, protocol, target, routes, entries } = translation;
        let _ = writeln!(text, "{} to {target} ({protocol}), by {}", caller.fact(), routes.join(", "));
        let mut reasons: BTreeMap<(Fate, String), Vec<&str>> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.fate() != Fate::Carried) {
            let reason = (entry.fate(), entry.reason().into_owned());
            reasons.entry(reason).or_default().push(entry.field.path);
        }
        for ((fate, reason), fields) in reasons.iter().rev() {
            let _ = writeln!(text, "  {:<9} {}: {reason}", fate.name(), fields.join(", "));
        }
    }
    text
}

/// The whole list, for programs.
pub(super) fn json(translations: &[Translation<'_>]) -> Value {
    let one = |translation: &Translation<'_>| {
        let entries = translation.entries.iter().map(|entry| {
            json!({
                "field": entry.field.path,
                "feature": entry.field.feature.name(),
                "fate": entry.fate(),
                "reason": entry.reason(),
            })
        });
        json!({
            "caller": translation.caller,
            "target": translation.target,
            "protocol": translation.protocol,
            "routes": translation.routes,
            "fields": entries.collect::<Vec<_>>(),
        })
    };
    translations.iter().map(one).collect()
}
