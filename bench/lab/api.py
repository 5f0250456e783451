#!/usr/bin/env python3
"""The HTTP API: durable pushes accepted per second over 16 connections, everything delivered.

usage: bench/lab/api.py [--seconds=10] [--turns=3]

Ten rooms of ten members. Closed loop (each connection asks again as soon as it is answered) for the
most it takes; then an open loop at 10,000/s for latency that a late sender cannot hide; then a
hundred pushes in each request to /v1/pushes:batch.
"""
import argparse
import json
import statistics
import subprocess
import sys

from conditions import conditions
from place import Place, program
from report import Report
from sampler import Meter


def bench(place, **flags):
    words = [f"--{name}={value}" for name, value in flags.items()]
    out = subprocess.run([program("encke-bench"), "api", f"--comets={place.doors[0]}",
                          f"--http={place.http}", *words], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True)
    return json.loads(out.stdout)


def one(place, name, seconds, **flags):
    meters = {kind: Meter(pids) for kind, pids in place.pids().items()}
    result = bench(place, rooms=10, members=10, seconds=seconds, warmup=1, **flags)
    used = {f"{kind}_cpu_s": meter.read()["cpu_s"] for kind, meter in meters.items()}
    account, http = result["accounting"], result["http_us"]
    return {"case": name, "accepted_per_s": round(account["accepted"] / seconds),
            "http_p50_ms": http["p50"] / 1000, "http_p99_ms": http["p99"] / 1000,
            "delivery_p99_ms": result["latency_us"]["p99"] / 1000,
            **{k: account[k] for k in ("accepted", "refused", "expected", "delivered", "lost",
                                       "duplicates", "out_of_order")}, **used}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    report = Report("api", "HTTP pushes per second, stored and delivered")
    rows = []
    with Place(1) as place:
        for turn in range(options.turns):
            rows.append(one(place, "closed loop, 16 connections", options.seconds, push_rate=0))
            rows.append(one(place, "open loop, 10,000/s", options.seconds, push_rate=10_000,
                            pipeline=16))
            rows.append(one(place, "batches of 100", options.seconds, push_rate=0, route="batch",
                            batch=100))
        told = conditions(place)
    report.table("turns", rows)
    for case, what, limit in (("closed", "accepted_per_s", {"at_least": 10_000}),
                              ("closed", "http_p99_ms", {"at_most": 20}),
                              ("open", "http_p99_ms", {"at_most": 20}),
                              ("batches", "accepted_per_s", {"at_least": 50_000})):
        values = [row[what] for row in rows if row["case"].startswith(case)]
        report.check(f"{case}: {what}, median", statistics.median(values), **limit)
    report.check("lost", sum(row["lost"] for row in rows), at_most=0)
    sys.exit(0 if report.save(told) else 1)


if __name__ == "__main__":
    main()
