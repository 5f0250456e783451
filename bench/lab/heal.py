#!/usr/bin/env python3
"""Redis comes back empty: how soon everybody can be pushed to again, and whether timelines say so.

usage: bench/lab/heal.py [--connections=20000] [--followers=500] [--rooms=100] [--rate=200]

Two comets hold `connections` sessions of version 1, each with a mid and a key of its own, and
`followers` of version 2 in rooms with a history, to which pushes go on all the time (rate a second
over all rooms, each tried until accepted). redis-server is killed with SIGKILL, loses its data and
is started again on its port. From that moment on everybody is pushed to by mids and by keys, in
turns, round after round; a route is back when a round of it has reached every single session.
Registrations are the keys in Redis, two of each session, looked at every 20 ms; comets are told
half of the usual pace, so that there is a second to look at. The followers must
all be told to reload, and get each accepted push once and in order all the same.
"""
import argparse
import socket
import sys
import threading
import time

from conditions import conditions
from crew import Crew, Worker
from place import HOST, Place, await_port
from report import Report
from resume import ROOMS, Flock, Pushes
from sampler import Meter

TARGETS = 100  # receivers named in one request
WINDOW = 1.0  # seconds over which a rate is taken
SLACK = 1.1  # of the paced rate: timelines have keys, too, and what waited for a core comes at once
FOLLOWERS_FROM = 1_000_001  # their first mid


