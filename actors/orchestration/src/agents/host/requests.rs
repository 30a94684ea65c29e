//! What other processes ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use steadfast::seam::{Journal, JournalError};
use steadfast::{Context, Path, RequestError, RunId, System};
use uuid::Uuid;

use super::{Carried, Host, HostArgs, HostEvent, HostOwn, Takes, set_going};
use crate::agents::ask::{TRY, again};
use crate::agents::orchestrator::{Orchestrator, OrchestratorMessage, OrchestratorReply};
use crate::host::{
    Answer, ApplyError, Ask, Asked, BeginError, HostError, answered_before, apply, carried_by, left_behind, refuse,
};
use crate::preset::{child_path, orchestrator_path};
use crate::run::Millis;
use crate::work::chain;

impl Host {
    /// Looks at what others ask for, unless that is under way.
    pub(super) fn poll(&mut self, ctx: &mut Context<Self>) {
        if self.polling || self.draining {
            return;
        }
        self.polling = true;
        let (requests, feeds, journal) =
            (Arc::clone(&self.args.requests), self.args.feeds.clone(), ctx.system().journal());
        set_going(ctx, async move {
            let pending = match requests.pending().await {
                Ok(pending) => pending,
                Err(error) => {
                    tracing::warn!(%error, "it is not known what other processes ask for");
                    Vec::new()
                }
            };
            let mut asked = Vec::new();
            for request in pending {
                match Asked::of_request(&request) {
                    Ok(read) => asked.push((concerned(&*journal, &read.what).await, read)),
                    Err(error) => {
                        // It will not get better; nobody can be told where the run is not known.
                        feeds.tell(HostEvent::Ignored { why: chain(&error) });
                        let _ = requests.done(request.id).await;
                    }
                }
            }
            Some(HostOwn::Pending(asked))
        });
    }

    /// Does what is asked, one after the other for each run.
    pub(super) fn pending(&mut self, asked: Vec<(RunId, Asked)>, ctx: &mut Context<Self>) {
        self.polling = false;
        if self.draining {
            return;
        }
        let mut by_run: BTreeMap<RunId, Vec<Asked>> = BTreeMap::new();
        for (run, asked) in asked {
            if self.is_ours(run, &asked) && !self.asking.contains(&run) {
                by_run.entry(run).or_default().push(asked);
            }
        }
        for (run, asked) in by_run {
            self.asking.insert(run);
            let (system, args, foreign) = (ctx.system().clone(), self.args.clone(), self.foreign.clone());
            set_going(ctx, async move {
                let mut desk = Desk { system, args, foreign, left: Vec::new(), carry: None };
                for asked in asked {
                    desk.serve(&asked).await;
                }
                Some(HostOwn::Answered { run, left: desk.left, carry: desk.carry })
            });
        }
    }

    /// Whether this host is the one to do it.
    fn is_ours(&self, concerned: RunId, asked: &Asked) -> bool {
        if self.left.contains(&asked.id) || self.foreign.contains(&asked.what.run()) {
            return false;
        }
        match self.runs.get(&concerned) {
            // It is known in a moment who does it.
            Some(Carried::Starting | Carried::Leaving(_)) => false,
            Some(Carried::Yes) if concerned == asked.what.run() => true,
            _ => self.args.takes == Takes::All || !asked.what.makes_a_run(),
        }
    }

    /// What was asked about a run is done.
    pub(super) fn answered(&mut self, run: RunId, left: Vec<Uuid>, carry: Option<RunId>, ctx: &mut Context<Self>) {
        self.asking.remove(&run);
        self.left.extend(left);
        if self.held_back.remove(&run) {
            self.take_up(run, ctx);
        }
        if let Some(run) = carry.filter(|_| self.args.takes == Takes::All) {
            self.take_up(run, ctx);
        }
    }
}

/// The run that nobody may begin to carry while this is done: the outermost one around that which is asked, or around that
/// which a fork comes from.
async fn concerned(journal: &dyn Journal, what: &Ask) -> RunId {
    let run = if let Ask::Fork { from, .. } = what { *from } else { what.run() };
    // Where that is not known, nothing is written either.
    carried_by(journal, run).await.unwrap_or(run)
}

/// Does what is asked about one run.
struct Desk {
    system: System,
    args: HostArgs,
    /// Runs that other processes took over.
    foreign: BTreeSet<RunId>,
    left: Vec<Uuid>,
    /// The run that is to be carried, since it may go on.
    carry: Option<RunId>,
}

impl Desk {
    async fn serve(&mut self, asked: &Asked) {
        match self.answer(asked).await {
            Some(Answer::NotYet) => return,
            Some(Answer::Refused { why }) => self.ignored(asked, &why),
            Some(Answer::Taken) | None => {}
        }
        // Where this is not heard, it comes again and is found to be done.
        if let Err(error) = self.args.requests.done(asked.id).await {
            tracing::warn!(%error, id = %asked.id, "a request that is done cannot be forgotten");
        }
    }

