#!/usr/bin/env bash
# Every test there is: unit, live (against a real redis and nats), integration, browser.
# usage: scripts/test.sh BUILDDIR
#
# The last line, alone, is "N passed, N failed".  A part that cannot run counts as a failure, and so
# does a test that was skipped.  In a build with a sanitizer every report of any process, daemons
# too, is one more failure, and time limits are longer (ENCKE_TEST_SLOW, a factor).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
build=${1:?usage: scripts/test.sh BUILDDIR}
logs=$build/test-logs
mkdir -p "$logs"
passed=0
failed=0

part() {  # name passed failed: one line, and into the sums; a part without any test has failed
  local good=${2:-0} bad=${3:-0} note=""
  ((good + bad)) || { bad=1; note=" (it could not run; see $logs/$1.log)"; }
  printf '%-12s %5d passed, %d failed, %d s%s\n' "$1" "$good" "$bad" $((SECONDS - began)) "$note"
  passed=$((passed + good))
  failed=$((failed + bad))
}

run() {  # name command...: shows the output and keeps it
  local name=$1
  shift
  began=$SECONDS
  echo "== $name"
  "$@" 2>&1 | tee "$logs/$name.log"
  return "${PIPESTATUS[0]}"
}

of() { grep -aoE "$2" "$logs/$1.log" | tail -1 | grep -oE '[0-9]+' | head -1; }

sum_ctest() {  # name status
  local all bad
  all=$(of "$1" 'failed out of [0-9]+')
  bad=$(of "$1" '[0-9]+ tests? failed out of')
  (($2 == 0 || ${bad:-0} > 0)) || bad=1
  part "$1" $((${all:-0} - ${bad:-0})) "${bad:-0}"
}

labelled() { ctest --test-dir "$build" -N -L "$1" 2>/dev/null | sed -nE 's/^Total Tests: //p'; }

# ---- sanitizers -------------------------------------------------------------------------------
# Whatever runs below writes its reports into files of its own, so that none is lost in the log of
# a daemon that a test stopped.
reports=$PWD/$logs/reports
rm -rf "$reports"
sanitizer=$(sed -nE 's/^ENCKE_SANITIZE:[A-Z]+=(.+)$/\1/p' "$build/CMakeCache.txt")
if [[ -n $sanitizer ]]; then
  mkdir -p "$reports"
  common="log_path=$reports/report:print_suppressions=0"
  export TSAN_OPTIONS="$common:suppressions=$PWD/tests/support/tsan.supp"
  export ASAN_OPTIONS="log_path=$reports/report:detect_leaks=1"
  export UBSAN_OPTIONS="$common:print_stacktrace=1"
  export ENCKE_TEST_SLOW=${ENCKE_TEST_SLOW:-4}
fi

python=python3
if /usr/bin/python3 -c 'import pytest' 2>/dev/null; then python=/usr/bin/python3; fi

# ---- unit and live ----------------------------------------------------------------------------
run unit ctest --test-dir "$build" -L unit -j "$(nproc)" --output-on-failure --progress
sum_ctest unit $?
if (($(labelled live) > 0)); then
  run live ctest --test-dir "$build" -L live --output-on-failure --progress
  sum_ctest live $?
fi

# ---- integration ------------------------------------------------------------------------------
ENCKE_BUILD="$build" run integration "$python" -m pytest -p no:cacheprovider -q --tb=short \
  --durations=5 tests/integration
status=$?
bad=$(($(of integration '[0-9]+ failed') + $(of integration '[0-9]+ errors?') \
  + $(of integration '[0-9]+ skipped') + 0))
((status == 0 || bad > 0)) || bad=1
part integration "$(of integration '[0-9]+ passed')" "$bad"

# ---- browser ----------------------------------------------------------------------------------
browser_tests() {
  scripts/browser.sh || return 1
  ENCKE_BUILD="$build" node --test --test-reporter=tap \
    tests/browser/{encke,timeline,v2,demo,resume}.test.mjs
}
run browser browser_tests
status=$?
bad=$(($(of browser '^# fail [0-9]+') + $(of browser '^# skipped [0-9]+') \
  + $(of browser '^# cancelled [0-9]+') + 0))
((status == 0 || bad > 0)) || bad=1
part browser "$(of browser '^# pass [0-9]+')" "$bad"

if [[ -n $sanitizer ]]; then
  found=$(find "$reports" -type f | wc -l)
  printf '%-12s %5d reports (%s)\n' sanitizer "$found" "$sanitizer"
  grep -rhE -m 1 '^SUMMARY|runtime error' "$reports" | sort | uniq -c | sort -rn | head -20
  failed=$((failed + found))
fi
echo "$passed passed, $failed failed"
((failed == 0))
