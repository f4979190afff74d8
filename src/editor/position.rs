//! Positions of the language server protocol: lines from 0, and characters of a line in units of UTF-16.

/// A position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u32,
    pub character: u32,
}

/// The byte offset of a position; the nearest one where the text is shorter.
pub fn offset(text: &str, position: Position) -> usize {
    let mut start = 0;
    for _ in 0..position.line {
        match text.get(start..).and_then(|rest| rest.find('\n')) {
            Some(newline) => start += newline + 1,
            None => return text.len(),
        }
    }
    let line = text.get(start..).unwrap_or("").split('\n').next().unwrap_or("").trim_end_matches('\r');
    let mut units = 0;
    for (at, character) in line.char_indices() {
        if units >= position.character {
            return start + at;
        }
        units += u32::try_from(character.len_utf16()).unwrap_or(1);
    }
    start + line.len()
}

/// The position of a byte offset.
pub fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line = memchr::memchr_iter(b'\n', before.as_bytes()).count();
    let tail = before.rsplit('\n').next().unwrap_or("");
    let clamp = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Position { line: clamp(line), character: clamp(tail.encode_utf16().count()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_beyond_the_basic_plane_count_twice() {
        let text = "a: é\r\nb: 🦀x\nc";
        for (at, line, character) in
            [(0, 0, 0), (3, 0, 3), (5, 0, 4), (7, 1, 0), (10, 1, 3), (14, 1, 5), (16, 2, 0), (17, 2, 1)]
        {
            assert_eq!(position(text, at), Position { line, character });
            assert_eq!(offset(text, Position { line, character }), at);
        }
        // Inside of a surrogate pair, behind the end of a line, behind the end of the text.
        assert_eq!(offset(text, Position { line: 1, character: 4 }), 14);
        assert_eq!(offset(text, Position { line: 0, character: 99 }), 5);
        assert_eq!(offset(text, Position { line: 9, character: 0 }), 17);
    }
}
