#!/usr/bin/env bash
# Runs every fuzz target for some seconds.  usage: scripts/fuzz.sh BUILDDIR SECONDS
#
# Corpora grow in build/fuzz-corpus/<target>; a find is kept in build/fuzz-finds and the command
# that repeats it is printed.  Any find fails the run.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
build=${1:?usage: scripts/fuzz.sh BUILDDIR SECONDS}
seconds=${2:-60}
finds=build/fuzz-finds
logs=$build/fuzz-logs
mkdir -p "$finds" "$logs"

mapfile -t targets < <(find "$build" -type f -name '*_fuzz' -perm -u+x | sort)
((${#targets[@]})) || { echo "fuzz: no *_fuzz binaries in $build" >&2; exit 1; }

bytes_of() {  # an input much longer than what the parser accepts only costs time
  case "$1" in
    base_*) echo 8192 ;;
    *) echo 20000 ;;
  esac
}

failed=0
for target in "${targets[@]}"; do
  name=$(basename "$target")
  corpus=build/fuzz-corpus/$name
  mkdir -p "$corpus"
  seeds=()
  [[ -d tests/fuzz/seeds/$name ]] && seeds=("tests/fuzz/seeds/$name")
  if "$target" -max_total_time="$seconds" -max_len="$(bytes_of "$name")" -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$finds/$name-" \
    "$corpus" "${seeds[@]}" >"$logs/$name.log" 2>&1; then
    runs=$(awk '/number_of_executed_units/ {print $2}' "$logs/$name.log")
    printf '  %-28s %12s runs in %s s, %s inputs kept\n' \
      "$name" "${runs:-0}" "$seconds" "$(find "$corpus" -type f | wc -l)"
  else
    failed=$((failed + 1))
    printf '  %-28s FOUND SOMETHING\n' "$name"
    grep -aE -m 3 'ERROR|SUMMARY|Assertion|runtime error' "$logs/$name.log" | sed 's/^/      /'
    find=$(sed -nE 's/.*Test unit written to (.*)$/\1/p' "$logs/$name.log" | tail -1)
    echo "      repeat: $target ${find:-(see $logs/$name.log)}"
  fi
done
echo "$((${#targets[@]} - failed)) passed, $failed failed"
((failed == 0))
