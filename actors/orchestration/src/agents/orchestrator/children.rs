//! Runs inside this one: each is carried by an orchestrator of its own, which the one around it starts and ends.
//!
//! # Invariants
//!
//! * The run of a task is recorded before its orchestrator is started, and it is the same however often that happens.
//! * How a run inside this one ended is recorded before its orchestrator is told so and ended.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use steadfast::{BoxError, Context, Path, RequestError, RunId, System};

use super::nursery::{end_inside, forget, nursery, start};
use super::{Feed, Orchestrator, OrchestratorMessage, OrchestratorReply, Own, RunArgs, set_going};
use crate::agents::ask::{PAUSE, TRY, again};
use crate::agents::host::put_aside;
use crate::agents::protocol::{Attempt, ContextReply, ContextRequest, Part, Wanted};
use crate::goal::span::Span;
use crate::host::{HostError, head};
use crate::preset::child_path;
use crate::run::{
    Begin, Cancel, Child, ChildEnd, Inside, Millis, Order, Parent, Record, Resumption, Standing, Status, TaskId,
    UndoSummary, as_who, child_ended, child_undone, failures, order, results,
};
use crate::work::chain;

const REACHED: Standing = Standing::Ended(Status::Reached);

/// What a run inside another one was told: what is wanted of it, and when the run around it was resumed last.
pub(super) type Led = (Order, Option<Resumption>);

/// Who is told how a run inside another one ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Around {
    /// The orchestrator of the run around it.
    pub orchestrator: Path,
    /// The task there that this run is.
    pub task: TaskId,
}

impl Orchestrator {
    /// Has a run inside this one carried out, unless that is so already.
    pub(super) fn start_child(
        &mut self,
        task: &TaskId,
        params: &Value,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        if let Some(again) = self.bench.leaving.get_mut(task) {
            *again = Some(params.clone());
            return Ok(());
        }
        let args = self.child_args(task, params, ctx)?;
        let Some(place) = nursery(ctx.path()) else { return Err("an orchestrator stands in no domain".into()) };
        self.watch_child(task, Standing::Working, ctx);
        let (system, task) = (ctx.system().clone(), task.clone());
        set_going(ctx, async move { start(&system, &place, args).await.map(|why| Own::Unstarted { task, why }) });
        Ok(())
    }

    /// Waits until a run inside this one stands otherwise than this.
    pub(super) fn watch_child(&self, task: &TaskId, last: Standing, ctx: &mut Context<Self>) {
        let is_undone = self.state.undone_inside().is_some_and(|(undone, _)| undone == task);
        let Some(child) = self.state.child(task).filter(|_| !is_over(&last, is_undone)) else { return };
        let (feed, task) = (self.args.feed.inside(child.run), task.clone());
        set_going(ctx, async move {
            let mut standing = feed.standing();
            let now = standing.wait_for(|now| *now != last).await.ok()?.clone();
            Some(Own::ChildStands { task, now })
        });
    }

    /// Where the runs inside this one stand.
    pub(super) fn inside(&self) -> Vec<Inside> {
        let stands = self.state.open_inside().map(|(task, child)| Inside {
            task: task.clone(),
            run: child.run,
            standing: self.args.feed.inside(child.run).standing().borrow().clone(),
        });
        let is_still = self.state.is_paused() || self.state.goes_on_elsewhere();
        // One that is to be undone begins to when this run goes on.
        let begins_later = |inside: &Inside| {
            let is_undone = self.state.undone_inside().is_some_and(|(task, _)| *task == inside.task);
            let is_begun = self.bench.preparing.contains(&inside.task) && inside.standing != REACHED;
            is_still && is_undone && !is_begun
        };
        stands.filter(|inside| !begins_later(inside)).collect()
    }

