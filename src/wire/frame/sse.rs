//! (framing)
use super::{Frame, FrameError};

#[derive(Debug)]
pub struct Decoder {
    limit: usize,
}

impl Decoder {
    pub fn new(limit: usize) -> Decoder {
        Decoder { limit }
    }
    pub fn push(&mut self, _bytes: &[u8], _each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
        Err(FrameError::TooLarge { limit: self.limit })
    }
    pub fn finish(&mut self, _each: &mut dyn FnMut(Frame<'_>)) -> Result<(), FrameError> {
        Ok(())
    }
}
