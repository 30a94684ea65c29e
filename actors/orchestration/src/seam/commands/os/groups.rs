//! The process groups of programs that run, or ran.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Child;

use crate::seam::commands::guard::Seat;

/// The process groups that were started and are not known to be gone.
#[derive(Debug, Default)]
pub(super) struct Groups(Mutex<BTreeMap<i32, Stage>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The run is under way: the number of the group is ours.
    Running,
    /// The group was killed. Its number is only watched: killing it once more could hit another that got it since.
    Killed,
}

impl Groups {
    fn table(&self) -> MutexGuard<'_, BTreeMap<i32, Stage>> {
        // Every change of the table is one call, so a panic elsewhere cannot have left half of one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets groups that were killed and have no process any more.
    pub(super) fn forget_gone(&self) {
        let mut table = self.table();
        let killed = table.iter().filter(|(_, stage)| **stage == Stage::Killed).map(|(group, _)| *group).collect();
        let living = living(&killed);
        table.retain(|group, stage| *stage == Stage::Running || living.contains_key(group));
    }

    /// How many are left.
    pub(super) fn count(&self) -> usize {
        self.table().len()
    }

    /// Kills every group that runs.
    pub(super) fn kill_all(&self) {
        for (group, _) in self.table().iter().filter(|(_, stage)| **stage == Stage::Running) {
            kill(*group);
        }
    }
}

/// A process group; dropping it kills what is left of it.
pub(super) struct Group {
    number: i32,
    groups: Arc<Groups>,
    /// Where the group is a guard's: it goes back once the group was killed.
    seat: Option<Seat>,
}

impl Group {
    /// The group that this program leads.
    pub(super) fn of(child: &Child, groups: &Arc<Groups>) -> Option<Self> {
        let number = i32::try_from(child.id()?).ok()?;
        groups.table().insert(number, Stage::Running);
        Some(Self { number, groups: Arc::clone(groups), seat: None })
    }

    /// The group of a guard that a program is about to join.
    pub(super) fn at(seat: Seat, groups: &Arc<Groups>) -> Self {
        groups.table().insert(seat.group(), Stage::Running);
        Self { number: seat.group(), groups: Arc::clone(groups), seat: Some(seat) }
    }

    /// Its number, where a program has to join it.
    pub(super) fn to_join(&self) -> i32 {
        if self.seat.is_some() { self.number } else { 0 }
    }

    /// Whether nobody would kill the group if our process ended now.
    pub(super) fn is_unguarded(&self) -> bool {
        self.seat.as_ref().is_some_and(|seat| !seat.is_guarded())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut table = self.groups.table();
        if table.get(&self.number) == Some(&Stage::Running) {
            kill(self.number);
            table.insert(self.number, Stage::Killed);
        }
    }
}

/// Ends every process of this group at once.
pub(in crate::seam::commands) fn kill(group: i32) {
    if let Some(pid) = Pid::from_raw(group) {
        // It fails when nobody is left in the group, which is what we want.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// A process, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::seam::commands) struct Process {
    pub(in crate::seam::commands) pid: i32,
    pub(in crate::seam::commands) name: String,
}

/// Those of the groups of which a process still runs, with what runs where the system tells.
pub(in crate::seam::commands) fn living(groups: &BTreeSet<i32>) -> BTreeMap<i32, Vec<Process>> {
    let there = |group: &i32| {
        Pid::from_raw(*group).is_some_and(|pid| !matches!(test_kill_process_group(pid), Err(Errno::SRCH)))
    };
    let there: BTreeSet<i32> = groups.iter().copied().filter(there).collect();
    if there.is_empty() {
        return BTreeMap::new();
    }
    let seen = members(&there);
    let alive = |group: i32| match seen.get(&group) {
        // Who was killed stays in the table of processes until its parent asks, which an init process may never do.
        Some(members) => members.iter().filter(|(_, dead)| !dead).map(|(process, _)| process.clone()).collect(),
        None => Vec::new(),
    };
    there
        .into_iter()
        .map(|group| (group, alive(group)))
        .filter(|(group, alive)| !alive.is_empty() || !seen.contains_key(group))
        .collect()
}

/// The processes of these groups, and whether each has ended and only waits for its parent to ask.
fn members(groups: &BTreeSet<i32>) -> BTreeMap<i32, Vec<(Process, bool)>> {
    let mut members: BTreeMap<i32, Vec<(Process, bool)>> = BTreeMap::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return members };
    for process in processes.flatten() {
        let Ok(line) = std::fs::read_to_string(process.path().join("stat")) else { continue };
        let Some((group, process, dead)) = member(&line) else { continue };
        if groups.contains(&group) {
            members.entry(group).or_default().push((process, dead));
        }
    }
    members
}

/// Reads `pid (name) state parent group …`, where the name may hold anything.
fn member(line: &str) -> Option<(i32, Process, bool)> {
    let (front, fields) = line.rsplit_once(')')?;
    let (pid, name) = front.split_once(" (")?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    Some((group, Process { pid: pid.parse().ok()?, name: name.to_owned() }, state == "Z" || state == "X"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let told = |line| member(line).map(|(group, process, dead)| (group, process.pid, process.name, dead));
        assert_eq!(told("12 (sh) S 1 34 5"), Some((34, 12, "sh".to_owned(), false)));
        assert_eq!(told("12 (a) (b) Z 9) Z 1 34 5"), Some((34, 12, "a) (b) Z 9".to_owned(), true)));
        assert_eq!(told("12 sh S 1 34 5"), None);
    }
}
