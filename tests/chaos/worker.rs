//! The agents of the run: they do what a job says, and note when a handler begins and when it ends.

use std::panic::resume_unwind;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::flow::{AtBound, Order};
use steadfast::seam::Rng;
use steadfast::{Agent, AgentSpec, Backoff, BoxError, Capability, ChildSpec, Context, ExitReason, Restart, StateName};
use tokio::time::sleep;

use crate::ledger::Ledger;

pub(crate) const WORK: Capability<Job, u64> = Capability::new("test.work", "1.0.0");

pub(crate) const MS: Duration = Duration::from_millis(1);

/// A message. What a router copies has the number of what it was copied from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) number: usize,
    pub(crate) act: Act,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Act {
    Reply,
    Wait(Duration),
    Panic,
    Fail,
    Stop,
    /// Leave a task behind that takes so long.
    Spawn(Duration),
    /// Tell another agent something.
    Tell(String),
}

impl Act {
    pub(crate) fn draw(random: &mut Draw, paths: &[String]) -> Self {
        match random.below(100) {
            0..=1 => Self::Panic,
            2..=3 => Self::Fail,
            4 => Self::Stop,
            5..=20 => Self::Wait(random.time(40)),
            21 => Self::Wait(random.time(2_000)),
            22..=24 => Self::Spawn(random.time(200)),
            25..=28 => Self::Tell(random.of(paths).clone()),
            _ => Self::Reply,
        }
    }
}

/// Random numbers of a seed.
#[derive(Clone)]
pub(crate) struct Draw(Rng);

impl Draw {
    pub(crate) fn new(seed: u64, label: &str) -> Self {
        Self(Rng::new(steadfast::seam::seed_of(seed, label)))
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.0.next_u64() % end).unwrap_or_default()
    }

    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// At least a millisecond, at most so many.
    pub(crate) fn time(&mut self, most: u32) -> Duration {
        MS * u32::try_from(1 + self.below(usize::try_from(most).unwrap_or(1))).unwrap_or(1)
    }
}

#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) ledger: Ledger,
    pub(crate) seed: u64,
    /// Nothing can change between the choice of a message and the begin of its handler.
    pub(crate) time_stands: bool,
}

pub(crate) struct Worker {
    ledger: Ledger,
    time_stands: bool,
}

impl Agent for Worker {
    type Args = Args;
    type Message = Job;
    type Reply = u64;

    async fn start(Args { ledger, seed, time_stands }: Args, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let life = ctx.incarnation().get();
        let mut random = Draw::new(seed, &format!("start {} {life}", ctx.path()));
        if random.one_in(4) {
            sleep(random.time(50)).await;
        }
        // The first start of all must succeed, or there is no tree.
        if life > 1 && random.one_in(12) {
            return Err("it does not start this time".into());
        }
        Ok(Self { ledger, time_stands })
    }

    async fn handle(&mut self, Job { number, act }: Job, ctx: &mut Context<Self>) -> Result<u64, BoxError> {
        let system = ctx.system();
        let is_active = system.state(ctx.path()).is_ok_and(|state| state.name() == StateName::Active);
        let is_in_time = ctx.deadline().is_none_or(|by| system.clock().now() < by);
        self.ledger.begun(number, !self.time_stands || is_active && is_in_time);
        match act {
            Act::Reply => {}
            Act::Wait(time) => sleep(time).await,
            // Without the hook, which would write thousands of these out.
            Act::Panic => resume_unwind(Box::new("on purpose")),
            Act::Fail => return Err("on purpose".into()),
            Act::Stop => ctx.stop(ExitReason::Normal),
            Act::Spawn(time) => {
                ctx.spawn(async move { sleep(time).await });
            }
            Act::Tell(path) => {
                if let Ok(other) = ctx.system().agent::<Self>(path) {
                    let number = self.ledger.delivery("tell of an agent", false);
                    self.ledger.told_or_given_back(number, other.tell(Job { number, act: Act::Reply }));
                }
            }
        }
        self.ledger.finished(number);
        Ok(number as u64)
    }

    async fn stop(&mut self, _: &ExitReason, ctx: &mut Context<Self>) {
        // So that an orderly end takes its time now and then.
        if ctx.incarnation().get().is_multiple_of(3) {
            sleep(5 * MS).await;
        }
    }
}

/// The agent of a place: each place has its own mailbox, rules and deadlines.
pub(crate) fn spec(name: &str, place: usize, args: Args) -> AgentSpec<Worker> {
    let spec = ChildSpec::agent::<Worker>(name, args).offers(&WORK);
    let spec = match place % 8 {
        0 => spec.mailbox(4),
        1 => spec.mailbox(3).at_bound(AtBound::ShedOldest),
        2 => spec.mailbox(5).order(Order::Priority).at_bound(AtBound::ShedLowest),
        3 => spec.order(Order::Priority),
        4 => spec.mailbox(6).order(Order::Priority).at_bound(AtBound::ShedOldest),
        _ => spec,
    };
    let spec = match place % 11 {
        0 => spec.restart(Restart::Transient),
        1 => spec.restart(Restart::Temporary),
        2 => spec.backoff(Backoff::exponential(10 * MS)),
        _ => spec,
    };
    let spec = if place.is_multiple_of(6) { spec.lazy(30 * MS) } else { spec };
    if place.is_multiple_of(5) { spec.handler_deadline(200 * MS) } else { spec }
}
