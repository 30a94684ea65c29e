//! Takes secrets out of everything that is written.
//!
//! What later tasks receive, what is journaled, reported and digested is one and the same redacted value. Three things
//! make a secret: the key it stands under, what it looks like, and being one of the literal texts that were given.
//!
//! # Invariants
//!
//! * Redacting twice is redacting once: a redacted value is a fixed point.
//! * Text that holds nothing of the kind is given back unchanged, byte by byte.
//!
//! # Limits
//!
//! A reference to a variable (`$TOKEN`, `${TOKEN}`) is not a secret. In prose and code an unquoted value behind
//! `token:`, `secret =` or `auth:` is left alone when it is a plain word or an expression. Literal texts that are
//! shorter than [`SHORTEST_LITERAL`] are not searched for: they would be found everywhere. The same holds for words
//! shorter than [`SHORTEST_WORD`], which are searched for in what belongs to others too.

mod assignment;
pub(crate) mod patterns;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What stands in the place of a secret.
pub const REDACTED: &str = "***REDACTED***";

/// How many characters a literal text needs to be searched for.
pub const SHORTEST_LITERAL: usize = 4;

/// How many characters a text needs to be searched for as a whole word.
pub const SHORTEST_WORD: usize = 8;

/// The keys whose values are secrets, whatever their type, in any case, at any depth, also behind other words.
pub const SECRET_KEYS: [&str; 6] = ["password", "token", "secret", "api_key", "authorization", "auth"];

/// How often a text is looked at again after something was taken out of it. Each round takes out more, so that few
/// are ever needed.
const ROUNDS: usize = 16;

/// What a secret was recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// It stands under one of the [`SECRET_KEYS`].
    Key,
    /// A token behind `Bearer`.
    BearerToken,
    /// A user and a password behind `Basic`.
    BasicCredentials,
    /// An access key of AWS.
    AwsKey,
    /// A token of GitHub.
    GithubToken,
    /// A token of GitLab.
    GitlabToken,
    /// A token of Slack.
    SlackToken,
    /// A key that begins with `sk-` or `sk_live_`.
    ApiKey,
    /// A token of npm.
    NpmToken,
    /// An API key of Google.
    GoogleKey,
    /// A JSON web token.
    Jwt,
    /// A private key in PEM.
    PrivateKey,
    /// A password in a URL.
    UrlPassword,
    /// A value that is assigned to a name such as `password`, in text.
    Assignment,
    /// One of the literal texts that were given, such as the value of an environment variable.
    Literal,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "a value under the key of a secret",
            Self::BearerToken => "a bearer token",
            Self::BasicCredentials => "basic credentials",
            Self::AwsKey => "an AWS access key",
            Self::GithubToken => "a GitHub token",
            Self::GitlabToken => "a GitLab token",
            Self::SlackToken => "a Slack token",
            Self::ApiKey => "an API key",
            Self::NpmToken => "an npm token",
            Self::GoogleKey => "a Google API key",
            Self::Jwt => "a JSON web token",
            Self::PrivateKey => "a private key",
            Self::UrlPassword => "a password in a URL",
            Self::Assignment => "an assigned secret",
            Self::Literal => "the value of an environment variable",
        })
    }
}

/// Takes secrets out of texts and values. A clone costs one reference count.
///
/// # Examples
///
/// ```
/// use serde_json::json;
/// use steadfast_orchestration::redact::Redactor;
///
/// let redactor = Redactor::new().with_literals(["correct horse"]);
/// let told = redactor.value(&json!({ "user": "ann", "Password": "x", "note": "it is correct horse" }));
/// assert_eq!(told, json!({ "user": "ann", "Password": "***REDACTED***", "note": "it is ***REDACTED***" }));
/// ```
#[derive(Clone, Default)]
pub struct Redactor {
    literals: Arc<BTreeSet<String>>,
    /// Taken out only where no letter, digit or `_` is beside them.
    words: Arc<BTreeSet<String>>,
}

// The literals are secrets, so only their number is shown.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("literals", &self.literals.len()).field("words", &self.words.len()).finish()
    }
}

impl Redactor {
    /// A redactor that knows keys and shapes, and no literal texts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A redactor that also takes out these exact texts, as they are and as JSON would escape them.
    ///
    /// Texts shorter than [`SHORTEST_LITERAL`] characters are not searched for.
    #[must_use]
    pub fn with_literals<I>(&self, values: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let literals = self.literals.iter().cloned().chain(forms(values, SHORTEST_LITERAL)).collect();
        Self { literals: Arc::new(literals), words: Arc::clone(&self.words) }
    }

