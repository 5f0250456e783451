#!/usr/bin/env python3
"""A lone message while many connections are held: HTTP call to client.

usage: bench/lab/lone.py [--idle=100000] [--rate=10] [--seconds=30]
"""
import argparse
import sys

from conditions import conditions
from crew import Crew, Worker, push_and_drain
from place import Place, processes_for
from report import Report
from sampler import Sampler


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--idle", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    report = Report("lone", f"A lone message with {options.idle:,} idle connections held")
    comets = processes_for(options.idle + 100)
    with Place(comets, shards=1 if comets > 1 else 0) as place:
        with Crew(place, options.idle, room="idle://1") as idle, \
             Crew(place, 1, first_mid=5_000_001, room="lone://1") as few, \
             Sampler(lambda: {**place.pids(), "clients": idle.pids()}) as sampler:
            report.table("ramp", [idle.connect()])
            few.connect()
            pusher = Worker("pusher", http=place.http, room="lone://1").ready()
            push_and_drain(few, pusher, 1, count=20, rate=options.rate)  # warm
            sampler.mark("lone messages")
            row = push_and_drain(few, pusher, 2, rate=options.rate, seconds=options.seconds)
            pusher.quit()
            told = conditions(place)
        report.table("lone messages", [row])
        report.check("p50, ms", row["latency_ms"]["p50"], at_most=1)
        report.check("p99, ms", row["latency_ms"]["p99"], at_most=5)
        report.check("lost", row["lost"], at_most=0)
        report.series(sampler)
    sys.exit(0 if report.save(told) else 1)


if __name__ == "__main__":
    main()
