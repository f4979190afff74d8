//! Which combinations of patterns a text can have: an exact answer, with a text that shows it.
//!
//! A pattern is a small automaton (`*` loops, every other character is a step). A text that matches some patterns and not
//! others is a path through all automata at once; the shortest is searched breadth first. Characters that no wanted pattern
//! names are all alike, so one of them stands for the rest.

use std::collections::{HashSet, VecDeque};

use super::budget::Budget;
use crate::glob::Glob;

/// What texts a fact may have at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Legal {
    Any,
    /// Values of headers: printable ASCII, without blanks at the ends.
    Header,
}

impl Legal {
    pub(super) fn allows(self, text: &str) -> bool {
        match self {
            Legal::Any => true,
            Legal::Header => text.chars().all(|c| self.allows_inside(c)) && text.trim_matches([' ', '\t']) == text,
        }
    }

    /// The character may stand somewhere in a text.
    pub(super) fn allows_inside(self, character: char) -> bool {
        match self {
            Legal::Any => true,
            Legal::Header => matches!(character, ' '..='~' | '\t'),
        }
    }
}

/// What is asked for: a text that matches all of `wanted` and none of `unwanted`, and is none of `taken`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) wanted: &'a [&'a Glob],
    pub(super) unwanted: &'a [&'a Glob],
    pub(super) taken: &'a [&'a str],
    pub(super) legal: Legal,
    /// The text to take where it fits.
    pub(super) plain: &'a str,
}

impl Asked<'_> {
    pub(super) fn fits(&self, text: &str) -> bool {
        self.legal.allows(text)
            && !self.taken.contains(&text)
            && self.wanted.iter().all(|glob| glob.matches(text))
            && !self.unwanted.iter().any(|glob| glob.matches(text))
    }

    /// Such a text; `Some(None)` where there is none, `None` where the budget does not suffice to tell.
    pub(super) fn find(&self, budget: &mut Budget) -> Option<Option<String>> {
        budget.spend(1 + (self.wanted.len() + self.unwanted.len() + self.taken.len()) as u64)?;
        let fresh = self.fresh();
        if let Some(simple) = self.simple(fresh) {
            return Some(Some(simple));
        }
        if let Some(fresh) = fresh {
            let found = Search::new(self, Some(fresh)).run(budget)?;
            if found.is_some() {
                return Some(found);
            }
        }
        Search::new(self, None).run(budget)
    }

    /// Such a text and a character in it that stands for anything: with another text in its place every wanted pattern
    /// still matches. `None` where none is found within the budget.
    pub(super) fn with_gap(&self, budget: &mut Budget) -> Option<(String, char)> {
        let fresh = self.fresh()?;
        let found = Search::new(self, Some(fresh)).run(budget)??;
        Some((found, fresh))
    }

    /// A guess: the plain text, or a wanted pattern with nothing or something for its stars.
    fn simple(&self, fresh: Option<char>) -> Option<String> {
        let filler = fresh.map(String::from).unwrap_or_default();
        let pieces = self.wanted.iter().map(|glob| &*glob.0);
        let guesses = pieces.flat_map(|pattern| {
            let last = pattern.rsplit_once('*').map(|(head, tail)| format!("{}{filler}{tail}", head.replace('*', "")));
            [Some(pattern.replace('*', "")).filter(|text| !text.is_empty()), last, Some(pattern.replace('*', &filler))]
        });
        let plain = self.wanted.is_empty().then(|| [Some(self.plain.to_owned()), Some(filler.clone())]);
        plain.into_iter().flatten().chain(guesses).flatten().find(|guess| self.fits(guess))
    }

    /// A character that no pattern and no text names.
    fn fresh(&self) -> Option<char> {
        let globs = self.wanted.iter().chain(self.unwanted).map(|glob| &*glob.0);
        let named: HashSet<char> = globs.chain(self.taken.iter().copied()).flat_map(str::chars).collect();
        let pretty = "xyzabcdefghijklmnopqrstuvw0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.";
        let mut usual = pretty.chars().chain('!'..='~');
        usual.find(|c| !named.contains(c) && *c != '*').or_else(|| {
            // A text has fewer characters than Unicode.
            let mut others = '\u{a1}'..='\u{10ffff}';
            if self.legal == Legal::Any { others.find(|c| !named.contains(c)) } else { None }
        })
    }
}

