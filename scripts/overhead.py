#!/usr/bin/env python3
"""Measures what being supervised costs: the same commands by `xargs -P` and by `steadfast run`.

    scripts/overhead.py [ROUNDS [sleep|cpu]]      how many rounds (5), and what the commands do (sleep)

STEADFAST names the program; it is built when it is not given. Each round runs both, one after the other, in turns; the
medians are printed: the time for 10 s of work, and the time from the start to the first command.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TASKS, JOBS, SECONDS = 40, 2, 0.5
# A command notes when it begins, and then sleeps, or computes for about as long.
WORK = {
    "sleep": f"date +%s%N > $1.began; exec sleep {SECONDS}",
    "cpu": "date +%s%N > $1.began; exec python3 -c 'import time\n"
    f"while time.process_time() < {SECONDS}: sum(range(1000))'",
}
GOAL = """
name = "overhead"
[[tasks]]
id = "numbers"
collect = [{numbers}]
[[tasks]]
id = "work"
for_each = "${{tasks.numbers.result}}"
command = {{ program = "sh", args = ["-c", '''{work}''', "sh", "${{item}}"] }}
"""


def program():
    given = os.environ.get("STEADFAST")
    if given:
        return given
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "steadfast-cli"], cwd=ROOT, check=True)
    return str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "steadfast")


def plain(work, folder):
    numbers = "\n".join(str(number) for number in range(TASKS))
    command = ["xargs", "-P", str(JOBS), "-n", "1", "sh", "-c", work, "sh"]
    subprocess.run(command, input=numbers, text=True, cwd=folder, check=True)


def supervised(steadfast, folder):
    command = [steadfast, "run", str(folder.parent / "goal.toml"), "--input", str(folder), "--jobs", str(JOBS), "--json"]
    command += ["--report", str(folder.parent / "report"), "--state", str(folder.parent / "state")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measured(run, folder):
    """How long it took in all, and until the first command, in seconds."""
    for file in folder.iterdir():
        file.unlink()
    begun, ticks = time.time_ns(), time.monotonic()
    run()
    elapsed = time.monotonic() - ticks
    first = min(int(file.read_text()) for file in folder.glob("*.began"))
    return elapsed, (first - begun) / 1e9


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    work = WORK[sys.argv[2] if len(sys.argv) > 2 else "sleep"]
    steadfast = program()
    results = {"plain": [], "supervised": []}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "input"
        folder.mkdir()
        numbers = ", ".join(str(number) for number in range(TASKS))
        (folder.parent / "goal.toml").write_text(GOAL.format(numbers=numbers, work=work))
        runners = [("plain", lambda: plain(work, folder)), ("supervised", lambda: supervised(steadfast, folder))]
        for number in range(rounds):
            # In turns, so that neither is always the first.
            for kind, run in runners if number % 2 == 0 else runners[::-1]:
                results[kind].append(measured(run, folder))
    print(f"{TASKS} commands of {SECONDS} s on {JOBS} jobs, medians of {rounds} rounds")
    median = {kind: [statistics.median(column) for column in zip(*rows)] for kind, rows in results.items()}
    for kind, (elapsed, first) in median.items():
        print(f"  {kind:<10}  {elapsed:7.3f} s in all, {1000 * first:6.1f} ms to the first command")
    cost = median["supervised"][0] / median["plain"][0] - 1
    print(f"  supervised is {100 * cost:.2f} % slower (the aim is under 5 %)")
    print(f"  from start to the first task {1000 * median['supervised'][1]:.1f} ms (the aim is under 50 ms)")


if __name__ == "__main__":
    main()
