"""Looks from outside, once a second: CPU, memory and context switches of processes, by kind, and
what the kernel spends on sockets."""
import os
import re
import threading
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pids):
    """User and system time of processes, all threads."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def anonymous_bytes(pids):
    """RssAnon: what the processes themselves use, without shared libraries."""
    total = 0
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        found = re.search(r"^RssAnon:\s+(\d+)", status, re.M)
        total += int(found[1]) * 1024 if found else 0
    return total


def context_switches(pids):
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/status"):
            try:
                total += sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", task.read_text())))
            except OSError:
                continue
    return total


def kernel_memory():
    """{slab, tcp_pages, available} in bytes; sockets in use."""
    info = dict(re.findall(r"^(\w+):\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.M))
    sockets = Path("/proc/net/sockstat").read_text()
    tcp = re.search(r"^TCP: inuse (\d+).* mem (\d+)", sockets, re.M)
    return {"slab": int(info["Slab"]) * 1024, "reclaimable": int(info["SReclaimable"]) * 1024,
            "available": int(info["MemAvailable"]) * 1024, "tcp_buffers": int(tcp[2]) * PAGE,
            "tcp_sockets": int(tcp[1])}


def slab_objects():
    """{cache: bytes} of the biggest slab caches; empty where it may not be read."""
    try:
        lines = Path("/proc/slabinfo").read_text().splitlines()[2:]
    except OSError:
        return {}
    sizes = {}
    for line in lines:
        name, _, objects, size = line.split()[:4]
        sizes[name] = int(objects) * int(size)
    return dict(sorted(sizes.items(), key=lambda item: -item[1])[:12])


class Sampler:
    """with Sampler(pids): a row a second until the end. pids() answers {kind: [pid]}."""

    def __init__(self, pids, every=1.0, more=None):
        self.pids, self.every, self.more = pids, every, more or (lambda: {})
        self.rows, self.marks = [], []
        self.began = time.monotonic()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def mark(self, phase):
        """A phase begins: drawn as a line in the plots."""
        self.marks.append([round(time.monotonic() - self.began, 1), phase])

    def run(self):
        before, at = {}, None
        while not self.done.wait(self.every):
            now, use = time.monotonic(), {}
            row = {"t": round(now - self.began, 2), "kernel": kernel_memory()}
            for kind, pids in self.pids().items():
                use[kind] = cpu_seconds(pids), context_switches(pids)
                row[kind] = {"anon": anonymous_bytes(pids)}
                if kind in before:
                    cpu, switches = (a - b for a, b in zip(use[kind], before[kind]))
                    row[kind]["cores"] = round(cpu / (now - at), 4)
                    row[kind]["switches"] = round(switches / (now - at))
            try:
                row.update(self.more())
                row["more_t"] = time.monotonic() - self.began
            except (OSError, AssertionError):
                pass  # a server under load may not answer its admin door in time
            self.rows.append(row)
            before, at = use, now


class Meter:
    """CPU seconds of one kind between two looks."""

    def __init__(self, pids):
        self.pids = pids
        self.began, self.at = cpu_seconds(pids), time.monotonic()

    def read(self):
        return {"cpu_s": round(cpu_seconds(self.pids) - self.began, 3),
                "seconds": round(time.monotonic() - self.at, 3)}

    def cores(self):
        used = self.read()
        return used["cpu_s"] / used["seconds"]
