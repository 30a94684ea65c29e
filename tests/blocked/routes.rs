//! A life that was given up takes no turn of a route and no probe of a breaker, is no decision, leaves no dead letter,
//! suspends nobody, and runs no hook.

use std::sync::mpsc;
use std::time::Duration;

use steadfast::flow::BreakerRules;
use steadfast::lifecycle::hook::On;
use steadfast::message::Filter;
use steadfast::registry::selection::Selection;
use steadfast::testing::{Log, Order, Probe};
use steadfast::{
    Capability, ChildSpec, ControlError, Intensity, RequestError, SendAgainError, Strategy, SupervisorSpec,
};

use crate::gate::{Gate, Pool, SECOND_DEADLINE, system_of, told};

const WORK: Capability<u64, u64> = Capability::new("test.work", "1.0.0");
const NONE: Capability<u64, u64> = Capability::new("test.none", "1.0.0");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_life_that_was_given_up_sends_by_routes_or_out_of_dead_letters_leaves_no_trace() {
    let (log, gate, threads) = (Log::default(), Gate::default(), Pool::of("agents", 2));
    let hooked = log.clone();
    let a = Probe::spec("a", &log).runtime(threads.handle()).handler_deadline(Duration::from_millis(300));
    let a = a.hook_before("note", On::Any, move |ctx, change| {
        hooked.write(format!("hook #{} {change}", ctx.incarnation()));
        async { Ok(()) }
    });
    let worker =
        |name: &str| {
            ChildSpec::serve(name, WORK, |_, number| async move {
                if number == 0 { Err("zero".into()) } else { Ok(number) }
            })
        };
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .intensity(Intensity::at_most(9))
        .child(worker("one"))
        .child(worker("two"))
        .child(a);
    let (system, mut events) = system_of(spec).await;
    let route = |rules| {
        let route = system.route(&WORK).selection(Selection::RoundRobin);
        let route = if rules { route.breaker(BreakerRules::default()) } else { route };
        route.build().expect("a route")
    };
    let (plain, fused) = (route(false), route(true));
    let nobody = system.route(&NONE).build().expect("a route");
    nobody.tell(7).expect_err("nobody is there");
    let letter = system.dead_letters(&Filter::all())[0].id;
    let mut decisions = system.decisions();

    let (report, reports) = mpsc::channel();
    let (inside, routes) = (gate.clone(), [plain.clone(), fused.clone()]);
    let order = Order::run(move |ctx| {
        Box::pin(async move {
            inside.wait();
            let system = ctx.system().clone();
            for route in routes {
                let told = route.tell(1);
                let asked = route.ask(2).await;
                report.send(matches!(told, Err(RequestError::Fenced { .. })))?;
                report.send(matches!(asked, Err(RequestError::Fenced { .. })))?;
                report.send(route.pick().is_ok())?;
            }
            report.send(matches!(nobody.tell(3), Err(RequestError::NoProvider { .. })))?;
            report.send(matches!(system.ask(&NONE, 4).await, Err(RequestError::NoProvider { .. })))?;
            report.send(matches!(system.ask(&WORK, 5).await, Err(RequestError::Fenced { .. })))?;
            report.send(matches!(system.suspend("root/one").await, Err(ControlError::Fenced { .. })))?;
            report.send(matches!(system.send_again(letter), Err(SendAgainError::Fenced { .. })))?;
            report.send(system.take_dead_letter::<u64>(letter).is_none())?;
            Ok(0)
        })
    });
    Probe::at(&system, "root/a").tell(order).expect("there is room");
    told(&mut events, "started root/a #2").await;
    gate.open();
    told(&mut events, "leak ended root/a #1").await;

    assert_eq!(reports.iter().collect::<Vec<_>>(), [true; 12]);
    assert_eq!(system.dead_letters(&Filter::all()).iter().map(|dead| dead.id).collect::<Vec<_>>(), [letter]);
    for route in [plain, fused] {
        assert_eq!(route.pick().expect("somebody").path().as_str(), "root/one", "it is the first turn");
    }
    for _ in 0..2 {
        let decided = decisions.next().await.expect("a decision of the test's own");
        assert_eq!(decided.path.as_str(), "root/one");
    }
    assert_eq!(decisions.try_next().expect("nothing was missed").map(|event| event.path.clone()), None);
    let hooks: Vec<_> = log.take().into_iter().filter(|line| line.starts_with("hook #1")).collect();
    assert!(hooks.iter().all(|line| !line.contains("terminated") && !line.contains("draining")), "{hooks:?}");
    assert!(!hooks.is_empty(), "it ran them on its way up");
    system.shutdown().await.expect("an orderly end");
}
