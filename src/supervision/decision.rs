//! The table of restart types: what becomes of a child that ended by itself (rules 17 to 20).

use crate::exit::ExitClass;

use super::policy::Restart;

/// What becomes of a child that ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Decision {
    /// It is started again, as its supervisor's strategy says, if the limit allows.
    Restart,
    /// Its spec stays, without an actor.
    Keep,
    /// Its spec is forgotten.
    Forget,
}

/// Looks up the table.
///
/// | | `Normal` | `Shutdown` | `Abnormal` |
/// |---|---|---|---|
/// | permanent | restart | restart | restart |
/// | transient | keep | keep | restart |
/// | temporary | forget | forget | forget |
///
/// ```
/// use steadfast::ExitReason;
/// use steadfast::supervision::{Decision, Restart, decide};
///
/// assert_eq!(decide(Restart::Transient, ExitReason::Normal.class()), Decision::Keep);
/// assert_eq!(decide(Restart::Transient, ExitReason::Killed.class()), Decision::Restart);
/// ```
pub fn decide(restart: Restart, class: ExitClass) -> Decision {
    match (restart, class) {
        (Restart::Permanent, _) | (Restart::Transient, ExitClass::Abnormal) => Decision::Restart,
        (Restart::Transient, ExitClass::Normal | ExitClass::Shutdown) => Decision::Keep,
        (Restart::Temporary, _) => Decision::Forget,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_restart_type_answers_every_class_of_exit_as_the_table_says() {
        let row = |restart| {
            [ExitClass::Normal, ExitClass::Shutdown, ExitClass::Abnormal].map(|class| match decide(restart, class) {
                Decision::Restart => 'R',
                Decision::Keep => 'K',
                Decision::Forget => 'F',
            })
        };
        let table = [Restart::Permanent, Restart::Transient, Restart::Temporary].map(|r| String::from_iter(row(r)));
        assert_eq!(table, ["RRR", "KKR", "FFF"]);
    }
}
