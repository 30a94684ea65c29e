//! What a domain needs of a spec: how many agents it begins with, and settings where it says none.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::{ChildSpec, Kind, SupervisorSpec, rules};
use crate::runtime::pool::SCALER;

impl SupervisorSpec {
    /// How many agents it and those below it begin with. What a pool has for itself is none.
    pub(crate) fn agents(&self) -> usize {
        let is_own = |child: &&ChildSpec| self.pool.is_some() && child.name.as_str() == SCALER;
        self.children.iter().filter(|child| !is_own(child)).map(ChildSpec::agents).sum()
    }
}

impl ChildSpec {
    /// How many agents it begins with.
    pub(crate) fn agents(&self) -> usize {
        match &self.kind {
            Kind::Worker(_) => 1,
            Kind::Supervisor(spec) => spec.agents(),
            Kind::System => 0,
        }
    }

    pub(crate) fn start_within_unless_said(&mut self, limit: Duration) {
        if matches!(self.kind, Kind::Worker(_)) && self.rules.start_deadline.is_none() {
            self.rules = rules::changed(Arc::clone(&self.rules), |rules| rules.start_deadline(limit));
        }
    }

    pub(crate) fn run_on_unless_said(&mut self, runtime: &Handle) {
        match &mut self.kind {
            Kind::Worker(worker) => {
                if let Some(moved) = worker.on_runtime(runtime) {
                    *worker = moved;
                }
            }
            Kind::Supervisor(spec) => {
                Arc::make_mut(spec).children.iter_mut().for_each(|child| child.run_on_unless_said(runtime));
            }
            Kind::System => {}
        }
    }
}
