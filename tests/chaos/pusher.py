"""The backends of a chaos run: pushes of all kinds at a steady rate, and what became of each.

usage: pusher.py SPEC OUT     SPEC: JSON {"ports", "seed", "rate", "kept", "plain", "mids"}

Commands on standard input, JSON objects: {"duplicate": SECONDS}: for so long every call of /v1 goes
to two logics at once, with the same idempotency key; {"quiet": true}: no more pushes.  Each line of
OUT is a JSON object: body, kind, targets, began, answered (microseconds, monotonic), ok, tries,
unrouted, refused (the last reason), places (room: epoch and number that the answer named).
"""
import http.client
import json
import random
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

HOST = "127.0.0.1"
THREADS, TRIES, TIMEOUT = 16, 6, 3.0
# kind: weight.  "kept" rooms have a history, "plain" ones have none.
KINDS = {"kept": 30, "kept goim": 14, "plain": 10, "plain goim": 10, "inbox": 14, "mids": 4,
         "mids goim": 4, "keys": 5, "keys goim": 4, "rooms": 2, "batch": 2, "all": 0.3}


def now_us():
    return time.monotonic_ns() // 1000


class Caller:
    """One thread's connections, one per logic."""

    def __init__(self, ports):
        self.ports, self.open = ports, {}

    def begin(self, port, target, body, headers):
        connection = self.open.get(port)
        if connection is None:
            connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT)
            self.open[port] = connection
        connection.request("POST", target, body=body, headers=headers)

    def finish(self, port):
        reply = self.open[port].getresponse()
        return reply.status, reply.read()

    def forget(self, port):
        connection = self.open.pop(port, None)
        if connection:
            connection.close()

    def call(self, ports, target, body, headers):
        """The first good answer of those; raises when there is none."""
        begun, failure, answer = [], None, None
        for port in ports:
            try:
                self.begin(port, target, body, headers)
                begun.append(port)
            except (OSError, http.client.HTTPException) as error:
                self.forget(port)
                failure = error
        for port in begun:
            try:
                got = self.finish(port)
                answer = got if answer is None or got[0] == 200 else answer
            except (OSError, http.client.HTTPException) as error:
                self.forget(port)
                failure = error
        if answer is None:
            raise failure
        return answer


class Pusher:
    def __init__(self, spec, out):
        self.spec, self.out = spec, out
        self.random = random.Random(spec["seed"])
        self.lock = threading.Lock()
        self.number, self.quiet, self.duplicate_until = 0, False, 0.0
        self.start = time.monotonic()

    def draw(self):
        """The next push, and when it is due."""
        with self.lock:
            self.number += 1
            body = f"p{self.number}"
            kind = self.random.choices(list(KINDS), list(KINDS.values()))[0]
            pick = self.random.choice
            what = kind.partition(" ")[0]
            if what in ("kept", "plain"):
                targets = [pick(self.spec[what])]
            elif what in ("inbox", "mids", "keys"):
                targets = [pick(self.spec["mids"]) for _ in range(2)]
            elif what in ("rooms", "batch"):
                targets = self.random.sample(self.spec["kept"] + self.spec["plain"], 3)
            else:
                targets = []
            return body, kind, sorted(set(targets)), self.start + self.number / self.spec["rate"]

    def request(self, body, kind, targets, key):
        """(path, body, headers, may it be repeated)"""
        what, _, goim = kind.partition(" ")
        if goim:
            query = {"operation": 1000}
            if what == "mids":
                query["mids"] = targets
            elif what == "keys":
                query["keys"] = [f"k{mid}" for mid in targets]
            else:
                query["type"], _, query["room"] = targets[0].partition("://")
            road = what if what in ("mids", "keys") else "room"
            return f"/goim/push/{road}?{urlencode(query, doseq=True)}", body.encode(), {}, False
        push = {"op": 1000, "body": body, "idempotency_key": key}
        if what == "all":
            push["all"] = True
        elif what == "keys":
            push["keys"] = [f"k{mid}" for mid in targets]
        elif what in ("mids", "inbox"):
            push |= {"mids": targets, "keep": what == "inbox"}
        elif what == "rooms":
            push["rooms"] = targets
        elif what == "batch":
            pushes = [{**push, "room": room, "idempotency_key": f"{key}.{i}"}
                      for i, room in enumerate(targets)]
            return "/v1/pushes:batch", json.dumps({"pushes": pushes}), JSON, True
        else:
            push["room"] = targets[0]
        return "/v1/pushes", json.dumps(push), JSON, True

    def push(self, caller, body, kind, targets):
        key = f"{self.spec['seed']}.{body}.{self.spec['run']}"
        target, text, headers, may_repeat = self.request(body, kind, targets, key)
        first = self.random.randrange(len(caller.ports))
        record = {"body": body, "kind": kind, "targets": targets, "began": now_us(), "ok": False,
                  "unrouted": 0, "done": [], "places": {}}
        for attempt in range(TRIES):
            ports = [caller.ports[(first + attempt) % len(caller.ports)]]
            if may_repeat and time.monotonic() < self.duplicate_until:
                ports = caller.ports
            record["tries"] = attempt + 1
            try:
                status, answer = caller.call(ports, target, text, headers)
                self.judge(record, kind, status, answer)
            except (OSError, http.client.HTTPException) as error:
                record["refused"] = type(error).__name__
            if record["ok"] or (not may_repeat and record["refused"] != "ConnectionRefusedError"):
                break
            time.sleep(0.1 * (attempt + 1))
        record["answered"] = now_us()
        with self.lock:
            self.out.write(json.dumps(record) + "\n")

    @staticmethod
    def judge(record, kind, status, answer):
        reply = json.loads(answer) if answer else {}
        record["refused"] = f"{status} {answer[:80].decode(errors='replace')}"
        if kind.endswith("goim"):
            record["ok"] = status == 200 and reply["code"] == 0
        elif kind == "batch" and status == 200:
            for room, result in zip(record["targets"], reply["results"]):
                if "error" not in result and room not in record["done"]:
                    record["done"].append(room)
                    note_places(record, result)
            record["ok"] = len(record["done"]) == len(record["targets"])
        elif status == 200:
            record["ok"], record["unrouted"] = True, reply["unrouted"]
            note_places(record, reply)
        if record["ok"]:
            del record["refused"]

    def run(self):
        caller = Caller(self.spec["ports"])
        while not self.quiet:
            body, kind, targets, due = self.draw()
            time.sleep(max(0, due - time.monotonic()))
            self.push(caller, body, kind, targets)

    def serve(self):
        threads = [threading.Thread(target=self.run) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for line in sys.stdin:
            command = json.loads(line)
            if "duplicate" in command:
                self.duplicate_until = time.monotonic() + command["duplicate"]
            if "quiet" in command:
                break
        self.quiet = True
        for thread in threads:
            thread.join()
        self.out.flush()
        print("quiet", flush=True)


def note_places(record, accepted):
    for place in accepted["timelines"]:
        record["places"][place["timeline"]] = [place["epoch"], place["seq"]]


JSON = {"Content-Type": "application/json"}


def main():
    with open(sys.argv[2], "w", encoding="ascii") as out:
        Pusher(json.loads(Path(sys.argv[1]).read_text()), out).serve()


if __name__ == "__main__":
    main()
