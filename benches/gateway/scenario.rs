//! What is asked: the requests of each row of the table.

/// One row: the same bytes go to nginx and to Routeplane.
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// A whole request, head and body.
    pub(crate) request: Vec<u8>,
}

/// The key that the load client shows; Routeplane asks for it.
pub(crate) const CLIENT_KEY: &str = "bench-client-key-0123456789abcdef";

/// Protocols and the providers of the bench's file that speak them.
const PROTOCOLS: [&str; 3] = ["chat", "messages", "gemini"];

pub(crate) fn all() -> Vec<Scenario> {
    let mut all = vec![
        scenario("chat, 250 bytes", "chat", "chat/m1", 0, false),
        scenario("chat, 120 KB", "chat", "chat/m1", 120 << 10, false),
        scenario("stream, 20 events", "chat", "chat/m1", 0, true),
        scenario("stream, 20 events, 2 ms apart", "chat", "chat/paced", 0, true),
    ];
    for caller in PROTOCOLS {
        for upstream in PROTOCOLS {
            let name = format!("{caller} to {upstream}");
            all.push(scenario(&name, caller, &format!("{upstream}/m1"), 0, false));
        }
    }
    all
}

/// A stream that says one word and then nothing.
pub(crate) fn idle_stream() -> Scenario {
    scenario("idle stream", "chat", "chat/idle", 0, true)
}

fn scenario(name: &str, caller: &str, model: &str, padding: usize, stream: bool) -> Scenario {
    let question = format!("What is the answer to everything? {}", "Lorem ipsum. ".repeat(padding / 13));
    let (path, key_header, body) = match caller {
        "chat" => ("/v1/chat/completions".to_owned(), "authorization: Bearer ", chat(model, &question, stream)),
        "messages" => {
            ("/v1/messages".to_owned(), "anthropic-version: 2023-06-01\r\nx-api-key: ", messages(model, &question))
        }
        _ => (format!("/v1beta/models/{model}:generateContent"), "x-goog-api-key: ", gemini(&question)),
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nuser-agent: bench\r\n\
         accept: application/json\r\n{key_header}{CLIENT_KEY}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Scenario { name: name.to_owned(), request: (head + &body).into_bytes() }
}

fn chat(model: &str, question: &str, stream: bool) -> String {
    let ending = if stream { ",\"stream\":true,\"stream_options\":{\"include_usage\":true}" } else { "" };
    format!(
        "{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"system\",\"content\":\"You are a helpful assistant that \
         answers briefly.\"}},{{\"role\":\"user\",\"content\":\"{question}\"}}],\"temperature\":0.5,\
         \"max_completion_tokens\":200{ending}}}"
    )
}

fn messages(model: &str, question: &str) -> String {
    format!(
        "{{\"model\":\"{model}\",\"max_tokens\":200,\"system\":\"You are a helpful assistant that answers briefly.\",\
         \"messages\":[{{\"role\":\"user\",\"content\":\"{question}\"}}],\"temperature\":0.5}}"
    )
}

fn gemini(question: &str) -> String {
    format!(
        "{{\"systemInstruction\":{{\"parts\":[{{\"text\":\"You are a helpful assistant that answers briefly.\"}}]}},\
         \"contents\":[{{\"role\":\"user\",\"parts\":[{{\"text\":\"{question}\"}}]}}],\
         \"generationConfig\":{{\"temperature\":0.5,\"maxOutputTokens\":200}}}}"
    )
}
