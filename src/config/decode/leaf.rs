//! Readers of single values.

use std::time::Duration;

use super::shape::{Shape, one_of};
use super::{Reader, bad_value, mismatch};
use crate::config::node::{Kind, Node};
use crate::config::yaml::shorten;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::source::{SourceText, Span, Spanned};
use crate::wire::ProtocolId;

/// The text of a string node; anything else is a finding.
pub(super) fn text<'n>(node: &'n Node, shape: &Shape, diagnostics: &mut Diagnostics) -> Option<&'n SourceText> {
    match &node.kind {
        Kind::String(text) => Some(text),
        Kind::Number(_) | Kind::Null | Kind::Bool(_) | Kind::Sequence(_) | Kind::Mapping(_) => {
            mismatch(node, shape, diagnostics);
            None
        }
    }
}

/// What a kind of text is, and which texts are of it.
pub trait TextRule {
    const SHAPE: Shape;

    /// # Errors
    /// The message and the help of the finding.
    fn check(_text: &str) -> Result<(), (String, String)> {
        Ok(())
    }
}

/// Text that keeps a rule.
pub struct Text<T>(std::marker::PhantomData<T>);

impl<T: TextRule> Reader for Text<T> {
    type Value = Spanned<String>;
    const SHAPE: Shape = T::SHAPE;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
        if let Kind::Number(number) = &node.kind
            && T::check(&number.text).is_ok()
        {
            diagnostics.push(unquoted_number(node, &number.text));
            return None;
        }
        let text = text(node, &T::SHAPE, diagnostics)?;
        match T::check(&text.text) {
            Ok(()) => Some(text.spanned()),
            Err((message, help)) => {
                bad_value(node.span, message, help, diagnostics);
                None
            }
        }
    }
}

fn unquoted_number(node: &Node, number: &str) -> Diagnostic {
    Diagnostic::new(Code::WrongType, "expected text, found a number")
        .label(node.span, "this is a number")
        .help("put it in quotes to make it text")
        .fix(node.span, format!("\"{number}\""))
}

/// One of a few words.
pub trait Words {
    const WORDS: &'static [&'static str];
}

/// One of the words of `W`.
pub struct Choice<W>(std::marker::PhantomData<W>);

impl<W: Words> Reader for Choice<W> {
    type Value = Spanned<String>;
    const SHAPE: Shape = Shape::Choice(W::WORDS);

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
        let text = text(node, &Self::SHAPE, diagnostics)?;
        if W::WORDS.contains(&text.text.as_str()) {
            return Some(text.spanned());
        }
        not_a_choice(&text.text, text.span, W::WORDS, diagnostics);
        None
    }
}

fn not_a_choice(written: &str, span: Span, words: &[&str], diagnostics: &mut Diagnostics) {
    let diagnostic = Diagnostic::new(Code::BadValue, format!("`{}` is not one of {}", shorten(written), one_of(words)))
        .label(span, "not known here");
    diagnostics.push(match did_you_mean(written, words.iter().copied()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(span, near),
        None => diagnostic.help(format!("write {}", one_of(words))),
    });
}

/// A wire protocol by its name.
pub struct Protocol;

impl Reader for Protocol {
    type Value = Spanned<ProtocolId>;
    const SHAPE: Shape =
        Shape::Choice(&["openai-chat", "openai-responses", "anthropic-messages", "gemini", "bedrock-converse"]);

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<ProtocolId>> {
        let text = text(node, &Self::SHAPE, diagnostics)?;
        protocol(&text.text, text.span, diagnostics).map(|protocol| Spanned::new(protocol, text.span))
    }
}

/// The protocol of this name.
pub(super) fn protocol(name: &str, span: Span, diagnostics: &mut Diagnostics) -> Option<ProtocolId> {
    let protocol = ProtocolId::from_name(name);
    if protocol.is_none() {
        not_a_choice(name, span, &super::list::protocol_names(), diagnostics);
    }
    protocol
}

