//! Guarantee: a process that is stopped right before or right after any append to its journal, with a power cut that
//! takes what its disk had not synced, ends where the calm run does: no recorded step runs again, and nothing that was
//! acknowledged is lost. Exhaustive: each seed stops at another append, and the last ones come after the end.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::stops::{Witness, check, lock, one_stop};
use common::{RUN, World};
use steadfast::testing::{self, Disk, Node};
use steadfast::{BoxError, RunId, System};
use steadfast_orchestration::agents::orchestrator::{Feed, Orchestrator, OrchestratorMessage};
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Kept, Report, Standing, TaskId, Tell};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};
use uuid::Uuid;

/// What somebody does while the goal is carried out, again and again until it is so.
#[derive(Clone, Copy)]
enum Wish {
    Nothing,
    /// Says yes to this task.
    Approve(&'static str),
    /// Resumes the run whenever it is paused.
    Resume,
}

/// A goal, and how it ends.
struct Case {
    goal: &'static str,
    wish: Wish,
    ends: &'static str,
}

fn parts(case: &Case, witness: &Arc<Mutex<Witness>>) -> World {
    let (mut parts, _) = World::new(case.goal, MemoryFiles::new());
    parts.jobs = 2;
    parts.kept = Kept::Journaled;
    let witness = Arc::clone(witness);
    parts.commands = Arc::new(ScriptedCommands::later(move |invocation| {
        let witness = Arc::clone(&witness);
        Box::pin(async move {
            let of = |name: &str| invocation.env.get(name).cloned().unwrap_or_default();
            let (key, attempt) = (of("STEADFAST_IDEMPOTENCY_KEY"), of("STEADFAST_ATTEMPT"));
            let begun = lock(&witness).begin(key, attempt);
            tokio::time::sleep(Duration::from_millis(5)).await;
            // What is tired fails until it has begun often enough.
            let program = invocation.program.as_str();
            let fails = program == "fail" || (program == "tired" && begun < 3);
            Ok(Completed::new(Exit::Code(i32::from(fails))).stdout(invocation.args.join(" ")))
        })
    }));
    parts
}

/// What a seed came to: whether its process was stopped, how many appends there were, and how the goal ended.
#[derive(Clone, Debug, Default)]
struct Ran {
    is_stopped: bool,
    appends: u64,
    ends: String,
    digest: String,
}

/// Carries a goal out over one stop, which the seed chooses.
async fn carry_out(world: testing::World, case: &'static Case) -> Result<Ran, BoxError> {
    let witness: Arc<Mutex<Witness>> = Arc::default();
    let (staff, run) = parts(case, &witness).parts();
    let (feed, disk) = (run.feed.clone(), Disk::new(world.seed()));
    let (journal, is_stopped) = one_stop(&world, &disk, &witness);
    let builder = world.node("a").configure(move |builder| preset::set_up(builder).journal(Arc::new(journal())));
    // A tree whose first append is where its process is stopped never starts.
    world.spawn(async move {
        let _ = builder.start(move || preset::tree(&staff, run.clone())).await;
    });
    let (own, standing) = (world.clone(), feed.clone());
    world.spawn(async move {
        loop {
            own.sleep(Duration::from_millis(7)).await;
            wish(case, &standing, own.find_node("a").as_ref().and_then(Node::try_system)).await;
        }
    });
    let report = tokio::time::timeout(Duration::from_mins(2), feed.report()).await?;
    let (is_stopped, appends) = (*lock(&is_stopped), lock(&witness).appends);
    let seen = std::mem::take(&mut lock(&witness).seen);
    check(&seen, &disk).await;
    Ok(Ran { is_stopped, appends, ends: summary(&report), digest: report.result_digest.clone() })
}

/// Does what somebody wants, where that makes sense now.
async fn wish(case: &Case, feed: &Feed, system: Option<System>) {
    let Some(system) = system else { return };
    // Before it waits, an approval would be refused, for good.
    let (waits, paused) = match *feed.standing().borrow() {
        Standing::Waiting(_) => (true, false),
        Standing::Paused(_) => (false, true),
        _ => (false, false),
    };
    let message = match case.wish {
        Wish::Approve(task) if waits => {
            let (task, who, why) = (TaskId::single(task), "ann".to_owned(), String::new());
            // The same request, however often it is made.
            OrchestratorMessage::Tell { id: Some(Uuid::from_u128(1)), tell: Tell::Approve { task, who, why } }
        }
        Wish::Resume if paused => OrchestratorMessage::Resume { who: "ann".to_owned() },
        Wish::Nothing | Wish::Approve(_) | Wish::Resume => return,
    };
    let Ok(orchestrator) = system.agent::<Orchestrator>(preset::orchestrator_path(RunId::new(RUN))) else { return };
    let _ = orchestrator.ask_within(message, Duration::from_millis(50)).await;
}

/// How a goal ended: its status, and where each task stands.
fn summary(report: &Report) -> String {
    let tasks: Vec<_> = report.results.iter().map(|task| format!("{} {}", task.id, task.status)).collect();
    format!("{}: {}", report.status.as_str(), tasks.join(", "))
}

/// Stops the process at every append, before and after it was made.
fn sweep(case: &'static Case) {
    let ran = |seed: u64| {
        let told: Arc<Mutex<Ran>> = Arc::default();
        let tell = Arc::clone(&told);
        let sim = testing::Sim::new("crash_sweep").try_seed(seed, move |world| {
            let tell = Arc::clone(&tell);
            async move { carry_out(world, case).await.map(|ran| *lock(&tell) = ran) }
        });
        assert_eq!(sim.failure, None, "seed {seed}");
        std::mem::take(&mut *lock(&told))
    };
    let calm = ran(2_000);
    assert_eq!((calm.is_stopped, calm.ends.as_str()), (false, case.ends));
    for seed in 0..2 * calm.appends {
        let again = ran(seed);
        assert!(again.is_stopped, "seed {seed} stops nothing");
        assert_eq!((&again.ends, &again.digest), (&calm.ends, &calm.digest), "seed {seed}");
    }
}

#[test]
fn a_goal_with_lists_ends_as_the_calm_one_wherever_its_process_is_stopped() {
    sweep(&Case {
        goal: r#"
name = "goal"
params.items = { default = ["x", "y", "z"] }
[[tasks]]
id = "each"
for_each = "${params.items}"
result = "stdout"
command = { program = "print", args = ["${item}"] }
[[tasks]]
id = "all"
collect = "${tasks.each.result}"
"#,
        wish: Wish::Nothing,
        ends: "reached: all succeeded, each[0] succeeded, each[1] succeeded, each[2] succeeded",
    });
}

#[test]
fn a_saga_ends_as_the_calm_one_wherever_its_process_is_stopped() {
    sweep(&Case {
        goal: r#"
name = "goal"
[[tasks]]
id = "a"
result = "stdout"
command = { program = "print", args = ["a"] }
undo = { command = { program = "undo", args = ["${result}"] } }
[[tasks]]
id = "b"
after = ["a"]
command = { program = "print" }
undo = { retries = { attempts = 2, backoff = "1ms" }, command = { program = "fail" } }
[[tasks]]
id = "c"
after = ["b"]
command = { program = "print" }
undo = { command = { program = "undo" } }
[[tasks]]
id = "bad"
after = ["c"]
check = { assert = [{ value = 1, equals = 2 }] }
"#,
        wish: Wish::Nothing,
        ends: "failed: a undone, b undo failed, bad failed, c undone",
    });
}

#[test]
fn a_goal_that_is_paused_and_resumed_ends_as_the_calm_one_wherever_its_process_is_stopped() {
    sweep(&Case {
        goal: r#"
name = "goal"
[[tasks]]
id = "first"
command = { program = "print" }
[[tasks]]
id = "tired"
after = ["first"]
command = { program = "tired" }
[[tasks]]
id = "last"
after = ["tired"]
command = { program = "print" }
"#,
        wish: Wish::Resume,
        ends: "reached: first succeeded, last succeeded, tired succeeded",
    });
}

#[test]
fn a_goal_that_waits_for_a_person_and_has_a_goal_inside_ends_as_the_calm_one_wherever_its_process_is_stopped() {
    sweep(&Case {
        goal: r#"
name = "goal"
[[tasks]]
id = "ask"
approve = { prompt = "?" }
[[tasks]]
id = "child"
after = ["ask"]
[tasks.goal.inline]
name = "inner"
[[tasks.goal.inline.tasks]]
id = "inside"
command = { program = "print" }
[[tasks]]
id = "last"
after = ["child"]
command = { program = "print" }
"#,
        wish: Wish::Approve("ask"),
        ends: "reached: ask succeeded, child succeeded, last succeeded",
    });
}
