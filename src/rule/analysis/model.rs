//! From a model of the clauses to a request. Where the clauses said too little of texts, tools or buckets, the model is no
//! request, and a clause is learnt that says why.

use super::budget::Budget;
use super::encode::{Encoding, Number, NumberVariable, TextVariable};
use super::solver::Lit;
use super::texts::Asked;
use crate::glob::Glob;
use crate::rule::facts::{self, EPISODE_HEADER, SESSION_HEADERS};
use crate::rule::predicate::ValueFact;
use crate::rule::request::RequestShape;
use crate::rule::{Facts, FlagFact, NumberFact, OutputKind, ReasoningLevel, TextFact};
use crate::wire::ProtocolId;

/// Whether one request can meet the conditions.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Request(Box<RequestShape>),
    Impossible,
    /// The budget does not suffice to tell.
    Undecided,
}

/// The model that is asked for where it does not matter.
const PLAIN_MODEL: &str = "any";

impl Encoding<'_> {
    /// A request that meets everything that is required.
    pub(super) fn answer(&mut self, budget: &mut Budget) -> Answer {
        loop {
            match self.run(budget) {
                None => return Answer::Undecided,
                Some(false) => return Answer::Impossible,
                Some(true) => match self.request(budget) {
                    None => return Answer::Undecided,
                    Some(Ok(shape)) => return Answer::Request(Box::new(shape)),
                    Some(Err(clauses)) => clauses.iter().for_each(|clause| self.solver.clause(clause)),
                },
            }
        }
    }

    /// The request of the model, or clauses that it breaks.
    fn request(&self, budget: &mut Budget) -> Option<Result<RequestShape, Vec<Vec<Lit>>>> {
        let mut shape = RequestShape::hello(PLAIN_MODEL);
        self.put_key(&mut shape, 0);
        for variable in &self.texts {
            if self.solver.holds(variable.absent) {
                continue;
            }
            match self.text_of(variable, budget)? {
                Ok(text) => put_text(&mut shape, &variable.fact, text),
                Err(clause) => return Some(Err(vec![clause])),
            }
        }
        for variable in &self.numbers {
            self.put_number(&mut shape, variable);
        }
        if let Err(clause) = self.put_tools(&mut shape) {
            return Some(Err(vec![clause]));
        }
        shape.stream = self.flags.iter().any(|(fact, lit)| *fact == FlagFact::Stream && self.solver.holds(*lit));
        let clauses = self.put_buckets(&mut shape, budget)?;
        Some(if clauses.is_empty() { Ok(shape) } else { Err(clauses) })
    }

    // === texts

    /// The text of the model, or why there is none.
    fn text_of(&self, variable: &TextVariable, budget: &mut Budget) -> Option<Result<String, Vec<Lit>>> {
        if let Some((value, _)) = variable.values.iter().find(|(_, literal)| self.solver.holds(*literal)) {
            return Some(Ok(value.to_string()));
        }
        let (wanted, unwanted) = self.signs(variable);
        let taken: Vec<&str> = variable.values.iter().map(|(value, _)| &**value).collect();
        let asked = |wanted: &[(&Glob, Lit)], unwanted: &[(&Glob, Lit)], budget: &mut Budget| {
            Asked {
                wanted: &wanted.iter().map(|(glob, _)| *glob).collect::<Vec<_>>(),
                unwanted: &unwanted.iter().map(|(glob, _)| *glob).collect::<Vec<_>>(),
                taken: &taken,
                legal: variable.legal,
                plain: PLAIN_MODEL,
            }
            .find(budget)
        };
        if let Some(found) = asked(&wanted, &unwanted, budget)? {
            return Some(Ok(found));
        }
        // The fewer literals a clause has, the more it teaches: leave out what is not to blame.
        let (mut wanted, mut unwanted) = (wanted, unwanted);
        for at in (0..wanted.len()).rev() {
            let mut fewer = wanted.clone();
            fewer.remove(at);
            if asked(&fewer, &unwanted, budget)?.is_none() {
                wanted = fewer;
            }
        }
        for at in (0..unwanted.len()).rev() {
            let mut fewer = unwanted.clone();
            fewer.remove(at);
            if asked(&wanted, &fewer, budget)?.is_none() {
                unwanted = fewer;
            }
        }
        let fits = |value: &str| {
            wanted.iter().all(|(glob, _)| glob.matches(value)) && !unwanted.iter().any(|(glob, _)| glob.matches(value))
        };
        let mut clause = vec![variable.absent];
        clause.extend(variable.values.iter().filter(|(value, _)| fits(value)).map(|(_, literal)| *literal));
        clause.extend(wanted.iter().map(|(_, literal)| !*literal));
        clause.extend(unwanted.iter().map(|(_, literal)| *literal));
        Some(Err(clause))
    }

    /// The patterns that the text is to match, and those that it is not to.
    #[expect(clippy::type_complexity, reason = "a pair of equal lists, taken apart by each caller")]
    fn signs<'v>(&self, variable: &'v TextVariable) -> (Vec<(&'v Glob, Lit)>, Vec<(&'v Glob, Lit)>) {
        let globs = variable.globs.iter().map(|(glob, literal)| (glob, *literal));
        globs.partition(|(_, literal)| self.solver.holds(*literal))
    }

    // === numbers

    /// The values that the model leaves to the number.
    fn range(&self, variable: &NumberVariable) -> (u64, u64) {
        let mut range = (0, variable.greatest);
        for (cut, literal) in &variable.cuts {
            if self.solver.holds(*literal) {
                range.1 = range.1.min(*cut);
            } else {
                range.0 = range.0.max(cut + 1);
            }
        }
        range
    }

    fn put_number(&self, shape: &mut RequestShape, variable: &NumberVariable) {
        let (least, most) = self.range(variable);
        let value = variable.plain.clamp(least, most);
        match &variable.number {
            Number::ClientKey => self.put_key(shape, value),
            Number::Fact(fact) => put_value(shape, fact, value),
        }
    }

    /// The client key at this position; where the file has keys, every request has one.
    fn put_key(&self, shape: &mut RequestShape, position: u64) {
        let key = usize::try_from(position).ok().and_then(|at| self.space.keys.get(at));
        shape.key = key.map(|key| key.id.clone());
        shape.key_attributes = key.map(|key| key.attributes.clone()).unwrap_or_default();
    }

    /// The tools: those with a name, and as many more as are asked for.
    fn put_tools(&self, shape: &mut RequestShape) -> Result<(), Vec<Lit>> {
        let named = self.flags.iter().filter_map(|(fact, literal)| match fact {
            FlagFact::Tool(name) if self.solver.holds(*literal) => Some((name, *literal)),
            _ => None,
        });
        let named: Vec<(&Box<str>, Lit)> = named.collect();
        shape.tools = named.iter().map(|(name, _)| name.to_string()).collect();
        let count = named.len() as u64;
        let Some(variable) = self.known_number(&Number::Fact(ValueFact::Number(NumberFact::Tools))) else {
            return Ok(());
        };
        let (least, most) = self.range(variable);
        if count > most {
            let enough = usize::try_from(most).unwrap_or(usize::MAX).saturating_add(1);
            let mut clause: Vec<Lit> = named.iter().take(enough).map(|(_, literal)| !*literal).collect();
            clause.extend(variable.cuts.get(&most).map(|cut| !*cut));
            return Err(clause);
        }
        shape.other_tools = least.max(count) - count;
        Ok(())
    }

    // === buckets

    /// Makes whoever the request belongs to fall into the buckets, or says why nobody does.
    fn put_buckets(&self, shape: &mut RequestShape, budget: &mut Budget) -> Option<Vec<Vec<Lit>>> {
        let buckets = self.numbers.iter().filter_map(|variable| match &variable.number {
            Number::Fact(ValueFact::Bucket(salt)) => Some((&**salt, self.range(variable), variable)),
            _ => None,
        });
        let buckets: Vec<(&str, (u64, u64), &NumberVariable)> = buckets.collect();
        let fits = |subject: &str| {
            buckets
                .iter()
                .all(|(salt, (least, most), _)| (*least..=*most).contains(&u64::from(facts::bucket(salt, subject))))
        };
        let subject = shape.text(&TextFact::User).or_else(|| shape.text(&TextFact::Session));
        if fits(subject.as_deref().unwrap_or(&shape.request_id)) {
            return Some(Vec::new());
        }
        // Who the request belongs to: the first of these that is there.
        let sources = |fact: TextFact| self.space.linked(&fact).map_or(vec![fact], |linked| linked.facts);
        let sources: Vec<TextFact> = [TextFact::User, TextFact::Session].into_iter().flat_map(sources).collect();
        let named = sources.iter().position(|fact| own_text(shape, fact).is_some());
        let nobody_forbidden = self.known_text(&TextFact::User).is_none();
        let Some((fact, at)) = named.filter(|_| !nobody_forbidden).and_then(|at| Some((sources.get(at)?, at))) else {
            // Somebody may be named where no condition asks, else the request's own id decides.
            let found = self.anybody(&fits, buckets.len(), budget)?;
            if nobody_forbidden {
                shape.user = Some(found);
            } else {
                shape.request_id = found;
            }
            return Some(Vec::new());
        };
        let variable = self.known_text(fact)?;
        if let Some((text, literal)) = variable.values.iter().find(|(_, literal)| self.solver.holds(*literal)) {
            // Where nobody is named before it, this text has these buckets, whatever else.
            let before = sources.iter().take(at).filter_map(|fact| self.known_text(fact));
            let premise: Vec<Lit> = before.map(|earlier| !earlier.absent).chain([!*literal]).collect();
            return Some(self.buckets_of(text, &premise, &buckets));
        }
        let found = self.other_subject(variable, &fits, budget)?;
        put_text(shape, fact, found);
        Some(Vec::new())
    }

    /// A name that falls into the buckets.
    fn anybody(&self, fits: &dyn Fn(&str) -> bool, cost: usize, budget: &mut Budget) -> Option<String> {
        for number in 0u32.. {
            budget.spend(cost as u64)?;
            let name = format!("u{number}");
            if fits(&name) {
                return Some(name);
            }
        }
        None
    }

    /// Clauses: where the premise is broken, or the bucket is that of the text.
    fn buckets_of(
        &self,
        text: &str,
        premise: &[Lit],
        buckets: &[(&str, (u64, u64), &NumberVariable)],
    ) -> Vec<Vec<Lit>> {
        let mut clauses = Vec::new();
        for (salt, _, variable) in buckets {
            let bucket = u64::from(facts::bucket(salt, text));
            for (cut, literal) in &variable.cuts {
                let mut clause = premise.to_vec();
                clause.push(if bucket <= *cut { *literal } else { !*literal });
                clauses.push(clause);
            }
        }
        clauses
    }

    /// Another text of the model's form that falls into the buckets: a number put where any text may stand.
    fn other_subject(
        &self,
        variable: &TextVariable,
        fits: &dyn Fn(&str) -> bool,
        budget: &mut Budget,
    ) -> Option<String> {
        let (wanted, unwanted) = self.signs(variable);
        let asked = Asked {
            wanted: &wanted.iter().map(|(glob, _)| *glob).collect::<Vec<_>>(),
            unwanted: &unwanted.iter().map(|(glob, _)| *glob).collect::<Vec<_>>(),
            taken: &variable.values.iter().map(|(value, _)| &**value).collect::<Vec<_>>(),
            legal: variable.legal,
            plain: PLAIN_MODEL,
        };
        let (base, gap) = asked.with_gap(budget)?;
        for number in 0u32.. {
            budget.spend(1)?;
            let text = base.replacen(gap, &number.to_string(), 1);
            if fits(&text) && asked.fits(&text) {
                return Some(text);
            }
        }
        None
    }
}

