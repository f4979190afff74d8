//! The kinds of text that the file has, and the words of its choices.

use super::leaf::{TextRule, Words};
use super::moment;
use super::secret::is_variable;
use super::shape::Shape;
use crate::config::yaml::shorten;
use crate::table::limits::Window;

/// Any text.
pub struct Any;

impl TextRule for Any {
    const SHAPE: Shape = Shape::Text { what: "text", example: "some text", pattern: None };
}

/// A URL; placeholders in braces are filled from `env: { variables: ... }`. Whether it can be called is seen once they are.
pub struct Url;

impl TextRule for Url {
    const SHAPE: Shape = Shape::Text {
        what: "a URL",
        example: "https://api.openai.com/v1",
        pattern: Some("^(https?://|\\{)[^$\"<>\\s]+$"),
    };

    fn check(text: &str) -> Result<(), (String, String)> {
        if text.contains("${") {
            return Err((
                "variables are not put into texts".to_owned(),
                "let a variable replace the whole URL: `env: { base_url: NAME }`, or write `{name}` and `env: { variables: { name: NAME } }`".to_owned(),
            ));
        }
        let stray = text.chars().find(|sign| sign.is_whitespace() || "\"<>".contains(*sign));
        // One that may hold a password is judged where it is hidden first.
        if let Some(sign) = stray.filter(|_| !text.contains('@')) {
            let sign = if sign.is_whitespace() { "a blank".to_owned() } else { format!("`{sign}`") };
            let help = "look for a quote that is missing or too many; blanks of a path are written `%20`";
            return Err((format!("{sign} cannot stand in a URL"), help.to_owned()));
        }
        if let Some(name) = text.strip_prefix("env:") {
            return Err((
                "a URL is not a secret".to_owned(),
                format!("let the variable replace the URL: `env: {{ base_url: {name} }}`"),
            ));
        }
        Ok(())
    }
}

/// `2027-01-01`, or `2027-01-01T12:00:00Z`.
pub struct ExpiryText;

impl TextRule for ExpiryText {
    const SHAPE: Shape = Shape::Text {
        what: "a date or a point in time",
        example: "2027-01-01",
        pattern: Some("^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2}))?$"),
    };

    fn check(text: &str) -> Result<(), (String, String)> {
        match parse_expiry(text) {
            Some(_) => Ok(()),
            None => Err((
                format!("`{}` is not a point in time", shorten(text)),
                "write a date, which begins at midnight UTC (`2027-01-01`), or a point in time (`2027-01-01T12:00:00Z`)".to_owned(),
            )),
        }
    }
}

/// Seconds since 1970.
pub fn parse_expiry(text: &str) -> Option<u64> {
    let seconds = moment::rfc3339(text).or_else(|| moment::rfc3339(&format!("{text}T00:00:00Z")));
    seconds.and_then(|seconds| u64::try_from(seconds).ok())
}

/// `100/minute`.
pub struct RateText;

impl TextRule for RateText {
    const SHAPE: Shape = Shape::Text {
        what: "a rate",
        example: "100/minute",
        pattern: Some("^[0-9][0-9_]*(\\.[0-9]+)?[kM]? ?/ ?(second|minute|hour|day|week|month)$"),
    };

    fn check(text: &str) -> Result<(), (String, String)> {
        let help = "write an amount, `/` and `second`, `minute`, `hour`, `day`, `week` or `month`, e.g. `100/minute`";
        match parse_rate(text) {
            Some(_) => Ok(()),
            None => Err((format!("`{}` is not a rate", shorten(text)), help.to_owned())),
        }
    }
}

/// The amount as it is written, and the window.
pub fn parse_rate(text: &str) -> Option<(&str, Window)> {
    let (amount, window) = text.split_once('/')?;
    let amount = amount.trim();
    amount.bytes().next().filter(u8::is_ascii_digit)?;
    let window = window.trim();
    Window::ALL.into_iter().find(|known| known.word() == window).map(|window| (amount, window))
}

/// `HOST:PORT`.
pub struct Address;

