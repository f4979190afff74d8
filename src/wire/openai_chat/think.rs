//! Thoughts that open models write into their answers, between `<think>` and `</think>` at the very beginning.

use crate::wire::ir::{Part, Reasoning, Response, Text};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A piece of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Thought(String),
    Said(String),
}

/// Tells thoughts from what is said, wherever the text is cut. Of the text no more is held back than a tag is long.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    stage: Stage,
    held: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing but white space came, or a part of a tag.
    #[default]
    Before,
    Thinking,
    /// The white space between thoughts and answer belongs to neither.
    Between,
    Saying,
}

impl Splitter {
    pub(super) fn push(&mut self, text: &str, out: &mut Vec<Piece>) {
        self.held.push_str(text);
        while self.step(out) {}
    }

    /// The text has ended: what was held back is what it looks like.
    pub(super) fn finish(&mut self, out: &mut Vec<Piece>) {
        let held = std::mem::take(&mut self.held);
        match self.stage {
            _ if held.is_empty() => {}
            Stage::Thinking => out.push(Piece::Thought(held)),
            Stage::Before | Stage::Saying => out.push(Piece::Said(held)),
            Stage::Between => {}
        }
    }

    /// Takes from what is held; whether to go on.
    fn step(&mut self, out: &mut Vec<Piece>) -> bool {
        match self.stage {
            Stage::Before => {
                let begun = self.held.trim_start();
                if let Some(rest) = begun.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    self.stage = Stage::Thinking;
                    return true;
                }
                if OPEN.starts_with(begun) {
                    return false;
                }
                self.stage = Stage::Saying;
                true
            }
            Stage::Thinking => {
                if let Some((thought, rest)) = self.held.split_once(CLOSE) {
                    if !thought.is_empty() {
                        out.push(Piece::Thought(thought.to_owned()));
                    }
                    self.held = rest.to_owned();
                    self.stage = Stage::Between;
                    return true;
                }
                let kept = unfinished(&self.held, CLOSE);
                let rest = self.held.split_off(self.held.len() - kept);
                let thought = std::mem::replace(&mut self.held, rest);
                if !thought.is_empty() {
                    out.push(Piece::Thought(thought));
                }
                false
            }
            Stage::Between => {
                let rest = self.held.trim_start().to_owned();
                self.held = rest;
                if self.held.is_empty() {
                    return false;
                }
                self.stage = Stage::Saying;
                true
            }
            Stage::Saying => {
                let said = std::mem::take(&mut self.held);
                if !said.is_empty() {
                    out.push(Piece::Said(said));
                }
                false
            }
        }
    }
}

/// How many bytes at the end of `text` may be the beginning of `tag`.
fn unfinished(text: &str, tag: &str) -> usize {
    (1..tag.len()).rev().find(|&length| tag.get(..length).is_some_and(|start| text.ends_with(start))).unwrap_or(0)
}

/// Splits the thoughts off the first text of each candidate.
pub(super) fn split(response: &mut Response) {
    for candidate in &mut response.candidates {
        let Some(at) = candidate.parts.iter().position(|part| matches!(part, Part::Text(_))) else { continue };
        let Some(Part::Text(text)) = candidate.parts.get_mut(at) else { continue };
        let (mut splitter, mut pieces) = (Splitter::default(), Vec::new());
        splitter.push(&text.text, &mut pieces);
        splitter.finish(&mut pieces);
        let (mut thought, mut said) = (String::new(), String::new());
        for piece in pieces {
            match piece {
                Piece::Thought(text) => thought.push_str(&text),
                Piece::Said(text) => said.push_str(&text),
            }
        }
        if thought.is_empty() && said.len() == text.text.len() {
            continue;
        }
        let said = Text { text: said, ext: std::mem::take(&mut text.ext) };
        let mut split = Vec::new();
        if !thought.is_empty() {
            split.push(Part::Reasoning(Reasoning { text: thought, ..Reasoning::default() }));
        }
        if !said.text.is_empty() || !said.ext.is_empty() {
            split.push(Part::Text(said));
        }
        candidate.parts.splice(at..=at, split);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The thoughts and the words of a text that comes in these pieces.
    fn heard(pieces: &[&str]) -> (String, String) {
        let (mut splitter, mut out) = (Splitter::default(), Vec::new());
        for piece in pieces {
            splitter.push(piece, &mut out);
        }
        splitter.finish(&mut out);
        let (mut thought, mut said) = (String::new(), String::new());
        for piece in out {
            match piece {
                Piece::Thought(text) => thought.push_str(&text),
                Piece::Said(text) => said.push_str(&text),
            }
        }
        (thought, said)
    }

    const CASES: [(&str, &str, &str); 9] = [
        ("<think>a < b</think>\n\nyes", "a < b", "yes"),
        ("\n <think>\u{e9}</think>yes </think>", "\u{e9}", "yes </think>"),
        ("<think></think>yes", "", "yes"),
        ("<think>cut off </thi", "cut off </thi", ""),
        ("no tags", "", "no tags"),
        ("not at the beginning: <think>x</think>", "", "not at the beginning: <think>x</think>"),
        (" <thin air", "", " <thin air"),
        ("<thi", "", "<thi"),
        ("", "", ""),
    ];

    #[test]
    fn thoughts_are_told_from_words_at_any_cut() {
        for (text, thought, said) in CASES {
            let expected = (thought.to_owned(), said.to_owned());
            assert_eq!(heard(&[text]), expected, "{text}");
            let cuts = (0..=text.len()).filter(|&at| text.is_char_boundary(at));
            for cut in cuts {
                let (left, right) = text.split_at(cut);
                assert_eq!(heard(&[left, right]), expected, "{left}|{right}");
            }
            let letters: Vec<String> = text.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            assert_eq!(heard(&letters), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_tag_is_not_held_back() {
        let (mut splitter, mut out) = (Splitter::default(), Vec::new());
        splitter.push("<think>abc</t", &mut out);
        assert_eq!(out, [Piece::Thought("abc".to_owned())]);
        splitter.push("able", &mut out);
        assert_eq!(out[1..], [Piece::Thought("</table".to_owned())]);
    }
}
