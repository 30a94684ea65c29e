//! How far a plan comes, and what is told of what never came.

use super::*;
use crate::fault::{Point, Subject};

const SECOND: Duration = Duration::from_secs(1);

/// Carries out a plan: at each second the next of these comes to a point. Returns what went wrong, by number.
fn carried_out(plan: &str, meetings: &[(&str, Point, &str)]) -> (Vec<(usize, String)>, Progress) {
    let mut progress = Progress::of(plan.parse().expect("a plan"));
    let mut came = Vec::new();
    for (number, (path, point, about)) in (0_u32..).zip(meetings) {
        let path = path.parse().expect("a path");
        let subject = about.split_once('.').map(|(about, attempt)| Subject::new(about, attempt.parse().expect("1")));
        let at = FaultPoint::new(&path, Incarnation::FIRST, point, subject.as_ref());
        came.extend(progress.at(&at, number * SECOND).map(|due| (number as usize, due.action.to_string())));
    }
    (came, progress)
}

fn message(path: &str) -> (&str, Point, &'static str) {
    (path, Point::BeforeMessage, "")
}

#[test]
fn a_fault_comes_at_the_time_that_its_trigger_names_and_at_no_other() {
    let meetings = [message("root/a"), message("root/b"), message("root/a"), message("root/a"), message("root/a")];
    let cases: [(&str, &[usize]); 6] = [
        ("panic at before-message of root/a", &[0]),
        ("panic at before-message of root/a #2", &[2]),
        ("panic at before-message of root/* #2", &[1]),
        ("panic at before-message of root/a from 2s to 4s", &[2, 3]),
        ("panic at before-message of ** always", &[0, 1, 2, 3, 4]),
        ("panic at after-message of root/a", &[]),
    ];
    for (plan, numbers) in cases {
        let (came, progress) = carried_out(plan, &meetings);
        assert_eq!(came.iter().map(|(number, _)| *number).collect::<Vec<_>>(), numbers, "{plan}");
        assert_eq!(progress.fired().count(), numbers.len());
        assert_eq!(progress.unfired().len(), usize::from(numbers.is_empty()));
    }
}

#[test]
fn of_two_faults_for_one_moment_the_first_comes_and_the_other_waits_for_the_next_and_counts_as_alone() {
    let meetings = [message("root/a"), message("root/a"), message("root/a")];
    let plan =
        "panic at before-message of root/a; error at before-message of root/a; hang at before-message of root/a #3";
    let (came, _) = carried_out(plan, &meetings);
    assert_eq!(came, [(0, "panic".into()), (1, "error".into()), (2, "hang".into())]);
    let alone = plan.split_once("; ").expect("several").1;
    assert_eq!(carried_out(alone, &meetings).0.last(), Some(&(2, "hang".to_owned())));
}

#[test]
fn a_fault_for_a_subject_comes_at_that_subject_or_at_one_attempt_of_it() {
    let about = |about| ("root/a", Point::BeforeMessage, about);
    let meetings = [about("build.1"), about(""), about("test.1"), about("build.2")];
    let at = |plan: &str| carried_out(plan, &meetings).0.iter().map(|(number, _)| *number).collect::<Vec<_>>();
    assert_eq!(at("panic at before-message of root/a about build always"), [0, 3]);
    assert_eq!(at("panic at before-message of root/a about build.2"), [3]);
}

#[test]
fn a_fault_for_a_time_is_due_from_then_on_once_and_the_earliest_first() {
    let mut progress = Progress::of("kill root/b at 2s; kill root/a at 1s".parse().expect("a plan"));
    let nobody = Present::default();
    assert_eq!((progress.next(), progress.by(SECOND / 2, &nobody)), (Some(SECOND), vec![]));
    let names: Vec<_> = progress.by(3 * SECOND, &nobody).iter().map(|due| due.action.to_string()).collect();
    assert_eq!(names, ["kill root/a", "kill root/b"]);
    assert_eq!((progress.next(), progress.by(9 * SECOND, &nobody), progress.unfired()), (None, vec![], vec![]));
}

#[test]
fn what_never_came_is_told_with_what_came_nearest() {
    let meetings = [message("root/a"), ("root/a", Point::BeforeMessage, "build.1"), ("root/b", Point::InStop, "")];
    let nearest = |plan: &str| carried_out(plan, &meetings).1.unfired()[0].to_string();
    let cases = [
        ("panic at before-message of root/a #3", "that happened 2 times"),
        ("panic at before-message of root/a from 5s to 6s", "that happened 2 times, at other moments"),
        (
            "panic at before-message of root/a about test",
            "nothing of `before-message of root/a` (2 times) was about `test`",
        ),
        ("panic at after-message of root/a", "of `root/a` there was `before-message of root/a` (2 times)"),
        (
            "panic at in-stop of root/c",
            "nobody at `root/c` came to any point; others did: `in-stop of root/b` (1 times)",
        ),
        ("panic at back-off of root/c", "nobody came to `back-off`, and nobody at `root/c` to any point"),
        ("kill root/a at 9s", "it ended before that"),
    ];
    for (plan, told) in cases {
        assert_eq!(nearest(plan), format!("`{plan}` never came: {told}"));
    }
}

