#!/usr/bin/env python3
"""What version 2, timelines and reports cost, and whether appends are sustained.

usage: bench/lab/timelines.py [--members=10000] [--turns=3] [--rate=8] [--seconds=5]
                              [--append_rate=10000] [--append_seconds=300]
                              [--parts=versions,reports,appends]

Cost: one room of version 1 without a history and one of version 2 with one take turns; CPU of all
server processes per delivery. Then pushes that ask for a report and pushes that do not, to the same
room. Appends: pushes to 100 rooms with a history, a hundred in each request; Redis is watched.
"""
import argparse
import http.client
import json
import statistics
import subprocess
import sys
import time

from conditions import conditions
from crew import Crew, Worker
from place import Place, program
from report import Report
from sampler import Meter, Sampler

KEPT = 200  # messages of each timeline
ROOMS = {"logic": f"{{group: {{history: {{messages: {KEPT}, age: 1h}}}}}}"}
SERVERS = ("comet", "logic", "job", "nats", "redis")


def cpu_of(place, act):
    """What `act` costs: seconds of CPU of comet, and of all servers."""
    pids = place.pids()
    meters = {kind: Meter(pids[kind]) for kind in SERVERS}
    act()
    used = {kind: meter.read()["cpu_s"] for kind, meter in meters.items()}
    return used["comet"], sum(used.values())


def stretch(place, crew, pusher, run, options, members):
    crew.all("reset", run=run)
    told = {}

    def act():
        told.update(pusher.ask("push", run=run, rate=options.rate, seconds=options.seconds))
        crew.await_delivered(told["accepted"] * members)

    comet, everything = cpu_of(place, act)
    delivered = crew.count()["delivered"]
    return {"comet_us": comet * 1e6 / delivered, "all_us": everything * 1e6 / delivered,
            "lost": told["accepted"] * members - delivered}


def versions(place, options, report):
    rows, run = [], 0
    with Crew(place, options.members, room="plain://1") as one, \
         Crew(place, options.members, first_mid=1_000_001, room="group://1", version=2) as two:
        crews = {1: one, 2: two}
        pushers = {1: Worker("pusher", http=place.http, room="plain://1").ready(),
                   2: Worker("pusher", http=place.http, room="group://1").ready()}
        for crew in crews.values():
            crew.connect()
        for turn in range(options.turns + 1):
            for version in (1, 2):
                run += 1
                row = stretch(place, crews[version], pushers[version], run, options,
                              options.members)
                if turn > 0:  # the first one warms
                    rows.append({"version": version, "turn": turn, **row})
        for pusher in pushers.values():
            pusher.quit()
    report.table("version 1 without, version 2 with a history", rows)
    ratio = statistics.median(b["all_us"] / a["all_us"] for a, b in zip(rows[::2], rows[1::2]))
    report.check("CPU per delivery, version 2 to version 1", ratio, at_most=1.5)
    report.check("lost", sum(row["lost"] for row in rows), at_most=0)


def reported(place, options, line, report):
    """As many pushes as one stretch; the pace is kept by sleeping."""
    before = place.count("encke_comet_deliveries_total")

    def act():
        due = time.monotonic()
        for number in range(round(options.rate * options.seconds)):
            body = {"room": "plain://1", "op": 1000, "body": str(number), "report": report}
            line.request("POST", "/v1/pushes", json.dumps(body),
                         {"Content-Type": "application/json"})
            reply = line.getresponse()
            assert reply.status == 200, reply.read()
            reply.read()
            due += 1 / options.rate
            time.sleep(max(0, due - time.monotonic()))

    comet, everything = cpu_of(place, act)
    after = place.count("encke_comet_deliveries_total")
    delivered = sum(after.values()) - sum(before.values())
    return {"comet_us": comet * 1e6 / delivered, "all_us": everything * 1e6 / delivered,
            "deliveries": delivered}


def reports(place, options, report):
    rows = []
    line = http.client.HTTPConnection(*place.http.split(":"), timeout=20)
    with Crew(place, options.members, room="plain://1") as crew:
        crew.connect()
        reported(place, options, line, False)
        for turn in range(options.turns):
            for asked in (False, True):
                rows.append({"reports": asked, "turn": turn + 1,
                             **reported(place, options, line, asked)})
    report.table("reports off and on", rows)
    ratio = statistics.median(b["all_us"] / a["all_us"] for a, b in zip(rows[::2], rows[1::2]))
    report.check("CPU per delivery, reports on to off", ratio, at_most=1.05)


def appends(place, options, report):
    with Sampler(place.pids) as sampler:
        memory = [place.redis_info("memory", "used_memory")]
        child = subprocess.Popen(
            [program("encke-bench"), "api", f"--comets={place.doors[0]}", f"--http={place.http}",
             "--room=group://t", "--rooms=100", "--members=1", "--route=batch", "--batch=100",
             f"--push_rate={options.append_rate}", f"--seconds={options.append_seconds}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        while child.poll() is None:
            time.sleep(5)
            memory.append(place.redis_info("memory", "used_memory"))
        result = json.loads(child.stdout.read())
    account = result["accounting"]
    kept = place.redis_info("memory", "used_memory")
    row = {"accepted_per_s": account["accepted"] / options.append_seconds,
           **{k: account[k] for k in ("offered", "accepted", "refused", "expected", "delivered",
                                      "lost", "duplicates", "out_of_order")},
           "http_p50_ms": result["http_us"]["p50"] / 1000,
           "http_p99_ms": result["http_us"]["p99"] / 1000,
           "redis_mb_before": memory[0] / 2**20, "redis_mb_most": max(memory) / 2**20,
           "redis_mb_middle": memory[len(memory) // 2] / 2**20, "redis_mb_after": kept / 2**20}
    report.table("appends", [row])
    report.series(sampler)
    report.check("appends a second", row["accepted_per_s"], at_least=0.99 * options.append_rate)
    report.check("lost", account["lost"], at_most=0)
    grown = max(memory[len(memory) // 2:]) / memory[len(memory) // 2]
    report.check("Redis in the second half, to its middle", grown, at_most=1.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--rate", type=float, default=8)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--append_rate", type=float, default=10_000)
    parser.add_argument("--append_seconds", type=float, default=300)
    parser.add_argument("--parts", default="versions,reports,appends")
    options = parser.parse_args()
    report = Report("timelines", "What version 2, timelines and reports cost")
    with Place(2, rooms=ROOMS) as place:
        for part in (versions, reports, appends):
            if part.__name__ in options.parts.split(","):
                part(place, options, report)
        told = conditions(place)
    sys.exit(0 if report.save(told) else 1)


if __name__ == "__main__":
    main()
