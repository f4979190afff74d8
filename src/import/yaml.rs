//! YAML as a person would write it: short mappings on one line, comments where they belong, the same bytes every time.

use crate::import::toml::{Node, Value};

/// A value to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Yaml {
    /// On one line, as it stands.
    Plain(String),
    List(Vec<Yaml>),
    Map(Vec<Item>),
}

/// One key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub key: String,
    pub value: Yaml,
    /// Comments, a line each, above it.
    pub above: Vec<String>,
    /// A comment at the end of its first line.
    pub beside: Option<String>,
    /// Nobody wants it on one line.
    pub tall: bool,
}

/// Lines are broken before they are longer.
const WIDTH: usize = 110;

impl Yaml {
    pub fn text(text: &str) -> Yaml {
        Yaml::Plain(scalar(text))
    }

    pub fn flag(flag: bool) -> Yaml {
        Yaml::Plain(flag.to_string())
    }

    pub fn whole(whole: i64) -> Yaml {
        Yaml::Plain(whole.to_string())
    }

    pub fn texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Yaml {
        Yaml::List(texts.into_iter().map(Yaml::text).collect())
    }

    /// A value of TOML as it is.
    pub fn of(node: &Node) -> Yaml {
        match &node.value {
            Value::Text(text) | Value::Moment(text) => Yaml::text(text),
            Value::Whole(whole) => Yaml::whole(*whole),
            Value::Number(number) => Yaml::Plain(decimal(*number)),
            Value::Flag(flag) => Yaml::flag(*flag),
            Value::List(items) => Yaml::List(items.iter().map(Yaml::of).collect()),
            Value::Table(entries) => {
                Yaml::Map(entries.iter().map(|entry| Item::new(&entry.key, Yaml::of(&entry.node))).collect())
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Yaml::Plain(_) => false,
            Yaml::List(items) => items.is_empty(),
            Yaml::Map(items) => items.is_empty(),
        }
    }

    /// On one line, where nothing in it wants more.
    fn flow(&self) -> Option<String> {
        match self {
            Yaml::Plain(text) => Some(text.clone()),
            Yaml::List(items) => {
                let items: Option<Vec<String>> = items.iter().map(Yaml::flow).collect();
                Some(format!("[{}]", items?.join(", ")))
            }
            Yaml::Map(items) if items.is_empty() => Some("{}".to_owned()),
            Yaml::Map(items) => {
                let short = |item: &Item| item.above.is_empty() && item.beside.is_none() && !item.tall;
                let items: Option<Vec<String>> = items
                    .iter()
                    .map(|item| Some(format!("{}: {}", scalar(&item.key), item.value.flow()?)).filter(|_| short(item)))
                    .collect();
                Some(format!("{{ {} }}", items?.join(", ")))
            }
        }
    }
}

impl Item {
    pub fn new(key: &str, value: Yaml) -> Item {
        Item { key: key.to_owned(), value, above: Vec::new(), beside: None, tall: false }
    }

    pub fn text(key: &str, text: &str) -> Item {
        Item::new(key, Yaml::text(text))
    }

    pub fn map(key: &str, items: Vec<Item>) -> Item {
        Item::new(key, Yaml::Map(items))
    }

    pub fn beside(mut self, comment: impl Into<String>) -> Item {
        self.beside = Some(comment.into());
        self
    }

    pub fn above(mut self, comment: impl Into<String>) -> Item {
        self.above.push(comment.into());
        self
    }

    /// Comments of others, below those that stand above it already.
    pub fn all_above(mut self, comments: &[String]) -> Item {
        self.above.extend_from_slice(comments);
        self
    }

