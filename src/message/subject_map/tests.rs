//! What the map of subjects guarantees, beside a naive one.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;

fn subject(text: &str) -> Subject {
    text.parse().expect("a subject")
}

fn pattern(text: &str) -> Pattern {
    text.parse().expect("a pattern")
}

fn routed(map: &mut SubjectMap<u32>, text: &str) -> Vec<u32> {
    map.route(&subject(text)).into_iter().copied().collect()
}

/// A list of all subscriptions, that looks at each of them.
#[derive(Default)]
struct Naive {
    entries: Vec<(SubscriptionId, Pattern, Option<String>, u32)>,
    last: BTreeMap<String, SubscriptionId>,
}

impl Naive {
    fn remove(&mut self, id: SubscriptionId) -> Option<u32> {
        let place = self.entries.iter().position(|(known, ..)| *known == id)?;
        let (_, _, group, listener) = self.entries.remove(place);
        // A group without members is forgotten, with whose turn it was.
        if let Some(group) = group
            && !self.entries.iter().any(|(_, _, other, _)| other.as_deref() == Some(&*group))
        {
            self.last.remove(&group);
        }
        Some(listener)
    }

    fn route(&mut self, subject: &Subject) -> Vec<u32> {
        let (mut found, mut groups) = (Vec::new(), BTreeMap::<String, Vec<(SubscriptionId, u32)>>::new());
        for (id, pattern, group, listener) in &self.entries {
            match group {
                _ if !pattern.matches(subject) => {}
                None => found.push(*listener),
                Some(group) => groups.entry(group.clone()).or_default().push((*id, *listener)),
            }
        }
        for (name, members) in groups {
            let last = self.last.get(&name).copied();
            let next = members.iter().find(|(id, _)| last.is_some_and(|last| *id > last));
            let (id, listener) = next.unwrap_or(&members[0]);
            found.push(*listener);
            self.last.insert(name, *id);
        }
        found.sort_unstable();
        found
    }
}

#[derive(Clone, Debug)]
enum Act {
    Subscribe(String, Option<String>),
    Leave(usize),
    Route(String),
}

fn any_act() -> impl Strategy<Value = Act> {
    let group = prop_oneof![Just(None), Just(Some("g".to_owned())), Just(Some("h".to_owned()))];
    let route = || r"([ab]\.){0,3}[ab]".prop_map(Act::Route);
    prop_oneof![
        (r"([ab*]\.){0,3}[ab*>]", group).prop_map(|(pattern, group)| Act::Subscribe(pattern, group)),
        any::<usize>().prop_map(Act::Leave),
        route(),
        route(),
    ]
}

proptest! {
    #[test]
    fn the_map_finds_exactly_whom_a_naive_list_finds_also_whose_turn_it_is(acts in vec(any_act(), 0..60)) {
        let (mut map, mut naive, mut ids) = (SubjectMap::new(24), Naive::default(), Vec::new());
        for (number, act) in (0_u32..).zip(acts) {
            match act {
                Act::Subscribe(text, group) => {
                    let pattern = pattern(&text);
                    let added = match &group {
                        None => map.subscribe(&pattern, number),
                        Some(group) => map.join(&pattern, group, number),
                    };
                    prop_assert_eq!(added.is_ok(), naive.entries.len() < 24);
                    if let Ok(id) = added {
                        ids.push(id);
                        naive.entries.push((id, pattern, group, number));
                    }
                }
                Act::Leave(which) if !ids.is_empty() => {
                    let id = ids[which % ids.len()];
                    prop_assert_eq!(map.unsubscribe(id), naive.remove(id));
                }
                Act::Leave(_) => {}
                Act::Route(text) => {
                    let mut found = routed(&mut map, &text);
                    found.sort_unstable();
                    prop_assert_eq!(found, naive.route(&subject(&text)));
                    let matching: Vec<_> = map.matching(&subject(&text)).into_iter().map(|(_, listener)| *listener).collect();
                    let expected = naive.entries.iter().filter(|entry| entry.1.matches(&subject(&text)));
                    prop_assert_eq!(matching, expected.map(|entry| entry.3).collect::<Vec<_>>());
                }
            }
            prop_assert_eq!(map.len(), naive.entries.len());
        }
        for id in ids {
            map.unsubscribe(id);
        }
        prop_assert!(map.is_empty() && map.root.is_empty() && map.groups.is_empty());
    }

    #[test]
    fn over_any_number_of_messages_no_member_of_a_group_gets_two_more_than_another(
        members in 1_usize..8, messages in 0_usize..50,
    ) {
        let mut map = SubjectMap::new(100);
        for member in 0..u32::try_from(members).expect("few") {
            // Under patterns that overlap: they are one group all the same.
            map.join(&pattern(if member % 2 == 0 { "a.*" } else { "a.>" }), "g", member).expect("there is room");
        }
        let mut counts = vec![0_usize; members];
        for _ in 0..messages {
            let [member] = routed(&mut map, "a.b")[..] else { panic!("each message is for one") };
            counts[member as usize] += 1;
        }
        let (least, most) = (counts.iter().min().copied(), counts.iter().max().copied());
        prop_assert!(most.unwrap_or(0) - least.unwrap_or(0) <= 1);
        prop_assert_eq!(counts.iter().sum::<usize>(), messages);
    }
}

