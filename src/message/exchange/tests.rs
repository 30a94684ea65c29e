//! Whatever is done to an exchange, every letter is where a naive list says, and the bounds hold.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::*;
use crate::TokioClock;
use crate::seam::Clock;

/// What is done; numbers choose among those that there are.
#[derive(Clone, Debug)]
enum Step {
    Subscribe { group: Option<u8>, bound: usize },
    Publish,
    Take(usize),
    Ack(usize),
    Nak(usize),
    Expire,
    Leave(usize),
    Vanish(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = prop_oneof![
        (proptest::option::of(0..2_u8), 1..4_usize).prop_map(|(group, bound)| Step::Subscribe { group, bound }),
        Just(Step::Publish),
        Just(Step::Publish),
        any::<usize>().prop_map(Step::Take),
        any::<usize>().prop_map(Step::Take),
        any::<usize>().prop_map(Step::Ack),
        any::<usize>().prop_map(Step::Nak),
        Just(Step::Expire),
        any::<usize>().prop_map(Step::Leave),
        any::<usize>().prop_map(Step::Vanish),
    ];
    vec(one, 0..120)
}

/// By which a letter counts: its number, and the group or the subscription that it is for.
type Key = (u64, Result<String, SubscriptionId>);

struct Model {
    exchange: Exchange<()>,
    now: Instant,
    ids: Vec<SubscriptionId>,
    out: Vec<(Ticket, Key)>,
    /// Not acknowledged yet, and somebody could still have them.
    live: BTreeSet<Key>,
    published: u64,
}

fn key(target: &Target, letter: &Letter) -> Key {
    (letter.number, target.group.as_deref().map_or(Err(target.id), |group| Ok(group.to_owned())))
}

impl Model {
    fn arrive(&mut self, target: &Target, letter: &Letter) {
        let key = key(target, letter);
        match self.exchange.arrive(target, letter.clone()) {
            Arrival::Waits => assert!(self.live.insert(key), "a letter was there twice"),
            Arrival::Full => {}
            Arrival::Elsewhere(_) | Arrival::Nobody => panic!("all that are routed to are there"),
        }
    }

    /// Carries letters to where they go again: nothing may get lost by it.
    fn carry(&mut self, again: Vec<Again>) {
        for Again { target, letter } in again {
            assert!(self.live.contains(&key(&target, &letter)), "only what is not acknowledged goes again");
            assert!(matches!(self.exchange.arrive(&target, letter), Arrival::Waits), "what goes again finds room");
        }
    }

    fn back(&mut self, back: Back) {
        if let Back::Elsewhere(again) = back {
            self.carry(vec![again]);
        }
    }

    fn step(&mut self, step: &Step) {
        let pick = |number: usize, of: usize| (of > 0).then(|| number % of);
        match step {
            Step::Subscribe { group, bound } => {
                let interest = Interest::new(">".parse().expect("a pattern")).bound(*bound);
                let interest = interest.ack_within(Duration::from_secs(1));
                let interest = match group {
                    Some(group) => interest.in_group(format!("g{group}")),
                    None => interest,
                };
                self.ids.push(self.exchange.subscribe(interest, ()).expect("there is room"));
            }
            Step::Publish => {
                let message = Message::new("a".parse().expect("a subject"), *b"");
                let letter = Letter::new(message, "".into(), self.published);
                self.published += 1;
                for target in self.exchange.route(letter.message.subject()) {
                    self.arrive(&target, &letter);
                }
            }
            Step::Take(number) => {
                let Some(at) = pick(*number, self.ids.len()) else { return };
                if let Some(taken) = self.exchange.take(self.ids[at], self.now) {
                    let out = &self.exchange.out[&taken.ticket];
                    self.out.push((taken.ticket, key(&out.target, &out.letter)));
                }
            }
            Step::Ack(number) => {
                let Some(at) = pick(*number, self.out.len()) else { return };
                let (ticket, key) = self.out.remove(at);
                if self.exchange.ack(ticket).is_ok() {
                    self.live.remove(&key);
                }
            }
            Step::Nak(number) => {
                let Some(at) = pick(*number, self.out.len()) else { return };
                let back = self.exchange.nak(self.out.remove(at).0);
                self.back(back);
            }
            Step::Expire => {
                self.now += Duration::from_millis(700);
                for back in self.exchange.expire(self.now) {
                    self.back(back);
                }
            }
            Step::Leave(number) | Step::Vanish(number) => {
                let Some(at) = pick(*number, self.ids.len()) else { return };
                let id = self.ids.remove(at);
                let again = match step {
                    Step::Leave(_) => self.exchange.leave(id),
                    _ => self.exchange.vanish(&[id]),
                };
                self.carry(again);
            }
        }
        self.forget_those_of_nobody();
        self.check();
    }

