//! Forms with uploads (RFC 7578), read as spans of a whole body: a gateway needs the name of the model and nothing else.
//!
//! The boundary is taken from the body itself, whose first line it is: that is where the reader of the upstream looks for
//! it, too, and a header that names another cannot lead the two apart.

use std::ops::Range;

use memchr::memmem;

/// Most parts of a form. OpenAI takes sixteen images and some twenty fields.
const MOST_PARTS: usize = 64;
/// Longest header of a part, in bytes.
const LONGEST_HEAD: usize = 4 << 10;

/// One field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    /// It carries a file.
    pub file: bool,
    /// Where its value stands in the body.
    pub value: Range<usize>,
}

/// Whether a body is a form, as far as its first bytes tell.
pub fn is_form(body: &[u8]) -> bool {
    body.starts_with(b"--")
}

/// The parts of a form, in order.
///
/// # Errors
/// What is wrong with it, in words for the caller.
pub fn parts(body: &[u8]) -> Result<Vec<Part>, &'static str> {
    let line = memmem::find(body, b"\r\n").and_then(|end| body.get(..end)).ok_or("it has no boundary")?;
    if !is_form(body) || line.len() > 72 || line.len() < 3 {
        return Err("it does not begin with its boundary");
    }
    let delimiter = [b"\r\n", line].concat();
    let finder = memmem::Finder::new(&delimiter);
    let mut parts = Vec::new();
    let mut at = line.len();
    loop {
        let rest = body.get(at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        let Some(rest) = rest.strip_prefix(b"\r\n") else { return Err("a boundary stands in the middle of a line") };
        if parts.len() == MOST_PARTS {
            return Err("it has more than 64 parts");
        }
        let head = head(rest)?;
        let start = at + 2 + head.len;
        let length = finder.find(body.get(start.saturating_sub(2)..).unwrap_or_default());
        // The line break before a boundary belongs to it, and the break behind the head may be that very one.
        let end = start.saturating_sub(2) + length.ok_or("its last boundary is missing")?;
        parts.push(Part { name: head.name, file: head.file, value: start..end.max(start) });
        at = end + delimiter.len();
    }
}

struct PartHead {
    /// With the empty line.
    len: usize,
    name: String,
    file: bool,
}

fn head(rest: &[u8]) -> Result<PartHead, &'static str> {
    let window = rest.get(..LONGEST_HEAD.min(rest.len())).unwrap_or_default();
    let end = memmem::find(window, b"\r\n\r\n").ok_or("the head of a part has no end")?;
    let text =
        window.get(..end).and_then(|head| std::str::from_utf8(head).ok()).ok_or("the head of a part is no text")?;
    let mut disposition = None;
    for line in text.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or("a line in the head of a part is no header")?;
        if name.trim().eq_ignore_ascii_case("content-disposition") && disposition.replace(value.trim()).is_some() {
            return Err("a part has two dispositions");
        }
    }
    let disposition = disposition.ok_or("a part has no `content-disposition`")?;
    let mut name = None;
    let mut file = false;
    for (key, value) in parameters(disposition) {
        match key.to_ascii_lowercase().as_str() {
            "name" if name.replace(value).is_some() => return Err("a part has two names"),
            "filename" | "filename*" => file = true,
            _ => {}
        }
    }
    Ok(PartHead { len: end + 4, name: name.ok_or("a part has no name")?, file })
}

/// `; key="value"` pairs. Browsers and SDKs write quotes in a value as `%22` or `\"`.
fn parameters(disposition: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let mut rest = disposition.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((key, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted),
            None => after.split_once(';').map_or((after.to_owned(), ""), |(value, left)| (value.to_owned(), left)),
        };
        found.push((key.trim().trim_start_matches(';').trim(), value.trim().to_owned()));
        rest = left;
    }
    found
}

/// What stands before the closing quote, and what follows it.
fn quoted_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<(String, bool, String)>, &'static str> {
        let parts = parts(body.as_bytes())?;
        Ok(parts.into_iter().map(|part| (part.name, part.file, body.get(part.value).unwrap().to_owned())).collect())
    }

    const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b\r\n\
                        content-disposition: form-data; name=file; filename=\"a;b=\\\"c\\\".wav\"\r\nContent-Type: audio/wav\r\n\
                        \r\n\r\n--bx\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--b--\r\n";

    #[test]
    fn parts_are_found_with_their_values() {
        let expected = [("model", false, "whisper-1"), ("file", true, "\r\n--bx\r\n"), ("empty", false, "")];
        // A boundary that is the beginning of another one cannot be told from it, as RFC 2046 warns its writers.
        let form = FORM.replace("--bx", "--cx");
        let expected = expected.map(|(name, file, value)| (name.to_owned(), file, value.replace("--bx", "--cx")));
        assert_eq!(read(&form).unwrap(), expected);
    }

    #[test]
    fn forms_that_are_cut_anywhere_are_refused() {
        let form = FORM.replace("--bx", "--cx");
        let whole = form.len() - "--\r\n".len();
        for end in 0..whole {
            assert!(parts(&form.as_bytes()[..end]).is_err(), "{end}: {:?}", form.get(..end));
        }
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for wrong in [
            "",
            "--\r\n",
            "{}",
            "--b\r\n\r\nx\r\n--b--",
            "--b\r\ncontent-disposition: form-data\r\n\r\nx\r\n--b--",
            "--b\r\ncontent-disposition: form-data; name=a; name=b\r\n\r\nx\r\n--b--",
            "--b\r\ncontent-disposition: form-data; name=a\r\ncontent-disposition: form-data; name=b\r\n\r\nx\r\n--b--",
            "--b\r\nno header\r\n\r\nx\r\n--b--",
        ] {
            assert!(parts(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let many = "--b\r\ncontent-disposition: form-data; name=a\r\n\r\nx\r\n".repeat(65) + "--b--";
        assert_eq!(read(&many).unwrap_err(), "it has more than 64 parts");
    }
}
