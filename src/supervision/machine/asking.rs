//! Answering requests (rules 43 to 52).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::exit::ExitReason;
use crate::id::ChildId;
use crate::supervision::intensity::Tally;
use crate::supervision::policy::{AutoShutdown, ChildKind, ChildRules, Restart, Rules, SpecProblem, check_children};

use super::child::{ChildKey, ChildState, Life, Pending};
use super::command::Command;
use super::plan::{Batch, Culprit, Then, Trigger, Why};
use super::request::{ChildRow, Counts, Refusal, Reply, Request, RequestId};
use super::{END, FIRST, Machine};

impl Machine {
    /// Answers a request whose turn has come, now or when what it asks for is done.
    pub(super) fn answer(&mut self, request: RequestId, what: Request) {
        let reply = match what {
            Request::StartChild { id, rules } => self.start_child(request, id, rules),
            Request::TerminateChild(_) if self.is_dynamic() => Some(Reply::Refused(Refusal::Dynamic)),
            Request::TerminateChild(id) => self.terminate_child(request, &id),
            Request::TerminateInstance(id) => self.terminate_instance(request, &id),
            Request::RestartChild(id) => self.restart_child(request, &id),
            Request::DeleteChild(id) => Some(self.delete_child(&id)),
            Request::WhichChildren => Some(Reply::Children(self.rows())),
            Request::CountChildren => Some(Reply::Counts(self.counts())),
            Request::ChildSpec(id) => Some(self.spec_of(&id)),
            Request::Update { rules, children, max } => Some(self.update(request, (rules, max), children)),
        };
        if let Some(reply) = reply {
            self.reply(request, reply);
        }
    }

    fn start_child(&mut self, request: RequestId, id: Option<ChildId>, rules: ChildRules) -> Option<Reply> {
        let (id, rules) = match self.new_child(id, rules) {
            Ok(new) => new,
            Err(refusal) => return Some(Reply::Refused(refusal)),
        };
        let child = self.children.append(id.clone(), rules);
        if wrong!(self, NewChildFirst) {
            let mut order = self.children.within(FIRST, END);
            order.rotate_right(1);
            self.children.reorder(order);
        }
        self.out.push(Command::Adopt { child, id, request, place: 0 });
        self.start_one(child, Why::Added(request));
        None
    }

    fn start_one(&mut self, child: ChildKey, why: Why) {
        let Some(position) = self.children.get(child).map(|child| child.position) else { return };
        self.start_batch(Batch { from: position, end: position + 1, why });
    }

    /// Checks a new child (rules 9 and 43).
    fn new_child(&mut self, id: Option<ChildId>, rules: ChildRules) -> Result<(ChildId, Arc<ChildRules>), Refusal> {
        let rules = match &self.template {
            Some(template) => {
                if let Some(max) = template.max.filter(|max| self.children.len() >= *max) {
                    return Err(Refusal::TooMany { max });
                }
                Arc::clone(&template.rules)
            }
            None => Arc::new(rules),
        };
        let id = id.unwrap_or_else(|| self.next_number());
        if let Some(child) = self.children.named(&id) {
            let start = self.children.get(child).and_then(|child| child.life.start());
            return Err(start.map_or(Refusal::AlreadyPresent, |start| Refusal::AlreadyStarted { child, start }));
        }
        self.check_new(&id, &rules).map_err(Refusal::Invalid)?;
        Ok((id, rules))
    }

    fn check_new(&mut self, id: &ChildId, rules: &ChildRules) -> Result<(), SpecProblem> {
        rules.check(id)?;
        if rules.significant && self.rules.auto_shutdown == AutoShutdown::Never {
            return Err(SpecProblem::SignificantButNever { id: id.clone() });
        }
        let unknown =
            rules.after.iter().flat_map(|after| after.iter()).find(|name| self.children.named(name).is_none());
        match unknown {
            Some(missing) => Err(SpecProblem::AfterUnknown { id: id.clone(), missing: missing.clone() }),
            None => Ok(()),
        }
    }

    /// A name for an instance that was given none.
    fn next_number(&mut self) -> ChildId {
        loop {
            let Some(template) = &mut self.template else { return ChildId::numbered(0) };
            template.numbered += 1;
            let id = ChildId::numbered(template.numbered);
            if self.children.named(&id).is_none() {
                return id;
            }
        }
    }

    fn terminate_child(&mut self, request: RequestId, id: &ChildId) -> Option<Reply> {
        let Some(key) = self.children.named(id) else { return Some(Reply::Refused(Refusal::NotFound)) };
        self.terminate(request, key)
    }

