//! Answers of a given form at targets that do not all offer it: which means a target has ([`OutputPlan`]), the request
//! rewritten for the chosen means ([`request::prepare`]), the answer turned back ([`answer`], [`stream`]) and judged
//! ([`check`], [`judged`], [`watch`]).
//!
//! A pass between hub and codec, hub in and hub out. A codec writes and reads what its protocol has and knows nothing of
//! emulation.

pub mod answer;
pub mod check;
pub mod judged;
pub mod mend;
pub mod mode;
pub mod request;
pub mod stream;
mod text;
pub mod watch;

#[cfg(test)]
mod tests;

use serde::Serialize;

use super::quirk::StructuredOutput;
use super::schema::Dialect;

/// By which means a form is obtained, the surest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// A system text asks for it.
    Prompt,
    /// JSON mode; a system text gives the schema.
    JsonMode,
    /// A tool that must be called takes the schema's value as its arguments.
    Tool,
    /// The protocol's own member; the model follows the schema as well as it can.
    BestEffort,
    /// The protocol's own member; no other answer can come.
    Strict,
}

impl Means {
    /// For dumps and explanations.
    pub fn words(self) -> &'static str {
        match self {
            Means::Prompt => "in the prompt",
            Means::JsonMode => "JSON mode",
            Means::Tool => "forced tool",
            Means::BestEffort => "best effort",
            Means::Strict => "strict",
        }
    }

    /// The protocol has a member for schemas here.
    pub fn is_native(self) -> bool {
        matches!(self, Means::BestEffort | Means::Strict)
    }
}

/// What a target offers for answers of a given form. Compiled with the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutputPlan {
    /// For a JSON Schema.
    pub schema: Means,
    /// For a JSON Schema where the caller's own tools may be called, or the model is to think first.
    pub schema_beside_tools: Means,
    /// For a JSON Schema that [`OutputPlan::dialect`] cannot express.
    pub unfit: Means,
    /// For any JSON object: [`Means::JsonMode`] or [`Means::Prompt`].
    pub json: Means,
    /// As `json`, where the caller's own tools may be called.
    pub json_beside_tools: Means,
    /// Of the schemas that are enforced here.
    pub dialect: Dialect,
}

impl OutputPlan {
    /// As a provider's file says.
    pub fn under(self, quirk: StructuredOutput) -> OutputPlan {
        let all = |means| OutputPlan { schema: means, schema_beside_tools: means, unfit: means, ..self };
        match quirk {
            StructuredOutput::Auto => self,
            StructuredOutput::Strict => OutputPlan { unfit: self.unfit, ..all(Means::Strict) },
            StructuredOutput::BestEffort => all(Means::BestEffort),
            StructuredOutput::Tool => OutputPlan { schema_beside_tools: self.json_beside_tools, ..all(Means::Tool) },
            // Where the protocol has no JSON mode, nobody can say so.
            StructuredOutput::Json => {
                OutputPlan { schema_beside_tools: self.json_beside_tools, unfit: self.json, ..all(self.json) }
            }
            StructuredOutput::Prompt => {
                OutputPlan { json: Means::Prompt, json_beside_tools: Means::Prompt, ..all(Means::Prompt) }
            }
        }
    }

    /// Whether the caller's own words for a form do here, whatever they are.
    pub fn is_native(&self) -> bool {
        self.schema.is_native() && self.json == Means::JsonMode
    }

    /// In one line, for dumps and explanations.
    pub fn words(&self) -> String {
        let mut words = format!("schema {}", self.schema.words());
        if self.schema_beside_tools != self.schema {
            words.push_str(&format!(" ({} beside tools)", self.schema_beside_tools.words()));
        }
        words.push_str(&format!(", JSON {}", if self.json == Means::JsonMode { "mode" } else { self.json.words() }));
        if self.json_beside_tools != self.json {
            words.push_str(&format!(" ({} beside tools)", self.json_beside_tools.words()));
        }
        words
    }
}

/// What was done to a request for the sake of its answer's form, and must be undone in the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// How the form is obtained; `None` where the caller asked for no form.
    pub means: Option<Means>,
    /// The tool whose arguments are the answer.
    pub tool: Option<String>,
    /// The answer is the only member of an object, [`WRAPPER`].
    pub wrapped: bool,
    /// A system text gives the schema.
    pub in_words: bool,
}

impl Applied {
    /// Whether the answer must be turned back.
    pub fn changes_answers(&self) -> bool {
        self.tool.is_some() || self.wrapped || self.strips_fences()
    }

    /// Only words asked for JSON alone, and models like to put it into a code fence.
    fn strips_fences(&self) -> bool {
        matches!(self.means, Some(Means::Prompt | Means::JsonMode))
    }
}

/// The member that holds an answer which is no object, where only objects can be asked for.
const WRAPPER: &str = "answer";
