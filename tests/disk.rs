//! Guarantee: on the simulated disk a crash takes what the level of the journal lets it take, and nothing else; what is left
//! is whole.

use std::collections::BTreeSet;
use std::time::Duration;

use steadfast::fault::Crash;
use steadfast::seam::{AppendAt, Epoch, Journal, JournalError, Level};
use steadfast::testing::{Disk, DiskFault, SimJournal};
use steadfast::{RunId, StreamId};
use tokio::time::timeout;
use uuid::Uuid;

const SEEDS: u64 = 200;
const CRASHES: [Crash; 3] = [Crash::Process, Crash::Power, Crash::Torn];

fn run() -> StreamId {
    RunId::new(Uuid::from_u128(1)).into()
}

async fn append(journal: &SimJournal, epoch: Epoch, number: u8) -> Result<u64, JournalError> {
    journal.append(&run(), AppendAt { epoch, expected: number.into() }, vec![vec![number; 20]]).await
}

/// A disk with so many appends that were said to be kept.
async fn with(seed: u64, level: Level, appends: u8) -> Disk {
    let disk = Disk::new(seed);
    let journal = disk.journal(level);
    let epoch = journal.fence(&run(), "me").await.expect("a fence");
    for number in 0..appends {
        assert_eq!(append(&journal, epoch, number).await, Ok(u64::from(number) + 1));
    }
    disk
}

async fn left(disk: &Disk) -> usize {
    let records = disk.journal(Level::Durable).read(&run(), 0).await.expect("it was opened after the crash");
    for (number, record) in records.iter().enumerate() {
        assert_eq!(*record, vec![u8::try_from(number).expect("there are few"); 20], "what is left is whole");
    }
    records.len()
}

#[tokio::test(start_paused = true)]
async fn what_is_left_after_a_crash_is_what_the_level_says() {
    for (level, crash, expected) in [
        (Level::Durable, Crash::Process, 3),
        (Level::Durable, Crash::Power, 3),
        (Level::Durable, Crash::Torn, 3),
        (Level::ProcessCrashSafe, Crash::Process, 3),
        (Level::ProcessCrashSafe, Crash::Power, 0),
        (Level::ProcessCrashSafe, Crash::Torn, 2),
    ] {
        let disk = with(7, level, 3).await;
        disk.crash(crash);
        assert_eq!(left(&disk).await, expected, "{level:?}, {crash:?}");
        assert_eq!(disk.torn(), u64::from(expected == 2), "{level:?}, {crash:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_operating_system_has_synced_outlives_a_power_cut_at_every_level() {
    let disk = with(7, Level::ProcessCrashSafe, 2).await;
    disk.sync();
    let journal = disk.journal(Level::ProcessCrashSafe);
    let epoch = journal.fence(&run(), "me").await.expect("a fence");
    append(&journal, epoch, 2).await.expect("an append");
    disk.crash(Crash::Power);
    assert_eq!(left(&disk).await, 2);
}

#[tokio::test(start_paused = true)]
async fn at_any_moment_a_crash_costs_a_durable_journal_nothing_that_it_said_was_kept() {
    let mut ends = BTreeSet::new();
    for seed in 0..SEEDS {
        for crash in CRASHES {
            let disk = Disk::new(seed);
            let journal = disk.journal(Level::Durable);
            let epoch = journal.fence(&run(), "me").await.expect("a fence");
            let mut kept = 0;
            // The callers are dropped in the middle, as a crash of their node does.
            let _ = timeout(Duration::from_millis(20 + seed % 17), async {
                for number in 0..100 {
                    append(&journal, epoch, number).await.expect("an append");
                    kept = usize::from(number) + 1;
                }
            })
            .await;
            disk.crash(crash);
            let left = left(&disk).await;
            assert!((kept..=kept + 1).contains(&left), "seed {seed}, {crash:?}: {kept} were kept, {left} are left");
            ends.insert((left > kept, disk.torn() > 0));
        }
    }
    let all = [(false, false), (false, true), (true, false)];
    assert_eq!(ends, all.into(), "the append in the middle is kept, lost or torn, each for some seed");
}

#[tokio::test(start_paused = true)]
async fn an_append_whose_caller_is_gone_is_kept_or_not_by_the_seed_and_stays_so() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let go = async || {
            let disk = with(seed, Level::Durable, 0).await;
            let journal = disk.journal(Level::Durable);
            let epoch = journal.fence(&run(), "me").await.expect("a fence");
            let dropped = timeout(Duration::from_micros(1), append(&journal, epoch, 0)).await;
            // Nothing on the disk takes less than a millisecond.
            assert!(dropped.is_err());
            let records = journal.read(&run(), 0).await.expect("a read");
            assert_eq!(journal.read(&run(), 0).await, Ok(records.clone()), "what was read stays");
            let here = u64::try_from(records.len()).expect("there are few");
            let at = AppendAt { epoch, expected: here };
            assert_eq!(journal.append(&run(), at, vec![vec![9]]).await, Ok(here + 1), "there the stream ends");
            here
        };
        let one = go().await;
        assert_eq!(one, go().await, "seed {seed}");
        seen.insert(one);
    }
    assert_eq!(seen, [0, 1].into());
}

