//! What holds whatever happens, in whatever order. The [`World`] asserts it at each command; here it is tried hard, on
//! supervisors with a list and on dynamic ones, with everything that the rules of a child can say.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::{Just, any, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;

use steadfast::ExitReason;
use steadfast::supervision::{
    AutoShutdown, Backoff, ChildRules, ChildState, Event, Intensity, Request, Restart, Rules, Shutdown, Strategy,
};

use crate::world::{OnStop, World, crash, id};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

#[derive(Clone, Debug)]
enum Step {
    /// A child ends by itself.
    End(usize, ExitReason),
    /// The watchdog finds a child hung.
    Hang(usize),
    /// The machine hears of the n-th thing that it was not told yet.
    Tell(usize),
    Settle,
    Release(usize),
    Pass(u64),
    /// Something of the first life of a child, late.
    Stale(usize),
    Ask(Ask),
    Stop,
    Kill,
}

#[derive(Clone, Debug)]
enum Ask {
    Start(usize),
    StartUnnamed,
    Terminate(usize),
    TerminateInstance(usize),
    Restart(usize),
    Delete(usize),
    Which,
    Count,
    Spec(usize),
    Update { max: u32, strategy: Strategy, order: Vec<usize> },
}

/// Everything that may differ from one tree to the next.
#[derive(Clone, Debug)]
struct Tree {
    rules: Rules,
    /// The first of them is the template.
    is_dynamic: bool,
    children: Vec<(ChildRules, Option<OnStop>)>,
    failing: Vec<(usize, u32)>,
    ignoring: Vec<(usize, u32)>,
    waiting: Vec<(usize, u32)>,
}

fn reason() -> impl Generator<Value = ExitReason> {
    prop_oneof![Just(ExitReason::Normal), Just(ExitReason::SHUTDOWN), Just(crash()), Just(ExitReason::Killed)]
}

fn strategy() -> impl Generator<Value = Strategy> {
    prop_oneof![Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)]
}

/// What a child may have beyond OTP.
fn extras() -> impl Generator<Value = ChildRules> {
    let backoff = (1_u64..500, 0_u32..80, weighted(0.5, 1_u64..400)).prop_map(|(ms, jitter, stable)| {
        let backoff = Backoff::exponential(Duration::from_millis(ms)).maximum(Duration::from_millis(ms * 4));
        let backoff = backoff.jitter(f64::from(jitter) / 100.0);
        stable.map_or(backoff, |ms| backoff.stable_after(Duration::from_millis(ms)))
    });
    let budget = (0_u32..4, 1_u64..500).prop_map(|(max, ms)| Intensity::at_most(max).within(Duration::from_millis(ms)));
    let deadline = (1_u64..300).prop_map(Duration::from_millis);
    let all = (weighted(0.2, backoff), weighted(0.2, budget), weighted(0.2, deadline), any::<u8>());
    all.prop_map(|(backoff, budget, deadline, forgets)| {
        let mut rules = ChildRules::worker();
        (rules.backoff, rules.budget, rules.start_deadline) = (backoff, budget, deadline);
        rules.forget_when_done = forgets < 50;
        rules
    })
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
    let on_stop = prop_oneof![
        4 => Just(None),
        1 => Just(Some(OnStop::Stays)),
        1 => Just(Some(OnStop::Hangs)),
        1 => Just(Some(OnStop::Ends(crash())))
    ];
    (extras(), restart, shutdown, on_stop, any::<bool>()).prop_map(
        |(rules, restart, shutdown, on_stop, significant)| {
            // A child that is waited for without limit must not stay for ever.
            let stays = matches!(on_stop, Some(OnStop::Stays | OnStop::Hangs)) && shutdown == Shutdown::Wait;
            let mut rules = rules.restart(restart).shutdown(shutdown);
            rules.forget_when_done &= restart == Restart::Transient;
            rules.significant = significant && restart != Restart::Permanent;
            (rules, on_stop.filter(|_| !stays))
        },
    )
}