    /// What was for a subscription or a group that is gone is nobody's, once it is not out any more.
    fn forget_those_of_nobody(&mut self) {
        let Exchange { listeners, out, .. } = &self.exchange;
        let is_there = |key: &Key| match &key.1 {
            Err(id) => listeners.contains_key(id),
            Ok(group) => listeners.values().any(|listener| listener.group.as_deref() == Some(group)),
        };
        let is_out =
            |key: &Key| out.values().any(|out| crate::message::exchange::tests::key(&out.target, &out.letter) == *key);
        self.live.retain(|key| is_there(key) || is_out(key));
    }

    fn check(&self) {
        let mut found = Vec::new();
        for (id, listener) in &self.exchange.listeners {
            let target = Target { id: *id, group: listener.group.clone() };
            found.extend(listener.ready.iter().map(|letter| key(&target, letter)));
            let first = listener.ready.iter().filter(|letter| !letter.again).count();
            assert!(first <= listener.interest.bound, "first deliveries went over the bound");
            let out = self.exchange.out.values().filter(|out| out.target.id == *id).count();
            assert_eq!(listener.out, out, "what is out is counted");
        }
        found.extend(self.exchange.out.values().map(|out| key(&out.target, &out.letter)));
        found.sort();
        assert!(found.iter().eq(&self.live), "here are {found:?}, and not {:?}", self.live);
        let due: BTreeSet<_> = self.exchange.out.iter().filter_map(|(id, out)| Some((out.due?, *id))).collect();
        assert_eq!(self.exchange.due, due, "each that is out has its time");
        let groups: BTreeSet<_> = self.exchange.listeners.values().filter_map(|one| one.group.clone()).collect();
        assert!(self.exchange.groups.keys().eq(&groups), "no group outlives its members");
    }
}

proptest! {
    #[test]
    fn a_letter_is_in_one_place_until_it_is_acknowledged_or_nobody_is_left_to_have_it(steps in steps()) {
        let mut model = Model {
            exchange: Exchange::new(1000),
            now: TokioClock.now(),
            ids: Vec::new(),
            out: Vec::new(),
            live: BTreeSet::new(),
            published: 0,
        };
        for step in steps {
            model.step(&step);
        }
    }
}

#[test]
fn a_member_without_room_is_passed_over_and_where_none_has_room_the_one_whose_turn_it_is_misses_it() {
    let mut exchange = Exchange::new(10);
    let mut join = |bound| {
        let interest = Interest::new(">".parse().expect("a pattern")).in_group("g").bound(bound);
        exchange.subscribe(interest, ()).expect("there is room")
    };
    let (small, large) = (join(1), join(3));
    for number in 0..6 {
        let letter = Letter::new(Message::new("a".parse().expect("a subject"), *b""), "".into(), number);
        for target in exchange.route(letter.message.subject()) {
            exchange.arrive(&target, letter.clone());
        }
    }
    let numbers = |exchange: &Exchange<()>, id| {
        exchange.listeners[&id].ready.iter().map(|letter| letter.number).collect::<Vec<_>>()
    };
    assert_eq!((numbers(&exchange, small), numbers(&exchange, large)), (vec![0], vec![1, 2, 3]));
    assert_eq!((exchange.missed(small), exchange.missed(large)), (Some(1), Some(1)));
}
