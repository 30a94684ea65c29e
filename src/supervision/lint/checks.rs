//! The checks, each a function of one supervisor, or of one child and its supervisor.

use std::time::Duration;

use crate::supervision::backoff::Backoff;
use crate::supervision::intensity::Intensity;
use crate::supervision::policy::{Restart, Shutdown, Strategy};

use super::{Beyond, Finding, MOST_FAILED_STARTS, MOST_RESTARTS_PER_SECOND, Member, Surveyed, Warning, total};

type OfASupervisor = fn(&Surveyed<'_>) -> Option<Finding>;

/// The number is the child's place in its supervisor.
type OfAChild = fn(&Surveyed<'_>, usize, &Member<'_>) -> Option<Finding>;

const OF_A_SUPERVISOR: [OfASupervisor; 9] = [
    always_gives_up,
    stops_outlast_period,
    delays_outlast_period,
    unbounded_restarts,
    unbounded_failed_starts,
    failed_starts_out_of_reach,
    group_of_one,
    group_without_restarts,
    auto_shutdown_without_significant,
];

const OF_A_CHILD: [OfAChild; 9] = [
    |_, _, child| shutdown_of_supervisor(child),
    |_, _, child| worker_waited_for(child),
    |_, _, child| supervisor_stays_down(child),
    |_, _, child| auto_shutdown_restarted(child),
    temporary_in_group,
    |supervisor, _, child| hung_starts_never_add_up(supervisor, child),
    |_, _, child| start_deadline_too_short(child),
    |_, _, child| budget_limits_nothing(child),
    |_, _, child| no_effect(child),
];

/// All that there is to say about a supervisor and its children.
pub(super) fn all(supervisor: &Surveyed<'_>) -> Vec<Warning> {
    let path = &supervisor.outline.path;
    let mut warnings: Vec<Warning> = OF_A_SUPERVISOR
        .iter()
        .filter_map(|check| check(supervisor))
        .map(|what| Warning { path: path.clone(), what })
        .collect();
    for (place, child) in supervisor.members.iter().enumerate() {
        let found = OF_A_CHILD.iter().filter_map(|check| check(supervisor, place, child));
        warnings.extend(found.map(|what| Warning { path: path.child(&child.child.id), what }));
    }
    warnings
}

impl Surveyed<'_> {
    fn intensity(&self) -> Intensity {
        self.outline.rules.intensity
    }

    /// The strategy, if failures are shared. A dynamic supervisor's children never share one (rule 31).
    fn group(&self) -> Option<Strategy> {
        let strategy = self.outline.rules.strategy;
        (strategy != Strategy::OneForOne && !self.outline.dynamic).then_some(strategy)
    }

    /// The children whose restarts count here.
    fn counting(&self) -> impl Iterator<Item = &Member<'_>> {
        self.members.iter().filter(|child| child.counts())
    }
}

fn always_gives_up(supervisor: &Surveyed<'_>) -> Option<Finding> {
    let first = supervisor.counting().next()?;
    let (child, restart) = (first.child.id.clone(), first.child.rules.restart);
    (supervisor.intensity().max == 0).then_some(Finding::AlwaysGivesUp { child, restart })
}

fn stops_outlast_period(supervisor: &Surveyed<'_>) -> Option<Finding> {
    let intensity = supervisor.intensity();
    let mut candidates = supervisor.members.iter().enumerate().filter(|(_, child)| child.counts());
    // Whose end stops the others for longest: the first in line, or among all the one that itself stops fastest.
    let (from, (place, culprit)) = match supervisor.group()? {
        Strategy::RestForOne => candidates.next().map(|first| (first.0, first))?,
        Strategy::OneForAll | Strategy::OneForOne => (0, candidates.min_by_key(|(_, child)| child.stopping())?),
    };
    // A temporary child is stopped with the group once, and then is no longer there.
    let others = supervisor.members.iter().enumerate().skip(from);
    let staying = others.filter(|(other, child)| *other != place && child.comes_back());
    let stopping = total(staying.map(|(_, child)| child.stopping()));
    let (child, limit) = (culprit.child.id.clone(), limited(stopping));
    never_adds_up(stopping, intensity).then_some(Finding::StopsOutlastPeriod { child, stopping: limit, intensity })
}

