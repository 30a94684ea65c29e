//! The inbox over deaths and updates: what stays keeps its place, its age and a number of its own.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::flow::{AGE_STEP, AtBound};
use crate::message::{Envelope, Role};
use crate::runtime::world::TokioClock;
use crate::seam::Clock;

type Numbers = Inbox<u64, ()>;

fn limits(order: Order, at_bound: AtBound) -> AgentLimits {
    AgentLimits { mailbox: 1_000, order, at_bound, ..AgentLimits::default() }
}

fn by_priority() -> AgentLimits {
    limits(Order::Priority, AtBound::Reject)
}

fn all_kinds() -> [AgentLimits; 4] {
    let (arrival, priority) = (Order::Arrival, Order::Priority);
    let (reject, shed) = (AtBound::Reject, AtBound::ShedOldest);
    [limits(arrival, reject), limits(arrival, shed), limits(priority, reject), limits(priority, shed)]
}

struct Fixture {
    inbox: Numbers,
    epoch: Instant,
}

impl Fixture {
    fn new(limits: &AgentLimits) -> Self {
        let epoch = TokioClock.now();
        Self { inbox: Inbox::new(limits, epoch), epoch }
    }

    fn push(&mut self, message: u64, priority: Priority) {
        self.send(Envelope::new(0, message).with_priority(priority));
    }

    fn send(&mut self, envelope: Envelope<u64>) {
        let (letter, stamp) = Letter::enveloped(envelope);
        let pushed = self.inbox.push(letter, stamp, || self.epoch).unwrap_or_else(|_| panic!("there is room"));
        assert!(pushed.is_none(), "nothing has to go");
    }

    fn take(&mut self, most: usize) -> Items<u64, ()> {
        let (mut items, mut late) = (Items::default(), Vec::new());
        self.inbox.take(most, &mut items, || self.epoch, &mut late);
        assert!(late.is_empty(), "nothing has an end");
        items
    }

    fn renew(&mut self, limits: &AgentLimits) {
        self.inbox.renew(limits, self.epoch);
    }
}

/// What is handled, with its number.
fn handled(items: &mut Items<u64, ()>) -> Option<(u64, u64)> {
    items.pop().map(|numbered| (numbered.letter.message, numbered.sequence))
}

#[test]
fn what_stays_at_a_death_is_as_old_as_it_was_and_does_not_starve_however_often_its_agent_dies() {
    let mut fixture = Fixture::new(&by_priority());
    fixture.push(1, Priority::LOWEST);
    for others in 0..=AGE_STEP * 9 {
        fixture.push(9, Priority::CRITICAL);
        fixture.push(2, Priority::CRITICAL);
        let (message, _) = handled(&mut fixture.take(1)).expect("something waits");
        // It dies of what it handled; one of those that wait goes elsewhere.
        let out = fixture.inbox.take_out(|letter| letter.message == 2);
        assert_eq!(out.len(), 1);
        assert_eq!(message == 1, others == AGE_STEP * 9, "after {others} others");
    }
}

#[test]
fn a_number_is_given_once_over_updates_that_change_the_kind_of_inbox_and_later_ones_have_higher_numbers() {
    for before in all_kinds() {
        for after in all_kinds() {
            let mut fixture = Fixture::new(&before);
            (1..=6).for_each(|message| fixture.push(message, Priority::MEDIUM));
            let mut in_hand = fixture.take(4);
            let mut all = vec![handled(&mut in_hand).expect("it was taken")];
            // The update comes while a life runs, and goes back before the next one.
            fixture.renew(&after);
            fixture.push(7, Priority::MEDIUM);
            all.push(handled(&mut in_hand).expect("it was taken"));
            fixture.inbox.give_back(in_hand);
            let mut in_hand = fixture.take(2);
            fixture.renew(&before);
            fixture.push(8, Priority::MEDIUM);
            all.extend(std::iter::from_fn(|| handled(&mut in_hand)));
            let mut rest = fixture.take(usize::MAX);
            all.extend(std::iter::from_fn(|| handled(&mut rest)));

            let (messages, numbers): (Vec<_>, Vec<_>) = all.into_iter().unzip();
            assert_eq!(messages, [1, 2, 3, 4, 5, 6, 7, 8], "{before:?}, {after:?}");
            assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}: {before:?}, {after:?}");
        }
    }
}

#[test]
fn an_update_of_the_bound_alone_or_of_who_goes_there_changes_no_number_and_no_age() {
    let mut fixture = Fixture::new(&by_priority());
    fixture.push(1, Priority::LOWEST);
    for others in 0..=AGE_STEP * 9 {
        fixture.push(9, Priority::CRITICAL);
        let at_bound = if others % 2 == 0 { AtBound::ShedLowest } else { AtBound::Reject };
        fixture.renew(&limits(Order::Priority, at_bound));
        let (message, number) = handled(&mut fixture.take(1)).expect("something waits");
        let (first, all) = ((1, 1), others + 2);
        assert_eq!((message, number), if others == AGE_STEP * 9 { first } else { (9, all) });
    }
}

#[test]
fn what_came_first_goes_first_when_an_update_takes_the_priorities_away() {
    for after in [limits(Order::Arrival, AtBound::Reject), limits(Order::Arrival, AtBound::ShedOldest)] {
        let mut fixture = Fixture::new(&by_priority());
        let priorities = [Priority::LOW, Priority::CRITICAL, Priority::MEDIUM, Priority::CRITICAL];
        (1..).zip(priorities).for_each(|(message, priority)| fixture.push(message, priority));
        fixture.renew(&after);
        let mut items = fixture.take(usize::MAX);
        let messages: Vec<_> = std::iter::from_fn(|| handled(&mut items)).map(|(message, _)| message).collect();
        assert_eq!(messages, [1, 2, 3, 4]);
    }
}