    /// Tells the runs inside this one what is wanted of them, where that is something else than they were told.
    pub(super) fn lead(&mut self, ctx: &mut Context<Self>) {
        // Those that were begun to be undone hear as well that nobody wants the rest of that.
        let is_led = |(task, child): &(&TaskId, &Child)| child.ended.is_none() || self.bench.preparing.contains(*task);
        let running = self.state.children().filter(is_led);
        let resumed = self.state.resumption();
        let orders = running.map(|(task, child)| (task.clone(), child.clone(), (order(&self.state, task), resumed)));
        // One at a time, so that none overtakes another.
        let is_busy = |task: &TaskId| self.bench.leading.contains(task) || self.bench.leaving.contains_key(task);
        let news = orders.filter(|(task, _, led)| !is_busy(task) && self.bench.led.get(task) != Some(led));
        let news: Vec<_> = news.collect();
        for (task, child, led) in news {
            let (run, is_undone) = (child.run, child.ended.is_some());
            self.bench.leading.insert(task.clone());
            let message = OrchestratorMessage::Follow { around: self.args.run, order: led.0.clone(), resumed };
            let (system, child) = (ctx.system().clone(), self.child_at(run, ctx));
            set_going(ctx, async move {
                send(&system, (child?, is_undone), message).await;
                Some(Own::Led { task, led })
            });
        }
    }

    /// Tells every run inside this one something that somebody told this one.
    pub(super) fn pass_on(&self, message: impl Fn() -> OrchestratorMessage, ctx: &mut Context<Self>) {
        let running: Vec<_> = self.state.open_inside().map(|(_, child)| child.run).collect();
        for run in running {
            let (system, child, message) = (ctx.system().clone(), self.child_at(run, ctx), message());
            set_going(ctx, async move {
                send(&system, (child?, false), message).await;
                None
            });
        }
    }

    /// Where the orchestrator of a run inside this one stands, and its feed.
    fn child_at(&self, run: RunId, ctx: &Context<Self>) -> Option<(Path, Feed)> {
        let path = format!("{}/{run}", nursery(ctx.path())?).parse().ok()?;
        Some((path, self.args.feed.inside(run)))
    }

    /// Does what the run around this one wants of it.
    pub(super) async fn follow(
        &mut self,
        around: RunId,
        (order, resumed): (Order, Option<Resumption>),
        ctx: &mut Context<Self>,
    ) -> Result<OrchestratorReply, BoxError> {
        let who = as_who(around);
        if let Some(resumed) = resumed {
            self.args.feed.heard().hear(resumed.wall);
        }
        if let Some(wall) = self.resumed_at(&order, resumed) {
            self.commit(vec![Record::Resumed { who: who.clone(), wall }], ctx).await?;
        }
        match order {
            // It stands still for the one around it, whoever paused it as well.
            Order::Pause if self.state.held_by_parent().is_none() => self.stand_still(who, ctx).await,
            Order::GoOn | Order::Pause => Ok(OrchestratorReply::Done),
            Order::Drain => self.drain(ctx).await,
            Order::Cancel { leaves: true, why, .. } => self.leave((who, why), ctx).await,
            Order::Cancel { undo, why, .. } => self.cancel(undo, (who, why), ctx).await,
            Order::Undo { why } if self.state.may_be_undone(true) => {
                let asked = Record::CancelAsked { undo: true, who, why, wall: self.wall() };
                self.commit(vec![asked], ctx).await?;
                Ok(OrchestratorReply::Done)
            }
            Order::LeaveUndone { why } => self.leave_undone((who, why), ctx).await,
            Order::Undo { .. } => {
                // It is told again where the run around it was resumed.
                if let (Some((Status::Reached, _)), Some(around)) = (self.state.ended(), self.args.around.clone()) {
                    // There is nothing to take back.
                    let (run, status, undone) = (self.args.run, Status::Cancelled, UndoSummary::default());
                    let end = ChildEnd { run, status, results: Value::Null, why: String::new(), undone };
                    Self::tell_end(around, end, ctx);
                }
                Ok(OrchestratorReply::Done)
            }
        }
    }

    /// Leaves to a person what this run, which had reached its goal, was to take back.
    async fn leave_undone(
        &mut self,
        (who, why): (String, String),
        ctx: &mut Context<Self>,
    ) -> Result<OrchestratorReply, BoxError> {
        let (Some((Status::Reached, _)), Some(around)) = (self.state.ended(), self.args.around.clone()) else {
            return self.leave((who, why), ctx).await;
        };
        // It was never told to take anything back, and stays as it is.
        let undone = UndoSummary { undone: 0, failed: u32::try_from(self.state.undos())? };
        let (run, status) = (self.args.run, Status::Cancelled);
        Self::tell_end(around, ChildEnd { run, status, results: Value::Null, why, undone }, ctx);
        Ok(OrchestratorReply::Done)
    }

