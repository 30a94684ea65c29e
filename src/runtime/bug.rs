//! Where a mistake can be made on purpose, for tests that must notice it.

/// Whether this system makes this mistake. Always false, at compile time, where steadfast has no feature `testing`:
/// also for crates that stand on it.
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
#[macro_export]
macro_rules! bug_on_purpose {
    ($of:expr, $bug:ident) => {
        $of.has_bug($crate::testing::Bug::$bug)
    };
}

/// Whether this system makes this mistake: it makes none.
#[cfg(not(any(test, feature = "testing")))]
#[doc(hidden)]
#[macro_export]
macro_rules! bug_on_purpose {
    ($of:expr, $bug:ident) => {{
        let _ = &$of;
        let makes_it = false;
        makes_it
    }};
}
