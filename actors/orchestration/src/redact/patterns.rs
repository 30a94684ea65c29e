//! The one table of what a secret looks like, for the [`Redactor`](super::Redactor) and for the secret scan.
//!
//! Everything here works on bytes, so that a scan can read files which are not text. Every range it gives out begins
//! and ends at an ASCII character or at the end, so that in text it never cuts a character.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::assignment;
use super::{Kind, REDACTED};

/// A place that looks like a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// The bytes that are the secret.
    pub(crate) range: Range<usize>,
    /// What it looks like.
    pub(crate) kind: Kind,
    /// How sure that is.
    pub(crate) certainty: Certainty,
}

/// How sure it is that a place is a secret: what is written is redacted on suspicion, a scan names what is likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// The value has the look of a secret.
    Likely,
    /// Only its surroundings say that it may be one.
    Suspected,
}

/// One row of the table. The group `secret` is what is replaced; without it, all of the match.
struct Shape {
    kind: Kind,
    pattern: &'static str,
    /// Looks again at the match and the secret in it, where a pattern alone would take too much.
    judge: fn(&[u8], &[u8]) -> bool,
}

#[rustfmt::skip]
const SHAPES: &[Shape] = &[
    Shape { kind: Kind::BearerToken, judge: bearer,
        pattern: r"(?i)bearer(?:\s+|\s*[:=]\s*)(?P<secret>[A-Za-z0-9._~+/=-]+)" },
    Shape { kind: Kind::BasicCredentials, judge: credentials,
        pattern: r"(?i)basic\s+(?P<secret>[A-Za-z0-9+/_-]{6,}={0,2})" },
    Shape { kind: Kind::AwsKey, judge: any, pattern: r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|AIPA)[A-Z0-9]{16,}" },
    Shape { kind: Kind::GithubToken, judge: any, pattern: r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}" },
    Shape { kind: Kind::GitlabToken, judge: any, pattern: r"glpat-[A-Za-z0-9_-]{16,}" },
    Shape { kind: Kind::SlackToken, judge: any, pattern: r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,}" },
    // The letter before keeps `task-` and `disk-` out.
    Shape { kind: Kind::ApiKey, judge: has_digit,
        pattern: r"(?:\A|[^A-Za-z0-9])(?P<secret>sk-[A-Za-z0-9_-]{16,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,})" },
    Shape { kind: Kind::NpmToken, judge: has_digit, pattern: r"npm_[A-Za-z0-9]{30,}" },
    Shape { kind: Kind::GoogleKey, judge: any, pattern: r"AIza[A-Za-z0-9_-]{30,}" },
    Shape { kind: Kind::Jwt, judge: any,
        pattern: r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]+)?" },
    // A block without its end is taken to the end of the text, one without its beginning from the beginning.
    Shape { kind: Kind::PrivateKey, judge: any,
        pattern: r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----(?s-u:.)*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----|\z)" },
    Shape { kind: Kind::PrivateKey, judge: any,
        pattern: r"\A[A-Za-z0-9+/=\s\\]*-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----" },
    Shape { kind: Kind::UrlPassword, judge: not_a_port,
        pattern: r#"[A-Za-z][A-Za-z0-9+.-]*://[^\s:@/"'<>]*:(?P<secret>[^\s"'<>]+)@"# },
];

static TABLE: LazyLock<Vec<(&'static Shape, Regex)>> = LazyLock::new(|| {
    SHAPES
        .iter()
        .map(|shape| (shape, Regex::new(shape.pattern).expect("the patterns of the table are tested")))
        .collect()
});

