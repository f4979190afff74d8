//! `tools` and `toolConfig`.

use serde_json::value::RawValue;

use super::{member, names, note, schema};
use crate::wire::ProtocolId;
use crate::wire::ir::{Error, Request, Tool, ToolChoice, ToolKind};
use crate::wire::json::{self, Ext, JsonError, Object, ObjectWriter};
use crate::wire::loss::Losses;

/// Prefix of the `null` members that stand beside `functionDeclarations`.
const BESIDE: &str = "tools.";

/// Reads `tools`: an array of elements that hold function declarations, tools that Google runs, or both.
///
/// # Errors
/// A value of the wrong type, or a function without a name.
pub(super) fn decode(elements: Vec<&RawValue>) -> Result<Vec<Tool>, Error> {
    let mut tools = Vec::new();
    for element in elements {
        let object = Object::of(element)?;
        let begins = tools.len();
        decode_element(object, &mut tools)?;
        note_grouping(&mut tools, begins);
    }
    Ok(tools)
}

fn decode_element(mut element: Object<'_>, tools: &mut Vec<Tool>) -> Result<(), Error> {
    let begins = tools.len();
    for declaration in member::array(&mut element, "functionDeclarations")?.unwrap_or_default() {
        tools.push(decode_function(Object::of(declaration)?)?);
    }
    let mut nulls = Ext::default();
    for (name, value) in element.rest().0 {
        if value.get() == "null" {
            nulls.0.push((format!("{BESIDE}{name}"), value));
            continue;
        }
        let mut out = Vec::new();
        json::object(&mut out, |w| w.raw(&name, &value));
        let raw = String::from_utf8(out).ok().and_then(json::raw);
        let Some(raw) = raw else { continue };
        tools.push(Tool { kind: ToolKind::Opaque { origin: ProtocolId::Gemini, name, raw }, ext: Ext::default() });
    }
    if let Some(first) = tools.get_mut(begins) {
        first.ext.0.extend(nulls.0);
    }
    Ok(())
}

fn decode_function(mut declaration: Object<'_>) -> Result<Tool, Error> {
    let Some(name) = member::string(&mut declaration, "name")? else {
        let message = "a function declaration needs a `name`";
        return Err(Error::invalid(message).with_param("tools.functionDeclarations.name"));
    };
    let description = member::string(&mut declaration, "description")?;
    let json_schema = member::take(&mut declaration, "parametersJsonSchema").map(RawValue::to_owned);
    let openapi = if json_schema.is_none() { member::take(&mut declaration, "parameters") } else { None };
    let mut ext = declaration.rest();
    let parameters = json_schema.or_else(|| {
        let openapi = openapi?;
        note::add(&mut ext, note::PARAMETERS);
        Some(schema::lowered(openapi).map_or_else(
            || openapi.to_owned(),
            |lowered| {
                note::add(&mut ext, note::PARAMETERS_CAPITALS);
                lowered
            },
        ))
    });
    let kind = ToolKind::Function { name: names::decode(&name), description, parameters, strict: None };
    Ok(Tool { kind, ext })
}

/// Notes where the elements' bounds are not the ones that [`encode`] would draw by itself.
fn note_grouping(tools: &mut [Tool], begins: usize) {
    let functions: Vec<bool> = tools.iter().map(is_function).collect();
    for (at, tool) in tools.iter_mut().enumerate().skip(begins) {
        let before = at.checked_sub(1).and_then(|before| functions.get(before)).copied();
        let alike = before == Some(true) && is_function(tool);
        if at == begins && alike {
            note::add(&mut tool.ext, note::APART);
        } else if at > begins && !alike {
            note::add(&mut tool.ext, note::JOINED);
        }
    }
}

fn is_function(tool: &Tool) -> bool {
    matches!(tool.kind, ToolKind::Function { .. })
}

