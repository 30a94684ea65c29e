//! The places in the life of an agent where a plan is asked.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::PlanError;
use crate::text::is_its_text;

/// Makes the points and their table from one declaration.
macro_rules! points {
    ($( $(#[$doc:meta])* $point:ident $word:literal; )+) => {
        /// A place in the life of an agent where a fault may come.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[non_exhaustive]
        pub enum Point {
            $( $(#[$doc])* $point, )+
            /// A place in the code of a user, by its name: [`Context::fault_point`](crate::Context::fault_point).
            Named(Cow<'static, str>),
        }

        impl Point {
            /// All points that the runtime has by itself, in the order in which a life comes to them.
            pub const ALL: [Self; [$($word),+].len()] = [$( Self::$point ),+];

            /// The word for it. That of a place in a user's code is its name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$point => $word, )+
                    Self::Named(name) => name,
                }
            }
        }
    };
}

points! {
    /// The start of the agent is about to run.
    BeforeStart "before-start";
    /// The start has returned; nobody was told yet.
    AfterStart "after-start";
    /// A message was taken; its handler does not run yet.
    BeforeMessage "before-message";
    /// The handler waits for something for the first time.
    DuringMessage "during-message";
    /// The handler has returned; who asked has no answer yet.
    AfterMessage "after-message";
    /// The journal is about to append.
    BeforeAppend "before-append";
    /// The journal has appended; who asked has no answer yet.
    AfterAppend "after-append";
    /// The agent was asked to end; its stop hook does not run yet.
    InStop "in-stop";
    /// The next life of the agent waits for its back-off.
    BackOff "back-off";
}

/// What stands before the name of a place in a user's code.
const NAMED: &str = "point:";

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self, Self::Named(_)) {
            f.write_str(NAMED)?;
        }
        f.write_str(self.as_str())
    }
}

impl FromStr for Point {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        if let Some(name) = text.strip_prefix(NAMED) {
            let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
            return if is_name {
                Ok(Self::Named(name.to_owned().into()))
            } else {
                Err(PlanError::new(text, "a place in your own code is written `point:` and its name, without blanks"))
            };
        }
        let known = Self::ALL.into_iter().find(|point| point.as_str() == text);
        known.ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|point| point.as_str().to_owned()).collect();
            PlanError::new(text, format!("this is no point; there are {}, and `point:` with a name", words.join(", ")))
        })
    }
}

is_its_text!(PlanError: Point);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_read_as_it_is_written_and_what_is_none_is_refused_with_those_that_are() {
        let named = Point::Named("between two writes".replace(' ', "-").into());
        for point in Point::ALL.into_iter().chain([named]) {
            assert_eq!(point.to_string().parse(), Ok(point));
        }
        let error = "before-messge".parse::<Point>().expect_err("no point").to_string();
        assert!(error.contains("`before-messge`") && error.contains("before-message, during-message"), "{error}");
        assert!("point:".parse::<Point>().is_err() && "point:a b".parse::<Point>().is_err());
    }
}
