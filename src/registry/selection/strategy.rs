//! The strategies that come with the framework.

use std::fmt;

use crate::registry::selection::{
    Choice, Considered, Draw, Eligible, NoChoice, Pool, Reason, Select, Tally, View, identity, score,
};
use crate::seam::Rng;

/// How often somebody is drawn at random before the whole pool is looked through for who may be chosen.
const TRIES: usize = 4;

/// For how many equals there is room from the start.
const ROOM: usize = 256;

/// The strategies that come with the framework. For each, `n` is the number of candidates.
///
/// | strategy | chooses | looks at | guarantees |
/// |---|---|---|---|
/// | `LeastLoaded` | the least load, in turn among equals | all | nobody ready has less to do |
/// | `RoundRobin` | whose turn it is | one, all if that one is not ready | with the same ones eligible, over `n` times their number of turns each is chosen exactly `n` times |
/// | `Random` | anybody | one, seldom more | each ready one with the same probability |
/// | `PowerOfTwo` | of two at random, the less of (load + 1) × latency | two, seldom more | never the worse of the two; the cost does not grow with `n` |
/// | `Sticky` | to whom the key belongs | all | when one leaves, only its keys move; when one comes, keys move only to it |
/// | `InOrder` | the first | up to the first that is ready | nobody while one before it is ready |
///
/// Each chooses among those that are ready and, where nobody is, among those between two lives;
/// [`Stickiness::Waits`] makes no difference between them. Where a latency is not known, `PowerOfTwo` goes by the load
/// alone. `InOrder` is the fallback chain of candidates; [`first_of`] is that of routes.
///
/// ```
/// use steadfast::registry::selection::{Draw, Select, Selection, Standing, Stickiness, View};
///
/// let pool: Vec<_> = ["root/a", "root/b", "root/c"]
///     .map(|path| (path.parse().expect("a path"), View::of(Standing::Live(0))))
///     .into();
/// let turns = (0..4).map(|turn| Selection::RoundRobin.select(&pool, &Draw::new(0, turn)).expect("one is ready").position());
/// assert_eq!(turns.collect::<Vec<_>>(), [0, 1, 2, 0]);
///
/// let sticky = Selection::Sticky(Stickiness::Moves);
/// let owner = |random, turn| sticky.select(&pool, &Draw::new(random, turn).key(b"customer-42")).expect("an owner");
/// assert_eq!(owner(1, 1), owner(2, 2));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// Who has the least load.
    #[default]
    LeastLoaded,
    /// Each in turn.
    RoundRobin,
    /// Anybody, at random.
    Random,
    /// Of two drawn at random, who has less to do, measured by load times latency.
    PowerOfTwo,
    /// To whom the message's key belongs, by rendezvous hashing.
    Sticky(Stickiness),
    /// The first in the order of the pool.
    InOrder,
}

/// What becomes of a key while its owner is between two lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stickiness {
    /// It belongs to somebody else until the owner is back.
    #[default]
    Moves,
    /// It waits for the owner's next life. Choose this where the owner's state is worth more than the time.
    Waits,
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeastLoaded => "least loaded",
            Self::RoundRobin => "round robin",
            Self::Random => "random",
            Self::PowerOfTwo => "power of two choices",
            Self::Sticky(Stickiness::Moves) => "sticky by key",
            Self::Sticky(Stickiness::Waits) => "sticky by key, waiting for the owner",
            Self::InOrder => "in order",
        })
    }
}

impl Selection {
    /// As [`Select::select`], compiled for one kind of pool: a choice looks at no more than two candidates, and calls
    /// through a table would be a good part of it.
    pub(crate) fn select_in<P: Pool + ?Sized>(self, pool: &P, draw: &Draw<'_>) -> Result<Choice, NoChoice> {
        match self {
            Self::LeastLoaded => least_loaded(pool, draw.turn),
            Self::RoundRobin => round_robin(pool, draw.turn),
            Self::Random => random(pool, draw.random),
            Self::PowerOfTwo => power_of_two(pool, draw.random),
            Self::Sticky(stickiness) => sticky(pool, draw.key.ok_or(NoChoice::NoKey)?, stickiness),
            Self::InOrder => in_order(pool),
        }
    }
}

impl Select for Selection {
    fn select(&self, pool: &dyn Pool, draw: &Draw<'_>) -> Result<Choice, NoChoice> {
        self.select_in(pool, draw)
    }

    fn reads_latency(&self) -> bool {
        matches!(self, Self::PowerOfTwo)
    }
}

