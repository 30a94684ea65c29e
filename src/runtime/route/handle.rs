//! A route for users: to a capability, by a strategy, with limits.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use crate::error::RequestError;
use crate::flow::{BreakerRules, Budget, Hop, Moment};
use crate::registry::capability::Wire;
use crate::registry::requirement::Requirement;
use crate::registry::selection::Decision;
use crate::runtime::route::builder::AtDeath;
use crate::runtime::route::members::By;
use crate::runtime::route::pick::{Chosen, Known};
use crate::runtime::route::provider::{Provider, typed};
use crate::runtime::slot::Router;
use crate::runtime::system::System;

/// What a route goes by.
pub(super) struct Settings<Request> {
    pub(super) by: By,
    pub(super) fail_fast: bool,
    pub(super) breaker: Option<BreakerRules>,
    pub(super) within: Duration,
    pub(super) keep: Duration,
    /// Makes the request once more, where it may be handled again.
    pub(super) again: Option<fn(&Request) -> Request>,
    /// The same, where it may go elsewhere.
    pub(super) copy: Option<fn(&Request) -> Request>,
    pub(super) attempts: u32,
    pub(super) at_death: AtDeath,
}

/// A way to whoever offers a capability, chosen anew for each message. Cheap to clone; all clones are the same route,
/// with the same turns and the same breakers.
///
/// | who could be chosen | what happens |
/// |---|---|
/// | somebody ready | the strategy chooses among those |
/// | only providers between two lives | the message waits for the next life, at most to its deadline; with `fail_fast` it fails at once |
/// | nobody | it fails at once, and the error counts why |
///
/// ```
/// use steadfast::registry::selection::{Selection, Stickiness};
/// use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};
///
/// const GREET: Capability<String, String> = Capability::new("text.greet", "1.0.0");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let greeter = |name: &str| {
///     ChildSpec::serve(name, GREET, |ctx, who: String| async move { Ok(format!("{who}, {} greets you", ctx.path().name())) })
/// };
/// let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(greeter("a")).child(greeter("b"));
/// let system = System::start(spec).await?;
///
/// let route = system.route(&GREET).selection(Selection::Sticky(Stickiness::Moves)).build()?;
/// let first = route.ask_about(b"customer-42", "Ann".to_owned()).await?;
/// assert_eq!(route.ask_about(b"customer-42", "Ann".to_owned()).await?, first);
/// println!("{}", route.choose_about(b"customer-42")?); // root/b: the key belongs to it; considered: ...
/// # Ok(system.shutdown().await?)
/// # }
/// ```
pub struct Route<Request, Reply> {
    pub(super) inner: Arc<Inner<Request, Reply>>,
}

pub(super) struct Inner<Request, Reply> {
    pub(super) system: System,
    pub(super) requirement: Requirement,
    pub(super) name: String,
    pub(super) settings: Settings<Request>,
    pub(super) seed: u64,
    pub(super) turn: AtomicU64,
    pub(super) known: RwLock<Arc<Known>>,
    pub(super) types: PhantomData<fn(Request) -> Reply>,
}

impl<Request, Reply> Clone for Route<Request, Reply> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<Request, Reply> fmt::Debug for Route<Request, Reply> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({}, {:?})", self.inner.requirement, self.inner.settings.by)
    }
}

impl<Request, Reply> Route<Request, Reply> {
    /// What it asks for.
    #[must_use]
    pub fn requirement(&self) -> &Requirement {
        &self.inner.requirement
    }

    /// What becomes of a message whose agent ends before it handles it.
    #[must_use]
    pub fn at_death(&self) -> AtDeath {
        self.inner.settings.at_death
    }
}

impl<Request: Wire, Reply: Wire> Route<Request, Reply> {
    pub(super) fn new(system: System, requirement: Requirement, settings: Settings<Request>) -> Self {
        let name = requirement.pattern().to_string();
        let label = format!("route {} of {name}", system.next_route());
        let seed = system.entropy().stream(&label).next_u64();
        let known = RwLock::new(Arc::new(Known::nobody()));
        let turn = AtomicU64::new(0);
        Self { inner: Arc::new(Inner { system, requirement, name, settings, seed, turn, known, types: PhantomData }) }
    }

    /// Asks whoever is chosen, and waits for the reply at most as long as the route says.
    ///
    /// # Errors
    ///
    /// See [`RequestError`]. [`RequestError::NoKey`] where the route goes by a key.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the request may or may not be handled. A breaker learns nothing from it.
    pub async fn ask(&self, request: Request) -> Result<Reply, RequestError> {
        self.ask_for(None, request, self.inner.settings.within).await
    }

    /// As [`ask`](Self::ask), with a deadline of its own.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask).
    pub async fn ask_within(&self, request: Request, limit: Duration) -> Result<Reply, RequestError> {
        self.ask_for(None, request, limit).await
    }

    /// As [`ask`](Self::ask), about something: on a sticky route all that is about the same key goes to the same
    /// provider.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask).
    pub async fn ask_about(&self, key: impl AsRef<[u8]>, request: Request) -> Result<Reply, RequestError> {
        self.ask_for(Some(key.as_ref()), request, self.inner.settings.within).await
    }

    /// As [`ask_about`](Self::ask_about), with a deadline of its own.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask).
    pub async fn ask_about_within(
        &self,
        key: impl AsRef<[u8]>,
        request: Request,
        limit: Duration,
    ) -> Result<Reply, RequestError> {
        self.ask_for(Some(key.as_ref()), request, limit).await
    }

