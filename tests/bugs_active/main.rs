//! Guarantee: each bug on purpose has an effect that can be seen, and nobody has it who did not ask for it.
//!
//! These tests know the bugs by name. That they are found by who does not is shown elsewhere. Those of the orchestrator
//! are in its own tests.

mod mailbox;
mod messages;
mod services;
mod supervision;

use std::time::Duration;

use steadfast::testing::{Bug, Log};
use steadfast::{AgentSpec, BoxError, Capability, ChildSpec, Intensity, Served, Strategy, SupervisorSpec, System};

const SECOND: Duration = Duration::from_secs(1);

const WORK: Capability<u64, u64> = Capability::new("test.work", "1.0.0");
/// So long takes this message to a worker, and crashes it.
const FUSE: u64 = 0;

/// Declares what is seen of a system that makes no mistake, and of one that makes this one.
macro_rules! seen {
    ($($bug:ident by $look:ident: $right:literal, or $wrong:literal;)*) => {
        pub(crate) const SHOWN: &[steadfast::testing::Bug] = &[$(steadfast::testing::Bug::$bug,)*];

        #[tokio::test(start_paused = true)]
        async fn each_bug_is_seen_where_it_was_asked_for_and_only_there() {
            let mut others = Vec::new();
            $(
                let bug = steadfast::testing::Bug::$bug;
                let (without, with) = ($look(None).await, $look(Some(bug)).await);
                if (without.as_str(), with.as_str()) != ($right, $wrong) {
                    others.push(format!("{bug}: {without:?} without it, {with:?} with it"));
                }
            )*
            assert!(others.is_empty(), "{others:#?}");
        }
    };
}
use seen;

fn root() -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(100))
}

async fn start(bug: Option<Bug>, spec: SupervisorSpec) -> System {
    System::builder().bug(bug).start(spec).await.expect("the tree starts")
}

/// Replies with what it was asked; or burns its fuse.
fn worker(name: &str) -> AgentSpec<Served<u64, u64>> {
    ChildSpec::serve(name, WORK, |_, number| async move {
        if number == FUSE {
            tokio::time::sleep(5 * SECOND).await;
            return Err::<_, BoxError>("the fuse has burnt down".into());
        }
        Ok(number)
    })
}

/// The lines of one agent.
fn of(log: &Log, path: &str) -> String {
    let lines = log.take().into_iter().filter(|line| line.contains(path));
    lines.map(|line| line.replace(&format!("{path} "), "")).collect::<Vec<_>>().join(", ")
}

/// What it was told by numbers, with the lives that handled them.
fn echoes(log: &Log) -> String {
    let lines = log.take().into_iter().filter(|line| line.contains("echo"));
    lines.filter_map(|line| line.split_once('#').map(|(_, rest)| rest.to_owned())).collect::<Vec<_>>().join(", ")
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

#[test]
fn each_bug_that_is_not_the_orchestrators_is_seen_here() {
    let mut shown = [supervision::SHOWN, mailbox::SHOWN, messages::SHOWN, services::SHOWN].concat();
    shown.sort_unstable();
    let elsewhere = |bug: &Bug| ["leases", "orchestrator"].contains(&bug.area());
    let expected: Vec<_> = Bug::ALL.iter().copied().filter(|bug| !elsewhere(bug)).collect();
    assert_eq!(shown, expected);
}
