//! What may be written at a place of the file, as data: the schema, the reference and the messages read it.

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Text with an example and, where it is narrower than any text, the regular expression it matches.
    Text {
        what: &'static str,
        example: &'static str,
        pattern: Option<&'static str>,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The number of this format's version.
    Version,
    Whole,
    Fraction,
    /// USD per million tokens.
    Price,
    Flag,
    Duration,
    Size,
    /// Text, or a number or boolean taken as spelled.
    Word,
    Secret,
    /// The keys of a provider: a reference to a secret, a list of them, or one with a fallback.
    Keys,
    /// A failure that may be retried.
    Failure,
    Expression,
    Rules,
    /// Any value, handed on as JSON.
    Json,
    /// Described by a JSON Schema of its own.
    Foreign {
        what: &'static str,
        example: &'static str,
        schema: fn() -> serde_json::Value,
    },
    List(&'static Shape),
    /// A list, or its one item without the brackets.
    OneOrMore(&'static Shape),
    /// Keys are names of the user's choice.
    Map {
        names: &'static str,
        pattern: Option<&'static str>,
        values: &'static Shape,
    },
    Mapping(&'static Mapping),
    /// Keys are these words.
    Keyed {
        keys: fn() -> Vec<&'static str>,
        values: &'static Shape,
    },
}

/// One mapping with known keys.
#[derive(Debug)]
pub struct Mapping {
    /// Its name in the schema and the reference.
    pub name: &'static str,
    pub doc: &'static [&'static str],
    pub fields: &'static [Field],
    /// The key that a value which is no mapping stands for: `cheap: openai/x` is `cheap: { route: openai/x }`.
    pub short: Option<&'static str>,
    /// Other keys are allowed, and hold words.
    pub open: bool,
}

/// Parameters that are often written where their `params:` is missing.
const PARAMETERS: &[&str] = &[
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "reasoning_effort",
    "reasoning",
    "response_format",
    "parallel_tool_calls",
    "service_tier",
    "verbosity",
];

/// One key of a mapping.
#[derive(Debug)]
pub struct Field {
    pub key: &'static str,
    /// Another spelling of the key, for one item instead of a list.
    pub alias: Option<&'static str>,
    pub doc: &'static [&'static str],
    pub shape: Shape,
    /// What holds where it is absent, as written in the file.
    pub default: Option<&'static str>,
}

impl Mapping {
    /// Every key that may be written.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().flat_map(|field| std::iter::once(field.key).chain(field.alias))
    }

    /// Every key in its first spelling.
    pub fn own_keys(&self) -> Vec<&'static str> {
        self.fields.iter().map(|field| field.key).collect()
    }

    /// The key of this mapping whose value is a mapping that knows `key`.
    pub(crate) fn home_of(&self, key: &str) -> Option<&'static str> {
        let home = self.fields.iter().find(|field| match &field.shape {
            Shape::Mapping(inner) => inner.keys().any(|known| known == key),
            // The parameters of a model.
            Shape::Map { values: Shape::Json, .. } => PARAMETERS.contains(&key),
            // A value of any other kind has no keys that are known here.
            _ => false,
        });
        home.map(|field| field.key)
    }
}

impl Shape {
    /// As in `expected a list of texts`.
    pub fn phrase(&self) -> String {
        match self {
            Shape::Text { what, .. } | Shape::Foreign { what, .. } => (*what).to_owned(),
            Shape::Choice(words) => one_of(words),
            Shape::Version => "`1`".to_owned(),
            Shape::Whole => "a whole number".to_owned(),
            Shape::Fraction => "a number".to_owned(),
            Shape::Price => "a price in USD per million tokens".to_owned(),
            Shape::Flag => "`true` or `false`".to_owned(),
            Shape::Duration => "a duration".to_owned(),
            Shape::Size => "a size in bytes".to_owned(),
            Shape::Word => "text".to_owned(),
            Shape::Secret => "a reference to a secret".to_owned(),
            Shape::Keys => "a reference to a secret, or a list of such".to_owned(),
            Shape::Failure => "a status, `5xx`, `timeout`, `connect`, `empty` or `any`".to_owned(),
            Shape::Expression => "a target expression".to_owned(),
            Shape::Rules => "a block of rules".to_owned(),
            Shape::Json => "any value".to_owned(),
            Shape::List(items) => format!("a list, each item {}", items.phrase()),
            Shape::OneOrMore(item) => format!("{}, or a list of such", item.phrase()),
            Shape::Map { names, .. } => format!("a mapping from {names}"),
            Shape::Mapping(mapping) => match mapping.short {
                Some(key) => format!("a mapping, or its `{key}` alone"),
                None => "a mapping".to_owned(),
            },
            Shape::Keyed { keys, .. } => format!("a mapping with the keys {}", one_of(&keys())),
        }
    }

    /// As in `write 250ms`: something that would be right here.
    pub fn example(&self) -> String {
        match self {
            Shape::Text { example, .. } | Shape::Foreign { example, .. } => format!("`{example}`"),
            Shape::Choice(words) => one_of(words),
            Shape::Version => "`1`".to_owned(),
            Shape::Whole => "`3`".to_owned(),
            Shape::Fraction => "`0.5`".to_owned(),
            Shape::Price => "a number from 0 to 1000000, e.g. `0.15`".to_owned(),
            Shape::Flag => "`true` or `false`".to_owned(),
            Shape::Duration => "`250ms`, `4s`, `2m` or `1h`".to_owned(),
            Shape::Size => "`32MiB` or `1MB`".to_owned(),
            Shape::Word => "`research`".to_owned(),
            Shape::Secret => "`env:NAME` or `file:/run/secrets/name`".to_owned(),
            Shape::Keys => "a list, each item `env:NAME` or `file:/run/secrets/name`".to_owned(),
            Shape::Failure => "`429`, `5xx` or `timeout`".to_owned(),
            Shape::Expression => "`openai/gpt-5 > anthropic/claude-sonnet-4-6`".to_owned(),
            Shape::Rules => "`rules: |` and one rule a line below it, e.g. `otherwise -> as requested`".to_owned(),
            Shape::Json => "a value".to_owned(),
            Shape::List(Shape::Mapping(mapping)) => {
                format!("a `-` before each one; the keys inside are {}", list_words(&mapping.own_keys()))
            }
            Shape::List(item) | Shape::OneOrMore(item) => format!("a list, each item {}", item.example()),
            Shape::Map { values: Shape::Mapping(mapping), .. }
            | Shape::Keyed { values: Shape::Mapping(mapping), .. } => {
                format!("one `name: {{ ... }}` for each; the keys inside are {}", list_words(&mapping.own_keys()))
            }
            Shape::Map { values: Shape::Json, .. } => "`name: value` lines".to_owned(),
            Shape::Map { values, .. } | Shape::Keyed { values, .. } => {
                format!("`name: value` lines, each value {}", values.example())
            }
            Shape::Mapping(mapping) => {
                format!("`key: value` lines; the keys are {}", list_words(&mapping.own_keys()))
            }
        }
    }
}

/// `` `a`, `b` or `c` ``.
pub(crate) fn one_of(words: &[&str]) -> String {
    join(words, "or")
}

/// `` `a`, `b` and `c` ``.
pub(crate) fn list_words(words: &[&str]) -> String {
    join(words, "and")
}

fn join(words: &[&str], last: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [init @ .., end] => format!("{} {last} {end}", init.join(", ")),
    }
}