    /// Tells whoever is chosen, and never waits. At most once; the reply is dropped.
    ///
    /// A breaker lets it through or not, and learns from it only where the mailbox is full: how it ends is not known.
    ///
    /// # Errors
    ///
    /// See [`RequestError`]; [`RequestError::Full`] with a limit of zero where the mailbox has no room.
    pub fn tell(&self, request: Request) -> Result<(), RequestError> {
        self.tell_for(None, request)
    }

    /// As [`tell`](Self::tell), about something.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn tell_about(&self, key: impl AsRef<[u8]>, request: Request) -> Result<(), RequestError> {
        self.tell_for(Some(key.as_ref()), request)
    }

    /// Whom the next message would go to as things stand, why, and among whom. Nothing is sent, and no turn is used up.
    ///
    /// # Errors
    ///
    /// [`RequestError::NoProvider`] and its kin, as a message would get them.
    pub fn choose(&self) -> Result<Decision, RequestError> {
        self.decide(None)
    }

    /// As [`choose`](Self::choose), for a message about something.
    ///
    /// # Errors
    ///
    /// As [`choose`](Self::choose).
    pub fn choose_about(&self, key: impl AsRef<[u8]>) -> Result<Decision, RequestError> {
        self.decide(Some(key.as_ref()))
    }

    /// Those who fit and run, or are about to; the most suitable first.
    #[must_use]
    pub fn providers(&self) -> Vec<Provider<Request, Reply>> {
        let known = self.known();
        let all = known.members.iter().filter_map(|candidate| typed(candidate));
        all.filter(|provider| !provider.is_away()).collect()
    }

    async fn ask_for(&self, key: Option<&[u8]>, request: Request, limit: Duration) -> Result<Reply, RequestError> {
        let Settings { again, copy, attempts, keep, at_death, .. } = &self.inner.settings;
        let budget = Budget::new(self.now(), limit);
        let (mut request, mut attempt) = (request, 1);
        // What became of the attempts before: a handler of one crashed; the last one came back.
        let (mut crashed, mut returned) = (None, None);
        loop {
            let Chosen { provider, call } = match self.chosen(key) {
                Ok(chosen) => chosen,
                Err(error) => return Err(crashed.unwrap_or(error)),
            };
            let left = budget.for_hop(self.now(), Hop::Minus(*keep)).and_then(|hop| hop.left(self.now()));
            let Ok(left) = left else {
                // It is not sent, so nobody needs to wonder whether it was handled.
                let late = || RequestError::Expired { path: provider.path().clone() };
                return Err(crashed.or(returned).unwrap_or_else(late));
            };
            let again = again.filter(|_| attempt < *attempts);
            let spare = again.or(*copy).map(|copy| copy(&request));
            let outcome = send_by(&self.inner.system, &provider, request, left, *at_death).await;
            if let Some(call) = call {
                call.ended(&outcome);
            }
            match (outcome, spare) {
                (Err(error @ RequestError::Exited { .. }), Some(spare)) if again.is_some() => {
                    (request, crashed) = (spare, Some(error));
                    attempt += 1;
                }
                // No handler of it began, so this is not one more attempt.
                (Err(error), Some(spare)) if *at_death == AtDeath::Elsewhere && may_go_elsewhere(&error) => {
                    (request, returned) = (spare, Some(error));
                }
                // This attempt was not handled, but one before it was begun.
                (Err(error), _) if was_not_begun(&error) => return Err(crashed.unwrap_or(error)),
                (outcome, _) => return outcome,
            }
        }
    }

    fn tell_for(&self, key: Option<&[u8]>, request: Request) -> Result<(), RequestError> {
        let Chosen { provider, call } = self.chosen(key)?;
        let router = self.router(key, &request);
        let outcome = provider.way.tell(&provider.slot, request, router);
        if let Some(call) = call
            && outcome.is_err()
        {
            call.ended(&outcome);
        }
        outcome
    }

    /// What becomes of a message that was told, when its receiver dies before its turn.
    fn router(&self, key: Option<&[u8]>, request: &Request) -> Option<Router> {
        let Settings { copy, at_death, .. } = &self.inner.settings;
        match (at_death, copy) {
            (AtDeath::Stay, _) => None,
            (AtDeath::Elsewhere, Some(copy)) => {
                let (route, key, request) = (self.clone(), key.map(<[u8]>::to_vec), copy(request));
                Some(Box::new(move || route.tell_for(key.as_deref(), request).is_ok()))
            }
            // Nobody waits for it to come back.
            _ => Some(Box::new(|| false)),
        }
    }

    fn now(&self) -> Moment {
        self.inner.system.moment()
    }
}

/// Whether a request came to somebody who is not there to handle it.
fn may_go_elsewhere(error: &RequestError) -> bool {
    matches!(error, RequestError::Returned { .. } | RequestError::Gone { .. } | RequestError::Draining { .. })
}

/// Whether no handler of a request began, nor will.
fn was_not_begun(error: &RequestError) -> bool {
    may_go_elsewhere(error)
        || matches!(
            error,
            RequestError::Full { .. }
                | RequestError::Expired { .. }
                | RequestError::Shed { .. }
                | RequestError::RateLimited { .. }
                | RequestError::Saturated { .. }
                | RequestError::Fenced { .. }
        )
}

/// The one place where an ask goes to the slot that was chosen.
pub(super) async fn send_by<Request: Wire, Reply: Wire>(
    system: &System,
    provider: &Provider<Request, Reply>,
    request: Request,
    limit: Duration,
    at_death: AtDeath,
) -> Result<Reply, RequestError> {
    let began = system.moment();
    let outcome = provider.way.ask(&provider.slot, request, limit, at_death == AtDeath::Stay).await;
    if outcome.is_ok() {
        let now = system.moment();
        provider.slot.core().gauge().answered(now, now.saturating_sub(began));
    }
    outcome
}
