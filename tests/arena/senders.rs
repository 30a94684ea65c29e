//! Those who send, in whatever way there is, to whoever is or was there.

use std::time::Instant;

use steadfast::message::{Envelope, Priority};
use steadfast::{AgentRef, System};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::citizen::{Act, Citizen, Mix, Note};
use super::post::Mark;
use super::town::{BUSY, Town};
use crate::worker::Draw;

/// How many send at once.
pub(super) const SENDERS: usize = 6;

/// More than a shell takes at once.
const BURST: usize = 100;

/// Sends for as long as the town is busy.
pub(super) async fn send_on(town: Town, system: System, sender: usize, mix: Mix) {
    let mut random = Draw::new(town.seed, &format!("sender {sender}"));
    let (began, mut asks) = (town.post.world.now(), JoinSet::new());
    while town.post.world.now() < began + BUSY {
        sleep(random.time(120)).await;
        let paths = town.paths();
        let path = random.of(&paths).clone();
        let Ok(agent) = system.agent::<Citizen>(&path) else { continue };
        let act = Act::draw(&mut random, mix, &paths);
        send_one(&town, (&system, &agent), (sender, act), (&mut random, &mut asks)).await;
        while asks.try_join_next().is_some() {}
    }
    while let Some(asked) = asks.join_next().await {
        asked.expect("no panic");
    }
}

async fn send_one(
    town: &Town,
    (system, agent): (&System, &AgentRef<Citizen>),
    (sender, act): (usize, Act),
    (random, asks): (&mut Draw, &mut JoinSet<()>),
) {
    let post = town.post.clone();
    let limit = if random.one_in(3) { random.time(2_000) } else { random.time(60) };
    let turn = |act| {
        let (letter, mark) = post.turn(sender, agent.path().as_str());
        let note = Note { mark, act };
        post.ledger.told_or_given_back(letter, agent.tell(note));
    };
    match random.below(12) {
        0..=3 => turn(act),
        // What stands behind somebody who ends is handled after what was sent before it, by the next life.
        4 => {
            (0..=random.below(5)).for_each(|_| turn(Act::Reply));
            turn(act);
            (0..=random.below(5)).for_each(|_| turn(Act::Reply));
            sleep(random.time(3)).await;
            (0..=random.below(3)).for_each(|_| turn(Act::Reply));
        }
        5 if random.one_in(3) => (0..BURST).for_each(|_| turn(Act::Reply)),
        5..=8 => {
            let agent = agent.clone();
            let letter = post.ledger.delivery("ask", false);
            asks.spawn(async move {
                let note = Note { mark: Mark::Letter(letter), act };
                let _ = post.ask(letter, limit, agent.ask_within(note, limit)).await;
            });
        }
        9 => {
            let letter = post.ledger.delivery("tell and wait", false);
            let note = Note { mark: Mark::Letter(letter), act };
            post.ledger.told_or_given_back(letter, agent.tell_wait(note, limit).await);
        }
        10 => {
            let letter = post.ledger.delivery("send", false);
            let envelope = envelope(Note { mark: Mark::Letter(letter), act }, system.clock().now(), random);
            post.ledger.told_or_given_back(letter, agent.send(envelope));
        }
        // Whoever asked goes away before it has its answer.
        _ => {
            let (agent, leaves) = (agent.clone(), random.time(40));
            asks.spawn(async move {
                let note = Note { mark: Mark::Loose, act };
                let _ = timeout(leaves, agent.ask_within(note, 10 * leaves)).await;
            });
        }
    }
}

fn envelope(note: Note, now: Instant, random: &mut Draw) -> Envelope<Note> {
    let priorities = [Priority::LOW, Priority::MEDIUM, Priority::HIGH, Priority::CRITICAL];
    let envelope = Envelope::new(0, note).with_priority(*random.of(&priorities));
    if random.one_in(2) { envelope } else { envelope.with_time_to_live(now, random.time(100)) }
}

/// Of a hundred acts, so many end a life; those that take their time take so many milliseconds at most.
pub(super) const fn mix(ends: usize, longest: u32) -> Mix {
    Mix { ends, waits: 25, longest, timers: 5, haunts: 3 }
}
