//! Where those who reported hear that it is recorded, so that they need not ask.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steadfast::RunId;
use tokio::sync::watch;

use crate::agents::protocol::LeaseId;

/// The leases that are out, as the orchestrators of this tree recorded them last. A clone knows the same.
#[derive(Clone, Default)]
pub(crate) struct Ends(Arc<Mutex<BTreeMap<RunId, watch::Sender<Out>>>>);

/// The leases of a run that are out, each with the capability that its holder has it for.
pub(crate) type Out = BTreeMap<LeaseId, String>;

impl Ends {
    /// Says which leases of a run are out, once what ended the others is recorded.
    pub(crate) fn tell(&self, run: RunId, out: Out) {
        self.runs().entry(run).or_default().send_replace(out);
    }

    /// Waits until it is recorded that a lease has ended which is out now.
    ///
    /// Of one that is not known to be out nothing is said, nor after its run was closed: whoever waits asks then.
    pub(crate) fn of(&self, lease: &LeaseId) -> impl Future<Output = ()> + Send + use<> {
        let out = self.runs().get(&lease.attempt.run).map(watch::Sender::subscribe);
        let known = out.filter(|out| out.borrow().contains_key(lease));
        let lease = lease.clone();
        async move {
            let Some(mut out) = known else { return pending().await };
            if out.wait_for(|out| !out.contains_key(&lease)).await.is_err() {
                pending::<()>().await;
            }
        }
    }

    /// The leases of this run that are out.
    pub(crate) fn out(&self, run: RunId) -> Out {
        self.runs().get(&run).map(|out| out.borrow().clone()).unwrap_or_default()
    }

    /// Nothing more is said of this run.
    pub(crate) fn leave(&self, run: RunId) {
        self.runs().remove(&run);
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<RunId, watch::Sender<Out>>> {
        // Nothing that can panic happens under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use steadfast::Incarnation;
    use uuid::Uuid;

    use super::*;
    use crate::agents::protocol::{Attempt, Part};
    use crate::run::TaskId;

    fn lease(number: u32) -> LeaseId {
        let run = RunId::new(Uuid::from_u128(1));
        let attempt = Attempt { run, task: TaskId::single("a"), number, part: Part::Task };
        LeaseId { attempt, agent: "root/1".parse().expect("a path"), incarnation: Incarnation::new(1).expect("not 0") }
    }

    fn out(numbers: &[u32]) -> Out {
        numbers.iter().map(|number| (lease(*number), "x".to_owned())).collect()
    }

    async fn is_told(waits: impl Future<Output = ()>) -> bool {
        tokio::time::timeout(Duration::from_millis(1), waits).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_holds_a_lease_hears_when_it_is_not_out_any_more_and_not_before() {
        let (ends, run) = (Ends::default(), lease(1).attempt.run);
        ends.tell(run, out(&[1]));
        let mut waits = pin!(ends.of(&lease(1)));
        assert!(!is_told(waits.as_mut()).await);
        ends.tell(run, out(&[1, 2]));
        assert!(!is_told(waits.as_mut()).await);
        ends.tell(run, out(&[2]));
        assert!(is_told(waits).await);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_lease_that_was_not_known_to_be_out_or_of_a_run_that_was_closed_nothing_is_said() {
        let (ends, run) = (Ends::default(), lease(1).attempt.run);
        assert!(!is_told(ends.of(&lease(1))).await);
        ends.tell(run, out(&[1]));
        let (known, unknown) = (ends.of(&lease(1)), ends.of(&lease(2)));
        assert!(!is_told(unknown).await);
        assert_eq!(ends.out(run), out(&[1]));
        ends.leave(run);
        assert!(!is_told(known).await);
        assert_eq!(ends.out(run), out(&[]));
    }
}