/// What the request says of the fact itself, without what else may speak for it.
fn own_text<'s>(shape: &'s RequestShape, fact: &TextFact) -> Option<&'s str> {
    let text = match fact {
        TextFact::User => shape.user.as_ref(),
        TextFact::Header(name) => shape.headers.get(&**name),
        TextFact::Session => SESSION_HEADERS.iter().find_map(|name| shape.headers.get(*name)),
        TextFact::Episode => shape.headers.get(EPISODE_HEADER),
        TextFact::Model | TextFact::LastTool | TextFact::Key | TextFact::KeyAttribute(_) | TextFact::Tag(_) => None,
    };
    text.map(String::as_str)
}

fn put_text(shape: &mut RequestShape, fact: &TextFact, text: String) {
    match fact {
        TextFact::Model => shape.model = text,
        TextFact::User => shape.user = Some(text),
        TextFact::Session => {
            let [first, ..] = SESSION_HEADERS;
            shape.headers.insert(first.to_owned(), text);
        }
        TextFact::Episode => drop(shape.headers.insert(EPISODE_HEADER.to_owned(), text)),
        TextFact::LastTool => shape.last_tool = Some(text),
        TextFact::Header(name) => drop(shape.headers.insert(name.to_string(), text)),
        TextFact::Tag(name) => drop(shape.tags.insert(name.to_string(), text)),
        // Known by the key's position.
        TextFact::Key | TextFact::KeyAttribute(_) => {}
    }
}

