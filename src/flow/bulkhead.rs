//! How many may be inside at once, and who waits outside in which order.
//!
//! A bulkhead has permits and a line of bounded length. Whoever finds a permit enters; others stand in line, and each permit
//! that comes free goes to whoever has stood there longest. (Nygard, *Release It!*, 2007.)
//!
//! | call | a permit is free | none is, and there is room in line | neither |
//! |---|---|---|---|
//! | `acquire` | `Entered` with a ticket | `Waits` with a place | [`LineFull`] |
//! | `release` of a ticket | nobody waits: the permit is free | - | the first in line has the permit, and the ticket for it is returned |
//! | `cancel` of a place | - | the others move up | - |
//!
//! # Invariants
//!
//! * Tickets and free permits are together as many as the permits; while there are fewer permits than tickets, none is
//!   free. None is lost or doubled, whatever the order of releases, cancels and changes of their number.
//! * Nobody who comes later enters earlier. Where somebody waits, no permit is free.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Moment;

/// The right to be inside. Whoever holds it owes the bulkhead a [`release`](Bulkhead::release).
///
/// It cannot be copied, so that a permit is given back at most once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a ticket that is not released is a permit lost"]
pub struct Ticket(());

/// A place in line. Places are not given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(u64);

/// What became of who asked to enter.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Entry {
    /// It is inside.
    Entered(Ticket),
    /// It stands in line.
    Waits {
        /// Where.
        place: Place,
        /// How many stand before it.
        ahead: usize,
    },
}

/// A permit that goes to who stood in line longest.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "somebody waits for this"]
pub struct Handed {
    /// Where it stood.
    pub place: Place,
    /// The permit.
    pub ticket: Ticket,
    /// How long it waited.
    pub waited: Duration,
}

/// The permits are out and the line is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("all {permits} permits are in use and {waiting} wait, as many as may; try again later, or raise the limits")]
pub struct LineFull {
    /// How many permits there are.
    pub permits: usize,
    /// How many wait.
    pub waiting: usize,
}

/// How a bulkhead stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Occupancy {
    /// How many permits there are.
    pub permits: usize,
    /// How many are inside. More than there are permits, while their number was lowered and not all have left yet.
    pub inside: usize,
    /// How many stand in line.
    pub waiting: usize,
}

impl fmt::Display for Occupancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} in use, {} waiting", self.inside, self.permits, self.waiting)
    }
}

/// Permits, and the line of those who wait for one.
///
/// ```
/// use std::time::Duration;
/// use steadfast::flow::{Bulkhead, Entry};
///
/// let second = Duration::from_secs(1);
/// let mut bulkhead = Bulkhead::new(1, 1);
/// let Ok(Entry::Entered(ticket)) = bulkhead.acquire(second) else { panic!("a permit is free") };
/// let Ok(Entry::Waits { place, ahead: 0 }) = bulkhead.acquire(second) else { panic!("there is room in line") };
/// assert_eq!(
///     bulkhead.acquire(second).unwrap_err().to_string(),
///     "all 1 permits are in use and 1 wait, as many as may; try again later, or raise the limits"
/// );
/// let handed = bulkhead.release(second * 3, ticket).expect("somebody waits");
/// assert_eq!((handed.place, handed.waited), (place, second * 2));
/// # let _ = handed.ticket;
/// ```
#[derive(Debug)]
pub struct Bulkhead {
    permits: usize,
    inside: usize,
    /// Who waits, and since when. By place, which is the order of arrival.
    line: BTreeMap<Place, Moment>,
    line_bound: usize,
    next: u64,
}

impl Bulkhead {
    /// So many permits, and a line for so many.
    #[must_use]
    pub const fn new(permits: usize, line_bound: usize) -> Self {
        Self { permits, inside: 0, line: BTreeMap::new(), line_bound, next: 0 }
    }

