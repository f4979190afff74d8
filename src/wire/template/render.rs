//! A request's prompts, made by the templates of the presets on its way.
//!
//! A part `{ "type": "template", "name": N, "arguments": {...} }` is replaced by the template of that name, and a part
//! `{ "type": "raw_text", "value": T }` by its text. Decoders keep such parts verbatim, because no protocol has them.

use serde_json::value::RawValue;

use super::engine::Engine;
use super::{Form, Prompts, Speaker, Template};
use crate::wire::ir::{ContentShape, Error, Message, Opaque, Part, Request, Role, Text};
use crate::wire::json::{self, Ext, Object};
use crate::wire::structured::check::Verdict;

/// What a verbatim part asks for.
enum Input<'p> {
    Template { name: String, arguments: &'p RawValue },
    Raw(String),
}

/// Whether a request brings anything that only templates can read.
pub fn asks_for_templates(request: &Request) -> bool {
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.any(|part| matches!(part, Part::Opaque(opaque) if input(opaque).is_some()))
}

/// Puts the templates' texts into `request`; `lead` stands before the system text.
///
/// # Errors
/// Arguments that are missing, not wanted, or not as their schema says; a template that is not there; one that fails.
pub fn apply(request: &mut Request, prompts: &Prompts, lead: Option<&str>) -> Result<(), Error> {
    system(request, prompts, lead)?;
    for message in &mut request.messages {
        let Some(speaker) = Speaker::of(message.role).filter(|speaker| *speaker != Speaker::System) else { continue };
        for part in &mut message.parts {
            if let Some(text) = spoken(part, prompts, speaker)? {
                *part = Part::Text(Text::new(text));
            }
        }
    }
    Ok(())
}

/// The text in place of a part of a user's or an assistant's message.
fn spoken(part: &Part, prompts: &Prompts, speaker: Speaker) -> Result<Option<String>, Error> {
    match part {
        Part::Text(text) => plain(&text.text, prompts, speaker),
        Part::Opaque(opaque) => match input(opaque) {
            Some(Input::Template { name, arguments }) => named(&name, arguments, prompts).map(Some),
            Some(Input::Raw(text)) => Ok(Some(text)),
            None => Ok(None),
        },
        Part::Refusal(_) | Part::Media(_) | Part::Reasoning(_) | Part::ToolCall(_) | Part::ToolResult(_) => Ok(None),
    }
}

/// The text in place of a plain one; `None` where it stays.
fn plain(text: &str, prompts: &Prompts, speaker: Speaker) -> Result<Option<String>, Error> {
    let template = prompts.template(speaker.word());
    if let Some(template) = template.filter(|template| template.schema.is_some()) {
        return Err(wants_arguments(template));
    }
    let around = template.filter(|template| template.form == Form::Legacy).map(|one| (&one.engine, &one.path));
    let around = around.or_else(|| prompts.wrapper(speaker).map(|one| (&one.engine, &one.path)));
    around.map(|(engine, path)| text_in(engine, path, speaker, Some(text))).transpose()
}

fn text_in(engine: &Engine, path: &str, speaker: Speaker, text: Option<&str>) -> Result<String, Error> {
    engine.render_text(path, speaker.variable(), text).map_err(failed)
}

/// The template of this name with its arguments.
fn named(name: &str, arguments: &RawValue, prompts: &Prompts) -> Result<String, Error> {
    let Some(template) = prompts.template(name) else {
        let message = format!(
            "the request brings arguments for the template `{name}`, and no preset on its way has one of this name"
        );
        return Err(Error::invalid(message).with_code("unknown_template"));
    };
    if json::kind(arguments) != json::Kind::Object {
        return Err(Error::invalid(format!("the arguments of the template `{name}` must be an object"))
            .with_code("bad_arguments"));
    }
    if let Some(schema) = &template.schema {
        match schema.checker.text(arguments.get()) {
            Verdict::Invalid(violation) => {
                let message = format!("the arguments of the template `{name}` are not as its schema says: {violation}");
                return Err(Error::invalid(message).with_code("bad_arguments"));
            }
            Verdict::Unchecked(why) => {
                let message = format!("the arguments of the template `{name}` cannot be checked: {why}");
                return Err(Error::invalid(message).with_code("bad_arguments"));
            }
            Verdict::Valid | Verdict::Repaired | Verdict::Refused | Verdict::Cut | Verdict::Called => {}
        }
    }
    template.engine.render(&template.path, arguments).map_err(failed)
}

