//! Tests of the strategies: what each guarantees, whatever the pool.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

type Candidates = Vec<(Path, View)>;

const ALL: [Selection; 7] = [
    Selection::LeastLoaded,
    Selection::RoundRobin,
    Selection::Random,
    Selection::PowerOfTwo,
    Selection::Sticky(Stickiness::Moves),
    Selection::Sticky(Stickiness::Waits),
    Selection::InOrder,
];

fn pool(views: impl IntoIterator<Item = View>) -> Candidates {
    let path = |number: usize| format!("root/agent-{number:03}").parse().expect("a path");
    views.into_iter().enumerate().map(|(number, view)| (path(number), view)).collect()
}

fn live(loads: impl IntoIterator<Item = usize>) -> Candidates {
    pool(loads.into_iter().map(|load| View::of(Standing::Live(load))))
}

fn any_view() -> impl Strategy<Value = View> {
    let standing = prop_oneof![
        4 => (0_usize..9).prop_map(Standing::Live),
        1 => Just(Standing::AtRest),
        2 => (0_usize..9).prop_map(Standing::Awaited),
        1 => Just(Standing::Away),
    ];
    let latency = option::of((0_u64..5000).prop_map(Duration::from_micros));
    (standing, latency, 0_u8..6).prop_map(|(standing, latency, barred)| View {
        standing,
        latency,
        hung: barred == 0,
        breaker_open: barred == 1,
    })
}

fn any_pool() -> impl Strategy<Value = Candidates> {
    vec(any_view(), 0..12).prop_map(pool)
}

/// Hardly anybody may be chosen, so that drawing at random finds nobody and the whole pool is looked through.
fn barren_pool() -> impl Strategy<Value = Candidates> {
    (vec(any_view(), 0..4), 1_usize..200)
        .prop_map(|(views, away)| pool((0..away).map(|_| View::of(Standing::Away)).chain(views)))
}

fn chosen(selection: Selection, pool: &Candidates, draw: Draw<'_>) -> usize {
    selection.select(pool, &draw).expect("somebody may be chosen").position()
}

