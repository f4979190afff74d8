//! Responses calls and the answers that they go on from.
//!
//! An answer that came by translation is kept here ([`crate::state::responses`]); a call that goes on from it gets the whole
//! conversation as its `input`, so that any target can serve it. An answer that was passed through is kept by its provider:
//! only the provider is remembered, and calls that go on from it go there.

mod forward;
pub mod stored;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use smallvec::SmallVec;

use super::Gateway;
use super::outgoing::{self, Incoming};
use crate::live::Live;
use crate::state::responses::{Held, Responses, Turn};
use crate::table::{Attempt, Kept};
use crate::upstream::Pieces;
use crate::wire::envelope::{Edit, Envelope};
use crate::wire::ir::{self, Error};
use crate::wire::openai_responses::history;
use crate::wire::{Answering, Head, Inbound, json};

/// How ids begin that the gateway gives.
const OURS: &str = "resp_rp";

/// What a call has to do with answers before it and after it.
pub struct Session {
    store: Arc<Responses>,
    limits: Kept,
    /// The id of the client key; empty where none is asked for.
    owner: Box<str>,
    /// What a translated answer will be called.
    id: String,
    previous: Option<String>,
    /// The conversation that the call goes on from, where it is kept here.
    before: Option<Arc<[Arc<Turn>]>>,
    /// The provider that keeps the conversation.
    pinned: Option<Box<str>>,
    /// The value of the call's own `input`.
    input: Bytes,
    /// The caller did not forbid to keep the answer.
    keeps: bool,
}

/// Whose answers a caller may see.
fn owner(live: &Live, key: Option<usize>) -> Box<str> {
    key.and_then(|at| live.table.keys.get(at)).map(|key| key.id.clone()).unwrap_or_default()
}

/// Begins a call. Where it goes on from an answer that is kept here, the second value is its document with the whole
/// conversation in it.
///
/// # Errors
/// An answer of the gateway's own that is not there, or is another client key's.
pub fn begin(
    gateway: &Gateway,
    live: &Live,
    key: Option<usize>,
    envelope: &Envelope<'_>,
    body: &Bytes,
) -> Result<(Session, Option<Bytes>), Error> {
    let given = |name: &str| envelope.members.get(name).filter(|text| *text != "null");
    let mut session = Session {
        store: gateway.responses.clone(),
        limits: live.table.kept.clone(),
        owner: owner(live, key),
        id: format!("{OURS}{:032x}", fastrand::u128(..)),
        previous: given("previous_response_id").and_then(json::string).map(|id| id.into_owned()),
        before: None,
        pinned: None,
        input: given("input").map(|text| body.slice_ref(text.as_bytes())).unwrap_or_default(),
        keeps: given("store") != Some("false"),
    };
    let Some(id) = &session.previous else { return Ok((session, None)) };
    match session.store.find(&session.limits, &session.owner, id) {
        Some(Held::Kept(turns)) => {
            let items = history::continued(&texts(&turns), given("input"))?;
            let edits = [Edit::Set("input", items.into()), Edit::Remove("previous_response_id")];
            session.before = Some(turns);
            Ok((session, Some(Pieces::new(envelope.splice(body, &edits)).join())))
        }
        Some(Held::Passed(provider)) => {
            session.pinned = Some(provider);
            Ok((session, None))
        }
        None if id.starts_with(OURS) || session.store.is_anothers(&session.owner, id) => Err(not_found(id)),
        // An answer from before the last start, perhaps: its provider knows.
        None => Ok((session, None)),
    }
}

fn not_found(id: &str) -> Error {
    let message = format!(
        "Previous response with id '{id}' not found; send the whole conversation as `input`, or keep answers longer with \
         `responses:` in the gateway's file"
    );
    Error::invalid(message).with_code("previous_response_not_found").with_param("previous_response_id")
}

fn texts(turns: &[Arc<Turn>]) -> Vec<history::Turn<'_>> {
    // Both were read as text when they came.
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    turns.iter().map(|turn| history::Turn { input: text(&turn.input), response: text(&turn.response) }).collect()
}

impl Session {
    /// The attempts that can know the conversation.
    ///
    /// # Errors
    /// None of them is at the provider that keeps it.
    pub fn reachable<'t>(&self, attempts: &[Attempt<'t>]) -> Result<SmallVec<[Attempt<'t>; 4]>, Error> {
        let Some(pinned) = &self.pinned else { return Ok(attempts.iter().copied().collect()) };
        let there: SmallVec<[Attempt<'t>; 4]> =
            attempts.iter().filter(|attempt| attempt.provider.name == *pinned).copied().collect();
        if there.is_empty() {
            let id = self.previous.as_deref().unwrap_or_default();
            let message = format!(
                "the response `{id}` is kept by `{pinned}`, and this request goes elsewhere; ask for a model of \
                 `{pinned}`, or send the whole conversation as `input`"
            );
            return Err(Error::invalid(message)
                .with_code("previous_response_not_found")
                .with_param("previous_response_id"));
        }
        Ok(there)
    }

    /// Takes out of a document for a target of the caller's own protocol what only another one may see.
    ///
    /// # Errors
    /// A document that has no list for its `input`.
    pub fn for_its_own_kind(
        &self,
        inbound: &dyn Inbound,
        head: &Head<'_>,
        body: &Bytes,
    ) -> Result<Option<Bytes>, Error> {
        if self.before.is_none() {
            return Ok(None);
        }
        let envelope = inbound.peek(head, body)?;
        let items = history::without_thoughts(envelope.members.get("input").unwrap_or_default())?;
        Ok(Some(Pieces::new(envelope.splice(body, &[Edit::Set("input", items.into())])).join()))
    }

    /// Keeps a translated answer once it is there; `None` where it is not to be kept.
    pub fn keeper(&self) -> Option<Keeper> {
        let Session { store, limits, owner, id, before, input, .. } = self;
        self.keeps.then(|| Keeper {
            store: store.clone(),
            limits: limits.clone(),
            owner: owner.clone(),
            id: id.clone(),
            before: before.clone().unwrap_or_else(|| Arc::new([])),
            input: input.clone(),
        })
    }

    /// Whether the id of a relayed answer is worth reading.
    pub fn notes_ids(&self) -> bool {
        self.keeps
    }

    /// Remembers who keeps a relayed answer.
    pub fn passed(&self, id: &str, provider: &str) {
        self.store.pass(&self.limits, &self.owner, id, provider);
    }
}

/// What it takes to keep an answer.
pub struct Keeper {
    store: Arc<Responses>,
    limits: Kept,
    owner: Box<str>,
    id: String,
    before: Arc<[Arc<Turn>]>,
    input: Bytes,
}

impl Keeper {
    pub fn keep(self, response: Vec<u8>) {
        self.store.keep(&self.limits, &self.owner, &self.id, &self.before, &self.input, response);
    }
}

/// What a translated answer says of its request: the caller's own, without what presets have put into it.
///
/// # Errors
/// A document that is not of its protocol.
pub fn answering<'a>(incoming: &'a Incoming<'_, '_>, sent: &'a ir::Request) -> Result<Answering<'a>, Error> {
    let Some(session) = incoming.session else {
        return Ok(Answering { request: sent, id: None, previous: None, now: 0, told: None, raw: None });
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let request = outgoing::decoded(incoming)?;
    Ok(Answering { request, id: Some(&session.id), previous: session.previous.as_deref(), now, told: None, raw: None })
}
