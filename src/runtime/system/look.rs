//! Looking at a whole system as it stands, without waiting for anybody in it.

use super::System;
use crate::id::Path;
use crate::runtime::guard::lock;
use crate::supervision::intensity::Tally;
use crate::supervision::machine::ChildState;
use crate::supervision::policy::ChildKind;
use crate::supervision::snapshot::{ChildSnapshot, Snapshot, SupervisorView};

impl System {
    /// The whole tree as it stands: states, incarnations, limits used, histories. Prints as text and as Mermaid.
    ///
    /// Taking it never waits for a supervisor: each one's table is read for a moment between two of its steps, also while
    /// it waits for a start or a stop. Each supervisor is shown as it was at one moment; two supervisors may be shown at
    /// moments that lie a little apart.
    ///
    /// ```
    /// use steadfast::{Strategy, SupervisorSpec, System};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let inner = SupervisorSpec::new("inner", Strategy::OneForAll);
    /// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(inner)).await?;
    /// let snapshot = system.snapshot();
    /// assert!(snapshot.find("root/inner").is_some());
    /// println!("{snapshot}");
    /// println!("{}", snapshot.mermaid());
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let at = self.clock().now().saturating_duration_since(self.epoch());
        let mut roots: Vec<Path> = self
            .inner
            .supervisors
            .iter()
            .map(|entry| entry.key().clone())
            .filter(|path| path.parent().is_none())
            .collect();
        // The tree comes first, then what the system keeps beside it.
        roots.sort_by_key(|path| (*path == self.inner.services_path, path.clone()));
        Snapshot::new(at, roots.iter().filter_map(|path| self.view(path)).collect())
    }

    fn view(&self, path: &Path) -> Option<SupervisorView> {
        let published = self.inner.supervisors.get(path).map(|entry| std::sync::Arc::clone(&entry))?;
        let (machine, began) = published.machine()?;
        let now = self.clock().now().saturating_duration_since(began);
        let (mut view, nested) = {
            let machine = lock(&machine);
            let mut view = SupervisorView::new(path.clone(), machine.rules());
            view.used = Tally { count: machine.restarts_in_window(now), limit: machine.rules().intensity };
            view.doing = machine.doing();
            view.queued = machine.waiting();
            view.state = if machine.is_done() { ChildState::Stopped } else { ChildState::Running };
            let mut nested = Vec::new();
            for (key, child) in machine.children() {
                let mut shown = ChildSnapshot::new(child.id.clone(), child.rules);
                shown.state = child.state;
                shown.budget = machine.budget_used(key, now);
                if child.kind == ChildKind::Supervisor {
                    nested.push(view.children.len());
                }
                view.children.push(shown);
            }
            (view, nested)
        };
        // Not under the lock: the table is read, and the supervisor may go on.
        view.incarnation = self.incarnation(path);
        view.restarts_total = published.restarts();
        view.history = published.history();
        for child in &mut view.children {
            if let Some(slot) = self.slot(path.child(&child.id)) {
                child.incarnation = slot.core().incarnation();
                child.lifecycle = child.incarnation.map(|_| slot.core().state().name());
                child.queued = slot.queued();
            }
        }
        for place in nested {
            let below = self.view(&path.child(&view.children[place].id)).map(|mut below| {
                below.state = view.children[place].state;
                Box::new(below)
            });
            view.children[place].nested = below;
        }
        Some(view)
    }
}
