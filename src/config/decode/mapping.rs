//! Mappings with known keys: the one list of fields and the loop that reads them.

use std::collections::HashMap;

use super::shape::{Mapping, Shape, list_words};
use super::{Reader, in_place, mismatch};
use crate::config::node::{Entry, Kind, Node};
use crate::config::yaml::shorten;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::source::Spanned;

/// Where a field's value goes: `Option<V>` keeps absence, other types have an empty value for it.
pub(crate) trait Slot<V> {
    fn fill(value: Option<V>) -> Self;
}

impl<V> Slot<V> for Option<V> {
    fn fill(value: Option<V>) -> Option<V> {
        value
    }
}

impl<V: Default> Slot<V> for V {
    fn fill(value: Option<V>) -> V {
        value.unwrap_or_default()
    }
}

/// The values of one mapping, taken out key by key.
pub(crate) struct Fields<'n> {
    mapping: &'static Mapping,
    values: HashMap<&'n str, &'n Entry>,
    /// A part could not be read.
    pub(crate) faulty: bool,
    /// The last key that the mapping knows.
    last: Option<&'n str>,
    /// Keys that the mapping does not know, where it allows them.
    pub(crate) rest: Vec<&'n Entry>,
}

impl<'n> Fields<'n> {
    /// Sorts the entries of `node` into known and unknown. Values that are no mapping stand for the short key, `entry`
    /// being the node of that form.
    pub(crate) fn open(mapping: &'static Mapping, node: &'n Node, diagnostics: &mut Diagnostics) -> Fields<'n> {
        let mut fields = Fields { mapping, values: HashMap::new(), faulty: false, last: None, rest: Vec::new() };
        match &node.kind {
            Kind::Null => {}
            Kind::Mapping(entries) => entries.iter().for_each(|entry| fields.sort(entry, diagnostics)),
            Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Sequence(_) => {
                mismatch(node, &Shape::Mapping(mapping), diagnostics);
                fields.faulty = true;
            }
        }
        fields
    }

    fn sort(&mut self, entry: &'n Entry, diagnostics: &mut Diagnostics) {
        let key = entry.key.value.as_str();
        if self.mapping.keys().any(|known| known == key) {
            self.values.insert(key, entry);
            self.last = Some(key);
        } else if self.mapping.open {
            self.rest.push(entry);
        } else {
            self.faulty = true;
            match cut_off(entry) {
                Some(finding) => {
                    // What is left of the text before it means nothing.
                    self.last.take().map(|last| self.values.remove(last));
                    diagnostics.push(finding);
                }
                None => diagnostics.push_with(Code::UnknownKey, || unknown_key(self.mapping, &entry.key)),
            }
        }
    }

    /// Reads the value of `key`, or of its alias.
    pub(crate) fn take<R: Reader>(
        &mut self,
        key: &str,
        alias: Option<&str>,
        diagnostics: &mut Diagnostics,
    ) -> Option<R::Value> {
        let other = alias.and_then(|alias| self.values.get(alias).copied());
        let entry = match (self.values.get(key).copied(), other) {
            (Some(entry), Some(other)) => {
                self.faulty = true;
                diagnostics.push(written_twice(entry, other));
                entry
            }
            (Some(entry), None) | (None, Some(entry)) => entry,
            (None, None) => return None,
        };
        let value = in_place(&entry.value, diagnostics, R::read);
        self.faulty |= value.is_none();
        value
    }
}

/// The node that stands for `{ key: node }` in the short form of a mapping.
pub(crate) fn expand_short(short: Option<&'static str>, node: &Node) -> Option<Node> {
    let key = short?;
    match node.kind {
        Kind::Null | Kind::Mapping(_) => None,
        Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Sequence(_) => {
            let entry = Entry { key: Spanned::new(key.to_owned(), node.span), value: node.clone() };
            Some(Node { kind: Kind::Mapping(vec![entry]), ..node.clone() })
        }
    }
}

fn written_twice(entry: &Entry, other: &Entry) -> Diagnostic {
    let message = format!("`{}` and `{}` are the same setting", entry.key.value, other.key.value);
    Diagnostic::new(Code::DuplicateKey, message)
        .label(other.key.span, "written here")
        .label(entry.key.span, "and here")
        .help("keep one of them")
}

/// In `{ route: split(9 a/b, 1 c/d) }` the comma ends the text, and `1 c/d)` is read as a key without a value.
fn cut_off(entry: &Entry) -> Option<Diagnostic> {
    let key = &entry.key;
    if !matches!(entry.value.kind, Kind::Null) || !key.value.contains([' ', '(', ')', '>']) {
        return None;
    }
    Some(
        Diagnostic::new(Code::UnknownKey, format!("`{}` is read as a key", shorten(&key.value)))
            .label(key.span, "cut off from the text before it")
            .help("inside `{ }` a `,` ends a text: put the whole text in quotes"),
    )
}

