//! The request of a test: facts one by one, or a recorded body whose facts are read as those of a caller's request.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::{World, nearest, unknown};
use crate::config::decode::moment;
use crate::config::document::{TestEntry, TestRequest};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::rule::request::RequestShape;
use crate::rule::{Facts, OutputKind, ReasoningLevel, facts};
use crate::source::Spanned;
use crate::table::facts::{Assumed, RequestFacts};
use crate::table::wishes::{Asked, MEMBERS};
use crate::table::{ClientKey, RoutingTable};
use crate::wire::{Head, Inbound, Operation, ProtocolId};

pub(super) enum Request<'t> {
    /// And what it asks for of its own way.
    Described(Box<RequestShape>, Asked),
    Recorded(Box<Recorded<'t>>),
}

/// A body, and what stands beside it.
pub(super) struct Recorded<'t> {
    protocol: ProtocolId,
    inbound: &'static dyn Inbound,
    operation: Operation,
    /// The model, where the path names it.
    path_model: Option<&'t str>,
    path_stream: bool,
    headers: HeaderMap,
    body: Bytes,
    key: Option<&'t ClientKey>,
    assumed: Assumed<'t>,
}

/// A request as a decision sees it.
#[derive(Clone, Copy)]
pub(super) struct Pretended<'p, 'b> {
    pub(super) facts: &'p (dyn Facts + Sync),
    /// The facts again, of a body.
    pub(super) recorded: Option<&'p RequestFacts<'p, 'b>>,
    pub(super) asked: &'p Asked,
}

impl Request<'_> {
    /// Shows the request to `then`.
    ///
    /// # Errors
    /// Why the recorded body is no request of its protocol.
    pub(super) fn with_facts<T>(
        &self,
        table: &RoutingTable,
        then: impl FnOnce(Pretended<'_, '_>) -> T,
    ) -> Result<T, String> {
        let recorded = match self {
            Request::Described(shape, asked) => return Ok(then(Pretended { facts: &**shape, recorded: None, asked })),
            Request::Recorded(recorded) => &**recorded,
        };
        let Recorded { protocol, inbound, operation, path_model, path_stream, headers, body, key, assumed } = recorded;
        let head = Head {
            operation: *operation,
            path_model: *path_model,
            path_stream: *path_stream,
            alt_sse: *path_stream && *protocol == ProtocolId::Gemini,
        };
        let stripped;
        let envelope = inbound.peek(&head, body).map_err(|error| error.message)?;
        let may_choose = table.allows_request_routing(*key);
        let asked = Asked::read(may_choose, *operation, |name| envelope.members.get(name));
        stripped = asked.strip(body, &envelope);
        let (body, envelope) = match &stripped {
            Some(stripped) => (stripped, inbound.peek(&head, stripped).map_err(|error| error.message)?),
            None => (body, envelope),
        };
        let request = match operation {
            Operation::Generate => Some(inbound.decode_request(&head, body).map_err(|error| error.message)?),
            _ => None,
        };
        let facts = RequestFacts {
            protocol: *protocol,
            head,
            inbound: *inbound,
            headers,
            body,
            envelope: &envelope,
            key: *key,
            request_id: "",
            request: request.map_or_else(OnceLock::new, |request| OnceLock::from(Some(request))),
            assumed: *assumed,
            utc_offset: 0,
            // A test says what time it is, or does not care.
            clock: || MIDNIGHT_OF_A_MONDAY,
        };
        Ok(then(Pretended { facts: &facts, recorded: Some(&facts), asked: &asked }))
    }
}

/// What a request that is only described has, too. The first of January 1970 was a Thursday.
const MIDNIGHT_OF_A_MONDAY: u64 = 4 * 86_400;

/// Reads the request of `test`. `None` where something is wrong with it.
pub(super) fn read<'t>(test: &'t TestEntry, world: &World<'t>, diagnostics: &mut Diagnostics) -> Option<Request<'t>> {
    let request = &test.request;
    let key = client_key(request, world.table, diagnostics);
    let time = time(test, world.table, diagnostics);
    let read = match &request.body {
        None => wishes(request, key.flatten(), world.table, diagnostics)
            .map(|asked| Request::Described(Box::new(described(request)), asked)),
        Some(path) => recorded(request, path, world, diagnostics).map(|recorded| Request::Recorded(Box::new(recorded))),
    };
    let (key, (hour, weekday), mut read) = (key?, time?, read?);
    match &mut read {
        Request::Described(shape, _) => {
            shape.key = key.map(|key| key.id.to_string());
            let attributes = key.iter().flat_map(|key| &key.attributes);
            shape.key_attributes = attributes.map(|(name, value)| (name.to_string(), value.to_string())).collect();
            shape.hour = hour.unwrap_or(0);
            shape.weekday = weekday.unwrap_or(0);
        }
        Request::Recorded(recorded) => {
            recorded.key = key;
            recorded.assumed.hour = hour;
            recorded.assumed.weekday = weekday;
        }
    }
    Some(read)
}

