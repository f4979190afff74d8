//! Why a request goes where it goes: the decision of [`select`](super::select), with every rule that was tried before it.

mod words;

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};

use super::dump::{lane_word, settings_words};
use super::facts::RequestFacts;
use super::health::{Condition, Vitals};
use super::limits::holding;
use super::select::{AllUp, Attempt, Decision, Draw, HealthView, Outcome};
use super::wishes::{Asked, Renamed, Way};
use super::witness::{Seen, Witness};
use super::{Lane, RoutingTable, SettingsIdx};
use crate::rule::facts::SECRET_HEADERS;
use crate::rule::predicate::{Atom, Predicate};
use crate::rule::{Facts, OutputKind, TextFact};
use crate::wire::loss::Losses;
use crate::wire::structured::OutputPlan;
use crate::wire::{Operation, ProtocolId};

/// A decision and its reasons.
#[derive(Debug, Clone)]
pub struct Explanation<'t> {
    /// The name that was asked for.
    pub model: &'t str,
    pub caller: ProtocolId,
    /// What the request asks for of its own way, in words.
    pub wishes: Vec<String>,
    /// The other models that it names.
    pub names: Vec<OtherName<'t>>,
    /// Rules up to the one that fired.
    pub rules: Vec<RuleTried<'t>>,
    /// The random number.
    pub draw: f64,
    /// Targets that strategies compared, and those that are not up.
    pub health: Vec<(String, Vitals)>,
    /// How often each `round_robin` that was met had chosen before.
    pub turns: Vec<(String, u64)>,
    pub decision: Decision<'t>,
    pub attempts: Vec<AttemptExplained<'t>>,
    /// Left out because of their health.
    pub skipped: Vec<AttemptExplained<'t>>,
}

/// Another model that a request names, to go on with.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherName<'t> {
    pub model: &'t str,
    pub rule: Option<u32>,
    pub route: Cow<'t, str>,
    /// The status with which a rule refuses it, so that it is left out.
    pub denied: Option<u16>,
}

/// One rule and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTried<'t> {
    /// One-based.
    pub number: u32,
    /// Line of the file.
    pub line: u32,
    pub text: &'t str,
    /// `None`: it fired.
    pub failed: Option<Failed>,
}

/// The part of a condition because of which a rule did not fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub condition: String,
    /// What the request has, where the part is a test of one fact.
    pub actual: Option<String>,
}

/// One target and the way to it.
#[derive(Debug, Clone)]
pub struct AttemptExplained<'t> {
    /// `provider/model`.
    pub target: String,
    pub lane: &'t Lane,
    /// How an answer of the form that the request asks for is obtained; `None` where it asks for none.
    pub answers: Option<OutputPlan>,
    /// What presets add to the request, in words.
    pub settings: Vec<String>,
    /// What of this very request the target does not get as it was, or why it gets none of it. `None` where nobody has
    /// looked, because only the targets and their order were asked for.
    pub losses: Option<Result<Losses, String>>,
    /// How the target is.
    pub condition: Condition,
    /// It is not tried because of its condition.
    pub left_out: bool,
    /// It runs beside the attempt at this position (from 0), and those behind that, once so long has passed without content.
    pub hedge: Option<(usize, Duration)>,
    /// Who gets a copy of the request where this target answers.
    pub mirror: Option<String>,
}

/// Makes the request that a target would get, and says what of the caller's is not in it as it was; or why the target gets
/// none. `None` where it gets none whatever the request. The request path has the one function of this kind.
pub type Carry = fn(&RequestFacts<'_, '_>, &Attempt<'_>) -> Option<Result<Losses, String>>;

/// Decides about a request, and says why.
pub fn explain<'t>(
    table: &'t RoutingTable,
    facts: &'t dyn Facts,
    way: Way<'t>,
    health: &dyn HealthView,
    draw: Draw,
) -> Explanation<'t> {
    explained(table, facts, way, decided(table, facts, way, health, draw))
}

/// The rate limits that hold for an attempt, in words.
fn within_limits(table: &RoutingTable, facts: &dyn Facts, attempt: &Attempt<'_>) -> Option<String> {
    let held = holding(&table.rate_limits, facts, &attempt.provider.name, attempt.model);
    let names: Vec<String> = held
        .iter()
        .filter_map(|held| table.rate_limits.get(held.limit))
        .map(|limit| format!("`{}`", limit.name))
        .collect();
    (!names.is_empty()).then(|| format!("within rate_limits {}", names.join(", ")))
}

