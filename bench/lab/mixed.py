#!/usr/bin/env python3
"""Small rooms beside a big one on the same comet, which alone could eat more than a core.

usage: bench/lab/mixed.py [--big=15000] [--big_rate=40] [--rooms=100] [--members=20] [--rate=5]
                          [--seconds=20] [--window=300ms] [--no_slices]

The small rooms' latency is measured by a client process of their own. The big room may gather for
`window` once it is past room.hot_bytes (room.hot_windows; 0 = it may not). --no_slices repeats the
run with flushes that never yield (room.slice_us: 0) and no window, for comparison.
"""
import argparse
import sys
import time

from conditions import conditions
from crew import Crew, Histogram, Worker, push_and_drain
from place import Place
from report import Report
from sampler import Meter, Sampler


def one_run(options, env, report, name):
    with Place(1, env=env) as place:
        pids = place.pids()
        with Crew(place, options.big, room="big://1") as big, \
             Crew(place, options.rooms * options.members, first_mid=1_000_001, room="small://1",
                  rooms=options.rooms, members=options.members) as small, \
             Sampler(lambda: pids) as sampler:
            big.connect()
            small.connect()
            row = push_both(options, place, big, small)
            told = conditions(place)
        report.table(name, [row])
        if name == "with slices":
            report.series(sampler)
    return row, told


def push_both(options, place, big, small):
    loud = Worker("pusher", http=place.http, room="big://1", pipeline=64).ready()
    quiet = Worker("pusher", http=place.http, room="small://1", rooms=options.rooms,
                   members=options.members, pipeline=64).ready()
    for crew, run in ((big, 1), (small, 2)):
        crew.all("reset", run=run)
    counters = ("encke_comet_sends_total", "encke_comet_deliveries_total")
    before, meter = place.count(*counters), Meter(place.pids()["comet"])
    loud.tell("push", run=1, rate=options.big_rate, seconds=options.seconds)
    time.sleep(1)  # the big room is busy before the small ones begin, and after they end
    pushed = quiet.ask("push", run=2, rate=options.rate * options.rooms,
                       seconds=options.seconds - 2)
    told = loud.hear()
    big.await_delivered(told["accepted"] * options.big)
    expected = pushed["accepted"] * options.members
    small.await_delivered(expected)
    used, after = meter.read(), place.count(*counters)
    sends, deliveries = (after[n] - before[n] for n in counters)
    heard = small.count()
    row = {"small_latency_ms": small.latency(), "small_lost": expected - heard["delivered"],
           "small_repeats": heard["duplicates"], "big_latency_ms": big.latency(),
           "big": {k: v for k, v in big.account(told).items() if k != "offered"},
           "mean_batch": deliveries / max(1, sends),
           "comet_cores": used["cpu_s"] / used["seconds"],
           "http_ms": Histogram().add(pushed["http_us"]).summary()}
    for worker in (loud, quiet):
        worker.quit()
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--big", type=int, default=15_000)
    parser.add_argument("--big_rate", type=float, default=40)
    parser.add_argument("--rooms", type=int, default=100)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--rate", type=float, default=5, help="pushes a second to each small room")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--window", default="300ms")
    parser.add_argument("--no_slices", action="store_true")
    options = parser.parse_args()
    report = Report("mixed", "Small rooms beside a big one")
    hot = {"ENCKE_ROOM_HOT_WINDOWS": f"big={options.window}"} if options.window != "0" else {}
    row, told = one_run(options, hot, report, "with slices")
    report.check("small rooms p99, ms", row["small_latency_ms"]["p99"], at_most=50)
    report.check("small rooms: lost", row["small_lost"], at_most=0)
    report.check("big room: lost", row["big"]["lost"], at_most=0)
    if options.no_slices:
        one_run(options, {"ENCKE_ROOM_SLICE_US": "0"}, report, "without slices")
    sys.exit(0 if report.save(told) else 1)


if __name__ == "__main__":
    main()
