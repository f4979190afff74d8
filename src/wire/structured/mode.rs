//! `json_mode` of a preset: how JSON is asked for, in the words that TensorZero's users know. Targets of the Chat Completions
//! family are asked as TensorZero asks them, to the letter; others by the usual means.

use serde_json::value::RawValue;

use super::{Applied, Means, OutputPlan, request};
use crate::wire::ir::{ContentShape, OutputFormat, Part, Request, Role, Text, Tool, ToolChoice, ToolKind};
use crate::wire::json::{self, Ext};
use crate::wire::loss::Losses;
use crate::wire::schema::Dialect;
use crate::wire::{Outbound, ProtocolId};

const HINT: &str = "Respond using JSON.";
const TOOL: &str = "respond";
const TOOL_DESCRIPTION: &str = "Respond to the user using the output schema provided.";
const SCHEMA_NAME: &str = "response";

/// How JSON is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonMode {
    /// By nothing; the prompt asks for it, if anybody does.
    Off,
    /// As any JSON object.
    On,
    /// By the target's own means for the schema.
    Strict,
    /// As the arguments of a tool that must be called.
    Tool,
}

impl JsonMode {
    const ALL: [JsonMode; 4] = [JsonMode::Off, JsonMode::On, JsonMode::Strict, JsonMode::Tool];

    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            JsonMode::Off => "off",
            JsonMode::On => "on",
            JsonMode::Strict => "strict",
            JsonMode::Tool => "tool",
        }
    }

    pub fn from_word(word: &str) -> Option<JsonMode> {
        JsonMode::ALL.into_iter().find(|mode| mode.word() == word)
    }

    /// The mode of a request that asks for `output` itself.
    #[must_use]
    pub fn asked(self, output: Option<&OutputFormat>) -> JsonMode {
        match output {
            None => self,
            Some(OutputFormat::Text) => JsonMode::Off,
            Some(OutputFormat::Json) => JsonMode::On,
            Some(OutputFormat::Schema { .. }) if self == JsonMode::Tool => JsonMode::Tool,
            Some(OutputFormat::Schema { .. }) => JsonMode::Strict,
        }
    }

    /// Rewrites `request`, whose `output` has the schema where there is one, for a target that speaks `protocol` and offers
    /// `plan`.
    pub fn prepare(
        self,
        request: &mut Request,
        (protocol, outbound): (ProtocolId, &dyn Outbound),
        plan: &OutputPlan,
        losses: &mut Losses,
    ) -> Applied {
        let schema = match request.output.take() {
            Some(OutputFormat::Schema { schema, .. }) => Some(schema),
            Some(OutputFormat::Text | OutputFormat::Json) | None => None,
        };
        outbound.forget_form(&mut request.ext);
        let chat = plan.dialect == Dialect::OpenAi;
        match self {
            JsonMode::Off => Applied::default(),
            JsonMode::On if chat && plan.json == Means::JsonMode => {
                hint(request);
                request.output = Some(OutputFormat::Json);
                Applied::default()
            }
            JsonMode::On => {
                request.output = Some(OutputFormat::Json);
                request::prepare(request, (protocol, outbound), plan, losses)
            }
            JsonMode::Strict => {
                request.output = schema.or_else(|| json::raw("{}")).map(|schema| OutputFormat::Schema {
                    name: Some(SCHEMA_NAME.to_owned()),
                    description: None,
                    schema,
                    strict: Some(true),
                });
                // The schema goes as it is: what the target does not take, it says.
                if chat && plan.schema.is_native() {
                    return Applied { means: Some(Means::Strict), ..Applied::default() };
                }
                request::prepare(request, (protocol, outbound), plan, losses)
            }
            JsonMode::Tool => tool(request, schema),
        }
    }
}

/// The line that JSON mode needs where no message has the word; without a system text it always comes.
fn hint(request: &mut Request) {
    let mentioned = request::mentions_json(request);
    let system = request.messages.iter_mut().find(|message| matches!(message.role, Role::System | Role::Developer));
    let Some(system) = system else {
        request.messages.insert(0, request::message(Role::System, HINT.to_owned()));
        return;
    };
    if mentioned {
        return;
    }
    let first = system.parts.iter_mut().find_map(|part| match part {
        Part::Text(text) => Some(&mut text.text),
        Part::Refusal(_)
        | Part::Media(_)
        | Part::Reasoning(_)
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Opaque(_) => None,
    });
    match first {
        Some(first) => *first = format!("{HINT}\n\n{first}"),
        None => {
            system.parts.insert(0, Part::Text(Text::new(HINT)));
            system.shape = ContentShape::Parts;
        }
    }
}

fn tool(request: &mut Request, schema: Option<Box<RawValue>>) -> Applied {
    let kind = ToolKind::Function {
        name: TOOL.to_owned(),
        description: Some(TOOL_DESCRIPTION.to_owned()),
        parameters: schema.or_else(|| json::raw("{}")),
        strict: Some(false),
    };
    request.tools.get_or_insert_default().push(Tool { kind, ext: Ext::default() });
    request.tool_choice = Some(ToolChoice::Tool(TOOL.to_owned()));
    Applied { means: Some(Means::Tool), tool: Some(TOOL.to_owned()), ..Applied::default() }
}