    /// Enters, or stands in line.
    ///
    /// # Errors
    ///
    /// [`LineFull`] when there is neither a permit nor room in line.
    pub fn acquire(&mut self, now: Moment) -> Result<Entry, LineFull> {
        if self.inside < self.permits {
            self.inside += 1;
            return Ok(Entry::Entered(Ticket(())));
        }
        let ahead = self.line.len();
        if ahead >= self.line_bound {
            return Err(LineFull { permits: self.permits, waiting: ahead });
        }
        let place = Place(self.next);
        self.next += 1;
        self.line.insert(place, now);
        Ok(Entry::Waits { place, ahead })
    }

    /// Gives a permit back. It goes to who stood in line longest, if anybody waits.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up, so that it is released once")]
    pub fn release(&mut self, now: Moment, ticket: Ticket) -> Option<Handed> {
        let Ticket(()) = ticket;
        self.inside = self.inside.saturating_sub(1);
        self.hand_over(now)
    }

    /// Leaves the line. Returns how long it waited, or `None` when it does not stand there: it was handed a permit, and
    /// owes its release, or it left before.
    pub fn cancel(&mut self, now: Moment, place: Place) -> Option<Duration> {
        self.line.remove(&place).map(|since| now.saturating_sub(since))
    }

    /// Changes how many permits there are. Returns the permits that go to those in line, first come first.
    ///
    /// Who is inside stays, also when they are more than there are permits now; then those who leave hand nothing over
    /// until they are fewer.
    pub fn set_permits(&mut self, now: Moment, permits: usize) -> Vec<Handed> {
        self.permits = permits;
        std::iter::from_fn(|| self.hand_over(now)).collect()
    }

    /// Changes how many may stand in line. Who stands there stays.
    pub const fn set_line(&mut self, bound: usize) {
        self.line_bound = bound;
    }

    fn hand_over(&mut self, now: Moment) -> Option<Handed> {
        if self.inside >= self.permits {
            return None;
        }
        let (place, since) = self.line.pop_first()?;
        self.inside += 1;
        Some(Handed { place, ticket: Ticket(()), waited: now.saturating_sub(since) })
    }

