//! A store of data by the contract, as an agent over a board.

use std::time::Instant;

use super::Alarm;
use super::contract::{
    ErrorCode, Failure, PERSISTENCE, QUERY, Query, QueryResult, RETRIEVE, Record, Request, Response, Retrieve,
    Retrieved, STORE, Store, Stored,
};
use super::shared::Shared;
use crate::exit::BoxError;
use crate::message::blackboard::{BoardBounds, BoardError, Expected, Put, Revision};
use crate::message::subject::{InvalidSubject, Pattern, Subject};
use crate::runtime::agent::{Agent, Context};
use crate::runtime::spec::{AgentSpec, ChildSpec};

/// A store of data by the contract; see [`ChildSpec::data_store`].
pub struct DataStore {
    shared: Shared<Vec<u8>>,
    alarm: Alarm,
}

/// What a [`DataStore`] is asked: any request of the contract.
pub struct StoreOrder(Order);

enum Order {
    Request(Request),
    Sweep,
}

impl<T: Into<Request>> From<T> for StoreOrder {
    fn from(request: T) -> Self {
        Self(Order::Request(request.into()))
    }
}

impl ChildSpec {
    /// A store of data that offers [`STORE`], [`RETRIEVE`] and [`QUERY`], and all of them in one as [`PERSISTENCE`].
    ///
    /// It keeps what it stores as a [`blackboard`](Self::blackboard) does: in memory, over crashes of its own and of its
    /// supervisor, until the child is forgotten or the system ends.
    ///
    /// ```
    /// use steadfast::data_persistence::{RETRIEVE, Retrieve, STORE, Store};
    /// use steadfast::message::BoardBounds;
    /// use steadfast::{ChildSpec, Strategy, SupervisorSpec, System};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = ChildSpec::data_store("store", BoardBounds::default());
    /// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(store)).await?;
    ///
    /// let key = || "users.ann".to_owned();
    /// let ann = Store { key: key(), value: b"{\"age\":7}".to_vec(), ttl: None, expected: Some(0) };
    /// assert_eq!(system.ask(&STORE, ann.clone()).await??.version, 1);
    /// assert!(system.ask(&STORE, ann).await?.is_err()); // Somebody was faster.
    /// assert_eq!(system.ask(&RETRIEVE, Retrieve { key: key() }).await??.version, 1);
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn data_store(name: impl Into<String>, bounds: BoardBounds) -> AgentSpec<DataStore> {
        let store = Self::agent::<DataStore>(name, bounds);
        store.offers(&PERSISTENCE).offers(&STORE).offers(&RETRIEVE).offers(&QUERY)
    }
}

impl Agent for DataStore {
    type Args = BoardBounds;
    type Message = StoreOrder;
    type Reply = Response;

    async fn start(bounds: BoardBounds, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let mut store = Self { shared: Shared::of_slot(ctx, bounds)?, alarm: Alarm::default() };
        store.set_alarm(ctx);
        Ok(store)
    }

    async fn handle(&mut self, order: StoreOrder, ctx: &mut Context<Self>) -> Result<Response, BoxError> {
        let now = ctx.system().clock().now();
        let response = match order.0 {
            Order::Request(Request::Store(store)) => self.store(store, now),
            Order::Request(Request::Retrieve(retrieve)) => self.retrieve(retrieve, now),
            Order::Request(Request::Query(query)) => self.query(&query, now),
            Order::Sweep => {
                self.alarm.rang();
                self.shared.expire(now);
                // Nobody asked.
                Ok(Response::QueryResult(QueryResult { results: Vec::new(), total: 0 }))
            }
        };
        self.set_alarm(ctx);
        Ok(response.unwrap_or_else(Response::Error))
    }
}

impl DataStore {
    fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        self.alarm.set(ctx, self.shared.next_end(), || StoreOrder(Order::Sweep));
    }

    fn store(&self, store: Store, now: Instant) -> Result<Response, Failure> {
        let Store { key, value, ttl, expected } = store;
        let expected = match expected {
            None => Expected::Anything,
            Some(0) => Expected::Nothing,
            Some(version) => Expected::Revision(Revision::new(version)),
        };
        let put = Put::new(subject(&key)?, value).expecting(expected);
        let put = match ttl {
            Some(ttl) => put.living(ttl),
            None => put,
        };
        let version = self.shared.put(put, now).map_err(|refused| failure(&refused))?.get();
        Ok(Response::Stored(Stored { key, version }))
    }

    fn retrieve(&self, Retrieve { key }: Retrieve, now: Instant) -> Result<Response, Failure> {
        let entry = self.shared.get(&subject(&key)?, now);
        let version = entry.as_ref().map_or(0, |entry| entry.revision.get());
        let value = entry.map(|entry| entry.value.to_vec());
        Ok(Response::Retrieved(Retrieved { key, value, version }))
    }

    fn query(&self, query: &Query, now: Instant) -> Result<Response, Failure> {
        let filter = query.filter.parse::<Pattern>().map_err(|wrong| invalid(ErrorCode::InvalidFilter, &wrong))?;
        let found = self.shared.query(&filter, now);
        let total = found.len() as u64;
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let record = |(key, entry): (Subject, crate::message::blackboard::Entry<Vec<u8>>)| Record {
            key: key.into(),
            value: entry.value.to_vec(),
            version: entry.revision.get(),
        };
        Ok(Response::QueryResult(QueryResult { results: found.into_iter().take(limit).map(record).collect(), total }))
    }
}

fn subject(key: &str) -> Result<Subject, Failure> {
    key.parse().map_err(|wrong| invalid(ErrorCode::InvalidKey, &wrong))
}

fn invalid(code: ErrorCode, wrong: &InvalidSubject) -> Failure {
    Failure { code, message: wrong.to_string() }
}

fn failure(refused: &BoardError) -> Failure {
    let code = match refused {
        BoardError::Moved { .. } => ErrorCode::Conflict,
        BoardError::Full { .. } => ErrorCode::Full,
    };
    Failure { code, message: refused.to_string() }
}
