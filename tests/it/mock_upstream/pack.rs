//! Compresses in every content coding, so that each piece can be read before the next one exists.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use zstd_safe::zstd_sys::ZSTD_EndDirective::{self, ZSTD_e_continue, ZSTD_e_end, ZSTD_e_flush};
use zstd_safe::{CCtx, InBuffer, OutBuffer};

pub(crate) const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

/// All of `bytes` in one go.
pub(crate) fn pack(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut packer = Packer::new(coding);
    packer.writer.write_all(bytes).unwrap();
    packer.finish()
}

pub(crate) struct Packer {
    sink: Sink,
    writer: Box<dyn Write + Send>,
}

impl Packer {
    pub(crate) fn new(coding: &str) -> Packer {
        let sink = Sink::default();
        let out = sink.clone();
        let writer: Box<dyn Write + Send> = match coding {
            "gzip" => Box::new(flate2::write::GzEncoder::new(out, Compression::default())),
            "deflate" => Box::new(flate2::write::ZlibEncoder::new(out, Compression::default())),
            "bare deflate" => Box::new(flate2::write::DeflateEncoder::new(out, Compression::default())),
            "br" => Box::new(brotli::CompressorWriter::new(out, 4096, 5, 22)),
            "zstd" => Box::new(Zstd { context: CCtx::create(), out }),
            _ => panic!("no coding `{coding}`"),
        };
        Packer { sink, writer }
    }

    /// What makes `bytes` readable to the other side.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.writer.write_all(bytes).unwrap();
        self.writer.flush().unwrap();
        self.sink.take()
    }

    /// The end: every writer writes it when it is dropped.
    pub(crate) fn finish(self) -> Vec<u8> {
        drop(self.writer);
        self.sink.take()
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Zstd {
    context: CCtx<'static>,
    out: Sink,
}

impl Zstd {
    fn run(&mut self, bytes: &[u8], then: ZSTD_EndDirective) -> io::Result<()> {
        let mut room = vec![0; 64 << 10];
        let mut input = InBuffer::around(bytes);
        loop {
            let mut output = OutBuffer::around(room.as_mut_slice());
            let left = self.context.compress_stream2(&mut output, &mut input, then).expect("zstd compresses");
            let written = output.pos();
            self.out.write_all(&room[..written])?;
            if input.pos() == bytes.len() && (left == 0 || matches!(then, ZSTD_e_continue)) {
                return Ok(());
            }
        }
    }
}

impl Write for Zstd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.run(bytes, ZSTD_e_continue)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.run(&[], ZSTD_e_flush)
    }
}

impl Drop for Zstd {
    fn drop(&mut self) {
        self.run(&[], ZSTD_e_end).expect("a sink in memory takes everything");
    }
}
