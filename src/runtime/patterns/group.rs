//! Named groups of agents, and what is told to all of them.

use std::any::{TypeId, type_name};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use super::Patterns;
use super::listener::{Listener, Otherwise, SlotKey};
use super::parcel::{Parcel, Place, bury_unconverted};
use super::published::{Delivery, Published};
use super::subscription::{SubscribeError, not_fenced};
use crate::id::Path;
use crate::message::Envelope;
use crate::runtime::agent::Agent;
use crate::runtime::agent_ref::AgentRef;
use crate::runtime::current;
use crate::runtime::guard::{drop_caught, lock};

/// After how many new groups those that nobody uses are looked for at the earliest.
const SWEEP: usize = 64;

/// A named group of agents that all take an `M`. Cheap to clone; all handles of a name in a system are the same group.
///
/// An agent may be a member of many groups, whatever its own type of message is. It is a member until it leaves or is
/// forgotten; restarts do not matter, and who joins twice is a member once.
///
/// ```
/// use steadfast::{ChildSpec, Once, Strategy, SupervisorSpec, System};
/// # use steadfast::{Agent, BoxError, Context};
/// # struct Worker;
/// # impl Agent for Worker {
/// #     type Args = ();
/// #     type Message = u32;
/// #     type Reply = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> { Ok(Self) }
/// #     async fn handle(&mut self, _: u32, _: &mut Context<Self>) -> Result<(), BoxError> { Ok(()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let system = System::start(
/// #     SupervisorSpec::new("root", Strategy::OneForOne)
/// #         .child(ChildSpec::agent::<Worker>("a", ()))
/// #         .child(ChildSpec::agent::<Worker>("b", ())),
/// # ).await?;
/// let group = system.group::<u32>("workers")?;
/// group.join(&system.agent::<Worker>("root/a")?)?;
/// group.join(&system.agent::<Worker>("root/b")?)?;
/// assert_eq!(group.broadcast(7).delivered, 2);
/// # system.shutdown().await?;
/// # Ok(())
/// # }
/// ```
pub struct Group<M> {
    core: Arc<GroupCore>,
    patterns: Arc<Patterns>,
    message: PhantomData<fn(M)>,
}

impl<M> Clone for Group<M> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), patterns: Arc::clone(&self.patterns), message: PhantomData }
    }
}

impl<M> fmt::Debug for Group<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({})", self.core.name)
    }
}

/// A group of this name exists, and its members take something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the group `{name}` takes `{takes}`, not `{asked}`; use another name, or the same type")]
pub struct GroupError {
    /// The name.
    pub name: String,
    /// The type of what is told to it.
    pub takes: &'static str,
    /// The type with which it was asked for.
    pub asked: &'static str,
}

struct GroupCore {
    name: Arc<str>,
    takes: TypeId,
    takes_name: &'static str,
    roll: Mutex<Roll>,
}

impl GroupCore {
    /// Where a member is found later, as long as the group is there.
    fn place(self: &Arc<Self>, place: u64) -> Place {
        let core = Arc::downgrade(self);
        Box::new(move |_| lock(&core.upgrade()?.roll).members.get(&place).map(Arc::clone))
    }
}

/// The members, by when they joined.
#[derive(Default)]
struct Roll {
    members: BTreeMap<u64, Arc<Listener>>,
    places: HashMap<SlotKey, u64>,
    next: u64,
    /// All of them; made when it is needed, and never changed.
    list: Option<Members>,
}

/// With the place of each, which is its own as long as it is a member.
type Members = Arc<[(u64, Arc<Listener>)]>;

impl Roll {
    /// Adds a member, or puts it in its own place. Returns who is out of use.
    fn add(&mut self, listener: Listener) -> Option<Arc<Listener>> {
        self.list = None;
        let next = &mut self.next;
        let place = *self.places.entry(listener.key()).or_insert_with(|| {
            *next += 1;
            *next
        });
        self.members.insert(place, Arc::new(listener))
    }

    fn remove(&mut self, slot: SlotKey) -> Option<(Arc<Listener>, Option<Members>)> {
        let place = self.places.remove(&slot)?;
        let member = self.members.remove(&place)?;
        Some((member, self.list.take()))
    }

    fn list(&mut self) -> Members {
        let members = &self.members;
        let all = || members.iter().map(|(place, member)| (*place, Arc::clone(member))).collect();
        Arc::clone(self.list.get_or_insert_with(all))
    }
}

/// The groups of a system.
#[derive(Default)]
pub(crate) struct Groups(Mutex<Table>);

#[derive(Default)]
struct Table {
    by_name: BTreeMap<Arc<str>, Arc<GroupCore>>,
    of_slot: HashMap<SlotKey, BTreeSet<Arc<str>>>,
    /// At how many groups those are forgotten that nobody uses.
    sweep_at: usize,
}

impl Table {
    /// Forgets the groups without members that nobody has a handle of.
    fn sweep(&mut self) {
        if self.by_name.len() < self.sweep_at.max(SWEEP) {
            return;
        }
        // Handles are only made under the lock of this table, or from one that is there.
        self.by_name.retain(|_, core| Arc::strong_count(core) > 1 || !lock(&core.roll).members.is_empty());
        self.sweep_at = self.by_name.len() * 2;
    }
}

