//! Artifacts that no record names are removed, and none that a record may still name.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::Duration;

use steadfast::TokioClock;
use steadfast::seam::{Clock, Level};
use steadfast_orchestration::seam::artifacts::{ArtifactError, Digest};
use steadfast_storage::{Store, StoreError, Swept};
use tempfile::TempDir;
use tokio::runtime::Builder;

struct Desk {
    folder: TempDir,
    store: Store,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path(), Level::ProcessCrashSafe, "a test").await.expect("it opens");
        Self { folder, store }
    }

    async fn put(&self, bytes: &[u8]) -> Digest {
        self.store.artifacts().put(bytes.to_vec()).await.expect("it is kept")
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let (begins, rest) = digest.as_str().split_at(2);
        self.folder.path().join("artifacts").join(begins).join(rest)
    }

    /// Lets it have been put so long ago.
    fn age(&self, digest: &Digest, by: Duration) {
        let file = File::open(self.path(digest)).expect("it is there");
        file.set_modified(TokioClock.wall() - by).expect("it is ours");
    }

    async fn sweep(&self, named: &[&Digest]) -> (usize, u64) {
        let named: BTreeSet<_> = named.iter().copied().cloned().collect();
        let Swept { artifacts, bytes, .. } = self.store.sweep_artifacts(&named).await.expect("it is swept");
        (artifacts, bytes)
    }

    async fn has(&self, digest: &Digest) -> bool {
        match self.store.artifacts().get(digest).await {
            Ok(_) => true,
            Err(ArtifactError::Missing { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

const LONG: Duration = Duration::from_hours(2);

#[tokio::test]
async fn what_no_record_names_goes_once_it_is_old_and_all_else_stays() {
    let desk = Desk::new().await;
    let [named, young, older, old] =
        [desk.put(b"named").await, desk.put(b"young").await, desk.put(b"older").await, desk.put(b"old").await];
    desk.age(&named, LONG);
    desk.age(&older, Store::ARTIFACT_GRACE * 9 / 10);
    desk.age(&old, LONG);
    let stranger = desk.folder.path().join("artifacts/notes.txt");
    fs::write(&stranger, b"somebody's").expect("it is written");
    assert_eq!(desk.sweep(&[&named]).await, (1, 3));
    for (digest, stays) in [(&named, true), (&young, true), (&older, true), (&old, false)] {
        assert_eq!(desk.has(digest).await, stays);
    }
    assert!(stranger.exists());
    assert_eq!(desk.sweep(&[&named]).await, (0, 0), "once more");
    assert_eq!(desk.sweep(&[]).await, (1, 5), "nobody names it any more");
    assert_eq!(desk.put(b"old").await, old);
    assert!(desk.has(&old).await, "and what is removed can be put again");
}

#[tokio::test]
async fn where_nobody_puts_any_what_no_record_names_goes_at_once() {
    let desk = Desk::new().await;
    let [named, young] = [desk.put(b"named").await, desk.put(b"young").await];
    let swept = desk.store.sweep_artifacts_now(&BTreeSet::from([named.clone()])).await.expect("it is swept");
    assert_eq!((swept.artifacts, swept.bytes), (1, 5));
    assert!(desk.has(&named).await && !desk.has(&young).await);
}

#[tokio::test]
async fn an_artifact_that_is_put_again_is_young_again() {
    let desk = Desk::new().await;
    let digest = desk.put(b"the same").await;
    desk.age(&digest, LONG);
    desk.put(b"the same").await;
    assert_eq!(desk.sweep(&[]).await, (0, 0));
    assert!(desk.has(&digest).await, "its record may be on its way");
}

#[test]
fn a_sweep_waits_for_who_is_putting_what_it_would_remove() {
    // Where its one thread is held up, nothing of a file is read or written.
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().expect("a runtime");
    runtime.block_on(async {
        let desk = Desk::new().await;
        let digest = desk.put(b"the same").await;
        desk.age(&digest, LONG);
        let (go, held_up) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || held_up.recv());
        let (artifacts, named) = (desk.store.artifacts(), BTreeSet::new());
        let mut putting = artifacts.put(b"the same".to_vec());
        let mut sweeping = pin!(desk.store.sweep_artifacts(&named));
        let mut once = Context::from_waker(Waker::noop());
        assert!(putting.as_mut().poll(&mut once).is_pending(), "it looks whether it is there");
        assert!(sweeping.as_mut().poll(&mut once).is_pending(), "it removes nothing meanwhile");
        drop(go);
        assert_eq!(putting.await.expect("it is kept"), digest);
        assert_eq!(sweeping.await.expect("it is swept"), Swept::default(), "by now it is young");
        assert!(desk.has(&digest).await);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_while_it_is_swept_is_there_once_the_put_is_ok() {
    let desk = Desk::new().await;
    let digest = desk.put(b"the same").await;
    for round in 0..200 {
        desk.age(&digest, LONG);
        let artifacts = desk.store.artifacts();
        let putting = tokio::spawn(async move { artifacts.put(b"the same".to_vec()).await });
        desk.sweep(&[]).await;
        putting.await.expect("it does not panic").expect("it is kept");
        assert!(desk.has(&digest).await, "round {round}");
    }
}

#[tokio::test]
async fn who_only_reads_sweeps_nothing_and_where_nothing_is_kept_there_is_nothing_to_sweep() {
    let desk = Desk::new().await;
    let digest = desk.put(b"old").await;
    desk.age(&digest, LONG);
    let reader = Store::read_only(desk.folder.path()).await.expect("it can be read");
    let refused = reader.sweep_artifacts(&BTreeSet::new()).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
    assert!(desk.has(&digest).await);

    let volatile = Store::open(desk.folder.path(), Level::Volatile, "a test").await.expect("it opens");
    assert_eq!(volatile.sweep_artifacts(&BTreeSet::new()).await.expect("nothing"), Swept::default());
}
