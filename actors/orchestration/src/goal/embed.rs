//! Goals inside goals: reads the files that a goal names and puts them into it, so that it is whole by itself.

use std::collections::BTreeMap;

use crate::goal::error::{GoalError, GoalErrors};
use crate::goal::read::{Loaded, read};
use crate::goal::source::Source;

/// How many goals may be inside each other, the outermost included.
pub const DEEPEST: usize = 8;

/// How many goals may be inside one, at any depth. Each file that is named twice counts twice.
const MOST: usize = 1000;

impl Loaded {
    /// The goal with the goals that it names by file, read by `text_of`, which is given a path and says why there is
    /// no text where there is none.
    ///
    /// The path of a file is relative to the folder of the file that names it. Nothing is opened here.
    ///
    /// ```
    /// let ship = "name = 'ship'\n[[tasks]]\nid = 'test'\ngoal = { file = 'parts/test.toml' }\n";
    /// let test = "name = 'test'\n[[tasks]]\nid = 'a'\ncollect = 1\n";
    /// let loaded = steadfast_orchestration::goal::read("goals/ship.toml", ship)?.embed(|path| {
    ///     assert_eq!(path, "goals/parts/test.toml");
    ///     Ok(test.to_owned())
    /// })?;
    /// let child = loaded.goal.tasks[0].goal.as_ref().and_then(|child| child.inline.as_ref());
    /// assert_eq!(child.map(|goal| goal.name.as_str()), Some("test"));
    /// # Ok::<(), steadfast_orchestration::goal::GoalErrors>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Names the place of each file that cannot be read or is no goal, and the path of files that contain each other
    /// or are too many levels deep.
    pub fn embed(mut self, text_of: impl FnMut(&str) -> Result<String, String>) -> Result<Self, GoalErrors> {
        let path = vec![normal(self.source.file())];
        let mut embedding = Embedding { text_of, path, count: 0 };
        embedding.goal(&mut self)?;
        Ok(self)
    }
}

/// What is read, and inside which files.
struct Embedding<F> {
    text_of: F,
    path: Vec<String>,
    count: usize,
}

impl<F: FnMut(&str) -> Result<String, String>> Embedding<F> {
    /// Puts every goal that this one names into it.
    fn goal(&mut self, loaded: &mut Loaded) -> Result<(), GoalErrors> {
        let mut errors = Vec::new();
        let mut children = BTreeMap::new();
        for (index, task) in loaded.goal.tasks.iter_mut().enumerate() {
            let Some(child) = &mut task.goal else { continue };
            let pointer = format!("/tasks/{index}/goal");
            match (&child.file, &child.inline) {
                (None, Some(_)) => {}
                (Some(_), Some(_)) => {
                    let problem = "`file` and `inline` both say which goal; expected exactly one of them";
                    errors.push(loaded.source.locate_one(GoalError::at(pointer, problem, "keep one of them")));
                }
                (None, None) => {
                    let problem = "nothing says which goal; expected `file`, or `inline`";
                    let error = GoalError::at(pointer, problem, "add such as file = \"child.toml\"");
                    errors.push(loaded.source.locate_one(error));
                }
                (Some(file), None) => match self.child(file, &pointer, &loaded.source) {
                    Ok(inner) => {
                        child.inline = Some(Box::new(inner.goal));
                        children.insert(format!("{pointer}/inline"), inner.source);
                    }
                    Err(found) => errors.extend(found.0),
                },
            }
        }
        loaded.source.children = children;
        GoalErrors::none_of(errors)
    }

    /// Reads the goal of one file, with those inside it.
    fn child(&mut self, file: &str, pointer: &str, around: &Source) -> Result<Loaded, GoalErrors> {
        let refused = |problem: String, remedy: &str| {
            let error = GoalError::at(format!("{pointer}/file"), problem, remedy);
            Err(GoalErrors::from(around.locate_one(error)))
        };
        if file.contains("${") {
            let problem = format!("`{file}` holds a reference, and goals are read before anything runs");
            return refused(problem, "name a file; give what differs as a parameter");
        }
        if file.starts_with(['/', '\\']) || file.as_bytes().get(1) == Some(&b':') {
            return refused(format!("`{file}` is absolute"), "name it relative to the folder of this file");
        }
        let path = beside(around.file(), file);
        let chain = || format!("{} -> {path}", self.path.join(" -> "));
        if self.path.contains(&path) {
            return refused(format!("these goal files contain each other: {}", chain()), "remove one of these tasks");
        }
        if self.path.len() == DEEPEST {
            let problem = format!("more than {DEEPEST} goals are inside each other: {}", chain());
            return refused(problem, "take a level out: put its tasks into the goal around it");
        }
        self.count += 1;
        if self.count > MOST {
            return refused(
                format!("there are more than {MOST} goals inside this one"),
                "use `for_each` where one repeats",
            );
        }
        let text = match (self.text_of)(&path) {
            Ok(text) => text,
            Err(why) => {
                let problem = format!("the goal file `{path}` cannot be read: {why}");
                return refused(problem, "name a goal file, TOML or JSON, that exists and may be read");
            }
        };
        let mut loaded = read(&path, &text)?;
        self.path.push(path);
        let inside = self.goal(&mut loaded);
        self.path.pop();
        inside.map(|()| loaded)
    }
}

