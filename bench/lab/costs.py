#!/usr/bin/env python3
"""What one login, heartbeat, delivery and push costs each process: the input of capacity.py.

usage: bench/lab/costs.py [--write]       --write: into bench/lab/costs.json

One cluster with one comet, and one with five: what a push costs for every further comet that has
members of its room is the difference.
"""
import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from conditions import conditions
from crew import Crew, Worker, push_and_drain
from place import Place, program
from report import Report
from sampler import Meter, anonymous_bytes, kernel_memory

CONNECTIONS = 15_000
PUSHES, RATE, SECONDS = 20_000, 4000, 5


class Meters:
    """CPU of every kind since construction, in microseconds for each of `many`."""

    def __init__(self, place):
        self.meters = {kind: Meter(pids) for kind, pids in place.pids().items()}

    def each(self, many):
        return {kind: meter.read()["cpu_s"] / many * 1e6 for kind, meter in self.meters.items()}


def sessions_and_deliveries():
    with Place(1, shards=1) as place, Crew(place, CONNECTIONS, room="costs://1") as crew:
        pids = place.pids()["comet"]
        before = anonymous_bytes(pids), kernel_memory()["slab"], \
            place.redis_info("memory", "used_memory")
        meters = Meters(place)
        crew.connect()
        login = meters.each(CONNECTIONS)
        time.sleep(2)
        after = anonymous_bytes(pids), kernel_memory()["slab"], \
            place.redis_info("memory", "used_memory")
        memory = [(a - b) / CONNECTIONS for a, b in zip(after, before)]
        crew.all("heartbeat", seconds=5)
        time.sleep(5)
        began, meters = crew.count()["heartbeats"], Meters(place)
        time.sleep(10)
        beats = meters.each(crew.count()["heartbeats"] - began)
        crew.all("heartbeat", seconds=240)
        pusher = Worker("pusher", http=place.http, room="costs://1").ready()
        push_and_drain(crew, pusher, 1, count=3, rate=3)
        meters = Meters(place)
        result = push_and_drain(crew, pusher, 2, count=24, rate=3)
        delivery = meters.each(result["delivered"])
        pusher.quit()
        return {"login_us": login, "heartbeat_us": {"comet": beats["comet"]},
                "delivery_us": {"comet": delivery["comet"]},
                "bytes": {"comet": memory[0], "kernel_one_end": memory[1] / 2,
                          "redis": memory[2]},
                "comet_base_mb": before[0] / 1e6}, conditions(place)


def pushes(comets):
    """CPU of each kind for a push to a room with two members on every comet."""
    with Place(comets, shards=1) as place:
        command = [program("encke-bench"), "api", f"--comets={','.join(place.doors)}",
                   f"--http={place.http}", "--rooms=10", f"--members={2 * comets}",
                   f"--push_rate={RATE}", f"--seconds={SECONDS}", "--pipeline=16"]
        meters = Meters(place)
        out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        account = json.loads(out.stdout)["accounting"]
        assert account["lost"] == 0, account
        return meters.each(account["accepted"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    report = Report("costs", "What one of each costs")
    costs, told = sessions_and_deliveries()
    one, five = pushes(1), pushes(5)
    costs["push_us"] = {kind: one[kind] for kind in ("logic", "nats", "job", "comet")}
    further = {kind: max(0.0, (five[kind] - one[kind]) / 4) for kind in ("job", "comet")}
    costs["push_further_comet_us"] = further
    # Two deliveries a comet are in these figures; they are counted by themselves.
    costs["push_us"]["comet"] = max(0.0, one["comet"] - 2 * costs["delivery_us"]["comet"])
    further["comet"] = max(0.0, further["comet"] - 2 * costs["delivery_us"]["comet"])
    report.table("costs", [{k: v for k, v in costs.items()}])
    report.save(told)
    if options.write:
        told.pop("sysctls")
        path = Path(__file__).with_name("costs.json")
        path.write_text(json.dumps({"conditions": told, **costs}, indent=1) + "\n")
        print(f"  written: {path}")
    sys.exit(0)


if __name__ == "__main__":
    main()
