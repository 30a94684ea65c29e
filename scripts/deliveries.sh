#!/usr/bin/env bash
# Runs the chaos of `tests/chaos.rs` at full size in a release build: deliveries.sh [SEEDS] [FIRST].
# Each seed makes 200,000 deliveries to 1,000 agents that crash, and each delivery must end once.
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=${1:-200}
first=${2:-0}
cargo test -q --release -p steadfast --test chaos --no-run
CHAOS_SEEDS="$first..$((first + seeds))" cargo test -q --release -p steadfast --test chaos -- --nocapture
echo "all $seeds seeds passed"