class Registrations(threading.Thread):
    """How many sessions Redis knows, over time."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.door, self.seen, self.over = (HOST, port), [], threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.02):
            try:
                with socket.create_connection(self.door, timeout=2) as line:
                    self.look(line)
            except (OSError, ValueError):
                continue  # it is away

    def look(self, line):
        while not self.over.wait(0.02):
            line.sendall(b"DBSIZE\r\n")
            answer = line.recv(64)
            self.seen.append((time.monotonic(), int(answer.strip().lstrip(b":")) / 2))

    def highest_rate(self, since):
        """A second, over any WINDOW after `since`."""
        seen = [(at, known) for at, known in self.seen if at >= since]
        best, first = 0.0, 0
        for at, known in seen:
            while at - seen[first][0] > WINDOW:
                first += 1
            best = max(best, (known - seen[first][1]) / WINDOW)
        return round(best)

    def stop(self):
        self.over.set()
        self.join()


class Rounds:
    """Pushes to everybody, TARGETS in one request; each round has a number of its own."""

    def __init__(self, place, crew):
        self.crew, self.number, self.began = crew, 0, {"mids": 0, "keys": 0}
        self.pusher = Worker("pusher", http=place.http, connections=crew.connections, keys="true",
                             targets=min(TARGETS, crew.connections), http_connections=4,
                             pipeline=8).ready()

    def one(self, route, patience=0.3):
        """Sessions that a round reached: waits until nothing came for `patience` seconds."""
        self.number += 1
        self.began[route] += 1
        self.crew.all("reset", run=self.number)
        requests = self.crew.connections // min(TARGETS, self.crew.connections)
        self.pusher.ask("push", run=self.number, route=route, count=requests, rate=0)
        reached, since = -1, time.monotonic()
        while time.monotonic() - since < patience:
            now = self.crew.count()
            if now["delivered"] >= self.crew.connections:
                return now
            if now["delivered"] != reached:
                reached, since = now["delivered"], time.monotonic()
            time.sleep(0.02)
        return now

    def until_all(self, limit):
        """{route: when the first round of it had reached everybody}."""
        done, end = {}, time.monotonic() + limit
        while len(done) < 2 and time.monotonic() < end:
            for route in ("mids", "keys"):
                if route in done:
                    continue
                if self.one(route)["delivered"] >= self.crew.connections:
                    done[route] = time.monotonic()
        return done


def one(place, options):
    report = {"sessions": options.connections, "followers": options.followers}
    flock = Flock(place, connections=options.followers, rooms=options.rooms,
                  mid_base=FOLLOWERS_FROM).ready()
    with Crew(place, options.connections, keys="true", room="bench://heal") as crew:
        came = crew.connect()
        before = flock.until(60, lambda told: told["live"] == options.followers)
        if came["failed"] > 0 or before["live"] != options.followers:
            raise RuntimeError(f"not everybody came up: {came} {before}")
        rounds = Rounds(place, crew)
        if len(rounds.until_all(60)) < 2:
            raise RuntimeError("not everybody is reached although nothing has happened")
        pushes = Pushes(place, options.rooms, options.rate)
        pushes.start()
        time.sleep(2)
        flock.ask("mark")
        report |= lose_redis(place, options, rounds)
        report |= settle(flock, pushes, options)
        for route in ("mids", "keys"):
            now = rounds.one(route, patience=5)
            report[f"afterwards by {route}"] = now["delivered"]
            report[f"repeats by {route}"] = now["duplicates"]
        report["sessions lost"] = options.connections - crew.count()["ready"]
        rounds.pusher.quit()
    flock.quit()
    return report


def lose_redis(place, options, rounds):
    rounds.began = {"mids": 0, "keys": 0}
    place.redis.wipe()
    time.sleep(options.away)
    registrations = Registrations(place.redis_port)
    meters = {kind: Meter(pids) for kind, pids in place.pids().items()}
    place.redis.start()
    await_port(place.redis, place.redis_port)
    meters["redis"] = Meter([place.redis.child.pid])
    back = time.monotonic()
    done = rounds.until_all(60)
    used = {f"{kind}_cpu_s": meter.read()["cpu_s"] for kind, meter in meters.items()}
    registrations.stop()
    return {**{f"by {route}, s": round(done.get(route, back + 60) - back, 2)
               for route in ("mids", "keys")},
            "rounds": sum(rounds.began.values()),
            "registrations/s": registrations.highest_rate(back), **used}


def settle(flock, pushes, options):
    """What the followers make of it, after some more pushes."""
    time.sleep(options.seconds)
    pushes.over.set()
    pushes.join()
    told = flock.until(30, lambda now: now["reloaded"] == options.followers)
    end = time.monotonic() + 30
    while True:
        told = flock.ask("report", accepted=pushes.accepted)
        if told["missing"] == 0 or time.monotonic() > end:
            break
        time.sleep(0.2)
    expected = sum(pushes.accepted[i % options.rooms] for i in range(options.followers))
    return {"reloaded": told["reloaded"], "connections lost": told["lost"],
            "pushes accepted": sum(pushes.accepted), "tried again": pushes.again,
            "expected": expected, "received": told["received"], "missing": told["missing"],
            "duplicates": told["duplicates"], "out of order": told["out_of_order"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=20_000)
    parser.add_argument("--followers", type=int, default=500)
    parser.add_argument("--rooms", type=int, default=100)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--away", type=float, default=1, help="seconds without Redis")
    parser.add_argument("--seconds", type=float, default=3, help="of pushes afterwards")
    parser.add_argument("--announce_rate", type=int, default=5_000, help="of each comet")
    parser.add_argument("--turns", type=int, default=1)
    options = parser.parse_args()
    report = Report("heal", f"Redis comes back empty: {options.connections:,} live sessions")
    rows = []
    for _ in range(options.turns):
        rate = {"ENCKE_SESSION_ANNOUNCE_RATE": str(options.announce_rate)}
        with Place(2, env=rate, rooms=ROOMS) as place:
            rows.append(one(place, options))
            told = conditions(place)
    report.table("turns", rows)
    for route in ("mids", "keys"):
        report.check(f"everybody reached by {route}, s after Redis was back",
                     max(row[f"by {route}, s"] for row in rows), at_most=10)
        report.check(f"reached by {route} afterwards, in each turn",
                     min(row[f"afterwards by {route}"] for row in rows),
                     at_least=options.connections)
    report.check("registrations a second, both comets",
                 max(row["registrations/s"] for row in rows),
                 at_most=2 * SLACK * options.announce_rate)
    report.check("followers that reloaded, in each turn", min(row["reloaded"] for row in rows),
                 at_least=options.followers)
    for what in ("missing", "duplicates", "out of order", "connections lost", "sessions lost"):
        report.check(what, sum(row[what] for row in rows), at_most=0)
    sys.exit(0 if report.save(told) else 1)


if __name__ == "__main__":
    main()
