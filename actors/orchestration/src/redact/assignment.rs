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

/// How much of a value is looked at to see whether it has the look of a secret.
const LOOKED_AT: usize = 256;

/// How a value is bound to its name.
#[derive(Clone, Copy)]
struct Binding {
    /// The name is in quotes, as in JSON.
    quoted_name: bool,
    /// `name=value`, as in a shell or a query.
    tight: bool,
    /// What may stand behind such a name.
    name: Name,
}

/// What a name says about what stands behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// `password`, `api_key`: hardly ever anything but a secret.
    Telling,
    /// `token`, `secret`, `auth`: also a word of prose and code.
    Everyday,
    /// `authorization`: a header, whose value is all of the line.
    Header,
}

impl Binding {
    /// Prose and code may follow, not a secret alone.
    fn may_be_prose(self) -> bool {
        self.name != Name::Telling
    }
}

/// Every assigned value in `bytes`.
pub(super) fn hits(bytes: &[u8]) -> Vec<Hit> {
    let mut reader = Reader { bytes, run: (0..0, (false, false)), brackets: 0 };
    let mut hits: Vec<Hit> = ASSIGNED.captures_iter(bytes).filter_map(|found| reader.after_name(&found)).collect();
    hits.extend(FLAG.captures_iter(bytes).filter_map(|found| {
        let start = found.get(0).expect("group 0 is the match").end();
        let binding = Binding { tight: false, ..binding(&found) };
        if matches!(bytes.get(start), None | Some(b'-' | b'<' | b'[')) {
            return None;
        }
        reader.hit(start, binding)
    }));
    hits
}

fn binding(found: &Captures<'_>) -> Binding {
    let name = found["name"].to_ascii_lowercase();
    let separator = found.name("sep").map_or(&b""[..], |sep| sep.as_bytes());
    Binding {
        quoted_name: found.name("close").is_some(),
        tight: separator == b"=",
        name: match name.as_slice() {
            b"authorization" => Name::Header,
            b"token" | b"secret" | b"auth" => Name::Everyday,
            _ => Name::Telling,
        },
    }
}

/// Reads values, and remembers where the last long ones ended: a name may stand again in its own value, many times.
struct Reader<'b> {
    bytes: &'b [u8],
    /// The last unquoted run, and by which rules it ends: behind a quoted name, to the end of the line.
    run: (Range<usize>, (bool, bool)),
    /// Where the last object or list ended.
    brackets: usize,
}

