//! Who listens to which subjects, and the lists by which a subject finds them at once.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::listener::{Listener, Otherwise, SlotKey};
use super::parcel::{Parcel, Place, bury_unconverted};
use super::published::{Delivery, Published};
use super::queue::{Queue, Turn};
use super::subscription::MOST_SUBSCRIPTIONS;
use crate::id::Path;
use crate::message::subject::{Pattern, Subject};
use crate::message::subject_map::{SubjectMap, SubscriptionId};
use crate::runtime::guard::{drop_caught, lock};

/// For how many subjects the list of their listeners is kept. One more, and all are made anew when they are needed.
const CACHED: usize = 1024;

/// Who listens to which subjects.
///
/// What is published looks at the lists alone. A change of who listens throws all of them away: changes are rare, and
/// what is published is not.
#[derive(Default)]
pub(crate) struct Topics {
    table: Mutex<Table>,
    lists: RwLock<Lists>,
}

/// A listener, and the group that it is in.
struct Entry {
    listener: Arc<Listener>,
    group: Option<Arc<str>>,
}

/// What makes a subscription the same as another: who has it twice has it once.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    slot: SlotKey,
    pattern: Pattern,
    payload: TypeId,
    group: Option<Arc<str>>,
}

struct Table {
    map: SubjectMap<Entry>,
    known: HashMap<Key, SubscriptionId>,
    keys: BTreeMap<SubscriptionId, Key>,
    of_slot: HashMap<SlotKey, BTreeSet<SubscriptionId>>,
    /// The groups that have members, with their number.
    groups: BTreeMap<Arc<str>, (Arc<Turn>, usize)>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            map: SubjectMap::new(MOST_SUBSCRIPTIONS),
            known: HashMap::new(),
            keys: BTreeMap::new(),
            of_slot: HashMap::new(),
            groups: BTreeMap::new(),
        }
    }
}

impl Table {
    /// Adds a subscription, or puts it in the place of the same one. Returns what is out of use now.
    fn add(
        &mut self,
        pattern: &Pattern,
        group: Option<&str>,
        listener: Listener,
    ) -> Result<(SubscriptionId, Option<Entry>), Entry> {
        let group: Option<Arc<str>> = group.map(|name| match self.groups.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => name.into(),
        });
        let slot = listener.key();
        let key = Key { slot, pattern: pattern.clone(), payload: listener.payload(), group: group.clone() };
        let entry = Entry { listener: Arc::new(listener), group: group.clone() };
        if let Some(id) = self.known.get(&key) {
            return Ok((*id, self.map.replace(*id, entry)));
        }
        let id = match &group {
            None => self.map.subscribe(pattern, entry),
            Some(group) => self.map.join(pattern, group, entry),
        }
        .map_err(|full| full.listener)?;
        if let Some(group) = group {
            self.groups.entry(group).or_default().1 += 1;
        }
        self.of_slot.entry(slot).or_default().insert(id);
        self.keys.insert(id, key.clone());
        self.known.insert(key, id);
        Ok((id, None))
    }

    fn remove(&mut self, id: SubscriptionId) -> Option<Entry> {
        let entry = self.map.unsubscribe(id)?;
        if let Some(key) = self.keys.remove(&id) {
            self.known.remove(&key);
            if let Some(ids) = self.of_slot.get_mut(&key.slot) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.of_slot.remove(&key.slot);
                }
            }
        }
        if let Some(name) = &entry.group
            && let Some((_, members)) = self.groups.get_mut(name)
        {
            *members -= 1;
            if *members == 0 {
                self.groups.remove(name);
            }
        }
        Some(entry)
    }

    /// Who listens to a subject: each for itself, and the queue groups by name.
    fn list(&self, subject: &Subject) -> List {
        let mut each = Vec::new();
        let mut queues: BTreeMap<&Arc<str>, Queue> = BTreeMap::new();
        for (id, entry) in self.map.matching(subject) {
            let listener = Arc::clone(&entry.listener);
            match &entry.group {
                None => each.push((id, listener)),
                Some(name) => {
                    let turn = || self.groups.get(name).map(|(turn, _)| Arc::clone(turn)).unwrap_or_default();
                    queues.entry(name).or_insert_with(|| Queue::new(turn())).add(id, listener);
                }
            }
        }
        List { each, queues: queues.into_values().collect() }
    }
}

/// Who listens to a subject. Never changes once it is made.
struct List {
    each: Vec<(SubscriptionId, Arc<Listener>)>,
    queues: Vec<Queue>,
}

