//! Whom a fault is for: which agents, which nodes, which ways between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::PlanError;
use crate::id::Path;
use crate::text::{is_its_text, prints_its_text};

/// Paths of a tree: `root/a` is that one; `*` stands for any one name, `**` at the end for all that is below, however deep.
///
/// In a world of several nodes a node may stand before it: `a:root/w` means that path on the node `a`. Where none does, or
/// `*`, any node is meant.
///
/// ```
/// use steadfast::fault::PathPattern;
///
/// let workers: PathPattern = "root/workers/*".parse()?;
/// assert!(workers.matches(&"root/workers/w-1".parse()?) && !workers.matches(&"root/workers".parse()?));
/// let all: PathPattern = "a:root/**".parse()?;
/// assert!(all.matches_on(Some("a"), &"root/workers/w-1".parse()?));
/// assert!(!all.matches_on(Some("b"), &"root/workers/w-1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// A name may hold a colon too: the first one before the first slash ends the node. Where a path begins with such a name, `*:`
// stands before it, and nowhere else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern(String);

/// A node by its name, or any one: `*`.
///
/// ```
/// use steadfast::fault::NodePattern;
///
/// let (a, any): (NodePattern, NodePattern) = ("a".parse()?, "*".parse()?);
/// assert!(a.matches("a") && !a.matches("b") && any.matches("b"));
/// # Ok::<(), steadfast::fault::PlanError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodePattern(String);

/// The way of messages from one node to another: `a to b`, or both ways, `a with b`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Link {
    /// One end; where it is one way, the sender's.
    pub from: NodePattern,
    /// The other end.
    pub to: NodePattern,
    /// Which way.
    pub way: Way,
}

/// Which way on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From the one to the other.
    To,
    /// There and back.
    With,
}