/// A decision, and what it hung on.
#[derive(Debug, Clone)]
pub struct Decided<'t> {
    pub decision: Decision<'t>,
    pub draw: Draw,
    pub seen: Seen,
}

/// Decides about a request, and remembers what the decision looked at.
pub fn decided<'t>(
    table: &'t RoutingTable,
    facts: &'t dyn Facts,
    way: Way<'t>,
    health: &dyn HealthView,
    draw: Draw,
) -> Decided<'t> {
    let witness = Witness::new(health);
    let decision = table.decide(facts, way, &witness, draw);
    Decided { decision, draw, seen: witness.into_seen() }
}

/// Why this was decided about a request.
pub fn explained<'t>(
    table: &'t RoutingTable,
    facts: &'t dyn Facts,
    (asked, renamed): Way<'t>,
    Decided { decision, draw, seen }: Decided<'t>,
) -> Explanation<'t> {
    let operation = if facts.embeddings() { Operation::Embed } else { Operation::Generate };
    let tried = decision.rule.map_or(table.rules.len(), |number| number as usize);
    let rules = (1..).zip(table.rules.iter().take(tried)).map(|(number, rule)| RuleTried {
        number,
        line: rule.line,
        text: &rule.text,
        failed: rule.when.failing(facts).map(|part| failed(part, facts)),
    });
    let asks_for_form = operation == Operation::Generate && facts.output() != OutputKind::Text;
    let explained = |attempt: &Attempt<'t>, left_out| AttemptExplained {
        target: format!("{}/{}", attempt.provider.name, attempt.model),
        lane: attempt.lane(facts.protocol(), operation),
        answers: if asks_for_form { plan_of(attempt, facts.protocol(), operation) } else { None },
        settings: table
            .settings(SettingsIdx::BASE)
            .map_or_else(Vec::new, |base| settings_words(attempt.settings, base))
            .into_iter()
            .chain(within_limits(table, facts, attempt))
            .collect(),
        losses: None,
        condition: attempt.condition,
        left_out,
        hedge: None,
        mirror: None,
    };
    let (attempts, skipped) = match &decision.outcome {
        Outcome::Attempts { attempts, skipped, races, mirrors } => {
            let mut tried: Vec<AttemptExplained<'t>> =
                attempts.iter().map(|attempt| explained(attempt, false)).collect();
            for race in races {
                if let Some(second) = tried.get_mut(race.second) {
                    second.hedge = Some((race.from, race.after));
                }
            }
            for mirror in mirrors {
                let Attempt { provider, model, .. } = &mirror.attempt;
                for main in tried.iter_mut().take(mirror.until).skip(mirror.from) {
                    main.mirror = Some(format!("{}/{model}", provider.name));
                }
            }
            (tried, skipped.iter().map(|attempt| explained(attempt, true)).collect())
        }
        Outcome::Deny { .. } | Outcome::NotFound(_) | Outcome::Unmet(_) => (Vec::new(), Vec::new()),
    };
    Explanation {
        model: facts.model(),
        caller: facts.protocol(),
        wishes: match asked {
            Asked::Wishes(wishes) => wishes.words(),
            Asked::Nothing | Asked::Unheard(_) | Asked::Unreadable(_) => Vec::new(),
        },
        names: renamed.iter().map(|other| other_name(table, other, draw)).collect(),
        rules: rules.collect(),
        draw: draw.0,
        health: seen.targets(table).collect(),
        turns: seen.turns(table).map(|(name, turn)| (name.to_owned(), turn)).collect(),
        decision,
        attempts,
        skipped,
    }
}

fn other_name<'t>(table: &'t RoutingTable, other: &'t Renamed<'t>, draw: Draw) -> OtherName<'t> {
    let Decision { rule, route, outcome } = table.select(other, &AllUp, draw);
    let denied = match outcome {
        Outcome::Deny { status, .. } => Some(status),
        Outcome::Attempts { .. } | Outcome::NotFound(_) | Outcome::Unmet(_) => None,
    };
    OtherName { model: other.name(), rule, route, denied }
}

