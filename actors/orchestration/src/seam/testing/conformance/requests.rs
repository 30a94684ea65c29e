//! What [`Requests`] promises.

use uuid::Uuid;

use super::Clause;
use crate::run::Millis;
use crate::seam::requests::{Request, Requests, RequestsError};

/// Holds requests to what [`Requests`] promises. There are none at first.
///
/// # Panics
///
/// With the promise that is broken.
pub async fn requests(requests: &dyn Requests) {
    let request = |id, body: &[u8]| Request {
        id: Uuid::from_u128(id),
        wall: Millis(u64::try_from(id).unwrap_or_default() * 1000),
        body: body.to_vec(),
    };
    let pending = async |clause: Clause| ready(clause, requests.pending().await);

    let clause = Clause("nothing is pending that nobody asked for");
    clause.is("pending", &pending(clause).await, &Vec::new());
    ready(clause, requests.done(Uuid::from_u128(9)).await);

    let clause = Clause("what was asked for is pending, in the order of the ids, until it is done");
    let (first, second, third) = (request(1, b"pause"), request(2, b""), request(3, &[0, 255]));
    for request in [&third, &first, &second] {
        ready(clause, requests.put(request.clone()).await);
    }
    let all = vec![first.clone(), second.clone(), third.clone()];
    clause.is("pending", &pending(clause).await, &all);
    clause.is("pending, asked again", &pending(clause).await, &all);
    ready(clause, requests.done(second.id).await);
    clause.is("pending after one is done", &pending(clause).await, &vec![first.clone(), third.clone()]);
    ready(clause, requests.done(second.id).await);

    let clause = Clause("a request that was asked for already changes nothing");
    ready(clause, requests.put(request(1, b"something else")).await);
    clause.is("pending", &pending(clause).await, &vec![first, third]);
    for id in [1, 3] {
        ready(clause, requests.done(Uuid::from_u128(id)).await);
    }
    clause.is("pending in the end", &pending(clause).await, &Vec::new());
}

#[track_caller]
fn ready<T>(clause: Clause, outcome: Result<T, RequestsError>) -> T {
    outcome.unwrap_or_else(|error| panic!("the seam breaks its contract. Promised: {}. Found: {error}", clause.0))
}
