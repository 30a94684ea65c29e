//! A tree for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::{Attempt, TaskNode, Tree};
use crate::run::explain::words::{WIDTH, after_colon, count, cut, flat, moment, span, until, wrapped};
use crate::run::id::Millis;
use crate::run::phase::TaskStatus;
use crate::run::waits::On;

/// How many characters the names of tasks may take, with what is before them.
const NAMES: usize = 48;

/// How many items of a list are shown.
const ITEMS: usize = 16;

/// How many attempts of a task are shown.
const ATTEMPTS: usize = 6;

/// Where the words of a line about the whole run begin.
const INDENT: usize = 13;

pub(super) fn text(tree: &Tree) -> String {
    let mut out = head(tree);
    let rows = Rows::of(tree).lines;
    if !rows.is_empty() {
        out.push('\n');
    }
    let of = |part: fn(&Row) -> &str| rows.iter().filter(|row| row.is_task()).map(move |row| part(row).chars().count());
    let name = of(|row| &row.name).max().unwrap_or(0).min(NAMES);
    let status = of(|row| row.status).max().unwrap_or(0);
    for row in &rows {
        let line = if row.is_task() {
            format!("{:name$}  {:status$}  {}", cut(&row.name, name), row.status, row.detail)
        } else {
            format!("{}{}", row.name, row.detail)
        };
        out.push_str(cut(&line, WIDTH).trim_end());
        out.push('\n');
    }
    out
}

fn head(tree: &Tree) -> String {
    let (since, now) = (Millis(tree.since_unix_ms), Millis(tree.now));
    let mut out = format!("goal {}: {} ", tree.goal, tree.phase);
    let _ = match tree.ended_unix_ms {
        Some(_) => writeln!(out, "since {}", moment(since)),
        None => writeln!(out, "for {}, since {}", span(now.since(since)), moment(since)),
    };
    let mut line = |name: &str, what: &str| {
        let line = format!("  {name:width$}{}", flat(what), width = INDENT - 2);
        out.push_str(&wrapped(line.trim_end(), INDENT));
        out.push('\n');
    };
    line("run", tree.run.as_deref().unwrap_or("not recorded"));
    let took = format!("{}; it took {}", moment(Millis(tree.started_unix_ms)), of_millis(tree.elapsed_ms));
    let stood = if tree.paused_ms == 0 {
        String::new()
    } else {
        format!(", and stood still for {} of it", of_millis(tree.paused_ms))
    };
    line("began", &format!("{took}{}{stood}", if tree.ended_unix_ms.is_some() { "" } else { " so far" }));
    if tree.ended_unix_ms.is_none() {
        line("goes on", goes_on(tree.standing));
    }
    if !tree.input.is_empty() {
        line("input", &tree.input);
    }
    if tree.params.as_object().is_some_and(|params| !params.is_empty()) {
        line("params", &tree.params.to_string());
    }
    for (name, told) in told(tree) {
        line(name, &told);
    }
    let total: usize = tree.counts.iter().map(|(_, count)| count).sum();
    let each: Vec<_> = tree.counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
    line("tasks", &if total == 0 { "none".to_owned() } else { format!("{total}: {}", each.join(", ")) });
    for pause in &tree.pauses {
        line("paused", &format!("by {} ({}): {}", pause.who, pause.cause, pause.message));
        line("", &format!("to do: {}", pause.remedy));
    }
    if let Some(run) = tree.run.as_deref().filter(|run| has_plain_keys(tree, run)) {
        line("keys", &format!("{run}/TASK"));
    }
    if let Some(home) = home(tree).strip_suffix('/') {
        line("agents", &format!("in {home}"));
    }
    out
}

