//! Reads a curl command: the URL, the headers and the body; what else curl may be told does not matter here.

use http::{HeaderMap, Uri};

use crate::proxy::explain::{Given, Pretended, add_header};

/// Options whose value is not looked at.
const IGNORED_WITH_VALUE: [&str; 8] = ["-X", "--request", "-o", "--output", "-m", "--max-time", "-u", "--user"];

/// The request that `command` would make.
///
/// # Errors
/// There is no URL or no body in it.
pub(super) fn read(command: &str) -> Result<Pretended, String> {
    let mut words = words(command)?.into_iter();
    let (mut uri, mut body, mut headers) = (None, None, HeaderMap::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "-H" | "--header" => {
                let header = words.next().unwrap_or_default();
                let (name, value) = header.split_once(':').ok_or_else(|| format!("`{header}` is not a header"))?;
                add_header(&mut headers, name.trim(), value.trim())?;
            }
            "-d" | "--data" | "--data-raw" | "--data-binary" | "--json" => body = words.next(),
            "curl" => {}
            word if IGNORED_WITH_VALUE.contains(&word) => drop(words.next()),
            word if word.starts_with('-') => {}
            url => uri = Some(url.to_owned()),
        }
    }
    let url = uri.ok_or("the curl command has no URL")?;
    let body = body.ok_or("the curl command has no body (`-d`)")?;
    if body.starts_with('@') {
        return Err("a body from a file is given as `routeplane explain FILE`".to_owned());
    }
    Ok(Pretended { uri: path_of(&url)?, headers, body: body.into_bytes(), given: Given::default() })
}

/// curl adds the scheme itself where there is none.
fn path_of(url: &str) -> Result<Uri, String> {
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    url.parse().map_err(|error| format!("`{url}` is not a URL: {error}"))
}

/// The words of a command, as a POSIX shell takes them apart; nothing is substituted.
fn words(command: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = command.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => quoted(&mut letters, '\'', false, word.get_or_insert_default())?,
            '"' => quoted(&mut letters, '"', true, word.get_or_insert_default())?,
            '\\' => match letters.next() {
                // A line that goes on.
                Some('\n') | None => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            letter if letter.is_whitespace() => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(letters: &mut std::str::Chars<'_>, end: char, escapes: bool, word: &mut String) -> Result<(), String> {
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter == end => return Ok(()),
            '\\' if escapes => match letters.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                Some('\n') | None => {}
                Some(other) => word.extend(['\\', other]),
            },
            letter => word.push(letter),
        }
    }
    Err(format!("the curl command has a {end} without its end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_as_a_shell_reads_it() {
        let command = "curl -sN -X POST http://127.0.0.1:4356/v1/messages \\\n -H 'x-team: research' -H \"x-b: \\\"c\\\"\" \
                       -d '{\"model\":\"it'\\''s\"}'";
        let pretended = read(command).unwrap();
        assert_eq!(pretended.uri.path(), "/v1/messages");
        assert_eq!(pretended.headers["x-team"], "research");
        assert_eq!(pretended.headers["x-b"], "\"c\"");
        assert_eq!(pretended.body, br#"{"model":"it's"}"#);
        assert_eq!(read("curl 127.0.0.1:4356/v1/chat/completions -d {}").unwrap().uri.path(), "/v1/chat/completions");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (command, expected) in
            [("curl -d x", "no URL"), ("curl http://x", "no body"), ("curl http://x -d 'x", "without its end")]
        {
            let problem = read(command).err().unwrap();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
