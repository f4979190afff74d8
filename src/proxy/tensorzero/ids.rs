//! Ids of inferences and episodes: UUIDs of version 7, which hold their time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::wire::ir::Error;

/// How far the clock of who made an id may be ahead of this one.
const AHEAD: Duration = Duration::from_secs(5);

/// An episode's id as a caller gives it.
///
/// # Errors
/// No UUID, one of another version, or one of a time to come.
pub(super) fn of_caller(text: &str) -> Result<Uuid, Error> {
    let id = Uuid::parse_str(text)
        .map_err(|_| Error::invalid(format!("`{}` is not a UUID", shortened(text))).with_param("episode_id"))?;
    let Some(time) = id.get_timestamp().filter(|_| id.get_version_num() == 7) else {
        let message = format!("the episode `{id}` is not a UUID of version 7; leave it out, and a new episode begins");
        return Err(Error::invalid(message).with_param("episode_id"));
    };
    let (seconds, nanoseconds) = time.to_unix();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if Duration::new(seconds, nanoseconds) > now + AHEAD {
        let message = format!("the episode `{id}` is of a time to come; leave it out, and a new episode begins");
        return Err(Error::invalid(message).with_param("episode_id"));
    }
    Ok(id)
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_is_of_version_7_and_not_to_come() {
        assert!(of_caller("018b0000-0000-7000-8000-000000000001").is_ok());
        assert!(of_caller(&Uuid::now_v7().to_string()).is_ok());
        assert!(of_caller("x").unwrap_err().message.contains("not a UUID"));
        assert!(of_caller("d2f3c5a0-0000-4000-8000-000000000001").unwrap_err().message.contains("version 7"));
        assert!(of_caller("0f000000-0000-7000-8000-000000000001").unwrap_err().message.contains("to come"));
    }
}
