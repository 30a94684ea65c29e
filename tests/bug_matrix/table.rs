//! Which seed shows each bug of the framework, and what sees it.

use steadfast::testing::Bug;

/// A bug, a seed, and the oracle or ledger that sees it there.
pub(crate) const CAUGHT: &[(Bug, u64, &str)] = &[
    (Bug::GoneWhenAsked, 0, "over-is-over"),
    (Bug::BranchGoneWhenAsked, 0, "leaf-first"),
    (Bug::ForgottenStaysOpen, 1, "registry"),
    (Bug::TimerOfTheEnded, 0, "nothing-alive"),
    (Bug::AddedStayOpen, 4, "waits"),
    (Bug::DozeMissesMessage, 47, "waits"),
    (Bug::RousedAfterItsEnd, 19, "numbers"),
    (Bug::EndedIsNotFenced, 1, "fenced"),
    (Bug::FencedIsHeard, 3, "fenced"),
    (Bug::HandIsLost, 0, "ledger"),
    (Bug::HandGoesBehind, 3, "order"),
    (Bug::RestNotWoken, 9, "waits"),
    (Bug::ShedIsLost, 0, "ledger"),
    (Bug::ExpiredIsHandled, 0, "ledger"),
    (Bug::DrainLosesHand, 0, "ledger"),
    (Bug::PauseOutlivesLife, 3, "waits"),
    (Bug::AskWaitsForRoom, 1, "asks"),
    (Bug::PermitIsKept, 9, "permits"),
    (Bug::RefusedAgainIsLost, 1, "drops"),
    (Bug::PlacedIsBuried, 0, "ledger"),
    (Bug::BuriedTwice, 1, "ledger"),
    (Bug::DropToldTwice, 1, "drops"),
    (Bug::RegistrationNotRepeated, 5, "registry"),
    (Bug::WithdrawnIsFound, 1, "registry"),
    (Bug::ForgottenIsFound, 1, "registry"),
    (Bug::ProbeIsLost, 9, "routes"),
    (Bug::LentTwice, 1, "pool"),
    (Bug::TimerOutlivesLife, 1, "timer"),
    (Bug::AcknowledgedFirst, 2, "journal"),
    (Bug::FencedWriterLetIn, 2, "journal"),
    (Bug::DoubtfulRepeated, 2, "journal"),
];
