//! The other templates that a template names: `include`, `import`, `from` and `extends`.

use std::ops::Range;

/// One place that names other templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// Bytes of the name, or of what stands in its place.
    pub at: Range<usize>,
    /// `None`: the name is only known when the template is rendered.
    pub name: Option<String>,
}

/// Every place in `text` that names other templates.
pub fn of(text: &str) -> Vec<Include> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((start, sign)) = next_sign(text, at) {
        let inner = start + 2;
        let end = match sign {
            "{#" => after(text, inner, "#}"),
            "{{" => after(text, inner, "}}"),
            _ => {
                let end = after(text, inner, "%}");
                let words = text.get(inner..end).unwrap_or("");
                if is_raw(words) {
                    end_of_raw(text, end)
                } else {
                    found.extend(block(words, inner));
                    end
                }
            }
        };
        at = end.max(inner);
    }
    found
}

/// The next place where markup begins.
fn next_sign(text: &str, from: usize) -> Option<(usize, &str)> {
    let rest = text.get(from..)?;
    let offset = rest
        .match_indices('{')
        .map(|(at, _)| at)
        .find(|at| rest.get(*at..*at + 2).is_some_and(|sign| matches!(sign, "{{" | "{%" | "{#")))?;
    Some((from + offset, text.get(from + offset..from + offset + 2)?))
}

/// The position after the next `sign`, texts in quotes left out.
fn after(text: &str, from: usize, sign: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (offset, character) in text.get(from..).unwrap_or("").char_indices() {
        let at = from + offset;
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if character == '\\' => escaped = true,
            Some(open) if open == character => quote = None,
            Some(_) => {}
            None if text.get(at..).is_some_and(|rest| rest.starts_with(sign)) => return at + sign.len(),
            None if sign != "#}" && matches!(character, '"' | '\'') => quote = Some(character),
            None => {}
        }
    }
    text.len()
}

fn is_raw(words: &str) -> bool {
    first_word(words).0 == "raw"
}

fn end_of_raw(text: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(offset) = text.get(at..).and_then(|rest| rest.find("{%")) {
        let inner = at + offset + 2;
        let end = after(text, inner, "%}");
        if first_word(text.get(inner..end).unwrap_or("")).0 == "endraw" {
            return end;
        }
        at = inner;
    }
    text.len()
}

/// The keyword of a block, and the position after it.
fn first_word(words: &str) -> (&str, usize) {
    let start = words.find(|c: char| !matches!(c, '-' | '+') && !c.is_whitespace()).unwrap_or(words.len());
    let rest = words.get(start..).unwrap_or("");
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (rest.get(..end).unwrap_or(""), start + end)
}

/// The names that a block gives, `inner` being its position.
fn block(words: &str, inner: usize) -> Vec<Include> {
    let (keyword, end) = first_word(words);
    if !matches!(keyword, "include" | "import" | "from" | "extends") {
        return Vec::new();
    }
    let body = words.trim_end_matches("%}").trim_end_matches(['-', '+']).trim_end();
    let rest = body.get(end..).unwrap_or("").trim_start();
    let start = inner + body.len().saturating_sub(rest.len());
    let list = rest.strip_prefix('[').and_then(|list| list.split_once(']'));
    match list {
        Some((list, _)) => {
            let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            let whole =
                |name: &str| literal(name).filter(|(_, end)| *end == name.len()).map(|(name, _)| name.to_owned());
            names.map(|name| Include { at: start..start + list.len() + 2, name: whole(name) }).collect()
        }
        None => {
            let one = literal(rest).filter(|(_, end)| ends_there(rest.get(*end..).unwrap_or("")));
            vec![match one {
                Some((name, end)) => Include { at: start..start + end, name: Some(name.to_owned()) },
                None => Include { at: start..start + rest.len(), name: None },
            }]
        }
    }
}

/// A text in quotes at the beginning, without escapes, and the position after it.
fn literal(text: &str) -> Option<(&str, usize)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = text.get(1..)?;
    let end = inner.find(quote)?;
    let name = inner.get(..end)?;
    (!name.contains('\\')).then_some((name, end + 2))
}

/// Nothing follows the name that would make another one of it.
fn ends_there(rest: &str) -> bool {
    let word = rest.split_whitespace().next().unwrap_or("");
    matches!(word, "" | "as" | "import" | "ignore" | "with" | "without")
}

/// The path of `name` below `root`, without `.` and `..`; one that leads out of `root` stays inside of it and is found
/// nowhere, because [`leads_out`] refused it.
pub fn below(root: &str, name: &str) -> String {
    let root = root.trim_end_matches('/');
    match root {
        "" | "." => plain(name),
        root => format!("{root}/{}", plain(name)),
    }
}

/// Whether a name leads out of its folder.
pub fn leads_out(name: &str) -> bool {
    let mut depth = 0i32;
    let out = name.split('/').any(|step| {
        match step {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        depth < 0
    });
    out || name.starts_with('/') || name.contains('\\')
}

fn plain(name: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in name.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    steps.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<Option<String>> {
        of(text).into_iter().map(|include| include.name).collect()
    }

    #[test]
    fn names_are_found_where_they_are_literal() {
        let one = |name: &str| vec![Some(name.to_owned())];
        assert_eq!(names("a {% include \"x/y.minijinja\" %} b"), one("x/y.minijinja"));
        assert_eq!(names("{%- include 'x' ignore missing -%}"), one("x"));
        assert_eq!(names("{% from \"m\" import f, g %}"), one("m"));
        assert_eq!(names("{% import \"m\" as m %}{% extends 'b' %}"), [one("m"), one("b")].concat());
        assert_eq!(names("{% include [\"a\", 'b'] %}"), [one("a"), one("b")].concat());
        for text in ["{% include name %}", "{% include \"a\" ~ b %}", "{% include \"a\" if x else \"b\" %}"] {
            assert_eq!(names(text), [None], "{text}");
        }
        let quiet = "{# {% include \"a\" %} #}{% raw %}{% include \"a\" %}{% endraw %}{{ \"{% include 'a' %}\" }}{ % }";
        assert_eq!(names(quiet), [] as [Option<String>; 0]);
        let text = "line\n{% include \"a\" %}";
        assert_eq!(text.get(of(text)[0].at.clone()), Some("\"a\""));
    }

    #[test]
    fn any_text_is_searched() {
        for text in
            ["{%", "{% include", "{% include \"", "{% include [", "{#", "{{", "{", "{% raw %}", "é{% from é %}é"]
        {
            of(text);
        }
    }

    #[test]
    fn names_stay_below_their_root() {
        for (name, out) in
            [("a", false), ("a/../b", false), ("../a", true), ("a/../../b", true), ("/a", true), ("./a", false)]
        {
            assert_eq!(leads_out(name), out, "{name}");
        }
        assert_eq!(below("templates/", "./a//b.txt"), "templates/a/b.txt");
        assert_eq!(below(".", "a"), "a");
    }
}
