//! Arenas: trees, those who work in them and those who disturb, and what the test itself knows of what came of it. A seed
//! chooses the arena and its mix; none knows of any bug.

mod books;
mod citizen;
mod market;
mod post;
mod senders;
mod town;

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast::message::{DeadReason, Filter};
use steadfast::testing::{Bug, Ran, Sim, Trace, World};
use steadfast::{DropReason, EventKind, System, SystemBuilder};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::citizen::Note;
use self::market::Market;
use self::senders::{SENDERS, mix, send_on};
use self::town::{OFTEN, REST, Town, disturb, untrue_children};
use crate::run::{Report, Size, bare, run_in, set_up};
use crate::worker::Draw;

/// Where a seed plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arena {
    /// That of `tests/chaos.rs`, small.
    Chaos,
    Town,
    Market,
    Books,
}

const SMALL: Size = Size { domains: 3, agents: 8, deliveries: 500, rest: Duration::from_mins(2), time_stands: true };

/// What may go wrong in a town, and in a market, each with its own mix by each seed. Nothing does when a tree starts, nor at
/// the end; nor before a handler, where the ledger cannot see whose message it was.
const IN_TOWN: &str = "panic 3% at during-message of root/** from 1s to 4s; error 1% at after-message of root/** from 1s to 4s; \
    kill 2% at during-message of root/** from 1s to 4s; hang 1% at during-message of root/** from 1s to 4s; \
    slow 50ms 2% at after-message of root/** from 1s to 4s; block 2s 1% at after-message of root/** from 1s to 4s; \
    block 3s 1% at during-message of root/** from 1s to 4s; panic 2% at after-start of root/** from 1s to 4s; \
    error 2% at before-start of root/** from 1s to 4s; \
    block 2s 1% at after-start of root/** from 1s to 4s; slow 30ms 5% at in-stop of root/** from 1s to 4s; \
    hang 2% at in-stop of root/** from 1s to 4s; block 2s 1% at in-stop of root/** from 1s to 4s; \
    panic 3% at in-stop of root/** from 1s to 4s; kill root/** 2% at back-off of root/** from 1s to 4s; \
    panic 2% at before-message of system/registrar from 1s to 4s; swarm";
const IN_MARKET: &str = "panic 2% at during-message of root/** from 1s to 4s; error 1% at after-message of root/** from 1s to 4s; \
    slow 50ms 2% at after-message of root/** from 1s to 4s; block 2s 1% at during-message of root/p1 from 1s to 4s; \
    kill 15% at before-message of system/registrar from 1s to 4s; panic 4% at after-message of system/registrar from 1s to 4s; \
    hang 1% at during-message of root/** from 1s to 4s; swarm";
const IN_BOOKS: &str = "panic 3% at before-append of system/journal from 1s to 4s; error 2% at after-append of system/journal from 1s to 4s; \
    kill 2% at after-append of system/journal from 1s to 4s; slow 40ms 5% at before-append of system/journal from 1s to 4s; \
    hang 0.5% at after-append of system/journal from 1s to 4s; kill system/journal every 200ms; \
    skew * 3s ahead every 4s; crash * for 500ms every 5s; power-cut * for 700ms every 6s; tear * for 100ms every 9s; swarm";

impl Arena {
    /// That of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        match seed % 8 {
            0 => Self::Chaos,
            1 | 5 => Self::Market,
            2 | 6 => Self::Books,
            _ => Self::Town,
        }
    }

    fn sim(self, seed: u64) -> Sim {
        let sim = Sim::new(format!("{self:?}")).interleave(u32::try_from(seed / 8 % 4).unwrap_or_default());
        match self {
            Self::Chaos => sim,
            // Every fourth is calm: what nobody disturbs must hold too.
            _ if seed / 8 % 4 == 3 => sim,
            Self::Town => sim.chaos(IN_TOWN),
            Self::Market => sim.chaos(IN_MARKET),
            Self::Books => sim.chaos(IN_BOOKS),
        }
    }
}

/// Runs a seed, with a bug or none.
pub(crate) fn try_seed(seed: u64, bug: Option<Bug>) -> Ran {
    let arena = Arena::of(seed);
    arena.sim(seed).try_seed(seed, move |world| async move {
        match arena {
            Arena::Chaos => chaos(world, bug).await,
            Arena::Town => town(world, bug).await,
            Arena::Market => market(world, bug).await,
            Arena::Books => books(world, bug).await,
        }
    })
}

fn configured(builder: SystemBuilder, bug: Option<Bug>) -> SystemBuilder {
    builder.service_intensity(OFTEN).service_deadline(Duration::from_secs(5)).dead_letters(1_000_000).bug(bug)
}

