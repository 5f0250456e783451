#!/usr/bin/env bash
# Looks whether this machine can hold many connections, and says why each setting matters.
#
#   scripts/tune.sh [--connections=1000000]            looks, changes nothing; status 1 = too little
#   scripts/tune.sh [--connections=1000000] --apply    sets what is too low, prints how to undo it
#   --latency: with --apply, idle cores of a virtual machine look for work before they sleep
#
# Nothing is written to /etc: a restart of the machine brings the old values back.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

connections=1000000
apply=0
latency=0
for word in "$@"; do
  case "$word" in
    --connections=[1-9]*) connections=${word#*=} ;;
    --apply) apply=1 ;;
    --latency) latency=1 ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
done
[[ $connections =~ ^[0-9]+$ ]] || { echo "tune: --connections must be a number" >&2; exit 2; }

bad=0
undo=()

line() { printf '%-4s %-34s %14s  %s\n' "$1" "$2" "$3" "$4"; }

change() {  # sysctl old new...
  local name=$1 old=$2
  shift 2
  if sysctl -qw "$name=$*" 2>/dev/null; then
    line set "$name" "$*" "was $old"
    undo+=("sysctl -w $name='$old'")
  else
    line FAIL "$name" "$old" "could not be set to $* (root is needed)"
    bad=1
  fi
}

at_least() {  # sysctl wanted why
  local have
  if ! have=$(sysctl -n "$1" 2>/dev/null); then
    line "-" "$1" "absent" "not in this kernel: no limit"
    return
  fi
  if ((${#have} > 15 || have >= $2)); then
    line ok "$1" "$have" "$3"
  elif ((apply)); then
    change "$1" "$have" "$2"
  else
    line LOW "$1" "$have" "$2 wanted: $3"
    bad=1
  fi
}

# Pages of 4 KB that all sockets may hold in buffers.  An end with something under way counts one at
# least, and past the second number sends cost up to a fifth more.
check_tcp_mem() {
  local have high wanted=$((connections * 3))
  have=$(sysctl -n net.ipv4.tcp_mem | tr '\t' ' ')
  high=${have##* }
  if ((high >= wanted)); then
    line ok net.ipv4.tcp_mem "$high" "pages for socket buffers, over all connections"
  elif ((apply)); then
    change net.ipv4.tcp_mem "$have" "$connections" $((connections * 2)) "$wanted"
  else
    line LOW net.ipv4.tcp_mem "$high" "third number $wanted wanted: pages for socket buffers"
    bad=1
  fi
}

check_port_range() {  # only the load generator needs it: its source addresses are many
  local low high
  read -r low high < <(sysctl -n net.ipv4.ip_local_port_range)
  line ok net.ipv4.ip_local_port_range "$low-$high" \
    "ports per source address; encke-bench uses many addresses"
}

check_open_files() {
  local hard per
  hard=$(ulimit -Hn)
  if [[ $hard == unlimited ]] || ((hard > connections + 1000)); then
    line ok "ulimit -Hn" "$hard" "open files per process: one comet holds them all"
    return
  fi
  per=$((hard - 1000))
  line note "ulimit -Hn" "$hard" "open files per process: one comet holds about $per"
  echo "     For one comet with $connections: LimitNOFILE= in its systemd unit, or 'nofile' in"
  echo "     /etc/security/limits.conf, up to sysctl fs.nr_open. A shell cannot raise its own hard"
  echo "     limit without CAP_SYS_RESOURCE. Else start $(((connections + per - 1) / per))" \
    "comets, as one cluster (make bench-million does)."
}

check_memory() {  # measured: 4.1 KB kernel memory for each end, and comet's own
  local have want
  have=$(awk '/^MemAvailable/ {print int($2 / 1024)}' /proc/meminfo)
  want=$((connections * 5 / 1024 + 512))
  if ((have >= want)); then
    line ok "memory, MB" "$have" "$want for the server's end, twice that with the load here"
  else
    line LOW "memory, MB" "$have" "$want wanted for the server's end: kernel 4.1 KB a connection"
    bad=1
  fi
}

check_conntrack() {
  [[ -e /proc/sys/net/netfilter/nf_conntrack_max ]] || return
  (($(sysctl -n net.netfilter.nf_conntrack_count) > 0)) || return
  at_least net.netfilter.nf_conntrack_max $((connections * 2)) \
    "firewall rules are active and follow every connection"
}

check_halt_poll() {  # a push wakes ten threads one after the other, most of them on an idle core
  local at=/sys/module/haltpoll/parameters ns shrinks
  grep -qsx haltpoll /sys/devices/system/cpu/cpuidle/current_governor || return
  ns=$(<$at/guest_halt_poll_ns)
  shrinks=$(<$at/guest_halt_poll_allow_shrink)
  if ((ns >= 200000)) && [[ $shrinks == N ]]; then
    line ok guest_halt_poll_ns "$ns" "idle cores look for work before they sleep"
  elif ((latency && apply)) && [[ ! -w $at/guest_halt_poll_ns ]]; then
    line FAIL guest_halt_poll_ns "$ns" "could not be set to 200000 (root is needed)"
    bad=1
  elif ((latency && apply)); then
    echo 200000 >$at/guest_halt_poll_ns
    echo N >$at/guest_halt_poll_allow_shrink
    line set guest_halt_poll_ns 200000 "was $ns, shrinking $shrinks"
    undo+=("echo $ns >$at/guest_halt_poll_ns; echo $shrinks >$at/guest_halt_poll_allow_shrink")
  else
    line note guest_halt_poll_ns "$ns" "200000 takes 0.2 ms off a lone push: --apply --latency"
  fi
}

echo "for $connections connections on this machine:"
check_open_files
at_least fs.nr_open $((connections + 1000)) "the most open files a process can be allowed"
at_least fs.file-max $((connections * 2 + 100000)) "open files of the whole system; both ends count"
at_least fs.epoll.max_user_watches $((connections * 2 + 1000)) "sockets in epolls of one user"
at_least net.core.somaxconn 4096 "connects that wait for accept; comet asks for 4096"
at_least net.ipv4.tcp_max_syn_backlog 4096 "connects that are half done"
at_least net.core.netdev_max_backlog 10000 "packets that wait for a busy core (loopback)"
check_tcp_mem
check_port_range
check_conntrack
check_memory
check_halt_poll

if ((${#undo[@]})); then
  echo "to undo:"
  printf '  %s\n' "${undo[@]}"
fi
((bad && !apply)) && echo "LOW can be set until the machine restarts with: $0 --apply (as root)"
exit $bad
