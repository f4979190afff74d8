//! Which key or value a place of the file belongs to, found line by line, so that an unfinished file has an answer too.

use super::line_at;
use crate::config::decode::shape::{Field, Mapping, Shape};
use crate::config::document::Document;

/// Where somebody writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The keys that lead here, from the top.
    pub path: Vec<String>,
    pub slot: Slot,
}

/// What stands, or will stand, at the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    Key,
    /// The value of the last key of the path.
    Value,
    /// The text of a block such as `rules: |`, the value of the last key of the path.
    Block,
    Comment,
}

/// The context of `at`.
pub fn context(text: &str, at: usize) -> Context {
    let line = line_at(text, at);
    let head = text.get(line.start..at).unwrap_or("");
    let above = text.get(..line.start).unwrap_or("");
    let content = text.get(line.clone()).unwrap_or("");
    let indent = match content.trim().is_empty() {
        true => head.len(),
        false => width_of_indent(content),
    };
    if let Some(path) = block(above, indent, content.trim().is_empty()) {
        return Context { path, slot: Slot::Block };
    }
    let mut column = indent;
    let mut rest = head.trim_start();
    let mut in_list = false;
    while let Some(item) = rest.strip_prefix("- ").or(rest.strip_prefix('-').filter(|rest| rest.is_empty())) {
        let inner = item.trim_start();
        // What is below the item begins behind the dash; what holds it, at or before the dash.
        in_list = true;
        column += rest.len() - inner.len();
        rest = inner;
    }
    let mut path = parents(above, if in_list { indent + 1 } else { column });
    let slot = inside(rest, &mut path, in_list);
    Context { path, slot }
}

fn width_of_indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// A line with something on it that is no comment.
fn says_something(line: &&str) -> bool {
    let content = line.trim();
    !content.is_empty() && !content.starts_with('#')
}

/// The path of the block scalar that a line of this indentation, below `above`, belongs to.
fn block(above: &str, indent: usize, blank: bool) -> Option<Vec<String>> {
    let mut least = if blank { usize::MAX } else { indent };
    for (start, line) in lines_backwards(above) {
        let width = width_of_indent(line);
        if line.trim().is_empty() || (width >= least && least != usize::MAX) {
            continue;
        }
        if let Some(key) = opens_block(line).filter(|_| indent > width) {
            let column = line.find(key).unwrap_or(width);
            let mut path = parents(above.get(..start).unwrap_or(""), column);
            path.push(key.to_owned());
            return Some(path);
        }
        least = least.min(width);
        if width == 0 {
            return None;
        }
    }
    None
}

/// The key of `key: |`.
fn opens_block(line: &str) -> Option<&str> {
    let content = line.split(" #").next().unwrap_or(line).trim();
    let (key, value) = content.trim_start_matches("- ").split_once(':')?;
    let indicator = value.split_whitespace().last()?;
    let is_block = indicator.starts_with(['|', '>']) && indicator.len() <= 3;
    is_block.then(|| key.trim().trim_matches(['"', '\'']))
}

fn lines_backwards(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut end = text.len();
    text.split_inclusive('\n').rev().map(move |line| {
        end -= line.len();
        (end, line)
    })
}

/// The keys above that a line at `column` is inside of.
fn parents(above: &str, column: usize) -> Vec<String> {
    let mut path = Vec::new();
    let mut column = column;
    for (_, line) in lines_backwards(above).filter(|(_, line)| says_something(line)) {
        if column == 0 {
            break;
        }
        let dash = width_of_indent(line);
        let content = line.trim();
        let mut inner = content;
        while let Some(item) = inner.strip_prefix("- ") {
            inner = item.trim_start();
        }
        let key_column = dash + (content.len() - inner.len());
        let open = inner.split(" #").next().unwrap_or(inner).trim_end();
        let key = open.strip_suffix(':').or_else(|| open.split_once(": &").map(|(key, _)| key));
        match key {
            Some(key) if key_column < column && !key.contains([':', '{', '[']) => {
                path.push(key.trim().trim_matches(['"', '\'']).to_owned());
                column = if key_column > dash { dash + 1 } else { key_column };
            }
            _ if key_column > dash && dash < column => column = column.min(dash + 1),
            _ => {}
        }
    }
    path.reverse();
    path
}

/// An open bracket of flow style, or the line itself.
struct Frame {
    list: bool,
    key: Option<String>,
}

