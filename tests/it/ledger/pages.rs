//! `docs/losses.md` and `docs/compatibility.md`, generated from the ledger.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use routeplane::wire::ProtocolId;
use routeplane::wire::ledger::{self, Entry, Fate, Feature};

use super::answers::UNSAID;
use super::translated::{HELD, arriving};
use super::{answering, entries, faces, models, pairs, sources, targets};

const HEAD: &str = "<!-- Generated from the codecs by tests/it/ledger/; `ROUTEPLANE_UPDATE=1 cargo test --test it ledger::` writes it anew. -->";

fn title(protocol: ProtocolId) -> &'static str {
    match protocol {
        ProtocolId::OpenAiChat => "OpenAI Chat Completions",
        ProtocolId::OpenAiResponses => "OpenAI Responses",
        ProtocolId::AnthropicMessages => "Anthropic Messages",
        ProtocolId::Gemini => "Google generateContent",
        ProtocolId::BedrockConverse => "Bedrock Converse",
        ProtocolId::TensorZero => "TensorZero",
        ProtocolId::TensorZeroChat => "TensorZero (OpenAI's form)",
    }
}

fn short(protocol: ProtocolId) -> &'static str {
    match protocol {
        ProtocolId::OpenAiChat => "Chat",
        ProtocolId::OpenAiResponses => "Responses",
        ProtocolId::AnthropicMessages => "Anthropic",
        ProtocolId::Gemini => "Gemini",
        ProtocolId::BedrockConverse => "Converse",
        ProtocolId::TensorZero => "TensorZero",
        ProtocolId::TensorZeroChat => "TensorZero, OpenAI's form",
    }
}

/// The model of the pages: the newest of the list.
fn model(target: ProtocolId) -> &'static str {
    models(target)[0]
}

fn translations(source: ProtocolId) -> Vec<(ProtocolId, Vec<Entry>)> {
    let others = targets().into_iter().filter(|target| *target != source);
    others.map(|target| (target, entries(source, target, model(target)))).collect()
}

fn reference_models() -> String {
    let models: Vec<String> =
        targets().into_iter().map(|target| format!("`{}` ({})", model(target), short(target))).collect();
    models.join(", ")
}

fn losses_page() -> String {
    let mut page = format!(
        "# What each translation carries\n\n{HEAD}\n\nWhere a caller and an upstream speak the same protocol, the request passes as it is. Where they do not, it is \
         translated,\nand this page says what becomes of each documented field. It is not written by hand: each field is laid over a minimal\nrequest, \
         translated, and looked for in what comes out.\n\n- `✓`: carried.\n- `emulated`: the same meaning by other means.\n- `degraded`: carried with less \
         than its full meaning.\n- `dropped`: not carried; the rest of the request is.\n- `refused`: the request gets an error that says what to do.\n\n\
         A field that is neither carried nor in this list fails a test. An answer names what its own request lost in\n`x-routeplane-losses`; [`on_loss`](presets.md#what-a-translation-loses) \
         says what a preset makes of it; `routeplane check --losses`\nprints this for the routes of a file, with the quirks of their providers. What a target takes may depend on the model; \
         here\nit is {}.\n\nAnswers are tried in the same way, for a caller who asked for thoughts: see [below](#answers-of-openai-chat-completions).\n\nThe same by feature: [compatibility](compatibility.md).\n",
        reference_models()
    );
    for source in sources() {
        let translations = translations(source);
        write!(page, "\n## From {}\n\n| field |", title(source)).unwrap();
        translations.iter().for_each(|(target, _)| write!(page, " {} |", short(*target)).unwrap());
        page.push_str("\n|---|");
        translations.iter().for_each(|_| page.push_str("---|"));
        page.push('\n');
        for (at, field) in ledger::fields(source).iter().enumerate() {
            write!(page, "| `{}` |", field.path.replace('|', "\\|")).unwrap();
            for (_, entries) in &translations {
                let fate = entries[at].fate();
                write!(page, " {} |", if fate == Fate::Carried { "✓" } else { fate.name() }).unwrap();
            }
            page.push('\n');
        }
        for (target, entries) in &translations {
            write!(page, "\n### {} to {}\n\n", short(source), short(*target)).unwrap();
            page.push_str(&reasons(entries));
        }
    }
    for upstream in targets() {
        page.push_str(&answers_of(upstream));
    }
    page.push_str(&answers());
    page
}

/// What becomes of the fields of an upstream's answers.
fn answers_of(upstream: ProtocolId) -> String {
    let translations: Vec<(ProtocolId, Vec<Entry>)> = answering()
        .into_iter()
        .filter_map(|(from, caller)| (from == upstream && caller != upstream).then_some(caller))
        .map(|caller| (caller, ledger::answers(upstream, caller)))
        .collect();
    let mut text = format!("\n## Answers of {}\n\n| field |", title(upstream));
    translations.iter().for_each(|(caller, _)| write!(text, " to {} |", short(*caller)).unwrap());
    text.push_str("\n|---|");
    translations.iter().for_each(|_| text.push_str("---|"));
    text.push('\n');
    for (at, field) in ledger::answer_fields(upstream).iter().enumerate() {
        write!(text, "| `{}` |", field.path).unwrap();
        for (_, entries) in &translations {
            let fate = entries[at].fate();
            write!(text, " {} |", if fate == Fate::Carried { "✓" } else { fate.name() }).unwrap();
        }
        text.push('\n');
    }
    for (caller, entries) in &translations {
        write!(text, "\n### {} answers to {}\n\n", short(upstream), short(*caller)).unwrap();
        text.push_str(&reasons(entries));
    }
    text
}

