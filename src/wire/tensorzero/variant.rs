//! A variant that a request brings itself (`internal_dynamic_variant_config`): what a `tensorzero.toml` would say of it, as
//! JSON, with the texts of templates in place of their paths.

use serde_json::value::RawValue;

use super::call::{self, BodyEdit, HeaderEdit};
use crate::wire::ir::Error;
use crate::wire::json::{self, Ext, JsonError, Kind, Object};
use crate::wire::structured::mode::JsonMode;
use crate::wire::template::Speaker;

/// The name by which such a variant answers.
pub const NAME: &str = "tensorzero::dynamic_variant";

/// Most bytes of one.
const LONGEST: usize = 256 << 10;

/// Parameters, what they are called in the hub, and what they are.
const PARAMETERS: [(&str, &str, Is); 11] = [
    ("temperature", "temperature", Is::Number),
    ("top_p", "top_p", Is::Number),
    ("max_tokens", "max_tokens", Is::Whole),
    ("presence_penalty", "presence_penalty", Is::Number),
    ("frequency_penalty", "frequency_penalty", Is::Number),
    ("seed", "seed", Is::Whole),
    ("stop_sequences", "stop", Is::Texts),
    ("reasoning_effort", "reasoning_effort", Is::Text),
    ("thinking_budget_tokens", "thinking_budget_tokens", Is::Whole),
    ("service_tier", "service_tier", Is::Text),
    ("verbosity", "verbosity", Is::Text),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Number,
    Whole,
    Text,
    Texts,
}

/// A variant, read.
#[derive(Debug, Clone)]
pub struct Variant {
    pub model: String,
    /// Member and JSON text, in the hub's names.
    pub params: Vec<(Box<str>, Box<str>)>,
    pub json_mode: Option<JsonMode>,
    pub templates: Vec<TemplateText>,
    pub wrappers: Vec<(Speaker, Source)>,
    /// Tries after the first.
    pub retries: u32,
    /// The longest pause between two tries, in seconds.
    pub longest_pause: f64,
    pub bounds: Bounds,
    pub extra_body: Vec<BodyEdit>,
    pub extra_headers: Vec<HeaderEdit>,
}

/// A template.
#[derive(Debug, Clone)]
pub struct TemplateText {
    pub name: String,
    /// It stands where a role's own template stood before there were others.
    pub legacy: bool,
    pub source: Source,
}

/// The text of a template, and the path that it stands for, whose extension says what is escaped.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: String,
    pub text: String,
}

/// How long a variant may take, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    pub whole: Option<u64>,
    pub stream: Option<u64>,
    pub first_token: Option<u64>,
}

/// Reads one.
///
/// # Errors
/// A member that is wrong or not known, and a kind of variant that does not run here.
pub(super) fn read(text: &str) -> Result<Variant, Error> {
    const MEMBER: &str = "internal_dynamic_variant_config";
    if text.len() > LONGEST {
        let message = format!("`{MEMBER}` is longer than {LONGEST} bytes; write the variant into the file");
        return Err(Error::invalid(message).with_param(MEMBER));
    }
    let fault = |error: JsonError| Error::at_path(error, MEMBER);
    let mut entry = Object::parse(text).map_err(fault)?;
    match entry.string("type").map_err(fault)?.as_deref() {
        Some("chat_completion") => {}
        Some(
            kind @ ("experimental_best_of_n_sampling"
            | "experimental_mixture_of_n"
            | "experimental_dynamic_in_context_learning"
            | "experimental_chain_of_thought"),
        ) => {
            let message = format!("a variant of the type `{kind}` does not run here; `chat_completion` does");
            return Err(Error::invalid(message).with_param(format!("{MEMBER}.type")));
        }
        Some(_) | None => return Err(fault(wrong("type", "`chat_completion`"))),
    }
    completion(entry).map_err(fault)
}

