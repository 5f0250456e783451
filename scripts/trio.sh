#!/usr/bin/env bash
# The whole system on one machine: redis, nats, then logic, comet, job.
#
#   scripts/trio.sh start BUILD     COMETS=2 LOGICS=2 JOBS=2 for more than one of each;
#                                   SHIFT=1000 puts every port that much higher (a second clone)
#   scripts/trio.sh stop
#   scripts/trio.sh status
#
# Everything lives under run/: <name>.pid, <name>.log, <name>.data.  `stop` ends exactly the
# processes whose pid files say so, after checking that the pid is still that program; servers of
# the host are never touched.  Instance 2 of a daemon listens 100 ports higher, 3 another 100.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

run=run
host=127.0.0.1
shift_ports=${SHIFT:-0}
ready_seconds=30
stop_seconds=15
started=()

say() { echo "trio: $*"; }
die() { echo "trio: $*" >&2; exit 1; }

# ---- processes --------------------------------------------------------------------------------
program_of() {  # name -> what /proc/PID/comm must say
  case "$1" in
    redis) echo redis-server ;;
    nats) echo nats-server ;;
    *) echo "${1%%-*}" ;;
  esac
}

pid_of() {  # prints the pid while `name` is alive and still that program
  local pid
  pid=$(cat "$run/$1.pid" 2>/dev/null) && [[ -n $pid ]] || return 1
  [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$(program_of "$1")" ]] || return 1
  [[ $(awk '{print $3}' "/proc/$pid/stat" 2>/dev/null) != Z ]] || return 1
  echo "$pid"
}

names() {  # all that have a pid file; daemons first, the servers they need last
  local kind file
  for kind in comet logic job redis nats; do
    for file in "$run/$kind".pid "$run/$kind"-*.pid; do
      [[ -e $file ]] && basename "$file" .pid
    done
  done
}

launch() {  # name command...: in its own session, so that ^C here does not reach it
  local name=$1 i
  shift
  mkdir -p "$run/$name.data"
  setsid "$@" >"$run/$name.log" 2>&1 </dev/null &
  echo $! >"$run/$name.pid"
  started=("$name" "${started[@]}")
  for ((i = 0; i < 100; i++)); do  # until it is the program itself, or ended at once
    pid_of "$name" >/dev/null || ! kill -0 $! 2>/dev/null && return
    sleep 0.01
  done
}

end() {  # name: TERM, wait, KILL with a complaint
  local name=$1 pid i
  if pid=$(pid_of "$name"); then
    kill -TERM "$pid" 2>/dev/null
    for ((i = 0; i < stop_seconds * 20; i++)); do
      pid_of "$name" >/dev/null || break
      sleep 0.05
    done
    if pid_of "$name" >/dev/null; then
      echo "trio: $name (pid $pid) did not stop within $stop_seconds s: killed" >&2
      kill -KILL "$pid" 2>/dev/null
      complaints=1
    fi
  fi
  rm -f "$run/$name.pid"
}

give_up() {  # name reason: the culprit's last words, then everything we started goes
  echo "trio: $1 $2; its last lines ($run/$1.log):" >&2
  tail -n 12 "$run/$1.log" | sed 's/^/    /' >&2
  for name in "${started[@]}"; do end "$name"; done
  exit 1
}

# ---- doors ------------------------------------------------------------------------------------
busy() { (exec 3<>"/dev/tcp/$host/$1") 2>/dev/null; }

free_from() {  # first free port from $1 on
  local port=$1
  while busy "$port"; do ((port++)); done
  echo "$port"
}

ours() {  # the ports of instance $2 of daemon $1, the admin port last
  local up=$((shift_ports + ($2 - 1) * 100)) port
  case "$1" in
    logic) set -- 3111 3119 3113 3115 ;;
    comet) set -- 3101 3102 3109 3105 ;;
    job) set -- 3125 ;;
  esac
  for port in "$@"; do echo $((port + up)); done
}

name_of() { (($2 == 1)) && echo "$1" || echo "$1-$2"; }

each_daemon() {  # command: called with every (kind, instance), in starting order
  local kind n
  for kind in logic comet job; do
    for ((n = 1; n <= count[$kind]; n++)); do "$1" "$kind" "$n" || return 1; done
  done
}

check_doors() {
  local port
  for port in $(ours "$1" "$2"); do
    busy "$port" && die "port $port of $(name_of "$1" "$2") is in use by another program"
  done
  return 0
}

# ---- start ------------------------------------------------------------------------------------
start_servers() {
  local redis_wanted=$((6379 + shift_ports)) nats_wanted=$((4222 + shift_ports))
  redis_port=$(free_from $redis_wanted)
  ((redis_port == redis_wanted)) ||
    say "port $redis_wanted is taken by another program: redis gets $redis_port"
  launch redis redis-server configs/dev/redis.conf --port "$redis_port" --dir "$run/redis.data"
  nats_port=$(free_from $nats_wanted)
  ((nats_port == nats_wanted)) ||
    say "port $nats_wanted is taken by another program: nats gets $nats_port"
  launch nats nats-server -js -c configs/dev/nats.conf -p "$nats_port" -sd "$run/nats.data"
  await_port redis "$redis_port"
  await_port nats "$nats_port"
}

