//! What strategies make of their members when a request comes. Everything that they go by is given: the facts, the health,
//! the draw.

use std::cmp::Ordering;
use std::time::Duration;

use smallvec::SmallVec;

use super::select::{Attempt, Mirror, Part, Race, Walk, scrambled};
use super::{ChooseBy, RouteNode, SettingsIdx, TurnIdx};
use crate::provider::cost::cost;
use crate::rule::{Facts, NumberFact};
use crate::wire::ir::Usage;

/// The length of an answer that has no limit, in tokens, where prices are compared.
const USUAL_ANSWER: u64 = 1_000;
/// Of so many decisions of `fastest` one tries another member than the best, so that its measurements do not grow old.
const EXPLORED: f64 = 1.0 / 50.0;
/// What is taken for the time of a target that is being measured for the first time, in milliseconds.
const UNMEASURED: f64 = 1_000.0;
/// Numbers that strategies draw are not those that splits draw.
const APART: u64 = 1 << 32;

impl<'t> Walk<'t, '_> {
    /// What `node` alone comes to.
    fn collected(&mut self, node: &'t RouteNode, outer: SettingsIdx) -> Part<'t> {
        let around = std::mem::take(&mut self.part);
        self.node(node, outer);
        std::mem::replace(&mut self.part, around)
    }

    /// Adds `part` behind what there is. What is there already is not tried again.
    fn append(&mut self, part: Part<'t>) {
        let mut places: SmallVec<[usize; 8]> = SmallVec::new();
        for attempt in part.attempts {
            places.push(self.part.attempts.len());
            if !self.has(&attempt) {
                self.part.attempts.push(attempt);
            }
        }
        let end = self.part.attempts.len();
        let place = |at: usize| places.get(at).copied().unwrap_or(end);
        for attempt in part.skipped {
            if !self.has(&attempt) {
                self.part.skipped.push(attempt);
            }
        }
        let races = part.races.iter().map(|race| Race {
            from: place(race.from),
            second: place(race.second),
            until: place(race.until),
            after: race.after,
        });
        self.part.races.extend(races.filter(|race| race.from < race.second && race.second < race.until));
        let mirrors = part.mirrors.into_iter().map(|mirror| Mirror {
            from: place(mirror.from),
            until: place(mirror.until),
            attempt: mirror.attempt,
        });
        self.part.mirrors.extend(mirrors.filter(|mirror| mirror.from < mirror.until));
    }

    /// The best member first, the others behind it.
    pub(super) fn choose(&mut self, by: ChooseBy, members: &'t [RouteNode], outer: SettingsIdx) {
        let mut parts: Vec<Part<'t>> = members.iter().map(|member| self.collected(member, outer)).collect();
        match by {
            ChooseBy::Turn(turn) => {
                let turn = self.turn(turn);
                if let Some(first) = turn.checked_rem(parts.len() as u64) {
                    parts.rotate_left(usize::try_from(first).unwrap_or(0));
                }
            }
            ChooseBy::Price => {
                let size = size(self.facts);
                self.sort(&mut parts, |_, attempt| price(attempt, &size).unwrap_or(f64::INFINITY));
            }
            ChooseBy::InFlight => {
                self.shuffle(&mut parts);
                self.sort(&mut parts, |walk, attempt| f64::from(walk.vitals(attempt).in_flight));
            }
            ChooseBy::FirstToken => self.sort_by_speed(&mut parts),
        }
        parts.into_iter().for_each(|part| self.append(part));
    }

    /// By the score of what each would try first, the lowest first; those that have nothing to try come last.
    fn sort(&mut self, parts: &mut Vec<Part<'t>>, score: impl Fn(&mut Self, &Attempt<'t>) -> f64) {
        let mut scored: Vec<(Option<f64>, Part<'t>)> = std::mem::take(parts)
            .into_iter()
            .map(|part| (part.attempts.first().map(|attempt| score(self, attempt)), part))
            .collect();
        scored.sort_by(|(a, _), (b, _)| match (a, b) {
            (Some(a), Some(b)) => a.total_cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
        parts.extend(scored.into_iter().map(|(_, part)| part));
    }

    /// The power of two choices: of two members that are drawn, the quicker one first. Whoever looks at all of them sends all
    /// requests of a moment to the same one.
    fn sort_by_speed(&mut self, parts: &mut Vec<Part<'t>>) {
        self.shuffle(parts);
        self.sort(parts, |walk, attempt| {
            let vitals = walk.vitals(attempt);
            match (vitals.first_token_ms, vitals.in_flight) {
                (Some(ms), _) => ms,
                // Nobody knows it yet: the first to come finds out.
                (None, 0) => 0.0,
                (None, _) => UNMEASURED,
            }
        });
        let usable = parts.iter().take_while(|part| !part.attempts.is_empty()).count();
        if usable < 2 {
            return;
        }
        if self.number() < EXPLORED {
            let at = self.below(usable);
            parts.get_mut(..=at).unwrap_or_default().rotate_right(1);
        } else if usable > 2 {
            let (one, mut other) = (self.below(usable), self.below(usable - 1));
            other += usize::from(other >= one);
            let (better, worse) = (one.min(other), one.max(other));
            parts.get_mut(..=worse).unwrap_or_default().rotate_right(1);
            // The better one has moved up by one place, behind the worse.
            parts.get_mut(..=better + 1).unwrap_or_default().rotate_right(1);
        }
    }

    /// So that of equal members each comes first now and then.
    fn shuffle(&mut self, parts: &mut [Part<'t>]) {
        if !parts.is_empty() {
            let first = self.below(parts.len());
            parts.rotate_left(first);
        }
    }

    pub(super) fn hedge(&mut self, first: &'t RouteNode, second: &'t RouteNode, after: Duration, outer: SettingsIdx) {
        let (first, second) = (self.collected(first, outer), self.collected(second, outer));
        let from = self.part.attempts.len();
        self.append(first);
        let middle = self.part.attempts.len();
        self.append(second);
        let until = self.part.attempts.len();
        if from < middle && middle < until {
            self.part.races.push(Race { from, second: middle, until, after });
        }
    }

    pub(super) fn shadow(&mut self, main: &'t RouteNode, mirror: &'t RouteNode, sample: u32, outer: SettingsIdx) {
        let sampled = self.number() * 10_000.0 < f64::from(sample);
        let main = self.collected(main, outer);
        let from = self.part.attempts.len();
        self.append(main);
        let until = self.part.attempts.len();
        if sampled
            && from < until
            && let Some(attempt) = self.collected(mirror, outer).attempts.first().copied()
        {
            self.part.mirrors.push(Mirror { from, until, attempt });
        }
    }

    fn vitals(&self, attempt: &Attempt<'t>) -> super::Vitals {
        self.health.vitals(attempt.leaf.target, attempt.model)
    }

    /// The turn of this decision: asked for once, however often the route is met.
    fn turn(&mut self, turn: TurnIdx) -> u64 {
        if let Some((_, taken)) = self.turns.iter().find(|(known, _)| *known == turn) {
            return *taken;
        }
        let taken = self.health.turn(turn);
        self.turns.push((turn, taken));
        taken
    }

    /// The next number of this decision, in `0.0..1.0`.
    fn number(&mut self) -> f64 {
        self.drawn += 1;
        scrambled(self.draw.0, APART + self.drawn)
    }

    /// The next number of this decision, in `0..count`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position in a list of members")]
    fn below(&mut self, count: usize) -> usize {
        ((self.number() * count as f64) as usize).min(count.saturating_sub(1))
    }
}

/// The tokens of a request and of its answer, as far as its shape tells.
pub(super) fn size(facts: &dyn Facts) -> Usage {
    let answer = match facts.number(NumberFact::MaxTokens) {
        _ if facts.embeddings() => 0,
        0 => USUAL_ANSWER,
        most => most,
    };
    Usage { input: Some(facts.number(NumberFact::InputTokens)), output: Some(answer), ..Usage::default() }
}

/// What a request of this size would cost there, in USD.
pub(super) fn price(attempt: &Attempt<'_>, size: &Usage) -> Option<f64> {
    cost(size, &attempt.target.prices_of(attempt.provider, attempt.model)?)
}
