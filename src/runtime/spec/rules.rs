//! The settings that every kind of child spec has.

use std::sync::Arc;

use crate::supervision::policy::ChildRules;

/// The same rules but for one. They are shared: siblings mostly have the same.
pub(crate) fn changed(rules: Arc<ChildRules>, change: impl FnOnce(ChildRules) -> ChildRules) -> Arc<ChildRules> {
    Arc::new(change(Arc::unwrap_or_clone(rules)))
}

/// The builder methods for a child's rules, of a type with a field `rules`, which is shared.
macro_rules! child_rules_methods {
    () => {
        /// Whether the child comes back.
        #[must_use]
        pub fn restart(mut self, restart: Restart) -> Self {
            self.rules = $crate::runtime::spec::rules::changed(self.rules, |rules| rules.restart(restart));
            self
        }

        /// How the child is ended.
        #[must_use]
        pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
            self.rules = $crate::runtime::spec::rules::changed(self.rules, |rules| rules.shutdown(shutdown));
            self
        }

        /// The child's end counts for the automatic shutdown of its supervisor, which must say which it has (rule 39).
        #[must_use]
        pub fn significant(mut self) -> Self {
            self.rules = $crate::runtime::spec::rules::changed(self.rules, |rules| rules.significant());
            self
        }

        /// Restarts of the child wait. Its supervisor goes on meanwhile; a group waits as one.
        #[must_use]
        pub fn backoff(mut self, backoff: Backoff) -> Self {
            self.rules = $crate::runtime::spec::rules::changed(self.rules, |rules| rules.backoff(backoff));
            self
        }

        /// Gives the child an intensity of its own: its restarts count here and not at the supervisor. When it runs out
        /// the child is quarantined (stopped, reported, kept), and its siblings carry on.
        #[must_use]
        pub fn budget(mut self, budget: Intensity) -> Self {
            self.rules = $crate::runtime::spec::rules::changed(self.rules, |rules| rules.budget(budget));
            self
        }

        /// How long a start may take; a child that is not ready by then has failed to start. Without it, as in OTP, a
        /// start may take for ever.
        #[must_use]
        pub fn start_deadline(mut self, limit: Duration) -> Self {
            self.rules = $crate::runtime::spec::rules::changed(self.rules, |rules| rules.start_deadline(limit));
            self
        }

        /// A transient child is forgotten when it ends softly, instead of staying in the list, stopped.
        #[must_use]
        pub fn forget_when_done(mut self) -> Self {
            self.rules = $crate::runtime::spec::rules::changed(self.rules, |rules| rules.forget_when_done());
            self
        }

        /// The siblings that must have started before this child, which must stand before it in the list. With none it
        /// may start at once; without this setting it starts after all that stand before it. Children that do not need
        /// each other are started at the same time, and stopped in the reverse order of need.
        #[must_use]
        pub fn after<'a>(mut self, siblings: impl IntoIterator<Item = &'a str>) -> Self {
            // What is not a name is found with the names that no sibling has.
            self.rules = $crate::runtime::spec::rules::changed(self.rules, |rules| {
                rules.after(siblings.into_iter().map(ChildId::unchecked))
            });
            self
        }
    };
}
