//! What one process asks of another.

use serde::{Deserialize, Serialize};
use steadfast::RunId;
use steadfast::message::codec::{EncodeError, Schema};
use steadfast::message::record::{self, Record as Framed, RecordError};
use uuid::Uuid;

use crate::host::Start;
use crate::redact::Redactor;
use crate::run::{Millis, TaskId};
use crate::seam::requests::Request;

/// What can be asked of whoever carries runs out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Ask {
    /// To carry a new run.
    Start(Start),
    /// That a run stands still.
    Pause {
        /// The run.
        run: RunId,
    },
    /// That a run goes on.
    Resume {
        /// The run.
        run: RunId,
    },
    /// That a run ends before its time.
    Cancel {
        /// The run.
        run: RunId,
        /// Whether what was done is undone.
        undo: bool,
        /// Why, for people.
        why: String,
    },
    /// A yes to a task that asks.
    Approve {
        /// The run.
        run: RunId,
        /// The task.
        task: TaskId,
        /// Why, for people.
        why: String,
    },
    /// A no to a task that asks.
    Reject {
        /// The run.
        run: RunId,
        /// The task.
        task: TaskId,
        /// Why, for people.
        why: String,
    },
    /// That something happened which a task waits for.
    Signal {
        /// The run.
        run: RunId,
        /// The name of the signal.
        name: String,
        /// What comes with it, as JSON.
        data: String,
    },
    /// A new run that takes over the results of another one, up to a task.
    Fork {
        /// The other run.
        from: RunId,
        /// The first task that is not taken over.
        task: String,
        /// The new run.
        run: RunId,
    },
}

impl Ask {
    /// The run that it is about; of a fork the new one.
    #[must_use]
    pub fn run(&self) -> RunId {
        match self {
            Self::Start(start) => start.run,
            Self::Pause { run }
            | Self::Resume { run }
            | Self::Cancel { run, .. }
            | Self::Approve { run, .. }
            | Self::Reject { run, .. }
            | Self::Signal { run, .. }
            | Self::Fork { run, .. } => *run,
        }
    }

    /// Whether what comes of it depends on how those inside the run stand.
    pub(crate) const fn concerns_inside(&self) -> bool {
        matches!(self, Self::Resume { .. } | Self::Cancel { .. })
    }

    /// Whether it makes a run that was not there before.
    #[must_use]
    pub fn makes_a_run(&self) -> bool {
        matches!(self, Self::Start(_) | Self::Fork { .. })
    }
}

/// Something that was asked: by whom, when, and by which id it is recognised when it comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its id.
    pub id: Uuid,
    /// Who asks.
    pub who: String,
    /// When.
    pub wall: Millis,
    /// What.
    pub what: Ask,
}

/// The bytes of a request.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    who: String,
    what: Ask,
}

impl Framed for Body {
    const LAYOUT: Schema = Schema(1);
}

/// A request cannot be written, or is none of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskedError {
    /// It has no bytes.
    #[error("the request cannot be written")]
    Write(#[from] EncodeError),
    /// The bytes are no request.
    #[error("the request {id} cannot be read")]
    Read {
        /// Its id.
        id: Uuid,
        /// What is wrong with it.
        source: RecordError,
    },
}

impl Asked {
    /// The same without secrets in its texts. A goal and its parameters stay as they are, since the run goes on from
    /// them.
    #[must_use]
    pub fn redacted(mut self, redactor: &Redactor) -> Self {
        let clean = |text: &mut String| *text = redactor.text(text).into_owned();
        clean(&mut self.who);
        match &mut self.what {
            Ask::Cancel { why, .. } | Ask::Approve { why, .. } | Ask::Reject { why, .. } => clean(why),
            Ask::Signal { data, .. } => {
                // It becomes a result, and is looked through as one.
                if let Ok(value) = serde_json::from_str::<serde_json::Value>(data) {
                    *data = redactor.value(&value).to_string();
                }
            }
            Ask::Start(_) | Ask::Pause { .. } | Ask::Resume { .. } | Ask::Fork { .. } => {}
        }
        self
    }

    /// The request as it is left for another process.
    ///
    /// # Errors
    ///
    /// [`AskedError::Write`] where it is longer than a frame may be.
    pub fn to_request(&self) -> Result<Request, AskedError> {
        let body = record::encode(&Body { who: self.who.clone(), what: self.what.clone() })?;
        Ok(Request { id: self.id, wall: self.wall, body })
    }

    /// What was left by another process.
    ///
    /// # Errors
    ///
    /// [`AskedError::Read`] where the bytes are damaged, or of a version to come.
    pub fn of_request(request: &Request) -> Result<Self, AskedError> {
        let id = request.id;
        let body: Body = record::decode(&request.body).map_err(|source| AskedError::Read { id, source })?;
        Ok(Self { id, who: body.who, wall: request.wall, what: body.what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(what: Ask) -> Asked {
        Asked { id: Uuid::from_u128(7), who: "me".to_owned(), wall: Millis(9), what }
    }

    #[test]
    fn what_is_asked_reads_back_as_it_was_written() {
        let run = RunId::new(Uuid::from_u128(1));
        let start = Start { run, goal: "{}".to_owned(), params: "{}".to_owned(), input: "/in".to_owned() };
        let task: TaskId = "a[3]".parse().expect("a task");
        let (text, other) = (|text: &str| text.to_owned(), RunId::new(Uuid::from_u128(2)));
        for what in [
            Ask::Start(start),
            Ask::Pause { run },
            Ask::Resume { run },
            Ask::Cancel { run, undo: true, why: text("enough") },
            Ask::Approve { run, task: task.clone(), why: text("fine") },
            Ask::Reject { run, task, why: text("no") },
            Ask::Signal { run, name: text("paid"), data: text("{\"sum\":3}") },
            Ask::Fork { from: other, task: text("b"), run },
        ] {
            let asked = asked(what);
            assert_eq!(asked.what.run(), run);
            assert_eq!(Asked::of_request(&asked.to_request().expect("bytes")).expect("a request"), asked);
        }
    }

    #[test]
    fn the_bytes_of_a_request_stay_what_they_are() {
        let request = asked(Ask::Pause { run: RunId::new(Uuid::from_u128(1)) }).to_request().expect("bytes");
        assert_eq!(request.body, GOLDEN);
    }

    const GOLDEN: &[u8] = &[
        0x01, 0x01, 0x02, 0x6d, 0x65, 0x01, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x01, 0x11, 0x55, 0x68, 0x59,
    ];

    #[test]
    fn a_damaged_request_is_refused_with_its_id() {
        let mut request = asked(Ask::Pause { run: RunId::new(Uuid::from_u128(1)) }).to_request().expect("bytes");
        request.body[4] ^= 1;
        let error = Asked::of_request(&request).expect_err("it is damaged").to_string();
        assert!(error.contains("00000000-0000-0000-0000-000000000007"), "{error}");
    }
}
