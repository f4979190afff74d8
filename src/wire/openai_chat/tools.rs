//! Tools, the choice among them, and the model's calls of them.

use serde_json::value::RawValue;

use super::nested;
use crate::wire::ProtocolId;
use crate::wire::ir::{Error, Part, Signature, Tool, ToolCall, ToolChoice, ToolKind};
use crate::wire::json::{self, Ext, JsonError, Kind, Object, ObjectWriter};

/// The marks of tools that came as `functions`, of a call that came as `function_call`, and of calls of `custom` tools.
const LEGACY: &str = "functions";
const LEGACY_CALL: &str = "function_call";
const CUSTOM: &str = "custom";

/// Takes `tools`, or the older `functions` where there is no `tools`.
///
/// # Errors
/// A list whose elements are no tools.
pub(super) fn decode(request: &mut Object<'_>) -> Result<Option<Vec<Tool>>, Error> {
    if let Some(elements) = request.array("tools")? {
        let tools = elements.into_iter().enumerate().map(|(at, raw)| decode_tool(raw, &format!("tools[{at}]")));
        return tools.collect::<Result<_, _>>().map(Some);
    }
    if request.get(LEGACY).is_none_or(|raw| json::count(raw) == 0) {
        return Ok(None);
    }
    let elements = request.array(LEGACY)?.unwrap_or_default();
    let tools = elements.into_iter().enumerate().map(|(at, raw)| {
        let function = Object::of(raw).map_err(|error| Error::at_path(error, &format!("{LEGACY}[{at}]")))?;
        let mut tool = decode_function(function, Ext::default(), &format!("{LEGACY}[{at}]"))?;
        nested::mark(&mut tool.ext, LEGACY);
        Ok(tool)
    });
    tools.collect::<Result<_, _>>().map(Some)
}

fn decode_tool(raw: &RawValue, path: &str) -> Result<Tool, Error> {
    let mut tool = Object::of(raw).map_err(|error| Error::at_path(error, path))?;
    let kind = tool.string("type").map_err(|error| Error::at_path(error, path))?;
    match kind.as_deref() {
        Some("function") | None => match tool.take("function") {
            Some(function) => {
                let function = Object::of(function).map_err(|error| Error::at_path(error, path))?;
                decode_function(function, tool.rest(), path)
            }
            // Flat, as in OpenAI's other protocol; Cursor sends it here too.
            None => decode_function(tool, Ext::default(), path),
        },
        Some(other) => {
            let inner = tool.get(other).and_then(|raw| Object::of(raw).ok());
            let name = inner.and_then(|mut inner| inner.string("name").ok().flatten());
            let name = name.unwrap_or_else(|| other.to_owned());
            let kind = ToolKind::Opaque { origin: ProtocolId::OpenAiChat, name, raw: raw.to_owned() };
            Ok(Tool { kind, ext: Ext::default() })
        }
    }
}

fn decode_function(mut function: Object<'_>, mut ext: Ext, path: &str) -> Result<Tool, Error> {
    let fault = |error: JsonError| Error::at_path(error, path);
    let name = function.string("name").map_err(fault)?;
    let name = name.ok_or_else(|| fault(JsonError::Missing { key: "name".to_owned() }))?;
    let description = function.string("description").map_err(fault)?;
    let given = function.get("parameters").is_some_and(|raw| !nested::is_null(raw));
    let parameters = if given { function.take("parameters").map(ToOwned::to_owned) } else { None };
    let strict = function.bool("strict").map_err(fault)?;
    nested::keep(&mut ext, "function", function);
    Ok(Tool { kind: ToolKind::Function { name, description, parameters, strict }, ext })
}

/// Writes a tool's definition, without what nobody modelled.
pub(super) fn write_function(kind: &ToolKind, function: &mut ObjectWriter<'_>) {
    if let ToolKind::Function { name, description, parameters, strict } = kind {
        function.field("name", name);
        function.optional("description", description);
        function.optional("parameters", parameters);
        function.optional("strict", strict);
    }
}

