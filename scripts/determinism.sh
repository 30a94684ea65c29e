#!/bin/sh
# Runs each seed twice in a simulated world, and some in a second process: the same seed must do the same, down to the last
# event; for a tree under chaos with killed supervisors, and for the agents that carry out a goal.
#
#     scripts/determinism.sh [SEEDS]          how many seeds (1000)
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
DETERMINISM_SEEDS=${1:-1000}
export DETERMINISM_SEEDS
cd "$root"
cargo test --quiet -p steadfast --test world_chaos
cargo test --quiet -p steadfast-orchestration --test determinism
echo "$DETERMINISM_SEEDS seeds did the same twice"
