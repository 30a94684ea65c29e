//! Who gets what is published, and what becomes of it until it is acknowledged: the rules of a transport at most once,
//! without its time and its ways.
//!
//! A letter is addressed ([`route`](Exchange::route)), travels outside, and [arrives](Exchange::arrive). It waits in its
//! inbox, is [taken](Exchange::take), and is out until somebody says what became of it. Whatever has to go to somebody
//! else comes out as [`Again`], to travel once more.
//!
//! # Invariants
//!
//! * A letter that arrived is in one inbox or out, until it is acknowledged, or there is nobody left whose it could be.
//! * No first delivery makes an inbox longer than its bound; only what comes again does.
//! * Of a group one member has a letter at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::message::subject::Subject;
use crate::message::subject_map::{SubjectMap, SubscriptionId, turns};
use crate::seam::{Interest, Message, TransportError};

/// Names one time that a letter is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(u64);

/// A message between its publisher and one who has acknowledged it.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) message: Message,
    /// Where it was published.
    #[cfg_attr(not(any(test, feature = "testing")), expect(dead_code, reason = "only simulated ways ask for it"))]
    pub(crate) from: Arc<str>,
    /// Its number among all that were published.
    #[cfg_attr(not(any(test, feature = "testing")), expect(dead_code, reason = "only simulated ways ask for it"))]
    pub(crate) number: u64,
    /// How often it has been taken.
    deliveries: u32,
    /// Whether it was somebody's already: it finds room everywhere.
    again: bool,
}

impl Letter {
    pub(crate) fn new(message: Message, from: Arc<str>, number: u64) -> Self {
        Self { message, from, number, deliveries: 0, again: false }
    }
}

/// For which subscription a letter is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) id: SubscriptionId,
    group: Option<Arc<str>>,
}

/// A letter that travels once more, to another member of its group.
#[derive(Debug)]
pub(crate) struct Again {
    pub(crate) target: Target,
    pub(crate) letter: Letter,
}

/// What became of a letter that arrived.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// It waits in its inbox.
    Waits,
    /// The inbox is full: it missed it.
    Full,
    /// Whom it was for is gone, or full while another of the group has room: it goes there.
    Elsewhere(Again),
    /// Whom it was for is gone, and there is nobody else.
    Nobody,
}

/// A letter that is out.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) ticket: Ticket,
    pub(crate) message: Message,
    pub(crate) deliveries: u32,
    /// When it comes again, if nobody says anything.
    pub(crate) due: Option<Instant>,
}

/// What became of a letter that was given back.
#[derive(Debug)]
pub(crate) enum Back {
    /// It waits in the inbox that it came from.
    Here(SubscriptionId),
    /// It goes to another of the group.
    Elsewhere(Again),
    /// Nobody is left to have it, or it was not out any more.
    Nobody,
}

struct Listener<L> {
    interest: Interest,
    group: Option<Arc<str>>,
    ready: VecDeque<Letter>,
    /// How many are out.
    out: usize,
    missed: u64,
    data: L,
}

impl<L> Listener<L> {
    fn has_room(&self) -> bool {
        self.ready.len() + self.out < self.interest.bound
    }
}

#[derive(Default)]
struct Group {
    members: usize,
    /// Whose turn it was last.
    last: Option<SubscriptionId>,
}

/// A letter that was taken, and of which nobody said anything yet.
struct Out {
    target: Target,
    letter: Letter,
    due: Option<Instant>,
}

/// Subscriptions, each with what waits and what is out, and `L`, which is the runtime's.
pub(crate) struct Exchange<L> {
    map: SubjectMap<Option<Arc<str>>>,
    listeners: BTreeMap<SubscriptionId, Listener<L>>,
    groups: BTreeMap<Arc<str>, Group>,
    out: BTreeMap<Ticket, Out>,
    due: BTreeSet<(Instant, Ticket)>,
    next: u64,
}

