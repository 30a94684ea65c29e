//! How a route is described.

use std::fmt;
use std::time::Duration;

use semver::{Version, VersionReq};

use crate::flow::{Breaker, BreakerProblem, BreakerRules, RouteLimits};
use crate::registry::capability::{Capability, Wire};
use crate::registry::name::CapabilityName;
use crate::registry::requirement::Requirement;
use crate::registry::selection::{Select, Selection};
use crate::registry::syntax::SyntaxError;
use crate::runtime::agent_ref::DEFAULT_ASK;
use crate::runtime::route::handle::{Route, Settings};
use crate::runtime::route::members::By;
use crate::runtime::system::System;

/// How often a request of an idempotent route is sent at most, unless [`RouteBuilder::attempts`] says otherwise.
pub const DEFAULT_ATTEMPTS: u32 = 3;

/// What becomes of a message that an agent was sent and had not begun to handle when its life ended.
///
/// What was being handled is never any of these: whether its effects were made is not known, and its asker is told
/// [`Exited`](crate::RequestError::Exited).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AtDeath {
    /// It stays in the agent's mailbox, and the next life handles it, if that comes before the deadline. The order of
    /// what was sent is kept.
    #[default]
    Stay,
    /// It goes to another provider of the route, chosen anew; that may be the same agent's next life, where that is coming and
    /// nobody else is ready. Messages may overtake each other. What nobody takes then is a dead letter, and its asker is
    /// told.
    Elsewhere,
    /// It comes back to who sent it, as an error, and nobody handles it.
    Return,
}

impl fmt::Display for AtDeath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stay => "stay",
            Self::Elsewhere => "elsewhere",
            Self::Return => "return",
        })
    }
}

/// A route that is being described; made by [`System::route`].
///
/// | setting | out of the box |
/// |---|---|
/// | [`requirement`](Self::requirement) | the capability, in a version compatible with the constant's |
/// | [`selection`](Self::selection) | the least loaded |
/// | [`within`](Self::within) | [`DEFAULT_ASK`] |
/// | [`keep_for_answer`](Self::keep_for_answer) | nothing |
/// | [`fallback`](Self::fallback) | none |
/// | [`fail_fast`](Self::fail_fast) | a request waits for a provider between two lives, or at the end of one with another to follow |
/// | [`breaker`](Self::breaker) | none |
/// | [`idempotent`](Self::idempotent) | a request whose handler crashed is not sent again |
/// | [`at_death`](Self::at_death) | [`AtDeath::Stay`] |
#[must_use = "a route is made by `build`"]
pub struct RouteBuilder<Request, Reply> {
    system: System,
    capability: Capability<Request, Reply>,
    requirement: Option<Result<Requirement, SyntaxError>>,
    settings: Settings<Request>,
    fallback: Option<Route<Request, Reply>>,
}

impl<Request: Wire, Reply: Wire> RouteBuilder<Request, Reply> {
    pub(crate) fn new(system: System, capability: Capability<Request, Reply>) -> Self {
        let settings = Settings {
            by: By::of(Selection::default()),
            fail_fast: false,
            breaker: None,
            within: DEFAULT_ASK,
            keep: Duration::ZERO,
            again: None,
            copy: None,
            attempts: DEFAULT_ATTEMPTS,
            at_death: AtDeath::default(),
        };
        let limits = system.limits().route.clone();
        Self { system, capability, requirement: None, settings, fallback: None }.limits(&limits)
    }

    /// Which offers of the capability will do, and which are preferred: the text of a [`Requirement`], such as
    /// `text.summarize@^1.4 lang=en ~gpu`. Its name must be the capability's. A range that is left out is that of the
    /// constant.
    ///
    /// Those that meet the first preference are chosen from as long as anybody of them is ready, then those that meet
    /// the second, and so on.
    pub fn requirement(mut self, text: &str) -> Self {
        self.requirement = Some(text.parse());
        self
    }

    /// As [`requirement`](Self::requirement), for one that is a value.
    pub fn requiring(mut self, requirement: Requirement) -> Self {
        self.requirement = Some(Ok(requirement));
        self
    }

    /// Whom to choose: a [`Selection`], or a [`Select`] of your own.
    pub fn selection(mut self, by: impl Select + 'static) -> Self {
        self.settings.by = By::of(by);
        self
    }

    /// Where nobody of this route is ready, a message goes to whom another route chooses, and so on along the chain; where
    /// nobody is ready in any, to the first who will be with the next life. Of the other route its choice and its breakers
    /// count; all else, [`fail_fast`](Self::fail_fast) included, is as this route says. Its capability may be another one with the same types.
    ///
    /// ```
    /// use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};
    ///
    /// const FAST: Capability<String, String> = Capability::new("text.summarize", "1.0.0");
    /// const PLAIN: Capability<String, String> = Capability::new("text.shorten", "1.0.0");
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let shorten = ChildSpec::serve("shorten", PLAIN, |_, text: String| async move { Ok(text[..4].to_owned()) });
    /// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(shorten)).await?;
    /// let route = system.route(&FAST).fallback(&system.route(&PLAIN).build()?).build()?;
    /// assert_eq!(route.ask("long text".to_owned()).await?, "long");
    /// # Ok(system.shutdown().await?)
    /// # }
    /// ```
    pub fn fallback(mut self, route: &Route<Request, Reply>) -> Self {
        self.fallback = Some(route.clone());
        self
    }

