#!/usr/bin/env python3
"""The headline run: a million real connections on this machine, all authenticated, in one room.

usage: bench/lab/million.py [--connections=1000000] [--idle=40] [--pushes=20] [--login_rate=7500]
                            [--phases=idle,pushes,storm]

Ramp through logic and Redis; idle with heartbeats every 240 s, then every 30 s; pushes to the one
room, each counted at every connection; then everybody is dropped and comes back while pushes go on.
As many comets and client processes as the limit of open files asks for; one of each where it allows
that.
"""
import argparse
import sys
import time

from conditions import conditions
from crew import Crew, Worker, push_and_drain
from place import Place, for_many, processes_for, refuse_what_cannot_be
from report import Report
from sampler import Meter, Sampler, anonymous_bytes, kernel_memory, slab_objects

ROOM = "million://1"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1_000_000)
    parser.add_argument("--idle", type=float, default=40, help="seconds of each idle phase")
    parser.add_argument("--pushes", type=int, default=20)
    parser.add_argument("--push_rate", type=float, default=0.2)
    parser.add_argument("--ramp_rate", type=float, default=0, help="0 = as fast as answered")
    parser.add_argument("--phases", default="idle,pushes,storm", help="after the ramp")
    parser.add_argument("--login_rate", type=float, default=7500,
                        help="logins per second that comets let through to logic and redis")
    parser.add_argument("--comets", type=int, default=0, help="0 = as many as are needed")
    return parser.parse_args()