impl<L> Exchange<L> {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            map: SubjectMap::new(bound),
            listeners: BTreeMap::new(),
            groups: BTreeMap::new(),
            out: BTreeMap::new(),
            due: BTreeSet::new(),
            next: 0,
        }
    }

    pub(crate) fn subscribe(&mut self, interest: Interest, data: L) -> Result<SubscriptionId, TransportError> {
        interest.check()?;
        let group: Option<Arc<str>> = interest.group.as_deref().map(Into::into);
        let listed = match &group {
            None => self.map.subscribe(&interest.pattern, None),
            Some(name) => self.map.join(&interest.pattern, name, Some(Arc::clone(name))),
        };
        let id = listed.map_err(|full| TransportError::Full { bound: full.bound })?;
        if let Some(name) = &group {
            self.groups.entry(Arc::clone(name)).or_default().members += 1;
        }
        let listener = Listener { interest, group, ready: VecDeque::new(), out: 0, missed: 0, data };
        self.listeners.insert(id, listener);
        Ok(id)
    }

    /// Whose a message about this is: every subscription by itself, and of each group the member whose turn it is and that
    /// has room; where none has room, the member whose turn it is, who will miss it.
    pub(crate) fn route(&mut self, subject: &Subject) -> Vec<Target> {
        let (mut targets, mut groups) = (Vec::new(), BTreeMap::<Arc<str>, Vec<SubscriptionId>>::new());
        for (id, group) in self.map.matching(subject) {
            match group {
                None => targets.push(Target { id, group: None }),
                Some(name) => groups.entry(Arc::clone(name)).or_default().push(id),
            }
        }
        for (name, members) in groups {
            targets.extend(self.member(&name, &members).map(|id| Target { id, group: Some(name) }));
        }
        targets
    }

    /// Takes a turn of a group.
    fn member(&mut self, group: &Arc<str>, members: &[SubscriptionId]) -> Option<SubscriptionId> {
        let turns = turns(members, self.groups.get(group).and_then(|group| group.last));
        let room = |at: &usize| self.listeners.get(&members[*at]).is_some_and(Listener::has_room);
        let at = turns.clone().find(room).or_else(|| turns.clone().next())?;
        if let Some(group) = self.groups.get_mut(group) {
            group.last = Some(members[at]);
        }
        Some(members[at])
    }

    pub(crate) fn arrive(&mut self, target: &Target, letter: Letter) -> Arrival {
        match self.listeners.get_mut(&target.id) {
            Some(listener) if letter.again || listener.has_room() => {
                listener.ready.push_back(letter);
                Arrival::Waits
            }
            // It had room when the letter was sent.
            Some(_) => {
                if let Some(target) = self.one_with_room(target.group.as_ref(), &letter) {
                    return Arrival::Elsewhere(Again { target, letter });
                }
                self.listeners.entry(target.id).and_modify(|listener| listener.missed += 1);
                Arrival::Full
            }
            None => match self.another(target.group.as_ref(), letter) {
                Some(again) => Arrival::Elsewhere(again),
                None => Arrival::Nobody,
            },
        }
    }

    fn members_for(&self, group: &Arc<str>, letter: &Letter) -> Vec<SubscriptionId> {
        let of_group = |(id, name): (SubscriptionId, &Option<Arc<str>>)| (name.as_ref() == Some(group)).then_some(id);
        self.map.matching(letter.message.subject()).into_iter().filter_map(of_group).collect()
    }

    fn one_with_room(&mut self, group: Option<&Arc<str>>, letter: &Letter) -> Option<Target> {
        let group = group?;
        let mut members = self.members_for(group, letter);
        members.retain(|id| self.listeners.get(id).is_some_and(Listener::has_room));
        let id = self.member(group, &members)?;
        Some(Target { id, group: Some(Arc::clone(group)) })
    }

    /// Whose a letter is now, of a group.
    fn another(&mut self, group: Option<&Arc<str>>, mut letter: Letter) -> Option<Again> {
        let group = group?;
        let members = self.members_for(group, &letter);
        let id = self.member(group, &members)?;
        letter.again = true;
        Some(Again { target: Target { id, group: Some(Arc::clone(group)) }, letter })
    }

    /// Takes the next letter out of an inbox.
    pub(crate) fn take(&mut self, id: SubscriptionId, now: Instant) -> Option<Taken> {
        let listener = self.listeners.get_mut(&id)?;
        let mut letter = listener.ready.pop_front()?;
        listener.out += 1;
        letter.deliveries = letter.deliveries.saturating_add(1);
        let ticket = Ticket(self.next);
        self.next += 1;
        // A time that is longer than time goes is never over.
        let due = now.checked_add(listener.interest.ack_within);
        self.due.extend(due.map(|due| (due, ticket)));
        let taken = Taken { ticket, message: letter.message.clone(), deliveries: letter.deliveries, due };
        let target = Target { id, group: listener.group.clone() };
        self.out.insert(ticket, Out { target, letter, due });
        Some(taken)
    }

    fn settle(&mut self, ticket: Ticket) -> Option<Out> {
        let out = self.out.remove(&ticket)?;
        if let Some(due) = out.due {
            self.due.remove(&(due, ticket));
        }
        if let Some(listener) = self.listeners.get_mut(&out.target.id) {
            listener.out -= 1;
        }
        Some(out)
    }

    /// A letter was handled.
    pub(crate) fn ack(&mut self, ticket: Ticket) -> Result<(), TransportError> {
        self.settle(ticket).map(drop).ok_or(TransportError::AckTooLate)
    }

    /// A letter was not handled: it comes again.
    pub(crate) fn nak(&mut self, ticket: Ticket) -> Back {
        let Some(Out { target, mut letter, .. }) = self.settle(ticket) else { return Back::Nobody };
        letter.again = true;
        let again = match self.another(target.group.as_ref(), letter.clone()) {
            Some(again) if again.target.id != target.id => return Back::Elsewhere(again),
            Some(again) => again.letter,
            None => letter,
        };
        // Last, so that one that fails each time does not stand in the way of the others.
        match self.listeners.get_mut(&target.id) {
            Some(listener) => {
                listener.ready.push_back(again);
                Back::Here(target.id)
            }
            None => Back::Nobody,
        }
    }

    /// Gives back every letter whose time is over.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Back> {
        let mut back = Vec::new();
        while let Some((due, ticket)) = self.due.first().copied()
            && due <= now
        {
            back.push(self.nak(ticket));
        }
        back
    }

    /// When the next letter's time is over.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Ends a subscription. What waits for it goes to others; what is out still has its time.
    pub(crate) fn leave(&mut self, id: SubscriptionId) -> Vec<Again> {
        let Some(Listener { ready, group, .. }) = self.remove(id) else { return Vec::new() };
        ready.into_iter().filter_map(|letter| self.another(group.as_ref(), letter)).collect()
    }

    fn remove(&mut self, id: SubscriptionId) -> Option<Listener<L>> {
        self.map.unsubscribe(id);
        let listener = self.listeners.remove(&id)?;
        if let Some(name) = &listener.group
            && let Some(group) = self.groups.get_mut(name)
        {
            group.members -= 1;
            if group.members == 0 {
                self.groups.remove(name);
            }
        }
        Some(listener)
    }

    /// Ends subscriptions whose owner is no more: what is out goes to others as well, before what waits.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn vanish(&mut self, ids: &[SubscriptionId]) -> Vec<Again> {
        // All leave first: nothing goes from one of them to another.
        let gone: Vec<_> = ids.iter().filter_map(|id| Some((*id, self.remove(*id)?))).collect();
        let mut again = Vec::new();
        for (id, listener) in gone {
            let out = self.out.iter().filter(|(_, out)| out.target.id == id);
            let tickets: Vec<_> = out.map(|(ticket, _)| *ticket).collect();
            let out: Vec<_> =
                tickets.into_iter().filter_map(|ticket| self.settle(ticket)).map(|out| out.letter).collect();
            let letters = out.into_iter().chain(listener.ready);
            again.extend(letters.filter_map(|letter| self.another(listener.group.as_ref(), letter)));
        }
        again
    }

    pub(crate) fn data(&self, id: SubscriptionId) -> Option<&L> {
        self.listeners.get(&id).map(|listener| &listener.data)
    }

    /// All subscriptions, by age.
    pub(crate) fn all(&self) -> impl Iterator<Item = (SubscriptionId, &L)> {
        self.listeners.iter().map(|(id, listener)| (*id, &listener.data))
    }

    pub(crate) fn missed(&self, id: SubscriptionId) -> Option<u64> {
        self.listeners.get(&id).map(|listener| listener.missed)
    }
}

#[cfg(test)]
mod tests;
