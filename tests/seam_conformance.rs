//! Guarantee: every implementation of a seam, real and simulated, keeps what the seam promises; and the suites that say so
//! notice what is broken.

#[path = "seam_conformance/breach.rs"]
mod breach;
#[path = "seam_conformance/twisted_journals.rs"]
mod twisted_journals;
#[path = "seam_conformance/wrong_journals.rs"]
mod wrong_journals;
#[path = "seam_conformance/wrong_transports.rs"]
mod wrong_transports;
#[path = "seam_conformance/wrong_worlds.rs"]
mod wrong_worlds;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use steadfast::fault::Crash;
use steadfast::seam::{Clock, Entropy, Journal, Level, Transport};
use steadfast::testing::conformance::{self, Places};
use steadfast::testing::{Disk, Network, VirtualClock};
use steadfast::{LocalTransport, MemoryJournal, SeededEntropy, TokioClock};

fn virtual_clock() -> Arc<dyn Clock> {
    Arc::new(VirtualClock::new())
}

fn real_clock() -> Arc<dyn Clock> {
    Arc::new(TokioClock)
}

#[tokio::test(start_paused = true)]
async fn the_clocks_keep_their_contract_in_paused_time() {
    conformance::clock(|| async { real_clock() }).await;
    conformance::clock(|| async { virtual_clock() }).await;
}

#[tokio::test]
async fn the_clocks_keep_their_contract_in_real_time() {
    conformance::clock(|| async { real_clock() }).await;
    conformance::clock(|| async { virtual_clock() }).await;
}

#[tokio::test(start_paused = true)]
async fn the_sources_of_randomness_keep_their_contract() {
    let seeded = |seed| Arc::new(SeededEntropy::new(seed, virtual_clock())) as Arc<dyn Entropy>;
    conformance::entropy(|| seeded(7));
    conformance::seeded_entropy(seeded);
    conformance::entropy(|| Arc::new(SeededEntropy::new(7, real_clock())));
    conformance::entropy(|| Arc::new(SeededEntropy::from_os(real_clock())));
    // No two processes have the same.
    let first = |entropy: SeededEntropy| entropy.stream("a").next_u64();
    assert_ne!(first(SeededEntropy::from_os(real_clock())), first(SeededEntropy::from_os(real_clock())));
}

#[tokio::test(start_paused = true)]
async fn the_journal_in_memory_keeps_its_contract() {
    conformance::journal(|| async { Arc::new(MemoryJournal::default()) as Arc<dyn Journal> }).await;
}

#[tokio::test(start_paused = true)]
async fn the_journal_of_a_system_keeps_the_contract_of_what_is_behind_it() {
    use steadfast::{Strategy, SupervisorSpec, System};
    conformance::journal(|| async {
        let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne)).await.expect("a system");
        system.journal()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_journal_on_a_simulated_disk_keeps_its_contract_at_every_level() {
    for level in Level::ALL {
        let seed = AtomicU64::new(0);
        for _ in 0..20 {
            conformance::journal(|| {
                let disk = Disk::new(seed.fetch_add(1, Ordering::Relaxed));
                async move { Arc::new(disk.journal(level)) as Arc<dyn Journal> }
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_journal_on_a_simulated_disk_outlives_what_its_level_says() {
    for (level, crash) in [
        (Level::ProcessCrashSafe, Crash::Process),
        (Level::Durable, Crash::Process),
        (Level::Durable, Crash::Power),
        (Level::Durable, Crash::Torn),
    ] {
        let disk = Disk::new(7);
        conformance::journal_over_restarts(|| {
            disk.crash(crash);
            let journal: Arc<dyn Journal> = Arc::new(disk.journal(level));
            async { journal }
        })
        .await;
    }
}

/// One transport in one place.
fn local() -> Places {
    Places::new(vec![Arc::new(LocalTransport::new())])
}

#[tokio::test(start_paused = true)]
async fn the_transport_of_a_process_keeps_its_contract() {
    conformance::transport(|| async { local() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transport_of_a_process_keeps_its_contract_in_real_time() {
    conformance::transport(|| async { local() }).await;
}

#[tokio::test(start_paused = true)]
async fn the_simulated_network_keeps_its_contract_between_nodes_and_within_one() {
    let seed = AtomicU64::new(0);
    for _ in 0..20 {
        conformance::transport(|| {
            let network = Network::new(seed.fetch_add(1, Ordering::Relaxed), None);
            let nodes: Vec<Arc<dyn Transport>> = ["a", "b", "c"].iter().map(|name| network.node(name)).collect();
            async { Places::new(nodes).keeping(network) }
        })
        .await;
    }
}
