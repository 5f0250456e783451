#!/usr/bin/env python3
"""Fan-out: deliveries per CPU-second of comet against the bare send loop, in turns in one run.

usage: bench/lab/fanout.py [--members=10000,100000] [--transports=tcp,ws] [--batches=1,20]
                           [--turns=4] [--seconds=3] [--share=0.5] [--apart]

Both sides push whole rounds at the same pace: `share` of what the floor can do alone, so that both
have the same idle moments and wake the same readers. A batch of 20 is twenty pushes that job hands
to comet at once (room.signal). The floor sends the batch that comet really made.

--apart is for a million, where memory does not carry both sides at once: the floor, then comet,
then the floor again; half of the members TCP, half WebSocket.  A round takes many seconds then, and
the floor has no heartbeats: the ratio is of the CPU beyond what comet used just before, idle; the
one with all of it stands beside it.
"""
import argparse
import statistics
import sys
import time

from conditions import conditions
from crew import Crew, Worker
from floor import Floor
from place import Place, for_many, processes_for, refuse_what_cannot_be
from report import Report
from sampler import Meter

COUNTS = ("encke_comet_sends_total", "encke_comet_deliveries_total", "encke_comet_batches_total")


class Turns:
    """One cluster and one floor over the same number of connections."""

    def __init__(self, members, transport, options):
        self.members, self.transport, self.options = members, transport, options
        self.run = 0

    def comet(self, place, crew, pusher, batch, pace):
        """A stretch of pushes: CPU, sends and deliveries of all comets."""
        self.run += 1
        crew.all("reset", run=self.run)
        before, meter = place.count(*COUNTS), Meter(place.pids()["comet"])
        pushed = pusher.ask("push", run=self.run, rate=pace * batch, batch=batch,
                            count=max(1, round(pace * self.options.seconds)) * batch)
        crew.await_delivered(pushed["accepted"] * self.members)
        used, after = meter.read(), place.count(*COUNTS)
        sends, deliveries, _ = (after[n] - before[n] for n in COUNTS)
        account = crew.count()
        return {"cpu_s": used["cpu_s"], "seconds": used["seconds"], "sends": sends,
                "deliveries": deliveries,
                "batch": deliveries / max(1, sends), "lost":
                    pushed["accepted"] * self.members - account["delivered"],
                "repeats": account["duplicates"], "p50_ms": crew.latency()["p50"]}

    def alternate(self, place, crew, pusher, floor, batch):
        free = floor.run(self.transport, batch, seconds=1)
        pace = self.options.share * free["sends"] / free["seconds"] / self.members
        self.comet(place, crew, pusher, batch, pace)  # warm
        rows, made = [], batch
        for turn in range(self.options.turns):
            ours = self.comet(place, crew, pusher, batch, pace)
            made = max(1, round(ours["batch"]))
            bare = floor.run(self.transport, made, rounds_per_s=pace,
                             rounds=max(1, round(pace * self.options.seconds)))
            mine = ours["sends"] / max(ours["cpu_s"], 0.01)
            rows.append({"members": self.members, "transport": self.transport, "turn": turn + 1,
                         "rounds_per_s": round(pace, 2), "batch": round(ours["batch"], 2),
                         "comet_sends_per_cpu_s": round(mine),
                         "floor_sends_per_cpu_s": bare["sends_per_cpu_s"],
                         "ratio": round(mine / bare["sends_per_cpu_s"], 3),
                         "comet_deliveries_per_cpu_s": round(mine * ours["batch"]),
                         "lost": ours["lost"], "repeats": ours["repeats"],
                         "p50_ms": ours["p50_ms"]})
        return rows, free["sends_per_cpu_s"]


