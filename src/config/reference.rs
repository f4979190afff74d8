//! The configuration reference, `docs/configuration.md`. Made from the declarations in `document.rs`.

use serde_json::Value;

use super::decode::json::quirks_schema;
use super::decode::shape::{Field, Mapping, Shape};
use super::document::Document;
use super::schema::{paragraph, slug};

const HEAD: &str = "\
# The configuration file

<!-- Generated from src/config/document.rs; `ROUTEPLANE_UPDATE=1 cargo test --test it config::` writes it anew. -->

Everything is in one file, `routeplane.yaml`: YAML 1.2, at most 1 MiB. An unknown key is an error. Anchors and aliases may be
used; merge keys (`<<`), tags and several documents may not. `routeplane schema` prints a JSON Schema for editors.

- A **duration** is a number with a unit: `250ms`, `4s`, `2m`, `1h`.
- A **size** is a number of bytes, or has a unit: `32MiB`, `1MB`.
- A **secret** is a reference: `env:NAME` or `file:/run/secrets/name` (relative to the folder of `routeplane.yaml`). A key
  written out works, with a warning.
- Where a **list** is wanted, one item may stand without brackets: `keys: env:X` is `keys: [env:X]`.
- A **whole number** may end in `k` or `M`: `150k`.
";

/// The whole page.
pub fn reference_markdown() -> String {
    let mut sections: Vec<Section> = Vec::new();
    collect(&Document::MAPPING, "", &mut sections);
    let mut out = HEAD.to_owned();
    for section in &sections {
        write_section(section, &mut out);
    }
    write_quirks(&mut out);
    out
}

/// One mapping and all places where it may stand.
struct Section {
    mapping: &'static Mapping,
    paths: Vec<String>,
}

fn collect(mapping: &'static Mapping, path: &str, sections: &mut Vec<Section>) {
    match sections.iter_mut().find(|section| section.mapping.name == mapping.name) {
        Some(known) => known.paths.push(path.to_owned()),
        None => {
            sections.push(Section { mapping, paths: vec![path.to_owned()] });
            for field in mapping.fields {
                let dot = if path.is_empty() { "" } else { "." };
                descend(&field.shape, &format!("{path}{dot}{}", field.key), sections);
            }
        }
    }
}

fn descend(shape: &Shape, path: &str, sections: &mut Vec<Section>) {
    match shape {
        Shape::Mapping(mapping) => collect(mapping, path, sections),
        Shape::List(item) | Shape::OneOrMore(item) => descend(item, &format!("{path}[]"), sections),
        Shape::Map { values, .. } => descend(values, &format!("{path}.NAME"), sections),
        Shape::Keyed { values, .. } => descend(values, &format!("{path}.PROTOCOL"), sections),
        Shape::Text { .. }
        | Shape::Choice(_)
        | Shape::Version
        | Shape::Whole
        | Shape::Fraction
        | Shape::Price
        | Shape::Flag
        | Shape::Duration
        | Shape::Size
        | Shape::Word
        | Shape::Secret
        | Shape::Keys
        | Shape::Failure
        | Shape::Expression
        | Shape::Rules
        | Shape::Json
        | Shape::Foreign { .. } => {}
    }
}

fn write_section(section: &Section, out: &mut String) {
    let mapping = section.mapping;
    let title = slug(mapping).replace('-', " ");
    out.push_str(&format!("\n## {}\n\n", capitalised(&title)));
    let paths: Vec<String> =
        section.paths.iter().filter(|path| !path.is_empty()).map(|path| format!("`{path}`")).collect();
    if !paths.is_empty() {
        out.push_str(&format!("At {}.\n\n", paths.join(", ")));
    }
    out.push_str(&format!("{}\n\n| key | value | default | meaning |\n|---|---|---|---|\n", paragraph(mapping.doc)));
    for field in mapping.fields {
        out.push_str(&row(field));
    }
    if mapping.open {
        out.push_str("| any other | text |  | An attribute. |\n");
    }
}

fn row(field: &Field) -> String {
    let key = match field.alias {
        Some(alias) => format!("`{}`, `{alias}`", field.key),
        None => format!("`{}`", field.key),
    };
    let default = field.default.map_or_else(String::new, |default| format!("`{default}`"));
    format!("| {key} | {} | {default} | {} |\n", cell(&kind(&field.shape)), cell(&paragraph(field.doc)))
}

/// A pipe would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// What a value is, in a word or two.
fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Text { what, .. } => without_article(what).to_owned(),
        Shape::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Shape::Version => "`1`".to_owned(),
        Shape::Whole => "whole number".to_owned(),
        Shape::Fraction => "number".to_owned(),
        Shape::Price => "USD per million tokens".to_owned(),
        Shape::Flag => "`true`, `false`".to_owned(),
        Shape::Duration => "duration".to_owned(),
        Shape::Size => "size".to_owned(),
        Shape::Word => "text".to_owned(),
        Shape::Secret => "secret".to_owned(),
        Shape::Keys => "list of: secret".to_owned(),
        Shape::Failure => "status, `5xx`, `timeout`, `connect`, `empty`".to_owned(),
        Shape::Expression => "target expression".to_owned(),
        Shape::Rules => "rules".to_owned(),
        Shape::Json => "any".to_owned(),
        Shape::Foreign { .. } => "[quirks](#quirks)".to_owned(),
        Shape::List(item) | Shape::OneOrMore(item) => format!("list of: {}", kind(item)),
        Shape::Map { values, .. } => format!("by name: {}", kind(values)),
        Shape::Keyed { values, .. } => format!("by protocol: {}", kind(values)),
        Shape::Mapping(mapping) => {
            let slug = slug(mapping);
            format!("[{}](#{slug})", slug.replace('-', " "))
        }
    }
}

fn without_article(text: &str) -> &str {
    text.strip_prefix("a ").or_else(|| text.strip_prefix("an ")).or_else(|| text.strip_prefix("the ")).unwrap_or(text)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Quirks are documented by their own JSON Schema.
fn write_quirks(out: &mut String) {
    let schema = quirks_schema();
    let described = |value: &Value| {
        value.get("description").and_then(Value::as_str).unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    out.push_str(&format!("\n## Quirks\n\n{}\n\n| key | default | meaning |\n|---|---|---|\n", described(&schema)));
    for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let default = property.get("default").map_or_else(String::new, |default| format!("`{default}`"));
        out.push_str(&format!("| `{key}` | {} | {} |\n", cell(&default), cell(&described(property))));
    }
}