/// One pattern, and the states that it may be in after some text: bit n is set where the first n signs are used up.
struct Automaton {
    signs: Vec<Sign>,
    wanted: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Sign {
    /// Any text.
    Star,
    Is(char),
}

impl Automaton {
    fn pattern(glob: &Glob, wanted: bool) -> Automaton {
        let sign = |c| if c == '*' { Sign::Star } else { Sign::Is(c) };
        Automaton { signs: glob.0.chars().map(sign).collect(), wanted }
    }

    /// Matches this text alone, and is not wanted.
    fn taken(text: &str) -> Automaton {
        Automaton { signs: text.chars().map(Sign::Is).collect(), wanted: false }
    }

    fn words(&self) -> usize {
        self.signs.len() / 64 + 1
    }
}

/// A search through all patterns at once.
struct Search {
    automata: Vec<Automaton>,
    letters: Vec<char>,
    /// The text has to have this character.
    needed: Option<char>,
    legal: Legal,
}

/// A point of the search: the states of all automata, one after the other, then a word of flags.
type State = Box<[u64]>;

const HAS_NEEDED: u64 = 1;
const ENDS_BLANK: u64 = 2;
const BEGUN: u64 = 4;

impl Search {
    /// With a character in it that nobody names, a text is none of those that are taken; without, that must be seen to.
    fn new(asked: &Asked<'_>, needed: Option<char>) -> Search {
        let fresh = asked.fresh();
        let mut letters: Vec<char> = fresh.into_iter().collect();
        let named = asked.wanted.iter().flat_map(|glob| glob.0.chars()).filter(|c| *c != '*');
        letters.extend(named.filter(|c| asked.legal.allows_inside(*c)));
        if fresh.is_none() {
            letters.extend(' '..='~');
        }
        let mut seen = HashSet::new();
        letters.retain(|letter| seen.insert(*letter));
        let wanted = asked.wanted.iter().map(|glob| Automaton::pattern(glob, true));
        let unwanted = asked.unwanted.iter().map(|glob| Automaton::pattern(glob, false));
        let taken = asked.taken.iter().filter(|_| needed.is_none()).map(|text| Automaton::taken(text));
        let automata = wanted.chain(unwanted).chain(taken).collect();
        Search { automata, letters, needed, legal: asked.legal }
    }

    fn run(&self, budget: &mut Budget) -> Option<Option<String>> {
        let start = self.start();
        let mut seen: HashSet<State> = HashSet::from([start.clone()]);
        // Each point with the one before it and the character between them.
        let mut points: Vec<(Option<usize>, char)> = vec![(None, ' ')];
        let mut open = VecDeque::from([(start, 0)]);
        while let Some((state, at)) = open.pop_front() {
            if self.accepts(&state) {
                return Some(Some(spelled(&points, at)));
            }
            for letter in &self.letters {
                budget.spend(1 + state.len() as u64)?;
                let Some(next) = self.step(&state, *letter) else { continue };
                if seen.insert(next.clone()) {
                    points.push((Some(at), *letter));
                    open.push_back((next, points.len() - 1));
                }
            }
        }
        Some(None)
    }

    fn start(&self) -> State {
        let mut state = Vec::new();
        for automaton in &self.automata {
            let mut set = vec![0; automaton.words()];
            reach(&automaton.signs, &mut set, 0);
            state.extend(set);
        }
        state.push(0);
        state.into()
    }