/// What else there is to tell of the run, each with its name.
fn told(tree: &Tree) -> Vec<(&'static str, String)> {
    let text = |value: &serde_json::Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let mut told = Vec::new();
    told.extend(
        tree.parent.as_ref().map(|of| ("part of", format!("task {} of run {}", text(of, "task"), text(of, "run")))),
    );
    told.extend(tree.forked.as_ref().map(|of| {
        ("forked", format!("from run {}, whose results it has up to task {}", text(of, "run"), text(of, "task")))
    }));
    told.extend(tree.taken_up.as_ref().map(|up| {
        let wall = Millis(up["unix_ms"].as_u64().unwrap_or_default());
        ("taken up", format!("by {}, {}", text(up, "by"), moment(wall)))
    }));
    told.extend(tree.problem.clone().map(|problem| ("problem", problem)));
    told.extend(tree.cancel.as_ref().map(|cancel| {
        let undo = if cancel["undo"] == true { ", with everything undone" } else { "" };
        ("cancelled", format!("by {}{undo}{}", text(cancel, "who"), after_colon(&text(cancel, "why"))))
    }));
    told.extend(tree.budget.clone().map(|budget| ("budget", budget)));
    let undone = |key: &str| tree.undone[key].as_u64().unwrap_or_default();
    if undone("undone") + undone("failed") > 0 {
        let failed = match undone("failed") {
            0 => String::new(),
            failed => format!("; {failed} could not be, and a person has to look at it"),
        };
        told.push(("undone", format!("{}{failed}", count(usize::try_from(undone("undone")).unwrap_or(0), "task"))));
    }
    told
}

fn goes_on(standing: &str) -> &'static str {
    match standing {
        "paused" => "when somebody resumes it",
        "waiting" => "when what it waits for is there",
        "drained" => "when a process takes it up",
        _ => "by itself, while a process carries it",
    }
}

/// Whether the key of every task is made of the run and the task, so that it need not be told of each.
fn has_plain_keys(tree: &Tree, run: &str) -> bool {
    let mut keys = tree.tasks.iter().filter_map(|task| Some((task.key.as_deref()?, &task.id))).peekable();
    keys.peek().is_some() && keys.all(|(key, id)| key.strip_prefix(run) == Some(&format!("/{id}")))
}

fn of_millis(millis: u64) -> String {
    span(Duration::from_millis(millis))
}

/// A line about a task, or about one attempt.
struct Row {
    name: String,
    status: &'static str,
    detail: String,
}

impl Row {
    fn is_task(&self) -> bool {
        !self.status.is_empty()
    }
}

struct Rows<'t> {
    tree: &'t Tree,
    plain_keys: bool,
    /// What stands below each task, in the order of the plan.
    below: BTreeMap<&'t str, Vec<&'t TaskNode>>,
    /// What needs each task and does not stand below it.
    elsewhere: BTreeMap<&'t str, Vec<&'t str>>,
    /// What the paths of all agents begin with, which is told once.
    home: &'t str,
    lines: Vec<Row>,
}

impl<'t> Rows<'t> {
    fn of(tree: &'t Tree) -> Self {
        let plain_keys = tree.run.as_deref().is_some_and(|run| has_plain_keys(tree, run));
        let (below, elsewhere) = (BTreeMap::new(), BTreeMap::new());
        let mut rows = Self { tree, plain_keys, below, elsewhere, home: home(tree), lines: Vec::new() };
        for task in &tree.tasks {
            if let Some(below) = &task.below {
                rows.below.entry(below).or_default().push(task);
            }
            let others = task.needs.iter().filter(|need| task.below.as_ref() != Some(need));
            others.for_each(|need| rows.elsewhere.entry(need).or_default().push(&task.id));
        }
        for root in tree.tasks.iter().filter(|task| task.below.is_none()) {
            rows.task(root, "", "");
        }
        rows
    }

