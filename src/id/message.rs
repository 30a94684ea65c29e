//! The name of a message, where its number does not do: outside its system.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// The id of a message: a UUID of version 7, so that later ones sort after earlier ones.
///
/// In process a message has a number, and an id only once somebody asked for it.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use steadfast::MessageId;
///
/// let id = MessageId::at(UNIX_EPOCH + Duration::from_millis(0x0192_0000_0000), [7; 10]);
/// assert_eq!(id.to_string(), "01920000-0000-7707-8707-070707070707");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

impl MessageId {
    /// The id of a message that was sent at this time of day, told apart from others by random bits: the first 74 that
    /// a UUID has room for.
    #[must_use]
    pub fn at(wall: SystemTime, random: [u8; 10]) -> Self {
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The id that is this UUID, as the `Entropy` gives them.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id itself.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn an_id_is_a_uuid_of_version_7_and_a_later_one_sorts_after_it(
            millis in 0_u64..1 << 47, later in 1_u64..1 << 40, a in any::<[u8; 10]>(), b in any::<[u8; 10]>(),
        ) {
            let at = |millis, random| MessageId::at(UNIX_EPOCH + Duration::from_millis(millis), random);
            prop_assert_eq!(at(millis, a).uuid().get_version_num(), 7);
            prop_assert!(at(millis, a) < at(millis + later, b));
        }
    }

    #[test]
    fn a_time_before_the_epoch_is_taken_for_the_epoch() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(MessageId::at(before, [1; 10]), MessageId::at(UNIX_EPOCH, [1; 10]));
    }
}
