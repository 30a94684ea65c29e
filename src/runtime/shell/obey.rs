//! How a shell changes the state of its agent: with hooks, and when it is told to.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::Body;
use crate::error::ControlError;
use crate::event::EventKind;
use crate::exit::{ExitReason, ShutdownCause};
use crate::lifecycle::hook::{Change, ChangeError, Hooks, Refused};
use crate::lifecycle::{IllegalTransition, Life as Lifecycle, StateName, state};
use crate::runtime::agent::Agent;
use crate::runtime::current;
use crate::runtime::guard::after;
use crate::runtime::hooks::{Action, Around, HOOK_LIMIT, pass};
use crate::runtime::life::Life;
use crate::runtime::serve::ServeContext;
use crate::runtime::slot::{AnySlot, Command};
use crate::runtime::supervisor::kill_life;
use crate::supervision::policy::ChildKind;

/// The state of the life, once it has started.
#[derive(Default)]
pub(super) enum Running {
    #[default]
    Not,
    Active(Lifecycle<state::Active>),
    Suspended(Lifecycle<state::Suspended>),
    Draining(Lifecycle<state::Draining>),
}

impl Running {
    /// The state that it was in; of a life that never came so far, that it was on its way.
    pub(super) fn name(&self) -> StateName {
        match self {
            Self::Not => StateName::Registering,
            Self::Active(_) => StateName::Active,
            Self::Suspended(_) => StateName::Suspended,
            Self::Draining(_) => StateName::Draining,
        }
    }

    fn suspend(self, suspended: state::Suspended) -> Self {
        match self {
            Self::Active(machine) => Self::Suspended(machine.enter(suspended)),
            other => other,
        }
    }

    fn resume(self, active: state::Active) -> Self {
        match self {
            Self::Suspended(machine) => Self::Active(machine.enter(active)),
            other => other,
        }
    }

    fn drain(self, draining: state::Draining) -> Self {
        match self {
            Self::Active(machine) => Self::Draining(machine.enter(draining)),
            Self::Suspended(machine) => Self::Draining(machine.enter(draining)),
            other => other,
        }
    }

    fn snapshot(&self) -> Option<crate::lifecycle::AgentState> {
        match self {
            Self::Not => None,
            Self::Active(machine) => Some(machine.snapshot()),
            Self::Suspended(machine) => Some(machine.snapshot()),
            Self::Draining(machine) => Some(machine.snapshot()),
        }
    }
}

fn has_drained() -> ExitReason {
    ExitReason::Shutdown(ShutdownCause::Because("it has drained".to_owned()))
}

fn had_no_more_time() -> ExitReason {
    ExitReason::Shutdown(ShutdownCause::Because("its time to drain was over".to_owned()))
}

/// Waits until a life that was told to drain does so. One that is still in the handler that ran when it was told is cut off
/// at the moment by which it is to drain; none begins after that. `None` where the life ended before.
pub(crate) async fn drains<T>(life: Arc<Life>, by: Instant, mut done: oneshot::Receiver<T>) -> Option<T> {
    if let Ok(done) = timeout_at(by, &mut done).await {
        return done.ok();
    }
    if life.is_handling() && !life.is_ending() {
        life.mark_drained();
        life.end(had_no_more_time());
        kill_life(&life, ChildKind::Worker);
    }
    done.await.ok()
}

impl<A: Agent> Body<A> {
    /// Changes the state: the hooks before, the change, the hooks after it.
    pub(super) async fn change(&mut self, change: Change, make: impl FnOnce(&mut Self)) -> Result<(), Refused> {
        // What few agents have is asked for first, and costs the others nothing.
        // A life that was given up runs none: what it does has no effect any more.
        let Some(hooks) = self.hooks.clone().filter(|_| !self.ctx.life.is_fenced()) else {
            make(self);
            return Ok(());
        };
        Box::pin(self.change_with(&hooks, change, make)).await
    }