    /// The lines of a task and of all that stand below it; `first` is before its name, `rest` before what is below it.
    fn task(&mut self, task: &'t TaskNode, first: &str, rest: &str) {
        let name = format!("{first}{}", task.id);
        let all = self.below.remove(task.id.as_str()).unwrap_or_default();
        let (items, tasks): (Vec<_>, Vec<_>) = all.into_iter().partition(|below| below.needs.is_empty());
        let detail = if task.items.is_some() { each(&items) } else { self.detail(task) };
        self.lines.push(Row { name, status: task.status.as_str(), detail: flat(&detail) });
        let (shown, hidden) = telling(items);
        let elsewhere = self.elsewhere.remove(task.id.as_str()).unwrap_or_default();
        let below = shown.len() + tasks.len() + usize::from(!elsewhere.is_empty()) + usize::from(!hidden.is_empty());
        let bar = if below > 0 { "│    " } else { "     " };
        self.attempts(task, &format!("{rest}{bar}"));
        let mut left = below;
        let mut branch = || {
            left -= 1;
            if left == 0 { ("└─ ", "   ") } else { ("├─ ", "│  ") }
        };
        for item in shown {
            let (one, more) = branch();
            self.task(item, &format!("{rest}{one}"), &format!("{rest}{more}"));
        }
        if !hidden.is_empty() {
            let name = format!("{rest}{}… ", branch().0);
            self.lines.push(Row { name, status: "", detail: each(&hidden).replacen(" item", " more item", 1) });
        }
        for below in tasks {
            let (one, more) = branch();
            self.task(below, &format!("{rest}{one}"), &format!("{rest}{more}"));
        }
        if !elsewhere.is_empty() {
            let name = format!("{rest}{}", branch().0);
            self.lines.push(Row { name, status: "", detail: format!("({}: see there)", elsewhere.join(", ")) });
        }
    }

    /// What was tried, where there is more to tell than one line holds.
    fn attempts(&mut self, task: &TaskNode, before: &str) {
        let mut told = Vec::new();
        if !self.plain_keys {
            told.extend(task.key.as_ref().map(|key| format!("key {key}")));
        }
        let plain = matches!(task.attempts.as_slice(), [] | [Attempt { end: "succeeded" | "running" | "skipped", .. }]);
        if !plain {
            let earlier = task.attempts.len().saturating_sub(ATTEMPTS);
            told.extend((earlier > 0).then(|| format!("… {} before these", count(earlier, "attempt"))));
            told.extend(task.attempts.iter().skip(earlier).map(|attempt| self.attempt("", attempt)));
        }
        if task.refused > 0 {
            told.push(format!(
                "{} of others about it refused",
                count(usize::try_from(task.refused).unwrap_or(0), "report")
            ));
        }
        let undos = task.undo.iter().flat_map(|undo| &undo.attempts);
        told.extend(undos.map(|attempt| self.attempt("undo, ", attempt)));
        let rows = told.into_iter().map(|told| Row { name: before.to_owned(), status: "", detail: flat(&told) });
        self.lines.extend(rows);
    }

    fn attempt(&self, what: &str, attempt: &Attempt) -> String {
        let after = of_millis(attempt.began_unix_ms.saturating_sub(self.tree.started_unix_ms));
        let took = of_millis(attempt.ended_unix_ms.unwrap_or(self.tree.now).saturating_sub(attempt.began_unix_ms));
        let class = attempt.class.map_or_else(String::new, |class| format!(" ({class})"));
        let message = attempt.message.as_ref().map_or_else(String::new, |message| format!(": {message}"));
        let number = attempt.number;
        format!(
            "{what}attempt {number} at {after}, {}{class}, {took}, by {}{message}",
            attempt.end,
            self.holder(attempt)
        )
    }

    fn holder(&self, attempt: &Attempt) -> String {
        let name = attempt.agent.strip_prefix(self.home).unwrap_or(&attempt.agent);
        format!("{name}, incarnation {}", attempt.incarnation)
    }