    fn terminate_instance(&mut self, request: RequestId, id: &ChildId) -> Option<Reply> {
        if !self.is_dynamic() {
            return Some(Reply::Refused(Refusal::NotFound));
        }
        let Some(key) = self.children.named(id) else { return Some(Reply::Done) };
        self.terminate(request, key)
    }

    fn terminate(&mut self, request: RequestId, key: ChildKey) -> Option<Reply> {
        let child = self.children.get(key)?;
        let position = child.position;
        let group = if matches!(child.life, Life::Restarting) { self.end_wait(key) } else { None };
        self.stop_range(position, position + 1, Then::Answer { child: key, request, group });
        None
    }

    /// The wait of a child is over, and it is not started. Returns whom its back-off made wait with it: nobody asked them to
    /// stay down. Without a back-off they do, as in OTP (rules 35 and 36).
    fn end_wait(&mut self, key: ChildKey) -> Option<Batch> {
        self.children.set_life(key, Life::Stopped);
        let (now, limit) = (self.now, self.rules.intensity);
        let child = self.children.get_mut(key)?;
        let Pending { counted, first, .. } = child.take_pending()?;
        child.rules.backoff?;
        let id = child.id.clone();
        let (from, end) = self.group_from(key, first);
        let tally = counted.unwrap_or_else(|| Tally { count: self.restarts.count(now, limit), limit });
        let culprit = Culprit { child: key, id, trigger: Trigger::Terminated, tally };
        (end != from + 1).then_some(Batch { from, end, why: Why::Restart(culprit) })
    }

    /// A child was stopped on request.
    pub(super) fn terminated(&mut self, key: ChildKey, request: RequestId) {
        let is_temporary = self.children.get(key).is_some_and(|child| child.rules.restart == Restart::Temporary);
        if is_temporary && !wrong!(self, TerminatedTemporaryKept) || self.is_dynamic() {
            self.forget(key);
        } else {
            self.out.push(Command::Rest { child: key });
        }
        self.reply(request, Reply::Done);
        if wrong!(self, TerminateIsAnExit) {
            self.significant_ended(key, ExitReason::SHUTDOWN);
        }
        if wrong!(self, TerminateCounts) {
            self.restarts.add(self.now, self.rules.intensity);
        }
    }

    /// The child of this name, if it is stopped.
    fn stopped_child(&mut self, id: &ChildId) -> Result<ChildKey, Refusal> {
        if self.is_dynamic() {
            return Err(Refusal::Dynamic);
        }
        let key = self.children.named(id).ok_or(Refusal::NotFound)?;
        match self.children.get(key).map(|child| &child.life) {
            Some(Life::Stopped | Life::Quarantined) => Ok(key),
            Some(Life::Restarting) => Err(Refusal::Restarting),
            Some(_) => Err(Refusal::Running),
            None => Err(Refusal::NotFound),
        }
    }

    /// An instance of this name that is in quarantine: the only one that is kept while it does not run. OTP knows none,
    /// and refuses whatever names an instance.
    fn quarantined_instance(&mut self, id: &ChildId) -> Option<ChildKey> {
        let key = self.is_dynamic().then(|| self.children.named(id))??;
        matches!(self.children.get(key)?.life, Life::Quarantined).then_some(key)
    }

    fn restart_child(&mut self, request: RequestId, id: &ChildId) -> Option<Reply> {
        let key = match self.quarantined_instance(id).map_or_else(|| self.stopped_child(id), Ok) {
            Ok(key) => key,
            Err(refusal) => return Some(Reply::Refused(refusal)),
        };
        // Whoever brings a quarantined child back has looked at it: its own count begins anew.
        if let Some(Life::Quarantined) = self.children.set_life(key, Life::Stopped)
            && let Some(child) = self.children.get_mut(key)
        {
            *child.extra() = super::child::Extra::default();
        }
        if wrong!(self, RestartChildCounts) {
            self.restarts.add(self.now, self.rules.intensity);
        }
        self.start_one(key, Why::Again(request));
        None
    }

    fn delete_child(&mut self, id: &ChildId) -> Reply {
        match self.stopped_child(id) {
            Ok(key) => {
                self.forget(key);
                Reply::Done
            }
            Err(Refusal::Running) if wrong!(self, DeletesRunning) => Reply::Done,
            Err(refusal) => Reply::Refused(refusal),
        }
    }

    fn rows(&self) -> Vec<ChildRow> {
        let row = |(key, child): (ChildKey, super::ChildView<'_>)| ChildRow {
            key,
            id: child.id.clone(),
            state: child.state,
            start: child.start,
            kind: child.rules.kind,
        };
        self.children.views().map(row).collect()
    }

