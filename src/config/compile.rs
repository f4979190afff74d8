//! The last step: everything together is the table.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

use super::decode::texts::parse_offset;
use super::document::{Document, LiteralSecret, PresetEntry, ProviderEntry, RouteText};
use super::expand::{self, Secrets};
use super::layer::Layers;
use super::own_tests::{self, World};
use super::resolve::{self, NamedRoute, Names};
use super::routes::{self, Expander, PresetRoute, Targets};
use super::rules::{self, ReadRule};
use super::{
    Env, Files, Proof, Templates, Tests, check, output, own_address, prove, rate_limits, telemetry, tensorzero,
};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::rule::ast::{Expression, PresetName};
use crate::rule::predicate::Predicate;
use crate::rule::{TextFact, parse};
use crate::source::{SourceMap, Span, Spanned};
use crate::table::index::RuleIndex;
use crate::table::{ProviderIdx, Route, RouteIdx, RouteNode, RoutingTable, Rule, RuleOutcome, SettingsIdx, TargetIdx};

/// What the compilation of a document needs besides the document.
pub struct Context<'c> {
    /// Known providers, in their order.
    pub known: &'c [ProviderEntry],
    /// Where to listen, instead of what the file says.
    pub listen: Option<SocketAddr>,
    pub env: &'c Env,
    pub files: &'c dyn Files,
    pub templates: &'c Templates,
    pub sources: &'c SourceMap,
    pub tests: Tests,
}

/// Compiles `document`. The table is there unless an error was reported; the secrets that the file itself holds are kept
/// apart from it.
pub fn document(
    document: &Document,
    context: &Context<'_>,
    diagnostics: &mut Diagnostics,
) -> (Option<RoutingTable>, Vec<LiteralSecret>, Proof) {
    let mut secrets = Secrets { env: context.env, literals: Vec::new() };
    let (written, conditions) = Written::read(document, context.sources, diagnostics);
    let table = table(document, (&written, conditions), context, &mut secrets, diagnostics)
        .filter(|_| !diagnostics.has_errors());
    let mut proof = Proof::default();
    if let Some(table) = &table {
        if let Tests::Run(carry) = context.tests {
            own_tests::run(document, &World { table, files: context.files, carry }, diagnostics);
        }
        proof = prove::file(
            &prove::File { document, expressions: &written.expressions, rules: &written.rules, table },
            diagnostics,
        );
    }
    let table = table.filter(|_| !diagnostics.has_errors());
    (table, secrets.literals, proof)
}

/// The expressions and rules of the file, read but not resolved. The conditions of the rules need nothing resolved: they
/// are apart, and go into the table as they are.
struct Written {
    /// Of the presets, in their order; `None` where one cannot be read.
    expressions: Vec<Option<Expression>>,
    rules: Vec<ReadRule>,
}

impl Written {
    fn read(document: &Document, sources: &SourceMap, diagnostics: &mut Diagnostics) -> (Written, Vec<Predicate>) {
        let expressions = document.presets.iter().map(|entry| expression(entry, diagnostics)).collect();
        let (rules, conditions) = rules::read(document.rules.as_ref(), sources, diagnostics);
        (Written { expressions, rules }, conditions)
    }
}

