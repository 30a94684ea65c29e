//! Names of processes as people read them: `process 42`, without what tells it from every other process that ever was.
//! Records and JSON keep the whole name.

use std::borrow::Cow;

/// How the name of a process begins.
const PROCESS: &str = "process ";

/// How long an id is.
const ID: usize = 36;

/// The text with the names of processes in it cut short.
pub(crate) fn short(text: &str) -> Cow<'_, str> {
    let (mut told, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(PROCESS) {
        let number = &rest[at + PROCESS.len()..];
        let digits = number.bytes().take_while(u8::is_ascii_digit).count();
        let (kept, behind) = rest.split_at(at + PROCESS.len() + digits);
        told.push_str(kept);
        rest = behind;
        if digits > 0 {
            rest = &rest[more(rest)..];
        }
    }
    if told.is_empty() {
        return Cow::Borrowed(text);
    }
    told.push_str(rest);
    Cow::Owned(told)
}

/// How much of the text behind the number of a process still belongs to its name: the id, and whose part it is.
fn more(text: &str) -> usize {
    let blanks = text.len() - text.trim_start().len();
    let id = &text[blanks..];
    if blanks == 0 || !id.starts_with('(') || !id.get(1..=ID).is_some_and(is_id) || !id[1 + ID..].starts_with(')') {
        return 0;
    }
    let length = blanks + ID + 2;
    let part = text[length..].strip_prefix(':').unwrap_or_default();
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '`' | ')');
    match part.find(ends).unwrap_or(part.len()) {
        0 => length,
        part => length + 1 + part,
    }
}

fn is_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_is_its_number_wherever_a_line_was_broken() {
        let id = "01a2196a-79ee-7000-95f0-8b4892bec71e";
        for (whole, told) in [
            (format!("taken up by process 5259 ({id}):root/goals/{id}#1"), "taken up by process 5259"),
            (format!("by process 7\n    ({id}):root/x#1,\n    2026"), "by process 7,\n    2026"),
            (
                format!("`process 7 ({id})` carries it, as process 8 ({id}) did"),
                "`process 7` carries it, as process 8 did",
            ),
            (format!("process 7 ({id}): it ended"), "process 7: it ended"),
        ] {
            assert_eq!(short(&whole), told);
        }
        for other in [
            "no process carries it",
            "process 7 (on vm)",
            "process x",
            "process 7 (ü",
            "a process ",
            &format!("process 7({id})"),
        ] {
            assert_eq!(short(other), other);
        }
    }
}
