//! What a run works with on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::goal::model::{EnvValue, Goal};
use crate::host::Head;
use crate::redact::Redactor;
use crate::seam::BoxFuture;
use crate::seam::commands::Commands;
use crate::seam::files::{DiskFiles, Files};
use crate::work::chain;

/// What a run works with: its input folder, and what may be told of it.
#[derive(Clone)]
pub struct Gear {
    /// The input folder.
    pub files: Arc<dyn Files>,
    /// What may be told.
    pub redactor: Redactor,
    /// The variables of the environment that the goal names and that are not set here: the run stands still and names
    /// them.
    pub missing: Vec<String>,
}

impl Gear {
    /// These, with no variable missing.
    #[must_use]
    pub fn new(files: Arc<dyn Files>, redactor: Redactor) -> Self {
        Self { files, redactor, missing: Vec::new() }
    }
}

impl fmt::Debug for Gear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gear").field("root", &self.files.root()).field("missing", &self.missing).finish_non_exhaustive()
    }
}

/// A run has nothing to work with here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the input folder `{input}` cannot be used: {why}")]
pub struct Unfit {
    /// The folder.
    pub input: String,
    /// Why.
    pub why: String,
}

/// Finds what a run works with, by what its first record says.
pub trait Outfit: Send + Sync {
    /// What this run works with.
    fn gear<'a>(&'a self, head: &'a Head) -> BoxFuture<'a, Result<Gear, Unfit>>;
}

/// Input folders of this machine's disk, and variables of this process's environment.
#[derive(Clone)]
pub struct DiskOutfit {
    commands: Arc<dyn Commands>,
    excluded: Vec<PathBuf>,
}

impl fmt::Debug for DiskOutfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskOutfit").field("excluded", &self.excluded).finish_non_exhaustive()
    }
}

impl DiskOutfit {
    /// Variables are asked of `commands`.
    #[must_use]
    pub fn new(commands: Arc<dyn Commands>) -> Self {
        Self { commands, excluded: Vec::new() }
    }

    /// These folders are no part of any input, such as the one that reports go to, and the store.
    #[must_use]
    pub fn excluding(mut self, folders: impl IntoIterator<Item = PathBuf>) -> Self {
        self.excluded.extend(folders);
        self
    }
}

impl Outfit for DiskOutfit {
    fn gear<'a>(&'a self, head: &'a Head) -> BoxFuture<'a, Result<Gear, Unfit>> {
        let (secrets, missing) = variables(&head.goal, &*self.commands);
        let redactor = Redactor::new().with_words(secrets);
        let opened = DiskFiles::open(Path::new(&head.input));
        Box::pin(async move {
            let files = opened.map_err(|error| Unfit { input: head.input.clone(), why: chain(&error) })?;
            let files = Arc::new(files.excluding(&self.excluded));
            Ok(Gear { files, redactor, missing })
        })
    }
}

/// The values of the variables of our environment that a goal, and the goals inside it, name as secrets; and the names of
/// those that are not set and not optional, sorted.
#[must_use]
pub fn variables(goal: &Goal, commands: &dyn Commands) -> (Vec<String>, Vec<String>) {
    let (mut values, mut missing) = (Vec::new(), BTreeSet::new());
    for of_task in named(goal).into_values() {
        match commands.variable(&of_task.name) {
            Some(value) if of_task.secret => values.push(value),
            Some(_) => {}
            None if of_task.optional => {}
            None => {
                missing.insert(of_task.name);
            }
        }
    }
    (values, missing.into_iter().collect())
}

/// A variable as a goal names it; where it does so several times, the strictest counts.
struct Named {
    name: String,
    secret: bool,
    optional: bool,
}

fn named(goal: &Goal) -> BTreeMap<String, Named> {
    let mut all: BTreeMap<String, Named> = BTreeMap::new();
    let mut goals = vec![goal];
    while let Some(goal) = goals.pop() {
        goals.extend(goal.tasks.iter().filter_map(|task| task.goal.as_ref()?.inline.as_deref()));
        let undos = goal.tasks.iter().filter_map(|task| task.undo.as_ref()?.command.as_ref());
        let commands = goal.tasks.iter().filter_map(|task| task.command.as_ref()).chain(undos);
        for value in commands.flat_map(|command| command.env.values()) {
            let EnvValue::From(from) = value else { continue };
            let name = from.from.name.clone();
            let new = || Named { name: name.clone(), secret: false, optional: true };
            let known = all.entry(name.clone()).or_insert_with(new);
            known.secret |= from.from.secret;
            known.optional &= from.optional;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goal::read;
    use crate::seam::commands::{Completed, Exit};
    use crate::seam::testing::ScriptedCommands;

    #[test]
    fn secrets_are_found_wherever_a_goal_names_them_and_what_is_not_set_is_named() {
        let goal = "name = 'g'\n[[tasks]]\nid = 'a'\n\
            command = { program = 'x', env = { A = { from = 'SET' }, B = { from = 'UNSET' }, C = { from = 'MAY', optional = true } } }\n\
            [tasks.undo]\ncommand = { program = 'y', env = { D = { from = 'UNDO' }, E = { from = 'OPEN', secret = false } } }\n";
        let goal = read("g.toml", goal).unwrap_or_else(|error| panic!("{error}")).goal;
        let commands = ScriptedCommands::new(|_| Ok(Completed::new(Exit::Code(0))))
            .variable("SET", "value of set")
            .variable("OPEN", "value of open");
        let (secrets, missing) = variables(&goal, &commands);
        assert_eq!(secrets, ["value of set"]);
        assert_eq!(missing, ["UNDO", "UNSET"]);
    }
}
