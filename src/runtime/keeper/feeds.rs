//! Where those who follow streams are told that something was appended.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::id::StreamId;
use crate::runtime::guard::lock;
use crate::seam::{JournalError, Seq, Write, Written};

/// The streams that are followed, each with the number of the last record that was appended through this system since.
#[derive(Default)]
pub(crate) struct Feeds {
    /// Whether any was ever followed: most systems have none, and pay one look.
    any: AtomicBool,
    streams: Mutex<BTreeMap<StreamId, watch::Sender<Seq>>>,
}

/// Who is to be told of a write in a batch, by its place there.
type ToTell = Vec<(usize, watch::Sender<Seq>)>;

impl Feeds {
    /// Follows a stream from now on.
    pub(crate) fn follow(&self, stream: &StreamId) -> watch::Receiver<Seq> {
        let mut streams = lock(&self.streams);
        streams.retain(|_, sender| sender.receiver_count() > 0);
        let followed = streams.entry(stream.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe();
        self.any.store(true, Ordering::Release);
        followed
    }

    /// Who is to be told once these writes are there.
    pub(super) fn of(&self, writes: &[Write]) -> ToTell {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let streams = lock(&self.streams);
        let appends = writes.iter().enumerate().filter(|(_, write)| matches!(write, Write::Append { .. }));
        appends.filter_map(|(place, write)| Some((place, streams.get(write.stream())?.clone()))).collect()
    }

    /// Tells them.
    pub(super) fn tell(to_tell: ToTell, written: &[Result<Written, JournalError>]) {
        for (place, sender) in to_tell {
            if let Some(Ok(Written::Seq(seq))) = written.get(place) {
                sender.send_if_modified(|last| {
                    let is_new = *last < *seq;
                    *last = (*seq).max(*last);
                    is_new
                });
            }
        }
    }
}