// === facts one by one

fn described(request: &TestRequest) -> RequestShape {
    let mut shape = RequestShape::new(request.model.as_ref().map_or("", |model| &model.value));
    (shape.protocol, shape.embeddings) = protocol(request);
    shape.stream = request.stream.is_some_and(|stream| stream.value);
    let text = |written: &Option<Spanned<String>>| written.as_ref().map(|text| text.value.clone());
    shape.user = text(&request.user);
    shape.session = text(&request.session);
    shape.last_tool = text(&request.last_tool);
    shape.tools = request.tools.iter().map(|tool| tool.value.clone()).collect();
    let count = |written: Option<Spanned<u64>>| written.map_or(0, |count| count.value);
    shape.images = count(request.images);
    shape.files = count(request.files);
    shape.audio = count(request.audio);
    shape.messages = count(request.messages);
    shape.input_tokens = count(request.input_tokens);
    shape.max_tokens = count(request.max_tokens);
    shape.output = OutputKind::at(position(facts::OUTPUT, request.output.as_ref()));
    shape.reasoning = ReasoningLevel::at(position(facts::REASONING, request.reasoning.as_ref()));
    shape.headers = pairs(&request.headers, str::to_ascii_lowercase);
    shape.tags = pairs(&request.tags, str::to_owned);
    shape
}

fn pairs(written: &[(Spanned<String>, Spanned<String>)], name: fn(&str) -> String) -> BTreeMap<String, String> {
    written.iter().map(|(key, value)| (name(&key.value), value.value.clone())).collect()
}

/// The position of the word; the decoder lets no other through.
fn position(words: facts::Words, written: Option<&Spanned<String>>) -> u64 {
    let at = written.and_then(|word| words.list.iter().position(|known| *known == word.value));
    at.unwrap_or(0) as u64
}

/// The protocol, and whether embeddings are asked for.
fn protocol(request: &TestRequest) -> (ProtocolId, bool) {
    let word = request.protocol.as_ref().map_or("chat", |word| word.value.as_str());
    let known = ProtocolId::ALL.into_iter().find(|id| id.fact() == word);
    (known.unwrap_or(ProtocolId::OpenAiChat), facts::PROTOCOL.list.last() == Some(&word))
}

// === a recorded body

fn recorded<'t>(
    request: &'t TestRequest,
    path: &Spanned<String>,
    world: &World<'t>,
    diagnostics: &mut Diagnostics,
) -> Option<Recorded<'t>> {
    let (protocol, embeddings) = protocol(request);
    let unusable = |message: String, help: &str| {
        Diagnostic::new(Code::TestBody, message).label(path.span, "recorded here").help(help)
    };
    let Some(inbound) = protocol.codec().and_then(|codec| codec.inbound()) else {
        diagnostics.push(unusable("callers cannot speak this protocol".to_owned(), "name another `protocol`"));
        return None;
    };
    let in_path = matches!(protocol, ProtocolId::Gemini | ProtocolId::BedrockConverse);
    let model = request.model.as_ref().map(|model| model.value.as_str());
    if in_path && model.is_none() {
        let message = format!("a body of `{}` does not name its model", protocol.fact());
        diagnostics.push(unusable(message, "say which one is asked for: `request: { model: auto, body: ... }`"));
        return None;
    }
    let stream = request.stream.is_some_and(|stream| stream.value);
    let read = world.files.read(&path.value).map_err(|problem| format!("`{}` cannot be read: {problem}", path.value));
    let body = read.and_then(|text| match in_path {
        true => with_members(&text, &wished_members(request)),
        false => with_members(&text, &request_members(request)),
    });
    let body = match body {
        Ok(body) => body,
        Err(problem) => {
            diagnostics
                .push(unusable(problem, "paths are seen from the configuration file; the body is a JSON object"));
            return None;
        }
    };
    Some(Recorded {
        protocol,
        inbound,
        operation: if embeddings { Operation::Embed } else { Operation::Generate },
        path_model: model.filter(|_| in_path),
        path_stream: in_path && stream,
        headers: headers(request, diagnostics)?,
        body: body.into(),
        key: None,
        assumed: Assumed {
            user: request.user.as_ref().map(|user| user.value.as_str()),
            input_tokens: request.input_tokens.map(|tokens| tokens.value),
            ..Assumed::default()
        },
    })
}

/// The document with what the test says of it in it.
fn with_members(text: &str, more: &[(&str, Value)]) -> Result<Vec<u8>, String> {
    if more.is_empty() {
        return Ok(text.as_bytes().to_vec());
    }
    let mut members: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("this is not a JSON object: {error}"))?;
    members.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Ok(Value::Object(members).to_string().into_bytes())
}

fn request_members(request: &TestRequest) -> Vec<(&'static str, Value)> {
    let model = request.model.as_ref().map(|model| ("model", model.value.as_str().into()));
    let stream = request.stream.map(|stream| ("stream", stream.value.into()));
    model.into_iter().chain(stream).chain(wished_members(request)).collect()
}

