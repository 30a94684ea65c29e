//! Whom a route chooses, among those it knows of.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLockReadGuard};

use crate::error::RequestError;
use crate::flow::Breaker;
use crate::id::{Incarnation, Path};
use crate::registry::capability::Wire;
use crate::registry::index::{Candidates, Judged, Mark};
use crate::registry::record::{OfferRecord, WireTypes};
use crate::registry::selection::{Decision, Draw, Eligible, NoChoice, Tally, identity};
use crate::registry::suitability::{Fit, Suitability};
use crate::runtime::current;
use crate::runtime::route::fuse::{Call, Fuse};
use crate::runtime::route::handle::{Inner, Route};
use crate::runtime::route::members::{By, Found, Members, Now};
use crate::runtime::route::part::{Listed, Make, Part, parts};
use crate::runtime::route::provider::{Provider, only_strangers, typed};
use crate::runtime::route::reach::Reached;
use crate::seam::Rng;

/// Those who fit, as of one list of the index.
pub(super) struct Known {
    list: Candidates<Reached>,
    /// Whether that is the list still; `None` where nobody offers anything.
    mark: Option<Mark>,
    pub(super) members: Members,
}

impl Known {
    pub(super) fn nobody() -> Self {
        Self { list: Candidates::default(), mark: None, members: Members::none() }
    }

    #[inline]
    fn is_current(&self) -> bool {
        self.mark.as_ref().is_some_and(Mark::is_current)
    }
}

/// Who was chosen by [`Route::pick`].
///
/// It costs much less than a [`Provider`], and is meant to be held shortly: it keeps the slots of some hundred others in
/// memory too.
///
/// ```
/// use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};
///
/// const GREET: Capability<String, String> = Capability::new("text.greet", "1.0.0");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let greeter = ChildSpec::serve("greeter", GREET, |_, who: String| async move { Ok(format!("hello {who}")) });
/// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(greeter)).await?;
/// let picked = system.route(&GREET).build()?.pick()?;
/// assert_eq!((picked.path().as_str(), picked.load()), ("root/greeter", 0));
/// assert_eq!(picked.provider().path(), picked.path());
/// # Ok(system.shutdown().await?)
/// # }
/// ```
pub struct Picked<Request, Reply> {
    part: Arc<Part>,
    place: usize,
    eligible: Eligible,
    types: PhantomData<fn(Request) -> Reply>,
}

impl<Request, Reply> Picked<Request, Reply> {
    fn listed(&self) -> &Listed {
        &self.part.members()[self.place]
    }

    /// Where it stands in the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.listed().path
    }

    /// The life that is open, or `None` between two lives.
    #[must_use]
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.listed().provider.slot.core().incarnation()
    }

    /// How much it has to do: messages that wait or are being handled, and tasks that run.
    #[must_use]
    pub fn load(&self) -> usize {
        let gauge = self.part.gauge(self.place);
        gauge.queued() + gauge.tasks()
    }
}

impl<Request: Wire, Reply: Wire> Picked<Request, Reply> {
    /// The same, to be kept, and to be asked.
    ///
    /// # Panics
    ///
    /// Never: who has other types is no member of the route.
    #[must_use]
    pub fn provider(&self) -> Provider<Request, Reply> {
        typed(self.listed()).expect("the types of a member were compared")
    }
}

impl<Request, Reply> fmt::Debug for Picked<Request, Reply> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picked({})", self.path())
    }
}

impl<Request: Wire, Reply: Wire> Chosen<Request, Reply> {
    fn of(picked: &Picked<Request, Reply>, call: Option<Call>) -> Self {
        Self { provider: picked.provider(), call, eligible: picked.eligible }
    }
}

/// Who was chosen for one message.
pub(super) struct Chosen<Request, Reply> {
    pub(super) provider: Provider<Request, Reply>,
    pub(super) call: Option<Call>,
    pub(super) eligible: Eligible,
}

