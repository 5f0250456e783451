#!/usr/bin/env bash
# Installs what is missing, by Debian package name.  usage: scripts/deps.sh [build | test | all]
#
#   build   what compiling and running needs (the default)
#   test    the same, chromium, Node and npm for the browser test, strace and valgrind for the gate
#   all     the same, and clang, clang-tidy, clang-format and libFuzzer for lint, asan, tsan, fuzz
#
# When nothing is missing this costs milliseconds and needs neither network nor root.
set -euo pipefail

build=(g++ cmake ninja-build pkg-config git curl ccache mold
  libnats-dev nats-server protobuf-compiler libprotobuf-dev libgrpc++-dev protobuf-compiler-grpc
  libhiredis-dev redis-server libwebsockets-dev libwebsockets-evlib-ev libev-dev
  libyaml-cpp-dev libspdlog-dev nlohmann-json3-dev libgtest-dev libgmock-dev libbenchmark-dev
  libssl-dev libcurl4-openssl-dev openssl python3 python3-pytest python3-protobuf python3-yaml)
browser=(chromium)
counters=(strace valgrind)
lint=(clang clang-tidy clang-format libclang-rt-14-dev)

die() { echo "deps: $*" >&2; exit 1; }

# A Node of 18 or newer may come from anywhere; Debian's is installed only where there is none.
node_wanted() {
  local major
  major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null) || major=0
  if ((major == 0)); then
    echo nodejs
  elif ((major < 18)); then
    die "node $major is too old for the browser test: 18 or newer is needed"
  fi
  command -v npm >/dev/null || echo npm
}

missing() {
  local have
  have=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
    awk '$2 == "installed" {print $1}') || true
  comm -23 <(printf '%s\n' "$@" | sort -u) <(sort -u <<<"$have")
}

case "${1:-build}" in
  build) wanted=("${build[@]}") ;;
  test | all)
    node=$(node_wanted)
    wanted=("${build[@]}" "${browser[@]}" "${counters[@]}")
    [[ -z $node ]] || mapfile -t -O "${#wanted[@]}" wanted <<<"$node"
    [[ $1 == test ]] || wanted+=("${lint[@]}") ;;
  *) die "unknown argument '$1' (build, test or all)" ;;
esac

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
  die "this is not Debian or Ubuntu (no apt-get). Install by hand: ${wanted[*]}"

mapfile -t absent < <(missing "${wanted[@]}")
[[ -n ${absent[0]:-} ]] || exit 0

sudo=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || die "run as root, or install sudo, to add: ${absent[*]}"
  sudo=(sudo)
fi

# Debian starts a service as soon as its package is installed.  We run our own redis and nats with
# private folders, so while apt works a policy says no; a policy that exists already is left alone.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
  "${sudo[@]}" chmod 755 "$policy"
  trap '"${sudo[@]}" rm -f "$policy"' EXIT
fi

echo "deps: installing ${absent[*]}"
install=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends)
"${install[@]}" "${absent[@]}" >/dev/null 2>&1 || {  # perhaps only the package lists are old
  "${sudo[@]}" apt-get update -q
  "${install[@]}" "${absent[@]}"
}
