//! What of the surface is no call of a model.

use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::VERSION;
use super::doors::Door;
use super::feedback;
use crate::live::Live;
use crate::proxy::respond::{self, Trail};
use crate::proxy::{Gateway, ResponseBody, receive};
use crate::table::tensorzero::Surface;
use crate::wire::ProtocolId;
use crate::wire::ir::{Error, ErrorKind};

/// Answers it.
///
/// # Errors
/// What is not here, and feedback that is wrong.
pub async fn answer(
    gateway: &Gateway,
    live: &Live,
    door: Door,
    (headers, body): (&HeaderMap, Incoming),
    trail: &Trail,
) -> Result<Response<ResponseBody>, Error> {
    let none = Surface::default();
    let surface = live.table.tensorzero.as_deref().unwrap_or(&none);
    let value = match door {
        Door::Feedback => {
            let body = receive::body(headers, body, live.table.limits.body).await?;
            feedback::answer(gateway, live, surface, &body).await?
        }
        Door::Models => models(surface),
        Door::Status => json!({ "status": "ok", "version": VERSION, "config_hash": live.table.id }),
        Door::Health => json!({ "gateway": "ok" }),
        Door::NotHere(what) => {
            let message = format!("this gateway has no {what}: it is Routeplane, which routes and keeps nothing");
            return Err(Error::new(ErrorKind::Internal, message).with_status(501));
        }
        Door::MethodNotAllowed => {
            let mut response = respond::json(Vec::new(), trail);
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            return Ok(response);
        }
    };
    Ok(respond::json(value.to_string().into_bytes(), trail))
}

/// By this header TensorZero's clients know what they talk to.
pub fn versioned(protocol: ProtocolId, mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    if matches!(protocol, ProtocolId::TensorZero | ProtocolId::TensorZeroChat) {
        response.headers_mut().insert("x-tensorzero-gateway-version", HeaderValue::from_static(VERSION));
    }
    response
}

/// The names that `model` may have, which TensorZero itself does not list.
fn models(surface: &Surface) -> Value {
    let functions = surface.functions.keys().map(|name| format!("tensorzero::function_name::{name}"));
    let models = surface.models.keys().map(|name| format!("tensorzero::model_name::{name}"));
    let embeddings = surface.embedding_models.keys().map(|name| format!("tensorzero::embedding_model_name::{name}"));
    let entries: Vec<Value> = functions
        .chain(models)
        .chain(embeddings)
        .map(|id| json!({ "id": id, "object": "model", "created": 0, "owned_by": "routeplane" }))
        .collect();
    json!({ "object": "list", "data": entries })
}
