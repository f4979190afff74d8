//! An answer that is almost JSON, mended: what stands around the first value goes, and commas before a closing bracket.
//! Nothing is invented: a text that ends too early stays as it is.

/// How many places are tried where a value may begin.
const BEGINNINGS: usize = 8;

/// The first JSON object or array in `text`; `None` where there is none.
pub fn mend(text: &str) -> Option<String> {
    let beginnings = text.match_indices(['{', '[']).map(|(at, _)| at);
    let mut tried = 0;
    let mut behind = 0;
    for at in beginnings {
        // What lies within a value that was tried is no beginning of its own.
        if at < behind {
            continue;
        }
        tried += 1;
        if tried > BEGINNINGS {
            return None;
        }
        // What ends too early has lost something, and its parts are not the answer.
        let (value, length) = value(text.get(at..)?)?;
        if serde_json::from_str::<serde::de::IgnoredAny>(&value).is_ok() {
            return Some(value);
        }
        behind = at + length;
    }
    None
}

/// The text up to the bracket that closes the first one, without superfluous commas, and its length as it was.
fn value(text: &str) -> Option<(String, usize)> {
    let mut out = String::new();
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (at, character) in text.char_indices() {
        if in_string {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
        } else {
            match character {
                '"' => in_string = true,
                '{' | '[' => depth += 1,
                '}' | ']' => {
                    drop_comma(&mut out);
                    depth -= 1;
                    if depth == 0 {
                        out.push(character);
                        return Some((out, at + 1));
                    }
                }
                _ => {}
            }
        }
        out.push(character);
    }
    None
}

/// Removes a comma at the end of `out`, white space behind it left aside.
fn drop_comma(out: &mut String) {
    let end = out.trim_end();
    if end.ends_with(',') {
        let at = end.len() - 1;
        out.remove(at);
    }
}

#[cfg(test)]
mod tests {
    use super::mend;

    #[test]
    fn what_is_around_a_value_goes_and_superfluous_commas_too() {
        for (text, mended) in [
            ("Sure:\n```json\n{\"a\": [1, 2, ],}\n```\nDone {really}.", Some("{\"a\": [1, 2 ]}")),
            ("[{\"a\":\",}\"},]", Some("[{\"a\":\",}\"}]")),
            ("{\"a\":1}", Some("{\"a\":1}")),
            ("{not json} {\"a\":1}", Some("{\"a\":1}")),
            ("{\"a\":\"cut", None),
            ("{\"a\":{\"b\":1}", None),
            ("no brackets", None),
            ("}{", None),
            ("]", None),
        ] {
            assert_eq!(mend(text).as_deref(), mended, "{text}");
        }
    }

    #[test]
    fn texts_full_of_brackets_come_to_an_end() {
        assert_eq!(mend(&"{".repeat(100_000)), None);
        assert_eq!(mend(&"[}".repeat(100_000)), None);
    }
}