def measure(members, transport, batch, options, report):
    # Twenty pushes come together only if job waits for them; a single one must not wait.
    env = {"ENCKE_ROOM_SIGNAL": "1s", "ENCKE_ROOM_BATCH": str(batch)} if batch > 1 else {}
    comets = processes_for(members)
    turns = Turns(members, transport, options)
    with Place(comets, shards=options.shards, env=env) as place:
        with Crew(place, members, transport=transport) as crew, \
             Floor(members, comets * options.shards) as floor:
            crew.connect()
            pusher = Worker("pusher", http=place.http, pipeline=32).ready()
            rows, free = turns.alternate(place, crew, pusher, floor, batch)
            pusher.quit()
            told = conditions(place)
    report.table(f"turns, {members} members, {transport}, batch {batch}", rows)
    ratio = statistics.median(row["ratio"] for row in rows)
    report.check(f"{members} members, {transport}, batch {batch}: ratio to the floor", ratio,
                 at_least=0.85)
    return {"members": members, "transport": transport, "batch": batch,
            "comet_deliveries_per_cpu_s":
                statistics.median(row["comet_deliveries_per_cpu_s"] for row in rows),
            "ratio": ratio, "floor_saturated_sends_per_cpu_s": free,
            "lost": sum(row["lost"] for row in rows)}, told


def floor_alone(members, processes, batches, options, pace):
    """{batch: sends per CPU-second} of one round over TCP and one over WebSocket each."""
    rates = {}
    with Floor(members, processes) as floor:
        if not pace:
            free = floor.run("tcp", 1, rounds=1)
            pace = options.share * free["sends"] / free["seconds"] / members
        for batch in batches:
            runs = [floor.run(transport, batch, rounds_per_s=pace, rounds=1)
                    for transport in ("tcp", "ws")]
            rates[batch] = 2 / sum(1 / run["sends_per_cpu_s"] for run in runs)
    return rates, pace


def measure_apart(members, batches, options, report):
    refuse_what_cannot_be(members)
    comets = processes_for(members)
    before, pace = floor_alone(members, comets, batches, options, 0)
    options.seconds = 3 / pace
    turns, rows = Turns(members, "mix", options), []
    # A lone push waits for the signal, which costs no CPU.
    env = {"ENCKE_ROOM_SIGNAL": "100ms", "ENCKE_ROOM_BATCH": str(max(batches)), **for_many(comets)}
    with Place(comets, shards=options.shards, env=env) as place:
        with Crew(place, members, transport="mix", sessions=True) as crew:
            report.check("members connected", crew.connect()["ready"], at_least=members)
            pusher = Worker("pusher", http=place.http, pipeline=32).ready()
            turns.comet(place, crew, pusher, 1, pace)  # warm
            idle = Meter(place.pids()["comet"])
            time.sleep(15)
            idle_cores = idle.cores()
            for batch in batches:
                rows.append((batch, turns.comet(place, crew, pusher, batch, pace)))
            pusher.quit()
            told = conditions(place)
    after, _ = floor_alone(members, comets, batches, options, pace)
    summary = []
    for batch, ours in rows:
        mine = ours["sends"] / (ours["cpu_s"] - idle_cores * ours["seconds"])
        bare = (before[batch] + after[batch]) / 2
        report.check(f"{members} members, mix, batch {batch}: ratio to the floor", mine / bare,
                     at_least=0.85)
        summary.append({"members": members, "transport": "mix", "batch": batch, **ours,
                        "rounds_per_s": pace, "idle_cores": idle_cores,
                        "comet_sends_per_cpu_s": mine,
                        "floor_before": before[batch], "floor_after": after[batch],
                        "ratio": mine / bare,
                        "ratio_idle_included": ours["sends"] / ours["cpu_s"] / bare})
    report.table("floor, comet, floor", summary)
    return summary, told


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", default="10000,100000")
    parser.add_argument("--transports", default="tcp,ws")
    parser.add_argument("--batches", default="1,20")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--apart", action="store_true")
    options = parser.parse_args()
    report = Report("fanout", "Fan-out: comet against the bare send loop")
    summary, told = [], {}
    batches = [int(batch) for batch in options.batches.split(",")]
    for members in map(int, options.members.split(",")):
        if options.apart:
            rows, told = measure_apart(members, batches, options, report)
            summary += rows
            continue
        for transport in options.transports.split(","):
            for batch in batches:
                row, told = measure(members, transport, batch, options, report)
                summary.append(row)
    report.table("medians", summary)
    sys.exit(0 if report.save(told) else 1)


if __name__ == "__main__":
    main()
