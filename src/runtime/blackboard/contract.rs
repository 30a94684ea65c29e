//! The contract of a store of data: what it is asked, and what it answers.
//!
//! Plain types, so that they can cross the boundary of the process. A value is bytes; what they mean is a matter between
//! those who write and those who read (JSON, where nothing else is agreed).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::registry::capability::Capability;

/// All of the contract in one: any request, and the answer to it.
pub const PERSISTENCE: Capability<Request, Response> = Capability::new("data.persistence", "1.0.0");
/// Stores a value.
pub const STORE: Capability<Store, Result<Stored, Failure>> = Capability::new("data.persistence.store", "1.0.0");
/// Retrieves a value.
pub const RETRIEVE: Capability<Retrieve, Result<Retrieved, Failure>> =
    Capability::new("data.persistence.retrieve", "1.0.0");
/// Looks for values.
pub const QUERY: Capability<Query, Result<QueryResult, Failure>> = Capability::new("data.persistence.query", "1.0.0");

/// What a store is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// To store a value.
    Store(Store),
    /// To retrieve one.
    Retrieve(Retrieve),
    /// To look for some.
    Query(Query),
}

/// What a store answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// It is stored.
    Stored(Stored),
    /// This is there.
    Retrieved(Retrieved),
    /// This was found.
    QueryResult(QueryResult),
    /// It was not done.
    Error(Failure),
}

/// Store a value at a key, in place of what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// The key: a [`Subject`](crate::message::Subject).
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// How long it lives; for ever where nothing is said.
    pub ttl: Option<Duration>,
    /// Only if this version is there, and 0: only if nothing is. Whatever is there where nothing is said.
    pub expected: Option<u64>,
}

/// Retrieve what is at a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retrieve {
    /// The key.
    pub key: String,
}

/// Look for keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Which: a [`Pattern`](crate::message::Pattern).
    pub filter: String,
    /// How many at most.
    pub limit: u64,
}

/// A value is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Where.
    pub key: String,
    /// Its version: higher than every version before it, of any key.
    pub version: u64,
}

/// What is at a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retrieved {
    /// The key.
    pub key: String,
    /// The value. `None` where nothing is there, or it is over.
    pub value: Option<Vec<u8>>,
    /// Its version; 0 where nothing is there.
    pub version: u64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryResult {
    /// The first, by key, as many as were wanted.
    pub results: Vec<Record>,
    /// How many there are.
    pub total: u64,
}

/// A key with what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// Its version.
    pub version: u64,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The kind of reason, for programs.
    pub code: ErrorCode,
    /// The reason, for people.
    pub message: String,
}

/// The kinds of reasons for which something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorCode {
    /// The key is not a subject.
    InvalidKey,
    /// The filter is not a pattern.
    InvalidFilter,
    /// Another version is there than was expected.
    Conflict,
    /// There are as many keys as there may be.
    Full,
}

macro_rules! is_a_request {
    ($($request:ident, $answer:ident);+) => { $(
        impl From<$request> for Request {
            fn from(request: $request) -> Self {
                Self::$request(request)
            }
        }

        /// An answer to something else comes back as it is.
        impl TryFrom<Response> for Result<$answer, Failure> {
            type Error = Response;

            fn try_from(response: Response) -> Result<Self, Response> {
                match response {
                    Response::$answer(answer) => Ok(Ok(answer)),
                    Response::Error(failure) => Ok(Err(failure)),
                    other => Err(other),
                }
            }
        }
    )+ };
}

is_a_request!(Store, Stored; Retrieve, Retrieved; Query, QueryResult);