/// Every place in `bytes` that looks like a secret, by where it begins. Places may overlap.
pub(crate) fn hits(bytes: &[u8]) -> Vec<Hit> {
    let mut hits = assignment::hits(bytes);
    for (shape, regex) in TABLE.iter() {
        for found in regex.captures_iter(bytes) {
            let whole = found.get(0).expect("group 0 is the match");
            let secret = found.name("secret").unwrap_or(whole);
            let text = secret.as_bytes();
            if is_redacted(text) || is_placeholder(text) || !(shape.judge)(whole.as_bytes(), text) {
                continue;
            }
            hits.push(Hit { range: secret.range(), kind: shape.kind, certainty: Certainty::Likely });
        }
    }
    hits.sort_by_key(|hit| (hit.range.start, hit.range.end));
    hits
}

/// Nothing is left of this secret but the marks of earlier redactions.
pub(super) fn is_redacted(secret: &[u8]) -> bool {
    let mut rest = secret;
    while let Some(next) = rest.strip_prefix(REDACTED.as_bytes()) {
        rest = next;
    }
    rest.is_empty()
}

/// A reference to a variable, such as `$TOKEN` or `${TOKEN}`, is how a secret should be named.
pub(super) fn is_placeholder(secret: &[u8]) -> bool {
    static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\A(?:\$[A-Z_][A-Z0-9_]*|\$\{[A-Za-z0-9_.:-]+\})\z").expect("the pattern is tested")
    });
    PLACEHOLDER.is_match(secret)
}

fn any(_: &[u8], _: &[u8]) -> bool {
    true
}

fn has_digit(_: &[u8], secret: &[u8]) -> bool {
    secret.iter().any(u8::is_ascii_digit)
}

/// `http://host:8080/path@x` has a port, not a password.
fn not_a_port(_: &[u8], secret: &[u8]) -> bool {
    let digits = secret.iter().take_while(|byte| byte.is_ascii_digit()).count();
    !(digits > 0 && matches!(secret.get(digits), Some(b'/' | b'?' | b'#')))
}

/// Tells `Bearer xyz` from prose about bearer tokens.
fn bearer(whole: &[u8], secret: &[u8]) -> bool {
    const PROSE: &[&str] = &[
        "a",
        "an",
        "and",
        "are",
        "auth",
        "authentication",
        "authorisation",
        "authorization",
        "credentials",
        "error=",
        "for",
        "from",
        "header",
        "headers",
        "in",
        "is",
        "must",
        "not",
        "of",
        "or",
        "realm=",
        "scheme",
        "schemes",
        "scope=",
        "should",
        "the",
        "to",
        "token",
        "tokens",
        "was",
        "with",
    ];
    let word = String::from_utf8_lossy(secret).trim_end_matches(['.', '/', '-']).to_ascii_lowercase();
    if word.is_empty() || PROSE.contains(&word.as_str()) {
        return false;
    }
    let said_in_prose = whole.starts_with(b"bearer") && secret.iter().all(u8::is_ascii_lowercase);
    !(said_in_prose && secret.len() < 16)
}

/// Tells `Basic dXNlcjpwYXNz` from prose about basic things: credentials decode to `user:password`.
fn credentials(_: &[u8], secret: &[u8]) -> bool {
    let mut decoded = Vec::with_capacity(secret.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    for &byte in secret.iter().filter(|byte| **byte != b'=') {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        bits = (bits << 6) | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count).to_le_bytes()[0]);
        }
    }
    std::str::from_utf8(&decoded).is_ok_and(|text| text.contains(':') && !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_the_table_compiles() {
        assert_eq!(TABLE.len(), SHAPES.len());
    }

    #[test]
    fn credentials_decode_to_a_user_and_a_password() {
        assert!(credentials(b"", b"dXNlcjpwYXNz"));
        assert!(credentials(b"", b"YWxhZGRpbjpvcGVuc2VzYW1l"));
        assert!(!credentials(b"", b"authentication"));
        assert!(!credentials(b"", b"JavaScript"));
    }

    #[test]
    fn a_variable_is_a_placeholder_and_a_text_is_not() {
        assert!(is_placeholder(b"$TOKEN"));
        assert!(is_placeholder(b"${params.token}"));
        assert!(!is_placeholder(b"$ecret"));
        assert!(!is_placeholder(b"token"));
    }
}