impl TextRule for Address {
    const SHAPE: Shape =
        Shape::Text { what: "an address and port", example: "127.0.0.1:4356", pattern: Some("^.+:[0-9]{1,5}$") };

    fn check(text: &str) -> Result<(), (String, String)> {
        let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
        match port {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err((
                format!("`{}` is not an address and port", shorten(text)),
                "write an address, `:` and a port up to 65535, e.g. `127.0.0.1:4356` or `[::1]:4356`".to_owned(),
            )),
        }
    }
}

/// `user`, `session`, `episode` or `header:NAME`.
pub struct Sticky;

impl TextRule for Sticky {
    const SHAPE: Shape = Shape::Text {
        what: "`user`, `session`, `episode` or `header:NAME`",
        example: "user",
        pattern: Some("^(user|session|episode|header:[A-Za-z0-9-]+)$"),
    };

    fn check(text: &str) -> Result<(), (String, String)> {
        let header = text.strip_prefix("header:").is_some_and(|name| http::HeaderName::try_from(name).is_ok());
        if header || matches!(text, "user" | "session" | "episode") {
            return Ok(());
        }
        Err((
            format!("`{}` cannot make a choice sticky", shorten(text)),
            "write `user`, `session`, `episode`, or `header:` and a header's name, e.g. `header:x-session`".to_owned(),
        ))
    }
}

/// `UTC`, `+02:00`, `-05:30`.
pub struct Timezone;

impl TextRule for Timezone {
    const SHAPE: Shape = Shape::Text {
        what: "`UTC` or a distance from it",
        example: "+02:00",
        pattern: Some("^(UTC|[+-][0-9]{2}:[0-9]{2})$"),
    };

    fn check(text: &str) -> Result<(), (String, String)> {
        match parse_offset(text) {
            Some(_) => Ok(()),
            None => Err((
                format!("`{}` is not a time zone that can be used here", shorten(text)),
                "write `UTC`, or hours and minutes from it: `+02:00`, `-05:30`; names of places are not known, because \
                 their summer time changes by law"
                    .to_owned(),
            )),
        }
    }
}

/// Minutes from UTC, east is positive. The farthest clocks are 14 hours before it and 12 hours behind.
pub fn parse_offset(text: &str) -> Option<i32> {
    if text == "UTC" {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    // `parse` alone would take a sign.
    let two_digits = |text: &&str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| Some(text).filter(two_digits)?.parse::<u8>().ok();
    let (hours, minutes) = (i32::from(number(hours)?), i32::from(number(minutes)?));
    let offset = sign * (hours * 60 + minutes);
    (minutes < 60 && (-12 * 60..=14 * 60).contains(&offset)).then_some(offset)
}

/// A path of the gateway's own: `/` or `/gateway`.
pub struct BasePath;

impl TextRule for BasePath {
    const SHAPE: Shape = Shape::Text { what: "a path", example: "/gateway", pattern: Some("^/([A-Za-z0-9._~-]+/?)*$") };

    fn check(text: &str) -> Result<(), (String, String)> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "._~-/".contains(c);
        if text.starts_with('/') && text.chars().all(legal) && !text.contains("//") {
            return Ok(());
        }
        Err((
            format!("`{}` is not a path that can stand before others", shorten(text)),
            "write `/`, or a path that begins with it, e.g. `/gateway`".to_owned(),
        ))
    }
}

/// `sat 22:15`, `22:15`, or `2026-11-21T22:15:00Z`.
pub struct Moment;

impl TextRule for Moment {
    const SHAPE: Shape = Shape::Text {
        what: "a day and an hour, or a point in time",
        example: "sat 22:15",
        pattern: Some("^((mon|tue|wed|thu|fri|sat|sun) )?[0-9]{2}:[0-9]{2}$|^[0-9]{4}-[0-9]{2}-[0-9]{2}T.+$"),
    };

    fn check(text: &str) -> Result<(), (String, String)> {
        match moment::read(text, 0) {
            Some(_) => Ok(()),
            None => Err((
                format!("`{}` is not a time that can be used here", shorten(text)),
                "write a day and an hour (`sat 22:15`), an hour alone (`22:15`), or a point in time with its distance from \
                 UTC (`2026-11-21T22:15:00Z`, `2026-11-21T22:15:00+02:00`)"
                    .to_owned(),
            )),
        }
    }
}