await_port() {  # name port
  local i
  for ((i = 0; i < ready_seconds * 20; i++)); do
    pid_of "$1" >/dev/null || give_up "$1" "ended"
    busy "$2" && return
    sleep 0.05
  done
  give_up "$1" "did not answer on port $2 within $ready_seconds s"
}

start_daemon() {  # kind instance: the environment overrides configs/<kind>.yaml
  local name ports
  name=$(name_of "$1" "$2")
  mapfile -t ports < <(ours "$1" "$2")
  local -a env=("ENCKE_${1^^}_ID=$name" ENCKE_NATS_SERVERS="nats://$host:$nats_port"
    ENCKE_ADMIN_LISTEN="$host:${ports[-1]}")
  case "$1" in
    logic) env+=(ENCKE_HTTP_LISTEN="$host:${ports[0]}" ENCKE_GRPC_LISTEN="$host:${ports[1]}"
      ENCKE_PUSH_GRPC_LISTEN="$host:${ports[2]}" ENCKE_REDIS_ADDRESS="$host:$redis_port"
      ENCKE_NODE_TCP_PORT=$((3101 + shift_ports)) ENCKE_NODE_WS_PORT=$((3102 + shift_ports))
      ENCKE_ROOMS="${ENCKE_ROOMS:-chat}"  # of the demo: rooms chat://... keep what is said
      ENCKE_ROOMS_CHAT_HISTORY_MESSAGES="${ENCKE_ROOMS_CHAT_HISTORY_MESSAGES:-1000}") ;;
    comet) env+=(ENCKE_TCP_LISTEN="$host:${ports[0]}" ENCKE_WS_LISTEN="$host:${ports[1]}"
      ENCKE_GRPC_LISTEN="$host:${ports[2]}") ;;
    job) env+=(ENCKE_REDIS_ADDRESS="$host:$redis_port") ;;
  esac
  launch "$name" env "${env[@]}" "$build/$1" --config "configs/$1.yaml"
}

await_ready() {  # kind instance
  local name admin i
  name=$(name_of "$1" "$2")
  admin=$(ours "$1" "$2" | tail -1)
  for ((i = 0; i < ready_seconds * 20; i++)); do
    curl -fsS -o /dev/null -m 2 "http://$host:$admin/readyz" 2>/dev/null && return
    pid_of "$name" >/dev/null || give_up "$name" "ended before it was ready"
    sleep 0.05
  done
  give_up "$name" "was not ready within $ready_seconds s: $(curl -s -m 2 "$host:$admin/readyz")"
}

print_doors() {
  local name ports
  name=$(name_of "$1" "$2")
  mapfile -t ports < <(ours "$1" "$2")
  case "$1" in
    logic) printf '  %-8s http://%s:%s  admin http://%s:%s\n' \
      "$name" $host "${ports[0]}" $host "${ports[2]}" ;;
    comet) printf '  %-8s tcp %s:%s  ws://%s:%s/sub  admin http://%s:%s\n' \
      "$name" $host "${ports[0]}" $host "${ports[1]}" $host "${ports[3]}" ;;
    job) printf '  %-8s admin http://%s:%s\n' "$name" $host "${ports[0]}" ;;
  esac
}

start() {
  build=${1:-build/release}
  declare -gA count=([logic]=${LOGICS:-1} [comet]=${COMETS:-1} [job]=${JOBS:-1})
  local name kind http=$((3111 + shift_ports))
  [[ $shift_ports =~ ^[0-9]{1,5}$ ]] || die "SHIFT must be a number of ports, not '$shift_ports'"
  for kind in "${!count[@]}"; do
    [[ ${count[$kind]} =~ ^[1-9]$ ]] || die "${kind^^}S must be 1 to 9, not '${count[$kind]}'"
    [[ -x $build/$kind ]] || die "$build/$kind is missing: make build first"
  done
  for name in $(names); do
    pid_of "$name" >/dev/null && die "$name is running already (make stop ends it)"
  done
  mkdir -p "$run" && rm -f "$run"/*.pid
  each_daemon check_doors
  trap 'give_up "${started[0]:-redis}" "was interrupted while starting"' INT TERM

  start_servers
  each_daemon start_daemon
  each_daemon await_ready
  trap - INT TERM

  say "ready; logs in $run/*.log, end it with: make stop"
  each_daemon print_doors
  echo "  open http://$host:$http/demo in a browser, or push to its room:"
  echo "  curl -d 'hello' 'http://$host:$http/goim/push/room?operation=1000&type=live&room=1000'"
}

stop() {
  complaints=0
  local name found=0
  for name in $(names); do
    found=1
    end "$name"
  done
  ((found)) && say "stopped" || say "nothing to stop"
  return $complaints
}

status() {
  local name pid all=0
  for name in $(names); do
    if pid=$(pid_of "$name"); then
      printf '  %-8s running, pid %s\n' "$name" "$pid"
    else
      printf '  %-8s gone; see %s\n' "$name" "$run/$name.log"
      all=1
    fi
  done
  [[ -n $(names) ]] || { say "not running"; return 1; }
  return $all
}

case "${1:-}" in
  start) start "${2:-}" ;;
  stop) stop ;;
  status) status ;;
  *) die "usage: scripts/trio.sh start BUILD | stop | status" ;;
esac