    fn counts(&self) -> Counts {
        if let Some(template) = &self.template {
            // By book-keeping, so that no list of instances is gone through.
            let size = self.children.len();
            let restarting = if wrong!(self, RestartingIsActive) { 0 } else { self.children.restarting() };
            let counts =
                Counts { specs: 1, active: size - restarting - self.children.quarantined(), ..Counts::default() };
            return match template.rules.kind {
                ChildKind::Supervisor => Counts { supervisors: size, ..counts },
                ChildKind::Worker => Counts { workers: size, ..counts },
            };
        }
        let mut counts = Counts { specs: self.children.len(), ..Counts::default() };
        for (_, child) in self.children.views() {
            let is_active = match child.state {
                ChildState::Running | ChildState::Starting | ChildState::Stopping => true,
                ChildState::Restarting => wrong!(self, RestartingIsActive),
                ChildState::Stopped | ChildState::Ended | ChildState::Quarantined => false,
            };
            counts.active += usize::from(is_active);
            match child.rules.kind {
                ChildKind::Supervisor => counts.supervisors += 1,
                ChildKind::Worker => counts.workers += 1,
            }
        }
        counts
    }

    fn spec_of(&mut self, id: &ChildId) -> Reply {
        if let Some(template) = &self.template
            && (template.id == *id || self.children.named(id).is_some())
        {
            return Reply::Spec((*template.rules).clone());
        }
        match self.children.named(id).and_then(|key| self.children.get(key)) {
            Some(child) => Reply::Spec((*child.rules).clone()),
            None => Reply::Refused(Refusal::NotFound),
        }
    }

    /// Takes new rules and specs (rules 50 to 52).
    fn update(
        &mut self,
        request: RequestId,
        (rules, max): (Rules, Option<usize>),
        children: Vec<(ChildId, ChildRules)>,
    ) -> Reply {
        let checked =
            rules.check().and_then(|()| check_children(&rules, children.iter().map(|(id, child)| (id, child))));
        if let Err(problem) = checked {
            if wrong!(self, RefusedUpdateTakesRules) {
                self.take_rules(rules);
            }
            return Reply::Refused(Refusal::Invalid(problem));
        }
        if let Some(template) = &mut self.template {
            let Ok([(id, rules_of_all)]) = <[_; 1]>::try_from(children) else {
                return Reply::Refused(Refusal::Invalid(SpecProblem::TemplateOnly));
            };
            template.id = id;
            template.max = max;
            template.rules = Arc::new(rules_of_all);
            let shared = Arc::clone(&template.rules);
            for key in self.children.within(FIRST, END) {
                self.children.set_rules(key, Arc::clone(&shared));
            }
        } else {
            self.merge(request, children);
        }
        self.take_rules(rules);
        Reply::Done
    }

    fn take_rules(&mut self, rules: Rules) {
        if wrong!(self, UpdateClearsWindow) {
            self.restarts = super::Window::default();
        }
        if wrong!(self, UpdateKeepsRules) {
            return;
        }
        let before = std::mem::replace(&mut self.rules, rules);
        self.keep_mutation(before);
    }

    #[cfg(any(test, feature = "testing"))]
    fn keep_mutation(&mut self, before: Rules) {
        self.rules.mutation = before.mutation;
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[expect(clippy::unused_self, reason = "there is none outside tests")]
    fn keep_mutation(&mut self, _: Rules) {}

    /// The new list first, then what is kept of the old one, in its order (rule 51).
    fn merge(&mut self, request: RequestId, children: Vec<(ChildId, ChildRules)>) {
        let old = self.children.within(FIRST, END);
        let mut order = Vec::with_capacity(children.len() + old.len());
        let mut listed = BTreeSet::new();
        for (place, (id, rules)) in children.into_iter().enumerate() {
            let rules = Arc::new(rules);
            let child = if let Some(child) = self.children.named(&id) {
                self.children.set_rules(child, rules);
                child
            } else {
                self.children.append(id.clone(), rules)
            };
            listed.insert(child);
            order.push(child);
            self.out.push(Command::Adopt { child, id, request, place });
        }
        let kept: Vec<_> = old.into_iter().filter(|child| !listed.contains(child)).collect();
        if wrong!(self, UpdateKeepsOldFirst) {
            order.splice(0..0, kept);
        } else {
            order.extend(kept);
        }
        self.children.reorder(order);
        if wrong!(self, UpdateStartsNew) {
            self.start_batch(Batch { from: FIRST, end: END, why: Why::Init });
        }
    }
}