impl<Request: Wire, Reply: Wire> Route<Request, Reply> {
    /// Chooses as for a message, and sends none: a turn is used up, and whoever follows decisions hears of it. A provider
    /// whose breaker is open is not chosen, but a breaker that is half open is not asked for a probe.
    ///
    /// The choice is of this moment. To send, prefer [`ask`](Self::ask) and [`tell`](Self::tell), which choose anew for
    /// each message.
    ///
    /// ```
    /// use steadfast::registry::selection::Selection;
    /// use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};
    ///
    /// const GREET: Capability<String, String> = Capability::new("text.greet", "1.0.0");
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let greeter = |name: &str| ChildSpec::serve(name, GREET, |_, who: String| async move { Ok(format!("hello {who}")) });
    /// let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(greeter("a")).child(greeter("b"));
    /// let system = System::start(spec).await?;
    ///
    /// let route = system.route(&GREET).selection(Selection::RoundRobin).build()?;
    /// assert_eq!(route.pick()?.path().as_str(), "root/a");
    /// assert_eq!(route.pick()?.path().as_str(), "root/b");
    /// # Ok(system.shutdown().await?)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RequestError::NoProvider`] and its kin, as a message would get them.
    pub fn pick(&self) -> Result<Picked<Request, Reply>, RequestError> {
        self.pick_for(None)
    }

    /// As [`pick`](Self::pick), for a message about something.
    ///
    /// ```
    /// use steadfast::registry::selection::{Selection, Stickiness};
    /// use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};
    ///
    /// const GREET: Capability<String, String> = Capability::new("text.greet", "1.0.0");
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let greeter = |name: &str| ChildSpec::serve(name, GREET, |_, who: String| async move { Ok(format!("hello {who}")) });
    /// let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(greeter("a")).child(greeter("b"));
    /// let system = System::start(spec).await?;
    ///
    /// let route = system.route(&GREET).selection(Selection::Sticky(Stickiness::Moves)).build()?;
    /// assert_eq!(route.pick_about(b"customer-42")?.path(), route.pick_about(b"customer-42")?.path());
    /// # Ok(system.shutdown().await?)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`pick`](Self::pick).
    pub fn pick_about(&self, key: impl AsRef<[u8]>) -> Result<Picked<Request, Reply>, RequestError> {
        self.pick_for(Some(key.as_ref()))
    }

    fn pick_for(&self, key: Option<&[u8]>) -> Result<Picked<Request, Reply>, RequestError> {
        self.station(key).picked(key, self.inner.settings.fail_fast)
    }

    /// The route of the chain that chooses: the first in which somebody is ready, or else the first in which somebody will
    /// be. Only that one takes a turn, asks a breaker, and is told of.
    fn station(&self, key: Option<&[u8]>) -> &Self {
        if self.inner.fallback.is_none() {
            return self;
        }
        let (mut route, mut later) = (self, None);
        while let Some(next) = &route.inner.fallback {
            match route.decide_here(key, false) {
                Ok(decision) if decision.eligible == Eligible::Now => return route,
                Ok(_) => later = later.or(Some(route)),
                Err(_) => {}
            }
            route = next;
        }
        match later {
            // The last one, only if it is better than to wait.
            Some(later) if !route.decide_here(key, false).is_ok_and(|last| last.eligible == Eligible::Now) => later,
            None if route.decide_here(key, false).is_err() => self,
            _ => route,
        }
    }

    pub(super) fn decide(&self, key: Option<&[u8]>) -> Result<Decision, RequestError> {
        self.station(key).decide_here(key, self.inner.settings.fail_fast)
    }

    /// `hasty`: somebody who comes back with the next life is nobody.
    fn decide_here(&self, key: Option<&[u8]>, hasty: bool) -> Result<Decision, RequestError> {
        let (known, now) = (self.known(), Now::of(&self.inner.system));
        let found = self.find(&known, (key, hasty), self.inner.turn.load(Ordering::Relaxed), &now)?;
        Ok(known.members.decision(&found, &now))
    }

