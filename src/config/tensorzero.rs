//! The `tensorzero:` section: its names must mean something, and what a function says must fit together.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use serde_json::value::RawValue;

use super::Files;
use super::document::Document;
use super::document::tensorzero::{FunctionEntry, MetricEntry, TensorzeroEntry, ToolEntry};
use super::resolve::split_target;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::source::{Span, Spanned};
use crate::table::tensorzero::{Function, FunctionKind, Metric, MetricKind, MetricLevel, Surface, Tool, ToolChoice};
use crate::wire::json::{self, Kind};
use crate::wire::structured::check::{Checker, Verdict};

/// Names that feedback keeps for itself.
const RESERVED_METRICS: [&str; 2] = ["comment", "demonstration"];

/// Every target (`provider/model`) that the section names.
pub(super) fn targets(document: &Document) -> impl Iterator<Item = &Spanned<String>> {
    let section = document.tensorzero.iter();
    let named = section.flat_map(|section| section.models.iter().chain(&section.embedding_models));
    named.map(|(_, meaning)| meaning).filter(|meaning| !meaning.value.starts_with('@'))
}

/// The variant that each preset is, by the preset's name.
pub(super) fn variants(document: &Document) -> BTreeMap<&str, &str> {
    let functions = document.tensorzero.iter().flat_map(|section| &section.functions);
    let variants = functions.flat_map(|(_, function)| &function.variants);
    variants.filter_map(|(name, preset)| Some((preset.value.strip_prefix('@')?, name.value.as_str()))).collect()
}

/// The section in the table, `None` where the file has none.
pub(super) fn surface(document: &Document, files: &dyn Files, diagnostics: &mut Diagnostics) -> Option<Surface> {
    let section = document.tensorzero.as_ref()?;
    let mut reader = Reader {
        section,
        presets: document.presets.iter().map(|preset| preset.name.value.as_str()).collect(),
        files,
        diagnostics,
    };
    let base_path = section.base_path.as_ref().map_or("", |path| path.value.trim_end_matches('/'));
    let feedback = section.feedback.as_ref().and_then(|feedback| feedback.file.as_ref());
    Some(Surface {
        base_path: base_path.into(),
        feedback_file: feedback.map(|file| file.value.as_str().into()),
        functions: named(&section.functions, |name, entry| reader.function(name, entry)),
        models: named(&section.models, |_, meaning| reader.meaning(meaning)),
        model_namespaces: named(&section.model_namespaces, |name, space| {
            reader.namespace(name, space, "model", &section.models)
        }),
        embedding_models: named(&section.embedding_models, |_, meaning| reader.meaning(meaning)),
        tools: named(&section.tools, |key, entry| reader.tool(key, entry)),
        metrics: named(&section.metrics, |name, entry| reader.metric(name, entry)),
    })
}

fn named<E, T>(
    entries: &[(Spanned<String>, E)],
    mut read: impl FnMut(&Spanned<String>, &E) -> Option<T>,
) -> BTreeMap<Box<str>, T> {
    entries.iter().filter_map(|(name, entry)| Some((name.value.as_str().into(), read(name, entry)?))).collect()
}

struct Reader<'d> {
    section: &'d TensorzeroEntry,
    presets: HashSet<&'d str>,
    files: &'d dyn Files,
    diagnostics: &'d mut Diagnostics,
}

