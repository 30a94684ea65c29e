//! Guarantee: a tree that makes no sense is refused before anything starts, and the message names the place and the
//! remedy.

use std::time::Duration;

use steadfast::testing::{Log, Probe};
use steadfast::{Backoff, Capability, ChildSpec, Failure, Intensity, StartError, Strategy, SupervisorSpec, System};

const SUM: Capability<u64, u64> = Capability::new("math.sum", "1.0");

/// Starts a tree whose first child writes to the log, and returns the message; nothing may have been started.
#[track_caller]
fn refused(log: &Log, outcome: Result<System, StartError>) -> String {
    let error = outcome.expect_err("it makes no sense");
    assert_eq!(log.lines(), Vec::<String>::new(), "nothing was started");
    let message = error.to_string();
    // Whoever prints the chain of causes too reads nothing twice.
    assert_eq!(Failure::new(error).to_string(), message);
    message
}

fn root(log: &Log) -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("first", log))
}

#[tokio::test(start_paused = true)]
async fn two_children_of_one_name_are_refused() {
    let log = Log::default();
    let inner =
        SupervisorSpec::new("inner", Strategy::OneForAll).child(Probe::spec("a", &log)).child(Probe::spec("a", &log));
    let outcome = System::start(root(&log).child(ChildSpec::supervisor(inner))).await;
    assert_eq!(refused(&log, outcome), "`root/inner` has two children named `a`; give each a name of its own");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_one_is_refused() {
    let log = Log::default();
    let rule = "use letters, digits, `-`, `_`, `.` and `:`, at least one of them";
    let outcome = System::start(root(&log).child(Probe::spec("a/b", &log))).await;
    assert_eq!(refused(&log, outcome), format!("below `root`: `a/b` is not a name: {rule}"));
    let outcome = System::start(root(&log).child(Probe::spec("", &log))).await;
    assert_eq!(refused(&log, outcome), format!("below `root`: `` is not a name: {rule}"));
    let inner = SupervisorSpec::new("in ner", Strategy::OneForAll);
    let outcome = System::start(root(&log).child(ChildSpec::supervisor(inner))).await;
    assert_eq!(refused(&log, outcome), format!("below `root`: `in ner` is not a name: {rule}"));
    let outcome = System::start(SupervisorSpec::new("ro ot", Strategy::OneForOne)).await;
    assert_eq!(refused(&log, outcome), format!("`ro ot` is not a name: {rule}"));
}

#[tokio::test(start_paused = true)]
async fn a_window_without_length_is_refused() {
    let log = Log::default();
    let inner =
        SupervisorSpec::new("inner", Strategy::OneForAll).intensity(Intensity::at_most(3).within(Duration::ZERO));
    let outcome = System::start(root(&log).child(ChildSpec::supervisor(inner))).await;
    assert_eq!(
        refused(&log, outcome),
        "`root/inner`: the period of the intensity is zero; give it a length, such as 5s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_allows_no_start_at_all_is_refused() {
    let log = Log::default();
    let outcome = System::start(root(&log).failed_starts(0)).await;
    assert_eq!(refused(&log, outcome), "`root`: `failed_starts` is 0; allow at least 1, or leave it out");
}

#[tokio::test(start_paused = true)]
async fn a_back_off_that_cannot_be_meant_is_refused() {
    let log = Log::default();
    let backoff = Backoff::constant(Duration::from_secs(1)).jitter(2.0);
    let outcome = System::start(root(&log).child(Probe::spec("feed", &log).backoff(backoff))).await;
    assert_eq!(
        refused(&log, outcome),
        "`root`: the back-off of `feed`: the jitter of the back-off is not a share of a delay; set it from 0.0 to 1.0"
    );
}

#[tokio::test(start_paused = true)]
async fn a_capability_in_a_version_that_is_not_one_is_refused() {
    let log = Log::default();
    let outcome = System::start(root(&log).child(ChildSpec::serve("adder", SUM, |_, n| async move { Ok(n) }))).await;
    assert_eq!(
        refused(&log, outcome),
        "`root/adder` offers `math.sum` in version `1.0`, which is not of the form 1.2.3"
    );
}

#[tokio::test(start_paused = true)]
async fn a_capability_whose_name_or_attribute_is_not_one_is_refused_and_the_character_is_named() {
    let log = Log::default();
    for (capability, problem) in [
        (
            Capability::new("math sum", "1.0.0"),
            "the name of the capability: expected a letter, digit, `-`, `_` or `.` at character 5 of `math sum`, found ` `",
        ),
        (
            Capability::new("math.sum", "1.0.0").with(&[("lang", "en,de")]),
            "the value of the attribute `lang`: expected a letter, digit, `-`, `_`, `.`, `:`, `/` or `+` at character 3 of `en,de`, found `,`",
        ),
    ] {
        let capability: Capability<i64, i64> = capability;
        let text = format!("`root/adder` offers `{}`, which cannot be offered: {problem}", capability.name());
        let adder = ChildSpec::serve("adder", capability, |_, n| async move { Ok(n) });
        assert_eq!(refused(&log, System::start(root(&log).child(adder)).await), text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_system_that_is_mounted_twice_is_refused() {
    let log = Log::default();
    let inner = SupervisorSpec::new("inner", Strategy::OneForAll).child(ChildSpec::system());
    let outcome = System::start(root(&log).child(ChildSpec::system()).child(ChildSpec::supervisor(inner))).await;
    assert_eq!(
        refused(&log, outcome),
        "`ChildSpec::system()` stands at `root/system` and at `root/inner/system`; mount it once"
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_offers_something_before_the_mounted_system_is_told_what_it_misses() {
    const WELL: Capability<u64, u64> = Capability::new("math.sum", "1.0.0");
    let adder = ChildSpec::serve("adder", WELL, |_, n| async move { Ok(n) });
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(adder).child(ChildSpec::system());
    let error = System::start(spec).await.expect_err("there is no registrar yet");
    assert_eq!(error.to_string(), "`root/adder` did not start: there is no `root/system/registrar` in the tree");
}

#[tokio::test(start_paused = true)]
async fn a_root_may_be_called_as_the_services_are() {
    let log = Log::default();
    let spec = SupervisorSpec::new("system", Strategy::OneForOne).child(Probe::spec("registrar", &log));
    let system = System::start(spec).await.expect("the tree starts");
    assert!(Probe::at(&system, "system/registrar").incarnation().is_some());
    system.shutdown().await.expect("an orderly end");
}
