//! Rate limits as upstreams tell them: read for pauses, and written in the words of the caller's protocol.
//!
//! Two families: OpenAI's `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, whose resets are durations (`1m30s`; at Azure
//! seconds), and Anthropic's `anthropic-ratelimit-{requests,tokens,...}-{limit,remaining,reset}`, whose resets are dates.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::wire::ProtocolId;

/// What is limited, in the words of both families.
const KINDS: [&str; 4] = ["requests", "tokens", "input-tokens", "output-tokens"];

/// One limit.
#[derive(Debug, Clone, PartialEq)]
struct Limit {
    kind: &'static str,
    limit: Option<HeaderValue>,
    remaining: Option<HeaderValue>,
    reset: Option<SystemTime>,
}

/// How long an upstream asks to be left alone: `retry-after-ms`, or `retry-after` in seconds or as a date (RFC 9110, section
/// 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let number =
        |name: &str, unit: f64| Duration::try_from_secs_f64(text(headers, name)?.parse::<f64>().ok()? * unit).ok();
    number("retry-after-ms", 0.001).or_else(|| number("retry-after", 1.0)).or_else(|| {
        let date = httpdate::parse_http_date(text(headers, "retry-after")?).ok()?;
        date.duration_since(now).ok()
    })
}

/// When the limits that are used up begin anew, the last of them.
pub(super) fn used_up(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let is_used_up = |limit: &Limit| limit.remaining.as_ref().is_some_and(|value| value.as_bytes() == b"0");
    let resets = read(headers, now).into_iter().filter(is_used_up).filter_map(|limit| limit.reset);
    resets.chain(openrouters(headers)).filter_map(|reset| reset.duration_since(now).ok()).max()
}

/// OpenRouter's `x-ratelimit-reset`, in milliseconds since 1970.
fn openrouters(headers: &HeaderMap) -> Option<SystemTime> {
    let reset: u64 = text(headers, "x-ratelimit-reset")
        .filter(|_| text(headers, "x-ratelimit-remaining") == Some("0"))?
        .parse()
        .ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(reset))
}

/// The limits of an upstream of another protocol, in the names that clients of `caller` read; as they came where that protocol
/// has no such names.
pub(super) fn translated(headers: &HeaderMap, caller: ProtocolId, now: SystemTime) -> HeaderMap {
    let openai = text(headers, "x-ratelimit-limit-requests").or(text(headers, "x-ratelimit-limit-tokens")).is_some();
    match caller {
        ProtocolId::AnthropicMessages if openai => {
            write(&read(headers, now), |kind, what| format!("anthropic-ratelimit-{kind}-{what}"), date)
        }
        ProtocolId::OpenAiChat | ProtocolId::OpenAiResponses if !openai && is_anthropics(headers) => {
            let duration = |reset: SystemTime| duration(reset.duration_since(now).unwrap_or_default());
            write(&read(headers, now), |kind, what| format!("x-ratelimit-{what}-{kind}"), duration)
        }
        ProtocolId::OpenAiChat
        | ProtocolId::OpenAiResponses
        | ProtocolId::AnthropicMessages
        | ProtocolId::Gemini
        | ProtocolId::BedrockConverse
        | ProtocolId::TensorZero
        | ProtocolId::TensorZeroChat => as_they_came(headers),
    }
}

/// The limits in the upstream's own names.
pub(super) fn as_they_came(headers: &HeaderMap) -> HeaderMap {
    const FAMILIES: [&str; 4] = ["x-ratelimit-", "anthropic-ratelimit-", "anthropic-priority-", "ratelimitbysize-"];
    let mut out = HeaderMap::with_capacity(12);
    for (name, value) in headers {
        if FAMILIES.iter().any(|family| name.as_str().starts_with(family)) || name == "openai-processing-ms" {
            out.append(name.clone(), value.clone());
        }
    }
    out
}

fn is_anthropics(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("anthropic-ratelimit-"))
}

fn read(headers: &HeaderMap, now: SystemTime) -> Vec<Limit> {
    let limits = KINDS.iter().flat_map(|&kind| {
        let openai = |what: &str| format!("x-ratelimit-{what}-{kind}");
        let anthropic = |what: &str| format!("anthropic-ratelimit-{kind}-{what}");
        let limit = |name: &dyn Fn(&str) -> String, reset: &dyn Fn(&str) -> Option<SystemTime>| Limit {
            kind,
            limit: headers.get(name("limit")).cloned(),
            remaining: headers.get(name("remaining")).cloned(),
            reset: text(headers, &name("reset")).and_then(reset),
        };
        [limit(&openai, &|text| now.checked_add(of_duration(text)?)), limit(&anthropic, &of_date)]
    });
    limits.filter(|limit| limit.limit.is_some() || limit.remaining.is_some()).collect()
}

fn write(limits: &[Limit], name: impl Fn(&str, &str) -> String, reset: impl Fn(SystemTime) -> String) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(12);
    for limit in limits {
        let reset = limit.reset.and_then(|time| HeaderValue::try_from(reset(time)).ok());
        for (what, value) in [("limit", limit.limit.clone()), ("remaining", limit.remaining.clone()), ("reset", reset)]
        {
            if let (Ok(name), Some(value)) = (HeaderName::try_from(name(limit.kind, what)), value) {
                out.insert(name, value);
            }
        }
    }
    out
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// `6ms`, `17.4s`, `1m30s`, `2h`, or a number of seconds.
fn of_duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let unit = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