impl PathPattern {
    /// The pattern of one path, on any node.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self::at(None, path)
    }

    /// The pattern of one path on one node; on any where none is said.
    #[must_use]
    pub fn at(node: Option<&str>, path: &Path) -> Self {
        match node {
            Some(node) => Self(format!("{node}:{path}")),
            None if node_of(path.as_str()).is_some() => Self(format!("*:{path}")),
            None => Self(path.as_str().to_owned()),
        }
    }

    /// The node that is meant; `None` where any is.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        node_of(&self.0).map(|(node, _)| node).filter(|node| *node != "*")
    }

    /// Whether a path is meant where nodes have no names: one that is for a node is for nobody there.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        self.matches_on(None, path)
    }

    /// Whether a path on a node is meant; `None` where nodes have no names.
    #[must_use]
    pub fn matches_on(&self, node: Option<&str>, path: &Path) -> bool {
        if self.node().is_some_and(|wanted| node != Some(wanted)) {
            return false;
        }
        let names = node_of(&self.0).map_or(&*self.0, |(_, names)| names);
        let (mut wanted, mut names) = (names.split('/'), path.as_str().split('/'));
        loop {
            match (wanted.next(), names.next()) {
                (Some("**"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(wanted), Some(name)) if wanted == name => {}
                _ => return false,
            }
        }
    }

    /// Whether the one that another pattern means, which means exactly one, is meant here too.
    pub(super) fn covers(&self, exact: &Self) -> bool {
        let (node, path) = node_of(&exact.0).map_or((None, &*exact.0), |(node, path)| (Some(node), path));
        let node = node.filter(|node| *node != "*");
        path.parse().is_ok_and(|path| self.matches_on(node, &path))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The node before a path, and the path.
fn node_of(text: &str) -> Option<(&str, &str)> {
    let first = text.split('/').next().unwrap_or_default();
    let end = first.find(':')?;
    Some((&text[..end], &text[end + 1..]))
}

impl FromStr for PathPattern {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (node, path) = node_of(text).unwrap_or(("*", text));
        let node: NodePattern = node.parse()?;
        let path = path.strip_prefix('/').unwrap_or(path);
        let names: Vec<_> = path.split('/').collect();
        let problem = if names[..names.len() - 1].contains(&"**") {
            "`**` stands for all that is below, and so only at the end"
        } else if names.iter().any(|name| name.is_empty() || name.contains(char::is_whitespace)) {
            "a name is missing, or has a blank in it"
        } else if names.iter().any(|name| name.contains('*') && *name != "*" && *name != "**") {
            "a `*` stands for a whole name"
        } else if node.is_any() && node_of(path).is_none() {
            return Ok(Self(path.to_owned()));
        } else {
            return Ok(Self(format!("{node}:{path}")));
        };
        Err(PlanError::new(text, problem))
    }
}

impl NodePattern {
    /// Any node.
    #[must_use]
    pub fn any() -> Self {
        Self("*".to_owned())
    }

    /// This one.
    pub(super) fn of(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// Whether any node is meant.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Whether the node of this name is meant.
    #[must_use]
    pub fn matches(&self, node: &str) -> bool {
        self.is_any() || self.0 == node
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodePattern {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let may_hold = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text == "*" || (!text.is_empty() && text.bytes().all(may_hold)) {
            return Ok(Self(text.to_owned()));
        }
        Err(PlanError::new(text, "a node has a name of letters, digits, `-`, `_` and `.`, or is `*`: any one"))
    }
}

is_its_text!(PlanError: PathPattern, NodePattern);
prints_its_text!(PathPattern, NodePattern);

impl Link {
    /// Whether a message from one node to another goes this way.
    #[must_use]
    pub fn has(&self, from: &str, to: &str) -> bool {
        let goes = |from: &str, to: &str| self.from.matches(from) && self.to.matches(to);
        goes(from, to) || (self.way == Way::With && goes(to, from))
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, way } = self;
        let way = if *way == Way::To { "to" } else { "with" };
        write!(f, "link {from} {way} {to}")
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
            ("root/a:b", "root/a:b", true),
            ("*:system:services/journal", "system:services/journal", true),
            ("a:root/a", "root/a", false),
        ];
        for (pattern, path, expected) in cases {
            let pattern: PathPattern = pattern.parse().expect("a pattern");
            assert_eq!(pattern.matches(&path.parse().expect("a path")), expected, "{pattern} and {path}");
            assert_eq!(pattern.to_string().parse(), Ok(pattern));
        }
        for wrong in ["", "root//a", "root/**/a", "root/w*", "root/a b", ":root", "a b:root", "a:", "a*:root"] {
            assert!(wrong.parse::<PathPattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pattern_of_a_node_means_that_node_and_one_without_means_any() {
        let path: Path = "root/w".parse().expect("a path");
        let on = |pattern: &str, node| pattern.parse::<PathPattern>().expect("a pattern").matches_on(node, &path);
        for any in ["root/w", "*:root/w", "**"] {
            assert!(on(any, None) && on(any, Some("a")) && on(any, Some("b")), "{any}");
        }
        assert!(on("a:root/w", Some("a")) && on("a:**", Some("a")));
        assert!(!on("a:root/w", Some("b")) && !on("a:root/w", None) && !on("a:root/v", Some("a")));
        for path in ["root/w", "system:services/journal"] {
            let path: Path = path.parse().expect("a path");
            for node in [None, Some("a")] {
                let exact = PathPattern::at(node, &path);
                assert!(exact.matches_on(node, &path) && exact.to_string().parse() == Ok(exact.clone()), "{exact}");
            }
        }
    }

    #[test]
    fn a_link_goes_one_way_or_both() {
        let any = NodePattern::any;
        let link = |way| Link { from: NodePattern::of("a"), to: NodePattern::of("b"), way };
        assert!(link(Way::To).has("a", "b") && !link(Way::To).has("b", "a"));
        assert!(link(Way::With).has("a", "b") && link(Way::With).has("b", "a") && !link(Way::With).has("a", "c"));
        assert!(Link { from: any(), to: NodePattern::of("b"), way: Way::To }.has("c", "b"));
        assert!(Link { from: any(), to: any(), way: Way::To }.has("c", "b"));
    }
}
