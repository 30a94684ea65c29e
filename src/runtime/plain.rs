//! A plain ractor actor as a child: the actor runs inside a wrapper with the same type of message.
//!
//! The wrapper catches panics and records the typed reason. Messages travel on ractor's own port.

use std::marker::PhantomData;
use std::sync::Arc;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};

use crate::error::SpecError;
use crate::exit::{ExitReason, Failure};
use crate::fault::Point;
use crate::id::Path;
use crate::runtime::current::Home;
use crate::runtime::faults::Visitor;
use crate::runtime::life::Life;
use crate::runtime::route::Offers;
use crate::runtime::slot::{AnySlot, BareSlot};
use crate::runtime::spec::{StartOf, Worker, spawn_at_once};
use crate::runtime::supervisor::{left, start_failure};
use crate::runtime::system::System;
use crate::runtime::tasks::{Resident, Tasks};

pub(crate) struct PlainWorker<T, F> {
    make: F,
    actor: PhantomData<fn() -> T>,
}

impl<T, F> PlainWorker<T, F> {
    pub(crate) const fn new(make: F) -> Self {
        Self { make, actor: PhantomData }
    }
}

impl<T, F> Worker for PlainWorker<T, F>
where
    T: Actor,
    F: Fn() -> (T, T::Arguments) + Send + Sync,
{
    fn check(&self, _: &dyn Fn() -> Path) -> Result<(), SpecError> {
        Ok(())
    }

    fn fits(&self, slot: &Arc<dyn AnySlot>) -> bool {
        Arc::clone(slot).as_any().downcast::<BareSlot>().is_ok()
    }

    fn slot(&self, system: &System, path: Path) -> Arc<dyn AnySlot> {
        Arc::new(BareSlot(system.slot_core(path, Offers::default())))
    }

    fn renew(&self, _: &System, _: &Arc<dyn AnySlot>) {}

    fn may_start_in_place(&self) -> bool {
        false
    }

    fn spawn(&self, start: StartOf) -> Result<ActorCell, SpawnErr> {
        let (actor, args) = (self.make)();
        let birth = PlainBirth { args, system: start.system, slot: start.slot, life: start.life };
        let (actor, running) = spawn_at_once(Plain(actor), birth, start.supervisor, false)?;
        let cell = actor.get_cell();
        if let Some(above) = start.above {
            // A plain actor has its own cell in hand and may cut the link to its supervisor.
            let left = left(&above.supervisor);
            tokio::spawn(async move {
                let _ = running.await;
                left(actor.get_cell());
            });
        }
        Ok(cell)
    }
}

struct Plain<T>(T);

struct PlainBirth<T: Actor> {
    args: T::Arguments,
    system: System,
    slot: Arc<dyn AnySlot>,
    life: Arc<Life>,
}

struct PlainState<T: Actor> {
    /// Code of the actor runs as code of its life, so that it is held up by a fence too.
    home: Home,
    state: Option<Resident<T::State>>,
    args: Option<T::Arguments>,
    system: System,
    slot: Arc<dyn AnySlot>,
    life: Arc<Life>,
}

impl<T: Actor> PlainState<T> {
    fn home_and_inner(&mut self) -> (&mut Home, &mut T::State) {
        let inner = self.state.as_mut().and_then(Resident::get_mut);
        (&mut self.home, inner.expect("ractor handles nothing before `post_start` has made the state"))
    }

    /// Notes the reason of a crash and gives ractor an error, so that it ends the actor as failed.
    fn crash(&mut self, reason: ExitReason) -> ActorProcessingErr {
        self.state = None;
        let error = reason.to_string();
        self.slot.ended(self.life.incarnation);
        self.life.end(reason);
        error.into()
    }

    fn settle(
        &mut self,
        outcome: Result<Result<(), ActorProcessingErr>, ExitReason>,
    ) -> Result<(), ActorProcessingErr> {
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.crash(ExitReason::Failed(Failure::new(error)))),
            Err(panicked) => Err(self.crash(panicked)),
        }
    }
}

