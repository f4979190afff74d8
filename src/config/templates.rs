//! Templates of the file: every one that presets name, and those that they include, read and compiled once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::Files;
use super::document::{Document, PresetEntry, TemplateEntry};
use super::output;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{SourceId, SourceMap, Span, Spanned};
use crate::wire::json;
use crate::wire::structured::check::Checker;
use crate::wire::template::engine::Engine;
use crate::wire::template::{Arguments, Form, Prompts, Speaker, Template, Wrapper, includes};

/// The compiled templates.
pub struct Templates {
    engine: Arc<Engine>,
    /// Paths of those that were read and compiled, with their texts' sources.
    sources: BTreeMap<String, SourceId>,
}

impl Templates {
    /// Reads every template that `document` names, and those that they include.
    pub(super) fn read(
        document: &Document,
        files: &dyn Files,
        sources: &mut SourceMap,
        diagnostics: &mut Diagnostics,
    ) -> Templates {
        let root = document.template_root.as_ref().filter(|root| is_inside(root, diagnostics));
        let named: Vec<&Spanned<String>> = document.presets.iter().flat_map(paths).collect();
        let known: BTreeSet<&str> = named.iter().map(|path| path.value.as_str()).collect();
        let mut reading = Reading {
            root: root.map(|root| root.value.as_str()),
            known,
            engine: Engine::new(root.map(|root| root.value.as_str())),
            open: named.iter().map(|path| (path.value.clone(), path.span)).collect(),
            read: BTreeMap::new(),
        };
        while let Some((path, span)) = reading.open.pop_front() {
            if !reading.read.contains_key(&path) {
                reading.one(path, span, files, sources, diagnostics);
            }
        }
        let sources = reading.read.into_iter().filter_map(|(path, source)| Some((path, source?))).collect();
        Templates { engine: Arc::new(reading.engine), sources }
    }

    /// The templates of one preset.
    pub(super) fn of(&self, entry: &PresetEntry, files: &dyn Files, diagnostics: &mut Diagnostics) -> Prompts {
        let templates = entry.templates.iter().filter_map(|(name, template)| {
            let schema = entry.arguments.iter().find(|(other, _)| other.value == name.value);
            self.template(name, template, schema.map(|(_, schema)| schema), files, diagnostics)
        });
        let templates = templates.collect();
        let wrappers = entry.wrappers.iter().filter_map(|(role, path)| self.wrapper(role, path, diagnostics)).collect();
        for (name, _) in &entry.arguments {
            if !entry.templates.iter().any(|(other, _)| other.value == name.value) {
                diagnostics.push(
                    Diagnostic::new(Code::BadTemplate, format!("there is no template `{}` here", name.value))
                        .label(name.span, "these arguments are for no template")
                        .help("name it under `templates` of the same preset, or remove it here"),
                );
            }
        }
        Prompts { templates, wrappers }
    }

    fn template(
        &self,
        name: &Spanned<String>,
        entry: &TemplateEntry,
        schema: Option<&Spanned<String>>,
        files: &dyn Files,
        diagnostics: &mut Diagnostics,
    ) -> Option<Template> {
        let Some(path) = &entry.path else {
            diagnostics.push(
                Diagnostic::new(Code::BadTemplate, format!("the template `{}` has no `path`", name.value))
                    .label(name.span, "made of nothing")
                    .help("write `path: prompts/x.j2`"),
            );
            return None;
        };
        let form = match &entry.form {
            Some(word) if word.value == Form::Legacy.word() => Form::Legacy,
            Some(_) | None => Form::Named,
        };
        let speaker = Speaker::ALL.into_iter().find(|speaker| speaker.word() == name.value);
        if let (Form::Legacy, None, Some(word)) = (form, speaker, &entry.form) {
            diagnostics.push(
                Diagnostic::new(Code::BadTemplate, "`form: legacy` is for templates of a role")
                    .label(word.span, format!("`{}` is no role", name.value))
                    .help("the roles are `system`, `user` and `assistant`; remove `form` here"),
            );
        }
        let schema = schema.and_then(|schema| arguments(schema, files, diagnostics));
        self.sources.get(&path.value)?;
        if let (Form::Legacy, Some(speaker), None) = (form, speaker, &schema) {
            self.only_text(path, speaker, diagnostics);
        }
        Some(Template {
            name: name.value.as_str().into(),
            path: path.value.as_str().into(),
            form,
            schema,
            digest: self.engine.digest(&path.value).into(),
            engine: Arc::clone(&self.engine),
        })
    }

