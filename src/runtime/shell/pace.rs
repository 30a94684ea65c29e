//! Holds a shell back before it takes its next message, so that a seed shows orders that a line of tasks never would.
//!
//! # Invariants
//!
//! * What is held back is the turn of a receiver, and never a message: what one sender sends to it stays in its order.
//! * Nothing is in its hand meanwhile, so that a kill or a stop finds it as one that waits.

use std::future::poll_fn;
use std::mem;
use std::task::Poll;

use super::{BATCH, Body};
use crate::runtime::agent::Agent;
use crate::runtime::life::Life;
use crate::runtime::system::System;
use crate::seam::{Rng, seed_of};

/// How many turns of the others a shell lets pass, each time anew.
pub(super) struct Pace {
    rng: Rng,
    most: u32,
}

impl Pace {
    /// `None` where nobody is held back.
    pub(super) fn of(system: &System, life: &Life) -> Option<Box<Self>> {
        let (seed, most) = system.interleaving()?;
        let label = format!("turns of {} #{}", life.path, life.incarnation);
        Some(Box::new(Self { rng: Rng::new(seed_of(seed, &label)), most }))
    }

    fn draw(&mut self) -> u64 {
        ((self.rng.next_u64() >> 32) * (u64::from(self.most) + 1)) >> 32
    }
}

impl<A: Agent> Body<A> {
    /// Lets some others go first. Returns how many messages may be taken then: the next one has a turn of its own.
    pub(super) async fn hold_back(&mut self) -> usize {
        let Some(pace) = &mut self.pace else { return BATCH };
        for _ in 0..pace.draw() {
            behind_the_others().await;
        }
        1
    }
}

/// Goes to the end of the line of tasks. tokio's own way to yield waits until the whole line is empty: each turn would be a
/// round of everybody.
async fn behind_the_others() {
    let mut was_there = false;
    poll_fn(|cx| {
        if mem::replace(&mut was_there, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
