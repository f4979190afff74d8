//! Readers of secrets: references, never values. What may be a key is hidden from everything that is printed.

use super::shape::Shape;
use super::{Reader, bad_value, in_place, mapping, mismatch};
use crate::config::document::{LiteralSecret, SecretText};
use crate::config::node::{Kind, Node};
use crate::diagnostic::mask::looks_like_a_key;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{Span, Spanned};

/// `env:NAME`, `file:PATH`, or a literal with a warning.
pub struct Secret;

impl Reader for Secret {
    type Value = Spanned<SecretText>;
    const SHAPE: Shape = Shape::Secret;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<SecretText>> {
        let secret = secret(node, diagnostics)?;
        if matches!(secret.value, SecretText::Literal(_)) {
            warn_of_literal(secret.span, diagnostics);
        }
        if let SecretText::Request(name) = &secret.value {
            let message = format!("`request:{name}` is a key of a provider, and nothing else");
            bad_value(secret.span, message, "write `env:NAME` or `file:PATH`".to_owned(), diagnostics);
            return None;
        }
        Some(secret)
    }
}

/// The keys of a provider: one, a list, or one and what stands in for it.
pub struct Keys;

impl Reader for Keys {
    type Value = Vec<Spanned<SecretText>>;
    const SHAPE: Shape = Shape::Keys;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<Spanned<SecretText>>> {
        match &node.kind {
            Kind::Sequence(items) => Some(items.iter().filter_map(|item| in_place(item, diagnostics, key)).collect()),
            Kind::Mapping(_) => {
                let pair = KeyPair::read(node, diagnostics)?;
                let missing = [("default", pair.default.is_none()), ("fallback", pair.fallback.is_none())];
                if let Some((name, _)) = missing.iter().find(|(_, missing)| *missing) {
                    let message = format!("`{name}` is missing");
                    bad_value(
                        node.span,
                        message,
                        "write both `default` and `fallback`, or the key alone".to_owned(),
                        diagnostics,
                    );
                }
                Some([pair.default, pair.fallback].into_iter().flatten().collect())
            }
            Kind::Null => {
                mismatch(node, &Self::SHAPE, diagnostics);
                None
            }
            Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => key(node, diagnostics).map(|key| vec![key]),
        }
    }
}

mapping! {
    /// A key, and what stands in for it where it is not there.
    #[called = "a key with a fallback"]
    #[derive(Debug, Clone)]
    pub struct KeyPair {
        /// The key.
        "default" => default: Option<Spanned<SecretText>> as KeyText,
        /// What is used where the variable of `default` is not set, or the request does not bring it.
        "fallback" => fallback: Option<Spanned<SecretText>> as KeyText,
    }
}

/// One key of a provider.
struct KeyText;

impl Reader for KeyText {
    type Value = Spanned<SecretText>;
    const SHAPE: Shape = Shape::Secret;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<SecretText>> {
        key(node, diagnostics)
    }
}

