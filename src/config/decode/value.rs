//! Readers of values with a meaning of their own: secrets, JSON, quirks, routes, rules, and the texts with rules.

use serde_json::Value;

use super::leaf::{Expression, TextRule, Words, text};
use super::list::List;
use super::shape::{Shape, list_words, one_of};
use super::{Reader, bad_value, mismatch};
use crate::config::document::{LiteralSecret, RouteText, RulesEntry, SecretText};
use crate::config::node::{Kind, Node};
use crate::config::yaml::shorten;
use crate::diagnostic::mask::looks_like_a_key;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::source::{SourceText, Span, Spanned};
use crate::wire::quirk::Quirks;

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
        Some(secret)
    }
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
        let secret = secret(node, diagnostics)?;
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

fn is_variable(name: &str) -> bool {
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
        SecretText::Env(_) | SecretText::File(_) => None,
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

/// Any value, as JSON text.
pub struct Json;

impl Reader for Json {
    type Value = Spanned<String>;
    const SHAPE: Shape = Shape::Json;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
        let mut text = String::new();
        write_json(node, &mut text, diagnostics)?;
        Some(Spanned::new(text, node.span))
    }
}

/// Appends `node` as JSON. `None` where something in it has no JSON, after reporting all of that.
fn write_json(node: &Node, out: &mut String, diagnostics: &mut Diagnostics) -> Option<()> {
    let mut complete = Some(());
    match &node.kind {
        Kind::Null => out.push_str("null"),
        Kind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Kind::String(text) => push_string(&text.text, out),
        Kind::Number(text) => match json_number(&text.text) {
            Some(number) => out.push_str(&number),
            None => {
                let message = format!("`{}` is not a number in JSON", shorten(&text.text));
                bad_value(
                    node.span,
                    message,
                    "write a finite number, or quote it to send it as text".to_owned(),
                    diagnostics,
                );
                complete = None;
            }
        },
        Kind::Sequence(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                complete = write_json(item, out, diagnostics).and(complete);
            }
            out.push(']');
        }
        Kind::Mapping(entries) => {
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_string(&entry.key.value, out);
                out.push(':');
                complete = write_json(&entry.value, out, diagnostics).and(complete);
            }
            out.push('}');
        }
    }
    complete
}

fn push_string(text: &str, out: &mut String) {
    out.push_str(&Value::String(text.to_owned()).to_string());
}

/// A YAML number in JSON's spelling: its own where JSON can read it, so that no digit is lost.
fn json_number(text: &str) -> Option<String> {
    if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() {
        return Some(text.to_owned());
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(|value| value.to_string());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(|value| value.to_string());
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if let Ok(value) = unsigned.parse::<i64>() {
        return Some(value.to_string());
    }
    let value = unsigned.parse::<f64>().ok()?;
    serde_json::Number::from_f64(value).map(|number| number.to_string())
}

/// `quirks:`, by the schema of [`Quirks`]: one key at a time, so that each mistake has its place.
pub struct QuirksText;

/// The JSON Schema of [`Quirks`].
pub fn quirks_schema() -> Value {
    schemars::schema_for!(Quirks).to_value()
}

impl Reader for QuirksText {
    type Value = Spanned<Quirks>;
    const SHAPE: Shape =
        Shape::Foreign { what: "a mapping of quirks", example: "{ no_stream_options: true }", schema: quirks_schema };

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<Quirks>> {
        let entries = match &node.kind {
            Kind::Null => return Some(Spanned::new(Quirks::default(), node.span)),
            Kind::Mapping(entries) => entries,
            Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Sequence(_) => {
                mismatch(node, &Self::SHAPE, diagnostics);
                return None;
            }
        };
        let schema = quirks_schema();
        let known: Vec<&str> = schema
            .get("properties")
            .and_then(Value::as_object)
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let mut members = serde_json::Map::new();
        for entry in entries {
            let key = entry.key.value.as_str();
            if !known.contains(&key) {
                diagnostics.push(unknown_quirk(&entry.key, &known));
                continue;
            }
            let Some(json) = Json::read(&entry.value, diagnostics) else { continue };
            let Ok(value) = serde_json::from_str::<Value>(&json.value) else { continue };
            let alone = serde_json::Map::from_iter([(key.to_owned(), value.clone())]);
            match serde_json::from_value::<Quirks>(Value::Object(alone)) {
                Ok(_) => {
                    members.insert(key.to_owned(), value);
                }
                Err(_) => bad_value(
                    entry.value.span,
                    format!("the quirk `{key}` cannot have this value"),
                    format!("write {}", quirk_values(&schema, key)),
                    diagnostics,
                ),
            }
        }
        let quirks = serde_json::from_value(Value::Object(members)).unwrap_or_default();
        Some(Spanned::new(quirks, node.span))
    }
}

/// What the schema allows as the value of a quirk.
fn quirk_values(schema: &Value, key: &str) -> String {
    let at = |pointer: &str| schema.pointer(pointer);
    let property = at(&format!("/properties/{key}"));
    let kind = property.and_then(|property| property.get("type")).and_then(Value::as_str);
    let definition = property.and_then(|property| property.get("$ref")).and_then(Value::as_str);
    let definition = definition.and_then(|reference| at(reference.trim_start_matches('#')));
    let mut words: Vec<&str> = Vec::new();
    for choice in definition.and_then(|words| words.get("enum")).and_then(Value::as_array).into_iter().flatten() {
        words.extend(choice.as_str());
    }
    for choice in definition.and_then(|words| words.get("oneOf")).and_then(Value::as_array).into_iter().flatten() {
        words.extend(choice.get("const").and_then(Value::as_str));
        words.extend(choice.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str));
    }
    match kind {
        _ if !words.is_empty() => one_of(&words),
        Some("boolean") => Shape::Flag.example(),
        Some("array") => "a list of texts, e.g. `[seed]`".to_owned(),
        Some(_) | None => "another value".to_owned(),
    }
}

