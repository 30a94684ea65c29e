//! What must hold of messages.

use std::collections::BTreeMap;

use super::{Place, crashed};
use crate::testing::trace::{Entry, MailStep, Trace, What};

#[derive(Default)]
struct Account {
    accepted: u64,
    begun: u64,
    over: u64,
    left: u64,
}

pub(super) fn unaccounted(trace: &Trace) -> Option<String> {
    let mut accounts: BTreeMap<Place, Account> = BTreeMap::new();
    for entry in trace.entries() {
        let What::Mail { path, step, .. } = &entry.what else { continue };
        let account = accounts.entry(Place::of(entry, path)).or_default();
        match step {
            MailStep::Accepted => account.accepted += 1,
            MailStep::Begun(_) => account.begun += 1,
            MailStep::Handled(_) | MailStep::BrokenOff(_) => account.over += 1,
            MailStep::Left(_) => account.left += 1,
        }
        if let Some(problem) = account.overdrawn(entry) {
            return Some(problem);
        }
    }
    let crashed = crashed(trace);
    accounts.iter().filter(|(place, _)| !crashed(place)).find_map(|(place, account)| account.open(place))
}

/// Whether a handler begins although nobody waits for what comes of it any more.
pub(super) fn late(trace: &Trace) -> Option<String> {
    let is_late = |entry: &&Entry| match entry.what {
        What::Mail { due: Some(due), .. } => entry.at >= due,
        _ => false,
    };
    let entry = trace.entries().iter().find(is_late)?;
    let What::Mail { due: Some(due), .. } = entry.what else { return None };
    Some(format!("it had to begin before {due:?}:\n{entry}"))
}

impl Account {
    /// More came of messages than there were.
    fn overdrawn(&self, entry: &Entry) -> Option<String> {
        let Self { accepted, begun, over, left } = self;
        if begun + left > *accepted {
            return Some(format!("{accepted} messages were let in, and {begun} begun and {left} gone:\n{entry}"));
        }
        (over > begun).then(|| format!("{begun} messages were begun, and {over} are over:\n{entry}"))
    }

    /// Something is left at the end.
    fn open(&self, place: &Place) -> Option<String> {
        let Self { accepted, begun, over, left } = self;
        let is_settled = begun + left == *accepted && begun == over;
        (!is_settled).then(|| {
            format!(
                "of {accepted} messages that {}:{} let in, {begun} were begun, {over} of them are over, and {left} left",
                place.node, place.path
            )
        })
    }
}
