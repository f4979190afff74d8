//! Lists, lists that may be one item, and mappings whose keys are names.

use std::marker::PhantomData;

use super::shape::Shape;
use super::{NamedReader, Reader, in_place, mismatch};
use crate::config::node::{Entry, Kind, Node};
use crate::config::yaml::shorten;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::Spanned;
use crate::wire::ProtocolId;

/// A list.
pub struct List<R>(PhantomData<R>);

impl<R: Reader> Reader for List<R> {
    type Value = Vec<R::Value>;
    const SHAPE: Shape = Shape::List(&R::SHAPE);

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<R::Value>> {
        match &node.kind {
            Kind::Sequence(items) => {
                let mut values = Vec::with_capacity(items.len());
                values.extend(items.iter().filter_map(|item| in_place(item, diagnostics, R::read)));
                Some(values)
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Mapping(_) => {
                mismatch(node, &Self::SHAPE, diagnostics);
                None
            }
        }
    }
}

/// A list, or its one item: `keys: env:X` is `keys: [env:X]`.
pub struct OneOrMore<R>(PhantomData<R>);

impl<R: Reader> Reader for OneOrMore<R> {
    type Value = Vec<R::Value>;
    const SHAPE: Shape = Shape::OneOrMore(&R::SHAPE);

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<R::Value>> {
        match &node.kind {
            Kind::Sequence(_) => List::<R>::read(node, diagnostics),
            Kind::Null => {
                mismatch(node, &Self::SHAPE, diagnostics);
                None
            }
            Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Mapping(_) => {
                R::read(node, diagnostics).map(|item| vec![item])
            }
        }
    }
}

/// What the keys of a [`Map`] may be.
pub trait NameRule {
    /// As in `a mapping from provider names`.
    const WHAT: &'static str;
    /// The regular expression it matches, where it is narrower than any text.
    const PATTERN: Option<&'static str>;
    /// Reports a key that cannot be used.
    fn check(key: &Spanned<String>, diagnostics: &mut Diagnostics) -> bool;
}

/// Names of the file's own things: letters, digits, `.`, `_` and `-`, so that `provider/model` and `@preset` can be read.
pub struct Name;

impl NameRule for Name {
    const WHAT: &'static str = "names";
    const PATTERN: Option<&'static str> = Some("^[A-Za-z0-9._-]+$");

    fn check(key: &Spanned<String>, diagnostics: &mut Diagnostics) -> bool {
        let name = &key.value;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !name.is_empty() && name.chars().all(legal) {
            return true;
        }
        let mended: String = name.chars().map(|c| if legal(c) { c } else { '-' }).collect();
        let diagnostic = Diagnostic::new(Code::BadName, format!("`{}` cannot be a name", shorten(name)))
            .label(key.span, "not a name")
            .help("names are made of letters, digits, `.`, `_` and `-`");
        let usable = mended.chars().any(|c| c.is_ascii_alphanumeric());
        diagnostics.push(if usable { diagnostic.fix(key.span, mended) } else { diagnostic });
        true
    }
}

/// Names of presets: any text on one line, so that the names of another gateway can be kept. An expression quotes those
/// that are not [`Name`]s: `@"my preset"`.
pub struct PresetKey;

impl NameRule for PresetKey {
    const WHAT: &'static str = "names";
    const PATTERN: Option<&'static str> = Some("^[^@\\x00-\\x1f][^\\x00-\\x1f]*$");

