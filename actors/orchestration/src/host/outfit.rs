//! What a run works with on this machine.

use std::collections::BTreeSet;
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
}

impl Gear {
    /// These.
    #[must_use]
    pub fn new(files: Arc<dyn Files>, redactor: Redactor) -> Self {
        Self { files, redactor }
    }
}

impl fmt::Debug for Gear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gear").field("root", &self.files.root()).finish_non_exhaustive()
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

    /// What may be told of it, also where it cannot be worked on here.
    fn redactor(&self, _head: &Head) -> Redactor {
        Redactor::new()
    }
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
        let redactor = self.redactor(head);
        let opened = DiskFiles::open(Path::new(&head.input));
        Box::pin(async move {
            let files = opened.map_err(|error| Unfit { input: head.input.clone(), why: chain(&error) })?;
            let files = Arc::new(files.excluding(&self.excluded));
            Ok(Gear { files, redactor })
        })
    }

    fn redactor(&self, head: &Head) -> Redactor {
        Redactor::new().with_words(secrets(&head.goal, &*self.commands))
    }
}

/// The values of the variables of our environment that a goal, and the goals inside it, name as secrets, by name.
#[must_use]
pub fn secrets(goal: &Goal, commands: &dyn Commands) -> Vec<String> {
    let (mut names, mut goals) = (BTreeSet::new(), vec![goal]);
    while let Some(goal) = goals.pop() {
        goals.extend(goal.tasks.iter().filter_map(|task| task.goal.as_ref()?.inline.as_deref()));
        let undos = goal.tasks.iter().filter_map(|task| task.undo.as_ref()?.command.as_ref());
        let commands = goal.tasks.iter().filter_map(|task| task.command.as_ref()).chain(undos);
        names.extend(commands.flat_map(|command| command.env.values()).filter_map(|value| match value {
            // Where it is a secret somewhere, it is one everywhere.
            EnvValue::From(from) if from.from.secret => Some(from.from.name.clone()),
            EnvValue::From(_) | EnvValue::Literal(_) => None,
        }));
    }
    names.iter().filter_map(|name| commands.variable(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goal::read;
    use crate::seam::commands::{Completed, Exit};
    use crate::seam::testing::ScriptedCommands;

    #[test]
    fn secrets_are_found_wherever_a_goal_names_them() {
        let goal = "name = 'g'\n[[tasks]]\nid = 'a'\n\
            command = { program = 'x', env = { A = { from = 'SET' }, B = { from = 'UNSET' }, C = { from = 'MAY', optional = true } } }\n\
            [tasks.undo]\ncommand = { program = 'y', env = { D = { from = 'UNDO' }, E = { from = 'OPEN', secret = false } } }\n";
        let goal = read("g.toml", goal).unwrap_or_else(|error| panic!("{error}")).goal;
        let commands = ScriptedCommands::new(|_| Ok(Completed::new(Exit::Code(0))))
            .variable("SET", "value of set")
            .variable("UNDO", "value of undo")
            .variable("OPEN", "value of open");
        assert_eq!(secrets(&goal, &commands), ["value of set", "value of undo"]);
    }
}
