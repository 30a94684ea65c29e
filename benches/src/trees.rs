//! Measurements of a tree of small children under one supervisor, for whoever can build one.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use crate::allocator;
use crate::harness::{Flavor, Unit};
use crate::probe::{Probe, Word};

/// How many crashes one round looks at, one after another.
const CRASHES: usize = 300;

/// How long all children need to come to rest, at most.
const SETTLED: Duration = Duration::from_secs(1);

/// Every which child crashes in a storm.
const STORM: usize = 10;

/// Children under one supervisor.
pub(crate) trait Tree: Sized + Send + 'static {
    /// What is described beforehand, and not timed.
    type Plan: Send;

    fn plan(children: usize, probe: Arc<Probe>) -> Self::Plan;

    /// Returns when all children have started.
    fn start(plan: Self::Plan) -> impl Future<Output = Self> + Send;
}

/// A tree that restarts its children and can be stopped.
pub(crate) trait Supervised: Tree + Sync {
    /// Whether children are stopped in the reverse of the order in which they were started.
    const ORDERED: bool;

    /// Finds references to all children. Not timed.
    fn learn(&mut self) {}

    /// Waits until a child can be told something. Not timed.
    fn reachable(&self, at: usize) -> impl Future<Output = ()> + Send {
        let _ = at;
        async {}
    }

    /// Tells a child how to end.
    fn crash(&self, at: usize, how: Word);

    /// Returns when nothing of the tree is left.
    fn stop(self) -> impl Future<Output = ()> + Send;
}

async fn grown<T: Supervised>(n: usize) -> (T, UnboundedReceiver<()>) {
    let (probe, serving) = Probe::of(n);
    let mut tree = T::start(T::plan(n, Arc::clone(&probe))).await;
    tree.learn();
    probe.begin_greeting();
    (tree, serving)
}

/// From the word that lets a child panic until its next incarnation has handled a message, among `n` siblings.
pub(crate) fn panic<T: Supervised>(flavor: Flavor, n: usize) -> Vec<f64> {
    crash::<T>(flavor, n, Word::Panic)
}

/// As [`panic`], by an error, which costs less than a panic, so that what the supervisor costs shows more.
pub(crate) fn fail<T: Supervised>(flavor: Flavor, n: usize) -> Vec<f64> {
    crash::<T>(flavor, n, Word::Fail)
}

fn crash<T: Supervised>(flavor: Flavor, n: usize, how: Word) -> Vec<f64> {
    flavor.run(async move {
        let children = n + 1;
        let (tree, mut serving) = grown::<T>(children).await;
        let mut figures = Vec::with_capacity(CRASHES);
        for turn in 0..CRASHES {
            // 7919 is a prime: neighbours in time are no neighbours in the tree.
            let at = turn * 7919 % children;
            tree.reachable(at).await;
            let began = Instant::now();
            tree.crash(at, how);
            serving.recv().await.expect("the tree is up");
            figures.push(Unit::Microseconds.of_seconds(began.elapsed().as_secs_f64()));
        }
        figures
    })
}

/// A tenth of `n` children panic at once, until all of them serve again.
pub(crate) fn storm<T: Supervised>(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (tree, mut serving) = grown::<T>(n).await;
        let began = Instant::now();
        (0..n).step_by(STORM).for_each(|at| tree.crash(at, Word::Panic));
        for _ in (0..n).step_by(STORM) {
            serving.recv().await.expect("the tree is up");
        }
        vec![Unit::Milliseconds.of_seconds(began.elapsed().as_secs_f64())]
    })
}

/// All `n` children are stopped, each with its stop hook, until the supervisor itself is gone.
pub(crate) fn stop<T: Supervised>(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (probe, _serving) = Probe::of(n);
        let tree = T::start(T::plan(n, Arc::clone(&probe))).await;
        let began = Instant::now();
        tree.stop().await;
        let took = began.elapsed();
        let (missed, out_of_order) = probe.after_stop();
        assert_eq!(missed, 0, "stop hooks that did not run");
        assert!(!T::ORDERED || out_of_order == 0, "{out_of_order} children were stopped out of order");
        vec![Unit::Milliseconds.of_seconds(took.as_secs_f64())]
    })
}

/// `n` children are started as the first ones of their supervisor.
pub(crate) fn start<T: Tree>(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (probe, _serving) = Probe::of(n);
        let plan = T::plan(n, probe);
        let began = Instant::now();
        let _tree = T::start(plan).await;
        vec![Unit::Milliseconds.of_seconds(began.elapsed().as_secs_f64())]
    })
}

/// The bytes that each of `n` children keeps, its share of everything included.
pub(crate) fn memory<T: Tree>(flavor: Flavor, n: usize) -> Vec<f64> {
    flavor.run(async move {
        let (probe, _serving) = Probe::of(n);
        allocator::begin();
        let _tree = T::start(T::plan(n, probe)).await;
        // Until all are at rest: what they need to start is not what they keep.
        tokio::time::sleep(SETTLED).await;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let each = allocator::end() as f64 / n as f64;
        vec![each]
    })
}
