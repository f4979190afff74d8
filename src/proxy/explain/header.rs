//! The explanation of one request that is sent, in a header of its answer: asked for with `x-routeplane-explain: 1`, given
//! where the file allows it. It is JSON in ASCII, bounded, and holds nothing of a prompt or an answer.

use http::HeaderMap;
use serde_json::{Value, json};

use crate::proxy::admin::FORWARDED;
use crate::table::dump::lane_word;
use crate::table::explain::{AttemptExplained, Explanation};
use crate::table::{ClientKey, RoutingTable};

/// The header of the question, and of its answer.
pub(in crate::proxy) const NAME: &str = "x-routeplane-explain";

/// Bytes of the answer: proxies and clients take heads of 4 to 8 KiB, and other headers want room, too.
const LONGEST: usize = 3_000;
/// Characters of one text in it.
const LONGEST_TEXT: usize = 120;
/// Entries of each list, the first that fits.
const ENTRIES: [usize; 5] = [64, 16, 6, 2, 0];

const NOT_ALLOWED: &str =
    r#"{"error":"not allowed here: set `allow_explain: true` in the gateway's file, or for your client key"}"#;

/// What the header of an answer says, where the request asks; `explain` is asked where the caller may know.
pub(in crate::proxy) fn told<'t>(
    (table, key): (&RoutingTable, Option<&ClientKey>),
    headers: &HeaderMap,
    generation: u64,
    explain: impl FnOnce() -> Explanation<'t>,
) -> Option<String> {
    let asked = headers.get(NAME)?;
    if !matches!(asked.as_bytes(), b"1" | b"true") {
        return None;
    }
    Some(if is_allowed(table, key, headers) { text(&explain(), generation) } else { NOT_ALLOWED.to_owned() })
}

/// Without a word in the file: to whom the gateway would tell it as its operator, too.
fn is_allowed(table: &RoutingTable, key: Option<&ClientKey>, headers: &HeaderMap) -> bool {
    let local = || table.keys.is_empty() && !FORWARDED.iter().any(|name| headers.contains_key(*name));
    key.and_then(|key| key.allow_explain).or(table.allow_explain).unwrap_or_else(local)
}

/// With as much of each list as there is room for.
fn text(explanation: &Explanation<'_>, generation: u64) -> String {
    let texts = ENTRIES.into_iter().map(|most| ascii(&compact(explanation, generation, most).to_string()));
    texts.into_iter().find(|text| text.len() <= LONGEST).unwrap_or_default()
}

fn compact(explanation: &Explanation<'_>, generation: u64, most: usize) -> Value {
    let Explanation { rules, attempts, skipped, health, turns, wishes, names, decision, .. } = explanation;
    let tried = rules.iter().filter_map(|rule| Some((rule.number, rule.failed.as_ref()?)));
    let tried = tried.map(|(number, failed)| {
        json!({ "rule": number, "because": cut(&failed.condition), "actual": failed.actual.as_deref().map(cut) })
    });
    let lists: [(&str, usize, Vec<Value>); 7] = [
        ("not_fired", rules.len(), tried.take(most).collect()),
        ("wishes", wishes.len(), wishes.iter().take(most).map(|wish| cut(wish).into()).collect()),
        ("names", names.len(), names.iter().take(most).map(|name| cut(&name.to_string()).into()).collect()),
        ("attempts", attempts.len(), attempts.iter().take(most).map(attempt).collect()),
        ("skipped", skipped.len(), skipped.iter().take(most).map(attempt).collect()),
        ("health", health.len(), health.iter().take(most).map(|(target, vitals)| vitals.json(&cut(target))).collect()),
        (
            "turns",
            turns.len(),
            turns.iter().take(most).map(|(of, turn)| json!({ "of": cut(of), "turn": turn })).collect(),
        ),
    ];
    let mut said = json!({
        "generation": generation,
        "model": cut(explanation.model),
        "rule": decision.rule,
        "route": cut(&decision.route),
        "draw": explanation.draw,
    });
    let is_cut = lists.iter().any(|(_, whole, _)| *whole > most);
    if let Some(members) = said.as_object_mut() {
        let filled = lists.into_iter().filter(|(_, _, list)| !list.is_empty());
        members.extend(filled.map(|(name, _, list)| (name.to_owned(), list.into())));
        members.extend(is_cut.then(|| ("cut".to_owned(), true.into())));
    }
    said
}

fn attempt(attempt: &AttemptExplained<'_>) -> Value {
    let mut said = json!({ "target": cut(&attempt.target), "lane": lane_word(attempt.lane) });
    let condition = attempt.condition.word();
    if let (Some(members), true) = (said.as_object_mut(), condition != "up") {
        members.insert("condition".to_owned(), condition.into());
    }
    said
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// JSON in which what is not ASCII is escaped; it stands in texts alone.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() && letter != '\u{7f}' {
            out.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Env, Files};
    use crate::rule::request::RequestShape;
    use crate::table::explain::explain;
    use crate::table::wishes::Asked;
    use crate::table::{Draw, Health};

    struct NoFiles;

    impl Files for NoFiles {
        fn read(&self, _: &str) -> Result<String, String> {
            Err("there are no files".to_owned())
        }
    }

    fn table(text: &str) -> RoutingTable {
        let inputs = config::Inputs { file: Some(("t", text)), listen: None, env: &Env::default(), files: &NoFiles };
        config::compile(inputs).table.unwrap()
    }

    fn said(table: &RoutingTable, model: &str) -> String {
        let shape = RequestShape::new(model);
        let explanation = explain(table, &shape, (&Asked::Nothing, &[]), &Health::new(table), Draw(0.5));
        text(&explanation, 7)
    }

    #[test]
    fn it_is_short_and_whole_where_there_is_room() {
        let table = table("version: 1\nrules: |\n  when user == \"ü\" -> demo/echo\n  otherwise -> demo/chat\n");
        let text = said(&table, "größe");
        assert!(text.is_ascii(), "{text}");
        let expected = json!({
            "generation": 7, "model": "größe", "rule": 2, "route": "rule 2", "draw": 0.5,
            "not_fired": [{ "rule": 1, "because": "user == \"ü\"", "actual": "absent" }],
            "attempts": [{ "target": "demo/chat", "lane": "pass-through" }],
        });
        let said: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(said, expected);
    }

    #[test]
    fn it_is_bounded() {
        let rule = |at: usize| format!("  when header(\"x-{at}\") == \"{}\" -> demo/echo\n", "é".repeat(200));
        let rules: String = (0..100).map(rule).collect();
        let table = table(&format!("version: 1\nrules: |\n{rules}  otherwise -> demo/chat\n"));
        let text = said(&table, &"ß".repeat(1_000));
        assert!(text.len() <= LONGEST && text.len() > 500, "{} bytes", text.len());
        let said: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&said["cut"], &said["rule"]), (&json!(true), &json!(101)));
    }
}
