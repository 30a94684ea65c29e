//! What a task that gathers comes to follows from its members alone.

use proptest::prelude::{any, prop_assert_eq, proptest};

use super::waits::gathers;
use super::*;
use crate::goal::model::Take;

proptest! {
    #[test]
    fn whoever_gathers_comes_to_the_same_by_its_members_alone(
        ends in proptest::collection::vec(0..3_u8, 1..7),
        order in any::<u64>(),
        need in 0..7_u32,
    ) {
        let names: Vec<String> = (0..ends.len()).map(|number| format!("m{number}")).collect();
        let members: Vec<&str> = names.iter().map(String::as_str).collect();
        let take = match need { 0 => Take::All, 1 => Take::First, need => Take::Quorum(need) };
        let outline = names.iter().fold(Outline::new(RunLimits::default()), |outline, name| outline.task(name, entry(&[])));
        let mut drive = Drive::new(outline.task("some", gathers(&members, take)));
        let mut rng = Rng::new(order);
        let mut left: Vec<usize> = (0..ends.len()).collect();
        let mut succeeded = Vec::new();
        while !left.is_empty() {
            let next = left.swap_remove(below(&mut rng, left.len()));
            if drive.outcome(members[next]) != "open" {
                continue;
            }
            match ends[next] {
                0 => drive.fail(members[next], Class::Invalid),
                1 => skip(&mut drive, &TaskId::single(members[next])),
                _ => {
                    succeeded.push(next);
                    drive.succeed(members[next], json!(next));
                }
            }
            let _ = drive.steps();
        }
        let all = |kind: u8| ends.iter().map(|end| usize::from(*end == kind)).sum::<usize>();
        let needed = match take { Take::All => ends.len() - all(1), Take::First => 1, Take::Quorum(need) => need as usize };
        let reached = all(2) >= needed && (take != Take::All || all(0) == 0);
        prop_assert_eq!(drive.status(), Some(if reached { Status::Reached } else { Status::Failed }));
        if reached {
            succeeded.truncate(needed);
            succeeded.sort_unstable();
            let taken: Vec<_> = succeeded.iter().map(|member| json!({ "task": members[*member], "result": member })).collect();
            prop_assert_eq!(drive.outcome("some"), canonical(&json!(taken)));
        }
        prop_assert_eq!(drive.state.open(), 0);
    }
}

#[test]
fn what_is_not_needed_any_more_is_recorded_with_the_attempt_that_was_out() {
    let outline = Outline::new(RunLimits::default()).task("a", entry(&[])).task("b", entry(&[]));
    let mut drive = Drive::new(outline.task("one", gathers(&["a", "b"], Take::First)));
    let b = TaskId::single("b");
    drive.lease(&b, "root/executor-2");
    let used = drive.state.usage().clone();
    drive.succeed("a", json!(1));
    let _ = drive.steps();
    let of_b = |record: &Record| match record {
        Record::Recorded { task, attempt, .. } if *task == b => Some(*attempt),
        _ => None,
    };
    assert_eq!(drive.records.iter().find_map(of_b), Some(1));
    assert_ne!(drive.state.usage(), &used, "its attempt is not out any more");
    assert_eq!(drive.status(), Some(Status::Reached));
}

#[test]
fn a_task_that_gathers_waits_for_its_members_and_says_which() {
    let outline = Outline::new(RunLimits::default()).task("a", entry(&[])).task("b", entry(&[])).task("z", entry(&[]));
    let one = Entry { needs: std::iter::once("z".to_owned()).collect(), ..gathers(&["a", "b"], Take::All) };
    let mut drive = Drive::new(outline.task("all", one));
    let all = TaskId::single("all");
    let stands = |drive: &Drive| {
        let names: Vec<_> = drive.state.waits_for(&all).map(str::to_owned).collect();
        (drive.state.status(&all), names.join(" "))
    };
    assert_eq!(stands(&drive), (Some(TaskStatus::Waiting), "z a b".to_owned()));
    drive.succeed("a", json!(1));
    drive.succeed("z", json!(1));
    assert_eq!(stands(&drive), (Some(TaskStatus::Waiting), "b".to_owned()));
    drive.succeed("b", json!(1));
    assert_eq!(stands(&drive), (Some(TaskStatus::Ready), String::new()));
}
