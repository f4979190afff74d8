//! The table as JSON, for programs.

use serde_json::{Map, Value, json};

use super::words::{duration, header, lane_word, operation, settings_words, watch};
use super::{condition, target_name, timezone};
use crate::provider::{Activation, HeaderText, Provider};
use crate::table::limits::Resource;
use crate::table::{Lane, ProviderIdx, RouteNode, RoutingTable, RuleOutcome, SettingsIdx};
use crate::wire::{Operation, ProtocolId};

/// The whole table. Secrets are references.
pub fn json(table: &RoutingTable) -> Value {
    let mut whole = parts(table);
    if let (Some(surface), Some(members)) = (&table.tensorzero, whole.as_object_mut()) {
        members.insert("tensorzero".to_owned(), super::tensorzero::json(surface));
    }
    if let (Some(otlp), Some(members)) = (&table.otlp, whole.as_object_mut()) {
        members.insert("telemetry".to_owned(), json!({ "otlp": super::words::otlp(otlp) }));
    }
    if let (false, Some(members)) = (table.redact.is_empty(), whole.as_object_mut()) {
        let patterns: Vec<String> = table.redact.iter().map(ToString::to_string).collect();
        members.insert("redact".to_owned(), json!(patterns));
    }
    if let (true, Some(members)) = (table.forgets, whole.as_object_mut()) {
        members.insert("recent".to_owned(), json!(false));
    }
    if let (Some(log), Some(members)) = (&table.access_log, whole.as_object_mut()) {
        let log = json!({ "to": log.to.text(), "format": log.format.word(), "facts": log.facts.word() });
        members.insert("access_log".to_owned(), log);
    }
    whole
}

