//! Chooses who takes a task.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use steadfast::{Agent, BoxError, Context, Incarnation, Path, Subject, System};

use crate::agents::floor::{Floor, May, Wanted};
use crate::agents::protocol::{Assignment, RouteReply, RouteRequest, task_capability};

/// How a router chooses. Each step can be replaced; the given ones choose the least loaded of those that are free.
pub trait Select: Send + Sync {
    /// What whoever takes this task must be able to do.
    fn analyze_requirements(&self, request: &RouteRequest) -> Requirement {
        Requirement { capability: request.capability.clone() }
    }

    /// Those who can, by path; also those between two incarnations.
    fn find_agents(&self, requirement: &Requirement, system: &System) -> Vec<Candidate> {
        let providers = system.providers(&task_capability(&requirement.capability));
        let candidate = |provider: steadfast::Provider<_, _>| Candidate {
            path: provider.path().clone(),
            incarnation: provider.incarnation(),
            load: provider.load(),
        };
        providers.into_iter().map(candidate).collect()
    }

    /// The one that takes it, of those that are alive and hold no lease of the run; by path among equals.
    fn select_agent<'c>(&self, free: &'c [Candidate]) -> Option<&'c Candidate> {
        free.iter().min_by_key(|candidate| candidate.load)
    }
}

/// The selection as it is given: the least loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastLoaded;

impl Select for LeastLoaded {}

/// What whoever takes a task must be able to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The capability.
    pub capability: String,
}

/// Somebody who could take a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it stands.
    pub path: Path,
    /// Its life, or `None` between two.
    pub incarnation: Option<Incarnation>,
    /// How much it has to do.
    pub load: usize,
}

/// The router.
pub struct Router(RouterArgs);

/// What a router chooses by.
#[derive(Clone)]
pub struct RouterArgs {
    /// How it chooses.
    pub select: Arc<dyn Select>,
    /// Who works for which run.
    pub floor: Floor,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Router")
    }
}

/// What a router is asked.
#[derive(Debug)]
pub struct RouterMessage(RouteRequest);

impl From<RouteRequest> for RouterMessage {
    fn from(request: RouteRequest) -> Self {
        Self(request)
    }
}

impl Agent for Router {
    type Args = RouterArgs;
    type Message = RouterMessage;
    type Reply = RouteReply;

    async fn start(args: RouterArgs, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(args))
    }

    async fn handle(&mut self, message: RouterMessage, ctx: &mut Context<Self>) -> Result<RouteReply, BoxError> {
        Ok(route(&self.0, message.0, ctx.system()))
    }

    fn subject(message: &RouterMessage) -> Option<Subject> {
        Some(message.0.attempt.subject())
    }
}

fn route(args: &RouterArgs, request: RouteRequest, system: &System) -> RouteReply {
    let (select, now) = (&*args.select, system.clock().now());
    let requirement = select.analyze_requirements(&request);
    let all = select.find_agents(&requirement, system);
    if all.is_empty() {
        return RouteReply::NoProvider;
    }
    let candidates = all.len();
    let RouteRequest { attempt, only, busy, last, .. } = request;
    let (taken, may) = (args.floor.taken(attempt.run, now), May { only, busy });
    let free: Vec<_> =
        all.into_iter().filter(|candidate| is_free(candidate, &may) && !taken.contains(&candidate.path)).collect();
    let count = free.len();
    let free = prefer_others(free, last.as_ref());
    let chosen = select.select_agent(&free).and_then(|candidate| Some((candidate, candidate.incarnation?)));
    let agent = chosen.map(|(candidate, life)| (&candidate.path, life));
    let also = agent.map(|(agent, _)| also(args, (&requirement, agent), system, now)).unwrap_or_default();
    // Also where nobody is free, so that it is known who waits.
    let wanted = Wanted { capability: &requirement.capability, agent, also: &also, may };
    let granted = args.floor.claim(attempt.run, wanted, now);
    let Some((candidate, incarnation)) = chosen.filter(|_| granted) else { return RouteReply::NoneFree };
    let reason = format!("{count} of {candidates} are free, and it has the least to do: {}", candidate.load);
    RouteReply::Assigned(Assignment { agent: candidate.path.clone(), incarnation, candidates, reason })
}

/// What else others wait for that this agent can do.
fn also(
    args: &RouterArgs,
    (requirement, agent): (&Requirement, &Path),
    system: &System,
    now: Instant,
) -> BTreeSet<String> {
    let can = |capability: &String| {
        let all = args.select.find_agents(&Requirement { capability: capability.clone() }, system);
        all.iter().any(|candidate| candidate.path == *agent)
    };
    args.floor.waited_for(&requirement.capability, now).into_iter().filter(can).collect()
}

/// Whether it is alive, and the run may have this life.
fn is_free(candidate: &Candidate, may: &May) -> bool {
    candidate.incarnation.is_some_and(|life| may.have(&candidate.path, Some(life)))
}

/// Those who did not have the task last, if there are any.
fn prefer_others(free: Vec<Candidate>, last: Option<&Path>) -> Vec<Candidate> {
    let (others, same): (Vec<_>, Vec<_>) = free.into_iter().partition(|candidate| Some(&candidate.path) != last);
    if others.is_empty() { same } else { others }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_run_may_use_only_some_nobody_else_is_chosen_nor_another_life_of_them() {
        let path = |name: &str| name.parse::<Path>().expect("a path");
        let candidate = |name: &str, life| Candidate { path: path(name), incarnation: Incarnation::new(life), load: 0 };
        let life = |name: &str, life| (path(name), Incarnation::new(life).expect("not 0"));
        let all = [candidate("root/1", 1), candidate("root/1", 2), candidate("root/2", 1), candidate("root/3", 0)];
        let allowed = |may: &May| {
            let of = |candidate: &&Candidate| is_free(candidate, may);
            all.iter()
                .filter(of)
                .map(|of| (of.path.to_string(), of.incarnation.map(Incarnation::get)))
                .collect::<Vec<_>>()
        };
        assert_eq!(allowed(&May::default()).len(), 3, "one is between two lives");
        let only = |lives: &[_]| May { only: Some(lives.iter().cloned().collect()), busy: Vec::new() };
        assert_eq!(allowed(&only(&[life("root/1", 2), life("root/3", 1)])), [("root/1".to_owned(), Some(2))]);
        assert_eq!(allowed(&only(&[])), []);
        let holds = May { only: None, busy: vec![path("root/1")] };
        assert_eq!(allowed(&holds), [("root/2".to_owned(), Some(1))]);
    }

    #[test]
    fn whoever_had_the_task_last_is_chosen_only_when_nobody_else_is_free() {
        let candidate =
            |name: &str| Candidate { path: name.parse().expect("a path"), incarnation: Incarnation::new(1), load: 0 };
        let (first, second) = (candidate("root/1"), candidate("root/2"));
        let both = vec![first.clone(), second.clone()];
        assert_eq!(prefer_others(both.clone(), Some(&first.path)), [second]);
        assert_eq!(prefer_others(both.clone(), None), both);
        assert_eq!(prefer_others(vec![first.clone()], Some(&first.path)), std::slice::from_ref(&first));
    }
}
