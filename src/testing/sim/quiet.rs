//! Panics of runs that only look for a smaller plan: a hundred of them would hide the one that matters.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// From now on panics of this thread are not printed.
///
/// The hook of the process is kept, and asked for all other threads. It is wrapped once, when the first test fails.
pub(super) fn be_quiet() {
    static WRAPPED: Once = Once::new();
    WRAPPED.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                hook(info);
            }
        }));
    });
    IS_QUIET.set(true);
}