proptest! {
    #[test]
    fn who_may_not_be_chosen_never_is_and_who_waits_only_where_nobody_is_ready(
        pool in prop_oneof![any_pool(), barren_pool()],
        random: u64,
        turn: u64,
        key: [u8; 4],
    ) {
        let draw = Draw::new(random, turn).key(&key);
        let tally = Tally::of(&pool);
        for selection in ALL {
            let choice = match selection.select(&pool, &draw) {
                Err(error) => {
                    prop_assert_eq!((tally.ready, tally.awaited), (0, 0), "{}", selection);
                    prop_assert_eq!(error, NoChoice::Nobody(tally));
                    continue;
                }
                Ok(choice) => choice,
            };
            prop_assert_eq!(pool[choice.position()].1.eligible(), Ok(choice.eligible()), "{}", selection);
            if choice.eligible() == Eligible::WhenBack && selection != Selection::Sticky(Stickiness::Waits) {
                prop_assert_eq!(tally.ready, 0, "{}", selection);
            }
            prop_assert_eq!(selection.select(&pool, &draw), Ok(choice), "the same again");
            let decision = Decision::of(&pool, &choice);
            prop_assert!(decision.considered >= decision.candidates.len() && decision.candidates.len() <= LISTED);
            if decision.considered <= LISTED {
                prop_assert!(decision.candidates.iter().any(|seen| seen.path == decision.chosen), "{}", decision);
            }
        }
    }

    #[test]
    fn nobody_ready_has_less_load_than_the_least_loaded(pool in any_pool(), turn: u64) {
        if let Ok(choice) = Selection::LeastLoaded.select(&pool, &Draw::new(0, turn)) {
            let rank = |view: &View| view.eligible().ok().map(|eligible| (eligible, view.load()));
            let least = pool.iter().filter_map(|(_, view)| rank(view)).min();
            prop_assert_eq!(rank(&pool[choice.position()].1), least);
        }
    }

    #[test]
    fn the_least_loaded_is_whom_the_plain_function_chooses(
        loads in vec(prop_oneof![(0_usize..4).prop_map(Standing::Live), (0_usize..4).prop_map(Standing::Awaited), Just(Standing::Away)], 0..8),
        turn in 0_u32..100,
    ) {
        let pool = pool(loads.iter().copied().map(View::of));
        let choice = Selection::LeastLoaded.select(&pool, &Draw::new(0, u64::from(turn))).ok();
        prop_assert_eq!(choice.map(|choice| choice.position()), choose(&loads, turn as usize));
    }

    #[test]
    fn each_gets_as_many_turns_as_every_other_whoever_may_not_be_chosen(
        ready in vec(any::<bool>(), 1..9).prop_filter("somebody is ready", |ready| ready.contains(&true)),
        first in 0_u64..100,
    ) {
        let standing = |ready: &bool| if *ready { Standing::Live(0) } else { Standing::Away };
        let pool = pool(ready.iter().map(|ready| View::of(standing(ready))));
        let eligible = ready.iter().filter(|ready| **ready).count();
        let mut counts = vec![0; ready.len()];
        let first = first * ready.len() as u64;
        for turn in first..first + (ready.len() * eligible) as u64 {
            counts[chosen(Selection::RoundRobin, &pool, Draw::new(0, turn))] += 1;
        }
        let fair: Vec<_> = ready.iter().map(|is| if *is { ready.len() } else { 0 }).collect();
        prop_assert_eq!(counts, fair);
    }

    #[test]
    fn of_two_the_one_with_more_to_do_is_never_chosen(pool in any_pool(), random: u64) {
        let Ok(choice) = Selection::PowerOfTwo.select(&pool, &Draw::new(random, 0)) else { return Ok(()) };
        let (Considered::Two(other), Reason::LessToDo) = (choice.considered(), choice.reason()) else { return Ok(()) };
        prop_assert_ne!(other, choice.position());
        let (this, that) = (pool[choice.position()].1, pool[other].1);
        let cost = |view: View| (view.load() as u128 + 1) * view.latency.map_or(1, |latency| latency.as_nanos().max(1));
        match (this.latency, that.latency) {
            (Some(_), Some(_)) => prop_assert!(cost(this) <= cost(that)),
            _ => prop_assert!(this.load() <= that.load()),
        }
    }

    #[test]
    fn when_one_leaves_only_its_keys_move_and_when_one_comes_keys_move_only_to_it(
        count in 2_usize..12,
        leaver: prop::sample::Index,
        keys in vec(any::<[u8; 3]>(), 1..60),
    ) {
        let before = live(vec![0; count]);
        let gone = leaver.index(count);
        let mut after = before.clone();
        let (leaver, _) = after.remove(gone);
        let owner = |pool: &Candidates, key: &[u8]| {
            pool[chosen(Selection::Sticky(Stickiness::Moves), pool, Draw::new(0, 0).key(key))].0.clone()
        };
        for key in &keys {
            let (with, without) = (owner(&before, key), owner(&after, key));
            prop_assert!(with == without || with == leaver, "{} {}", with, without);
        }
        // The same for one that is only away: the others keep their keys, and its own come back to it.
        let mut away = before.clone();
        away[gone].1 = View::of(Standing::Away);
        for key in &keys {
            prop_assert_eq!(owner(&away, key), owner(&after, key));
        }
    }

    #[test]
    fn a_key_waits_for_its_owner_where_it_should_and_moves_where_it_should(key: [u8; 4], count in 2_usize..9) {
        let mut pool = live(vec![0; count]);
        let draw = Draw::new(0, 0).key(&key);
        let owner = chosen(Selection::Sticky(Stickiness::Waits), &pool, draw);
        pool[owner].1 = View::of(Standing::Awaited(0));
        prop_assert_eq!(chosen(Selection::Sticky(Stickiness::Waits), &pool, draw), owner);
        prop_assert_ne!(chosen(Selection::Sticky(Stickiness::Moves), &pool, draw), owner);
        pool[owner].1 = View::of(Standing::Away);
        prop_assert_ne!(chosen(Selection::Sticky(Stickiness::Waits), &pool, draw), owner);
    }
}

/// How often each of ten is chosen in ten thousand draws.
fn counts(selection: Selection, pool: &Candidates) -> Vec<usize> {
    let mut rng = crate::seam::Rng::new(7);
    let mut counts = vec![0; pool.len()];
    for turn in 0..10_000_u64 {
        let key = turn.to_be_bytes();
        counts[chosen(selection, pool, Draw::new(rng.next_u64(), turn).key(&key))] += 1;
    }
    counts
}

#[test]
fn equals_are_chosen_equally_often_by_lot_and_by_key() {
    let pool = live([0; 10]);
    for selection in [Selection::Random, Selection::PowerOfTwo, Selection::Sticky(Stickiness::Moves)] {
        let counts = counts(selection, &pool);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{selection}: {counts:?}");
    }
}

#[test]
fn who_may_be_chosen_is_drawn_equally_often_however_few_they_are() {
    let mut pool = pool([View::of(Standing::Away); 100]);
    for position in [3, 50, 51, 99] {
        pool[position].1 = View::of(Standing::Live(0));
    }
    for selection in [Selection::Random, Selection::PowerOfTwo] {
        let counts = counts(selection, &pool);
        let counts = [3, 50, 51, 99].map(|position| counts[position]);
        assert!(counts.iter().all(|count| (2250..2750).contains(count)), "{selection}: {counts:?}");
    }
}

