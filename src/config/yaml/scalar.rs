//! What a scalar is by the core schema of YAML 1.2 (section 10.3), and the parser's complaints in plain words.

use saphyr_parser::ScalarStyle;

use crate::config::node::Kind;
use crate::source::SourceText;

/// Quoted and block scalars are text; plain ones are what they look like.
pub(super) fn resolve(content: SourceText, style: ScalarStyle) -> Kind {
    if !matches!(style, ScalarStyle::Plain) {
        return Kind::String(content);
    }
    match content.text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        text if is_number(text) => Kind::Number(content),
        _ => Kind::String(content),
    }
}

fn is_number(text: &str) -> bool {
    if let Some(digits) = text.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") || is_decimal(unsigned)
}

/// `(\. digits | digits (\. digits?)?) ([eE] [-+]? digits)?`.
fn is_decimal(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

/// A syntax error as it is told.
pub(super) struct Advice {
    pub(super) message: String,
    pub(super) label: &'static str,
    pub(super) help: &'static str,
}

/// What the parser says of a quote that nothing closes.
pub(super) const UNCLOSED: &str = "quoted scalar, found unexpected end";

/// The mistakes that are common, by a word of the parser's message.
const KNOWN: &[(&str, &str, &str, &str)] = &[
    (
        "mapping values are not allowed",
        "a `:` stands where no key can be",
        "this `:` is read as the end of a key",
        "put the text in quotes if it contains `: `, or begin a new line for a new key",
    ),
    ("tab", "a tab is used to indent", "around here", "YAML is indented with spaces"),
    (
        "invalid indentation in quoted scalar",
        "a quote is opened and never closed",
        "the quote that is not closed",
        "add the closing quote",
    ),
    (
        "invalid indentation",
        "this line is not indented enough",
        "around here",
        "what belongs to a key is indented more than the key, closing brackets of `[ ]` and `{ }` included",
    ),
    (
        "did not find expected <document start>",
        "something stands after the end of the document",
        "does not belong to what is above",
        "look for a bracket or quote too many, and check the indentation",
    ),
    (
        "misplaced bracket",
        "a bracket is closed that was not opened",
        "nothing to close",
        "remove it, or look for the bracket that should open above",
    ),
    (
        "unexpected character",
        "a text cannot begin with this character",
        "needs quotes",
        "put the whole text in quotes, e.g. `\"@default\"`",
    ),
    (
        "quoted scalar, found unexpected end",
        "a quote is opened and never closed",
        "the quote that is not closed",
        "add the closing quote",
    ),
    (
        "after double-quoted scalar",
        "something stands behind a text in quotes",
        "does not belong to the text",
        "put all of it inside the quotes, or begin a new line for a new key",
    ),
    (
        "unknown escape",
        "an unknown escape in a double-quoted text",
        "in this text",
        "write `\\\\` for a backslash, or use single quotes",
    ),
    (
        "while parsing a flow sequence",
        "a `,` or `]` is missing in a list",
        "around here",
        "separate the items with `,` and close the list with `]`",
    ),
    (
        "while parsing a flow mapping",
        "a `,` or `}` is missing in a mapping",
        "around here",
        "separate the keys with `,` and close the mapping with `}`",
    ),
    (
        "did not find expected key",
        "this line does not fit the lines above it",
        "around here",
        "check the indentation: keys of one mapping begin in one column",
    ),
    (
        "simple key",
        "a key without a `:`",
        "around here",
        "write `key: value`; a text of several lines needs `|` after the key",
    ),
    (
        "unknown anchor",
        "an alias of an anchor that does not exist",
        "no `&` of this name stands above",
        "define it first: `&name value`",
    ),
];

pub(super) fn advice(info: &str) -> Advice {
    match KNOWN.iter().find(|(word, ..)| info.contains(word)) {
        Some((_, message, label, help)) => Advice { message: (*message).to_owned(), label, help },
        None => Advice {
            message: format!("this is not YAML: {info}"),
            label: "the parser gave up here",
            help: "the mistake is often on the line above: an unclosed quote or bracket, or a wrong indentation",
        },
    }
}
