//! What the file says of telemetry, checked.

use super::document::collector::OtlpTlsEntry;
use super::document::{AccessLogEntry, OtlpEntry};
use super::expand::Secrets;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::pattern::Pattern;
use crate::source::Spanned;
use crate::table::telemetry::{AccessLog, FactDepth, LineFormat, Otlp, OtlpProtocol, OtlpTls, Place};

/// The access log, where there is to be one.
pub(super) fn access_log(entry: Option<&AccessLogEntry>, diagnostics: &mut Diagnostics) -> Option<AccessLog> {
    let entry = entry?;
    let Some(to) = &entry.to else {
        if !entry.faulty {
            diagnostics.push(
                Diagnostic::new(Code::BadValue, "the access log has no place to go to")
                    .label(entry.span, "no `to`")
                    .help("write `access_log: stdout`, `access_log: stderr`, or the path of a file"),
            );
        }
        return None;
    };
    // The decoder lets no other words through.
    let word = |written: &Option<Spanned<String>>| written.as_ref().map(|word| word.value.clone());
    let format = word(&entry.format).and_then(|word| LineFormat::ALL.into_iter().find(|it| it.word() == word));
    let facts = word(&entry.facts).and_then(|word| FactDepth::ALL.into_iter().find(|it| it.word() == word));
    Some(AccessLog {
        to: Place::from_text(&to.value),
        format: format.unwrap_or_default(),
        facts: facts.unwrap_or_default(),
    })
}

/// What the file says of a collector.
pub(super) fn otlp(
    entry: Option<&OtlpEntry>,
    secrets: &mut Secrets<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Otlp> {
    let entry = entry?;
    let text = |written: &Option<Spanned<String>>| written.as_ref().map(|text| text.value.as_str().into());
    let headers = entry.headers.iter();
    let headers = headers.map(|(name, value)| (name.value.as_str().into(), secrets.reference(value, diagnostics)));
    let headers = headers.collect();
    let resource = entry.resource.iter();
    if let Some(sample) = entry.sample.filter(|sample| !(0.0..=1.0).contains(&sample.value)) {
        diagnostics.push(
            Diagnostic::new(Code::BadBound, format!("a part of {} is not possible", sample.value))
                .label(sample.span, "from 0 (none) to 1 (all)")
                .help("write for example `0.1`, for one trace in ten"),
        );
    }
    // The decoder lets no other word through.
    let protocol = entry.protocol.as_ref();
    let protocol = protocol.and_then(|word| OtlpProtocol::ALL.into_iter().find(|known| known.word() == word.value));
    Some(Otlp {
        endpoint: text(&entry.endpoint),
        protocol,
        headers,
        tls: entry.tls.as_ref().map_or_else(OtlpTls::default, |tls| self::tls(tls, diagnostics)),
        timeout: entry.timeout.map(|timeout| timeout.value),
        gzip: entry.gzip.map(|gzip| gzip.value),
        traces: entry.traces.map(|traces| traces.value),
        metrics: entry.metrics.map(|metrics| metrics.value),
        logs: entry.logs.map(|logs| logs.value),
        sample: entry.sample.map(|sample| sample.value),
        service: text(&entry.service),
        resource: resource.map(|(name, value)| (name.value.as_str().into(), value.value.as_str().into())).collect(),
        interval: entry.interval.map(|interval| interval.value),
    })
}

/// What is taken out of texts.
pub(super) fn redact(written: &[Spanned<String>], diagnostics: &mut Diagnostics) -> Box<[Pattern]> {
    const MOST: usize = 32;
    if let Some(first) = written.get(MOST) {
        diagnostics.push(
            Diagnostic::new(Code::BadBound, format!("{} expressions are too many", written.len()))
                .label(first.span, format!("the first of those beyond {MOST}"))
                .help("join several by `|`"),
        );
    }
    let pattern = |text: &Spanned<String>| match Pattern::new(&text.value) {
        Ok(pattern) => Some(pattern),
        Err(problem) => {
            diagnostics.push(
                Diagnostic::new(Code::BadValue, "this is not a regular expression")
                    .label(text.span, problem)
                    .help("put the whole in single quotes, and `\\` before a sign that is to stand for itself"),
            );
            None
        }
    };
    written.iter().take(MOST).filter_map(pattern).collect()
}

/// The files by which both know each other. A certificate is of no use without its key.
fn tls(entry: &OtlpTlsEntry, diagnostics: &mut Diagnostics) -> OtlpTls {
    let lone = match (&entry.cert_file, &entry.key_file) {
        (Some(certificate), None) => Some((certificate.span, "`cert_file`", "`key_file`")),
        (None, Some(key)) => Some((key.span, "`key_file`", "`cert_file`")),
        _ => None,
    };
    if let Some((span, there, missing)) = lone {
        diagnostics.push(
            Diagnostic::new(Code::BadValue, format!("{there} has no {missing} beside it"))
                .label(span, "half of what a collector asks for")
                .help(format!("add {missing}: the certificate and its private key belong together")),
        );
    }
    let path = |written: &Option<Spanned<String>>| written.as_ref().map(|path| path.value.as_str().into());
    OtlpTls { ca_file: path(&entry.ca_file), cert_file: path(&entry.cert_file), key_file: path(&entry.key_file) }
}