/// Writes `tools`. Functions that follow one another share an element; each of Google's tools has its own.
///
/// # Errors
/// A tool name that Gemini cannot take.
pub(super) fn encode(
    request: &Request,
    tools: &[Tool],
    w: &mut ObjectWriter<'_>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let mut elements: Vec<Element<'_>> = Vec::new();
    for tool in tools {
        let opaque = match &tool.kind {
            ToolKind::Function { .. } => None,
            ToolKind::Opaque { origin: ProtocolId::Gemini, raw, .. } => Some(&**raw),
            ToolKind::Opaque { name, .. } => {
                losses.dropped_tool(name, "Gemini has no such tool");
                continue;
            }
        };
        let alike = elements.last().is_some_and(|last| last.opaque.is_empty()) && opaque.is_none();
        let joins = note::has(&tool.ext, note::JOINED) || (alike && !note::has(&tool.ext, note::APART));
        if !joins || elements.is_empty() {
            elements.push(Element::default());
        }
        let Some(element) = elements.last_mut() else { continue };
        match opaque {
            Some(raw) => element.opaque.push(raw),
            None => element.functions.push(encode_function(request, tool, losses)?),
        }
        element.beside.push(&tool.ext);
    }
    if !elements.is_empty() || tools.is_empty() {
        w.array("tools", &elements, |element, out| json::object(out, |w| element.write(w)));
    }
    Ok(())
}

/// One element of `tools`.
#[derive(Default)]
struct Element<'a> {
    functions: Vec<Vec<u8>>,
    opaque: Vec<&'a RawValue>,
    /// Where `null` members were kept.
    beside: Vec<&'a Ext>,
}

impl Element<'_> {
    fn write(&self, w: &mut ObjectWriter<'_>) {
        if !self.functions.is_empty() {
            w.array("functionDeclarations", &self.functions, |function, out| out.extend_from_slice(function));
        }
        for raw in &self.opaque {
            for member in Object::of(raw).iter().flat_map(Object::members) {
                w.raw(&member.key, member.value);
            }
        }
        self.beside.iter().for_each(|ext| note::write_under(w, ext, BESIDE, &[]));
    }
}

/// Foreign schemas go to `parametersJsonSchema`: it takes JSON Schema as it is, while `parameters` refuses every keyword
/// outside its own subset (`Unknown name "exclusiveMinimum"`). The caller's text stays, byte for byte.
fn encode_function(request: &Request, tool: &Tool, losses: &mut Losses) -> Result<Vec<u8>, Error> {
    let ToolKind::Function { name, description, parameters, strict } = &tool.kind else { return Ok(Vec::new()) };
    let name = names::encode(name)?;
    let native = request.origin == ProtocolId::Gemini;
    if *strict == Some(true) {
        losses.dropped("tools.strict", "Gemini has no strict mode per function");
    }
    if !native {
        losses.dropped_ext("tools.", &tool.ext);
    }
    let mut out = Vec::new();
    json::object(&mut out, |w| {
        w.field("name", &*name);
        if let Some(description) = description.as_ref().filter(|text| native || !text.is_empty()) {
            w.field("description", description);
        }
        if let Some(parameters) = parameters {
            write_parameters(parameters, &tool.ext, w);
        }
        if native {
            note::write_top(w, &tool.ext, &[BESIDE]);
        }
    });
    Ok(out)
}

fn write_parameters(parameters: &RawValue, ext: &Ext, w: &mut ObjectWriter<'_>) {
    if !note::has(ext, note::PARAMETERS) {
        return w.raw("parametersJsonSchema", parameters);
    }
    let raised = note::has(ext, note::PARAMETERS_CAPITALS).then(|| schema::raised(parameters)).flatten();
    w.raw("parameters", raised.as_deref().unwrap_or(parameters));
}

/// Reads `toolConfig`; what is not modelled goes to `ext`.
///
/// # Errors
/// A value of the wrong type.
pub(super) fn decode_choice(mut config: Object<'_>, ext: &mut Ext) -> Result<Option<ToolChoice>, JsonError> {
    let was_empty = config.members().is_empty();
    let choice = match member::object(&mut config, "functionCallingConfig")? {
        None => None,
        Some(calling) => decode_calling(calling, ext)?,
    };
    note::keep(ext, note::TOOL_CONFIG, config, was_empty);
    Ok(choice)
}

