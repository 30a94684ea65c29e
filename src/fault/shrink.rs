//! Makes a plan smaller that makes something fail.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Action, Plan, Planned, Skew, Trigger, When};

/// Makes a plan smaller for as long as something still fails under it: first as few faults as possible, then the shortest
/// times and the smallest numbers.
///
/// `fails` tells whether it does under a plan; it is called at most `budget` times, never twice with the same plan and never
/// with the one given, under which it is known to fail. What is returned is a plan for which `fails` returned true, or the one given.
///
/// ```
/// use steadfast::fault::{Plan, shrink};
///
/// let plan: Plan = "kill root/a at 8s; panic at before-message of root/b #12; error at in-stop of root/c".parse()?;
/// // It fails whenever `root/b` panics at its third message or later.
/// let small = shrink(&plan, |plan| plan.faults.iter().any(|fault| {
///     (3..20).any(|number| fault.to_string() == format!("panic at before-message of root/b #{number}"))
/// }), 100);
/// assert_eq!(small.to_string(), "panic at before-message of root/b #3");
/// # Ok::<(), steadfast::fault::PlanError>(())
/// ```
pub fn shrink(plan: &Plan, fails: impl FnMut(&Plan) -> bool, budget: usize) -> Plan {
    let mut search = Search { best: plan.clone(), fails, budget, tried: BTreeSet::from([plan.to_string()]) };
    search.fewer();
    search.simpler();
    search.best
}

struct Search<F> {
    best: Plan,
    fails: F,
    budget: usize,
    tried: BTreeSet<String>,
}

impl<F: FnMut(&Plan) -> bool> Search<F> {
    /// Whether it fails under these too; then they are the best so far.
    fn is_enough(&mut self, faults: Vec<Planned>) -> bool {
        let plan = Plan { faults };
        if self.budget == 0 || !self.tried.insert(plan.to_string()) {
            return false;
        }
        self.budget -= 1;
        let is_enough = (self.fails)(&plan);
        if is_enough {
            self.best = plan;
        }
        is_enough
    }

    /// Delta debugging (Zeller and Hildebrandt 2002): leaves out ever smaller parts.
    fn fewer(&mut self) {
        if self.best.faults.is_empty() || self.is_enough(Vec::new()) {
            return;
        }
        let mut parts = 2;
        while self.budget > 0 && self.best.faults.len() > 1 {
            let faults = self.best.faults.clone();
            let size = faults.len().div_ceil(parts);
            let chunks: Vec<_> = faults.chunks(size).collect();
            if chunks.iter().any(|chunk| self.is_enough(chunk.to_vec())) {
                parts = 2;
                continue;
            }
            let without = |left: usize| {
                let kept = chunks.iter().enumerate().filter(|(number, _)| *number != left);
                kept.flat_map(|(_, chunk)| chunk.iter().cloned()).collect()
            };
            if (0..chunks.len()).any(|left| self.is_enough(without(left))) {
                parts = (parts - 1).max(2);
            } else if size == 1 {
                return;
            } else {
                parts = (2 * parts).min(faults.len());
            }
        }
    }

    /// Halves times and numbers, one after the other, until nothing of that is left to do.
    fn simpler(&mut self) {
        let mut changed = true;
        while changed && self.budget > 0 {
            changed = false;
            for number in 0..self.best.faults.len() {
                // A smaller one may be smaller still.
                while self.budget > 0 && self.one_simpler(number) {
                    changed = true;
                }
            }
        }
    }

    fn one_simpler(&mut self, number: usize) -> bool {
        simpler(&self.best.faults[number]).into_iter().any(|fault| {
            let mut faults = self.best.faults.clone();
            faults[number] = fault;
            self.is_enough(faults)
        })
    }
}

/// What a fault may be made of that is a little simpler.
fn simpler(fault: &Planned) -> Vec<Planned> {
    let actions = simpler_action(&fault.action).into_iter();
    let actions = actions.map(|action| Planned { action, trigger: fault.trigger.clone() });
    let triggers = simpler_trigger(&fault.trigger).into_iter();
    let triggers = triggers.map(|trigger| Planned { action: fault.action.clone(), trigger });
    actions.chain(triggers).collect()
}

fn simpler_action(action: &Action) -> Option<Action> {
    Some(match action {
        Action::Slow(by) => Action::Slow(half(*by)?),
        Action::Delay(by) => Action::Delay(half(*by)?),
        Action::Block(Some(time)) => Action::Block(Some(half(*time)?)),
        Action::Crash { node, how, down: Some(down) } => {
            Action::Crash { node: node.clone(), how: *how, down: Some(half(*down)?) }
        }
        Action::Skew { node, by } => {
            let by = match by {
                Skew::Ahead(by) => Skew::Ahead(half(*by)?),
                Skew::Behind(by) => Skew::Behind(half(*by)?),
            };
            Action::Skew { node: node.clone(), by }
        }
        _ => return None,
    })
}

