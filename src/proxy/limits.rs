//! Rate limits on the request path: what an attempt may take is taken before it, by estimate, and settled after it.

use super::attempt::{self, Answer, AnswerBody, Try};
use super::cached;
use super::estimate;
use super::failure::Failure;
use crate::rule::{Facts, NumberFact};
use crate::state::limits::{Amounts, Refusal, Taken};
use crate::table::limits::{Holding, Resource, holding, nano};
use crate::table::settings::Settings;
use crate::telemetry::record::Account;
use crate::wire::Operation;
use crate::wire::ir::{Error, ErrorKind, Usage};

/// Makes a try, where the limits that hold for it let it pass.
///
/// # Errors
/// A limit is used up, or why there is no answer.
pub(super) async fn run(facts: &(dyn Facts + Sync), this: &Try<'_, '_, '_, '_>) -> Result<Answer, Failure> {
    let limits = &this.live.table.rate_limits;
    let held = holding(limits, facts, &this.attempt.provider.name, this.attempt.model);
    if held.is_empty() || this.incoming.call.operation == Operation::CountTokens {
        return attempt::run(this).await;
    }
    let estimate = Estimate::of(facts, this, &held);
    let taken = this.live.runtime.limits.take(limits, &held, &estimate.before());
    let taken = match taken {
        Ok(taken) => taken,
        Err(refusal) => {
            let error = refused(this, &refusal);
            if cached::may_answer(this) {
                let kept = attempt::run(&Try { barred: Some(&error), ..*this }).await;
                if !matches!(kept, Err(Failure::Limited(_))) {
                    return kept;
                }
            }
            count(this, &refusal);
            return Err(Failure::Limited(error));
        }
    };
    let mut ticket = Ticket { taken: Some(taken), estimate };
    let mut result = attempt::run(this).await;
    match &mut result {
        Ok(answer) if cached::is_hit(&answer.headers) => ticket.give_back(),
        Ok(Answer { body: AnswerBody::Stream(stream), .. }) => stream.settles(ticket),
        Ok(Answer { account, .. }) => ticket.settle(account),
        Err(failure) => ticket.failed(failure),
    }
    result
}

/// What an attempt will take, as far as that can be known before.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    input: u64,
    /// The input alone, in billionths of a USD.
    input_cost: u64,
    /// With the longest answer.
    tokens: u64,
    cost: u64,
}

impl Estimate {
    /// The request is read only where a limit asks for tokens or cost.
    fn of(facts: &dyn Facts, this: &Try<'_, '_, '_, '_>, held: &[Holding]) -> Estimate {
        let limits = held.iter().filter_map(|held| this.live.table.rate_limits.get(held.limit));
        let asked = |resource| limits.clone().flat_map(|limit| &limit.rates).any(|rate| rate.resource == resource);
        let (tokens, cost) = (asked(Resource::Tokens), asked(Resource::Cost));
        if !tokens && !cost {
            return Estimate { input: 0, input_cost: 0, tokens: 0, cost: 0 };
        }
        let (input, output) = match this.incoming.call.operation {
            Operation::Generate => (facts.number(NumberFact::InputTokens), longest(facts, this.attempt.settings)),
            operation if operation.is_of_text() => (estimate::document(this.incoming.body), 0),
            _ => (0, 0),
        };
        let tariff = this.tariff();
        // Of several limits the one that thinks most of what is not priced.
        let unpriced = limits.clone().map(|limit| limit.unpriced).max().unwrap_or(0);
        let priced = |output| {
            let usage = Usage { input: Some(input), output: Some(output), ..Usage::default() };
            if cost { tariff.cost(&usage).map_or(unpriced, nano) } else { 0 }
        };
        Estimate { input, input_cost: priced(0), tokens: input.saturating_add(output), cost: priced(output) }
    }

    fn before(&self) -> Amounts {
        Amounts { attempts: 1, tokens: self.tokens, cost: self.cost }
    }
}

/// The most tokens that an answer may have, 0 where nobody says.
fn longest(facts: &dyn Facts, settings: &Settings) -> u64 {
    let given = |list: &[(Box<str>, Box<str>)]| {
        list.iter().find(|(name, _)| &**name == "max_tokens").and_then(|(_, value)| value.parse::<u64>().ok())
    };
    given(&settings.overrides).unwrap_or_else(|| match facts.number(NumberFact::MaxTokens) {
        0 => given(&settings.params).unwrap_or(0),
        own => own,
    })
}

/// What an attempt has taken. One that is dropped before it is settled belonged to a caller who left: the upstream has read the
/// request by then.
pub struct Ticket {
    taken: Option<Taken>,
    estimate: Estimate,
}

impl Ticket {
    /// The attempt was answered.
    pub fn settle(&mut self, account: &Account) {
        let Some(taken) = self.taken.take() else { return };
        let parts = || account.usage.iter().chain(&account.estimated);
        let counted = parts().flat_map(|usage| [usage.input, usage.output]).flatten();
        let known = parts().next().is_some();
        let cost = [account.cost_usd, account.cost_estimated_usd];
        let used = Amounts {
            attempts: 1,
            tokens: if known { counted.fold(0, u64::saturating_add) } else { self.estimate.tokens },
            cost: match cost {
                [None, None] => self.estimate.cost,
                cost => nano(cost.iter().flatten().sum()),
            },
        };
        taken.settle(&used);
    }

    /// Nobody was asked.
    fn give_back(&mut self) {
        if let Some(taken) = self.taken.take() {
            taken.settle(&Amounts { attempts: 0, tokens: 0, cost: 0 });
        }
    }

    /// There was no answer. What the upstream may have read counts, and nothing of it where it said no at once.
    fn failed(&mut self, failure: &Failure) {
        if matches!(
            failure,
            Failure::Refused(_) | Failure::Connect(_) | Failure::ConnectTimeout(_) | Failure::Status(_)
        ) && let Some(taken) = self.taken.take()
        {
            taken.settle(&Amounts { attempts: 1, tokens: 0, cost: 0 });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            taken.settle(&Amounts { attempts: 1, tokens: self.estimate.input, cost: self.estimate.input_cost });
        }
    }
}

/// A refusal that the caller gets to know.
fn count(this: &Try<'_, '_, '_, '_>, refusal: &Refusal) {
    let limit = this.live.table.rate_limits.get(refusal.limit);
    if let Some((limit, rate)) = limit.and_then(|limit| Some((limit, limit.rates.get(refusal.rate)?))) {
        this.gateway.traffic.limited(&limit.name, rate.resource.word());
    }
}

/// The caller's error.
fn refused(this: &Try<'_, '_, '_, '_>, refusal: &Refusal) -> Error {
    let limit = this.live.table.rate_limits.get(refusal.limit);
    let Some((limit, rate)) = limit.and_then(|limit| Some((limit, limit.rates.get(refusal.rate)?))) else {
        return Error::new(ErrorKind::RateLimit, "a rate limit is used up").with_code("rate_limited");
    };
    let message = match refusal.wait {
        Some(wait) => format!(
            "the rate limit `{}` is used up ({rate}); try again in {} s",
            limit.name,
            wait.as_secs_f64().ceil().max(1.0)
        ),
        None => format!(
            "the rate limit `{}` has no room for {} and will not have it ({rate}); send less, or ask for a shorter answer",
            limit.name,
            rate.resource.amount(refusal.amount)
        ),
    };
    Error { retry_after: refusal.wait, ..Error::new(ErrorKind::RateLimit, message).with_code("rate_limited") }
}
