//! A board as its users see it.

use std::fmt;
use std::time::Duration;

use super::{Answer, Board, BoardOrder, Order, Snapshot, Watch};
use crate::error::RequestError;
use crate::id::Path;
use crate::message::blackboard::{BoardError, Entry, Expected, Put, Revision};
use crate::message::subject::{Pattern, Subject};
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::system::System;

/// A reference to a blackboard; see [`ChildSpec::blackboard`](crate::ChildSpec::blackboard). Cheap to clone.
///
/// Each call is an ask of the board's agent, with its deadline, and the calls of one caller take effect in their order. A
/// call that fails with a [`RequestError`] may have been carried out or not.
pub struct BlackboardRef<V: Send + Sync + 'static> {
    agent: AgentRef<Board<V>>,
    limit: Duration,
}

impl<V: Send + Sync + 'static> Clone for BlackboardRef<V> {
    fn clone(&self) -> Self {
        Self { agent: self.agent.clone(), limit: self.limit }
    }
}

impl<V: Send + Sync + 'static> fmt::Debug for BlackboardRef<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlackboardRef({})", self.agent.path())
    }
}

/// A board did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardCallError {
    /// The board refused; nothing was written.
    #[error(transparent)]
    Refused(#[from] BoardError),
    /// The board did not answer.
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl<V: Send + Sync + 'static> BlackboardRef<V> {
    /// The same board, asked with another deadline than [`DEFAULT_ASK`](crate::DEFAULT_ASK), or than what the system's
    /// limits say.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Where the board stands in the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.agent.path()
    }

    async fn ask(&self, order: Order<V>) -> Result<Answer<V>, RequestError> {
        Ok(self.agent.ask_within(BoardOrder(order), self.limit).await?.0)
    }

    /// An answer to something else than was asked. It cannot be.
    fn wrong<T>(&self) -> Result<T, RequestError> {
        Err(RequestError::WrongReply { capability: "blackboard".to_owned(), path: self.path().clone() })
    }

    /// What is at a key, if it is not over.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// It only reads; dropped before it returns, nothing has changed.
    pub async fn get(&self, key: Subject) -> Result<Option<Entry<V>>, RequestError> {
        match self.ask(Order::Get(key)).await? {
            Answer::Got(entry) => Ok(entry),
            _ => self.wrong(),
        }
    }

    /// All that is on the board and not over, of the keys that match, by key.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// It only reads; dropped before it returns, nothing has changed.
    pub async fn query(&self, pattern: &Pattern) -> Result<Snapshot<V>, RequestError> {
        match self.ask(Order::Query(pattern.clone())).await? {
            Answer::Found(found) => Ok(found),
            _ => self.wrong(),
        }
    }

    /// Sets a key, whatever is there, until it is set anew.
    ///
    /// # Errors
    ///
    /// [`BoardError::Full`] when it would be one key too many; see [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it may or may not be carried out.
    pub async fn set(&self, key: Subject, value: V) -> Result<Revision, BoardCallError> {
        self.put(Put::new(key, value)).await
    }

    /// Sets a key as is said: only if that is there which is expected (compare and set), and for as long as it is to
    /// live.
    ///
    /// # Errors
    ///
    /// [`BoardError::Moved`] when something else is there, [`BoardError::Full`] when it would be one key too many; see
    /// [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it may or may not be carried out.
    pub async fn put(&self, put: Put<V>) -> Result<Revision, BoardCallError> {
        match self.ask(Order::Put(put)).await? {
            Answer::Put(outcome) => Ok(outcome?),
            _ => Ok(self.wrong()?),
        }
    }

    /// Takes a key away, if that is there which is expected. Returns what was there.
    ///
    /// # Errors
    ///
    /// [`BoardError::Moved`] when something else is there; see [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, it may or may not be carried out.
    pub async fn remove(&self, key: Subject, expected: Expected) -> Result<Option<Entry<V>>, BoardCallError> {
        match self.ask(Order::Remove(key, expected)).await? {
            Answer::Removed(outcome) => Ok(outcome?),
            _ => Ok(self.wrong()?),
        }
    }

    /// What is there now, of the keys that match, and a watch of every change after it.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// It only reads; dropped before it returns, nothing has changed.
    pub async fn watch(&self, pattern: &Pattern) -> Result<(Snapshot<V>, Watch<V>), RequestError> {
        match self.ask(Order::Watch(pattern.clone())).await? {
            Answer::Watching(there, watch) => Ok((there, watch)),
            _ => self.wrong(),
        }
    }
}

impl System {
    /// The blackboard at a path.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unknown`] when there is nothing, [`RequestError::WrongAgent`] when it is no blackboard, or holds
    /// other values.
    pub fn blackboard<V: Send + Sync + 'static>(
        &self,
        path: impl AsRef<str>,
    ) -> Result<BlackboardRef<V>, RequestError> {
        Ok(BlackboardRef { agent: self.agent(path)?, limit: self.office().default_ask })
    }
}
