//! What a source of randomness promises.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::Clause;
use crate::seam::{Entropy, Rng};

fn first(mut rng: Rng) -> [u64; 8] {
    std::array::from_fn(|_| rng.next_u64())
}

/// Holds a source of randomness to what [`Entropy`] promises.
///
/// # Panics
///
/// With the promise that is broken.
pub fn entropy(make: impl Fn() -> Arc<dyn Entropy>) {
    let entropy = make();
    let clause = Clause::new("entropy", "the same label gives the same stream again");
    let before = first(entropy.stream("a label"));
    let _ = (entropy.id(), first(entropy.stream("another")));
    clause.is("its first numbers", first(entropy.stream("a label")), before);

    let clause = Clause::new("entropy", "every label has a stream of its own");
    let labels: BTreeSet<_> = (0..100).map(|label| first(entropy.stream(&format!("label {label}")))).collect();
    clause.is("different streams of 100 labels", labels.len(), 100);

    let clause = Clause::new("entropy", "ids are UUIDs of version 7, unique, and later ones sort after earlier ones");
    let ids: Vec<_> = (0..10_000).map(|_| entropy.id()).collect();
    let wrong = ids.iter().find(|id| id.get_version_num() != 7);
    clause.holds(wrong.is_none(), || format!("{wrong:?}"));
    let wrong = ids.windows(2).find(|pair| pair[0] >= pair[1]);
    clause.holds(wrong.is_none(), || format!("one after the other {wrong:?}"));

    let clause = Clause::new("entropy", "ids are unique, whoever asks at the same time");
    let of_a_thread = || (0..1000).map(|_| entropy.id()).collect::<Vec<_>>();
    let all: Vec<Uuid> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(of_a_thread)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    clause.is("different ids of 4 threads with 1000 each", all.into_iter().collect::<BTreeSet<_>>().len(), 4000);
}

/// Holds a source of randomness that is given a seed to what follows from that. Its clock, where its ids need one, must
/// stand still.
///
/// # Panics
///
/// With the promise that is broken.
pub fn seeded_entropy(make: impl Fn(u64) -> Arc<dyn Entropy>) {
    let all = |entropy: &dyn Entropy| (first(entropy.stream("a label")), [entropy.id(), entropy.id()]);
    let clause = Clause::new("entropy", "everything follows from the seed");
    clause.is("streams and ids of the same seed", all(&*make(7)), all(&*make(7)));
    let clause = Clause::new("entropy", "another seed gives other numbers and ids");
    let (one, other) = (all(&*make(7)), all(&*make(8)));
    clause.holds(one.0 != other.0, || format!("twice the stream {:?}", one.0));
    clause.holds(one.1 != other.1, || format!("twice the ids {:?}", one.1));
}
