//! A plan and chaos are read as they are written, and what is neither is told with the place.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::fault::{Chance, Chaos, ChaosLine, Crash, Link, PathPattern, Point, Skew, Way};

fn a_time() -> impl Strategy<Value = Duration> {
    prop_oneof![(0_u64..5000).prop_map(Duration::from_millis), (0..u64::MAX / 4).prop_map(Duration::from_nanos)]
}

fn a_window() -> impl Strategy<Value = (Duration, Duration)> {
    (a_time(), a_time())
}

fn a_pattern() -> impl Strategy<Value = PathPattern> {
    let patterns = &["root/a", "root/*", "**", "system/journal", "a:root/**", "n-1:root/a:b", "*:x:y/z"][..];
    select(patterns).prop_map(|text| text.parse().expect("a pattern"))
}

fn a_node() -> impl Strategy<Value = NodePattern> {
    select(&["a", "node-1", "*", "at"][..]).prop_map(|text| text.parse().expect("a node"))
}

fn about() -> impl Strategy<Value = Option<String>> {
    option::of(prop_oneof!["[ -~]{1,8}", ".{0,5}", Just("#2".to_owned()), Just("always".to_owned())])
}

fn a_point() -> impl Strategy<Value = Place> {
    let point = prop_oneof![select(Point::ALL.as_slice()), Just(Point::Named("half-way".into()))];
    (point, a_pattern(), about()).prop_map(|(point, path, about)| Place::Point { point, path, about })
}

fn a_link() -> impl Strategy<Value = Place> {
    let link = (a_node(), a_node(), select(&[Way::To, Way::With][..]));
    (link, about()).prop_map(|((from, to, way), about)| Place::Link { link: Link { from, to, way }, about })
}

fn lasting() -> impl Strategy<Value = When> {
    prop_oneof![a_window().prop_map(|(from, to)| When::Between(from, to)), Just(When::Always)]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![(1_u64..9).prop_map(When::Nth), lasting()]
}

fn for_a_life() -> impl Strategy<Value = Action> {
    prop_oneof![
        select(&[Action::Panic, Action::Error, Action::Hang, Action::Kill][..]),
        a_time().prop_map(Action::Slow),
        option::of(a_time()).prop_map(Action::Block)
    ]
}

fn for_a_message() -> impl Strategy<Value = Action> {
    prop_oneof![select(&[Action::Drop, Action::Duplicate, Action::Reorder][..]), a_time().prop_map(Action::Delay)]
}

fn for_others() -> impl Strategy<Value = Action> {
    let how = select(&[Crash::Process, Crash::Power, Crash::Torn][..]);
    let by = prop_oneof![a_time().prop_map(Skew::Ahead), a_time().prop_map(Skew::Behind)];
    prop_oneof![
        a_pattern().prop_map(Action::KillOther),
        (a_node(), how, option::of(a_time())).prop_map(|(node, how, down)| Action::Crash { node, how, down }),
        (a_node(), by).prop_map(|(node, by)| Action::Skew { node, by })
    ]
}

fn a_fault() -> impl Strategy<Value = Planned> {
    let at = |(action, place, when)| Planned { action, trigger: Trigger::At { place, when } };
    let at_a_time =
        for_others().prop_filter("a node is named", |action| !action.node().is_some_and(NodePattern::is_any));
    prop_oneof![
        (prop_oneof![for_a_life(), for_others()], a_point(), when()).prop_map(at),
        (for_a_message(), a_link(), when()).prop_map(at),
        (Just(Action::Partition), a_link(), lasting()).prop_map(at),
        (at_a_time, a_time()).prop_map(|(action, at)| Planned { action, trigger: Trigger::Time(at) })
    ]
}

fn a_line() -> impl Strategy<Value = ChaosLine> {
    let at = prop_oneof![(prop_oneof![for_a_life(), for_others()], a_point()), (for_a_message(), a_link()),];
    let chance = (0..=1_000_000_u32).prop_map(Chance::per_million);
    let mean = a_time().prop_map(|mean| mean + Duration::from_nanos(1));
    prop_oneof![
        (at, chance, option::of(a_window())).prop_map(|((action, place), chance, window)| ChaosLine::Sometimes {
            action,
            chance,
            place,
            window
        }),
        (for_others(), mean).prop_map(|(action, mean)| ChaosLine::Every { action, mean }),
        Just(ChaosLine::Swarm)
    ]
}

