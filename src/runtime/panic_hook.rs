//! Where a panic happened.

use std::cell::RefCell;
use std::panic;

thread_local! {
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes the location of panics known to exit reasons, then calls the hook that was there before.
///
/// A panic hook is global to the process and so belongs to the application: the library never installs one by itself.
/// Call this once, at the start of `main`. Without it, reasons hold the panic's text and no location.
pub fn panic_hook() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        LOCATION.with(|location| *location.borrow_mut() = info.location().map(ToString::to_string));
        before(info);
    }));
}

/// Says where a panic happened that is about to go on in another thread than its own.
pub(crate) fn put_location(location: Option<String>) {
    LOCATION.with(|place| *place.borrow_mut() = location);
}

/// The location of the panic that this thread caught last; a panic is caught on the thread on which it happened.
pub(crate) fn take_location() -> Option<String> {
    LOCATION.with(|location| location.borrow_mut().take())
}