/// The path of a file that another one names.
fn beside(file: &str, named: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) => normal(&format!("{folder}/{named}")),
        None => normal(named),
    }
}

/// The path without `.` and without what `..` takes back.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last()) {
            (".", _) | ("", Some(_)) => {}
            ("..", Some(last)) if !matches!(*last, ".." | "") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Embeds with files of these names and texts; gives the errors as they print, or nothing.
    fn errors(files: &[(&str, &str)]) -> String {
        let (name, text) = files[0];
        let text_of = |path: &str| {
            let found = files.iter().find(|(name, _)| *name == path);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| "no such file".to_owned())
        };
        let loaded = read(name, text).and_then(|loaded| loaded.embed(text_of));
        loaded.err().map(|errors| errors.to_string()).unwrap_or_default()
    }

    fn child(file: &str) -> String {
        format!("name = 'g'\n[[tasks]]\nid = 'a'\ngoal = {{ file = '{file}' }}\n")
    }

    #[test]
    fn a_path_is_that_of_the_file_that_names_it_and_what_it_names() {
        assert_eq!(beside("a/b.toml", "c.toml"), "a/c.toml");
        assert_eq!(beside("b.toml", "./c.toml"), "c.toml");
        assert_eq!(beside("a/b.toml", "../../c.toml"), "../c.toml");
        assert_eq!(beside("/a/b.toml", "../x//c.toml"), "/x/c.toml");
    }

    #[test]
    fn files_that_contain_each_other_are_refused_with_their_path() {
        let told = errors(&[("x/a.toml", &child("../y/b.toml")), ("y/b.toml", &child("../x/./a.toml"))]);
        assert!(
            told.starts_with("y/b.toml:4:17: these goal files contain each other: x/a.toml -> y/b.toml -> x/a.toml"),
            "{told}"
        );
        let told = errors(&[("a.toml", &child("a.toml"))]);
        assert!(told.contains("a.toml -> a.toml") && told.contains("help: remove one"), "{told}");
    }

    #[test]
    fn goals_that_are_too_deep_are_refused_with_their_path() {
        let texts: Vec<_> =
            (1..=9).map(|number| (format!("{number}.toml"), child(&format!("{}.toml", number + 1)))).collect();
        let files: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let told = errors(&files);
        assert!(told.starts_with("8.toml:4:17: more than 8 goals are inside each other: 1.toml -> 2.toml"), "{told}");
    }

    #[test]
    fn a_file_that_is_no_goal_is_refused_at_its_own_place_and_one_that_is_not_there_where_it_is_named() {
        assert!(
            errors(&[("a.toml", &child("b.toml"))])
                .starts_with("a.toml:4:17: the goal file `b.toml` cannot be read: no such file")
        );
        let told = errors(&[("a.toml", &child("b.toml")), ("b.toml", "nmae = 'b'\ntasks = []\n")]);
        assert!(told.starts_with("b.toml:1:1: unknown key `nmae`") && told.contains("did you mean `name`?"), "{told}");
        assert!(errors(&[("a.toml", &child("/b.toml"))]).contains("`/b.toml` is absolute"));
        assert!(errors(&[("a.toml", &child("${params.x}.toml"))]).contains("goals are read before anything runs"));
    }

    #[test]
    fn exactly_one_thing_says_which_goal() {
        let with = |goal: &str| errors(&[("a.toml", &format!("name = 'g'\n[[tasks]]\nid = 'a'\ngoal = {goal}\n"))]);
        let inline = "inline = { name = 'b', tasks = [{ id = 'x', collect = 1 }] }";
        assert_eq!(with(&format!("{{ {inline} }}")), "");
        assert!(with("{ params = {} }").starts_with("a.toml:4:8: nothing says which goal"));
        assert!(with(&format!("{{ file = 'b.toml', {inline} }}")).contains("expected exactly one of them"));
    }
}