    fn check(key: &Spanned<String>, diagnostics: &mut Diagnostics) -> bool {
        let name = &key.value;
        if !name.is_empty() && !name.starts_with('@') && !name.chars().any(char::is_control) {
            return true;
        }
        let diagnostic = Diagnostic::new(Code::BadName, format!("`{}` cannot be the name of a preset", shorten(name)))
            .label(key.span, "not a name");
        let bare = name.trim_start_matches('@');
        diagnostics.push(match bare.len() < name.len() && !bare.is_empty() && !bare.chars().any(char::is_control) {
            true => diagnostic.help("write it without `@`; expressions name it with `@`").fix(key.span, bare),
            false => diagnostic.help("a name is any text on one line that does not begin with `@`"),
        });
        true
    }
}

/// HTTP header names.
pub struct HeaderKey;

impl NameRule for HeaderKey {
    const WHAT: &'static str = "header names";
    const PATTERN: Option<&'static str> = Some("^[!#$%&'*+.^_`|~A-Za-z0-9-]+$");

    fn check(key: &Spanned<String>, diagnostics: &mut Diagnostics) -> bool {
        if http::HeaderName::try_from(key.value.as_str()).is_ok() {
            return true;
        }
        diagnostics.push(
            Diagnostic::new(Code::BadName, format!("`{}` cannot be the name of a header", shorten(&key.value)))
                .label(key.span, "not a header name")
                .help("header names are made of letters, digits and `-`, e.g. `x-team`"),
        );
        false
    }
}

/// Any text: parameters, placeholders, JSON Pointers.
pub struct AnyKey;

impl NameRule for AnyKey {
    const WHAT: &'static str = "names";
    const PATTERN: Option<&'static str> = None;

    fn check(_key: &Spanned<String>, _diagnostics: &mut Diagnostics) -> bool {
        true
    }
}

/// A mapping from names to values, as pairs in the order of the file.
pub struct Map<K, R>(PhantomData<(K, R)>);

impl<K: NameRule, R: Reader> Reader for Map<K, R> {
    type Value = Vec<(Spanned<String>, R::Value)>;
    const SHAPE: Shape = Shape::Map { names: K::WHAT, pattern: K::PATTERN, values: &R::SHAPE };

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self::Value> {
        read_entries(node, &Self::SHAPE, diagnostics, |key, value, diagnostics| {
            let legal = K::check(key, diagnostics);
            let value = R::read(value, diagnostics)?;
            legal.then(|| (key.clone(), value))
        })
    }
}

/// A mapping from names to mappings that know their name.
pub struct Named<R, K = Name>(PhantomData<(R, K)>);

impl<R: NamedReader, K: NameRule> Reader for Named<R, K> {
    type Value = Vec<R::Value>;
    const SHAPE: Shape = Shape::Map { names: K::WHAT, pattern: K::PATTERN, values: &R::SHAPE };

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self::Value> {
        read_entries(node, &Self::SHAPE, diagnostics, |key, value, diagnostics| {
            // An entry with a bad name stays, so that uses of the name are not reported as well.
            K::check(key, diagnostics);
            R::read_named(key, value, diagnostics)
        })
    }
}

/// A mapping from protocols to mappings that know their name.
pub struct ByProtocol<R>(PhantomData<R>);

impl<R: NamedReader> Reader for ByProtocol<R> {
    type Value = Vec<(Spanned<ProtocolId>, R::Value)>;
    const SHAPE: Shape = Shape::Keyed { keys: protocol_names, values: &R::SHAPE };

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self::Value> {
        read_entries(node, &Self::SHAPE, diagnostics, |key, value, diagnostics| {
            let protocol = super::leaf::protocol(&key.value, key.span, diagnostics);
            let entry = R::read_named(key, value, diagnostics)?;
            Some((Spanned::new(protocol?, key.span), entry))
        })
    }
}

/// The protocols' names, in their order.
pub fn protocol_names() -> Vec<&'static str> {
    ProtocolId::ALL.into_iter().map(ProtocolId::name).collect()
}

/// Nothing written counts as no entries.
fn read_entries<T>(
    node: &Node,
    shape: &Shape,
    diagnostics: &mut Diagnostics,
    mut read: impl FnMut(&Spanned<String>, &Node, &mut Diagnostics) -> Option<T>,
) -> Option<Vec<T>> {
    match &node.kind {
        Kind::Null => Some(Vec::new()),
        Kind::Mapping(entries) => {
            let entry = |entry: &Entry| {
                in_place(&entry.value, diagnostics, |value, diagnostics| read(&entry.key, value, diagnostics))
            };
            // An entry of the file has a kilobyte and more: no room for twice as many.
            let mut values = Vec::with_capacity(entries.len());
            values.extend(entries.iter().filter_map(entry));
            Some(values)
        }
        Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Sequence(_) => {
            mismatch(node, shape, diagnostics);
            None
        }
    }
}
