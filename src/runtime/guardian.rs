//! The guardian: starts a system's services and its tree, and ends both, in order, whichever ends first.
//!
//! It is the one actor without a supervisor. It restarts nothing: that is what the root is for.

use std::sync::Arc;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

use crate::error::StartError;
use crate::event::EventKind;
use crate::exit::{ExitReason, Failure, GaveUp, ShutdownCause};
use crate::id::{ChildId, Path};
use crate::runtime::life::Life;
use crate::runtime::slot::AnySlot;
use crate::runtime::spec::{StartOf, SupervisorSpec, spawn_supervisor, supervisor_slot};
use crate::runtime::supervisor::SupervisorMessage;
use crate::runtime::system::System;
use crate::supervision::machine::{StartCause, Verdict};

pub(crate) enum GuardianMessage {
    /// A tree has started all its children.
    Ready(Tree),
    /// The owner of the system wants it to end.
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    Services,
    Root,
}

pub(crate) struct Guardian;

pub(crate) struct GuardianBirth {
    pub(crate) system: System,
    pub(crate) root: Arc<SupervisorSpec>,
    /// `None` where the root mounts the services itself.
    pub(crate) services: Option<Arc<SupervisorSpec>>,
    pub(crate) started: oneshot::Sender<Result<(), StartError>>,
}

pub(crate) struct GuardianState {
    system: System,
    root_spec: Arc<SupervisorSpec>,
    services_spec: Option<Arc<SupervisorSpec>>,
    started: Option<oneshot::Sender<Result<(), StartError>>>,
    services: Option<Running>,
    root: Option<Running>,
    stopping: bool,
    /// Whether the root's own start said that there is nothing to run.
    ignored: bool,
    /// Why the system ends, where nobody asked it to.
    failure: Option<(Path, ExitReason)>,
}

struct Running {
    path: Path,
    slot: Arc<dyn AnySlot>,
    actor: ActorRef<SupervisorMessage>,
    life: Arc<Life>,
}

impl Actor for Guardian {
    type Msg = GuardianMessage;
    type State = GuardianState;
    type Arguments = GuardianBirth;

    async fn pre_start(
        &self,
        myself: ActorRef<GuardianMessage>,
        birth: GuardianBirth,
    ) -> Result<Self::State, ActorProcessingErr> {
        birth.system.set_guardian(myself);
        Ok(GuardianState {
            system: birth.system,
            root_spec: birth.root,
            services_spec: birth.services,
            started: Some(birth.started),
            services: None,
            root: None,
            stopping: false,
            ignored: false,
            failure: None,
        })
    }

    async fn post_start(
        &self,
        myself: ActorRef<GuardianMessage>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let first = if state.services_spec.is_some() { Tree::Services } else { Tree::Root };
        state.start(&myself, first);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<GuardianMessage>,
        message: GuardianMessage,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            GuardianMessage::Ready(tree) => {
                state.announce_started(tree);
                match tree {
                    _ if state.stopping => {}
                    Tree::Services => state.start(&myself, Tree::Root),
                    Tree::Root => state.ready(),
                }
            }
            GuardianMessage::Stop => state.end(&myself, None),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<GuardianMessage>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(cell, ..) => state.ended(&myself, &cell, None),
            SupervisionEvent::ActorFailed(cell, error) => state.ended(&myself, &cell, Some(error.to_string())),
            _ => {}
        }
        Ok(())
    }
}

impl GuardianState {
    fn start(&mut self, myself: &ActorRef<GuardianMessage>, tree: Tree) {
        let spec = match (tree, &self.services_spec) {
            (Tree::Services, Some(services)) => Arc::clone(services),
            _ => Arc::clone(&self.root_spec),
        };
        let name = ChildId::new(&spec.name).expect("`System::start` checked all names of the tree");
        let path = Path::root(&name);
        let slot = self.system.slot_or(supervisor_slot(&self.system, path.clone()));
        let life = slot.core().begin(self.system.epoch(), None).expect("nobody above can be given up");
        let ready = {
            let myself = myself.clone();
            Box::new(move || {
                let _ = myself.cast(GuardianMessage::Ready(tree));
            })
        };
        let start = StartOf {
            system: self.system.clone(),
            slot: Arc::clone(&slot),
            life: Arc::clone(&life),
            supervisor: myself.get_cell(),
            above: None,
            right_here: false,
        };
        self.system
            .bus()
            .publish(&path, EventKind::Starting { incarnation: life.incarnation, cause: StartCause::Init });
        match spawn_supervisor(spec, start, ready) {
            Ok(cell) => {
                let running = Running { path, slot, actor: ActorRef::from(cell), life };
                *(if tree == Tree::Root { &mut self.root } else { &mut self.services }) = Some(running);
            }
            Err(error) => self.end(myself, Some((path, ExitReason::StartFailed(Failure::new(error.to_string()))))),
        }
    }

