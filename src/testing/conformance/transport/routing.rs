//! Who gets a message, and what arrives.

use std::time::Duration;

use super::{Bench, all, below, get, message, number, pattern, promise, shared, sorted};
use crate::message::Headers;
use crate::seam::{Interest, TransportError};

pub(super) async fn who_gets_it(bench: &Bench) {
    const SUBJECTS: [&str; 4] = ["a", "a.b", "a.c", "a.b.c"];
    let clause = promise("a subscriber gets every message whose subject its pattern matches, and no other");
    let patterns: [(&str, &[u8]); 7] = [
        ("a", &[0]),
        ("a.b", &[1]),
        ("a.*", &[1, 2]),
        ("*.b.*", &[3]),
        ("a.>", &[1, 2, 3]),
        (">", &[0, 1, 2, 3]),
        ("b.>", &[]),
    ];
    let mut inboxes = Vec::new();
    for (text, _) in patterns {
        inboxes.push(bench.to(text).await);
    }
    for (number, subject) in (0..).zip(SUBJECTS) {
        bench.publish(message(subject, number)).await;
    }
    for (inbox, (text, expected)) in inboxes.iter_mut().zip(patterns) {
        clause.is(
            &format!("the numbers of {SUBJECTS:?} to `{text}`"),
            all(&mut **inbox, expected.len(), clause).await,
            expected.to_vec(),
        );
    }

    let clause = promise("every subscriber without a group gets each message");
    let (mut one, mut other) = (bench.to("x").await, bench.to("x").await);
    bench.publish_all("x", 3).await;
    clause.is("to the one", all(&mut *one, 3, clause).await, below(3));
    clause.is("to the other", all(&mut *other, 3, clause).await, below(3));
}

pub(super) async fn what_arrives(bench: &Bench) {
    let clause = promise("what arrives is what was published: subject, headers and payload");
    let mut inbox = bench.to(">").await;
    let mut headers = Headers::new();
    for (name, value) in [("tenant", "acme"), ("note", "two words, ä")] {
        headers.set(name, value).unwrap_or_else(|error| panic!("the suite is wrong: {error}"));
    }
    let first = message("a.b", 1).with_headers(headers);
    let mut long = message("a.b", 2);
    long = crate::seam::Message::new(long.subject().clone(), vec![7; 100_000]);
    let empty = crate::seam::Message::new(long.subject().clone(), Vec::new());
    for sent in [first, long, empty] {
        bench.publish(sent.clone()).await;
        let came = get(&mut *inbox, clause).await;
        clause.holds(*came.message() == sent, || format!("{:?}, published was {sent:?}", came.message()));
        super::ack(came, clause).await;
    }

    let clause = promise("what one publisher sent arrives in that order at each subscriber");
    bench.publish_all("a", 100).await;
    clause.is("the numbers", all(&mut *inbox, 100, clause).await, below(100));
}

pub(super) async fn groups(bench: &Bench) {
    let clause = promise("of each group one member gets a message, and who is in none gets it as well");
    let member = |group: &str| Interest::new(pattern("a.>")).in_group(group);
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(bench.subscribe(member("workers")).await);
    }
    let mut audit = bench.subscribe(member("audit")).await;
    let mut alone = bench.to("a.b").await;
    bench.publish_all("a.b", 60).await;
    let each = shared(&mut workers, 60, clause).await;
    let wrong = each.iter().find(|came| !came.is_sorted());
    clause.holds(wrong.is_none(), || format!("one member got {wrong:?}, out of order"));
    clause.is("to all members of one group together", sorted(each.concat()), below(60));
    clause.is("to the only member of another", all(&mut *audit, 60, clause).await, below(60));
    clause.is("to who is in none", all(&mut *alone, 60, clause).await, below(60));
}

pub(super) async fn nobody(bench: &Bench) {
    let clause = promise("who subscribes gets what is published from then on until its inbox is dropped");
    bench.publish(message("a", 0)).await;
    let (mut stays, mut leaves) = (bench.to("a").await, bench.to("a").await);
    bench.publish(message("a", 1)).await;
    let came = get(&mut *leaves, clause).await;
    clause.is("to who leaves after it", number(&came), 1);
    super::ack(came, clause).await;
    drop(leaves);
    bench.publish(message("a", 2)).await;
    clause.is("to who stays", all(&mut *stays, 2, clause).await, vec![1, 2]);
}

pub(super) async fn refusals(bench: &Bench) {
    let clause = promise("an interest that cannot be is refused");
    let fine = || Interest::new(pattern("a"));
    for wrong in [
        fine().bound(0),
        fine().ack_within(Duration::ZERO),
        fine().in_group(""),
        fine().in_group("two words"),
        fine().in_group("two.tokens"),
    ] {
        let outcome = bench.subscriber.subscribe(wrong.clone()).await.map(|_| "an inbox");
        let refused = matches!(outcome, Err(TransportError::Interest { .. }));
        clause.holds(refused, || format!("{outcome:?} for {wrong:?}"));
    }
}