#[test]
fn listeners_are_visited_by_pattern_and_by_age_and_groups_come_last() {
    let mut map = SubjectMap::new(10);
    for (number, text) in (0..).zip(["a.>", "*.b", "a.b", "a.*", "a.b"]) {
        map.subscribe(&pattern(text), number).expect("there is room");
    }
    map.join(&pattern("a.b"), "g", 9).expect("there is room");
    assert_eq!(routed(&mut map, "a.b"), [2, 4, 3, 0, 1, 9]);
}

#[test]
fn one_more_than_the_bound_is_refused_and_comes_back() {
    let mut map = SubjectMap::new(1);
    let id = map.subscribe(&pattern("a"), 1).expect("there is room");
    assert_eq!(map.join(&pattern("a"), "g", 2), Err(SubjectMapFull { bound: 1, listener: 2 }));
    assert_eq!(routed(&mut map, "a"), [1]);
    assert_eq!(map.unsubscribe(id), Some(1));
    assert_eq!(map.unsubscribe(id), None);
    map.subscribe(&pattern("a"), 3).expect("there is room again");
}

#[test]
fn a_turn_passes_over_who_left_and_whose_pattern_does_not_match() {
    let mut map = SubjectMap::new(10);
    let first = map.join(&pattern("a"), "g", 1).expect("there is room");
    map.join(&pattern("b"), "g", 2).expect("there is room");
    map.join(&pattern("*"), "g", 3).expect("there is room");
    assert_eq!(routed(&mut map, "a"), [1]);
    map.unsubscribe(first);
    assert_eq!(routed(&mut map, "a"), [3]);
    assert_eq!(routed(&mut map, "b"), [2]);
    assert_eq!(routed(&mut map, "b"), [3]);
}

#[test]
fn every_member_is_asked_once_beginning_after_the_one_whose_turn_it_was() {
    let members = [1, 4, 6].map(SubscriptionId);
    for (last, order) in
        [(None, [0, 1, 2]), (Some(0), [0, 1, 2]), (Some(1), [1, 2, 0]), (Some(5), [2, 0, 1]), (Some(6), [0, 1, 2])]
    {
        assert_eq!(turns(&members, last.map(SubscriptionId)).collect::<Vec<_>>(), order, "after {last:?}");
    }
    assert_eq!(turns(&[], None).count(), 0);
}

#[test]
fn who_is_replaced_keeps_its_age_and_its_turn() {
    let mut map = SubjectMap::new(9);
    let pattern = "a.>".parse().expect("a pattern");
    let first = map.subscribe(&pattern, "first").expect("there is room");
    map.subscribe(&pattern, "second").expect("there is room");
    let member = map.join(&pattern, "group", "member").expect("there is room");
    assert_eq!(map.replace(first, "anew"), Some("first"));
    assert_eq!(map.replace(member, "another"), Some("member"));
    let subject = "a.b".parse().expect("a subject");
    let found: Vec<_> = map.matching(&subject).into_iter().map(|(_, listener)| *listener).collect();
    assert_eq!(found, ["anew", "second", "another"]);
    map.unsubscribe(first);
    assert_eq!((map.replace(first, "gone"), map.len()), (None, 2));
}