/// Writes a tool of this protocol as it came.
pub(super) fn write_own_tool(tool: &Tool, out: &mut Vec<u8>) {
    if let ToolKind::Opaque { raw, .. } = &tool.kind {
        out.extend_from_slice(raw.get().as_bytes());
        return;
    }
    json::object(out, |writer| {
        writer.field("type", "function");
        writer.object("function", |function| {
            write_function(&tool.kind, function);
            nested::write(&tool.ext, "function", function);
        });
        nested::write_rest(&tool.ext, &["function"], writer);
    });
}

/// Writes an element of the older `functions`.
pub(super) fn write_own_legacy(tool: &Tool, out: &mut Vec<u8>) {
    json::object(out, |function| {
        write_function(&tool.kind, function);
        nested::write(&tool.ext, "function", function);
    });
}

pub(super) fn are_legacy(tools: &[Tool]) -> bool {
    tools.iter().any(|tool| nested::is_marked(&tool.ext, LEGACY))
}

/// Takes `tool_choice`, or the older `function_call`. A choice that nobody modelled (a custom tool's) stays.
pub(super) fn decode_choice(request: &mut Object<'_>, legacy: bool) -> Option<ToolChoice> {
    let member = if legacy { "function_call" } else { "tool_choice" };
    let choice = choice(request.get(member)?, legacy)?;
    request.take(member);
    Some(choice)
}

fn choice(raw: &RawValue, legacy: bool) -> Option<ToolChoice> {
    match json::kind(raw) {
        Kind::String => match &*json::str_of(raw)? {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            // Mistral's word is `any`.
            "required" | "any" => Some(ToolChoice::Required),
            _ => None,
        },
        Kind::Object => {
            let mut object = Object::of(raw).ok()?;
            if legacy {
                return object.string("name").ok()?.map(ToolChoice::Tool);
            }
            match object.string("type").ok()?.as_deref() {
                Some("function") | None => name_of_function(&mut object).map(ToolChoice::Tool),
                Some("allowed_tools") => allowed(&mut object),
                Some(_) => None,
            }
        }
        Kind::Null | Kind::Bool | Kind::Number | Kind::Array => None,
    }
}

fn name_of_function(object: &mut Object<'_>) -> Option<String> {
    Object::of(object.take("function")?).ok()?.string("name").ok()?
}

fn allowed(object: &mut Object<'_>) -> Option<ToolChoice> {
    let mut inner = Object::of(object.take("allowed_tools")?).ok()?;
    let required = match inner.string("mode").ok()??.as_str() {
        "auto" => false,
        "required" => true,
        _ => return None,
    };
    let tools = inner.array("tools").ok()??;
    let names = tools.into_iter().map(|raw| name_of_function(&mut Object::of(raw).ok()?));
    Some(ToolChoice::Allowed { names: names.collect::<Option<_>>()?, required })
}

/// Writes the value of `tool_choice`. `required` is the upstream's word for a forced call.
pub(super) fn write_choice(choice: &ToolChoice, required_word: &str, out: &mut Vec<u8>) {
    match choice {
        ToolChoice::Auto => json::write("auto", out),
        ToolChoice::None => json::write("none", out),
        ToolChoice::Required => json::write(required_word, out),
        ToolChoice::Tool(name) => write_named(name, out),
        ToolChoice::Allowed { names, required } => json::object(out, |writer| {
            writer.field("type", "allowed_tools");
            writer.object("allowed_tools", |inner| {
                inner.field("mode", if *required { "required" } else { "auto" });
                inner.array("tools", names, |name, out| write_named(name, out));
            });
        }),
    }
}

fn write_named(name: &str, out: &mut Vec<u8>) {
    json::object(out, |writer| {
        writer.field("type", "function");
        writer.object("function", |function| function.field("name", name));
    });
}

/// Writes the value of the older `function_call`, which has no word for a forced call of any function.
pub(super) fn write_legacy_choice(choice: &ToolChoice, out: &mut Vec<u8>) {
    match choice {
        ToolChoice::None => json::write("none", out),
        ToolChoice::Tool(name) => json::object(out, |writer| writer.field("name", name)),
        ToolChoice::Auto | ToolChoice::Required | ToolChoice::Allowed { .. } => json::write("auto", out),
    }
}

