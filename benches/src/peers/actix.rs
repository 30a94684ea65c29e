//! actix, for messages only: it has no supervision trees. Its actors live on one thread.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message};

use crate::harness::Flavor;
use crate::messages::{self, DEADLINE};
use crate::probe::Countdown;

struct Sink {
    countdown: Countdown,
    room: usize,
}

struct Tell;

impl Message for Tell {
    type Result = ();
}

impl Actor for Sink {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.room);
    }
}

impl Handler<Tell> for Sink {
    type Result = ();

    fn handle(&mut self, _: Tell, _: &mut Self::Context) {
        self.countdown.count();
    }
}

struct Echo;

struct Ask(u64);

impl Message for Ask {
    type Result = u64;
}

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Ask> for Echo {
    type Result = u64;

    fn handle(&mut self, Ask(question): Ask, _: &mut Self::Context) -> u64 {
        question
    }
}

pub(crate) fn tell(_: Flavor, n: usize) -> Vec<f64> {
    actix_rt::System::new().block_on(async move {
        let done = Arc::default();
        let countdown = Countdown::new(n + 1, Arc::clone(&done));
        let sink = Sink { countdown, room: n + 1 }.start();
        // Its mailbox has its size only once it has started.
        sink.send(Tell).await.expect("it is alive");
        messages::tell(n, done, |_| sink.try_send(Tell).expect("there is room")).await
    })
}

pub(crate) fn ask(_: Flavor, n: usize) -> Vec<f64> {
    actix_rt::System::new().block_on(async move {
        let echo = Echo.start();
        messages::ask(n, |question| {
            let answer = echo.send(Ask(question)).timeout(DEADLINE);
            async move { answer.await.expect("it answers") }
        })
        .await
    })
}

pub(crate) fn tell_by_several(_: Flavor, n: usize) -> Vec<f64> {
    actix_rt::System::new().block_on(async move {
        let done = Arc::default();
        let countdown = Countdown::new(n + 1, Arc::clone(&done));
        let sink = Sink { countdown, room: n + 1 }.start();
        sink.send(Tell).await.expect("it is alive");
        messages::tell_by_several(n, done, move |_| sink.try_send(Tell).expect("there is room")).await
    })
}

pub(crate) fn ask_by_several(_: Flavor, n: usize) -> Vec<f64> {
    actix_rt::System::new().block_on(async move {
        let echo = Echo.start();
        messages::ask_by_several(n, move |question| {
            let answer = echo.send(Ask(question)).timeout(DEADLINE);
            async move { answer.await.expect("it answers") }
        })
        .await
    })
}
