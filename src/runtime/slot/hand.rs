//! What the shell of a life has taken out of the mailbox and not finished. It is still the slot's.
//!
//! A life that is given up while it blocks its thread cannot give anything back, so nothing of this is in its hands
//! only: neither the messages behind the one it handles, nor the answer that it owes.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::inbox::{Items, Numbered};
use super::stamp::moment;
use super::{Desk, Door, Letter, Mark, Refusal, ReplyTo, Slot, Stamp, Ticket, wake};
use crate::error::RequestError;
use crate::event::{DropReason, EventKind};
use crate::exit::ExitReason;
use crate::flow::{End, Nanos};
use crate::id::Incarnation;
use crate::runtime::guard::{drop_caught, lock};
use crate::runtime::life::Life;
use crate::runtime::tap::MailStep;

/// For how many messages an empty hand keeps room.
const ROOM: usize = 256;

pub(super) struct Hand<M, R> {
    /// The life whose messages these are; nobody else may take or answer.
    holder: Arc<Life>,
    items: Items<M, R>,
    /// Who asked for what is being handled.
    asker: Option<ReplyTo<R>>,
}

/// A message, out of the hand.
pub(crate) struct Taken<M, R> {
    pub(crate) message: M,
    pub(crate) about: About<R>,
    pub(crate) is_asked: bool,
}

/// What is known of a message that is being handled.
pub(crate) struct About<R> {
    pub(crate) sequence: u64,
    /// What lanes keep of it, where it has no ticket.
    pub(crate) mark: Mark,
    /// Without who is owed something.
    pub(crate) ticket: Option<Box<Ticket<R>>>,
}

impl<R> About<R> {
    /// What its sender said in a few words.
    pub(crate) fn stamp(&self, epoch: Instant) -> Stamp {
        self.ticket.as_ref().map_or_else(|| self.mark.stamp(epoch), |ticket| ticket.said.stamp())
    }
}

/// Messages that the shell took and has not handled yet. Dropped, however that comes, they go back to the front.
pub(crate) struct Batch<'a, M: Send + 'static, R: Send + 'static> {
    slot: &'a Slot<M, R>,
    life: &'a Life,
    /// How many messages of it are still in the hand, as far as this life knows.
    left: usize,
    /// Whether the one that came out last is unfinished.
    open: bool,
}

impl<M, R> Hand<M, R> {
    /// The hand of this life, if it is its.
    fn of(place: &mut Option<Box<Self>>, incarnation: Incarnation) -> Option<&mut Self> {
        place.as_deref_mut().filter(|hand| hand.holder.incarnation == incarnation)
    }

    /// An empty hand keeps its room for the next batch, but not the room of a flood.
    fn trim(&mut self) {
        self.items.trim(ROOM);
    }

    pub(super) fn hold_for(place: &mut Option<Box<Self>>, life: &Arc<Life>) {
        let holder = Arc::clone(life);
        match place {
            Some(hand) => hand.holder = holder,
            none => *none = Some(Box::new(Self { holder, items: Items::default(), asker: None })),
        }
    }
}

impl<M: Send + 'static, R: Send + 'static> Slot<M, R> {
    /// The shell of a life takes up to `most` messages. Fewer than all leaves a wake-up behind. A life that does not
    /// hold the slot gets none.
    pub(crate) fn take<'a>(&'a self, life: &'a Life, most: usize) -> Batch<'a, M, R> {
        let mut batch = Batch { slot: self, life, left: 0, open: false };
        let mut place = lock(&self.hand);
        let Some(hand) = Hand::of(&mut place, life.incarnation) else { return batch };
        // Always in this order: the hand, then the desk.
        let mut desk = lock(&self.desk);
        desk.woken = false;
        if desk.door != Door::Open {
            // What is told meanwhile still wakes the shell.
            wake(desk);
            return batch;
        }
        let was_full = !desk.inbox.has_room();
        let mut late = Vec::new();
        desk.inbox.take(most, &mut hand.items, || self.office().clock.now(), &mut late);
        self.core.gauge().set_waiting(desk.inbox.len());
        if bug_on_purpose!(self.office(), RestNotWoken) {
            // On purpose: it has a batch, so it is awake.
            drop(desk);
        } else {
            wake(desk);
        }
        batch.left = hand.items.len();
        self.core.gauge().set_in_hand(batch.left);
        drop(place);
        if was_full {
            self.core.tell_of_room();
        }
        for lost in late {
            self.lose(lost);
        }
        batch
    }

