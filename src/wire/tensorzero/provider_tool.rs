//! Tools that an upstream runs itself, which a request brings as that upstream knows them.

use serde_json::value::RawValue;

use crate::wire::json::{JsonError, Kind, Object, kind};

/// A tool of an upstream's own.
#[derive(Debug, Clone)]
pub struct ProviderTool {
    /// `None`: for every model.
    pub scope: Option<Scope>,
    /// As the upstream is to get it, byte for byte.
    pub raw: Box<RawValue>,
}

/// Whom a tool is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub model: String,
    /// `None`: for each of the model's.
    pub provider: Option<String>,
}

impl ProviderTool {
    /// What people may call it.
    pub fn name(&self) -> String {
        let text = |key: &str| Object::of(&self.raw).ok()?.string(key).ok()?;
        text("name").or_else(|| text("type")).unwrap_or_else(|| "provider_tools".to_owned())
    }
}

/// # Errors
/// No tool, a scope without a model, a member that is not known.
pub(super) fn read(mut entry: Object<'_>) -> Result<ProviderTool, JsonError> {
    let raw = entry.take("tool").ok_or_else(|| missing("provider_tools.tool"))?.to_owned();
    let scope = entry.take("scope").filter(|raw| kind(raw) != Kind::Null).map(scope).transpose()?;
    match entry.members().first() {
        Some(member) => {
            let key = format!("provider_tools.{}", member.key);
            Err(JsonError::Type { key, expected: "left out: an entry has `scope` and `tool`" })
        }
        None => Ok(ProviderTool { scope, raw }),
    }
}

fn scope(raw: &RawValue) -> Result<Scope, JsonError> {
    let wrong = |_| JsonError::Type {
        key: "provider_tools.scope".to_owned(),
        expected: "null, or an object with `model_name` and perhaps `provider_name`",
    };
    let mut scope = Object::of(raw).map_err(wrong)?;
    let model = scope.string("model_name")?.ok_or_else(|| missing("provider_tools.scope.model_name"))?;
    // The older name of the same.
    let older = scope.string("model_provider_name")?;
    Ok(Scope { model, provider: scope.string("provider_name")?.or(older) })
}

fn missing(key: &str) -> JsonError {
    JsonError::Missing { key: key.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str) -> Result<ProviderTool, JsonError> {
        read(Object::parse(text).unwrap())
    }

    #[test]
    fn a_tool_stays_as_it_is_written() {
        let tool = reads(r#"{"scope": null, "tool": { "type":"web_search",  "max":1.0 }}"#).unwrap();
        assert_eq!((tool.raw.get(), tool.scope.clone()), (r#"{ "type":"web_search",  "max":1.0 }"#, None));
        assert_eq!(tool.name(), "web_search");
        assert_eq!(reads(r#"{"tool": "x"}"#).unwrap().name(), "provider_tools");
    }

    #[test]
    fn a_scope_names_a_model_and_perhaps_a_provider() {
        let scope = |text: &str| reads(&format!(r#"{{"tool": {{}}, "scope": {text}}}"#)).map(|tool| tool.scope);
        let of = |provider: Option<&str>| Some(Scope { model: "m".into(), provider: provider.map(str::to_owned) });
        assert_eq!(scope(r#"{"model_name": "m"}"#), Ok(of(None)));
        assert_eq!(scope(r#"{"model_name": "m", "provider_name": "p"}"#), Ok(of(Some("p"))));
        assert_eq!(scope(r#"{"model_name": "m", "model_provider_name": "p"}"#), Ok(of(Some("p"))));
        for wrong in [r#""m""#, "{}", r#"{"provider_name": "p"}"#, r#"{"model_name": 1}"#] {
            assert!(scope(wrong).is_err(), "{wrong}");
        }
        assert!(reads("{}").is_err() && reads(r#"{"tool": {}, "more": 1}"#).is_err());
    }
}
