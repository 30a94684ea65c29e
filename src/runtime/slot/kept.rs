//! The state that one life of a child hands over to the next.
//!
//! # Invariants
//!
//! * It is what a life checkpointed, never the state that failed.
//! * What a start took is on trial until that start has succeeded. A start that fails takes it along: a state that
//!   cannot be started from is not tried twice.
//! * No code of a user runs under the lock.

use std::any::Any;
use std::sync::Mutex;

use crate::error::CheckpointError;
use crate::id::Incarnation;
use crate::runtime::guard::{drop_caught, lock};
use crate::runtime::life::Life;

/// Where a slot keeps it.
#[derive(Default)]
pub(crate) struct Kept {
    /// `None` where nothing is handed over.
    last: Option<Box<Mutex<Option<Checkpoint>>>>,
}

struct Checkpoint {
    value: Box<dyn Any + Send>,
    /// The life that took or made it while it started, until it has started.
    on_trial: Option<Incarnation>,
}

impl Kept {
    pub(super) fn enabled() -> Self {
        Self { last: Some(Box::default()) }
    }

    /// Keeps a value in place of the one before.
    pub(crate) fn put<T: Send + 'static>(&self, life: &Life, value: T) -> Result<(), CheckpointError> {
        let path = || life.path.clone();
        let Some(place) = &self.last else {
            return Err(CheckpointError::NotEnabled { path: path() });
        };
        let on_trial = (!life.has_started()).then_some(life.incarnation);
        let checkpoint = Checkpoint { value: Box::new(value), on_trial };
        let before = {
            let mut last = lock(place);
            // Under the lock, which the slot takes once after a life is fenced: none of it can come later.
            if life.is_fenced() {
                return Err(CheckpointError::Fenced { path: path(), incarnation: life.incarnation });
            }
            last.replace(checkpoint)
        };
        drop(before);
        Ok(())
    }

    /// A copy of what the lives before kept. `None` when there is nothing, or of another type.
    pub(crate) fn take<T: Clone + Send + 'static>(&self, life: &Life) -> Option<T> {
        let place = self.last.as_deref()?;
        let Checkpoint { value, on_trial } = {
            let mut last = lock(place);
            // It is the next life's by then.
            if life.is_fenced() { None } else { last.take() }
        }?;
        if on_trial.is_some_and(|of| of != life.incarnation) {
            // The start that took it failed.
            drop_caught(value);
            return None;
        }
        // A copy that panics ends this start, and the value with it.
        let copy = value.downcast_ref::<T>().cloned();
        let on_trial = if copy.is_some() && !life.has_started() { Some(life.incarnation) } else { on_trial };
        let late = {
            let mut last = lock(place);
            // Not put back over what somebody kept meanwhile, nor by a life that was given up.
            if last.is_none() && !life.is_fenced() {
                *last = Some(Checkpoint { value, on_trial });
                None
            } else {
                Some(value)
            }
        };
        drop_caught(late);
        copy
    }

    /// A life has started: what it took or kept while it did is good.
    pub(super) fn proven(&self, incarnation: Incarnation) {
        if let Some(place) = &self.last
            && let Some(checkpoint) = lock(place).as_mut()
            && checkpoint.on_trial == Some(incarnation)
        {
            checkpoint.on_trial = None;
        }
    }

    /// The child is forgotten.
    pub(super) fn forget(&self) {
        let last = self.last.as_ref().and_then(|place| lock(place).take());
        drop_caught(last);
    }
}