    /// Takes back what a life has in hand and did not begin, which may take it long to come to.
    pub(super) fn recall(&self, place: &mut Option<Box<Hand<M, R>>>, desk: &mut Desk<M, R>, of: Incarnation) {
        let Some(hand) = Hand::of(place, of).filter(|hand| !hand.items.is_empty()) else { return };
        let items = mem::take(&mut hand.items);
        self.core.gauge().set_in_hand(usize::from(hand.holder.is_handling()));
        if bug_on_purpose!(self.office(), DrainLosesHand) {
            // On purpose: it gets nothing any more, also of this.
            return drop_caught(items);
        }
        desk.roving |= items.any(Letter::roves);
        desk.inbox.give_back(items);
        self.core.gauge().set_waiting(desk.inbox.len());
    }

    /// Whether nobody wants a letter any more, that was one of these. The clock is read only where it says when it ends.
    fn is_over(&self, letter: &Letter<M, R>, mark: Mark, items: &Items<M, R>) -> bool {
        let now = || self.office().clock.now();
        if mark.end != End::NEVER {
            let now = now();
            return !items.is_calm(now) && mark.end.is_over(Nanos::of(moment(now, self.office().epoch)));
        }
        letter.has_end() && letter.is_over(now())
    }

    /// By when a handler of it must have begun, for a simulated world.
    fn due(&self, letter: &Letter<M, R>, mark: Mark) -> Option<Instant> {
        self.core.bus().tap()?;
        let of_mark = mark.stamp(self.office().epoch).deadline;
        [of_mark, letter.deadline(), letter.expires()].into_iter().flatten().min()
    }

    /// Ends a life's hold on the slot; see [`put_back`](Self::put_back). It gets no message any more.
    pub(super) fn release(&self, of: Incarnation) {
        self.put_back(of, true);
    }

    /// Takes from a life what it has in hand: what it did not begin goes back to the front of the mailbox; what it was
    /// handling is dropped, and its asker is told. `ends`: its hold on the slot ends too.
    fn put_back(&self, of: Incarnation, ends: bool) {
        let (items, begun, asker, reason, empty) = {
            let mut place = lock(&self.hand);
            let Some(hand) = Hand::of(&mut place, of) else { return };
            self.core.gauge().set_in_hand(0);
            let begun = hand.holder.break_off();
            let asker = hand.asker.take();
            let reason = asker.as_ref().and_then(|_| hand.holder.reason().cloned());
            (mem::take(&mut hand.items), begun, asker, reason, place.take_if(|_| ends))
        };
        // It may be the last who holds the life, which holds values of a user.
        drop_caught(empty);
        if begun {
            self.note(MailStep::BrokenOff(of));
            self.core.bus().publish(&self.core.path, EventKind::Dropped { why: DropReason::HandlerEnded });
        }
        if let Some(asker) = asker {
            let reason = reason.unwrap_or(ExitReason::Killed);
            let error = RequestError::Exited { path: self.core.path.clone(), incarnation: of, reason };
            asker.send(Err(Refusal::of(error)));
        }
        // On purpose: it goes with the life that took it.
        if items.is_empty() || bug_on_purpose!(self.office(), HandIsLost) {
            return;
        }
        let mut desk = lock(&self.desk);
        if desk.door == Door::Refusing {
            drop(desk);
            return self.refuse_all(items.into_letters());
        }
        desk.roving |= items.any(Letter::roves);
        let later = bug_on_purpose!(self.office(), HandGoesBehind).then(|| desk.inbox.empty());
        desk.inbox.give_back(items);
        if let Some(letters) = later {
            // On purpose: what came since stands before it.
            desk.inbox.give_back(Items::Plain { letters, first: 0 });
        }
        self.core.gauge().set_waiting(desk.inbox.len());
        wake(desk);
    }
}

