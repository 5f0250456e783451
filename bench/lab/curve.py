#!/usr/bin/env python3
"""The cost curve: what a connection costs when there are few and when there are a million.

usage: bench/lab/curve.py [--sizes=1000,10000,100000,300000,1000000] [--seconds=15] [--shards=1]

For each size a fresh cluster: bytes per connection in comet, kernel and Redis; idle CPU; the
latency of a lone message; CPU and latency of pushes to the room of everybody. Memory per connection
may not grow with their number.
"""
import argparse
import sys
import time

from conditions import conditions
from crew import Crew, Worker, push_and_drain
from place import Place, for_many, processes_for, refuse_what_cannot_be
from report import Report
from sampler import Meter, anonymous_bytes, kernel_memory


def one_size(connections, options):
    comets = processes_for(connections)
    with Place(comets, shards=options.shards, env=for_many(comets)) as place:
        with Crew(place, connections, room="curve://1", heartbeat=240) as crew, \
             Crew(place, comets, first_mid=50_000_001, room="lone://1") as few:
            pids = place.pids()["comet"]
            before = anonymous_bytes(pids), kernel_memory()["slab"], \
                place.redis_info("memory", "used_memory")
            ramp = crew.connect()
            time.sleep(3)
            after = anonymous_bytes(pids), kernel_memory()["slab"], \
                place.redis_info("memory", "used_memory")
            user, slab, redis = ((a - b) / connections for a, b in zip(after, before))
            idle = Meter(pids)
            time.sleep(options.seconds)
            idle_cores = idle.cores()
            few.connect()
            lone = lone_messages(place, few, options)
            room = room_pushes(place, crew, connections, options)
            told = conditions(place)
    return {"connections": connections, "comets": comets, "connects_per_s": ramp["per_second"],
            "comet_base_mb": before[0] / comets / 1e6, "comet_bytes": user,
            "kernel_bytes_both_ends": slab, "redis_bytes": redis,
            "idle_cores": idle_cores, **lone, **room}, told


def lone_messages(place, few, options):
    pusher = Worker("pusher", http=place.http, room="lone://1").ready()
    push_and_drain(few, pusher, 1, count=20, rate=20)
    result = push_and_drain(few, pusher, 2, rate=10, seconds=options.seconds)
    pusher.quit()
    return {"lone_p50_ms": result["latency_ms"]["p50"], "lone_p99_ms": result["latency_ms"]["p99"]}


def room_pushes(place, crew, connections, options):
    """At a quarter of what a core can send, so that rounds do not overlap."""
    pusher = Worker("pusher", http=place.http, room="curve://1").ready()
    rate = min(20, 40_000 / connections)
    push_and_drain(crew, pusher, 3, 90, count=2, rate=rate)
    meter = Meter(place.pids()["comet"])
    count = max(5, round(rate * options.seconds))
    result = push_and_drain(crew, pusher, 4, 90, count=count, rate=rate)
    cpu = meter.read()["cpu_s"]
    pusher.quit()
    return {"room_p50_ms": result["latency_ms"]["p50"], "room_p99_ms": result["latency_ms"]["p99"],
            "cpu_us_per_delivery": cpu / max(1, result["delivered"]) * 1e6,
            "lost": result["lost"], "repeats": result["duplicates"]}


def draw(report, rows):
    def line(*names):
        return {name: [(row["connections"], row[name]) for row in rows] for name in names}
    x = "connections"
    report.plot("bytes per connection, comet and Redis", line("comet_bytes", "redis_bytes"), x,
                "bytes", log_x=True)
    report.plot("kernel bytes per connection, both ends", line("kernel_bytes_both_ends"), x,
                "bytes", log_x=True)
    report.plot("CPU per delivery", line("cpu_us_per_delivery"), x, "µs", log_x=True)
    report.plot("lone message", line("lone_p50_ms", "lone_p99_ms"), x, "ms", log_x=True)
    report.plot("push to the room of all", line("room_p50_ms", "room_p99_ms"), x, "ms", log_x=True)
    report.plot("idle CPU of all comets", line("idle_cores"), x, "cores", log_x=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000,100000,300000,1000000")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--shards", type=int, default=1)
    options = parser.parse_args()
    report = Report("curve", "What a connection costs, by their number")
    rows, told = [], {}
    sizes = [int(size) for size in options.sizes.split(",")]
    refuse_what_cannot_be(max(sizes))
    for size in sizes:
        row, told = one_size(size, options)
        rows.append(row)
        report.table("sizes", [row])
    report.table("sizes", rows)
    draw(report, rows)
    full = [row for row in rows if row["connections"] >= 10_000] or rows
    report.check("comet bytes per connection, most connections against fewest (from 10,000 on)",
                 full[-1]["comet_bytes"] / full[0]["comet_bytes"], at_most=1.1)
    sys.exit(0 if report.save(told) else 1)


if __name__ == "__main__":
    main()
