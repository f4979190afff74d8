//! From method and path to what the caller of the surface wants.

use http::Method;

use crate::proxy::ingress::{Call, Ingress};
use crate::table::tensorzero::Surface;
use crate::wire::{Operation, ProtocolId};

/// What is wanted, of what is no call of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Feedback,
    Models,
    Status,
    Health,
    /// TensorZero has it, and this gateway does not; what it is.
    NotHere(&'static str),
    MethodNotAllowed,
}

/// What stands where in TensorZero and not here, by the beginnings of paths.
const NOT_HERE: [(&str, &str); 9] = [
    ("/batch_inference", "batch inference"),
    ("/v1/inferences/", "questions about stored inferences"),
    ("/v1/datasets/", "datasets"),
    ("/v1/optimization/", "optimization"),
    ("/workflow_evaluation_run", "workflow evaluations"),
    ("/dynamic_evaluation_run", "workflow evaluations"),
    ("/experimental_optimization", "optimization"),
    ("/internal/", "the API of TensorZero's own UI"),
    ("/mcp", "the MCP server of TensorZero's own tools"),
];

/// Reads the request line, `None` where the path is none of the surface.
pub fn read<'a>(surface: &Surface, method: &Method, path: &str) -> Option<Ingress<'a>> {
    let path = path.strip_prefix(&*surface.base_path)?;
    let call = |protocol, operation| {
        let call = Call { protocol, operation, path_model: None, path_stream: false, alt_sse: false };
        Some(if method == Method::POST { Ingress::Call(call) } else { Ingress::TensorZero(Door::MethodNotAllowed) })
    };
    let other =
        |wanted: &Method, door| Some(Ingress::TensorZero(if method == wanted { door } else { Door::MethodNotAllowed }));
    match path {
        "/inference" => call(ProtocolId::TensorZero, Operation::Generate),
        "/openai/v1/chat/completions" => call(ProtocolId::TensorZeroChat, Operation::Generate),
        "/openai/v1/embeddings" => call(ProtocolId::TensorZeroChat, Operation::Embed),
        "/openai/v1/models" => other(&Method::GET, Door::Models),
        "/feedback" => other(&Method::POST, Door::Feedback),
        "/status" => other(&Method::GET, Door::Status),
        "/health" => other(&Method::GET, Door::Health),
        _ => {
            let (_, what) = NOT_HERE.iter().find(|(beginning, _)| path.starts_with(beginning))?;
            Some(Ingress::TensorZero(Door::NotHere(what)))
        }
    }
}

impl Door {
    /// Whether it is open to whoever has no key.
    pub fn is_open(self) -> bool {
        matches!(self, Door::Status | Door::Health | Door::MethodNotAllowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_surface_are_known_below_its_base() {
        let surface = Surface { base_path: "/gw".into(), ..Surface::default() };
        let door = |method: Method, path: &str| match read(&surface, &method, path) {
            Some(Ingress::Call(call)) => format!("{} {:?}", call.protocol, call.operation),
            Some(Ingress::TensorZero(door)) => format!("{door:?}"),
            Some(_) | None => "-".to_owned(),
        };
        assert_eq!(door(Method::POST, "/gw/inference"), "tensorzero Generate");
        assert_eq!(door(Method::GET, "/gw/inference"), "MethodNotAllowed");
        assert_eq!(door(Method::POST, "/inference"), "-");
        assert_eq!(door(Method::POST, "/gw/openai/v1/chat/completions"), "tensorzero-chat Generate");
        assert_eq!(door(Method::POST, "/gw/openai/v1/embeddings"), "tensorzero-chat Embed");
        assert_eq!(door(Method::GET, "/gw/openai/v1/models"), "Models");
        assert_eq!(door(Method::POST, "/gw/feedback"), "Feedback");
        assert_eq!(door(Method::GET, "/gw/health"), "Health");
        assert_eq!(door(Method::POST, "/gw/v1/datasets/x/datapoints"), "NotHere(\"datasets\")");
        assert_eq!(door(Method::POST, "/v1/chat/completions"), "-");
    }
}
