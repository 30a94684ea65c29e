//! Who listens to what: patterns in a tree, so that a subject finds its listeners without looking at the others.
//!
//! Each level of the tree is a token. A subject walks down it along its own token, along `*`, and collects what stands
//! at `>` on the way: what it costs grows with its tokens and with who listens, not with who listens to something else.
//!
//! # Invariants
//!
//! * Every listener whose pattern matches gets a message once; of a group, one member that matches does.
//! * The members of a group take turns, by the order in which they joined it, over all its patterns together.
//! * What leaves takes its branch along: an empty map is as one that was never used.

use std::collections::BTreeMap;
use std::fmt;

use crate::message::subject::{Pattern, Subject};

/// Names a subscription. Later ones have higher numbers; none is given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(u64);

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Listeners by pattern, and by group where each message is for one of several.
///
/// Listeners are visited in an order that depends on nothing but the subscriptions: by pattern, those with a token
/// before those with `*` before those with `>`, and of one pattern by age; then the groups, by name.
///
/// ```
/// use steadfast::message::SubjectMap;
///
/// let mut map = SubjectMap::new(1000);
/// map.subscribe(&"agents.>".parse()?, "audit")?;
/// map.join(&"agents.*.*.done".parse()?, "workers", "first")?;
/// map.join(&"agents.*.*.done".parse()?, "workers", "second")?;
///
/// let subject = "agents.data.cache.done".parse()?;
/// assert_eq!(map.route(&subject).into_iter().copied().collect::<Vec<_>>(), ["audit", "first"]);
/// assert_eq!(map.route(&subject).into_iter().copied().collect::<Vec<_>>(), ["audit", "second"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SubjectMap<T> {
    root: Node<T>,
    places: BTreeMap<SubscriptionId, Place>,
    groups: BTreeMap<Box<str>, Group>,
    next: u64,
    bound: usize,
}

/// Where a subscription stands, to be found when it leaves.
#[derive(Debug)]
struct Place {
    pattern: Pattern,
    group: Option<Box<str>>,
}

/// What is known of a group over all its patterns.
#[derive(Debug, Default)]
struct Group {
    members: usize,
    /// Whose turn it was last.
    last: Option<SubscriptionId>,
}

#[derive(Debug)]
struct Node<T> {
    tokens: BTreeMap<Box<str>, Node<T>>,
    any: Option<Box<Node<T>>>,
    /// Whose pattern ends here.
    here: Listeners<T>,
    /// Whose pattern ends with a `>` that begins here.
    rest: Listeners<T>,
}

#[derive(Debug)]
struct Listeners<T> {
    each: BTreeMap<SubscriptionId, T>,
    groups: BTreeMap<Box<str>, BTreeMap<SubscriptionId, T>>,
}

impl<T> Default for Listeners<T> {
    fn default() -> Self {
        Self { each: BTreeMap::new(), groups: BTreeMap::new() }
    }
}

impl<T> Listeners<T> {
    fn is_empty(&self) -> bool {
        self.each.is_empty() && self.groups.is_empty()
    }

    fn insert(&mut self, id: SubscriptionId, group: Option<&str>, listener: T) {
        match group {
            None => self.each.insert(id, listener),
            Some(group) => self.groups.entry(group.into()).or_default().insert(id, listener),
        };
    }

    fn remove(&mut self, id: SubscriptionId, group: Option<&str>) -> Option<T> {
        let Some(name) = group else { return self.each.remove(&id) };
        let members = self.groups.get_mut(name)?;
        let listener = members.remove(&id);
        if members.is_empty() {
            self.groups.remove(name);
        }
        listener
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { tokens: BTreeMap::new(), any: None, here: Listeners::default(), rest: Listeners::default() }
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.any.is_none() && self.here.is_empty() && self.rest.is_empty()
    }

