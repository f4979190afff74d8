//! Conversations that the gateway keeps: turns as they were sent and answered, and the items they are made of.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::response::item_id;
use crate::wire::ir::Error;
use crate::wire::json::{self, JsonError, Kind, Object};

/// One turn, as the caller and the answer wrote it.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// The value of the request's `input`; empty for none.
    pub input: &'a str,
    /// The whole answer.
    pub response: &'a str,
}

/// `input` for a request that goes on after `turns` with `new` (the value of its own `input`, `None` where it has none):
/// one list of items. Ids of earlier items are left out: nobody upstream knows them.
///
/// # Errors
/// A `new` that is neither a text nor a list.
pub fn continued(turns: &[Turn<'_>], new: Option<&str>) -> Result<Vec<u8>, Error> {
    let mut items: Vec<Cow<'_, str>> = Vec::new();
    for turn in turns {
        items.extend(input_items(turn.input).unwrap_or_default().into_iter().map(nameless));
        items.extend(output_items(turn.response).into_iter().map(|item| nameless(Cow::Borrowed(item))));
    }
    items.extend(input_items(new.unwrap_or_default())?);
    let mut out = Vec::new();
    json::array(&mut out, items, |item, out| out.extend_from_slice(item.as_bytes()));
    Ok(out)
}

/// The id of a whole answer, `None` where it has none.
pub fn id_of(response: &str) -> Option<String> {
    super::peek::id_of(response)
}

/// `items` without thoughts: a provider takes back only its own.
///
/// # Errors
/// Text that is no list.
pub fn without_thoughts(items: &str) -> Result<Vec<u8>, Error> {
    let items = input_items(items)?.into_iter().filter(|item| kind_of(item).as_deref() != Some("reasoning"));
    let mut out = Vec::new();
    json::array(&mut out, items, |item, out| out.extend_from_slice(item.as_bytes()));
    Ok(out)
}

/// The items that a list of input items shows, oldest first, each with an id. `scope` is the answer's id: the same item
/// has the same id whenever it is asked for.
pub fn listed(turns: &[Turn<'_>], scope: &str) -> Vec<(String, String)> {
    let mut items: Vec<Cow<'_, str>> = Vec::new();
    let last = turns.len().saturating_sub(1);
    for (at, turn) in turns.iter().enumerate() {
        items.extend(input_items(turn.input).unwrap_or_default());
        if at < last {
            items.extend(output_items(turn.response).into_iter().map(Cow::Borrowed));
        }
    }
    items.into_iter().enumerate().map(|(at, item)| named(&item, scope, at)).collect()
}

/// The items of an `input`: a text is one message of the user's.
fn input_items(input: &str) -> Result<Vec<Cow<'_, str>>, Error> {
    let wrong = || JsonError::Type { key: "input".to_owned(), expected: "a string or a list of items" };
    match input.trim_start().as_bytes().first() {
        None | Some(b'n') => Ok(Vec::new()),
        Some(b'"') => {
            let mut item = Vec::new();
            json::object(&mut item, |item| {
                item.field("role", "user");
                item.key("content").extend_from_slice(input.as_bytes());
            });
            Ok(vec![Cow::Owned(String::from_utf8_lossy(&item).into_owned())])
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(input).map_err(|_| wrong())?;
            Ok(items.into_iter().map(|item| Cow::Borrowed(item.get())).collect())
        }
        Some(_) => Err(wrong().into()),
    }
}

fn output_items(response: &str) -> Vec<&str> {
    let output = Object::parse(response).ok().and_then(|answer| answer.get("output"));
    let items = output.and_then(|output| json::elements(output, "output").ok()).unwrap_or_default();
    items.into_iter().map(RawValue::get).collect()
}

fn kind_of(item: &str) -> Option<String> {
    Object::parse(item).ok()?.string("type").ok()?
}

/// The item without its id. What is no object stays: whoever reads it says what is wrong with it.
fn nameless(item: Cow<'_, str>) -> Cow<'_, str> {
    let rewritten = Object::parse(&item).ok().filter(|object| object.get("id").is_some()).map(|object| {
        let mut out = Vec::new();
        json::object(&mut out, |writer| {
            for member in object.members().iter().filter(|member| member.key != "id") {
                writer.raw(&member.key, member.value);
            }
        });
        String::from_utf8_lossy(&out).into_owned()
    });
    rewritten.map_or(item, Cow::Owned)
}

/// The item with its id and its type, and the id. Content of a message that is a text becomes a list, as OpenAI lists it.
fn named(item: &str, scope: &str, at: usize) -> (String, String) {
    let Ok(mut object) = Object::parse(item) else { return (String::new(), item.to_owned()) };
    let kind = object.get("type").and_then(json::str_of).map_or_else(|| "message".to_owned(), Cow::into_owned);
    let prefix = match kind.as_str() {
        "message" => "msg",
        "reasoning" => "rs",
        _ => "fc",
    };
    let id = object.string("id").ok().flatten().unwrap_or_else(|| item_id(prefix, &format!("{scope}/input"), at));
    object.take("type");
    let text = object.get("content").filter(|raw| json::kind(raw) == Kind::String).map(|raw| raw.get().to_owned());
    let assistant = object.get("role").and_then(json::str_of).is_some_and(|role| role == "assistant");
    let mut out = Vec::new();
    json::object(&mut out, |writer| {
        writer.field("id", &id);
        writer.field("type", &kind);
        if kind == "message" && object.get("status").is_none() {
            writer.field("status", "completed");
        }
        for member in object.members() {
            match &text {
                Some(text) if member.key == "content" => writer.array("content", [()], |(), out| {
                    json::object(out, |part| {
                        part.field("type", if assistant { "output_text" } else { "input_text" });
                        part.key("text").extend_from_slice(text.as_bytes());
                        if assistant {
                            part.key("annotations").extend_from_slice(b"[]");
                        }
                    });
                }),
                _ => writer.raw(&member.key, member.value),
            }
        }
    });
    (id, String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Turn<'static> = Turn {
        input: "\"one\"",
        response: r#"{"id":"resp_1","output":[{"id":"rs_1","type":"reasoning","summary":[]},{"id":"msg_1","type":"message","role":"assistant","content":[]}]}"#,
    };

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_conversation_goes_on_without_ids() {
        let second = Turn { input: r#"[{"role":"user","content":"two","id":"mine"}]"#, response: "{}" };
        let whole = text(continued(&[FIRST, second], Some(r#""three""#)).unwrap());
        let expected = r#"[{"role":"user","content":"one"},{"type":"reasoning","summary":[]},{"type":"message","role":"assistant","content":[]},{"role":"user","content":"two"},{"role":"user","content":"three"}]"#;
        assert_eq!(whole, expected);
        assert_eq!(
            text(without_thoughts(&whole).unwrap()),
            expected.replace(r#"{"type":"reasoning","summary":[]},"#, "")
        );
        assert_eq!(text(continued(&[], None).unwrap()), "[]");
        assert_eq!(continued(&[], Some("7")).unwrap_err().status, 400);
    }

    #[test]
    fn listed_items_have_ids_that_stay() {
        let items = listed(&[FIRST, Turn { input: "\"two\"", response: "{}" }], "resp_2");
        let ids: Vec<&str> = items.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!((ids.len(), ids[1], ids[2]), (4, "rs_1", "msg_1"));
        assert!(ids[0].starts_with("msg_") && ids[3].starts_with("msg_") && ids[0] != ids[3], "{ids:?}");
        assert!(items[3].1.contains(r#""content":[{"type":"input_text","text":"two"}]"#), "{}", items[3].1);
        assert_eq!(items, listed(&[FIRST, Turn { input: "\"two\"", response: "{}" }], "resp_2"));
    }
}