fn simpler_trigger(trigger: &Trigger) -> Vec<Trigger> {
    let (place, when) = match trigger {
        Trigger::Time(at) => return half(*at).map(Trigger::Time).into_iter().collect(),
        Trigger::At { place, when } => (place, *when),
    };
    let at = |when| Trigger::At { place: place.clone(), when };
    match when {
        When::Nth(1) | When::Always => Vec::new(),
        // Half, and where that is too little, one less.
        When::Nth(number) => [number.div_ceil(2), number - 1].map(|number| at(When::Nth(number))).into(),
        When::Between(from, to) => {
            let lasts = to.saturating_sub(from);
            let shorter = half(lasts).map(|lasts| at(When::Between(from, from + lasts)));
            let earlier = half(from).map(|from| at(When::Between(from, from.saturating_add(lasts))));
            shorter.into_iter().chain(earlier).collect()
        }
    }
}

/// Half of a time, in whole milliseconds where it was in such; `None` of nothing.
fn half(time: Duration) -> Option<Duration> {
    if time.is_zero() {
        return None;
    }
    let half = time / 2;
    let is_whole = time.subsec_nanos().is_multiple_of(1_000_000);
    Some(if is_whole { Duration::new(half.as_secs(), half.subsec_millis() * 1_000_000) } else { half })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        text.parse().expect("a plan")
    }

    /// Shrinks with a rule, and counts how often it was asked.
    fn shrunk(text: &str, budget: usize, rule: impl Fn(&Plan) -> bool) -> (String, usize) {
        let mut asked = Vec::new();
        let small = shrink(
            &plan(text),
            |plan| {
                asked.push(plan.to_string());
                rule(plan)
            },
            budget,
        );
        assert!(small == plan(text) || (asked.contains(&small.to_string()) && rule(&small)), "{small}");
        assert!(asked.iter().collect::<BTreeSet<_>>().len() == asked.len(), "none twice: {asked:?}");
        (small.to_string(), asked.len())
    }

    fn has(plan: &Plan, fault: &str) -> bool {
        plan.to_string().split("; ").any(|one| one == fault)
    }

    const MANY: &str = "kill root/a at 1s; kill root/b at 2s; kill root/c at 3s; kill root/d at 4s; kill root/e at 5s; \
                        kill root/f at 6s; kill root/g at 7s; kill root/h at 8s";

    #[test]
    fn as_few_faults_stay_as_make_it_fail() {
        let both = |plan: &Plan| has(plan, "kill root/b at 2s") && has(plan, "kill root/g at 7s");
        assert_eq!(shrunk(MANY, 1000, both).0, "kill root/b at 2s; kill root/g at 7s");
        let one = |plan: &Plan| has(plan, "kill root/h at 8s");
        let (small, asked) = shrunk(MANY, 1000, one);
        assert_eq!(small, "kill root/h at 8s");
        assert!(asked < 20, "by halves: {asked}");
        assert_eq!(shrunk(MANY, 1000, |_| true).0, "", "it fails by itself");
    }

    #[test]
    fn times_and_numbers_become_as_small_as_make_it_fail() {
        let late = |plan: &Plan| {
            plan.faults
                .iter()
                .any(|fault| matches!(fault.trigger, Trigger::Time(at) if at > Duration::from_millis(700)))
        };
        assert_eq!(shrunk("kill root/a at 30s", 1000, late).0, "kill root/a at 937ms");
        let cases = [
            ("slow 8s at before-message of root/a #9", "slow 0s at before-message of root/a"),
            ("block 8s at before-message of root/a", "block 0s at before-message of root/a"),
            ("partition at link a with b from 8s to 40s", "partition at link a with b from 0s to 0s"),
            ("crash a for 8s at 3s", "crash a at 0s"),
            ("skew a 8s behind at 3us", "skew a 0s behind at 0s"),
            ("delay 8ms at link a to b #5", "delay 0s at link a to b"),
        ];
        for (text, small) in cases {
            assert_eq!(shrunk(text, 1000, |plan| plan.faults.len() == 1).0, small);
        }
        let seventh = |plan: &Plan| {
            plan.faults
                .iter()
                .any(|fault| matches!(fault.trigger, Trigger::At { when: When::Nth(number), .. } if number >= 7))
        };
        assert_eq!(shrunk("kill at in-stop of root/a #100", 1000, seventh).0, "kill at in-stop of root/a #7");
    }

    #[test]
    fn it_asks_no_more_often_than_it_may() {
        let rule = |plan: &Plan| has(plan, "kill root/h at 8s");
        for budget in 0..20 {
            let (small, asked) = shrunk(MANY, budget, rule);
            assert!(asked <= budget, "{asked} of {budget}");
            if budget == 0 {
                assert_eq!(small, MANY, "not asked, nothing changes");
            }
        }
        assert_eq!(shrunk(MANY, 1000, |_| false).0, MANY);
        assert_eq!(shrunk("", 1000, |_| true), (String::new(), 0));
    }
}
