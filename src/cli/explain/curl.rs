//! Reads a curl command: the URL, the headers and the body, as a shell and curl read them; what else curl may be told does
//! not matter here. Commands that browsers and documentation write are among them: lines that go on, `$'...'`, `--json`.

use std::path::Path;

use http::{HeaderMap, Uri};

use crate::proxy::explain::{Given, Pretended, add_header};

/// Long options with a value that is not looked at. A value may also stand behind `=`.
const IGNORED: [&str; 24] = [
    "--request",
    "--output",
    "--max-time",
    "--user",
    "--connect-timeout",
    "--retry",
    "--retry-delay",
    "--cacert",
    "--cert",
    "--key",
    "--proxy",
    "--user-agent",
    "--referer",
    "--cookie",
    "--cookie-jar",
    "--write-out",
    "--resolve",
    "--interface",
    "--limit-rate",
    "--range",
    "--dump-header",
    "--aws-sigv4",
    "--oauth2-bearer",
    "--unix-socket",
];

/// Short options with a value that is not looked at.
const IGNORED_SHORT: &str = "XomuxAebcwErDyYCEz";

/// The request that `command` would make.
///
/// # Errors
/// There is no URL or no body in it, or something that is not understood.
pub(super) fn read(command: &str) -> Result<Pretended, String> {
    let mut words = words(command)?.into_iter();
    let mut told = Told::default();
    while let Some(word) = words.next() {
        let mut value =
            |option: &str| words.next().ok_or_else(|| format!("the curl command has nothing behind `{option}`"));
        match word.strip_prefix("--") {
            Some(_) => match word.split_once('=') {
                Some((option, given)) if told.takes(option) => told.option(option, given.to_owned())?,
                _ if told.takes(&word) => {
                    let given = value(&word)?;
                    told.option(&word, given)?;
                }
                _ => told.switch(&word)?,
            },
            None => match word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                Some(letters) => {
                    if let Some((option, given)) = short(letters) {
                        let given = if given.is_empty() { value(option)? } else { given.to_owned() };
                        told.option(option, given)?;
                    }
                }
                None if word == "curl" => {}
                None => told.url = Some(word),
            },
        }
    }
    told.request()
}

/// The option of a group of letters (`-sSd`) that has a value, and what of the value stands with it.
fn short(letters: &str) -> Option<(&'static str, &str)> {
    for (at, letter) in letters.char_indices() {
        let option = match letter {
            'H' => "--header",
            'd' => "--data",
            'F' => "--form",
            'T' => "--upload-file",
            letter if IGNORED_SHORT.contains(letter) => "--request",
            _ => continue,
        };
        return Some((option, letters.get(at + letter.len_utf8()..).unwrap_or_default()));
    }
    None
}

/// What the command says, as far as it has been read.
#[derive(Default)]
struct Told {
    url: Option<String>,
    /// Pieces of the body; curl joins them with `&`, those of `--json` with nothing.
    body: Option<String>,
    headers: HeaderMap,
}

impl Told {
    fn takes(&self, option: &str) -> bool {
        matches!(
            option,
            "--header"
                | "--data"
                | "--data-raw"
                | "--data-ascii"
                | "--data-binary"
                | "--json"
                | "--url"
                | "--form"
                | "--form-string"
                | "--upload-file"
                | "--data-urlencode"
        ) || IGNORED.contains(&option)
    }

    fn switch(&self, option: &str) -> Result<(), String> {
        match option {
            "--get" => Err("the curl command asks with GET; a model call is a POST".to_owned()),
            _ => Ok(()),
        }
    }