/// The fallback chain of routes: chooses from the first pool in which somebody is ready; where nobody is in any, from
/// the first in which somebody will be.
///
/// Returns the number of the link, and the choice in its pool.
///
/// ```
/// use steadfast::registry::selection::{Draw, Pool, Select, Selection, Standing, View, first_of};
///
/// let pool = |path: &str, standing| vec![(path.parse().expect("a path"), View::of(standing))];
/// let (local, far) = (pool("root/local", Standing::Awaited(0)), pool("root/far", Standing::Live(9)));
/// let links: [(&dyn Pool, &dyn Select); 2] = [(&local, &Selection::PowerOfTwo), (&far, &Selection::Random)];
/// assert_eq!(first_of(&links, &Draw::new(0, 0)).map(|(link, _)| link), Ok(1));
/// ```
///
/// # Errors
///
/// Where no link has anybody who may be chosen: what the first one says.
pub fn first_of(links: &[(&dyn Pool, &dyn Select)], draw: &Draw<'_>) -> Result<(usize, Choice), NoChoice> {
    let mut later = None;
    let mut none = None;
    for (number, (pool, select)) in links.iter().enumerate() {
        match select.select(*pool, draw) {
            Ok(choice) if choice.eligible() == Eligible::Now => return Ok((number, choice)),
            Ok(choice) => later = later.or(Some((number, choice))),
            Err(error) => none = none.or(Some(error)),
        }
    }
    later.ok_or_else(|| none.unwrap_or(NoChoice::Nobody(Tally::default())))
}

/// Those who may be chosen: the ready ones, or where nobody is, those between two lives. Never empty.
struct Scan {
    positions: Vec<usize>,
    eligible: Eligible,
}

impl Scan {
    fn of<P: Pool + ?Sized>(pool: &P) -> Result<Self, NoChoice> {
        let mut tally = Tally::default();
        let (mut ready, mut awaited) = (Vec::new(), Vec::new());
        for position in 0..pool.len() {
            let eligible = pool.view(position).eligible();
            tally.count(eligible);
            match eligible {
                Ok(Eligible::Now) => ready.push(position),
                Ok(Eligible::WhenBack) => awaited.push(position),
                Err(_) => {}
            }
        }
        match (&ready[..], &awaited[..]) {
            ([], []) => Err(NoChoice::Nobody(tally)),
            ([], _) => Ok(Self { positions: awaited, eligible: Eligible::WhenBack }),
            _ => Ok(Self { positions: ready, eligible: Eligible::Now }),
        }
    }

    /// The one at this place among them, for this reason if there are others.
    fn choose(&self, place: usize, reason: Reason) -> Choice {
        let reason = if self.positions.len() == 1 { Reason::OnlyOne } else { reason };
        Choice::new(self.positions[place], self.eligible, reason, Considered::All)
    }
}

fn is_ready(view: &View) -> bool {
    view.eligible() == Ok(Eligible::Now)
}

/// A number below `count`, which is not 0, from 64 random bits. For fewer than 2^32 candidates, none is more probable
/// than another by more than one part in 2^32.
fn below(random: u64, count: usize) -> usize {
    let product = u128::from(random) * count as u128;
    usize::try_from(product >> 64).expect("the upper half of a product with a `usize` is below that")
}

/// The place in a circle of `count`, which is not 0, where this turn ends.
fn around(turn: u64, count: usize) -> usize {
    usize::try_from(turn % count as u64).expect("a rest is less than what it is divided by")
}

fn least_loaded<P: Pool + ?Sized>(pool: &P, turn: u64) -> Result<Choice, NoChoice> {
    let mut tally = Tally::default();
    let mut best = None;
    // Often all are without load. Whoever has room for so many equals has the room for most pools at once.
    let mut equals = Vec::with_capacity(pool.len().min(ROOM));
    for position in 0..pool.len() {
        let view = pool.view(position);
        let eligible = view.eligible();
        tally.count(eligible);
        let Ok(eligible) = eligible else { continue };
        let rank = (eligible, view.load());
        if best.is_none_or(|best| rank < best) {
            best = Some(rank);
            equals.clear();
        }
        if best == Some(rank) {
            equals.push(position);
        }
    }
    let (eligible, load) = best.ok_or(NoChoice::Nobody(tally))?;
    let position = equals[around(turn, equals.len())];
    Ok(Choice::new(position, eligible, Reason::LeastLoad { load, equals: equals.len() }, Considered::All))
}

/// The turns of who may not be chosen go round among the others, in another order for each of them. Going on to the
/// next one instead would give that one twice as much as the rest.
fn round_robin<P: Pool + ?Sized>(pool: &P, turn: u64) -> Result<Choice, NoChoice> {
    if pool.is_empty() {
        return Err(NoChoice::Nobody(Tally::default()));
    }
    let position = around(turn, pool.len());
    if is_ready(&pool.view(position)) {
        return Ok(Choice::new(position, Eligible::Now, Reason::Turn, Considered::One));
    }
    let scan = Scan::of(pool)?;
    let round = turn / pool.len() as u64;
    let place = around(round.wrapping_add(position as u64), scan.positions.len());
    Ok(scan.choose(place, Reason::TurnOfAnother))
}

fn random<P: Pool + ?Sized>(pool: &P, random: u64) -> Result<Choice, NoChoice> {
    let mut rng = Rng::new(random);
    if !pool.is_empty() {
        for _ in 0..TRIES {
            let position = below(rng.next_u64(), pool.len());
            if is_ready(&pool.view(position)) {
                return Ok(Choice::new(position, Eligible::Now, Reason::Drawn, Considered::One));
            }
        }
    }
    let scan = Scan::of(pool)?;
    Ok(scan.choose(below(rng.next_u64(), scan.positions.len()), Reason::Drawn))
}

