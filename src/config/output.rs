//! `output`: the JSON Schema that a preset asks answers for, and settings about answers that can do nothing.

use std::collections::HashSet;

use serde_json::value::RawValue;

use super::Files;
use super::document::{PresetEntry, RouteText};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::rule::ast::Expression;
use crate::source::Spanned;
use crate::wire::json::{self, Kind};
use crate::wire::structured::check::{Checker, Verdict};

/// The schema of `output`, as JSON text.
pub(super) fn schema(written: &Spanned<String>, files: &dyn Files, diagnostics: &mut Diagnostics) -> Option<Box<str>> {
    json_schema("output", Code::BadOutput, written, files, diagnostics)
}

/// A JSON Schema, as JSON text: written in the file, or in the file that it names. `key` is where it stands.
pub(super) fn json_schema(
    key: &str,
    code: Code,
    written: &Spanned<String>,
    files: &dyn Files,
    diagnostics: &mut Diagnostics,
) -> Option<Box<str>> {
    let mut wrong = |message: String, label: &str, help: &str| {
        diagnostics.push(Diagnostic::new(code, message).label(written.span, label).help(help));
    };
    let path = serde_json::from_str::<String>(&written.value).ok();
    let text = match &path {
        None => written.value.clone(),
        Some(path) => match files.read(path) {
            Ok(text) => text,
            Err(why) => {
                wrong(
                    format!("cannot read `{path}`: {why}"),
                    "names a file",
                    "paths begin at the folder of the configuration; a schema may also be written here, as a mapping",
                );
                return None;
            }
        },
    };
    let here = if path.is_some() { "in this file" } else { "here" };
    let raw: Option<Box<RawValue>> = serde_json::from_str(&text).ok();
    let Some(raw) = raw.filter(|raw| json::kind(raw) == Kind::Object) else {
        wrong(
            format!("`{key}` is not a JSON Schema"),
            &format!("{here} must be a JSON object"),
            "write a schema, e.g. `{ type: object, properties: { answer: { type: string } }, required: [answer] }`",
        );
        return None;
    };
    if let Verdict::Unchecked(why) = Checker::of_schema(&raw).text("null") {
        wrong(
            format!("`{key}` cannot be used: {why}"),
            &format!("the schema {here}"),
            "references must stay within the schema, and it must be one of JSON Schema draft 4 to 2020-12",
        );
        return None;
    }
    Some(raw.get().into())
}

/// `on_invalid: fallback` of a preset that leads to one target and that nothing else names has nowhere to fall back to.
pub(super) fn warn_of_no_fallback<'d>(
    presets: impl Iterator<Item = (&'d PresetEntry, Option<&'d Expression>)>,
    expressions: impl Iterator<Item = &'d Expression>,
    diagnostics: &mut Diagnostics,
) {
    let mut named = HashSet::new();
    expressions.for_each(|expression| presets_in(expression, &mut named));
    for (entry, expression) in presets {
        let Some(word) = entry.on_invalid.as_ref().filter(|word| word.value == "fallback") else { continue };
        let single = matches!(expression, Some(Expression::Target(_)));
        let list = matches!(&entry.route, Some(RouteText::List(list)) if list.len() > 1);
        if single && !list && !named.contains(entry.name.value.as_str()) {
            diagnostics.push(
                Diagnostic::new(
                    Code::NoFallback,
                    format!("`{}` has one target, so there is nothing to fall back to", entry.name.value),
                )
                .label(word.span, "the caller gets an error instead")
                .help("name a second target in `route`, or write `on_invalid: retry`, or `error` to say what happens"),
            );
        }
    }
}

/// The presets that an expression names. Its parser bounds its depth.
fn presets_in<'e>(expression: &'e Expression, named: &mut HashSet<&'e str>) {
    match expression {
        Expression::Preset(name) => {
            named.insert(&name.value);
        }
        other => other.parts().into_iter().for_each(|part| presets_in(part, named)),
    }
}
