//! How the world obeys the machine.

use steadfast::supervision::{
    ChildExit, ChildKey, ChildState, Command, Event, Note, Progress, Refusal, Reply, RequestId, Start, StartCause,
    Verdict,
};
use steadfast::{ExitReason, Failure};

use super::checks::Checks;
use super::{Life, OnStop, World};

impl World {
    pub(crate) fn tell(&mut self, event: Event) {
        self.checks.told(&self.machine, &event);
        for command in self.machine.step(self.now, event) {
            let is_answer = matches!(command, Command::Reply { .. });
            assert!(self.ended.is_none() || is_answer, "{command:?} after the end");
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start { child, start, cause } => {
                self.causes.push(format!("{} by {cause}", self.names[&child]));
                self.start(child, start, &cause);
            }
            Command::Stop { child, start, .. } => self.ask_to_stop(child, start),
            Command::Kill { child, start } => self.kill(child, start),
            Command::AskProgress { child, start } => {
                self.did.push(format!("ask({})", self.names[&child]));
                // Nothing is below a child of this world that it could be waiting for.
                self.news.push((child, Event::Progress { child, start, progress: Progress::Unknown }));
            }
            Command::Abandon { child, start, .. } => self.abandon(child, start),
            Command::Adopt { child, id, .. } => {
                self.names.insert(child, id.to_string());
            }
            Command::Reply { request, reply } => self.reply(request, &reply),
            // A group that took longer to stop than it is to wait has waited enough: that moment may be past.
            Command::Arm { at } => self.alarm = Some(at),
            Command::Forget { child } => {
                let name = self.names.remove(&child).expect("forgotten once");
                self.did.push(format!("forget({name})"));
            }
            Command::Rest { child } => self.did.push(format!("rest({})", self.names[&child])),
            Command::Ready => self.did.push("ready".to_owned()),
            Command::Note(note) => self.take_note(note),
            Command::Exit { reason } => {
                assert!(self.lives.is_empty(), "alive after the end: {:?}", self.lives);
                self.checks.group_is_gone();
                self.did.push("exit".to_owned());
                self.ended = Some(reason);
            }
            other => panic!("an unknown command: {other:?}"),
        }
    }

    fn take_note(&mut self, note: Note) {
        match note {
            Note::ChildExited(exit) => self.note(&exit),
            Note::Retrying { child, tally, .. } => self.checks.restarts(child, tally, self.now),
            Note::Quarantined { id, tally, .. } => self.verdicts.push(format!("{id}: {}", Verdict::Quarantined(tally))),
            Note::GaveUp(escalation) => self.gave_up = Some(escalation.limit.clone()),
            Note::BackingOff { delay, .. } => {
                self.checks.group_is_gone();
                self.did.push(format!("wait({delay:?})"));
            }
            other => panic!("an unknown note: {other:?}"),
        }
    }

    fn note(&mut self, exit: &ChildExit) {
        self.checks.note(exit, self.now);
        self.over.insert(exit.child, exit.start);
        self.verdicts.push(format!("{}: {}", exit.id, exit.verdict));
    }

    fn start(&mut self, child: ChildKey, start: Start, cause: &StartCause) {
        let name = self.names[&child].clone();
        assert!(!self.lives.contains_key(&child), "a second life of {name}");
        for needed in Checks::needed_by(&self.machine, child) {
            let is_up = self.lives.get(&needed).is_none_or(|(start, _)| self.checks.was_up(*start));
            assert!(is_up, "{name} starts before {}", self.names[&needed]);
        }
        self.checks.starts(child, cause);
        self.did.push(format!("start({name})"));
        self.lives.insert(child, (start, Life::Starting));
        let attempt = self.attempts.entry(name.clone()).or_default();
        *attempt += 1;
        let attempt = *attempt;
        if !self.waiting.contains(&(name, attempt)) {
            self.finish_start(child, start, attempt);
        }
    }