    /// Ends the run before its time, and leaves to a person what is not undone once what is out has ended.
    async fn leave(
        &mut self,
        (who, why): (String, String),
        ctx: &mut Context<Self>,
    ) -> Result<OrchestratorReply, BoxError> {
        // How it ended is told already.
        if self.state.may_be_left() {
            let records = self.state.cancelling(Cancel { undo: false, who, why }, self.wall());
            self.commit(records, ctx).await?;
        }
        Ok(OrchestratorReply::Done)
    }

    /// When it was that this run goes on, or what may stand still inside it does: the run around it goes on, or was resumed
    /// after this one came to stand still. Nothing where that is not so, or is recorded.
    ///
    /// It is the time at which somebody resumed the run around it: what came to stand still inside since then, whoever told
    /// this one late, was seen by nobody. A clock that was set back makes no difference where one had heard of the other:
    /// who resumes is not before what it saw, nor who stands still before what it was told (as Lamport's clocks are, "Time,
    /// clocks, and the ordering of events in a distributed system", 1978).
    fn resumed_at(&self, order: &Order, resumed: Option<Resumption>) -> Option<Millis> {
        if self.state.ended().is_some() {
            return None;
        }
        let resumed = resumed.map(|resumed| resumed.wall);
        if self.state.is_paused() {
            let after = resumed.filter(|wall| self.state.pauses().iter().all(|pause| pause.wall <= *wall));
            let goes_on = matches!(order, Order::GoOn | Order::Undo { .. });
            let theirs = goes_on && self.state.held_by_parent().is_some();
            return after.or_else(|| theirs.then(|| self.wall()));
        }
        // Those inside are told by this one, which need not know yet whether they stand still. Of what was before it began
        // none can.
        let last =
            self.state.resumption().map_or(self.state.started(), |last| last.wall.after(Duration::from_millis(1)));
        resumed.filter(|wall| *wall >= last && self.state.open_inside().next().is_some())
    }

    fn child_args(&self, task: &TaskId, params: &Value, ctx: &Context<Self>) -> Result<RunArgs, BoxError> {
        let child = self.state.child(task).ok_or("the run inside this one was not recorded")?;
        let goal = self.planned_task(task.task())?.task().goal.as_ref().and_then(|goal| goal.inline.as_deref());
        let mut goal = goal.ok_or("the goal inside this one is not there")?.clone();
        // Its time ends with that of the run around it.
        let left = child.time_left.map(|left| Span::of(left.max(Duration::from_millis(1))));
        goal.limits.deadline = goal.limits.deadline.into_iter().chain(left).min();
        let params: BTreeMap<String, Value> = serde_json::from_value(params.clone())?;
        let around = Around { orchestrator: ctx.path().clone(), task: task.clone() };
        let parent = Some(Parent { run: self.args.run, task: task.clone() });
        let (feed, around) = (self.args.feed.inside(child.run), Some(around));
        Ok(RunArgs { run: child.run, goal, params, parent, feed, around, ..self.args.clone() })
    }

    /// Carries on with the runs inside this one that an earlier incarnation began.
    pub(super) fn take_up_children(&mut self, ctx: &mut Context<Self>) {
        let open = |task: &TaskId| self.state.task(task).is_some_and(|task| task.settled.is_none());
        let children = self.state.children().filter(|(task, child)| child.ended.is_none() || open(task));
        let mut tasks: Vec<_> = children.map(|(task, _)| task.clone()).collect();
        // One that is undone may stand still with this run, and is carried all the same.
        if let Some((task, _)) = self.state.undone_inside() {
            self.bench.preparing.insert(task.clone());
            tasks.push(task.clone());
        }
        for task in &tasks {
            self.find_child(task, ctx);
        }
        // An earlier incarnation may have ended before it had let go of these.
        let here = self.args.feed.all_inside();
        let left = self.state.children().filter(|(task, child)| here.contains_key(&child.run) && !tasks.contains(task));
        for task in left.map(|(task, _)| task.clone()).collect::<Vec<_>>() {
            self.let_go(&task, "the run around it is over".to_owned(), ctx);
        }
    }

