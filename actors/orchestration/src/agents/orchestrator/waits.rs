//! Tasks that the run itself carries out: how they begin, and what others tell the run.

use steadfast::{BoxError, Context};
use uuid::Uuid;

use super::{Orchestrator, OrchestratorReply};
use crate::run::{Begin, Order, Record, TaskId, Tell, Untold, begun, told};

impl Orchestrator {
    /// A task begins to wait: that is recorded, and holds no agent up.
    pub(super) async fn begins(
        &mut self,
        task: &TaskId,
        begin: Begin,
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        self.bench.preparing.remove(task);
        if self.state.waits_on(task).is_some() || self.state.child(task).is_some() {
            return Ok(());
        }
        let record = begun(&self.state, task, &begin, self.wall());
        self.commit(vec![record.ok_or("the run has no beginning")?], ctx).await?;
        if let Begin::Child { params } = begin {
            self.bench.led.insert(task.clone(), (Order::GoOn, self.state.resumption()));
            self.start_child(task, &params, ctx)?;
        }
        Ok(())
    }

    /// Somebody outside tells the run something. What came with the same id before is not taken twice.
    pub(super) async fn told(
        &mut self,
        id: Option<Uuid>,
        tell: Tell,
        ctx: &Context<Self>,
    ) -> Result<OrchestratorReply, BoxError> {
        if let Some(before) = id.and_then(|id| self.state.request(id)) {
            return Ok(
                before.map_or_else(|why| OrchestratorReply::Untold(why.to_owned()), |()| OrchestratorReply::Done)
            );
        }
        let now = self.wall();
        let (records, reply) = match told(&self.state, &self.without_secrets(tell), now) {
            Ok(record) => {
                let taken = id.map(|id| Record::RequestTaken { id, wall: now });
                (taken.into_iter().chain(record).collect(), OrchestratorReply::Done)
            }
            Err(Untold(why)) => {
                let id = id.filter(|_| self.state.ended().is_none());
                let refused = id.map(|id| Record::RequestRefused { id, why: why.clone(), wall: now });
                (refused.into_iter().collect(), OrchestratorReply::Untold(why))
            }
        };
        self.commit(records, ctx).await?;
        Ok(reply)
    }

    /// What comes with a signal becomes a result, and is digested as that.
    fn without_secrets(&self, tell: Tell) -> Tell {
        match tell {
            Tell::Signal { name, data, who } => Tell::Signal { name, data: self.args.redactor.value(&data), who },
            other => other,
        }
    }
}
