//! The texts of a record that may hold anything, and its time.

use super::{Leased, Outcome, Record, UndoOutcome, WaitFor};
use crate::redact::Redactor;
use crate::run::id::Millis;

impl Record {
    /// When it happened, where it says so.
    #[must_use]
    pub fn wall(&self) -> Option<Millis> {
        match self {
            Self::RunStarted { wall, .. }
            | Self::Forked { wall, .. }
            | Self::TakenUp { wall, .. }
            | Self::Leased(Leased { wall, .. })
            | Self::UndoLeased(Leased { wall, .. })
            | Self::Failed { wall, .. }
            | Self::Lost { wall, .. }
            | Self::Recorded { wall, .. }
            | Self::Paused { wall, .. }
            | Self::Resumed { wall, .. }
            | Self::CancelAsked { wall, .. }
            | Self::Undoing { wall, .. }
            | Self::UndoFailed { wall, .. }
            | Self::UndoLost { wall, .. }
            | Self::UndoRecorded { wall, .. }
            | Self::Waiting { wall, .. }
            | Self::Approved { wall, .. }
            | Self::Rejected { wall, .. }
            | Self::Signalled { wall, .. }
            | Self::ChildStarted { wall, .. }
            | Self::ChildEnded { wall, .. }
            | Self::BudgetSpent { wall, .. }
            | Self::RequestTaken { wall, .. }
            | Self::RequestRefused { wall, .. }
            | Self::Ended { wall, .. } => Some(*wall),
            Self::Planned { .. }
            | Self::Unplannable { .. }
            | Self::Expanded { .. }
            | Self::Refused { .. }
            | Self::Reserved { .. }
            | Self::Charged { .. }
            | Self::ToolCalled { .. }
            | Self::Draining => None,
        }
    }

    /// The record without secrets in its texts. Results were redacted before they were digested.
    pub(crate) fn redacted(mut self, redactor: &Redactor) -> Self {
        for text in self.texts_mut() {
            *text = redactor.text(text).into_owned();
        }
        self
    }

    /// The texts that come from outside, for whoever must look through them before they are written.
    ///
    /// Results are not among them: they were looked through before they were digested.
    fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::RunStarted { goal, params, .. } => vec![goal, params],
            Self::Unplannable { message }
            | Self::Failed { message, .. }
            | Self::UndoFailed { message, .. }
            | Self::BudgetSpent { message, .. }
            | Self::UndoRecorded { outcome: UndoOutcome::Failed { message, .. }, .. } => vec![message],
            Self::Lost { why, .. } | Self::UndoLost { why, .. } | Self::RequestRefused { why, .. } => vec![why],
            Self::Recorded { outcome, .. } => outcome.texts_mut(),
            Self::Paused { who, message, .. } => vec![who, message],
            Self::Resumed { who, .. } => vec![who],
            Self::CancelAsked { who, why, .. } | Self::Approved { who, why, .. } | Self::Rejected { who, why, .. } => {
                vec![who, why]
            }
            Self::Waiting { on: WaitFor::Approval { prompt, .. }, .. } => vec![prompt],
            Self::Signalled { data, who, .. } => vec![data, who],
            _ => Vec::new(),
        }
    }
}

impl Outcome {
    fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::Failed { message: text, .. } | Self::Skipped { reason: text, .. } => vec![text],
            Self::Succeeded { .. } | Self::Stored { .. } => Vec::new(),
        }
    }
}
