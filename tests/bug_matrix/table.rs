//! Which seed shows each bug of the framework, and what sees it.

use steadfast::testing::Bug;

/// A bug, a seed, and the oracle or ledger that sees it there.
pub(crate) const CAUGHT: &[(Bug, u64, &str)] = &[];
