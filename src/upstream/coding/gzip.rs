//! The frame of gzip (RFC 1952): members, each with a header, deflated data, a checksum and a length.

use flate2::{Crc, Decompress};

use super::{Corrupt, Step, inflated};

/// Flags of a member's header.
const CHECKSUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// Where in a member the next byte belongs. The numbers count bytes of the field.
#[derive(Debug, Clone, Copy)]
enum Field {
    Fixed(u8),
    ExtraLow,
    ExtraHigh(u8),
    Extra(u16),
    Name,
    Comment,
    Checksum(u8),
    Data,
    /// The checksum and the length, so many bytes of them, as a number.
    Trailer(u8, u64),
}

/// The state of one body.
pub(super) struct Gzip {
    field: Field,
    flags: u8,
    inflate: Decompress,
    sum: Crc,
}

impl Gzip {
    pub(super) fn new() -> Gzip {
        Gzip { field: Field::Fixed(0), flags: 0, inflate: Decompress::new(false), sum: Crc::new() }
    }

    /// As of every decoder. Complete between two members.
    pub(super) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Step, Corrupt> {
        let mut read = 0;
        while !matches!(self.field, Field::Data) {
            let Some(byte) = input.get(read) else {
                return Ok(Step { read, written: 0, complete: matches!(self.field, Field::Fixed(0)) });
            };
            self.field = self.frame(*byte)?;
            read += 1;
        }
        let rest = input.get(read..).unwrap_or_default();
        let step = inflated(&mut self.inflate, rest, out)?;
        self.sum.update(out.get(..step.written).unwrap_or_default());
        if step.complete {
            self.field = Field::Trailer(0, 0);
        }
        Ok(Step { read: read + step.read, written: step.written, complete: false })
    }

    /// Takes a byte that is not of the data, and says what follows.
    fn frame(&mut self, byte: u8) -> Result<Field, Corrupt> {
        match self.field {
            Field::Fixed(at) => {
                match (at, byte) {
                    (0, 0x1f) | (1, 0x8b) | (2, 8) | (4.., _) => {}
                    (3, flags) if flags & RESERVED == 0 => self.flags = flags,
                    _ => return Err(Corrupt),
                }
                Ok(if at == 9 { self.behind(0) } else { Field::Fixed(at + 1) })
            }
            Field::ExtraLow => Ok(Field::ExtraHigh(byte)),
            Field::ExtraHigh(low) => Ok(self.extra(u16::from_le_bytes([low, byte]))),
            Field::Extra(left) => Ok(self.extra(left - 1)),
            Field::Name => Ok(if byte == 0 { self.behind(NAME) } else { Field::Name }),
            Field::Comment => Ok(if byte == 0 { self.behind(COMMENT) } else { Field::Comment }),
            Field::Checksum(0) => Ok(Field::Checksum(1)),
            Field::Checksum(_) => Ok(self.data()),
            Field::Data => Ok(Field::Data),
            Field::Trailer(at, number) => {
                let number = number | u64::from(byte) << (8 * at);
                let expected = u64::from(self.sum.amount()) << 32 | u64::from(self.sum.sum());
                match at {
                    7 if number != expected => Err(Corrupt),
                    7 => Ok(Field::Fixed(0)),
                    _ => Ok(Field::Trailer(at + 1, number)),
                }
            }
        }
    }

    fn extra(&mut self, left: u16) -> Field {
        if left == 0 { self.behind(EXTRA) } else { Field::Extra(left) }
    }

    /// The first field that the header has behind the field of the flag `last`.
    fn behind(&mut self, last: u8) -> Field {
        // The header's checksum comes last, though its flag is the lowest.
        [(EXTRA, Field::ExtraLow), (NAME, Field::Name), (COMMENT, Field::Comment)]
            .into_iter()
            .find(|(flag, _)| *flag > last && self.flags & flag != 0)
            .map_or_else(
                || if self.flags & CHECKSUM != 0 { Field::Checksum(0) } else { self.data() },
                |(_, field)| field,
            )
    }

    fn data(&mut self) -> Field {
        self.inflate.reset(false);
        self.sum.reset();
        Field::Data
    }
}
