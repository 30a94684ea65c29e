//! What chaos did under a seed is told as a plan, which does the same again; and what is drawn for one shifts no other.

use std::time::Duration;

use crate::fault::{Fired, Hop, Plan, Point, Present, Progress, Subject};
use crate::id::{Incarnation, Path};
use crate::seam::Rng;

const MILLI: Duration = Duration::from_millis(1);

/// A world that goes its way: who comes where is drawn too, and does not depend on what goes wrong.
struct World<'a> {
    agents: &'a [&'a str],
    nodes: &'a [&'a str],
    seed: u64,
}

const WORLD: World<'static> = World { agents: &["root/a", "root/b", "root/c"], nodes: &["n", "m"], seed: 9 };

impl World<'_> {
    /// Lets a plan go along, for 600 steps of ten milliseconds.
    fn under(&self, mut progress: Progress) -> Progress {
        let mut rng = Rng::new(self.seed);
        let mut pick = |of: usize| usize::try_from(rng.next_u64() >> 33).unwrap_or_default() % of;
        for step in 0..600_u32 {
            let now = 10 * step * MILLI;
            self.let_time_pass(&mut progress, now);
            let (node, other) = (["n", "m"][pick(2)], ["n", "m"][pick(2)]);
            let agent = ["root/a", "root/b", "root/c"][pick(3)];
            let (point, subject) =
                ([Point::BeforeMessage, Point::InStop][pick(2)].clone(), Subject::new(["x", "y"][pick(2)], 1));
            if self.agents.contains(&agent) && self.nodes.contains(&node) {
                let path: Path = agent.parse().expect("a path");
                let at = crate::fault::FaultPoint::new(&path, Incarnation::FIRST, &point, Some(&subject));
                progress.at(&at.on(node), now);
            }
            if node != other {
                progress.on_hop(&Hop::new(node, other, "x.y"), now);
            }
        }
        progress
    }

    /// Time stops at each moment that something waits for, as a timer does.
    fn let_time_pass(&self, progress: &mut Progress, now: Duration) {
        let lives = self.nodes.iter().flat_map(|node| {
            self.agents.iter().map(|agent| (Some((*node).to_owned()), agent.parse().expect("a path")))
        });
        let present = Present::new(self.nodes.iter().map(|node| (*node).to_owned()).collect(), lives.collect());
        while let Some(next) = progress.next().filter(|next| *next <= now) {
            progress.by(next, &present);
        }
    }

    fn chaos(&self, chaos: &str, seed: u64) -> Vec<Fired> {
        let progress = Progress::of(Plan::default()).with_chaos(&chaos.parse().expect("chaos"), seed);
        self.under(progress).fired().cloned().collect()
    }
}

fn texts(fired: &[Fired]) -> Vec<String> {
    fired.iter().map(|fired| fired.fault.to_string()).collect()
}

const CHAOS: &str = "panic 5% at before-message of root/*; error 20% at before-message of n:root/a about x; \
                     kill root/b 3% at in-stop of root/** from 1s to 4s; crash * for 1s 2% at in-stop of root/c; \
                     drop 10% at link * to *; delay 5ms 10% at link n to m about x.>; kill root/* every 500ms; \
                     power-cut * every 2s; skew m 1s ahead every 3s";

#[test]
fn the_plan_of_what_chaos_did_does_the_same_again_beside_a_plan_too() {
    let plan = "hang at before-message of root/* #5; error at in-stop of root/a always; drop at link n with m #7; kill root/c at 2s";
    for plan in ["", plan] {
        for (seed, chaos) in
            (0..20).map(|seed| (seed, format!("{CHAOS}{}", if seed % 2 == 0 { "" } else { "; swarm" })))
        {
            let plan: Plan = plan.parse().expect("a plan");
            let first = WORLD.under(Progress::of(plan).with_chaos(&chaos.parse().expect("chaos"), seed));
            let again = WORLD.under(Progress::of(first.fired_plan()));
            let told = |progress: &Progress| -> Vec<_> {
                progress.fired().map(|fired| (fired.fault.to_string(), fired.at, fired.who.clone())).collect()
            };
            assert!(seed % 2 == 1 || first.fired().any(|fired| fired.line.is_some()));
            assert_eq!(told(&first), told(&again), "seed {seed}");
            assert_eq!(again.unfired(), []);
            assert_eq!(first.fired_plan().to_string().parse(), Ok(first.fired_plan()));
        }
    }
}

