//! What holds whatever happens, in whatever order. The [`World`] asserts it at each command; here it is tried hard.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, any, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;

use steadfast::ExitReason;
use steadfast::supervision::{ChildRules, Event, Intensity, Restart, Rules, Shutdown, Strategy};

use crate::world::{OnStop, World, crash};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

#[derive(Clone, Debug)]
enum Step {
    /// A child ends by itself.
    End(usize, ExitReason),
    /// The machine hears of the n-th thing that it was not told yet.
    Tell(usize),
    Settle,
    Release(usize),
    Pass(u64),
    /// Something of the first life of a child, late.
    Stale(usize),
    Stop,
}

/// Everything that may differ from one tree to the next.
#[derive(Clone, Debug)]
struct Tree {
    rules: Rules,
    children: Vec<(ChildRules, Option<OnStop>)>,
    failing: Vec<(usize, u32)>,
    waiting: Vec<(usize, u32)>,
}

fn reason() -> impl Generator<Value = ExitReason> {
    prop_oneof![Just(ExitReason::Normal), Just(ExitReason::SHUTDOWN), Just(crash()), Just(ExitReason::Killed)]
}

fn child() -> impl Generator<Value = (ChildRules, Option<OnStop>)> {
    let restart = prop_oneof![
        3 => Just(Restart::Permanent),
        1 => Just(Restart::Transient),
        1 => Just(Restart::Temporary)
    ];
    let shutdown = prop_oneof![
        Just(Shutdown::Kill),
        (0_u64..300).prop_map(|ms| Shutdown::Within(Duration::from_millis(ms))),
        Just(Shutdown::Wait)
    ];
    let on_stop = prop_oneof![3 => Just(None), 1 => Just(Some(OnStop::Stays)), 1 => Just(Some(OnStop::Ends(crash())))];
    (restart, shutdown, on_stop).prop_map(|(restart, shutdown, on_stop)| {
        // A child that is waited for without limit must not stay for ever.
        let stays = matches!(on_stop, Some(OnStop::Stays)) && shutdown == Shutdown::Wait;
        (ChildRules::worker().restart(restart).shutdown(shutdown), on_stop.filter(|_| !stays))
    })
}

fn tree() -> impl Generator<Value = Tree> {
    let strategy = prop_oneof![Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)];
    let limits = (strategy, 0_u32..12, 1_u64..2_000, any::<bool>());
    let rules = limits.prop_map(|(strategy, max, ms, limited)| {
        let intensity = Intensity::at_most(max).within(Duration::from_millis(ms));
        let rules = Rules::new(strategy).intensity(intensity);
        if limited { rules.failed_starts(2) } else { rules }
    });
    // First starts mostly succeed: otherwise there is nothing to see.
    let attempts = || vec((0..NAMES.len(), 2_u32..9), 0..6);
    (rules, vec(child(), 0..=NAMES.len()), attempts(), attempts())
        .prop_map(|(rules, children, failing, waiting)| Tree { rules, children, failing, waiting })
}

fn step() -> impl Generator<Value = Step> {
    let who = || 0..NAMES.len();
    prop_oneof![
        6 => (who(), reason()).prop_map(|(who, reason)| Step::End(who, reason)),
        8 => (0_usize..4).prop_map(Step::Tell),
        2 => Just(Step::Settle),
        2 => who().prop_map(Step::Release),
        2 => (0_u64..400).prop_map(Step::Pass),
        1 => who().prop_map(Step::Stale),
        1 => any::<u8>().prop_map(|n| if n < 64 { Step::Stop } else { Step::Settle }),
    ]
}

fn world_of(tree: &Tree) -> World {
    let children: Vec<_> = NAMES.into_iter().zip(tree.children.iter().map(|(rules, _)| rules.clone())).collect();
    let mut world = World::new(tree.rules, &children);
    for (name, (_, on_stop)) in NAMES.iter().zip(&tree.children) {
        if let Some(on_stop) = on_stop {
            world = world.on_stop(name, on_stop.clone());
        }
    }
    for (who, attempt) in &tree.failing {
        world = world.failing(NAMES[*who], [*attempt]);
    }
    for (who, attempt) in &tree.waiting {
        world = world.waiting(NAMES[*who], *attempt);
    }
    world.tell(Event::Init);
    world
}

fn take(world: &mut World, step: Step, count: usize) {
    let is_child = |who: &usize| *who < count;
    match step {
        Step::End(who, reason) => {
            if is_child(&who) && world.is_up(NAMES[who]) {
                world.end(NAMES[who], reason);
            }
        }
        Step::Tell(index) => {
            if index < world.news() {
                world.tell_news(index);
            }
        }
        Step::Settle => world.settle(),
        Step::Release(who) => {
            if is_child(&who) {
                world.release_if_waiting(NAMES[who]);
            }
        }
        Step::Pass(ms) => world.pass(ms),
        Step::Stale(who) => {
            if let Some((child, start)) = world.an_earlier_life(who) {
                let before = world.states();
                world.tell(Event::Exited { child, start, reason: crash() });
                world.tell(Event::Started { child, start });
                assert_eq!(world.states(), before);
            }
        }
        Step::Stop => world.tell(Event::Stop { reason: ExitReason::SHUTDOWN }),
    }
}

proptest! {
    #[test]
    fn whatever_happens_no_invariant_breaks_and_a_supervisor_that_is_asked_to_end_ends(
        tree in tree(),
        steps in vec(step(), 0..120),
    ) {
        let mut world = world_of(&tree);
        for step in steps {
            take(&mut world, step, tree.children.len());
        }
        world.stop();
        // A waiting start and a child that stays are all that can keep it.
        while world.ended.is_none() {
            world.release_all();
            world.settle();
            assert!(world.ended.is_some() || world.pass_to_the_alarm() || world.news() > 0 || world.waits(), "stuck");
        }
        assert!(world.machine.is_done());
        let (begun, noted) = world.lives_begun_and_noted();
        assert_eq!(begun as usize, noted, "every life that began has ended, and was noted once");
    }
}
