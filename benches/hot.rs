//! What the hot functions cost, in allocations and instructions: `cargo bench --bench hot`.
//!
//! Both are exact, whatever else the machine does. Instructions are counted by `valgrind --tool=callgrind` (skipped, and
//! said so, where valgrind is not installed): the function runs a hundred times and two hundred times, and the difference is
//! a hundred runs of it and of nothing else.
//!
//! Of streams it is also told how many bytes are copied: those that leave in other memory than they came in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

use std::borrow::Cow;
use std::hint::black_box;
use std::process::Command;

use bytes::Bytes;
use routeplane::config::{self, Env, Files, Inputs};
use routeplane::proxy::pipe::{Out, Pipe, Terms};
use routeplane::rule::request::RequestShape;
use routeplane::table::explain::explain;
use routeplane::table::select::AllUp;
use routeplane::table::wishes::Asked;
use routeplane::table::{Draw, Outcome, RoutingTable};
use routeplane::wire::envelope::Edit;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{Head, Operation, Protocol, ProtocolId};

/// Runs of a function in one measurement.
const RUNS: u32 = 100;

/// One function with its input, ready to be called again and again.
struct Function {
    call: Box<dyn FnMut()>,
    /// Bytes that a call copies from what came to what leaves; `None` where nothing of that kind happens.
    copied: Option<usize>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--run", name, runs] => run(name, runs.parse().unwrap()),
        _ => report(),
    }
}

fn run(name: &str, runs: u32) {
    let lazy = functions().into_iter().find(|lazy| lazy.name == name).expect("a function of this name");
    let mut function = (lazy.make)();
    for _ in 0..runs {
        (function.call)();
    }
}

fn report() {
    println!("| function | allocations | bytes allocated | bytes copied | instructions |");
    println!("|---|---|---|---|---|");
    for Lazy { name, make } in functions() {
        let Function { mut call, copied } = make();
        // What is only set up once is not the function's.
        call();
        let counted = allocation_counter::measure(&mut call);
        let instructions = instructions(name).map_or("valgrind is not installed".to_owned(), |count| count.to_string());
        let copied = copied.map_or("-".to_owned(), |bytes| bytes.to_string());
        println!("| {name} | {} | {} | {copied} | {instructions} |", counted.count_total, counted.bytes_total);
    }
}

/// Instructions of one call.
fn instructions(name: &str) -> Option<u64> {
    let (once, twice) = (collected(name, RUNS)?, collected(name, 2 * RUNS)?);
    Some((twice - once) / u64::from(RUNS))
}

/// Instructions of a whole process that calls the function `runs` times.
fn collected(name: &str, runs: u32) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["--run", name, &runs.to_string()])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find_map(|line| line.split("Collected :").nth(1));
    Some(line.unwrap_or_else(|| panic!("valgrind: {said}")).trim().parse().expect("a number of instructions"))
}

/// A function that is made when it is wanted: a table of 10,000 rules takes longer to compile than a hundred decisions.
struct Lazy {
    name: &'static str,
    make: Box<dyn FnOnce() -> Function>,
}

fn lazy(name: &'static str, make: impl FnOnce() -> Function + 'static) -> Lazy {
    Lazy { name, make: Box::new(make) }
}

