//! Who answered, and why the answer ended, of answers that pass as they come. Members are looked for by their names, which in
//! quotes cannot stand inside a JSON string: nothing is parsed for it.

use compact_str::CompactString;
use smallvec::SmallVec;

use super::needle::Needle;

/// Most reasons that are read: one for each answer that a request asked for.
const MOST: usize = 64;

/// What an answer, or a frame of one, says of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ending {
    /// The model that answers, as the upstream calls it.
    pub model: Option<CompactString>,
    /// Why each of the answers ended, in the upstream's words.
    pub finishes: SmallVec<[CompactString; 1]>,
}

/// Bytes at the beginning and at the end of a whole answer that are looked at.
const WINDOW: usize = 64 << 10;

impl Ending {
    /// What a whole answer says by `find`, which looks at the beginning and the end of a long one: the time it takes does not
    /// grow with the answer.
    pub fn of_whole(body: &[u8], find: impl Fn(&[u8]) -> Ending) -> Ending {
        let (Some((head, _)), Some((_, tail)), true) = (
            body.split_at_checked(WINDOW),
            body.split_at_checked(body.len().saturating_sub(WINDOW)),
            body.len() > 2 * WINDOW,
        ) else {
            return find(body);
        };
        let (head, tail) = (find(head), find(tail));
        let finishes = if tail.finishes.is_empty() { head.finishes } else { tail.finishes };
        Ending { model: head.model.or(tail.model), finishes }
    }

    /// The first `model` and every `finish` of `text`.
    pub(super) fn of_all(text: &[u8], model: &'static Needle, finish: &'static Needle) -> Ending {
        Ending { model: model.texts(text).next(), finishes: finish.texts(text).take(MOST).collect() }
    }

    /// The first `model` and the last `finish`, of protocols that give one answer and end with its reason.
    pub(super) fn of_one(text: &[u8], model: &'static Needle, finish: &'static Needle) -> Ending {
        Ending { model: model.texts(text).next(), finishes: finish.texts(text).last().into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_answer_both_ends_are_read_and_nothing_between() {
        static MODEL: Needle = Needle::new("\"model\"");
        static FINISH: Needle = Needle::new("\"finish_reason\"");
        let of = |text: &str| Ending::of_whole(text.as_bytes(), |part| Ending::of_all(part, &MODEL, &FINISH));
        let filler = "x".repeat(WINDOW);
        let long = format!(
            r#"{{"model":"m","a":"{filler}","finish_reason":"between","b":"{filler}","finish_reason":"stop"}}"#
        );
        assert_eq!(of(&long), Ending { model: Some("m".into()), finishes: SmallVec::from_iter(["stop".into()]) });
        let short = r#"{"finish_reason":"stop","model":"m"}"#;
        assert_eq!(of(short), Ending { model: Some("m".into()), finishes: SmallVec::from_iter(["stop".into()]) });
        // A window may begin inside a text.
        let cut = format!(r#"{{"model":"m","a":"{filler}{}"}}"#, r#"\"finish_reason\":\"no\","#.repeat(WINDOW / 8));
        assert!(of(&cut).finishes.is_empty());
    }
}