fn power_of_two<P: Pool + ?Sized>(pool: &P, random: u64) -> Result<Choice, NoChoice> {
    let mut rng = Rng::new(random);
    if pool.len() > 1 {
        for _ in 0..TRIES {
            let pair = two_below(&mut rng, pool.len());
            let views = [pool.view(pair[0]), pool.view(pair[1])];
            let (place, reason) = match [is_ready(&views[0]), is_ready(&views[1])] {
                [true, true] => (usize::from(has_more_to_do(&views[0], &views[1])), Reason::LessToDo),
                [true, false] => (0, Reason::OtherIneligible),
                [false, true] => (1, Reason::OtherIneligible),
                [false, false] => continue,
            };
            return Ok(Choice::new(pair[place], Eligible::Now, reason, Considered::Two(pair[1 - place])));
        }
    }
    let scan = Scan::of(pool)?;
    if scan.positions.len() == 1 {
        return Ok(scan.choose(0, Reason::OnlyOne));
    }
    let places = two_below(&mut rng, scan.positions.len());
    let views = places.map(|place| pool.view(scan.positions[place]));
    let place = places[usize::from(has_more_to_do(&views[0], &views[1]))];
    Ok(scan.choose(place, Reason::LessToDo))
}

/// Two different numbers below `count`, which is more than 1, each pair with the same probability.
fn two_below(rng: &mut Rng, count: usize) -> [usize; 2] {
    let first = below(rng.next_u64(), count);
    let second = below(rng.next_u64(), count - 1);
    // The second is drawn from the others: those from the first on move up by one.
    [first, second + usize::from(second >= first)]
}

/// Whether the first has more to do than the second: load, with the message that is to be sent, times latency.
fn has_more_to_do(first: &View, second: &View) -> bool {
    let (Some(this), Some(that)) = (first.latency, second.latency) else {
        return first.load() > second.load();
    };
    let cost = |load: usize, nanos: u128| (load as u128 + 1).saturating_mul(nanos.max(1));
    cost(first.load(), this.as_nanos()) > cost(second.load(), that.as_nanos())
}

fn sticky<P: Pool + ?Sized>(pool: &P, key: &[u8], stickiness: Stickiness) -> Result<Choice, NoChoice> {
    let key = identity(key);
    // Most often the owner is ready, and then nobody else need be looked at.
    if let Some((_, position)) = highest(pool, key)
        && is_ready(&pool.view(position))
    {
        return Ok(Choice::new(position, Eligible::Now, Reason::Key, Considered::All));
    }
    let mut tally = Tally::default();
    // The best of each kind, with its score. The first of equals, so that the order of the pool decides.
    let mut best: [Option<(u64, usize)>; 2] = [None, None];
    for position in 0..pool.len() {
        let eligible = pool.view(position).eligible();
        tally.count(eligible);
        let Ok(eligible) = eligible else { continue };
        let score = score(key, pool.identity(position));
        let best = &mut best[eligible as usize];
        if best.is_none_or(|(highest, _)| score > highest) {
            *best = Some((score, position));
        }
    }
    let [ready, awaited] = best;
    let waits = match (ready, awaited, stickiness) {
        (None, None, _) => return Err(NoChoice::Nobody(tally)),
        (Some((ready, _)), Some((awaited, _)), Stickiness::Waits) => awaited > ready,
        (ready, ..) => ready.is_none(),
    };
    let (owner, eligible) = if waits { (awaited, Eligible::WhenBack) } else { (ready, Eligible::Now) };
    let (_, position) = owner.ok_or(NoChoice::Nobody(tally))?;
    Ok(Choice::new(position, eligible, Reason::Key, Considered::All))
}

/// Who has the highest score for a key, whether or not it may be chosen; the first of equals.
fn highest<P: Pool + ?Sized>(pool: &P, key: u64) -> Option<(u64, usize)> {
    let scores = (0..pool.len()).map(|position| (score(key, pool.identity(position)), position));
    scores.reduce(|best, other| if other.0 > best.0 { other } else { best })
}

fn in_order<P: Pool + ?Sized>(pool: &P) -> Result<Choice, NoChoice> {
    let mut tally = Tally::default();
    let mut awaited = None;
    for position in 0..pool.len() {
        let eligible = pool.view(position).eligible();
        tally.count(eligible);
        match eligible {
            Ok(Eligible::Now) => return Ok(Choice::new(position, Eligible::Now, Reason::First, Considered::UpToIt)),
            Ok(Eligible::WhenBack) => awaited = awaited.or(Some(position)),
            Err(_) => {}
        }
    }
    let position = awaited.ok_or(NoChoice::Nobody(tally))?;
    Ok(Choice::new(position, Eligible::WhenBack, Reason::First, Considered::All))
}