    fn picked(&self, key: Option<&[u8]>, hasty: bool) -> Result<Picked<Request, Reply>, RequestError> {
        let Inner { system, settings, .. } = &*self.inner;
        let now = Now::of(system);
        let Some(turn) = self.take_turn() else {
            let known = self.known();
            return self.find(&known, (key, hasty), 0, &now).map(|found| lend(&known.members, &found));
        };
        // Under the lock where the strategy is ours: counting a reference costs as much as the lock.
        if matches!(settings.by, By::Known(_)) && !system.bus().hears_decisions() {
            let known = self.current();
            let found = self.find(&known, (key, hasty), turn, &now)?;
            return Ok(lend(&known.members, &found));
        }
        let known = self.known();
        let found = self.find(&known, (key, hasty), turn, &now)?;
        system.announce(|| known.members.decision(&found, &now));
        Ok(lend(&known.members, &found))
    }

    /// `None` for the code of a life that was given up: what it chooses leaves no trace, and takes nobody's turn.
    fn take_turn(&self) -> Option<u64> {
        current::fenced().is_none().then(|| self.inner.turn.fetch_add(1, Ordering::Relaxed))
    }

    /// Chooses for one message, along the chain, and takes the right to make the call from the breaker.
    pub(super) fn chosen(&self, key: Option<&[u8]>) -> Result<Chosen<Request, Reply>, RequestError> {
        self.station(key).chosen_here(key, self.inner.settings.fail_fast)
    }

    fn chosen_here(&self, key: Option<&[u8]>, hasty: bool) -> Result<Chosen<Request, Reply>, RequestError> {
        let Inner { system, settings, .. } = &*self.inner;
        let turn = settings.breaker.is_some().then(|| self.take_turn()).flatten();
        let Some(turn) = turn else {
            return self.picked(key, hasty).map(|picked| Chosen::of(&picked, None));
        };
        let known = self.known();
        // A strategy that goes by what it sees is done much sooner: a breaker that refused is seen as open.
        for _ in 0..=known.members.len() {
            let now = Now::of(system);
            let found = self.find(&known, (key, hasty), turn, &now)?;
            let (part, place) = known.members.at(&found);
            // Refused where another took the last probe in between.
            let call = part.fuse(place).map(|fuse| fuse.admit(system)).transpose();
            let Ok(call) = call else { continue };
            system.announce(|| known.members.decision(&found, &now));
            let picked: Picked<Request, Reply> = lend(&known.members, &found);
            return Ok(Chosen::of(&picked, call));
        }
        Err(self.nobody(&known, known.members.tally(&Now::of(system))))
    }

    fn find(
        &self,
        known: &Known,
        (key, hasty): (Option<&[u8]>, bool),
        turn: u64,
        now: &Now<'_>,
    ) -> Result<Found, RequestError> {
        let Inner { settings, seed, .. } = &*self.inner;
        // One stream of numbers for the route, entered at the turn, so that asking for a decision changes nothing.
        let random = Rng::new(seed ^ turn).next_u64();
        let draw = Draw::new(random, turn);
        let draw = key.map_or(draw, |key| draw.key(key));
        match known.members.choose(&settings.by, &draw, now) {
            Ok(found) if hasty && found.choice.eligible() == Eligible::WhenBack => {
                Err(self.nobody(known, known.members.tally(now)))
            }
            Ok(found) => Ok(found),
            Err(NoChoice::NoKey) => Err(RequestError::NoKey { capability: self.inner.capability.name().to_owned() }),
            Err(NoChoice::Nobody(tally)) => Err(self.nobody(known, tally)),
        }
    }

    fn nobody(&self, known: &Known, tally: Tally) -> RequestError {
        let Inner { requirement, capability, .. } = &*self.inner;
        let types = WireTypes::of::<Request, Reply>();
        if known.members.is_empty()
            && let Some(path) = only_strangers(&known.list, types)
        {
            return RequestError::WrongType { capability: capability.name().to_owned(), path };
        }
        let offers = known.list.iter().map(|candidate| &*candidate.offer).filter(|offer| offer.types == types);
        let written = |offer: &OfferRecord| format!("{} {}", offer.version, offer.attributes).trim_end().to_owned();
        let mut offered: Vec<_> = offers.map(written).collect();
        offered.sort_unstable();
        offered.dedup();
        let needed = requirement.needed().iter().map(|predicate| format!(" {predicate}"));
        let version = needed.fold(requirement.range().to_string(), |text, predicate| text + &predicate);
        RequestError::NoProvider { capability: capability.name().to_owned(), version, offered, tally }
    }

