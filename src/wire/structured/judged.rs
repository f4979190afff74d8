//! What became of an answer of a given form. A request may ask for several answers at once; each of them is judged.

use super::check::{Checker, Verdict};
use super::mend::mend;
use crate::wire::ir::{Candidate, Part};

/// The verdicts on an answer's candidates, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub verdicts: Vec<Verdict>,
    /// The words of the first candidate that is bad; empty where none is.
    pub text: String,
}

impl Judged {
    /// Judges each candidate; where it is bad and `mends`, its words are mended if that makes them good. Gives the mended words,
    /// by the candidate's place.
    pub(super) fn of<'c>(
        candidates: impl Iterator<Item = &'c Candidate>,
        checker: &Checker,
        mends: bool,
    ) -> (Judged, Vec<Option<String>>) {
        let mut judged = Judged { verdicts: Vec::new(), text: String::new() };
        let mut better = Vec::new();
        for candidate in candidates {
            let verdict = checker.judge(candidate);
            if !matches!(verdict, Verdict::Invalid(_)) {
                judged.verdicts.push(verdict);
                better.push(None);
                continue;
            }
            let text = text_of(candidate);
            let mended = if mends { mend(&text) } else { None };
            let mended = mended.filter(|mended| checker.text(mended) == Verdict::Valid);
            if mended.is_none() && judged.fault().is_none() {
                judged.text = text;
            }
            judged.verdicts.push(if mended.is_some() { Verdict::Repaired } else { verdict });
            better.push(mended);
        }
        (judged, better)
    }

    /// What is wrong with the answer, by candidate where there are several; `None` where none is bad.
    pub fn fault(&self) -> Option<String> {
        let several = self.verdicts.len() > 1;
        let faults = self.verdicts.iter().enumerate().filter_map(|(at, verdict)| match verdict {
            Verdict::Invalid(violation) if several => Some(format!("answer {}: {violation}", at + 1)),
            Verdict::Invalid(violation) => Some(violation.to_string()),
            _ => None,
        });
        let faults: Vec<String> = faults.collect();
        (!faults.is_empty()).then(|| faults.join("; "))
    }

    /// The verdicts in words, for a header.
    pub fn words(&self) -> String {
        let words: Vec<&str> = self.verdicts.iter().map(Verdict::word).collect();
        words.join(", ")
    }
}

/// All that a candidate says in words.
fn text_of(candidate: &Candidate) -> String {
    let texts = candidate.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect()
}