    /// A redactor that also takes out these texts where they are whole words: no letter, digit or `_` is beside them.
    ///
    /// For what is searched for in everything, also in what has nothing to do with the secret: the value `stable` must
    /// not change the name of the file `src/stable.rs`. Texts shorter than [`SHORTEST_WORD`] characters are not
    /// searched for.
    #[must_use]
    pub fn with_words<I>(&self, values: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let words = self.words.iter().cloned().chain(forms(values, SHORTEST_WORD)).collect();
        Self { literals: Arc::clone(&self.literals), words: Arc::new(words) }
    }

    /// The same for redactors that know the same secrets, and tells nothing of them.
    #[must_use]
    pub(crate) fn fingerprint(&self) -> String {
        let known = self.literals.iter().map(|text| ('l', text)).chain(self.words.iter().map(|text| ('w', text)));
        let known = known.fold(String::new(), |mut all, (kind, text)| {
            all.push(kind);
            all.push_str(&text.len().to_string());
            all.push_str(text);
            all
        });
        crate::run::sha256_hex(known.as_bytes())
    }

    /// Takes the secrets out of a text; JSON in it, whole or line by line, is treated as [`value`](Self::value) does.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut told = Cow::Borrowed(text);
        for _ in 0..ROUNDS {
            let Some(next) = self.round(&told) else { return told };
            told = Cow::Owned(next);
        }
        // Unreached: each round leaves less. If it is wrong, nothing may leak.
        if self.round(&told).is_some() { Cow::Borrowed(REDACTED) } else { told }
    }

    /// Takes the secrets out of a value: what stands under a [secret key](SECRET_KEYS), and what a text or the key of
    /// an object holds.
    #[must_use]
    pub fn value(&self, value: &Value) -> Value {
        match value {
            Value::Null | Value::Bool(_) => value.clone(),
            Value::Number(number) => {
                let known = !self.literals.is_empty() || !self.words.is_empty();
                let hidden = known && !self.literal_ranges(&number.to_string()).is_empty();
                if hidden { Value::from(REDACTED) } else { value.clone() }
            }
            Value::String(text) => Value::String(self.text(text).into_owned()),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(entries) => Value::Object(self.entries(entries)),
        }
    }

    /// What [`text`](Self::text) would take out of this text first, if anything.
    #[must_use]
    pub fn would_change_text(&self, text: &str) -> Option<Kind> {
        if self.text(text) == text {
            return None;
        }
        if !self.literal_ranges(text).is_empty() {
            return Some(Kind::Literal);
        }
        Some(patterns::hits(text.as_bytes()).first().map_or(Kind::Key, |hit| hit.kind))
    }

    /// What [`value`](Self::value) would take out of this entry of an object first, if anything.
    #[must_use]
    pub fn would_change_entry(&self, key: &str, value: &Value) -> Option<Kind> {
        if is_secret_key(key) {
            return (value.as_str() != Some(REDACTED)).then_some(Kind::Key);
        }
        self.would_change_text(key).or_else(|| self.would_change(value))
    }

    /// What [`value`](Self::value) would take out of this value first, if anything.
    #[must_use]
    pub fn would_change(&self, value: &Value) -> Option<Kind> {
        match value {
            Value::Null | Value::Bool(_) => None,
            Value::Number(_) => (self.value(value) != *value).then_some(Kind::Literal),
            Value::String(text) => self.would_change_text(text),
            Value::Array(items) => items.iter().find_map(|item| self.would_change(item)),
            Value::Object(entries) => entries.iter().find_map(|(key, value)| self.would_change_entry(key, value)),
        }
    }

    fn entries(&self, entries: &Map<String, Value>) -> Map<String, Value> {
        let mut told = Map::new();
        for (key, value) in entries {
            let value = if is_secret_key(key) { Value::from(REDACTED) } else { self.value(value) };
            let name = self.text(key);
            let mut unique = name.to_string();
            let mut number = 2;
            // Two keys may look the same once they are redacted; neither value may get lost.
            while told.contains_key(&unique) {
                unique = format!("{name} ({number})");
                number += 1;
            }
            told.insert(unique, value);
        }
        told
    }

    /// One look at a text: what is left of it, or nothing when it holds no secret.
    fn round(&self, text: &str) -> Option<String> {
        if let Some(told) = self.as_json(text) {
            return Some(told);
        }
        let mut ranges = self.literal_ranges(text);
        ranges.extend(patterns::hits(text.as_bytes()).into_iter().map(|hit| hit.range));
        if ranges.is_empty() { None } else { Some(replaced(text, ranges)) }
    }

    /// The text with its JSON redacted: all of it, or those of its lines which are JSON.
    fn as_json(&self, text: &str) -> Option<String> {
        if let Some(told) = self.json_document(text) {
            return Some(told);
        }
        if !text.contains('\n') {
            return None;
        }
        let mut changed = false;
        let lines = text.split_inclusive('\n').map(|line| match self.json_document(line) {
            Some(told) => {
                changed = true;
                Cow::Owned(told)
            }
            None => Cow::Borrowed(line),
        });
        let told = lines.collect::<String>();
        changed.then_some(told)
    }

    fn json_document(&self, text: &str) -> Option<String> {
        let document = text.trim();
        if !document.starts_with(['{', '[', '"']) {
            return None;
        }
        let parsed: Value = serde_json::from_str(document).ok()?;
        let told = self.value(&parsed);
        if told == parsed {
            return None;
        }
        let written = if document.contains('\n') { format!("{told:#}") } else { told.to_string() };
        Some(text.replacen(document, &written, 1))
    }

    /// Where the literal texts are, leaving the marks of earlier redactions alone.
    fn literal_ranges(&self, text: &str) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let mut offset = 0;
        for part in text.split(REDACTED) {
            for literal in self.literals.iter() {
                ranges.extend(
                    part.match_indices(literal.as_str()).map(|(at, _)| offset + at..offset + at + literal.len()),
                );
            }
            for word in self.words.iter() {
                ranges.extend(whole_words(part, word).map(|at| offset + at..offset + at + word.len()));
            }
            offset += part.len() + REDACTED.len();
        }
        ranges
    }
}