/// Takes the calls of a message: `tool_calls`, then the older `function_call`. An empty list stays, as does one with calls
/// that are neither of functions nor of custom tools: only the provider that ran them understands those.
///
/// # Errors
/// A call without a function's name.
pub(super) fn decode_calls(message: &mut Object<'_>, path: &str, parts: &mut Vec<Part>) -> Result<(), Error> {
    if message.get("tool_calls").is_some_and(are_modelled) {
        for (at, raw) in message.array("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
            parts.push(decode_call(raw).map_err(|error| Error::at_path(error, &format!("{path}tool_calls[{at}]")))?);
        }
    }
    let is_empty =
        |raw: &RawValue| Object::of(raw).is_ok_and(|call| call.members().iter().all(|m| m.value.get() == "\"\""));
    if message.get("function_call").is_some_and(is_empty) {
        return Ok(());
    }
    if let Some(mut function) = message.object("function_call").map_err(|error| Error::at_path(error, path))? {
        let name = function.string("name")?.unwrap_or_default();
        let arguments = arguments(&mut function);
        let mut ext = Ext::default();
        nested::mark(&mut ext, LEGACY_CALL);
        nested::keep(&mut ext, "function", function);
        parts.push(Part::ToolCall(ToolCall { id: None, name, arguments, signature: None, ext }));
    }
    Ok(())
}

fn are_modelled(calls: &RawValue) -> bool {
    let calls = json::elements(calls, "tool_calls").unwrap_or_default();
    let is_known = |call: &&RawValue| {
        Object::of(call).is_ok_and(|call| {
            let kind = call.get("type").and_then(json::str_of);
            call.get("function").is_some() || kind.is_none_or(|kind| matches!(&*kind, "function" | "custom" | ""))
        })
    };
    !calls.is_empty() && calls.iter().all(is_known)
}

fn decode_call(raw: &RawValue) -> Result<Part, JsonError> {
    let mut call = Object::of(raw)?;
    let id = call.string("id")?;
    // Snowflake gives every call both members, one of them empty.
    if call.get("function").is_none_or(nested::is_null) && call.get(CUSTOM).is_some() {
        return custom_call(call, id);
    }
    function_call(call, id)
}

fn function_call(mut call: Object<'_>, id: Option<String>) -> Result<Part, JsonError> {
    call.take("type");
    let mut function = call.object("function")?.ok_or(JsonError::Missing { key: "function".to_owned() })?;
    let name = function.string("name")?.unwrap_or_default();
    let arguments = arguments(&mut function);
    let signature = take_proof(&mut call);
    let mut ext = call.rest();
    nested::keep(&mut ext, "function", function);
    Ok(Part::ToolCall(ToolCall { id, name, arguments, signature, ext }))
}

/// Takes the proof of a call, which Google puts beside the function ("OpenAI compatibility", ai.google.dev):
/// `{"extra_content": {"google": {"thought_signature": "..."}}}`. An object with more in it stays as it is.
pub(super) fn take_proof(call: &mut Object<'_>) -> Option<Signature> {
    let mut google = only_member(Object::of(call.get("extra_content")?).ok()?, "google")?;
    let value = google.string("thought_signature").ok()??;
    if !google.members().is_empty() {
        return None;
    }
    call.take("extra_content");
    Some(Signature { issuer: ProtocolId::OpenAiChat, value })
}

fn only_member<'a>(mut object: Object<'a>, key: &str) -> Option<Object<'a>> {
    let inner = object.object(key).ok()??;
    object.members().is_empty().then_some(inner)
}

/// Writes what [`take_proof`] took.
pub(super) fn write_proof(proof: &Signature, call: &mut ObjectWriter<'_>) {
    call.object("extra_content", |extra| {
        extra.object("google", |google| google.field("thought_signature", &proof.value));
    });
}

/// The proof of a call that this protocol can carry.
pub(super) fn own_proof(call: &ToolCall) -> Option<&Signature> {
    call.signature.as_ref().filter(|proof| proof.issuer == ProtocolId::OpenAiChat)
}