fn hop(from: &'static str, to: &'static str, subject: &'static str) -> Hop<'static> {
    Hop::new(from, to, subject)
}

/// Carries out a plan: at each second the next of these messages goes. Returns what went wrong, by number.
fn sent(plan: &str, hops: &[Hop<'static>]) -> (Vec<(usize, MessageFault)>, Progress) {
    let mut progress = Progress::of(plan.parse().expect("a plan"));
    let mut came = Vec::new();
    for (number, hop) in (0_u32..).zip(hops) {
        came.extend(progress.on_hop(hop, number * SECOND).map(|fault| (number as usize, fault)));
    }
    (came, progress)
}

#[test]
fn a_fault_on_a_link_comes_at_the_message_and_the_way_that_it_names() {
    let hops = [
        hop("a", "b", "x.y"),
        hop("b", "a", "x.z"),
        hop("a", "b", "x.y"),
        hop("a", "c", "x"),
        hop("b", "a", "x"),
        hop("a", "b", "x.z"),
    ];
    let cases: [(&str, &[usize]); 8] = [
        ("drop at link a to b", &[0]),
        ("drop at link a to b #3", &[5]),
        ("drop at link a with b #3", &[2]),
        ("drop at link a to b always", &[0, 2, 5]),
        ("drop at link * to a from 2s to 9s", &[4]),
        ("partition at link a with b from 1s to 5s", &[1, 2, 4]),
        ("drop at link * to * about x.y always", &[0, 2]),
        ("drop at link a to b about x.* always", &[0, 2, 5]),
    ];
    for (plan, numbers) in cases {
        let came = sent(plan, &hops).0;
        assert_eq!(came, numbers.iter().map(|number| (*number, MessageFault::Drop)).collect::<Vec<_>>(), "{plan}");
    }
    let all = "duplicate at link a to b; delay 2ms at link a to b; reorder at link a to b";
    let kinds: Vec<_> = sent(all, &hops).0.into_iter().map(|(_, fault)| fault).collect();
    let delay = MessageFault::Delay(Duration::from_millis(2));
    assert_eq!(kinds, [MessageFault::Duplicate, delay, MessageFault::Reorder], "one at a time");
    let nearest = |plan: &str| sent(plan, &hops).1.unfired()[0].nearest.clone();
    assert_eq!(nearest("drop at link a to b #9"), "that happened 3 times");
    assert_eq!(nearest("drop at link a to b about q"), "nothing of `link a to b` (3 times) was about `q`");
    let elsewhere = "elsewhere there was `link a to b` (3 times), `link a to c` (1 times), `link b to a` (2 times)";
    assert_eq!(nearest("drop at link c to a"), format!("nothing went over `link c to a`; {elsewhere}"));
    assert_eq!(sent("drop at link a to b", &[]).1.unfired()[0].nearest, "no message went from one node to another");
}

#[test]
fn a_fault_of_a_node_comes_there_and_a_star_is_the_node_of_whoever_is_at_the_point() {
    let path: Path = "root/w".parse().expect("a path");
    let plan = "panic at before-message of b:root/w; crash * for 1s at before-message of root/* #3; error at before-message of root/w #4";
    let mut progress = Progress::of(plan.parse().expect("a plan"));
    let mut visit = |node| {
        let at = FaultPoint::new(&path, Incarnation::FIRST, &Point::BeforeMessage, None).on(node);
        progress.at(&at, SECOND).map(|due| due.action.to_string())
    };
    let came = ["a", "b", "a", "c"].map(|node| visit(node).unwrap_or_default());
    assert_eq!(came, ["", "panic", "crash a for 1s", "error"]);
    let nodes: Vec<_> = progress.fired().map(|fired| fired.who.as_ref().and_then(|who| who.node.as_deref())).collect();
    assert_eq!(nodes, [Some("b"), Some("a"), Some("c")]);
}

#[test]
fn what_could_not_be_carried_out_has_not_come_and_is_told_with_the_reason() {
    let mut progress = Progress::of("crash a at 1s; kill root/b at 1s".parse().expect("a plan"));
    let due = progress.by(SECOND, &Present::default());
    progress.refused(due[0].number, "there is no node `a`");
    progress.refused(due[0].number, "and told once");
    let unfired: Vec<_> = progress.unfired().iter().map(ToString::to_string).collect();
    assert_eq!(unfired, ["`crash a at 1s` never came: there is no node `a`"]);
    assert_eq!(progress.fired().count(), 1);
    assert_eq!((progress.next(), progress.fired_plan().to_string()), (None, "kill root/b at 1s".to_owned()));
}