/// Where whoever listens to a subject by a subscription is found later.
fn place(subject: &Subject, id: SubscriptionId) -> Place {
    let subject = subject.clone();
    Box::new(move |system| system.patterns().topics.listener(&subject, id))
}

#[derive(Default)]
struct Lists {
    /// Counts the changes of who listens: a list that was made before one is not kept after it.
    generation: u64,
    by_subject: HashMap<Subject, Arc<List>>,
}

impl Topics {
    /// Adds a subscription. `None` when there are as many as there may be.
    pub(super) fn add(&self, pattern: &Pattern, group: Option<&str>, listener: Listener) -> Option<SubscriptionId> {
        let added = lock(&self.table).add(pattern, group, listener);
        match added {
            Ok((id, replaced)) => {
                self.changed();
                drop_caught(replaced);
                Some(id)
            }
            Err(refused) => {
                drop_caught(refused);
                None
            }
        }
    }

    /// Takes a subscription away. Returns whether it was there.
    pub(super) fn remove(&self, id: SubscriptionId) -> bool {
        let removed = lock(&self.table).remove(id);
        let was_there = removed.is_some();
        if was_there {
            self.changed();
        }
        drop_caught(removed);
        was_there
    }

    pub(super) fn contains(&self, id: SubscriptionId) -> bool {
        lock(&self.table).keys.contains_key(&id)
    }

    /// Takes away what the agent of a slot listens to.
    pub(super) fn closed(&self, slot: SlotKey) {
        let removed: Vec<_> = {
            let mut table = lock(&self.table);
            let ids = table.of_slot.get(&slot).cloned().unwrap_or_default();
            ids.into_iter().filter_map(|id| table.remove(id)).collect()
        };
        if !removed.is_empty() {
            self.changed();
        }
        drop_caught(removed);
    }

    /// Who listens to a subject, by the age of their subscriptions; whoever does so several times stands there as often.
    pub(crate) fn listeners(&self, subject: &Subject) -> Vec<Path> {
        let table = lock(&self.table);
        table.map.matching(subject).into_iter().map(|(_, entry)| entry.listener.path().clone()).collect()
    }

    /// Gives a payload to all who listen to a subject.
    pub(crate) fn publish<T: Send + Sync + 'static>(&self, subject: &Subject, parcel: &Parcel<T>) -> Published {
        let list = self.list(subject);
        let mut published = Published::default();
        for (id, listener) in &list.each {
            let delivery = listener.give(parcel, Otherwise::Dead);
            published.count(delivery);
            match delivery {
                Delivery::Failed => bury_unconverted(listener, parcel, place(subject, *id)),
                Delivery::Stranger => {
                    let (path, takes) = (listener.path(), listener.payload_name());
                    let published = std::any::type_name::<T>();
                    tracing::debug!(%subject, %path, takes, published, "a listener takes payloads of another type");
                }
                Delivery::Taken | Delivery::Refused | Delivery::Untaken => {}
            }
        }
        for queue in &list.queues {
            let (delivery, failed) = queue.give(parcel);
            published.count(delivery);
            if let Some((id, member)) = failed {
                bury_unconverted(member, parcel, place(subject, id));
            }
        }
        published
    }

    /// Who listens to a subject by a subscription, if it is still there.
    fn listener(&self, subject: &Subject, id: SubscriptionId) -> Option<Arc<Listener>> {
        let table = lock(&self.table);
        let found = table.map.matching(subject).into_iter().find(|(found, _)| *found == id);
        found.map(|(_, entry)| Arc::clone(&entry.listener))
    }

    fn list(&self, subject: &Subject) -> Arc<List> {
        let generation = {
            let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(list) = lists.by_subject.get(subject) {
                return Arc::clone(list);
            }
            lists.generation
        };
        let list = Arc::new(lock(&self.table).list(subject));
        let unused = {
            let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
            if lists.generation != generation {
                // Somebody came or left meanwhile, perhaps after the table was read.
                return list;
            }
            let full = lists.by_subject.len() >= CACHED;
            let unused = if full { std::mem::take(&mut lists.by_subject) } else { HashMap::new() };
            lists.by_subject.insert(subject.clone(), Arc::clone(&list));
            unused
        };
        drop_caught(unused);
        list
    }

    /// Whoever publishes from now on looks at the table. Called after a change of it.
    fn changed(&self) {
        let unused = {
            let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
            lists.generation += 1;
            std::mem::take(&mut lists.by_subject)
        };
        // What is only in these lists is a user's, and is dropped without a lock.
        drop_caught(unused);
    }
}
