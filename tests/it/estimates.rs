//! How far off estimates of tokens are, by what providers counted of recorded requests. docs/usage-and-cost.md says so; the
//! records are not part of the project.

use std::collections::BTreeMap;
use std::path::Path;

use routeplane::proxy::estimate;
use routeplane::table::facts::estimate_tokens;
use routeplane::wire::ir::{Part, Request};
use routeplane::wire::{Head, Operation, Protocol};
use serde_json::Value;

use crate::corpus::{protocol_of, records};
use crate::laws::fixtures::{inbound, outbound};

/// Of one kind of requests: each estimate as a share of what was counted.
#[derive(Default)]
struct Shares {
    read: Vec<f64>,
    as_sent: Vec<f64>,
}

#[test]
#[ignore = "set ROUTEPLANE_CORPUS"]
fn estimates_of_recorded_prompts_are_near_what_was_counted() {
    let folder = std::env::var("ROUTEPLANE_CORPUS").expect("set ROUTEPLANE_CORPUS to the folder that holds `wire/`");
    let mut kinds: BTreeMap<&str, Shares> = BTreeMap::new();
    for path in records(&Path::new(&folder).join("wire")) {
        let record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let Some((request, document, counted)) = counted(&record) else { continue };
        let shares = kinds.entry(kind(&request, counted)).or_default();
        shares.read.push(estimate_tokens(&request) as f64 / counted as f64);
        shares.as_sent.push(estimate::document(document.as_bytes()) as f64 / counted as f64);
    }
    println!("{:32} {:>5}   read: 10% 50% 90%   as sent: the same", "estimate / counted", "n");
    for (kind, shares) in &mut kinds {
        let (read, sent) = (quantiles(&mut shares.read), quantiles(&mut shares.as_sent));
        println!("{kind:32} {:5}   {read:.2?}   {sent:.2?}", shares.read.len());
    }
    let [_, median, _] = quantiles(&mut kinds.get_mut("text, 200 tokens or more").unwrap().read);
    assert!((0.6..1.4).contains(&median), "the usual estimate is {median} of what was counted");
}

/// A request, its document, and the tokens of its prompt that the provider counted.
fn counted(record: &Value) -> Option<(Request, String, u64)> {
    let protocol = protocol_of(record)?;
    let body = &record["request"]["body"];
    if record["framing"] != "json" || !body.is_object() || record["response"]["status"].as_u64() != Some(200) {
        return None;
    }
    let counted = outbound(protocol).usage(record["response"]["body"].to_string().as_bytes())?.input?;
    let document = body.to_string();
    let request = read(protocol, &document)?;
    (counted > 0).then_some((request, document, counted))
}

fn read(protocol: &'static dyn Protocol, document: &str) -> Option<Request> {
    protocol.inbound()?;
    let operation = Operation::Generate;
    let head = Head { operation, path_model: Some("m"), path_stream: false, alt_sse: false };
    inbound(protocol).decode_request(&head, document.as_bytes()).ok()
}

fn kind(request: &Request, counted: u64) -> &'static str {
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    if parts.any(|part| matches!(part, Part::Media(_))) {
        return "media";
    }
    match (request.tools.iter().flatten().next().is_some(), counted) {
        (false, ..200) => "text, under 200 tokens",
        (false, _) => "text, 200 tokens or more",
        (true, ..1000) => "tools, under 1,000 tokens",
        (true, _) => "tools, 1,000 tokens or more",
    }
}

/// The lowest tenth, the median and the highest tenth.
fn quantiles(shares: &mut [f64]) -> [f64; 3] {
    shares.sort_by(f64::total_cmp);
    [10, 50, 90].map(|percent| shares[(shares.len() - 1) * percent / 100])
}
