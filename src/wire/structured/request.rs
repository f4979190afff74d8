//! A request whose answer is to have a form, rewritten for the means that its target has.

use serde_json::value::RawValue;

use super::{Applied, Means, OutputPlan, WRAPPER};
use crate::wire::ir::{
    ContentShape, Message, OutputFormat, Part, ReasoningEffort, Request, Role, Text, Tool, ToolChoice, ToolKind,
};
use crate::wire::json::Ext;
use crate::wire::loss::Losses;
use crate::wire::schema::{self, Dialect, Fitted};
use crate::wire::{Outbound, ProtocolId};

const TOOL: &str = "respond_with_schema";
const TOOL_DESCRIPTION: &str = "Gives the answer. Call it once; its arguments are the whole answer.";
const JSON_ONLY: &str = "Answer with one valid JSON object and nothing else: no prose, no code fence.";
const SCHEMA_ONLY: &str =
    "Answer with one JSON value and nothing else: no prose, no code fence. It must satisfy this JSON Schema:";

/// Where the losses stand, in the words of the hub's most common caller.
const FORMAT: &str = "response_format";
const SCHEMA: &str = "response_format.json_schema.schema";

/// Rewrites `request` for a target that speaks `protocol` and offers `plan`. Nothing happens to a request that asks for no
/// form, and none to one in the target's own protocol where that has a member for it.
pub fn prepare(
    request: &mut Request,
    (protocol, outbound): (ProtocolId, &dyn Outbound),
    plan: &OutputPlan,
    losses: &mut Losses,
) -> Applied {
    let own = request.origin == protocol;
    match &request.output {
        None | Some(OutputFormat::Text) => Applied::default(),
        Some(OutputFormat::Json) => json(request, (own, outbound), plan, losses),
        Some(OutputFormat::Schema { schema, strict, .. }) => {
            let strict = *strict;
            let plain = if own { None } else { schema::without_nullable(schema) };
            let schema = plain.unwrap_or_else(|| schema.clone());
            let chosen = choose(request, plan);
            with_schema(Asked { request, outbound, own, schema, strict, losses }, plan, chosen)
        }
    }
}

fn json(
    request: &mut Request,
    (own, outbound): (bool, &dyn Outbound),
    plan: &OutputPlan,
    losses: &mut Losses,
) -> Applied {
    let means = if may_call(request) { plan.json_beside_tools } else { plan.json };
    if means == Means::Prompt {
        losses.degraded(FORMAT, "this target has no JSON mode; a system text asks for JSON");
        forget(request, outbound);
        instruct(request, JSON_ONLY.to_owned());
    }
    // OpenAI refuses JSON mode where no message has the word; its own callers get that answer, others cannot know.
    if means == Means::JsonMode && plan.dialect == Dialect::OpenAi && !own && !mentions_json(request) {
        losses.emulated(FORMAT, "JSON mode needs the word JSON in a message; a line was added");
        instruct(request, "Answer with one JSON object.".to_owned());
    }
    Applied { means: Some(means), ..Applied::default() }
}

pub(super) fn mentions_json(request: &Request) -> bool {
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.any(|part| matches!(part, Part::Text(text) if text.text.to_ascii_lowercase().contains("json")))
}

/// The means for a schema.
fn choose(request: &Request, plan: &OutputPlan) -> Means {
    match plan.schema {
        // A call cannot be forced before thoughts.
        Means::Tool if may_call(request) || thinks(request) => plan.schema_beside_tools,
        means if may_call(request) => plan.schema_beside_tools.min(means),
        means => means,
    }
}

/// Whether the model may call a tool of the caller's, or one that its vendor runs.
fn may_call(request: &Request) -> bool {
    let any = request.tools.as_ref().is_some_and(|tools| !tools.is_empty());
    any && request.tool_choice != Some(ToolChoice::None)
}

fn thinks(request: &Request) -> bool {
    request.reasoning.as_ref().is_some_and(|reasoning| {
        let effort = reasoning.effort.is_some_and(|effort| effort != ReasoningEffort::None);
        effort || reasoning.budget.is_some_and(|budget| budget != 0)
    })
}

