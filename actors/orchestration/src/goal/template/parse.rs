//! Reads a template into texts and references.

use std::fmt;

use serde_json::Value;

use super::TemplateError;

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Part {
    /// Text that stands for itself, with `$${` already turned into `${`.
    Text(String),
    /// A reference.
    Reference(Reference),
}

/// A reference in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The reference as written, with `${` and `}`.
    pub text: String,
    /// Where it begins in its text, in bytes.
    pub offset: usize,
    /// What it refers to.
    pub root: Root,
    /// The way from there into the value.
    pub path: Vec<Segment>,
}

/// What a reference begins at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// The parameter of this name.
    Param(String),
    /// The result of the task with this id.
    Result(String),
    /// The task's own input of this name.
    Input(String),
    /// The item of the task's `for_each`.
    Item,
    /// The number of that item.
    Index,
    /// The result of the task itself, in its undo.
    Own,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Into an object.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

impl Reference {
    /// The reference up to but without the path segment of this number, for people.
    pub(super) fn up_to(&self, depth: usize) -> String {
        let path: String = self.path[..depth].iter().map(Segment::to_string).collect();
        format!("`{}{path}`", self.root)
    }
}

impl fmt::Display for Root {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Param(name) => write!(out, "params.{name}"),
            Self::Result(id) => write!(out, "tasks.{id}.result"),
            Self::Input(name) => write!(out, "inputs.{name}"),
            Self::Item => out.write_str("item"),
            Self::Index => out.write_str("index"),
            Self::Own => out.write_str("result"),
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) if key.contains(['.', '[', ']', '}', ' ']) => write!(out, "['{key}']"),
            Self::Key(key) => write!(out, ".{key}"),
            Self::Index(index) => write!(out, "[{index}]"),
        }
    }
}

/// The references of every template in a value, in order of appearance, at any depth.
pub fn references(value: &Value) -> Result<Vec<Reference>, TemplateError> {
    Ok(match value {
        Value::String(text) => parts(text)?
            .into_iter()
            .filter_map(|part| match part {
                Part::Reference(reference) => Some(reference),
                Part::Text(_) => None,
            })
            .collect(),
        Value::Array(items) => flatten(items.iter())?,
        Value::Object(map) => flatten(map.values())?,
        _ => Vec::new(),
    })
}

fn flatten<'v>(values: impl Iterator<Item = &'v Value>) -> Result<Vec<Reference>, TemplateError> {
    let mut all = Vec::new();
    for value in values {
        all.extend(references(value)?);
    }
    Ok(all)
}

