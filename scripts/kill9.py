#!/usr/bin/env python3
"""Kills the whole process with SIGKILL while it carries a goal of 200 commands, and compares what an outside witness saw
with the report of the run.

    scripts/kill9.py [ROUNDS [FIRST]]       how many rounds (300), and the seed of the first (1)

STEADFAST names the program; it is built when it is not given. Each round must end with the result of the calm run, and

* every key ended, by the attempt that the report names or an earlier one;
* no attempt began after the result of its key was recorded;
* no two attempts of a key overlap: once one began, no earlier one wrote anything more;
* no attempt was carried out twice, and no record is damaged (`steadfast verify`).
"""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 120
Seen = collections.namedtuple("Seen", "task key attempt what wall")


def program():
    given = os.environ.get("STEADFAST")
    if given:
        return given
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "steadfast-cli"], cwd=ROOT, check=True)
    return str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "steadfast")


def run(steadfast, folder, *more):
    """One run: its exit status, its object, its report, what was seen, and its stderr."""
    witness, state, report = folder / "witness", folder / "state", folder / "report"
    witness.write_text("")
    shutil.rmtree(state, ignore_errors=True)
    command = [steadfast, "run", str(ROOT / "examples/goals/kill9.toml"), "--input", str(folder / "input"), "--json"]
    command += ["--state", str(state), "--report", str(report), "--param", f"witness={witness}", "--jobs", "8", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    seen = []
    for line in witness.read_text().splitlines():
        task, key, attempt, what, wall = line.split()
        seen.append(Seen(task, key, int(attempt), what, int(wall)))
    verified = subprocess.run([steadfast, "verify", "--state", str(state)], capture_output=True, text=True)
    told = done.stdout.strip() or "{}"
    return done, json.loads(told), json.loads((report / "report.json").read_text()), seen, verified


def contradictions(done, summary, report, seen, verified):
    """Everything in which the witness and the report differ."""
    if done.returncode != 0 or summary.get("status") != "reached":
        yield f"the run ended with {done.returncode}, {summary.get('status')}: {done.stderr[-500:]}"
        return
    if verified.returncode != 0:
        yield f"what is kept is damaged: {verified.stdout}{verified.stderr}"
    tasks = {task["key"]: task for task in report["results"] if task["key"]}
    if len(tasks) != 200:
        yield f"there are {len(tasks)} keys, expected 200"
    by_key = collections.defaultdict(list)
    for one in seen:
        by_key[one.key].append(one)
    for key in sorted(set(tasks) ^ set(by_key)):
        yield f"the key {key} is known to only one of the two"
    for key in sorted(set(tasks) & set(by_key)):
        task, lines = tasks[key], by_key[key]
        if task["outcome"] != "succeeded" or not any(one.what == "end" for one in lines):
            yield f"{task['id']} never ended"
        if any(one.what == "start" and one.wall > task["recorded_unix_ms"] for one in lines):
            yield f"{task['id']} was started after its result was recorded"
        if max(one.attempt for one in lines) > task["attempts"]:
            yield f"{task['id']} was attempted more often than the report says"
        if len({(one.attempt, one.what) for one in lines}) != len(lines):
            yield f"{task['id']}: one attempt was carried out twice"
        # Lines are appended, so the order of the file is the order in which they were written.
        if any(one.attempt > later.attempt for one, later in zip(lines, lines[1:])):
            yield f"{task['id']}: an attempt went on beside the next one: {lines}"
    for name in ("lost", "completed_rerun"):
        if summary[name] != 0:
            yield f"{name} is {summary[name]}"


def killed(stderr):
    """How often the process was killed, as its watcher says."""
    words = [line.split() for line in stderr.splitlines() if line.startswith("chaos: it was killed")]
    return int(words[-1][4]) if words else 0


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    steadfast = program()
    failed = kills = reissued = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "input").mkdir()
        calm = run(steadfast, folder)
        found = [f"calm: {text}" for text in contradictions(*calm)]
        for seed in range(first, first + rounds):
            this = run(steadfast, folder, "--seed", str(seed), "--chaos", "kill9=every:500ms")
            here = list(contradictions(*this))
            if this[1].get("result_digest") != calm[1].get("result_digest"):
                here.append("the result is not the calm one")
            for text in here:
                print(f"seed {seed}: {text}", flush=True)
            found += here
            failed += bool(here)
            kills += killed(this[0].stderr)
            reissued += this[1].get("reissued", 0)
    print(f"{rounds - failed} of {rounds} rounds agree with the witness; killed {kills} times, {reissued} attempts lost with it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
