//! MiniJinja, set up as templates of prompts expect it: what is undefined is an error, the newline at the end of a file is no
//! part of it, and the extension of a file says what is escaped. The only file that names the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use minijinja::{Environment, UndefinedBehavior, Value};
use serde_json::value::RawValue;

/// Most steps that one template may take; beyond them it fails. A template that needs more does no prompt.
const MOST_STEPS: u64 = 5_000_000;

/// All templates of a file, compiled.
pub struct Engine {
    environment: Environment<'static>,
    /// What the templates were made from, and the paths of those they include, by path.
    texts: BTreeMap<String, (Arc<str>, Vec<String>)>,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Bytes of the text.
    pub at: Range<usize>,
    pub message: String,
}

impl Engine {
    /// An engine whose templates include others by their path below `root`; without one, by their whole path.
    pub fn new(root: Option<&str>) -> Engine {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_debug(true);
        environment.set_fuel(Some(MOST_STEPS));
        if let Some(root) = root.map(str::to_owned) {
            environment.set_path_join_callback(move |name, _| super::includes::below(&root, name).into());
        }
        Engine { environment, texts: BTreeMap::new() }
    }

    /// Adds the template of this path, which includes those of other paths.
    ///
    /// # Errors
    /// What is wrong with its syntax.
    pub fn add(&mut self, path: &str, text: &Arc<str>, includes: Vec<String>) -> Result<(), Fault> {
        let added = self.environment.add_template_owned(path.to_owned(), text.to_string());
        added.map_err(|error| Fault { at: place(&error, text), message: said(&error) })?;
        self.texts.insert(path.to_owned(), (Arc::clone(text), includes));
        Ok(())
    }

    /// A digest of the template of this path and of all that it includes.
    pub fn digest(&self, path: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![path];
        while let Some(path) = open.pop() {
            let Some((text, includes)) = self.texts.get(path).filter(|_| seen.insert(path)) else { continue };
            for field in [path.as_bytes(), text.as_bytes()] {
                hasher.update(&(field.len() as u64).to_le_bytes()).update(field);
            }
            open.extend(includes.iter().map(String::as_str));
        }
        hasher.finalize().to_hex().chars().take(16).collect()
    }

    /// Variables that the template of this path reads and does not set itself.
    pub fn variables(&self, path: &str) -> BTreeSet<String> {
        let Ok(template) = self.environment.get_template(path) else { return BTreeSet::new() };
        let globals: BTreeSet<&str> = self.environment.globals().map(|(name, _)| name).collect();
        let read = template.undeclared_variables(false).into_iter();
        read.filter(|name| !globals.contains(name.as_str())).collect()
    }

    /// The template with these arguments, an object.
    ///
    /// # Errors
    /// What failed, and where.
    pub fn render(&self, path: &str, arguments: &RawValue) -> Result<String, String> {
        let arguments: serde_json::Value = serde_json::from_str(arguments.get()).map_err(|error| error.to_string())?;
        self.rendered(path, Value::from_serialize(arguments))
    }

    /// The template with nothing.
    ///
    /// # Errors
    /// What failed, and where.
    pub fn render_alone(&self, path: &str) -> Result<String, String> {
        self.rendered(path, Value::from_iter(std::iter::empty::<(&str, Value)>()))
    }

    /// The template with one text; `None` is nothing.
    ///
    /// # Errors
    /// What failed, and where.
    pub fn render_text(&self, path: &str, variable: &str, text: Option<&str>) -> Result<String, String> {
        self.rendered(path, Value::from_iter([(variable, text)]))
    }

    fn rendered(&self, path: &str, context: Value) -> Result<String, String> {
        let template = self.environment.get_template(path).map_err(|error| said(&error))?;
        template.render(context).map_err(|error| {
            let place = error.line().map_or(String::new(), |line| format!(" in line {line}"));
            let file = error.name().unwrap_or(path);
            // Behind an include the cause is one level below.
            let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
            format!("`{file}`{place}: {}{cause}", said(&error))
        })
    }
}

