//! Snapshots: what is found in them, and how they print.

use std::time::Duration;

use super::*;
use crate::exit::ExitReason;
use crate::supervision::intensity::Intensity;
use crate::supervision::machine::{StartCause, Verdict};

fn id(name: &str) -> ChildId {
    ChildId::new(name).expect("a name")
}

fn running(name: &str, incarnation: u64) -> ChildSnapshot {
    let mut child = ChildSnapshot::new(id(name), &ChildRules::worker());
    (child.state, child.incarnation) = (ChildState::Running, Incarnation::new(incarnation));
    child
}

fn supervisor(path: &str, strategy: Strategy, children: Vec<ChildSnapshot>) -> SupervisorView {
    let rules = Rules::new(strategy).intensity(Intensity::at_most(3).within(Duration::from_secs(30)));
    let mut view = SupervisorView::new(path.parse().expect("a path"), &rules);
    (view.state, view.incarnation) = (ChildState::Running, Some(Incarnation::FIRST));
    view.children = children;
    view
}

fn nested(view: SupervisorView) -> ChildSnapshot {
    let mut child = ChildSnapshot::new(id(view.path.name()), &ChildRules::supervisor());
    (child.state, child.incarnation) = (view.state, view.incarnation);
    child.nested = Some(Box::new(view));
    child
}

fn panicked(child: &str) -> Entry {
    let tally = Tally { count: 1, limit: Intensity::at_most(3).within(Duration::from_secs(30)) };
    Entry {
        child: id(child),
        incarnation: Incarnation::FIRST,
        started: Duration::ZERO,
        lived: Duration::from_millis(2),
        cause: StartCause::Init,
        reason: ExitReason::Panicked { message: "attempt to \"divide\"\nby zero".to_owned(), location: None },
        verdict: Verdict::Restarting(tally),
    }
}

/// A tree with a nested supervisor that restarts a child, and a supervisor beside the tree.
fn snapshot() -> Snapshot {
    let mut divider = running("divider", 2);
    (divider.lifecycle, divider.queued) = (Some(StateName::Active), 3);
    let mut waiting = ChildSnapshot::new(id("b"), &ChildRules::worker().restart(Restart::Transient));
    waiting.state = ChildState::Restarting;
    waiting.budget = Some(Tally { count: 2, limit: Intensity::at_most(2) });
    let mut pool = supervisor("root/pool", Strategy::RestForOne, vec![running("a", 1), waiting]);
    (pool.doing, pool.queued, pool.restarts_total) = (Doing::WaitingToRestart(id("b")), 2, 5);
    let mut root = supervisor("root", Strategy::OneForOne, vec![divider, nested(pool), running("last", 1)]);
    root.history.push(panicked("divider"));
    (root.used.count, root.restarts_total) = (1, 1);
    let beside = supervisor("system", Strategy::OneForOne, vec![running("bus", 1)]);
    Snapshot::new(Duration::from_millis(12_500), vec![root, beside])
}

#[test]
fn nodes_come_in_the_order_of_the_tree_each_with_what_is_above_it() {
    let snapshot = snapshot();
    let nodes: Vec<_> = snapshot.nodes().map(|node| (node.path.to_string(), node.depth)).collect();
    let expected = [
        ("root", 0),
        ("root/divider", 1),
        ("root/pool", 1),
        ("root/pool/a", 2),
        ("root/pool/b", 2),
        ("root/last", 1),
        ("system", 0),
        ("system/bus", 1),
    ];
    assert_eq!(nodes, expected.map(|(path, depth)| (path.to_owned(), depth)));
    for node in snapshot.nodes() {
        assert_eq!(node.parent.map(|parent| parent.path.clone()), node.path.parent());
        assert_eq!(node.child.is_some(), node.depth > 0);
    }
}

#[test]
fn a_node_is_found_by_its_path_and_nothing_else_is() {
    let snapshot = snapshot();
    for node in snapshot.nodes() {
        let found = snapshot.find(node.path.as_str()).expect("it is there");
        assert_eq!((found.path, found.depth), (node.path, node.depth));
    }
    assert_eq!(snapshot.find("/root/pool/b").map(|node| node.state), Some(ChildState::Restarting));
    for path in ["", "roo", "root/poo", "root/pool/c", "root/divider/x", "system/bus/x", "a b"] {
        assert!(snapshot.find(path).is_none(), "{path} was found");
    }
}

