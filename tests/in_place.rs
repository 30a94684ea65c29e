//! Guarantee: that a supervisor polls the starts of its first children itself changes nothing but their speed.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use steadfast::testing::{Log, Probe, Script};
use steadfast::{Agent, BoxError, ChildSpec, Context, Strategy, SupervisorSpec, System};
use tokio::sync::Semaphore;

/// Acquires and gives back a permit so many times when it starts. Each costs its task some of tokio's budget.
struct Busy;

#[derive(Clone)]
struct Setup(Arc<Semaphore>, usize);

impl Agent for Busy {
    type Args = Setup;
    type Message = ();
    type Reply = ();

    async fn start(Setup(semaphore, times): Setup, _: &mut Context<Self>) -> Result<Self, BoxError> {
        for _ in 0..times {
            drop(semaphore.acquire().await?);
        }
        Ok(Self)
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_tree_starts_however_much_of_its_tasks_budget_the_starts_of_its_children_use_up() {
    let semaphore = Arc::new(Semaphore::new(1_000));
    for side_by_side in [false, true] {
        for (children, times) in [(1, 128), (2, 128), (65, 2), (40, 4), (17, 8), (10, 16), (3, 200), (300, 1)] {
            let mut spec = SupervisorSpec::new("root", Strategy::OneForOne);
            for number in 0..children {
                let child = ChildSpec::agent::<Busy>(format!("c{number}"), Setup(Arc::clone(&semaphore), times));
                spec = spec.child(if side_by_side { child.after([]) } else { child });
            }
            let system = System::start(spec).await.unwrap_or_else(|error| panic!("{children} x {times}: {error}"));
            assert_eq!(system.alive().iter().filter(|path| path.as_str().starts_with("root/")).count(), children);
            system.shutdown().await.expect("an orderly end");
        }
    }
}

/// Lets threads go on once so many have come; gives up after a while.
struct Meeting(Mutex<usize>, Condvar, usize);

impl Meeting {
    fn come(&self) -> Result<(), BoxError> {
        let Self(came, changed, all) = self;
        let mut came = came.lock().map_err(|_| "another start panicked")?;
        *came += 1;
        changed.notify_all();
        let (came, waited) = changed
            .wait_timeout_while(came, Duration::from_secs(20), |came| *came < *all)
            .map_err(|_| "another start panicked")?;
        drop(came);
        if waited.timed_out() { Err("the others do not start meanwhile".into()) } else { Ok(()) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn children_that_do_not_need_each_other_start_side_by_side_also_where_they_compute() {
    let log = Log::default();
    let meeting = Arc::new(Meeting(Mutex::new(0), Condvar::new(), 3));
    let mut spec = SupervisorSpec::new("root", Strategy::OneForOne);
    for number in 0..3 {
        let meeting = Arc::clone(&meeting);
        let script = Script::new(&log).start(move |_| meeting.come());
        spec = spec.child(Probe::scripted(&format!("c{number}"), script).after([]));
    }
    let system = System::start(spec).await.expect("each start waits for the others");
    system.shutdown().await.expect("an orderly end");
}
