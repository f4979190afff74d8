//! The table as text and as JSON: stable, complete, without secrets. `explain --table`, the snapshots, the comparison of
//! two tables and the table's id all come from here.

mod json;
mod tensorzero;
mod words;

use std::fmt::Write as _;

pub use json::json;
pub use words::{lane_word, settings_words};

use super::{CacheLimits, Lane, ProviderIdx, Route, RouteNode, RoutingTable, Rule, RuleOutcome, SettingsIdx, Target};
use crate::provider::{AuthScheme, Endpoint, HeaderText, Provider, Transport};
use crate::rule::ast::PresetName;
use crate::rule::predicate::{Predicate, Quoted};
use crate::rule::strategies::{After, Sample};
use crate::wire::hosting::Hosting;
use crate::wire::{Operation, ProtocolId};

/// A part of the table that people know by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub kind: ItemKind,
    pub id: String,
    /// Everything about it, one line a statement.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// What belongs to no name: `listen`, `limits`, `responses`, `defaults`, `reload`.
    Setting,
    Key,
    Provider,
    Preset,
    Rule,
}

impl ItemKind {
    pub fn name(self) -> &'static str {
        match self {
            ItemKind::Setting => "setting",
            ItemKind::Key => "key",
            ItemKind::Provider => "provider",
            ItemKind::Preset => "preset",
            ItemKind::Rule => "rule",
        }
    }
}

/// BLAKE3 of the dump, hex.
pub fn id(table: &RoutingTable) -> Box<str> {
    blake3::hash(text(table).as_bytes()).to_hex().as_str().into()
}

/// The whole table.
pub fn text(table: &RoutingTable) -> String {
    let mut out = String::new();
    let mut before = None;
    for item in items(table) {
        if before.is_some_and(|before| before != item.kind) {
            out.push('\n');
        }
        before = Some(item.kind);
        let mut lines = item.text.lines();
        let first = lines.next().unwrap_or("");
        let _ = match item.kind {
            ItemKind::Setting => writeln!(out, "{} {first}", item.id),
            kind => writeln!(out, "{} {}: {first}", kind.name(), item.id),
        };
        for line in lines {
            let _ = writeln!(out, "  {line}");
        }
    }
    out
}

/// The parts of the table, in its order.
pub fn items(table: &RoutingTable) -> Vec<Item> {
    let setting = |id: &str, text: String| Item { kind: ItemKind::Setting, id: id.to_owned(), text };
    let mut items = vec![
        setting("listen", table.listen.to_string()),
        setting("timezone", timezone(table.utc_offset)),
        setting("limits", words::limits(&table.limits)),
        setting("responses", words::kept(&table.kept)),
        setting("reload", words::reload(&table.reload)),
        setting("defaults", words::defaults(table)),
    ];
    items.extend(
        table.rate_limits.iter().map(|limit| setting(&format!("rate_limit {}", limit.name), words::rate_limit(limit))),
    );
    if table.cache != CacheLimits::default() {
        items.push(setting("cache", words::cache(&table.cache)));
    }
    items.extend(table.forgets.then(|| setting("recent", "off".to_owned())));
    items.extend(table.otlp.iter().map(|otlp| setting("telemetry", words::otlp(otlp))));
    items.extend(table.redact.iter().map(|pattern| setting("redact", pattern.to_string())));
    items.extend(table.access_log.iter().map(|log| setting("access_log", words::access_log(log))));
    items.extend(table.tensorzero.iter().flat_map(|surface| tensorzero::items(surface)));
    items.extend(words::files(&table.files).map(|text| setting("files", text)));
    if table.allow_request_routing {
        items.push(setting("allow_request_routing", "yes".to_owned()));
    }
    let explain = table.allow_explain.map(|allowed| if allowed { "yes" } else { "no" });
    items.extend(explain.map(|word| setting("allow_explain", word.to_owned())));
    items.extend(table.keys.iter().map(|key| Item {
        kind: ItemKind::Key,
        id: key.id.to_string(),
        text: words::key(key),
    }));
    items.extend((0..).map(ProviderIdx).zip(&table.providers).map(|(index, provider)| Item {
        kind: ItemKind::Provider,
        id: provider.name.to_string(),
        text: provider_text(table, index, provider),
    }));
    let presets = table.presets.iter().filter_map(|(name, index)| Some((name, table.route(*index)?)));
    items.extend(presets.map(|(name, route)| Item {
        kind: ItemKind::Preset,
        id: PresetName(name).to_string(),
        text: route_text(table, &route.node),
    }));
    items.extend((1..).zip(&table.rules).map(|(number, rule)| Item {
        kind: ItemKind::Rule,
        id: format!("{number}"),
        text: rule_text(table, rule),
    }));
    items
}

// === providers

/// How a provider is asked, without the models that it lists and what follows from these: a line a statement.
pub fn provider_way(table: &RoutingTable, index: ProviderIdx) -> String {
    let Some(provider) = table.provider(index) else { return String::new() };
    let text = provider_text(table, index, provider);
    let text = text.strip_prefix(&*provider.title).unwrap_or(&text).trim_start_matches(", ");
    let lines =
        text.lines().filter(|line| !["models ", "answers", "prices of "].iter().any(|mark| line.starts_with(mark)));
    lines.collect::<Vec<_>>().join("\n")
}