fn unknown_key(mapping: &Mapping, key: &Spanned<String>) -> Diagnostic {
    let written = shorten(&key.value);
    let diagnostic = Diagnostic::new(Code::UnknownKey, format!("unknown key `{written}` in {}", mapping.name));
    if let Some(home) = mapping.home_of(&key.value) {
        return diagnostic
            .label(key.span, format!("belongs in `{home}`"))
            .help(format!("write `{home}: {{ {written}: ... }}`"));
    }
    let diagnostic = diagnostic.label(key.span, "no such key");
    match did_you_mean(&key.value, mapping.keys()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(key.span, near),
        None => diagnostic.help(format!("the keys here are {}", list_words(&mapping.own_keys()))),
    }
}

/// Declares a mapping of the file: the struct with its readers. `as R` names the [`Reader`] of a field; `alias` another
/// spelling of its key; `default` what holds without it. After the name may come `named FIELD`, `spanned FIELD: TYPE`,
/// `faulty FIELD`, `rest FIELD` (unknown keys are words) and `short KEY`.
macro_rules! mapping {
    (
        $(#[doc = $doc:literal])*
        #[called = $title:literal]
        $(#[$attribute:meta])*
        pub struct $struct:ident
            $(named $name:ident,)?
            $(spanned $span:ident: $span_type:ty,)?
            $(faulty $faulty:ident,)?
            $(rest $rest:ident,)?
            $(short $short:literal,)?
        {
            $(
                $(#[doc = $field_doc:literal])*
                $key:literal $(alias $alias:literal)? $(default $default:literal)?
                => $field:ident: $type:ty as $reader:ty,
            )*
        }
    ) => {
        $(#[doc = $doc])*
        $(#[$attribute])*
        pub struct $struct {
            $(
                /// Its key.
                pub $name: Spanned<String>,
            )?
            $($(#[doc = $field_doc])* pub $field: $type,)*
            $(
                /// Other keys and their values.
                pub $rest: Vec<(Spanned<String>, Spanned<String>)>,
            )?
            $(
                /// A part of it was refused; what is missing needs no second finding.
                pub $faulty: bool,
            )?
            $(
                /// All of it.
                pub $span: $span_type,
            )?
        }

        impl $struct {
            /// The mapping as data.
            pub const MAPPING: $crate::config::decode::shape::Mapping = $crate::config::decode::shape::Mapping {
                name: $title,
                doc: &[$($doc),*],
                fields: &[$($crate::config::decode::shape::Field {
                    key: $key,
                    alias: $crate::config::decode::mapping!(@option $($alias)?),
                    doc: &[$($field_doc),*],
                    shape: <$reader as $crate::config::decode::Reader>::SHAPE,
                    default: $crate::config::decode::mapping!(@option $($default)?),
                }),*],
                short: $crate::config::decode::mapping!(@option $($short)?),
                open: $crate::config::decode::mapping!(@given $($rest)?),
            };
        }

        impl $crate::config::decode::NamedReader for $struct {
            type Value = $struct;
            const SHAPE: $crate::config::decode::shape::Shape =
                $crate::config::decode::shape::Shape::Mapping(&$struct::MAPPING);

            fn read_named(
                name: &$crate::source::Spanned<String>,
                node: &$crate::config::node::Node,
                diagnostics: &mut $crate::diagnostic::Diagnostics,
            ) -> Option<$struct> {
                use $crate::config::decode::mapping::{Fields, expand_short, words};
                let expanded = expand_short($struct::MAPPING.short, node);
                let whole = expanded.as_ref().unwrap_or(node);
                let mut fields = Fields::open(&$struct::MAPPING, whole, diagnostics);
                let entry = $struct {
                    $($name: name.clone(),)?
                    $($field: $crate::config::decode::Slot::fill(fields.take::<$reader>(
                        $key,
                        $crate::config::decode::mapping!(@option $($alias)?),
                        diagnostics,
                    )),)*
                    $($rest: words(&fields.rest, diagnostics),)?
                    $($faulty: fields.faulty,)?
                    $($span: node.span.into(),)?
                };
                let _ = (name, &fields.rest, words);
                Some(entry)
            }
        }

        impl $crate::config::decode::Reader for $struct {
            type Value = $struct;
            const SHAPE: $crate::config::decode::shape::Shape =
                $crate::config::decode::shape::Shape::Mapping(&$struct::MAPPING);

            fn read(
                node: &$crate::config::node::Node,
                diagnostics: &mut $crate::diagnostic::Diagnostics,
            ) -> Option<$struct> {
                let name = $crate::source::Spanned::new(String::new(), node.span);
                <$struct as $crate::config::decode::NamedReader>::read_named(&name, node, diagnostics)
            }
        }
    };
    (@option) => { None };
    (@option $value:literal) => { Some($value) };
    (@given) => { false };
    (@given $value:ident) => { true };
}
pub(crate) use mapping;

/// The entries of an open mapping, each a word.
pub(crate) fn words(rest: &[&Entry], diagnostics: &mut Diagnostics) -> Vec<(Spanned<String>, Spanned<String>)> {
    rest.iter()
        .filter_map(|entry| Some((entry.key.clone(), super::leaf::Word::read(&entry.value, diagnostics)?)))
        .collect()
}
