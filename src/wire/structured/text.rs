//! JSON out of what surrounds it, piece by piece: a stream and a whole answer go through the same machines, so they cannot
//! differ.

use super::Applied;

/// Turns the text of an answer into what the caller asked for.
pub(super) enum Cleaner {
    Wrapped(Unwrap),
    Fenced(Fence),
    Plain,
}

impl Cleaner {
    pub(super) fn of(applied: &Applied) -> Cleaner {
        if applied.wrapped {
            Cleaner::Wrapped(Unwrap::default())
        } else if applied.strips_fences() {
            Cleaner::Fenced(Fence::default())
        } else {
            Cleaner::Plain
        }
    }

    pub(super) fn push(&mut self, piece: &str) -> String {
        match self {
            Cleaner::Wrapped(unwrap) => unwrap.push(piece),
            Cleaner::Fenced(fence) => fence.push(piece),
            Cleaner::Plain => piece.to_owned(),
        }
    }

    /// What was held back and belongs to the answer.
    pub(super) fn finish(&mut self) -> String {
        match self {
            Cleaner::Wrapped(unwrap) => unwrap.finish(),
            Cleaner::Fenced(fence) => fence.finish(),
            Cleaner::Plain => String::new(),
        }
    }

    pub(super) fn whole(applied: &Applied, text: &str) -> String {
        let mut cleaner = Cleaner::of(applied);
        let mut out = cleaner.push(text);
        out.push_str(&cleaner.finish());
        out
    }
}

/// `{"answer": VALUE}` as `VALUE`. A text that does not begin so passes as it is.
#[derive(Default)]
pub(super) struct Unwrap {
    state: Unwrapping,
    /// What came before the value.
    head: String,
    /// Brackets that are open within the value.
    depth: usize,
    in_string: bool,
    escaped: bool,
}

#[derive(Default, PartialEq, Eq)]
enum Unwrapping {
    #[default]
    Before,
    Within,
    Behind,
    /// Nothing is wrapped here.
    Through,
}

/// Longest beginning of a wrapped answer: the rest is white space.
const LONGEST_HEAD: usize = 256;

impl Unwrap {
    fn push(&mut self, piece: &str) -> String {
        let mut out = String::new();
        for character in piece.chars() {
            match self.state {
                Unwrapping::Before => self.before(character, &mut out),
                Unwrapping::Within => self.within(character, &mut out),
                Unwrapping::Behind => {}
                Unwrapping::Through => out.push(character),
            }
        }
        out
    }

    fn before(&mut self, character: char, out: &mut String) {
        self.head.push(character);
        let bare: String = self.head.chars().filter(|c| !c.is_whitespace()).collect();
        let opening = concat!("{", "\"answer\"", ":");
        if bare == opening {
            self.state = Unwrapping::Within;
        } else if !opening.starts_with(&bare) || self.head.len() > LONGEST_HEAD {
            self.state = Unwrapping::Through;
            out.push_str(&std::mem::take(&mut self.head));
        }
    }

    fn within(&mut self, character: char, out: &mut String) {
        if self.in_string {
            match character {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '"' => self.in_string = false,
                _ => {}
            }
        } else {
            match character {
                '"' => self.in_string = true,
                '{' | '[' => self.depth += 1,
                '}' | ']' | ',' if self.depth == 0 => {
                    self.state = Unwrapping::Behind;
                    return;
                }
                '}' | ']' => self.depth -= 1,
                _ => {}
            }
        }
        out.push(character);
    }

    fn finish(&mut self) -> String {
        match self.state {
            Unwrapping::Before => std::mem::take(&mut self.head),
            Unwrapping::Within | Unwrapping::Behind | Unwrapping::Through => String::new(),
        }
    }
}

/// A text within a code fence (CommonMark 4.5), without the fence. A text that does not begin with one passes as it is.
#[derive(Default)]
pub(super) struct Fence {
    state: Fencing,
    held: String,
}

#[derive(Default, PartialEq, Eq)]
enum Fencing {
    #[default]
    Before,
    Within,
    Through,
}

const MARK: &str = "```";
/// Longest word behind the marks of a fence.
const LONGEST_INFO: usize = 64;

impl Fence {
    fn push(&mut self, piece: &str) -> String {
        match self.state {
            Fencing::Through => piece.to_owned(),
            Fencing::Before => {
                self.held.push_str(piece);
                self.begin()
            }
            Fencing::Within => {
                self.held.push_str(piece);
                self.release()
            }
        }
    }

    fn begin(&mut self) -> String {
        let text = self.held.trim_start();
        if let Some(inside) = text.strip_prefix(MARK) {
            if let Some((_, body)) = inside.split_once('\n') {
                self.held = body.to_owned();
                self.state = Fencing::Within;
                return self.release();
            }
            if inside.len() <= LONGEST_INFO {
                return String::new();
            }
        } else if MARK.starts_with(text) {
            return String::new();
        }
        self.state = Fencing::Through;
        std::mem::take(&mut self.held)
    }

    /// Everything but what may be the end of the fence: white space and marks at the very end.
    fn release(&mut self) -> String {
        let sure = self.held.trim_end_matches(|c: char| c.is_whitespace() || c == '`').len();
        let rest = self.held.split_off(sure);
        std::mem::replace(&mut self.held, rest)
    }

    fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        match self.state {
            Fencing::Before | Fencing::Through => held,
            Fencing::Within => held.trim_end().trim_end_matches('`').trim_end().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::structured::Means;

    fn cleaned(applied: &Applied, text: &str) -> String {
        let whole = Cleaner::whole(applied, text);
        let mut cleaner = Cleaner::of(applied);
        let mut pieces: String = text.chars().map(|c| cleaner.push(&c.to_string())).collect();
        pieces.push_str(&cleaner.finish());
        assert_eq!(whole, pieces, "in one piece and in many");
        whole
    }

    #[test]
    fn an_answer_comes_out_of_its_wrapper() {
        let wrapped = Applied { means: Some(Means::Tool), wrapped: true, ..Applied::default() };
        for (text, expected) in [
            (r#"{"answer":[1,{"a":"}]"}]}"#, r#"[1,{"a":"}]"}]"#),
            ("{ \"answer\" :\n \"a\\\"}\" }", "\n \"a\\\"}\" "),
            (r#"{"answer":3}"#, "3"),
            (r#"{"answers":[]}"#, r#"{"answers":[]}"#),
            ("I cannot", "I cannot"),
            ("{ \"ans", "{ \"ans"),
            ("", ""),
        ] {
            assert_eq!(cleaned(&wrapped, text), expected);
        }
    }

    #[test]
    fn an_answer_comes_out_of_its_fence() {
        let fenced = Applied { means: Some(Means::Prompt), ..Applied::default() };
        for (text, expected) in [
            ("```json\n{\"a\":1}\n```", "{\"a\":1}"),
            ("\n```\n{\"a\":\"```\"}\n```\n", "{\"a\":\"```\"}"),
            ("{\"a\":1}", "{\"a\":1}"),
            (" {\"a\":\"`\"} ", " {\"a\":\"`\"} "),
            ("```json\n{\"a\":", "{\"a\":"),
            ("``", "``"),
            ("Sure:\n```\n{}\n```", "Sure:\n```\n{}\n```"),
        ] {
            assert_eq!(cleaned(&fenced, text), expected, "{text:?}");
        }
    }
}
