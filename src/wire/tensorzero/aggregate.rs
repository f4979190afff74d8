//! The answer of a stream, put together for the last chunk of it (`include_aggregated_response`).

use super::answer;
use super::told::Told;
use crate::wire::ProtocolId;
use crate::wire::ir::fold::Fold;
use crate::wire::ir::{Delta, Event, Tool};
use crate::wire::json::ObjectWriter;

/// Most bytes of an answer that is put together; of a longer one nothing is told.
const LONGEST: usize = 16 << 20;

pub(super) struct Whole {
    /// `None`: too long, or of parts that do not fit together.
    so_far: Option<Fold>,
    bytes: usize,
    /// The tools that the model may call.
    offered: Vec<Tool>,
}

impl Whole {
    pub(super) fn new(offered: &[Tool]) -> Whole {
        Whole { so_far: Some(Fold::new(ProtocolId::TensorZero)), bytes: 0, offered: offered.to_vec() }
    }

    pub(super) fn add(&mut self, event: &Event) {
        if let Event::Delta { delta: Delta::Text(text) | Delta::Arguments(text), .. } = event {
            self.bytes += text.len();
        }
        let fits = self.so_far.as_mut().is_some_and(|so_far| so_far.add(event).is_ok());
        if !fits || self.bytes > LONGEST {
            self.so_far = None;
        }
    }

    /// Writes it as the member of a chunk.
    pub(super) fn write(self, told: &Told, chunk: &mut ObjectWriter<'_>) {
        let Some(whole) = self.so_far.map(Fold::finish) else { return };
        let parts = whole.candidates.into_iter().next().map(|candidate| candidate.parts).unwrap_or_default();
        answer::native_content("aggregated_response", told, &self.offered, &parts, chunk);
    }
}
