//! The tools of a function, and those of a request.

use std::collections::HashSet;

use crate::table::tensorzero::{self, Function, Surface};
use crate::wire::ir::{Error, Request, Tool, ToolChoice, ToolKind};
use crate::wire::json::{self, Ext};
use crate::wire::tensorzero::call::Call;

/// What models are offered.
#[derive(Default)]
pub(super) struct Offered {
    tools: Vec<Tool>,
    choice: Option<ToolChoice>,
    /// The function's own choice, which is of the upstream's own tools where there are no others.
    of_function: Option<ToolChoice>,
    parallel: Option<bool>,
}

impl Offered {
    /// Lays them over what the request itself says, before `raw` ones that the upstream runs itself.
    pub(super) fn put(&self, request: &mut Request, raw: Vec<Tool>) {
        let own = request.tool_choice.take().or_else(|| self.of_function.clone());
        let choice = (!raw.is_empty()).then(|| own.unwrap_or(ToolChoice::Auto));
        let tools: Vec<Tool> = self.tools.iter().cloned().chain(raw).collect();
        request.tool_choice = self.choice.clone().or(choice);
        request.parallel_tool_calls = request.parallel_tool_calls.or(self.parallel).filter(|_| !tools.is_empty());
        request.tools = (!tools.is_empty()).then_some(tools);
    }
}

/// The function's tools and the request's, the latter last.
///
/// # Errors
/// A name that two tools have, or that none has.
pub(super) fn offered(
    call: &Call,
    request: Option<&Request>,
    function: Option<&Function>,
    surface: &Surface,
) -> Result<Offered, Error> {
    let Some(request) = request else { return Ok(Offered::default()) };
    let own = function.map(|function| &*function.tools).unwrap_or_default();
    let mut tools: Vec<Tool> = own.iter().filter_map(|key| surface.tools.get(key)).map(tool).collect();
    // A request may allow a tool of the file that the function does not have.
    let mut allowed = Vec::new();
    for key in call.allowed_tools.iter().flatten() {
        match surface.tools.get(key.as_str()) {
            Some(of_file) => {
                if !own.iter().any(|known| **known == **key) {
                    tools.push(tool(of_file));
                }
                allowed.push(of_file.name.to_string());
            }
            // Those that come with the request go by their names.
            None if request.tools.iter().flatten().any(|tool| name(tool) == key) => allowed.push(key.clone()),
            None => return Err(Error::invalid(format!("unknown tool `{key}` in `allowed_tools`"))),
        }
    }
    tools.extend(request.tools.iter().flatten().cloned());
    refuse_twins(&tools)?;
    let of_function = of_function(function, surface);
    let choice = request.tool_choice.clone().or_else(|| of_function.clone());
    let choice = match (&call.allowed_tools, choice) {
        _ if tools.is_empty() => None,
        (Some(_), Some(ToolChoice::Required)) => Some(ToolChoice::Allowed { names: allowed, required: true }),
        (Some(_), None | Some(ToolChoice::Auto)) => Some(ToolChoice::Allowed { names: allowed, required: false }),
        (_, None) => Some(ToolChoice::Auto),
        (_, given) => given,
    };
    if let Some(ToolChoice::Tool(wanted)) = &choice
        && !tools.iter().any(|tool| name(tool) == wanted)
    {
        return Err(Error::invalid(format!("unknown tool `{wanted}` in `tool_choice`")));
    }
    let parallel = function.and_then(|function| function.parallel_tool_calls);
    Ok(Offered { tools, choice, of_function, parallel })
}

fn of_function(function: Option<&Function>, surface: &Surface) -> Option<ToolChoice> {
    match function?.tool_choice.as_ref()? {
        tensorzero::ToolChoice::Auto => Some(ToolChoice::Auto),
        tensorzero::ToolChoice::None => Some(ToolChoice::None),
        tensorzero::ToolChoice::Required => Some(ToolChoice::Required),
        tensorzero::ToolChoice::Specific(key) => {
            surface.tools.get(key).map(|tool| ToolChoice::Tool(tool.name.to_string()))
        }
    }
}

fn tool(tool: &tensorzero::Tool) -> Tool {
    let kind = ToolKind::Function {
        name: tool.name.to_string(),
        description: Some(tool.description.to_string()),
        parameters: json::raw(&*tool.parameters),
        strict: tool.strict.then_some(true),
    };
    Tool { kind, ext: Ext::default() }
}

fn name(tool: &Tool) -> &str {
    match &tool.kind {
        ToolKind::Function { name, .. } | ToolKind::Opaque { name, .. } => name,
    }
}

fn refuse_twins(tools: &[Tool]) -> Result<(), Error> {
    let mut seen = HashSet::new();
    match tools.iter().map(name).find(|name| !seen.insert(*name)) {
        Some(twin) => Err(Error::invalid(format!("two tools have the name `{twin}`"))),
        None => Ok(()),
    }
}
