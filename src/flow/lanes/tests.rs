//! Lanes case by case, and against what must hold for any order of pushes, takes and lives.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const NOW: Moment = Moment::from_secs(1);

type Message = (u8, u32);

fn priority(number: u8) -> Priority {
    Priority::new(number).expect("from 1 to 10")
}

/// Lanes with a message for each priority, named by its priority and its place.
fn filled(bound: usize, at_bound: AtBound, priorities: &[u8]) -> Lanes<Message> {
    let mut lanes = Lanes::new(bound, at_bound);
    for (place, number) in (0..).zip(priorities) {
        let pushed = lanes.push(NOW, Queued::new((*number, place), priority(*number)));
        assert_eq!(pushed, Ok(None), "there is room");
    }
    lanes
}

fn batch_of(lanes: &mut Lanes<Message>, most: usize) -> Vec<Message> {
    let (mut batch, mut late) = (VecDeque::new(), Vec::new());
    lanes.take(NOW, most, &mut batch, &mut late);
    assert_eq!(late, []);
    batch.into_iter().map(|queued| queued.message).collect()
}

#[track_caller]
fn shed(lanes: &mut Lanes<Message>, now: Moment, queued: Queued<Message>) -> (Message, ShedReason) {
    let shed = lanes.push(now, queued).expect("room is made").expect("it was full");
    (shed.queued.message, shed.why)
}

#[test]
fn the_urgent_goes_first_and_equals_in_their_order() {
    let mut lanes = filled(9, AtBound::Reject, &[5, 2, 10, 5, 10]);
    assert_eq!(batch_of(&mut lanes, 9), [(10, 2), (10, 4), (5, 0), (5, 3), (2, 1)]);
    assert!(lanes.is_empty());
}

#[test]
fn a_batch_is_the_first_messages_and_the_rest_stays() {
    let mut lanes = filled(9, AtBound::Reject, &[5, 8, 8]);
    assert_eq!(batch_of(&mut lanes, 2), [(8, 1), (8, 2)]);
    assert_eq!((lanes.len(), lanes.len_of(Priority::MEDIUM), lanes.room()), (1, 1, 8));
}

#[test]
fn the_lowest_is_taken_after_so_many_others_per_level_although_the_highest_never_ends() {
    for number in 1..=9 {
        let mut lanes = filled(9, AtBound::Reject, &[number, 10, 10]);
        let mut others = 0;
        while batch_of(&mut lanes, 1) != [(number, 0)] {
            others += 1;
            assert!(others < 1_000, "{number} starves");
            assert_eq!(lanes.push(NOW, Queued::new((10, 9), Priority::CRITICAL)), Ok(None));
        }
        assert_eq!(others, AGE_STEP * u64::from(10 - number));
    }
}

#[test]
fn a_lane_in_which_nothing_waited_has_not_aged() {
    let mut lanes = filled(usize::MAX, AtBound::Reject, &[10; 400]);
    batch_of(&mut lanes, 300);
    assert_eq!(lanes.push(NOW, Queued::new((1, 400), Priority::LOWEST)), Ok(None));
    assert!(!batch_of(&mut lanes, 100).contains(&(1, 400)));
}

#[test]
fn what_expired_comes_out_as_expired_with_its_reason_and_is_not_handled() {
    let mut lanes = Lanes::new(9, AtBound::Reject);
    let medium = |place| Queued::new((5, place), Priority::MEDIUM);
    for queued in [medium(0).deadline(NOW + MS), medium(1).time_to_live(NOW, MS), medium(2).deadline(NOW + MS * 2)] {
        assert_eq!(lanes.push(NOW, queued), Ok(None));
    }
    let (mut batch, mut late) = (VecDeque::new(), Vec::new());
    lanes.take(NOW + MS, 1, &mut batch, &mut late);
    assert_eq!(batch.iter().map(|queued| queued.message).collect::<Vec<_>>(), [(5, 2)]);
    let reasons: Vec<_> = late.iter().map(|shed| shed.why).collect();
    let at = NOW + MS;
    assert_eq!(reasons, [Expiry::Deadline { at }, Expiry::TimeToLive { at }].map(ShedReason::Expired));
}

