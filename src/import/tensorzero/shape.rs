//! What a `tensorzero.toml` may look like, as data, and the check of a file against it.

mod unknown;

use super::location::{self, Forms};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity, did_you_mean};
use crate::import::toml::{Node, Step, Value, rendered};
use crate::import::verdict::{Ledger, Outcome};
use crate::source::Span;

/// What a value may be.
pub(super) enum Shape {
    Text,
    Whole,
    /// A whole number of 32 bits without a sign.
    Short,
    /// A whole number of 32 bits that may be negative.
    Signed,
    Number,
    Flag,
    Any,
    /// A path, relative to the file that names it.
    File,
    /// `http://` or `https://`.
    Url,
    /// A URL, `env::NAME` or `dynamic::NAME`.
    Endpoint,
    Word(&'static [&'static str]),
    List(&'static Shape),
    Table(&'static [Key]),
    /// A table in which TensorZero does not look at other keys.
    Open(&'static [Key]),
    /// What no request depends on: TensorZero refuses mistakes in it, and here they are warnings.
    Idle(&'static Shape),
    /// Tables by names of the user's own.
    Map(&'static Shape),
    /// A table whose `type` says which keys it has.
    Typed(&'static Typed),
    /// Where a credential comes from.
    Location(Forms),
    /// The first for a scalar, else the second.
    Either(&'static Shape, &'static Shape),
}

/// A table whose `type` says which keys it has.
pub(super) struct Typed {
    /// For messages: `provider`.
    pub(super) what: &'static str,
    pub(super) arms: &'static [(&'static str, &'static [Key])],
    /// Keys of every arm.
    pub(super) common: &'static [Key],
    /// Other spellings of a type, and what is to be known of them.
    pub(super) renamed: &'static [(&'static str, &'static str)],
    /// TensorZero does not look at other keys.
    pub(super) open: bool,
}

/// A key of a table.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: &'static Shape,
    pub(super) required: bool,
    fate: Fate,
}

/// What becomes of a key.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// The converter says.
    Convert,
    Always(Outcome, Severity, &'static str),
}

pub(super) const fn key(name: &'static str, shape: &'static Shape) -> Key {
    Key { name, shape, required: false, fate: Fate::Convert }
}

pub(super) const fn needed(name: &'static str, shape: &'static Shape) -> Key {
    Key { name, shape, required: true, fate: Fate::Convert }
}

/// Lists of keys as one, of `N` keys together.
#[expect(clippy::indexing_slicing, reason = "it runs in the compiler, which refuses what is out of bounds")]
pub(super) const fn joined<const N: usize>(lists: &[&[Key]]) -> [Key; N] {
    let mut out = [key("", &Shape::Any); N];
    let (mut list, mut filled) = (0, 0);
    while list < lists.len() {
        let mut at = 0;
        while at < lists[list].len() {
            out[filled] = lists[list][at];
            (at, filled) = (at + 1, filled + 1);
        }
        list += 1;
    }
    assert!(filled == N, "as many keys as the lists have");
    out
}

impl Key {
    /// It has no counterpart, and nothing depends on it.
    pub(super) const fn idle(self, why: &'static str) -> Key {
        Key { fate: Fate::Always(Outcome::Dropped, Severity::Info, why), ..self }
    }

    /// It has no counterpart, and somebody may miss it.
    pub(super) const fn missed(self, why: &'static str) -> Key {
        Key { fate: Fate::Always(Outcome::Dropped, Severity::Warning, why), ..self }
    }

    /// It has no counterpart, and something breaks without it.
    pub(super) const fn lost(self, why: &'static str) -> Key {
        Key { fate: Fate::Always(Outcome::Dropped, Severity::Error, why), ..self }
    }

    pub(super) const fn adapted(self, severity: Severity, how: &'static str) -> Key {
        Key { fate: Fate::Always(Outcome::Adapted, severity, how), ..self }
    }
}

/// Checks a file, and settles what has one fate wherever it stands.
pub(super) struct Checker<'c> {
    pub(super) diagnostics: &'c mut Diagnostics,
    pub(super) ledger: &'c mut Ledger,
    pub(super) path: Vec<Step>,
}

impl Checker<'_> {
    /// The whole file.
    pub(super) fn file(&mut self, root: &Node, keys: &'static [Key]) {
        self.keys(root, &[keys], root.span, false);
    }

    fn value(&mut self, node: &Node, place: Span, shape: &'static Shape) {
        match shape {
            Shape::Any => {}
            Shape::Text | Shape::File => {
                if self.is(node, place, matches!(node.value, Value::Text(_)), "text") {
                    self.warn_of_interpolation(node);
                }
            }
            Shape::Whole => {
                let fits = node.whole().is_some_and(|whole| whole >= 0);
                self.is(node, place, fits, "a whole number");
            }
            Shape::Short => {
                let fits = node.whole().is_some_and(|whole| u32::try_from(whole).is_ok());
                self.is(node, place, fits, "a whole number below 4294967296");
            }
            Shape::Signed => {
                let fits = node.whole().is_some_and(|whole| i32::try_from(whole).is_ok());
                self.is(node, place, fits, "a whole number of 32 bits");
            }
            Shape::Number => {
                self.is(node, place, node.number().is_some_and(f64::is_finite), "a number");
            }
            Shape::Flag => {
                self.is(node, place, node.flag().is_some(), "`true` or `false`");
            }
            Shape::Url => self.url(node, place),
            Shape::Endpoint => {
                if !node.text().is_some_and(|text| text.starts_with("env::") || text.starts_with("dynamic::")) {
                    self.url(node, place);
                }
            }
            Shape::Word(words) => self.word(node, place, words),
            Shape::List(inner) => self.list(node, place, inner),
            Shape::Table(keys) => {
                if self.is(node, place, node.is_table(), "a table") {
                    self.keys(node, &[keys], place, false);
                }
            }
            Shape::Open(keys) => {
                if self.is(node, place, node.is_table(), "a table") {
                    self.keys(node, &[keys], place, true);
                }
            }
            Shape::Idle(inner) => {
                let mut found = Diagnostics::default();
                let path = std::mem::take(&mut self.path);
                let mut checker = Checker { diagnostics: &mut found, ledger: self.ledger, path };
                checker.value(node, place, inner);
                self.path = checker.path;
                as_warnings(&found, self.diagnostics);
            }
            Shape::Map(inner) => self.map(node, place, inner),
            Shape::Typed(typed) => self.typed(node, place, typed),
            Shape::Location(forms) => location::check(node, place, *forms, &rendered(&self.path), self.diagnostics),
            Shape::Either(scalar, other) => {
                let container = matches!(node.value, Value::Table(_) | Value::List(_));
                self.value(node, place, if container { other } else { scalar });
            }
        }
    }

    /// Reports a value of another kind.
    fn is(&mut self, node: &Node, place: Span, fits: bool, wanted: &str) -> bool {
        if !fits {
            let path = rendered(&self.path);
            if wanted == "a table" {
                self.diagnostics.hide(node.span);
            }
            let found = match (node.whole(), node.number()) {
                (Some(whole), _) if whole < 0 && wanted != "a whole number of 32 bits" => "a negative number",
                (Some(whole), _) if wanted.starts_with("a whole number ") => {
                    if whole > 0 {
                        "a larger one"
                    } else {
                        "a smaller one"
                    }
                }
                (_, Some(number)) if !number.is_finite() => "none that can be sent",
                _ => node.called(),
            };
            let help = match (wanted, &node.value) {
                ("a table", Value::List(_)) => format!("write it as tables with names: `[{path}.NAME]`"),
                ("text", Value::Whole(_) | Value::Number(_)) => "put it in quotes".to_owned(),
                _ => format!("write {wanted}; TensorZero refuses the file as it is"),
            };
            self.diagnostics.push(
                Diagnostic::new(Code::SettingType, format!("`{path}` takes {wanted}, and this is {found}"))
                    .label(place, format!("needs {wanted}"))
                    .help(help),
            );
        }
        fits
    }

    fn url(&mut self, node: &Node, place: Span) {
        if !self.is(node, place, matches!(node.value, Value::Text(_)), "text") {
            return;
        }
        let text = node.text().unwrap_or_default();
        if text.starts_with("http://") || text.starts_with("https://") {
            self.warn_of_interpolation(node);
            return;
        }
        self.diagnostics.hide(node.span);
        let help = match text.contains('$') {
            true => {
                "TensorZero puts no variables into texts: write the address itself, e.g. `http://localhost:11434/v1/`"
            }
            false => "write the whole address, e.g. `http://localhost:11434/v1/`",
        };
        self.diagnostics.push(
            Diagnostic::new(Code::SettingValue, format!("`{}` is not a URL", rendered(&self.path)))
                .label(node.span, "must begin with `http://` or `https://`")
                .help(help),
        );
    }

    /// `${NAME}` within a text stays as it is written, which nobody means.
    fn warn_of_interpolation(&mut self, node: &Node) {
        let Some(text) = node.text() else { return };
        let name = text.split_once("${").and_then(|(_, rest)| rest.split_once('}')).map(|(name, _)| name);
        if let Some(name) = name.filter(|name| location::is_variable(name)) {
            self.diagnostics.push(
                Diagnostic::new(Code::SettingValue, format!("`{}` holds `${{{name}}}`, which stays as it is written", rendered(&self.path)))
                    .label(node.span, "no variable is put in here")
                    .help("TensorZero puts no variables into texts; only keys and some addresses may be `env::NAME`. Write the value itself"),
            );
        }
    }

    fn word(&mut self, node: &Node, place: Span, words: &'static [&'static str]) {
        if !self.is(node, place, matches!(node.value, Value::Text(_)), "text") {
            return;
        }
        let text = node.text().unwrap_or_default();
        if words.contains(&text) {
            return;
        }
        if is_placeholder(text) {
            let why = "a placeholder of somebody's documentation: left out, and a value is to be written";
            self.ledger.dropped(node, Severity::Error, why);
            return;
        }
        let list = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let diagnostic =
            Diagnostic::new(Code::SettingValue, format!("`{}` must be one of {list}", rendered(&self.path)))
                .label(node.span, "not one of them");
        self.diagnostics.push(match did_you_mean(text, words.iter().copied()) {
            Some(word) => diagnostic.help(format!("did you mean `{word}`?")).fix(node.span, format!("\"{word}\"")),
            None => diagnostic.help("TensorZero refuses the file as it is"),
        });
    }

    fn list(&mut self, node: &Node, place: Span, inner: &'static Shape) {
        if !self.is(node, place, matches!(node.value, Value::List(_)), "a list") {
            return;
        }
        for (index, item) in node.items().iter().enumerate() {
            self.path.push(Step::Index(index));
            self.value(item, item.span, inner);
            self.path.pop();
        }
    }

    fn map(&mut self, node: &Node, place: Span, inner: &'static Shape) {
        if !self.is(node, place, node.is_table(), "a table") {
            return;
        }
        for entry in node.entries() {
            self.path.push(Step::Key(entry.key.clone()));
            self.value(&entry.node, entry.key_span, inner);
            self.path.pop();
        }
    }

    fn typed(&mut self, node: &Node, place: Span, typed: &'static Typed) {
        if !self.is(node, place, node.is_table(), "a table") {
            return;
        }
        let Some(tag) = node.entry("type") else {
            let types = typed.arms.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            self.diagnostics.push(
                Diagnostic::new(Code::SettingMissing, format!("`{}` has no `type`", rendered(&self.path)))
                    .label(place, format!("this {} needs a `type`", typed.what))
                    .help(format!("one of {types}")),
            );
            return;
        };
        let written = tag.node.text().unwrap_or_default();
        let name = typed.renamed.iter().find(|(old, _)| *old == written).map_or(written, |(_, new)| *new);
        let Some((_, keys)) = typed.arms.iter().find(|(arm, _)| *arm == name) else {
            let names = typed.arms.iter().map(|(name, _)| *name);
            let diagnostic = Diagnostic::new(
                Code::SettingValue,
                format!("`{}.type` is not a type of {} that TensorZero has", rendered(&self.path), typed.what),
            )
            .label(tag.node.span, "unknown type");
            self.diagnostics.push(match did_you_mean(written, names) {
                Some(near) => {
                    diagnostic.help(format!("did you mean `{near}`?")).fix(tag.node.span, format!("\"{near}\""))
                }
                None => diagnostic.help(format!(
                    "it has {}",
                    typed.arms.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
                )),
            });
            return;
        };
        const TAG: &[Key] = &[key("type", &Shape::Text)];
        self.keys(node, &[TAG, typed.common, keys], place, typed.open);
    }

    /// `open`: other keys are passed over.
    fn keys(&mut self, node: &Node, groups: &[&'static [Key]], place: Span, open: bool) {
        for entry in node.entries() {
            self.path.push(Step::Key(entry.key.clone()));
            let known = groups.iter().flat_map(|keys| keys.iter()).find(|key| key.name == entry.key);
            match known {
                Some(key) => {
                    if let Fate::Always(outcome, severity, message) = key.fate {
                        self.ledger.settle(&entry.node, outcome, severity, message);
                    }
                    self.value(&entry.node, entry.key_span, key.shape);
                }
                None if open => {}
                None => self.unknown(entry, groups),
            }
            self.path.pop();
        }
        for key in groups.iter().flat_map(|keys| keys.iter()).filter(|key| key.required) {
            if node.get(key.name).is_none() {
                self.missing(key.name, place);
            }
        }
    }

    fn missing(&mut self, name: &str, place: Span) {
        let path = rendered(&self.path);
        let help = match name {
            "routing" => {
                "list the names of the providers in the order in which they are tried, e.g. `routing = [\"openai\"]`"
            }
            _ => "TensorZero refuses the file without it",
        };
        self.diagnostics.push(
            Diagnostic::new(Code::SettingMissing, format!("`{path}` has no `{name}`"))
                .label(place, format!("needs `{name}`"))
                .help(help),
        );
    }
}

/// What was found, as warnings.
pub(super) fn as_warnings(found: &Diagnostics, diagnostics: &mut Diagnostics) {
    for span in found.hidden() {
        diagnostics.hide(*span);
    }
    for finding in found.iter() {
        diagnostics.push(Diagnostic { severity: Severity::Warning, ..finding.clone() });
    }
}

/// `...` and `{value}`, where one of several words belongs.
pub(super) fn is_placeholder(text: &str) -> bool {
    text == "..." || (text.starts_with('{') && text.ends_with('}'))
}
