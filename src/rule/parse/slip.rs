//! Slips of the finger and words of other languages, where the grammar gives up: what was meant.

use std::ops::Range;

use super::Rule;
use crate::diagnostic::did_you_mean;
use crate::rule::facts::find;

/// What stands in `text`, and what was meant instead.
pub(super) struct Slip {
    pub(super) range: Range<usize>,
    pub(super) meant: String,
}

/// The slip at `at`, where `found` stands and one of `expected` should.
pub(super) fn slip(text: &str, at: usize, found: &str, expected: &[Rule]) -> Option<Slip> {
    let here = |length: usize, meant: &str| Some(Slip { range: at..at + length, meant: meant.to_owned() });
    let before = text.get(..at).unwrap_or("");
    match found {
        "&&" | "&" => return here(found.len(), "and"),
        "|" if expected.contains(&Rule::fallback) => return here(1, ">"),
        "||" | "|" => return here(found.len(), "or"),
        "=>" | "then" => return here(found.len(), "->"),
        "if" if before.trim().is_empty() => return here(2, "when"),
        "else" if before.trim().is_empty() => return here(4, "otherwise"),
        "as" => return as_requested(text, at),
        _ if found.starts_with('>') && before.ends_with('=') => {
            return Some(Slip { range: at - 1..at + 1, meant: "->".to_owned() });
        }
        _ if found.starts_with('~') && before.ends_with('=') => {
            return Some(Slip { range: at - 1..at + 1, meant: "~".to_owned() });
        }
        // Outside the arguments of a strategy.
        _ if found.starts_with(',') && expected.contains(&Rule::fallback) && !expected.contains(&Rule::comma) => {
            return here(1, " >");
        }
        _ if expected.contains(&Rule::arrow) && is_target(found) => return here(0, "-> "),
        _ if found.contains(CURLY) => return here(found.len(), &found.replace(CURLY, "\"")),
        _ if found.starts_with('!') && !found.starts_with("!=") => return here(1, "not "),
        _ => {}
    }
    if let Some(slip) = before_it(before, expected) {
        return Some(slip);
    }
    let letters = found.trim_end_matches(|c: char| !c.is_alphanumeric());
    if letters.len() < 2 || !letters.chars().all(char::is_alphabetic) {
        return None;
    }
    let keywords = expected.iter().flat_map(|wanted| keywords(*wanted)).copied();
    here(letters.len(), near(letters, keywords)?)
}

/// `ont stream` and `dney 413`: the misspelled word is read as a fact or a target, and the next one is too many.
fn before_it(before: &str, expected: &[Rule]) -> Option<Slip> {
    let before = before.trim_end();
    let word = before.rsplit(|c: char| !c.is_alphabetic()).next()?;
    let in_a_condition = [Rule::kw_and, Rule::relation, Rule::operator].iter().any(|part| expected.contains(part));
    let candidates: &[&str] = match in_a_condition {
        true if find(word).is_none() => &["not", "has"],
        false if expected.contains(&Rule::fallback) => &["deny"],
        _ => return None,
    };
    let meant = near(word, candidates.iter().copied())?;
    Some(Slip { range: before.len() - word.len()..before.len(), meant: meant.to_owned() })
}

/// Quotes of word processors.
const CURLY: [char; 5] = ['“', '”', '„', '‘', '’'];

/// Can be nothing but a target.
fn is_target(word: &str) -> bool {
    word.len() > 1 && word.starts_with('@') || word.contains('/') && word.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// The nearest candidate, also in capitals, and where two letters of a short word have changed places.
fn near<'c>(word: &str, candidates: impl Iterator<Item = &'c str> + Clone) -> Option<&'c str> {
    let candidates = candidates.filter(|candidate| *candidate != word);
    let in_capitals = |candidate: &&str| candidate.eq_ignore_ascii_case(word);
    let by_a_letter = |candidate: &&str| word.len() > 2 && strsim::osa_distance(word, candidate) == 1;
    let near = candidates.clone().find(in_capitals).or_else(|| did_you_mean(word, candidates.clone()));
    near.or_else(|| candidates.clone().find(by_a_letter))
}

/// `as requsted`: the two words belong together.
fn as_requested(text: &str, at: usize) -> Option<Slip> {
    let rest = text.get(at + 2..)?;
    let word = rest.split_whitespace().next()?;
    let end = at + 2 + rest.find(word)? + word.len();
    did_you_mean(word, ["requested"]).map(|_| Slip { range: at..end, meant: "as requested".to_owned() })
}

/// The words with which a part of the grammar begins.
fn keywords(expected: Rule) -> &'static [&'static str] {
    match expected {
        Rule::rule | Rule::when_clause | Rule::otherwise_clause => &["when", "otherwise"],
        Rule::kw_when => &["when"],
        Rule::kw_otherwise => &["otherwise"],
        Rule::kw_and => &["and"],
        Rule::kw_or => &["or"],
        Rule::kw_not => &["not"],
        Rule::kw_has => &["has"],
        Rule::kw_is | Rule::absence => &["is"],
        Rule::kw_absent => &["absent"],
        Rule::kw_in | Rule::membership => &["in", "not"],
        Rule::kw_deny | Rule::deny => &["deny"],
        Rule::kw_timing | Rule::timing => &["after", "sample"],
        Rule::kw_mirror | Rule::mirror => &["mirror"],
        _ => &[],
    }
}