    /// Those who fit, as the index stands.
    pub(super) fn known(&self) -> Arc<Known> {
        Arc::clone(&*self.current())
    }

    /// The same, under the lock.
    fn current(&self) -> RwLockReadGuard<'_, Arc<Known>> {
        let read = || self.inner.known.read().unwrap_or_else(PoisonError::into_inner);
        let known = read();
        if known.is_current() {
            return known;
        }
        drop(known);
        self.renew();
        read()
    }

    /// Made under the lock, so that nobody makes a second breaker for a provider. None of it is code of a user.
    #[cold]
    fn renew(&self) {
        let Inner { system, capability, known, .. } = &*self.inner;
        // Dropped after the lock: it may be the last that holds a slot, with what waits there.
        let _before;
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        if known.is_current() {
            return;
        }
        let (list, mark) =
            system.index().marked(capability.name()).map(|(list, mark)| (list, Some(mark))).unwrap_or_default();
        if mark.is_none() && known.mark.is_none() {
            return;
        }
        let members = self.members(&list, &known.members);
        _before = mem::replace(&mut *known, Arc::new(Known { list, mark, members }));
    }

    fn members(&self, list: &Candidates<Reached>, before: &Members) -> Members {
        // In the order of the list their breakers are met on the way; else they are looked for.
        let of_list = before.is_of_list();
        let making = Making { inner: &*self.inner, before, searches: !of_list, fuses: OnceCell::new() };
        let old = if of_list { before.parts() } else { &[] };
        parts(list, old, &making).and_then(Members::in_order).unwrap_or_else(|| {
            let making = Making { searches: true, ..making };
            let judged = list.iter().filter_map(|candidate| {
                let suitability = Suitability::Fits(making.fit(candidate)?);
                Some(Judged { candidate: Arc::clone(candidate), suitability })
            });
            Members::of(judged.collect(), &making)
        })
    }
}

fn lend<Request, Reply>(members: &Members, found: &Found) -> Picked<Request, Reply> {
    let (part, place) = members.at(found);
    Picked { part: Arc::clone(part), place, eligible: found.choice.eligible(), types: PhantomData }
}

/// Makes the members of a route.
struct Making<'a, Request, Reply> {
    inner: &'a Inner<Request, Reply>,
    before: &'a Members,
    /// Whether breakers of before are looked for by path.
    searches: bool,
    /// Those, by path.
    fuses: OnceCell<BTreeMap<&'a Path, &'a Arc<Fuse>>>,
}

impl<Request, Reply> Making<'_, Request, Reply> {
    fn fuse_of(&self, path: &Path) -> Option<Arc<Fuse>> {
        if !self.searches {
            return None;
        }
        let fuses = self.fuses.get_or_init(|| self.before.fuses().collect());
        fuses.get(path).map(|fuse| Arc::clone(fuse))
    }
}

impl<Request: Wire, Reply: Wire> Make for Making<'_, Request, Reply> {
    fn fit(&self, candidate: &Listed) -> Option<Fit> {
        if candidate.offer.types != WireTypes::of::<Request, Reply>() {
            return None;
        }
        match self.inner.requirement.matches(&candidate.offer) {
            Suitability::Fits(fit) => Some(fit),
            Suitability::Unfit(_) => None,
        }
    }

    fn fuse(&self, candidate: &Listed) -> Option<Arc<Fuse>> {
        let Inner { settings, seed, .. } = self.inner;
        let (rules, path) = (settings.breaker?, &candidate.path);
        Some(self.fuse_of(path).unwrap_or_else(|| {
            let breaker = Breaker::new(rules, seed ^ identity(path.as_str().as_bytes()));
            Arc::new(Fuse::new(path.clone(), breaker.expect("the rules were checked when the route was made")))
        }))
    }
}
