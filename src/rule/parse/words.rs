//! The words of a rule or of a target expression in order, for writing it anew with other white space.

use std::ops::Range;

use pest::Parser;
use pest::iterators::Pair;

use super::{Grammar, LONGEST, Rule, too_deep};

/// A word, a sign or a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is written where nothing is left to taste.
    pub text: String,
    pub kind: WordKind,
    /// Stands directly behind the word before it.
    pub tight: bool,
    /// Begins a line.
    pub first: bool,
}

/// What a layout needs to know of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordKind {
    Word,
    /// `->`.
    Arrow,
    /// `(` or `[`.
    Open,
    /// `)` or `]`.
    Close,
    Comment,
}

/// The words of a rule; `None` where it is none.
pub fn of_rule(text: &str) -> Option<Vec<Word>> {
    words(Rule::rule, text)
}

/// The words of a target expression; `None` where it is none.
pub fn of_route(text: &str) -> Option<Vec<Word>> {
    words(Rule::route, text)
}

fn words(entry: Rule, text: &str) -> Option<Vec<Word>> {
    if text.len() > LONGEST || too_deep(text).is_some() {
        return None;
    }
    let mut leaves = Vec::new();
    leaves_of(Grammar::parse(entry, text).ok()?.next()?, None, &mut leaves);
    let mut words = Vec::new();
    let mut at = 0;
    let mut before = None;
    for leaf in leaves {
        let first = comments(text.get(at..leaf.range.start)?, &mut words)?;
        let opened = matches!(before, Some(Rule::open | Rule::list_open));
        let tight = opened || leaf.bound || matches!(leaf.of, Rule::close | Rule::list_close | Rule::comma);
        let written = text.get(leaf.range.clone())?;
        words.push(Word { text: canonical(leaf.of, written), kind: kind(leaf.of), tight: tight && !first, first });
        before = Some(leaf.of);
        at = leaf.range.end;
    }
    comments(text.get(at..)?, &mut words)?;
    Some(words)
}

struct Leaf {
    of: Rule,
    range: Range<usize>,
    /// The parenthesis of a fact or of a strategy, which stands directly behind its name.
    bound: bool,
}

fn leaves_of(pair: Pair<'_, Rule>, parent: Option<Rule>, leaves: &mut Vec<Leaf>) {
    let (of, span) = (pair.as_rule(), pair.as_span());
    let whole = matches!(of, Rule::preset | Rule::target | Rule::as_requested | Rule::string);
    let mut inner = pair.into_inner().peekable();
    if !whole && inner.peek().is_some() {
        inner.for_each(|part| leaves_of(part, Some(of), leaves));
        return;
    }
    let end = span.start() + span.as_str().trim_end().len();
    if end > span.start() {
        let bound = of == Rule::open && matches!(parent, Some(Rule::parameter | Rule::call));
        leaves.push(Leaf { of, range: span.start()..end, bound });
    }
}

/// Takes the comments out of what stands between two words, and says whether a line begins there. `None` where there is
/// something else.
fn comments(gap: &str, words: &mut Vec<Word>) -> Option<bool> {
    let mut first = false;
    for (number, line) in gap.split('\n').enumerate() {
        first = number > 0;
        let line = line.trim();
        if line.starts_with('#') {
            words.push(Word { text: line.to_owned(), kind: WordKind::Comment, tight: false, first });
        } else if !line.is_empty() {
            return None;
        }
    }
    Some(first)
}

fn kind(of: Rule) -> WordKind {
    match of {
        Rule::arrow => WordKind::Arrow,
        Rule::open | Rule::list_open => WordKind::Open,
        Rule::close | Rule::list_close => WordKind::Close,
        _ => WordKind::Word,
    }
}

fn canonical(of: Rule, written: &str) -> String {
    if of == Rule::as_requested {
        return "as requested".to_owned();
    }
    let inner = written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    match inner.filter(|inner| of == Rule::string && !inner.contains(['"', '\\'])) {
        Some(inner) => format!("\"{inner}\""),
        None => written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(words: Option<Vec<Word>>) -> String {
        let mut out = String::new();
        for word in words.unwrap() {
            if !word.tight && !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&word.text);
        }
        out
    }

    #[test]
    fn white_space_and_quotes_have_one_form() {
        for (written, expected) in [
            ("when model=='a'and tools>0->@b", "when model == \"a\" and tools > 0 -> @b"),
            ("when ( stream )or not  in_x -> x/y", "when (stream) or not in_x -> x/y"),
            (
                "when header ( 'x' ) in[ 'a','b' , ]-> split( 95 @a ,5 b/c )",
                "when header(\"x\") in [\"a\", \"b\",] -> split(95 @a, 5 b/c)",
            ),
            ("otherwise->as   requested", "otherwise -> as requested"),
            ("otherwise -> deny 403 'say \"no\"'", "otherwise -> deny 403 'say \"no\"'"),
            ("when a -> b/c#d > ( @x>y/z ) # why", "when a -> b/c#d > (@x > y/z) # why"),
            ("when user is   absent -> a/b", "when user is absent -> a/b"),
        ] {
            assert_eq!(joined(of_rule(written)), expected);
            assert_eq!(joined(of_rule(expected)), expected);
        }
        assert_eq!(joined(of_route("a/b>\n @c")), "a/b > @c");
        assert_eq!(of_rule("when -> "), None);
    }
}
