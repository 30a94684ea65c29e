//! A secret that was planted is in nothing that a run wrote.

mod common;

use common::{Ended, World, ended};
use rustix::process::Signal;
use steadfast::seam::Rng;

/// The secret is in a variable, in a file, in a command's output and its errors, and travels between tasks.
const GOAL: &str = r#"
name = "leaks"
on_exhausted = "fail"
[[tasks]]
id = "said"
result = "stdout"
command = { program = "sh", args = ["-c", "echo it is $PLANTED; cat shape.txt"], env = { PLANTED = { from = "PLANTED" } } }
[[tasks]]
id = "written"
command = { program = "sh", args = ["-c", "echo \"the value $PLANTED\" > leak.txt"], env = { PLANTED = { from = "PLANTED" } } }
[[tasks]]
id = "read"
after = ["written"]
retrieve = { content = "leak.txt" }
[[tasks]]
id = "shape"
retrieve = { content = "shape.txt" }
[[tasks]]
id = "json"
result = "json"
command = { program = "cat", args = ["secret.json"] }
[[tasks]]
id = "value"
retrieve = { value = { file = "secret.json" } }
[[tasks]]
id = "passed"
result = "stdout"
command = { program = "echo", args = ["${tasks.read.result}", "${tasks.shape.result}", "${tasks.value.result.deep}"] }
[[tasks]]
id = "scan"
check.secrets = { files = ["**"], on_findings = "report" }
[[tasks]]
id = "all"
collect = ["${tasks.said.result}", "${tasks.read.result}", "${tasks.json.result}", "${tasks.passed.result}"]
[[tasks]]
id = "fails"
command = { program = "sh", args = ["-c", "echo $PLANTED >&2; cat shape.txt secret.json >&2; exit 3"], env = { PLANTED = { from = "PLANTED" } } }
[[tasks]]
id = "refused"
check.assert = [{ value = "${tasks.shape.result}", equals = "nothing" }]
[[tasks]]
id = "no-json"
result = "json"
command = { program = "sh", args = ["-c", "cat shape.txt; echo $PLANTED"], env = { PLANTED = { from = "PLANTED" } } }
"#;

fn letters(rng: &mut Rng, count: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    (0..count).map(|_| char::from(LETTERS[usize::try_from(rng.next_u64() % 62).expect("it is below 62")])).collect()
}

/// A secret by its shape: what is before it, itself, and what is behind it.
fn shaped(rng: &mut Rng) -> (String, String) {
    let body = letters(rng, 36);
    match rng.next_u64() % 5 {
        0 => (format!("a token: ghp_{body} here"), body),
        1 => (format!("Authorization: Bearer {body}"), body),
        2 => (format!("{{\"API_KEY\": \"{body}\"}}"), body),
        3 => (format!("https://ann:{body}@example.org/"), body),
        _ => (format!("password=\"{body}\""), body),
    }
}

#[test]
fn a_planted_secret_is_in_nothing_that_is_written() {
    for seed in 0..8 {
        let mut rng = Rng::new(seed);
        let planted = format!("{} {}", letters(&mut rng, 9), letters(&mut rng, 7));
        let (text, shape) = shaped(&mut rng);
        let deep = letters(&mut rng, 12);
        let world = World::new(GOAL);
        world.file("shape.txt", &format!("{text}\n"));
        world.file("secret.json", &format!("{{ \"deep\": {{ \"Password\": \"{deep}\", \"port\": 1 }} }}"));
        let number = seed.to_string();
        let chaos = ["--json", "--seed", &number, "--chaos", "crash=15%"];
        let more = if seed % 2 == 0 { &chaos[..] } else { &chaos[..1] };
        let run = world.run_with(more, &[("PLANTED", &planted)]);
        let object = run.check(1, "failed");
        assert_eq!(object["tasks"]["failed"], 3, "{run:#?}");
        assert!(run.report.is_some() && run.page.is_some());
        for (place, kept) in world.kept() {
            for secret in [&planted, &shape, &deep] {
                let holds = kept.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!holds, "seed {seed}: {secret} is in {place}");
            }
        }
        for (place, written) in run.written() {
            for secret in [&planted, &shape, &deep] {
                assert!(!written.contains(secret.as_str()), "seed {seed}: {secret} is in {place}: {written}");
            }
        }
        assert!(run.report.is_some_and(|report| report.contains("***REDACTED***")));
    }
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_not_shown() {
    let world = World::new("name = 'g'\n[params.who]\ndefault = 1\n[[tasks]]\nid = 'a'\ncollect = '${params.who}'\n");
    let secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
    let run = world.run(&["--json", "--param", &format!("who={secret}")]);
    let object = run.check(2, "invalid");
    assert_eq!(object["errors"][0]["place"], "--param who");
    assert!(object["errors"][0]["remedy"].as_str().is_some_and(|remedy| remedy.contains("use { from = \"NAME\" }")));
    let wrong = world.run(&["--json", "--param", secret]);
    wrong.check(2, "invalid");
    for run in [run, wrong] {
        assert!(run.written().iter().all(|(_, text)| !text.contains(secret)), "{run:#?}");
    }
}

/// Waits for people and events, and names a secret.
const ASKS: &str = r#"
name = "asks"
[[tasks]]
id = "ok"
approve = { prompt = "ship it?" }
[[tasks]]
id = "paid"
after = ["ok"]
signal = { name = "payment" }
[[tasks]]
id = "said"
after = ["paid"]
command = { program = "true", env = { PLANTED = { from = "PLANTED", optional = true } } }
"#;

