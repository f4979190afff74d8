//! Why a request goes where it goes: the decision of [`select`](super::select), with every rule that was tried before it.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::dump::{lane_word, settings_words};
use super::facts::RequestFacts;
use super::health::Condition;
use super::select::{Attempt, Decision, Draw, HealthView, NotFound, Outcome};
use super::{Lane, RoutingTable, SettingsIdx};
use crate::rule::predicate::Predicate;
use crate::rule::{Facts, OutputKind};
use crate::wire::loss::Losses;
use crate::wire::structured::OutputPlan;
use crate::wire::{Operation, ProtocolId};

/// A decision and its reasons.
#[derive(Debug, Clone)]
pub struct Explanation<'t> {
    /// The name that was asked for.
    pub model: &'t str,
    pub caller: ProtocolId,
    /// Rules up to the one that fired.
    pub rules: Vec<RuleTried<'t>>,
    pub decision: Decision<'t>,
    pub attempts: Vec<AttemptExplained<'t>>,
    /// Left out because of their health.
    pub skipped: Vec<AttemptExplained<'t>>,
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
    health: &dyn HealthView,
    draw: Draw,
) -> Explanation<'t> {
    let decision = table.select(facts, health, draw);
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
            .map_or_else(Vec::new, |base| settings_words(attempt.settings, base)),
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
        Outcome::Deny { .. } | Outcome::NotFound(_) => (Vec::new(), Vec::new()),
    };
    Explanation { model: facts.model(), caller: facts.protocol(), rules: rules.collect(), decision, attempts, skipped }
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
        Predicate::Atom(atom) => Some(atom.actual(facts)),
        Predicate::Not(inner) => match &**inner {
            Predicate::Atom(atom) => Some(atom.actual(facts)),
            Predicate::Always | Predicate::All(_) | Predicate::Any(_) | Predicate::Not(_) => None,
        },
        Predicate::Always | Predicate::All(_) | Predicate::Any(_) => None,
    };
    Failed { condition: part.to_string(), actual }
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
        };
        json!({
            "model": self.model,
            "protocol": self.caller.fact(),
            "rules": self.rules.iter().map(RuleTried::json).collect::<Vec<_>>(),
            "rule": self.decision.rule,
            "route": self.decision.route,
            "outcome": outcome,
        })
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

// === for people

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model {} over {}", self.model, self.caller.fact())?;
        for rule in &self.rules {
            writeln!(f, "{rule}")?;
        }
        writeln!(f, "route {}", self.decision.route)?;
        match &self.decision.outcome {
            Outcome::Deny { status, text } => writeln!(f, "  denied with {status}{}", said(*text)),
            Outcome::NotFound(why) => writeln!(f, "  not found: {why}"),
            Outcome::Attempts { .. } => {
                for (attempt, number) in self.attempts.iter().zip(1..) {
                    writeln!(f, "  {number}. {attempt}")?;
                }
                self.skipped.iter().try_for_each(|attempt| writeln!(f, "  -  {attempt}"))
            }
        }
    }
}

fn cooling(pause: Duration) -> String {
    format!("it is cooling for {} ms more", pause.as_millis())
}

fn said(text: Option<&str>) -> String {
    text.map_or(String::new(), |text| format!(": {text}"))
}

impl fmt::Display for RuleTried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failed {
            None => write!(f, "rule {} fires: {}", self.number, self.text),
            Some(Failed { condition, actual: Some(actual) }) => {
                write!(f, "rule {} does not fire: {condition} (here: {actual})", self.number)
            }
            Some(Failed { condition, actual: None }) => {
                write!(f, "rule {} does not fire: {condition}", self.number)
            }
        }
    }
}

impl fmt::Display for AttemptExplained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.target, lane_word(self.lane))?;
        if let Lane::Refused(why) = self.lane {
            write!(f, " ({why})")?;
        }
        if let Some(plan) = &self.answers {
            write!(f, ", answers: {}", plan.words())?;
        }
        if !self.settings.is_empty() {
            write!(f, ", with {}", self.settings.join(", "))?;
        }
        match &self.losses {
            Some(Err(refusal)) => write!(f, ", refused: {refusal}")?,
            Some(Ok(losses)) if !losses.is_empty() => write!(f, ", loses: {losses}")?,
            Some(Ok(_)) | None => {}
        }
        if let Some((beside, after)) = self.hedge {
            write!(f, ", beside {} where that has no content after {} ms", beside + 1, after.as_millis())?;
        }
        if let Some(mirror) = &self.mirror {
            write!(f, ", compared with {mirror}")?;
        }
        match (self.condition, self.left_out) {
            (Condition::Up, _) => Ok(()),
            (Condition::Down, _) => f.write_str(", left out: it is down"),
            (Condition::Cooling(pause), true) => write!(f, ", left out: {}", cooling(pause)),
            (Condition::Cooling(pause), false) => {
                write!(f, ", though {}: nothing else is left", cooling(pause))
            }
        }
    }
}

impl fmt::Display for NotFound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotFound::Unknown { suggestion: Some(near) } => write!(f, "nothing has this name; did you mean `{near}`?"),
            NotFound::Unknown { suggestion: None } => f.write_str("nothing has this name"),
            NotFound::Ambiguous { providers } => {
                write!(f, "several providers serve it: {}; write `provider/model`", providers.join(", "))
            }
            NotFound::Inactive { provider, variables } if variables.is_empty() => {
                write!(f, "the provider `{provider}` is known but not in use; name it under `providers:`")
            }
            NotFound::Inactive { provider, variables } => {
                write!(f, "the provider `{provider}` has no key; set {variables}")
            }
        }
    }
}
