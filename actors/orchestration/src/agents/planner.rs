//! Makes a plan of a goal.

use std::collections::BTreeSet;

use steadfast::{Agent, BoxError, Context, Subject, System};

use crate::agents::protocol::{PlanReply, PlanRequest, task_capability};
use crate::plan::Plan;

/// The planner. It keeps nothing: the same goal and parameters give the same plan.
#[derive(Debug)]
pub struct Planner;

/// What a planner is asked.
#[derive(Debug)]
pub struct PlannerMessage(PlanRequest);

impl From<PlanRequest> for PlannerMessage {
    fn from(request: PlanRequest) -> Self {
        Self(request)
    }
}

impl Agent for Planner {
    type Args = ();
    type Message = PlannerMessage;
    type Reply = PlanReply;

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, message: PlannerMessage, ctx: &mut Context<Self>) -> Result<PlanReply, BoxError> {
        let PlanRequest { goal, params } = message.0;
        let plan = match Plan::rebuild(goal, params) {
            Ok(plan) => plan,
            Err(errors) => return Ok(PlanReply::Refused(errors.to_string())),
        };
        let of_undos = plan.tasks().filter_map(|task| task.undo_capability());
        let of_tasks = plan.tasks().filter_map(|task| task.capability().map(str::to_owned));
        let needed: BTreeSet<_> = of_tasks.chain(of_undos).collect();
        let unoffered: Vec<_> = needed.into_iter().filter(|name| !is_offered(ctx.system(), name)).collect();
        if unoffered.is_empty() { Ok(PlanReply::Planned(Box::new(plan))) } else { Ok(PlanReply::Unoffered(unoffered)) }
    }

    fn subject(_: &PlannerMessage) -> Option<Subject> {
        Some(plan_subject())
    }
}

/// What faults of planning are drawn by.
pub(crate) fn plan_subject() -> Subject {
    Subject::new("plan", 1)
}

fn is_offered(system: &System, name: &str) -> bool {
    !system.providers(&task_capability(name)).is_empty()
}
