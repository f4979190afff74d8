//! `GET /v1/models`: the presets and models of the table, in the dialect of who asks.

use http::Response;
use serde_json::{Value, json};

use super::ResponseBody;
use super::respond::{self, Trail};
use crate::provider::catalogue;
use crate::table::RoutingTable;
use crate::wire::ProtocolId;
use crate::wire::ir::{Error, ErrorKind};

/// One name that a caller may ask for.
struct Listed<'t> {
    id: &'t str,
    owner: &'t str,
    known: Option<&'static catalogue::Model>,
}

/// The list, or one of it.
///
/// # Errors
/// A name that is not in the table.
pub fn answer(
    table: &RoutingTable,
    dialect: ProtocolId,
    id: Option<&str>,
    trail: &Trail,
) -> Result<Response<ResponseBody>, Error> {
    let listed = list(table);
    let body = match id {
        None => page(dialect, &listed),
        Some(id) => {
            let one = listed.iter().find(|model| model.id == id.trim_start_matches('@') || model.id == id);
            let one = one.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("the model `{id}` is not listed here"))
                    .with_code("model_not_found")
            })?;
            entry(dialect, one)
        }
    };
    Ok(respond::json(body.to_string().into_bytes(), trail))
}

/// Presets first, by name, then targets.
fn list(table: &RoutingTable) -> Vec<Listed<'_>> {
    let presets = table.presets.keys().map(|name| Listed { id: name, owner: "routeplane", known: None });
    let targets = table.models.iter().filter(|(name, _)| name.contains('/')).filter_map(|(name, target)| {
        let target = table.target(*target)?;
        let provider = table.provider(target.provider)?;
        let model = target.model.as_deref()?;
        let known = provider.catalogue.as_deref().and_then(|catalogue| catalogue::find(catalogue, model));
        Some(Listed { id: name, owner: &provider.name, known })
    });
    presets.chain(targets).collect()
}

fn page(dialect: ProtocolId, listed: &[Listed<'_>]) -> Value {
    let entries: Vec<Value> = listed.iter().map(|model| entry(dialect, model)).collect();
    match dialect {
        ProtocolId::AnthropicMessages => json!({
            "data": entries,
            "has_more": false,
            "first_id": listed.first().map(|model| model.id),
            "last_id": listed.last().map(|model| model.id),
        }),
        ProtocolId::Gemini => json!({ "models": entries }),
        ProtocolId::OpenAiChat
        | ProtocolId::OpenAiResponses
        | ProtocolId::BedrockConverse
        | ProtocolId::TensorZero
        | ProtocolId::TensorZeroChat => {
            json!({ "object": "list", "data": entries })
        }
    }
}

fn entry(dialect: ProtocolId, model: &Listed<'_>) -> Value {
    match dialect {
        // The creation date is part of the shape; nobody knows it here, so it is the beginning of time.
        ProtocolId::AnthropicMessages => {
            json!({"type": "model", "id": model.id, "display_name": model.id, "created_at": "1970-01-01T00:00:00Z"})
        }
        ProtocolId::Gemini => {
            let mut entry = json!({
                "name": format!("models/{}", model.id),
                "displayName": model.id,
                "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
            });
            if let (Some(known), Some(entry)) = (model.known, entry.as_object_mut()) {
                for (key, limit) in
                    [("inputTokenLimit", known.max_input_tokens), ("outputTokenLimit", known.max_output_tokens)]
                {
                    if let Some(limit) = limit {
                        entry.insert(key.to_owned(), limit.into());
                    }
                }
            }
            entry
        }
        ProtocolId::OpenAiChat
        | ProtocolId::OpenAiResponses
        | ProtocolId::BedrockConverse
        | ProtocolId::TensorZero
        | ProtocolId::TensorZeroChat => {
            json!({"id": model.id, "object": "model", "created": 0, "owned_by": model.owner})
        }
    }
}