fn provider_text(table: &RoutingTable, index: ProviderIdx, provider: &Provider) -> String {
    let mut out = provider.title.to_string();
    match &*provider.key_references() {
        [] if provider.identity.is_some() => out.push_str(&words::identity(provider)),
        [] => out.push_str(if provider.key_required { ", no key" } else { ", needs no key" }),
        keys => {
            let _ = write!(out, ", {}", keys.join(", "));
        }
    }
    if provider.transport == Transport::Demo {
        out.push_str(", in process");
    }
    for endpoint in &provider.endpoints {
        let _ = write!(out, "\n{}", endpoint_text(endpoint, provider.transport));
    }
    let wildcard = table.wildcards.get(index.0 as usize).and_then(|index| table.target(*index));
    if let Some(target) = wildcard {
        out.push_str(&lanes_text(target));
    }
    out.push_str(&outputs_text(provider));
    if !provider.models.is_empty() {
        let _ = write!(out, "\nmodels {}", words::models(&provider.models));
    }
    for (pattern, prices) in &provider.prices {
        let _ = write!(out, "\nprices of {pattern}: {}", words::prices(prices));
    }
    if !provider.include_usage {
        out.push_str("\nusage of streams only where the caller asks");
    }
    out
}

fn endpoint_text(endpoint: &Endpoint, transport: Transport) -> String {
    let mut out = endpoint.protocol.to_string();
    if transport == Transport::Http {
        let _ = write!(out, " at {}", endpoint.base_url);
    }
    match &endpoint.auth {
        AuthScheme::Bearer => out.push_str(", bearer"),
        AuthScheme::Header(name) => {
            let _ = write!(out, ", key in `{name}`");
        }
        AuthScheme::AwsSigV4(scope) => {
            let _ = write!(out, ", signed for `{}` in `{}`", scope.service, scope.region);
        }
        AuthScheme::GoogleOauth | AuthScheme::AzureEntra => out.push_str(", access token"),
        AuthScheme::None => {}
        AuthScheme::Unsupported(_) => out.push_str(", unusable"),
    }
    if endpoint.hosting != Hosting::Own {
        let _ = write!(out, ", hosted by {}", endpoint.hosting);
    }
    if let Some(betas) = &endpoint.betas {
        let betas: Vec<String> = betas.iter().map(ToString::to_string).collect();
        let _ = write!(out, ", betas {}", if betas.is_empty() { "none".to_owned() } else { betas.join(" ") });
    }
    for (operation, stream, path) in &endpoint.paths {
        let operation = words::operation(*operation, *stream);
        let _ = match path {
            Some(path) => write!(out, ", {operation} at {path}"),
            None => write!(out, ", no {operation}"),
        };
    }
    let calls = Operation::ALL.into_iter().filter(|one| one.relayed().is_some() && !one.is_of_kept());
    if endpoint.operations.iter().copied().eq(calls) {
        out.push_str(", also all that is relayed");
    } else if !endpoint.operations.is_empty() {
        let names: Vec<&str> = endpoint.operations.iter().map(|operation| operation.name()).collect();
        let _ = write!(out, ", also {}", names.join(" "));
    }
    for (name, value) in &endpoint.headers {
        let value = match value {
            HeaderText::Literal(value) => words::header(name, value),
            HeaderText::Secret(secret) => secret.to_string(),
        };
        let _ = write!(out, ", {name}: {value}");
    }
    if !endpoint.models.is_all() {
        let _ = write!(out, ", for models {}", endpoint.models.patterns().join(" "));
    }
    let quirks = words::quirks(&endpoint.quirks);
    if !quirks.is_empty() {
        let _ = write!(out, ", quirks {}", quirks.join(" "));
    }
    for (pattern, quirks) in &endpoint.model_quirks {
        let _ = write!(out, ", quirks of {pattern} {}", words::quirks(quirks).join(" "));
    }
    out
}

/// Lanes of the operations that the provider has for somebody, for the callers that this build understands.
fn lanes_text(target: &Target) -> String {
    let mut out = String::new();
    let callers =
        || ProtocolId::ALL.into_iter().filter(|caller| caller.codec().and_then(|codec| codec.inbound()).is_some());
    for operation in Operation::ALL.into_iter().filter(|operation| operation.relayed().is_none()) {
        // Only its inventor's callers know it, and only upstreams of theirs have it.
        if operation == Operation::Compact {
            continue;
        }
        let lanes: Vec<(ProtocolId, &Lane)> =
            callers().map(|caller| (caller, target.lanes.get(caller, operation))).collect();
        if operation != Operation::Generate && lanes.iter().all(|(_, lane)| matches!(lane, Lane::Refused(_))) {
            continue;
        }
        let words: Vec<String> =
            lanes.iter().map(|(caller, lane)| format!("{} {}", caller.fact(), lane_word(lane))).collect();
        let _ = write!(out, "\n{}: {}", words::operation(operation, false), words.join(", "));
        if let Some((_, Lane::Refused(why))) = lanes.iter().find(|(_, lane)| matches!(lane, Lane::Refused(_))) {
            let _ = write!(out, " ({why})");
        }
    }
    out
}

