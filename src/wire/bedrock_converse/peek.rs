//! What a frame of a stream means, without decoding it.

use super::usage;
use crate::wire::frame::{Frame, event_stream};
use crate::wire::{FrameKind, Observation};

pub(super) fn observe(frame: &Frame<'_>) -> Observation {
    if event_stream::problem(frame).is_some() {
        return Observation { kind: FrameKind::Error, usage: None };
    }
    match frame.event {
        "contentBlockStart" | "contentBlockDelta" => Observation { kind: FrameKind::Content, usage: None },
        "messageStop" => Observation { kind: FrameKind::Finish, usage: None },
        "metadata" => Observation { kind: FrameKind::Terminal, usage: usage::of(frame.data) },
        _ => Observation::default(),
    }
}
