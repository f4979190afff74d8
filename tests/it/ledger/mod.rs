//! The ledger of losses: every documented field, every pair of protocols.

pub(crate) mod ablation;
pub(crate) mod answers;
mod commands;
mod instances;
mod pages;
pub(crate) mod requests;
pub(crate) mod schemas;
pub(crate) mod streams;
mod translated;

use routeplane::wire::ledger::{self, Entry, Fate};
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{CALLERS_ONLY, PROTOCOLS, ProtocolId};

use crate::laws::fixtures::destination;

/// What callers may speak.
fn sources() -> Vec<ProtocolId> {
    PROTOCOLS.iter().filter(|protocol| protocol.inbound().is_some()).map(|protocol| protocol.id()).collect()
}

/// What upstreams may speak.
fn targets() -> Vec<ProtocolId> {
    PROTOCOLS.iter().filter(|protocol| protocol.outbound().is_some()).map(|protocol| protocol.id()).collect()
}

/// What callers alone speak.
fn faces() -> Vec<ProtocolId> {
    CALLERS_ONLY.iter().map(|face| face.id()).collect()
}

fn pairs() -> Vec<(ProtocolId, ProtocolId)> {
    sources().into_iter().flat_map(|source| targets().into_iter().map(move |target| (source, target))).collect()
}

/// Models of each protocol, the newest first; what a target takes may depend on its model.
fn models(target: ProtocolId) -> &'static [&'static str] {
    match target {
        ProtocolId::OpenAiChat | ProtocolId::OpenAiResponses => &["gpt-5", "m"],
        ProtocolId::TensorZero | ProtocolId::TensorZeroChat => &["m"],
        ProtocolId::AnthropicMessages => {
            &["claude-opus-4-6", "claude-opus-4-7", "claude-haiku-4-5", "claude-3-haiku", "m"]
        }
        ProtocolId::Gemini => &["gemini-3-pro-preview", "gemini-2.5-flash", "gemini-2.5-pro", "m"],
        ProtocolId::BedrockConverse => &[
            "us.anthropic.claude-opus-4-6-v1",
            "anthropic.claude-3-haiku",
            "openai.gpt-oss-120b",
            "amazon.nova-2-lite",
            "m",
        ],
    }
}

fn entries(source: ProtocolId, target: ProtocolId, model: &str) -> Vec<Entry> {
    ledger::pair(source, target, &destination(model, &Quirks::default()))
}

#[test]
fn no_documented_field_is_dropped_in_silence() {
    let mut silent = Vec::new();
    for (source, target) in pairs() {
        for model in models(target) {
            for entry in entries(source, target, model) {
                if entry.is_silent() {
                    silent.push(format!("{source} to {target}, {model}: {}", entry.field.path));
                }
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

/// Upstreams and callers of all pairs.
fn answering() -> Vec<(ProtocolId, ProtocolId)> {
    let callers = || sources().into_iter().chain(faces());
    targets().into_iter().flat_map(|upstream| callers().map(move |caller| (upstream, caller))).collect()
}

#[test]
fn no_documented_field_of_an_answer_is_dropped_in_silence() {
    let mut silent = Vec::new();
    let mut tried = 0;
    for (upstream, caller) in answering() {
        for entry in ledger::answers(upstream, caller) {
            tried += 1;
            if entry.is_silent() || entry.refusal.is_some() {
                silent.push(format!("{upstream} to {caller}: {} {:?}", entry.field.path, entry.refusal));
            }
        }
    }
    assert!(tried > 1300, "{tried}");
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn a_protocol_tells_all_of_its_own_answers() {
    for protocol in targets() {
        let lost: Vec<(&str, Fate)> = ledger::answers(protocol, protocol)
            .iter()
            .filter(|entry| entry.fate() != Fate::Carried)
            .map(|entry| (entry.field.path, entry.fate()))
            .collect();
        assert_eq!(lost, [], "{protocol}");
    }
}

#[test]
fn a_protocol_carries_all_of_itself() {
    for (source, target) in pairs().into_iter().filter(|(source, target)| source == target) {
        let lost: Vec<(&str, Fate)> = entries(source, target, "m")
            .iter()
            .filter(|entry| entry.fate() != Fate::Carried)
            .map(|entry| (entry.field.path, entry.fate()))
            .collect();
        assert_eq!(lost, [], "{source}");
    }
}
