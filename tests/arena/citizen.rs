//! The agents of the arenas: they do as they are told, and note what they handle.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::{Agent, AgentSpec, BoxError, Capability, ChildSpec, Context, ExitReason, Ignore, Shutdown};
use tokio::time::{sleep, timeout};

use super::post::{Mark, Post};
use crate::worker::{Draw, MS};

pub(crate) const TRADE: Capability<Note, u64> = Capability::new("market.trade", "1.0.0");
pub(crate) const EXTRA: Capability<Note, u64> = Capability::new("market.extra", "1.0.0");
pub(crate) const SOLO: Capability<Note, u64> = Capability::new("market.solo", "1.0.0");

/// How long what was begun by a life that is over may try to go on.
const HAUNTING: Duration = Duration::from_secs(2);

/// A message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) mark: Mark,
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
    /// Send itself something later.
    Timer(Duration),
    /// Tell another agent something.
    Tell(String),
    /// Let somebody else go on with a closure of this life after a time, which then tells another agent something.
    Haunt {
        after: Duration,
        is_begun: bool,
        to: String,
    },
}

/// Which acts there are how often, of a hundred; the others reply.
#[derive(Clone, Copy)]
pub(crate) struct Mix {
    pub(crate) ends: usize,
    pub(crate) waits: usize,
    pub(crate) longest: u32,
    pub(crate) timers: usize,
    pub(crate) haunts: usize,
}

impl Act {
    pub(crate) fn draw(random: &mut Draw, mix: Mix, paths: &[String]) -> Self {
        let Mix { ends, waits, longest, timers, haunts } = mix;
        let number = random.below(100);
        let up_to = |parts: &[usize]| parts.iter().sum::<usize>();
        match number {
            n if n < ends => [Self::Panic, Self::Fail, Self::Stop][random.below(3)].clone(),
            n if n < up_to(&[ends, waits / 4]) => Self::Spawn(random.time(longest)),
            n if n < up_to(&[ends, waits]) => Self::Wait(random.time(longest)),
            n if n < up_to(&[ends, waits, timers]) => Self::Timer(random.time(3_000)),
            n if n < up_to(&[ends, waits, timers, haunts]) => {
                let (after, is_begun) = (random.time(2_000), random.one_in(2));
                Self::Haunt { after, is_begun, to: random.of(paths).clone() }
            }
            n if n < up_to(&[ends, waits, timers, haunts, 4]) => Self::Tell(random.of(paths).clone()),
            _ => Self::Reply,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) post: Post,
    pub(crate) seed: u64,
    /// One of so many starts but the first fails; none where it is 0, and all where it is 1.
    pub(crate) fails_in: usize,
    pub(crate) stop_takes: Duration,
}

pub(crate) struct Citizen {
    post: Post,
    stop_takes: Duration,
}

impl Agent for Citizen {
    type Args = Args;
    type Message = Note;
    type Reply = u64;

    async fn start(args: Args, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let Args { post, seed, fails_in, stop_takes } = args;
        let life = ctx.incarnation().get();
        let mut random = Draw::new(seed, &format!("start {} {life}", ctx.path()));
        if random.one_in(4) {
            sleep(random.time(50)).await;
        }
        if (life > 1 || fails_in == 1) && fails_in > 0 && random.one_in(fails_in) {
            return Err(if random.one_in(8) { Ignore.into() } else { "it does not start this time".into() });
        }
        Ok(Self { post, stop_takes })
    }

    async fn handle(&mut self, Note { mark, act }: Note, ctx: &mut Context<Self>) -> Result<u64, BoxError> {
        let post = self.post.clone();
        post.begun(mark, ctx.path(), ctx.incarnation());
        if post.is_sick(ctx.path()) {
            return Err("it is sick".into());
        }
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
            Act::Timer(wait) => {
                let mark = post.timer(ctx.incarnation(), wait);
                ctx.after(wait, Note { mark, act: Act::Reply });
            }
            Act::Tell(to) => tell_on(&post, ctx.system(), &to),
            Act::Haunt { after, is_begun, to } => haunt(&post, ctx, (after, is_begun), to),
        }
        post.finished(mark);
        Ok(match mark {
            Mark::Letter(letter) | Mark::Turn { letter, .. } => letter as u64,
            _ => 0,
        })
    }

    async fn stop(&mut self, _: &ExitReason, _: &mut Context<Self>) {
        if !self.stop_takes.is_zero() {
            sleep(self.stop_takes).await;
        }
    }
}

pub(super) fn tell_on(post: &Post, system: &steadfast::System, to: &str) {
    if let Ok(other) = system.agent::<Citizen>(to) {
        let letter = post.ledger.delivery("tell of an agent", false);
        let note = Note { mark: Mark::Letter(letter), act: Act::Reply };
        post.ledger.told_or_given_back(letter, other.tell(note));
    }
}

/// Gives a closure of this life away: it goes on when its life may be over.
fn haunt(post: &Post, ctx: &Context<Citizen>, (after, is_begun): (Duration, bool), to: String) {
    let (teller, system) = (post.clone(), ctx.system().clone());
    let closure = ctx.blocking(move |_| tell_on(&teller, &system, &to));
    post.world.spawn(async move {
        let mut closure: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(closure);
        let is_over = is_begun && polled_once(closure.as_mut()).await;
        if !is_over {
            sleep(after).await;
            // What is fenced never returns.
            let _ = timeout(HAUNTING, closure).await;
        }
    });
}

/// Lets it begin. Returns whether it is over.
async fn polled_once(mut future: Pin<&mut (dyn Future<Output = ()> + Send)>) -> bool {
    std::future::poll_fn(move |cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

pub(crate) fn citizen(name: &str, args: Args) -> AgentSpec<Citizen> {
    ChildSpec::agent::<Citizen>(name, args).shutdown(Shutdown::Within(200 * MS))
}
