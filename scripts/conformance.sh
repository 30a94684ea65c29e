#!/usr/bin/env bash
# Replays every recorded scenario of real OTP supervisors, again and again: conformance.sh [ROUNDS].
# Each round goes through the pure core, real trees on one thread in paused time, and real trees on two threads.
# OTP_SCENARIOS names other files of scenarios, separated by `:`.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-20}
cargo test -q -p steadfast --test otp_conformance --no-run
for round in $(seq "$rounds"); do
    printf 'round %s of %s\n' "$round" "$rounds"
    cargo test -q -p steadfast --test otp_conformance -- --nocapture 2>/dev/null | grep -E '^otp [a-z_]+: passed'
done
echo "all $rounds rounds passed"
