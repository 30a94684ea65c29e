//! The blackboard as an agent: what agents know in common, with changes to watch, and the same as a store that is reached
//! by capability.
//!
//! # Invariants
//!
//! * What is on the board belongs to the agent's slot (`shared`): a life that crashes, and the crash of its supervisor, cost
//!   nothing of it. It is in memory: it is gone with the child when that is forgotten, and with the system.
//! * Every change goes through the agent, one after the other. Watchers read the remembered changes where they are.
//! * No value of a user is dropped while the board is locked.

mod contract;
mod handle;
mod shared;
mod store;
mod watch;

use std::marker::PhantomData;
use std::time::Instant;

pub use self::contract::{
    ErrorCode, Failure, PERSISTENCE, QUERY, Query, QueryResult, RETRIEVE, Record, Request, Response, Retrieve,
    Retrieved, STORE, Store, Stored,
};
pub use self::handle::{BlackboardRef, BoardCallError};
use self::shared::Shared;
pub use self::store::{DataStore, StoreOrder};
pub use self::watch::{Watch, WatchError};
use crate::exit::BoxError;
use crate::message::blackboard::{BoardBounds, BoardError, Entry, Expected, Put, Revision};
use crate::message::subject::{Pattern, Subject};
use crate::runtime::agent::{Agent, Context};
use crate::runtime::spec::{AgentSpec, ChildSpec};
use crate::runtime::tasks::TaskId;

/// Keys of a board with what is there.
pub type Snapshot<V> = Vec<(Subject, Entry<V>)>;

/// A blackboard as an agent; see [`ChildSpec::blackboard`].
pub struct Board<V> {
    shared: Shared<V>,
    alarm: Alarm,
}

/// What a [`Board`] is asked. Made by [`BlackboardRef`].
pub struct BoardOrder<V>(pub(crate) Order<V>);

/// What a [`Board`] answers.
pub struct BoardAnswer<V>(pub(crate) Answer<V>);

pub(crate) enum Order<V> {
    Get(Subject),
    Query(Pattern),
    Put(Put<V>),
    Remove(Subject, Expected),
    Watch(Pattern),
    Sweep,
}

pub(crate) enum Answer<V> {
    Got(Option<Entry<V>>),
    Found(Snapshot<V>),
    Put(Result<Revision, BoardError>),
    Removed(Result<Option<Entry<V>>, BoardError>),
    Watching(Snapshot<V>, Watch<V>),
    Swept,
}

impl ChildSpec {
    /// A blackboard: what agents know in common, as an agent that is reached by
    /// [`System::blackboard`](crate::System::blackboard).
    ///
    /// A crash of it, or of its supervisor, costs nothing of what is on the board; watchers go on. All of it is in memory:
    /// it is gone when the child is forgotten, and with the system. The bounds are those with which it is started first.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::message::{BoardBounds, Expected, Put};
    /// use steadfast::{ChildSpec, Strategy, SupervisorSpec, System};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let board = ChildSpec::blackboard::<&str>("board", BoardBounds::default());
    /// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(board)).await?;
    /// let board = system.blackboard::<&str>("root/board")?;
    ///
    /// let (_, mut watch) = board.watch(&"plan.>".parse()?).await?;
    /// let first = board.set("plan.phase".parse()?, "planning").await?;
    /// let next = Put::new("plan.phase".parse()?, "running").expecting(Expected::Revision(first));
    /// board.put(next.living(Duration::from_secs(60))).await?;
    ///
    /// assert_eq!(*board.get("plan.phase".parse()?).await?.expect("it is set").value, "running");
    /// assert_eq!(watch.next().await?.revision, first);
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn blackboard<V: Send + Sync + 'static>(name: impl Into<String>, bounds: BoardBounds) -> AgentSpec<Board<V>> {
        Self::agent::<Board<V>>(name, BoardArgs { bounds, values: PhantomData })
    }
}

/// What a [`Board`] is started from.
pub struct BoardArgs<V> {
    bounds: BoardBounds,
    values: PhantomData<fn() -> V>,
}

impl<V> Clone for BoardArgs<V> {
    fn clone(&self) -> Self {
        Self { bounds: self.bounds, values: PhantomData }
    }
}

impl<V: Send + Sync + 'static> Agent for Board<V> {
    type Args = BoardArgs<V>;
    type Message = BoardOrder<V>;
    type Reply = BoardAnswer<V>;

    async fn start(args: BoardArgs<V>, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let mut board = Self { shared: Shared::of_slot(ctx, args.bounds)?, alarm: Alarm::default() };
        board.set_alarm(ctx);
        Ok(board)
    }

    async fn handle(&mut self, order: BoardOrder<V>, ctx: &mut Context<Self>) -> Result<BoardAnswer<V>, BoxError> {
        let now = ctx.system().clock().now();
        let answer = match order.0 {
            Order::Get(key) => Answer::Got(self.shared.get(&key, now)),
            Order::Query(pattern) => Answer::Found(self.shared.query(&pattern, now)),
            Order::Put(put) => Answer::Put(self.shared.put(put, now)),
            Order::Remove(key, expected) => Answer::Removed(self.shared.remove(&key, expected, now)),
            Order::Watch(pattern) => {
                let (there, watch) = self.shared.watch(pattern, ctx.system());
                Answer::Watching(there, watch)
            }
            Order::Sweep => {
                self.alarm.rang();
                self.shared.expire(now);
                Answer::Swept
            }
        };
        self.set_alarm(ctx);
        Ok(BoardAnswer(answer))
    }
}

impl<V: Send + Sync + 'static> Board<V> {
    fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        self.alarm.set(ctx, self.shared.next_end(), || BoardOrder(Order::Sweep));
    }
}

/// The one timer of a board: for the next value that is over.
#[derive(Default)]
struct Alarm(Option<(Instant, TaskId)>);

impl Alarm {
    /// It rang, and is not set any more.
    fn rang(&mut self) {
        self.0 = None;
    }

    fn set<A: Agent>(&mut self, ctx: &mut Context<A>, end: Option<Instant>, message: impl FnOnce() -> A::Message) {
        if self.0.map(|(at, _)| at) == end {
            return;
        }
        if let Some((_, task)) = self.0.take() {
            ctx.cancel(task);
        }
        if let Some(end) = end {
            let wait = end.saturating_duration_since(ctx.system().clock().now());
            self.0 = Some((end, ctx.after(wait, message())));
        }
    }
}