fn decode_calling(mut calling: Object<'_>, ext: &mut Ext) -> Result<Option<ToolChoice>, JsonError> {
    let was_empty = calling.members().is_empty();
    let mode = member::take(&mut calling, "mode");
    let names = member::take(&mut calling, "allowedFunctionNames");
    let listed: Option<Vec<String>> =
        names.map(|names| json::read(names, "allowedFunctionNames", "a list of names")).transpose()?;
    let listed = listed.map(|names| names.iter().map(|name| names::decode(name)).collect::<Vec<_>>());
    let word = mode.map(|mode| json::read::<String>(mode, "mode", "a string")).transpose()?;
    let choice = word.as_deref().and_then(|word| choice_of(word, listed.as_deref().unwrap_or_default()));
    // What the choice does not say, in the caller's spelling (`any`), is written instead of the choice's own words.
    let (said_mode, said_names) = choice.as_ref().map_or((None, &[][..]), words);
    if let Some(mode) = mode.filter(|_| word.as_deref() != said_mode) {
        ext.0.push((format!("{}mode", note::CALLING_CONFIG), mode.to_owned()));
    }
    if let Some(names) = names.filter(|_| listed.as_deref().unwrap_or_default() != said_names || said_names.is_empty())
    {
        ext.0.push((format!("{}allowedFunctionNames", note::CALLING_CONFIG), names.to_owned()));
    }
    note::keep(ext, note::CALLING_CONFIG, calling, was_empty);
    Ok(choice)
}

fn choice_of(mode: &str, listed: &[String]) -> Option<ToolChoice> {
    match (mode.to_ascii_uppercase().as_str(), listed) {
        ("AUTO", _) | ("VALIDATED", []) => Some(ToolChoice::Auto),
        ("NONE", _) => Some(ToolChoice::None),
        ("ANY", []) => Some(ToolChoice::Required),
        ("ANY", [only]) => Some(ToolChoice::Tool(only.clone())),
        ("ANY", several) => Some(ToolChoice::Allowed { names: several.to_vec(), required: true }),
        ("VALIDATED", several) => Some(ToolChoice::Allowed { names: several.to_vec(), required: false }),
        _ => None,
    }
}

/// The mode and the names that say a choice. `AUTO` cannot be limited to some functions, `VALIDATED` can.
fn words(choice: &ToolChoice) -> (Option<&'static str>, &[String]) {
    match choice {
        ToolChoice::Auto => (Some("AUTO"), &[]),
        ToolChoice::None => (Some("NONE"), &[]),
        ToolChoice::Required => (Some("ANY"), &[]),
        ToolChoice::Tool(name) => (Some("ANY"), std::slice::from_ref(name)),
        ToolChoice::Allowed { names, required: true } => (Some("ANY"), names),
        ToolChoice::Allowed { names, required: false } => (Some("VALIDATED"), names),
    }
}

/// Writes `toolConfig`, where there is anything to write. `ext` must be Gemini's or empty.
///
/// # Errors
/// A tool name that Gemini cannot take.
pub(super) fn encode_choice(choice: Option<&ToolChoice>, ext: &Ext, w: &mut ObjectWriter<'_>) -> Result<(), Error> {
    let (mode, listed) = choice.map_or((None, &[][..]), words);
    let listed = listed.iter().map(|name| names::encode(name)).collect::<Result<Vec<_>, Error>>()?;
    let kept = |name: &str| ext.get(&format!("{}{name}", note::CALLING_CONFIG)).is_some();
    let has_calling = mode.is_some() || note::any_under(ext, note::CALLING_CONFIG);
    if !has_calling && !note::any_under(ext, note::TOOL_CONFIG) {
        return Ok(());
    }
    w.object("toolConfig", |w| {
        if has_calling {
            w.object("functionCallingConfig", |w| {
                if let Some(mode) = mode.filter(|_| !kept("mode")) {
                    w.field("mode", mode);
                }
                if !listed.is_empty() && !kept("allowedFunctionNames") {
                    w.field("allowedFunctionNames", &listed);
                }
                note::write_under(w, ext, note::CALLING_CONFIG, &[]);
            });
        }
        note::write_under(w, ext, note::TOOL_CONFIG, &[note::CALLING_CONFIG]);
    });
    Ok(())
}