/// Takes a template apart. An empty text has no parts.
pub(super) fn parts(text: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let dollar = at + found;
        if text[at..dollar].ends_with('$') {
            plain.push_str(&text[at..dollar - 1]);
            plain.push_str("${");
            at = dollar + 2;
            continue;
        }
        plain.push_str(&text[at..dollar]);
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        let reference = reference(text, dollar)?;
        at = dollar + reference.text.len();
        parts.push(Part::Reference(reference));
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// What every reference begins with, for error messages.
const ROOTS: &str = "expected `params.NAME`, `tasks.ID.result`, `inputs.NAME`, `item`, `index` or, in an \
                     `undo`, `result`; \
                     write `$${` for a literal `${`";

/// Reads the reference that begins at `start`, where `${` stands.
fn reference(text: &str, start: usize) -> Result<Reference, TemplateError> {
    let body = &text[start + 2..];
    // A `}` inside a quoted key is part of the key.
    let mut quote = None;
    let end = body.find(|c: char| {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        c == '}' && quote.is_none()
    });
    let fail = |length: usize, problem: String| TemplateError::Syntax {
        reference: text[start..start + length].to_owned(),
        problem,
    };
    let Some(end) = end else {
        return Err(fail(text.len() - start, "its `}` is missing; write `$${` for a literal `${`".to_owned()));
    };
    let whole = end + 3;
    let mut segments = segments(&body[..end]).map_err(|problem| fail(whole, problem))?.into_iter();
    let mut name = || match segments.next() {
        Some(Segment::Key(key)) => Some(key),
        _ => None,
    };
    let root = match name().as_deref() {
        Some("params") => name().map(Root::Param),
        Some("inputs") => name().map(Root::Input),
        Some("item") => Some(Root::Item),
        Some("index") => Some(Root::Index),
        Some("result") => Some(Root::Own),
        Some("tasks") => match (name(), name().as_deref()) {
            (Some(id), Some("result")) => Some(Root::Result(id)),
            _ => None,
        },
        _ => None,
    };
    let root = root.ok_or_else(|| fail(whole, ROOTS.to_owned()))?;
    Ok(Reference { text: text[start..start + whole].to_owned(), offset: start, root, path: segments.collect() })
}

/// Splits `a.b[0]['c d']` into its segments.
fn segments(body: &str) -> Result<Vec<Segment>, String> {
    let mut segments = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (segment, tail) = bracket(inner)?;
            segments.push(segment);
            rest = tail;
            continue;
        }
        if !segments.is_empty() {
            rest = rest.strip_prefix('.').ok_or("expected `.` or `[` after `]`")?;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        if key.is_empty() {
            return Err("a key is empty; expected a name after `.`".to_owned());
        }
        if key.contains(|c: char| c.is_whitespace() || matches!(c, ']' | '\'' | '"' | '$' | '{')) {
            return Err(format!("`{key}` is no plain name; write such a key as ['{key}'], and no blanks elsewhere"));
        }
        segments.push(Segment::Key(key.to_owned()));
        rest = tail;
    }
    Ok(segments)
}

/// Reads the inside of a bracket and gives back what follows it.
fn bracket(inner: &str) -> Result<(Segment, &str), String> {
    for quote in ['\'', '"'] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let (key, tail) = quoted.split_once(quote).ok_or("the quote after `[` is not closed")?;
            let tail = tail.strip_prefix(']').ok_or("expected `]` after a quoted key")?;
            return Ok((Segment::Key(key.to_owned()), tail));
        }
    }
    let (number, tail) = inner.split_once(']').ok_or("the `]` is missing")?;
    let index = number.parse().map_err(|_| format!("`[{number}]` is neither a number from 0 nor a quoted key"))?;
    Ok((Segment::Index(index), tail))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_found_with_their_place_and_parts() {
        let found = references(&json!(["plain", "see ${tasks.a.result.b[0]} and $${no} ${item}"])).expect("templates");
        assert_eq!(
            found,
            [
                Reference {
                    text: "${tasks.a.result.b[0]}".to_owned(),
                    offset: 4,
                    root: Root::Result("a".to_owned()),
                    path: vec![Segment::Key("b".to_owned()), Segment::Index(0)],
                },
                Reference { text: "${item}".to_owned(), offset: 38, root: Root::Item, path: Vec::new() },
            ]
        );
    }

    #[test]
    fn a_brace_inside_a_quoted_key_does_not_end_the_reference() {
        let found = references(&json!("${item['a}b']}")).expect("a template");
        assert_eq!(found[0].path, [Segment::Key("a}b".to_owned())]);
    }

    #[test]
    fn what_is_no_reference_says_what_was_expected() {
        for (text, part) in [
            ("${HOME}", "expected `params.NAME`"),
            ("${tasks.a}", "expected `params.NAME`"),
            ("${tasks.a.output}", "expected `params.NAME`"),
            ("${params}", "expected `params.NAME`"),
            ("${}", "expected `params.NAME`"),
            ("${params.a", "its `}` is missing"),
            ("${params.a..b}", "a key is empty"),
            ("${ params.a }", "no blanks"),
            ("${item[x]}", "neither a number"),
            ("${item['x}", "its `}` is missing"),
            ("${item['x'", "its `}` is missing"),
            ("${item[0]x}", "expected `.` or `[` after `]`"),
        ] {
            let error = references(&json!(text)).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
