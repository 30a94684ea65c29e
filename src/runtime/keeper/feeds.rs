//! Where those who follow streams are told that something was appended.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::id::StreamId;
use crate::runtime::guard::lock;
use crate::seam::{JournalError, Seq, Written};

/// The streams that are followed, each with the number of the last record that was appended through this system since.
#[derive(Default)]
pub(crate) struct Feeds {
    /// Whether any was ever followed: most systems have none, and pay one look.
    any: AtomicBool,
    streams: Mutex<BTreeMap<StreamId, watch::Sender<Seq>>>,
}

impl Feeds {
    /// Follows a stream from now on.
    pub(crate) fn follow(&self, stream: &StreamId) -> watch::Receiver<Seq> {
        let mut streams = lock(&self.streams);
        streams.retain(|_, sender| sender.receiver_count() > 0);
        let followed = streams.entry(stream.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe();
        self.any.store(true, Ordering::Release);
        followed
    }

    /// Tells whoever follows one of these streams where it ends now. Who begins to follow a stream while it is written to is
    /// told, too.
    pub(super) fn tell(&self, streams: &[StreamId], written: &[Result<Written, JournalError>]) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let followed = lock(&self.streams);
        for (stream, written) in streams.iter().zip(written) {
            if let (Ok(Written::Seq(seq)), Some(sender)) = (written, followed.get(stream)) {
                sender.send_if_modified(|last| {
                    let is_new = *last < *seq;
                    *last = (*seq).max(*last);
                    is_new
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_to_follow_while_it_is_written_is_told_and_nobody_is_told_of_what_failed() {
        let (feeds, stream) = (Feeds::default(), "orders".parse::<StreamId>().expect("a name"));
        let streams = [stream.clone(), stream.clone()];
        feeds.tell(&streams, &[Ok(Written::Seq(1)), Ok(Written::Seq(2))]);
        // The batch is taken out of the queue, and not written yet.
        let mut followed = feeds.follow(&stream);
        followed.mark_unchanged();
        feeds.tell(&streams, &[Ok(Written::Seq(3)), Err(JournalError::Unavailable("the disk is full".into()))]);
        assert_eq!((followed.has_changed().ok(), *followed.borrow()), (Some(true), 3));
        followed.mark_unchanged();
        feeds.tell(&streams, &[Ok(Written::Seq(2))]);
        assert_eq!((followed.has_changed().ok(), *followed.borrow()), (Some(false), 3), "it never goes back");
    }
}
