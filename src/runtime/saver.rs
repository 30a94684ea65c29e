//! Snapshots of an agent, saved beside what it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::id::StreamId;
use crate::message::codec::EncodeError;
use crate::runtime::agent::{Agent, Context};
use crate::seam::{Epoch, Journal, Seq, Snapshot, Upto, Write};
use crate::sourcing::Keeping;

/// A snapshot whose bytes are not made yet.
pub(super) type ToSave = Box<dyn FnOnce() -> Result<Snapshot, EncodeError> + Send>;

/// Saves snapshots of one life, one after the other.
pub(super) struct Saver {
    pub(super) keeping: Keeping,
    pub(super) stream: StreamId,
    pub(super) epoch: Epoch,
    pub(super) journal: Arc<dyn Journal>,
    /// What a snapshot holds is forgotten.
    pub(super) prunes: bool,
    pub(super) room: Room,
}

/// Room for one snapshot that is on its way.
#[derive(Default)]
pub(super) struct Room(Arc<AtomicBool>);

/// The room, for as long as it is used, however that ends.
struct Used(Arc<AtomicBool>);

impl Room {
    fn take(&self) -> Option<Used> {
        let is_free = !self.0.swap(true, Ordering::AcqRel);
        is_free.then(|| Used(Arc::clone(&self.0)))
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Saver {
    /// Has the state at this event saved where that is due. What comes of it changes nothing for the agent: the next one
    /// will be. The bytes are made beside the agent, too.
    pub(super) fn save_if_due<A: Agent>(&mut self, seq: Seq, to_save: impl FnOnce() -> ToSave, ctx: &mut Context<A>) {
        if !self.keeping.is_due(seq) {
            return;
        }
        let Some(used) = self.room.take() else { return };
        let to_save = to_save();
        self.keeping.kept(seq);
        let (stream, epoch, prunes) = (self.stream.clone(), self.epoch, self.prunes);
        let (journal, path) = (Arc::clone(&self.journal), ctx.path().clone());
        ctx.spawn_at_once(async move {
            let _used = used;
            match to_save() {
                Ok(snapshot) => {
                    let mut writes = vec![Write::Snapshot { stream: stream.clone(), epoch, snapshot }];
                    if prunes {
                        // By itself it prunes what an earlier snapshot holds, so it does no harm where this one failed.
                        writes.push(Write::Prune { stream, epoch, upto: Upto::Snapshot });
                    }
                    for error in journal.write(writes).await.into_iter().filter_map(Result::err) {
                        tracing::warn!(%path, %error, "a snapshot was not saved");
                    }
                }
                Err(error) => tracing::warn!(%path, %error, "a snapshot was not saved"),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::guard::call_caught;

    #[test]
    fn the_room_for_a_snapshot_is_free_again_however_that_ends() {
        let room = Room::default();
        let used = room.take().expect("it is free");
        assert!(room.take().is_none(), "there is one on its way");
        drop(used);
        let panics = || {
            let _used = room.take().expect("it is free");
            panic!("while its bytes are made")
        };
        let ended: Result<(), _> = call_caught(panics);
        assert!(ended.is_err());
        assert!(room.take().is_some());
    }
}