    /// What whoever carries the run says, or what its records say where nobody does. A run inside another one is carried
    /// with that one.
    async fn answer(&mut self, asked: &Asked) -> Option<Answer> {
        let (journal, run) = (self.system.journal(), asked.what.run());
        let by = match carried_by(&*journal, run).await {
            Ok(by) => by,
            Err(error) => return self.unread(asked, error.into()),
        };
        if self.foreign.contains(&by) {
            return Some(Answer::NotYet);
        }
        if !self.is_carried(by) {
            let answer = self.of_journal(asked).await;
            if answer == Some(Answer::Taken) && goes_on(&asked.what) {
                self.carry = Some(by);
            }
            return answer;
        }
        if by == run {
            return Some(self.of_orchestrator(&orchestrator_path(run), asked).await);
        }
        // It may be over, while the run around it goes on; nobody but its orchestrator writes to it while it is not.
        match answered_before(&*journal, asked, self.now()).await {
            Ok(Some(answer)) => Some(answer),
            Ok(None) => match self.of_orchestrator(&child_path(run), asked).await {
                // Where its orchestrator was given up nobody says anything any more.
                Answer::NotYet => self.of_left_behind(asked).await,
                answer => Some(answer),
            },
            Err(error) => self.unread(asked, error.into()),
        }
    }

    /// That the run around one which has no orchestrator has done with it, if so.
    async fn of_left_behind(&mut self, asked: &Asked) -> Option<Answer> {
        let run = asked.what.run();
        match left_behind(&*self.system.journal(), run).await {
            Ok(Some(why)) => self.refuse(asked, run, why).await,
            Ok(None) => Some(Answer::NotYet),
            Err(error) => self.unread(asked, error.into()),
        }
    }

    fn is_carried(&self, run: RunId) -> bool {
        self.args.feeds.carried().contains(&run)
    }

    fn now(&self) -> Millis {
        Millis::of(self.system.clock().wall())
    }

    fn ignored(&self, asked: &Asked, why: &str) {
        self.args.feeds.tell(HostEvent::Ignored { why: format!("request {}: {why}", asked.id) });
    }

    /// What the orchestrator of the run says.
    async fn of_orchestrator(&self, path: &Path, asked: &Asked) -> Answer {
        self.told(path, || OrchestratorMessage::Asked(Box::new(asked.clone()))).await
    }

    async fn told(&self, path: &Path, message: impl Fn() -> OrchestratorMessage) -> Answer {
        loop {
            let Ok(orchestrator) = self.system.agent::<Orchestrator>(path) else { return Answer::NotYet };
            match orchestrator.ask_within(message(), TRY).await {
                Ok(OrchestratorReply::Answered(answer)) => return answer,
                // It ends: whoever carries the run next does it.
                Ok(_) | Err(RequestError::Gone { .. }) => return Answer::NotYet,
                Err(error) => again("asked", &error).await,
            }
        }
    }

    /// What the records of the run say, which nobody carries.
    async fn of_journal(&mut self, asked: &Asked) -> Option<Answer> {
        let journal = self.system.journal();
        match apply((&*journal, &*self.args.outfit), asked, &self.args.by, self.now()).await {
            Ok(Answer::Refused { why }) => match asked.what {
                Ask::Fork { from, .. } => self.refused(asked, from, why).await,
                _ => Some(Answer::Refused { why }),
            },
            Ok(answer) => Some(answer),
            Err(error) => self.unread(asked, error),
        }
    }

    /// A fork was refused, and there is no run of its own that could say so: the one that it was to come from does.
    async fn refused(&mut self, asked: &Asked, from: RunId, why: String) -> Option<Answer> {
        let (journal, id) = (self.system.journal(), asked.id);
        let by = match carried_by(&*journal, from).await {
            Ok(by) => by,
            Err(error) => return self.unread(asked, error.into()),
        };
        if self.foreign.contains(&by) {
            return Some(Answer::NotYet);
        }
        if self.is_carried(by) {
            let path = if by == from { orchestrator_path(from) } else { child_path(from) };
            let answer = self.told(&path, || OrchestratorMessage::Refuse { id, why: why.clone() }).await;
            if by == from || answer != Answer::NotYet {
                return Some(answer);
            }
            match left_behind(&*journal, from).await {
                // It has no orchestrator any more.
                Ok(Some(_)) => {}
                Ok(None) => return Some(answer),
                Err(error) => return self.unread(asked, error.into()),
            }
        }
        self.refuse(asked, from, why).await
    }

    /// Records in a run that nobody carries why a request is refused.
    async fn refuse(&mut self, asked: &Asked, run: RunId, why: String) -> Option<Answer> {
        let journal = self.system.journal();
        let place = (&*journal, &*self.args.outfit);
        match refuse(place, (run, asked.id, &why), (&self.args.by, self.now())).await {
            Ok(()) => Some(Answer::Refused { why }),
            Err(error) => self.unread(asked, error),
        }
    }

    /// The records that say it cannot be read, or written to.
    fn unread(&mut self, asked: &Asked, error: ApplyError) -> Option<Answer> {
        match error {
            ApplyError::Run(error) if error.is_missing() => {
                self.ignored(asked, &error.to_string());
                None
            }
            error if is_passing(&error) => Some(Answer::NotYet),
            error => {
                // The records are damaged: the request waits for a person to look at them, and is not tried for ever.
                self.ignored(asked, &chain(&error));
                self.left.push(asked.id);
                Some(Answer::NotYet)
            }
        }
    }
}

/// Whether a run that this was asked of is to be carried.
fn goes_on(what: &Ask) -> bool {
    !matches!(what, Ask::Pause { .. })
}

/// Whether it may be otherwise in a moment: the journal was not reached, or somebody wrote in between.
fn is_passing(error: &ApplyError) -> bool {
    let (ApplyError::Journal { source, .. }
    | ApplyError::Run(HostError::Journal { source, .. })
    | ApplyError::Begin(BeginError::Journal { source, .. } | BeginError::From(HostError::Journal { source, .. }))) =
        error
    else {
        return false;
    };
    source.passes() || matches!(source, JournalError::Fenced { .. } | JournalError::Moved { .. })
}
