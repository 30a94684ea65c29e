//! The task of an elastic pool that carries out what the pure [`Scaler`] decides.

use std::sync::Arc;
use std::time::Duration;

use super::{PoolDesk, PoolPlan};
use crate::exit::BoxError;
use crate::flow::{Scale, Scaler};
use crate::id::{ChildId, Path};
use crate::runtime::domain::{Comer, end_child};
use crate::runtime::serve::TaskContext;
use crate::runtime::supervisor::handle::Supervisor;
use crate::runtime::system::System;

/// Looks at the pool, at times and whenever somebody comes to wait, and lets it grow and shrink.
pub(super) async fn scale(ctx: TaskContext) -> Result<(), BoxError> {
    let path = ctx.path().parent().ok_or("a pool's own task stands in no pool")?;
    let system = ctx.system().clone();
    let plan = system.pool_plan(&path).ok_or("a pool's own task stands in no pool")?;
    let mut scaler = Scaler::new(plan.rules)?;
    let began = system.clock().now();
    let supervisor = Supervisor::new(system.clone(), path.clone());
    if let Some(desk) = system.pool_desk(&path) {
        desk.nobody_leaves();
    }
    loop {
        // Looked up each time: `None` while the pool is about to end.
        let Some(desk) = system.pool_desk(&path) else { return Ok(()) };
        let now = system.clock().now().saturating_duration_since(began);
        match scaler.decide(now, desk.view(&system)) {
            Scale::Keep => {}
            Scale::Grow(members) => {
                for _ in 0..members {
                    if !grow(&system, &supervisor, &plan, &desk).await {
                        break;
                    }
                }
            }
            Scale::Shrink(members) => {
                for _ in 0..members {
                    let Some(number) = desk.dismiss(&system) else { break };
                    end_child(&system, &supervisor, &ChildId::numbered(number), Duration::ZERO).await?;
                    desk.left(number);
                }
            }
        }
        tokio::select! {
            biased;
            () = desk.asked() => {}
            () = tokio::time::sleep(plan.look_every) => {}
        }
    }
}

/// Starts one member more. Returns whether it came.
async fn grow(system: &System, supervisor: &Supervisor, plan: &PoolPlan, desk: &Arc<PoolDesk>) -> bool {
    let path: &Path = supervisor.path();
    let domain = system.domain_of(path);
    let child = plan.member(desk.next_number());
    // Counted until it has started, or not.
    let comer = Comer { place: Some(path.child(&child.name)), supervisor: path.clone(), agents: 1 };
    let Ok(coming) = system.reserve(vec![comer]) else { return false };
    let child = match &domain {
        None => child,
        Some(domain) => domain.fitted(child),
    };
    let started = supervisor.start_reserved(child, coming).await;
    // Whoever waits gets it.
    desk.refresh(system);
    if let Err(error) = &started {
        tracing::warn!(path = %path, %error, "the pool did not grow");
    }
    started.is_ok()
}