fn delays_outlast_period(supervisor: &Surveyed<'_>) -> Option<Finding> {
    let intensity = supervisor.intensity();
    // However far apart the restarts of one child are, a dynamic supervisor may have any number of them.
    if supervisor.outline.dynamic || intensity.max == 0 {
        return None;
    }
    supervisor.counting().next()?;
    let mut most: u64 = 0;
    for child in supervisor.counting() {
        most = most.saturating_add(most_restarts(&child.beyond.backoff?, intensity));
    }
    (most <= u64::from(intensity.max)).then_some(Finding::DelaysOutlastPeriod { most, intensity })
}

fn unbounded_restarts(supervisor: &Surveyed<'_>) -> Option<Finding> {
    let intensity = supervisor.intensity();
    let allowed = u128::from(MOST_RESTARTS_PER_SECOND) * intensity.period.as_nanos();
    let wanted = u128::from(intensity.max) * Duration::from_secs(1).as_nanos();
    (wanted > allowed).then_some(Finding::UnboundedRestarts { intensity })
}

fn unbounded_failed_starts(supervisor: &Surveyed<'_>) -> Option<Finding> {
    let intensity = supervisor.intensity();
    let is_unbounded = intensity.max > MOST_FAILED_STARTS && supervisor.outline.rules.failed_starts.is_none();
    let hasty = supervisor.counting().any(|child| child.beyond.backoff.is_none());
    (is_unbounded && hasty).then_some(Finding::UnboundedFailedStarts { intensity })
}

fn failed_starts_out_of_reach(supervisor: &Surveyed<'_>) -> Option<Finding> {
    let (intensity, failed_starts) = (supervisor.intensity(), supervisor.outline.rules.failed_starts?);
    let is_slow = |child: &Member<'_>| child.beyond.backoff.is_some() || child.beyond.start_deadline.is_some();
    let all_fast = supervisor.members.iter().all(|child| !is_slow(child) && child.beyond.budget.is_none());
    let earlier = intensity.max > 0 && failed_starts > intensity.max;
    (earlier && all_fast).then_some(Finding::FailedStartsOutOfReach { failed_starts, intensity })
}

fn group_of_one(supervisor: &Surveyed<'_>) -> Option<Finding> {
    let (strategy, children) = (supervisor.group()?, supervisor.members.len());
    (children < 2).then_some(Finding::GroupOfOne { strategy, children })
}

fn group_without_restarts(supervisor: &Surveyed<'_>) -> Option<Finding> {
    let strategy = supervisor.group()?;
    let none = supervisor.members.len() > 1 && !supervisor.members.iter().any(Member::comes_back);
    none.then_some(Finding::GroupWithoutRestarts { strategy })
}

fn auto_shutdown_without_significant(supervisor: &Surveyed<'_>) -> Option<Finding> {
    let significant = supervisor.members.iter().any(|child| child.beyond.significant);
    (supervisor.has_auto_shutdown && !significant).then_some(Finding::AutoShutdownWithoutSignificant)
}

fn shutdown_of_supervisor(child: &Member<'_>) -> Option<Finding> {
    let below = child.below?;
    match child.child.rules.shutdown {
        Shutdown::Within(limit) if below.stopping > limit => {
            Some(Finding::ShutdownTooShort { limit, children: limited(below.stopping) })
        }
        Shutdown::Kill if !below.stopping.is_zero() => Some(Finding::SupervisorKilled),
        _ => None,
    }
}

fn worker_waited_for(child: &Member<'_>) -> Option<Finding> {
    let waited_for = child.child.rules.shutdown == Shutdown::Wait && !child.is_supervisor();
    waited_for.then_some(Finding::WorkerWaitedFor)
}

fn supervisor_stays_down(child: &Member<'_>) -> Option<Finding> {
    let restart = child.child.rules.restart;
    // One that ends with its significant children is meant to stay down.
    let is_meant = child.below.is_some_and(|below| below.has_auto_shutdown);
    let stays_down = child.is_supervisor() && restart != Restart::Permanent && !is_meant;
    stays_down.then_some(Finding::SupervisorStaysDown { restart })
}