/// Text, or a number or boolean as spelled: header values, attributes, statuses.
pub struct Word;

impl Reader for Word {
    type Value = Spanned<String>;
    const SHAPE: Shape = Shape::Word;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
        match &node.kind {
            Kind::String(text) | Kind::Number(text) => Some(text.spanned()),
            Kind::Bool(value) => Some(Spanned::new(value.to_string(), node.span)),
            Kind::Null | Kind::Sequence(_) | Kind::Mapping(_) => {
                mismatch(node, &Self::SHAPE, diagnostics);
                None
            }
        }
    }
}

/// A text with the way back to its source: expressions and rules.
pub struct Expression;

impl Reader for Expression {
    type Value = SourceText;
    const SHAPE: Shape = Shape::Expression;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<SourceText> {
        text(node, &Self::SHAPE, diagnostics).cloned()
    }
}

/// `true` or `false`; the `yes` and `on` of YAML 1.1 are answered with the fix.
pub struct Flag;

impl Reader for Flag {
    type Value = Spanned<bool>;
    const SHAPE: Shape = Shape::Flag;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<bool>> {
        match &node.kind {
            Kind::Bool(value) => Some(Spanned::new(*value, node.span)),
            Kind::String(text) => {
                let meant = match text.text.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "true" | "y" => Some("true"),
                    "no" | "off" | "false" | "n" => Some("false"),
                    _ => None,
                };
                match meant {
                    Some(meant) => diagnostics.push(
                        Diagnostic::new(Code::WrongType, format!("`{}` is text, not `{meant}`", text.text))
                            .label(node.span, "text in YAML 1.2")
                            .help(format!("write `{meant}`"))
                            .fix(node.span, meant),
                    ),
                    None => mismatch(node, &Self::SHAPE, diagnostics),
                }
                None
            }
            Kind::Null | Kind::Number(_) | Kind::Sequence(_) | Kind::Mapping(_) => {
                mismatch(node, &Self::SHAPE, diagnostics);
                None
            }
        }
    }
}

/// A whole number, not negative. `150k` and `1M` are numbers too, as in the rule language.
pub struct Whole;

impl Reader for Whole {
    type Value = Spanned<u64>;
    const SHAPE: Shape = Shape::Whole;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<u64>> {
        let value = match &node.kind {
            Kind::Number(text) | Kind::String(text) => parse_whole(&text.text),
            Kind::Null | Kind::Bool(_) | Kind::Sequence(_) | Kind::Mapping(_) => None,
        };
        if value.is_none() {
            numeric_mismatch(node, &Self::SHAPE, diagnostics);
        }
        value.map(|value| Spanned::new(value, node.span))
    }
}

/// `1200`, `150k`, `1M`.
pub fn parse_whole(text: &str) -> Option<u64> {
    with_unit(text, &[("k", 1_000), ("M", 1_000_000), ("", 1)])
}

/// A number with a fraction.
pub struct Fraction;

impl Reader for Fraction {
    type Value = Spanned<f64>;
    const SHAPE: Shape = Shape::Fraction;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<f64>> {
        let value = match &node.kind {
            Kind::Number(text) => text.text.parse::<f64>().ok().filter(|value| value.is_finite()),
            Kind::Null | Kind::Bool(_) | Kind::String(_) | Kind::Sequence(_) | Kind::Mapping(_) => None,
        };
        if value.is_none() {
            numeric_mismatch(node, &Self::SHAPE, diagnostics);
        }
        value.map(|value| Spanned::new(value, node.span))
    }
}

/// USD per million tokens: no more than a dollar for one token, so that every sum stays finite.
pub struct Price;

impl Reader for Price {
    type Value = Spanned<f64>;
    const SHAPE: Shape = Shape::Price;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<f64>> {
        let value = match &node.kind {
            Kind::Number(text) => text.text.parse::<f64>().ok().filter(|price| (0.0..=1_000_000.0).contains(price)),
            Kind::Null | Kind::Bool(_) | Kind::String(_) | Kind::Sequence(_) | Kind::Mapping(_) => None,
        };
        if value.is_none() {
            numeric_mismatch(node, &Self::SHAPE, diagnostics);
        }
        value.map(|value| Spanned::new(value, node.span))
    }
}