    /// The listeners of a pattern, with the branch to them.
    fn listeners(&mut self, pattern: &Pattern) -> &mut Listeners<T> {
        let mut node = self;
        for token in pattern.tokens() {
            node = match token {
                ">" => return &mut node.rest,
                "*" => node.any.get_or_insert_default(),
                // Looked up twice, so that a branch that is there needs no new name.
                token if node.tokens.contains_key(token) => node.tokens.get_mut(token).expect("it is there"),
                token => node.tokens.entry(token.into()).or_default(),
            };
        }
        &mut node.here
    }

    /// Takes a subscription away, and the branch to it where nothing else stands on it.
    fn remove<'a>(
        &mut self,
        mut tokens: impl Iterator<Item = &'a str>,
        id: SubscriptionId,
        group: Option<&str>,
    ) -> Option<T> {
        match tokens.next() {
            None => self.here.remove(id, group),
            Some(">") => self.rest.remove(id, group),
            Some("*") => {
                let node = self.any.as_mut()?;
                let listener = node.remove(tokens, id, group);
                if node.is_empty() {
                    self.any = None;
                }
                listener
            }
            Some(token) => {
                let node = self.tokens.get_mut(token)?;
                let listener = node.remove(tokens, id, group);
                if node.is_empty() {
                    self.tokens.remove(token);
                }
                listener
            }
        }
    }

    /// Shows all listeners of a subject, of which these tokens are left.
    fn visit<'a>(&'a self, tokens: &[&str], seen: &mut impl FnMut(&'a Listeners<T>)) {
        let Some((token, left)) = tokens.split_first() else {
            if !self.here.is_empty() {
                seen(&self.here);
            }
            return;
        };
        if let Some(node) = self.tokens.get(*token) {
            node.visit(left, seen);
        }
        if let Some(node) = &self.any {
            node.visit(left, seen);
        }
        if !self.rest.is_empty() {
            seen(&self.rest);
        }
    }
}