class Million:
    def __init__(self, options, place, crew, sampler, report):
        self.o, self.place, self.crew = options, place, crew
        self.sampler, self.report = sampler, report
        self.pusher = Worker("pusher", http=place.http, room=ROOM, pipeline=64).ready()
        self.witness = Crew(place, 10, first_mid=10_000_001, room="witness://1")
        self.rows = []

    def phase(self, name):
        print(f"{name} ...", flush=True)
        self.sampler.mark(name)

    def levels(self):
        return {"comet": anonymous_bytes(self.place.pids()["comet"]),
                "slab": kernel_memory()["slab"],
                "redis": self.place.redis_info("memory", "used_memory")}

    def ramp(self):
        self.phase("ramp")
        n, comets, before = self.o.connections, len(self.place.comets), self.levels()
        meters = {kind: Meter(pids) for kind, pids in self.place.pids().items()}
        result = self.crew.connect(self.o.ramp_rate)
        cpu = {f"{kind}_cpu_s": meter.read()["cpu_s"] for kind, meter in meters.items()}
        time.sleep(5)
        after = self.levels()
        held = max(1, result["ready"])
        per = {what: (after[what] - before[what]) / held for what in before}
        self.report.table("ramp", [{**result, **cpu}])
        self.report.table("memory", [{
            "comet_bytes_per_connection": per["comet"],
            "comet_base_mb": before["comet"] / comets / 1e6,
            "kernel_bytes_per_connection_both_ends": per["slab"],
            "redis_bytes_per_session": per["redis"],
            "comet_all_mb": after["comet"] / 1e6, "slab_gb": after["slab"] / 1e9}])
        self.report.table("slab caches, MB", [{k: v / 1e6 for k, v in slab_objects().items()}])
        check = self.report.check
        check("connections held", result["ready"], at_least=n)
        check("connects per second over the whole ramp", result["per_second"], at_least=6000)
        check("comet bytes per connection", per["comet"], at_most=512)
        check("base of one comet, MB", before["comet"] / comets / 1e6, at_most=30)

    def idle(self, heartbeat):
        self.phase(f"idle, heartbeats {heartbeat:g} s")
        self.crew.all("heartbeat", seconds=heartbeat)
        began, meters = self.crew.count(), {k: Meter(p) for k, p in self.place.pids().items()}
        time.sleep(self.o.idle)
        cores = {f"{kind}_cores": round(u["cpu_s"] / u["seconds"], 4) for kind, u in
                 ((kind, meter.read()) for kind, meter in meters.items())}
        ended = self.crew.count()
        self.rows.append({"heartbeat_s": heartbeat, "heartbeats_per_s":
                          (ended["heartbeats"] - began["heartbeats"]) / self.o.idle,
                          **cores, "lost_connections": began["ready"] - ended["ready"]})

    def pushes(self, run, phase, patience=90):
        self.phase(phase)
        meter = Meter(self.place.pids()["comet"])
        result = push_and_drain(self.crew, self.pusher, run, patience, count=self.o.pushes,
                                rate=self.o.push_rate)
        cpu = meter.read()["cpu_s"]
        self.report.table(phase, [{**result, "comet_cpu_s": cpu,
                                   "deliveries_per_cpu_s": result["delivered"] / max(cpu, 0.01)}])
        self.report.check(f"{phase}: pushes that reached every connection exactly once",
                          result["pushes_that_reached_all"] if result["exact"] else 0,
                          at_least=self.o.pushes)

    def storm(self):
        """Everybody leaves and comes back at once; comets hold the logins back to the rate set. Ten
        others in another room must notice nothing: their pushes are counted one by one."""
        self.phase("storm")
        self.witness.connect()
        self.witness.all("reset", run=900)
        witness = Worker("pusher", http=self.place.http, room="witness://1").ready()
        commands = self.place.redis_info("stats", "total_commands_processed")
        began = time.monotonic()
        witness.tell("push", run=900, rate=5,
                     seconds=self.o.connections / self.o.login_rate + 10)
        dropped = self.crew.all("drop")
        back = self.crew.connect(0, "reconnect")
        seconds = time.monotonic() - began
        pushed = witness.hear()
        self.witness.await_delivered(pushed["accepted"] * 10)
        account = self.witness.account(pushed)
        commands = self.place.redis_info("stats", "total_commands_processed") - commands
        self.report.table("storm", [{
            "dropped": sum(answer["dropped"] for answer in dropped), **back,
            "redis_commands_per_s": commands / seconds,
            "most_logins_per_s": self.most_logins(), "witness": account,
            "witness_latency_ms": self.witness.latency()}])
        check = self.report.check
        check("storm: connections back", back["ready"], at_least=self.o.connections)
        check("storm: pushes accepted meanwhile and lost", account["lost"], at_most=0)
        check("storm: most logins in one second over the rate set",
              self.most_logins() / self.o.login_rate, at_most=1.1)
        witness.quit()

    def most_logins(self):
        """The busiest second since the storm began, from the samples."""
        at = next(t for t, name in self.sampler.marks if name == "storm")
        rows = [(row["more_t"], row["logins"]) for row in self.sampler.rows
                if row["t"] >= at and "logins" in row]
        rates = [(b - a) / (u - t) for (t, a), (u, b) in zip(rows, rows[1:]) if u > t]
        return round(max(rates, default=0))

    def run(self):
        phases = self.o.phases.split(",")
        self.ramp()
        if "idle" in phases:
            for heartbeat in (240, 30):
                self.idle(heartbeat)
            self.report.table("idle", self.rows)
            self.crew.all("heartbeat", seconds=240)
        if "pushes" in phases:
            self.pushes(1, "pushes")
        if "storm" in phases:
            self.storm()
            self.pushes(2, "pushes after the storm")
        self.pusher.quit()


def main():
    options = parse()
    refuse_what_cannot_be(options.connections)
    comets = max(options.comets, processes_for(options.connections))
    report = Report("million", f"{options.connections:,} connections on one machine")
    with Place(comets, shards=1 if comets > 1 else 0,
               env=for_many(comets, options.login_rate)) as place:
        print(f"{comets} comets and {comets} client processes", flush=True)

        def more():
            return {"logins": sum(logic.metric("encke_logic_auth_total")
                                  for logic in place.logics)}
        with Crew(place, options.connections, sessions=True, room=ROOM, transport="mix") as crew, \
             Sampler(lambda: {**place.pids(), "clients": crew.pids()}, more=more) as sampler:
            Million(options, place, crew, sampler, report).run()
            told = conditions(place)
        report.series(sampler)
    sys.exit(0 if report.save(told) else 1)


if __name__ == "__main__":
    main()
