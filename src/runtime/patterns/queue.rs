//! A queue group: each message goes to one of its members, and they take turns.

use std::sync::{Arc, Mutex};

use super::listener::{Listener, Otherwise};
use super::parcel::Parcel;
use super::published::Delivery;
use crate::message::subject_map::{SubscriptionId, turns};
use crate::runtime::current;
use crate::runtime::guard::lock;
use crate::runtime::slot::Presence;

/// Who may take something; in this order.
const READY: [Presence; 3] = [Presence::Live, Presence::Dozing, Presence::Awaited];

/// Whose turn it was last in a group, over all its patterns and subjects.
#[derive(Default)]
pub(super) struct Turn(Mutex<Option<SubscriptionId>>);

/// The members of a group that listen to one subject, by age.
pub(super) struct Queue {
    turn: Arc<Turn>,
    ids: Vec<SubscriptionId>,
    members: Vec<Arc<Listener>>,
}

impl Queue {
    pub(super) fn new(turn: Arc<Turn>) -> Self {
        Self { turn, ids: Vec::new(), members: Vec::new() }
    }

    pub(super) fn add(&mut self, id: SubscriptionId, member: Arc<Listener>) {
        self.ids.push(id);
        self.members.push(member);
    }

    /// Gives a payload to one member: to those that live, in turn, before those that are between two lives. Who is full
    /// is passed over.
    ///
    /// Also says who could not make a message of it: it is the dead letter of nobody yet.
    pub(super) fn give<T: Send + Sync + 'static>(
        &self,
        parcel: &Parcel<T>,
    ) -> (Delivery, Option<(SubscriptionId, &Listener)>) {
        if !self.members.iter().any(|member| member.takes::<T>()) {
            return (Delivery::Stranger, None);
        }
        // A life that was given up takes nobody's turn.
        if current::fenced().is_some() {
            return (Delivery::Untaken, None);
        }
        let (last, mine) = self.claim::<T>();
        for wanted in READY {
            for at in self.candidates::<T>(last, wanted) {
                match self.members[at].give(parcel, Otherwise::Next) {
                    Delivery::Taken => {
                        if mine != Some(at) {
                            *lock(&self.turn.0) = Some(self.ids[at]);
                        }
                        return (Delivery::Taken, None);
                    }
                    // The others would make the same message of it: nobody else is to panic on it.
                    Delivery::Failed => return (Delivery::Failed, Some(self.member(at))),
                    Delivery::Refused | Delivery::Stranger | Delivery::Untaken => {}
                }
            }
        }
        // A dead letter, at whose turn it was; or at anybody, where none of them runs.
        let at = mine.or_else(|| (0..self.members.len()).find(|at| self.members[*at].takes::<T>()));
        let Some(at) = at else { return (Delivery::Untaken, None) };
        match self.members[at].give(parcel, Otherwise::Dead) {
            Delivery::Taken => (Delivery::Taken, None),
            Delivery::Failed => (Delivery::Untaken, Some(self.member(at))),
            Delivery::Refused | Delivery::Stranger | Delivery::Untaken => (Delivery::Untaken, None),
        }
    }

    fn member(&self, at: usize) -> (SubscriptionId, &Listener) {
        (self.ids[at], &self.members[at])
    }

    fn candidates<T: 'static>(&self, last: Option<SubscriptionId>, wanted: Presence) -> impl Iterator<Item = usize> {
        turns(&self.ids, last)
            .filter(move |at| self.members[*at].takes::<T>() && self.members[*at].presence() == wanted)
    }

    /// Takes the turn, so that of two who publish at once each gets another member. Returns whose turn it was before.
    fn claim<T: 'static>(&self) -> (Option<SubscriptionId>, Option<usize>) {
        let mut last = lock(&self.turn.0);
        let before = *last;
        let mine = READY.into_iter().find_map(|wanted| self.candidates::<T>(before, wanted).next());
        if let Some(mine) = mine {
            *last = Some(self.ids[mine]);
        }
        (before, mine)
    }
}