fn supervisor() -> impl Generator<Value = Rules> {
    let auto_shutdown =
        prop_oneof![Just(AutoShutdown::Never), Just(AutoShutdown::AnySignificant), Just(AutoShutdown::AllSignificant)];
    (strategy(), 0_u32..12, 1_u64..2_000, any::<bool>(), auto_shutdown, 1_u64..900).prop_map(
        |(strategy, max, ms, limited, auto_shutdown, abandon)| {
            let intensity = Intensity::at_most(max).within(Duration::from_millis(ms));
            let rules = Rules::new(strategy).intensity(intensity).auto_shutdown(auto_shutdown);
            let rules = rules.abandon_after(Duration::from_millis(abandon));
            if limited { rules.failed_starts(2) } else { rules }
        },
    )
}

fn tree() -> impl Generator<Value = Tree> {
    // First starts mostly succeed: otherwise there is nothing to see.
    let attempts = || vec((0..NAMES.len(), 2_u32..9), 0..6);
    let after = vec(weighted(0.2, vec(0..NAMES.len(), 0..3)), NAMES.len());
    let children = vec(child(), 1..=NAMES.len());
    (supervisor(), any::<u8>(), children, after, (attempts(), attempts(), vec((0..NAMES.len(), 1_u32..9), 0..6)))
        .prop_map(|(rules, dynamic, mut children, after, (failing, ignoring, waiting))| {
            let is_dynamic = dynamic < 64;
            for (place, ((child, _), after)) in children.iter_mut().zip(after).enumerate() {
                child.significant &= rules.auto_shutdown != AutoShutdown::Never;
                let before = |after: Vec<usize>| after.into_iter().filter(|other| *other < place);
                let after = after.filter(|_| !is_dynamic);
                child.after = after.map(|after| before(after).map(|other| id(NAMES[other])).collect());
            }
            Tree { rules, is_dynamic, children, failing, ignoring, waiting }
        })
}

fn ask() -> impl Generator<Value = Ask> {
    let who = || 0..NAMES.len();
    prop_oneof![
        3 => who().prop_map(Ask::Start),
        1 => Just(Ask::StartUnnamed),
        3 => who().prop_map(Ask::Terminate),
        1 => who().prop_map(Ask::TerminateInstance),
        2 => who().prop_map(Ask::Restart),
        2 => who().prop_map(Ask::Delete),
        1 => Just(Ask::Which),
        1 => Just(Ask::Count),
        1 => who().prop_map(Ask::Spec),
        1 => (0_u32..12, strategy(), vec(who(), 0..4))
            .prop_map(|(max, strategy, order)| Ask::Update { max, strategy, order }),
    ]
}

fn step() -> impl Generator<Value = Step> {
    let who = || 0..NAMES.len();
    prop_oneof![
        6 => (who(), reason()).prop_map(|(who, reason)| Step::End(who, reason)),
        1 => who().prop_map(Step::Hang),
        8 => (0_usize..4).prop_map(Step::Tell),
        2 => Just(Step::Settle),
        2 => who().prop_map(Step::Release),
        3 => (0_u64..400).prop_map(Step::Pass),
        1 => who().prop_map(Step::Stale),
        4 => ask().prop_map(Step::Ask),
        1 => any::<u8>().prop_map(|n| match n {
            0..16 => Step::Kill,
            16..48 => Step::Stop,
            _ => Step::Settle,
        }),
    ]
}

fn world_of(tree: &Tree) -> World {
    let mut world = if tree.is_dynamic {
        World::dynamic(tree.rules, tree.children[0].0.clone(), Some(4))
    } else {
        let children: Vec<_> = NAMES.into_iter().zip(tree.children.iter().map(|(rules, _)| rules.clone())).collect();
        World::new(tree.rules, &children)
    };
    for (place, name) in NAMES.iter().enumerate() {
        // Instances are all waited for as the template says.
        let template = &tree.children[0].1;
        let on_stop = if tree.is_dynamic { template } else { tree.children.get(place).map_or(&None, |(_, it)| it) };
        if let Some(on_stop) = on_stop {
            world = world.on_stop(name, on_stop.clone());
        }
    }
    for (who, attempt) in &tree.failing {
        world = world.failing(NAMES[*who], [*attempt]);
    }
    for (who, attempt) in &tree.ignoring {
        world = world.ignoring(NAMES[*who], [*attempt]);
    }
    for (who, attempt) in &tree.waiting {
        world = world.waiting(NAMES[*who], *attempt);
    }
    world.tell(Event::Init);
    world
}