fn plan_of(attempt: &Attempt<'_>, caller: ProtocolId, operation: Operation) -> Option<OutputPlan> {
    match attempt.lane(caller, operation) {
        Lane::Passthrough { endpoint } | Lane::Translate { endpoint } => {
            attempt.target.output_plan(attempt.provider, usize::from(*endpoint), attempt.model)
        }
        Lane::Refused(_) => None,
    }
}

fn failed(part: &Predicate, facts: &dyn Facts) -> Failed {
    let actual = match part {
        Predicate::Atom(atom) => Some(actual(atom, facts)),
        Predicate::Not(inner) => match &**inner {
            Predicate::Atom(atom) => Some(actual(atom, facts)),
            Predicate::Always | Predicate::All(_) | Predicate::Any(_) | Predicate::Not(_) => None,
        },
        Predicate::Always | Predicate::All(_) | Predicate::Any(_) => None,
    };
    Failed { condition: part.to_string(), actual }
}

/// What the request has, unless that is a secret.
fn actual(atom: &Atom, facts: &dyn Facts) -> String {
    match atom {
        Atom::Text { fact: TextFact::Header(name), .. } if SECRET_HEADERS.contains(&&**name) => "not shown".to_owned(),
        atom => atom.actual(facts),
    }
}

impl Explanation<'_> {
    /// Adds what each attempt would lose of this request.
    pub fn add_losses(&mut self, facts: &RequestFacts<'_, '_>, carry: Carry) {
        if let Outcome::Attempts { attempts, .. } = &self.decision.outcome {
            for (explained, attempt) in self.attempts.iter_mut().zip(attempts) {
                explained.losses = carry(facts, attempt);
            }
        }
    }

    pub fn json(&self) -> Value {
        let outcome = match &self.decision.outcome {
            Outcome::Attempts { .. } => json!({
                "attempts": self.attempts.iter().map(AttemptExplained::json).collect::<Vec<_>>(),
                "skipped": self.skipped.iter().map(AttemptExplained::json).collect::<Vec<_>>(),
            }),
            Outcome::Deny { status, text } => json!({ "denied": { "status": status, "text": text } }),
            Outcome::NotFound(why) => json!({ "not_found": why.to_string() }),
            Outcome::Unmet(unmet) => json!({
                "unmet": { "code": unmet.code, "member": unmet.member, "message": unmet.message },
            }),
        };
        json!({
            "model": self.model,
            "protocol": self.caller.fact(),
            "wishes": self.wishes,
            "names": self.names.iter().map(OtherName::json).collect::<Vec<_>>(),
            "rules": self.rules.iter().map(RuleTried::json).collect::<Vec<_>>(),
            "rule": self.decision.rule,
            "route": self.decision.route,
            "draw": self.draw,
            "health": self.health.iter().map(|(target, vitals)| vitals.json(target)).collect::<Vec<_>>(),
            "turns": self.turns.iter().map(|(name, turn)| json!({ "of": name, "turn": turn })).collect::<Vec<_>>(),
            "outcome": outcome,
        })
    }
}

impl OtherName<'_> {
    fn json(&self) -> Value {
        json!({ "model": self.model, "rule": self.rule, "route": self.route, "denied": self.denied })
    }
}

impl RuleTried<'_> {
    fn json(&self) -> Value {
        json!({
            "number": self.number,
            "line": self.line,
            "text": self.text,
            "fired": self.failed.is_none(),
            "failed": self.failed.as_ref().map(|failed| json!({
                "condition": failed.condition,
                "actual": failed.actual,
            })),
        })
    }
}

impl AttemptExplained<'_> {
    fn json(&self) -> Value {
        json!({
            "target": self.target,
            "lane": lane_word(self.lane),
            "reason": match self.lane {
                Lane::Refused(why) => Some(why),
                Lane::Passthrough { .. } | Lane::Translate { .. } => None,
            },
            "answers": self.answers.map(|plan| plan.words()),
            "settings": self.settings,
            "losses": self.losses.as_ref().and_then(|losses| losses.as_ref().ok()),
            "condition": self.condition.word(),
            "cooling_ms": match self.condition {
                Condition::Cooling(pause) => Some(pause.as_millis()),
                Condition::Up | Condition::Down => None,
            },
            "hedge_after_ms": self.hedge.map(|(_, after)| after.as_millis()),
            "mirror": self.mirror,
            "refusal": self.losses.as_ref().and_then(|losses| losses.as_ref().err()),
        })
    }
}
