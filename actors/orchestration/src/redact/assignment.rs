//! Finds values that are assigned to a name such as `password`, in text of any format.
//!
//! `password=x`, `"token": "x"`, `api_key = 'x'`, `--secret x`, `Authorization: Bearer x`, also inside of quoted and
//! escaped text. In text that is code or prose an unquoted value may be an expression or a word; the rules for that
//! are in [`reads_as_a_word`] and [`reads_as_an_expression`].

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use super::Kind;
use super::patterns::{Certainty, Hit, is_placeholder, is_redacted};

static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(?P<name>password|passwd|passphrase|pwd|api[_-]?key|access[_-]?key|private[_-]?key|secret|token",
        r#"|authorization|auth)(?P<close>\\*["'])?(?P<sep>[ \t]*(?:=>|:=|=|:)[ \t]*)"#,
    ))
    .expect("the pattern is tested")
});

static FLAG: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)--(?:[a-z0-9]+-)*(?P<name>password|passwd|passphrase|api-?key|secret|token|auth)[ \t]+")
        .expect("the pattern is tested")
});

/// How a value is bound to its name.
#[derive(Clone, Copy)]
struct Binding {
    /// The name is in quotes, as in JSON.
    quoted_name: bool,
    /// `name=value`, as in a shell or a query.
    tight: bool,
    /// The name is also a word of prose and code: `token`, `secret`, `auth`.
    everyday: bool,
    /// The whole line is the value.
    header: bool,
}

/// Every assigned value in `bytes`.
pub(super) fn hits(bytes: &[u8]) -> Vec<Hit> {
    let assigned = ASSIGNED.captures_iter(bytes).filter_map(|found| after_name(bytes, &found));
    let flags = FLAG.captures_iter(bytes).filter_map(|found| {
        let start = found.get(0).expect("group 0 is the match").end();
        let binding = Binding { tight: false, ..binding(&found) };
        if matches!(bytes.get(start), None | Some(b'-' | b'<' | b'[')) {
            return None;
        }
        hit(bytes, start, binding)
    });
    assigned.chain(flags).collect()
}

fn binding(found: &Captures<'_>) -> Binding {
    let name = found["name"].to_ascii_lowercase();
    let separator = found.name("sep").map_or(&b""[..], |sep| sep.as_bytes());
    Binding {
        quoted_name: found.name("close").is_some(),
        tight: separator == b"=",
        everyday: matches!(name.as_slice(), b"token" | b"secret" | b"auth" | b"authorization"),
        header: name == b"authorization",
    }
}

fn after_name(bytes: &[u8], found: &Captures<'_>) -> Option<Hit> {
    let start = found.get(0).expect("group 0 is the match").end();
    // `==` compares and `::` is a path: neither assigns.
    let separator = found["sep"].trim_ascii_end();
    let doubled =
        separator.last().is_some_and(|last| separator.len() == found["sep"].len() && bytes.get(start) == Some(last));
    if doubled {
        return None;
    }
    hit(bytes, start, binding(found))
}

fn hit(bytes: &[u8], start: usize, binding: Binding) -> Option<Hit> {
    let (range, quoted) = if let Some(range) = quoted(bytes, start) {
        let backtick = bytes[start] == b'`';
        if backtick && binding.everyday && reads_as_a_word(&bytes[range.clone()]) {
            return None;
        }
        (range, true)
    } else {
        (unquoted(bytes, start, binding)?, false)
    };
    let value = &bytes[range.clone()];
    if is_redacted(value) || is_placeholder(value) || (binding.header && is_placeholder(after_scheme(value))) {
        return None;
    }
    let literal = quoted || binding.tight || binding.header;
    let certainty = if literal && looks_secret(after_scheme(value)) { Certainty::Likely } else { Certainty::Suspected };
    Some(Hit { range, kind: Kind::Assignment, certainty })
}

/// The credentials of an `Authorization` header, without the name of their scheme.
fn after_scheme(value: &[u8]) -> &[u8] {
    let gap = value.iter().position(u8::is_ascii_whitespace);
    gap.map_or(value, |gap| value[gap..].trim_ascii())
}

