//! Explanations for people.

use std::fmt;
use std::time::Duration;

use super::{AttemptExplained, Explanation, Failed, OtherName, RuleTried};
use crate::table::Lane;
use crate::table::dump::lane_word;
use crate::table::health::{Condition, Vitals};
use crate::table::select::{NotFound, Outcome};

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model {} over {}", self.model, self.caller.fact())?;
        if !self.wishes.is_empty() {
            writeln!(f, "asked for: {}", self.wishes.join("; "))?;
        }
        self.names.iter().try_for_each(|name| writeln!(f, "  {name}"))?;
        for rule in &self.rules {
            writeln!(f, "{rule}")?;
        }
        // Of what is only known not to be up, the lines of the attempts say as much.
        let compared = |vitals: &Vitals| *vitals != Vitals { condition: vitals.condition, ..Vitals::default() };
        let worth = |vitals: &Vitals| vitals.condition == Condition::Up || compared(vitals);
        for (target, vitals) in self.health.iter().filter(|(_, vitals)| worth(vitals)) {
            writeln!(f, "looked at {target}: {}", said_of(vitals))?;
        }
        for (name, turn) in &self.turns {
            writeln!(f, "{name} has chosen {turn} times before")?;
        }
        writeln!(f, "route {}", self.decision.route)?;
        match &self.decision.outcome {
            Outcome::Deny { status, text } => writeln!(f, "  denied with {status}{}", said(*text)),
            Outcome::NotFound(why) => writeln!(f, "  not found: {why}"),
            Outcome::Unmet(unmet) => writeln!(f, "  refused with 400: {}", unmet.message),
            Outcome::Attempts { .. } => {
                for (attempt, number) in self.attempts.iter().zip(1..) {
                    writeln!(f, "  {number}. {attempt}")?;
                }
                self.skipped.iter().try_for_each(|attempt| writeln!(f, "  -  {attempt}"))
            }
        }
    }
}

fn said_of(vitals: &Vitals) -> String {
    let after = |ms: Option<f64>, what: &str| ms.map(|ms| format!("{what} after {} ms", ms.round()));
    let condition = match vitals.condition {
        Condition::Up => None,
        Condition::Down => Some("down".to_owned()),
        Condition::Cooling(pause) => Some(cooling(pause)),
    };
    let measured = [after(vitals.first_token_ms, "first content"), after(vitals.latency_ms, "whole answers")];
    let nothing = measured.iter().all(Option::is_none).then(|| "not measured".to_owned());
    let in_flight = Some(format!("{} in flight", vitals.in_flight));
    let said = [condition].into_iter().chain(measured).chain([nothing, in_flight]);
    said.flatten().collect::<Vec<_>>().join(", ")
}

fn cooling(pause: Duration) -> String {
    format!("it is cooling for {} ms more", pause.as_millis())
}

fn said(text: Option<&str>) -> String {
    text.map_or(String::new(), |text| format!(": {text}"))
}

impl fmt::Display for OtherName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.model)?;
        match (self.rule, self.denied) {
            (Some(rule), Some(status)) => write!(f, "is denied with {status} by rule {rule}, and left out"),
            (None, Some(status)) => write!(f, "is denied with {status}, and left out"),
            (Some(rule), None) => write!(f, "leads to {} by rule {rule}", self.route),
            (None, None) => write!(f, "leads to {}", self.route),
        }
    }
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
