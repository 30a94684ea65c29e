//! What sort of message it is, and how much it matters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Makes the named kinds from one declaration.
macro_rules! kinds {
    ($( $(#[$doc:meta])* $kind:ident $word:literal $role:ident; )+) => {
        /// What sort of message it is.
        ///
        /// Nine are named, with what they are for; all others are a user's own.
        ///
        /// ```
        /// use steadfast::message::{Kind, Role};
        ///
        /// const ORDER: Kind = Kind::user(7, Role::Request);
        /// assert_eq!(Kind::TaskRequest.answer(), Some(Kind::TaskResponse));
        /// assert_eq!((ORDER.to_string(), ORDER.role()), ("USER_7_REQUEST".to_owned(), Role::Request));
        /// assert_eq!("USER_7_REQUEST".parse(), Ok(ORDER));
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            /// A message of which nothing was said: one way.
            #[default]
            Plain,
            $( $(#[$doc])* $kind, )+
            /// A kind of a user's own.
            User {
                /// Its number, which the user gives out.
                number: u16,
                /// What it expects or is.
                role: Role,
            },
        }

        impl Kind {
            /// The nine named kinds.
            pub const NAMED: [Self; 9] = [$( Self::$kind ),+];

            /// Whether it asks, answers or tells.
            #[must_use]
            pub const fn role(self) -> Role {
                match self {
                    Self::Plain => Role::Notification,
                    $( Self::$kind => Role::$role, )+
                    Self::User { role, .. } => role,
                }
            }

            const fn word(self) -> Option<&'static str> {
                match self {
                    Self::Plain => Some("PLAIN"),
                    $( Self::$kind => Some($word), )+
                    Self::User { .. } => None,
                }
            }
        }
    };
}

kinds! {
    /// Do a task.
    TaskRequest "TASK_REQUEST" Request;
    /// What came of a task.
    TaskResponse "TASK_RESPONSE" Response;
    /// Say whether a result is good.
    ValidationRequest "VALIDATION_REQUEST" Request;
    /// Whether it is.
    ValidationResponse "VALIDATION_RESPONSE" Response;
    /// Find something.
    RetrievalRequest "RETRIEVAL_REQUEST" Request;
    /// What was found.
    RetrievalResponse "RETRIEVAL_RESPONSE" Response;
    /// Something went wrong.
    ErrorNotification "ERROR_NOTIFICATION" Notification;
    /// Still here.
    Heartbeat "HEARTBEAT" Notification;
    /// How far it is.
    StatusUpdate "STATUS_UPDATE" Notification;
}

impl Kind {
    /// A kind of a user's own.
    #[must_use]
    pub const fn user(number: u16, role: Role) -> Self {
        Self::User { number, role }
    }

    /// The kind that answers this one. `None` for what is not a request.
    #[must_use]
    pub const fn answer(self) -> Option<Self> {
        match self {
            Self::TaskRequest => Some(Self::TaskResponse),
            Self::ValidationRequest => Some(Self::ValidationResponse),
            Self::RetrievalRequest => Some(Self::RetrievalResponse),
            Self::User { number, role: Role::Request } => Some(Self::user(number, Role::Response)),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.word(), self) {
            (Some(word), _) => f.write_str(word),
            (None, Self::User { number, role }) => write!(f, "USER_{number}_{}", role.word()),
            (None, _) => fmt::Debug::fmt(self, f),
        }
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let named = Self::NAMED.into_iter().chain([Self::Plain]).find(|kind| kind.word() == Some(text));
        let user = || {
            let (number, role) = text.strip_prefix("USER_")?.split_once('_')?;
            let role = Role::ALL.into_iter().find(|known| known.word() == role)?;
            let kind = Self::user(number.parse().ok()?, role);
            // One text for each kind: no sign and no leading zero.
            (kind.to_string() == text).then_some(kind)
        };
        named.or_else(user).ok_or_else(|| UnknownKind { text: text.chars().take(80).collect() })
    }
}

/// A text that names no kind of message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no kind of message; expected one as `TASK_REQUEST`, or `USER_7_REQUEST` for one of your own")]
pub struct UnknownKind {
    /// The refused text, or its beginning.
    pub text: String,
}

/// Whether a message asks, answers or tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// A reply is expected.
    Request,
    /// It is one.
    Response,
    /// Neither.
    Notification,
}

impl Role {
    const ALL: [Self; 3] = [Self::Request, Self::Response, Self::Notification];

    const fn word(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Response => "RESPONSE",
            Self::Notification => "NOTIFICATION",
        }
    }
}