    /// Where only providers between two lives could be chosen, a request fails at once instead of waiting for the next.
    pub fn fail_fast(mut self) -> Self {
        self.settings.fail_fast = true;
        self
    }

    /// Puts a circuit breaker before each provider. One that is open is not chosen. Its breaker belongs to this route
    /// and its clones, and is forgotten when the provider leaves the registry.
    pub fn breaker(mut self, rules: BreakerRules) -> Self {
        self.settings.breaker = Some(rules);
        self
    }

    /// How long an ask may take that does not say.
    pub fn within(mut self, limit: Duration) -> Self {
        self.settings.within = limit;
        self
    }

    /// How much of its time an ask keeps for the asker: a provider has so much less, and is given up so much earlier.
    pub fn keep_for_answer(mut self, kept: Duration) -> Self {
        self.settings.keep = kept;
        self
    }

    /// Takes over limits of a configuration.
    pub fn limits(mut self, limits: &RouteLimits) -> Self {
        self.settings.within = limits.ask_within.unwrap_or(self.settings.within);
        self.settings.keep = limits.keep_for_answer.unwrap_or(self.settings.keep);
        self.settings.breaker = limits.breaker.map(|breaker| breaker.rules()).or(self.settings.breaker);
        self
    }

    /// A request may be handled twice without harm: one whose handler crashed midway is sent again, to whoever is chosen
    /// then, until it is answered, its time is over, or it was sent [`attempts`](Self::attempts) times.
    pub fn idempotent(mut self) -> Self
    where
        Request: Clone,
    {
        self.settings.again = Some(Request::clone);
        self
    }

    /// How often a request of an idempotent route is sent at most; [`DEFAULT_ATTEMPTS`] when not set.
    pub fn attempts(mut self, most: u32) -> Self {
        self.settings.attempts = most;
        self
    }

    /// What becomes of a message whose agent ends, or begins to drain, before it handles it.
    ///
    /// | fate | what was asked | what was told |
    /// |---|---|---|
    /// | [`Stay`](AtDeath::Stay) | waits for the next life, at most to its deadline | waits for the next life |
    /// | [`Elsewhere`](AtDeath::Elsewhere) | is routed anew with the time that is left; a dead letter where nobody takes it | likewise |
    /// | [`Return`](AtDeath::Return) | fails with [`Returned`](crate::RequestError::Returned) | is a dead letter |
    pub fn at_death(mut self, fate: AtDeath) -> Self
    where
        Request: Clone,
    {
        self.settings.at_death = fate;
        self.settings.copy = (fate == AtDeath::Elsewhere).then_some(Request::clone);
        self
    }

    /// Makes the route.
    ///
    /// # Errors
    ///
    /// [`RouteError`] when a setting makes no sense. That nobody offers the capability is no error: somebody may later.
    pub fn build(self) -> Result<Route<Request, Reply>, RouteError> {
        let requirement = self.checked_requirement()?;
        let Settings { breaker, within, keep, again, attempts, .. } = &self.settings;
        if let Some(rules) = breaker {
            // Made to be checked.
            Breaker::new(*rules, 0)?;
        }
        if keep >= within {
            return Err(RouteError::NoTime { within: *within, kept: *keep });
        }
        if again.is_some() && *attempts == 0 {
            return Err(RouteError::NoAttempts);
        }
        Ok(Route::new(self.system, self.capability, requirement, self.settings, self.fallback))
    }

    fn checked_requirement(&self) -> Result<Requirement, RouteError> {
        let name = CapabilityName::new(self.capability.name()).map_err(RouteError::Name)?;
        let version: Version = self
            .capability
            .version()
            .parse()
            .map_err(|_| RouteError::Version { version: self.capability.version().to_owned() })?;
        let own = Requirement::compatible(name.clone(), &version);
        let Some(given) = &self.requirement else { return Ok(own) };
        let given = given.clone().map_err(RouteError::Requirement)?;
        if given.pattern().exact().as_ref() != Some(&name) {
            return Err(RouteError::OtherCapability { capability: name.to_string(), requirement: given.to_string() });
        }
        let names_a_range = *given.range() != VersionReq::STAR;
        Ok(if names_a_range { given } else { given.version(own.range().clone()) })
    }
}

impl<Request, Reply> fmt::Debug for RouteBuilder<Request, Reply> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteBuilder({})", self.capability)
    }
}

/// A route cannot be made as it is described.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The capability's name is not one.
    #[error("the name of the capability: {0}")]
    Name(SyntaxError),
    /// The capability's version is not a semantic version.
    #[error("the version of the capability is `{version}`, which is not of the form 1.2.3")]
    Version {
        /// The text that was given.
        version: String,
    },
    /// The requirement is not one.
    #[error("the requirement of the route: {0}")]
    Requirement(SyntaxError),
    /// The requirement is about something else.
    #[error("the route is to `{capability}`, and `{requirement}` means something else; begin it with that name")]
    OtherCapability {
        /// The capability's name.
        capability: String,
        /// The requirement.
        requirement: String,
    },
    /// The breaker cannot be meant.
    #[error(transparent)]
    Breaker(#[from] BreakerProblem),
    /// Nothing of the time is left for a provider.
    #[error("an ask has {within:?}, of which {kept:?} are kept for the answer; give it more, or keep less")]
    NoTime {
        /// How long an ask may take.
        within: Duration,
        /// How much of it is kept.
        kept: Duration,
    },
    /// A request would never be sent.
    #[error("the route sends a request at most 0 times; give it at least one attempt")]
    NoAttempts,
}