    /// What there is to tell of a task in the rest of its line.
    fn detail(&self, task: &TaskNode) -> String {
        use TaskStatus as S;
        let now = self.tree.now;
        let message = || task.outcome.as_ref().and_then(|outcome| outcome.message.clone()).unwrap_or_default();
        match task.status {
            S::Waiting if task.waits_on.is_none() => format!("for {}", task.waits_for.join(", ")),
            S::Leased | S::Validating => task.attempts.last().map_or_else(String::new, |attempt| {
                let long = of_millis(now.saturating_sub(attempt.began_unix_ms));
                format!("for {long}, attempt {} by {}", attempt.number, self.holder(attempt))
            }),
            S::BackingOff => {
                let due = task.next_attempt_unix_ms.unwrap_or(now);
                format!("the next attempt in {}", of_millis(due.saturating_sub(now)))
            }
            S::Exhausted => format!("after {}", count(task.attempts.len(), "attempt")),
            S::Failed => {
                let class = task.outcome.as_ref().and_then(|outcome| outcome.class).unwrap_or_default();
                format!("({class}) {}", message())
            }
            S::Skipped => message(),
            S::UndoFailed => {
                let why = task.undo.as_ref().and_then(|undo| undo.message.clone()).unwrap_or_default();
                format!("a person has to look at it: {why}")
            }
            S::Undoing => task.undo.as_ref().map_or_else(String::new, |undo| undo.state.replace('_', " ")),
            S::Succeeded | S::Undone => self.done(task),
            _ => waits(task, now),
        }
    }

    /// How a task that succeeded did.
    fn done(&self, task: &TaskNode) -> String {
        let by = task.attempts.last().map(|attempt| {
            let took = of_millis(attempt.ended_unix_ms.unwrap_or_default().saturating_sub(attempt.began_unix_ms));
            format!("in {took}, attempt {} by {}", attempt.number, self.holder(attempt))
        });
        let child = task.child.as_ref().map(|child| format!("run {}", child.run));
        let at = task.since_unix_ms.map(|since| moment(Millis(since)));
        by.or(child).or(at).unwrap_or_default()
    }
}

/// What the paths of all agents begin with, up to their names; nothing where they have no home in common.
fn home(tree: &Tree) -> &str {
    let undos = tree.tasks.iter().filter_map(|task| task.undo.as_ref()).flat_map(|undo| &undo.attempts);
    let mut homes = tree.tasks.iter().flat_map(|task| &task.attempts).chain(undos).map(|attempt| {
        let path = attempt.agent.as_str();
        path.rfind('/').map_or("", |end| &path[..=end])
    });
    let first = homes.next().unwrap_or_default();
    if homes.all(|home| home == first) { first } else { "" }
}

/// The items to show, and the others: where there are many, those that simply did what they should are not shown.
fn telling(items: Vec<&TaskNode>) -> (Vec<&TaskNode>, Vec<&TaskNode>) {
    if items.len() <= ITEMS {
        return (items, Vec::new());
    }
    let is_quiet = |item: &TaskNode| {
        let quiet = [TaskStatus::Succeeded, TaskStatus::Skipped, TaskStatus::Waiting, TaskStatus::Ready];
        item.attempts.len() < 2 && quiet.contains(&item.status)
    };
    let mut left = ITEMS;
    items.into_iter().partition(|item| {
        let shown = left > 0 && !is_quiet(item);
        left -= usize::from(shown);
        shown
    })
}

/// How many items there are, and in which status.
fn each(items: &[&TaskNode]) -> String {
    let mut counts: BTreeMap<TaskStatus, usize> = BTreeMap::new();
    for item in items {
        *counts.entry(item.status).or_default() += 1;
    }
    let each: Vec<_> = counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let colon = if each.is_empty() { "" } else { ": " };
    format!("{}{colon}{}", count(items.len(), "item"), each.join(", "))
}

/// What a task waits for that no agent does.
fn waits(task: &TaskNode, now: u64) -> String {
    let for_long = task
        .waits_since_unix_ms
        .map_or_else(String::new, |since| format!("for {}", of_millis(now.saturating_sub(since))));
    let most =
        |limit: &Option<Millis>| limit.map_or_else(String::new, |limit| format!(", {}", until(limit, Millis(now))));
    match &task.waits_on {
        None => String::new(),
        Some(On::Approval { prompt, until }) => format!("{for_long}{}: {prompt}", most(until)),
        Some(On::Until(then)) => until(*then, Millis(now)),
        Some(On::Signal { name, until }) => format!("{name}, {for_long}{}", most(until)),
        Some(On::Child { run }) => format!("run {run}, {for_long}"),
        Some(On::Paused(note)) => format!("paused: {}", note.message),
        Some(On::Tasks { of, need }) => format!("gathers {}, {need} more needed", of.join(", ")),
    }
}
