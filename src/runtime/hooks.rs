//! Runs the hooks of an agent around a change of its state.

use std::sync::Arc;
use std::time::Duration;

use crate::exit::BoxError;
use crate::lifecycle::hook::{Change, HookFailure, Hooks, Refused, Step};
use crate::runtime::guard::run_caught;
use crate::runtime::serve::ServeContext;
use crate::seam::BoxFuture;

/// What a hook runs.
pub(crate) type Action = Arc<dyn Fn(ServeContext, Change) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

/// How long a hook may take where its agent has no handler deadline. Its agent does nothing else meanwhile.
pub(crate) const HOOK_LIMIT: Duration = Duration::from_secs(5);

/// With what the hooks of an agent run.
pub(crate) struct Around<'a> {
    pub(crate) hooks: &'a Hooks<Action>,
    pub(crate) ctx: &'a ServeContext,
    pub(crate) limit: Duration,
}

/// What came of a change with hooks: those that failed and changed nothing by it.
pub(crate) type Passed = Vec<HookFailure>;

/// Runs the hooks before a change, makes it, and runs those after it.
pub(crate) async fn pass(around: Around<'_>, change: Change, make: impl FnOnce()) -> Result<Passed, Refused> {
    let Around { hooks, ctx, limit } = around;
    let Ok(mut passage) = hooks.begin(change) else {
        // The shell makes legal changes only; should it not, the slot says so.
        make();
        return Ok(Vec::new());
    };
    let mut make = Some(make);
    loop {
        match passage.step() {
            Step::Run(hook) => {
                if let Err(why) = run(hook.action(), ctx, change, limit).await {
                    passage = passage.failed(hook, why)?;
                }
            }
            Step::Change => {
                if let Some(make) = make.take() {
                    make();
                }
            }
            Step::Over => return Ok(passage.finish().failures),
        }
    }
}

async fn run(action: &Action, ctx: &ServeContext, change: Change, limit: Duration) -> Result<(), String> {
    // Called inside, so that a panic before its first await is caught too.
    let code = run_caught(async { action(ctx.clone(), change).await });
    match tokio::time::timeout(limit, code).await {
        Ok(Ok(outcome)) => outcome.map_err(|error| error.to_string()),
        Ok(Err(panicked)) => Err(panicked.to_string()),
        Err(_) => Err(format!("it did not return within {limit:?}")),
    }
}
