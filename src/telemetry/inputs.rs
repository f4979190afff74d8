//! What a decision hung on besides the request's facts, the table and the draw: measurements that a strategy compared, turns
//! that were taken, and what the request asked for itself. Most decisions hang on nothing of the kind, and their records have
//! no inputs.

use std::time::Duration;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::record::MOST;
use crate::table::RoutingTable;
use crate::table::health::{Condition, Vitals};
use crate::table::wishes::Asked;
use crate::table::witness::Seen;

/// Bytes of the wishes that are kept. Of longer ones only the first member's name is.
const LONGEST: usize = 4_096;

#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Inputs {
    /// Targets that strategies compared, and those that were cooling.
    #[serde(serialize_with = "by_name", skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<(Box<str>, Measured)>,
    /// How often each `round_robin` had chosen before.
    #[serde(serialize_with = "by_name", skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<(Box<str>, u64)>,
    /// The members of the request that ask for its way, or the name of the first where they are not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wishes: Option<Value>,
}

/// What was known of a target at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "millis")]
    pub cooling_ms: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    pub in_flight: u32,
}

impl Inputs {
    /// `None` where there are none, which costs nothing.
    pub fn of(table: &RoutingTable, seen: &Seen, asked: &Asked) -> Option<Box<Inputs>> {
        if seen.is_empty() && *asked == Asked::Nothing {
            return None;
        }
        let targets = seen.targets(table).take(MOST).map(|(name, vitals)| (name.into(), Measured::of(&vitals)));
        let turns = seen.turns(table).take(MOST).map(|(name, turn)| (name.into(), turn));
        Some(Box::new(Inputs { health: targets.collect(), turns: turns.collect(), wishes: wishes(asked) }))
    }
}

impl Measured {
    fn of(vitals: &Vitals) -> Measured {
        Measured {
            cooling_ms: match vitals.condition {
                Condition::Cooling(pause) => Some(pause),
                Condition::Up | Condition::Down => None,
            },
            first_token_ms: vitals.first_token_ms,
            latency_ms: vitals.latency_ms,
            in_flight: vitals.in_flight,
        }
    }
}

fn wishes(asked: &Asked) -> Option<Value> {
    match asked {
        Asked::Nothing | Asked::Unreadable(_) => None,
        Asked::Unheard(member) => Some((*member).into()),
        Asked::Wishes(wishes) => {
            let whole = wishes.to_json();
            let first = || whole.as_object().and_then(|members| members.keys().next());
            match whole.to_string().len() > LONGEST {
                true => first().map(|member| member.as_str().into()),
                false => Some(whole),
            }
        }
    }
}

fn by_name<T: Serialize, S: Serializer>(pairs: &[(Box<str>, T)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(pairs.len()))?;
    for (name, value) in pairs {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// To the millisecond, which is how exactly pauses are known.
fn millis<S: Serializer>(pause: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match pause {
        Some(pause) => to.serialize_u128(pause.as_millis()),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::wishes::Wishes;

    #[test]
    fn long_wishes_are_named_only() {
        let models = |count: usize| Wishes { models: vec!["m".repeat(1_000); count], ..Wishes::default() };
        assert!(wishes(&Asked::Wishes(Box::new(models(2)))).unwrap().is_object());
        assert_eq!(wishes(&Asked::Wishes(Box::new(models(5)))), Some("models".into()));
        assert_eq!(wishes(&Asked::Unheard("provider")), Some("provider".into()));
        assert_eq!(wishes(&Asked::Nothing), None);
    }
}
