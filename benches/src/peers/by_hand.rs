//! A supervisor as one would write it by hand on plain ractor: it restarts a child that failed, at once and without a
//! limit, and can stop its children in the reverse of their order. The floor of restarts and stops.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::peers::plain::Small;
use crate::probe::{Probe, Word};
use crate::trees::{Supervised, Tree};

/// The children's references of now, as others see them.
type Table = Arc<Mutex<Vec<ActorRef<Word>>>>;

enum Order {
    /// Stop the children, last first, and then yourself.
    Shutdown,
}

struct Supervisor;

struct State {
    probe: Arc<Probe>,
    by_id: HashMap<ActorId, usize>,
    children: Table,
    stopping: bool,
}

impl State {
    async fn start(&mut self, at: usize, myself: &ActorRef<Order>) -> Result<ActorRef<Word>, ActorProcessingErr> {
        let (child, _) = Actor::spawn_linked(None, Small, (at, Arc::clone(&self.probe)), myself.get_cell()).await?;
        self.by_id.insert(child.get_id(), at);
        Ok(child)
    }

    /// Stops the last child that is left, or, after the first one, the supervisor.
    fn stop_next(&self, myself: &ActorRef<Order>) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        match children.pop() {
            Some(last) => last.stop(None),
            None => myself.stop(None),
        }
    }
}

impl Actor for Supervisor {
    type Msg = Order;
    type State = State;
    type Arguments = (usize, Arc<Probe>, Table);

    async fn pre_start(
        &self,
        myself: ActorRef<Order>,
        (n, probe, children): Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let mut state = State { probe, by_id: HashMap::new(), children, stopping: false };
        for at in 0..n {
            let child = state.start(at, &myself).await?;
            state.children.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        }
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<Order>, _: Order, state: &mut State) -> Result<(), ActorProcessingErr> {
        state.stopping = true;
        state.stop_next(&myself);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Order>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, _) => {
                let Some(at) = state.by_id.remove(&cell.get_id()) else { return Ok(()) };
                let child = state.start(at, &myself).await?;
                state.children.lock().unwrap_or_else(PoisonError::into_inner)[at] = child;
            }
            SupervisionEvent::ActorTerminated(cell, ..) => {
                state.by_id.remove(&cell.get_id());
                if state.stopping {
                    state.stop_next(&myself);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// How a tree by hand is stopped.
pub(crate) trait Way: Send + Sync + 'static {
    const ORDERED: bool;
}

/// By ractor's `stop_children_and_wait`, which stops all at once, and then the supervisor.
pub(crate) struct AllAtOnce;

/// One after another, last first.
pub(crate) struct InOrder;

impl Way for AllAtOnce {
    const ORDERED: bool = false;
}

impl Way for InOrder {
    const ORDERED: bool = true;
}

/// The supervisor by hand, with its children.
pub(crate) struct ByHand<W> {
    supervisor: ActorRef<Order>,
    task: tokio::task::JoinHandle<()>,
    children: Table,
    way: PhantomData<W>,
}

impl<W: Way> Tree for ByHand<W> {
    type Plan = (usize, Arc<Probe>);

    fn plan(children: usize, probe: Arc<Probe>) -> Self::Plan {
        (children, probe)
    }

    async fn start((n, probe): Self::Plan) -> Self {
        let children = Table::default();
        let started = Actor::spawn(None, Supervisor, (n, probe, Arc::clone(&children))).await;
        let (supervisor, task) = started.expect("it starts");
        Self { supervisor, task, children, way: PhantomData }
    }
}

impl<W: Way> Supervised for ByHand<W> {
    const ORDERED: bool = W::ORDERED;

    fn crash(&self, at: usize, how: Word) {
        let child = self.children.lock().unwrap_or_else(PoisonError::into_inner)[at].clone();
        child.cast(how).expect("it is alive");
    }

    async fn stop(self) {
        if W::ORDERED {
            self.supervisor.cast(Order::Shutdown).expect("it is alive");
        } else {
            self.supervisor.stop_children_and_wait(None, None).await;
            self.supervisor.stop(None);
        }
        self.task.await.expect("it ends in order");
    }
}