struct Asked<'r> {
    request: &'r mut Request,
    outbound: &'r dyn Outbound,
    own: bool,
    schema: Box<RawValue>,
    strict: Option<bool>,
    losses: &'r mut Losses,
}

fn with_schema(mut asked: Asked<'_>, plan: &OutputPlan, means: Means) -> Applied {
    match means {
        Means::Strict if asked.own => Applied { means: Some(means), ..Applied::default() },
        Means::Strict if asked.strict == Some(false) && plan.dialect == Dialect::OpenAi => best_effort(asked),
        Means::Strict => strict(asked, plan),
        Means::BestEffort => best_effort(asked),
        Means::Tool => tool(asked),
        Means::JsonMode | Means::Prompt => asked.in_words(means),
    }
}

/// The target's own member, in its dialect; other means where the schema has no form there.
fn strict(mut asked: Asked<'_>, plan: &OutputPlan) -> Applied {
    let wrapped = match plan.dialect {
        Dialect::Gemini => None,
        Dialect::OpenAi | Dialect::Anthropic if schema::is_of_an_object(&asked.schema) => None,
        Dialect::OpenAi | Dialect::Anthropic => schema::wrapped(&asked.schema, WRAPPER),
    };
    let whole = wrapped.as_deref().unwrap_or(&asked.schema);
    match schema::fit(whole, plan.dialect) {
        Ok(fitted) => {
            tell(&fitted, asked.losses);
            let schema = fitted.schema.into_owned();
            if wrapped.is_some() {
                asked.losses.emulated(SCHEMA, "the answer is no object; it is asked for as the member of one");
            }
            let strict = (plan.dialect == Dialect::OpenAi).then_some(true).or(asked.strict);
            asked.set(schema, strict);
            Applied { means: Some(Means::Strict), wrapped: wrapped.is_some(), ..Applied::default() }
        }
        Err(unfit) => {
            let free = !may_call(asked.request) && !thinks(asked.request);
            let means = if plan.unfit == Means::Tool && !free { Means::Prompt } else { plan.unfit };
            let reason = format!("the schema {unfit}, which this target does not enforce; {}", instead(means));
            asked.losses.degraded(SCHEMA, reason);
            match means {
                Means::Strict | Means::BestEffort => best_effort(asked),
                Means::Tool => tool(asked),
                Means::JsonMode | Means::Prompt => asked.in_words(means),
            }
        }
    }
}

fn instead(means: Means) -> &'static str {
    match means {
        Means::Strict | Means::BestEffort => "the model follows it as well as it can",
        Means::Tool => "it becomes the arguments of a tool that must be called",
        Means::JsonMode | Means::Prompt => "a system text gives it",
    }
}

fn tell(fitted: &Fitted<'_>, losses: &mut Losses) {
    let mut parts = Vec::new();
    if fitted.closed {
        parts.push("objects get `additionalProperties: false`, as this target requires".to_owned());
    }
    if !fitted.lost.is_empty() {
        parts.push(format!("not enforced here, told in descriptions: {}", fitted.lost.join(", ")));
    }
    if !parts.is_empty() {
        losses.degraded(SCHEMA, parts.join("; "));
    }
}

/// The target's own member, with the schema as it is.
fn best_effort(mut asked: Asked<'_>) -> Applied {
    if !asked.own {
        let (schema, strict) = (asked.schema.clone(), asked.strict.filter(|strict| !strict));
        asked.set(schema, strict);
    }
    Applied { means: Some(Means::BestEffort), ..Applied::default() }
}

