//! What can be wrong with a goal file, and where.

use std::fmt;

/// Where in a goal file, or on the command line, something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this line and column, both from 1; columns count characters.
    Line {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// At this JSON pointer; the empty one is the whole file.
    Pointer(String),
    /// In the parameter of this name on the command line.
    Param(String),
}

/// Whether an error is about a value or about the key before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Value,
    Key,
}

/// One thing that is wrong with a goal: where, what, and what to do.
///
/// It prints as `file:line:column: problem`, the line of the file with a mark below, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoalError {
    pub(crate) file: String,
    pub(crate) place: Place,
    pub(crate) problem: String,
    pub(crate) remedy: String,
    pub(crate) target: Target,
    pub(crate) marked: Option<String>,
    pub(crate) excerpt: Option<Excerpt>,
}

/// The line of the file that an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The line, or the part of a long one that is around the mark.
    pub(crate) line: String,
    /// In which character of `line` the mark begins, from 1.
    pub(crate) column: usize,
    pub(crate) width: usize,
}

impl GoalError {
    /// Something is wrong with the value at a JSON pointer.
    /// [`Source::locate`](crate::goal::Source::locate) finds its line and column.
    #[must_use]
    pub fn at(pointer: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Place::Pointer(pointer.into()), problem, remedy)
    }

    /// Something is wrong with a parameter that was given, or not given, on the command line.
    #[must_use]
    pub fn param(name: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Place::Param(name.into()), problem, remedy)
    }

    pub(crate) fn new(place: Place, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            file: String::new(),
            place,
            problem: problem.into(),
            remedy: remedy.into(),
            target: Target::Value,
            marked: None,
            excerpt: None,
        }
    }

    /// Points at the key instead of its value.
    #[must_use]
    pub(crate) fn on_key(mut self) -> Self {
        self.target = Target::Key;
        self
    }

    /// Points at this part of the value.
    #[must_use]
    pub fn marking(mut self, part: impl Into<String>) -> Self {
        self.marked = Some(part.into());
        self
    }

    /// The file, as it was named to us; empty while the error was not located.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Where it is wrong.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is wrong, and what was expected.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What to do.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

impl fmt::Display for GoalError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = if self.file.is_empty() { "goal" } else { &self.file };
        match &self.place {
            Place::Line { line, column } => write!(out, "{file}:{line}:{column}: ")?,
            Place::Pointer(pointer) if pointer.is_empty() => write!(out, "{file}: ")?,
            Place::Pointer(pointer) => write!(out, "{file}, at {pointer}: ")?,
            Place::Param(name) => write!(out, "--param {name}: ")?,
        }
        out.write_str(&self.problem)?;
        if let (Some(excerpt), Place::Line { line, .. }) = (&self.excerpt, &self.place) {
            let number = line.to_string();
            let gutter = " ".repeat(number.len());
            // Tabs are kept, so that the mark stands where it belongs whatever their width.
            let indent: String =
                excerpt.line.chars().take(excerpt.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(out, "\n  {number} | {}", excerpt.line)?;
            write!(out, "\n  {gutter} | {indent}{}", "^".repeat(excerpt.width.max(1)))?;
        }
        write!(out, "\n  help: {}", self.remedy)
    }
}

impl std::error::Error for GoalError {}

/// Everything that is wrong with a goal, in the order of the file. There is always at least one error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoalErrors(pub(crate) Vec<GoalError>);

impl GoalErrors {
    /// The errors.
    #[must_use]
    pub fn as_slice(&self) -> &[GoalError] {
        &self.0
    }

    /// All of these errors, or nothing where there are none.
    pub fn none_of(errors: Vec<GoalError>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }
}

impl From<GoalError> for GoalErrors {
    fn from(error: GoalError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for GoalErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.0.iter().enumerate() {
            if number > 0 {
                out.write_str("\n")?;
            }
            error.fmt(out)?;
        }
        Ok(())
    }
}

impl std::error::Error for GoalErrors {}

/// Names as a list for people: `` `a`, `b` ``.
pub(crate) fn list<'a, S: AsRef<str> + 'a>(names: impl IntoIterator<Item = &'a S>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// What was expected in the place of an unknown name, for people.
pub(crate) fn expected<'a, S: AsRef<str> + 'a>(known: impl IntoIterator<Item = &'a S>) -> String {
    let mut known = known.into_iter().peekable();
    if known.peek().is_none() { "there are none".to_owned() } else { format!("expected one of {}", list(known)) }
}

/// The known name that is closest to a mistyped one, if any is close.
pub(crate) fn closest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(&typed.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many characters must be put in, taken out, replaced or swapped with their neighbour to get from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_is_found_only_when_it_is_close() {
        let known = ["command", "collect", "check", "id"];
        assert_eq!(closest("comand", known), Some("command"));
        assert_eq!(closest("colelct", known), Some("collect"));
        assert_eq!(closest("Check", known), Some("check"));
        assert_eq!(closest("frobnicate", known), None);
    }

    #[test]
    fn an_error_prints_its_place_its_line_and_its_remedy() {
        let mut error = GoalError::at("/tasks/0/id", "the id `a b` has a blank", "use letters");
        assert_eq!(error.to_string(), "goal, at /tasks/0/id: the id `a b` has a blank\n  help: use letters");
        error.file = "goal.toml".to_owned();
        error.place = Place::Line { line: 12, column: 6 };
        error.excerpt = Some(Excerpt { line: "id = \"a b\"".to_owned(), column: 6, width: 5 });
        assert_eq!(
            error.to_string(),
            "goal.toml:12:6: the id `a b` has a blank\n  12 | id = \"a b\"\n     |      ^^^^^\n  help: use letters"
        );
    }
}
