#!/usr/bin/env python3
"""A lone message while many connections are held: HTTP call to client.

usage: bench/lab/lone.py [--idle=100000] [--rates=10,100,300] [--turns=3] [--seconds=20]

The rates take turns in one cluster: the seldomer a message, the colder the code on its way. After
each the floor: a message through as many processes and threads that only hand it on (encke-relay).
Nobody looks from outside meanwhile, because a look at all threads takes milliseconds of a core.
"""
import argparse
import json
import statistics
import subprocess
import sys

from conditions import conditions
from crew import Crew, Worker, push_and_drain
from place import Place, processes_for, program
from report import Report


def relay_p50_ms(rate, seconds):
    words = [program("floor/encke-relay"), f"--rate={rate}", f"--seconds={seconds}"]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)["p50"] / 1000


def measure(few, pusher, rates, options):
    rows = []
    for turn in range(options.turns):
        for rate in rates:
            row = push_and_drain(few, pusher, len(rows) + 2, rate=rate, seconds=options.seconds)
            bare = relay_p50_ms(rate, options.seconds / 2)
            rows.append({"rate": rate, "turn": turn + 1, **row["latency_ms"],
                         "http_p50": row["http_ms"]["p50"], "relay_p50": bare,
                         "ratio": row["latency_ms"]["p50"] / bare, "lost": row["lost"],
                         "duplicates": row["duplicates"]})
    return rows


def judge(report, rows, rates):
    for rate in rates:
        for point, most in (("p50", 1), ("p99", 5)):
            value = statistics.median(row[point] for row in rows if row["rate"] == rate)
            report.check(f"{rate:g}/s, median {point} of the turns, ms", value, at_most=most)
    report.check("lost", sum(row["lost"] for row in rows), at_most=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--idle", type=int, default=100_000)
    parser.add_argument("--rates", default="10,100,300")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    rates = [float(rate) for rate in options.rates.split(",")]
    report = Report("lone", f"A lone message with {options.idle:,} idle connections held")
    comets = processes_for(options.idle + 100)
    with Place(comets, shards=1 if comets > 1 else 0) as place:
        with Crew(place, options.idle, room="idle://1") as idle, \
             Crew(place, 1, first_mid=5_000_001, room="lone://1") as few:
            report.table("ramp", [idle.connect()])
            few.connect()
            pusher = Worker("pusher", http=place.http, room="lone://1").ready()
            push_and_drain(few, pusher, 1, count=20, rate=rates[0])  # warm
            rows = measure(few, pusher, rates, options)
            pusher.quit()
            told = conditions(place)
    report.table("lone messages", rows)
    judge(report, rows, rates)
    sys.exit(0 if report.save(told) else 1)


if __name__ == "__main__":
    main()
