//! Wrong rules, for tests that must notice them.
//!
//! A suite of traces shows something only if it fails for a supervisor that breaks a rule. Each value here is one
//! plausible mistake; [`Rules::mutated`](super::Rules::mutated) makes it in one supervisor.

/// Declares the mistakes, each with the rule it breaks.
macro_rules! mutations {
    ($($(#[doc = $doc:literal])* $name:ident breaks $rule:literal,)*) => {
        /// One rule, broken in one plausible way.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Mutation {
            $($(#[doc = $doc])* $name,)*
        }

        impl Mutation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number of the rule that it breaks.
            #[must_use]
            pub const fn rule(self) -> u32 {
                match self { $(Self::$name => $rule,)* }
            }
        }
    };
}

mutations! {
    /// An exit is handled before the requests that were in line when it came.
    ExitsBeforeRequests breaks 3,
    /// A first start that fails is tried again instead of failing the supervisor.
    InitRetries breaks 7,
    /// A temporary child whose start says that there is nothing to run is kept.
    IgnoredTemporaryKept breaks 6,
    /// Any child whose start says that there is nothing to run is forgotten.
    IgnoredForgotten breaks 6,
    /// So is not an instance of a dynamic supervisor, also when that was a restart (quirk Q1).
    IgnoredInstanceKept breaks 37,
    /// Children are stopped in the order in which they were started.
    StopsInStartOrder breaks 10,
    /// Children are killed instead of asked.
    AlwaysKills breaks 11,
    /// A child that does not stop in time is waited for.
    NeverKills breaks 11,
    /// A crash that was in line when the child was stopped with its group is counted again.
    QueuedCrashCounts breaks 14,
    /// Instances that are stopped together are waited for without limit.
    NoCommonTimer breaks 15,
    /// A request to stop goes before what was in line.
    StopJumpsTheQueue breaks 16,
    /// A permanent child is not restarted after a normal end.
    PermanentEndsNormally breaks 17,
    /// A permanent child is not restarted after an orderly stop.
    PermanentEndsOnShutdown breaks 17,
    /// A transient child is restarted after an orderly stop.
    TransientIgnoresShutdown breaks 18,
    /// A transient child is restarted after a normal end.
    TransientIgnoresNormal breaks 18,
    /// A temporary child is restarted after a crash.
    TemporaryRestarted breaks 19,
    /// A temporary child that ended is kept.
    TemporaryKept breaks 19,
    /// A kill from outside counts as an orderly end.
    KilledIsSoft breaks 20,
    /// A group restart counts once for every sibling too.
    GroupCountsEach breaks 21,
    /// A stop on request counts as a restart.
    TerminateCounts breaks 21,
    /// A start on request counts as a restart.
    RestartChildCounts breaks 21,
    /// A child that could not be added counts as a restart.
    FailedChildCounted breaks 21,
    /// One restart more than the intensity is done.
    OneRestartMore breaks 22,
    /// One restart fewer than the intensity is done.
    OneRestartLess breaks 22,
    /// The window begins anew when its first restart is too old.
    WindowTumbles breaks 22,
    /// A restart counts for ever.
    WindowNeverSlides breaks 22,
    /// Every child has a count of its own.
    LimitPerChild breaks 22,
    /// A restart does not count any more at the very end of the period.
    WindowEdge breaks 23,
    /// The window keeps whole seconds, as OTP's does.
    WindowOfWholeSeconds breaks 23,
    /// A supervisor that gives up ends as if it had failed.
    GivesUpAbnormally breaks 24,
    /// One for all restarts only the children after the one that ended.
    OneForAllIsRest breaks 26,
    /// Rest for one restarts all children.
    RestForOneIsAll breaks 27,
    /// Rest for one restarts nobody else.
    RestForOneIsOne breaks 27,
    /// Temporary siblings are restarted with their group.
    TemporarySiblingsKept breaks 28,
    /// Siblings that were stopped before are not started with their group.
    GroupLeavesStoppedAlone breaks 29,
    /// A new child is put first.
    NewChildFirst breaks 30,
    /// A child that was restarted is put last.
    RestartMovesToTheEnd breaks 30,
    /// An instance of a dynamic supervisor that is done is kept.
    DoneInstanceKept breaks 31,
    /// A failed start is tried again before what was in line.
    RetryAtOnce breaks 33,
    /// A retry does not count.
    RetryNotCounted breaks 34,
    /// A retry of one for all leaves alone whom the failed try had started.
    RetryKeepsStarted breaks 35,
    /// A retry of rest for one takes all children.
    RetryTakesAll breaks 36,
    /// A child that is being restarted counts as active.
    RestartingIsActive breaks 38,
    /// A child that is being restarted does not count as present for `all_significant`.
    RestartingIsAbsent breaks 38,
    /// The end of any child shuts the supervisor down.
    AnybodyIsSignificant breaks 39,
    /// `any_significant` waits for all.
    AnyMeansAll breaks 40,
    /// `all_significant` takes the first.
    AllMeansAny breaks 40,
    /// A significant child that is stopped on request shuts the supervisor down.
    TerminateIsAnExit breaks 41,
    /// A child that could not be added is kept, stopped.
    FailedChildKept breaks 43,
    /// A temporary child that is stopped on request is kept.
    TerminatedTemporaryKept breaks 44,
    /// Deleting a running child is answered with ok.
    DeletesRunning breaks 46,
    /// An update leaves the supervisor's own rules as they were.
    UpdateKeepsRules breaks 50,
    /// An update forgets the restarts that were counted.
    UpdateClearsWindow breaks 50,
    /// An update puts the children it does not list first.
    UpdateKeepsOldFirst breaks 51,
    /// An update starts the children it adds.
    UpdateStartsNew breaks 51,
    /// A refused update changes the supervisor's own rules.
    RefusedUpdateTakesRules breaks 52,
}
