//! TensorZero's two forms, which only callers speak: what an answer says is there, whole and streamed.

use routeplane::wire::ir::{Response, fold};
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{Protocol, ProtocolId};
use serde_json::Value;

use super::fixtures::{cases, encode_stream, events, inbound, outbound, streaming_request};
use super::gist::{self, AnswerGist};

fn faces() -> [&'static dyn Protocol; 2] {
    [ProtocolId::TensorZero, ProtocolId::TensorZeroChat].map(|id| id.codec().unwrap())
}

/// What a caller reads of an answer, or of the chunks of one.
#[derive(Default)]
struct Reader {
    text: String,
    reasoning: String,
    /// By id: the name and the arguments.
    calls: Vec<(String, String, String)>,
    finish: Option<String>,
    usage: Value,
}

impl Reader {
    fn of(face: &dyn Protocol, documents: &[Value]) -> AnswerGist {
        let mut reader = Reader::default();
        for document in documents {
            if face.id() == ProtocolId::TensorZero { reader.native(document) } else { reader.chat(document) }
        }
        reader.gist()
    }

    fn chat(&mut self, document: &Value) {
        let choice = &document["choices"][0];
        let said = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        self.text += said["content"].as_str().unwrap_or_default();
        for block in said["tensorzero_extra_content"].as_array().into_iter().flatten() {
            self.reasoning += block["text"].as_str().unwrap_or_default();
        }
        for (at, call) in said["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let place = call["index"].as_u64().unwrap_or(at as u64).to_string();
            self.call(&place, &call["function"]["name"], &call["function"]["arguments"]);
        }
        self.end(&choice["finish_reason"], &document["usage"]);
    }

    fn native(&mut self, document: &Value) {
        for block in document["content"].as_array().into_iter().flatten() {
            let text = block["text"].as_str().unwrap_or_default();
            match block["type"].as_str().unwrap() {
                "text" => self.text += text,
                "thought" => self.reasoning += text,
                "tool_call" => self.call(block["id"].as_str().unwrap(), &block["raw_name"], &block["raw_arguments"]),
                other => panic!("{other}"),
            }
        }
        self.end(&document["finish_reason"], &document["usage"]);
    }

    /// A call, or a piece of one.
    fn call(&mut self, place: &str, name: &Value, arguments: &Value) {
        let [name, arguments] = [name, arguments].map(|text| text.as_str().unwrap_or_default());
        match self.calls.iter_mut().find(|(known, ..)| known == place) {
            Some((_, known, so_far)) => {
                *known += name;
                *so_far += arguments;
            }
            None => self.calls.push((place.to_owned(), name.to_owned(), arguments.to_owned())),
        }
    }

    fn end(&mut self, finish: &Value, usage: &Value) {
        if let Some(word) = finish.as_str() {
            self.finish = Some(word.to_owned());
        }
        if usage.is_object() {
            self.usage = usage.clone();
        }
    }

    fn gist(self) -> AnswerGist {
        let finish = self.finish.map(|word| match word.as_str() {
            "stop" | "stop_sequence" | "unknown" => "stop",
            "tool_calls" | "tool_call" => "calls",
            "length" => "length",
            "content_filter" => "filter",
            other => panic!("{other}"),
        });
        let count = |names: [&str; 2]| names.iter().find_map(|name| self.usage[name].as_u64()).unwrap_or(0);
        let usage = (count(["input_tokens", "prompt_tokens"]), count(["output_tokens", "completion_tokens"]));
        let calls = self.calls.iter().map(|(_, name, arguments)| (name.clone(), gist::json(arguments))).collect();
        AnswerGist { text: self.text, reasoning: self.reasoning, calls, finish, usage: Some(usage) }
    }
}

/// The first candidate, as a face must tell it.
fn expected(answer: &Response) -> AnswerGist {
    let mut gist = gist::answer(answer).swap_remove(0);
    gist.usage = Some(gist.usage.unwrap_or((0, 0)));
    gist
}

#[test]
fn whole_answers_survive() {
    let mut seen = 0;
    for case in cases() {
        let Some(body) = case.read("response.json") else { continue };
        let whole = outbound(case.protocol).decode_response(&body, &Quirks::default()).unwrap();
        if whole.candidates.is_empty() {
            continue;
        }
        for face in faces() {
            let mut out = Vec::new();
            inbound(face).encode_response(&whole, &mut out, &mut Losses::default());
            let mut got = Reader::of(face, &[serde_json::from_slice(&out).unwrap()]);
            let want = expected(&whole);
            // The form has a word where the upstream had none.
            got.finish = got.finish.filter(|_| want.finish.is_some());
            assert_eq!(got, want, "{} to {}", case.name(), face.id());
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn streams_survive() {
    let (request, mut seen) = (streaming_request(), 0);
    for case in cases() {
        let Some(stream) = case.stream() else { continue };
        let read = events(case.protocol, &[&stream]);
        let Ok(folded) = fold(case.protocol.id(), &read) else { continue };
        if folded.candidates.is_empty() {
            continue;
        }
        for face in faces() {
            let name = format!("{} to {}", case.name(), face.id());
            let out = String::from_utf8(encode_stream(face, &read, &request)).unwrap();
            let data: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
            assert_eq!(data.iter().filter(|data| **data == "[DONE]").count(), 1, "{name}");
            assert_eq!(data.last(), Some(&"[DONE]"), "{name}");
            let chunks = data.iter().filter(|data| **data != "[DONE]");
            let chunks: Vec<Value> = chunks.map(|data| serde_json::from_str(data).unwrap()).collect();
            let mut got = Reader::of(face, &chunks);
            let want = expected(&folded);
            got.finish = got.finish.filter(|_| want.finish.is_some());
            assert_eq!(got, want, "{name}");
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}