impl<T> Actor for Plain<T>
where
    T: Actor,
{
    type Msg = T::Msg;
    type State = PlainState<T>;
    type Arguments = PlainBirth<T>;

    async fn pre_start(
        &self,
        myself: ActorRef<T::Msg>,
        birth: PlainBirth<T>,
    ) -> Result<Self::State, ActorProcessingErr> {
        birth.life.set_cell(myself.get_cell());
        let home = Home::of(Arc::clone(&birth.life));
        let PlainBirth { args, system, slot, life } = birth;
        Ok(PlainState { home, state: None, args: Some(args), system, slot, life })
    }

    async fn post_start(&self, myself: ActorRef<T::Msg>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        let life = Arc::clone(&state.life);
        let args = state.args.take().expect("an actor starts once");
        let failed = |error: ActorProcessingErr| start_failure(&life, error);
        // The user's `pre_start` runs here, in the actor's own task: linked and killable while it starts.
        let visitor = Visitor::of_life(&state.system, &life);
        let before = visitor.clone();
        let made = state.home.run(async {
            come_to(before, &Point::BeforeStart).await?;
            self.0.pre_start(myself.clone(), args).await
        });
        let made = made.await;
        match made.and_then(|made| made.map_err(failed)) {
            Ok(made) => state.state = Some(Tasks::house(&state.life, made)),
            Err(reason) => return Err(state.crash(reason)),
        }
        let (home, inner) = state.home_and_inner();
        let begun = home.run(async {
            self.0.post_start(myself.clone(), inner).await?;
            come_to(visitor, &Point::AfterStart).await
        });
        let begun = begun.await;
        if let Err(reason) = begun.and_then(|begun| begun.map_err(failed)) {
            return Err(state.crash(reason));
        }
        state.life.mark_started();
        state.slot.core().open(&state.life);
        state.slot.core().activate(&state.life, &state.system);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<T::Msg>,
        message: T::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(visitor) = Visitor::of_life(&state.system, &state.life) {
            return Box::pin(self.handle_with_faults(myself, message, state, visitor)).await;
        }
        let (home, inner) = state.home_and_inner();
        let outcome = home.run(self.0.handle(myself, message, inner)).await;
        state.settle(outcome)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<T::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (home, inner) = state.home_and_inner();
        let outcome = home.run(self.0.handle_supervisor_evt(myself, event, inner)).await;
        state.settle(outcome)
    }

    async fn post_stop(&self, myself: ActorRef<T::Msg>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        let visitor = Visitor::of_life(&state.system, &state.life);
        let (home, inner) = state.home_and_inner();
        let outcome = home.run(async {
            come_to(visitor, &Point::InStop).await?;
            self.0.post_stop(myself, inner).await
        });
        let outcome = outcome.await;
        state.settle(outcome)?;
        state.state = None;
        state.life.mark_stopped();
        Ok(())
    }
}

impl<T: Actor> Plain<T> {
    async fn handle_with_faults(
        &self,
        myself: ActorRef<T::Msg>,
        message: T::Msg,
        state: &mut PlainState<T>,
        visitor: Visitor,
    ) -> Result<(), ActorProcessingErr> {
        let (home, inner) = state.home_and_inner();
        let outcome = home.run(async {
            visitor.come_to(&Point::BeforeMessage, None).await?;
            visitor.during(None, self.0.handle(myself, message, inner)).await?;
            visitor.come_to(&Point::AfterMessage, None).await
        });
        let outcome = outcome.await;
        state.settle(outcome)
    }
}

/// Comes to a point, where there is a plan.
async fn come_to(visitor: Option<Visitor>, point: &Point) -> Result<(), ActorProcessingErr> {
    match visitor {
        // What most actors do not have is on the heap.
        Some(visitor) => Box::pin(visitor.come_to(point, None)).await,
        None => Ok(()),
    }
}

/// The reason of an end of which the shell noted none: ractor's word for it.
///
/// A kill leaves no note and no stop hook run to its end; a stop whose reason happens to be `killed` leaves the latter.
pub(crate) fn reason_from_ractor(life: &Life, word: Option<&str>) -> ExitReason {
    use crate::exit::ShutdownCause::Because;
    if let Some(asked) = life.asked()
        && life.was_stopped()
    {
        return asked.clone();
    }
    match word {
        Some("killed" | "actor_task_cancelled") if !life.was_stopped() => ExitReason::Killed,
        None | Some("Drained") => ExitReason::Normal,
        Some(word) => ExitReason::Shutdown(Because(word.to_owned())),
    }
}