fn table(
    document: &Document,
    (written, conditions): (&Written, Vec<Predicate>),
    context: &Context<'_>,
    secrets: &mut Secrets<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<RoutingTable> {
    let Written { expressions, rules } = written;
    let mut mentioned = mentioned(document, expressions, rules);
    if let Some(provider) = document.files.as_ref().and_then(|files| files.default_provider.as_ref()) {
        mentioned.entry(&provider.value).or_insert(provider.span);
    }
    let expand::Expansion { providers, inactive } =
        expand::providers(document, context.known, &mentioned, secrets, diagnostics);

    let listen = context.listen.or(check::listen(document, diagnostics));
    if let Some(listen) = listen {
        own_address::check(document, context.known, &providers, listen, context.env, diagnostics);
    }
    let keys = check::keys(&document.keys, secrets, diagnostics);
    let limits = check::limits(document.limits.as_ref(), diagnostics);
    let rate_limits = rate_limits::read(&document.rate_limits, &document.keys, diagnostics);
    let collector = document.telemetry.as_ref().and_then(|telemetry| telemetry.otlp.as_ref());
    let otlp = telemetry::otlp(collector, secrets, diagnostics);
    let redact = document.telemetry.as_ref().map_or(&[][..], |telemetry| &telemetry.redact);
    let redact = telemetry::redact(redact, diagnostics);
    let access_log = telemetry::access_log(document.access_log.as_ref(), diagnostics);
    let kept = check::kept(document.responses.as_ref(), diagnostics);
    let cache = check::cache(document.cache.as_ref(), diagnostics);
    let provider_names =
        document.providers.iter().chain(context.known).map(|entry| entry.name.value.as_str()).collect();
    let files = check::files(document.files.as_ref(), &document.keys, &provider_names, diagnostics);
    let mut layers = Layers::new(document, diagnostics);
    let settings: Vec<SettingsIdx> =
        document.presets.iter().map(|entry| layers.add(entry, context.files, context.templates, diagnostics)).collect();

    let written = expressions.iter().flatten().chain(rules.iter().map(|rule| &rule.then));
    let presets = document.presets.iter().zip(expressions).map(|(entry, expression)| (entry, expression.as_ref()));
    output::warn_of_no_fallback(presets, written, diagnostics);
    check_names(document, context.known, expressions, rules, diagnostics);
    let surface = tensorzero::surface(document, context.files, diagnostics);
    if diagnostics.has_errors() {
        return None;
    }

    let presets = preset_routes(&document.presets, expressions, &settings);
    let mut expander = Expander::new(presets, Targets::new(&providers), layers);
    let mut arena = routes(&mut expander, (rules, conditions), diagnostics)?;
    let nested = nested(&arena, &mut expander.layers, diagnostics)?;
    let models = models(&mut expander.targets);
    let Expander { targets, layers, turns, .. } = expander;
    let (targets, wildcards) = targets.finish();
    let mut table = RoutingTable {
        id: "".into(),
        listen: listen?,
        keys,
        // The decoder lets no other text through.
        allow_explain: document.allow_explain.as_ref().map(|allowed| allowed.value),
        allow_request_routing: document.allow_request_routing.as_ref().is_some_and(|allowed| allowed.value),
        utc_offset: document.timezone.as_ref().and_then(|zone| parse_offset(&zone.value)).unwrap_or_default(),
        limits,
        rate_limits,
        kept,
        cache,
        tensorzero: surface.map(Box::new),
        files,
        reload: check::reload(document.reload.as_ref()),
        access_log,
        otlp,
        redact,
        forgets: document.telemetry.as_ref().and_then(|telemetry| telemetry.recent).is_some_and(|recent| !recent.value),
        provider_names: (0..).map(ProviderIdx).zip(&providers).map(|(index, p)| (p.name.clone(), index)).collect(),
        providers: providers.into(),
        targets,
        settings: layers.finish(),
        routes: std::mem::take(&mut arena.routes).into(),
        presets: arena.presets,
        models: models.unique,
        ambiguous: models.ambiguous,
        wildcards,
        inactive,
        nested,
        turns: turns.into(),
        rule_index: RuleIndex::new(&arena.rules),
        rules: arena.rules.into(),
    };
    table.id = crate::table::dump::id(&table);
    Some(table)
}

// === expressions and names

fn expression(entry: &PresetEntry, diagnostics: &mut Diagnostics) -> Option<Expression> {
    match &entry.route {
        Some(RouteText::Expression(text)) => parse::route(&text.text, &|range| text.span_of(range), diagnostics),
        Some(RouteText::List(list)) => {
            let members: Vec<Option<Expression>> =
                list.iter().map(|text| parse::route(&text.text, &|range| text.span_of(range), diagnostics)).collect();
            members.into_iter().collect::<Option<Vec<_>>>().map(Expression::Fallback)
        }
        None => {
            if !entry.faulty {
                let name = &entry.name;
                diagnostics.push(
                    Diagnostic::new(Code::PresetWithoutRoute, format!("the preset `{}` has no `route`", name.value))
                        .label(name.span, "leads nowhere")
                        .help("write `route: provider/model`, or `route: as requested` for settings alone"),
                );
            }
            None
        }
    }
}

/// Providers that targets name, with the first place of each.
fn mentioned<'e>(
    document: &'e Document,
    expressions: &'e [Option<Expression>],
    rules: &'e [ReadRule],
) -> BTreeMap<&'e str, Span> {
    let mut mentioned = BTreeMap::new();
    for name in tensorzero::targets(document) {
        if let Some((provider, _)) = resolve::split_target(&name.value) {
            mentioned.entry(provider).or_insert(name.span);
        }
    }
    for expression in expressions.iter().flatten().chain(rules.iter().map(|rule| &rule.then)) {
        resolve::targets(expression, &mut |name| {
            if let Some((provider, _)) = resolve::split_target(&name.value) {
                mentioned.entry(provider).or_insert(name.span);
            }
        });
    }
    mentioned
}

