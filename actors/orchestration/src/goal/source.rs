//! The text a goal was read from, and where in it each value stands.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::goal::error::{Excerpt, GoalError, GoalErrors, Place, Target};

/// How many characters of a line an error shows.
const EXCERPT: usize = 120;

/// The text a goal was read from. Turns the JSON pointer of an error into its line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    file: String,
    text: String,
    /// By JSON pointer; empty for JSON, where the pointer itself is the place.
    spots: BTreeMap<String, Spot>,
    /// The texts of the goals inside this one, by JSON pointer.
    pub(crate) children: BTreeMap<String, Source>,
}

/// Where a value stands, and the key before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) key: Option<Range<usize>>,
    pub(crate) value: Range<usize>,
}

impl Source {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        Self { file: file.to_owned(), text: text.to_owned(), spots: BTreeMap::new(), children: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, pointer: String, spot: Spot) {
        self.spots.insert(pointer, spot);
    }

    /// The file, as it was named to us.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives every error its file, and its line and column where they are known, and sorts them by place.
    #[must_use]
    pub fn locate(&self, errors: GoalErrors) -> GoalErrors {
        let mut errors: Vec<GoalError> = errors.0.into_iter().map(|error| self.locate_one(error)).collect();
        // Stable: errors without a line keep the order in which they were found, which is that of the goal.
        errors.sort_by_cached_key(|error| {
            let place = match error.place {
                Place::Line { line, column } => (0, line, column),
                Place::Pointer(_) => (1, 0, 0),
                Place::Param(_) => (2, 0, 0),
            };
            (error.file != self.file, error.file.clone(), place)
        });
        GoalErrors(errors)
    }

    pub(crate) fn locate_one(&self, mut error: GoalError) -> GoalError {
        if let Some((child, rest)) = self.child_at(&error) {
            error.place = Place::Pointer(rest);
            return child.locate_one(error);
        }
        error.file.clone_from(&self.file);
        if let Place::Pointer(pointer) = &error.place
            && let Some(range) = self.range(pointer, &error)
        {
            return self.place_at(error, range);
        }
        error
    }

    /// The file of a goal inside this one that an error is about, and where in it.
    fn child_at(&self, error: &GoalError) -> Option<(&Self, String)> {
        let Place::Pointer(pointer) = &error.place else { return None };
        let inside =
            |at: &String| pointer.strip_prefix(at.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        self.children.iter().find_map(|(at, child)| inside(at).map(|rest| (child, rest.to_owned())))
    }

    /// The bytes an error is about: its pointer's, or those of the nearest value around it.
    fn range(&self, pointer: &str, error: &GoalError) -> Option<Range<usize>> {
        let mut at = pointer;
        let spot = loop {
            match self.spots.get(at) {
                Some(spot) => break spot,
                None => at = &at[..at.rfind('/')?],
            }
        };
        if error.target == Target::Key && at == pointer {
            return spot.key.clone().or_else(|| Some(spot.value.clone()));
        }
        let marked = error.marked.as_ref().and_then(|part| {
            let start = spot.value.start + self.text.get(spot.value.clone())?.find(part.as_str())?;
            Some(start..start + part.len())
        });
        marked.or_else(|| Some(spot.value.clone()))
    }

    /// Places an error at these bytes of the text.
    pub(crate) fn place_at(&self, error: GoalError, range: Range<usize>) -> GoalError {
        let start = floor(&self.text, range.start);
        let end = floor(&self.text, range.end).max(start);
        let before = &self.text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let marked = self.text[start..end].lines().next().unwrap_or_default();
        let width = marked.chars().count();
        self.place_on(error, Place::Line { line, column }, width)
    }

    /// Places an error at a line and column.
    pub(crate) fn place_on(&self, mut error: GoalError, place: Place, width: usize) -> GoalError {
        error.file.clone_from(&self.file);
        if let Place::Line { line, column } = place {
            let text = self.text.lines().nth(line - 1).unwrap_or_default();
            error.excerpt = Some(around(text, column, width));
        }
        error.place = place;
        error
    }
}

/// The part of a line that is around the mark: all of it, unless it is long.
fn around(line: &str, column: usize, width: usize) -> Excerpt {
    let length = line.chars().count();
    if length <= EXCERPT {
        return Excerpt { line: line.to_owned(), column, width };
    }
    let from = (column - 1).saturating_sub(EXCERPT / 2).min(length.saturating_sub(EXCERPT));
    let column = column - from;
    let line = line.chars().skip(from).take(EXCERPT).collect();
    Excerpt { line, column, width: width.min((EXCERPT + 1).saturating_sub(column)) }
}

/// The last boundary of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A key as a segment of a JSON pointer.
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
