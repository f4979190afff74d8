//! Lines of a file that may be as long as it likes, one at a time and bounded.

use std::io::{self, BufRead};

/// The longest line that is read; a record has a few kilobytes.
const LONGEST: usize = 1 << 20;

/// Is shown a line by its number, or why it cannot be.
type Show<'s> = dyn FnMut(u64, Result<&[u8], &str>) + 's;

pub(super) struct Lines<R> {
    from: R,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(from: R) -> Lines<R> {
        Lines { from }
    }

    /// Shows every line that is not empty, with its number from 1; of one that is too long, that it is.
    ///
    /// # Errors
    /// The file cannot be read on.
    pub(super) fn each(mut self, show: &mut Show<'_>) -> io::Result<()> {
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            number += 1;
            let Some(whole) = self.next(&mut line)? else { return Ok(()) };
            let text = line.trim_ascii();
            if !whole {
                show(number, Err("the line is longer than 1 MiB"));
            } else if !text.is_empty() {
                show(number, Ok(text));
            }
        }
    }

    /// Reads to the end of the line, and keeps no more of it than it may have. `None` at the end, `false` for a line that was
    /// longer.
    fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
        let (mut whole, mut any) = (true, false);
        loop {
            let buffer = match self.from.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok(any.then_some(whole));
            }
            any = true;
            let end = memchr::memchr(b'\n', buffer);
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            if line.len() + part.len() > LONGEST {
                whole = false;
            } else {
                line.extend_from_slice(part);
            }
            let taken = part.len() + usize::from(end.is_some());
            self.from.consume(taken);
            if end.is_some() {
                return Ok(Some(whole));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_bounded() {
        let text = format!("one\r\n\n{}\n  two", "x".repeat(LONGEST + 1));
        let mut seen = Vec::new();
        Lines::new(io::BufReader::with_capacity(7, text.as_bytes()))
            .each(&mut |number, line| seen.push((number, line.map(<[u8]>::len).map_err(str::len))))
            .unwrap();
        assert_eq!(seen, [(1, Ok(3)), (3, Err("the line is longer than 1 MiB".len())), (4, Ok(3))]);
    }
}