impl Groups {
    fn core<M: 'static>(&self, name: &str) -> Arc<GroupCore> {
        let mut table = lock(&self.0);
        if let Some(core) = table.by_name.get(name) {
            return Arc::clone(core);
        }
        table.sweep();
        let name: Arc<str> = name.into();
        let core = Arc::new(GroupCore {
            name: Arc::clone(&name),
            takes: TypeId::of::<M>(),
            takes_name: type_name::<M>(),
            roll: Mutex::default(),
        });
        table.by_name.insert(name, Arc::clone(&core));
        core
    }

    /// The agent of a slot leaves all its groups.
    pub(super) fn closed(&self, slot: SlotKey) {
        let left: Vec<_> = {
            let mut table = lock(&self.0);
            let names = table.of_slot.remove(&slot).unwrap_or_default();
            let cores = names.iter().filter_map(|name| table.by_name.get(name));
            cores.map(|core| lock(&core.roll).remove(slot)).collect()
        };
        drop_caught(left);
    }
}

impl<M: Clone + Send + Sync + 'static> Group<M> {
    pub(crate) fn named(patterns: &Arc<Patterns>, name: &str) -> Result<Self, GroupError> {
        let core = patterns.groups.core::<M>(name);
        if core.takes != TypeId::of::<M>() {
            return Err(GroupError { name: name.to_owned(), takes: core.takes_name, asked: type_name::<M>() });
        }
        Ok(Self { core, patterns: Arc::clone(patterns), message: PhantomData })
    }

    /// An agent becomes a member: it is told a copy of what is broadcast.
    ///
    /// # Errors
    ///
    /// [`SubscribeError::Gone`] where the agent is forgotten, [`SubscribeError::Fenced`] where a life asks that was given
    /// up.
    pub fn join<A: Agent>(&self, agent: &AgentRef<A>) -> Result<(), SubscribeError>
    where
        A::Message: From<M>,
    {
        self.join_with(agent, A::Message::from)
    }

    /// As [`join`](Self::join), and says how what is broadcast becomes a message to the agent. Who is a member already is
    /// told in the new way from now on.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub fn join_with<A: Agent>(
        &self,
        agent: &AgentRef<A>,
        convert: impl Fn(M) -> A::Message + Send + Sync + 'static,
    ) -> Result<(), SubscribeError> {
        not_fenced()?;
        let listener = Listener::new(agent, move |message: &Arc<M>| convert(M::clone(message)));
        let slot = agent.slot();
        let replaced = {
            // Both under the lock of the table, so that who leaves in between leaves nothing behind.
            let mut table = lock(&self.patterns.groups.0);
            table.of_slot.entry(listener.key()).or_default().insert(Arc::clone(&self.core.name));
            lock(&self.core.roll).add(listener)
        };
        drop_caught(replaced);
        if self.patterns.tie(&*slot) { Ok(()) } else { Err(SubscribeError::Gone { path: agent.path().clone() }) }
    }

    /// Tells every member, and never waits. A member whose mailbox is full refuses for itself alone.
    ///
    /// What one sender broadcasts and tells reaches each member in that order. Who joins or leaves meanwhile may be told
    /// or not.
    pub fn broadcast(&self, message: M) -> Published {
        self.deliver(&Parcel::plain(message))
    }

    /// As [`broadcast`](Self::broadcast), with what an envelope says: each member gets a message of which all of it is
    /// said. See [`System::publish_envelope`](crate::System::publish_envelope).
    ///
    /// ```
    /// # use steadfast::{Agent, BoxError, ChildSpec, Context, Strategy, SupervisorSpec, System};
    /// # struct Worker;
    /// # impl Agent for Worker {
    /// #     type Args = ();
    /// #     type Message = u32;
    /// #     type Reply = ();
    /// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> { Ok(Self) }
    /// #     async fn handle(&mut self, _: u32, _: &mut Context<Self>) -> Result<(), BoxError> { Ok(()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let root = SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::agent::<Worker>("a", ()));
    /// # let system = System::start(root).await?;
    /// # let group = system.group::<u32>("workers")?;
    /// # group.join(&system.agent::<Worker>("root/a")?)?;
    /// use std::time::Duration;
    /// use steadfast::message::Envelope;
    ///
    /// // Nobody handles it later than that.
    /// let hint = Envelope::new(0, 7).with_time_to_live(system.clock().now(), Duration::from_secs(1));
    /// assert_eq!(group.broadcast_envelope(hint).delivered, 1);
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn broadcast_envelope(&self, envelope: Envelope<M>) -> Published {
        self.deliver(&Parcel::enveloped(envelope))
    }

    fn deliver(&self, parcel: &Parcel<M>) -> Published {
        let list = lock(&self.core.roll).list();
        let mut published = Published::default();
        for (place, member) in &*list {
            let delivery = member.give(parcel, Otherwise::Dead);
            published.count(delivery);
            if delivery == Delivery::Failed {
                bury_unconverted(member, parcel, self.core.place(*place));
            }
        }
        published
    }
}

impl<M> Group<M> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// An agent is no member any more. Returns whether it was one. Refused to the code of a life that was given up.
    #[expect(clippy::must_use_candidate, reason = "it leaves whether somebody looks or not")]
    pub fn leave<A: Agent>(&self, agent: &AgentRef<A>) -> bool {
        if current::fenced().is_some() {
            return false;
        }
        let slot = SlotKey::of(agent.slot().core());
        let left = {
            let mut table = lock(&self.patterns.groups.0);
            if let Some(names) = table.of_slot.get_mut(&slot) {
                names.remove(&self.core.name);
                if names.is_empty() {
                    table.of_slot.remove(&slot);
                }
            }
            lock(&self.core.roll).remove(slot)
        };
        let was_member = left.is_some();
        drop_caught(left);
        was_member
    }

    /// The members, by when they joined.
    #[must_use]
    pub fn members(&self) -> Vec<Path> {
        lock(&self.core.roll).members.values().map(|member| member.path().clone()).collect()
    }

    /// How many members it has.
    #[must_use]
    pub fn len(&self) -> usize {
        lock(&self.core.roll).members.len()
    }

    /// Whether nobody is a member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
