#!/usr/bin/env python3
"""Steadfast beside LangGraph, DBOS and Restate: goals of steps that are over at once, kept in a file of their own, in turns.

    benches/peers/run.py [ROUNDS] [PEER ...]       5 rounds; langgraph, dbos, restate

    chain   one run of 1,000 steps, safe from the end of the process; per step
    goals   64 runs of 20 steps at once, safe from a power cut; per step
    short   a run of 3 steps, safe from a power cut; per run

The peers are installed into benches/target/peers with pip and npm, in the versions named below.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import venv

import steps

HERE = pathlib.Path(__file__).resolve().parent
PLACE = HERE.parent / "target" / "peers"
PYTHON = ["langgraph==1.2.24", "langgraph-checkpoint-sqlite==3.1.2", "dbos==3.4.0"]
NODE = ["@restatedev/restate-server@1.7.12", "@restatedev/restate-sdk@1.17.2"]
WORK = {"chain": 1000, "goals": 64, "short": 3}
UNIT = {"chain": ("us per step", 1e6 / 1000), "goals": ("us per step", 1e6 / (64 * steps.STEPS)), "short": ("ms per run", 1e3)}


def install(peers):
    """Installs what the peers need."""
    if {"langgraph", "dbos"} & peers and not (PLACE / "python").exists():
        venv.create(PLACE / "python", with_pip=True)
        subprocess.run([PLACE / "python" / "bin" / "pip", "install", "--quiet", *PYTHON], check=True)
    if "restate" in peers and not (PLACE / "node_modules").exists():
        PLACE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", PLACE, *NODE], check=True)


def peer(name, bench, folder):
    """How a peer is asked: its command and its environment."""
    if name == "restate":
        # Modules are looked for beside the program.
        program = shutil.copy(HERE / "restate_steps.mjs", PLACE)
        command = ["node", program, folder, bench, str(WORK[bench]), str(steps.STEPS), str(steps.SHORT)]
        return command, {"RESTATE_SERVER": str(PLACE / "node_modules" / ".bin" / "restate-server")}
    return [PLACE / "python" / "bin" / "python", HERE / f"{name}_steps.py", folder, bench, str(WORK[bench])], {}


def measure(name, bench):
    """One round: seconds of each run, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command, more = peer(name, bench, folder)
        done = subprocess.run(command, env={**os.environ, **more}, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name}, {bench}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def ours(bench):
    """One round of our own, after one that warms up: seconds."""
    program = HERE.parent / "target" / "release" / "bench"
    command = [program, "--only", bench, "--rounds", "1", "--peers", "steadfast", "--json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    told = next(line for line in map(json.loads, lines) if line["peer"] == "steadfast")
    # `chain` tells microseconds per step, `goals` nanoseconds per record, of which a step has two, `short` milliseconds.
    scale = {"chain": WORK["chain"] / 1e6, "goals": 2 * steps.STEPS * WORK["goals"] / 1e9, "short": 1e-3}[bench]
    return [told["median"] * scale]


def main():
    """Takes turns, and prints medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    peers = sys.argv[2:] or ["langgraph", "dbos", "restate"]
    install(set(peers))
    manifest = HERE.parent / "Cargo.toml"
    subprocess.run(["cargo", "build", "--quiet", "--release", "--manifest-path", manifest], check=True)
    for bench in WORK:
        seen = {name: [] for name in ["steadfast", *peers]}
        for _ in range(rounds):
            for name, figures in seen.items():
                round_of = ours(bench) if name == "steadfast" else measure(name, bench)
                figures.append(statistics.median(round_of))
        unit, scale = UNIT[bench]
        for name, figures in seen.items():
            ratio = statistics.median(theirs / own for theirs, own in zip(figures, seen["steadfast"]))
            print(f"{bench:6} {name:10} {statistics.median(figures) * scale:10.2f} {unit:12} {ratio:8.2f} times ours", flush=True)


if __name__ == "__main__":
    main()
