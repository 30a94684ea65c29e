//! A plan is read as it is written, and what is none is told with the place.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn a_time() -> impl Strategy<Value = Duration> {
    prop_oneof![(0_u64..5000).prop_map(Duration::from_millis), (0..u64::MAX / 4).prop_map(Duration::from_nanos)]
}

fn a_pattern() -> impl Strategy<Value = PathPattern> {
    ["root/a", "root/*", "root/workers/**", "**", "system/journal"].as_slice().prop_map_pattern()
}

trait PropMapPattern {
    fn prop_map_pattern(self) -> BoxedStrategy<PathPattern>;
}

impl PropMapPattern for &'static [&'static str] {
    fn prop_map_pattern(self) -> BoxedStrategy<PathPattern> {
        proptest::sample::select(self).prop_map(|text| text.parse().expect("a pattern")).boxed()
    }
}

fn a_trigger() -> impl Strategy<Value = Trigger> {
    let when = prop_oneof![
        (1_u64..9).prop_map(When::Nth),
        (a_time(), a_time()).prop_map(|(from, to)| When::Between(from, to)),
        Just(When::Always)
    ];
    let point = prop_oneof![proptest::sample::select(Point::ALL.as_slice()), Just(Point::Named("half-way".into()))];
    let about = option::of("[ -:<-~]{1,8}");
    (point, a_pattern(), about, when).prop_map(|(point, path, about, when)| Trigger::Point { point, path, about, when })
}

fn a_fault() -> impl Strategy<Value = Planned> {
    let of_a_point = prop_oneof![
        Just(Action::Panic),
        Just(Action::Error),
        Just(Action::Hang),
        Just(Action::Kill),
        a_time().prop_map(Action::Slow),
        a_pattern().prop_map(Action::KillOther)
    ];
    prop_oneof![
        (of_a_point, a_trigger()).prop_map(|(action, trigger)| Planned { action, trigger }),
        (a_pattern(), a_time())
            .prop_map(|(path, at)| Planned { action: Action::KillOther(path), trigger: Trigger::Time(at) })
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
    fn no_text_makes_the_parser_panic(text in ".{0,60}") {
        let _ = text.parse::<Plan>();
    }
}

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
        ("kill at 99999999999999999999s", "a whole number with s"),
    ];
    for (text, problem) in cases {
        let error = text.parse::<Plan>().expect_err(text).to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
}