#[test]
fn what_is_said_of_a_message_is_said_of_it_in_every_kind_of_inbox_and_over_updates_too() {
    let kind = Kind::user(7, Role::Request);
    for before in all_kinds() {
        for after in all_kinds() {
            let mut fixture = Fixture::new(&before);
            let deadline = fixture.epoch + Duration::from_nanos(1_000_000_007);
            let said = |message| Envelope::new(0, message).with_kind(kind).with_priority(Priority::HIGH);
            fixture.send(said(1).with_deadline(deadline));
            // What says more has a ticket.
            fixture.send(said(2).with_deadline(deadline).with_time_to_live(fixture.epoch, Duration::from_hours(1)));
            fixture.send(said(3).with_deadline(deadline));
            let mut in_hand = fixture.take(2);
            let first = in_hand.pop().expect("it was taken");
            fixture.renew(&after);
            fixture.inbox.give_back(in_hand);
            let mut rest = fixture.take(usize::MAX);
            for numbered in [Some(first), rest.pop(), rest.pop()].into_iter().flatten() {
                let Numbered { letter, mark, .. } = numbered;
                let stamp =
                    letter.ticket.as_ref().map_or_else(|| mark.stamp(fixture.epoch), |ticket| ticket.said.stamp());
                let said = Stamp { deadline: Some(deadline), kind, priority: Priority::HIGH };
                assert_eq!(stamp, said, "{before:?}, {after:?}");
                assert_eq!(letter.expires().is_some(), letter.message == 2);
            }
            assert!(fixture.inbox.is_empty() && rest.is_empty());
        }
    }
}

#[test]
fn in_lanes_a_deadline_from_before_the_system_began_is_over_and_one_too_far_off_to_count_never_is() {
    let mut fixture = Fixture::new(&by_priority());
    fixture.epoch += Duration::from_secs(1);
    fixture.inbox = Inbox::new(&by_priority(), fixture.epoch);
    fixture.send(Envelope::new(0, 1).with_deadline(fixture.epoch + Duration::from_hours(300 * 366 * 24)));
    let far = fixture.take(1).pop().expect("it never ends");
    assert_eq!(far.mark.stamp(fixture.epoch), Stamp::BLANK);
    fixture.send(Envelope::new(0, 2).with_deadline(fixture.epoch.checked_sub(Duration::from_secs(1)).expect("a time")));
    let (mut items, mut late) = (Items::default(), Vec::new());
    fixture.inbox.take(1, &mut items, || fixture.epoch, &mut late);
    assert_eq!((items.len(), late.len()), (0, 1));
}

#[test]
fn a_letter_is_two_words_and_its_ticket_is_small() {
    let ticket = size_of::<super::super::Ticket<u64>>();
    assert!(ticket <= 80, "{ticket} bytes");
    assert_eq!(size_of::<Letter<u64, u64>>(), 16);
    assert_eq!(size_of::<Queued<Filed<u64, u64>>>(), 48);
}

#[derive(Clone, Debug)]
enum Step {
    Push(u8),
    Take(usize),
    Handle(usize),
    Die,
    TakeOut,
    Renew(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..=10_u8).prop_map(Step::Push),
        2 => (0..5_usize).prop_map(Step::Take),
        2 => (0..5_usize).prop_map(Step::Handle),
        1 => Just(Step::Die),
        1 => Just(Step::TakeOut),
        2 => (0..4_usize).prop_map(Step::Renew),
    ];
    vec(step, 0..120)
}

proptest! {
    #[test]
    fn whatever_updates_and_deaths_come_each_message_leaves_once_and_no_number_is_given_twice(
        steps in steps(),
        at_first in 0..4_usize,
        odd_go in any::<bool>(),
    ) {
        let mut fixture = Fixture::new(&all_kinds()[at_first]);
        let (mut pushed, mut left, mut numbers) = (0, Vec::new(), Vec::new());
        let mut in_hand = Items::default();
        for step in steps {
            match step {
                Step::Push(number) => {
                    fixture.push(pushed, Priority::new(number).expect("from 1 to 10"));
                    pushed += 1;
                }
                // A life takes when its hands are empty.
                Step::Take(most) if in_hand.is_empty() => in_hand = fixture.take(most),
                Step::Take(_) => {}
                Step::Handle(most) => {
                    for (message, number) in std::iter::from_fn(|| handled(&mut in_hand)).take(most) {
                        left.push(message);
                        numbers.push(number);
                    }
                }
                Step::Die => fixture.inbox.give_back(std::mem::take(&mut in_hand)),
                Step::TakeOut => {
                    let out = fixture.inbox.take_out(|letter| odd_go && letter.message % 2 == 1);
                    left.extend(out.into_iter().map(|letter| letter.message));
                }
                Step::Renew(kind) => fixture.renew(&all_kinds()[kind]),
            }
        }
        fixture.inbox.give_back(in_hand);
        let mut rest = fixture.take(usize::MAX);
        for (message, number) in std::iter::from_fn(|| handled(&mut rest)) {
            left.push(message);
            numbers.push(number);
        }
        left.sort_unstable();
        prop_assert_eq!(left, (0..pushed).collect::<Vec<_>>());
        let given = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        prop_assert_eq!(numbers.len(), given, "a number was given twice");
        prop_assert!(numbers.first().is_none_or(|first| *first >= 1));
    }
}