impl Reader<'_> {
    fn wrong(&mut self, span: Span, message: String, label: &str, help: impl Into<String>) {
        self.diagnostics.push(Diagnostic::new(Code::BadTensorzero, message).label(span, label).help(help));
    }

    fn function(&mut self, name: &Spanned<String>, entry: &FunctionEntry) -> Option<Function> {
        let shown = &name.value;
        if !self.presets.contains(shown.as_str()) {
            self.wrong(
                name.span,
                format!("the function `{shown}` has no preset of its name"),
                "a request for it would lead nowhere",
                format!("define the preset `{shown}`, e.g. `route: \"@{shown}.v1\"` or a `split(...)` of its variants"),
            );
        }
        if entry.variants.is_empty() && !entry.faulty {
            let help = format!("write `variants: {{ v1: \"@{shown}.v1\" }}`");
            self.wrong(name.span, format!("the function `{shown}` has no variants"), "nothing could answer", help);
        }
        let kind = match &entry.kind {
            Some(kind) if kind.value == "json" => FunctionKind::Json,
            Some(_) => FunctionKind::Chat,
            None => {
                if !entry.faulty {
                    let help = "write `type: chat` or `type: json`";
                    self.wrong(name.span, format!("the function `{shown}` has no `type`"), "chat or json?", help);
                }
                FunctionKind::Chat
            }
        };
        self.refuse_what_the_kind_lacks(kind, entry);
        let tools: Box<[Box<str>]> = entry.tools.iter().filter_map(|key| self.tool_key(key)).map(Into::into).collect();
        Some(Function {
            kind,
            description: entry.description.as_ref().map(|text| text.value.as_str().into()),
            preset: format!("@{shown}").into(),
            variants: named(&entry.variants, |_, preset| self.preset(preset)),
            namespaces: named(&entry.namespaces, |_, preset| self.preset(preset)),
            variant_namespaces: named(&entry.variant_namespaces, |name, space| {
                self.namespace(name, space, "variant", &entry.variants)
            }),
            schemas: named(&entry.schemas, |_, schema| self.schema(schema)),
            tools,
            tool_choice: entry.tool_choice.as_ref().and_then(|choice| self.tool_choice(choice)),
            parallel_tool_calls: entry.parallel_tool_calls.as_ref().map(|flag| flag.value),
            output_schema: entry.output_schema.as_ref().and_then(|schema| self.schema(schema)),
        })
    }

    fn refuse_what_the_kind_lacks(&mut self, kind: FunctionKind, entry: &FunctionEntry) {
        let tools = entry.tools.first().map(|tool| ("tools", tool.span));
        let choice = entry.tool_choice.as_ref().map(|choice| ("tool_choice", choice.span));
        let parallel = entry.parallel_tool_calls.as_ref().map(|flag| ("parallel_tool_calls", flag.span));
        let output = entry.output_schema.as_ref().map(|schema| ("output_schema", schema.span));
        let misplaced: Vec<(&str, Span)> = match kind {
            FunctionKind::Json => [tools, choice, parallel].into_iter().flatten().collect(),
            FunctionKind::Chat => output.into_iter().collect(),
        };
        for (key, span) in misplaced {
            let message = format!("a `{}` function has no `{key}`", kind.word());
            self.wrong(span, message, "not of this type", "leave it out, or change `type`");
        }
    }

    /// A preset with its `@`, or a target.
    fn meaning(&mut self, written: &Spanned<String>) -> Option<Box<str>> {
        if written.value.starts_with('@') {
            return self.preset(written);
        }
        if split_target(&written.value).is_none() {
            let diagnostic = Diagnostic::new(Code::NotATarget, format!("`{}` is not a target", written.value))
                .label(written.span, "no provider before it");
            let preset = self.presets.contains(written.value.as_str());
            self.diagnostics.push(match preset {
                true => diagnostic
                    .help(format!("did you mean `@{}`?", written.value))
                    .fix(written.span, format!("\"@{}\"", written.value)),
                false => diagnostic.help("a target is `provider/model`, e.g. `openai/gpt-5`, or `@preset`"),
            });
            return None;
        }
        Some(written.value.as_str().into())
    }

    /// The namespace of one of `known`, which are models or variants.
    fn namespace(
        &mut self,
        name: &Spanned<String>,
        space: &Spanned<String>,
        what: &str,
        known: &[(Spanned<String>, Spanned<String>)],
    ) -> Option<Box<str>> {
        if !known.iter().any(|(known, _)| known.value == name.value) {
            let help = match did_you_mean(&name.value, known.iter().map(|(known, _)| known.value.as_str())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("list it in `{what}s`, or leave this out"),
            };
            let label = format!("not in `{what}s`");
            self.wrong(name.span, format!("unknown {what} `{}`", name.value), &label, help);
        }
        Some(space.value.as_str().into())
    }

    fn preset(&mut self, written: &Spanned<String>) -> Option<Box<str>> {
        let Some(name) = written.value.strip_prefix('@') else {
            let help = format!("write the name of a preset with `@` before it, e.g. `\"@{}\"`", written.value);
            self.wrong(written.span, format!("`{}` is not a preset", written.value), "no `@` before it", help);
            return None;
        };
        if self.presets.contains(name) {
            return Some(written.value.as_str().into());
        }
        let diagnostic = Diagnostic::new(Code::UnknownPreset, format!("unknown preset `@{name}`"))
            .label(written.span, "not in `presets:`");
        let mut names: Vec<&str> = self.presets.iter().copied().collect();
        names.sort_unstable();
        self.diagnostics.push(match did_you_mean(name, names) {
            Some(near) => diagnostic.help(format!("did you mean `@{near}`?")).fix(written.span, format!("\"@{near}\"")),
            None => diagnostic.help(format!("define it: `presets: {{ {name}: provider/model }}`")),
        });
        None
    }

    fn tool_key<'k>(&mut self, key: &'k Spanned<String>) -> Option<&'k str> {
        let keys: Vec<&str> = self.section.tools.iter().map(|(key, _)| key.value.as_str()).collect();
        if keys.contains(&key.value.as_str()) {
            return Some(&key.value);
        }
        let help = match did_you_mean(&key.value, keys) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("define it: `tools: {{ {}: {{ description: ..., parameters: ... }} }}`", key.value),
        };
        self.wrong(key.span, format!("unknown tool `{}`", key.value), "not in `tools:` of this section", help);
        None
    }

    fn tool_choice(&mut self, written: &Spanned<String>) -> Option<ToolChoice> {
        let value: Value = serde_json::from_str(&written.value).ok()?;
        match (value.as_str(), value.get("specific").and_then(Value::as_str)) {
            (Some("auto"), _) => Some(ToolChoice::Auto),
            (Some("none"), _) => Some(ToolChoice::None),
            (Some("required"), _) => Some(ToolChoice::Required),
            (None, Some(key)) => {
                // What models call it is as good as its key.
                let named = |tool: &ToolEntry| tool.name.as_ref().is_some_and(|name| name.value == key);
                let of_name =
                    self.section.tools.iter().find(|(_, tool)| named(tool)).map(|(key, _)| key.value.as_str());
                let key = Spanned::new(of_name.unwrap_or(key).to_owned(), written.span);
                self.tool_key(&key).map(|key| ToolChoice::Specific(key.into()))
            }
            _ => {
                let help = "write `auto`, `none`, `required` or `{ specific: KEY }`";
                self.wrong(written.span, "this is no choice of tools".to_owned(), "not understood", help);
                None
            }
        }
    }

    fn tool(&mut self, key: &Spanned<String>, entry: &ToolEntry) -> Option<Tool> {
        let (Some(description), Some(parameters)) = (&entry.description, &entry.parameters) else {
            if !entry.faulty {
                let message = format!("the tool `{}` needs a `description` and `parameters`", key.value);
                let help = "write `description: ...` and `parameters: tools/x.json`";
                self.wrong(key.span, message, "models could not use it", help);
            }
            return None;
        };
        Some(Tool {
            name: entry.name.as_ref().map_or(key.value.as_str(), |name| name.value.as_str()).into(),
            description: description.value.as_str().into(),
            parameters: self.schema(parameters)?,
            strict: entry.strict.as_ref().is_some_and(|flag| flag.value),
        })
    }

    fn metric(&mut self, name: &Spanned<String>, entry: &MetricEntry) -> Option<Metric> {
        if RESERVED_METRICS.contains(&name.value.as_str()) {
            let message = format!("`{}` is what feedback calls one of its own", name.value);
            self.wrong(name.span, message, "this name is taken", "give the metric another name");
        }
        let (Some(kind), Some(level), Some(optimize)) = (&entry.kind, &entry.level, &entry.optimize) else {
            if !entry.faulty {
                let message = format!("the metric `{}` needs `type`, `optimize` and `level`", name.value);
                let help = "write e.g. `{ type: boolean, optimize: max, level: inference }`";
                self.wrong(name.span, message, "something is missing", help);
            }
            return None;
        };
        Some(Metric {
            kind: if kind.value == "boolean" { MetricKind::Boolean } else { MetricKind::Float },
            level: if level.value == "episode" { MetricLevel::Episode } else { MetricLevel::Inference },
            maximize: optimize.value == "max",
        })
    }

    /// A JSON Schema as text: written in the file, or in the file that it names.
    fn schema(&mut self, written: &Spanned<String>) -> Option<Box<str>> {
        let path = serde_json::from_str::<String>(&written.value).ok();
        let text = match &path {
            None => written.value.clone(),
            Some(path) => match self.files.read(path) {
                Ok(text) => text,
                Err(why) => {
                    let help = "paths begin at the folder of the configuration; a schema may also be written here";
                    self.wrong(written.span, format!("cannot read `{path}`: {why}"), "names a file", help);
                    return None;
                }
            },
        };
        let raw: Option<Box<RawValue>> = serde_json::from_str(&text).ok();
        let Some(raw) = raw.filter(|raw| json::kind(raw) == Kind::Object) else {
            let help = "write a schema, e.g. `{ type: object, properties: { topic: { type: string } } }`";
            self.wrong(written.span, "this is not a JSON Schema".to_owned(), "must be a JSON object", help);
            return None;
        };
        if let Verdict::Unchecked(why) = Checker::of_schema(&raw).text("null") {
            let help = "references must stay within the schema, and it must be one of JSON Schema draft 4 to 2020-12";
            self.wrong(written.span, format!("this schema cannot be used: {why}"), "the schema", help);
            return None;
        }
        Some(raw.get().into())
    }
}