fn check_names(
    document: &Document,
    known: &[ProviderEntry],
    expressions: &[Option<Expression>],
    rules: &[ReadRule],
    diagnostics: &mut Diagnostics,
) {
    const SUGGESTIONS: u32 = 200;
    let listed = document.providers.iter().flat_map(|entry| {
        let models = entry.models.iter().flatten();
        models.map(|model| (model.value.as_str(), format!("{}/{}", entry.name.value, model.value)))
    });
    let mut names = Names {
        providers: document.providers.iter().chain(known).map(|entry| entry.name.value.as_str()).collect(),
        presets: (document.presets.iter().enumerate())
            .map(|(index, entry)| (entry.name.value.as_str(), (index, entry.name.span)))
            .collect(),
        models: listed.collect(),
        suggestions: SUGGESTIONS,
    };
    for expression in expressions.iter().flatten().chain(rules.iter().map(|rule| &rule.then)) {
        names.check(expression, diagnostics);
    }
    for target in tensorzero::targets(document).filter(|target| resolve::split_target(&target.value).is_some()) {
        names.check(&Expression::Target(target.clone()), diagnostics);
    }
    let routes: Vec<NamedRoute<'_>> = (document.presets.iter().zip(expressions))
        .map(|(entry, expression)| NamedRoute { name: &entry.name, expression: expression.as_ref() })
        .collect();
    resolve::check_cycles(&routes, &names, diagnostics);
}

// === routes

fn preset_routes<'d>(
    entries: &'d [PresetEntry],
    expressions: &'d [Option<Expression>],
    settings: &[SettingsIdx],
) -> Vec<PresetRoute<'d>> {
    let parts = entries.iter().zip(expressions).zip(settings);
    let routes = parts.filter_map(|((entry, expression), settings)| {
        Some(PresetRoute {
            name: &entry.name,
            expression: expression.as_ref()?,
            settings: *settings,
            sticky: entry.sticky.as_ref().and_then(sticky),
        })
    });
    routes.collect()
}

/// The decoder lets no other text through.
fn sticky(written: &Spanned<String>) -> Option<TextFact> {
    match written.value.as_str() {
        "user" => Some(TextFact::User),
        "session" => Some(TextFact::Session),
        "episode" => Some(TextFact::Episode),
        other => other.strip_prefix("header:").map(|name| TextFact::Header(name.trim().to_ascii_lowercase().into())),
    }
}

/// Routes of presets, then of rules.
struct Arena {
    routes: Vec<Route>,
    presets: BTreeMap<Box<str>, RouteIdx>,
    rules: Vec<Rule>,
}

impl Arena {
    fn push(&mut self, name: String, node: RouteNode) -> RouteIdx {
        self.routes.push(Route { name: name.into(), node });
        RouteIdx(u32::try_from(self.routes.len() - 1).unwrap_or(u32::MAX))
    }
}

fn routes(
    expander: &mut Expander<'_, '_>,
    (rules, conditions): (&[ReadRule], Vec<Predicate>),
    diagnostics: &mut Diagnostics,
) -> Option<Arena> {
    let mut arena = Arena { routes: Vec::new(), presets: BTreeMap::new(), rules: Vec::with_capacity(rules.len()) };
    let mut complete = Some(());
    for index in 0..expander.presets.len() {
        let Some(name) = expander.presets.get(index).map(|preset| preset.name.value.clone()) else { continue };
        match expander.preset(index, diagnostics) {
            Some(node) => {
                let route = arena.push(PresetName(&name).to_string(), node);
                arena.presets.insert(name.into(), route);
            }
            None => complete = None,
        }
    }
    complete?;
    for ((rule, when), number) in rules.iter().zip(conditions).zip(1..) {
        match outcome(rule, number, expander, &mut arena, diagnostics) {
            Some(then) => {
                let text = rule_text(&when, &rule.then).into();
                arena.rules.push(Rule { when, then, text, line: rule.line });
            }
            None => complete = None,
        }
    }
    complete.map(|()| arena)
}

