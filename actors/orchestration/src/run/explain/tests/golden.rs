//! Whole answers, kept as files: `BLESS=1 cargo test explain` writes them anew, and a reader of the change judges them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::*;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/explain").join(name)
}

#[track_caller]
fn same(name: &str, told: &str) {
    let file = file(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, told).expect("the golden file is written");
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(told == golden, "{} is not what is told now:\n{told}", file.display());
}

/// What three commands say of a run, the second also about these tasks.
#[track_caller]
fn check(name: &str, scene: &Scene, tasks: &[&str]) {
    let (account, view) = (scene.account(), scene.view());
    let mut told = format!("$ steadfast show RUN\n{}", tree(&account, &view).text());
    let _ = write!(told, "\n$ steadfast why RUN\n{}", scene.why(None));
    for task in tasks {
        let _ = write!(told, "\n$ steadfast why RUN {task}\n{}", scene.why(Some(task)));
    }
    told.push_str("\n$ steadfast log RUN\n");
    let mut log = Log::new();
    for record in &scene.records {
        let entry = log.add(record).expect("the next record");
        let _ = writeln!(told, "{}", entry.text());
    }
    let is_log = told.find("\n$ steadfast log").unwrap_or(told.len());
    for line in told[..is_log].lines() {
        let is_command = line.trim_start().starts_with("steadfast ");
        assert!(is_command || line.chars().count() <= 120, "{} characters: {line}", line.chars().count());
    }
    same(name, &told);
}

const CALM: &str = "
name = 'ship'
tasks = [
    { id = 'list', retrieve = { files = ['**'] } },
    { id = 'build', after = ['list'], command = { program = 'cargo' } },
    { id = 'lint', after = ['list'], command = { program = 'cargo' } },
    { id = 'docs', after = ['build'], when = { exists = 'docs' }, command = { program = 'mdbook' } },
    { id = 'pack', after = ['build', 'lint', 'docs'], command = { program = 'tar' } },
]";

#[test]
fn a_calm_run() {
    let mut scene = Scene::planned(CALM);
    scene.succeed("list").succeed("build").succeed("lint").lease("docs").after(90);
    scene.end("docs", AttemptEnd::Skipped { reason: "`docs` does not exist in the input folder".to_owned() });
    scene.succeed("pack").after(60_000);
    check("calm.txt", &scene, &["pack", "docs"]);
    same("calm.json", &format!("{:#}\n", tree(&scene.account(), &scene.view()).json()));
}

const FAN_OUT: &str = "
name = 'digest'
limits = { concurrency = 2 }
tasks = [
    { id = 'list', retrieve = { files = ['**'] } },
    { id = 'each', for_each = '${tasks.list.result}', retries = { attempts = 3 }, command = { program = 'sum' } },
    { id = 'check', after = ['list'], command = { program = 'true' } },
    { id = 'pack', after = ['check'], collect = '${tasks.each.result}' },
]";

#[test]
fn a_fan_out_with_failures_and_retries() {
    let mut scene = Scene::planned(FAN_OUT);
    scene.succeed("list").expand("each", 30);
    for item in 0..20 {
        scene.succeed(&format!("each[{item}]"));
    }
    scene.fail("each[20]", Class::Exit, "exit code 1, where 0 was expected; stderr: no space left").after(200);
    scene.succeed("each[20]").lease("each[22]").after(50).lose("each[22]", "it panicked: index out of bounds");
    scene.lease("each[22]").after(300).fail("each[21]", Class::Timeout, "it took longer than 10m").after(100);
    check("fan-out.txt", &scene, &["each", "each[21]", "each[23]", "pack"]);
}

const PATIENT: &str = "
name = 'ship'
tasks = [
    { id = 'fetch', command = { program = 'curl' }, undo = { command = { program = 'rm' }, retries = { attempts = 2 } } },
    { id = 'build', after = ['fetch'], retries = { attempts = 2 }, command = { program = 'cargo', env = { KEY = { from = 'DEPLOY_KEY' } } } },
    { id = 'pack', after = ['build'], command = { program = 'tar' }, undo = { command = { program = 'rm' } } },
    { id = 'sign', after = ['pack'], command = { program = 'gpg' } },
]";

#[test]
fn a_run_that_is_paused_because_attempts_are_used_up() {
    let mut scene = Scene::planned(PATIENT);
    let message =
        "exit code 101, where 0 was expected; stderr:\nerror: could not compile `shop` (lib) due to 3 previous errors";
    scene.succeed("fetch").fail("build", Class::Exit, message).after(400).fail("build", Class::Exit, message);
    scene.after(11_100_000);
    check("exhausted.txt", &scene, &["build", "sign"]);
    scene.resume().succeed("build");
    check("resumed.txt", &scene, &["build", "sign"]);
}