fn key(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<SecretText>> {
    let secret = secret(node, diagnostics)?;
    if matches!(secret.value, SecretText::Literal(_)) {
        warn_of_literal(secret.span, diagnostics);
    }
    Some(secret)
}

/// The value of a header: text, or a reference to a secret.
pub struct HeaderValue;

impl Reader for HeaderValue {
    type Value = Spanned<SecretText>;
    const SHAPE: Shape = Shape::Word;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<SecretText>> {
        if let Kind::Number(number) = &node.kind {
            return Some(Spanned::new(SecretText::Literal(LiteralSecret(number.text.clone())), node.span));
        }
        let mut secret = secret(node, diagnostics)?;
        if let SecretText::Request(name) = &secret.value {
            secret.value = SecretText::Literal(LiteralSecret(format!("request:{name}")));
        }
        if let Some(name) = literal(&secret).and_then(embedded) {
            diagnostics.push(
                Diagnostic::new(Code::Interpolation, "variables are not put into texts")
                    .label(secret.span, "taken as it stands")
                    .help(format!("let `{name}` hold the whole value of the header, and write `env:{name}`")),
            );
            return None;
        }
        if matches!(&secret.value, SecretText::Literal(literal) if looks_like_a_key(&literal.0)) {
            warn_of_literal(secret.span, diagnostics);
        }
        Some(secret)
    }
}

fn secret(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<SecretText>> {
    let Kind::String(written) = &node.kind else {
        // Whatever it is, it may be a key: no fix may repeat it, and no snippet may show it.
        if !matches!(node.kind, Kind::Null) {
            diagnostics.hide(node.span);
        }
        mismatch(node, &Shape::Secret, diagnostics);
        return None;
    };
    let span = written.span;
    let text = written.text.as_str();
    if let Some(name) = text.strip_prefix("env:") {
        return variable(name, node, diagnostics).map(|name| Spanned::new(SecretText::Env(name), span));
    }
    if let Some(path) = text.strip_prefix("file:") {
        if path.is_empty() {
            bad_value(
                node.span,
                "`file:` needs a path".to_owned(),
                "write `file:/run/secrets/name`".to_owned(),
                diagnostics,
            );
            return None;
        }
        return Some(Spanned::new(SecretText::File(path.to_owned()), span));
    }
    if let Some(name) = text.strip_prefix("request:") {
        return Some(Spanned::new(SecretText::Request(name.to_owned()), span));
    }
    if text.starts_with("cmd:") {
        diagnostics.push(
            Diagnostic::new(Code::SecretCommand, "a secret cannot be the output of a command")
                .label(span, "would run a program whenever the file is read")
                .help("run it where the gateway is started, and refer to the variable: `env:NAME`"),
        );
        return None;
    }
    if let Some(name) = interpolation(text) {
        diagnostics.push(
            Diagnostic::new(Code::Interpolation, "variables are not put into texts; a secret is a reference")
                .label(span, "taken as it stands")
                .help(format!("write `env:{name}`"))
                .fix(span, format!("env:{name}")),
        );
        return None;
    }
    if text.is_empty() {
        mismatch(node, &Shape::Secret, diagnostics);
        return None;
    }
    Some(Spanned::new(SecretText::Literal(LiteralSecret(text.to_owned())), span))
}

fn variable(name: &str, node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
    if is_variable(name) {
        return Some(name.to_owned());
    }
    // What follows `env:` may be a key by mistake, so it is not repeated.
    diagnostics.hide(node.span);
    bad_value(
        node.span,
        "`env:` needs the name of a variable".to_owned(),
        "names are made of letters, digits and `_`, e.g. `env:OPENAI_API_KEY`".to_owned(),
        diagnostics,
    );
    None
}

pub(super) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The name in `${NAME}`, `$NAME` or `${NAME:-default}`.
fn interpolation(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('$')?;
    let name = match rest.strip_prefix('{') {
        Some(braced) => braced.strip_suffix('}')?.split(':').next()?,
        None => rest,
    };
    let name = name.strip_prefix("env.").unwrap_or(name);
    is_variable(name).then_some(name)
}

fn literal(secret: &Spanned<SecretText>) -> Option<&str> {
    match &secret.value {
        SecretText::Literal(literal) => Some(&literal.0),
        SecretText::Env(_) | SecretText::File(_) | SecretText::Request(_) => None,
    }
}

/// The name of the first `${NAME}` in a text.
fn embedded(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("${")?;
    let (name, _) = rest.split_once('}')?;
    is_variable(name).then_some(name)
}

fn warn_of_literal(span: Span, diagnostics: &mut Diagnostics) {
    diagnostics.hide(span);
    diagnostics.push(
        Diagnostic::new(Code::LiteralSecret, "a key is written in the file")
            .label(span, "whoever reads the file has the key")
            .help(
                "put it in a variable and write `env:NAME`, or in a file of its own and write `file:/run/secrets/name`",
            ),
    );
}
