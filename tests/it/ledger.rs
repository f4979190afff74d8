//! The ledger of losses: every documented field, every pair of protocols.

use routeplane::wire::ledger::{self, Entry, Fate};
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{PROTOCOLS, ProtocolId};

use crate::laws::fixtures::destination;

/// Every protocol that callers may speak, with every protocol that upstreams may speak.
fn pairs() -> Vec<(ProtocolId, ProtocolId)> {
    let sources = PROTOCOLS.iter().filter(|protocol| protocol.inbound().is_some());
    let targets = || PROTOCOLS.iter().filter(|protocol| protocol.outbound().is_some());
    sources.flat_map(|source| targets().map(|target| (source.id(), target.id()))).collect()
}

fn entries(source: ProtocolId, target: ProtocolId) -> Vec<Entry> {
    ledger::pair(source, target, &destination("m", &Quirks::default()))
}

#[test]
fn no_documented_field_is_dropped_in_silence() {
    let mut silent = Vec::new();
    for (source, target) in pairs() {
        for entry in entries(source, target) {
            if std::env::var_os("SHOW").is_some() {
                println!("{source}>{target}\t{}\t{}{}\t{}\t{:?}", entry.field.path, entry.fate(), if entry.is_silent() { " SILENT" } else {""}, entry.reason(), entry.losses.iter().map(|l| l.field.to_string()).collect::<Vec<_>>());
            }
            if entry.is_silent() {
                silent.push(format!("{source} to {target}: {}", entry.field.path));
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn a_protocol_carries_all_of_itself() {
    for (source, target) in pairs().into_iter().filter(|(source, target)| source == target) {
        let lost: Vec<(&str, Fate)> = entries(source, target)
            .iter()
            .filter(|entry| entry.fate() != Fate::Carried)
            .map(|entry| (entry.field.path, entry.fate()))
            .collect();
        assert_eq!(lost, [], "{source}");
    }
}
