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

#[cfg(test)]
mod tests {
    use steadfast_orchestration::redact::Redactor;

    use super::*;
    use crate::screen::tests::Kept;

    #[test]
    fn a_panic_is_one_line_without_its_secrets() {
        let kept = Kept::default();
        let screen = kept.screen();
        screen.redact_by(&Redactor::new().with_literals(["correct horse"]));
        let before = std::panic::take_hook();
        install(&screen);
        let panicked = std::thread::spawn(|| panic!("it is\ncorrect horse, and password=hunter2hunter2")).join();
        std::panic::set_hook(before);
        assert!(panicked.is_err());
        let text = kept.text(&screen);
        let lines: Vec<_> = text.lines().filter(|line| line.contains("panicked at")).collect();
        assert!(lines.len() == 1 && lines[0].contains("it is ***REDACTED***"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("correct horse"), "{text}");
    }
}
