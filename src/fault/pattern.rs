//! Which agents a fault is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::PlanError;
use crate::id::Path;

/// Paths of a tree: `root/a` is that one; `*` stands for any one name, `**` at the end for all that is below, however deep.
///
/// ```
/// use steadfast::fault::PathPattern;
///
/// let workers: PathPattern = "root/workers/*".parse()?;
/// assert!(workers.matches(&"root/workers/w-1".parse()?) && !workers.matches(&"root/workers".parse()?));
/// let all: PathPattern = "root/**".parse()?;
/// assert!(all.matches(&"root/workers/w-1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern(String);

impl PathPattern {
    /// The pattern of one path.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self(path.as_str().to_owned())
    }

    /// Whether a path is meant.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        let (mut wanted, mut names) = (self.0.split('/'), path.as_str().split('/'));
        loop {
            match (wanted.next(), names.next()) {
                (Some("**"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(wanted), Some(name)) if wanted == name => {}
                _ => return false,
            }
        }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PathPattern {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let text = text.strip_prefix('/').unwrap_or(text);
        let names: Vec<_> = text.split('/').collect();
        let problem = if names[..names.len() - 1].contains(&"**") {
            "`**` stands for all that is below, and so only at the end"
        } else if names.iter().any(|name| name.is_empty() || name.contains(char::is_whitespace)) {
            "a name is missing, or has a blank in it"
        } else if names.iter().any(|name| name.contains('*') && *name != "*" && *name != "**") {
            "a `*` stands for a whole name"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(PlanError::new(text, problem))
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> Self {
        pattern.0
    }
}

impl TryFrom<String> for PathPattern {
    type Error = PlanError;

    fn try_from(text: String) -> Result<Self, PlanError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_one_path_or_one_level_or_all_below_and_nothing_else() {
        let cases = [
            ("root/a", "root/a", true),
            ("/root/a", "root/a", true),
            ("root/a", "root/a/b", false),
            ("root/a/b", "root/a", false),
            ("root/*/b", "root/a/b", true),
            ("root/*", "root", false),
            ("root/*", "root/a/b", false),
            ("root/**", "root/a/b", true),
            ("root/**", "root", false),
            ("**", "system/journal", true),
        ];
        for (pattern, path, expected) in cases {
            let pattern: PathPattern = pattern.parse().expect("a pattern");
            assert_eq!(pattern.matches(&path.parse().expect("a path")), expected, "{pattern} and {path}");
        }
        for wrong in ["", "root//a", "root/**/a", "root/w*", "root/a b"] {
            assert!(wrong.parse::<PathPattern>().is_err(), "{wrong}");
        }
    }
}