/// Reads the part of a line before the place, adds its keys to the path, and says what the place is.
fn inside(head: &str, path: &mut Vec<String>, in_list: bool) -> Slot {
    let mut frames = vec![Frame { list: false, key: None }];
    let mut word = String::new();
    let mut quote = None;
    let mut characters = head.chars().peekable();
    let mut before = ' ';
    while let Some(character) = characters.next() {
        let ends = characters.peek().is_none_or(|next| next.is_whitespace());
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => word.push(character),
            (None, '"' | '\'') if word.trim().is_empty() => quote = Some(character),
            (None, '#') if before.is_whitespace() => return Slot::Comment,
            (None, '{' | '[') if word.trim().is_empty() => frames.push(Frame { list: character == '[', key: None }),
            (None, '}' | ']') if frames.len() > 1 => drop(frames.pop()),
            (None, ',') if frames.len() > 1 => {
                if let Some(frame) = frames.last_mut() {
                    frame.key = None;
                }
                word.clear();
            }
            (None, ':') if ends => {
                let frame = frames.last_mut();
                if let Some(frame) = frame.filter(|frame| frame.key.is_none() && !frame.list) {
                    frame.key = Some(word.trim().to_owned());
                    word.clear();
                }
            }
            (None, character) => word.push(character),
        }
        before = character;
    }
    let bare_item = in_list && frames.len() == 1 && frames.first().is_some_and(|frame| frame.key.is_none());
    let slot = match frames.last() {
        Some(Frame { list: false, key: None }) if !bare_item => Slot::Key,
        _ => Slot::Value,
    };
    path.extend(frames.into_iter().filter_map(|frame| frame.key));
    slot
}

/// What may stand at the value that `path` leads to.
pub fn shape(path: &[String]) -> Option<&'static Shape> {
    static ROOT: Shape = Shape::Mapping(&Document::MAPPING);
    path.iter().try_fold(&ROOT, |shape, key| below(shape, key))
}

fn below(shape: &'static Shape, key: &str) -> Option<&'static Shape> {
    match items(shape) {
        Shape::Mapping(mapping) => field(mapping, key).map(|field| &field.shape),
        Shape::Map { values, .. } | Shape::Keyed { values, .. } => Some(values),
        _ => None,
    }
}

/// The field of a mapping by one of its spellings.
pub fn field(mapping: &'static Mapping, key: &str) -> Option<&'static Field> {
    mapping.fields.iter().find(|field| field.key == key || field.alias == Some(key))
}

/// The shape of an item, where there is a list.
pub fn items(shape: &'static Shape) -> &'static Shape {
    match shape {
        Shape::List(item) | Shape::OneOrMore(item) => items(item),
        other => other,
    }
}

/// The key of the file that stands last on the path.
pub fn field_of(path: &[String]) -> Option<&'static Field> {
    let (key, parents) = path.split_last()?;
    match items(shape(parents)?) {
        Shape::Mapping(mapping) => field(mapping, key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The context at `^`.
    fn at(text: &str) -> (String, Slot) {
        let at = text.find('^').unwrap();
        let context = context(&text.replace('^', ""), at);
        (context.path.join("."), context.slot)
    }

    #[test]
    fn places_are_told_from_their_lines() {
        for (text, path, slot) in [
            ("^", "", Slot::Key),
            ("version: 1\npre^", "", Slot::Key),
            ("presets:\n  ^", "presets", Slot::Key),
            ("presets:\n  a: { route: x/y, tim^", "presets.a", Slot::Key),
            ("presets:\n  a: { route: x^", "presets.a.route", Slot::Value),
            (
                "presets:\n  a:\n    # note\n    route: x/y\n    timeout: { total: ^ }",
                "presets.a.timeout.total",
                Slot::Value,
            ),
            ("presets:\n  a:\n    route: [x/y, @^", "presets.a.route", Slot::Value),
            ("presets:\n  a:\n    route:\n      - x^", "presets.a.route", Slot::Value),
            ("presets:\n  a:\n    route:\n    - x^", "presets.a.route", Slot::Value),
            ("tests:\n  - name: x\n    request: { model: ^", "tests.request.model", Slot::Value),
            ("tests:\n  - name: x\n    request:\n      mod^", "tests.request", Slot::Key),
            ("tests:\n  - name: x\n    exp^", "tests", Slot::Key),
            ("rules: |\n  when ^", "rules", Slot::Block),
            ("rules: |  # first wins\n  when a -> b/c\n\n    and ^", "rules", Slot::Block),
            ("rules: |\n  when a -> b/c\ntes^", "", Slot::Key),
            ("presets:\n  a:\n    system: |\n      text ^\n", "presets.a.system", Slot::Block),
            ("listen: x # why ^", "", Slot::Comment),
            ("rules: otherwise -> ^", "rules", Slot::Value),
        ] {
            assert_eq!(at(text), (path.to_owned(), slot), "{text}");
        }
    }

    #[test]
    fn a_path_leads_to_its_shape() {
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        assert!(matches!(shape(&path("presets.a.timeout.total")), Some(Shape::Duration)));
        assert!(matches!(shape(&path("rules")), Some(Shape::Rules)));
        assert_eq!(field_of(&path("providers.p.key")).map(|field| field.key), Some("keys"));
        assert!(shape(&path("nothing.a")).is_none());
    }
}
