//! Tasks that the run itself carries out: people, times, events, and tasks of which some are enough.

use super::*;
use crate::goal::model::Take;

/// A task that waits.
pub(super) fn waits(needs: &[&str]) -> Entry {
    Entry { carried: Carried::Waits { schema: None }, ..entry(needs) }
}

/// A task that is a goal of its own.
pub(super) fn child(needs: &[&str]) -> Entry {
    Entry { carried: Carried::Child { schema: None, undone_inside: false }, ..entry(needs) }
}

/// A task that gathers.
pub(super) fn gathers(of: &[&str], take: Take) -> Entry {
    let of = of.iter().map(|id| (*id).to_owned()).collect();
    Entry { carried: Carried::Gathers(Gathering { of, take }), ..entry(&[]) }
}

fn approval(timeout: Option<Duration>) -> Begin {
    Begin::Approval { prompt: "Ship it?".to_owned(), timeout }
}

fn signal(name: &str) -> Begin {
    Begin::Signal { name: name.to_owned(), timeout: Some(Duration::from_mins(1)) }
}

impl Drive {
    fn begin(&mut self, task: &str, begin: &Begin) {
        let record = begun(&self.state, &task.parse().expect("a task"), begin, self.now);
        self.append(record.into_iter().collect());
    }

    fn tell(&mut self, tell: &Tell) -> Result<bool, String> {
        let record = told(&self.state, tell, self.now).map_err(|untold| untold.to_string())?;
        let new = record.is_some();
        self.append(record.into_iter().collect());
        let _ = self.steps();
        Ok(new)
    }

    fn approve(&mut self, task: &str) -> Result<bool, String> {
        let (who, why) = ("ann".to_owned(), "it is Monday".to_owned());
        self.tell(&Tell::Approve { task: task.parse().expect("a task"), who, why })
    }

    fn reject(&mut self, task: &str) -> Result<bool, String> {
        let (who, why) = ("bob".to_owned(), "it is Friday".to_owned());
        self.tell(&Tell::Reject { task: task.parse().expect("a task"), who, why })
    }

    fn signal(&mut self, name: &str, data: Value) -> Result<bool, String> {
        self.tell(&Tell::Signal { name: name.to_owned(), data, who: "shop".to_owned() })
    }
}

#[test]
fn a_task_that_waits_needs_no_room_and_holds_no_lease() {
    let limits = RunLimits { concurrency: 1, ..RunLimits::default() };
    let outline = Outline::new(limits).task("work", entry(&[])).task("ask", waits(&[])).task("rest", waits(&["work"]));
    let mut drive = Drive::new(outline);
    drive.lease(&TaskId::single("work"), "root/executor-1");
    assert_eq!(drive.todo(), ["ask#1"]);
    drive.begin("ask", &approval(None));
    assert!(drive.todo().is_empty());
    assert_eq!(drive.state.held().count(), 1);
    assert!(!only_waits(&drive.state, drive.now), "something is carried out");
    drive.end(&TaskId::single("work"), AttemptEnd::Succeeded(json!(1)));
    assert_eq!(drive.todo(), ["rest#1"]);
    assert!(!only_waits(&drive.state, drive.now), "something may begin");
    drive.begin("rest", &Begin::For(Duration::from_secs(5)));
    assert!(drive.todo().is_empty() && only_waits(&drive.state, drive.now));
}

