//! The runs of a goal that are over, as a journal has them.

use std::collections::VecDeque;

use steadfast::StreamId;
use steadfast::seam::{Journal, JournalError, StreamInfo};

use crate::run::{PastRun, Record, decode, is_inside};

/// How many runs are looked at, the last ones first, whatever their goal.
const LOOKED_AT: usize = 500;

/// How many runs of the goal are enough.
const ENOUGH: usize = 50;

/// The last runs of a goal that are over, at most 50, the oldest first, without those inside others: these are steps of what
/// they are inside of. What cannot be read is left out: an estimate is
/// no reason to fail.
///
/// # Errors
///
/// [`JournalError`] when the journal does not answer.
///
/// # Cancel safety
///
/// Only reads; may be dropped at any time.
pub async fn past_runs(journal: &dyn Journal, goal: &str) -> Result<Vec<PastRun>, JournalError> {
    let streams = journal.list(StreamId::RUNS).await?;
    let mut runs = VecDeque::new();
    // The id of a run begins with the time at which it was made, but that of one inside another.
    let is_own = |info: &&StreamInfo| info.stream.run().is_some_and(|run| !is_inside(run));
    for info in streams.iter().rev().filter(is_own).take(LOOKED_AT) {
        let frames = match journal.read(&info.stream, 0).await {
            Ok(frames) => frames,
            Err(error @ JournalError::Unavailable(_)) => return Err(error),
            Err(_) => continue,
        };
        let Ok(records) = frames.iter().map(|frame| decode(frame)).collect::<Result<Vec<Record>, _>>() else {
            continue;
        };
        runs.extend(PastRun::of(&records).filter(|run| run.goal() == goal));
        if runs.len() == ENOUGH {
            break;
        }
    }
    runs.make_contiguous().reverse();
    Ok(runs.into())
}
