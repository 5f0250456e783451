#!/usr/bin/env python3
"""Every client of version 2 loses its comet at once: how soon all are back, and with what.

usage: bench/lab/resume.py [--connections=10000] [--rooms=100] [--rate=200] [--seconds=10]

Two comets; everybody is on the first, in rooms with a history. While pushes go on (rate a second
over all rooms, by POST /v1/pushes:batch, each tried until accepted) the first is killed with
SIGKILL. Resumed: connected to the other one and in possession of all it knows to be missing. At the
end every client must have got exactly the accepted pushes of its room, once and in order.
"""
import argparse
import http.client
import json
import subprocess
import sys
import threading
import time

from conditions import conditions
from crew import Worker
from place import BUILD, HOST, Place
from report import Report
from sampler import Meter

ROOMS = {"logic": "{group: {history: {messages: 1000, age: 1h}}}"}
ROOM = "group://resume"
RESUME = str(BUILD / "bench" / "resume" / "encke-resume")


class Flock(Worker):
    """One encke-resume process."""

    def __init__(self, place, **flags):
        addresses = ",".join(f"{HOST}:{comet.tcp}" for comet in place.comets)
        words = [f"--{name}={value}" for name, value in flags.items()]
        self.child = subprocess.Popen(
            [RESUME, f"--addresses={addresses}", f"--room={ROOM}", *words],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.started = None

    def until(self, seconds, truth):
        end = time.monotonic() + seconds
        while True:
            told = self.ask("report")
            if truth(told) or time.monotonic() > end:
                return told
            time.sleep(0.1)


class Pushes(threading.Thread):
    """Numbers 1, 2, 3 ... to each room, all rooms in one request, `rate` pushes a second."""

    def __init__(self, place, rooms, rate):
        super().__init__(daemon=True)
        self.door = ("127.0.0.1", place.logics[0].http)
        self.rooms, self.rate = rooms, rate
        self.accepted, self.again, self.over = [0] * rooms, 0, threading.Event()

    def run(self):
        due = time.monotonic()
        while not self.over.wait(max(0, due - time.monotonic())):
            self.one_round(self.accepted[0] + 1)
            due += self.rooms / self.rate

    def one_round(self, number):
        waiting = list(range(self.rooms))
        while waiting:
            pushes = [{"room": f"{ROOM}-{room}", "op": 1000, "body": str(number),
                       "idempotency_key": f"r{room}-{number}"} for room in waiting]
            results = self.ask({"pushes": pushes})
            for room, result in zip(list(waiting), results):
                if "id" in result:
                    self.accepted[room] = number
                    waiting.remove(room)
            self.again += len(waiting)
            if waiting:
                time.sleep(0.05)

    def ask(self, body):
        try:
            line = http.client.HTTPConnection(*self.door, timeout=10)
            line.request("POST", "/v1/pushes:batch", json.dumps(body),
                         {"Content-Type": "application/json"})
            reply = json.loads(line.getresponse().read())
            return reply["results"]
        except (OSError, KeyError, ValueError, http.client.HTTPException):
            time.sleep(0.1)
            return [{} for _ in body["pushes"]]


def one(place, options):
    flock = Flock(place, connections=options.connections, rooms=options.rooms).ready()
    before = flock.until(60, lambda told: told["live"] == options.connections)
    if before["live"] != options.connections:
        raise RuntimeError(f"not everybody came up: {before}")
    pushes = Pushes(place, options.rooms, options.rate)
    pushes.start()
    time.sleep(2)
    meters = {kind: Meter(pids) for kind, pids in
              {"comet": [place.comets[1].child.pid], "logic": [place.logics[0].child.pid],
               "redis": [place.redis.child.pid], "clients": [flock.child.pid]}.items()}
    flock.ask("mark")
    killed_us = time.monotonic_ns() // 1000
    pushed_before = sum(pushes.accepted)
    place.comets[0].kill()
    told = flock.until(60, lambda now: now["resumed"] == options.connections)
    during = sum(pushes.accepted) - pushed_before
    used = {f"{kind}_cpu_s": meter.read()["cpu_s"] for kind, meter in meters.items()}
    time.sleep(options.seconds)
    pushes.over.set()
    pushes.join()
    accepted = pushes.accepted
    expected = sum(accepted[i % options.rooms] for i in range(options.connections))
    end = time.monotonic() + 30
    while True:
        last = flock.ask("report", accepted=accepted)
        if last["missing"] == 0 or time.monotonic() > end:
            break
        time.sleep(0.2)
    flock.quit()

    def since(what):
        return round((told[what] - killed_us) / 1e6, 2)
    return {"connections": options.connections, "lost their comet": told["lost"],
            "resumed": told["resumed"], "half resumed, s": since("half_resumed_us"),
            "last connected, s": since("last_up_us"), "last resumed, s": since("last_resumed_us"),
            "pushes accepted": sum(accepted), "of them meanwhile": during,
            "tried again": pushes.again, "expected": expected, "received": last["received"],
            "missing": last["missing"], "duplicates": last["duplicates"],
            "out of order": last["out_of_order"], "reloads": last["reloads"],
            "clients with the exact set": last["exact"], **used}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rooms", type=int, default=100)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--turns", type=int, default=1)
    options = parser.parse_args()
    report = Report("resume", f"{options.connections:,} clients lose their comet at once")
    rows = []
    for _ in range(options.turns):
        with Place(2, rooms=ROOMS) as place:
            rows.append(one(place, options))
            told = conditions(place)
    report.table("turns", rows)
    worst = max(row["last resumed, s"] for row in rows)
    report.check("resumed, in each turn", min(row["resumed"] for row in rows),
                 at_least=options.connections)
    report.check("time until the last one was, s", worst, at_most=10)
    for what in ("missing", "duplicates", "out of order", "reloads"):
        report.check(what, sum(row[what] for row in rows), at_most=0)
    sys.exit(0 if report.save(told) else 1)


if __name__ == "__main__":
    main()