    fn wrapper(
        &self,
        role: &Spanned<String>,
        path: &Spanned<String>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Wrapper> {
        let Some(speaker) = Speaker::ALL.into_iter().find(|speaker| speaker.word() == role.value) else {
            diagnostics.push(
                Diagnostic::new(Code::BadTemplate, format!("`{}` is no role", role.value))
                    .label(role.span, "nobody says this")
                    .help("write `system`, `user` or `assistant`"),
            );
            return None;
        };
        self.sources.get(&path.value)?;
        self.only_text(path, speaker, diagnostics);
        Some(Wrapper {
            speaker,
            path: path.value.as_str().into(),
            digest: self.engine.digest(&path.value).into(),
            engine: Arc::clone(&self.engine),
        })
    }

    /// Reports variables that a template made of plain texts will not have.
    fn only_text(&self, path: &Spanned<String>, speaker: Speaker, diagnostics: &mut Diagnostics) {
        let own = speaker.variable();
        let others = self.engine.variables(&path.value).into_iter().filter(|name| name != own);
        let others: Vec<String> = others.map(|name| format!("`{name}`")).collect();
        if others.is_empty() {
            return;
        }
        let diagnostic = Diagnostic::new(
            Code::BadTemplate,
            format!("the template reads {}, which is never defined", others.join(", ")),
        );
        diagnostics.push(diagnostic.label(path.span, format!("made of plain texts: it has `{own}` alone")).help(
            format!(
                "say what its arguments are, `arguments: {{ {}: schema.json }}`, or remove the variables",
                speaker.word()
            ),
        ));
    }
}

/// Templates that are still to be read.
struct Reading<'d> {
    root: Option<&'d str>,
    /// Paths that presets name.
    known: BTreeSet<&'d str>,
    engine: Engine,
    open: VecDeque<(String, Span)>,
    /// `None`: it could not be used, and a finding says why.
    read: BTreeMap<String, Option<SourceId>>,
}

impl Reading<'_> {
    /// `span` is where it is named.
    fn one(
        &mut self,
        path: String,
        span: Span,
        files: &dyn Files,
        sources: &mut SourceMap,
        diagnostics: &mut Diagnostics,
    ) {
        let text: Arc<str> = match files.read(&path) {
            Ok(text) => text.into(),
            Err(why) => {
                diagnostics.push(
                    Diagnostic::new(Code::BadTemplate, format!("cannot read `{path}`: {why}"))
                        .label(span, "names a file")
                        .help("paths begin at the folder of the configuration"),
                );
                self.read.insert(path, None);
                return;
            }
        };
        let source = sources.add(path.as_str(), Arc::clone(&text));
        let found = self.includes(&text, source, diagnostics);
        let added = self.engine.add(&path, &text, found.iter().map(|(path, _)| path.clone()).collect());
        self.open.extend(found);
        if let Err(fault) = &added {
            diagnostics.push(
                Diagnostic::new(Code::BadTemplate, format!("`{path}` is no template: {}", fault.message))
                    .label(Span::new(source, fault.at.start, fault.at.end), "here")
                    .label(span, "named here")
                    .help("templates are written in Jinja's language, as MiniJinja reads it"),
            );
        }
        self.read.insert(path, added.is_ok().then_some(source));
    }

    /// Paths of the templates that `text` includes.
    fn includes(&self, text: &str, source: SourceId, diagnostics: &mut Diagnostics) -> Vec<(String, Span)> {
        let mut found = Vec::new();
        for include in includes::of(text) {
            let span = Span::new(source, include.at.start, include.at.end);
            let mut refuse = |message: String, help: &str| {
                diagnostics.push(Diagnostic::new(Code::BadTemplate, message).label(span, "included here").help(help));
            };
            let Some(name) = include.name else {
                refuse(
                    "which template this includes is not known before a request is there".to_owned(),
                    "name the template in quotes; choose between several with `{% if %}`",
                );
                continue;
            };
            let path = match self.root {
                Some(_) if includes::leads_out(&name) => {
                    refuse(format!("`{name}` leads out of `template_root`"), "name a file below that folder");
                    continue;
                }
                Some(root) => includes::below(root, &name),
                None if self.known.contains(name.as_str()) => name,
                None => {
                    refuse(
                        format!("`{name}` is no template of this file"),
                        "write `template_root: FOLDER`: templates may include the files below it, by their path from there",
                    );
                    continue;
                }
            };
            found.push((path, span));
        }
        found
    }
}

fn paths(entry: &PresetEntry) -> impl Iterator<Item = &Spanned<String>> {
    let templates = entry.templates.iter().filter_map(|(_, template)| template.path.as_ref());
    templates.chain(entry.wrappers.iter().map(|(_, path)| path))
}

fn is_inside(root: &Spanned<String>, diagnostics: &mut Diagnostics) -> bool {
    let out = includes::leads_out(&root.value);
    if out {
        diagnostics.push(
            Diagnostic::new(Code::BadTemplate, "`template_root` must be below the folder of the configuration")
                .label(root.span, "leads elsewhere")
                .help("move the templates, and write the path from here, e.g. `prompts`"),
        );
    }
    !out
}

fn arguments(written: &Spanned<String>, files: &dyn Files, diagnostics: &mut Diagnostics) -> Option<Arguments> {
    let text = output::json_schema("arguments", Code::BadTemplate, written, files, diagnostics)?;
    let checker = Arc::new(Checker::of_schema(&json::raw(&*text)?));
    Some(Arguments { text, checker })
}
