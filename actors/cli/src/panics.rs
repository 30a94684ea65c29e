//! Panics of agents, on one redacted line each.

use std::panic::PanicHookInfo;

use crate::screen::Screen;

/// Replaces Rust's own hook, which would print a panic's text as it is.
pub(crate) fn install(screen: &Screen) {
    let screen = screen.clone();
    std::panic::set_hook(Box::new(move |info| screen.panic(&line(info))));
    // Makes the place of a panic known to exit reasons, and calls ours.
    steadfast::panic_hook();
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let text = info.payload_as_str().unwrap_or("a value that is no text");
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
    // One panic is one line, so that they can be counted.
    format!("panic: thread `{thread}` panicked at {place}: {}", text.replace(['\n', '\r'], " "))
}
