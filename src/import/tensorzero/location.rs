//! Where a credential comes from: `env::NAME` and its like. The text of anything else may be a key, and is never shown.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::import::toml::{Node, Value};
use crate::source::Span;

/// Which forms a place takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Forms {
    /// `env::` and `dynamic::`: what has a key.
    Key,
    /// `none` besides: what may do without.
    KeyOrNone,
    /// Clouds: files and the vendor's own search besides.
    Cloud,
}

/// A location as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    Env(String),
    Path(String),
    PathFromEnv(String),
    /// From the request.
    Dynamic(String),
    /// The vendor's own search.
    Sdk,
    None,
    /// The second where the first is not at hand.
    Fallback(Box<Location>, Box<Location>),
}

impl Location {
    /// Of a checked file.
    pub(super) fn of(node: &Node) -> Option<Location> {
        match (&node.value, node.get("default"), node.get("fallback")) {
            (Value::Text(text), ..) => parse(text),
            (_, Some(first), Some(second)) => {
                Some(Location::Fallback(Box::new(Location::of(first)?), Box::new(Location::of(second)?)))
            }
            _ => None,
        }
    }
}

fn parse(text: &str) -> Option<Location> {
    let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    match text {
        "sdk" => Some(Location::Sdk),
        "none" => Some(Location::None),
        _ => match text.split_once("::")? {
            ("env", name) => named(name).map(Location::Env),
            ("path", path) => named(path).map(Location::Path),
            ("path_from_env", name) => named(name).map(Location::PathFromEnv),
            ("dynamic", name) => named(name).map(Location::Dynamic),
            _ => None,
        },
    }
}

/// Reports a location that TensorZero does not take.
pub(super) fn check(node: &Node, place: Span, forms: Forms, path: &str, diagnostics: &mut Diagnostics) {
    if node.is_table() {
        return table(node, place, forms, path, diagnostics);
    }
    let text = node.text().unwrap_or_default();
    match parse(text) {
        Some(location) if takes(forms, &location) => {}
        Some(_) => diagnostics.push(
            Diagnostic::new(Code::SettingValue, format!("`{path}` cannot be of this form"))
                .label(node.span, "TensorZero refuses it for this type of provider")
                .help(match forms {
                    Forms::Key => "write `env::NAME` or `dynamic::NAME`",
                    Forms::KeyOrNone | Forms::Cloud => "write `env::NAME`, `dynamic::NAME` or `none`",
                }),
        ),
        None => {
            let (help, fix) = meant(text);
            if fix.is_none() {
                diagnostics.hide(node.span);
            }
            let diagnostic =
                Diagnostic::new(Code::SettingValue, format!("`{path}` does not say where the key comes from"))
                    .label(node.span, "neither `env::NAME` nor `dynamic::NAME`")
                    .help(help);
            diagnostics.push(match fix {
                Some(fix) => diagnostic.fix(node.span, format!("\"{fix}\"")),
                None => diagnostic,
            });
        }
    }
}

fn table(node: &Node, place: Span, forms: Forms, path: &str, diagnostics: &mut Diagnostics) {
    for name in ["default", "fallback"] {
        match node.get(name) {
            Some(inner) => check(inner, inner.span, forms, &format!("{path}.{name}"), diagnostics),
            None => diagnostics.push(
                Diagnostic::new(Code::SettingMissing, format!("`{path}` has no `{name}`"))
                    .label(place, format!("needs `{name}`"))
                    .help("write both: `{ default = \"dynamic::NAME\", fallback = \"env::NAME\" }`"),
            ),
        }
    }
    for entry in node.entries().iter().filter(|entry| !matches!(entry.key.as_str(), "default" | "fallback")) {
        diagnostics.hide(entry.node.span);
        diagnostics.push(
            Diagnostic::new(Code::SettingUnknown, format!("unknown key `{}` in `{path}`", entry.key))
                .label(entry.key_span, "TensorZero refuses it")
                .help("the keys here are `default` and `fallback`"),
        );
    }
}

fn takes(forms: Forms, location: &Location) -> bool {
    match location {
        Location::Env(_) | Location::Dynamic(_) => true,
        Location::None => forms == Forms::KeyOrNone || forms == Forms::Cloud,
        Location::Path(_) | Location::PathFromEnv(_) | Location::Sdk => forms == Forms::Cloud,
        Location::Fallback(first, second) => takes(forms, first) && takes(forms, second),
    }
}

/// What the writer of another form has in mind, and what to write where that is plain.
fn meant(text: &str) -> (String, Option<String>) {
    let braced = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let single = text.strip_prefix("env:").or_else(|| text.strip_prefix("env.")).or_else(|| text.strip_prefix("ENV:"));
    let name = braced.or(single).or_else(|| text.strip_prefix('$')).map(|name| name.trim_start_matches("env."));
    if let Some(name) = name.filter(|name| is_variable(name)) {
        return (format!("write `env::{name}`, with two colons"), Some(format!("env::{name}")));
    }
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if is_variable(text) && text.chars().all(upper) && text.contains('_') {
        return (format!("a variable is named by `env::{text}`"), Some(format!("env::{text}")));
    }
    (
        "put the key in a variable and write `env::NAME`; what stands here is not repeated, as it may be a key"
            .to_owned(),
        None,
    )
}

/// The name of an environment variable.
pub(super) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_by_other_forms_is_told_and_keys_are_not_repeated() {
        for text in ["env:OPENAI_KEY", "${OPENAI_KEY}", "$OPENAI_KEY", "OPENAI_KEY", "env.OPENAI_KEY"] {
            assert_eq!(meant(text).1.as_deref(), Some("env::OPENAI_KEY"), "{text}");
        }
        for text in ["sk-abc", "SECRET", "abc_def", "Bearer x"] {
            let (help, fix) = meant(text);
            assert!(fix.is_none() && !help.contains(text), "{text}: {help}");
        }
    }

    #[test]
    fn locations_are_read_as_tensorzero_does() {
        assert_eq!(parse("env::A"), Some(Location::Env("A".into())));
        assert_eq!(parse("path::/a::b"), Some(Location::Path("/a::b".into())));
        assert_eq!(parse("env::"), None);
        assert_eq!(parse("other::A"), None);
    }
}
