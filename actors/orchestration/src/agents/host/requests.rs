//! What other processes ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use steadfast::{Context, RequestError, RunId, System};
use uuid::Uuid;

use super::{Carried, Host, HostArgs, HostEvent, HostOwn, Takes, set_going};
use crate::agents::ask::{TRY, again};
use crate::agents::orchestrator::{Orchestrator, OrchestratorMessage, OrchestratorReply};
use crate::host::{Answer, ApplyError, Ask, Asked, HostError, apply};
use crate::preset::orchestrator_path;
use crate::run::Millis;
use crate::work::chain;

impl Host {
    /// Looks at what others ask for, unless that is under way.
    pub(super) fn poll(&mut self, ctx: &mut Context<Self>) {
        if self.polling || self.draining {
            return;
        }
        self.polling = true;
        let (requests, feeds) = (Arc::clone(&self.args.requests), self.args.feeds.clone());
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
                    Ok(read) => asked.push(read),
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
    pub(super) fn pending(&mut self, asked: Vec<Asked>, ctx: &mut Context<Self>) {
        self.polling = false;
        if self.draining {
            return;
        }
        let mut by_run: BTreeMap<RunId, Vec<Asked>> = BTreeMap::new();
        for asked in asked {
            let run = asked.what.run();
            if self.is_ours(&asked) && !self.asking.contains(&run) {
                by_run.entry(run).or_default().push(asked);
            }
        }
        for (run, asked) in by_run {
            self.asking.insert(run);
            let carried = matches!(self.runs.get(&run), Some(Carried::Yes));
            let (system, args) = (ctx.system().clone(), self.args.clone());
            set_going(ctx, async move {
                let mut desk = Desk { system, args, carried, left: Vec::new(), carry: false };
                for asked in asked {
                    desk.serve(&asked).await;
                }
                Some(HostOwn::Answered { run, left: desk.left, carry: desk.carry })
            });
        }
    }

    /// Whether this host is the one to do it.
    fn is_ours(&self, asked: &Asked) -> bool {
        let run = asked.what.run();
        if self.left.contains(&asked.id) || self.foreign.contains(&run) {
            return false;
        }
        match self.runs.get(&run) {
            // It is known in a moment who does it.
            Some(Carried::Starting | Carried::Leaving(_)) => false,
            Some(Carried::Yes) => true,
            None => self.args.takes == Takes::All || !asked.what.makes_a_run(),
        }
    }

    /// What was asked about a run is done.
    pub(super) fn answered(&mut self, run: RunId, left: Vec<Uuid>, carry: bool, ctx: &mut Context<Self>) {
        self.asking.remove(&run);
        self.left.extend(left);
        if carry && self.args.takes == Takes::All {
            self.take_up(run, ctx);
        }
    }
}

/// Does what is asked about one run.
struct Desk {
    system: System,
    args: HostArgs,
    carried: bool,
    left: Vec<Uuid>,
    carry: bool,
}

impl Desk {
    async fn serve(&mut self, asked: &Asked) {
        let answer = if self.carried { self.of_orchestrator(asked).await } else { self.of_journal(asked).await };
        match answer {
            Some(Answer::NotYet) => return,
            Some(Answer::Taken) => self.carry |= !self.carried && goes_on(&asked.what),
            Some(Answer::Refused { why }) => {
                self.args.feeds.tell(HostEvent::Ignored { why: format!("request {}: {why}", asked.id) });
            }
            None => {}
        }
        // Where this is not heard, it comes again and is found to be done.
        if let Err(error) = self.args.requests.done(asked.id).await {
            tracing::warn!(%error, id = %asked.id, "a request that is done cannot be forgotten");
        }
    }

    /// What the orchestrator of the run says.
    async fn of_orchestrator(&self, asked: &Asked) -> Option<Answer> {
        let path = orchestrator_path(asked.what.run());
        loop {
            let Ok(orchestrator) = self.system.agent::<Orchestrator>(path.as_str()) else {
                return Some(Answer::NotYet);
            };
            match orchestrator.ask_within(OrchestratorMessage::Asked(Box::new(asked.clone())), TRY).await {
                Ok(OrchestratorReply::Answered(answer)) => return Some(answer),
                // It ends: whoever carries the run next does it.
                Ok(_) | Err(RequestError::Gone { .. }) => return Some(Answer::NotYet),
                Err(error) => again("asked", &error).await,
            }
        }
    }

    /// What the records of the run say, which nobody carries.
    async fn of_journal(&mut self, asked: &Asked) -> Option<Answer> {
        let journal = self.system.journal();
        let now = Millis::of(self.system.clock().wall());
        match apply((&*journal, &*self.args.artifacts), asked, &self.args.by, now).await {
            Ok(answer) => Some(answer),
            Err(ApplyError::Run(HostError::Unknown { run })) => {
                self.args
                    .feeds
                    .tell(HostEvent::Ignored { why: format!("request {}: there is no run {run}", asked.id) });
                None
            }
            Err(error) if is_passing(&error) => Some(Answer::NotYet),
            Err(error) => {
                // The records are damaged: the request waits for a person to look at them, and is not tried for ever.
                self.args.feeds.tell(HostEvent::Ignored { why: format!("request {}: {}", asked.id, chain(&error)) });
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

/// Whether it may be otherwise in a moment.
fn is_passing(error: &ApplyError) -> bool {
    use crate::host::BeginError;
    matches!(
        error,
        ApplyError::Journal { .. }
            | ApplyError::Run(HostError::Journal { .. })
            | ApplyError::Begin(BeginError::Journal { .. } | BeginError::From(HostError::Journal { .. }))
    )
}
