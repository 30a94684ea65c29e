//! Paths and globs of a goal, which never lead out of the input folder.

use globset::{Glob, GlobBuilder};

/// A path or glob of a goal is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// There is nothing.
    #[error("the path is empty; expected one relative to the input folder")]
    Empty,
    /// It begins at the root of the file system.
    #[error("`{0}` is absolute; expected a path relative to the input folder")]
    Absolute(String),
    /// It leads out of the input folder.
    #[error("`{0}` leads out of the input folder; expected a path inside it")]
    Outside(String),
    /// It is no glob.
    #[error("`{glob}` is no glob: {problem}; expected one such as `src/**/*.rs`")]
    Glob {
        /// The glob as written.
        glob: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Checks that a path stays in the input folder: not absolute, and never above it by `..`.
///
/// Links are not followed here, since nothing here looks at files.
pub fn inside(path: &str) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    // A drive letter is refused everywhere, so that a goal means the same on every system.
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    if path.starts_with(['/', '\\']) || drive {
        return Err(PathError::Absolute(path.to_owned()));
    }
    let mut depth: usize = 0;
    for segment in path.split(['/', '\\']) {
        depth = match segment {
            "" | "." => depth,
            ".." => depth.checked_sub(1).ok_or_else(|| PathError::Outside(path.to_owned()))?,
            _ => depth + 1,
        };
    }
    Ok(())
}

/// A glob of a goal, compiled, and whether it leaves out what it matches.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The glob without its `!`. `*` does not match `/`; `**` does.
    pub glob: Glob,
    /// Whether the glob began with `!`.
    pub excludes: bool,
}

/// Reads one glob of a goal.
pub fn pattern(text: &str) -> Result<Pattern, PathError> {
    let (body, excludes) = text.strip_prefix('!').map_or((text, false), |body| (body, true));
    inside(body)?;
    let glob = GlobBuilder::new(body)
        .literal_separator(true)
        .build()
        .map_err(|error| PathError::Glob { glob: text.to_owned(), problem: error.kind().to_string() })?;
    Ok(Pattern { glob, excludes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_the_input_folder() {
        for path in ["a", "a/b", "./a", "a/../b", "a/./b", ".", "..a", "a.."] {
            assert_eq!(inside(path), Ok(()), "{path}");
        }
        assert_eq!(inside(""), Err(PathError::Empty));
        for path in ["/etc/passwd", "\\x", "C:\\x", "c:x"] {
            assert_eq!(inside(path), Err(PathError::Absolute(path.to_owned())));
        }
        for path in ["..", "../x", "a/../../b", "a\\..\\..\\b"] {
            assert_eq!(inside(path), Err(PathError::Outside(path.to_owned())));
        }
    }

    #[test]
    fn a_glob_may_exclude_and_does_not_cross_folders_unless_it_says_so() {
        let pattern = pattern("!src/*.rs").expect("a glob");
        assert!(pattern.excludes);
        let matcher = pattern.glob.compile_matcher();
        assert!(matcher.is_match("src/lib.rs") && !matcher.is_match("src/goal/read.rs"));
        let error = super::pattern("src/[a").expect_err("no glob").to_string();
        assert!(error.contains("`src/[a` is no glob: ") && error.contains("expected one such as"), "{error}");
    }
}
