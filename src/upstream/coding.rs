//! Content codings of HTTP (RFC 9110, section 8.4.1): compressed bodies, decoded piece by piece. Sans-IO: whatever can be
//! decoded from the bytes in hand is given out at once, so that no event of a stream waits for the bytes behind it.

mod gzip;

use std::fmt;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::{Buf as _, Bytes};
use flate2::{Decompress, FlushDecompress, Status};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use gzip::Gzip;

/// Most bytes that come out of a decoder at once: a few bytes can stand for megabytes.
const PIECE: usize = 16 << 10;
/// Largest window of zstd as a content coding, as a power of two (RFC 9659): 8 MiB.
const ZSTD_WINDOW: u32 = 23;

/// The codings that are decoded, as `accept-encoding` lists them.
pub const KNOWN: &str = "gzip, deflate, br, zstd";

/// A way of compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        })
    }
}

/// What `content-encoding` says: `None` for a body that is not compressed.
///
/// # Errors
/// The header's own words, where they name another coding or several of them.
pub fn of(headers: &HeaderMap) -> Result<Option<Coding>, String> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let name = value.as_bytes().trim_ascii();
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    match name {
        _ if values.next().is_some() => {}
        b"" => return Ok(None),
        _ if is("identity") => return Ok(None),
        _ if is("gzip") || is("x-gzip") => return Ok(Some(Coding::Gzip)),
        _ if is("deflate") => return Ok(Some(Coding::Deflate)),
        _ if is("br") => return Ok(Some(Coding::Brotli)),
        _ if is("zstd") => return Ok(Some(Coding::Zstd)),
        _ => {}
    }
    let names: Vec<_> = headers.get_all(CONTENT_ENCODING).iter().map(|name| name.as_bytes()).collect();
    Err(String::from_utf8_lossy(&names.join(&b", "[..])).into_owned())
}

/// The bytes are not of their coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

/// What one step of a decoder did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    read: usize,
    written: usize,
    /// The compressed data may end here.
    complete: bool,
}

/// Decodes one body.
pub struct Decoder {
    coding: Coding,
    state: State,
    out: Box<[u8]>,
    /// Nothing more comes out without more input.
    drained: bool,
    /// The compressed data may end here. A body without a byte is complete, too.
    complete: bool,
}

enum State {
    Gzip(Box<Gzip>),
    /// With or without zlib's frame: senders disagree about the name. The first byte tells.
    Deflate(Option<Decompress>),
    Brotli(Box<Brotli>),
    Zstd(DCtx<'static>),
}

type Brotli = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

impl Decoder {
    /// For a body that begins.
    ///
    /// # Errors
    /// No memory for zstd's state.
    pub fn new(coding: Coding) -> Result<Decoder, Corrupt> {
        let state = match coding {
            Coding::Gzip => State::Gzip(Box::new(Gzip::new())),
            Coding::Deflate => State::Deflate(None),
            // Strict: no window beyond the 16 MiB of RFC 7932.
            Coding::Brotli => {
                let alloc = StandardAlloc::default;
                State::Brotli(Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())))
            }
            Coding::Zstd => {
                let mut context = DCtx::try_create().ok_or(Corrupt)?;
                context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW)).map_err(|_| Corrupt)?;
                State::Zstd(context)
            }
        };
        Ok(Decoder { coding, state, out: vec![0; PIECE].into_boxed_slice(), drained: true, complete: true })
    }

    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// Whether the compressed data is whole: a body that ends elsewhere is truncated.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes from `input` and gives the next decoded bytes; none where all input is used up.
    ///
    /// # Errors
    /// The bytes are not of this coding.
    pub fn decode(&mut self, input: &mut Bytes) -> Result<Bytes, Corrupt> {
        while !(input.is_empty() && self.drained) {
            let step = self.state.step(input, &mut self.out)?;
            input.advance(step.read);
            self.complete = step.complete;
            self.drained = step.complete || (step.read == 0 && step.written == 0);
            if step.written > 0 {
                return Ok(Bytes::copy_from_slice(self.out.get(..step.written).unwrap_or_default()));
            }
            if self.drained && step.read == 0 && !input.is_empty() {
                return Err(Corrupt);
            }
        }
        Ok(Bytes::new())
    }
}

impl State {
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, Corrupt> {
        match self {
            State::Gzip(gzip) => gzip.step(input, out),
            State::Deflate(inflate) => {
                let Some(first) = input.first().copied().or(inflate.is_some().then_some(0)) else {
                    return Ok(Step { read: 0, written: 0, complete: true });
                };
                // Zlib's frame begins with the method, 8, in the lower half and a window of at most 7 in the upper one
                // (RFC 1950). A bare block would have to begin with padding that no encoder writes.
                let inflate = inflate.get_or_insert_with(|| Decompress::new(first & 0x0f == 8 && first >> 4 <= 7));
                inflated(inflate, input, out)
            }
            State::Brotli(state) => brotli(state, input, out),
            State::Zstd(context) => {
                let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(out));
                let left = context.decompress_stream(&mut to, &mut from).map_err(|_| Corrupt)?;
                Ok(Step { read: from.pos(), written: to.pos(), complete: left == 0 })
            }
        }
    }
}

/// One step of zlib's decoder.
fn inflated(inflate: &mut Decompress, input: &[u8], out: &mut [u8]) -> Result<Step, Corrupt> {
    let (read, written) = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(input, out, FlushDecompress::None).map_err(|_| Corrupt)?;
    let since = |now: u64, before: u64| usize::try_from(now - before).map_err(|_| Corrupt);
    Ok(Step {
        read: since(inflate.total_in(), read)?,
        written: since(inflate.total_out(), written)?,
        complete: status == Status::StreamEnd,
    })
}

fn brotli(state: &mut Brotli, input: &[u8], out: &mut [u8]) -> Result<Step, Corrupt> {
    let (mut available, mut room) = (input.len(), out.len());
    let (mut read, mut written, mut total) = (0, 0, 0);
    let result =
        BrotliDecompressStream(&mut available, &mut read, input, &mut room, &mut written, out, &mut total, state);
    match result {
        BrotliResult::ResultFailure => Err(Corrupt),
        BrotliResult::ResultSuccess => Ok(Step { read, written, complete: true }),
        BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok(Step { read, written, complete: false }),
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("coding", &self.coding).field("complete", &self.complete).finish()
    }
}