impl<M: Send + 'static, R: Send + 'static> Batch<'_, M, R> {
    /// The next message, which is in hand until it is finished. `None` at the end, and for a life that was given up.
    pub(crate) fn next(&mut self) -> Option<Taken<M, R>> {
        while self.left > 0 {
            let slot = self.slot;
            let mut place = lock(&slot.hand);
            let hand = Hand::of(&mut place, self.life.incarnation)?;
            slot.core.gauge().set_in_hand(hand.items.len());
            let Numbered { letter, mark, sequence } = hand.items.pop()?;
            self.left = hand.items.len();
            if self.left == 0 {
                hand.trim();
            }
            // Nobody waits for the answer, or for what comes of it, any more. The clock is read for questions too: where a
            // question's time is over at this very moment, its asker's timer may come a little later.
            let is_abandoned = letter.reply().is_some_and(ReplyTo::is_abandoned);
            // On purpose: what is in hand is handled.
            if (is_abandoned || slot.is_over(&letter, mark, &hand.items))
                && !bug_on_purpose!(slot.office(), ExpiredIsHandled)
            {
                slot.core.gauge().set_in_hand(self.left);
                drop(place);
                // With its stamp, for whoever finds it among the dead letters.
                slot.expire(letter.stamped(mark.stamp(slot.office().epoch)));
                continue;
            }
            let due = slot.due(&letter, mark);
            self.life.begin_handling();
            self.open = true;
            let Letter { message, mut ticket } = letter;
            let (asker, router) = match ticket.as_mut().and_then(|ticket| ticket.reply.take()) {
                Some(router @ ReplyTo::Router(_)) => (None, Some(router)),
                asker => (asker, None),
            };
            let is_asked = asker.is_some();
            hand.asker = asker;
            drop(place);
            // Whoever routed it has nothing to get back once it is being handled. It may hold values of a user.
            if let Some(router) = router {
                drop_caught(router);
            }
            slot.core.bus().mail(&slot.core.path, MailStep::Begun(self.life.incarnation), due);
            return Some(Taken { message, about: About { sequence, mark, ticket }, is_asked });
        }
        None
    }

    /// What was told has been handled. A life that was given up meanwhile finishes nothing: the next one may be handling
    /// a message by now.
    pub(crate) fn finish(&mut self) {
        self.open = false;
        if self.life.finish_handling() {
            self.slot.note(MailStep::Handled(self.life.incarnation));
            self.slot.core.gauge().set_in_hand(self.left);
        }
    }

    /// What was asked has been handled. The answer of a life that was given up meanwhile is dropped: its asker was
    /// told.
    pub(crate) fn answer(&mut self, answer: R) {
        let slot = self.slot;
        let asker = {
            let mut place = lock(&slot.hand);
            let Some(hand) = Hand::of(&mut place, self.life.incarnation) else { return };
            self.finish();
            hand.asker.take()
        };
        if let Some(asker) = asker
            && !asker.send(Ok(answer))
        {
            slot.office().reply_was_late(slot.core.bus(), &slot.core.path);
        }
    }
}

impl<M: Send + 'static, R: Send + 'static> Drop for Batch<'_, M, R> {
    fn drop(&mut self) {
        // At the usual end of a batch neither is so, and the lock is not needed.
        if self.left > 0 || self.open {
            self.slot.put_back(self.life.incarnation, false);
        }
    }
}
