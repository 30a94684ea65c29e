//! What becomes of a delivery.

use std::time::Duration;

use super::{Bench, QUIET, SETTLED, ack, all, below, get, message, number, pattern, promise, sorted};
use crate::runtime::guard::at_once;
use crate::runtime::wait;
use crate::seam::Interest;

/// Within which time deliveries of these clauses are acknowledged: longer than `QUIET`.
const ACK_WITHIN: Duration = Duration::from_millis(600);

pub(super) async fn given_back(bench: &Bench) {
    for interest in [Interest::new(pattern("a")), Interest::new(pattern("a")).in_group("g")] {
        let clause = promise("what is given back is delivered again, with the count of deliveries");
        let mut inbox = bench.subscribe(interest).await;
        bench.publish(message("a", 7)).await;
        for count in 1..=3 {
            let came = get(&mut *inbox, clause).await;
            clause.is("number, and count", (number(&came), came.deliveries()), (7, count));
            came.nak();
        }
        let clause = promise("a delivery that is dropped is given back");
        drop(get(&mut *inbox, clause).await);
        let came = get(&mut *inbox, clause).await;
        clause.is("the count", came.deliveries(), 5);
        ack(came, clause).await;
    }
}

pub(super) async fn not_acknowledged(bench: &Bench) {
    let clause = promise("what is not acknowledged within its time is delivered again, and not before");
    let mut inbox = bench.subscribe(Interest::new(pattern("a")).ack_within(ACK_WITHIN)).await;
    bench.publish(message("a", 7)).await;
    let mut held = Vec::new();
    for count in 1..=3 {
        let came = get(&mut *inbox, clause).await;
        clause.is("number, and count", (number(&came), came.deliveries()), (7, count));
        held.push(came);
        let early = wait::at_most(ACK_WITHIN / 3, inbox.next()).await;
        clause.holds(early.is_none(), || format!("it came again before a third of {ACK_WITHIN:?} was over"));
    }
    // The last is in time.
    let last = held.pop();
    if let Some(last) = last {
        ack(last, clause).await;
    }
    let clause = promise("what is acknowledged in time, at whichever delivery, does not come again");
    drop(held);
    let more = wait::at_most(2 * ACK_WITHIN, inbox.next()).await;
    clause.holds(more.is_none(), || format!("{more:?}"));
}

pub(super) async fn acknowledged(bench: &Bench) {
    let clause = promise("what is acknowledged in time does not come again, whoever is there");
    let interest = || Interest::new(pattern("a")).ack_within(ACK_WITHIN);
    let mut alone = bench.subscribe(interest()).await;
    let mut first = bench.subscribe(interest().in_group("g")).await;
    bench.publish(message("a", 7)).await;
    for inbox in [&mut alone, &mut first] {
        let came = get(&mut **inbox, clause).await;
        clause.is("the count", came.deliveries(), 1);
        ack(came, clause).await;
    }
    let mut second = bench.subscribe(interest().in_group("g")).await;
    wait::sleep(2 * ACK_WITHIN).await;
    drop(first);
    for inbox in [&mut alone, &mut second] {
        let more = wait::at_most(QUIET, inbox.next()).await;
        clause.holds(more.is_none(), || format!("{more:?}"));
    }
}

pub(super) async fn dropped_waits(bench: &Bench) {
    let clause = promise("nothing is lost by dropping a wait for the next message");
    let mut inbox = bench.to("a").await;
    let mut came = Vec::new();
    for sent in 0..20 {
        if let Some(Some(delivery)) = at_once(inbox.next()) {
            came.push(number(&delivery));
            ack(delivery, clause).await;
        }
        bench.publish(message("a", sent)).await;
        for wait in [Duration::ZERO, Duration::from_micros(300) * u32::from(sent)] {
            if let Some(Some(delivery)) = wait::at_most(wait, inbox.next()).await {
                came.push(number(&delivery));
                ack(delivery, clause).await;
            }
        }
    }
    let left = 20 - came.len();
    came.extend(all(&mut *inbox, left, clause).await);
    clause.is("the numbers", came, below(20));
}

pub(super) async fn members_that_leave(bench: &Bench) {
    let clause = promise("what a member of a group that is gone did not acknowledge goes to another");
    let interest = || Interest::new(pattern("a")).in_group("g");
    let mut leaves = bench.subscribe(interest()).await;
    bench.publish_all("a", 6).await;
    let first = get(&mut *leaves, clause).await;
    let held = get(&mut *leaves, clause).await;
    clause.is("the first two", (number(&first), number(&held)), (0, 1));
    ack(first, clause).await;
    // The others have arrived, and wait.
    wait::sleep(SETTLED).await;
    let mut stays = bench.subscribe(interest()).await;
    drop(leaves);
    drop(held);
    clause.is("to who stays", sorted(all(&mut *stays, 5, clause).await), vec![1, 2, 3, 4, 5]);
}