fn functions() -> Vec<Lazy> {
    vec![
        lazy("peek, 250 bytes", || peek(chat_body(0))),
        lazy("peek, 120 KB", || peek(chat_body(120 << 10))),
        lazy("splice, 250 bytes", || splice(chat_body(0))),
        lazy("splice, 120 KB", || splice(chat_body(120 << 10))),
        lazy("select, a target", || select("up/m1")),
        lazy("select, a preset of three", || select("@three")),
        lazy("select, 1 rule", || select_among(1)),
        lazy("select, 10 rules", || select_among(10)),
        lazy("select, 100 rules", || select_among(100)),
        lazy("select, 1,000 rules", || select_among(1_000)),
        lazy("select, 10,000 rules", || select_among(10_000)),
        lazy("select, 1 rule of numbers and flags", || select_measured(1)),
        lazy("select, 10 rules of numbers and flags", || select_measured(10)),
        lazy("select, 100 rules of numbers and flags", || select_measured(100)),
        lazy("select, 1,000 rules of numbers and flags", || select_measured(1_000)),
        lazy("select, 10,000 rules of numbers and flags", || select_measured(10_000)),
        lazy("explain, 10 rules", || explain_among(10)),
        lazy("explain, 1,000 rules", || explain_among(1_000)),
        lazy("relay, 20 events at once", || relay(whole_stream())),
        lazy("relay, one event", relay_one),
        lazy("one event, chat to messages", || translate_one(ProtocolId::OpenAiChat, ProtocolId::AnthropicMessages)),
        lazy("one event, chat to responses", || translate_one(ProtocolId::OpenAiChat, ProtocolId::OpenAiResponses)),
        lazy("one event, messages to chat", || translate_one(ProtocolId::AnthropicMessages, ProtocolId::OpenAiChat)),
        lazy("one event, gemini to chat", || translate_one(ProtocolId::Gemini, ProtocolId::OpenAiChat)),
        lazy("one event, responses to chat", || translate_one(ProtocolId::OpenAiResponses, ProtocolId::OpenAiChat)),
    ]
}

fn chat_body(padding: usize) -> Bytes {
    let question = "What is the answer to everything? ".repeat(1 + padding / 34);
    format!(
        "{{\"model\":\"openai/gpt-5-mini\",\"messages\":[{{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"}},\
         {{\"role\":\"user\",\"content\":\"{question}\"}}],\"temperature\":0.5,\"stream\":true}}"
    )
    .into()
}

const HEAD: Head<'static> =
    Head { operation: Operation::Generate, path_model: None, path_stream: false, alt_sse: false };

fn chat() -> &'static dyn Protocol {
    ProtocolId::OpenAiChat.codec().unwrap()
}

fn peek(body: Bytes) -> Function {
    let inbound = chat().inbound().unwrap();
    Function {
        copied: None,
        call: Box::new(move || {
            black_box(inbound.peek(&HEAD, black_box(&body)).unwrap());
        }),
    }
}

/// The edits of an ordinary pass-through: the model's name, and usage asked for.
fn splice(body: Bytes) -> Function {
    // The envelope borrows from the body, and both live as long as the bench.
    let body: &'static Bytes = Box::leak(Box::new(body));
    let envelope = chat().inbound().unwrap().peek(&HEAD, body).unwrap();
    Function {
        copied: None,
        call: Box::new(move || {
            let edits = [
                Edit::Set("model", Cow::Borrowed(b"\"gpt-5-mini\"")),
                Edit::Default("stream_options", Cow::Borrowed(b"{\"include_usage\":true}")),
            ];
            black_box(envelope.splice(body, black_box(&edits)));
        }),
    }
}

/// The bench's file names no other.
struct NoFiles;

impl Files for NoFiles {
    fn read(&self, path: &str) -> Result<String, String> {
        Err(format!("the bench has no {path}"))
    }
}