fn request_of(tree: &Tree, ask: Ask) -> Request {
    let rules = |who: usize| tree.children.get(who).map_or(ChildRules::worker(), |(rules, _)| rules.clone());
    match ask {
        Ask::Start(who) => Request::StartChild { id: Some(id(NAMES[who])), rules: rules(who) },
        Ask::StartUnnamed if tree.is_dynamic => Request::StartChild { id: None, rules: ChildRules::worker() },
        Ask::StartUnnamed | Ask::Which => Request::WhichChildren,
        Ask::Terminate(who) => Request::TerminateChild(id(NAMES[who])),
        Ask::TerminateInstance(who) => Request::TerminateInstance(id(NAMES[who])),
        Ask::Restart(who) => Request::RestartChild(id(NAMES[who])),
        Ask::Delete(who) => Request::DeleteChild(id(NAMES[who])),
        Ask::Count => Request::CountChildren,
        Ask::Spec(who) => Request::ChildSpec(id(NAMES[who])),
        Ask::Update { max, strategy, order } => {
            let Intensity { period, .. } = tree.rules.intensity;
            let mut rules_of_all = tree.rules.intensity(Intensity::at_most(max).within(period));
            rules_of_all.strategy = strategy;
            let children = if tree.is_dynamic {
                vec![(id("template"), rules(0))]
            } else {
                order.into_iter().map(|who| (id(NAMES[who]), rules(who))).collect()
            };
            Request::Update { rules: rules_of_all, children, max: None }
        }
    }
}

fn take(world: &mut World, step: Step, tree: &Tree) {
    match step {
        Step::End(who, reason) => {
            if world.is_up(NAMES[who]) {
                world.end(NAMES[who], reason);
            }
        }
        Step::Hang(who) => {
            if world.is_up(NAMES[who]) {
                world.hang(NAMES[who]);
            }
        }
        Step::Tell(index) => {
            if index < world.news() {
                world.tell_news(index);
            }
        }
        Step::Settle => world.settle(),
        Step::Release(who) => world.release_if_waiting(NAMES[who]),
        Step::Pass(ms) => world.pass(ms),
        Step::Stale(who) => {
            if let Some((child, start)) = world.an_earlier_life(who) {
                let before = world.states();
                world.tell(Event::Exited { child, start, reason: crash() });
                world.tell(Event::Started { child, start });
                world.tell(Event::Ignored { child, start });
                world.tell(Event::Hung { child, start, reason: crash() });
                assert_eq!(world.states(), before);
            }
        }
        Step::Ask(ask) => {
            world.request(request_of(tree, ask));
        }
        Step::Stop => world.tell(Event::Stop { reason: ExitReason::SHUTDOWN }),
        Step::Kill => world.tell(Event::Kill),
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
            take(&mut world, step, &tree);
        }
        world.stop();
        // A waiting start and a child that stays are all that can keep it.
        while world.ended.is_none() {
            world.release_all();
            world.settle();
            assert!(world.ended.is_some() || world.pass_to_the_alarm() || world.news() > 0 || world.waits(), "stuck");
        }
        world.check_the_end();
    }

    #[test]
    fn a_permanent_child_that_nobody_stopped_runs_once_everything_has_settled(
        mut tree in tree(),
        steps in vec(step(), 0..60),
    ) {
        tree.is_dynamic = false;
        let mut world = world_of(&tree);
        for step in steps {
            if !matches!(step, Step::Ask(_) | Step::Stop | Step::Kill) {
                take(&mut world, step, &tree);
            }
        }
        world.settle_for_good();
        for (_, child) in world.machine.children().filter(|_| world.ended.is_none()) {
            let may_rest = world.was_ignored(child.id.as_str()) || child.state == ChildState::Quarantined;
            let runs = child.state == ChildState::Running || may_rest || child.rules.restart != Restart::Permanent;
            assert!(runs, "{}", world.states());
        }
    }
}