fn outcome(
    rule: &ReadRule,
    number: u32,
    expander: &mut Expander<'_, '_>,
    arena: &mut Arena,
    diagnostics: &mut Diagnostics,
) -> Option<RuleOutcome> {
    match &rule.then {
        Expression::AsRequested(_) => Some(RuleOutcome::AsRequested),
        // A preset's own route, not a copy of it.
        Expression::Preset(name) => arena.presets.get(name.value.as_str()).copied().map(RuleOutcome::Route),
        expression => {
            let name = format!("rule {number}");
            let node = expander.rule(expression, &name, rule.when_span, diagnostics)?;
            Some(RuleOutcome::Route(arena.push(name, node)))
        }
    }
}

/// The rule in canonical form.
fn rule_text(when: &Predicate, then: &Expression) -> String {
    match when {
        Predicate::Always => format!("otherwise -> {then}"),
        when => format!("when {when} -> {then}"),
    }
}

/// Settings of every `as requested` around those of every preset that a caller may name.
fn nested(
    arena: &Arena,
    layers: &mut Layers,
    diagnostics: &mut Diagnostics,
) -> Option<BTreeMap<(SettingsIdx, SettingsIdx), SettingsIdx>> {
    const MOST: usize = 20_000;
    let (requested, _) = routes::settings_of(arena.routes.iter().map(|route| &route.node));
    let named = arena.presets.values().filter_map(|index| arena.routes.get(index.0 as usize));
    let (_, inner) = routes::settings_of(named.map(|route| &route.node));
    if requested.len().saturating_mul(inner.len()).saturating_add(layers.len()) > MOST {
        diagnostics.push(
            Diagnostic::new(Code::RouteTooLarge, "`as requested` with settings meets too many presets with settings")
                .help("have fewer presets with both `as requested` and settings"),
        );
        return None;
    }
    let mut nested = BTreeMap::new();
    // In order, so that equal files give equal tables.
    let order = |set: HashSet<SettingsIdx>| {
        let mut list: Vec<SettingsIdx> = set.into_iter().collect();
        list.sort_unstable();
        list
    };
    let inner = order(inner);
    for outer in order(requested) {
        for inner in &inner {
            nested.insert((outer, *inner), layers.combine(outer, *inner));
        }
    }
    Some(nested)
}

// === models

/// What names of models mean.
struct Models {
    unique: BTreeMap<Box<str>, TargetIdx>,
    ambiguous: BTreeMap<Box<str>, Box<[ProviderIdx]>>,
}

/// Every listed model as `provider/model`, and bare where one provider alone serves it.
fn models(targets: &mut Targets<'_>) -> Models {
    let mut models = Models { unique: BTreeMap::new(), ambiguous: BTreeMap::new() };
    let mut bare: HashMap<&str, Vec<(ProviderIdx, TargetIdx)>> = HashMap::new();
    for (index, provider) in (0..).map(ProviderIdx).zip(targets.providers()) {
        for model in &provider.models {
            let Some(target) = targets.target(index, model) else { continue };
            models.unique.insert(format!("{}/{model}", provider.name).into(), target);
            bare.entry(model).or_default().push((index, target));
        }
    }
    for (name, served) in bare {
        // `provider/model` goes before a bare name that looks like one.
        if models.unique.contains_key(name) {
            continue;
        }
        match only(name, &served, targets) {
            Some(target) => {
                models.unique.insert(name.into(), target);
            }
            None => {
                models.ambiguous.insert(name.into(), served.iter().map(|(provider, _)| *provider).collect());
            }
        }
    }
    models
}

/// The one that a bare name means: the only one that serves it, or the model's maker.
fn only(name: &str, served: &[(ProviderIdx, TargetIdx)], targets: &Targets<'_>) -> Option<TargetIdx> {
    if let [(_, target)] = served {
        return Some(*target);
    }
    let maker =
        MAKERS.iter().find(|(start, _)| name.starts_with(start)).and_then(|(_, maker)| targets.provider(maker))?;
    served.iter().find(|(provider, _)| *provider == maker).map(|(_, target)| *target)
}

/// How the names of a maker's models begin, and the provider that is the maker's own. Whoever says `gpt-5` and has keys
/// of OpenAI and of a reseller means OpenAI.
const MAKERS: &[(&str, &str)] = &[
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-3", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "google"),
    ("grok-", "xai"),
    ("mistral-", "mistral"),
    ("codestral-", "mistral"),
    ("deepseek-", "deepseek"),
    ("command-", "cohere"),
    ("sonar", "perplexity"),
    ("kimi-", "moonshot"),
    ("glm-", "zai"),
    ("qwen", "alibaba"),
];