#[tokio::test(start_paused = true)]
async fn who_opened_the_journal_before_a_crash_can_do_nothing_after_it() {
    let disk = with(7, Level::Durable, 1).await;
    let old = disk.journal(Level::Durable);
    let epoch = old.fence(&run(), "old").await.expect("a fence");
    let (outcome, ()) = tokio::join!(append(&old, epoch, 1), async { disk.crash(Crash::Process) });
    assert!(matches!(outcome, Err(JournalError::Unavailable(_))), "it was not written yet: {outcome:?}");
    assert!(matches!(old.fence(&run(), "old").await, Err(JournalError::Unavailable(_))));
    assert!(matches!(old.read(&run(), 0).await, Err(JournalError::Unavailable(_))));
    assert_eq!(left(&disk).await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_append_that_a_crash_hits_between_write_and_sync_is_in_doubt() {
    let second = Duration::from_secs(1);
    let disk = Disk::new(7).takes(second..=second);
    let journal = disk.journal(Level::Durable);
    let epoch = journal.fence(&run(), "me").await.expect("a fence");
    let crash = async {
        tokio::time::sleep(second + second / 2).await;
        disk.crash(Crash::Power);
    };
    let (outcome, ()) = tokio::join!(append(&journal, epoch, 0), crash);
    assert!(matches!(outcome, Err(JournalError::InDoubt(_))), "{outcome:?}");
    assert_eq!(left(&disk).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_from_a_durable_journal_outlives_every_crash() {
    for crash in CRASHES {
        let second = Duration::from_secs(1);
        let disk = Disk::new(7).takes(second..=second);
        let journal = disk.journal(Level::Durable);
        let epoch = journal.fence(&run(), "me").await.expect("a fence");
        // Written, and its caller is gone before it is synced.
        let _ = timeout(second + second / 2, append(&journal, epoch, 0)).await;
        assert_eq!(journal.read(&run(), 0).await.expect("a read").len(), 1);
        disk.crash(crash);
        assert_eq!(left(&disk).await, 1, "{crash:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_append_that_is_made_to_fail_says_so_and_is_kept_or_not_as_the_fault_says() {
    for (fault, kept, in_doubt) in
        [(DiskFault::Unavailable, 0, false), (DiskFault::InDoubtLost, 0, true), (DiskFault::InDoubtKept, 1, true)]
    {
        let disk = with(7, Level::Durable, 0).await;
        let journal = disk.journal(Level::Durable);
        let epoch = journal.fence(&run(), "me").await.expect("a fence");
        disk.fail_next(fault);
        let outcome = append(&journal, epoch, 0).await;
        assert_eq!(matches!(outcome, Err(JournalError::InDoubt(_))), in_doubt, "{fault:?}: {outcome:?}");
        assert_eq!(matches!(outcome, Err(JournalError::Unavailable(_))), !in_doubt, "{fault:?}: {outcome:?}");
        assert_eq!(left(&disk).await, kept, "{fault:?}");
        // It was one.
        let number = u8::try_from(kept).expect("there are few");
        append(&journal, epoch, number).await.expect("the next one is kept");
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_says_which_appends_fail() {
    let disk = Disk::new(7);
    let journal = disk.journal(Level::Durable);
    let epoch = journal.fence(&run(), "me").await.expect("a fence");
    disk.fail_when(|append| (append.records == [[1; 20]]).then_some(DiskFault::Unavailable));
    append(&journal, epoch, 0).await.expect("this one does not");
    assert!(append(&journal, epoch, 1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn epochs_grow_over_crashes() {
    let disk = Disk::new(7);
    let mut last = None;
    for crash in CRASHES {
        let epoch = disk.journal(Level::Durable).fence(&run(), "me").await.expect("a fence");
        assert!(Some(epoch) > last);
        last = Some(epoch);
        disk.crash(crash);
    }
}

#[tokio::test(start_paused = true)]
async fn crashes_one_after_the_other_without_opening_are_no_panic() {
    for first in CRASHES {
        for second in CRASHES {
            let disk = with(7, Level::ProcessCrashSafe, 2).await;
            disk.crash(first);
            disk.crash(second);
            assert!(left(&disk).await <= 2);
        }
    }
}