    /// Finds out what a run inside this one, which was begun before, was begun with: it says so itself, whatever of this one
    /// is not to be had.
    pub(super) fn find_child(&self, task: &TaskId, ctx: &mut Context<Self>) {
        let Some(run) = self.state.child(task).map(|child| child.run) else { return };
        let (journal, task) = (ctx.system().journal(), task.clone());
        set_going(ctx, async move {
            loop {
                return Some(match head(&*journal, run).await {
                    Ok(head) => Own::Reborn { task, params: Value::from_iter(head.params) },
                    Err(HostError::Unknown { .. }) => Own::Unbegun { task },
                    Err(HostError::Journal { source, .. }) if source.passes() => {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    Err(error) => Own::Unstarted { task, why: chain(&error) },
                });
            }
        });
    }

    /// A run inside this one was to begin, and its process ended first: its parameters are found once more.
    pub(super) fn unbegun(&mut self, task: TaskId, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        if self.state.not_whole().next().is_some() {
            self.bench.unbegun.insert(task);
            return Ok(());
        }
        let attempt = Attempt { run: self.args.run, task: task.clone(), part: Part::Task, number: 1 };
        let request = self.context_of(attempt)?;
        let item = match request.wanted {
            Wanted::ItemWork(item) => Some(item),
            _ => None,
        };
        let request = ContextRequest { wanted: Wanted::Begun { item }, ..request };
        let system = ctx.system().clone();
        set_going(ctx, async move {
            Some(match super::carry::context(&system, request).await {
                Ok(ContextReply::Begin(begin)) => match *begin {
                    Begin::Child { params } => Own::Reborn { task, params },
                    other => Own::Unstarted { task, why: format!("it begins otherwise than before: {other:?}") },
                },
                // The same question had an answer when the run was begun, and nothing that it depends on changes.
                Ok(other) => Own::Unstarted { task, why: format!("its parameters cannot be found again: {other:?}") },
                Err(unanswered) => Own::Unstarted { task, why: unanswered.why },
            })
        });
        Ok(())
    }

    /// Looks again at the runs inside this one that could not begin while a result was not to be had.
    pub(super) async fn look_at_unbegun(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let is_whole = self.state.not_whole().next().is_none();
        if !is_whole && !self.state.is_closing() {
            return Ok(());
        }
        for task in std::mem::take(&mut self.bench.unbegun) {
            let run = self.state.child(&task).map(|child| child.run);
            if is_whole {
                self.unbegun(task, ctx)?;
            } else if let Some(run) = run {
                // It did nothing, and is not wanted any more.
                let (status, undone) = (Status::Cancelled, UndoSummary::default());
                let end = ChildEnd { run, status, results: Value::Null, why: String::new(), undone };
                self.args.feed.inside(run).stand(Standing::Ended(status));
                self.child_over(&task, &end, ctx).await?;
            }
        }
        Ok(())
    }

    /// The parameters of a run that an earlier incarnation began are known again.
    pub(super) fn reborn(&mut self, task: &TaskId, params: &Value, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        self.start_child(task, params, ctx)
    }

    /// A run inside this one cannot be carried out.
    pub(super) async fn unstarted(
        &mut self,
        task: &TaskId,
        why: String,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        let Some(run) = self.state.child(task).map(|child| child.run) else { return Ok(()) };
        let undone = UndoSummary { undone: 0, failed: 1 };
        let end = ChildEnd { run, status: Status::Failed, results: Value::Null, why, undone };
        self.args.feed.inside(run).stand(Standing::Ended(Status::Failed));
        self.child_over(task, &end, ctx).await
    }

    /// An orchestrator failed too often and is put aside: where it was that of a run inside this one, that one has failed.
    pub(super) async fn put_aside(&mut self, agent: &Path, why: &str, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let running = self.state.open_inside();
        let mut of_it = running.filter(|(_, child)| child_path(child.run) == *agent).map(|(task, _)| task.clone());
        let Some(task) = of_it.next() else { return Ok(()) };
        drop(of_it);
        self.unstarted(&task, format!("its orchestrator failed too often, the last time because {why}"), ctx).await
    }

    /// Events were missed: one of them may have been that the orchestrator of a run inside this one was put aside.
    pub(super) async fn compare_children(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        if self.state.open_inside().next().is_none() {
            return Ok(());
        }
        let Some(place) = nursery(ctx.path()) else { return Ok(()) };
        for run in put_aside(ctx.system(), &place) {
            self.put_aside(&child_path(run), "of something that was missed", ctx).await?;
        }
        Ok(())
    }

    /// A run inside this one is over: that is recorded, and its orchestrator ends.
    pub(super) async fn child_over(
        &mut self,
        task: &TaskId,
        end: &ChildEnd,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        if self.state.is_undoing() && self.state.undo_at() == Some(task) && end.status == Status::Reached {
            // It is about to take back what it did.
            return Ok(());
        }
        if self.state.ended().is_none() {
            let mut records = child_ended(&self.state, task, end, self.wall());
            records.extend(child_undone(&self.state, task, end, self.wall()));
            self.bench.preparing.remove(task);
            self.commit(records, ctx).await?;
        }
        self.let_go(task, end.why.clone(), ctx);
        Ok(())
    }

    /// Ends the orchestrator of a run inside this one that is over, and all that one that was given up left behind.
    ///
    /// Its feed is there until that is done, so that the next incarnation does it where this one ends before. If the run is
    /// begun again meanwhile, to be undone, that waits.
    fn let_go(&mut self, task: &TaskId, why: String, ctx: &mut Context<Self>) {
        let (Some(child), Some(place)) = (self.state.child(task), nursery(ctx.path())) else { return };
        let run = child.run;
        if self.bench.leaving.contains_key(task) {
            return;
        }
        self.bench.leaving.insert(task.clone(), None);
        let (system, shop) = (ctx.system().clone(), self.args.shop.clone());
        let (feed, task) = (self.args.feed.clone(), task.clone());
        set_going(ctx, async move {
            forget(&system, &place, run).await;
            shop.drop_leases(run, &system).await;
            end_inside((&system, &shop), &place, (&feed.inside(run), Standing::GivenUp { why })).await;
            // Not before: what its orchestrator said last would be kept for ever.
            shop.close(run);
            feed.forget(run);
            Some(Own::Left { task })
        });
    }

    /// Nothing of a run inside this one is left here; it may be wanted again by now.
    pub(super) fn left(&mut self, task: &TaskId, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let again = self.bench.leaving.remove(task).flatten();
        again.map_or(Ok(()), |params| self.start_child(task, &params, ctx))
    }

    /// Tells the orchestrator around this one how the run ended, until it has recorded that.
    pub(super) fn tell_around(&self, ctx: &mut Context<Self>) {
        let (Some(around), Some((status, _))) = (self.args.around.clone(), self.state.ended()) else { return };
        let why = self.args.redactor.text(&failures(&self.state)).into_owned();
        let undone = self.state.undone();
        let end = ChildEnd { run: self.args.run, status, results: results(&self.state), why, undone };
        Self::tell_end(around, end, ctx);
    }

    fn tell_end(around: Around, end: ChildEnd, ctx: &mut Context<Self>) {
        let system = ctx.system().clone();
        set_going(ctx, async move {
            tell(&system, &around, end).await;
            None
        });
    }
}

/// Whether a run inside another one does not come back. One that reached its goal does, to take back what it did.
fn is_over(standing: &Standing, is_undone: bool) -> bool {
    matches!(standing, Standing::Ended(_)) && !(is_undone && *standing == REACHED)
}

/// Tells the orchestrator of a run inside something that may be said again, until it has heard it or is gone.
async fn send(system: &System, child: ((Path, Feed), bool), message: OrchestratorMessage) {
    let ((path, feed), is_undone) = child;
    let mut said = Some(message);
    while let Some(message) = said.take().filter(|_| !is_over(&feed.standing().borrow(), is_undone)) {
        said = message.again();
        let error = match system.agent::<Orchestrator>(&path) {
            Ok(agent) => match agent.ask_within(message, TRY).await {
                Ok(_) | Err(RequestError::Gone { .. }) => return,
                Err(error) => error,
            },
            Err(error) => error,
        };
        again("child", &error).await;
    }
}

async fn tell(system: &System, around: &Around, end: ChildEnd) {
    loop {
        let message = OrchestratorMessage::ChildOver { task: around.task.clone(), end: end.clone() };
        let error = match system.agent::<Orchestrator>(&around.orchestrator) {
            Ok(agent) => match agent.ask_within(message, TRY).await {
                Ok(_) | Err(RequestError::Gone { .. }) => return,
                Err(error) => error,
            },
            Err(error) => error,
        };
        again("child", &error).await;
    }
}