fn wants_arguments(template: &Template) -> Error {
    let name = &template.name;
    let message = format!(
        "the template `{name}` has a schema, so the {name} text is made of arguments alone: send {{\"type\": \"template\", \"name\": \"{name}\", \"arguments\": {{...}}}} in its place{}",
        if &**name == "system" { " (over `/inference`, `system` is the object of arguments itself)" } else { "" }
    );
    Error::invalid(message).with_code("arguments_missing")
}

fn failed(why: String) -> Error {
    Error::invalid(format!("a template cannot be rendered: {why}")).with_code("template_failed")
}

// === the system text

/// What the request says to the system template.
enum Said<'p> {
    Nothing,
    Text(String),
    Arguments { name: String, arguments: &'p RawValue },
}

fn system(request: &mut Request, prompts: &Prompts, lead: Option<&str>) -> Result<(), Error> {
    let speaker = Speaker::System;
    let is_system = |message: &Message| Speaker::of(message.role) == Some(speaker);
    let said = said(request.messages.iter().filter(|message| is_system(message)))?;
    let text = match (prompts.template(speaker.word()), said) {
        (None, Said::Nothing) => return Ok(()),
        (None, Said::Text(text)) => match plain(&text, prompts, speaker)? {
            Some(text) => text,
            None if has_input(request) => text,
            None => return Ok(()),
        },
        (_, Said::Arguments { name, arguments }) => named(&name, arguments, prompts)?,
        (Some(template), Said::Nothing | Said::Text(_)) if template.schema.is_some() => {
            return Err(wants_arguments(template));
        }
        (Some(template), Said::Nothing) if template.form == Form::Legacy => {
            text_in(&template.engine, &template.path, speaker, None)?
        }
        (Some(template), Said::Text(text)) if template.form == Form::Legacy => {
            text_in(&template.engine, &template.path, speaker, Some(&text))?
        }
        // What the caller says has no place in it.
        (Some(template), Said::Nothing | Said::Text(_)) => {
            template.engine.render_alone(&template.path).map_err(failed)?
        }
    };
    let text = lead.map_or(text.clone(), |lead| format!("{lead}\n\n{text}"));
    request.messages.retain(|message| !is_system(message));
    request.messages.insert(0, system_message(text));
    Ok(())
}

fn has_input(request: &Request) -> bool {
    let system = request.messages.iter().filter(|message| Speaker::of(message.role) == Some(Speaker::System));
    let mut parts = system.flat_map(|message| &message.parts);
    parts.any(|part| matches!(part, Part::Opaque(opaque) if input(opaque).is_some()))
}

/// All that the system messages say: one text, or one set of arguments.
fn said<'m>(messages: impl Iterator<Item = &'m Message>) -> Result<Said<'m>, Error> {
    let mut texts: Vec<String> = Vec::new();
    let mut asked = None;
    for part in messages.flat_map(|message| &message.parts) {
        match part {
            Part::Text(text) => texts.push(text.text.clone()),
            Part::Opaque(opaque) => match input(opaque) {
                Some(Input::Raw(text)) => texts.push(text),
                Some(Input::Template { name, arguments }) if asked.is_none() => asked = Some((name, arguments)),
                Some(Input::Template { .. }) => {
                    return Err(
                        Error::invalid("the system text can be made by one template").with_code("bad_arguments")
                    );
                }
                None => {}
            },
            Part::Refusal(_) | Part::Media(_) | Part::Reasoning(_) | Part::ToolCall(_) | Part::ToolResult(_) => {}
        }
    }
    match (asked, texts.is_empty()) {
        (Some((name, arguments)), true) => Ok(Said::Arguments { name, arguments }),
        (Some(_), false) => {
            Err(Error::invalid("the system text is either a text or made by a template").with_code("bad_arguments"))
        }
        (None, true) => Ok(Said::Nothing),
        (None, false) => Ok(Said::Text(texts.join("\n"))),
    }
}

fn system_message(text: String) -> Message {
    Message {
        role: Role::System,
        role_raw: None,
        parts: vec![Part::Text(Text::new(text))],
        shape: ContentShape::Text,
        name: None,
        ext: Ext::default(),
    }
}

/// What the part asks for, where it is one for templates. TensorZero's clients of Chat Completions prefix the types.
fn input(opaque: &Opaque) -> Option<Input<'_>> {
    let part = Object::of(&opaque.raw).ok()?;
    let kind = json::str_of(part.get("type")?)?;
    match kind.strip_prefix("tensorzero::").unwrap_or(&kind) {
        "template" => Some(Input::Template {
            name: json::str_of(part.get("name")?)?.into_owned(),
            arguments: part.get("arguments")?,
        }),
        "raw_text" => Some(Input::Raw(json::str_of(part.get("value")?)?.into_owned())),
        _ => None,
    }
}
