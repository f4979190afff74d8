//! Lines in the log about what a translation lost (`on_loss: warn`): names of members, never what they hold.

use std::sync::Arc;

use tracing::warn;

use super::attempt::{Answer, AnswerBody};
use crate::wire::loss::Losses;

/// Of which request and which target a line speaks.
pub struct Warning {
    request_id: Arc<str>,
    target: Arc<str>,
}

impl Warning {
    pub fn of(request_id: &Arc<str>, target: &Arc<str>) -> Warning {
        Warning { request_id: Arc::clone(request_id), target: Arc::clone(target) }
    }

    /// Says what is lost by now; a stream says at its end what it lost besides.
    pub fn tell(self, answer: &mut Answer) {
        self.log(&answer.losses);
        if let AnswerBody::Stream(stream) = &mut answer.body {
            stream.warns(self);
        }
    }

    pub fn log(&self, losses: &Losses) {
        if let Some(fields) = losses.meaning_lost() {
            let (request_id, target) = (&*self.request_id, &*self.target);
            warn!(request_id, target, fields, "the translation lost something");
        }
    }
}
