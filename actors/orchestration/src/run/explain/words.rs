//! Times, lists and texts as people read them.

use std::time::Duration;

use crate::goal::Span;
use crate::run::id::Millis;

/// The most characters of a line.
pub(crate) const WIDTH: usize = 120;

/// A duration, not finer than matters: `3h5m`, `1m30s`, `1.2s`, `250ms`.
pub(crate) fn span(duration: Duration) -> String {
    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let grain = match millis {
        DAY.. => HOUR,
        HOUR.. => MINUTE,
        MINUTE.. => 1000,
        1000.. => {
            let (seconds, tenths) = (millis / 1000, millis % 1000 / 100);
            return if tenths == 0 { format!("{seconds}s") } else { format!("{seconds}.{tenths}s") };
        }
        _ => 1,
    };
    Span::from_millis(millis - millis % grain).to_string()
}

/// A moment to the second: `2026-11-20T12:01:47Z`.
pub(crate) fn moment(moment: Millis) -> String {
    let text = moment.to_string();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// How long ago something was: `for 3h5m`.
pub(crate) fn lasting(since: Millis, now: Millis) -> String {
    format!("for {}", span(now.since(since)))
}

/// Until when something is: `until 2026-11-20T12:01:47Z, in 3h5m`.
pub(crate) fn until(until: Millis, now: Millis) -> String {
    let left = if until > now { format!("in {}", span(until.since(now))) } else { "which is over".to_owned() };
    format!("until {}, {left}", moment(until))
}

/// A count with its noun: `1 task`, `3 tasks`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Names as people say them: `` `a`, `b` and `c` ``; of many the first ones.
pub(crate) fn names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    const MOST: usize = 6;
    let quoted: Vec<_> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    if quoted.len() > MOST {
        let more = quoted.len() - MOST + 1;
        return format!("{} and {more} more", quoted[..MOST - 1].join(", "));
    }
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// A text in one line, whatever it holds.
pub(crate) fn flat(text: &str) -> String {
    let control = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(control).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text as the end of a clause, where there is one.
pub(crate) fn after_colon(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!(": {}", flat(text)) }
}

/// A text in one line of at most so many characters.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let short: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", short.trim_end())
}

/// A text in lines of at most [`WIDTH`] characters, all but the first of which begin with `indent` blanks. Words longer
/// than a line stay whole, so that what is to be copied can be.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    let words = text.trim_start_matches(' ');
    let first = text.len() - words.len();
    let (mut out, mut at, mut is_first) = (" ".repeat(first), first, true);
    for word in words.split(' ') {
        let length = word.chars().count();
        if !is_first && at + 1 + length > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            at = indent;
        } else if !is_first {
            out.push(' ');
            at += 1;
        }
        is_first = false;
        out.push_str(word);
        at += length;
    }
    out
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A sentence of a clause: it ends with a stop.
pub(crate) fn sentence(clause: &str) -> String {
    let clause = clause.trim_end();
    if clause.ends_with(['.', '!', '?', '…']) { clause.to_owned() } else { format!("{clause}.") }
}

/// A clause that begins with a capital letter, where it does not begin with the name of a task.
pub(crate) fn capitalised(clause: &str) -> String {
    let mut letters = clause.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_not_finer_than_matters() {
        let told = |millis| span(Duration::from_millis(millis));
        assert_eq!([told(0), told(250), told(1000), told(1290), told(59_999)], ["0s", "250ms", "1s", "1.2s", "59.9s"]);
        assert_eq!([told(90_500), told(3_600_000), told(11_159_000)], ["1m30s", "1h", "3h5m"]);
        assert_eq!([told(90_061_000), told(86_400_000 * 400)], ["1d1h", "400d"]);
    }

    #[test]
    fn of_many_names_the_first_are_told_and_how_many_there_are_more() {
        assert_eq!(names(["a"]), "`a`");
        assert_eq!(names(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(names(["a", "b", "c", "d", "e", "f", "g"]), "`a`, `b`, `c`, `d`, `e` and 2 more");
        assert_eq!(names::<&str>([]), "nothing");
    }

    #[test]
    fn a_long_text_is_broken_between_words_and_a_long_word_is_not_broken() {
        let long = format!("{} {}", "word ".repeat(40).trim_end(), "x".repeat(150));
        let lines = wrapped(&long, 4);
        assert!(lines.lines().take(2).all(|line| line.chars().count() <= WIDTH), "{lines}");
        assert!(lines.lines().skip(1).all(|line| line.starts_with("    ")), "{lines}");
        assert!(lines.ends_with(&"x".repeat(150)));
        assert_eq!(flat("one\n two\t\u{1b}[31mthree "), "one two [31mthree");
    }

    #[test]
    fn a_word_that_a_shell_would_read_otherwise_is_quoted() {
        let cases = [("build", "build"), ("digest[3]", "'digest[3]'"), ("it's", r"'it'\''s'"), ("", "''")];
        for (word, shell) in cases {
            assert_eq!(quoted(word), shell);
        }
    }
}