/// What of answers is left out without being reported.
fn answers() -> String {
    let mut text = String::from(
        "\n## Members of answers that nobody documents\n\nWhat of an answer the caller's protocol cannot express is found member by member in each answer, and named in \
         `x-routeplane-losses`\nwhere the answer is whole. A test leaves out one member after the other of every recorded answer: where that changes neither what is\n\
         written nor what is reported, it fails. These are its exceptions:\n\n",
    );
    for (protocol, paths, reason) in UNSAID {
        let paths: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
        writeln!(text, "- of {}: {}: {reason}", short(*protocol), paths.join(", ")).unwrap();
    }
    text
}

/// The reasons of one pair, the worst first, each with its fields.
fn reasons(entries: &[Entry]) -> String {
    let mut grouped: BTreeMap<(Fate, String), Vec<&str>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.fate() != Fate::Carried) {
        grouped.entry((entry.fate(), entry.reason().into_owned())).or_default().push(entry.field.path);
    }
    let mut text = String::new();
    for ((fate, reason), fields) in grouped.iter().rev() {
        let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
        writeln!(text, "- {fate}, {reason}: {}", fields.join(", ")).unwrap();
    }
    text
}

fn compatibility_page() -> String {
    let mut page = format!(
        "# Compatibility\n\n{HEAD}\n\nEvery protocol that callers may speak, with every protocol that upstreams may speak. The numbers are documented fields of \
         a\nrequest that arrive with their full meaning, of all that the vendor documents; [losses](losses.md) has each of them by name.\nThe models are {}.\n\n\
         ## Requests\n\nRows: what the caller speaks. Columns: what the upstream speaks.\n\n| |",
        reference_models()
    );
    targets().into_iter().for_each(|target| write!(page, " {} |", title(target)).unwrap());
    page.push_str("\n|---|");
    targets().into_iter().for_each(|_| page.push_str("---|"));
    page.push('\n');
    for source in sources() {
        write!(page, "| {} |", title(source)).unwrap();
        for target in targets() {
            if source == target {
                page.push_str(" passes as it is |");
            } else {
                let entries = entries(source, target, model(target));
                write!(page, " {} |", share(&entries.iter().collect::<Vec<_>>())).unwrap();
            }
        }
        page.push('\n');
    }
    for source in sources() {
        let translations = translations(source);
        write!(page, "\n## From {}, by feature\n\n| feature |", title(source)).unwrap();
        translations.iter().for_each(|(target, _)| write!(page, " {} |", short(*target)).unwrap());
        page.push_str("\n|---|");
        translations.iter().for_each(|_| page.push_str("---|"));
        page.push('\n');
        for feature in Feature::ALL {
            if !ledger::fields(source).iter().any(|field| field.feature == feature) {
                continue;
            }
            write!(page, "| {} |", feature.name()).unwrap();
            for (_, entries) in &translations {
                let of_feature: Vec<&Entry> = entries.iter().filter(|entry| entry.field.feature == feature).collect();
                write!(page, " {} |", share(&of_feature)).unwrap();
            }
            page.push('\n');
        }
    }
    page.push_str(&answers_by_caller());
    page
}

/// What of an answer reaches a caller whose upstream spoke another protocol.
fn answers_by_caller() -> String {
    let callers: Vec<_> = sources().into_iter().chain(faces()).filter_map(|source| source.codec()).collect();
    let mut text = String::from(
        "\n## Answers\n\nEvery pair answers whole and streamed, and the tests hold each to the grammar of the caller's protocol. What a caller gets of an\n\
         answer that came in another protocol, streamed as well as whole:\n\n| |",
    );
    callers.iter().for_each(|caller| write!(text, " to {} |", short(caller.id())).unwrap());
    text.push_str("\n|---|");
    callers.iter().for_each(|_| text.push_str("---|"));
    text.push('\n');
    let columns: Vec<Vec<(bool, bool)>> = callers
        .iter()
        .map(|caller| {
            let origin = targets().into_iter().find(|target| *target != caller.id()).unwrap();
            arriving(*caller, origin)
        })
        .collect();
    for (row, (held, _)) in HELD.iter().enumerate() {
        write!(text, "| {held} |").unwrap();
        for column in &columns {
            let word = match column[row] {
                (true, true) => "✓",
                (true, false) => "whole",
                (false, true) => "streamed",
                (false, false) => "-",
            };
            write!(text, " {word} |").unwrap();
        }
        text.push('\n');
    }
    text
}

/// `all`, `12 of 14`, `none`.
fn share(entries: &[&Entry]) -> String {
    let kept = entries.iter().filter(|entry| !entry.fate().loses_meaning()).count();
    match kept {
        0 => "none".to_owned(),
        kept if kept == entries.len() => "all".to_owned(),
        kept => format!("{kept} of {}", entries.len()),
    }
}

fn assert_committed(name: &str, made: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("ROUTEPLANE_UPDATE").is_some() {
        std::fs::write(&file, made).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == made, "{name} is old: ROUTEPLANE_UPDATE=1 cargo test --test it ledger:: writes it anew");
}

#[test]
fn the_page_of_losses_is_the_one_that_is_committed() {
    let page = losses_page();
    let translated = |pairs: Vec<(ProtocolId, ProtocolId)>| pairs.into_iter().filter(|(from, to)| from != to).count();
    assert_eq!(page.matches("\n### ").count(), translated(pairs()) + translated(answering()));
    assert_committed("docs/losses.md", &page);
}

#[test]
fn the_page_of_compatibility_is_the_one_that_is_committed() {
    assert_committed("docs/compatibility.md", &compatibility_page());
}
