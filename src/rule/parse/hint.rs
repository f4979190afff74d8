//! What to do where the grammar gives up and no single word is to blame: habits of other languages.

use super::Rule;

/// The help for `found`, which stands behind `before` where one of `expected` should.
pub(super) fn hint(before: &str, found: &str, expected: &[Rule]) -> Option<&'static str> {
    let before = before.trim_end();
    let wants = |part: Rule| expected.contains(&part);
    let number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let behind_a_number = before.ends_with(|c: char| c.is_ascii_digit());
    let opens = |signs: [char; 2]| found.starts_with(signs);
    Some(match found {
        "contains" | "matches" | "like" | "startswith" | "startsWith" => {
            "`~` compares a text with a pattern: `model ~ \"*gpt*\"`; `tool(\"bash\")` asks whether a tool is offered"
        }
        "between" => BOTH_BOUNDS,
        _ if found.contains("..") || wants(Rule::kw_and) && opens(['<', '>']) => BOTH_BOUNDS,
        _ if [Rule::condition, Rule::conjunction, Rule::negation].into_iter().any(wants) && number(found) => {
            "the fact stands first: `images > 0`, and with two bounds twice: `hour >= 9 and hour < 17`"
        }
        _ if behind_a_number && (number(found) || number(found.trim_start_matches(','))) => {
            "a number is written without blanks and commas: `900000`, `900k`"
        }
        _ if behind_a_number && found.starts_with('%') => {
            "leave the `%` out; `bucket(\"x\") < 5` holds for 5 of 100 users, and a weight of `split` stands before its target"
        }
        _ if before.ends_with(':') && number(found) && wants(Rule::comma) => {
            "a weight stands before its target, without a colon: `split(95 a/b, 5 c/d)`"
        }
        _ if found.starts_with('(') && wants(Rule::list_open) => "a list stands in brackets: `model in [\"a\", \"b\"]`",
        _ if found.starts_with('[') && wants(Rule::open) => {
            "the name stands in parentheses: `header(\"x-team\")`, `tag(\"env\")`"
        }
        _ if opens(['"', '\'']) && wants(Rule::status) => {
            "a refusal has a status before its text: `deny 403 \"not for this key\"`"
        }
        _ if opens(['"', '\'']) => "the quote is not closed; a text ends on its line, with the quote it began with",
        _ if found.starts_with('/') => "there are no regular expressions; `~ \"gpt-4*\"` compares with a pattern",
        _ if found.starts_with("->") => "something is missing before `->`",
        _ => return None,
    })
}

const BOTH_BOUNDS: &str = "both bounds are written out, the fact first: `hour >= 9 and hour < 17`";