/// The text between quotes, which may be escaped themselves, when `start` is at a quote.
fn quoted(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let escapes = bytes[start..].iter().take_while(|byte| **byte == b'\\').count();
    let quote = *bytes.get(start + escapes).filter(|byte| matches!(byte, b'"' | b'\'' | b'`'))?;
    let open = start + escapes + 1;
    if escapes == 0 && bytes[open..].starts_with(&[quote, quote]) {
        let inner = open + 2;
        let length = bytes[inner..].windows(3).position(|three| three == [quote; 3]).unwrap_or(bytes.len() - inner);
        return Some(inner..inner + length);
    }
    let mut run = 0;
    for (offset, byte) in bytes[open..].iter().enumerate() {
        let at = open + offset;
        match *byte {
            b'\\' => run += 1,
            b'\n' | b'\r' if quote != b'"' => return Some(open..at),
            // As many backslashes as before the opening quote close it; more belong to a quote inside of the text.
            found if found == quote && (run == escapes || (escapes == 0 && run % 2 == 0)) => {
                return Some(open..at - escapes);
            }
            _ => run = 0,
        }
    }
    Some(open..bytes.len())
}

fn unquoted(bytes: &[u8], start: usize, binding: Binding) -> Option<Range<usize>> {
    let rest = &bytes[start..];
    if binding.quoted_name && matches!(rest.first(), Some(b'{' | b'[')) {
        return Some(start..start + bracketed(rest));
    }
    let stops = |at: usize| match rest[at] {
        b'"' | b'\'' | b'`' => true,
        b'\\' => matches!(rest.get(at + 1), Some(b'"' | b'\'')),
        b',' | b'}' | b']' => binding.quoted_name,
        b'\n' | b'\r' => true,
        byte => byte.is_ascii_whitespace() && !binding.header,
    };
    let length = (0..rest.len()).find(|at| stops(*at)).unwrap_or(rest.len());
    let value = rest[..length].trim_ascii_end();
    let bare = value.trim_ascii_start();
    let constant = matches!(
        trimmed(bare).to_ascii_lowercase().as_slice(),
        b"true" | b"false" | b"null" | b"none" | b"nil" | b"undefined"
    );
    if constant || bare.starts_with(b"//") || bare.is_empty() {
        return None;
    }
    if !binding.tight {
        let word = binding.everyday && reads_as_a_word(bare);
        if word
            || reads_as_an_expression(bare)
            || !bare.iter().any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
        {
            return None;
        }
    }
    let skipped = value.len() - bare.len();
    Some(start + skipped..start + value.len())
}

/// The length of a JSON object or list at the start of `rest`; all of it when it does not end.
fn bracketed(rest: &[u8]) -> usize {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    rest.len()
}

fn trimmed(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|byte| !b",;.:)}]!?".contains(byte)).map_or(0, |last| last + 1);
    &value[..end]
}

/// A short word or name without digits, as in "unexpected token: found" or `token: next_token,`.
fn reads_as_a_word(value: &[u8]) -> bool {
    let word = trimmed(value);
    word.len() < 24 && word.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.'))
}

/// Code that names or makes a value: `&str`, `Option<String>`, `Token::new()`, `read_token(path)`, `String,`.
fn reads_as_an_expression(value: &[u8]) -> bool {
    static EXPRESSION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"\A(?:&|<|(?:String|str|string|bool|boolean|number|int|bytes|Vec|Value|Self)[,;)]*\z",
            r"|[A-Za-z_][A-Za-z_0-9]*(?:\.[A-Za-z_]+)*(?:::|\(|<[A-Z&]))",
        ))
        .expect("the pattern is tested")
    });
    EXPRESSION.is_match(value)
}

/// What a person would take for a secret: a run of at least six characters with a digit or an odd mix of cases.
fn looks_secret(value: &[u8]) -> bool {
    let plain =
        value.len() >= 6 && !value.iter().any(|byte| byte.is_ascii_whitespace() || b"${}<>()%\\".contains(byte));
    let lower = value.to_ascii_lowercase();
    let example = [&b"example"[..], b"changeme", b"xxxx", b"redacted", b"your"]
        .iter()
        .any(|word| lower.windows(word.len()).any(|window| window == *word));
    plain && !example && value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic)
}
