//! Prompts as templates: which texts of a request they make ([`render`]), and the engine that makes them ([`engine`]).

pub mod engine;
pub mod includes;
pub mod render;

use std::fmt;
use std::sync::Arc;

use engine::Engine;

use super::ir::Role;
use super::structured::check::Checker;

/// What a template is given, and when it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Form {
    /// Made of the arguments that a part of the request brings for it by name; other texts stay as they are.
    #[default]
    Named,
    /// As `Named`; without a schema it is also made of every plain text of its role, as `system_text`, `user_text` or
    /// `assistant_text`.
    Legacy,
}

impl Form {
    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            Form::Named => "named",
            Form::Legacy => "legacy",
        }
    }
}

/// The roles whose texts templates make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speaker {
    System,
    User,
    Assistant,
}

impl Speaker {
    pub const ALL: [Speaker; 3] = [Speaker::System, Speaker::User, Speaker::Assistant];

    /// As it is written in the file; the template of this name is the role's own.
    pub fn word(self) -> &'static str {
        match self {
            Speaker::System => "system",
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
        }
    }

    /// The variable that holds a plain text of the role.
    pub fn variable(self) -> &'static str {
        match self {
            Speaker::System => "system_text",
            Speaker::User => "user_text",
            Speaker::Assistant => "assistant_text",
        }
    }

    /// `None` for results of tools, which no template touches.
    fn of(role: Role) -> Option<Speaker> {
        match role {
            Role::System | Role::Developer => Some(Speaker::System),
            Role::User => Some(Speaker::User),
            Role::Assistant => Some(Speaker::Assistant),
            Role::Tool => None,
        }
    }
}

/// One template of a preset.
#[derive(Clone)]
pub struct Template {
    /// The name by which requests bring arguments; that of a role makes it the role's own.
    pub name: Box<str>,
    /// Its file, by which the engine knows it.
    pub path: Box<str>,
    pub form: Form,
    /// What its arguments must satisfy.
    pub schema: Option<Arguments>,
    /// Of its text and those it includes.
    pub digest: Box<str>,
    pub engine: Arc<Engine>,
}

/// A JSON Schema of arguments.
#[derive(Clone)]
pub struct Arguments {
    pub text: Box<str>,
    pub checker: Arc<Checker>,
}

/// A template around every plain text of a role.
#[derive(Clone)]
pub struct Wrapper {
    pub speaker: Speaker,
    pub path: Box<str>,
    /// Of its text and those it includes.
    pub digest: Box<str>,
    pub engine: Arc<Engine>,
}

/// The templates of presets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prompts {
    pub templates: Box<[Template]>,
    pub wrappers: Box<[Wrapper]>,
}

impl Prompts {
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty() && self.wrappers.is_empty()
    }

    /// Whether it makes the system text, whatever the request says.
    pub fn has_system(&self) -> bool {
        self.template(Speaker::System.word()).is_some()
    }

    fn template(&self, name: &str) -> Option<&Template> {
        self.templates.iter().find(|template| &*template.name == name)
    }

    fn wrapper(&self, speaker: Speaker) -> Option<&Wrapper> {
        self.wrappers.iter().find(|wrapper| wrapper.speaker == speaker)
    }

    /// These around `inner`: of one name the outer wins.
    #[must_use]
    pub fn over(&self, inner: &Prompts) -> Prompts {
        let templates = inner.templates.iter().filter(|template| self.template(&template.name).is_none());
        let wrappers = inner.wrappers.iter().filter(|wrapper| self.wrapper(wrapper.speaker).is_none());
        Prompts {
            templates: self.templates.iter().chain(templates).cloned().collect(),
            wrappers: self.wrappers.iter().chain(wrappers).cloned().collect(),
        }
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Template) -> bool {
        let schema = |template: &Template| template.schema.as_ref().map(|schema| schema.text.clone());
        let same = self.name == other.name && self.path == other.path && self.form == other.form;
        same && schema(self) == schema(other) && self.digest == other.digest
    }
}

impl PartialEq for Wrapper {
    fn eq(&self, other: &Wrapper) -> bool {
        self.speaker == other.speaker && self.path == other.path && self.digest == other.digest
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} from {}, {})", self.name, self.path, self.form.word())
    }
}

impl fmt::Debug for Wrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrapper({} from {})", self.speaker.word(), self.path)
    }
}