proptest! {
    #[test]
    fn a_plan_is_read_as_it_is_written_as_text_and_as_json(faults in vec(a_fault(), 0..5)) {
        let plan = Plan { faults };
        prop_assert_eq!(plan.to_string().parse::<Plan>(), Ok(plan.clone()), "{}", plan);
        let json = serde_json::to_string(&plan).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Plan>(&json).expect("a plan"), plan, "{}", json);
    }

    #[test]
    fn chaos_is_read_as_it_is_written_as_text_and_as_json(lines in vec(a_line(), 0..5)) {
        let chaos = Chaos { lines };
        prop_assert_eq!(chaos.to_string().parse::<Chaos>(), Ok(chaos.clone()), "{}", chaos);
        let json = serde_json::to_string(&chaos).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Chaos>(&json).expect("chaos"), chaos, "{}", json);
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in ".{0,60}", words in vec(select(WORDS), 0..12)) {
        let _ = (text.parse::<Plan>(), text.parse::<Chaos>());
        let text = words.join(" ");
        let _ = (text.parse::<Plan>(), text.parse::<Chaos>());
    }
}

const WORDS: &[&str] = &[
    "panic",
    "kill",
    "block",
    "crash",
    "skew",
    "drop",
    "partition",
    "at",
    "link",
    "a",
    "*",
    "to",
    "with",
    "for",
    "ever",
    "2s",
    "5%",
    "every",
    "before-message",
    "of",
    "root/a",
    "about",
    "\"x",
    "#2",
    "from",
    "always",
    "swarm",
    ";",
    "ahead",
];

#[test]
fn what_is_no_plan_is_refused_with_the_place_and_what_was_expected() {
    let cases = [
        ("burn at before-start of root/a", "begins with panic"),
        ("panic before-start of root/a", "`at` is missing"),
        ("panic at before-start root/a", "`of` is missing"),
        ("panic at before-start of", "a path is missing"),
        ("panic at before-start of root//a", "a name is missing"),
        ("panic at before-start of root/a #0", "from 1 on"),
        ("panic at before-start of root/a from 1s", "`to` is missing"),
        ("panic at before-start of root/a from 1 to 2s", "a whole number with s"),
        ("panic at before-start of root/a #1 twice", "one word too many"),
        ("panic at before-start of root/a about \"x", "a quote has no end"),
        ("slow at before-start of root/a", "a whole number with s"),
        ("panic at 2s", "at a time only `kill`"),
        ("kill root/a at 2s always", "one word too many"),
        ("kill at 99999999999999999999s", "a whole number with s"),
        ("panic at before-start of a b:root/a", "which of the times is"),
        ("panic at before-start of a/b:root/*x", "a `*` stands for a whole name"),
        ("panic at before-start of a?:root/a", "a node has a name"),
        ("block 5 at before-start of root/a", "a whole number with s"),
        ("block for ever at before-start of root/a", "a whole number with s"),
        ("drop at before-message of root/a", "are for messages between nodes"),
        ("panic at link a to b", "on a link there are drop"),
        ("kill root/a at link a to b", "on a link there are drop"),
        ("drop at link a", "`to` or `with` is missing"),
        ("drop at link a to", "a node is missing"),
        ("drop at link a; b", "`to` or `with` is missing"),
        ("drop at 2s", "at a time only `kill`"),
        ("partition at link a with b", "a partition lasts"),
        ("crash at 2s", "`at` is missing"),
        ("crash a for at 2s", "a whole number with s"),
        ("crash * at 2s", "a node is named"),
        ("skew a 2s at 2s", "`ahead` or `behind`"),
    ];
    for (text, problem) in cases {
        let error = text.parse::<Plan>().expect_err(text).to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
}

#[test]
fn what_is_no_chaos_is_refused_with_the_place_and_what_was_expected() {
    let cases = [
        ("burn 1% at before-start of root/a", "begins with panic"),
        ("panic", "how likely, such as `0.5%`"),
        ("panic at before-start of root/a", "how likely is missing before `at`"),
        ("panic 101% at before-start of root/a", "at most `100%`"),
        ("panic 0.00001% at before-start of root/a", "four decimals"),
        ("panic -1% at before-start of root/a", "how likely is a percentage"),
        ("panic 1.% at before-start of root/a", "how likely is a percentage"),
        ("panic 1% before-start of root/a", "`at` is missing"),
        ("panic 1% at 2s", "this is no point"),
        ("panic 1% at before-start of root/a #3", "one word too many"),
        ("panic 1% at link a to b", "on a link there are drop"),
        ("partition 1% at link a to b", "a partition has no chance"),
        ("panic every 2s", "`every` is for"),
        ("kill root/a every 0s", "it would never stop"),
        ("kill root/a every day", "a whole number with s"),
        ("swarm of bees", "one word too many"),
    ];
    for (text, problem) in cases {
        let error = text.parse::<Chaos>().expect_err(text).to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
}
