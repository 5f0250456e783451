#!/usr/bin/env bash
# usage: scripts/test.sh BUILDDIR: runs every test and ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
build=$1
log=$build/unit.log
ctest --test-dir "$build" -L unit -j "$(nproc)" --output-on-failure | tee "$log"
status=${PIPESTATUS[0]}
failed=$(sed -nE 's/^.* ([0-9]+) tests? failed out of ([0-9]+)$/\1/p' "$log")
total=$(sed -nE 's/^.* tests? failed out of ([0-9]+)$/\1/p' "$log")
echo "$((${total:-0} - ${failed:-0})) passed, ${failed:-0} failed"
[ "$status" -eq 0 ] && [ "${total:-0}" -gt 0 ]