/// The name of an environment variable.
pub struct Variable;

impl TextRule for Variable {
    const SHAPE: Shape = Shape::Text {
        what: "the name of a variable",
        example: "OPENAI_API_KEY",
        pattern: Some("^[A-Za-z_][A-Za-z0-9_]*$"),
    };

    fn check(text: &str) -> Result<(), (String, String)> {
        if is_variable(text) {
            return Ok(());
        }
        Err((
            "this is not the name of a variable".to_owned(),
            "names are made of letters, digits and `_`, e.g. `OPENAI_API_KEY`; no `env:` or `$` before it".to_owned(),
        ))
    }
}

macro_rules! words {
    ($($(#[doc = $doc:literal])* $name:ident = [$($word:literal),*];)*) => {
        $(
            $(#[doc = $doc])*
            pub struct $name;

            impl Words for $name {
                const WORDS: &'static [&'static str] = &[$($word),*];
            }
        )*
    };
}

words! {
    /// How a line of the access log is written.
    LineWord = ["auto", "json", "text"];
    /// Which facts a line of the access log holds.
    FactWord = ["none", "known", "all"];
    /// How a collector is spoken to.
    OtlpWord = ["http/protobuf", "grpc"];
    /// How the file is watched.
    Watch = ["auto", "poll", "off"];
    /// Whose service speaks a protocol.
    HostingWord = ["own", "vertex", "bedrock"];
    /// What a function of TensorZero's answers.
    FunctionType = ["chat", "json"];
    /// What the values of a metric are.
    MetricType = ["boolean", "float"];
    /// Which end of a metric is good.
    MetricDirection = ["min", "max"];
    /// What a metric is said of.
    MetricLevel = ["inference", "episode"];
    /// How requests reach a provider.
    Transport = ["http", "demo"];
    /// The rule fact `protocol`.
    ProtocolFact = ["chat", "responses", "messages", "gemini", "converse", "embeddings"];
    /// The rule fact `output`.
    OutputFact = ["text", "json", "schema"];
    /// The rule fact `reasoning`.
    ReasoningFact = ["none", "minimal", "low", "medium", "high", "max"];
    /// The rule fact `weekday`.
    WeekdayFact = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    /// What becomes of a request that would lose something.
    LossPolicy = ["allow", "warn", "refuse"];
    /// How requests use the cache.
    CacheWord = ["on", "read_only", "write_only", "off"];
    /// What becomes of another vendor's reasoning.
    ForeignReasoning = ["strip", "text", "skip"];
    /// Whose name of the model answers say.
    AnswerModelWord = ["upstream", "asked"];
    /// What becomes of an answer that does not have its form.
    InvalidPolicy = ["pass", "repair", "retry", "fallback", "error"];
    /// Whether a form may be asked for in words.
    DegradePolicy = ["allow", "refuse"];
    /// Which failures lead to the next target.
    FallThroughWord = ["usual", "any"];
    /// How JSON is asked for.
    JsonModeWord = ["off", "on", "strict", "tool"];
    /// What a template is made of.
    TemplateForm = ["named", "legacy"];
    /// What is tried again.
    RetryAround = ["target", "chain"];
    /// What times bound.
    TimeoutAround = ["request", "preset"];
    /// How a target gets the request.
    LaneWord = ["pass-through", "translated", "refused"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_from_utc_are_read_as_they_are_written() {
        for (text, minutes) in [("UTC", 0), ("+00:00", 0), ("+02:00", 120), ("-05:30", -330), ("+14:00", 840)] {
            assert_eq!(parse_offset(text), Some(minutes), "{text}");
        }
        for text in ["", "utc", "02:00", "+2:00", "+0200", "+14:01", "-12:30", "+01:60", "++1:00", "Europe/Berlin"] {
            assert_eq!(parse_offset(text), None, "{text}");
        }
    }
}