/// Whether what stands under this key is a secret: its last word, or two, are one of the [`SECRET_KEYS`].
///
/// Words end at `_`, `-`, `.` and where small letters turn to capitals. So `DB_PASSWORD`, `client-secret` and
/// `accessToken` are secrets, and `author`, `tokens` and `token_count` are not.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    // In any case means that `passwoRd` is one word as well.
    ends_as_secret(&words(key)) || ends_as_secret(&words(&key.to_lowercase()))
}

fn ends_as_secret(words: &[String]) -> bool {
    let last = words.last().map_or("", String::as_str);
    let two = words.len().checked_sub(2).map(|from| words[from..].join("_"));
    SECRET_KEYS.iter().any(|secret| last == *secret || two.as_deref() == Some(*secret)) || last == "apikey"
}

/// The words of a key, in small letters.
fn words(key: &str) -> Vec<String> {
    let letters: Vec<char> = key.chars().collect();
    let mut words = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        // `aB` is the end of a word, and so is `AB` before a small letter, as in `DBPassword`.
        let small = |at: usize| letters.get(at).is_some_and(|letter| letter.is_lowercase());
        let hump = letter.is_uppercase() && at > 0 && (!letters[at - 1].is_uppercase() || small(at + 1));
        let gap = matches!(letter, '_' | '-' | '.');
        if (hump || gap) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if !gap {
            words.last_mut().expect("there is one from the beginning").extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The values that are long enough, as they are, without blanks around them, and as JSON would escape them.
fn forms<I>(values: I, shortest: usize) -> BTreeSet<String>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut found = BTreeSet::new();
    for value in values {
        let value = value.as_ref();
        for form in [value, value.trim()] {
            if form.chars().count() >= shortest && !form.trim().is_empty() {
                found.insert(form.to_owned());
                found.insert(escaped(form));
            }
        }
    }
    found
}

/// Where the word stands in the text with no letter, digit or `_` beside it.
fn whole_words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let (before, after) = (&text[..*at], &text[*at + word.len()..]);
        // The `n` of an escaped end of line belongs to the escape.
        let escape = ["\\n", "\\r", "\\t"].iter().any(|escape| before.ends_with(escape));
        (escape || !before.ends_with(joins)) && !after.starts_with(joins)
    })
}

/// The text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The text with these places, which may overlap, each replaced by [`REDACTED`].
fn replaced(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_by_key(|range| range.start);
    let mut told = String::with_capacity(text.len());
    let mut end = 0;
    let mut first = true;
    for range in ranges {
        // A place that begins within the one before is the same secret, seen twice.
        if first || range.start >= end {
            told.push_str(&text[end..range.start]);
            told.push_str(REDACTED);
        }
        first = false;
        end = end.max(range.end);
    }
    told.push_str(&text[end..]);
    told
}