#[test]
fn the_power_of_two_spares_the_slow_and_the_loaded() {
    let view = |load, millis| View::of(Standing::Live(load)).latency(Duration::from_millis(millis));
    let counts = counts(Selection::PowerOfTwo, &pool([view(0, 1), view(0, 1), view(0, 50), view(9, 1)]));
    // The slow one costs 50 and the loaded one 10: the slow one always loses.
    assert_eq!(counts[2], 0, "{counts:?}");
    assert!(counts[3] < counts[0] / 2 && counts[3] > 0, "{counts:?}");
}

#[test]
fn a_latency_that_is_not_known_leaves_the_choice_to_the_load() {
    let known = View::of(Standing::Live(1)).latency(Duration::from_nanos(1));
    let counts = counts(Selection::PowerOfTwo, &pool([known, View::of(Standing::Live(0))]));
    assert_eq!(counts, [0, 10_000]);
}

#[test]
fn the_power_of_two_looks_at_two_of_a_hundred_thousand() {
    /// Counts how often it is looked at.
    struct Counting(Path, std::cell::Cell<usize>);
    impl Pool for Counting {
        fn len(&self) -> usize {
            100_000
        }
        fn path(&self, _: usize) -> &Path {
            &self.0
        }
        fn view(&self, _: usize) -> View {
            self.1.set(self.1.get() + 1);
            View::of(Standing::Live(0))
        }
    }
    let pool = Counting("root".parse().expect("a path"), std::cell::Cell::new(0));
    assert!(Selection::PowerOfTwo.select(&pool, &Draw::new(7, 0)).is_ok());
    assert_eq!(pool.1.take(), 2);
}

#[test]
fn in_order_the_first_that_is_ready_is_chosen_and_those_before_it_were_considered() {
    let away = View::of(Standing::Away);
    let pool = pool([away, View::of(Standing::Awaited(0)), View::of(Standing::Live(9)), View::of(Standing::Live(0))]);
    let choice = Selection::InOrder.select(&pool, &Draw::new(0, 0)).expect("somebody is ready");
    assert_eq!((choice.position(), choice.considered()), (2, Considered::UpToIt));
    assert_eq!(
        Decision::of(&pool, &choice).to_string(),
        "root/agent-002: it was the first in order that may be chosen; considered: root/agent-000 (away), \
         root/agent-001 (between two lives, load 0), root/agent-002 (load 9)"
    );
}

#[test]
fn without_a_key_a_sticky_route_says_that_one_is_missing() {
    let error = Selection::Sticky(Stickiness::Moves).select(&live([0]), &Draw::new(0, 0));
    assert_eq!(error, Err(NoChoice::NoKey));
}

#[test]
fn where_nobody_may_be_chosen_the_error_counts_why() {
    let view = View::of(Standing::Live(0));
    let pool = pool([view.hung(), view.breaker_open(), View::of(Standing::Away), View::of(Standing::Away)]);
    let error = Selection::PowerOfTwo.select(&pool, &Draw::new(0, 0)).expect_err("nobody may be");
    assert_eq!(error.to_string(), "4 candidates: 2 away, 1 hung, 1 with an open breaker");
    let nobody = Selection::RoundRobin.select(&live([]), &Draw::new(0, 0)).expect_err("nobody is there");
    assert_eq!(nobody.to_string(), "0 candidates");
}

#[test]
fn a_chain_falls_back_where_nobody_is_ready_and_waits_at_the_first_only_when_nobody_is_anywhere() {
    let pools = |first, second| [first, second].map(|standing| pool([View::of(standing)]));
    let link = |pools: &[Candidates; 2]| {
        let links: [(&dyn Pool, &dyn Select); 2] =
            [(&pools[0], &Selection::PowerOfTwo), (&pools[1], &Selection::LeastLoaded)];
        first_of(&links, &Draw::new(0, 0)).map(|(link, choice)| (link, choice.eligible()))
    };
    let (live, awaited, away) = (Standing::Live(0), Standing::Awaited(0), Standing::Away);
    assert_eq!(link(&pools(live, live)), Ok((0, Eligible::Now)));
    assert_eq!(link(&pools(awaited, live)), Ok((1, Eligible::Now)));
    assert_eq!(link(&pools(awaited, awaited)), Ok((0, Eligible::WhenBack)));
    assert_eq!(link(&pools(away, awaited)), Ok((1, Eligible::WhenBack)));
    assert!(link(&pools(away, away)).is_err());
    assert!(first_of(&[], &Draw::new(0, 0)).is_err());
}
