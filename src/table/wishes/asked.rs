//! What a request says of its own way, whether anybody here obeys it, and the decision about it.

use bytes::Bytes;

use super::{MEMBERS, Renamed, Wishes};
use crate::rule::Facts;
use crate::table::select::{Attempt, Decision, Draw, HealthView, Outcome};
use crate::table::{ClientKey, RoutingTable};
use crate::wire::Operation;
use crate::wire::envelope::{Edit, Envelope};

/// The provider whose own API has these members.
const OPENROUTER: &str = "openrouter";

/// What a request says of its own way.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Asked {
    #[default]
    Nothing,
    Wishes(Box<Wishes>),
    /// Members that are not obeyed for this caller, by the first of them.
    Unheard(&'static str),
    /// Members that would be obeyed, if they could be read.
    Unreadable(Unmet),
}

/// What is asked, and the request under the other names that it gives ([`Asked::renamed`]).
pub type Way<'t> = (&'t Asked, &'t [Renamed<'t>]);

/// Why a request cannot go the way that it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    pub code: &'static str,
    /// The member because of which.
    pub member: Option<&'static str>,
    /// For the caller.
    pub message: String,
}

impl Asked {
    /// Looks for wishes; `member` gives the JSON of a top-level member. `allowed`: this caller may have some.
    pub fn read<'b>(allowed: bool, operation: Operation, member: impl Fn(&str) -> Option<&'b str>) -> Asked {
        if !matches!(operation, Operation::Generate | Operation::Embed) {
            return Asked::Nothing;
        }
        match MEMBERS.into_iter().find(|name| member(name).is_some()) {
            None => Asked::Nothing,
            Some(first) if !allowed => Asked::Unheard(first),
            Some(_) => match Wishes::read(member) {
                Ok(wishes) => Asked::Wishes(Box::new(wishes)),
                Err((member, message)) => {
                    Asked::Unreadable(Unmet { code: "bad_routing", member: Some(member), message })
                }
            },
        }
    }

    /// The request under each of the other models' names.
    pub fn renamed<'f>(&'f self, facts: &'f (dyn Facts + Sync)) -> Vec<Renamed<'f>> {
        match self {
            Asked::Wishes(wishes) => wishes.models.iter().map(|model| Renamed { facts, model }).collect(),
            Asked::Nothing | Asked::Unheard(_) | Asked::Unreadable(_) => Vec::new(),
        }
    }

    /// The document without wishes that are obeyed: they go to nobody. `None` where it stays as it is.
    pub fn strip(&self, body: &Bytes, envelope: &Envelope<'_>) -> Option<Bytes> {
        match self {
            Asked::Wishes(_) => Some(envelope.splice(body, &MEMBERS.map(Edit::Remove)).concat().into()),
            Asked::Nothing | Asked::Unheard(_) | Asked::Unreadable(_) => None,
        }
    }
}

impl RoutingTable {
    /// Whether this caller may say in its requests where they go: what its key says, and otherwise what the file says.
    pub fn allows_request_routing(&self, key: Option<&ClientKey>) -> bool {
        key.and_then(|key| key.allow_request_routing).unwrap_or(self.allow_request_routing)
    }

    /// What becomes of a request, by its own wishes where it has some. Rules and presets decide about every name that it gives.
    pub fn decide<'t>(
        &'t self,
        facts: &'t dyn Facts,
        (asked, renamed): Way<'t>,
        health: &dyn HealthView,
        draw: Draw,
    ) -> Decision<'t> {
        match asked {
            Asked::Nothing => self.select(facts, health, draw),
            Asked::Wishes(wishes) => self.select_wished(facts, (wishes, renamed), health, draw),
            Asked::Unheard(member) => {
                let mut decision = self.select(facts, health, draw);
                if let Outcome::Attempts { attempts, .. } = &decision.outcome
                    && !attempts.iter().all(obeys)
                {
                    decision.outcome = Outcome::Unmet(unheard(member));
                }
                decision
            }
            Asked::Unreadable(unmet) => {
                Decision { rule: None, route: facts.model().into(), outcome: Outcome::Unmet(unmet.clone()) }
            }
        }
    }
}

fn obeys(attempt: &Attempt<'_>) -> bool {
    *attempt.provider.name == *OPENROUTER || attempt.provider.catalogue.as_deref() == Some(OPENROUTER)
}

/// To ignore wishes would be to answer another question.
fn unheard(member: &'static str) -> Unmet {
    let message = format!(
        "this gateway does not let callers choose targets by `{member}`: leave it out, or set \
         `allow_request_routing: true` in the gateway's file"
    );
    Unmet { code: "request_routing_not_allowed", member: Some(member), message }
}
