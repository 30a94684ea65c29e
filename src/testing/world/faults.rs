//! The faults of a world, as each of its nodes meets them.

use std::sync::{Arc, Mutex};

use crate::fault::{Fault, FaultPlan, FaultPoint};
use crate::runtime::faults::{Attended, FaultRun};
use crate::runtime::guard::lock;
use crate::runtime::system::System;
use crate::testing::trace::{NodeTap, Recording, What};

/// A plan that is carried out in a world. What comes of it is in the trace.
pub(super) struct WorldFaults {
    run: Arc<FaultRun>,
    recording: Arc<Recording>,
    /// How many of those that came are in the trace.
    told: Mutex<usize>,
    attended: Mutex<Vec<Attended>>,
}

impl WorldFaults {
    pub(super) fn new(run: Arc<FaultRun>, recording: &Arc<Recording>) -> Arc<Self> {
        Arc::new(Self { run, recording: Arc::clone(recording), told: Mutex::default(), attended: Mutex::default() })
    }

    pub(super) fn run(&self) -> &FaultRun {
        &self.run
    }

    /// The faults as a node meets them.
    pub(super) fn of_node(self: &Arc<Self>, tap: &Arc<NodeTap>, own: Option<Arc<dyn FaultPlan>>) -> Arc<dyn FaultPlan> {
        Arc::new(NodeFaults { all: Arc::clone(self), tap: Arc::clone(tap), own })
    }

    /// A system of a node is there: what is for others than who is at a point can happen to it.
    pub(super) fn attend(&self, system: &System) {
        lock(&self.attended).push(self.run.attend(system));
    }

    /// Nothing more goes wrong.
    pub(super) fn end(&self) {
        lock(&self.attended).clear();
    }
}

struct NodeFaults {
    all: Arc<WorldFaults>,
    tap: Arc<NodeTap>,
    /// A plan that the test gave to this node alone.
    own: Option<Arc<dyn FaultPlan>>,
}

impl FaultPlan for NodeFaults {
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault> {
        let fault = self.all.run.at(point);
        let mut told = lock(&self.all.told);
        for fired in self.all.run.fired().into_iter().skip(*told) {
            *told += 1;
            self.all.recording.write(
                &self.tap.node,
                self.tap.boot,
                What::Fault { who: fired.who, fault: fired.fault.to_string() },
            );
        }
        drop(told);
        fault.or_else(|| {
            let fault = self.own.as_ref()?.at(point)?;
            let who = Some((point.path.clone(), point.incarnation));
            let about = point.subject.map(|subject| format!(" about {subject}")).unwrap_or_default();
            self.tap.write(What::Fault { who, fault: format!("{fault:?} at {}{about}", point.point) });
            Some(fault)
        })
    }
}
