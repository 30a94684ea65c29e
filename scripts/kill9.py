#!/usr/bin/env python3
"""Kills the whole process with SIGKILL while it carries a goal of 200 commands, and compares what an outside witness saw
with the report of the run.

    scripts/kill9.py [ROUNDS [FIRST]]       how many rounds (300), and the seed of the first (1)

STEADFAST names the program; it is built when it is not given. Each round must end with the result of the calm run, must not
contradict the witness in anything that witness.py looks at, and

* no two attempts of a key overlap: once one began, no earlier one wrote anything more;
* there is one run, with 200 keys, and no record is damaged (`steadfast verify`).
"""

import collections
import pathlib
import shutil
import subprocess
import sys
import tempfile

import witness

COMMANDS = 200
LIMIT = 120


def run(steadfast, folder, *more):
    """One run in a folder of its own: what `witness.run` gives, and what `verify` says."""
    state = folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    seen = witness.run(steadfast, folder, "--jobs", "8", *more, goal="kill9.toml", limit=LIMIT)
    verified = subprocess.run([steadfast, "verify", "--state", str(state)], capture_output=True, text=True)
    return seen, verified


def contradictions(status, summary, report, seen, verified):
    """Everything in which the witness and the report differ."""
    yield from witness.contradictions(status, summary, report, seen)
    if verified.returncode != 0:
        yield f"what is kept is damaged: {verified.stdout}{verified.stderr}"
    by_key = collections.defaultdict(list)
    for one in seen:
        by_key[one.key].append(one)
    if len(by_key) != COMMANDS:
        yield f"there are {len(by_key)} keys, expected {COMMANDS}"
    for key, lines in sorted(by_key.items()):
        # Lines are appended, so the order of the file is the order in which they were written.
        if any(one.attempt > later.attempt for one, later in zip(lines, lines[1:])):
            yield f"{key}: an attempt went on beside the next one: {lines}"


def killed(stderr):
    """How often the process was killed, as its watcher says."""
    words = [line.split() for line in stderr.splitlines() if line.startswith("chaos: it was killed")]
    return int(words[-1][4]) if words else 0


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    steadfast = witness.program()
    failed = kills = reissued = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "input").mkdir()
        (status, calm, report, seen, _), verified = run(steadfast, folder)
        found = [f"calm: {text}" for text in contradictions(status, calm, report, seen, verified)]
        for text in found:
            print(text)
        for seed in range(first, first + rounds):
            this, verified = run(steadfast, folder, "--seed", str(seed), "--chaos", "kill9=every:500ms")
            status, summary, report, seen, stderr = this
            here = list(contradictions(status, summary, report, seen, verified))
            if summary["result_digest"] != calm["result_digest"]:
                here.append("the result is not the calm one")
            for text in here[:5]:
                print(f"seed {seed}: {text}", flush=True)
            found += here
            failed += bool(here)
            kills += killed(stderr)
            reissued += summary["reissued"]
            if (seed - first) % 25 == 24:
                print(f"{seed - first + 1} rounds, {failed} of them disagree", file=sys.stderr)
    agree = f"{rounds - failed} of {rounds} rounds agree with the witness"
    print(f"{agree}; killed {kills} times, {reissued} attempts lost with it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
