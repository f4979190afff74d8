//! The templates, schemas and tools that a configuration names: where they are, and where they go.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Files;
use crate::import::toml::Node;
use crate::source::SourceId;

/// Files by their place on the disk. A path is relative to the file that names it.
pub(super) struct Assets<'f> {
    files: &'f dyn Files,
    /// The folder of each file of the configuration.
    folders: BTreeMap<SourceId, String>,
    texts: BTreeMap<String, Result<String, String>>,
    /// What goes along.
    used: BTreeSet<String>,
    /// Folders below which templates may include others.
    pub(super) includes: Vec<String>,
    /// Templates that the configuration names: they may be included, too, by their path beside the output.
    pub(super) templates: BTreeSet<String>,
}

impl<'f> Assets<'f> {
    pub(super) fn new(files: &'f dyn Files) -> Assets<'f> {
        Assets {
            files,
            folders: BTreeMap::new(),
            texts: BTreeMap::new(),
            used: BTreeSet::new(),
            includes: Vec::new(),
            templates: BTreeSet::new(),
        }
    }

    /// A file of the configuration, by its place.
    pub(super) fn configured(&mut self, source: SourceId, path: &str) {
        self.folders.insert(source, folder(&normal(path)).to_owned());
    }

    /// Where the file is that `node` names.
    pub(super) fn place(&self, node: &Node) -> String {
        let named = node.text().unwrap_or_default();
        let folder = self.folders.get(&node.span.source).map_or("", String::as_str);
        if named.starts_with('/') { normal(named) } else { normal(&format!("{folder}/{named}")) }
    }

    /// The text of the file at `place`; it goes along.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn take(&mut self, place: &str) -> Result<String, String> {
        let files = self.files;
        let text = self.texts.entry(place.to_owned()).or_insert_with(|| files.read(place)).clone();
        if text.is_ok() {
            self.used.insert(place.to_owned());
        }
        text
    }

    /// The text, without taking the file along.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn look(&mut self, place: &str) -> Result<String, String> {
        let files = self.files;
        self.texts.entry(place.to_owned()).or_insert_with(|| files.read(place)).clone()
    }

    /// The first name, at any depth, that the template at `place` includes and that nothing answers to.
    pub(super) fn missing_include(&mut self, place: &str) -> Option<String> {
        let mut waiting = vec![place.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(place) = waiting.pop() {
            if !seen.insert(place.clone()) {
                continue;
            }
            for name in included(&self.look(&place).unwrap_or_default()) {
                match self.place_of_include(&name) {
                    Some(found) => waiting.push(found),
                    None => return Some(name),
                }
            }
        }
        None
    }

    fn place_of_include(&self, name: &str) -> Option<String> {
        let below = self.includes.iter().map(|root| normal(&format!("{root}/{name}")));
        let below = below.into_iter().find(|place| self.used.contains(place));
        below.or_else(|| self.templates.iter().find(|place| self.beside(place) == name).cloned())
    }

    /// Path of the file at `place` beside the output.
    pub(super) fn beside(&self, place: &str) -> String {
        let root = self.root();
        let below = place.strip_prefix(root.as_str()).unwrap_or(place).trim_start_matches('/');
        if below.is_empty() { ".".to_owned() } else { below.to_owned() }
    }

    /// What goes along: path beside the output, and text.
    pub(super) fn copies(&self) -> BTreeMap<String, String> {
        let texts = self.used.iter().filter_map(|place| Some((place, self.texts.get(place)?.as_ref().ok()?)));
        texts.map(|(place, text)| (self.beside(place), text.clone())).collect()
    }

    /// The lowest folder that has everything: nothing leaves the output's folder, and the structure stays.
    fn root(&self) -> String {
        let used = self.used.iter().map(|place| folder(place));
        let mut all =
            self.folders.values().map(String::as_str).chain(used).chain(self.includes.iter().map(String::as_str));
        let Some(first) = all.next() else { return String::new() };
        all.fold(first.to_owned(), |root, other| common(&root, other))
    }
}

/// `/a/b/c.toml` is in `/a/b`.
fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Without `.`, `..` and double slashes; always absolute.
pub(super) fn normal(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    format!("/{}", steps.join("/"))
}

fn common(a: &str, b: &str) -> String {
    let steps = a.split('/').zip(b.split('/')).take_while(|(a, b)| a == b).map(|(a, _)| a);
    steps.collect::<Vec<_>>().join("/")
}

/// Names of the templates that a template includes, imports or extends, as far as they are written out.
pub(super) fn included(template: &str) -> Vec<String> {
    let mut names = Vec::new();
    for tag in template.split("{%").skip(1) {
        let tag = tag.split("%}").next().unwrap_or_default().trim_start_matches(['-', '+']).trim();
        let (word, rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        if matches!(word, "include" | "import" | "from" | "extends") {
            let rest = rest.trim_start();
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
            let name = quote.and_then(|quote| rest.trim_start_matches(quote).split(quote).next());
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::toml::Value;
    use crate::source::Span;

    struct All;

    impl Files for All {
        fn read(&self, path: &str) -> Result<String, String> {
            Ok(path.to_owned())
        }
    }

    fn named(source: u32, path: &str) -> Node {
        Node { id: 0, span: Span::new(SourceId(source), 0, 0), value: Value::Text(path.to_owned()) }
    }

    #[test]
    fn paths_belong_to_the_file_that_names_them_and_keep_their_structure() {
        let mut assets = Assets::new(&All);
        assets.configured(SourceId(0), "/home/me/config/tensorzero.toml");
        assets.configured(SourceId(1), "/home/me/config/sub/more.toml");
        let (first, second) = (assets.place(&named(0, "functions/a.txt")), assets.place(&named(1, "./b/../b.txt")));
        assert_eq!((first.as_str(), second.as_str()), ("/home/me/config/functions/a.txt", "/home/me/config/sub/b.txt"));
        assets.take(&first).unwrap();
        assets.take(&second).unwrap();
        assert_eq!(assets.beside(&first), "functions/a.txt");
        let above = assets.place(&named(0, "../../fixtures/c.txt"));
        assets.take(&above).unwrap();
        assert_eq!(assets.beside(&first), "me/config/functions/a.txt");
        assert_eq!(
            assets.copies().keys().collect::<Vec<_>>(),
            ["fixtures/c.txt", "me/config/functions/a.txt", "me/config/sub/b.txt"]
        );
        assert_eq!(assets.place(&named(0, "../../../../../etc/x")), "/etc/x");
    }

    #[test]
    fn included_templates_are_found() {
        let text = "{% include 'a.txt' %}{%- from \"b/c.txt\" import d -%}{% if x %}{% extends name %}{{ include }}";
        assert_eq!(included(text), ["a.txt", "b/c.txt"]);
    }
}