/// Fails where the secret is in a file of the folder of the runs, or in what was said.
#[track_caller]
fn nowhere(world: &World, secret: &str, told: &[&Ended]) {
    let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    for (name, bytes) in world.kept() {
        assert!(!holds(&bytes), "{name}");
    }
    for told in told {
        assert!(told.written().iter().all(|(_, text)| !text.contains(secret)), "{told:#?}");
    }
}

#[test]
fn a_secret_in_what_is_asked_of_a_run_is_written_nowhere() {
    let secret = "Vq7xTg1mHkZ9";
    let planted = &[("PLANTED", secret)][..];
    let (why, data) = (format!("the key {secret} fits"), format!("{{\"key\": \"{secret}\", \"{secret}\": 1}}"));
    // In a run that nobody carries.
    let world = World::new(ASKS);
    world.run_with(&["--json", "--wait", "100ms"], planted).check(4, "waiting");
    let approved = world.verb_with(&["approve", "last", "ok", "--why", &why], planted);
    approved.says(0, &["approved"]);
    world.run_with(&["--json", "--wait", "100ms"], planted).check(4, "waiting");
    let signalled = world.verb_with(&["signal", "last", "payment", "--data", &data], planted);
    signalled.says(0, &["told"]);
    let log = world.verb(&["log", "last", "--json"]).stdout;
    assert!(log.contains("the key ***REDACTED*** fits") && log.contains("\\\"key\\\":\\\"***REDACTED***"), "{log}");
    for (args, place) in [(&["signal", "last", secret][..], "NAME"), (&["fork", "last", "--from", secret], "--from")] {
        let refused = world.verb_with(args, planted);
        refused.says(2, &[place, "it holds the value of an environment variable"]);
        nowhere(&world, secret, &[&refused]);
    }
    let cancelled = world.verb_with(&["cancel", "last", "--why", &why], planted);
    cancelled.says(0, &["cancelled"]);
    nowhere(&world, secret, &[&approved, &signalled, &cancelled]);
    // In one of another process, which has no such variable: what is left for it has no secret any more.
    let world = World::new(ASKS);
    let run = world.start(&["--json"]);
    run.until_said("waits for a person");
    run.send(Signal::STOP);
    let approved = world.verb_with(&["approve", "last", "ok", "--why", &why], planted);
    approved.says(4, &["has not answered"]);
    nowhere(&world, secret, &[&approved]);
    run.send(Signal::CONT);
    run.until_said("task paid waits");
    run.send(Signal::TERM);
    nowhere(&world, secret, &[&run.end()]);
}

#[test]
fn a_secret_in_the_goal_is_refused_and_not_shown() {
    let world = World::new(
        "name = 'g'\n[[tasks]]\nid = 'a'\ncommand = { program = 'touch', args = ['ran'], env = { TOKEN = 'hunter2' } }\n",
    );
    let run = world.run(&["--json"]);
    let object = run.check(2, "invalid");
    assert!(object["errors"][0]["place"].as_str().is_some_and(|place| place.contains("goal.toml:4:")), "{run:#?}");
    assert!(run.stderr.contains("use { from = \"TOKEN\" }"), "{run:#?}");
    assert!(!world.exists("ran"));
    let checked = ended(&["check", &world.goal().display().to_string()]);
    assert_eq!(checked.code, Some(2));
    for run in [run, checked] {
        assert!(run.written().iter().all(|(_, text)| !text.contains("hunter2")), "{run:#?}");
    }
}

#[test]
fn the_value_of_a_variable_does_not_change_what_only_looks_like_it() {
    let world = World::new(
        r#"
name = "chain"
[[tasks]]
id = "tool"
command = { program = "true", env = { A = { from = "CHAIN" }, B = { from = "FOLDER", secret = false }, C = { from = "LONG" } } }
[[tasks]]
id = "files"
retrieve = { files = ["*.rs"] }
[[tasks]]
id = "each"
for_each = "${tasks.files.result}"
retrieve = { content = "${item}" }
"#,
    );
    world.file("stable.rs", "in /opt/folder-of-tools, unless nightly-2026");
    world.file("nightly-2026x.rs", "x");
    let run = world
        .run_with(&["--json"], &[("CHAIN", "stable"), ("FOLDER", "/opt/folder-of-tools"), ("LONG", "nightly-2026")]);
    run.check(0, "reached");
    let report = run.report.unwrap_or_default();
    for kept in ["\"stable.rs\"", "nightly-2026x.rs", "/opt/folder-of-tools, unless ***REDACTED***"] {
        assert!(report.contains(kept), "{kept}: {report}");
    }
}

#[test]
fn a_wrong_value_on_the_command_line_is_not_shown() {
    for (option, value) in
        [("--param", "DB_PASS hunter2secret"), ("--seed", "hunter2secret"), ("--jobs", "hunter2secret")]
    {
        let told = ended(&["run", "g.toml", "--input", ".", "--json", option, value]);
        told.check(2, "invalid");
        assert!(told.stderr.contains(option) && told.stderr.contains("expected "), "{told:#?}");
        assert!(told.written().iter().all(|(_, text)| !text.contains("hunter2secret")), "{told:#?}");
    }
}
