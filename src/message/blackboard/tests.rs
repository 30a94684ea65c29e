//! What the blackboard guarantees, beside a naive one.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;

#[expect(clippy::disallowed_methods, reason = "the board reads no clock, and an `Instant` comes only from one")]
fn now() -> Instant {
    Instant::now()
}

fn key(text: &str) -> Subject {
    text.parse().expect("a key")
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn lasting(name: &str, value: u32, life: Option<u64>) -> Put<u32> {
    let put = Put::new(key(name), value);
    match life {
        Some(life) => put.living(millis(life)),
        None => put,
    }
}

fn all() -> Pattern {
    ">".parse().expect("a pattern")
}

#[test]
fn of_two_writers_who_read_the_same_value_one_writes_and_the_other_is_told_what_is_there() {
    let (mut board, now) = (Blackboard::default(), now());
    let read = board.set(key("a"), 1, now).expect("there is room");
    let written = board.put(Put::new(key("a"), 2).expecting(Expected::Revision(read)), now).expect("nobody was faster");
    let error = board.put(Put::new(key("a"), 3).expecting(Expected::Revision(read)), now).expect_err("one was faster");
    assert_eq!(error, BoardError::Moved { key: key("a"), expected: Expected::Revision(read), found: Some(written) });
    assert_eq!(error.to_string(), "`a` is at revision 2, not at revision 1; read it anew");
    assert_eq!(board.get("a", now).map(|entry| *entry.value), Some(2));
    assert!(board.put(Put::new(key("a"), 3).expecting(Expected::Nothing), now).is_err());
    assert!(board.put(Put::new(key("b"), 3).expecting(Expected::Nothing), now).is_ok());
}

#[test]
fn a_value_is_over_at_its_moment_and_may_be_set_as_if_nothing_were_there() {
    let (mut board, now) = (Blackboard::default(), now());
    board.put(Put::new(key("a"), 1).living(millis(10)), now).expect("there is room");
    assert!(board.get("a", now + millis(9)).is_some() && board.get("a", now + millis(10)).is_none());
    assert_eq!(board.query(&all(), now + millis(10)).count(), 0);
    assert_eq!(board.next_end(), Some(now + millis(10)));
    board.put(Put::new(key("a"), 2).expecting(Expected::Nothing), now + millis(10)).expect("it is over");
    assert_eq!(board.get("a", now + millis(99)).map(|entry| *entry.value), Some(2));
}

#[test]
fn a_value_that_is_set_again_lives_as_long_as_it_was_said_last() {
    let (mut board, now) = (Blackboard::default(), now());
    board.put(Put::new(key("a"), 1).living(millis(10)), now).expect("there is room");
    board.put(Put::new(key("a"), 2).living(millis(30)), now).expect("there is room");
    assert_eq!(board.expire(now + millis(20)), 0);
    assert_eq!(board.expire(now + millis(30)), 1);
    assert!(board.is_empty() && board.next_end().is_none());
}

#[test]
fn a_full_board_refuses_another_key_and_takes_one_once_another_is_over() {
    let (mut board, now) = (Blackboard::new(BoardBounds { keys: 1, changes: 9 }), now());
    board.put(Put::new(key("a"), 1).living(millis(10)), now).expect("there is room");
    assert_eq!(board.set(key("b"), 2, now), Err(BoardError::Full { bound: 1 }));
    board.put(Put::new(key("a"), 3).living(millis(10)), now).expect("it is there already");
    board.set(key("b"), 2, now + millis(10)).expect("there is room again");
}

#[test]
fn a_watcher_sees_sets_removals_and_ends_of_what_it_watches_once_and_in_order() {
    let (mut board, now) = (Blackboard::default(), now());
    let mut cursor = board.watch("plan.*".parse().expect("a pattern"));
    board.put(Put::new(key("plan.a"), 1).living(millis(10)), now).expect("there is room");
    board.set(key("other"), 2, now).expect("there is room");
    board.set(key("plan.b"), 3, now).expect("there is room");
    board.remove(&key("plan.b"), Expected::Anything, now).expect("anything is expected");
    board.expire(now + millis(10));
    let told: Vec<_> = board
        .changes(&mut cursor)
        .expect("all are remembered")
        .into_iter()
        .map(|change| (change.revision.get(), change.key.as_str(), &change.what))
        .collect();
    let (one, three) = (What::Set(Arc::new(1)), What::Set(Arc::new(3)));
    assert_eq!(
        told,
        [(1, "plan.a", &one), (3, "plan.b", &three), (4, "plan.b", &What::Removed), (5, "plan.a", &What::Expired)]
    );
    assert_eq!(board.changes(&mut cursor), Ok(Vec::new()));
}

#[test]
fn a_watcher_that_fell_behind_is_told_how_far_and_goes_on_from_the_present() {
    let (mut board, now) = (Blackboard::new(BoardBounds { keys: 9, changes: 2 }), now());
    let mut cursor = board.watch(all());
    for value in 0..5 {
        board.set(key("a"), value, now).expect("it is one key");
    }
    assert_eq!(board.changes(&mut cursor), Err(Lagged { missed: 3 }));
    board.set(key("a"), 5, now).expect("it is one key");
    assert_eq!(board.changes(&mut cursor).map(|changes| changes.len()), Ok(1));
}

/// The board, said once more in another way: a list of what was set, with its end.
#[derive(Default)]
struct Naive(BTreeMap<String, (u32, Revision, Option<Instant>)>);

impl Naive {
    fn get(&self, key: &str, now: Instant) -> Option<(u32, Revision)> {
        let (value, revision, expires) = self.0.get(key)?;
        expires.is_none_or(|expires| expires > now).then_some((*value, *revision))
    }
}

#[derive(Clone, Debug)]
enum Act {
    Set(String, Option<u64>),
    Swap(String, bool),
    Remove(String),
    Pass(u64),
    Read,
}

fn any_act() -> impl Strategy<Value = Act> {
    let name = || "[a-d]";
    prop_oneof![
        (name(), of(1_u64..6)).prop_map(|(key, life)| Act::Set(key, life)),
        (name(), proptest::bool::ANY).prop_map(|(key, right)| Act::Swap(key, right)),
        name().prop_map(Act::Remove),
        (0_u64..4).prop_map(Act::Pass),
        proptest::strategy::Just(Act::Read),
    ]
}

proptest! {
    #[test]
    fn the_board_shows_what_a_naive_one_shows_and_a_watcher_can_rebuild_it(acts in vec(any_act(), 0..80)) {
        let mut board = Blackboard::new(BoardBounds { keys: 3, changes: 8 });
        let (mut naive, mut now) = (Naive::default(), now());
        let (mut cursor, mut rebuilt) = (board.watch(all()), BTreeMap::<String, u32>::new());
        for (number, act) in (0_u32..).zip(acts) {
            let lives = |naive: &Naive, now| ["a", "b", "c", "d"].iter().filter(|key| naive.get(key, now).is_some()).count();
            match act {
                Act::Set(name, life) => {
                    let room = naive.get(&name, now).is_some() || lives(&naive, now) < 3;
                    let set = board.put(lasting(&name, number, life), now);
                    prop_assert_eq!(set.is_ok(), room);
                    if let Ok(revision) = set {
                        naive.0.insert(name, (number, revision, life.map(|life| now + millis(life))));
                    }
                }
                Act::Swap(name, right) => {
                    let there = naive.get(&name, now).map(|(_, revision)| revision);
                    let expected = match (there, right) {
                        (Some(revision), true) => Expected::Revision(revision),
                        (Some(_), false) => Expected::Nothing,
                        (None, _) => Expected::Revision(Revision(1)),
                    };
                    let swapped = board.put(Put::new(key(&name), number).expecting(expected), now);
                    prop_assert_eq!(swapped.is_ok(), there.is_some() && right);
                    if let Ok(revision) = swapped {
                        naive.0.insert(name, (number, revision, None));
                    }
                }
                Act::Remove(name) => {
                    let removed = board.remove(&key(&name), Expected::Anything, now).expect("anything is expected");
                    prop_assert_eq!(removed.map(|entry| *entry.value), naive.get(&name, now).map(|(value, _)| value));
                    naive.0.remove(&name);
                }
                Act::Pass(time) => now += millis(time),
                Act::Read => {
                    board.expire(now);
                    // Who fell behind reads the board anew.
                    let Ok(changes) = board.changes(&mut cursor) else {
                        let shown = board.query(&cursor.pattern, now);
                        rebuilt = shown.map(|(key, entry)| (key.to_string(), *entry.value)).collect();
                        continue;
                    };
                    for change in changes {
                        match &change.what {
                            What::Set(value) => rebuilt.insert(change.key.to_string(), **value),
                            What::Removed | What::Expired => rebuilt.remove(change.key.as_str()),
                        };
                    }
                    let shown: BTreeMap<_, _> =
                        board.query(&cursor.pattern, now).map(|(key, entry)| (key.to_string(), *entry.value)).collect();
                    prop_assert_eq!(&rebuilt, &shown);
                }
            }
            for name in ["a", "b", "c", "d"] {
                let shown = board.get(name, now).map(|entry| (*entry.value, entry.revision));
                prop_assert_eq!(shown, naive.get(name, now), "{}", name);
            }
            prop_assert!(board.len() <= 3 && board.changes.len() <= 8);
        }
    }
}
