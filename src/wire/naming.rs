//! The name of the model in answers that pass as they are.

use super::json::{self, Kind, Object};

/// The names of a member and of those around it, the outermost first.
pub type Path = &'static [&'static str];

/// The document with another name of the model, `None` where it has none at these paths, and where it is no document.
pub fn renamed(document: &str, paths: &[Path], name: &str) -> Option<Vec<u8>> {
    // Most events of a stream name nothing.
    let may_name = |path: &&Path| path.last().is_some_and(|key| document.contains(key));
    let (at, end) = paths.iter().filter(may_name).find_map(|path| span(document, path))?;
    let mut out = Vec::with_capacity(document.len() + name.len());
    out.extend_from_slice(document.get(..at)?.as_bytes());
    json::write(name, &mut out);
    out.extend_from_slice(document.get(end..)?.as_bytes());
    Some(out)
}

/// Where the text stands that is the value at `path`.
fn span(document: &str, path: Path) -> Option<(usize, usize)> {
    let mut inside = document;
    for key in path {
        inside = Object::parse(inside).ok()?.get(key)?.get();
    }
    // The value is a part of the document.
    let at = (inside.as_ptr() as usize).checked_sub(document.as_ptr() as usize)?;
    (json::kind_of(inside) == Kind::String).then_some((at, at + inside.len()))
}

/// As [`renamed`], of each server-sent event of a text of whole events. An event whose data are in several lines stays.
pub fn renamed_events(text: &[u8], paths: &[Path], name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        match renamed_line(line, paths, name) {
            Some(new) => out.extend_from_slice(&new),
            None => out.extend_from_slice(line),
        }
    }
    out
}

fn renamed_line(line: &[u8], paths: &[Path], name: &str) -> Option<Vec<u8>> {
    let line = std::str::from_utf8(line).ok()?;
    let data = line.strip_prefix("data:")?;
    let before = line.len() - data.trim_start().len();
    let document = renamed(data.trim(), paths, name)?;
    let behind = data.len() - data.trim_end().len();
    Some([line.get(..before)?.as_bytes(), &document, line.get(line.len() - behind..)?.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: &[Path] = &[&["message", "model"], &["model"]];

    #[test]
    fn only_the_name_at_the_path_is_another() {
        for (document, expected) in [
            (r#"{"a": 1.0, "model" : "m", "b":"model"}"#, Some(r#"{"a": 1.0, "model" : "n\"", "b":"model"}"#)),
            (r#"{"message":{"model":"m"},"model":"x"}"#, Some(r#"{"message":{"model":"n\""},"model":"x"}"#)),
            (r#"{"tools":[{"model":"m"}]}"#, None),
            (r#"{"model":{"type":"string"}}"#, None),
            (r#"{"model":"m","model":"m"}"#, None),
            ("[DONE]", None),
        ] {
            let new = renamed(document, PATHS, "n\"").map(|new| String::from_utf8(new).unwrap());
            assert_eq!(new.as_deref(), expected, "{document}");
        }
    }

    #[test]
    fn events_keep_their_form() {
        let text = "event: message_start\ndata: {\"message\":{\"model\":\"m\"}}  \r\n\r\n: ping\ndata:{\"model\":\"m\"}\n\ndata: [DONE]\n\n";
        let new = renamed_events(text.as_bytes(), PATHS, "other");
        assert_eq!(String::from_utf8(new).unwrap(), text.replace("\"m\"", "\"other\""));
    }
}