    /// How it stands.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        Occupancy { permits: self.permits, inside: self.inside, waiting: self.line.len() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn enter(bulkhead: &mut Bulkhead) -> Ticket {
        match bulkhead.acquire(SECOND) {
            Ok(Entry::Entered(ticket)) => ticket,
            other => panic!("no permit is free: {other:?}"),
        }
    }

    fn wait(bulkhead: &mut Bulkhead, now: Moment) -> Place {
        match bulkhead.acquire(now) {
            Ok(Entry::Waits { place, .. }) => place,
            other => panic!("there is no need or no room to wait: {other:?}"),
        }
    }

    #[test]
    fn a_permit_goes_to_who_waited_longest() {
        let mut bulkhead = Bulkhead::new(1, 9);
        let mut ticket = enter(&mut bulkhead);
        let places = [1, 2, 3].map(|at| wait(&mut bulkhead, SECOND * at));
        for (place, waited) in places.into_iter().zip([9, 8, 7]) {
            let handed = bulkhead.release(SECOND * 10, ticket).expect("somebody waits");
            assert_eq!((handed.place, handed.waited), (place, SECOND * waited));
            ticket = handed.ticket;
        }
        assert_eq!(bulkhead.release(SECOND, ticket), None);
        assert_eq!(bulkhead.occupancy().to_string(), "0 of 1 in use, 0 waiting");
    }

    #[test]
    fn the_line_has_a_bound_and_who_is_refused_learns_the_numbers() {
        let mut bulkhead = Bulkhead::new(1, 2);
        let _inside = enter(&mut bulkhead);
        let _places = [1, 2].map(|at| wait(&mut bulkhead, SECOND * at));
        assert_eq!(bulkhead.acquire(SECOND), Err(LineFull { permits: 1, waiting: 2 }));
        assert_eq!(Bulkhead::new(0, 0).acquire(SECOND), Err(LineFull { permits: 0, waiting: 0 }));
    }

    #[test]
    fn who_leaves_the_line_learns_how_long_it_waited_and_is_handed_nothing() {
        let mut bulkhead = Bulkhead::new(1, 9);
        let ticket = enter(&mut bulkhead);
        let [first, second] = [1, 2].map(|at| wait(&mut bulkhead, SECOND * at));
        assert_eq!(bulkhead.cancel(SECOND * 5, first), Some(SECOND * 4));
        assert_eq!(bulkhead.cancel(SECOND * 5, first), None);
        let handed = bulkhead.release(SECOND * 6, ticket).expect("the second waits");
        assert_eq!(handed.place, second);
        // It was handed a permit: it is not in line any more.
        assert_eq!(bulkhead.cancel(SECOND * 6, second), None);
    }

    #[test]
    fn more_permits_go_to_those_in_line_and_fewer_wait_until_enough_have_left() {
        let mut bulkhead = Bulkhead::new(1, 9);
        let first = enter(&mut bulkhead);
        let places = [1, 1, 1].map(|at| wait(&mut bulkhead, SECOND * at));
        let handed = bulkhead.set_permits(SECOND, 3);
        assert_eq!(handed.iter().map(|handed| handed.place).collect::<Vec<_>>(), places[..2]);
        assert_eq!(bulkhead.set_permits(SECOND, 1), []);
        assert_eq!(bulkhead.occupancy(), Occupancy { permits: 1, inside: 3, waiting: 1 });
        let given_back: Vec<_> = handed.into_iter().map(|handed| bulkhead.release(SECOND, handed.ticket)).collect();
        assert_eq!(given_back, [None, None]);
        assert_eq!(bulkhead.release(SECOND, first).map(|handed| handed.place), Some(places[2]));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Acquire,
        Release(prop::sample::Index),
        Cancel(prop::sample::Index),
        Permits(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let which = any::<prop::sample::Index>;
        let step = prop_oneof![
            6 => Just(Step::Acquire),
            4 => which().prop_map(Step::Release),
            2 => which().prop_map(Step::Cancel),
            1 => (0..6_usize).prop_map(Step::Permits),
        ];
        vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn no_permit_is_lost_or_doubled_and_nobody_overtakes(steps in steps()) {
            let mut bulkhead = Bulkhead::new(3, 5);
            let (mut permits, mut tickets, mut line) = (3, Vec::new(), Vec::new());
            for step in steps {
                let mut handed = Vec::new();
                match step {
                    Step::Acquire => match bulkhead.acquire(SECOND) {
                        Ok(Entry::Entered(ticket)) => {
                            prop_assert!(line.is_empty(), "it overtook those who wait");
                            tickets.push(ticket);
                        }
                        Ok(Entry::Waits { place, ahead }) => {
                            prop_assert!(tickets.len() >= permits && ahead == line.len());
                            line.push(place);
                        }
                        Err(_) => prop_assert!(tickets.len() >= permits && line.len() == 5),
                    },
                    Step::Release(_) if tickets.is_empty() => {}
                    Step::Release(which) => {
                        let ticket = tickets.swap_remove(which.index(tickets.len()));
                        handed.extend(bulkhead.release(SECOND, ticket));
                    }
                    Step::Cancel(_) if line.is_empty() => {}
                    Step::Cancel(which) => {
                        let place = line.remove(which.index(line.len()));
                        prop_assert!(bulkhead.cancel(SECOND, place).is_some());
                    }
                    Step::Permits(count) => {
                        permits = count;
                        handed = bulkhead.set_permits(SECOND, count);
                    }
                }
                for Handed { place, ticket, .. } in handed {
                    prop_assert_eq!(line.remove(0), place);
                    tickets.push(ticket);
                    prop_assert!(tickets.len() <= permits);
                }
                // Who waits, waits because all permits are out.
                prop_assert!(line.is_empty() || tickets.len() >= permits);
                let occupancy = Occupancy { permits, inside: tickets.len(), waiting: line.len() };
                prop_assert_eq!(bulkhead.occupancy(), occupancy);
            }
        }
    }
}
