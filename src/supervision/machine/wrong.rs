//! Where a rule can be broken on purpose, for tests that must notice it.

/// Whether this machine breaks this rule. Always false, at compile time, outside tests.
macro_rules! wrong {
    ($machine:expr, $mutation:ident) => {{
        #[cfg(any(test, feature = "testing"))]
        let wrong = $machine.rules.mutation == Some($crate::supervision::mutation::Mutation::$mutation);
        #[cfg(not(any(test, feature = "testing")))]
        let wrong = false;
        wrong
    }};
}