/// The call of a freeform tool becomes a call with one string argument, which every other protocol can carry.
fn custom_call(mut call: Object<'_>, id: Option<String>) -> Result<Part, JsonError> {
    call.take("type");
    let mut custom = call.object(CUSTOM)?.ok_or(JsonError::Missing { key: CUSTOM.to_owned() })?;
    let name = custom.string("name")?.unwrap_or_default();
    let input = custom.string("input")?.unwrap_or_default();
    let arguments = wrapped(&input);
    let mut ext = call.rest();
    nested::mark(&mut ext, CUSTOM);
    Ok(Part::ToolCall(ToolCall { id, name, arguments, signature: None, ext }))
}

/// Takes `arguments`: a string of JSON text, at some upstreams the object itself.
pub(super) fn arguments(function: &mut Object<'_>) -> String {
    match function.take("arguments") {
        None => String::new(),
        Some(raw) => match json::kind(raw) {
            Kind::String => json::str_of(raw).unwrap_or_default().into_owned(),
            Kind::Null => String::new(),
            Kind::Bool | Kind::Number | Kind::Array | Kind::Object => raw.get().to_owned(),
        },
    }
}

/// Whether the call stood in the older member `function_call`.
pub(super) fn is_legacy_call(call: &ToolCall) -> bool {
    nested::is_marked(&call.ext, LEGACY_CALL)
}

/// Writes the value of the older `function_call` of a message.
pub(super) fn write_own_legacy_call(call: &ToolCall, out: &mut Vec<u8>) {
    json::object(out, |function| {
        function.field("name", &call.name);
        function.field("arguments", &call.arguments);
        nested::write(&call.ext, "function", function);
    });
}

/// Writes a call that came in this protocol as it came, with the id that the upstream is to see.
pub(super) fn write_own_call(call: &ToolCall, id: &Option<String>, out: &mut Vec<u8>) {
    json::object(out, |writer| {
        writer.optional("id", id);
        if nested::is_marked(&call.ext, CUSTOM) {
            writer.field("type", CUSTOM);
            write_custom(Some(&call.name), Some(&call.arguments), writer);
        } else {
            writer.field("type", "function");
            writer.object("function", |function| {
                function.field("name", &call.name);
                function.field("arguments", &call.arguments);
                nested::write(&call.ext, "function", function);
            });
        }
        if let Some(proof) = own_proof(call) {
            write_proof(proof, writer);
        }
        nested::write_rest(&call.ext, &["function", CUSTOM], writer);
    });
}

/// Whether a call is one of a freeform tool, in the words of this protocol or of OpenAI's other one.
pub(super) fn is_custom(ext: &Ext) -> bool {
    nested::is_marked(ext, CUSTOM) || ext.get("#custom").is_some()
}

/// The input of a freeform tool as arguments.
pub(super) fn wrapped(input: &str) -> String {
    format!("{{\"input\":{}}}", json::quoted(input))
}

/// The text that [`wrapped`] made arguments of.
fn input(arguments: &str) -> String {
    let arguments = Object::parse(arguments).ok();
    arguments.and_then(|mut object| object.string("input").ok()?).unwrap_or_default()
}

/// Writes the name and the input of a freeform tool's call; either may be told later, in a stream.
pub(super) fn write_custom(name: Option<&str>, arguments: Option<&str>, call: &mut ObjectWriter<'_>) {
    call.object(CUSTOM, |custom| {
        custom.optional("name", &name);
        custom.field("input", &arguments.map(input).unwrap_or_default());
    });
}

/// Writes a call of an answer: one of a freeform tool is told as such.
pub(super) fn write_answered_call(id: &str, call: &ToolCall, out: &mut Vec<u8>) {
    if !is_custom(&call.ext) {
        return write_call(id, call, out);
    }
    json::object(out, |writer| {
        writer.field("id", id);
        writer.field("type", CUSTOM);
        write_custom(Some(&call.name), Some(&call.arguments), writer);
    });
}

/// Writes a call without what nobody modelled.
pub(super) fn write_call(id: &str, call: &ToolCall, out: &mut Vec<u8>) {
    json::object(out, |writer| {
        writer.field("id", id);
        writer.field("type", "function");
        writer.object("function", |function| {
            function.field("name", &call.name);
            // Whoever replays the call parses this text; an empty one is no JSON.
            function.field("arguments", if call.arguments.is_empty() { "{}" } else { &call.arguments });
        });
        if let Some(proof) = own_proof(call) {
            write_proof(proof, writer);
        }
    });
}
