//! Strategies: what stands before a parenthesis in a target expression, and its arguments.

use std::fmt;
use std::time::Duration;

use crate::diagnostic::{Code, Diagnostic, did_you_mean};
use crate::source::Span;

/// A strategy that puts its members in an order when a request comes: the best is tried first, the others after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    RoundRobin,
    Cheapest,
    Fastest,
    LeastBusy,
}

impl Choice {
    pub const ALL: [Choice; 4] = [Choice::RoundRobin, Choice::Cheapest, Choice::Fastest, Choice::LeastBusy];

    /// As it is written in the file.
    pub fn name(self) -> &'static str {
        match self {
            Choice::RoundRobin => "round_robin",
            Choice::Cheapest => "cheapest",
            Choice::Fastest => "fastest",
            Choice::LeastBusy => "least_busy",
        }
    }
}

/// Every strategy: its name, how it is written, and what it does.
pub const STRATEGIES: [(&str, &str, &str); 7] = [
    ("split", "split(95 a/b, 5 c/d)", "draws one by weight; the others follow as its fallbacks"),
    ("round_robin", "round_robin(a/b, c/d)", "takes turns"),
    ("cheapest", "cheapest(a/b, c/d)", "the cheapest first, by the price of this request's shape"),
    ("fastest", "fastest(a/b, c/d)", "the quickest first, by the time to the first token"),
    ("least_busy", "least_busy(a/b, c/d)", "the one with the fewest requests in flight first"),
    (
        "hedge",
        "hedge(a/b, c/d, after 1500ms)",
        "starts the second where the first has no content by then; the slower is cancelled",
    ),
    (
        "shadow",
        "shadow(a/b, mirror c/d, sample 5%)",
        "answers from the first, and compares a part of the requests with the second",
    ),
];

/// The diagnostic for a call that is no strategy.
pub(super) fn unknown(name: &str, span: Span) -> Diagnostic {
    let diagnostic =
        Diagnostic::new(Code::UnknownStrategy, format!("unknown strategy `{name}`")).label(span, "not a strategy");
    let names = STRATEGIES.iter().map(|(name, _, _)| *name);
    match did_you_mean(name, names) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(span, near),
        None => diagnostic.help(format!("the strategies are {}", quoted_names())),
    }
}

fn quoted_names() -> String {
    let names: Vec<String> = STRATEGIES.iter().map(|(name, _, _)| format!("`{name}`")).collect();
    names.join(", ")
}

/// How the strategy of this name is written, for messages.
pub(super) fn example(name: &str) -> &'static str {
    STRATEGIES.iter().find(|(known, _, _)| *known == name).map_or("", |(_, example, _)| example)
}

/// Longest time of `after`.
const LONGEST: Duration = Duration::from_secs(600);

/// `1500ms`, `1.5s`, `2m`; `None` for anything else, and for more than ten minutes.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let units = [("ms", 1.0), ("s", 1e3), ("m", 6e4)];
    let (number, factor) = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    let ms = (decimal(number)? * factor).round();
    let duration = Duration::try_from_secs_f64(ms / 1e3).ok()?;
    (duration <= LONGEST).then_some(duration)
}

/// `5%`, `0.5%`, in hundredths of a percent; `None` for anything else, for nothing, and for more than everything.
pub(super) fn sample(text: &str) -> Option<u32> {
    let hundredths = decimal(text.strip_suffix('%')?)? * 100.0;
    let within = (1.0..=10_000.0).contains(&hundredths) && (hundredths - hundredths.round()).abs() < 1e-6;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 10,000")]
    within.then(|| hundredths.round() as u32)
}

fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && text.len() <= 12;
    text.parse::<f64>().ok().filter(|_| plain)
}

/// A time as it is written: `1500ms`, `2s`.
pub struct After(pub Duration);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            ms if ms % 1_000 == 0 => write!(f, "{}s", ms / 1_000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

/// Hundredths of a percent as they are written: `5%`, `0.5%`.
pub struct Sample(pub u32);

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match part {
            0 => write!(f, "{whole}%"),
            part if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
            part => write!(f, "{whole}.{part:02}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_samples_are_read_and_written() {
        for (text, ms, printed) in [
            ("1500ms", 1_500, "1500ms"),
            ("1.5s", 1_500, "1500ms"),
            ("2000ms", 2_000, "2s"),
            ("2m", 120_000, "120s"),
            ("0s", 0, "0s"),
        ] {
            let read = duration(text).unwrap();
            assert_eq!((read.as_millis(), After(read).to_string().as_str()), (ms, printed));
        }
        for (text, hundredths, printed) in
            [("5%", 500, "5%"), ("0.5%", 50, "0.5%"), ("12.25%", 1_225, "12.25%"), ("0.05%", 5, "0.05%")]
        {
            assert_eq!((sample(text), Sample(hundredths).to_string().as_str()), (Some(hundredths), printed));
        }
        assert!(["", "5", "5x", "1e3s", "-1s", "11m", "1h"].iter().all(|text| duration(text).is_none()));
        assert!(["", "5", "0%", "101%", "0.001%", "x%"].iter().all(|text| sample(text).is_none()));
    }
}
