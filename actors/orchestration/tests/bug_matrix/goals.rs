//! Goals by seed: lists that are carried out item by item, commands that take their time or fail, checks, optional parts.

use std::fmt::Write as _;

use steadfast::seam::{Rng, seed_of};
use steadfast_orchestration::seam::testing::MemoryFiles;

/// The name of each goal.
pub(crate) const NAME: &str = "seeded";

/// The tasks that run a program, each of its items too.
pub(crate) const COMMANDS: [&str; 7] = ["prints", "first", "second", "flaky", "bad", "late", "optional"];

/// A goal, and what it is carried out with.
#[derive(Clone)]
pub(crate) struct Goal {
    /// The text of its file.
    pub(crate) text: String,
    /// The input folder.
    pub(crate) files: MemoryFiles,
    /// How many agents there are of each kind.
    pub(crate) jobs: usize,
    /// How many leases may be out at once.
    pub(crate) room: usize,
}

/// The goal of a seed.
pub(crate) fn of_seed(seed: u64) -> Goal {
    let mut rng = Rng::new(seed_of(seed, "goal"));
    let jobs = 2 + usize::from(is(&mut rng, 2)) + usize::from(is(&mut rng, 2));
    let limit = is(&mut rng, 3).then_some(2);
    let items = rng.next_u64() % 5;
    let files = (0..items).fold(MemoryFiles::new(), |files, number| files.with(&format!("src/{number}.rs"), "//"));
    let files = if is(&mut rng, 2) { files.with(".git/HEAD", "main") } else { files };
    let limits = limit.map(|limit| format!("limits = {{ concurrency = {limit} }}\n")).unwrap_or_default();
    let mut text = format!("name = \"{NAME}\"\n{limits}");
    for part in PARTS {
        if part.is_always || is(&mut rng, 2) {
            let millis = 5 + rng.next_u64() % 400;
            let _ = write!(
                text,
                "\n[[tasks]]\nid = \"{}\"\n{}\n",
                part.id,
                part.body.replace("MILLIS", &millis.to_string())
            );
        }
    }
    Goal { text, files, jobs, room: limit.unwrap_or(jobs).min(jobs) }
}

/// Whether something is so, once in so many seeds.
fn is(rng: &mut Rng, one_in: u64) -> bool {
    rng.next_u64().is_multiple_of(one_in)
}

/// A task that may be in a goal.
struct Part {
    id: &'static str,
    is_always: bool,
    body: &'static str,
}

const fn always(id: &'static str, body: &'static str) -> Part {
    Part { id, is_always: true, body }
}

const fn sometimes(id: &'static str, body: &'static str) -> Part {
    Part { id, is_always: false, body }
}

/// The program is `work`: for so many milliseconds, then so well, with this text.
const PARTS: [Part; 12] = [
    always("list", r#"retrieve = { files = ["src/**"] }"#),
    always(
        "prints",
        r#"for_each = "${tasks.list.result}"
result = "stdout"
command = { program = "work", args = ["MILLIS", "well", "${index} ${item}"] }"#,
    ),
    sometimes(
        "digests",
        r#"for_each = "${tasks.list.result}"
retrieve = { digest = "${item}" }"#,
    ),
    always(
        "first",
        r#"result = "stdout"
command = { program = "work", args = ["MILLIS", "well", "first"] }"#,
    ),
    sometimes(
        "second",
        r#"result = "stdout"
command = { program = "work", args = ["MILLIS", "well", "${tasks.first.result} and second"] }"#,
    ),
    sometimes(
        "flaky",
        r#"after = ["list"]
retries = { attempts = 3, backoff = "50ms" }
result = "stdout"
command = { program = "work", args = ["MILLIS", "third", "at last"] }"#,
    ),
    sometimes(
        "bad",
        r#"retries = { attempts = 2, backoff = "20ms" }
command = { program = "work", args = ["MILLIS", "never", ""] }"#,
    ),
    sometimes(
        "late",
        r#"timeout = "150ms"
command = { program = "work", args = ["1000", "well", ""] }"#,
    ),
    sometimes(
        "optional",
        r#"when = { exists = ".git" }
result = "stdout"
command = { program = "work", args = ["MILLIS", "well", "history"] }"#,
    ),
    always("report", r#"collect = { prints = "${tasks.prints.result}", first = "${tasks.first.result}" }"#),
    always(
        "valid",
        r#"check = { value = "${tasks.report.result}", schema = { type = "object", required = ["first", "prints"] } }"#,
    ),
    sometimes("wrong", r#"check = { value = "${tasks.report.result}", schema = { type = "array" } }"#),
];
