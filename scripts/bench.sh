#!/usr/bin/env bash
# usage: scripts/bench.sh BUILDDIR: starts the five processes, runs three room loads, prints a
# line of JSON for each, stops everything.  SECONDS_EACH (default 20) bounds a load.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:?usage: scripts/bench.sh BUILDDIR}
scripts/trio.sh start "$build" >&2
trap 'scripts/trio.sh stop >&2' EXIT
pids=""
for name in comet logic job nats redis; do pids+="$name=$(cat "run/$name.pid"),"; done
for load in "1 20" "1000 40" "10000 40"; do
  read -r connections rate <<<"$load"
  "$build/bench/encke-bench" room --connections="$connections" --push_rate="$rate" \
    --seconds="${SECONDS_EACH:-20}" --room="bench://$connections" --pids="$pids"
done