impl Reader<'_> {
    fn after_name(&mut self, found: &Captures<'_>) -> Option<Hit> {
        let bytes = self.bytes;
        let start = found.get(0).expect("group 0 is the match").end();
        // `==` compares and `::` is a path: neither assigns.
        let separator = found["sep"].trim_ascii_end();
        let doubled = separator
            .last()
            .is_some_and(|last| separator.len() == found["sep"].len() && bytes.get(start) == Some(last));
        let binding = binding(found);
        // `Token => …` is an arm of a match more often than an entry of a map.
        let arm = separator.ends_with(b"=>") && !binding.quoted_name && binding.may_be_prose();
        if doubled || arm || is_host_with_port(bytes, found) {
            return None;
        }
        self.hit(start, binding)
    }

    fn hit(&mut self, start: usize, binding: Binding) -> Option<Hit> {
        let bytes = self.bytes;
        let (range, quoted) = if let Some(range) = quoted(bytes, start) {
            let content = &bytes[range.clone()];
            // In prose a backtick may as well end a piece of code, as in "behind `token:` and".
            let spaced = content.iter().take(LOOKED_AT).any(u8::is_ascii_whitespace);
            if bytes[start] == b'`' && binding.may_be_prose() && (spaced || reads_as_a_word(content)) {
                return None;
            }
            (range, true)
        } else {
            (self.unquoted(start, binding)?, false)
        };
        let value = &bytes[range.clone()];
        if is_redacted(value)
            || is_placeholder(value)
            || (binding.name == Name::Header && is_placeholder(after_scheme(value)))
        {
            return None;
        }
        let literal = quoted || binding.tight || binding.name == Name::Header;
        let certainty =
            if literal && looks_secret(after_scheme(value)) { Certainty::Likely } else { Certainty::Suspected };
        Some(Hit { range, kind: Kind::Assignment, certainty })
    }

    fn unquoted(&mut self, start: usize, binding: Binding) -> Option<Range<usize>> {
        let bytes = self.bytes;
        if binding.quoted_name && matches!(bytes.get(start), Some(b'{' | b'[')) {
            if start < self.brackets {
                // The object or list around it is taken out whole.
                return None;
            }
            self.brackets = start + bracketed(&bytes[start..]);
            return Some(start..self.brackets);
        }
        let run = &bytes[start..self.run_end(start, binding)];
        let value = run.trim_ascii_end();
        let bare = value.trim_ascii_start();
        if bare.is_empty()
            || bare.starts_with(b"//")
            || is_constant(bare)
            || (!binding.tight && reads_as_code(bare, binding))
        {
            return None;
        }
        let skipped = value.len() - bare.len();
        Some(start + skipped..start + value.len())
    }

    /// Where the unquoted text that begins here ends.
    fn run_end(&mut self, start: usize, binding: Binding) -> usize {
        let rules = (binding.quoted_name, binding.name == Name::Header);
        if self.run.1 == rules && self.run.0.contains(&start) {
            return self.run.0.end;
        }
        let rest = &self.bytes[start..];
        let stops = |at: usize| match rest[at] {
            b'"' | b'\'' | b'`' | b'\n' | b'\r' => true,
            b'\\' => matches!(rest.get(at + 1), Some(b'"' | b'\'')),
            b',' | b'}' | b']' => binding.quoted_name,
            byte => byte.is_ascii_whitespace() && binding.name != Name::Header,
        };
        let end = start + (0..rest.len()).find(|at| stops(*at)).unwrap_or(rest.len());
        self.run = (start..end, rules);
        end
    }
}

/// `http://auth:8080/` names a host, not a secret.
fn is_host_with_port(bytes: &[u8], found: &Captures<'_>) -> bool {
    let (name, whole) =
        (found.name("name").map_or(0, |name| name.start()), found.get(0).map_or(0, |whole| whole.end()));
    let host = bytes[..name].iter().rev().take(LOOKED_AT);
    let length = host.take_while(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte)).count();
    let digits = bytes[whole..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let after = bytes.get(whole + digits).is_none_or(|byte| byte.is_ascii_whitespace() || b"/?#\"'`,;)".contains(byte));
    &found["sep"] == b":" && bytes[..name - length].ends_with(b"://") && (1..=5).contains(&digits) && after
}

/// `true`, `null` and their like, in any language.
fn is_constant(value: &[u8]) -> bool {
    let start = &value[..value.len().min(16)];
    let constants: [&[u8]; 6] = [b"true", b"false", b"null", b"none", b"nil", b"undefined"];
    constants.iter().any(|constant| trimmed(start).eq_ignore_ascii_case(constant))
}

/// A word of prose, an expression of code, or punctuation.
fn reads_as_code(value: &[u8], binding: Binding) -> bool {
    (binding.may_be_prose() && reads_as_a_word(value))
        || reads_as_an_expression(value)
        || !value.iter().any(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
}

/// The beginning of the credentials of an `Authorization` header, without the name of their scheme.
fn after_scheme(value: &[u8]) -> &[u8] {
    let value = &value[..value.len().min(LOOKED_AT)];
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

/// What a person would take for a secret: at least six characters in one run, letters and digits.
fn looks_secret(value: &[u8]) -> bool {
    let plain =
        value.len() >= 6 && !value.iter().any(|byte| byte.is_ascii_whitespace() || b"${}<>()%\\".contains(byte));
    let lower = value.to_ascii_lowercase();
    let example = [&b"example"[..], b"changeme", b"xxxx", b"redacted", b"your"]
        .iter()
        .any(|word| lower.windows(word.len()).any(|window| window == *word));
    plain && !example && value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic)
}