/// `250ms`, `4s`, `2m`, `1h`; decimals are allowed.
pub struct DurationText;

impl Reader for DurationText {
    type Value = Spanned<Duration>;
    const SHAPE: Shape = Shape::Duration;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<Duration>> {
        match &node.kind {
            Kind::String(text) => {
                let duration = parse_duration(&text.text);
                if duration.is_none() {
                    numeric_mismatch(node, &Self::SHAPE, diagnostics);
                }
                duration.map(|duration| Spanned::new(duration, text.span))
            }
            Kind::Number(number) => {
                diagnostics.push(
                    Diagnostic::new(Code::WrongType, "a duration needs a unit")
                        .label(node.span, "milliseconds or seconds?")
                        .help(format!("write `{0}s` for seconds or `{0}ms` for milliseconds", number.text))
                        .fix(node.span, format!("{}s", number.text)),
                );
                None
            }
            Kind::Null | Kind::Bool(_) | Kind::Sequence(_) | Kind::Mapping(_) => {
                mismatch(node, &Self::SHAPE, diagnostics);
                None
            }
        }
    }
}

/// Reads `250ms`, `4s`, `2m` or `1h`. The longest is ten years.
pub fn parse_duration(text: &str) -> Option<Duration> {
    const TEN_YEARS: u64 = 10 * 365 * 24 * 3600 * 1000;
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    with_unit(text, &units).filter(|milliseconds| *milliseconds <= TEN_YEARS).map(Duration::from_millis)
}

/// `32MiB`, `1MB`, `512KiB`, or a plain number of bytes.
pub struct Size;

impl Reader for Size {
    type Value = Spanned<u64>;
    const SHAPE: Shape = Shape::Size;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<u64>> {
        let units = [
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("kB", 1_000),
            ("KB", 1_000),
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
            ("B", 1),
            ("", 1),
        ];
        let value = match &node.kind {
            Kind::Number(text) | Kind::String(text) => with_unit(&text.text, &units),
            Kind::Null | Kind::Bool(_) | Kind::Sequence(_) | Kind::Mapping(_) => None,
        };
        if value.is_none() {
            numeric_mismatch(node, &Self::SHAPE, diagnostics);
        }
        value.map(|value| Spanned::new(value, node.span))
    }
}

fn numeric_mismatch(node: &Node, shape: &Shape, diagnostics: &mut Diagnostics) {
    match &node.kind {
        Kind::Number(text) | Kind::String(text) => diagnostics.push(
            Diagnostic::new(Code::WrongType, format!("`{}` is not {}", shorten(&text.text), shape.phrase()))
                .label(node.span, format!("not {}", shape.phrase()))
                .help(format!("write {}", shape.example())),
        ),
        Kind::Null | Kind::Bool(_) | Kind::Sequence(_) | Kind::Mapping(_) => mismatch(node, shape, diagnostics),
    }
}

/// A decimal number and a unit, multiplied; the result must be whole. A space between them is allowed.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start()).map(|(_, factor)| *factor)?;
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if whole.is_empty() || fraction.len() > 9 {
        return None;
    }
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().ok()?.checked_mul(factor)? };
    if parts % scale != 0 {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(parts / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_known_unit_and_whole_milliseconds() {
        for (text, expect) in [
            ("250ms", Some(250)),
            ("4s", Some(4_000)),
            ("1.5s", Some(1_500)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("2 s", Some(2_000)),
            ("0s", Some(0)),
            ("1.5ms", None),
            ("4", None),
            ("s", None),
            ("-4s", None),
            ("4 sec", None),
            ("99999999999999999999s", None),
            ("999999999h", None),
        ] {
            assert_eq!(parse_duration(text).map(|d| d.as_millis()), expect, "{text}");
        }
    }
}
