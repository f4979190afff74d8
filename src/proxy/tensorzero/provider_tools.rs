//! Tools that an upstream runs itself: `provider_tools` of a request, for the tries that their scopes fit.

use super::{Inference, names};
use crate::table::route::RouteNode;
use crate::table::tensorzero::Surface;
use crate::table::{Attempt, RoutingTable, TargetIdx};
use crate::wire::ProtocolId;
use crate::wire::ir::{Error, Tool, ToolKind};
use crate::wire::json::Ext;
use crate::wire::tensorzero::call::{Asked, Call};
use crate::wire::tensorzero::provider_tool::Scope;

/// A provider of a scope goes by its name here, which may be another than in a `tensorzero.toml`: a scope that could fit
/// nothing is refused, not left unread.
///
/// # Errors
/// A scope whose model is known, and has no such provider.
pub(super) fn check(call: &Call, surface: &Surface, table: &RoutingTable) -> Result<(), Error> {
    for Scope { model, provider } in call.provider_tools.iter().filter_map(|tool| tool.scope.as_ref()) {
        let Some(provider) = provider else { continue };
        let targets = targets_of_model(model, surface, table);
        let mut known: Vec<&str> = targets.iter().filter_map(|target| provider_of(*target, table)).collect();
        known.dedup();
        if !known.is_empty() && !known.contains(&provider.as_str()) {
            let known: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
            let message = format!(
                "`provider_tools` is for the provider `{provider}` of the model `{model}`, which has {} here; name one of these, or leave `provider_name` out",
                known.join(", ")
            );
            return Err(Error::invalid(message).with_param("provider_tools"));
        }
    }
    Ok(())
}

/// The tools that a try gets, as tools of its upstream's protocol.
///
/// # Errors
/// There are some, and the upstream's protocol has no place for them.
pub(super) fn fitting(
    inference: &Inference<'_>,
    attempt: &Attempt<'_>,
    protocol: ProtocolId,
) -> Result<Vec<Tool>, Error> {
    let all = inference.call.provider_tools.iter();
    let fit = all.filter(|tool| tool.scope.as_ref().is_none_or(|scope| holds(scope, inference, attempt)));
    let tools: Vec<Tool> = fit
        .map(|tool| {
            let kind = ToolKind::Opaque { origin: protocol, name: tool.name(), raw: tool.raw.clone() };
            Tool { kind, ext: Ext::default() }
        })
        .collect();
    if tools.is_empty() || matches!(protocol, ProtocolId::AnthropicMessages | ProtocolId::OpenAiResponses) {
        return Ok(tools);
    }
    let message = format!(
        "`{}` does not take `provider_tools`, which only upstreams of Anthropic Messages and of OpenAI Responses do; name the models that they are for in `scope`",
        attempt.name()
    );
    Err(Error::invalid(message).with_param("provider_tools"))
}

fn holds(scope: &Scope, inference: &Inference<'_>, attempt: &Attempt<'_>) -> bool {
    let of_model = match (&inference.call.asked, &inference.call.brought) {
        (Asked::Model(name) | Asked::EmbeddingModel(name), _) => *name == scope.model,
        (Asked::Function(_), Some(brought)) => brought.model == scope.model,
        (Asked::Function(_), None) => is_variants(&scope.model, inference, attempt),
    };
    of_model && scope.provider.as_deref().is_none_or(|provider| &*attempt.provider.name == provider)
}

/// Whether the variant of a try asks the model. Presets are expanded in routes, so both are known by the targets that they
/// lead to: a variant that leads to all the targets of a model, and to no others, is that model's. One that is no single
/// model's is that of each model all of whose targets it leads to.
fn is_variants(model: &str, inference: &Inference<'_>, attempt: &Attempt<'_>) -> bool {
    let (Some(function), Some(surface)) = (inference.function, inference.table.tensorzero.as_deref()) else {
        return false;
    };
    let Some(meaning) = function.variants.get(inference.variant(attempt).as_str()) else { return false };
    let table = inference.table;
    let (own, of_model) = (targets(meaning, table), targets_of_model(model, surface, table));
    if own == of_model {
        return !own.is_empty();
    }
    let is_a_models = || surface.models.values().any(|meaning| targets(meaning, table) == own);
    let within = || of_model.iter().all(|target| own.contains(target));
    of_model.contains(&attempt.leaf.target) && within() && !is_a_models()
}

fn targets_of_model(name: &str, surface: &Surface, table: &RoutingTable) -> Vec<TargetIdx> {
    names::model(name, surface).map(|meaning| targets(&meaning, table)).unwrap_or_default()
}

/// What a preset with its `@`, or a target, leads to.
fn targets(meaning: &str, table: &RoutingTable) -> Vec<TargetIdx> {
    let mut found = Vec::new();
    match meaning.strip_prefix('@') {
        Some(preset) => {
            if let Some(route) = table.presets.get(preset).and_then(|route| table.route(*route)) {
                collect(&route.node, &mut found);
            }
        }
        None => found.extend(table.models.get(meaning).copied().or_else(|| wildcard(meaning, table))),
    }
    found
}

fn wildcard(meaning: &str, table: &RoutingTable) -> Option<TargetIdx> {
    let (provider, _) = meaning.split_once('/')?;
    table.wildcards.get(table.provider_names.get(provider)?.0 as usize).copied()
}

fn collect(node: &RouteNode, found: &mut Vec<TargetIdx>) {
    if let RouteNode::Leaf(leaf) = node {
        found.push(leaf.target);
    }
    node.parts().for_each(|part| collect(part, found));
}

fn provider_of(target: TargetIdx, table: &RoutingTable) -> Option<&str> {
    table.provider(table.target(target)?.provider).map(|provider| &*provider.name)
}