// === what the request asks for of its own way

/// As JSON text, each with its member.
fn wished(request: &TestRequest) -> [(&'static str, Option<&Spanned<String>>); 3] {
    let TestRequest { models, provider, routing, .. } = request;
    let [first, second, third] = MEMBERS;
    [(first, models.as_ref()), (second, provider.as_ref()), (third, routing.as_ref())]
}

fn wished_members(request: &TestRequest) -> Vec<(&'static str, Value)> {
    let member = |(name, text): (_, Option<&Spanned<String>>)| Some((name, serde_json::from_str(&text?.value).ok()?));
    wished(request).into_iter().filter_map(member).collect()
}

/// The wishes of a request that is described. `None` where they cannot be read: no test means a request that is refused for
/// a slip of the pen.
fn wishes(
    request: &TestRequest,
    key: Option<&ClientKey>,
    table: &RoutingTable,
    diagnostics: &mut Diagnostics,
) -> Option<Asked> {
    let wished = wished(request);
    let text = |name: &str| wished.iter().find(|(known, _)| *known == name).and_then(|(_, text)| *text);
    let operation = if protocol(request).1 { Operation::Embed } else { Operation::Generate };
    let asked = Asked::read(table.allows_request_routing(key), operation, |name| Some(text(name)?.value.as_str()));
    let Asked::Unreadable(unmet) = asked else { return Some(asked) };
    let span = unmet.member.and_then(text).map(|text| text.span);
    let finding = Diagnostic::new(Code::BadValue, unmet.message);
    diagnostics.push(
        span.into_iter()
            .fold(finding, |finding, span| finding.label(span, "a request that says this is refused"))
            .help("write it as a request would: `provider: { order: [groq, openai], sort: price }`"),
    );
    None
}

fn headers(request: &TestRequest, diagnostics: &mut Diagnostics) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let mut complete = Some(());
    for (name, value) in &request.headers {
        match (HeaderName::try_from(&name.value), HeaderValue::try_from(&value.value)) {
            (Ok(name), Ok(value)) => drop(headers.append(name, value)),
            (Ok(_), Err(_)) | (Err(_), _) => {
                diagnostics.push(
                    Diagnostic::new(Code::BadValue, format!("this cannot be the value of `{}`", name.value))
                        .label(value.span, "not printable ASCII")
                        .help("write letters, digits and signs without line breaks"),
                );
                complete = None;
            }
        }
    }
    complete.map(|()| headers)
}

// === who asks, and when

/// The client key; `Some(None)` where the test names none.
fn client_key<'t>(
    request: &TestRequest,
    table: &'t RoutingTable,
    diagnostics: &mut Diagnostics,
) -> Option<Option<&'t ClientKey>> {
    if let Some(written) = &request.key
        && !table.keys.iter().any(|key| *key.id == *written.value)
    {
        let nearest = nearest(&written.value, table.keys.iter().map(|key| &*key.id));
        diagnostics.push(unknown("client key", written, nearest));
        return None;
    }
    let Some((first, _)) = request.key_attributes.first() else {
        return Some(request.key.as_ref().and_then(|id| table.keys.iter().find(|key| *key.id == *id.value)));
    };
    let named = |key: &&ClientKey| request.key.as_ref().is_none_or(|id| *key.id == *id.value);
    let has = |key: &&ClientKey| {
        let wanted = request.key_attributes.iter();
        wanted
            .clone()
            .all(|(name, value)| key.attributes.get(name.value.as_str()).map(|it| &**it) == Some(&value.value))
    };
    let found = table.keys.iter().filter(named).find(has);
    if found.is_none() {
        diagnostics.push(
            Diagnostic::new(Code::TestUnknownName, "no client key of the file has these attributes")
                .label(first.span, "no request can come with them")
                .help("give them to a key under `keys:`, as in `ci: { key: env:CI_KEY, team: lab }`"),
        );
    }
    found.map(Some)
}

/// Hour and weekday on the file's clock, as far as the test says them.
fn time(test: &TestEntry, table: &RoutingTable, diagnostics: &mut Diagnostics) -> Option<(Option<u64>, Option<u64>)> {
    if let Some(hour) = test.request.hour.filter(|hour| hour.value > 23) {
        diagnostics.push(
            Diagnostic::new(Code::BadValue, format!("a day has no hour {}", hour.value))
                .label(hour.span, "not from 0 to 23")
                .help("write an hour from 0 to 23"),
        );
        return None;
    }
    // The decoder lets no other text through.
    let given = test.given.time.as_ref().and_then(|time| moment::read(&time.value, table.utc_offset));
    let hour = test.request.hour.map(|hour| hour.value).or(given.map(|moment| moment.hour));
    let weekday = test.request.weekday.as_ref().map(|day| position(facts::WEEKDAY, Some(day)));
    Some((hour, weekday.or(given.and_then(|moment| moment.weekday))))
}
