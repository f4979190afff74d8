//! How far off estimates of tokens are, by a real tokenizer (OpenAI's `o200k_base`), for kinds of text; and what they cost:
//! `cargo bench --bench tokens`.
//!
//! The texts are this project's own, and a few lines in other languages, so that everybody gets the same numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::hint::black_box;
use std::time::Instant;

use routeplane::proxy::estimate;
use routeplane::table::facts::estimate_tokens;
use routeplane::wire::{Head, Operation, Protocol, ProtocolId};
use serde_json::{Value, json};

const GERMAN: &str = "Die Anfrage wird nach ihren Eigenschaften geprüft, und die erste Regel, deren Bedingung zutrifft, \
                      entscheidet über das Ziel. Schlägt das Ziel fehl, so wird das nächste der Kette versucht.";
const FRENCH: &str = "La requête est examinée selon ses propriétés, et la première règle dont la condition est remplie décide \
                      de la destination. Si celle-ci échoue, on essaie la suivante de la chaîne.";
const RUSSIAN: &str = "Запрос проверяется по его свойствам, и первое правило, условие которого выполнено, определяет цель. \
                       Если цель не отвечает, пробуется следующая в цепочке.";
const CHINESE: &str =
    "系统会根据请求的特征逐条检查规则，第一条满足条件的规则决定目标。如果目标失败，就尝试链条中的下一个。";
const JAPANESE: &str = "リクエストはその性質に応じて調べられ、条件を満たす最初の規則が宛先を決めます。宛先が失敗した場合は、次の宛先を試します。";
const ARABIC: &str =
    "يُفحص الطلب وفقًا لخصائصه، والقاعدة الأولى التي يتحقق شرطها هي التي تحدد الوجهة. وإذا فشلت الوجهة تُجرَّب التالية.";

fn main() {
    errors();
    costs();
}

// === errors

fn texts() -> Vec<(&'static str, String)> {
    let schema = include_str!("../schemas/routeplane.schema.json");
    let packed: Value = serde_json::from_str(schema).unwrap();
    let digits: Vec<String> = (0..2_000u64).map(|at| (at * 2_654_435_761 % 1_000_003).to_string()).collect();
    vec![
        ("English, a manual", include_str!("../docs/provider-selection.md").to_owned()),
        ("English, a changelog", include_str!("../CHANGELOG.md").to_owned()),
        ("source code (Rust)", include_str!("../src/table/wishes.rs").to_owned()),
        ("source code (Python)", include_str!("hostile.py").to_owned()),
        ("YAML", include_str!("../presets/providers/openai.yaml").to_owned()),
        ("JSON, indented", schema.to_owned()),
        ("JSON, packed", packed.to_string()),
        ("numbers", digits.join(", ")),
        ("German", GERMAN.repeat(20)),
        ("French", FRENCH.repeat(20)),
        ("Russian", RUSSIAN.repeat(20)),
        ("Chinese", CHINESE.repeat(20)),
        ("Japanese", JAPANESE.repeat(20)),
        ("Arabic", ARABIC.repeat(20)),
    ]
}

/// The estimate as a share of what the tokenizer counts: of the text as a user's message, and of the document that holds it.
fn errors() {
    let tokenizer = tiktoken_rs::o200k_base().expect("its vocabulary");
    println!("| text | bytes | tokens | the conversation | the document |\n|---|---|---|---|---|");
    for (what, text) in texts() {
        let counted = tokenizer.encode_ordinary(&text).len() as f64;
        let body = chat(&text);
        let read = estimate_tokens(&decoded(&body)) as f64 / counted;
        let sent = estimate::document(body.as_bytes()) as f64 / counted;
        println!("| {what} | {} | {counted} | {read:.2} | {sent:.2} |", text.len());
    }
}

fn chat(text: &str) -> String {
    json!({ "model": "m", "messages": [{ "role": "user", "content": text }] }).to_string()
}

fn decoded(body: &str) -> routeplane::wire::ir::Request {
    let inbound = ProtocolId::OpenAiChat.codec().and_then(Protocol::inbound).expect("callers speak it");
    let head = Head { operation: Operation::Generate, path_model: None, path_stream: false, alt_sse: false };
    inbound.decode_request(&head, body.as_bytes()).expect("a request")
}

// === costs

/// What an estimate takes for a kilobyte of a long conversation; the least of many runs, since other work only adds.
fn costs() {
    let line = include_str!("../docs/provider-selection.md").lines().find(|line| line.len() > 100).unwrap();
    let message = json!({ "role": "user", "content": line.repeat(8) });
    let body = json!({ "model": "m", "messages": vec![message; 128] }).to_string();
    let request = decoded(&body);
    let kilobytes = body.len() as f64 / 1000.0;
    println!("\n| of {kilobytes:.0} KB, for each | time |\n|---|---|");
    for (what, call) in [
        ("the estimate of a conversation", &(|| estimate_tokens(black_box(&request))) as &dyn Fn() -> u64),
        ("the estimate of a document", &|| estimate::document(black_box(body.as_bytes()))),
        ("reading the conversation, and the estimate", &|| estimate_tokens(&decoded(black_box(&body)))),
    ] {
        let least = (0..200)
            .map(|_| {
                let began = Instant::now();
                black_box(call());
                began.elapsed()
            })
            .min()
            .unwrap();
        println!("| {what} | {:.3} us |", least.as_secs_f64() * 1e6 / kilobytes);
    }
}