#[test]
fn the_last_exit_of_a_child_comes_from_the_history_of_its_supervisor() {
    let snapshot = snapshot();
    let last = |path: &str| snapshot.find(path).and_then(|node| node.last_exit().map(|exit| exit.reason.kind()));
    assert_eq!(last("root/divider"), Some("panicked"));
    assert_eq!(last("root/last"), None);
    assert_eq!(last("root"), None);
}

#[test]
fn a_snapshot_prints_as_an_aligned_tree() {
    let expected = "\
at 12.500 s
root        running     incarnation 1  one_for_one, 1 of 3 in 30s, 1 restart in all, idle
├─ divider  running     incarnation 2  permanent, active, 3 queued, last exit: incarnation 1 panicked: attempt to \"divide\" by zero
├─ pool     running     incarnation 1  permanent, rest_for_one, 0 of 3 in 30s, 5 restarts in all, waiting to restart `b`, 2 in line
│  ├─ a     running     incarnation 1  permanent
│  └─ b     restarting                 transient, 2 of 2 in 5s (budget)
└─ last     running     incarnation 1  permanent
system      running     incarnation 1  one_for_one, 0 of 3 in 30s, 0 restarts in all, idle
└─ bus      running     incarnation 1  permanent";
    assert_eq!(snapshot().to_string(), expected);
}

#[test]
fn a_snapshot_is_a_flowchart_whose_labels_hold_nothing_of_its_language() {
    let expected = r#"flowchart TD
  n0["root<br/>running, incarnation 1<br/>one_for_one, 1 of 3 in 30s"]:::running
  n1("divider<br/>running, incarnation 2<br/>last exit: panicked"):::running
  n0 --> n1
  n2["pool<br/>running, incarnation 1<br/>rest_for_one, 0 of 3 in 30s"]:::running
  n0 --> n2
  n3("a<br/>running, incarnation 1"):::running
  n2 --> n3
  n4("b<br/>restarting<br/>2 of 2 in 5s (budget)"):::restarting
  n2 --> n4
  n5("last<br/>running, incarnation 1"):::running
  n0 --> n5
  n6["system<br/>running, incarnation 1<br/>one_for_one, 0 of 3 in 30s"]:::running
  n7("bus<br/>running, incarnation 1"):::running
  n6 --> n7
"#;
    let chart = snapshot().mermaid();
    assert_eq!(chart.split_once("  classDef ").map(|(nodes, _)| nodes), Some(expected));
    assert_eq!(print::escape("a\"b`#<é\n;"), "a#34;b#96;#35;#60;#233;#10;#59;");
}

#[test]
fn every_state_has_a_colour_of_its_own_class() {
    use ChildState::{Ended, Restarting, Running, Starting, Stopped, Stopping};

    let chart = snapshot().mermaid();
    for state in [Stopped, Starting, Running, Ended, Stopping, Restarting] {
        assert!(chart.contains(&format!("\n  classDef {state} fill:")), "{state} has no colour");
    }
}

#[test]
fn what_a_supervisor_does_prints_as_a_phrase() {
    let printed = [Doing::Idle, Doing::Starting(id("b")), Doing::Stopping(1), Doing::Stopping(3)];
    let expected = ["idle", "starting `b`", "stopping 1 child", "stopping 3 children"];
    assert_eq!(printed.map(|doing| doing.to_string()), expected);
}

#[test]
fn a_deep_tree_is_walked_printed_and_searched_without_recursion() {
    const LEVELS: usize = 500;
    let below = |above: usize| vec!["s"; above + 1].join("/");
    let deepest = supervisor(&below(LEVELS - 1), Strategy::OneForOne, Vec::new());
    let root = (0..LEVELS - 1)
        .rev()
        .fold(deepest, |inner, level| supervisor(&below(level), Strategy::OneForOne, vec![nested(inner)]));
    let snapshot = Snapshot::new(Duration::ZERO, vec![root]);
    assert_eq!(snapshot.nodes().count(), LEVELS);
    assert!(snapshot.find(below(LEVELS - 1)).is_some());
    assert_eq!(snapshot.to_string().lines().count(), LEVELS + 1);
    assert_eq!(snapshot.mermaid().matches(" --> ").count(), LEVELS - 1);
}
