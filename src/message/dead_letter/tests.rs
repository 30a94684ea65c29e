//! What the queue of dead letters guarantees.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;

use super::*;

#[expect(clippy::disallowed_methods, reason = "letters read no clock, and an `Instant` comes only from one")]
fn now() -> Instant {
    Instant::now()
}

fn path(text: &str) -> Path {
    text.parse().expect("a path")
}

fn messages<'a>(letters: impl Iterator<Item = &'a DeadLetter<u32>>) -> Vec<u32> {
    letters.map(|letter| letter.message).collect()
}

#[test]
fn at_the_bound_the_oldest_goes_and_is_counted_and_given_back() {
    let (mut letters, now) = (DeadLetters::new(2), now());
    assert_eq!(letters.put(1, Death::new(DeadReason::Gone, now)).1, None);
    assert_eq!(letters.put(2, Death::new(DeadReason::Gone, now)).1, None);
    let (_, oldest) = letters.put(3, Death::new(DeadReason::Shed, now));
    assert_eq!(oldest.map(|letter| letter.message), Some(1));
    assert_eq!(messages(letters.query(&Filter::all())), [2, 3]);
    let counts = letters.counts();
    assert_eq!((counts.total(), counts.because(DeadReason::Gone), counts.overflowed()), (3, 2, 1));
}

#[test]
fn with_a_bound_of_zero_letters_are_counted_and_not_kept() {
    let mut letters = DeadLetters::new(0);
    let (id, same) = letters.put(1, Death::new(DeadReason::Refused, now()));
    assert_eq!(same.map(|letter| letter.id), Some(id));
    assert_eq!((letters.is_empty(), letters.counts().because(DeadReason::Refused)), (true, 1));
}

#[test]
fn letters_are_found_by_reason_by_receiver_and_by_time_together() {
    let (mut letters, now) = (DeadLetters::new(10), now());
    let later = now + Duration::from_millis(1);
    letters.put(1, Death::new(DeadReason::Gone, now).to(path("root/data/cache")));
    letters.put(2, Death::new(DeadReason::Expired, later).to(path("root/data/cache")));
    letters.put(3, Death::new(DeadReason::Expired, later).to(path("root/data2")));
    letters.put(4, Death::new(DeadReason::Expired, now));
    assert_eq!(messages(letters.query(&Filter::all().because(DeadReason::Expired))), [2, 3, 4]);
    assert_eq!(messages(letters.query(&Filter::all().to(path("root/data")))), [1, 2]);
    assert_eq!(messages(letters.query(&Filter::all().since(later))), [2, 3]);
    let all = Filter::all().because(DeadReason::Expired).to(path("root/data")).since(later);
    assert_eq!(messages(letters.query(&all)), [2]);
}

#[test]
fn what_is_taken_is_taken_once() {
    let (mut letters, now) = (DeadLetters::new(10), now());
    let (first, _) = letters.put(1, Death::new(DeadReason::Gone, now));
    letters.put(2, Death::new(DeadReason::Gone, now));
    letters.put(3, Death::new(DeadReason::Gone, now));
    assert_eq!(letters.take(first).map(|letter| letter.message), Some(1));
    assert_eq!(letters.take(first), None);
    assert_eq!(messages(letters.take_all(&Filter::all(), 1).iter()), [2]);
    assert_eq!((letters.len(), letters.counts().taken(), letters.counts().total()), (1, 2, 3));
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Put(DeadReason),
    Take(u64),
    TakeAll(DeadReason, usize),
}

fn any_act() -> impl Strategy<Value = Act> {
    let why = || select(DeadReason::ALL.to_vec());
    prop_oneof![
        why().prop_map(Act::Put),
        why().prop_map(Act::Put),
        (0_u64..40).prop_map(Act::Take),
        (why(), 0_usize..4).prop_map(|(why, most)| Act::TakeAll(why, most)),
    ]
}

proptest! {
    #[test]
    fn what_came_in_is_here_or_was_taken_or_went_at_the_bound_and_no_count_goes_back(
        acts in vec(any_act(), 0..60), bound in 0_usize..8, start in any::<bool>(),
    ) {
        let (mut letters, now) = (DeadLetters::new(bound), now());
        let mut came = [0; DeadReason::ALL.len()];
        let mut taken = 0;
        for (number, act) in (0_u64..).zip(acts) {
            let before = letters.counts();
            match act {
                Act::Put(why) => {
                    letters.put(number, if start { Death::new(why, now).to(path("root/a")) } else { Death::new(why, now) });
                    came[why as usize] += 1;
                }
                Act::Take(id) => taken += u64::from(letters.take(LetterId(id)).is_some()),
                Act::TakeAll(why, most) => {
                    let out = letters.take_all(&Filter::all().because(why), most);
                    prop_assert!(out.len() <= most && out.iter().all(|letter| letter.why == why));
                    taken += out.len() as u64;
                }
            }
            let counts = letters.counts();
            prop_assert_eq!(DeadReason::ALL.map(|why| counts.because(why)), came);
            prop_assert_eq!(counts.taken(), taken);
            prop_assert_eq!(counts.total(), letters.len() as u64 + counts.taken() + counts.overflowed());
            prop_assert!(letters.len() <= bound && counts.overflowed() >= before.overflowed());
            prop_assert!(letters.query(&Filter::all()).map(|letter| letter.id).is_sorted());
        }
    }
}