    async fn change_with(
        &mut self,
        hooks: &Hooks<Action>,
        change: Change,
        make: impl FnOnce(&mut Self),
    ) -> Result<(), Refused> {
        let limit = self.handler_deadline.unwrap_or(HOOK_LIMIT);
        let ctx = ServeContext::of(&self.ctx);
        // Also where a life fails, which is outside of what its code runs in.
        let life = Arc::clone(&self.ctx.life);
        let passed = current::within(life, pass(Around { hooks, ctx: &ctx, limit }, change, || make(self))).await;
        let (failures, refused) = match &passed {
            Ok(failures) => (&failures[..], false),
            Err(refused) => (std::slice::from_ref(&refused.by), true),
        };
        for failure in failures {
            let kind = EventKind::HookFailed {
                incarnation: self.ctx.incarnation(),
                from: change.from,
                to: change.to,
                hook: failure.hook.clone(),
                why: failure.why.clone(),
                refused,
            };
            self.ctx.slot.core().bus().publish(self.ctx.path(), kind);
        }
        passed.map(|_| ())
    }

    /// Changes the state of a life that has started.
    async fn step(&mut self, to: StateName, next: impl FnOnce(Running) -> Running) -> Result<(), ChangeError> {
        let from = self.running.name();
        if !from.may_become(to) {
            return Err(IllegalTransition { from, to }.into());
        }
        self.change(Change { from, to }, |body| {
            body.running = next(mem::take(&mut body.running));
            if let Some(state) = body.running.snapshot() {
                body.announce(state);
            }
        })
        .await?;
        Ok(())
    }

    /// Takes no new work from now on.
    pub(super) async fn drain_for(&mut self, within: Duration, reason: String) -> Result<(), ChangeError> {
        // A year is as good as for ever, and no clock ends before that.
        let deadline = self.ctx.system.clock().now() + within.min(Duration::from_hours(365 * 24));
        self.step(StateName::Draining, |running| running.drain(state::Draining { reason, deadline })).await
    }

    /// Does what it is told, in order.
    pub(super) async fn obey(&mut self) {
        let (span, life) = self.span_and_life();
        let controls = self.ctx.slot.take_controls(life.incarnation);
        let is_drain = |command: Command| matches!(command, Command::Drain { .. });
        let mut drains = controls.iter().filter(|control| is_drain(control.command)).count();
        for control in controls {
            let outcome =
                current::within(Arc::clone(&life), self.command(control.command).instrument(span.clone())).await;
            drains -= usize::from(is_drain(control.command));
            // A drain was refused, and no other waits: it goes on as before.
            if is_drain(control.command)
                && outcome.is_err()
                && drains == 0
                && !matches!(self.running, Running::Draining(_))
            {
                self.ctx.slot.reopen(life.incarnation, matches!(self.running, Running::Suspended(_)));
            }
            let path = || life.path.clone();
            let _ = control.done.send(outcome.map_err(|problem| ControlError::Change { path: path(), problem }));
        }
    }

    async fn command(&mut self, command: Command) -> Result<(), ChangeError> {
        let slot = Arc::clone(&self.ctx.slot);
        let (now, of) = (self.ctx.system.clock().now(), self.ctx.incarnation());
        match command {
            Command::Suspend => {
                let reason = "it was asked to".to_owned();
                self.step(StateName::Suspended, |running| running.suspend(state::Suspended { reason })).await?;
                slot.set_paused(of, true);
            }
            Command::Resume => {
                let active = state::Active { since: now, message_count: 0 };
                self.step(StateName::Active, |running| running.resume(active)).await?;
                slot.set_paused(of, false);
            }
            Command::Doze => self.doze_if_idle(),
            Command::Drain { by, stays } => {
                let left = by.saturating_duration_since(after(Duration::ZERO));
                self.drain_for(left, "it was asked to".to_owned()).await?;
                slot.close_for_new(of, !stays && self.ctx.life.is_followed());
                if !stays {
                    self.end_once_drained(by);
                }
            }
        }
        Ok(())
    }

    /// Ends the life when it has nothing in hand any more, at the latest at this moment.
    fn end_once_drained(&self, by: Instant) {
        let (life, port) = (Arc::clone(&self.ctx.life), self.ctx.port.clone());
        // Not a task of the life, whose tasks it waits for.
        tokio::spawn(async move {
            let finished = timeout_at(by, life.tasks.idle()).await;
            life.mark_drained();
            life.ask_to_stop(if finished.is_ok() { has_drained() } else { had_no_more_time() });
            port.stop(None);
        });
    }
}