/// The member of a group whose turn it is, while the patterns are looked through.
struct Turn<'a, T> {
    last: Option<SubscriptionId>,
    first: Option<(SubscriptionId, &'a T)>,
    next: Option<(SubscriptionId, &'a T)>,
}

impl<'a, T> Turn<'a, T> {
    fn consider(&mut self, members: &'a BTreeMap<SubscriptionId, T>) {
        let earlier = |best: Option<(SubscriptionId, &'a T)>, found: Option<(&SubscriptionId, &'a T)>| {
            let found = found.map(|(id, listener)| (*id, listener));
            match (best, found) {
                (Some(best), Some(found)) => Some(if found.0 < best.0 { found } else { best }),
                (best, found) => best.or(found),
            }
        };
        self.first = earlier(self.first, members.first_key_value());
        if let Some(last) = self.last {
            use std::ops::Bound::{Excluded, Unbounded};
            self.next = earlier(self.next, members.range((Excluded(last), Unbounded)).next());
        }
    }

    fn taken(self) -> Option<(SubscriptionId, &'a T)> {
        self.next.or(self.first)
    }
}

impl<T> SubjectMap<T> {
    /// A map for at most so many subscriptions.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self { root: Node::default(), places: BTreeMap::new(), groups: BTreeMap::new(), next: 0, bound }
    }

    /// Adds a listener that gets every message whose subject matches.
    ///
    /// # Errors
    ///
    /// [`SubjectMapFull`], with the listener in it, when there are as many as there may be.
    pub fn subscribe(&mut self, pattern: &Pattern, listener: T) -> Result<SubscriptionId, SubjectMapFull<T>> {
        self.add(pattern, None, listener)
    }

    /// Adds a listener to a group. Of the group's members whose patterns match, each message goes to one.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn join(&mut self, pattern: &Pattern, group: &str, listener: T) -> Result<SubscriptionId, SubjectMapFull<T>> {
        self.add(pattern, Some(group), listener)
    }

    fn add(
        &mut self,
        pattern: &Pattern,
        group: Option<&str>,
        listener: T,
    ) -> Result<SubscriptionId, SubjectMapFull<T>> {
        if self.places.len() >= self.bound {
            return Err(SubjectMapFull { bound: self.bound, listener });
        }
        let id = SubscriptionId(self.next);
        self.next += 1;
        self.root.listeners(pattern).insert(id, group, listener);
        if let Some(group) = group {
            self.groups.entry(group.into()).or_default().members += 1;
        }
        self.places.insert(id, Place { pattern: pattern.clone(), group: group.map(Into::into) });
        Ok(id)
    }

    /// Takes a listener away. `None` where it was away already.
    pub fn unsubscribe(&mut self, id: SubscriptionId) -> Option<T> {
        let Place { pattern, group } = self.places.remove(&id)?;
        if let Some(name) = group.as_deref()
            && let Some(group) = self.groups.get_mut(name)
        {
            group.members -= 1;
            if group.members == 0 {
                self.groups.remove(name);
            }
        }
        self.root.remove(pattern.tokens(), id, group.as_deref())
    }

    /// Puts a listener in the place of another, which comes back; its age and its turn stay. `None` where there is none
    /// to replace: then the new one is dropped.
    pub fn replace(&mut self, id: SubscriptionId, listener: T) -> Option<T> {
        let Place { pattern, group } = self.places.get(&id)?;
        let listeners = self.root.listeners(pattern);
        let stands = match group {
            None => listeners.each.get_mut(&id),
            Some(group) => listeners.groups.get_mut(&**group)?.get_mut(&id),
        };
        stands.map(|stands| std::mem::replace(stands, listener))
    }

    /// Who gets a message about this subject now: every listener that matches, and of each group the member whose turn
    /// it is.
    pub fn route(&mut self, subject: &Subject) -> Vec<&T> {
        let mut found = Vec::new();
        let Self { root, groups, .. } = self;
        let mut turns: BTreeMap<&str, Turn<'_, T>> = BTreeMap::new();
        let tokens: Vec<_> = subject.tokens().collect();
        root.visit(&tokens, &mut |listeners| {
            found.extend(listeners.each.values());
            for (name, members) in &listeners.groups {
                let last = || groups.get(name).and_then(|group| group.last);
                turns.entry(name).or_insert_with(|| Turn { last: last(), first: None, next: None }).consider(members);
            }
        });
        for (name, turn) in turns {
            if let Some((id, listener)) = turn.taken() {
                found.push(listener);
                groups.entry(name.into()).or_default().last = Some(id);
            }
        }
        found
    }

    /// All who match, the members of groups included, by age. It is nobody's turn by it.
    #[must_use]
    pub fn matching(&self, subject: &Subject) -> Vec<(SubscriptionId, &T)> {
        let mut found = Vec::new();
        let tokens: Vec<_> = subject.tokens().collect();
        self.root.visit(&tokens, &mut |listeners| {
            let all = listeners.each.iter().chain(listeners.groups.values().flatten());
            found.extend(all.map(|(id, listener)| (*id, listener)));
        });
        found.sort_unstable_by_key(|(id, _)| *id);
        found
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nobody listens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The most subscriptions there may be.
    #[must_use]
    pub fn bound(&self) -> usize {
        self.bound
    }
}

/// In which order the members of a group, which stand by age, are asked whether they take a message: first whoever
/// comes after the one whose turn it was last, and all the others after it, each once. Gives their positions.
pub(crate) fn turns(members: &[SubscriptionId], last: Option<SubscriptionId>) -> impl Iterator<Item = usize> + Clone {
    let first = members.partition_point(|id| last.is_some_and(|last| *id <= last));
    (first..members.len()).chain(0..first)
}

/// There are as many subscriptions as there may be. The listener comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {bound} subscriptions already, as many as there may be; end one, or raise the bound")]
pub struct SubjectMapFull<T> {
    /// The most there may be.
    pub bound: usize,
    /// Who was refused.
    pub listener: T,
}

#[cfg(test)]
mod tests;
