//! A thread that is blocked on purpose, simulated: what befalls whoever really blocks one befalls this life too, and nobody
//! else has to wait.
//!
//! # Invariants
//!
//! * While it is blocked, the shell does not go on, no deadline of its own ends it, and no kill: that takes effect when the
//!   block is over, as it would at the next await point.
//! * The life is not gone before the block is over, whatever became of its actor.
//! * A block ends with its node: a process that is gone blocks no thread.
//! * What the watchdog would say of a thread that is really blocked is said at the same limit. The watchdog itself looks at real
//!   time, and sees nothing of this.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::runtime::guard::lock;
use crate::runtime::life::Life;
use crate::runtime::system::System;
use crate::runtime::tasks::{Resident, Tasks};

/// The blocks of a system that are not over.
#[derive(Default)]
pub(crate) struct Blocks(Mutex<Vec<AbortHandle>>);

impl Blocks {
    fn note(&self, block: AbortHandle) {
        let mut blocks = lock(&self.0);
        blocks.retain(|block| !block.is_finished());
        blocks.push(block);
    }

    /// Ends all of them.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn end(&self) {
        for block in lock(&self.0).drain(..) {
            block.abort();
        }
    }
}

/// A block, until it is dropped: then the life is free, however that came.
struct Block {
    life: Arc<Life>,
    /// Of the life, which is not gone before this is dropped.
    _stay: Resident<oneshot::Sender<()>>,
}

impl Drop for Block {
    fn drop(&mut self) {
        self.life.unblock();
    }
}

/// Blocks a life for so long, `None` for ever.
pub(super) async fn block(system: &System, life: &Arc<Life>, time: Option<Duration>) {
    life.block();
    // Of the life, which is not gone before this is dropped. And not in the shell, whose future ractor may drop: it kills
    // the children of whoever ends.
    let (stay, over) = oneshot::channel::<()>();
    let block = Block { life: Arc::clone(life), _stay: Tasks::house(life, stay) };
    // A world has no watchdog, whose thread would go by real time; what it would notice is noticed all the same.
    let looks = system.watch().looks() || system.bus().tap().is_some();
    let noticed = looks.then(|| life.handler_limit()).flatten();
    let task = tokio::spawn(async move {
        let mut ends = Box::pin(async {
            match time {
                Some(time) => tokio::time::sleep(time).await,
                None => pending().await,
            }
        });
        if let Some(limit) = noticed
            && timeout(limit, &mut ends).await.is_err()
        {
            block.life.tell_hung("its code", limit);
        }
        ends.await;
        drop(block);
    });
    system.blocks().note(task.abort_handle());
    let _ = over.await;
    if life.is_killed() {
        // It is on its way.
        pending::<()>().await;
    }
}
