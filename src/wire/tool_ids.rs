//! Ids of tool calls, where the origin gave none or the target wants others. Everything is derived from the document: the
//! same conversation gives the same ids, so that the prompt caches of upstreams stay warm.

/// Gives each call of a conversation its id, and each result the id of its call.
#[derive(Debug, Default)]
pub(super) struct ToolIds {
    /// Ids must be nine letters or digits (Mistral).
    short: bool,
    /// Calls without a result so far: name and id.
    open: Vec<(String, String)>,
    derived: usize,
}

impl ToolIds {
    pub(super) fn new(short: bool) -> ToolIds {
        ToolIds { short, ..ToolIds::default() }
    }

    pub(super) fn call(&mut self, id: Option<&str>, name: &str) -> String {
        let id = id.map_or_else(|| self.derive(), ToOwned::to_owned);
        self.open.push((name.to_owned(), id.clone()));
        self.spelled(&id)
    }

    /// A result without an id answers the first open call of its name, or else the first open call.
    pub(super) fn result(&mut self, call_id: Option<&str>, name: Option<&str>) -> String {
        let position = match call_id {
            Some(call_id) => self.open.iter().position(|(_, id)| id == call_id),
            None => {
                let named = name.and_then(|name| self.open.iter().position(|(called, _)| called == name));
                named.or(if self.open.is_empty() { None } else { Some(0) })
            }
        };
        let matched = position.map(|position| self.open.remove(position).1);
        let id = call_id.map(ToOwned::to_owned).or(matched).unwrap_or_else(|| self.derive());
        self.spelled(&id)
    }

    /// The id as the target wants it.
    pub(super) fn spelled(&self, id: &str) -> String {
        if self.short { short(id) } else { id.to_owned() }
    }

    fn derive(&mut self) -> String {
        let id = format!("call_{}", self.derived);
        self.derived += 1;
        id
    }
}

/// Nine letters or digits: the id itself where it is that, else a hash of it.
fn short(id: &str) -> String {
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    let hash = blake3::hash(id.as_bytes());
    let number = hash.as_bytes().iter().take(8).fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    letters(number)
}

/// The last nine digits of `number` to the base 62.
fn letters(mut number: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digit = |_| {
        let digit = DIGITS.get((number % 62) as usize).copied().unwrap_or(b'0');
        number /= 62;
        char::from(digit)
    };
    (0..9).map(digit).collect()
}

/// The id of a call in an answer whose upstream gave none: unique among answers as far as their ids are, because callers
/// send it back in a history where every call must be told apart.
pub(super) fn of_answer(answer_id: Option<&str>, candidate: usize, position: usize) -> String {
    let hash = blake3::hash(format!("{}/{candidate}/{position}", answer_id.unwrap_or_default()).as_bytes());
    let hex: String = hash.to_hex().chars().take(24).collect();
    format!("call_{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_find_their_calls_by_name_and_order() {
        let mut ids = ToolIds::new(false);
        assert_eq!([ids.call(None, "a"), ids.call(None, "b"), ids.call(None, "a")], ["call_0", "call_1", "call_2"]);
        assert_eq!(ids.result(None, Some("b")), "call_1");
        assert_eq!(ids.result(None, Some("a")), "call_0");
        assert_eq!(ids.result(None, Some("unknown")), "call_2");
        assert_eq!(ids.result(None, Some("orphan")), "call_3");
        assert_eq!(ids.result(Some("x"), None), "x");
    }

    #[test]
    fn short_ids_are_nine_letters_or_digits_and_the_same_for_call_and_result() {
        let mut ids = ToolIds::new(true);
        let call = ids.call(Some("toolu_01A"), "a");
        assert!(call.len() == 9 && call.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{call}");
        assert_eq!(ids.result(Some("toolu_01A"), None), call);
        assert_ne!(ids.call(Some("toolu_01B"), "a"), call);
        assert_eq!(ids.call(Some("abcDEF123"), "a"), "abcDEF123");
    }

    #[test]
    fn ids_of_answers_differ_between_answers() {
        assert_ne!(of_answer(Some("r1"), 0, 0), of_answer(Some("r2"), 0, 0));
        assert_ne!(of_answer(Some("r1"), 0, 0), of_answer(Some("r1"), 0, 1));
        assert_eq!(of_answer(Some("r1"), 0, 0), of_answer(Some("r1"), 0, 0));
    }
}