async fn chaos(world: World, bug: Option<Bug>) -> Result<(), String> {
    let node = world.node("a").configure(move |builder| set_up(builder, SMALL).bug(bug)).start(bare).await;
    let system = node.map_err(|error| error.to_string())?.system();
    let Report { outcomes, wrong, sent, restarts } = run_in(system, world.seed(), SMALL).await;
    match wrong.first() {
        Some(first) => Err(format!("ledger: {first}")),
        None if outcomes.total() != sent => Err(format!("ledger: {outcomes} of {sent} sent, over {restarts} restarts")),
        None => Ok(()),
    }
}

async fn town(world: World, bug: Option<Bug>) -> Result<(), String> {
    let town = Town::new(&world);
    let root = town.clone();
    let node = world.node("a").configure(move |builder| configured(builder, bug)).start(move || root.spec()).await;
    let system = node.map_err(|error| error.to_string())?.system();
    let mut random = Draw::new(town.seed, "mix");
    let mix = mix(random.below(12), 1 + u32::try_from(random.below(400)).unwrap_or_default());
    let mut busy = JoinSet::new();
    for sender in 0..SENDERS {
        busy.spawn(send_on(town.clone(), system.clone(), sender, mix));
    }
    busy.spawn(disturb(town.clone(), system.clone(), Draw::new(town.seed, "disturbance")));
    over(&mut busy).await?;
    sleep(REST).await;
    let untrue = untrue_children(&world, &system, "root".to_owned()).await;
    untrue.map_or(Ok(()), Err)?;
    ended(&town, &system, 0).await
}

async fn market(world: World, bug: Option<Bug>) -> Result<(), String> {
    let town = Town::new(&world).sending_again();
    let root = town.clone();
    let node =
        world.node("a").configure(move |builder| configured(builder, bug)).start(move || market::spec(&root)).await;
    let system = node.map_err(|error| error.to_string())?.system();
    let market = Market::of(&town, &system).await?;
    let mut busy = JoinSet::new();
    market.busy(&mut busy);
    for sender in 0..SENDERS {
        busy.spawn(send_on(town.clone(), system.clone(), sender, mix(4, 100)));
    }
    over(&mut busy).await?;
    sleep(REST).await;
    if let Some(problem) = market.problem().await {
        return Err(problem);
    }
    let untrue = untrue_children(&world, &system, "root".to_owned()).await;
    untrue.map_or(Ok(()), Err)?;
    ended(&town, &system, market.refused_again()).await
}

async fn books(world: World, bug: Option<Bug>) -> Result<(), String> {
    let node = world.node("a").configure(move |builder| configured(builder, bug)).start(bare).await;
    let node = node.map_err(|error| error.to_string())?;
    books::run_on(node, &world).await.map_or(Ok(()), Err)
}

/// Waits until nobody is busy any more.
async fn over(busy: &mut JoinSet<()>) -> Result<(), String> {
    let all = async {
        while let Some(done) = busy.join_next().await {
            done.map_err(|error| format!("whoever works in the arena failed: {error}"))?;
        }
        Ok(())
    };
    timeout(REST, all).await.unwrap_or_else(|_| Err("over: somebody is busy for ever".to_owned()))
}

/// Ends the system, and counts what it leaves.
async fn ended(town: &Town, system: &System, refused_again: u64) -> Result<(), String> {
    // What it comes to is in the trace.
    let _ = system.shutdown().await;
    if let Some(problem) = town.post.world.look(|trace| miscounted(trace, system, refused_again)) {
        return Err(problem);
    }
    for letter in system.dead_letters(&Filter::all()) {
        let Some(note) = system.take_dead_letter::<Note>(letter.id) else { continue };
        if let post::Mark::Letter(number) | post::Mark::Turn { letter: number, .. } = note.message.mark {
            town.post.ledger.dead(number, letter.why);
        }
    }
    town.post.problem().map_or(Ok(()), Err)
}

/// Each dead letter was told of once: a drop for one reason is one dead letter for that reason.
fn miscounted(trace: &Trace, system: &System, refused_again: u64) -> Option<String> {
    let mut told: BTreeMap<DeadReason, u64> = BTreeMap::new();
    for entry in trace.entries() {
        let Some(EventKind::Dropped { why }) = entry.event() else { continue };
        let why = match why {
            DropReason::Expired => DeadReason::Expired,
            DropReason::Closed => DeadReason::Gone,
            DropReason::Shed => DeadReason::Shed,
            DropReason::Refused => DeadReason::Refused,
            DropReason::NoReceiver => DeadReason::NoReceiver,
            _ => continue,
        };
        *told.entry(why).or_default() += 1;
    }
    *told.entry(DeadReason::Refused).or_default() += refused_again;
    let counts = system.dead_letter_counts();
    DeadReason::ALL.into_iter().find_map(|why| {
        let (told, dead) = (told.get(&why).copied().unwrap_or_default(), counts.because(why));
        (told != dead)
            .then(|| format!("drops: {told} are told of because of `{why}`, and there are {dead} dead letters"))
    })
}
