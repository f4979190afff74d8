//! The id and the time of a translated answer whose upstream gives none: Converse has neither, Gemini's relays leave the id out,
//! and Anthropic's answers are not dated.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::wire::Inbound;

/// What one answer is called and dated. The same on every event of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    prefix: &'static str,
    random: u128,
    /// Seconds since 1970.
    now: u64,
}

impl Stamp {
    /// For a caller who speaks `inbound`.
    pub fn new(inbound: &dyn Inbound) -> Stamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Stamp { prefix: inbound.answer_prefix(), random: fastrand::u128(..), now }
    }

    /// Fills in what the upstream left out.
    pub fn fill(&self, id: &mut Option<String>, created: &mut Option<u64>) {
        if id.as_deref().is_none_or(str::is_empty) {
            *id = Some(format!("{}{:032x}", self.prefix, self.random));
        }
        created.get_or_insert(self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ProtocolId;

    #[test]
    fn what_the_upstream_said_stays_and_what_it_left_out_is_the_same_each_time() {
        let chat = ProtocolId::OpenAiChat.codec().and_then(crate::wire::Protocol::inbound).unwrap();
        let stamp = Stamp::new(chat);
        let (mut id, mut created) = (Some("own".to_owned()), Some(7));
        stamp.fill(&mut id, &mut created);
        assert_eq!((id.as_deref(), created), (Some("own"), Some(7)));
        let (mut once, mut again) = ((Some(String::new()), None), (None, None));
        stamp.fill(&mut once.0, &mut once.1);
        stamp.fill(&mut again.0, &mut again.1);
        assert_eq!(once, again);
        let mut other = (None, None);
        Stamp::new(chat).fill(&mut other.0, &mut other.1);
        assert_ne!(once.0, other.0);
        assert!(once.0.is_some_and(|id| id.starts_with("chatcmpl-")) && once.1.is_some_and(|now| now > 1_700_000_000));
    }
}
