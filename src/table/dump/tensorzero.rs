//! The `tensorzero:` section in the dump of a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Item, ItemKind};
use crate::table::tensorzero::{Function, Metric, Surface, Tool, ToolChoice};

/// One item for the section itself, one for each function, tool and metric.
pub(super) fn items(surface: &Surface) -> Vec<Item> {
    let setting = |id: String, text: String| Item { kind: ItemKind::Setting, id, text };
    let mut items = vec![setting("tensorzero".to_owned(), own(surface))];
    items.extend(
        surface.functions.iter().map(|(name, one)| setting(format!("tensorzero function {name}"), function(one))),
    );
    items.extend(surface.tools.iter().map(|(key, one)| setting(format!("tensorzero tool {key}"), tool(one))));
    items.extend(surface.metrics.iter().map(|(name, one)| setting(format!("tensorzero metric {name}"), metric(one))));
    items
}

fn own(surface: &Surface) -> String {
    let mut out = format!("at {}/", surface.base_path);
    if let Some(file) = &surface.feedback_file {
        let _ = write!(out, ", feedback to {file}");
    }
    let spaces = ("namespace of the model", &surface.model_namespaces);
    for (what, names) in [("model", &surface.models), spaces, ("embedding model", &surface.embedding_models)] {
        for (name, meaning) in names {
            let _ = write!(out, "\n{what} {name}: {meaning}");
        }
    }
    out
}

fn function(function: &Function) -> String {
    let mut out = format!("{}, by {}", function.kind.word(), function.preset);
    let mut line = |name: &str, value: &str| {
        let _ = write!(out, "\n{name}: {value}");
    };
    if let Some(description) = &function.description {
        line("description", description);
    }
    for (name, preset) in &function.variants {
        line(&format!("variant {name}"), preset);
    }
    for (name, preset) in &function.namespaces {
        line(&format!("namespace {name}"), preset);
    }
    for (name, space) in &function.variant_namespaces {
        line(&format!("variant {name} only in the namespace"), space);
    }
    for (name, schema) in &function.schemas {
        line(&format!("schema {name}"), schema);
    }
    if !function.tools.is_empty() {
        line("tools", &function.tools.join(", "));
    }
    if let Some(choice) = &function.tool_choice {
        line("tool choice", &tool_choice(choice));
    }
    if let Some(parallel) = function.parallel_tool_calls {
        line("parallel tool calls", if parallel { "true" } else { "false" });
    }
    if let Some(schema) = &function.output_schema {
        line("output", schema);
    }
    out
}

fn tool_choice(choice: &ToolChoice) -> String {
    match choice {
        ToolChoice::Auto => "auto".to_owned(),
        ToolChoice::None => "none".to_owned(),
        ToolChoice::Required => "required".to_owned(),
        ToolChoice::Specific(key) => format!("only {key}"),
    }
}

fn tool(tool: &Tool) -> String {
    let strict = if tool.strict { ", strict" } else { "" };
    format!("{}{strict}\ndescription: {}\nparameters: {}", tool.name, tool.description, tool.parameters)
}

fn metric(metric: &Metric) -> String {
    let end = if metric.maximize { "max" } else { "min" };
    format!("{} of an {}, {end}", metric.kind.word(), metric.level.word())
}

/// The section as JSON.
pub(super) fn json(surface: &Surface) -> Value {
    let functions: Map<String, Value> = (surface.functions.iter())
        .map(|(name, one)| {
            let value = json!({
                "type": one.kind.word(),
                "preset": one.preset,
                "variants": one.variants,
                "namespaces": one.namespaces,
                "variant_namespaces": one.variant_namespaces,
                "schemas": texts(&one.schemas),
                "tools": one.tools,
                "tool_choice": one.tool_choice.as_ref().map(tool_choice),
                "parallel_tool_calls": one.parallel_tool_calls,
                "output_schema": one.output_schema.as_deref().map(text),
            });
            (name.to_string(), value)
        })
        .collect();
    let tools: Map<String, Value> = (surface.tools.iter())
        .map(|(key, one)| {
            (key.to_string(), json!({ "name": one.name, "parameters": text(&one.parameters), "strict": one.strict }))
        })
        .collect();
    let metrics: Map<String, Value> = (surface.metrics.iter())
        .map(|(name, one)| (name.to_string(), json!({ "type": one.kind.word(), "level": one.level.word() })))
        .collect();
    json!({
        "base_path": surface.base_path,
        "feedback_file": surface.feedback_file,
        "functions": functions,
        "models": surface.models,
        "embedding_models": surface.embedding_models,
        "tools": tools,
        "metrics": metrics,
    })
}

fn texts(schemas: &BTreeMap<Box<str>, Box<str>>) -> Map<String, Value> {
    schemas.iter().map(|(name, schema)| (name.to_string(), text(schema))).collect()
}

/// A schema was read as JSON before it came into the table.
fn text(schema: &str) -> Value {
    serde_json::from_str(schema).unwrap_or(Value::Null)
}
