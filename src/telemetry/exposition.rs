//! The two forms in which `/metrics` is written: OpenMetrics 1.0 for who asks for it, as Prometheus does, and for everybody else the
//! text format 0.0.4 of Prometheus, which older and simpler programs read.

use std::collections::BTreeSet;

use http::HeaderMap;
use http::header::ACCEPT;

/// Media type of OpenMetrics.
const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Media type of the older format.
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics in the form that a request with these headers wants, with its media type. `open`: in OpenMetrics.
pub fn negotiated(headers: &HeaderMap, open: String) -> (&'static str, String) {
    let mut wanted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    match wanted.any(|value| value.contains("application/openmetrics-text")) {
        true => (OPEN, open),
        false => (PLAIN, plain(&open)),
    }
}

/// OpenMetrics as the older format: there a counter is described under the name of its samples, and there are no units and no end.
fn plain(open: &str) -> String {
    let kinds = open.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let counters: BTreeSet<&str> = kinds.filter(|(_, kind)| *kind == "counter").map(|(name, _)| name).collect();
    let mut out = String::with_capacity(open.len());
    for line in open.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT ")) {
        let described = ["# HELP ", "# TYPE "].into_iter().find_map(|word| Some((word, line.strip_prefix(word)?)));
        match described.and_then(|(word, rest)| Some((word, rest.split_once(' ')?))) {
            Some((word, (name, about))) if counters.contains(name) => {
                out.extend([word, name, "_total ", about, "\n"]);
            }
            _ => out.extend([line, "\n"]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_under_the_name_of_their_samples() {
        let open = "# HELP a Some a.\n# TYPE a counter\n# UNIT a s\na_total{x=\"# EOF\"} 1\n# HELP b Some b.\n# TYPE b gauge\nb 2\n# EOF\n";
        let expected = "# HELP a_total Some a.\n# TYPE a_total counter\na_total{x=\"# EOF\"} 1\n# HELP b Some b.\n# TYPE b gauge\nb 2\n";
        let mut headers = HeaderMap::new();
        assert_eq!(negotiated(&headers, open.to_owned()), (PLAIN, expected.to_owned()));
        headers.insert(ACCEPT, "application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.1".parse().unwrap());
        assert_eq!(negotiated(&headers, open.to_owned()), (OPEN, open.to_owned()));
    }
}
