//! What must hold in every run of a goal, whoever dies on the way. Each is a function of what was seen from outside.

use std::collections::{BTreeMap, BTreeSet};

use steadfast_orchestration::agents::protocol::ReportReply;
use steadfast_orchestration::run::{Class, Leased, Outcome, Record, Report, TaskId};

use super::goals::COMMANDS;
use super::witness::{Seen, What};

/// Something that must hold in every run of a goal.
pub(crate) struct Oracle {
    pub(crate) name: &'static str,
    pub(crate) look: fn(&Run<'_>) -> Option<String>,
}

/// A run as it was seen.
pub(crate) struct Run<'a> {
    /// Everything that was seen, in order.
    pub(crate) seen: &'a [Seen],
    /// How many leases may be out at once.
    pub(crate) room: usize,
    /// The digest of the result when nothing goes wrong; nothing in the calm run itself.
    pub(crate) calm: Option<&'a str>,
}

/// All of them. What goes wrong first is told first: a run that does not end is often the last of it.
pub(crate) const ALL: [Oracle; 11] = [
    Oracle { name: "told-is-kept", look: told_is_kept },
    Oracle { name: "begun-is-kept", look: begun_is_kept },
    Oracle { name: "kept-stays", look: kept_stays },
    Oracle { name: "one-lease", look: one_lease },
    Oracle { name: "one-result", look: one_result },
    Oracle { name: "holder", look: holder },
    Oracle { name: "stranger", look: stranger },
    Oracle { name: "no-overlap", look: overlap },
    Oracle { name: "over-is-over", look: after_the_result },
    Oracle { name: "ends", look: ends },
    Oracle { name: "same-result", look: same_result },
];

impl<'a> Run<'a> {
    /// The report, if it came.
    pub(crate) fn report(&self) -> Option<&'a Report> {
        self.seen.iter().find_map(|seen| if let What::Reported(report) = &seen.what { Some(&**report) } else { None })
    }

    /// The records, as the journal said that it has them.
    fn records(&self) -> impl Iterator<Item = &'a Record> + use<'a> {
        self.seen.iter().filter_map(|seen| if let What::Kept(record) = &seen.what { Some(record) } else { None })
    }
}

/// A record is told of, and the report given, when the journal has it.
fn told_is_kept(run: &Run<'_>) -> Option<String> {
    let mut kept: Vec<&Record> = Vec::new();
    let mut has_ended = false;
    run.seen.iter().find_map(|seen| {
        match &seen.what {
            What::Kept(record) => {
                kept.push(record);
                has_ended |= matches!(record, Record::Ended { .. });
            }
            What::Told(record) if !kept.contains(&&**record) => {
                return Some(format!("the journal has it later: {seen}"));
            }
            What::Reported(_) if !has_ended => return Some(format!("the run has not ended: {seen}")),
            _ => {}
        }
        None
    })
}

/// An attempt begins when the journal has its lease.
fn begun_is_kept(run: &Run<'_>) -> Option<String> {
    let mut leased = BTreeSet::new();
    run.seen.iter().find_map(|seen| {
        match &seen.what {
            What::Kept(Record::Leased(Leased { key, attempt, .. })) => {
                leased.insert((key.as_str(), *attempt));
            }
            What::Started { key, attempt, .. } if !leased.contains(&(key.as_str(), *attempt)) => {
                return Some(format!("no lease is in the journal: {seen}"));
            }
            _ => {}
        }
        None
    })
}

/// What the journal has it keeps.
fn kept_stays(run: &Run<'_>) -> Option<String> {
    run.seen.iter().find(|seen| matches!(seen.what, What::Unsaid(_))).map(ToString::to_string)
}

/// A task has one lease at a time, by a number that rises; so has an agent; and no more are out than may be.
fn one_lease(run: &Run<'_>) -> Option<String> {
    let (mut out, mut attempts) = (BTreeMap::new(), BTreeMap::new());
    for record in run.records() {
        match record {
            Record::Leased(leased) => {
                let before = attempts.insert(&leased.task, leased.attempt).unwrap_or(0);
                if leased.attempt != before + 1 {
                    return Some(format!("attempt {} of `{}` comes after {before}", leased.attempt, leased.task));
                }
                if let Some(other) = out.values().find(|other: &&&Leased| other.agent == leased.agent) {
                    return Some(format!("{leased:?} goes to the holder of {other:?}"));
                }
                if let Some(other) = out.insert(&leased.task, leased) {
                    return Some(format!("{leased:?} is out beside {other:?}"));
                }
                if out.len() > run.room {
                    return Some(format!("{} leases are out, and {} may be", out.len(), run.room));
                }
            }
            Record::Failed { task, .. } | Record::Lost { task, .. } | Record::Recorded { task, .. } => {
                out.remove(task);
            }
            _ => {}
        }
    }
    None
}

