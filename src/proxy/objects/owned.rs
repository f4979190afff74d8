//! Whose is what a provider keeps. Where the file says `files: { per_key: true }`, each client key has what was made with it,
//! and what is another's, or nobody's that is known here, is not there: it is not shown, not listed, and no request may name
//! it.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;

use super::path::{Deed, Object};
use super::references;
use crate::live::Live;
use crate::proxy::Gateway;
use crate::state::objects::Owners;
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::json;

/// A client key, and what is known of who made what.
#[derive(Clone, Copy)]
pub struct Owned<'r> {
    owners: &'r Owners,
    /// The key's id.
    owner: &'r str,
}

/// The ids that an answer about one thing tells: its own, and those of the files that it became.
#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    output_file_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error_file_id: Option<Cow<'a, str>>,
    /// What an upload became.
    #[serde(borrow)]
    file: Option<File<'a>>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

impl<'a> Ids<'a> {
    fn all(self) -> impl Iterator<Item = Cow<'a, str>> {
        let file = self.file.and_then(|file| file.id);
        [self.id, self.output_file_id, self.error_file_id, file].into_iter().flatten()
    }
}

impl<'r> Owned<'r> {
    /// `None` where nothing is a client key's own.
    pub fn new(gateway: &'r Gateway, live: &'r Live, key: Option<usize>) -> Option<Owned<'r>> {
        let key = key.and_then(|at| live.table.keys.get(at)).filter(|_| live.table.files.per_key)?;
        Some(Owned { owners: &gateway.objects, owner: &key.id })
    }

    /// Whether it may ask the provider about this.
    ///
    /// # Errors
    /// Another's, or nobody's: both in the same words.
    pub fn may_ask(&self, provider: &str, object: &Object<'_>) -> Result<(), Error> {
        match &object.id {
            Some(id) if !self.owners.owns(self.owner, provider, id) => Err(not_found(id)),
            _ => Ok(()),
        }
    }

    /// Whether a document may go to an upstream: whether every file that it names is the key's own.
    ///
    /// # Errors
    /// One that is not; a document that cannot be searched.
    pub fn may_say(&self, document: &[u8]) -> Result<(), Error> {
        let named = references::files(document).map_err(|error| {
            Error::invalid(format!("the body cannot be searched for the files that it names: {error}"))
        })?;
        let others = named.iter().find(|id| !self.owners.owns_somewhere(self.owner, id));
        others.map_or(Ok(()), |id| Err(not_found(id)))
    }

    /// What the key is told of a provider's answer, once it is remembered whose everything in it is.
    ///
    /// # Errors
    /// A list that cannot be read.
    pub fn answered(&self, provider: &str, object: (Deed, Option<&str>), body: Bytes) -> Result<Bytes, Error> {
        match object {
            (Deed::List, _) => self.listed(provider, &body).map(Bytes::from).ok_or_else(|| {
                let message = format!("{provider} answered with a list that cannot be read");
                Error::new(ErrorKind::Upstream, message).with_code("bad_upstream_answer")
            }),
            (Deed::Delete, id) => {
                id.iter().for_each(|id| self.owners.forget(self.owner, provider, id));
                Ok(body)
            }
            (Deed::Create | Deed::Show | Deed::Cancel | Deed::Complete, _) => {
                if let Ok(ids) = serde_json::from_slice::<Ids<'_>>(&body) {
                    ids.all().for_each(|id| self.owners.made(self.owner, provider, &id));
                }
                Ok(body)
            }
            (Deed::AddPart | Deed::Content | Deed::Results, _) => Ok(body),
        }
    }

    /// A page of a list with what is the key's own. The ends of the page are told as the provider tells them, so that the next
    /// one can be asked for.
    fn listed(&self, provider: &str, body: &[u8]) -> Option<Vec<u8>> {
        let list = json::Object::parse(std::str::from_utf8(body).ok()?).ok()?;
        let elements = json::elements(list.get("data")?, "data").ok()?;
        let own = elements.into_iter().filter(|element| {
            let Ok(ids) = serde_json::from_str::<Ids<'_>>(element.get()) else { return false };
            let owns = ids.id.as_ref().is_some_and(|id| self.owners.owns(self.owner, provider, id));
            if owns {
                ids.all().for_each(|id| self.owners.made(self.owner, provider, &id));
            }
            owns
        });
        let mut out = Vec::with_capacity(body.len());
        json::object(&mut out, |page| {
            for member in list.members().iter().filter(|member| member.key != "data") {
                page.raw(&member.key, member.value);
            }
            page.array("data", own, |element, out| out.extend_from_slice(element.get().as_bytes()));
        });
        Some(out)
    }
}

fn not_found(id: &str) -> Error {
    // The id is the caller's own words, and may be long.
    let id: String = id.chars().take(100).collect();
    let message = format!("there is no `{id}` here that was made with this client key");
    Error::new(ErrorKind::NotFound, message).with_code("not_found")
}