fn put_value(shape: &mut RequestShape, fact: &ValueFact, value: u64) {
    match fact {
        ValueFact::Number(NumberFact::Images) => shape.images = value,
        ValueFact::Number(NumberFact::Files) => shape.files = value,
        ValueFact::Number(NumberFact::Audio) => shape.audio = value,
        ValueFact::Number(NumberFact::Messages) => shape.messages = value,
        ValueFact::Number(NumberFact::InputTokens) => shape.input_tokens = value,
        ValueFact::Number(NumberFact::MaxTokens) => shape.max_tokens = value,
        ValueFact::Number(NumberFact::Hour) => shape.hour = value,
        ValueFact::Number(NumberFact::Weekday) => shape.weekday = value,
        // Both depend on other facts, and are looked at together with these.
        ValueFact::Number(NumberFact::Tools) | ValueFact::Bucket(_) => {}
        ValueFact::Reasoning => shape.reasoning = ReasoningLevel::at(value),
        ValueFact::Output => shape.output = OutputKind::at(value),
        ValueFact::Protocol => {
            let known = ProtocolId::ALL.into_iter().find(|id| facts::protocol_position(*id, false) == value);
            shape.protocol = known.unwrap_or(ProtocolId::OpenAiChat);
            shape.embeddings = known.is_none();
        }
    }
}