#[test]
fn a_sweep_finds_what_expired_behind_others_and_keeps_the_rest_in_order() {
    let mut lanes = filled(9, AtBound::Reject, &[5, 5]);
    let late_one = Queued::new((5, 9), Priority::MEDIUM).deadline(NOW);
    let lone = Queued::new((1, 9), Priority::LOWEST).deadline(NOW);
    let last = Queued::new((5, 3), Priority::MEDIUM).deadline(NOW + MS);
    for queued in [late_one, lone, last] {
        assert_eq!(lanes.push(NOW, queued), Ok(None));
    }
    let mut late = Vec::new();
    lanes.sweep(NOW, &mut late);
    assert_eq!(late.iter().map(|shed| shed.queued.message).collect::<Vec<_>>(), [(1, 9), (5, 9)]);
    assert_eq!((lanes.len(), lanes.len_of(Priority::LOWEST)), (3, 0));
    assert_eq!(batch_of(&mut lanes, 9), [(5, 0), (5, 1), (5, 3)]);
}

#[test]
fn at_the_bound_reject_gives_the_message_back() {
    let mut lanes = filled(2, AtBound::Reject, &[1, 1]);
    let queued = Queued::new((10, 9), Priority::CRITICAL);
    let refused = lanes.push(NOW, queued).expect_err("it is full");
    assert_eq!((refused.queued.message, refused.bound, lanes.len()), ((10, 9), 2, 2));
}

#[test]
fn at_the_bound_the_oldest_goes_whatever_its_priority() {
    let mut lanes = filled(3, AtBound::ShedOldest, &[8, 2, 8]);
    let low = |place| Queued::new((2, place), Priority::LOW);
    assert_eq!(shed(&mut lanes, NOW, low(3)), ((8, 0), ShedReason::Oldest));
    assert_eq!(shed(&mut lanes, NOW, low(4)), ((2, 1), ShedReason::Oldest));
    assert_eq!(batch_of(&mut lanes, 9), [(8, 2), (2, 3), (2, 4)]);
}

#[test]
fn at_the_bound_the_last_of_the_lowest_goes_and_nothing_for_a_message_that_is_no_more_urgent() {
    let mut lanes = filled(3, AtBound::ShedLowest, &[2, 5, 2]);
    let medium = |place| Queued::new((5, place), Priority::MEDIUM);
    assert_eq!(shed(&mut lanes, NOW, medium(3)), ((2, 2), ShedReason::Lowest));
    assert_eq!(shed(&mut lanes, NOW, medium(4)), ((2, 0), ShedReason::Lowest));
    assert!(lanes.push(NOW, medium(5)).is_err(), "an equal does not make room for an equal");
    assert_eq!(batch_of(&mut lanes, 9), [(5, 1), (5, 3), (5, 4)]);
}

#[test]
fn at_the_bound_what_expired_goes_before_anything_else_under_every_policy() {
    for at_bound in [AtBound::Reject, AtBound::ShedOldest, AtBound::ShedLowest] {
        let mut lanes = filled(2, at_bound, &[1]);
        let queued = Queued::new((10, 1), Priority::CRITICAL).deadline(NOW + MS);
        assert_eq!(lanes.push(NOW, queued), Ok(None));
        let at = NOW + MS;
        let expired = ShedReason::Expired(Expiry::Deadline { at });
        assert_eq!(shed(&mut lanes, at, Queued::new((2, 2), Priority::LOW)), ((10, 1), expired));
    }
}

#[test]
fn closing_returns_what_waited_the_urgent_first_and_leaves_no_room() {
    for at_bound in [AtBound::Reject, AtBound::ShedOldest, AtBound::ShedLowest] {
        let mut lanes = filled(9, at_bound, &[1, 5, 5]);
        let left: Vec<_> = lanes.close().into_iter().map(|queued| queued.message).collect();
        assert_eq!(left, [(5, 1), (5, 2), (1, 0)]);
        let urgent = Queued::new((10, 9), Priority::CRITICAL);
        assert!(lanes.push(NOW, urgent).is_err());
        assert_eq!((lanes.len(), lanes.bound()), (0, 0));
        // What a life gives back late is not shed for a message that could not stay anyway.
        lanes.give_back(&mut VecDeque::from([Queued::new((1, 0), Priority::LOWEST)]));
        assert!(lanes.push(NOW, urgent).is_err());
    }
}

