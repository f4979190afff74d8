//! Bytes of a kind that nobody here reads: sound, text, a vendor's own events. Their end is the end of the bytes.

use bytes::Bytes;

use super::{Out, Sight};
use crate::wire::frame::{Decoder, Frame, FrameError};
use crate::wire::{FrameKind, Outbound};

pub(super) struct Opaque {
    /// Who understands the errors and the usage in them, where they are events.
    events: Option<&'static dyn Outbound>,
}

impl Opaque {
    pub(super) fn new(events: Option<&'static dyn Outbound>) -> Opaque {
        Opaque { events }
    }

    /// Whether words can be said within the answer.
    pub(super) fn has_room_for_words(&self) -> bool {
        self.events.is_some()
    }

    pub(super) fn push(
        &self,
        bytes: Bytes,
        frames: &mut Decoder,
        sight: &mut Sight,
        out: &mut Out,
    ) -> Result<(), FrameError> {
        let cut = match self.events {
            Some(outbound) => frames.push(&bytes, &mut |frame| glance(outbound, &frame, sight)),
            None => {
                sight.content |= !bytes.is_empty();
                Ok(())
            }
        };
        out.push(bytes);
        cut
    }

    pub(super) fn finish(&self, frames: &mut Decoder, sight: &mut Sight) {
        if let Some(outbound) = self.events {
            // What a last, cut frame says is the caller's to read.
            let _cut = frames.finish(&mut |frame| glance(outbound, &frame, sight));
        }
        sight.finished = true;
    }
}

/// Reads of an event of an unknown kind what must be known: whether it is an error in place of an answer, and usage.
fn glance(outbound: &dyn Outbound, frame: &Frame<'_>, sight: &mut Sight) {
    let observation = outbound.observe(frame);
    if let Some(usage) = &observation.usage.or_else(|| outbound.usage(frame.data.as_bytes())) {
        sight.usage.get_or_insert_default().update(usage);
    }
    if observation.kind == FrameKind::Error && !sight.content {
        sight.error = Some(outbound.decode_stream_error(frame));
    } else {
        sight.content = true;
    }
}
