//! A route for users: to a capability, by a strategy, with limits.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use crate::error::RequestError;
use crate::flow::BreakerRules;
use crate::message::Envelope;
use crate::registry::capability::{Capability, Wire};
use crate::registry::requirement::Requirement;
use crate::registry::selection::Decision;
use crate::runtime::route::builder::AtDeath;
use crate::runtime::route::members::By;
use crate::runtime::route::pick::Known;
use crate::runtime::route::provider::{Provider, typed};
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
/// | only providers between two lives, or ending with another life to follow | the message waits for the next life, at most to its deadline; with `fail_fast` it fails at once |
/// | nobody | it fails at once, and the error counts why; the message is a dead letter |
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
    pub(super) capability: Capability<Request, Reply>,
    pub(super) requirement: Requirement,
    pub(super) settings: Settings<Request>,
    /// Who chooses where nobody of this route is ready.
    pub(super) fallback: Option<Route<Request, Reply>>,
    pub(super) seed: u64,
    pub(super) turn: AtomicU64,
    pub(super) known: RwLock<Arc<Known>>,
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
    pub(super) fn new(
        system: System,
        capability: Capability<Request, Reply>,
        requirement: Requirement,
        settings: Settings<Request>,
        fallback: Option<Self>,
    ) -> Self {
        let label = format!("route {} of {}", system.next_route(), capability.name());
        let seed = system.entropy().stream(&label).next_u64();
        let known = RwLock::new(Arc::new(Known::nobody()));
        let turn = AtomicU64::new(0);
        Self { inner: Arc::new(Inner { system, capability, requirement, settings, fallback, seed, turn, known }) }
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
        self.ask_for(None, Envelope::new(0, request), None).await
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
        self.ask_for(None, Envelope::new(0, request), Some(limit)).await
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
        self.ask_for(Some(key.as_ref()), Envelope::new(0, request), None).await
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
        self.ask_for(Some(key.as_ref()), Envelope::new(0, request), Some(limit)).await
    }

    /// As [`ask`](Self::ask), with what an envelope says. Its deadline is that of the request, less what the route
    /// [keeps](crate::RouteBuilder::keep_for_answer); without one, the request has what the route says.
    ///
    /// An agent that asks for the sake of the message that it handles uses [`Context::ask`](crate::Context::ask), or
    /// [`Context::because`](crate::Context::because) for the envelope: then all that is done for one request ends in its time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::message::{Envelope, Priority};
    /// use steadfast::{Capability, ChildSpec, RequestError, Strategy, SupervisorSpec, System};
    ///
    /// const GREET: Capability<String, String> = Capability::new("text.greet", "1.0.0");
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let greeter = ChildSpec::serve("greeter", GREET, |_, who: String| async move { Ok(format!("hello {who}")) });
    /// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(greeter)).await?;
    /// let route = system.route(&GREET).build()?;
    ///
    /// let now = system.clock().now();
    /// let urgent = Envelope::new(0, "Ann".to_owned()).with_priority(Priority::HIGH);
    /// assert_eq!(route.request(urgent.clone().within(now, Duration::from_secs(1))).await?, "hello Ann");
    /// let late = route.request(urgent.with_deadline(now)).await;
    /// assert!(matches!(late, Err(RequestError::Expired { .. })));
    /// # Ok(system.shutdown().await?)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask); [`RequestError::Expired`] where no time is left, and nothing is sent.
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask).
    pub async fn request(&self, envelope: Envelope<Request>) -> Result<Reply, RequestError> {
        self.ask_for(None, envelope, None).await
    }

    /// As [`request`](Self::request), about something.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask).
    pub async fn request_about(
        &self,
        key: impl AsRef<[u8]>,
        envelope: Envelope<Request>,
    ) -> Result<Reply, RequestError> {
        self.ask_for(Some(key.as_ref()), envelope, None).await
    }

    /// Tells whoever is chosen, and never waits. At most once; the reply is dropped. What is refused is a dead letter
    /// ([`System::dead_letters`]), as is what nobody can be chosen for.
    ///
    /// A breaker lets it through or not, and learns from it only where the mailbox is full: how it ends is not known.
    ///
    /// # Errors
    ///
    /// See [`RequestError`]; [`RequestError::Full`] with a limit of zero where the mailbox has no room.
    pub fn tell(&self, request: Request) -> Result<(), RequestError> {
        self.tell_for(None, Envelope::new(0, request))
    }

    /// As [`tell`](Self::tell), about something.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn tell_about(&self, key: impl AsRef<[u8]>, request: Request) -> Result<(), RequestError> {
        self.tell_for(Some(key.as_ref()), Envelope::new(0, request))
    }

    /// As [`tell`](Self::tell), with what an envelope says.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn send(&self, envelope: Envelope<Request>) -> Result<(), RequestError> {
        self.tell_for(None, envelope)
    }

    /// As [`send`](Self::send), about something.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell).
    pub fn send_about(&self, key: impl AsRef<[u8]>, envelope: Envelope<Request>) -> Result<(), RequestError> {
        self.tell_for(Some(key.as_ref()), envelope)
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

    /// Those who fit and run, or are about to; the most suitable first. Not those of a
    /// [`fallback`](crate::RouteBuilder::fallback).
    #[must_use]
    pub fn providers(&self) -> Vec<Provider<Request, Reply>> {
        let known = self.known();
        let all = known.members.iter().filter_map(|candidate| typed(candidate));
        all.filter(|provider| !provider.is_away()).collect()
    }
}
