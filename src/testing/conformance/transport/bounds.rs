//! What becomes of messages where an inbox is full.

use super::{Bench, Clause, QUIET, SETTLED, all, below, get, message, number, pattern, promise, shared, sorted};
use crate::runtime::wait;
use crate::seam::{Durability, Inbox, Interest};

/// What an inbox for 4 has after 10, of which none was taken meanwhile.
fn check(bench: &Bench, clause: Clause, inbox: &dyn Inbox, came: Vec<u8>) {
    match bench.publisher.durability() {
        Durability::AtMostOnce => {
            clause.is("the numbers of 10 to an inbox for 4", came, below(4));
            clause.is("how many it missed", inbox.missed(), 6);
        }
        Durability::AtLeastOnce => {
            clause.is("the numbers of 10 to an inbox for 4", sorted(came), below(10));
            clause.is("how many it missed", inbox.missed(), 0);
        }
    }
}

pub(super) async fn a_full_inbox(bench: &Bench) {
    let clause =
        promise("an inbox holds as many as its bound; more are missed and counted, or wait, as the durability says");
    let mut inbox = bench.subscribe(Interest::new(pattern("a")).bound(4)).await;
    clause.is("how many it missed at first", inbox.missed(), 0);
    bench.publish_all("a", 10).await;
    wait::sleep(SETTLED).await;
    let count = if bench.publisher.durability() == Durability::AtMostOnce { 4 } else { 10 };
    let came = all(&mut *inbox, count, clause).await;
    check(bench, clause, &*inbox, came);

    let clause =
        promise("what is out and not acknowledged takes room in the inbox, and an acknowledgement gives it back");
    let missed = inbox.missed();
    bench.publish_all("a", 4).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(get(&mut *inbox, clause).await);
    }
    bench.publish(message("a", 4)).await;
    let more = wait::at_most(QUIET, inbox.next()).await;
    clause.holds(more.is_none(), || format!("{more:?} above 4 that are out"));
    for delivery in held {
        super::ack(delivery, clause).await;
    }
    if bench.publisher.durability() == Durability::AtMostOnce {
        clause.is("how many more it missed", inbox.missed() - missed, 1);
    } else {
        clause.is("the one that waited", number(&get(&mut *inbox, clause).await), 4);
    }
    bench.publish(message("a", 5)).await;
    let came = all(&mut *inbox, 1, clause).await;
    clause.holds(came.contains(&5), || format!("{came:?} after there was room again"));
}

pub(super) async fn a_full_inbox_and_others(bench: &Bench) {
    let clause = promise("a full inbox costs the others nothing, and the publisher is not held up");
    let full = bench.subscribe(Interest::new(pattern("a")).bound(1)).await;
    let mut other = bench.to("a").await;
    bench.publish_all("a", 10).await;
    clause.is("to an inbox with room", all(&mut *other, 10, clause).await, below(10));
    clause.is("how many that one missed", other.missed(), 0);
    drop(full);
}

pub(super) async fn a_full_member(bench: &Bench) {
    let clause = promise("a member of a group that is full is passed over while another has room");
    let member = |bound| Interest::new(pattern("a")).in_group("g").bound(bound);
    let mut inboxes = [bench.subscribe(member(1)).await, bench.subscribe(member(20)).await];
    bench.publish_all("a", 10).await;
    wait::sleep(SETTLED).await;
    let came = shared(&mut inboxes, 10, clause).await.concat();
    clause.is("to both", sorted(came), below(10));
    clause.is("how many they missed", inboxes.map(|inbox| inbox.missed()), [0, 0]);
}