/// How answers of a given form are obtained: of most models, and of the listed ones that differ.
fn outputs_text(provider: &Provider) -> String {
    let mut out = String::new();
    for endpoint in &provider.endpoints {
        let Some(usual) = endpoint.output_plan("*") else { continue };
        let over = match provider.endpoints.len() {
            0 | 1 => String::new(),
            _ => format!(" over {}", endpoint.protocol.fact()),
        };
        let _ = write!(out, "\nanswers{over}: {}", usual.words());
        let usual = usual.words();
        let mut others: Vec<(String, Vec<Box<str>>)> = Vec::new();
        for model in &provider.models {
            let plan = endpoint.output_plan(model).map(|plan| plan.words());
            let Some(plan) = plan.filter(|plan| *plan != usual) else { continue };
            match others.iter_mut().find(|(known, _)| *known == plan) {
                Some((_, models)) => models.push(model.clone()),
                None => others.push((plan, vec![model.clone()])),
            }
        }
        for (plan, models) in others {
            let _ = write!(out, "\nanswers{over} of {}: {plan}", words::models(&models));
        }
    }
    out
}

// === routes and rules

fn rule_text(table: &RoutingTable, rule: &Rule) -> String {
    match rule.then {
        RuleOutcome::AsRequested => rule.text.to_string(),
        RuleOutcome::Route(index) => match table.route(index) {
            // A preset's route stands at the preset, and a single target in the rule itself.
            Some(Route { name, node }) if !name.starts_with('@') && node.parts().next().is_some() => {
                format!("{}\n{}", rule.text, route_text(table, node))
            }
            _ => rule.text.to_string(),
        },
    }
}

/// The condition of a rule as it identifies the rule in comparisons.
pub(super) fn condition(rule: &Rule) -> String {
    match &rule.when {
        Predicate::Always => "otherwise".to_owned(),
        when => format!("when {when}"),
    }
}

/// A route, one target a line, each with the settings it has beyond the defaults.
pub fn route_text(table: &RoutingTable, node: &RouteNode) -> String {
    let mut lines = Vec::new();
    route_lines(table, node, 0, "", &mut lines);
    lines.join("\n")
}

fn route_lines(table: &RoutingTable, node: &RouteNode, depth: usize, lead: &str, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match node {
        RouteNode::Leaf(leaf) => {
            let name = table.target(leaf.target).map(|target| target_name(table, target)).unwrap_or_default();
            lines.push(format!("{indent}{lead}{name}{}", with_settings(table, leaf.settings)));
        }
        RouteNode::Fallback(members) => {
            for (at, member) in members.iter().enumerate() {
                let lead = if at == 0 { lead } else { "> " };
                route_lines(table, member, depth, lead, lines);
            }
        }
        RouteNode::Split { arms, sticky, .. } => {
            let sticky = sticky.as_ref().map_or(String::new(), |fact| format!(" sticky {fact}"));
            lines.push(format!("{indent}{lead}split{sticky}"));
            for (weight, arm) in arms {
                route_lines(table, arm, depth + 1, &format!("{weight} "), lines);
            }
        }
        RouteNode::Choose { by, members } => {
            lines.push(format!("{indent}{lead}{}", by.choice().name()));
            members.iter().for_each(|member| route_lines(table, member, depth + 1, "", lines));
        }
        RouteNode::Hedge { first, second, after } => {
            lines.push(format!("{indent}{lead}hedge after {}", After(*after)));
            [first, second].iter().for_each(|member| route_lines(table, member, depth + 1, "", lines));
        }
        RouteNode::Shadow { main, mirror, sample } => {
            lines.push(format!("{indent}{lead}shadow sample {}", Sample(*sample)));
            route_lines(table, main, depth + 1, "", lines);
            route_lines(table, mirror, depth + 1, "mirror ", lines);
        }
        RouteNode::AsRequested(settings) => {
            lines.push(format!("{indent}{lead}as requested{}", with_settings(table, *settings)));
        }
        RouteNode::Deny { status, text } => {
            let text = text.as_ref().map_or(String::new(), |text| format!(" {}", Quoted(text)));
            lines.push(format!("{indent}{lead}deny {status}{text}"));
        }
    }
}

/// `provider/model`, `provider/*` for a wildcard.
pub fn target_name(table: &RoutingTable, target: &Target) -> String {
    let provider = table.provider(target.provider).map_or("", |provider| &provider.name);
    format!("{provider}/{}", target.model.as_deref().unwrap_or("*"))
}

/// `UTC+02:00`.
fn timezone(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    format!("UTC{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
}

fn with_settings(table: &RoutingTable, index: SettingsIdx) -> String {
    let (Some(settings), Some(base)) = (table.settings(index), table.settings(SettingsIdx::BASE)) else {
        return String::new();
    };
    let words = settings_words(settings, base);
    if words.is_empty() { String::new() } else { format!(" with {}", words.join(", ")) }
}
