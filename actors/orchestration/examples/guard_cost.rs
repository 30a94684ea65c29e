//! What a guard costs a command: the same commands without one, below one, and each behind a process of ours of its own.
//!
//! Run with `cargo run --release -p steadfast-orchestration --example guard_cost -- [COMMANDS [PROGRAM]]`. The last way is
//! what a guard or a wrapper for each command would cost at least: `PROGRAM guard seat`, which ends at once, is run to its
//! end before each command.
#![allow(clippy::disallowed_methods, reason = "it measures the real world")]

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use steadfast_orchestration::seam::commands::guard::{self, GuardSpec};
use steadfast_orchestration::seam::commands::{Commands, Exit, Invocation, OsCommands};

/// How often the ways take turns.
const ROUNDS: usize = 9;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == "guard") {
        return guard::main();
    }
    let mut args = std::env::args().skip(1);
    let commands = args.next().and_then(|number| number.parse().ok()).unwrap_or(200);
    let ours = args.next().unwrap_or_else(|| "/proc/self/exe".to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(measure(commands, &ours));
    ExitCode::SUCCESS
}

async fn measure(commands: u32, ours: &str) {
    let folder = std::env::temp_dir().join(format!("guard-cost-{}", std::process::id()));
    let spec = || GuardSpec::this_program(folder.join("guards"));
    let begun = Instant::now();
    let guarded = OsCommands::guarded(spec());
    guarded.start_guard().await.expect("a guard");
    println!("start of the guard: {:?}", begun.elapsed());
    let begun = Instant::now();
    run(&guarded).await;
    println!("first command, with its seat: {:?}", begun.elapsed());
    let plain = OsCommands::new();
    for at_once in [1, 2, 8] {
        let mut ways = [const { (Vec::new(), Duration::ZERO) }; 3];
        for _ in 0..ROUNDS {
            let turns = [(&plain, None), (&guarded, None), (&plain, Some(ours))];
            for ((commands_of, before), (times, cpu)) in turns.into_iter().zip(&mut ways) {
                let used = cpu_time();
                times.push(all(commands_of, (commands, at_once), before).await);
                *cpu += cpu_time().saturating_sub(used);
            }
        }
        for (name, (mut times, cpu)) in ["alone", "below the guard", "behind"].into_iter().zip(ways) {
            times.sort_unstable();
            let (time, cpu) = (times[ROUNDS / 2] / commands, cpu / commands / u32::try_from(ROUNDS).unwrap_or(1));
            println!("{at_once} at once, per command: {name}: {time:?}, of processors {cpu:?}");
        }
    }
    drop(guarded);
    let _ = std::fs::remove_dir_all(folder);
}

/// What this process and its children that have ended used of processors, to the tick: other work beside does not count.
fn cpu_time() -> Duration {
    let line = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = line.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: u64 = fields.skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

async fn all(commands: &OsCommands, (total, at_once): (u32, u32), before: Option<&str>) -> Duration {
    let begun = Instant::now();
    let mut runs = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let (commands, before) = (commands.clone(), before.map(str::to_owned));
        runs.spawn(async move {
            for _ in 0..total / at_once {
                if let Some(before) = &before {
                    let status = Command::new(before).args(["guard", "seat"]).status().expect("it runs");
                    assert!(status.success());
                }
                run(&commands).await;
            }
        });
    }
    while runs.join_next().await.is_some() {}
    begun.elapsed()
}

async fn run(commands: &OsCommands) {
    let completed = commands.run(Invocation::new("/bin/true", "/")).await.expect("it runs");
    assert_eq!(completed.exit, Exit::Code(0));
}