#[test]
fn a_run_that_is_paused_because_a_task_takes_its_agents_along() {
    let mut scene = Scene::planned(PATIENT);
    scene.succeed("fetch");
    for _ in 0..16 {
        scene.lease("build").after(1000).lose("build", "it was killed by signal 9");
    }
    scene.after(60_000);
    check("poison.txt", &scene, &["build"]);
}

#[test]
fn a_run_that_is_paused_because_a_variable_is_missing() {
    let mut scene = Scene::planned(PATIENT);
    scene.succeed("fetch");
    let why = PauseCause::MissingVariable { name: "DEPLOY_KEY".to_owned() };
    scene.after(3_600_000).take_up("steadfast 4712").pause(why, "steadfast", "DEPLOY_KEY is not set").after(5000);
    check("missing-variable.txt", &scene, &["build"]);
}

const WAITING: &str = "
name = 'release'
tasks = [
    { id = 'build', command = { program = 'cargo' } },
    { id = 'ok', after = ['build'], approve = { prompt = 'Ship it to all customers?', timeout = '3d' } },
    { id = 'paid', signal = { name = 'payment' } },
    { id = 'later', wait = { for = '2h' } },
    { id = 'deploy', after = ['ok', 'paid'], command = { program = 'deploy' } },
    { id = 'any', gather = { of = ['deploy', 'later'], take = 'first' } },
    { id = 'mail', after = ['any'], command = { program = 'mail' } },
]";

#[test]
fn a_run_that_waits_for_a_person_an_event_and_a_time() {
    let mut scene = Scene::planned(WAITING);
    scene.begin("paid").begin("later").succeed("build").begin("ok").after(3_600_000);
    check("waiting.txt", &scene, &["ok", "deploy", "mail", "later"]);
}

#[test]
fn a_run_that_was_cancelled_with_an_undo_that_failed() {
    let mut scene = Scene::planned(PATIENT);
    scene.succeed("fetch").succeed("build").succeed("pack").lease("sign").after(300).cancel(true);
    scene.undo("pack", Some((Class::Exit, "exit code 1, where 0 was expected; stderr: permission denied")));
    scene.undo("fetch", Some((Class::Timeout, "it took longer than 10m"))).after(400).undo("fetch", None).after(1000);
    check("cancelled.txt", &scene, &["pack", "fetch", "sign"]);
    same("cancelled.json", &format!("{:#}\n", tree(&scene.account(), &scene.view()).json()));
}

#[test]
fn a_run_whose_budget_is_spent() {
    let mut scene = Scene::planned(PATIENT);
    scene.succeed("fetch").lease("build").after(500);
    let message = "the budget of 100000 tokens is used up: `build` asked for 4096 more; raise `budget.counters.tokens`";
    let which = BudgetKind::Counter("tokens".to_owned());
    scene.append(vec![Record::BudgetSpent { which, message: message.to_owned(), wall: scene.now }]);
    scene.settle();
    check("budget.txt", &scene, &["build"]);
}

const CHILD: &str = "
name = 'shop'
tasks = [
    { id = 'build', command = { program = 'cargo' } },
    { id = 'ship', after = ['build'], goal = { inline = { name = 'ship', tasks = [{ id = 'send', collect = 1 }] } } },
    { id = 'mail', after = ['ship'], command = { program = 'mail' } },
]";

#[test]
fn a_goal_inside_a_goal_first_while_it_goes_on_and_then_failed() {
    let mut scene = Scene::planned(CHILD);
    scene.succeed("build").begin("ship").after(90_000);
    check("child.txt", &scene, &["mail"]);
    let run = scene.state.child(&id("ship")).expect("it has a run").run;
    let why = "`send` (exit): exit code 1".to_owned();
    let end = ChildEnd { run, status: crate::run::Status::Failed, results: json!({}), why };
    let records = child_ended(&scene.state, &id("ship"), &end, scene.now);
    scene.append(records);
    scene.settle();
    check("child-failed.txt", &scene, &["ship", "mail"]);
}

#[test]
fn a_run_that_was_put_down_and_taken_up_again() {
    let mut scene = Scene::planned(PATIENT);
    scene.succeed("fetch").lease("build").after(400);
    scene.append(vec![Record::Draining]);
    scene.after(100).end("build", AttemptEnd::Succeeded(json!(1))).after(3_600_000);
    check("drained.txt", &scene, &["pack"]);
    scene.take_up("steadfast 4712").lease("pack").after(500);
    // This process is killed, and the next one finds its lease.
    scene.after(60_000).take_up("steadfast 4713").lease("pack").after(700);
    check("taken-up.txt", &scene, &["pack"]);
}