/// What the engine says, without the place.
fn said(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

fn place(error: &minijinja::Error, text: &str) -> Range<usize> {
    if let Some(range) = error.range() {
        return range;
    }
    let line = error.line().unwrap_or(1).saturating_sub(1);
    let start = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..).unwrap_or("");
    start..start + rest.find('\n').unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(files: &[(&str, &str)], root: Option<&str>) -> Engine {
        let mut engine = Engine::new(root);
        for (path, text) in files {
            engine.add(path, &Arc::from(*text), Vec::new()).unwrap();
        }
        engine
    }

    fn rendered(path: &str, text: &str, arguments: &str) -> Result<String, String> {
        engine(&[(path, text)], None).render(path, &RawValue::from_string(arguments.to_owned()).unwrap())
    }

    #[test]
    fn what_is_undefined_is_an_error() {
        let error = rendered("a.j2", "one\n{{ absent }}", "{}").unwrap_err();
        assert!(error.starts_with("`a.j2` in line 2: undefined value"), "{error}");
        for text in ["{{ a.b.c }}", "{% if absent %}{% endif %}", "{% for x in absent %}{% endfor %}"] {
            assert!(rendered("a.j2", text, "{\"a\":{}}").is_err(), "{text}");
        }
        assert_eq!(rendered("a.j2", "{{ absent | default('x') }}", "{}").unwrap(), "x");
    }

    #[test]
    fn one_newline_at_the_end_is_dropped() {
        assert_eq!(rendered("a.j2", "text\n", "{}").unwrap(), "text");
        assert_eq!(rendered("a.j2", "text\n\n", "{}").unwrap(), "text\n");
        assert_eq!(rendered("a.j2", "text", "{}").unwrap(), "text");
    }

    #[test]
    fn maps_are_sorted_and_values_print_as_they_do_in_minijinja_2() {
        let arguments =
            r#"{"map":{"b":1,"a":[true,null,1.0]},"yes":true,"no":false,"nil":null,"whole":1.0,"int":1,"half":0.5}"#;
        let one = |text: &str| rendered("a.minijinja", text, arguments).unwrap();
        assert_eq!(one("{{ map }}"), r#"{"a": [true, none, 1.0], "b": 1}"#);
        assert_eq!(one("{{ map | tojson }}"), r#"{"a":[true,null,1.0],"b":1}"#);
        assert_eq!(one("{{ yes }} {{ no }} {{ nil }} {{ whole }} {{ int }} {{ half }}"), "true false none 1.0 1 0.5");
        assert_eq!(one("{% for key in map %}{{ key }}{% if not loop.last %},{% endif %}{% endfor %}"), "a,b");
        assert_eq!(one("{% for n in [1,2,3] %}{% if n == 2 %}{% break %}{% endif %}{{ n }}{% endfor %}"), "1");
    }

    #[test]
    fn the_extension_says_what_is_escaped() {
        let arguments = r#"{"text":"<a href='/x'>&\"é"}"#;
        let one = |path: &str| rendered(path, "{{ text }}", arguments).unwrap();
        let html = "&lt;a href=&#x27;&#x2f;x&#x27;&gt;&amp;&quot;é";
        for path in ["a.html", "a.xml", "a.html.j2", "dir.x/a.html.jinja", "a.html.jinja2"] {
            assert_eq!(one(path), html, "{path}");
        }
        let json = r#""<a href='/x'>&\"é""#;
        for path in ["a.json", "a.yaml", "a.js", "a.json.j2"] {
            assert_eq!(one(path), json, "{path}");
        }
        for path in ["a.minijinja", "a.txt", "a.j2", "a", "a.html.minijinja"] {
            assert_eq!(one(path), "<a href='/x'>&\"é", "{path}");
        }
        let safe = r#""\u003ca href=\u0027/x\u0027\u003e\u0026\"é""#;
        assert_eq!(rendered("a.txt", "{{ text | tojson }}", arguments).unwrap(), safe);
    }

    #[test]
    fn templates_include_others_below_their_root() {
        let files = [
            ("prompts/a.j2", "{% include \"parts/b.j2\" %}!"),
            ("prompts/parts/b.j2", "{% from \"c.j2\" import hello %}{{ hello(name) }}"),
            ("prompts/c.j2", "{% macro hello(name) %}hello {{ name }}{% endmacro %}"),
        ];
        let engine = engine(&files, Some("prompts"));
        let arguments = RawValue::from_string(r#"{"name":"Ada"}"#.to_owned()).unwrap();
        assert_eq!(engine.render("prompts/a.j2", &arguments).unwrap(), "hello Ada!");
        let empty = RawValue::from_string("{}".to_owned()).unwrap();
        let error = engine.render("prompts/a.j2", &empty).unwrap_err();
        assert!(error.contains("undefined"), "{error}");
    }

    #[test]
    fn a_fault_says_where_it_is() {
        let text: Arc<str> = "fine\nnot {{ fine".into();
        let fault = Engine::new(None).add("a.j2", &text, Vec::new()).unwrap_err();
        assert!(fault.message.starts_with("syntax error"), "{}", fault.message);
        assert!(text.get(fault.at.clone()).is_some() && fault.at.start >= 5, "{:?}", fault.at);
    }

    #[test]
    fn a_template_without_an_end_fails() {
        let text = "{% for a in range(20000) %}{% for b in range(20000) %}{{ b }}{% endfor %}{% endfor %}";
        assert!(rendered("a.j2", text, "{}").unwrap_err().contains("fuel"));
    }

    #[test]
    fn variables_are_those_that_arguments_must_bring() {
        let engine =
            engine(&[("a.j2", "{% set x = 1 %}{{ x }}{{ y.z }}{% for i in range(w) %}{{ i }}{% endfor %}")], None);
        assert_eq!(engine.variables("a.j2").into_iter().collect::<Vec<_>>(), ["w", "y"]);
    }
}
