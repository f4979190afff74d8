//! The last requests, in memory: what `routeplane top` and the console show.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many are kept.
pub const KEPT: usize = 512;

/// The last requests, each as JSON. Only the recorder and those who look take its lock; the request path never does.
#[derive(Default)]
pub struct Recent {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The newest last.
    lines: VecDeque<Vec<u8>>,
    /// The number of the newest, counted from 1 in the order in which requests were kept.
    last: u64,
}

impl Recent {
    /// Keeps some more, each a JSON object that has members; the oldest make room.
    pub(super) fn keep<'l>(&self, lines: impl Iterator<Item = &'l [u8]>) {
        let mut kept = self.lock();
        for line in lines {
            kept.last += 1;
            let mut place =
                if kept.lines.len() < KEPT { Vec::new() } else { kept.lines.pop_front().unwrap_or_default() };
            place.clear();
            place.extend_from_slice(line);
            kept.lines.push_back(place);
        }
    }

    /// A JSON array of the newest, at most `most` of them and only those behind number `after`, newest first, each with its
    /// `number`.
    pub fn json(&self, after: u64, most: usize) -> String {
        let kept = self.lock();
        let numbered = kept.lines.iter().rev().zip((0..=kept.last).rev());
        let wanted = numbered.take_while(|(_, number)| *number > after).take(most);
        let object = |(line, number): (&Vec<u8>, u64)| {
            let members =
                String::from_utf8_lossy(line.trim_ascii().strip_prefix(b"{").unwrap_or_default()).into_owned();
            format!("{{\"number\":{number},{members}")
        };
        format!("[{}]", wanted.map(object).collect::<Vec<String>>().join(","))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_oldest_make_room_and_the_newest_come_first() {
        let recent = Recent::default();
        assert_eq!(recent.json(0, 10), "[]");
        for number in 0..KEPT + 3 {
            let line = format!("{{\"request_id\":\"{number}\"}}\n");
            recent.keep([line.as_bytes()].into_iter());
        }
        let list = |after, most| serde_json::from_str::<Vec<Value>>(&recent.json(after, most)).unwrap();
        let all = list(0, usize::MAX);
        assert_eq!(all.len(), KEPT);
        assert_eq!((&all[0]["request_id"], &all[0]["number"]), (&"514".into(), &515.into()));
        assert_eq!(all.last().unwrap()["number"], 4);
        assert_eq!((list(513, 10).len(), list(600, 10).len()), (2, 0));
        assert_eq!(list(0, 1)[0]["number"], 515);
    }
}
