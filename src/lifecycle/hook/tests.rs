//! What the hooks of a change guarantee.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use super::*;
use crate::lifecycle::StateName::{Active, Draining, Registered, Suspended, Terminated};

const ENTER: Change = Change { from: Registered, to: Active };
const END: Change = Change { from: Active, to: Terminated };

/// Hooks that note their names, of which some fail; and what came of a change.
fn run(hooks: &Hooks<&'static str>, change: Change, failing: &[&str]) -> (Vec<&'static str>, String) {
    let mut ran = Vec::new();
    let outcome = hooks.run(change, |name, _| {
        ran.push(*name);
        if failing.contains(name) { Err("no".to_owned()) } else { Ok(()) }
    });
    let told = match outcome {
        Ok(Changed { failures, .. }) => {
            failures.iter().fold("changed".to_owned(), |told, failure| told + " !" + &failure.hook)
        }
        Err(error) => error.to_string(),
    };
    (ran, told)
}

fn four() -> Hooks<&'static str> {
    Hooks::new().after("a1", On::Any, "a1").before("b1", On::Any, "b1").before("b2", On::Any, "b2").after(
        "a2",
        On::Any,
        "a2",
    )
}

#[test]
fn hooks_run_in_the_order_in_which_they_were_added_those_before_the_change_first() {
    assert_eq!(run(&four(), ENTER, &[]), (vec!["b1", "b2", "a1", "a2"], "changed".to_owned()));
}

#[test]
fn a_hook_that_fails_before_a_change_refuses_it_and_says_why_and_no_later_one_runs() {
    let told = "the hook `b1` refused registered to active: no".to_owned();
    assert_eq!(run(&four(), ENTER, &["b1"]), (vec!["b1"], told));
}

#[test]
fn a_hook_that_fails_after_a_change_is_reported_and_the_change_stands_and_the_others_run() {
    assert_eq!(run(&four(), ENTER, &["a1"]), (vec!["b1", "b2", "a1", "a2"], "changed !a1".to_owned()));
}

#[test]
fn no_hook_keeps_an_agent_from_ending() {
    assert_eq!(run(&four(), END, &["b1", "a2"]), (vec!["b1", "b2", "a1", "a2"], "changed !b1 !a2".to_owned()));
}

#[test]
fn a_change_that_the_table_does_not_allow_is_refused_before_any_hook_runs() {
    let (ran, told) = run(&four(), Change { from: Draining, to: Active }, &[]);
    assert_eq!(ran, Vec::<&str>::new());
    assert_eq!(told, "an agent that is draining may not become active; terminated may follow");
}

#[test]
fn a_hook_runs_at_the_changes_that_it_is_for_and_at_no_others() {
    let resume = Change { from: Suspended, to: Active };
    let hooks = Hooks::new()
        .before("leaving", On::Leaving(Registered), "leaving")
        .before("entering", On::Entering(Active), "entering")
        .before("exactly", On::Exactly(resume), "exactly");
    assert_eq!(run(&hooks, ENTER, &[]).0, ["leaving", "entering"]);
    assert_eq!(run(&hooks, resume, &[]).0, ["entering", "exactly"]);
    assert_eq!(run(&hooks, END, &[]).0, Vec::<&str>::new());
    assert_eq!(hooks.at(Moment::Before, ENTER).count(), 2);
}

#[test]
fn whoever_drives_a_passage_sees_the_change_between_the_hooks() {
    let hooks = four();
    let mut passage = hooks.begin(ENTER).expect("it is legal");
    let mut seen = String::new();
    loop {
        match passage.step() {
            Step::Run(hook) => seen += hook.name(),
            Step::Change => seen += "|",
            Step::Over => break,
        }
    }
    assert_eq!(seen, "b1b2|a1a2");
}

fn any_change() -> impl Strategy<Value = Change> {
    let state = || select(StateName::ALL.to_vec());
    (state(), state()).prop_map(|(from, to)| Change { from, to })
}

proptest! {
    #[test]
    fn a_change_is_made_exactly_when_it_is_legal_and_nobody_before_it_failed(
        change in any_change(),
        plan in vec((any::<bool>(), any::<bool>()), 0..8),
    ) {
        let mut hooks = Hooks::new();
        for (number, (before, fails)) in plan.iter().enumerate() {
            let name = number.to_string();
            let action = (*before, *fails);
            hooks = if *before { hooks.before(name, On::Any, action) } else { hooks.after(name, On::Any, action) };
        }
        let mut ran_after = 0;
        let outcome = hooks.run(change, |(before, fails), _| {
            ran_after += usize::from(!before);
            if *fails { Err("no".to_owned()) } else { Ok(()) }
        });
        let legal = change.from.may_become(change.to);
        let refused = change.to != Terminated && plan.iter().any(|(before, fails)| *before && *fails);
        prop_assert_eq!(outcome.is_ok(), legal && !refused);
        prop_assert_eq!(ran_after, if outcome.is_ok() { plan.iter().filter(|(before, _)| !before).count() } else { 0 });
        if let Ok(changed) = outcome {
            prop_assert_eq!(changed.failures.len(), plan.iter().filter(|(_, fails)| *fails).count());
            prop_assert!(changed.change == change);
        }
    }
}
