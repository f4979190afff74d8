//! Questions about answers that have been given: `GET` and `DELETE /v1/responses/{id}`, `/cancel`, `/input_items`.

use std::sync::Arc;

use http::{HeaderMap, Response};

use super::{forward, owner, texts};
use crate::live::Live;
use crate::proxy::ingress::{Stored, Wish};
use crate::proxy::respond::{self, Trail};
use crate::proxy::{Gateway, ResponseBody};
use crate::state::responses::{Held, Turn};
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::json;
use crate::wire::openai_responses::history;

/// Most items of one page (OpenAI's bound).
const LARGEST_PAGE: usize = 100;
const USUAL_PAGE: usize = 20;

/// A question, and what came with it.
pub struct Question<'r> {
    pub stored: &'r Stored<'r>,
    pub query: Option<&'r str>,
    pub headers: &'r HeaderMap,
    /// Position of the client key.
    pub key: Option<usize>,
}

/// Answers it here, or asks the provider that keeps the answer.
///
/// # Errors
/// An answer that is unknown or another client key's (404, both in the same words), and what an answer of this gateway
/// does not allow.
pub async fn answer(
    gateway: &Gateway,
    live: &Arc<Live>,
    question: &Question<'_>,
    trail: &mut Trail,
) -> Result<Response<ResponseBody>, Error> {
    let owner = owner(live, question.key);
    let id = &*question.stored.id;
    match gateway.responses.find(&live.table.kept, &owner, id) {
        None => Err(not_found(id)),
        Some(Held::Kept(turns)) => own(gateway, &owner, question, &turns, trail),
        Some(Held::Passed(provider)) => {
            let response = forward::ask(gateway, live, question, &provider, trail).await?;
            if question.stored.wish == Wish::Delete && response.status().is_success() {
                gateway.responses.forget(&owner, id);
            }
            Ok(response)
        }
    }
}

fn not_found(id: &str) -> Error {
    let message = format!(
        "Response with id '{id}' not found; it was not stored, was deleted, or is older than `responses:` in the gateway's \
         file allows"
    );
    Error::new(ErrorKind::NotFound, message).with_code("response_not_found").with_param("id")
}

fn own(
    gateway: &Gateway,
    owner: &str,
    question: &Question<'_>,
    turns: &[Arc<Turn>],
    trail: &Trail,
) -> Result<Response<ResponseBody>, Error> {
    let id = &*question.stored.id;
    match question.stored.wish {
        Wish::Show if parameter(question.query, "stream") == Some("true") => Err(Error::invalid(
            "only a response that was created with `background` can be streamed again; leave out `stream`",
        )
        .with_param("stream")),
        Wish::Show => {
            let response = turns.last().map(|turn| turn.response.to_vec()).unwrap_or_default();
            Ok(respond::json(response, trail))
        }
        Wish::Delete => {
            gateway.responses.forget(owner, id);
            let mut out = Vec::new();
            json::object(&mut out, |answer| {
                answer.field("id", id);
                answer.field("object", "response");
                answer.field("deleted", &true);
            });
            Ok(respond::json(out, trail))
        }
        Wish::Cancel => {
            let message = "only a response that was created with `background` can be cancelled; to stop any other, close \
                           its connection";
            Err(Error::invalid(message))
        }
        Wish::InputItems => page(question, &history::listed(&texts(turns), id)).map(|body| respond::json(body, trail)),
    }
}

/// The last value of a parameter of the query, as it stands there: none of these has characters to escape.
fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()
}

/// One page of the items, newest first unless asked for otherwise.
fn page(question: &Question<'_>, items: &[(String, String)]) -> Result<Vec<u8>, Error> {
    let parameter = |name| parameter(question.query, name);
    let wrong = |name: &str, expected: &str| Error::invalid(format!("`{name}` must be {expected}")).with_param(name);
    let limit = match parameter("limit").map(str::parse::<usize>) {
        None => USUAL_PAGE,
        Some(Ok(limit)) if (1..=LARGEST_PAGE).contains(&limit) => limit,
        Some(_) => return Err(wrong("limit", "a number from 1 to 100")),
    };
    let mut ordered: Vec<&(String, String)> = items.iter().collect();
    match parameter("order") {
        None | Some("desc") => ordered.reverse(),
        Some("asc") => {}
        Some(_) => return Err(wrong("order", "`asc` or `desc`")),
    }
    let start = match parameter("after") {
        None => 0,
        Some(after) => match ordered.iter().position(|(id, _)| id == after) {
            Some(at) => at + 1,
            None => return Err(wrong("after", "the id of an item of this list")),
        },
    };
    let rest = ordered.get(start..).unwrap_or_default();
    let (shown, more) = rest.split_at_checked(limit).unwrap_or((rest, &[]));
    let mut out = Vec::new();
    json::object(&mut out, |list| {
        list.field("object", "list");
        list.array("data", shown, |(_, item), out| out.extend_from_slice(item.as_bytes()));
        list.field("first_id", &shown.first().map(|(id, _)| id));
        list.field("last_id", &shown.last().map(|(id, _)| id));
        list.field("has_more", &!more.is_empty());
    });
    Ok(out)
}