fn unknown_quirk(key: &Spanned<String>, known: &[&str]) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::UnknownKey, format!("unknown quirk `{}`", shorten(&key.value)))
        .label(key.span, "no such quirk");
    match did_you_mean(&key.value, known.iter().copied()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(key.span, near),
        None => diagnostic.help(format!("the quirks are {}", list_words(known))),
    }
}

/// `version:`. There is one.
pub struct Version;

impl Reader for Version {
    type Value = Spanned<u64>;
    const SHAPE: Shape = Shape::Version;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<u64>> {
        if matches!(&node.kind, Kind::Number(number) if number.text == "1") {
            return Some(Spanned::new(1, node.span));
        }
        let refusal = Diagnostic::new(Code::BadValue, "the version of this format is `1`")
            .label(node.span, "not known to this build")
            .help("write `version: 1`");
        // Where nothing is written, the place is the key's.
        let nothing = matches!(node.kind, Kind::Null);
        diagnostics.push(if nothing { refusal } else { refusal.fix(node.span, "1") });
        None
    }
}

/// `route:`, an expression or a list of them in fallback order.
pub struct Route;

impl Reader for Route {
    type Value = RouteText;
    const SHAPE: Shape = Shape::OneOrMore(&Shape::Expression);

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<RouteText> {
        match &node.kind {
            Kind::Sequence(_) => List::<Expression>::read(node, diagnostics).map(RouteText::List),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Mapping(_) => {
                Expression::read(node, diagnostics).map(RouteText::Expression)
            }
        }
    }
}

/// The `rules:` block.
pub struct Rules;

impl Reader for Rules {
    type Value = RulesEntry;
    const SHAPE: Shape = Shape::Rules;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<RulesEntry> {
        if matches!(node.kind, Kind::Null) {
            return Some(RulesEntry { text: SourceText::verbatim("", node.span.source, node.span.range().end) });
        }
        let text = text(node, &Self::SHAPE, diagnostics)?.clone();
        // What is joined needs no second finding about what it then means.
        (!joined(&text, diagnostics)).then_some(RulesEntry { text })
    }
}

/// Without `|` YAML makes one line of several, and the second rule becomes a part of the first.
fn joined(rules: &SourceText, diagnostics: &mut Diagnostics) -> bool {
    for start in rules.line_starts() {
        let after_space = rules.text.get(..start).is_some_and(|before| before.ends_with(' '));
        let rest = rules.text.get(start..).unwrap_or("");
        let word = ["when", "otherwise"].into_iter().find(|word| rest.split_whitespace().next() == Some(*word));
        if let (true, Some(word)) = (after_space, word) {
            diagnostics.push(
                Diagnostic::new(Code::JoinedRules, "YAML reads these rules as one line")
                    .label(rules.span_of(start..start + word.len()), "does not begin a line when it is read")
                    .help("write `rules: |` and the rules below it, one a line"),
            );
            return true;
        }
    }
    false
}

/// Any text.
pub struct Any;

impl TextRule for Any {
    const SHAPE: Shape = Shape::Text { what: "text", example: "some text", pattern: None };
}

/// A URL; placeholders in braces are filled from `env: { variables: ... }`.
pub struct Url;