/// A tool that must be called, whose arguments are the answer.
fn tool(asked: Asked<'_>) -> Applied {
    let wrapped = if schema::is_of_an_object(&asked.schema) { None } else { schema::wrapped(&asked.schema, WRAPPER) };
    let is_wrapped = wrapped.is_some();
    let parameters = wrapped.unwrap_or_else(|| asked.schema.clone());
    let described = match &asked.request.output {
        Some(OutputFormat::Schema { description: Some(text), .. }) => format!("{TOOL_DESCRIPTION}\n{text}"),
        _ => TOOL_DESCRIPTION.to_owned(),
    };
    asked.losses.emulated(FORMAT, "the schema is the arguments of a tool that must be called; its call is the answer");
    let request = &mut *asked.request;
    forget(request, asked.outbound);
    let tools = request.tools.get_or_insert_default();
    let taken = |name: &str| {
        tools.iter().any(|tool| matches!(&tool.kind, ToolKind::Function { name: other, .. } if other == name))
    };
    let mut name = TOOL.to_owned();
    while taken(&name) {
        name.push('_');
    }
    let kind = ToolKind::Function {
        name: name.clone(),
        description: Some(described),
        parameters: Some(parameters),
        strict: None,
    };
    tools.push(Tool { kind, ext: Ext::default() });
    request.tool_choice = Some(ToolChoice::Tool(name.clone()));
    Applied { means: Some(Means::Tool), tool: Some(name), wrapped: is_wrapped, ..Applied::default() }
}

impl Asked<'_> {
    fn set(&mut self, new: Box<RawValue>, is_strict: Option<bool>) {
        if let Some(OutputFormat::Schema { schema, strict, .. }) = &mut self.request.output {
            *schema = new;
            *strict = is_strict;
        }
    }

    /// A system text gives the schema, with JSON mode where there is one.
    fn in_words(&mut self, means: Means) -> Applied {
        let reason = match means {
            Means::JsonMode => "this target has no schema output; JSON mode and a system text with the schema stand in",
            _ => "this target has no schema output; a system text gives the schema",
        };
        self.losses.degraded(FORMAT, reason);
        let described = match &self.request.output {
            Some(OutputFormat::Schema { description: Some(text), .. }) => format!("{text}\n"),
            _ => String::new(),
        };
        forget(self.request, self.outbound);
        if means == Means::JsonMode {
            self.request.output = Some(OutputFormat::Json);
        }
        instruct(self.request, format!("{described}{SCHEMA_ONLY}\n{}", self.schema.get()));
        Applied { means: Some(means), in_words: true, ..Applied::default() }
    }
}

pub(super) fn forget(request: &mut Request, outbound: &dyn Outbound) {
    request.output = None;
    outbound.forget_form(&mut request.ext);
}

/// Says something behind the other system texts.
fn instruct(request: &mut Request, text: String) {
    let is_system = |message: &Message| matches!(message.role, Role::System | Role::Developer);
    let leading = request.messages.iter().take_while(|message| is_system(message)).count();
    let last = leading.checked_sub(1).and_then(|at| request.messages.get_mut(at));
    // Many models take no second system message, so the text goes to the one that is there.
    match last {
        Some(Message { parts, shape, .. }) => match (parts.last_mut(), *shape) {
            (Some(Part::Text(known)), ContentShape::Text) => {
                known.text.push_str("\n\n");
                known.text.push_str(&text);
            }
            (_, ContentShape::Parts) => parts.push(Part::Text(Text::new(text))),
            (_, ContentShape::Text | ContentShape::Null | ContentShape::Absent) => {
                *shape = ContentShape::Text;
                parts.push(Part::Text(Text::new(text)));
            }
        },
        None => request.messages.insert(0, message(Role::System, text)),
    }
}

pub(super) fn message(role: Role, text: String) -> Message {
    Message {
        role,
        role_raw: None,
        parts: vec![Part::Text(Text::new(text))],
        shape: ContentShape::Text,
        name: None,
        ext: Ext::default(),
    }
}

/// Adds an answer that did not have the form, and what is wrong with it, to the conversation.
pub fn correct(request: &mut Request, answer: &str, fault: &str) {
    const LONGEST: usize = 256 << 10;
    // An empty turn is refused by some, and a very long one fills the window.
    let answer = if answer.trim().is_empty() || answer.len() > LONGEST { "(left out)" } else { answer };
    request.messages.push(message(Role::Assistant, answer.to_owned()));
    let text = format!(
        "This answer does not have the form that was asked for: {fault}. Answer again, with the whole answer in that form and nothing else."
    );
    request.messages.push(message(Role::User, text));
}