fn table() -> RoutingTable {
    let file = "version: 1
providers:
  up: { protocol: openai-chat, base_url: \"http://127.0.0.1:1/v1\", models: [m1, m2, m3] }
presets:
  three: { route: up/m1 > up/m2 > up/m3 }
rules: |
  when model == \"never\" -> @three
  otherwise -> as requested
";
    let inputs = Inputs { file: Some(("routeplane.yaml", file)), listen: None, env: &Env::default(), files: &NoFiles };
    let compilation = config::compile(inputs);
    compilation.table.expect("the bench's file compiles")
}

fn select(model: &str) -> Function {
    let (table, facts) = (table(), RequestShape::new(model));
    Function {
        copied: None,
        call: Box::new(move || {
            let decision = table.select(black_box(&facts), &AllUp, Draw(0.5));
            assert!(matches!(decision.outcome, Outcome::Attempts { .. }));
            black_box(decision);
        }),
    }
}

/// Rules as a gateway of many teams has them: for a team, for a team's models, for a size. The last one fires.
fn select_among(count: usize) -> Function {
    let (table, facts) = teams(count);
    select_last(table, facts, count)
}

/// The same rules with the reasons: why each of those above did not fire.
fn explain_among(count: usize) -> Function {
    let (table, facts) = teams(count);
    Function {
        copied: None,
        call: Box::new(move || {
            let explanation = explain(&table, black_box(&facts), (&Asked::Nothing, &[]), &AllUp, Draw(0.5));
            assert_eq!(explanation.rules.len(), count + 1);
            black_box(explanation);
        }),
    }
}

fn teams(count: usize) -> (RoutingTable, RequestShape) {
    let rule = |n: usize| match n % 10 {
        0 => format!("when header(\"x-team\") == \"t{n}\" and model ~ \"gpt-{n}*\" -> up/m1"),
        1 => format!("when model == \"alias-{n}\" and not stream -> up/m2"),
        2 => format!("when model ~ \"family-{n}-*\" -> up/m3"),
        _ => format!("when header(\"x-team\") in [\"t{n}\", \"u{n}\"] and input_tokens > 100k -> up/m2"),
    };
    let mut facts = RequestShape::new("gpt-5");
    facts.headers.insert("x-team".to_owned(), "last".to_owned());
    (ruled(count, rule, "when header(\"x-team\") == \"last\" -> up/m1"), facts)
}

/// Rules that ask for no text: for a size, for a limit, for a tool. The last one fires.
fn select_measured(count: usize) -> Function {
    let rule = |n: usize| match n % 4 {
        0 => format!("when input_tokens >= {} and input_tokens < {} -> up/m1", 100 * n, 100 * n + 90),
        1 => format!("when tool(\"t{n}\") and not stream -> up/m2"),
        2 => format!("when stream and max_tokens in [{n}, {}] -> up/m3", n + 1),
        _ => format!("when has tools and (tool(\"u{n}\") or tool(\"v{n}\")) -> up/m1"),
    };
    let mut facts = RequestShape::new("gpt-5");
    (facts.input_tokens, facts.max_tokens, facts.images, facts.stream) = (795, 42, 5, false);
    facts.tools = vec!["bash".to_owned(), "grep".to_owned()];
    select_last(ruled(count, rule, "when images > 4 -> up/m2"), facts, count)
}

/// `count` rules, and one below them that fires.
fn ruled(count: usize, rule: impl Fn(usize) -> String, last: &str) -> RoutingTable {
    let rules: String = (1..=count).map(|n| format!("  {}\n", rule(n))).collect();
    let file = format!(
        "version: 1\nproviders:\n  up: {{ protocol: openai-chat, base_url: \"http://127.0.0.1:1/v1\", models: [m1, m2, m3] }}\n\
         rules: |\n{rules}  {last}\n"
    );
    let inputs = Inputs { file: Some(("routeplane.yaml", &file)), listen: None, env: &Env::default(), files: &NoFiles };
    config::compile(inputs).table.expect("the bench's file compiles")
}

/// Decides by the rule below `count` others.
fn select_last(table: RoutingTable, facts: RequestShape, count: usize) -> Function {
    let number = u32::try_from(count + 1).ok();
    Function {
        copied: None,
        call: Box::new(move || {
            let decision = table.select(black_box(&facts), &AllUp, Draw(0.5));
            assert_eq!(decision.rule, number);
            black_box(decision);
        }),
    }
}

fn event(data: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
         \"model\":\"m1\",\"choices\":[{{\"index\":0,\"delta\":{data},\"finish_reason\":null}}]}}\n\n"
    )
}

fn whole_stream() -> Bytes {
    let mut stream: String = (0..20).map(|n| event(&format!("{{\"content\":\" word{n}\"}}"))).collect();
    stream.push_str("data: [DONE]\n\n");
    stream.into()
}

fn new_relay() -> Pipe {
    Pipe::relay(chat().inbound().unwrap(), chat().outbound().unwrap(), Terms::default())
}