impl TextRule for Url {
    const SHAPE: Shape =
        Shape::Text { what: "a URL", example: "https://api.openai.com/v1", pattern: Some("^(https?://|\\{)[^$]+$") };

    fn check(text: &str) -> Result<(), (String, String)> {
        if text.contains("${") {
            return Err((
                "variables are not put into texts".to_owned(),
                "let a variable replace the whole URL: `env: { base_url: NAME }`, or write `{name}` and `env: { variables: { name: NAME } }`".to_owned(),
            ));
        }
        if let Some(name) = text.strip_prefix("env:") {
            return Err((
                "a URL is not a secret".to_owned(),
                format!("let the variable replace the URL: `env: {{ base_url: {name} }}`"),
            ));
        }
        if ["https://", "http://", "{"].iter().any(|start| text.starts_with(start)) {
            return Ok(());
        }
        Err((format!("`{}` is not a URL", shorten(text)), "begin with `https://` or `http://`".to_owned()))
    }
}

/// `HOST:PORT`.
pub struct Address;

impl TextRule for Address {
    const SHAPE: Shape =
        Shape::Text { what: "an address and port", example: "127.0.0.1:4356", pattern: Some("^.+:[0-9]{1,5}$") };

    fn check(text: &str) -> Result<(), (String, String)> {
        let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
        match port {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err((
                format!("`{}` is not an address and port", shorten(text)),
                "write an address, `:` and a port up to 65535, e.g. `127.0.0.1:4356` or `[::1]:4356`".to_owned(),
            )),
        }
    }
}

/// `user`, `session` or `header:NAME`.
pub struct Sticky;

impl TextRule for Sticky {
    const SHAPE: Shape = Shape::Text {
        what: "`user`, `session` or `header:NAME`",
        example: "user",
        pattern: Some("^(user|session|header:[A-Za-z0-9-]+)$"),
    };

    fn check(text: &str) -> Result<(), (String, String)> {
        let header = text.strip_prefix("header:").is_some_and(|name| http::HeaderName::try_from(name).is_ok());
        if header || matches!(text, "user" | "session") {
            return Ok(());
        }
        Err((
            format!("`{}` cannot make a choice sticky", shorten(text)),
            "write `user`, `session`, or `header:` and a header's name, e.g. `header:x-session`".to_owned(),
        ))
    }
}

/// The name of an environment variable.
pub struct Variable;

impl TextRule for Variable {
    const SHAPE: Shape = Shape::Text {
        what: "the name of a variable",
        example: "OPENAI_API_KEY",
        pattern: Some("^[A-Za-z_][A-Za-z0-9_]*$"),
    };

    fn check(text: &str) -> Result<(), (String, String)> {
        if is_variable(text) {
            return Ok(());
        }
        Err((
            "this is not the name of a variable".to_owned(),
            "names are made of letters, digits and `_`, e.g. `OPENAI_API_KEY`; no `env:` or `$` before it".to_owned(),
        ))
    }
}

/// A failure that is tried again; statuses are written as numbers.
pub struct RetryOn;

impl Reader for RetryOn {
    type Value = Spanned<String>;
    const SHAPE: Shape = Shape::Failure;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
        let word = match &node.kind {
            Kind::String(text) | Kind::Number(text) => text,
            Kind::Null | Kind::Bool(_) | Kind::Sequence(_) | Kind::Mapping(_) => {
                mismatch(node, &Self::SHAPE, diagnostics);
                return None;
            }
        };
        let status = word.text.parse::<u16>().is_ok_and(|status| (400..600).contains(&status));
        if status || matches!(word.text.as_str(), "5xx" | "timeout" | "connect" | "empty") {
            return Some(word.spanned());
        }
        let message = format!("`{}` is not a failure that can be retried", shorten(&word.text));
        bad_value(node.span, message, format!("write {}", Self::SHAPE.phrase()), diagnostics);
        None
    }
}

macro_rules! words {
    ($($(#[doc = $doc:literal])* $name:ident = [$($word:literal),*];)*) => {
        $(
            $(#[doc = $doc])*
            pub struct $name;

            impl Words for $name {
                const WORDS: &'static [&'static str] = &[$($word),*];
            }
        )*
    };
}

words! {
    /// How the file is watched.
    Watch = ["auto", "poll", "off"];
    /// How requests reach a provider.
    Transport = ["http", "demo"];
    /// The rule fact `protocol`.
    ProtocolFact = ["chat", "responses", "messages", "gemini", "embeddings"];
    /// How a target gets the request.
    LaneWord = ["pass-through", "translated", "refused"];
}
