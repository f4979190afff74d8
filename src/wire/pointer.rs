//! Edits by JSON Pointer (RFC 6901). What an edit does not touch stays byte for byte.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::envelope::{Edit, splice};
use super::json;
use super::outline::Outline;

/// Why an edit cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    #[error("`{0}` is not a JSON Pointer; it must begin with `/`")]
    Syntax(String),
    #[error("`{0}` leads into something that is neither an object nor an array")]
    NotAContainer(String),
    #[error("`{0}` is not a position in the array")]
    Index(String),
}

/// The steps of a pointer, unescaped.
///
/// # Errors
/// A text that is not a pointer to a member (the empty pointer is the whole document and cannot be edited).
pub fn steps(pointer: &str) -> Result<Vec<Cow<'_, str>>, PointerError> {
    let rest = pointer.strip_prefix('/').ok_or_else(|| PointerError::Syntax(pointer.to_owned()))?;
    let unescape = |step| match memchr::memchr(b'~', str::as_bytes(step)) {
        None => Cow::Borrowed(step),
        Some(_) => Cow::Owned(step.replace("~1", "/").replace("~0", "~")),
    };
    Ok(rest.split('/').map(unescape).collect())
}

/// The value that `steps` lead to.
pub fn get<'a>(text: &'a str, steps: &[Cow<'_, str>]) -> Option<&'a str> {
    let (step, rest) = steps.split_first()?;
    let value = match Outline::parse(text) {
        Ok(object) => object.get(step)?,
        Err(_) => serde_json::from_str::<Vec<&'a RawValue>>(text).ok()?.get(step.parse::<usize>().ok()?)?.get(),
    };
    if rest.is_empty() { Some(value) } else { get(value, rest) }
}

/// `text` with the value at `steps` set; containers on the way are made where they are missing.
///
/// # Errors
/// A step into a scalar, or a position that the array does not have (`-` appends).
pub fn set(text: &str, steps: &[Cow<'_, str>], value: &str) -> Result<String, PointerError> {
    edit(text, steps, Some(value))
}

/// `text` without the value at `steps`; unchanged where there is none.
///
/// # Errors
/// A step into a scalar.
pub fn remove(text: &str, steps: &[Cow<'_, str>]) -> Result<String, PointerError> {
    edit(text, steps, None)
}

fn edit(text: &str, steps: &[Cow<'_, str>], value: Option<&str>) -> Result<String, PointerError> {
    let Some((step, rest)) = steps.split_first() else { return Ok(value.unwrap_or("null").to_owned()) };
    if let Ok(object) = Outline::parse(text) {
        return edit_object(text, &object, step, rest, value);
    }
    let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) else {
        return Err(PointerError::NotAContainer(step.clone().into_owned()));
    };
    edit_array(&elements, step, rest, value)
}

fn edit_object(
    text: &str,
    object: &Outline<'_>,
    step: &str,
    rest: &[Cow<'_, str>],
    value: Option<&str>,
) -> Result<String, PointerError> {
    let edits = match (object.get(step), value) {
        (None, None) => return Ok(text.to_owned()),
        (Some(_), None) if rest.is_empty() => [Edit::Remove(step)],
        (inner, _) => {
            let made = if rest.first().is_some_and(|step| step == "-") { "[]" } else { "{}" };
            let inner = inner.unwrap_or(made);
            let inner = if rest.is_empty() { value.unwrap_or("null").to_owned() } else { edit(inner, rest, value)? };
            [Edit::Set(step, inner.into_bytes().into())]
        }
    };
    let pieces = splice(&Bytes::copy_from_slice(text.as_bytes()), text.as_bytes(), object, &edits);
    Ok(String::from_utf8_lossy(&pieces.concat()).into_owned())
}

fn edit_array(
    elements: &[&RawValue],
    step: &str,
    rest: &[Cow<'_, str>],
    value: Option<&str>,
) -> Result<String, PointerError> {
    let at =
        if step == "-" { elements.len() } else { step.parse().map_err(|_| PointerError::Index(step.to_owned()))? };
    let mut texts: Vec<Cow<'_, str>> = elements.iter().map(|element| Cow::Borrowed(element.get())).collect();
    let len = texts.len();
    match (texts.get_mut(at), value) {
        (Some(_), None) if rest.is_empty() => {
            texts.remove(at);
        }
        (Some(element), _) => *element = Cow::Owned(edit(element, rest, value)?),
        (None, None) => {}
        (None, Some(_)) if at == len => texts.push(Cow::Owned(edit("{}", rest, value)?)),
        (None, Some(_)) => return Err(PointerError::Index(step.to_owned())),
    }
    let mut out = Vec::new();
    json::array(&mut out, &texts, |text, out| out.extend_from_slice(text.as_bytes()));
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_set(text: &str, pointer: &str, value: &str, expect: &str) {
        assert_eq!(set(text, &steps(pointer).unwrap(), value).as_deref(), Ok(expect), "{pointer}");
    }

    #[test]
    fn a_member_is_set_where_the_pointer_leads() {
        check_set(r#"{"a":1.0,"b":2}"#, "/b", "3", r#"{"a":1.0,"b":3}"#);
        check_set(r#"{"a":1}"#, "/c/d", "true", r#"{"a":1,"c":{"d":true}}"#);
        check_set(r#"{"a":[1,{"b":2}]}"#, "/a/1/b", "9", r#"{"a":[1,{"b":9}]}"#);
        check_set(r#"{"a":[1]}"#, "/a/-", "2", r#"{"a":[1,2]}"#);
        check_set("{}", "/a/-", "2", r#"{"a":[2]}"#);
        check_set("{}", "/a/-/b", "2", r#"{"a":[{"b":2}]}"#);
        check_set("{}", "/x~1y/~0", "1", r#"{"x/y":{"~":1}}"#);
    }

    #[test]
    fn a_member_is_removed_where_the_pointer_leads() {
        let check = |text: &str, pointer: &str, expect: &str| {
            assert_eq!(remove(text, &steps(pointer).unwrap()).as_deref(), Ok(expect), "{pointer}");
        };
        check(r#"{"a":1,"b":{"c":2,"d":3}}"#, "/b/c", r#"{"a":1,"b":{"d":3}}"#);
        check(r#"{"a":[1,2,3]}"#, "/a/1", r#"{"a":[1,3]}"#);
        check(r#"{"a":1}"#, "/x/y", r#"{"a":1}"#);
    }

    #[test]
    fn wrong_pointers_are_refused() {
        assert_eq!(steps("a"), Err(PointerError::Syntax("a".to_owned())));
        assert!(set("{\"a\":1}", &steps("/a/b").unwrap(), "1").is_err());
        assert!(set("{\"a\":[]}", &steps("/a/7").unwrap(), "1").is_err());
    }

    #[test]
    fn a_value_is_found() {
        let found = get(r#"{"a":[{"b":"x"}]}"#, &steps("/a/0/b").unwrap());
        assert_eq!(found, Some("\"x\""));
    }
}