/// How much a message matters, 1 to 10; a higher one goes first.
///
/// ```
/// use steadfast::message::Priority;
///
/// assert_eq!(Priority::default(), Priority::MEDIUM);
/// assert!(Priority::CRITICAL > Priority::HIGH);
/// assert_eq!("high".parse(), Ok(Priority::HIGH));
/// assert_eq!(Priority::new(7)?.to_string(), "7");
/// assert!(Priority::new(11).is_err());
/// # Ok::<(), steadfast::message::InvalidPriority>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Priority(u8);

impl Priority {
    /// The lowest.
    pub const LOWEST: Self = Self(1);
    /// What can wait.
    pub const LOW: Self = Self(2);
    /// What nothing was said of.
    pub const MEDIUM: Self = Self(5);
    /// What should not wait.
    pub const HIGH: Self = Self(8);
    /// What must not wait. The highest.
    pub const CRITICAL: Self = Self(10);

    const NAMED: [(Self, &'static str); 4] =
        [(Self::LOW, "low"), (Self::MEDIUM, "medium"), (Self::HIGH, "high"), (Self::CRITICAL, "critical")];

    /// The priority with this number.
    ///
    /// # Errors
    ///
    /// [`InvalidPriority`] when it is not from 1 to 10.
    pub fn new(number: u8) -> Result<Self, InvalidPriority> {
        let range = Self::LOWEST.0..=Self::CRITICAL.0;
        if range.contains(&number) { Ok(Self(number)) } else { Err(InvalidPriority(number.to_string())) }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::MEDIUM
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(named, _)| named == self) {
            Some((_, word)) => f.write_str(word),
            None => self.0.fmt(f),
        }
    }
}

impl FromStr for Priority {
    type Err = InvalidPriority;

    fn from_str(text: &str) -> Result<Self, InvalidPriority> {
        let named = Self::NAMED.iter().find(|(_, word)| *word == text).map(|(priority, _)| *priority);
        let numbered = || text.parse().ok().and_then(|number| Self::new(number).ok());
        named.or_else(numbered).ok_or_else(|| InvalidPriority(text.chars().take(80).collect()))
    }
}

impl TryFrom<u8> for Priority {
    type Error = InvalidPriority;

    fn try_from(number: u8) -> Result<Self, InvalidPriority> {
        Self::new(number)
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}

/// A number or a text that is not a priority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a priority; expected 1 to 10, or `low`, `medium`, `high` or `critical`")]
pub struct InvalidPriority(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_printing_and_parsing() {
        let own = Role::ALL.into_iter().flat_map(|role| [Kind::user(0, role), Kind::user(u16::MAX, role)]);
        for kind in Kind::NAMED.into_iter().chain([Kind::Plain]).chain(own) {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
    }

    #[test]
    fn what_names_no_kind_is_refused() {
        for text in ["", "task_request", "USER_", "USER_1", "USER_+1_REQUEST", "USER_01_REQUEST", "USER_65536_REQUEST"]
        {
            assert!(text.parse::<Kind>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_request_has_an_answer_which_is_a_response_and_nothing_else_has_one() {
        let all = Kind::NAMED.into_iter().chain([Kind::Plain]);
        for kind in all.chain(Role::ALL.map(|role| Kind::user(3, role))) {
            assert_eq!(kind.answer().map(Kind::role), (kind.role() == Role::Request).then_some(Role::Response));
        }
    }

    #[test]
    fn exactly_one_to_ten_are_priorities_and_all_survive_printing_and_parsing() {
        let valid: Vec<_> = (0..=u8::MAX).filter_map(|number| Priority::new(number).ok()).collect();
        assert_eq!(valid.iter().map(|priority| priority.get()).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
        for priority in valid {
            assert_eq!(priority.to_string().parse(), Ok(priority));
        }
    }
}