fn parts(table: &RoutingTable) -> Value {
    let presets: Map<String, Value> = (table.presets.iter())
        .filter_map(|(name, index)| Some((name.to_string(), route(table, &table.route(*index)?.node))))
        .collect();
    json!({
        "id": table.id,
        "listen": table.listen.to_string(),
        "timezone": timezone(table.utc_offset),
        "allow_request_routing": table.allow_request_routing,
        "allow_explain": table.allow_explain,
        "limits": {
            "body": table.limits.body,
            "connections": table.limits.connections,
            "drain": duration(table.limits.drain),
        },
        "rate_limits": table.rate_limits.iter().map(|limit| json!({
            "name": limit.name,
            "scope": limit.scope_words(),
            "priority": limit.priority,
            "unpriced": (limit.unpriced > 0).then(|| Resource::Cost.amount(limit.unpriced)),
            "rates": limit.rates.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "responses": {
            "ttl": duration(table.kept.ttl),
            "entries": table.kept.entries,
            "memory": table.kept.memory,
        },
        "cache": {
            "enabled": table.cache.enabled,
            "ttl": duration(table.cache.ttl),
            "memory": table.cache.memory,
        },
        "files": { "provider": table.files.provider, "keys": table.files.keys },
        "reload": {
            "watch": watch(table.reload.watch),
            "poll_interval": duration(table.reload.poll_interval),
            "allow_shrink": table.reload.allow_shrink,
        },
        "keys": table.keys.iter().map(|key| json!({
            "id": key.id,
            "key": key.secret.to_string(),
            "expires": key.expires.as_ref().map(|expiry| &expiry.text),
            "disabled": key.disabled,
            "attributes": key.attributes,
            "allow_request_routing": key.allow_request_routing,
            "allow_explain": key.allow_explain,
            "admin": key.admin,
        })).collect::<Vec<_>>(),
        "providers": (0..).map(ProviderIdx).zip(&table.providers)
            .map(|(index, one)| provider(table, index, one)).collect::<Vec<_>>(),
        "inactive": table.inactive,
        "presets": presets,
        "rules": (1u32..).zip(&table.rules).map(|(number, rule)| json!({
            "number": number,
            "line": rule.line,
            "when": condition(rule),
            "text": rule.text,
            "then": match rule.then {
                RuleOutcome::AsRequested => json!("as_requested"),
                RuleOutcome::Route(index) => table.route(index).map_or(Value::Null, |one| json!({
                    "name": one.name,
                    "route": route(table, &one.node),
                })),
            },
        })).collect::<Vec<_>>(),
    })
}

fn provider(table: &RoutingTable, index: ProviderIdx, provider: &Provider) -> Value {
    let wildcard = table.wildcards.get(index.0 as usize).and_then(|index| table.target(*index));
    let lanes: Map<String, Value> = wildcard.map_or_else(Map::new, |target| {
        let lanes = Operation::ALL.into_iter().filter(|one| !one.is_of_kept()).map(|one| {
            let by_caller =
                ProtocolId::ALL.map(|caller| (caller.fact().to_owned(), lane(target.lanes.get(caller, one))));
            (operation(one, false).to_owned(), Value::Object(by_caller.into_iter().collect()))
        });
        lanes.collect()
    });
    json!({
        "name": provider.name,
        "title": provider.title,
        "known": provider.known,
        "activation": match &provider.activation {
            Activation::File => json!("file"),
            Activation::Environment(name) => json!({ "environment": name }),
            Activation::Always => json!("always"),
        },
        "keys": provider.key_references(),
        "endpoints": provider.endpoints.iter().map(|endpoint| json!({
            "protocol": endpoint.protocol.name(),
            "base_url": endpoint.base_url.to_string(),
            "auth": endpoint.auth.to_string(),
            "answers": endpoint.output_plan("*").map(|plan| plan.words()),
            "models": endpoint.models.patterns(),
            "hosting": endpoint.hosting.name(),
            "headers": endpoint.headers.iter().map(|(name, value)| (name.to_string(), match value {
                HeaderText::Literal(value) => json!(header(name, value)),
                HeaderText::Secret(secret) => json!(secret.to_string()),
            })).collect::<Map<String, Value>>(),
        })).collect::<Vec<_>>(),
        "lanes": lanes,
        "models": provider.models,
    })
}

/// A lane: its word, or the reason why there is none.
pub(in crate::table) fn lane(lane: &Lane) -> Value {
    match lane {
        Lane::Passthrough { .. } | Lane::Translate { .. } => json!(lane_word(lane)),
        Lane::Refused(why) => json!({ "refused": why }),
    }
}

fn route(table: &RoutingTable, node: &RouteNode) -> Value {
    match node {
        RouteNode::Leaf(leaf) => json!({
            "target": table.target(leaf.target).map(|target| target_name(table, target)),
            "settings": settings(table, leaf.settings),
        }),
        RouteNode::Fallback(members) => {
            json!({ "fallback": members.iter().map(|member| route(table, member)).collect::<Vec<_>>() })
        }
        RouteNode::Split { arms, sticky, .. } => json!({
            "split": arms.iter().map(|(weight, arm)| json!({ "weight": number(*weight), "route": route(table, arm) })).collect::<Vec<_>>(),
            "sticky": sticky.as_ref().map(ToString::to_string),
        }),
        RouteNode::Choose { by, members } => json!({
            by.choice().name(): members.iter().map(|member| route(table, member)).collect::<Vec<_>>(),
        }),
        RouteNode::Hedge { first, second, after } => json!({
            "hedge": [route(table, first), route(table, second)],
            "after_ms": after.as_millis(),
        }),
        RouteNode::Shadow { main, mirror, sample } => json!({
            "shadow": route(table, main),
            "mirror": route(table, mirror),
            "sample_percent": f64::from(*sample) / 100.0,
        }),
        RouteNode::AsRequested(index) => json!({ "as_requested": { "settings": settings(table, *index) } }),
        RouteNode::Deny { status, text } => json!({ "deny": { "status": status, "text": text } }),
    }
}

/// Whole numbers without a fraction.
fn number(weight: f64) -> Value {
    if weight.fract() == 0.0 { json!(weight as u64) } else { json!(weight) }
}

fn settings(table: &RoutingTable, index: SettingsIdx) -> Vec<String> {
    match (table.settings(index), table.settings(SettingsIdx::BASE)) {
        (Some(settings), Some(base)) => settings_words(settings, base),
        _ => Vec::new(),
    }
}