    /// The state after one more character; `None` where nothing good can come of it.
    fn step(&self, state: &State, letter: char) -> Option<State> {
        let mut next = Vec::with_capacity(state.len());
        let mut words = state.iter();
        for automaton in &self.automata {
            let from: Vec<u64> = words.by_ref().take(automaton.words()).copied().collect();
            let mut set = vec![0; automaton.words()];
            for (at, sign) in automaton.signs.iter().enumerate().filter(|(at, _)| has(&from, *at)) {
                if *sign == Sign::Star {
                    reach(&automaton.signs, &mut set, at);
                } else if *sign == Sign::Is(letter) {
                    reach(&automaton.signs, &mut set, at + 1);
                }
            }
            if automaton.wanted && set.iter().all(|word| *word == 0) {
                return None;
            }
            next.extend(set);
        }
        let flags = words.next().copied().unwrap_or(0);
        let blank = self.legal == Legal::Header && matches!(letter, ' ' | '\t');
        if blank && flags & BEGUN == 0 {
            return None;
        }
        let needed = if self.needed == Some(letter) { HAS_NEEDED } else { flags & HAS_NEEDED };
        next.push(BEGUN | needed | if blank { ENDS_BLANK } else { 0 });
        Some(next.into())
    }

    fn accepts(&self, state: &State) -> bool {
        let mut words = state.iter();
        for automaton in &self.automata {
            let set: Vec<u64> = words.by_ref().take(automaton.words()).copied().collect();
            if has(&set, automaton.signs.len()) != automaton.wanted {
                return false;
            }
        }
        let flags = words.next().copied().unwrap_or(0);
        flags & ENDS_BLANK == 0 && (self.needed.is_none() || flags & HAS_NEEDED != 0)
    }
}

/// Puts `at` into the set, and what follows from it without a character: a star may stand for nothing.
fn reach(signs: &[Sign], set: &mut [u64], at: usize) {
    let mut at = at;
    loop {
        if let Some(word) = set.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
        if signs.get(at) != Some(&Sign::Star) {
            return;
        }
        at += 1;
    }
}

fn has(set: &[u64], at: usize) -> bool {
    set.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
}

fn spelled(points: &[(Option<usize>, char)], end: usize) -> String {
    let mut letters = Vec::new();
    let mut at = end;
    while let Some((Some(before), letter)) = points.get(at) {
        letters.push(*letter);
        at = *before;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text of at most `length` of these letters.
    fn texts(letters: &[char], length: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..length {
            last = last.iter().flat_map(|text| letters.iter().map(move |letter| format!("{text}{letter}"))).collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    #[test]
    fn what_is_found_fits_and_what_is_not_found_does_not_exist() {
        let mut random = fastrand::Rng::with_seed(11);
        let universe = texts(&['a', 'b', 'x'], 6);
        let (mut found, mut none) = (0, 0);
        for _ in 0..2_000 {
            let mut glob = || {
                Glob(
                    (0..random.usize(0..5))
                        .map(|_| random.choice(['a', 'b', '*', '*']).unwrap())
                        .collect::<String>()
                        .into(),
                )
            };
            let globs: Vec<Glob> = (0..5).map(|_| glob()).collect();
            let (wanted, unwanted) = (random.usize(0..3), random.usize(3..6));
            let taken: Vec<String> =
                (0..random.usize(0..4)).map(|_| random.choice(&universe[..40]).unwrap().clone()).collect();
            let asked = Asked {
                wanted: &globs[..wanted].iter().collect::<Vec<_>>(),
                unwanted: &globs[wanted..unwanted.max(wanted)].iter().collect::<Vec<_>>(),
                taken: &taken.iter().map(String::as_str).collect::<Vec<_>>(),
                legal: if random.bool() { Legal::Any } else { Legal::Header },
                plain: "plain",
            };
            match asked.find(&mut Budget::new(1_000_000)).unwrap() {
                Some(text) => {
                    assert!(asked.fits(&text), "{text:?} for {asked:?}");
                    found += 1;
                }
                None => {
                    let missed = universe.iter().find(|text| asked.fits(text));
                    assert_eq!(missed, None, "{asked:?}");
                    none += 1;
                }
            }
        }
        assert!(found > 300 && none > 300, "{found} {none}");
    }

    #[test]
    fn headers_have_no_blanks_at_their_ends() {
        let glob = Glob("* *".into());
        let asked = Asked { wanted: &[&glob], unwanted: &[], taken: &[], legal: Legal::Header, plain: "" };
        assert_eq!(asked.find(&mut Budget::new(10_000)), Some(Some("x x".to_owned())));
        let glob = Glob(" *".into());
        let asked = Asked { wanted: &[&glob], ..asked };
        assert_eq!(asked.find(&mut Budget::new(10_000)), Some(None));
    }
}