#[test]
fn the_faults_of_chaos_are_exact_and_each_line_brings_some() {
    let fired: Vec<_> = (0..20).flat_map(|seed| WORLD.chaos(CHAOS, seed)).collect();
    for line in 0..9 {
        let of_line = fired.iter().filter(|fired| fired.line == Some(line)).count();
        assert!(of_line > 0, "line {line}");
    }
    for text in texts(&fired) {
        assert!(!text.contains('*') && !text.contains("about"), "{text}");
    }
}

#[test]
fn a_line_less_shifts_no_other_and_neither_do_an_agent_and_a_node_less() {
    let lines: Vec<_> = CHAOS.split("; ").collect();
    for left in 0..lines.len() {
        let without: Vec<_> =
            lines.iter().enumerate().filter(|(number, _)| *number != left).map(|(_, line)| *line).collect();
        for swarm in ["", "; swarm"] {
            let all = WORLD.chaos(&format!("{CHAOS}{swarm}"), 3);
            let fewer = texts(&WORLD.chaos(&format!("{}{swarm}", without.join("; ")), 3));
            // What comes in its place is one that was drawn for the same moment.
            let kept: Vec<_> = all.into_iter().filter(|fired| fired.line != Some(left)).collect();
            let missing: Vec<_> = texts(&kept).into_iter().filter(|text| !fewer.contains(text)).collect();
            assert!(missing.is_empty(), "without `{}`: {missing:?}", lines[left]);
        }
    }
    let about = |fired: &[Fired], who: &str| -> Vec<_> {
        texts(fired).into_iter().filter(|text| !text.contains(who)).collect()
    };
    let chaos = "panic 5% at before-message of root/*; kill root/* every 300ms; drop 10% at link * to *";
    let all = WORLD.chaos(chaos, 5);
    let fewer = World { agents: &["root/a", "root/c"], ..WORLD }.chaos(chaos, 5);
    let (all, fewer) = (about(&all, "root/b"), about(&fewer, "root/b"));
    assert!(all.len() > 10 && all.iter().all(|text| fewer.contains(text)), "{all:#?} {fewer:#?}");
}

#[test]
fn a_line_of_chaos_is_never_missing_and_one_with_no_chance_never_comes_and_one_with_all_always() {
    let chaos = "panic 0% at before-message of root/*; error 100% at before-message of root/a; kill root/x every 1ms";
    let progress = WORLD.under(Progress::of(Plan::default()).with_chaos(&chaos.parse().expect("chaos"), 1));
    assert!(progress.unfired().is_empty());
    let fired: Vec<_> = progress.fired().cloned().collect();
    assert!(fired.iter().all(|fired| fired.line == Some(1)), "{fired:?}");
    let first: Vec<_> = texts(&fired).into_iter().filter(|text| text.contains("n:root/a")).take(2).collect();
    assert_eq!(first, ["error at before-message of n:root/a", "error at before-message of n:root/a #2"]);
}

#[test]
fn chances_and_rates_are_about_what_they_are_said_to_be() {
    let count = |chaos: &str| (0..50).map(|seed| WORLD.chaos(chaos, seed).len()).sum::<usize>();
    let all = count("panic 100% at before-message of root/*");
    let tenth = count("panic 10% at before-message of root/*");
    assert!((8 * tenth..12 * tenth).contains(&all), "{tenth} of {all}");
    // Six seconds of fifty worlds.
    let kills = count("kill root/* every 500ms");
    assert!(kills.abs_diff(600) < 80, "{kills}");
}

/// At which comings of one agent something goes wrong, of a hundred, each about something.
fn wrong_at(chaos: &str, path: &str, about: impl Fn(u64) -> &'static str) -> Vec<u64> {
    let mut progress = Progress::of(Plan::default()).with_chaos(&chaos.parse().expect("chaos"), 1);
    let path: Path = path.parse().expect("a path");
    let mut wrong = |number: &u64| {
        let subject = Subject::new(about(*number), 1);
        let at = crate::fault::FaultPoint::new(&path, Incarnation::FIRST, &Point::BeforeMessage, Some(&subject));
        progress.at(&at, MILLI).is_some()
    };
    (0..100).filter(|number| wrong(number)).collect()
}

#[test]
fn what_is_drawn_goes_by_the_number_of_the_coming_and_not_by_what_the_others_were_about() {
    let chaos = "panic 30% at before-message of root/* about x";
    let all = wrong_at(chaos, "root/a", |_| "x");
    let some = wrong_at(chaos, "root/a", |number| if number % 3 == 0 { "x" } else { "y" });
    assert_eq!(some, all.iter().copied().filter(|number| number % 3 == 0).collect::<Vec<_>>());
    assert_ne!(all, wrong_at(chaos, "root/b", |_| "x"), "each has draws of its own");
}