    fn announce_started(&self, tree: Tree) {
        let running = if tree == Tree::Root { &self.root } else { &self.services };
        if let Some(running) = running {
            let kind = EventKind::Started { incarnation: running.life.incarnation };
            self.system.bus().publish(&running.path, kind);
        }
    }

    fn ready(&mut self) {
        if let Some(root) = self.root.as_ref().filter(|_| self.system.set_ready()) {
            self.system.bus().publish(&root.path, EventKind::Ready);
        }
        if let Some(started) = self.started.take() {
            let _ = started.send(Ok(()));
        }
    }

    /// Begins to end: the tree first, then the services it may need for that.
    fn end(&mut self, myself: &ActorRef<GuardianMessage>, failure: Option<(Path, ExitReason)>) {
        if !self.stopping {
            self.stopping = true;
            self.system.set_ending();
            let path = self.root.as_ref().or(self.services.as_ref()).map(|running| running.path.clone());
            if let Some(path) = path {
                let culprit = failure.as_ref().and_then(|(path, _)| ChildId::new(path.name()).ok());
                self.system.bus().publish(&path, EventKind::Ending { culprit });
            }
        }
        if self.failure.is_none() {
            self.failure = failure;
        }
        match (&self.root, &self.services) {
            (Some(tree), _) | (None, Some(tree)) => {
                tree.life.tell_supervisor(SupervisorMessage::Stop(ExitReason::SHUTDOWN));
            }
            (None, None) => self.finish(myself),
        }
    }

    fn ended(&mut self, myself: &ActorRef<GuardianMessage>, cell: &ActorCell, error: Option<String>) {
        let is_it = |running: &mut Running| running.actor.get_id() == cell.get_id();
        let Some(running) = self.root.take_if(is_it).or_else(|| self.services.take_if(is_it)) else { return };
        let reason = running.life.reason().cloned().unwrap_or_else(|| match error {
            Some(error) => ExitReason::Failed(Failure::new(error)),
            None => ExitReason::Killed,
        });
        running.slot.ended(running.life.incarnation);
        #[cfg(any(test, feature = "testing"))]
        self.system.tell_end(&running.path, &running.life, &reason);
        // Nobody starts it again: whoever asks somebody in it need not wait.
        self.system.each_within(&running.path, |slot| slot.rest());
        let asked = self.stopping && matches!(reason, ExitReason::Shutdown(ShutdownCause::Requested));
        let verdict = if asked { Verdict::StoppedOnRequest } else { Verdict::GaveUp };
        let kind = EventKind::Exited { incarnation: running.life.incarnation, reason: reason.clone(), verdict };
        self.system.bus().publish(&running.path, kind);
        self.ignored |= running.life.was_ignored() && !running.life.has_started();
        let failure = (!asked && !self.ignored).then(|| (running.path.clone(), reason));
        self.end(myself, failure);
    }

    fn finish(&mut self, myself: &ActorRef<GuardianMessage>) {
        self.system.close_all();
        self.system.bus().end(&Path::root(&ChildId::new(&self.root_spec.name).expect("it was checked")));
        let failure = self.failure.take();
        if let Some(started) = self.started.take() {
            let error = match failure.clone() {
                _ if self.ignored => StartError::Ignored,
                Some((path, reason)) => first_failure(path, reason),
                None => StartError::Runtime("it was asked to stop before it had started".to_owned()),
            };
            let _ = started.send(Err(error));
        }
        self.system.set_ended(match failure {
            Some((path, reason)) => Err(GaveUp { path, reason }),
            None => Ok(()),
        });
        myself.stop(None);
    }
}

/// The child that did not start, down through the supervisors that did not start because of it.
fn first_failure(mut path: Path, mut reason: ExitReason) -> StartError {
    while let ExitReason::Shutdown(ShutdownCause::ChildFailedToStart { child, reason: cause }) = reason {
        path = path.child(&child);
        reason = *cause;
    }
    StartError::Child { path, reason }
}
