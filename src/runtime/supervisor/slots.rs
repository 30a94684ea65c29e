//! The slots of a supervisor's children: made, renewed, at rest, closed.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use super::{Child, SupervisorState};
use crate::id::{ChildId, Path};
use crate::runtime::guard::lock;
use crate::runtime::slot::AnySlot;
use crate::runtime::spec::ChildSpec;
use crate::runtime::system::{Published, System};
use crate::supervision::machine::{ChildKey, ChildState};
use crate::supervision::policy::ChildKind;

/// The slot of a child that is about to be known: the one that its path has, unless it is of another kind of child.
pub(super) fn child_slot(system: &System, spec: &ChildSpec, path: &Path) -> Arc<dyn AnySlot> {
    let slot = match system.slot(path) {
        Some(slot) if is_for(system, spec, &slot) => {
            spec.renew(system, &slot);
            slot
        }
        Some(other) => system.replace_slot(&*other, spec.slot(system, path.clone())),
        None => system.slot_or(spec.slot(system, path.clone())),
    };
    slot.awaited();
    slot
}

/// Whether a slot is of the kind of child that this spec describes. A plain actor and a supervisor have the same type
/// of slot.
fn is_for(system: &System, spec: &ChildSpec, slot: &Arc<dyn AnySlot>) -> bool {
    let is_known = |path| system.known_supervisor(path).is_some();
    spec.fits(slot) && (spec.rules.kind == ChildKind::Supervisor || !is_known(&slot.core().path))
}

/// Closes what an earlier incarnation left behind: the slots of children that are not part of this one. An update of
/// the supervisor above took them away, or the earlier one was given up and could not forget those that were added.
pub(super) fn clear(system: &System, published: &Published, path: &Path, spec: &[ChildSpec]) {
    let Some((before, _)) = published.machine() else { return };
    if bug_on_purpose!(system, AddedStayOpen) {
        return;
    }
    let before: Vec<ChildId> = {
        let before = lock(&before);
        // Nearly always: nothing was added or taken away.
        if before.children().map(|(_, child)| child.id).eq(spec.iter().map(|child| &child.name)) {
            return;
        }
        before.children().map(|(_, child)| child.id.clone()).collect()
    };
    let stay: BTreeSet<&str> = spec.iter().map(|child| child.name.as_str()).collect();
    for id in before.iter().filter(|id| !stay.contains(id.as_str())) {
        system.drop_slots(&path.child(id));
    }
}

impl SupervisorState {
    /// The child is started as this spec says from now on.
    pub(super) fn adopt(&mut self, key: ChildKey, id: &ChildId, mut spec: ChildSpec) {
        spec.name = id.clone();
        let path = self.path.child(id);
        // What an update of the supervisor at this path said is older than this.
        if spec.rules.kind == ChildKind::Supervisor {
            self.system.forget_update(&path);
        }
        if let Some(child) = self.children.get_mut(&key) {
            child.own = Some(Box::new(spec));
            child.renewed = true;
        } else {
            let slot = child_slot(&self.system, &spec, &path);
            self.children.insert(key, Child::added(spec, slot));
        }
    }

    /// Makes the slot of a child fit for its next life, where an update brought a new spec.
    pub(super) fn renew(&mut self, key: ChildKey) {
        let Some(child) = self.children.get_mut(&key) else { return };
        if !mem::take(&mut child.renewed) {
            return;
        }
        let path = child.slot.core().path.clone();
        let spec = child.spec(key, &self.first);
        let (slot, kind) = (child_slot(&self.system, spec, &path), spec.rules.kind);
        (child.slot, child.kind) = (slot, kind);
    }

    /// Messages to this child, and to all below it, are refused from now on.
    pub(super) fn forget(&mut self, key: ChildKey) {
        let Some(child) = self.children.remove(&key) else { return };
        // On purpose: it is forgotten here alone.
        if !bug_on_purpose!(self.system, ForgottenStaysOpen) {
            self.close(&child);
        }
    }

    /// Closes the slots of a child that will not come back. One that came by request leaves nothing behind: there may
    /// be very many of them, one after the other.
    pub(super) fn close(&self, child: &Child) {
        let path = &child.slot.core().path;
        match child.kind {
            _ if child.added => self.system.drop_slots(path),
            ChildKind::Worker => child.slot.close(),
            ChildKind::Supervisor => self.system.each_within(path, |slot| slot.close()),
        }
    }

    /// Messages to this child, and to all below it, are refused until it is started again.
    pub(super) fn rest(&self, key: ChildKey) {
        let Some(child) = self.children.get(&key) else { return };
        match child.kind {
            ChildKind::Worker => child.slot.rest(),
            ChildKind::Supervisor => self.system.each_within(&child.slot.core().path, |slot| slot.rest()),
        }
    }

    /// Messages to all children are refused: none comes back, as the system ends. Those further below were told by
    /// their own supervisors.
    pub(super) fn rest_all(&self) {
        let mut slots: Vec<_> = self.children.values().map(|child| &child.slot).collect();
        slots.sort_unstable_by(|one, other| one.core().path.cmp(&other.core().path));
        for slot in slots {
            slot.rest();
        }
    }

    /// The kind of a child's present life.
    pub(super) fn kind(&self, key: ChildKey) -> Option<ChildKind> {
        self.children.get(&key).map(|child| child.kind)
    }
}

impl System {
    /// Calls this for the slots of the child at this path and of all below it, parents first.
    pub(crate) fn each_within(&self, path: &Path, act: impl Fn(&dyn AnySlot)) {
        for path in self.paths_within(path, |_| true) {
            if let Some(slot) = self.slot(&path) {
                act(&*slot);
            }
        }
    }

    /// This path and those of all children below it, as their supervisors know them; parents first, and each
    /// supervisor's in the order of its list. Only of those children that the test lets through, and what is below them.
    ///
    /// Found from one supervisor to the next: a search through all paths of the system would cost each child that is
    /// forgotten as much as there are others.
    pub(crate) fn paths_within(&self, path: &Path, takes: impl Fn(ChildState) -> bool) -> Vec<Path> {
        let (mut found, mut line) = (Vec::new(), vec![path.clone()]);
        while let Some(path) = line.pop() {
            if let Some((machine, _)) = self.known_supervisor(&path).and_then(|published| published.machine()) {
                let machine = lock(&machine);
                let children = machine.children().filter(|(_, child)| takes(child.state));
                let first = line.len();
                line.extend(children.map(|(_, child)| path.child(child.id)));
                line[first..].reverse();
            }
            found.push(path);
        }
        found
    }
}
