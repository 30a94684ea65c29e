//! A thread that is blocked on purpose, simulated: what befalls whoever really blocks one befalls this life too, and nobody
//! else has to wait.
//!
//! # Invariants
//!
//! * While it is blocked, the shell does not go on, no deadline of its own ends it, and no kill: that takes effect when the
//!   block is over, as it would at the next await point.
//! * The life is not gone before the block is over, whatever became of its actor.
//! * What the watchdog would say of a thread that is really blocked is said at the same limit. The watchdog itself looks at real
//!   time, and sees nothing of this.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::runtime::life::Life;
use crate::runtime::system::System;
use crate::runtime::tasks::Tasks;

/// Blocks a life for so long, `None` for ever.
pub(super) async fn block(system: &System, life: &Arc<Life>, time: Option<Duration>) {
    life.block();
    // Of the life, which is not gone before this is dropped. And not in the shell, whose future ractor may drop: it kills
    // the children of whoever ends.
    let (stay, over) = oneshot::channel::<()>();
    let stay = Tasks::house(life, stay);
    let noticed = system.watch().looks().then(|| life.handler_limit()).flatten();
    let blocked = Arc::clone(life);
    tokio::spawn(async move {
        let mut ends = Box::pin(async {
            match time {
                Some(time) => tokio::time::sleep(time).await,
                None => pending().await,
            }
        });
        if let Some(limit) = noticed
            && timeout(limit, &mut ends).await.is_err()
        {
            blocked.tell_hung("its code", limit);
        }
        ends.await;
        blocked.unblock();
        drop(stay);
    });
    let _ = over.await;
    if life.is_killed() {
        // It is on its way.
        pending::<()>().await;
    }
}