/// Bytes of `left` that lie elsewhere than in `came`.
fn copied(came: &Bytes, left: &Bytes) -> usize {
    let (memory, place) = (came.as_ptr_range(), left.as_ptr_range());
    if memory.start <= place.start && place.end <= memory.end { 0 } else { left.len() }
}

fn relay(stream: Bytes) -> Function {
    let call = |stream: &Bytes| {
        let (mut pipe, mut out) = (new_relay(), Out::default());
        pipe.push(stream.clone(), &mut out);
        pipe.finish(&mut out);
        assert!(pipe.is_complete());
        out.take()
    };
    let copied = Some(copied(&stream, &call(&stream)));
    let call = Box::new(move || {
        black_box(call(black_box(&stream)));
    });
    Function { copied, call }
}

/// One event of a stream that is under way.
fn relay_one() -> Function {
    under_way(new_relay(), Bytes::from(event("{\"content\":\" word\"}")))
}

/// The same for a caller of another protocol.
fn translate_one(from: ProtocolId, to: ProtocolId) -> Function {
    let (outbound, inbound) = (from.codec().unwrap().outbound().unwrap(), to.codec().unwrap().inbound().unwrap());
    let request = chat().inbound().unwrap().decode_request(&HEAD, &chat_body(0)).unwrap();
    let (decoder, encoder) = (outbound.stream_decoder(&Quirks::default()), inbound.stream_encoder(&HEAD, &request));
    let mut pipe = Pipe::translate(inbound, outbound, &HEAD, decoder, encoder);
    let (begin, one) = said_by(from);
    pipe.push(Bytes::from(begin), &mut Out::default());
    under_way(pipe, Bytes::from(one))
}

fn under_way(mut pipe: Pipe, one: Bytes) -> Function {
    let mut call = move |one: &Bytes| {
        let mut out = Out::default();
        pipe.push(one.clone(), &mut out);
        out.take()
    };
    // With the first word some protocols begin a block.
    call(&one);
    let left = call(&one);
    assert!(!left.is_empty(), "an event says nothing");
    let copied = Some(copied(&one, &left));
    let call = Box::new(move || {
        black_box(call(black_box(&one)));
    });
    Function { copied, call }
}

/// How a stream begins, and an event with one word more.
fn said_by(protocol: ProtocolId) -> (String, String) {
    let named = |event: &str, data: &str| format!("event: {event}\ndata: {data}\n\n");
    match protocol {
        ProtocolId::AnthropicMessages => (
            named(
                "message_start",
                "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\
                 \"model\":\"m1\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}",
            ) + &named(
                "content_block_start",
                "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}",
            ),
            named(
                "content_block_delta",
                "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}}",
            ),
        ),
        ProtocolId::Gemini => {
            let one = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" word\"}],\"role\":\"model\"},\"index\":0}],\
                       \"modelVersion\":\"m1\",\"responseId\":\"r1\"}\r\n\r\n";
            (one.to_owned(), one.to_owned())
        }
        ProtocolId::OpenAiResponses => {
            let of = "\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0";
            (
                named(
                    "response.created",
                    "{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\
                     \"object\":\"response\",\"created_at\":1700000000,\"status\":\"in_progress\",\"model\":\"m1\",\"output\":[]}}",
                ) + &named(
                    "response.output_item.added",
                    "{\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":\
                     {\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}",
                ) + &named(
                    "response.content_part.added",
                    &format!(
                        "{{\"type\":\"response.content_part.added\",\"sequence_number\":2,{of},\"part\":\
                         {{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[]}}}}"
                    ),
                ),
                named(
                    "response.output_text.delta",
                    &format!(
                        "{{\"type\":\"response.output_text.delta\",\"sequence_number\":3,{of},\"delta\":\" word\"}}"
                    ),
                ),
            )
        }
        _ => (event("{\"role\":\"assistant\",\"content\":\"\"}"), event("{\"content\":\" word\"}")),
    }
}
