//! The texts of a record that may hold anything.

use super::{Outcome, Record, UndoOutcome, WaitFor};

impl Record {
    /// The texts that come from outside, for whoever must look through them before they are written.
    ///
    /// Results are not among them: they were looked through before they were digested.
    pub(crate) fn texts_mut(&mut self) -> Vec<&mut String> {
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
