//! Headers by which TensorZero's clients add to the export of a request's trace: attributes of its spans, attributes of the
//! resource that they are of, and headers of the exporter's own request.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::edits::OWN;
use crate::telemetry::otlp::extra::{Extra, Said, Way};
use crate::wire::ir::Error;

const PREFIX: &str = "tensorzero-otlp-traces-extra-";
const ATTRIBUTE: &str = "attribute-";
const RESOURCE: &str = "resource-";
const HEADER: &str = "header-";

/// Headers of an export that belong to what is exported and how, beside [`OWN`].
const OF_EXPORTS: [&str; 4] = ["content-type", "te", "trailer", "user-agent"];

/// Most additions of one request, and the bytes of their names and values: they wait with its spans.
const MOST: usize = 64;
const LONGEST: usize = 8 << 10;

/// What the caller adds; `None` where that is nothing.
///
/// # Errors
/// An addition that no export can have, and too many of them.
pub(super) fn extra(headers: &HeaderMap) -> Result<Option<Arc<Extra>>, Error> {
    let (mut attributes, mut resource, mut sent) = (Vec::new(), Vec::new(), HeaderMap::new());
    let (mut count, mut length) = (0, 0);
    for (name, value) in headers {
        let Some(addition) = name.as_str().strip_prefix(PREFIX) else { continue };
        (count, length) = (count + 1, length + addition.len() + value.len());
        if count > MOST || length > LONGEST {
            let most = format!("at most {MOST} of them, together {LONGEST} bytes");
            return Err(Error::invalid(format!("too many headers `{PREFIX}...`; send {most}")));
        }
        if let Some(key) = addition.strip_prefix(ATTRIBUTE) {
            attributes.push((key.into(), attribute(name, value)?));
        } else if let Some(key) = addition.strip_prefix(RESOURCE) {
            resource.push((key.into(), text(name, value)?.into()));
        } else if let Some(key) = addition.strip_prefix(HEADER) {
            sent.insert(header(name, key)?, value.clone());
        }
    }
    let apart = !resource.is_empty() || !sent.is_empty();
    let way = apart.then(|| Arc::new(Way { resource: resource.into(), headers: sent }));
    let some = way.is_some() || !attributes.is_empty();
    Ok(some.then(|| Arc::new(Extra { attributes: attributes.into(), way })))
}

fn text<'v>(name: &HeaderName, value: &'v HeaderValue) -> Result<&'v str, Error> {
    value.to_str().map_err(|_| Error::invalid(format!("the header `{name}` must hold a text of ASCII characters")))
}

/// Texts and flags; TensorZero takes no other values.
fn attribute(name: &HeaderName, value: &HeaderValue) -> Result<Said, Error> {
    match serde_json::from_slice(value.as_bytes()) {
        Ok(Value::String(text)) => Ok(Said::Text(text.into())),
        Ok(Value::Bool(flag)) => Ok(Said::Flag(flag)),
        Ok(Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(Error::invalid(format!(
            "the header `{name}` must hold a text or `true` or `false`; write numbers as texts"
        ))),
        Err(_) => Err(Error::invalid(format!("the header `{name}` must hold JSON; a text goes in quotes"))),
    }
}

/// The name of a header of an export.
fn header(name: &HeaderName, key: &str) -> Result<HeaderName, Error> {
    // By the conventions of gRPC, binary values have names with this end, and the protocol keeps names with that beginning.
    let taken = key.ends_with("-bin") || key.starts_with("grpc-") || OF_EXPORTS.contains(&key) || OWN.contains(&key);
    let of_exports = HeaderName::try_from(key).ok().filter(|_| !taken);
    of_exports.ok_or_else(|| Error::invalid(format!("the header `{name}` names a header that no export may have")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &'static str)]) -> Result<Option<Arc<Extra>>, String> {
        let entry = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        extra(&headers.iter().map(entry).collect()).map_err(|error| error.message)
    }

    #[test]
    fn each_kind_goes_to_its_place() {
        assert_eq!(read(&[("x-other", "1"), ("tensorzero-otlp-traces-extra-new-kind", "1")]), Ok(None));
        let extra = read(&[
            ("tensorzero-otlp-traces-extra-attribute-user", "\"ann \\u00e4\""),
            ("tensorzero-otlp-traces-extra-attribute-beta", "true"),
        ]);
        let extra = extra.unwrap().unwrap();
        assert_eq!(*extra.attributes, [("user".into(), Said::Text("ann ä".into())), ("beta".into(), Said::Flag(true))]);
        assert_eq!(extra.way, None, "the spans go with all others");
        let extra = read(&[
            ("tensorzero-otlp-traces-extra-resource-service.name", "mine"),
            ("tensorzero-otlp-traces-extra-header-x-space", "s1"),
        ]);
        let way = extra.unwrap().unwrap().way.clone().unwrap();
        assert_eq!(*way.resource, [("service.name".into(), "mine".into())]);
        assert_eq!(way.headers["x-space"], "s1");
        assert!(!format!("{way:?}").contains("s1"), "headers hold keys");
    }

    #[test]
    fn what_no_export_can_have_is_refused_by_name() {
        for (name, value, said) in [
            ("tensorzero-otlp-traces-extra-attribute-a", "ann", "must hold JSON; a text goes in quotes"),
            ("tensorzero-otlp-traces-extra-attribute-a", "1", "write numbers as texts"),
            ("tensorzero-otlp-traces-extra-attribute-a", "[true]", "must hold a text or `true` or `false`"),
            ("tensorzero-otlp-traces-extra-resource-a", "\u{7f}\u{e4}", "of ASCII characters"),
            ("tensorzero-otlp-traces-extra-header-content-type", "text/plain", "no export may have"),
            ("tensorzero-otlp-traces-extra-header-host", "elsewhere", "no export may have"),
            ("tensorzero-otlp-traces-extra-header-grpc-timeout", "1S", "no export may have"),
            ("tensorzero-otlp-traces-extra-header-key-bin", "AA==", "no export may have"),
            ("tensorzero-otlp-traces-extra-header-", "x", "no export may have"),
        ] {
            let mut headers = HeaderMap::new();
            let bytes = value.replace('\u{7f}', "");
            headers.insert(HeaderName::from_static(name), HeaderValue::from_bytes(bytes.as_bytes()).unwrap());
            let refused = extra(&headers).unwrap_err().message;
            assert!(refused.contains(said) && refused.contains(name), "{name}: {refused}");
        }
    }

    #[test]
    fn additions_are_bounded() {
        let many = |count: usize, value: &str| {
            let mut headers = HeaderMap::new();
            for at in 0..count {
                let name = format!("{PREFIX}resource-a{at}");
                headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
            }
            extra(&headers)
        };
        assert!(many(64, "x").is_ok());
        assert!(many(65, "x").unwrap_err().message.contains("at most 64"));
        assert!(many(1, &"x".repeat(8 << 10)).unwrap_err().message.contains("8192 bytes"));
    }
}