fn duration(left: Duration) -> String {
    if left < Duration::from_secs(1) { format!("{}ms", left.as_millis()) } else { format!("{}s", left.as_secs()) }
}

/// A date of RFC 3339, such as `2026-11-21T09:15:00Z`.
fn of_date(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let mut next = || date.next()?.ok();
    let days = days(next()?, next()?, next()?)?;
    let mut time = time.splitn(3, ':');
    let mut next = || time.next()?.parse::<f64>().ok();
    let seconds = next()? * 3600.0 + next()? * 60.0 + next()?;
    let offset = match zone.split_at_checked(1)? {
        ("+", zone) => minutes(zone)?,
        ("-", zone) => -minutes(zone)?,
        _ => 0,
    };
    let whole = u64::try_from(days * 86_400 - offset * 60).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(whole))?.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

fn minutes(zone: &str) -> Option<i64> {
    let (hours, minutes) = zone.split_once(':')?;
    Some(hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; years begin in March here, so that a leap day is their last.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468)
}

fn date(time: SystemTime) -> String {
    // `Sat, 21 Nov 2026 09:15:00 GMT`
    let text = httpdate::fmt_http_date(time);
    let words: Vec<&str> = text.split(' ').collect();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let [_, day, month, year, clock, _] = words.as_slice() else { return text };
    let month = months.iter().position(|name| name == month).unwrap_or(0) + 1;
    format!("{year}-{month:02}-{day}T{clock}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 09:15:00 UTC.
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_795_252_500)
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn seconds(seconds: f64) -> Option<Duration> {
        Some(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn pauses_are_read_in_every_spelling() {
        for (pairs, expected) in [
            (&[("retry-after", "7")][..], seconds(7.0)),
            (&[("retry-after", " 1.5 ")], seconds(1.5)),
            (&[("retry-after-ms", "250"), ("retry-after", "1")], seconds(0.25)),
            (&[("retry-after", "Sat, 21 Nov 2026 09:16:00 GMT")], seconds(60.0)),
            (&[("retry-after", "Sat, 21 Nov 2026 09:14:00 GMT")], None),
            (&[("retry-after", "-3")], None),
            (&[("retry-after", "soon")], None),
            (&[], None),
        ] {
            assert_eq!(retry_after(&headers(pairs), now()), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_used_up_limit_says_when_it_begins_anew() {
        for (pairs, expected) in [
            (&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1m30s")][..], seconds(90.0)),
            (
                &[
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "6ms"),
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "17.4s"),
                ],
                seconds(17.4),
            ),
            // Azure.
            (&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "500")], seconds(500.0)),
            (&[("x-ratelimit-remaining-tokens", "5"), ("x-ratelimit-reset-tokens", "500")], None),
            (
                &[
                    ("anthropic-ratelimit-input-tokens-remaining", "0"),
                    ("anthropic-ratelimit-input-tokens-reset", "2026-11-21T09:15:42Z"),
                ],
                seconds(42.0),
            ),
            // OpenRouter.
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795252503000")], seconds(3.0)),
            (&[("x-ratelimit-remaining-requests", "0")], None),
        ] {
            assert_eq!(used_up(&headers(pairs), now()), expected, "{pairs:?}");
        }
    }

    #[test]
    fn limits_are_told_in_the_callers_words() {
        let openai = headers(&[
            ("x-ratelimit-limit-requests", "100"),
            ("x-ratelimit-remaining-requests", "99"),
            ("x-ratelimit-reset-requests", "1m0s"),
        ]);
        let anthropic = headers(&[
            ("anthropic-ratelimit-requests-limit", "100"),
            ("anthropic-ratelimit-requests-remaining", "99"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T09:16:00Z"),
        ]);
        let seconds = headers(&[
            ("x-ratelimit-limit-requests", "100"),
            ("x-ratelimit-remaining-requests", "99"),
            ("x-ratelimit-reset-requests", "60s"),
        ]);
        assert_eq!(translated(&openai, ProtocolId::AnthropicMessages, now()), anthropic);
        for caller in [ProtocolId::OpenAiChat, ProtocolId::OpenAiResponses] {
            assert_eq!(translated(&anthropic, caller, now()), seconds);
            assert_eq!(translated(&openai, caller, now()), openai, "one family");
        }
        assert_eq!(translated(&anthropic, ProtocolId::AnthropicMessages, now()), anthropic);
        assert_eq!(translated(&openai, ProtocolId::Gemini, now()), openai);
    }

    #[test]
    fn dates_and_durations_are_read_and_refused() {
        for text in
            ["2026-11-21T09:15:00Z", "2026-11-21T10:15:00+01:00", "2026-11-21t04:15:00-05:00", "2026-11-21 09:15:00.0Z"]
        {
            assert_eq!(of_date(text), Some(now()), "{text}");
        }
        assert_eq!(date(now()), "2026-11-21T09:15:00Z");
        assert_eq!(of_date("2024-02-29T00:00:00Z").map(date).as_deref(), Some("2024-02-29T00:00:00Z"));
        for text in ["", "2026-11-21", "2026-13-01T00:00:00Z", "2026-11-21T09:15Z+", "T", "0000-01-01T00:00:00Z"] {
            assert_eq!(of_date(text), None, "{text}");
        }
        for text in ["", "s", "1x", "1m30", "-5", "1e400", "NaN"] {
            assert!(of_duration(text).is_none_or(|duration| text.is_empty() && duration.is_zero()), "{text}");
        }
    }
}
