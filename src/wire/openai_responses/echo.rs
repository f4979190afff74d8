//! What an answer repeats of its request: clients read their own settings in it.

use super::{SELF, encode, note};
use crate::wire::Answering;
use crate::wire::ir::{Request, Tool, ToolKind};
use crate::wire::json::{self, Ext, Object};

/// Members of a request that stand in its answer too.
const REPEATED: [&str; 16] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
    "user",
];

/// The repeated members, as notes for the answer; none for a request of another protocol.
pub(super) fn of(answering: &Answering<'_>) -> Ext {
    let mut repeated = Ext::default();
    if answering.request.origin != SELF {
        return repeated;
    }
    let mut text = Vec::new();
    json::object(&mut text, |body| {
        encode::write_instructions(answering.request, body);
        encode::write_parameters(answering.request, body);
    });
    let text = String::from_utf8(text).unwrap_or_default();
    if let Ok(members) = Object::parse(&text) {
        let known = members.members().iter().filter(|member| REPEATED.contains(&&*member.key));
        repeated.0.extend(known.map(|member| (format!("#{}", member.key), member.value.to_owned())));
    }
    if let Some(previous) = answering.previous {
        note::add(&mut repeated, "#previous_response_id", &json::quoted(previous));
    }
    repeated
}

/// Names of the freeform tools of a request: calls of these are told in their own form.
pub(super) fn freeform_tools(request: &Request) -> Vec<String> {
    let named = |tool: &Tool| match &tool.kind {
        ToolKind::Function { name, .. } if tool.ext.get("#custom").is_some() => Some(name.clone()),
        ToolKind::Function { .. } | ToolKind::Opaque { .. } => None,
    };
    request.tools.iter().flatten().filter_map(named).collect()
}
