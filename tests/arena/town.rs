//! A town: supervisors of all kinds over one another, whose children are started, ended, forgotten and killed at all times,
//! while others send to whoever is or was there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast::flow::{AtBound, Order};
use steadfast::testing::{Trace, World};
use steadfast::{
    AgentSpec, AutoShutdown, Backoff, ChildSpec, ChildState, DynamicSupervisorSpec, EventKind, Intensity, Restart,
    Shutdown, Strategy, SupervisorSpec, System, Verdict,
};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::citizen::{Args, Citizen, citizen, tell_on};
use super::post::Post;
use crate::worker::{Draw, MS};

pub(super) const OFTEN: Intensity = Intensity::at_most(10_000_000);
const SECOND: Duration = Duration::from_secs(1);
/// Longer than anything in it takes.
pub(super) const REST: Duration = Duration::from_mins(15);
/// How long it is busy.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// All names that there were, in the order in which they came.
#[derive(Clone)]
pub(super) struct Town {
    pub(super) post: Post,
    pub(super) seed: u64,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Town {
    pub(super) fn new(world: &World) -> Self {
        Self { post: Post::new(world), seed: world.seed(), paths: Arc::default() }
    }

    /// One whose dead letters are sent again.
    pub(super) fn sending_again(self) -> Self {
        Self { post: self.post.sending_again(), ..self }
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add(&self, path: String) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if !paths.contains(&path) {
            paths.push(path);
        }
    }

    /// Somebody as chance makes it, of this name.
    pub(super) fn somebody(&self, name: &str, random: &mut Draw) -> AgentSpec<Citizen> {
        let stop_takes = if random.one_in(3) { random.time(400) } else { Duration::ZERO };
        let fails_in = if random.one_in(3) { 4 } else { 0 };
        let spec = citizen(name, Args { post: self.post.clone(), seed: self.seed, fails_in, stop_takes });
        let spec = match random.below(6) {
            0 => spec.mailbox(4),
            1 => spec.mailbox(3).at_bound(AtBound::ShedOldest),
            2 => spec.mailbox(5).order(Order::Priority).at_bound(AtBound::ShedLowest),
            _ => spec.mailbox(400),
        };
        let spec = if random.one_in(3) { spec.lazy(random.time(300)) } else { spec };
        let spec = if random.one_in(3) { spec.handler_deadline(300 * MS) } else { spec };
        let spec = match random.below(8) {
            0 => spec.restart(Restart::Transient),
            1 => spec.restart(Restart::Temporary),
            2 => spec.budget(Intensity::at_most(1)),
            3 => spec.shutdown(Shutdown::Kill),
            _ => spec,
        };
        if random.one_in(3) { spec.backoff(Backoff::exponential(10 * MS)) } else { spec }
    }

    /// Somebody who does not even start a first time.
    fn stillborn(&self, name: &str) -> AgentSpec<Citizen> {
        citizen(name, Args { post: self.post.clone(), seed: self.seed, fails_in: 1, stop_takes: Duration::ZERO })
    }

    /// A supervisor with all below it.
    fn branch(&self, path: &str, depth: usize, random: &mut Draw) -> SupervisorSpec {
        let name = path.rsplit('/').next().unwrap_or(path);
        let strategy = *random.of(&[Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne]);
        let mut spec = SupervisorSpec::new(name, strategy).abandon_after(SECOND);
        spec =
            if depth == 0 || random.one_in(2) { spec.intensity(OFTEN) } else { spec.intensity(Intensity::at_most(3)) };
        let quits = depth > 0 && random.one_in(5);
        for number in 0..2 + random.below(3) {
            let child = format!("w{number}");
            self.add(format!("{path}/{child}"));
            let agent = self.somebody(&child, random);
            spec = if quits && number == 0 {
                spec.auto_shutdown(AutoShutdown::AnySignificant).child(agent.restart(Restart::Transient).significant())
            } else {
                spec.child(agent)
            };
        }
        if depth < 2 {
            for number in 0..=random.below(2) {
                spec = spec.child(ChildSpec::supervisor(self.branch(&format!("{path}/s{number}"), depth + 1, random)));
            }
            spec = spec.child(self.quarter());
        }
        spec
    }

    /// A dynamic supervisor, whose instances are made from a number.
    fn quarter(&self) -> DynamicSupervisorSpec<u64> {
        let town = self.clone();
        DynamicSupervisorSpec::new("dyn", move |number: u64| {
            town.somebody("any", &mut Draw::new(town.seed, &format!("instance {number}")))
        })
        .intensity(OFTEN)
    }

    pub(super) fn spec(&self) -> SupervisorSpec {
        self.branch("root", 0, &mut Draw::new(self.seed, "town"))
    }
}

/// Ends, starts, suspends, kills and forgets whom chance names, for as long as the town is busy.
pub(super) async fn disturb(town: Town, system: System, mut random: Draw) {
    let (mut under_way, began) = (JoinSet::new(), town.post.world.now());
    let mut number = 0;
    while town.post.world.now() < began + BUSY {
        sleep(random.time(60)).await;
        number += 1;
        let (path, draw) = (random.of(&town.paths()).clone(), Draw::new(town.seed, &format!("turn {number}")));
        under_way.spawn(timeout(5 * SECOND, one_turn(town.clone(), system.clone(), path, draw)));
        while under_way.try_join_next().is_some() {}
    }
    while let Some(done) = under_way.join_next().await {
        drop(done.expect("no panic"));
    }
}

async fn one_turn(town: Town, system: System, path: String, mut random: Draw) {
    let Some((above, name)) = path.rsplit_once('/') else { return };
    match random.below(15) {
        0..=2 => drop(system.kill(&path)),
        3 if above != "root" => drop(system.kill(above)),
        4 => {
            let _ = system.suspend(&path).await;
            sleep(random.time(100)).await;
            drop(system.kill(&path));
        }
        5..=6 => {
            let is_suspended = system.suspend(&path).await.is_ok();
            sleep(random.time(500)).await;
            // Some stay suspended for good.
            if is_suspended && !random.one_in(5) {
                drop(system.resume(&path).await);
            }
        }
        7 => drop(system.drain(&path, random.time(100)).await),
        8..=9 => {
            let Ok(supervisor) = system.supervisor(above) else { return };
            // Somebody may send to it at that very moment.
            let sends = random.one_in(2);
            let (ended, ()) = tokio::join!(supervisor.terminate_child(name), async {
                if sends {
                    tell_on(&town.post, &system, &path);
                }
            });
            let is_ended = ended.is_ok();
            sleep(random.time(200)).await;
            if is_ended && !random.one_in(4) {
                drop(supervisor.restart_child(name).await);
            } else if is_ended {
                drop(supervisor.delete_child(name).await);
            }
        }
        10..=11 => {
            let Ok(supervisor) = system.supervisor(above) else { return };
            let spec = if random.one_in(5) { town.stillborn(name) } else { town.somebody(name, &mut random) };
            let spec = if random.one_in(2) { spec.restart(Restart::Temporary) } else { spec };
            if supervisor.start_child(spec).await.is_ok() {
                sleep(random.time(500)).await;
                drop(supervisor.terminate_child(name).await);
            }
        }
        12..=13 => {
            let at = if random.one_in(2) { "root/dyn" } else { "root/s0/dyn" };
            let Ok(quarter) = system.dynamic_supervisor::<u64>(at) else { return };
            if let Ok(child) = quarter.start_child(random.below(1_000) as u64).await {
                town.add(child.path.to_string());
                sleep(random.time(1_000)).await;
                if random.one_in(2) {
                    drop(quarter.terminate_child(&child.path).await);
                }
            }
        }
        _ => drop(system.kill(*random.of(&["root/dyn", "root/s0/dyn", "root/s0", "system/registrar"]))),
    }
}

/// What supervisors take for running lives, or is at rest; and nobody lives whom they do not take for running.
pub(super) async fn untrue_children(world: &World, system: &System, at: String) -> Option<String> {
    let mut to_look_at = vec![at];
    let mut running = BTreeSet::new();
    while let Some(path) = to_look_at.pop() {
        let Ok(supervisor) = system.supervisor(&path) else { continue };
        let Ok(Ok(children)) = timeout(REST, supervisor.which_children()).await else { continue };
        for child in children {
            let path = child.path.to_string();
            let lives = system.incarnation(&path);
            match child.state {
                ChildState::Stopped if was_stopped_with_its_group(world, &path) => {
                    return Some(format!("children: {path} was stopped with its group, and not started again"));
                }
                ChildState::Stopped | ChildState::Quarantined if lives.is_some() => {
                    return Some(format!(
                        "children: {path} is {} to its supervisor, and lives as #{lives:?}",
                        child.state
                    ));
                }
                _ => {
                    running.insert(path.clone());
                }
            }
            to_look_at.push(path);
        }
    }
    let lives_unknown = system.alive().into_iter().find(|path| {
        let is_below = path.as_str().strip_prefix("root/").is_some();
        is_below && !running.contains(path.as_str())
    });
    lives_unknown.map(|path| format!("children: {path} lives, and its supervisor does not know of it"))
}

/// Whether the last that was told of a place is that it was stopped because of a sibling: then it is started with it; but as
/// in OTP nobody is whose sibling was to be tried again at once, and was terminated before.
fn was_stopped_with_its_group(world: &World, path: &str) -> bool {
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    let last = |trace: &Trace| {
        let mut was_so = false;
        let mut tried_again = BTreeSet::new();
        for (of, kind) in trace.entries().iter().filter_map(|entry| entry.path().zip(entry.event())) {
            let (is_it, is_sibling) = (of.as_str() == path, of.parent().is_some_and(|of| of.as_str() == above));
            match kind {
                EventKind::Exited { verdict, .. } if is_it => was_so = *verdict == Verdict::StoppedWithGroup,
                EventKind::Starting { .. } | EventKind::Resting if is_it => was_so = false,
                EventKind::Exited { verdict: Verdict::Retrying, .. } if is_sibling => {
                    tried_again.insert(of.clone());
                }
                EventKind::Starting { .. } if is_sibling => {
                    tried_again.remove(of);
                }
                EventKind::Resting if is_sibling && tried_again.remove(of) => was_so = false,
                _ => {}
            }
        }
        was_so
    };
    world.look(last)
}
