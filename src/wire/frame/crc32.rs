//! CRC-32 as zlib and AWS event streams have it (ISO-HDLC: polynomial 0xEDB88320 reflected, all ones before and after).

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        // `byte` is below the length; a `const fn` has neither iterators nor `get_mut` to say it with.
        #[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where an overrun would not build")]
        {
            table[byte] = value;
        }
        byte += 1;
    }
    table
}

/// The checksum of `bytes`.
pub(super) fn of(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let at = (crc ^ u32::from(*byte)) & 0xff;
        (crc >> 8) ^ TABLE.get(at as usize).copied().unwrap_or(0)
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_the_catalogue_of_checksums() {
        assert_eq!(super::of(b"123456789"), 0xcbf4_3926);
        assert_eq!(super::of(b""), 0);
    }
}
