//! A life that was given up changes no domain, and takes nothing from one or from a pool.

use std::sync::mpsc;
use std::time::Duration;

use steadfast::flow::{AcquireError, DomainLimits, PoolRules, RateLimit, SpawnCondition};
use steadfast::testing::{Log, Order, Probe};
use steadfast::{
    BoxError, ChildError, ChildSpec, DomainError, DomainSpec, Intensity, Path, RequestError, Strategy, SupervisorSpec,
};

use crate::gate::{Gate, Pool, SECOND_DEADLINE, system_of, told};

fn is_fenced<T>(outcome: &Result<T, DomainError>) -> bool {
    matches!(outcome, Err(DomainError::Child(ChildError::Fenced { .. })))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_that_was_given_up_changes_no_domain_and_takes_no_member_no_permit_and_no_token() {
    let (log, gate, threads) = (Log::default(), Gate::default(), Pool::of("agents", 2));
    let made = log.clone();
    let a = Probe::spec("a", &log).runtime(threads.handle()).handler_deadline(Duration::from_millis(300));
    let tree = SupervisorSpec::new("root", Strategy::OneForOne)
        .abandon_after(SECOND_DEADLINE)
        .intensity(Intensity::at_most(5))
        .child(ChildSpec::pool("pool", PoolRules::fixed(1), move |_| Probe::spec("any", &made)))
        .child(a);
    let (system, mut events) = system_of(tree).await;
    let mut limits = DomainLimits::default();
    limits.messages = Some(RateLimit { count: 1, per: Duration::from_hours(1), burst: Some(1) });
    let spec = DomainSpec::new("d").limits(limits.clone()).agent(Probe::spec("x", &log));
    let domain = system.add_domain(spec).await.expect("it starts");

    let (report, reports) = mpsc::channel();
    let (inside, of_life) = (gate.clone(), domain.clone());
    let order = Order::run(move |ctx| {
        Box::pin(async move {
            inside.wait();
            let (system, child) = (ctx.system().clone(), |name| ChildSpec::from(Probe::spec(name, &Log::default())));
            let asked = system.agent::<Probe>("root/d/x")?.ask(Order::Echo(1)).await;
            let refused = [
                is_fenced(&of_life.provision(child("late")).await),
                is_fenced(&of_life.terminate("x", Duration::ZERO).await),
                is_fenced(&of_life.scale(1).await),
                is_fenced(&of_life.set_limits(DomainLimits::default())),
                is_fenced(&of_life.spawn_when(SpawnCondition::new("t", 1.0, "late"), move |_| child("late"))),
                is_fenced(&of_life.observe("t", 2.0).await),
                is_fenced(&system.add_domain(DomainSpec::new("late")).await),
                is_fenced(&system.remove_domain("d", Duration::ZERO).await),
                matches!(asked, Err(RequestError::Fenced { .. })),
                matches!(system.pool::<Probe>("root/pool")?.acquire().await, Err(AcquireError::Fenced)),
            ];
            report.send(refused)?;
            Ok::<u64, BoxError>(0)
        })
    });
    Probe::at(&system, "root/a").tell(order).expect("there is room");
    told(&mut events, "started root/a #2").await;
    gate.open();
    told(&mut events, "leak ended root/a #1").await;

    assert_eq!(reports.recv().expect("a report"), [true; 10]);
    assert_eq!(domain.agents().iter().map(Path::name).collect::<Vec<_>>(), ["x"]);
    assert_eq!((domain.limits(), system.domains().len()), (limits, 1));
    assert_eq!(Probe::at(&system, "root/d/x").ask(Order::Which).await.expect("its one token is there"), 1);
    system.pool::<Probe>("root/pool").expect("it is one").acquire().await.expect("nobody holds its one member");
    system.shutdown().await.expect("an orderly end");
}
