//! What other processes ask of whoever owns a store: to pause a run, to approve a task, to take a new goal.
//!
//! A request is written and stays until its owner says that it is done. The owner may do it and die before it says so, so
//! that it comes again: whoever carries it out recognises it by its id.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::BoxFuture;
use crate::run::Millis;

/// Something that is asked of the owner of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its id: unique, and later ones sort after earlier ones.
    pub id: Uuid,
    /// When it was asked.
    pub wall: Millis,
    /// What is asked, as both sides write it.
    pub body: Vec<u8>,
}

/// Keeps requests until they are done.
///
/// | promise | |
/// |---|---|
/// | what was put | is pending until it is done, also over a restart of its owner |
/// | the same id again | changes nothing: the first one counts |
/// | order | by id |
///
/// # Cancel safety
///
/// What was asked for with a future that was dropped has happened or not; which, [`pending`](Self::pending) tells.
pub trait Requests: Send + Sync {
    /// Leaves a request.
    fn put(&self, request: Request) -> BoxFuture<'_, Result<(), RequestsError>>;

    /// Gives what is not done yet, by id. Cheap where nothing is new: it is meant to be asked several times a second.
    fn pending(&self) -> BoxFuture<'_, Result<Vec<Request>, RequestsError>>;

    /// Forgets a request. One that is not there is done.
    fn done(&self, id: Uuid) -> BoxFuture<'_, Result<(), RequestsError>>;
}

/// Requests cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("requests are not available: {0}")]
pub struct RequestsError(pub String);

/// Requests in memory: of this process, for as long as it lives.
#[derive(Clone, Debug, Default)]
pub struct MemoryRequests {
    pending: Arc<Mutex<BTreeMap<Uuid, Request>>>,
}

impl MemoryRequests {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<Uuid, Request>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests for MemoryRequests {
    fn put(&self, request: Request) -> BoxFuture<'_, Result<(), RequestsError>> {
        self.table().entry(request.id).or_insert(request);
        Box::pin(async { Ok(()) })
    }

    fn pending(&self) -> BoxFuture<'_, Result<Vec<Request>, RequestsError>> {
        let pending = self.table().values().cloned().collect();
        Box::pin(async { Ok(pending) })
    }

    fn done(&self, id: Uuid) -> BoxFuture<'_, Result<(), RequestsError>> {
        self.table().remove(&id);
        Box::pin(async { Ok(()) })
    }
}