fn auto_shutdown_restarted(child: &Member<'_>) -> Option<Finding> {
    let restarted = child.below?.has_auto_shutdown && child.child.rules.restart == Restart::Permanent;
    restarted.then_some(Finding::AutoShutdownRestarted)
}

fn temporary_in_group(supervisor: &Surveyed<'_>, place: usize, child: &Member<'_>) -> Option<Finding> {
    let ends_it = match supervisor.group()? {
        Strategy::RestForOne => &supervisor.members[..place],
        Strategy::OneForAll | Strategy::OneForOne => &supervisor.members,
    };
    // Looks at few siblings: the first that comes back decides.
    let forgotten = !child.comes_back() && ends_it.iter().any(Member::comes_back);
    forgotten.then_some(Finding::TemporaryInGroup)
}

fn hung_starts_never_add_up(supervisor: &Surveyed<'_>, child: &Member<'_>) -> Option<Finding> {
    let (deadline, failed_starts) = (child.beyond.start_deadline?, supervisor.outline.rules.failed_starts);
    // A budget of the child's own counts instead of its supervisor's limit.
    let intensity = child.beyond.budget.unwrap_or(supervisor.intensity());
    let endless = child.comes_back() && failed_starts.is_none() && never_adds_up(deadline, intensity);
    endless.then_some(Finding::HungStartsNeverAddUp { deadline, intensity })
}

fn start_deadline_too_short(child: &Member<'_>) -> Option<Finding> {
    let (limit, children) = (child.beyond.start_deadline?, child.below?.starting);
    (children > limit).then_some(Finding::StartDeadlineTooShort { limit, children })
}

fn budget_limits_nothing(child: &Member<'_>) -> Option<Finding> {
    let budget = child.beyond.budget.filter(|_| child.comes_back())?;
    if budget.max == 0 {
        return Some(Finding::AlwaysQuarantined);
    }
    let most = most_restarts(&child.beyond.backoff?, budget);
    (most <= u64::from(budget.max)).then_some(Finding::BudgetNeverRunsOut { most, budget })
}

fn no_effect(child: &Member<'_>) -> Option<Finding> {
    if child.comes_back() {
        return None;
    }
    let setting = match child.beyond {
        Beyond { backoff: Some(_), .. } => "backoff",
        Beyond { budget: Some(_), .. } => "budget",
        Beyond { .. } => return None,
    };
    Some(Finding::NoEffect { setting })
}

/// Whether restarts at least this far apart never exceed the intensity: no window holds one more than it allows.
fn never_adds_up(apart: Duration, intensity: Intensity) -> bool {
    intensity.max > 0 && apart.saturating_mul(intensity.max) > intensity.period
}

/// The most restarts of one child that the window of an intensity can hold.
///
/// Exact up to one above what the intensity allows, which is as far as anybody needs to know.
pub(super) fn most_restarts(backoff: &Backoff, intensity: Intensity) -> u64 {
    /// After so many steps the delay is taken not to grow any more, so that this ends soon.
    const STEPS: u32 = 64;
    let enough = u64::from(intensity.max) + 1;
    // A child that can become stable within the window begins again with the first delay, as often as it likes.
    let grows = !backoff.resets_after(intensity.period);
    let shortest = |step| backoff.delay(if grows { step } else { 0 }, u64::MAX);
    let (mut held, mut passed) = (1, Duration::ZERO);
    for step in 0..STEPS {
        passed = passed.saturating_add(shortest(step));
        if held == enough || passed > intensity.period {
            return held;
        }
        held += 1;
    }
    let more = intensity.period.saturating_sub(passed).as_nanos().checked_div(shortest(STEPS).as_nanos());
    more.and_then(|more| u64::try_from(more).ok()).map_or(enough, |more| enough.min(held.saturating_add(more)))
}

/// A time, or `None` if it is without limit.
fn limited(time: Duration) -> Option<Duration> {
    (time < Duration::MAX).then_some(time)
}
