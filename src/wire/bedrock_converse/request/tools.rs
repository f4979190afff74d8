//! Tools and the choice among them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::legal;
use super::super::model::Family;
use super::conversation::{Mark, mark};
use crate::wire::ir::{Part, Request, ToolChoice, ToolKind};
use crate::wire::json::{self, ObjectWriter};
use crate::wire::loss::Losses;

pub(super) const NO_CALLS: &str = "Do not call any tool; answer in words.";

#[derive(Default)]
pub(super) struct Tools<'a> {
    offered: Vec<Offered<'a>>,
    choice: Option<Choice<'a>>,
    /// What the system text says in place of a choice that Converse has no word for.
    pub(super) instruction: Option<String>,
}

struct Offered<'a> {
    name: Cow<'a, str>,
    description: Option<&'a str>,
    parameters: Option<&'a RawValue>,
    strict: bool,
    mark: Option<Mark>,
}

enum Choice<'a> {
    Auto,
    Any,
    Tool(&'a str),
}

pub(super) fn plan<'a>(request: &'a Request, family: Family, losses: &mut Losses) -> Tools<'a> {
    let mut tools = Tools { offered: offered(request, family, losses), ..Tools::default() };
    let used = used(request);
    let forbidden = request.tool_choice == Some(ToolChoice::None);
    if forbidden && used.is_empty() {
        if !tools.offered.is_empty() {
            losses.emulated("tool_choice", "Converse cannot forbid calls; no tool is offered");
        }
        return Tools::default();
    }
    // A history with calls is refused where no tool is declared.
    if tools.offered.is_empty() && !used.is_empty() {
        losses.emulated("tools", "the tools of earlier calls are declared, as Converse demands");
        let declared = |name| Offered { name, description: None, parameters: None, strict: false, mark: None };
        tools.offered = used.into_iter().map(declared).collect();
    }
    if tools.offered.is_empty() {
        return Tools::default();
    }
    if forbidden {
        losses.emulated("tool_choice", "Converse cannot forbid calls; a system instruction does");
        tools.instruction = Some(NO_CALLS.to_owned());
    }
    tools.choice = match &request.tool_choice {
        None | Some(ToolChoice::None) => None,
        Some(ToolChoice::Auto) => Some(Choice::Auto),
        Some(ToolChoice::Required) => Some(Choice::Any),
        Some(ToolChoice::Tool(name)) => Some(Choice::Tool(name)),
        Some(ToolChoice::Allowed { required, .. }) => Some(if *required { Choice::Any } else { Choice::Auto }),
    };
    if request.parallel_tool_calls == Some(false) {
        losses.dropped("parallel_tool_calls", "Converse cannot forbid several calls at once");
    }
    tools
}

fn offered<'a>(request: &'a Request, family: Family, losses: &mut Losses) -> Vec<Offered<'a>> {
    let allowed = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names),
        _ => None,
    };
    if allowed.is_some() {
        losses.emulated("tool_choice", "only the allowed tools are offered");
    }
    let mut offered = Vec::new();
    for tool in request.tools.iter().flatten() {
        let (name, description, parameters, strict) = match &tool.kind {
            ToolKind::Function { name, description, parameters, strict } => (name, description, parameters, strict),
            ToolKind::Opaque { name, .. } => {
                losses.dropped_tool(name, "a tool that another provider runs has no counterpart in Converse");
                continue;
            }
        };
        if allowed.is_some_and(|allowed| !allowed.contains(name)) {
            continue;
        }
        let mark = mark("tools.", &tool.ext, family, losses);
        let legal = legal::name(name);
        if !legal::is_restorable(name) {
            losses.degraded("tools.name", "the name is too long for Converse and is cut");
        } else if legal != name.as_str() {
            losses.emulated(
                "tools.name",
                "characters that Converse does not allow are escaped, and restored in the answer",
            );
        }
        let description = description.as_deref().filter(|text| !text.is_empty());
        let parameters = parameters.as_deref().filter(|schema| json::kind(schema) == json::Kind::Object);
        offered.push(Offered { name: legal, description, parameters, strict: *strict == Some(true), mark });
    }
    offered
}

/// Names of the tools that the history calls, each once, in order.
fn used(request: &Request) -> Vec<Cow<'_, str>> {
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        let name = match part {
            Part::ToolCall(call) => legal::name(&call.name),
            // The name of an orphan's tool is not known; some tool must be declared all the same.
            Part::ToolResult(result) if names.is_empty() => legal::name(result.name.as_deref().unwrap_or("tool")),
            _ => continue,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

impl Tools<'_> {
    /// Whether some call is demanded.
    pub(super) fn forces(&self) -> bool {
        matches!(self.choice, Some(Choice::Any | Choice::Tool(_)))
    }

    pub(super) fn write(&self, body: &mut ObjectWriter<'_>) {
        if self.offered.is_empty() {
            return;
        }
        body.object("toolConfig", |config| {
            config.array("tools", &self.offered, |tool, out| {
                tool.write(out);
                // A cache point is an element of its own.
                if let Some(mark) = tool.mark {
                    out.push(b',');
                    mark.write(out);
                }
            });
            if let Some(choice) = &self.choice {
                config.object("toolChoice", |body| match choice {
                    Choice::Auto => body.object("auto", |_| {}),
                    Choice::Any => body.object("any", |_| {}),
                    Choice::Tool(name) => body.object("tool", |tool| tool.field("name", &legal::name(name))),
                });
            }
        });
    }
}

impl Offered<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |element| {
            element.object("toolSpec", |spec| {
                spec.field("name", &self.name);
                spec.optional("description", &self.description);
                spec.object("inputSchema", |schema| match self.parameters {
                    Some(parameters) => schema.raw("json", parameters),
                    None => schema.key("json").extend_from_slice(br#"{"type":"object","properties":{}}"#),
                });
                if self.strict {
                    spec.field("strict", &true);
                }
            });
        });
    }
}
