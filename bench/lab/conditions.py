"""What a figure depends on: machine, kernel, limits, commit, configuration."""
import datetime
import os
import platform
import re
import resource
import subprocess
from pathlib import Path

from place import BUILD, ROOT

SYSCTLS = ("net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog", "net.core.netdev_max_backlog",
           "net.ipv4.tcp_mem", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
           "net.ipv4.ip_local_port_range", "fs.nr_open", "fs.file-max",
           "fs.epoll.max_user_watches")


def sysctl(name):
    try:
        return " ".join(Path("/proc/sys", name.replace(".", "/")).read_text().split())
    except OSError:
        return "absent"


def first(path, pattern):
    found = re.search(pattern, Path(path).read_text(), re.M)
    return found[1].strip() if found else "?"


def git(*words):
    out = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True)
    return out.stdout.strip()


def program_version(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, IndexError):
        return "absent"


def conditions(place=None):
    found = {
        "when": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": first("/proc/cpuinfo", r"^model name\s*: (.*)$"),
        "cores": os.cpu_count(),
        "memory_gb": round(int(first("/proc/meminfo", r"^MemTotal:\s+(\d+)")) / 2**20, 1),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "commit": git("rev-parse", "--short", "HEAD") or "?",
        "changed_files": len(git("status", "--porcelain", "-uno").splitlines()),
        "build": BUILD.name,
        "redis": program_version("redis-server", "--version"),
        "nats": program_version("nats-server", "--version"),
        "sysctls": {name: sysctl(name) for name in SYSCTLS},
        "load": "clients, pushers and servers share this machine over loopback",
    }
    if hasattr(place, "settings"):
        found["config"] = {"comets": len(place.comets), "logics": len(place.logics),
                           "jobs": len(place.jobs), "base": "configs/*.yaml", **place.settings}
    return found
