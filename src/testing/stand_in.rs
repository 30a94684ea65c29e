//! What stands in for an agent: the test gets its messages, and says what is answered.

use std::any::TypeId;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::exit::BoxError;
use crate::fault::Subject;
use crate::runtime::agent::{Agent, Context};
use crate::runtime::guard::lock;
use crate::runtime::spec::{AgentSpec, ChildSpec};
use crate::runtime::wait::{self, Signal};

/// Stands in for an agent of type `A`: whoever looks for `A` at its path finds it, and so does whoever asks for what it
/// [offers](AgentSpec::offers). The test waits for its messages and answers them. Clones are the same; each life of it goes
/// on where the one before ended.
///
/// ```
/// use std::time::Duration;
/// use steadfast::testing::{Probe, Order, Sim, StandIn, World};
/// use steadfast::{BoxError, Strategy, SupervisorSpec};
///
/// // Whatever is told to tell `root/db` something; here the test itself.
/// Sim::new("a stand-in").run(|world: World| async move {
///     let db = StandIn::<Probe>::new();
///     let spec = db.clone();
///     let node = world.start(move || SupervisorSpec::new("root", Strategy::OneForOne).child(spec.spec("db"))).await?;
///     let asked = node.agent::<Probe>("root/db")?;
///     world.spawn(async move { assert_eq!(asked.ask(Order::Echo(7)).await.expect("an answer"), 8) });
///
///     let call = db.expect(Duration::from_secs(1)).await;
///     assert!(matches!(call.message(), Order::Echo(7)));
///     call.reply(8);
///     db.expect_none(Duration::from_secs(1)).await;
///     Ok::<(), BoxError>(())
/// });
/// ```
pub struct StandIn<A: Agent> {
    shared: Arc<Shared<A>>,
}

struct Shared<A: Agent> {
    calls: Mutex<VecDeque<Call<A>>>,
    came: Signal,
}

/// A message that came to a [`StandIn`]. Its handler waits until it is answered. Dropped without, the life of the stand-in
/// fails.
#[must_use = "its handler waits for an answer"]
pub struct Call<A: Agent> {
    message: A::Message,
    answer: Answer<A>,
}

struct Answer<A: Agent> {
    place: Arc<Place<A>>,
    is_given: bool,
}

/// Where the answer is put.
struct Place<A: Agent> {
    answer: Mutex<Option<Result<A::Reply, BoxError>>>,
    given: Signal,
}

impl<A: Agent> Place<A> {
    fn give(&self, answer: Result<A::Reply, BoxError>) {
        *lock(&self.answer) = Some(answer);
        self.given.tell();
    }

    async fn given(&self) -> Result<A::Reply, BoxError> {
        loop {
            let next = self.given.next();
            if let Some(answer) = lock(&self.answer).take() {
                return answer;
            }
            next.await;
        }
    }
}

impl<A: Agent> StandIn<A> {
    /// A stand-in that has got no message yet.
    #[must_use]
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { calls: Mutex::default(), came: Signal::default() }) }
    }

    /// The stand-in as a child of this name.
    #[must_use]
    pub fn spec(&self, name: &str) -> AgentSpec<Self> {
        ChildSpec::agent::<Self>(name, self.clone())
    }

    /// Waits for the next message.
    ///
    /// # Panics
    ///
    /// When none came within this time.
    #[track_caller]
    pub fn expect(&self, limit: Duration) -> impl Future<Output = Call<A>> {
        let place = std::panic::Location::caller();
        async move {
            let call = wait::at_most(limit, self.next()).await;
            call.unwrap_or_else(|| panic!("{place}: no message came to the stand-in within {limit:?}"))
        }
    }

    /// Waits for so long, and no message may come.
    ///
    /// # Panics
    ///
    /// When one came.
    #[track_caller]
    pub fn expect_none(&self, time: Duration) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let came = wait::at_most(time, self.next()).await.is_some();
            assert!(!came, "{place}: a message came to the stand-in, and none was to come for {time:?}");
        }
    }

    async fn next(&self) -> Call<A> {
        loop {
            let next = self.shared.came.next();
            let call = {
                let mut calls = lock(&self.shared.calls);
                // The others are of lives that have ended: nobody waits for their answers.
                std::iter::from_fn(|| calls.pop_front()).find(|call| Arc::strong_count(&call.answer.place) > 1)
            };
            if let Some(call) = call {
                return call;
            }
            next.await;
        }
    }
}

impl<A: Agent> Call<A> {
    /// What came.
    #[must_use]
    pub const fn message(&self) -> &A::Message {
        &self.message
    }

    /// Answers it: whoever asked gets this; the answer to what was told is dropped.
    pub fn reply(mut self, reply: A::Reply) {
        self.answer.is_given = true;
        self.answer.place.give(Ok(reply));
    }

    /// Fails at it: the life of the stand-in ends with this error.
    pub fn fail(mut self, error: impl Into<BoxError>) {
        self.answer.is_given = true;
        self.answer.place.give(Err(error.into()));
    }
}

impl<A: Agent> Drop for Answer<A> {
    fn drop(&mut self) {
        if !self.is_given {
            self.place.give(Err("the test did not answer".into()));
        }
    }
}

impl<A: Agent> Agent for StandIn<A> {
    type Args = Self;
    type Message = A::Message;
    type Reply = A::Reply;

    async fn start(own: Self, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(own)
    }

    async fn handle(&mut self, message: A::Message, _: &mut Context<Self>) -> Result<A::Reply, BoxError> {
        let place = Arc::new(Place { answer: Mutex::new(None), given: Signal::default() });
        let answer = Answer { place: Arc::clone(&place), is_given: false };
        lock(&self.shared.calls).push_back(Call { message, answer });
        self.shared.came.tell();
        place.given().await
    }

    fn subject(message: &A::Message) -> Option<Subject> {
        A::subject(message)
    }

    fn found_as() -> TypeId {
        TypeId::of::<A>()
    }
}

impl<A: Agent> Clone for StandIn<A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<A: Agent> Default for StandIn<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Agent> fmt::Debug for StandIn<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandIn").field("waiting", &lock(&self.shared.calls).len()).finish()
    }
}

impl<A: Agent<Message: fmt::Debug>> fmt::Debug for Call<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("message", &self.message).finish_non_exhaustive()
    }
}