    pub fn tall(mut self) -> Item {
        self.tall = true;
        self
    }
}

/// The items of a mapping as block YAML.
pub fn block(items: &[Item], indent: usize, out: &mut String) {
    for item in items {
        let pad = " ".repeat(indent);
        for comment in &item.above {
            out.push_str(&format!("{pad}# {}\n", one_line(comment)));
        }
        let beside = item.beside.as_ref().map(|comment| format!(" # {}", one_line(comment))).unwrap_or_default();
        let head = format!("{pad}{}:", scalar(&item.key));
        let flow = item.value.flow().filter(|flow| {
            let fits = head.len() + flow.len() < WIDTH;
            matches!(item.value, Yaml::Plain(_)) || item.value.is_empty() || (fits && !item.tall)
        });
        match (flow, &item.value) {
            (Some(flow), _) => out.push_str(&format!("{head} {flow}{beside}\n")),
            (None, Yaml::Map(inner)) => {
                out.push_str(&format!("{head}{beside}\n"));
                block(inner, indent + 2, out);
            }
            (None, Yaml::List(inner)) => {
                out.push_str(&format!("{head}{beside}\n"));
                list(inner, indent + 2, out);
            }
            (None, Yaml::Plain(text)) => out.push_str(&format!("{head} {text}{beside}\n")),
        }
    }
}

fn list(items: &[Yaml], indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    for item in items {
        match (item.flow().filter(|flow| indent + flow.len() < WIDTH), item) {
            (Some(flow), _) => out.push_str(&format!("{pad}- {flow}\n")),
            (None, Yaml::Map(inner)) => {
                let mut text = String::new();
                block(inner, indent + 2, &mut text);
                // The first key stands beside the dash.
                let (_, rest) = text.split_at_checked(indent + 2).unwrap_or(("", &text));
                out.push_str(&format!("{pad}- {rest}"));
            }
            (None, Yaml::List(_) | Yaml::Plain(_)) => {
                out.push_str(&format!("{pad}- {}\n", item.flow().unwrap_or_default()));
            }
        }
    }
}

fn one_line(comment: &str) -> String {
    crate::diagnostic::mask::visible(&comment.replace(['\n', '\r'], " "))
}

/// The shortest text that reads as this number, and as no whole one.
pub fn decimal(number: f64) -> String {
    format!("{number:?}")
}

/// A text as a YAML scalar on one line, quoted where it has to be; also within `{}` and `[]`.
pub fn scalar(text: &str) -> String {
    let special =
        |c: char| matches!(c, ',' | '[' | ']' | '{' | '}' | '#' | '"' | '\'' | '\\') || !(' '..='~').contains(&c);
    if text.contains(special) || text.contains(": ") || text.ends_with(':') || text.len() > 80 {
        // YAML's double quotes take JSON's escapes.
        return serde_json::to_string(text).unwrap_or_default();
    }
    let mut options = serde_saphyr::SerializerOptions::default();
    options.prefer_block_scalars = false;
    let written = serde_saphyr::to_string_with_options(&text, options).unwrap_or_else(|_| format!("{text:?}"));
    written.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(items: &[Item]) -> String {
        let mut out = String::new();
        block(items, 0, &mut out);
        out
    }

    #[test]
    fn short_mappings_stand_on_one_line_and_long_ones_below() {
        let small = Item::map("small", vec![Item::text("route", "@a"), Item::new("it", Yaml::texts(["x, y", "no"]))]);
        let tall = Item::map("tall", vec![small.clone()]).tall().beside("why");
        let noted = Item::map("noted", vec![Item::text("a", "b c").above("one")]);
        let long = Item::new(
            "long",
            Yaml::List(vec![Yaml::Map(vec![Item::text("text", &"w ".repeat(60)), Item::text("b", "c")])]),
        );
        let expected = format!(
            "small: {{ route: \"@a\", it: [\"x, y\", \"no\"] }}\ntall: # why\n  small: {{ route: \"@a\", it: [\"x, y\", \"no\"] }}\n\
             noted:\n  # one\n  a: b c\nlong:\n  - text: \"{}\"\n    b: c\n",
            "w ".repeat(60)
        );
        assert_eq!(written(&[small, tall, noted, long]), expected);
    }

    #[test]
    fn what_is_written_is_read_again_in_blocks_and_in_flow() {
        let texts = [
            "@fast",
            "no",
            "- a",
            "a: b",
            "a #b",
            "",
            "tab\t",
            "1.5",
            "é\"'",
            "{x}",
            "line\nbreak",
            "a, b",
            "x:",
            "::a::b",
            "[",
            "env:KEY",
            "http://h:1/v1",
            "~",
            "null",
            "0x1f",
            "1e3",
            "%",
            "\u{feff}",
            "\u{7f}",
            "split(0.7 @\"my fn\", 0.3 @b)",
        ];
        for text in texts {
            for yaml in [format!("k: {}\n", scalar(text)), format!("k: {{ a: {} }}\n", scalar(text))] {
                let mut diagnostics = crate::diagnostic::Diagnostics::default();
                let root = crate::config::yaml::parse(crate::source::SourceId(0), &yaml, &mut diagnostics);
                let crate::config::node::Kind::Mapping(entries) = root.unwrap().kind else { panic!("{yaml}") };
                let mut value = &entries[0].value;
                if let crate::config::node::Kind::Mapping(inner) = &value.kind {
                    value = &inner[0].value;
                }
                let crate::config::node::Kind::String(read) = &value.kind else { panic!("{yaml}") };
                assert_eq!(read.text, text);
            }
        }
    }
}
