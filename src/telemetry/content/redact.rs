//! Takes secrets out of texts: those that the gateway knows, what looks like one, and what the file says.

use crate::pattern::Pattern;

/// What stands in the place of a secret.
const WORD: &str = "[redacted]";
/// Shorter ones are placeholders: to replace them would only spoil the text.
const SHORTEST: usize = 8;

/// What credentials look like: keys of vendors by their beginnings, tokens, private keys, and what follows their names.
const CREDENTIALS: [&str; 8] = [
    r"\b(?:sk|pk|rk|gsk|xai|pplx|hf|r8|fw|csk|tgp|nvapi|glpat|shpat|dop|npm|pypi|rp)[-_][A-Za-z0-9_-]{16,}",
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b",
    r"\b(?:AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{20,})",
    r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|xox[abeprs]-[A-Za-z0-9-]{10,})",
    r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/-]{16,}=*",
    r#"(?i)\b(?:password|passwd|secret|api[_-]?key|access[_-]?(?:key|token)|auth[_-]?token)(?:\\?["'])?\s*[:=]\s*(?:\\?["'])?[^\s"'\\,;]{6,}"#,
];

/// What is taken out of every text.
#[derive(Debug)]
pub struct Redaction {
    patterns: Vec<Pattern>,
    secrets: Secrets,
}

/// No secret is shown.
struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Redaction {
    /// `own`: what the file says; `secrets`: those of the gateway.
    pub fn new(own: &[Pattern], secrets: Vec<String>) -> Redaction {
        // A test holds them to be good.
        let credentials = CREDENTIALS.iter().filter_map(|text| Pattern::new(text).ok());
        Redaction { patterns: credentials.chain(own.iter().cloned()).collect(), secrets: Secrets(secrets) }
    }

    /// `text` without secrets; `brought`: further ones.
    pub fn clean(&self, text: &str, brought: &[Box<str>]) -> String {
        let mut text = text.to_owned();
        let known = self.secrets.0.iter().map(String::as_str).chain(brought.iter().map(|secret| &**secret));
        for secret in known.filter(|secret| secret.len() >= SHORTEST) {
            if text.contains(secret) {
                text = text.replace(secret, WORD);
            }
        }
        for pattern in &self.patterns {
            if let std::borrow::Cow::Owned(clean) = pattern.replace(&text, WORD) {
                text = clean;
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction() -> Redaction {
        Redaction::new(&[Pattern::new(r"[\w.+-]+@[\w-]+\.\w+").unwrap()], vec!["gateway-own-secret".to_owned()])
    }

    #[test]
    fn what_looks_like_a_credential_goes() {
        assert_eq!(redaction().patterns.len(), CREDENTIALS.len() + 1, "all can be compiled");
        let body = "abcdefghij0123456789ABCDEFGHIJ0123456789";
        for secret in [
            format!("sk-proj-{body}"),
            format!("gsk_{body}"),
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            "AIzaSyAbcdefghijklmnopqrstuvwxyz0123456".to_owned(),
            format!("ghp_{body}"),
            format!("eyJhbGciOiJI.eyJzdWIiOiIx.{body}"),
            format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"),
            format!("-----BEGIN PRIVATE KEY-----\n{body}"),
            format!("Bearer {body}"),
            "gateway-own-secret".to_owned(),
            "brought-by-the-request".to_owned(),
            "ada@example.org".to_owned(),
        ] {
            let text = format!("before {secret} behind");
            let clean = redaction().clean(&text, &["brought-by-the-request".into()]);
            assert!(clean.starts_with("before [redacted]") && !clean.contains(&secret), "{clean}");
            assert!(clean.ends_with("behind") || secret.contains("BEGIN PRIVATE"), "{clean}");
        }
        for (text, expected) in [
            (r#"{"password": "hunter2hunter2", "a": 1}"#, r#"{"[redacted]", "a": 1}"#),
            (r#"{\"api_key\":\"abcdef123\"}"#, r#"{\"[redacted]\"}"#),
            ("PASSWORD=hunter2hunter2 ls", "[redacted] ls"),
        ] {
            assert_eq!(redaction().clean(text, &[]), expected);
        }
    }

    #[test]
    fn everything_else_stays() {
        for text in ["what is a secret?", "sk-8 is a skate", "the password: no", "Bearer of news", "eyJ.eyJ.", ""] {
            assert_eq!(redaction().clean(text, &["short".into()]), text);
        }
    }
}
