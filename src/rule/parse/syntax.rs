//! What is said where the grammar gives up.

use pest::error::{ErrorVariant, InputLocation};

use super::hint::hint;
use super::{Reader, Rule, slip};
use crate::diagnostic::{Code, Diagnostic};

impl Reader<'_> {
    pub(super) fn syntax(&self, entry: Rule, text: &str, error: &pest::error::Error<Rule>) -> Diagnostic {
        let at = match error.location {
            InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
        };
        let found = word_at(text, at);
        let expected = match &error.variant {
            ErrorVariant::ParsingError { positives, .. } => expected(positives),
            ErrorVariant::CustomError { message } => message.clone(),
        };
        let span = (self.place)(at..at + found.len());
        let message = match found {
            "" => format!("expected {expected}, and the text ends here"),
            found => format!("expected {expected}, found `{found}`"),
        };
        let diagnostic = Diagnostic::new(Code::RuleSyntax, message);
        let positives = match &error.variant {
            ErrorVariant::ParsingError { positives, .. } => positives.as_slice(),
            ErrorVariant::CustomError { .. } => &[],
        };
        if let Some(slip) = slip::slip(text, at, found, positives) {
            let help = format!("did you mean `{}`?", slip.meant.trim());
            let place = (self.place)(slip.range);
            return diagnostic.label(place, "here").help(help).fix(place, slip.meant);
        }
        let diagnostic = diagnostic.label(span, "here");
        match (hint(text.get(..at).unwrap_or(""), found, positives), text.trim_start()) {
            (Some(help), _) => diagnostic.help(help),
            (None, start) if continues(start) => {
                diagnostic.help("to continue the rule of the line before, indent this line")
            }
            (None, _) if entry == Rule::route => diagnostic.help(
                "a target is `provider/model`, `@preset` or `split(...)`; `a/b > c/d` means: `c/d` where `a/b` fails",
            ),
            (None, _) => diagnostic.help("a rule is `when CONDITION -> TARGET` or `otherwise -> TARGET`"),
        }
    }
}

/// The text from `at` to the next blank, at most 40 bytes, at a character's border.
fn word_at(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or("");
    let end = rest
        .char_indices()
        .find(|(offset, character)| {
            *offset >= 40 || (*offset > 0 && (character.is_whitespace() || "()[],".contains(*character)))
        })
        .map_or(rest.len(), |(offset, _)| offset);
    rest.get(..end).unwrap_or("").trim_end()
}

/// A line that can only be the continuation of a rule.
fn continues(line: &str) -> bool {
    ["->", "and ", "or ", ">"].iter().any(|start| line.starts_with(start))
}

/// "`->`, `and` or `or`".
fn expected(rules: &[Rule]) -> String {
    let mut names: Vec<&str> = rules.iter().filter_map(|expected| to_symbol(*expected)).collect();
    names.sort_unstable();
    names.dedup();
    match names.split_last() {
        None => "something else".to_owned(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// What a message calls a rule of the grammar; `None` for what is never expected by itself.
fn to_symbol(expected: Rule) -> Option<&'static str> {
    Some(match expected {
        Rule::WHITESPACE
        | Rule::COMMENT
        | Rule::reserved
        | Rule::quoted_name
        | Rule::name_char
        | Rule::preset_char
        | Rule::target_char => {
            return None;
        }
        Rule::EOI => "the end of the rule",
        Rule::rule | Rule::when_clause | Rule::otherwise_clause => "`when` or `otherwise`",
        Rule::route | Rule::expression | Rule::target_atom | Rule::parenthesis | Rule::target => "a target",
        Rule::test_condition | Rule::condition | Rule::conjunction | Rule::negation | Rule::group | Rule::presence => {
            "a condition"
        }
        Rule::comparison | Rule::fact | Rule::name => "a fact",
        Rule::absence => "`is absent`",
        Rule::membership => "`in`",
        Rule::likeness | Rule::like => "`~`",
        Rule::relation | Rule::operator => "a comparison",
        Rule::parameter => "`(`",
        Rule::bare | Rule::string => "a quoted text",
        Rule::list | Rule::list_open => "`[`",
        Rule::literal | Rule::number | Rule::word => "a value",
        Rule::as_requested => "`as requested`",
        Rule::deny | Rule::kw_deny => "`deny`",
        Rule::call | Rule::strategy => "a strategy",
        Rule::argument => "an argument",
        Rule::weighted | Rule::weight => "a weight",
        Rule::timing | Rule::kw_timing => "`after`",
        Rule::amount => "an amount",
        Rule::mirror | Rule::kw_mirror => "`mirror`",
        Rule::status => "a status",
        Rule::preset => "`@preset`",
        Rule::kw_when => "`when`",
        Rule::kw_otherwise => "`otherwise`",
        Rule::kw_and => "`and`",
        Rule::kw_or => "`or`",
        Rule::kw_not => "`not`",
        Rule::kw_has => "`has`",
        Rule::kw_is => "`is absent`",
        Rule::kw_absent => "`absent`",
        Rule::kw_in => "`in`",
        Rule::arrow => "`->`",
        Rule::fallback => "`>`",
        Rule::open => "`(`",
        Rule::close => "`)`",
        Rule::list_close => "`]`",
        Rule::comma => "`,`",
    })
}
