//! Requests to a supervisor, and their answers, on their way between a handle and the machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::SupervisorState;
use super::handle::{ChildInfo, StartedChild};
use crate::error::{ChildError, SpecError};
use crate::id::ChildId;
use crate::runtime::domain::Reserved;
use crate::runtime::spec::{ChildSpec, SupervisorSpec};
use crate::supervision::machine::{ChildKey, ChildRow, Counts, Event, Refusal, Reply, Request, RequestId, Start};
use crate::supervision::policy::{ChildRules, Restart};

/// A request on its way.
pub(crate) struct Ask {
    what: Option<Request>,
    /// The child that it is about.
    subject: Option<ChildId>,
    /// The specs that the request brings, in the order in which the machine counts them.
    pub(crate) specs: Vec<ChildSpec>,
    /// What an update makes of the supervisor itself.
    pub(crate) update: Option<Arc<SupervisorSpec>>,
    /// Its room in the domains around, until it is answered.
    pub(super) coming: Option<Reserved>,
    pub(crate) reply: Option<oneshot::Sender<Result<Answer, ChildError>>>,
}

impl Ask {
    pub(crate) fn new(what: Request, specs: Vec<ChildSpec>) -> Self {
        let subject = match &what {
            Request::StartChild { id, .. } => id.clone(),
            Request::TerminateChild(id)
            | Request::TerminateInstance(id)
            | Request::RestartChild(id)
            | Request::DeleteChild(id)
            | Request::ChildSpec(id) => Some(id.clone()),
            Request::WhichChildren | Request::CountChildren | Request::Update { .. } => None,
        };
        Self { what: Some(what), subject, specs, update: None, coming: None, reply: None }
    }

    /// Whether it has room in a domain for a child that has no name yet.
    fn has_no_name_yet(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| !coming.is_named())
    }

    /// With room for what it starts.
    pub(crate) fn with_room(mut self, coming: Option<Reserved>) -> Self {
        self.coming = coming;
        self
    }
}

/// What a supervisor answers.
pub(crate) enum Answer {
    Started(StartedChild),
    Done,
    Children(Vec<ChildInfo>),
    Counts(Counts),
    Spec(ChildRules),
}

impl SupervisorState {
    /// Takes a request in; the machine decides when its turn comes.
    pub(super) fn asked(&mut self, mut ask: Ask) -> Event {
        self.requests += 1;
        let request = RequestId(self.requests);
        // The one of the machine; what is left here is what only the runtime knows.
        let what = ask.what.take().unwrap_or(Request::WhichChildren);
        self.unnamed += usize::from(ask.has_no_name_yet());
        self.asked.insert(request, ask);
        Event::Request { request, what }
    }

    pub(super) fn reply(&mut self, request: RequestId, reply: Reply) {
        let Some(mut ask) = self.asked.remove(&request) else { return };
        self.unnamed -= usize::from(ask.has_no_name_yet());
        if let (Reply::Done, Some(update)) = (&reply, ask.update.take()) {
            self.updated(update);
        }
        let answer = self.answer(reply, &ask);
        // Before whoever asked goes on: what did not start takes no room from what is asked for next.
        ask.coming = None;
        if let Some(sender) = ask.reply.take() {
            let _ = sender.send(answer);
        }
    }

    /// The next incarnation starts from what this update said; who is not in it will not be part of it.
    fn updated(&mut self, spec: Arc<SupervisorSpec>) {
        let listed: BTreeMap<&str, Restart> =
            spec.children.iter().map(|child| (child.name.as_str(), child.rules.restart)).collect();
        for child in self.children.values_mut() {
            let restart = listed.get(child.slot.core().path.name());
            child.added = restart.is_none();
            // Of the life that runs: whether another one follows is a matter of the rules that hold when it ends.
            if let (Some(restart), Some(open)) = (restart, &child.open) {
                open.life.set_followed(*restart == Restart::Permanent);
            }
        }
        self.published.update(&spec);
        self.spec = spec;
    }

    fn answer(&self, reply: Reply, ask: &Ask) -> Result<Answer, ChildError> {
        Ok(match reply {
            Reply::Started { child, start } => Answer::Started(self.started_child(child, start)),
            Reply::Ignored => Answer::Started(StartedChild { path: self.path.clone(), incarnation: None, info: None }),
            Reply::Done => Answer::Done,
            Reply::Children(rows) => Answer::Children(rows.into_iter().map(|row| self.row(row)).collect()),
            Reply::Counts(counts) => Answer::Counts(counts),
            Reply::Spec(rules) => Answer::Spec(rules),
            Reply::Refused(refusal) => return Err(self.refusal(refusal, ask)),
        })
    }

    fn started_child(&self, key: ChildKey, start: Start) -> StartedChild {
        let child = self.children.get(&key);
        let open = child.and_then(|child| child.open.as_ref()).filter(|open| open.start == start);
        StartedChild {
            path: child.map_or_else(|| self.path.clone(), |child| child.slot.core().path.clone()),
            incarnation: open.map(|open| open.life.incarnation),
            info: open.and_then(|open| open.life.info()),
        }
    }

    fn row(&self, row: ChildRow) -> ChildInfo {
        let open = self.children.get(&row.key).and_then(|child| child.open.as_ref());
        let incarnation = open.filter(|open| row.start == Some(open.start)).map(|open| open.life.incarnation);
        ChildInfo { path: self.path.child(&row.id), id: row.id, state: row.state, incarnation, kind: row.kind }
    }

    fn refusal(&self, refusal: Refusal, ask: &Ask) -> ChildError {
        let child = ask.subject.as_ref().map_or_else(|| self.path.clone(), |id| self.path.child(id));
        match refusal {
            Refusal::AlreadyStarted { child: key, start } => {
                let incarnation = self.started_child(key, start).incarnation;
                ChildError::AlreadyStarted { path: child, incarnation }
            }
            Refusal::AlreadyPresent => ChildError::AlreadyPresent { path: child },
            Refusal::FailedToStart(reason) => ChildError::FailedToStart { path: child, reason },
            Refusal::NotFound => ChildError::NotFound { path: child },
            Refusal::Running => ChildError::Running { path: child },
            Refusal::Restarting => ChildError::Restarting { path: child },
            Refusal::Dynamic => ChildError::Dynamic { supervisor: self.path.clone() },
            Refusal::Invalid(problem) => {
                ChildError::Spec(SpecError::Rules { supervisor: self.path.to_string(), problem })
            }
            Refusal::TooMany { max } => ChildError::TooMany { supervisor: self.path.clone(), max },
            Refusal::Ended => ChildError::Gone { supervisor: self.path.clone() },
        }
    }
}
