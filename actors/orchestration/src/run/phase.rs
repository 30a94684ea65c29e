//! Where a run and each of its tasks stand, as two machines.
//!
//! Both tables are declared once, in this file. A [`RunState`](crate::run::RunState) says where it stands by
//! [`phase`](crate::run::RunState::phase) and [`status`](crate::run::RunState::status), and no record leads from one
//! state to another than the tables have.

use std::fmt;

/// Makes the states of a machine, and which may follow which, from one declaration.
macro_rules! machine {
    (
        $(#[$doc:meta])*
        $name:ident
        $( $(#[$state_doc:meta])* $state:ident = $word:literal => [$($next:ident),*]; )+
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$state_doc])* $state, )+
        }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: [Self; [$($word),+].len()] = [$( Self::$state ),+];

            /// Those that may follow this one.
            #[must_use]
            pub const fn next(self) -> &'static [Self] {
                match self { $( Self::$state => &[$( Self::$next ),*], )+ }
            }

            /// The word for people and reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$state => $word, )+ }
            }

            /// Whether `next` may follow this one.
            #[must_use]
            pub fn may_become(self, next: Self) -> bool {
                self.next().contains(&next)
            }

            /// Whether nothing follows.
            #[must_use]
            pub const fn is_final(self) -> bool {
                self.next().is_empty()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

machine! {
    /// Where a run stands.
    Phase
    /// Nothing was recorded yet.
    Init = "init" => [Ready];
    /// It is recorded, and no process has taken it up. The first layout of journals goes from here to its plan.
    Ready = "ready" => [Planning, Executing, Validating, Paused, Failed, Cancelled, Drained];
    /// A plan is being made.
    Planning = "planning" => [Executing, Validating, Paused, Failed, Cancelled, BudgetSpent, Drained];
    /// Tasks are carried out.
    Executing = "executing" => [Validating, Paused, Drained];
    /// Every task has its outcome, and what they come to is being settled.
    Validating = "validating" => [Paused, Undoing, Complete, Failed, Cancelled, BudgetSpent];
    /// It stands still until somebody resumes it. What is in flight may be the last that there was to do, so that it ends.
    Paused = "paused" => [
        Ready, Planning, Executing, Validating, Undoing, Complete, Failed, Cancelled, BudgetSpent, Drained
    ];
    /// What was done is undone, the last first.
    Undoing = "undoing" => [Paused, Failed, Cancelled, BudgetSpent];
    /// The goal is reached.
    Complete = "complete" => [];
    /// The goal failed.
    Failed = "failed" => [];
    /// Somebody did not want it any more.
    Cancelled = "cancelled" => [];
    /// A budget is used up.
    BudgetSpent = "budget spent" => [];
    /// It was asked to stop, and nobody keeps it.
    Drained = "drained" => [];
}

machine! {
    /// Where a task of a run stands.
    TaskStatus
    /// For tasks that it needs.
    Waiting = "waiting" => [Ready, Failed, Skipped];
    /// It may be given out.
    Ready = "ready" => [
        Leased, AwaitingApproval, AwaitingSignal, AwaitingTime, ChildRunning, Exhausted, Succeeded, Failed, Skipped
    ];
    /// An agent has it.
    Leased = "leased" => [Validating, Ready, BackingOff, Exhausted, Succeeded, Failed, Skipped];
    /// Its result is judged. Only the process that carries the run on knows of this.
    Validating = "validating" => [Ready, BackingOff, Exhausted, Succeeded, Failed, Skipped];
    /// An attempt failed, and the next one waits for its time.
    BackingOff = "backing off" => [Leased, Exhausted, Failed, Skipped];
    /// A person has to say yes or no.
    AwaitingApproval = "awaiting approval" => [Succeeded, Failed, Skipped];
    /// Something has to happen outside.
    AwaitingSignal = "awaiting signal" => [Succeeded, Failed, Skipped];
    /// A moment has to come.
    AwaitingTime = "awaiting time" => [Succeeded, Failed, Skipped];
    /// It is a goal of its own, which is carried out.
    ChildRunning = "child running" => [Exhausted, Succeeded, Failed, Skipped];
    /// Its attempts are used up, and the run is paused.
    Exhausted = "exhausted" => [Ready, Failed, Skipped];
    /// It did what it should.
    Succeeded = "succeeded" => [Undoing, Undone, UndoFailed];
    /// It failed for good.
    Failed = "failed" => [];
    /// It was not run.
    Skipped = "skipped" => [];
    /// What it did is being undone.
    Undoing = "undoing" => [Undone, UndoFailed];
    /// What it did is undone.
    Undone = "undone" => [];
    /// What it did could not be undone: a person has to look at it.
    UndoFailed = "undo failed" => [];
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair as a table: a row for each state, an `x` where the column's state may follow.
    fn table<S: Copy>(all: &[S], may: impl Fn(S, S) -> bool) -> Vec<String> {
        let row = |from: &S| all.iter().map(|to| if may(*from, *to) { 'x' } else { '.' }).collect();
        all.iter().map(row).collect()
    }

    #[test]
    fn a_run_goes_from_phase_to_phase_as_this_table_says_and_no_other_way() {
        let rows = [
            // IRPEVPUCFCBD
            ".x..........", // init
            "..xxxx..xx.x", // ready
            "...xxx..xxxx", // planning
            "....xx.....x", // executing
            ".....xxxxxx.", // validating
            ".xxxx.xxxxxx", // paused
            ".....x..xxx.", // undoing
            "............", // complete
            "............", // failed
            "............", // cancelled
            "............", // budget spent
            "............", // drained
        ];
        assert_eq!(table(&Phase::ALL, Phase::may_become), rows);
    }

    #[test]
    fn a_task_goes_from_status_to_status_as_this_table_says_and_no_other_way() {
        let rows = [
            // WRLVBASTCESFKUDX
            ".x.........xx...", // waiting
            "..x..xxxxxxxx...", // ready
            ".x.xx....xxxx...", // leased
            ".x..x....xxxx...", // validating
            "..x......x.xx...", // backing off
            "..........xxx...", // awaiting approval
            "..........xxx...", // awaiting signal
            "..........xxx...", // awaiting time
            ".........xxxx...", // child running
            ".x.........xx...", // exhausted
            ".............xxx", // succeeded
            "................", // failed
            "................", // skipped
            "..............xx", // undoing
            "................", // undone
            "................", // undo failed
        ];
        assert_eq!(table(&TaskStatus::ALL, TaskStatus::may_become), rows);
    }

    #[test]
    fn every_state_but_the_first_can_be_reached() {
        assert!(Phase::ALL[1..].iter().all(|to| Phase::ALL.iter().any(|from| from.may_become(*to))));
        assert!(TaskStatus::ALL[1..].iter().all(|to| TaskStatus::ALL.iter().any(|from| from.may_become(*to))));
    }

    #[test]
    fn exactly_the_ends_are_final() {
        let finals: Vec<_> = Phase::ALL.into_iter().filter(|phase| phase.is_final()).collect();
        assert_eq!(finals, [Phase::Complete, Phase::Failed, Phase::Cancelled, Phase::BudgetSpent, Phase::Drained]);
    }
}