#[test]
fn an_approval_says_who_and_why_and_a_rejection_ends_the_task() {
    let outline = Outline::new(RunLimits::default()).task("yes", waits(&[])).task("no", waits(&[]));
    let mut drive = Drive::new(outline.task("next", entry(&["no"])));
    drive.begin("yes", &approval(None));
    drive.begin("no", &approval(None));
    assert_eq!(drive.approve("yes"), Ok(true));
    assert_eq!(drive.outcome("yes"), r#"{"who":"ann","why":"it is Monday"}"#);
    assert_eq!(drive.reject("no"), Ok(true));
    assert_eq!(drive.outcome("no"), "rejected: bob rejected it: it is Friday");
    assert_eq!(drive.outcome("next"), "skipped: it needs `no`, which did not succeed");
    assert_eq!(drive.status(), Some(Status::Failed));
}

#[test]
fn what_was_said_first_counts_and_saying_it_again_is_nothing_new() {
    let mut drive = Drive::new(Outline::new(RunLimits::default()).task("ask", waits(&[])).task("end", entry(&[])));
    assert_eq!(drive.approve("ask"), Err("`ask` does not wait for an approval; no task does now".to_owned()));
    drive.begin("ask", &approval(None));
    assert_eq!(drive.approve("aks"), Err("`aks` is no task of this run; `ask` does".to_owned()));
    let both = ["Approved", "Rejected"].map(|_| TaskId::single("ask"));
    let [yes, no] = both;
    let who = || "ann".to_owned();
    let approved = Record::Approved { task: yes, who: who(), why: String::new(), wall: drive.now };
    drive.append(vec![approved]);
    let again = Tell::Approve { task: TaskId::single("ask"), who: who(), why: String::new() };
    assert_eq!(told(&drive.state, &again, drive.now), Ok(None));
    drive.append(vec![Record::Rejected { task: no, who: who(), why: String::new(), wall: drive.now }]);
    assert_eq!(drive.reject("ask"), Err("`ask` was approved already, by ann".to_owned()));
    let _ = drive.steps();
    assert_eq!(drive.outcome("ask"), r#"{"who":"ann","why":""}"#);
}

#[test]
fn nobody_who_answers_in_time_fails_the_task_with_what_was_waited_for() {
    let outline = Outline::new(RunLimits::default()).task("ask", waits(&[])).task("event", waits(&[]));
    let mut drive = Drive::new(outline);
    let day = Duration::from_hours(24);
    drive.begin("ask", &approval(Some(3 * day)));
    drive.begin("event", &signal("paid"));
    let first = START.after(Duration::from_mins(1));
    assert_eq!(drive.steps(), [Step::WakeAt(first)]);
    drive.now = first;
    assert_eq!(drive.steps(), [Step::WakeAt(START.after(3 * day))]);
    assert!(drive.outcome("event").starts_with("timeout: no signal `paid` came until 1970-01-01T00:17:40.000Z"));
    drive.now = START.after(3 * day);
    let _ = drive.steps();
    assert!(drive.outcome("ask").starts_with("timeout: nobody approved or rejected it until 1970-01-04"));
    assert!(drive.outcome("ask").contains("Ship it?"), "{}", drive.outcome("ask"));
    assert_eq!(drive.status(), Some(Status::Failed));
}

#[test]
fn the_time_in_which_a_run_stands_still_is_nobodys_who_waits_for_somebody() {
    let outline = Outline::new(RunLimits::default()).task("ask", waits(&[])).task("rest", waits(&[]));
    let mut drive = Drive::new(outline.task("late", waits(&[])));
    let minutes = |count| START.after(Duration::from_mins(count));
    drive.begin("ask", &approval(Some(Duration::from_mins(10))));
    drive.begin("rest", &Begin::For(Duration::from_mins(10)));
    let paused = |wall| Record::Paused { why: PauseCause::Asked, who: String::new(), message: String::new(), wall };
    drive.append(vec![paused(minutes(5))]);
    drive.now = minutes(30);
    // It was on its way when the run was paused.
    drive.begin("late", &approval(Some(Duration::from_mins(10))));
    assert!(drive.steps().is_empty());
    drive.append(vec![Record::Resumed { who: String::new(), wall: minutes(65) }]);
    drive.now = minutes(65);
    assert_eq!(drive.steps(), [Step::WakeAt(minutes(70))]);
    assert_eq!((drive.outcome("rest").as_str(), drive.outcome("ask").as_str()), ("null", "open"));
    drive.now = minutes(70);
    assert_eq!(drive.steps(), [Step::WakeAt(minutes(75))]);
    assert!(drive.outcome("ask").starts_with("timeout"), "{}", drive.outcome("ask"));
}

#[test]
fn a_moment_comes_however_long_nobody_looked() {
    let outline = Outline::new(RunLimits::default()).task("rest", waits(&[])).task("past", waits(&[]));
    let mut drive = Drive::new(outline);
    drive.begin("rest", &Begin::For(Duration::from_mins(10)));
    drive.begin("past", &Begin::Until(Millis(5)));
    assert_eq!(drive.steps(), [Step::WakeAt(START.after(Duration::from_mins(10)))]);
    assert_eq!(drive.outcome("past"), "null");
    drive.now = START.after(Duration::from_secs(700_000));
    let _ = drive.steps();
    assert_eq!((drive.outcome("rest").as_str(), drive.status()), ("null", Some(Status::Reached)));
}

#[test]
fn signals_of_a_name_are_taken_in_order_each_once_also_those_that_came_early() {
    let outline = Outline::new(RunLimits::default());
    let outline = outline.task("a", waits(&[])).task("b", waits(&[])).task("c", waits(&[])).task("z", waits(&[]));
    let mut drive = Drive::new(outline);
    drive.signal("paid", json!(1)).expect("taken");
    assert_eq!(drive.state.untaken().collect::<Vec<_>>(), [("paid", 1)]);
    // Who began first takes first, whatever its name.
    drive.begin("b", &signal("paid"));
    let _ = drive.steps();
    drive.begin("z", &signal("other"));
    drive.begin("c", &signal("paid"));
    drive.begin("a", &signal("paid"));
    drive.append(
        vec![2, 3]
            .into_iter()
            .map(|data| Record::Signalled {
                name: "paid".to_owned(),
                data: data.to_string(),
                who: "shop".to_owned(),
                wall: START,
            })
            .collect(),
    );
    let _ = drive.steps();
    let outcomes: Vec<_> = ["a", "b", "c", "z"].iter().map(|id| drive.outcome(id)).collect();
    assert_eq!(outcomes, ["3", "1", "2", "open"]);
    assert_eq!(drive.state.untaken().count(), 0);
}

#[test]
fn a_signal_that_came_after_its_time_is_left_for_the_next_one() {
    let outline = Outline::new(RunLimits::default()).task("a", waits(&[])).task("b", waits(&[]));
    let mut drive = Drive::new(outline);
    drive.begin("a", &signal("paid"));
    let late = START.after(Duration::from_secs(61));
    let late_one = Record::Signalled { name: "paid".to_owned(), data: "7".to_owned(), who: String::new(), wall: late };
    drive.append(vec![late_one]);
    drive.now = late;
    let _ = drive.steps();
    assert!(drive.outcome("a").starts_with("timeout"));
    drive.begin("b", &signal("paid"));
    let _ = drive.steps();
    assert_eq!(drive.outcome("b"), "7");
}

#[test]
fn data_that_its_schema_refuses_is_refused_where_somebody_waits_and_fails_the_task_where_it_came_early() {
    let schema = json!({ "type": "object", "required": ["amount"] });
    let strict = || Entry { carried: Carried::Waits { schema: Some(schema.clone()) }, ..entry(&[]) };
    let outline = Outline::new(RunLimits::default()).task("a", strict()).task("b", strict());
    let mut drive = Drive::new(outline);
    drive.begin("a", &signal("paid"));
    let told = drive.signal("paid", json!({})).expect_err("refused");
    assert!(told.starts_with("the data is not what `a` declares for `paid`") && told.contains("amount"), "{told}");
    assert_eq!(
        drive.signal("pa id", json!(1)).expect_err("refused").split(';').next(),
        Some("`pa id` is no name of a signal")
    );
    drive.signal("paid", json!({ "amount": 1 })).expect("taken");
    drive.signal("paid", json!("early")).expect("nobody waits for it");
    drive.begin("b", &signal("paid"));
    let _ = drive.steps();
    assert!(drive.outcome("b").starts_with("invalid: the data of the signal `paid`"), "{}", drive.outcome("b"));
    assert_eq!(drive.state.untaken().count(), 0, "what was refused is used up");
}

#[test]
fn nothing_is_told_to_a_run_that_is_over() {
    let mut drive = Drive::new(Outline::new(RunLimits::default()).task("a", entry(&[])));
    drive.succeed("a", json!(1));
    let _ = drive.steps();
    assert_eq!(
        drive.signal("x", json!(1)).expect_err("over"),
        "the run is over: reached; nothing waits in it any more"
    );
}

/// Three tasks of which some are gathered, and what follows.
fn three(take: Take) -> Drive {
    let outline = Outline::new(RunLimits { concurrency: 9, ..RunLimits::default() });
    let outline = outline.task("a", entry(&[])).task("b", entry(&[])).task("c", entry(&[]));
    Drive::new(outline.task("some", gathers(&["a", "b", "c"], take)).task("end", entry(&["some"])))
}

#[test]
fn whoever_gathers_takes_so_many_and_the_rest_is_cancelled() {
    for (take, taken, skipped) in [
        (Take::All, r#"[{"result":1,"task":"a"},{"result":2,"task":"b"},{"result":3,"task":"c"}]"#, &[][..]),
        (Take::First, r#"[{"result":3,"task":"c"}]"#, &["a", "b"]),
        (Take::Quorum(2), r#"[{"result":1,"task":"a"},{"result":3,"task":"c"}]"#, &["b"]),
    ] {
        let mut drive = three(take);
        drive.lease(&TaskId::single("b"), "root/executor-9");
        for (task, value) in [("c", 3), ("a", 1)] {
            if drive.outcome(task) == "open" {
                drive.succeed(task, json!(value));
                let _ = drive.steps();
            }
        }
        if drive.outcome("b") == "open" {
            drive.end(&TaskId::single("b"), AttemptEnd::Succeeded(json!(2)));
        }
        assert_eq!(drive.todo(), ["end#1"], "{take:?}");
        assert_eq!(drive.outcome("some"), taken);
        for id in skipped {
            assert_eq!(drive.outcome(id), "skipped: not needed: enough others ended first");
        }
        assert_eq!(drive.state.held().count(), 0, "{take:?}");
        drive.succeed("end", json!(0));
        let _ = drive.steps();
        assert_eq!(drive.status(), Some(Status::Reached), "{take:?}");
    }
}

#[test]
fn a_quorum_puts_up_with_failures_until_it_cannot_be_reached_any_more() {
    let mut drive = three(Take::Quorum(2));
    drive.fail("a", Class::Invalid);
    assert_eq!(drive.todo(), ["b#1", "c#1"]);
    drive.succeed("b", json!(2));
    drive.succeed("c", json!(3));
    assert_eq!(drive.todo(), ["end#1"]);
    drive.succeed("end", json!(0));
    let _ = drive.steps();
    assert_eq!(drive.status(), Some(Status::Reached), "two of three succeeded");

    let mut drive = three(Take::Quorum(2));
    drive.fail("a", Class::Invalid);
    drive.fail("c", Class::Invalid);
    assert_eq!(drive.todo(), ["b#1"], "what runs may end");
    let told = "quorum: it needs 2 of the tasks that it gathers, and no more than 0 can succeed, without `a`, `c`";
    assert_eq!(drive.outcome("some").replace("no more than 1", "no more than 0"), told);
    drive.succeed("b", json!(2));
    let _ = drive.steps();
    assert_eq!(drive.status(), Some(Status::Failed));
}

#[test]
fn one_that_fails_fails_whoever_needs_all() {
    let mut drive = three(Take::All);
    drive.fail("b", Class::Invalid);
    assert_eq!(drive.todo(), ["a#1", "c#1"]);
    assert!(drive.outcome("some").starts_with("quorum: it needs 3"), "{}", drive.outcome("some"));
    assert_eq!(drive.outcome("end"), "skipped: it needs `some`, which did not succeed");
}

#[test]
fn a_task_whose_condition_did_not_hold_is_not_among_those_that_are_gathered() {
    let mut drive = three(Take::All);
    skip(&mut drive, &TaskId::single("a"));
    drive.succeed("b", json!(2));
    drive.succeed("c", json!(3));
    let _ = drive.steps();
    assert_eq!(drive.outcome("some"), r#"[{"result":2,"task":"b"},{"result":3,"task":"c"}]"#);
    let mut drive = three(Take::First);
    for id in ["a", "b", "c"] {
        skip(&mut drive, &TaskId::single(id));
    }
    let _ = drive.steps();
    assert!(drive.outcome("some").starts_with("quorum: it needs 1"), "{}", drive.outcome("some"));
    assert_eq!(drive.status(), Some(Status::Failed));
}

#[test]
fn what_leads_only_to_what_is_not_needed_is_cancelled_too_and_what_others_need_is_not() {
    let outline = Outline::new(RunLimits { concurrency: 9, ..RunLimits::default() });
    let outline = outline.task("load", entry(&[])).task("slow", entry(&["load"])).task("wait", waits(&["load"]));
    let outline = outline.task("each", for_each(&[])).task("kept", entry(&[])).task("fast", entry(&[]));
    let gather = gathers(&["slow", "wait", "each", "kept", "fast"], Take::First);
    let mut drive = Drive::new(outline.task("one", gather).task("end", entry(&["kept", "one"])));
    drive.expand("each", 2);
    drive.succeed("load", json!(0));
    drive.begin("wait", &signal("x"));
    drive.lease(&TaskId::item("each", 1), "root/executor-1");
    drive.succeed("fast", json!(1));
    assert_eq!(drive.todo(), ["kept#1"], "somebody else needs it");
    for id in ["slow", "wait", "each[0]", "each[1]"] {
        assert_eq!(drive.outcome(id), "skipped: not needed: enough others ended first", "{id}");
    }
    assert_eq!((drive.state.held().count(), drive.state.waiting().count()), (0, 0));

    let outline = Outline::new(RunLimits::default()).task("load", entry(&[])).task("slow", entry(&["load"]));
    let outline = outline.task("fast", entry(&[])).task("one", gathers(&["slow", "fast"], Take::First));
    let mut drive = Drive::new(outline);
    drive.succeed("fast", json!(1));
    assert!(drive.todo().is_empty());
    assert_eq!(drive.outcome("load"), "skipped: not needed: enough others ended first");
    assert_eq!(drive.status(), Some(Status::Reached));
}

#[test]
fn what_a_run_waits_for_is_told_in_the_order_of_the_plan() {
    let outline =
        Outline::new(RunLimits::default()).task("z", waits(&[])).task("a", waits(&[])).task("child", child(&[]));
    let mut drive = Drive::new(outline.task("b", entry(&[])).task("some", gathers(&["a", "b"], Take::All)));
    for (task, begin) in [("a", signal("paid")), ("z", approval(None)), ("child", Begin::Child { params: json!({}) })] {
        drive.begin(task, &begin);
    }
    let told: Vec<_> = standing(&drive.state).into_iter().map(|wait| (wait.task.to_string(), wait.on)).collect();
    let run = child_run(RunId::new(uuid::Uuid::from_u128(7)), &TaskId::single("child"));
    let until = Some(START.after(Duration::from_mins(1)));
    assert_eq!(
        told,
        [
            ("z".to_owned(), On::Approval { prompt: "Ship it?".to_owned(), until: None }),
            ("a".to_owned(), On::Signal { name: "paid".to_owned(), until }),
            ("child".to_owned(), On::Child { run }),
            ("some".to_owned(), On::Tasks { of: vec!["a".to_owned(), "b".to_owned()], need: 2 }),
        ]
    );
    drive.approve("z").expect("it asks");
    assert_eq!(standing(&drive.state).len(), 3);
}

#[test]
fn a_child_ends_its_task_once_with_its_results_or_with_why_it_failed() {
    let outline = || Outline::new(RunLimits::default()).task("child", child(&[])).task("end", entry(&["child"]));
    let child = TaskId::single("child");
    let end = |drive: &mut Drive, status, why: &str| {
        let run = drive.state.child(&TaskId::single("child")).expect("it began").run;
        let end =
            ChildEnd { run, status, results: json!({ "a": 1 }), why: why.to_owned(), undone: UndoSummary::default() };
        let records = child_ended(&drive.state, &TaskId::single("child"), &end, drive.now);
        drive.append(records.clone());
        records.len()
    };
    let mut drive = Drive::new(outline());
    drive.begin("child", &Begin::Child { params: json!({}) });
    let strange = ChildEnd {
        run: RunId::new(uuid::Uuid::nil()),
        status: Status::Reached,
        results: json!({}),
        why: String::new(),
        undone: UndoSummary::default(),
    };
    assert_eq!(child_ended(&drive.state, &child, &strange, drive.now), []);
    assert_eq!((end(&mut drive, Status::Reached, ""), end(&mut drive, Status::Reached, "")), (2, 0));
    assert_eq!(drive.outcome("child"), r#"{"a":1}"#);
    assert_eq!(drive.todo(), ["end#1"]);
    let mut drive = Drive::new(outline());
    drive.begin("child", &Begin::Child { params: json!({}) });
    assert_eq!(end(&mut drive, Status::Failed, "`x` (exit): no"), 2);
    let told = drive.outcome("child");
    assert!(
        told.starts_with("child: the goal of its own ended as failed") && told.ends_with(": `x` (exit): no"),
        "{told}"
    );
}

#[test]
fn a_run_that_reached_its_goal_is_taken_up_again_only_to_be_undone() {
    let undone = || Entry { undo: Some(Retries::default()), ..entry(&[]) };
    let reached = |entry: Entry| {
        let mut drive = Drive::new(Outline::new(RunLimits::default()).task("a", entry));
        drive.succeed("a", json!(1));
        let _ = drive.steps();
        assert_eq!(drive.status(), Some(Status::Reached));
        drive
    };
    let cancel = |undo| Record::CancelAsked { undo, who: String::new(), why: String::new(), wall: START };
    for (entry, undo) in [(entry(&[]), true), (undone(), false)] {
        let mut drive = reached(entry);
        drive.append(vec![cancel(undo)]);
        assert_eq!((drive.status(), drive.steps()), (Some(Status::Reached), Vec::new()));
    }
    let mut drive = reached(undone());
    drive.append(vec![cancel(true)]);
    assert_eq!(drive.steps(), [Step::Undo { task: TaskId::single("a"), attempt: 1 }]);
    let task = TaskId::single("a");
    drive.append(vec![Record::UndoRecorded { task, attempt: 1, outcome: UndoOutcome::Undone, wall: START }]);
    let _ = drive.steps();
    assert_eq!((drive.status(), drive.state.undone().undone), (Some(Status::Cancelled), 1));
}

#[test]
fn no_more_runs_are_inside_a_run_than_leases_may_be_out() {
    let each = Entry { fan: Fan::ForEach, ..child(&[]) };
    let limits = RunLimits { concurrency: 2, ..RunLimits::default() };
    let mut drive = Drive::new(Outline::new(limits).task("each", each).task("ask", waits(&[])));
    assert_eq!(drive.todo(), ["each[]", "ask#1"]);
    drive.expand("each", 3);
    assert_eq!(drive.todo(), ["each[0]#1", "each[1]#1", "ask#1"]);
    drive.begin("each[1]", &Begin::Child { params: json!({}) });
    assert_eq!(drive.todo(), ["each[0]#1", "ask#1"]);
    assert_eq!(drive.state.children_running(), 1);
}

#[test]
fn waiting_ends_with_the_deadline_of_the_run() {
    let limits = RunLimits { deadline: Some(Duration::from_secs(5)), ..RunLimits::default() };
    let mut drive = Drive::new(Outline::new(limits).task("ask", waits(&[])));
    drive.begin("ask", &approval(None));
    assert_eq!(drive.steps(), [Step::WakeAt(START.after(Duration::from_secs(5)))]);
    drive.now = START.after(Duration::from_secs(5));
    let _ = drive.steps();
    assert!(drive.outcome("ask").contains("passed while it waited; raise"), "{}", drive.outcome("ask"));
    assert_eq!(drive.state.waiting().count(), 0);
}

#[test]
fn the_time_that_is_left_to_a_goal_inside_does_not_pass_while_the_run_stands_still() {
    let limits = RunLimits { deadline: Some(Duration::from_hours(1)), ..RunLimits::default() };
    let mut drive = Drive::new(Outline::new(limits).task("one", child(&[])).task("two", child(&[])));
    let minutes = |drive: &mut Drive, count| drive.now = drive.now.after(Duration::from_mins(count));
    minutes(&mut drive, 10);
    drive.pause();
    minutes(&mut drive, 300);
    drive.resume();
    minutes(&mut drive, 10);
    drive.begin("one", &Begin::Child { params: json!({}) });
    drive.pause();
    minutes(&mut drive, 300);
    // It was being prepared when the run was paused.
    drive.begin("two", &Begin::Child { params: json!({}) });
    let left = |task: &str| drive.state.child(&task.parse().expect("a task")).expect("it began").time_left;
    assert_eq!((left("one"), left("two")), (Some(Duration::from_mins(40)), Some(Duration::from_mins(40))));
}
