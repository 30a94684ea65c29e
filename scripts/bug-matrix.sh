#!/bin/sh
# Looks for each bug on purpose of the framework from seed 0 on, and prints a table: the bug, its area, the first seed that
# shows it, and the oracle or ledger that sees it there.
#
#     scripts/bug-matrix.sh [SEEDS [BUG]]       at most so many seeds for each (2000); only this bug
#
# It fails when one is not found. That nothing is found where no bug is, is looked at too, over CALM seeds (100).
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
seeds=${1:-2000}
calm=${CALM:-100}
if [ -n "${2:-}" ]; then
    export MATRIX_BUG="$2"
fi
# What panics on purpose does so thousands of times.
export RUST_BACKTRACE=0

run() {
    cargo test --quiet --manifest-path "$root/Cargo.toml" -p steadfast --test bug_matrix -- --exact "$@" 2>/dev/null
}

failed=0
CALM_SEEDS="$calm" run where_no_bug_is_none_is_found >/dev/null || failed=1
table=$(MATRIX_SEEDS="$seeds" run each_bug_is_found_within_as_many_seeds_as_the_environment_says --nocapture) || failed=1

echo "| bug | area | seed | caught by |"
echo "|---|---|---|---|"
printf '%s\n' "$table" | grep '^|' | sort
if [ "$failed" -ne 0 ]; then
    echo "a bug was not found within $seeds seeds, or one was found where none is within $calm" >&2
fi
[ "$failed" -eq 0 ]
