//! Names of presets. A function's preset is called as the function is, because its draws are salted with that name; the
//! others make room.

use std::collections::BTreeSet;

/// Names that are taken.
#[derive(Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// The first of `wanted` that is free; else the last with a number.
    pub(super) fn claim(&mut self, wanted: &[String]) -> String {
        let wanted: Vec<String> = wanted.iter().map(|name| legal(name)).collect();
        let free = wanted.iter().find(|name| !self.taken.contains(*name)).cloned();
        let last = wanted.last().map_or("preset", String::as_str);
        let name = free.or_else(|| (2..).map(|n| format!("{last}-{n}")).find(|name| !self.taken.contains(name)));
        let name = name.unwrap_or_default();
        self.taken.insert(name.clone());
        name
    }
}

/// A preset may be called anything but what a terminal would obey, or a reference.
fn legal(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_control() { '-' } else { c }).collect();
    let name = name.trim_start_matches('@');
    if name.is_empty() { "-".to_owned() } else { name.to_owned() }
}

/// The preset in an expression: `@fast`, `@"my fn"`.
pub(super) fn reference(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.chars().all(plain) {
        return format!("@{name}");
    }
    format!("@\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The preset where nothing but its name stands: in the `tensorzero` section, in requests.
pub(super) fn asked(name: &str) -> String {
    format!("@{name}")
}

/// A name for a provider, made of a text: letters, digits, `.`, `_` and `-`.
pub(super) fn slug(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let slug: String = text.chars().map(plain).collect();
    let slug = slug.trim_matches('-').to_owned();
    if slug.is_empty() { "provider".to_owned() } else { slug }
}

/// What a person would call the server at `url`: `localhost-11434`, `voyageai`.
pub(super) fn of_host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let (name, port) = host.rsplit_once(':').map_or((host, ""), |(name, port)| (name, port));
    let labels: Vec<&str> = name.split('.').filter(|label| !label.is_empty()).collect();
    let local = labels.len() < 2 || name.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ':');
    if local || !port.is_empty() {
        return slug(host);
    }
    let inner = labels.split_last().map(|(_, rest)| rest).unwrap_or_default();
    let known: Vec<&str> =
        inner.iter().copied().filter(|label| !matches!(*label, "api" | "www" | "inference")).collect();
    slug(&(if known.is_empty() { inner.join("-") } else { known.join("-") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_called_as_people_would() {
        for (url, name) in [
            ("http://localhost:11434/v1/", "localhost-11434"),
            ("http://127.0.0.1/v1", "127.0.0.1"),
            ("https://api.voyageai.com/v1", "voyageai"),
            ("https://router.huggingface.co/v1", "router-huggingface"),
            ("http://host.docker.internal:8000/v1/", "host.docker.internal-8000"),
            ("http://ollama", "ollama"),
            ("https://api.ai/v1", "api"),
        ] {
            assert_eq!(of_host(url), name, "{url}");
        }
    }

    #[test]
    fn functions_come_first_and_others_make_room() {
        let mut names = Names::default();
        assert_eq!(names.claim(&["small".into()]), "small");
        assert_eq!(names.claim(&["small".into(), "small.model".into()]), "small.model");
        assert_eq!(names.claim(&["small".into(), "small.model".into()]), "small.model-2");
        assert_eq!(reference("a.b"), "@a.b");
        assert_eq!(reference("my \"fn\""), "@\"my \\\"fn\\\"\"");
    }
}
