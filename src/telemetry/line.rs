//! One line of the access log: JSON for programs, words for people.

use std::fmt::Write as _;

use super::record::{Outcome, Record};
use super::{clock, json};
use crate::provider::cost::decimal;

/// Appends the line, with its end.
pub(super) fn write(record: &Record, as_json: bool, out: &mut Vec<u8>) {
    if as_json {
        json::write(record, out);
    } else {
        out.extend_from_slice(text(record).as_bytes());
    }
    out.push(b'\n');
}

/// `2026-11-21T09:41:04.250Z 200 812ms openai-chat stream @cheap -> up/m1 (2 tries: status 500) 11+7 tokens 0.0001 USD rp-1`.
fn text(record: &Record) -> String {
    let mut out = String::new();
    let mut put = |part: std::fmt::Arguments<'_>| {
        // Writing to a text does not fail.
        let _ = out.write_fmt(part);
    };
    put(format_args!("{} {} {}ms", clock::rfc3339_millis(record.time), record.status, record.total.as_millis()));
    put(format_args!(" {}", record.protocol));
    if record.operation != "generate" {
        put(format_args!(" {}", record.operation));
    }
    if record.stream {
        put(format_args!(" stream"));
    }
    if let Some(key) = &record.key {
        put(format_args!(" key {}", Plain(key)));
    }
    let asked = record.model.as_deref().unwrap_or("-");
    let route = record.route.as_deref().filter(|route| *route != asked);
    put(format_args!(" {}", Plain(asked)));
    if let Some(rule) = record.rule {
        put(format_args!(" rule {rule}"));
    }
    if let Some(route) = route {
        put(format_args!(" {}", Plain(route)));
    }
    if let Some(target) = record.target.as_deref().filter(|target| *target != asked) {
        put(format_args!(" -> {}", Plain(target)));
    }
    let failed: Vec<String> = record.attempts.iter().filter(|tried| tried.cause != "ok").map(cause).collect();
    if !failed.is_empty() {
        put(format_args!(" ({} tries: {})", record.attempts.len(), failed.join(", ")));
    }
    let usage = record.usage.as_ref().or(record.usage_estimated.as_deref());
    if let Some(usage) = usage {
        let about = if record.usage_estimated.is_some() { "about " } else { "" };
        put(format_args!(" {about}{}+{} tokens", usage.input.unwrap_or(0), usage.output.unwrap_or(0)));
    }
    if let Some(cost) = record.cost_usd.or(record.cost_estimated_usd) {
        put(format_args!(" {} USD", decimal(cost)));
    }
    if record.outcome != Outcome::Ok {
        put(format_args!(" {}", record.outcome.word()));
    }
    if let Some(code) = record.error.as_ref().and_then(|error| error.code.as_deref()) {
        put(format_args!(" {}", Plain(code)));
    }
    put(format_args!(" {}", record.request_id));
    out
}

fn cause(tried: &super::record::Tried) -> String {
    match tried.status {
        Some(status) if tried.cause == "status" => format!("status {status}"),
        _ => tried.cause.to_owned(),
    }
}

/// A caller's text in a line of ours: no character of it can end the line or steer a terminal.
struct Plain<'t>(&'t str);

impl std::fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const LONGEST: usize = 120;
        for c in self.0.chars().take(LONGEST) {
            f.write_char(if c.is_control() || c.is_whitespace() { '?' } else { c })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::wire::ProtocolId;
    use crate::wire::ir::Usage;

    #[test]
    fn a_line_for_people() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_252_500_250);
        let mut record = Record::new(time, "rp-1".into(), 1, ProtocolId::OpenAiChat);
        record.status = 200;
        record.outcome = Outcome::Ok;
        record.total = Duration::from_millis(812);
        record.stream = true;
        record.model = Some("@ch\neap\u{1b}[31m".into());
        record.rule = Some(2);
        record.target = Some("up/m1".into());
        record.usage = Some(Usage { input: Some(11), output: Some(7), ..Usage::default() });
        record.cost_usd = Some(0.000_12);
        assert_eq!(
            text(&record),
            "2026-11-21T09:15:00.250Z 200 812ms openai-chat stream @ch?eap?[31m rule 2 -> up/m1 11+7 tokens 0.00012 USD rp-1"
        );
    }
}