    pub(super) fn finish_start(&mut self, child: ChildKey, start: Start, attempt: u32) {
        let this = (self.names[&child].clone(), attempt);
        if self.failing.contains(&this) {
            self.end_life(child, ExitReason::StartFailed(Failure::new("no luck")));
        } else if self.ignoring.contains(&this) {
            self.lives.insert(child, (start, Life::Gone));
            self.news.push((child, Event::Ignored { child, start }));
        } else {
            self.lives.insert(child, (start, Life::Up));
            self.news.push((child, Event::Started { child, start }));
        }
    }

    pub(super) fn is_life(&self, child: ChildKey, start: Start) -> bool {
        self.lives.get(&child).is_some_and(|(current, _)| *current == start)
    }

    fn ask_to_stop(&mut self, child: ChildKey, start: Start) {
        let name = self.names[&child].clone();
        self.did.push(format!("stop({name})"));
        self.is_told_to_go(child, start);
        match self.on_stop.get(&name).cloned() {
            None => self.end_life(child, ExitReason::SHUTDOWN),
            Some(OnStop::Ends(reason)) => self.end_life(child, reason),
            Some(OnStop::Stays | OnStop::Hangs) => {}
        }
    }

    fn kill(&mut self, child: ChildKey, start: Start) {
        let name = self.names[&child].clone();
        self.did.push(format!("kill({name})"));
        assert!(self.is_life(child, start), "killed, but does not live");
        // A child that is hung, or too late, is killed where it stands; the others are killed in order.
        let is_stop = self.machine.child(child).is_some_and(|child| child.state == ChildState::Stopping);
        if is_stop && !self.checks.was_told_to_go(start) {
            self.is_told_to_go(child, start);
        }
        if !matches!(self.on_stop.get(&name), Some(OnStop::Hangs)) {
            self.end_life(child, ExitReason::Killed);
        }
    }

    /// Nobody waits for this life any more.
    fn abandon(&mut self, child: ChildKey, start: Start) {
        self.did.push(format!("abandon({})", self.names[&child]));
        assert!(self.is_life(child, start), "abandoned, but does not live");
        self.lives.remove(&child);
    }

    fn is_told_to_go(&mut self, child: ChildKey, start: Start) {
        assert!(self.is_life(child, start), "told to go, but does not live");
        let dependents = Checks::those_that_need(&self.machine, child);
        let alive = dependents.iter().filter_map(|key| self.lives.get(key)).map(|(start, _)| *start).collect();
        self.checks.is_told_to_go(start, alive);
    }

    pub(super) fn end_life(&mut self, child: ChildKey, reason: ExitReason) {
        let Some((start, life)) = self.lives.get_mut(&child) else { return };
        if *life != Life::Gone {
            *life = Life::Gone;
            self.news.push((child, Event::Exited { child, start: *start, reason }));
        }
    }

    fn reply(&mut self, request: RequestId, reply: &Reply) {
        self.checks.answered(request);
        let text = match reply {
            Reply::Started { child, .. } => format!("started {}", self.names[child]),
            Reply::Ignored => "ignored".to_owned(),
            Reply::Done => "done".to_owned(),
            Reply::Children(rows) => {
                let rows: Vec<_> = rows.iter().map(|row| format!("{} {} {}", row.kind, row.id, row.state)).collect();
                rows.join(", ")
            }
            Reply::Counts(counts) => format!(
                "{} specs, {} active, {} supervisors, {} workers",
                counts.specs, counts.active, counts.supervisors, counts.workers
            ),
            Reply::Spec(rules) => format!("{} {} {}", rules.restart, rules.kind, rules.shutdown),
            Reply::Refused(Refusal::FailedToStart(reason)) => format!("failed to start: {reason}"),
            Reply::Refused(Refusal::AlreadyStarted { child, .. }) => format!("{} already started", self.names[child]),
            Reply::Refused(Refusal::Invalid(problem)) => format!("invalid: {problem}"),
            Reply::Refused(Refusal::TooMany { max }) => format!("no more than {max}"),
            Reply::Refused(refusal) => format!("{refusal:?}"),
            other => panic!("an unknown answer: {other:?}"),
        };
        self.answers.insert(request, text);
    }
}