#[test]
fn nothing_is_allocated_before_the_first_message() {
    let lanes = Lanes::<Message>::new(10_000, AtBound::Reject);
    assert_eq!(lanes.queues.iter().map(Line::room).sum::<usize>(), 0);
}

#[test]
fn a_message_that_is_given_back_is_as_old_as_it_was_and_goes_first_in_the_next_life() {
    let mut lanes = filled(usize::MAX, AtBound::Reject, &[1]);
    let mut batch = VecDeque::new();
    for life in 0..10 {
        for _ in 0..40 {
            assert_eq!(lanes.push(NOW, Queued::new((10, 0), Priority::CRITICAL)), Ok(None));
        }
        lanes.take(NOW, 32, &mut batch, &mut Vec::new());
        if batch.iter().any(|queued| queued.message == (1, 0)) {
            assert_ne!((life, batch[0].message), (0, (1, 0)));
            // It crashes over the first, which waits for nobody any more.
            batch.pop_front();
            lanes.give_back(&mut batch);
            assert_eq!(batch_of(&mut lanes, 1), [(1, 0)]);
            return;
        }
        batch.clear();
    }
    panic!("the lowest starves");
}

#[derive(Clone, Debug)]
enum Step {
    Push { number: u8, lives: Option<u8> },
    Take(usize),
    GiveBackAllBut(usize),
    Sweep,
    TakeOutOdd,
    Pass(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push =
        (1..=10_u8, proptest::option::weighted(0.3, 0..20_u8)).prop_map(|(number, lives)| Step::Push { number, lives });
    let step = prop_oneof![
        6 => push,
        2 => (0..5_usize).prop_map(Step::Take),
        2 => (0..5_usize).prop_map(Step::GiveBackAllBut),
        1 => Just(Step::Sweep),
        1 => Just(Step::TakeOutOdd),
        2 => (0..10_u8).prop_map(Step::Pass),
    ];
    vec(step, 0..120)
}

fn policies() -> impl Strategy<Value = AtBound> {
    prop_oneof![Just(AtBound::Reject), Just(AtBound::ShedOldest), Just(AtBound::ShedLowest)]
}

/// What became of all messages, kept beside the lanes.
#[derive(Default)]
struct Ledger {
    pushed: Vec<Message>,
    refused: Vec<Message>,
    shed: Vec<Message>,
    handled: Vec<Message>,
}

impl Ledger {
    fn ends(&self) -> Vec<Message> {
        let mut all = [&self.refused[..], &self.shed, &self.handled].concat();
        all.sort_unstable_by_key(|message| message.1);
        all
    }
}

proptest! {
    #[test]
    fn every_message_ends_once_and_in_order_and_the_bound_holds(steps in steps(), at_bound in policies()) {
        let mut lanes = Lanes::new(6, at_bound);
        let (mut ledger, mut now, mut batch, mut late) = (Ledger::default(), NOW, VecDeque::new(), Vec::new());
        for step in steps {
            match step {
                Step::Push { number, lives } => {
                    let message = (number, u32::try_from(ledger.pushed.len()).expect("few"));
                    ledger.pushed.push(message);
                    let queued = Queued::new(message, priority(number));
                    let queued = lives.map_or(queued, |lives| queued.time_to_live(now, MS * u32::from(lives)));
                    let before = lanes.len();
                    match lanes.push(now, queued) {
                        Ok(shed) => ledger.shed.extend(shed.map(|shed| shed.queued.message)),
                        Err(refused) => ledger.refused.push(refused.queued.message),
                    }
                    prop_assert!(lanes.len() <= before.max(6));
                }
                Step::Take(most) => {
                    let held = batch.len();
                    lanes.take(now, most, &mut batch, &mut late);
                    prop_assert!(batch.len() - held <= most);
                    prop_assert!(batch.range(held..).all(|queued| queued.expired(now).is_none()));
                }
                Step::GiveBackAllBut(done) => {
                    let done = batch.drain(..done.min(batch.len())).map(|queued: Queued<Message>| queued.message);
                    ledger.handled.extend(done);
                    lanes.give_back(&mut batch);
                }
                Step::Sweep => lanes.sweep(now, &mut late),
                Step::TakeOutOdd => {
                    let out = lanes.take_out(|message| message.1 % 2 == 1);
                    prop_assert!(out.iter().all(|queued| queued.message.1 % 2 == 1));
                    prop_assert!(out.is_sorted_by_key(|queued| std::cmp::Reverse(queued.priority())));
                    ledger.shed.extend(out.iter().map(|queued| queued.message));
                }
                Step::Pass(ms) => now += MS * u32::from(ms),
            }
            let counted: usize = (1..=10).map(|number| lanes.len_of(priority(number))).sum();
            prop_assert_eq!(lanes.len(), counted);
            prop_assert!(late.iter().all(|shed: &Shed<Message>| shed.queued.expired(now).is_some()));
            ledger.shed.extend(late.drain(..).map(|shed| shed.queued.message));
        }
        ledger.handled.extend(batch.iter().map(|queued| queued.message));
        ledger.handled.extend(lanes.close().iter().map(|queued| queued.message));
        prop_assert_eq!(ledger.ends(), ledger.pushed.clone());
        for number in 1..=10 {
            let of_lane = ledger.handled.iter().filter(|message| message.0 == number);
            prop_assert!(of_lane.is_sorted(), "{:?}", ledger.handled);
        }
    }

    #[test]
    fn the_first_of_a_lane_is_taken_after_at_most_so_many_others_whatever_arrives(
        rounds in vec((vec(1..=10_u8, 0..4), 0..3_usize), 0..400),
        first in vec(1..=10_u8, 0..30),
    ) {
        let mut lanes = Lanes::new(usize::MAX, AtBound::Reject);
        // How many others were taken since each lane's present first message was.
        let mut others = [0_u64; LANES];
        for (pushed, taken) in std::iter::once((first, 0)).chain(rounds) {
            for number in pushed {
                if lanes.len_of(priority(number)) == 0 {
                    others[lane_of(priority(number))] = 0;
                }
                prop_assert_eq!(lanes.push(NOW, Queued::new((number, 0), priority(number))), Ok(None));
            }
            for message in batch_of(&mut lanes, taken) {
                for number in 1..=10_u8 {
                    let lane = lane_of(priority(number));
                    others[lane] = if number == message.0 { 0 } else { others[lane] + 1 };
                    let waits = lanes.len_of(priority(number)) > 0;
                    prop_assert!(!waits || others[lane] <= AGE_STEP * u64::from(10 - number) + 9);
                }
            }
        }
    }

    #[test]
    fn a_batch_is_what_as_many_batches_of_one_are(
        pushed in vec((1..=10_u8, any::<bool>()), 0..300),
        mosts in vec(1..70_usize, 0..9),
    ) {
        let (mut at_once, mut one_by_one) = (Lanes::new(usize::MAX, AtBound::Reject), Lanes::new(usize::MAX, AtBound::Reject));
        for (place, (number, is_late)) in (0..).zip(pushed) {
            let queued = Queued::new((number, place), priority(number));
            let queued = if is_late { queued.deadline(NOW) } else { queued };
            prop_assert_eq!(at_once.push(NOW, queued), Ok(None));
            prop_assert_eq!(one_by_one.push(NOW, queued), Ok(None));
        }
        for most in mosts {
            let (mut batch, mut batches, mut late) = (VecDeque::new(), VecDeque::new(), Vec::new());
            at_once.take(NOW, most, &mut batch, &mut late);
            (0..most).for_each(|_| one_by_one.take(NOW, 1, &mut batches, &mut late));
            prop_assert_eq!(batch, batches);
        }
    }

    #[test]
    fn a_critical_message_never_waits_for_more_than_one_of_each_other_lane(
        first in vec(1..=9_u8, 0..200),
        taken in 0..150_usize,
    ) {
        let mut lanes = filled(usize::MAX, AtBound::Reject, &first);
        batch_of(&mut lanes, taken);
        prop_assert_eq!(lanes.push(NOW, Queued::new((10, 0), Priority::CRITICAL)), Ok(None));
        prop_assert!(batch_of(&mut lanes, 10).contains(&(10, 0)));
    }
}
