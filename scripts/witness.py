#!/usr/bin/env python3
"""Compares what an outside witness saw of a run with the run's own report, while agents crash and hang.

    scripts/witness.py [SEEDS [FIRST]]      how many seeds (20), and the first of them (1)

STEADFAST names the program; it is built when it is not given. Each seed is run twice: with `crash=20%,hang=5%`, and
with `crash=20%` alone, where the number of restarts must equal the panics and the siblings restarted with them.
"""

import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 60
Seen = collections.namedtuple("Seen", "task key attempt what wall")


def program():
    given = os.environ.get("STEADFAST")
    if given:
        return given
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "steadfast-cli"], cwd=ROOT, check=True)
    return str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "steadfast")


def run(steadfast, folder, *more, goal="witness.toml", limit=LIMIT):
    """One run: its exit status, its object, its report, what was seen, and its stderr."""
    witness = folder / "witness"
    witness.write_text("")
    report = folder / "report"
    command = [steadfast, "run", str(ROOT / "examples/goals" / goal), "--input", str(folder / "input"), "--json"]
    command += ["--report", str(report), "--state", str(folder / "state"), "--param", f"witness={witness}", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    seen = []
    for line in witness.read_text().splitlines():
        task, key, attempt, what, wall = line.split()
        seen.append(Seen(task, key, int(attempt), what, int(wall)))
    return done.returncode, json.loads(done.stdout), json.loads((report / "report.json").read_text()), seen, done.stderr


def contradictions(status, summary, report, seen):
    """Everything in which the witness and the report differ."""
    if status != 0 or summary["status"] != "reached":
        yield f"the run ended with {status}, {summary['status']}"
    tasks = {task["key"]: task for task in report["results"] if task["key"]}
    if len(tasks) != len(report["results"]):
        yield "not every task has a key of its own"
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
        if len({one.task for one in lines}) != 1:
            yield f"the key {key} belongs to several tasks"
    again = sum(task["attempts"] - 1 for task in report["results"])
    if summary["reissued"] != again:
        yield f"reissued is {summary['reissued']}, and the attempts beyond the first are {again}"
    for name in ("lost", "completed_rerun"):
        if summary[name] != 0:
            yield f"{name} is {summary[name]}"
    for name in ("result_digest", "reissued", "restarts"):
        if summary[name] != report[name]:
            yield f"{name} on stdout differs from that in report.json"


def uncounted(summary, stderr):
    """Where agents only crash, each restart is that of one that panicked, or of a sibling restarted with it."""
    lines = stderr.splitlines()
    panics = sum("panicked at" in line for line in lines)
    siblings = sum(" restarted with " in line for line in lines)
    if summary["restarts"]["total"] != panics + siblings:
        yield f"{summary['restarts']['total']} restarts, but {panics} panics and {siblings} siblings"


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    steadfast = program()
    failed = runs = reissued = restarts = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "input").mkdir()
        status, calm, report, seen, stderr = run(steadfast, folder)
        found = list(contradictions(status, calm, report, seen))
        for seed in range(first, first + seeds):
            for chaos in ("crash=20%,hang=5%", "crash=20%"):
                status, summary, report, seen, stderr = run(steadfast, folder, "--seed", str(seed), "--chaos", chaos)
                here = list(contradictions(status, summary, report, seen))
                if summary["result_digest"] != calm["result_digest"]:
                    here.append("the result is not the calm one")
                if "hang" not in chaos:
                    here += uncounted(summary, stderr)
                found += [f"seed {seed}, {chaos}: {text}" for text in here]
                runs += 1
                failed += bool(here)
                reissued += summary["reissued"]
                restarts += summary["restarts"]["total"]
    for text in found:
        print(text)
    print(f"{runs - failed} of {runs} runs agree with the witness; {restarts} restarts, {reissued} leases given out again")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
