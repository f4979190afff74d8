//! What is left of an answer's `usage` where the hub's counts are taken out: an object of the same form, kept as `usage` in
//! the `ext` of the answer. The protocol that it is of writes it back; to any other it is a loss, member by member
//! ([`super::loss::Losses::dropped_extra`]).

use serde_json::value::RawValue;

use super::json::{self, Ext, Kind, Object, ObjectWriter};

/// Where it stands in the `ext` of an answer.
pub(super) const MEMBER: &str = "usage";

/// What is left of `usage`, `None` where nothing is. `read`: the members that the hub has, an inner one behind a full stop
/// (`details.cached`).
pub(super) fn of(usage: &Object<'_>, read: &[&str]) -> Option<Box<RawValue>> {
    let left = left(usage, "", read);
    let mut text = Vec::new();
    json::object(&mut text, |object| object.ext(&left));
    (!left.0.is_empty()).then(|| json::raw(String::from_utf8(text).ok()?)).flatten()
}

/// As [`of`], of the value of `usage`, as a member of the `ext` of an answer.
pub(super) fn member(usage: Option<&RawValue>, read: &[&str]) -> Option<(String, Box<RawValue>)> {
    let usage = Object::of(usage.filter(|raw| json::kind(raw) == Kind::Object)?).ok()?;
    of(&usage, read).map(|left| (MEMBER.to_owned(), left))
}

fn left(object: &Object<'_>, outer: &str, read: &[&str]) -> Ext {
    let mut left = Ext::default();
    for member in object.members() {
        let path = format!("{outer}{}", member.key);
        let inner = format!("{path}.");
        let value = if json::kind(member.value) == Kind::Null {
            Some(member.value.to_owned())
        } else if read.contains(&path.as_str()) {
            None
        } else if read.iter().any(|read| read.starts_with(&inner)) {
            Object::of(member.value).ok().and_then(|object| {
                let rest = self::left(&object, &inner, read);
                let mut text = Vec::new();
                json::object(&mut text, |object| object.ext(&rest));
                (!rest.0.is_empty()).then(|| json::raw(String::from_utf8(text).ok()?)).flatten()
            })
        } else {
            Some(member.value.to_owned())
        };
        left.0.extend(value.map(|value| (member.key.to_string(), value)));
    }
    left
}

/// Writes the member `usage`: the counts that `fill` writes, and what was left in `ext`.
pub(super) fn write(ext: Option<&Ext>, writer: &mut ObjectWriter<'_>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    let Some(left) = ext.and_then(|ext| Object::of(ext.get(MEMBER)?).ok()) else {
        return writer.object(MEMBER, fill);
    };
    let mut counts = Vec::new();
    json::object(&mut counts, fill);
    let counts = String::from_utf8(counts).unwrap_or_default();
    match Object::parse(&counts) {
        Ok(counts) => writer.object(MEMBER, |usage| join(&counts, &left, usage)),
        // What was written just now is an object.
        Err(_) => writer.object(MEMBER, |_| {}),
    }
}

/// Writes the members of both; what was left wins where it says something.
fn join(counts: &Object<'_>, left: &Object<'_>, out: &mut ObjectWriter<'_>) {
    for count in counts.members() {
        match left.get(&count.key).filter(|left| json::kind(left) != Kind::Null) {
            None => out.raw(&count.key, count.value),
            Some(more) => match (Object::of(count.value), Object::of(more)) {
                (Ok(count_of), Ok(more)) => out.object(&count.key, |inner| join(&count_of, &more, inner)),
                _ => out.raw(&count.key, more),
            },
        }
    }
    for more in left.members().iter().filter(|more| counts.get(&more.key).is_none()) {
        out.raw(&more.key, more.value);
    }
}

/// Writes the members of `ext`, without what [`write`] writes.
pub(super) fn write_others(ext: &Ext, writer: &mut ObjectWriter<'_>) {
    ext.0.iter().filter(|(key, _)| key != MEMBER).for_each(|(key, value)| writer.raw(key, value));
}

/// What the provider charges, which `x-routeplane-cost-usd` tells every caller.
const CHARGED: [&str; 3] = ["usage.cost", "usage.cost.total_cost", "usage.cost_in_usd_ticks"];

/// Paths of what was left, those left out that count nothing, and what is told elsewhere.
pub(super) fn told(left: &RawValue) -> Vec<String> {
    let mut paths = Vec::new();
    if let Ok(left) = Object::of(left) {
        collect(&left, MEMBER, &mut paths);
    }
    paths
}

fn collect(object: &Object<'_>, outer: &str, paths: &mut Vec<String>) {
    for member in object.members() {
        let path = format!("{outer}.{}", member.key);
        match Object::of(member.value) {
            Ok(inner) => collect(&inner, &path, paths),
            Err(_) if counts_nothing(member.value) || CHARGED.contains(&path.as_str()) => {}
            Err(_) => paths.push(path),
        }
    }
}

fn counts_nothing(raw: &RawValue) -> bool {
    match json::kind(raw) {
        Kind::Null => true,
        Kind::Bool => raw.get() == "false",
        Kind::Number => raw.get().parse::<f64>().is_ok_and(|number| number == 0.0),
        Kind::String => raw.get().len() == 2,
        Kind::Array | Kind::Object => json::says_nothing(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &[&str] = &["input", "details.cached", "cost.total"];

    fn ext(usage: &str) -> Ext {
        Ext(member(Some(&json::raw(usage).unwrap()), READ).into_iter().collect())
    }

    #[test]
    fn what_the_hub_has_is_taken_out_and_comes_back() {
        let usage = r#"{"input":7,"details":{"cached":2,"text":5},"queue":0.5,"none":null,"tier":"a"}"#;
        let left = ext(usage);
        let expected = r#"{"details":{"text":5},"queue":0.5,"none":null,"tier":"a"}"#;
        assert_eq!(left.get(MEMBER).unwrap().get(), expected);
        assert_eq!(told(left.get(MEMBER).unwrap()), ["usage.details.text", "usage.queue", "usage.tier"]);
        let mut out = Vec::new();
        json::object(&mut out, |answer| {
            write(Some(&left), answer, |counts| {
                counts.field("input", &7);
                counts.object("details", |details| details.field("cached", &2));
            });
            write_others(&left, answer);
        });
        let [written, given]: [serde_json::Value; 2] =
            [String::from_utf8(out).unwrap(), format!(r#"{{"usage":{usage}}}"#)]
                .map(|text| serde_json::from_str(&text).unwrap());
        assert_eq!(written, given);
    }

    #[test]
    fn nothing_is_left_of_known_counts_and_of_what_counts_nothing_nothing_is_told() {
        assert!(ext(r#"{"input":7,"details":{"cached":2},"cost":0.5}"#).is_empty());
        assert!(member(None, READ).is_none() && member(Some(&json::raw("7").unwrap()), READ).is_none());
        let silent = ext(r#"{"a":0,"b":0.0,"c":false,"d":"","e":[],"f":{"g":null},"cost":{"total":1,"rest":0}}"#);
        assert_eq!(told(silent.get(MEMBER).unwrap()), [""; 0]);
    }
}