fn completion(mut entry: Object<'_>) -> Result<Variant, JsonError> {
    // Nothing is drawn.
    entry.number("weight")?;
    let model = entry.string("model")?.ok_or(JsonError::Missing { key: "model".to_owned() })?;
    let mut params = Vec::new();
    for (key, name, is) in PARAMETERS {
        let Some(value) = entry.take(key).filter(|value| json::kind(value) != Kind::Null) else { continue };
        params.push((name.into(), checked(key, value, is)?.get().into()));
    }
    let json_mode = entry.string("json_mode")?.map(|word| json_mode(&word)).transpose()?;
    let templates = templates(&mut entry)?;
    let wrappers = wrappers(&mut entry)?;
    let (retries, longest_pause) = retries(&mut entry)?;
    let bounds = bounds(&mut entry)?;
    let extra_body = entry.array("extra_body")?.unwrap_or_default().into_iter();
    let extra_body = extra_body.map(|raw| call::body_edit(Object::of(raw)?)).collect::<Result<_, _>>()?;
    let extra_headers = entry.array("extra_headers")?.unwrap_or_default().into_iter();
    let extra_headers = extra_headers.map(|raw| call::header_edit(Object::of(raw)?)).collect::<Result<_, _>>()?;
    nothing_else(entry.rest())?;
    Ok(Variant {
        model,
        params,
        json_mode,
        templates,
        wrappers,
        retries,
        longest_pause,
        bounds,
        extra_body,
        extra_headers,
    })
}

fn wrong(key: &str, expected: &'static str) -> JsonError {
    JsonError::Type { key: key.to_owned(), expected }
}

fn nothing_else(rest: Ext) -> Result<(), JsonError> {
    match rest.0.into_iter().find(|(_, value)| json::kind(value) != Kind::Null) {
        Some((key, _)) => Err(JsonError::Type { key, expected: "left out: no variant has such a member" }),
        None => Ok(()),
    }
}

fn checked<'a>(key: &str, value: &'a RawValue, is: Is) -> Result<&'a RawValue, JsonError> {
    let (good, expected) = match is {
        Is::Number => (json::kind(value) == Kind::Number, "a number"),
        Is::Whole => (value.get().parse::<u64>().is_ok(), "a whole number"),
        Is::Text => (json::kind(value) == Kind::String, "a string"),
        Is::Texts => (serde_json::from_str::<Vec<String>>(value.get()).is_ok(), "a list of strings"),
    };
    if good { Ok(value) } else { Err(wrong(key, expected)) }
}

fn json_mode(word: &str) -> Result<JsonMode, JsonError> {
    let word = if word == "implicit_tool" { "tool" } else { word };
    JsonMode::from_word(word).ok_or_else(|| wrong("json_mode", "`off`, `on`, `strict` or `tool`"))
}

fn templates(entry: &mut Object<'_>) -> Result<Vec<TemplateText>, JsonError> {
    let mut found = Vec::new();
    for role in Speaker::ALL {
        let key = format!("{}_template", role.word());
        if let Some(source) = entry.object(&key)? {
            found.push(TemplateText { name: role.word().to_owned(), legacy: true, source: source_of(&key, source)? });
        }
    }
    let named = entry.object("templates")?;
    for member in named.iter().flat_map(Object::members) {
        let key = format!("templates.{}", member.key);
        let mut template = Object::of(member.value)?;
        let path = template.object("path")?.ok_or_else(|| JsonError::Missing { key: format!("{key}.path") })?;
        nothing_else(template.rest())?;
        // The new spelling holds beside the old one.
        found.retain(|other: &TemplateText| other.name != *member.key);
        found.push(TemplateText { name: member.key.to_string(), legacy: false, source: source_of(&key, path)? });
    }
    Ok(found)
}

fn wrappers(entry: &mut Object<'_>) -> Result<Vec<(Speaker, Source)>, JsonError> {
    let Some(mut wrappers) = entry.object("input_wrappers")? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for role in Speaker::ALL {
        let key = format!("input_wrappers.{}", role.word());
        if let Some(source) = wrappers.object(role.word())? {
            found.push((role, source_of(&key, source)?));
        }
    }
    nothing_else(wrappers.rest())?;
    Ok(found)
}

/// `{__tensorzero_remapped_path, __data}`; `key` says where it stands, and keeps equal paths apart.
fn source_of(key: &str, mut source: Object<'_>) -> Result<Source, JsonError> {
    let missing = |member: &str| JsonError::Missing { key: format!("{key}.{member}") };
    let path = source.string("__tensorzero_remapped_path")?;
    let path = path.ok_or_else(|| missing("__tensorzero_remapped_path"))?;
    let text = source.string("__data")?.ok_or_else(|| missing("__data"))?;
    nothing_else(source.rest())?;
    Ok(Source { path: format!("{key}/{path}"), text })
}

