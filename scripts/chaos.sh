#!/bin/sh
# Runs a goal calm, and then with agents that crash and hang, once for each seed; every result must be the calm one's.
#
#     scripts/chaos.sh [SEEDS [FIRST]]          how many seeds (100), and the first of them (1)
#
# STEADFAST names the program; it is built when it is not given. GOAL, INPUT and CHAOS say what is run, on what, and how
# agents fail. The input may not change meanwhile.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
seeds=${1:-100}
first=${2:-1}
goal=${GOAL:-$root/examples/goals/inspect.toml}
input=${INPUT:-$root}
chaos=${CHAOS:-crash=20%,hang=5%}
limit=60

if [ -z "${STEADFAST:-}" ]; then
    cargo build --release --quiet --manifest-path "$root/Cargo.toml" -p steadfast-cli
    STEADFAST=${CARGO_TARGET_DIR:-$root/target}/release/steadfast
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

# Prints the object of one run; its exit status is that of the run.
run() {
    timeout "$limit" "$STEADFAST" run "$goal" --input "$input" --report "$folder/report" --state "$folder/state" --json "$@" 2>"$folder/stderr"
}

field() {
    printf '%s' "$2" | sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"
}

calm=$(run) || { cat "$folder/stderr"; echo "the calm run failed" >&2; exit 1; }
wanted=$(field result_digest "$calm")
echo "calm: $wanted, $(field elapsed_ms "$calm") ms"

failed=0
slowest=0
seed=$first
while [ "$seed" -lt $((first + seeds)) ]; do
    status=0
    object=$(run --seed "$seed" --chaos "$chaos") || status=$?
    digest=$(field result_digest "$object")
    elapsed=$(field elapsed_ms "$object")
    if [ "$status" -ne 0 ] || [ "$digest" != "$wanted" ]; then
        failed=$((failed + 1))
        echo "seed $seed: exit status $status, result ${digest:-none}"
        tail -n 5 "$folder/stderr"
    elif [ "$elapsed" -gt "$slowest" ]; then
        slowest=$elapsed
    fi
    seed=$((seed + 1))
done

echo "$((seeds - failed)) of $seeds seeds gave the calm result; the slowest took $slowest ms"
[ "$failed" -eq 0 ]
