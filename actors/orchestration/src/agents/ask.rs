//! Asking until there is an answer.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use steadfast::registry::capability::Wire;
use steadfast::{Agent, Capability, Context, RequestError, System};

/// How long one try may take. Longer than a hung agent is left alone, and it needs to come back.
pub(crate) const TRY: Duration = Duration::from_secs(1);

/// How long a question may take. An agent that dies or hangs with it is told of at once, so that this only ends what
/// works on without end.
const QUESTION: Duration = Duration::from_mins(1);

/// How long to wait before the next try, where the last one ended at once.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// How often a handler that waits says so; well within the deadline of any handler.
const BEAT: Duration = Duration::from_millis(50);

/// How many agents may die or hang with one question, or not get to its end: as many as with one task.
const CRASHES: u32 = 16;

/// Every agent that was asked this question died or hung with it, or did not get to its end.
#[derive(Clone, Debug)]
pub struct Unanswered {
    /// Why, for people.
    pub why: String,
}

/// Asks any provider of a capability, again and again until there is an answer.
///
/// For questions that may be asked twice. Whoever is asked may die; when nobody is left who could answer, its supervisor
/// has given up, and the caller ends with the tree.
///
/// # Errors
///
/// [`Unanswered`] when the question has cost 16 agents: it must end, however high the limits of their supervisor.
pub(crate) async fn ask_any<Q: Wire + Clone, R: Wire>(
    system: &System,
    capability: &Capability<Q, R>,
    request: Q,
) -> Result<R, Unanswered> {
    let mut crashes = 0;
    loop {
        let error = match system.ask_within(capability, request.clone(), QUESTION).await {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        // One that takes too long would take as long the next time.
        if matches!(error, RequestError::Exited { .. } | RequestError::Timeout { .. }) {
            crashes += 1;
            if crashes == CRASHES {
                let why =
                    format!("poison: {CRASHES} agents died or hung when asked for `{capability}`, the last: {error}");
                return Err(Unanswered { why });
            }
        }
        again(capability.name(), &error).await;
    }
}

/// Waits for something that has a limit of its own: that it takes its time does not make the waiting handler a hung one.
///
/// What the handler computed before counts for nothing either, since its deadline begins anew with the wait.
pub(crate) async fn wait_for<A: Agent, F: Future>(ctx: &Context<A>, work: F) -> F::Output {
    let mut work = pin!(work);
    loop {
        ctx.progress();
        tokio::select! {
            biased;
            outcome = &mut work => return outcome,
            () = tokio::time::sleep(BEAT) => {}
        }
    }
}

/// Tells of a try that failed, and waits for the next one.
pub(crate) fn again(what: &str, error: &RequestError) -> impl Future<Output = ()> + use<> {
    tracing::debug!(what, %error, "asking again");
    // An agent that died is waited for in its slot, so there is no need to wait here.
    let pause = if matches!(error, RequestError::Exited { .. }) { Duration::ZERO } else { PAUSE };
    tokio::time::sleep(pause)
}