/// Each result, and the end, is recorded once; nothing comes behind the end.
fn one_result(run: &Run<'_>) -> Option<String> {
    let (mut settled, mut end) = (BTreeSet::new(), None);
    run.records().find_map(|record| {
        if let Some(end) = end {
            return Some(format!("{record:?} comes behind {end:?}"));
        }
        match record {
            Record::Recorded { task, .. } if !settled.insert(task) => {
                Some(format!("it has a result already: {record:?}"))
            }
            Record::Leased(leased) if settled.contains(&leased.task) => Some(format!("it has a result: {record:?}")),
            Record::Ended { .. } => {
                end = Some(record);
                None
            }
            _ => None,
        }
    })
}

/// What is recorded of an attempt is what its holder's command came to.
fn holder(run: &Run<'_>) -> Option<String> {
    let (mut keys, mut started, mut ended) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    run.seen.iter().find_map(|seen| {
        let (task, attempt, well) = match &seen.what {
            What::Started { command, key, attempt } => {
                started.insert(*command, (key.as_str(), *attempt));
                return None;
            }
            What::Ended { command, well } => {
                let (key, attempt) = started.get(command)?;
                ended.insert((*key, *attempt, *well));
                return None;
            }
            What::Kept(Record::Leased(leased)) => {
                keys.insert(&leased.task, leased.key.as_str());
                return None;
            }
            What::Kept(record) => came_to(record)?,
            _ => return None,
        };
        let key = *keys.get(task)?;
        let is_so = !is_command(task) || ended.contains(&(key, attempt, well));
        (!is_so).then(|| format!("no such attempt has ended: {seen}"))
    })
}

/// Of which attempt a record says that its command came to its end, and how.
fn came_to(record: &Record) -> Option<(&TaskId, u32, bool)> {
    match record {
        Record::Recorded { task, attempt, outcome: Outcome::Succeeded { .. }, .. } => Some((task, *attempt, true)),
        Record::Failed { task, attempt, class: Class::Exit, .. } => Some((task, *attempt, false)),
        _ => None,
    }
}

fn is_command(task: &TaskId) -> bool {
    COMMANDS.contains(&task.task())
}

/// Whoever holds no lease any more is refused.
fn stranger(run: &Run<'_>) -> Option<String> {
    let is_heard = |seen: &&Seen| matches!(&seen.what, What::Stranger { reply, .. } if *reply != ReportReply::Refused);
    run.seen.iter().find(is_heard).map(|seen| format!("it was heard: {seen}"))
}

/// No two commands of one key run at once, and none is run twice by one start of the node under one lease.
fn overlap(run: &Run<'_>) -> Option<String> {
    let (mut running, mut begun) = (BTreeMap::new(), BTreeSet::new());
    run.seen.iter().find_map(|seen| {
        match &seen.what {
            What::Booted(_) => begun.clear(),
            What::Started { command, key, attempt } => {
                if running.values().any(|other| *other == key) {
                    return Some(format!("the one before runs on: {seen}"));
                }
                running.insert(*command, key);
                if !begun.insert((key, *attempt)) {
                    return Some(format!("it began before: {seen}"));
                }
            }
            What::Ended { command, .. } | What::BrokenOff { command } => {
                running.remove(command);
            }
            _ => {}
        }
        None
    })
}

/// No attempt begins when its result is recorded.
fn after_the_result(run: &Run<'_>) -> Option<String> {
    let (mut keys, mut over) = (BTreeMap::new(), BTreeSet::<&str>::new());
    run.seen.iter().find_map(|seen| {
        match &seen.what {
            What::Kept(Record::Leased(leased)) => {
                keys.insert(&leased.task, leased.key.as_str());
            }
            What::Kept(Record::Recorded { task, .. }) => over.extend(keys.get(task)),
            What::Started { key, .. } if over.contains(key.as_str()) => {
                return Some(format!("its result is recorded: {seen}"));
            }
            _ => {}
        }
        None
    })
}

/// The run ends in its time, and so does each key.
fn ends(run: &Run<'_>) -> Option<String> {
    if run.report().is_none() {
        let last = run.seen.last().map(ToString::to_string).unwrap_or_default();
        return Some(format!("there is no report; last there was {last}"));
    }
    let mut open = BTreeSet::new();
    for record in run.records() {
        match record {
            Record::Leased(leased) => open.insert(&leased.task),
            Record::Recorded { task, .. } => open.remove(task),
            _ => false,
        };
    }
    open.first().map(|task| format!("`{task}` has no result"))
}

/// The result is that of the calm run, and its report counts nothing that must not be.
fn same_result(run: &Run<'_>) -> Option<String> {
    let report = run.report()?;
    if report.lost > 0 || report.completed_rerun > 0 {
        return Some(format!("{} lost, {} run again", report.lost, report.completed_rerun));
    }
    let is_same = run.calm.is_none_or(|calm| calm == report.result_digest);
    (!is_same).then(|| format!("it is not that of the calm run: {:#?}", report.results))
}