    fn option(&mut self, option: &str, value: String) -> Result<(), String> {
        match option {
            "--header" => {
                // `name;` is curl's way to send an empty one, `name:` to send none.
                let Some((name, text)) = value.split_once(':') else {
                    return match value.strip_suffix(';') {
                        Some(_) => Ok(()),
                        None => Err(format!("`{value}` is not a header")),
                    };
                };
                if !text.trim().is_empty() {
                    add_header(&mut self.headers, name.trim(), text.trim())?;
                }
            }
            "--data" | "--data-ascii" => self.add("&", file(&value, true)?.unwrap_or(value)),
            "--data-binary" => self.add("&", file(&value, false)?.unwrap_or(value)),
            "--json" => self.add("", file(&value, false)?.unwrap_or(value)),
            "--data-raw" => self.add("&", value),
            "--url" => self.url = Some(value),
            "--form" | "--form-string" | "--upload-file" | "--data-urlencode" => {
                return Err(format!("`{option}` is not understood here; give the JSON body with `-d`"));
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, between: &str, piece: String) {
        match &mut self.body {
            Some(body) => {
                body.push_str(between);
                body.push_str(&piece);
            }
            None => self.body = Some(piece),
        }
    }

    fn request(self) -> Result<Pretended, String> {
        let url = self.url.ok_or("the curl command has no URL")?;
        let body = self.body.ok_or("the curl command has no body (`-d`)")?;
        Ok(Pretended { uri: path_of(&url)?, headers: self.headers, body: body.into_bytes(), given: Given::default() })
    }
}

/// The text of `@path`; `-d` takes the line breaks out of it.
fn file(value: &str, joined: bool) -> Result<Option<String>, String> {
    let Some(path) = value.strip_prefix('@') else { return Ok(None) };
    let text = super::read(Path::new(path))?;
    Ok(Some(if joined { text.replace(['\r', '\n'], "") } else { text }))
}

/// curl adds the scheme itself where there is none.
fn path_of(url: &str) -> Result<Uri, String> {
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    url.parse().map_err(|error| format!("`{url}` is not a URL: {error}"))
}

// === words

/// The words of a command, as a shell takes them apart; nothing is substituted. A `#` between words begins a comment, and
/// the command ends where another begins.
fn words(command: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = command.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => quoted(&mut letters, word.get_or_insert_default())?,
            '"' => double_quoted(&mut letters, word.get_or_insert_default())?,
            '$' if letters.peek() == Some(&'\'') => {
                letters.next();
                ansi_quoted(&mut letters, word.get_or_insert_default())?;
            }
            '\\' => match letters.next() {
                // A line that goes on, also in a file of Windows.
                Some('\n') | None => {}
                Some('\r') => drop(letters.next_if_eq(&'\n')),
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            '#' if word.is_none() => while letters.next_if(|letter| *letter != '\n').is_some() {},
            '|' | ';' | '>' if word.is_none() => break,
            letter if letter.is_whitespace() => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

type Letters<'c> = std::iter::Peekable<std::str::Chars<'c>>;

fn quoted(letters: &mut Letters<'_>, word: &mut String) -> Result<(), String> {
    for letter in letters.by_ref() {
        if letter == '\'' {
            return Ok(());
        }
        word.push(letter);
    }
    Err(endless('\''))
}

fn double_quoted(letters: &mut Letters<'_>, word: &mut String) -> Result<(), String> {
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Ok(()),
            '\\' => match letters.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                Some('\n') | None => {}
                Some(other) => word.extend(['\\', other]),
            },
            letter => word.push(letter),
        }
    }
    Err(endless('"'))
}

/// `$'...'`, in which browsers write bodies that have quotes or letters beyond ASCII.
fn ansi_quoted(letters: &mut Letters<'_>, word: &mut String) -> Result<(), String> {
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => return Ok(()),
            '\\' => match letters.next() {
                Some('n') => word.push('\n'),
                Some('r') => word.push('\r'),
                Some('t') => word.push('\t'),
                Some('u') => word.push(code(letters, 4)),
                Some('U') => word.push(code(letters, 8)),
                Some('x') => word.push(code(letters, 2)),
                Some(other) => word.push(other),
                None => {}
            },
            letter => word.push(letter),
        }
    }
    Err(endless('\''))
}

/// The character of at most so many hexadecimal digits.
fn code(letters: &mut Letters<'_>, most: usize) -> char {
    let mut value = 0;
    for _ in 0..most {
        let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(16)) else { break };
        value = value * 16 + digit;
        letters.next();
    }
    char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn endless(sign: char) -> String {
    format!("the curl command has a {sign} without its end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_as_a_shell_reads_it() {
        let command = "curl -sN -X POST http://127.0.0.1:4356/v1/messages \\\n -H 'x-team: research' -H \"x-b: \\\"c\\\"\" \
                       -d '{\"model\":\"it'\\''s\"}'  # where hour == 3";
        let pretended = read(command).unwrap();
        assert_eq!(pretended.uri.path(), "/v1/messages");
        assert_eq!(pretended.headers["x-team"], "research");
        assert_eq!(pretended.headers["x-b"], "\"c\"");
        assert_eq!(pretended.body, br#"{"model":"it's"}"#);
        assert_eq!(read("curl 127.0.0.1:4356/v1/chat/completions -d {}").unwrap().uri.path(), "/v1/chat/completions");
    }

    #[test]
    fn every_way_to_give_a_body_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("body.json");
        std::fs::write(&path, "{\n\"a\": 1}\n").unwrap();
        let at = path.display();
        for (arguments, body) in [
            ("-d{}".to_owned(), "{}"),
            ("-sSd '{}'".to_owned(), "{}"),
            ("--data={}".to_owned(), "{}"),
            ("--json '{\"a\":' --json '1}'".to_owned(), "{\"a\":1}"),
            ("--data-raw '@x'".to_owned(), "@x"),
            ("-d a=1 -d b=2".to_owned(), "a=1&b=2"),
            (r"--data-raw $'{\'a\': \u00e9\n}'".to_owned(), "{'a': é\n}"),
            (format!("-d @{at}"), "{\"a\": 1}"),
            (format!("--data-binary @{at}"), "{\n\"a\": 1}\n"),
            ("-u user:secret -o out.json -XPOST --max-time 3 --compressed -d {} | jq .".to_owned(), "{}"),
        ] {
            let read = read(&format!("curl http://x/v1/responses {arguments}")).unwrap_or_else(|why| panic!("{why}"));
            assert_eq!(String::from_utf8(read.body).unwrap(), body, "{arguments}");
            assert_eq!(read.uri.path(), "/v1/responses");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (command, expected) in [
            ("curl -d x", "no URL"),
            ("curl http://x", "no body"),
            ("curl http://x -d 'x", "without its end"),
            ("curl http://x -d", "nothing behind"),
            ("curl http://x -F a=b", "--form"),
            ("curl http://x -d @/no/such/file", "cannot be read"),
        ] {
            let problem = read(command).err().unwrap();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
