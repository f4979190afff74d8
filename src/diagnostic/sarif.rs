//! Diagnostics as SARIF 2.1.0 (OASIS), which code scanning services read.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Code, Diagnostic, Diagnostics, Severity};
use crate::source::{SourceMap, Span};

/// What a path of a URI reference may hold besides letters and digits. No colon: `a:b.yaml` would begin with a scheme.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One run with one result for each finding, pretty-printed.
pub fn to_sarif(diagnostics: &Diagnostics, sources: &SourceMap) -> String {
    let results: Vec<Value> = diagnostics.iter().map(|diagnostic| result(diagnostic, sources)).collect();
    let mut used: Vec<Code> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    used.sort_unstable();
    used.dedup();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "routeplane",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": used.into_iter().map(rule).collect::<Vec<Value>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&log).unwrap_or_default()
}

/// GitHub's code scanning wants all three texts.
fn rule(code: Code) -> Value {
    let explanation = code.explanation();
    let sentence = explanation.lines().next().and_then(|line| line.split(". ").next()).unwrap_or(explanation);
    json!({
        "id": code.to_string(),
        "name": format!("{code:?}"),
        "shortDescription": { "text": sentence.trim_end_matches('.') },
        "fullDescription": { "text": explanation },
        "help": { "text": explanation },
        "defaultConfiguration": { "level": level(code.severity()) },
    })
}

fn result(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let help = diagnostic.help.as_ref().map_or_else(String::new, |help| format!("\n{help}"));
    let witness = diagnostic.witness.as_ref().map_or_else(String::new, |witness| format!("\nfor example:\n{witness}"));
    let mut places = diagnostic
        .labels
        .iter()
        .map(|label| json!({ "physicalLocation": location(label.span, sources), "message": { "text": label.text } }));
    let mut result = json!({
        "ruleId": diagnostic.code.to_string(),
        "level": level(diagnostic.severity),
        "message": { "text": format!("{}{help}{witness}", diagnostic.message) },
        "locations": places.next().into_iter().collect::<Vec<Value>>(),
    });
    let related: Vec<Value> = places.collect();
    if let Some(members) = result.as_object_mut() {
        if !related.is_empty() {
            members.insert("relatedLocations".to_owned(), Value::Array(related));
        }
        if let Some(fix) = &diagnostic.fix {
            let change = json!({
                "artifactLocation": artifact(fix.span, sources),
                "replacements": [{
                    "deletedRegion": region(fix.span, sources),
                    "insertedContent": { "text": fix.replacement },
                }],
            });
            members.insert("fixes".to_owned(), json!([{ "artifactChanges": [change] }]));
        }
    }
    result
}

fn location(span: Span, sources: &SourceMap) -> Value {
    json!({ "artifactLocation": artifact(span, sources), "region": region(span, sources) })
}

fn artifact(span: Span, sources: &SourceMap) -> Value {
    json!({ "uri": utf8_percent_encode(sources.name(span.source), PATH).to_string() })
}

fn region(span: Span, sources: &SourceMap) -> Value {
    let (line, column) = sources.line_column(span);
    let (end_line, end_column) = sources.end_line_column(span);
    json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostic;

    #[test]
    fn a_name_is_a_uri_reference() {
        let mut sources = SourceMap::default();
        let source = sources.add("a:b/my routes #1 ä.yaml", "x");
        let mut diagnostics = Diagnostics::default();
        diagnostics.push(Diagnostic::new(Code::YamlSyntax, "m").label(Span::new(source, 0, 1), "l"));
        let log: Value = serde_json::from_str(&to_sarif(&diagnostics, &sources)).unwrap();
        let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%3Ab/my%20routes%20%231%20%C3%A4.yaml");
    }
}