/// TensorZero's pauses between tries are at most ten seconds unless it is told otherwise; nobody waits for an hour.
fn retries(entry: &mut Object<'_>) -> Result<(u32, f64), JsonError> {
    const USUAL: f64 = 10.0;
    const LONGEST_PAUSE: f64 = 3600.0;
    const MOST: u32 = 99;
    let Some(mut retries) = entry.object("retries")? else { return Ok((0, USUAL)) };
    let tries = retries.u64("num_retries")?.unwrap_or(0);
    let tries = u32::try_from(tries).ok().filter(|tries| *tries <= MOST);
    let tries = tries.ok_or_else(|| wrong("retries.num_retries", "a whole number up to 99"))?;
    let pause = retries.number("max_delay_s")?.and_then(|number| number.as_f64()).unwrap_or(USUAL);
    if !(0.0..=LONGEST_PAUSE).contains(&pause) {
        return Err(wrong("retries.max_delay_s", "a number from 0 to 3600"));
    }
    nothing_else(retries.rest())?;
    Ok((tries, pause))
}

fn bounds(entry: &mut Object<'_>) -> Result<Bounds, JsonError> {
    let mut bounds = Bounds::default();
    let Some(mut timeouts) = entry.object("timeouts")? else { return Ok(bounds) };
    if let Some(mut whole) = timeouts.object("non_streaming")? {
        bounds.whole = whole.u64("total_ms")?;
        nothing_else(whole.rest())?;
    }
    if let Some(mut stream) = timeouts.object("streaming")? {
        bounds.first_token = stream.u64("ttft_ms")?;
        bounds.stream = stream.u64("total_ms")?;
        nothing_else(stream.rest())?;
    }
    nothing_else(timeouts.rest())?;
    Ok(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_read_as_its_file_would_be() {
        let text = r#"{ "type": "chat_completion", "model": "m", "weight": 0.0, "temperature": 0.5, "stop_sequences": ["x"],
            "json_mode": "implicit_tool", "system_template": { "__tensorzero_remapped_path": "s.j2", "__data": "be brief" },
            "templates": { "user": { "path": { "__tensorzero_remapped_path": "u", "__data": "{{ q }}" } } },
            "input_wrappers": { "assistant": { "__tensorzero_remapped_path": "a", "__data": "a" } },
            "retries": { "num_retries": 2, "max_delay_s": 0.5 }, "timeouts": { "streaming": { "ttft_ms": 7 } },
            "extra_body": [{ "pointer": "/a", "value": 1 }], "extra_headers": [{ "name": "x-a", "delete": true }] }"#;
        let variant = read(text).unwrap();
        assert_eq!((&*variant.model, variant.json_mode), ("m", Some(JsonMode::Tool)));
        let params: Vec<(&str, &str)> = variant.params.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(params, [("temperature", "0.5"), ("stop", r#"["x"]"#)]);
        let templates: Vec<_> =
            variant.templates.iter().map(|one| (&*one.name, one.legacy, &*one.source.path)).collect();
        assert_eq!(templates, [("system", true, "system_template/s.j2"), ("user", false, "templates.user/u")]);
        assert_eq!(variant.wrappers.len(), 1);
        assert_eq!((variant.retries, variant.longest_pause), (2, 0.5));
        assert_eq!(variant.bounds, Bounds { first_token: Some(7), ..Bounds::default() });
        assert!(variant.extra_body.len() == 1 && variant.extra_headers[0].value.is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            (r#"{ "model": "m" }"#, "type"),
            (r#"{ "type": "chat_completion" }"#, "model"),
            (r#"{ "type": "experimental_mixture_of_n" }"#, "does not run here"),
            (r#"{ "type": "chat_completion", "model": "m", "foo": 1 }"#, "foo"),
            (r#"{ "type": "chat_completion", "model": "m", "temperature": "x" }"#, "temperature"),
            (r#"{ "type": "chat_completion", "model": "m", "system_template": "/etc/passwd" }"#, "system_template"),
            (r#"{ "type": "chat_completion", "model": "m", "retries": { "num_retries": 1000 } }"#, "num_retries"),
            ("5", "internal_dynamic_variant_config"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message.contains(words) && error.status == 400, "{text}: {}", error.message);
        }
        let long = format!(r#"{{ "type": "chat_completion", "model": "{}" }}"#, "m".repeat(LONGEST));
        assert!(read(&long).unwrap_err().message.contains("longer than"));
    }
}
