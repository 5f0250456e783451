"""Clients and pushers: encke-bench processes that obey lines of JSON, many at a time."""
import json
import subprocess
import time

from place import program


def edge(index):
    """The largest value of step `index` of encke-bench's histograms (bench/tally/histogram.h)."""
    if index < 128:
        return index
    shift = (index >> 6) - 1
    return (((index & 63) + 65) << shift) - 1


class Histogram:
    """Sparse histograms, merged."""

    def __init__(self):
        self.steps, self.max = {}, 0

    def add(self, sparse):
        for index, count in sparse.get("buckets", []):
            self.steps[index] = self.steps.get(index, 0) + count
        self.max = max(self.max, sparse.get("max", 0))
        return self

    @property
    def total(self):
        return sum(self.steps.values())

    def at(self, q):
        want, seen = q * self.total, 0
        for index in sorted(self.steps):
            seen += self.steps[index]
            if seen >= want:
                return min(edge(index), self.max)
        return 0

    def summary(self):
        """Milliseconds."""
        points = {f"p{name}": self.at(q) for name, q in
                  (("50", .5), ("90", .9), ("99", .99), ("99.9", .999))}
        return {"count": self.total, **{k: v / 1000 for k, v in points.items()},
                "max": self.max / 1000}


class Worker:
    """One encke-bench process."""

    def __init__(self, verb, session=False, **flags):
        words = [f"--{name}={value}" for name, value in flags.items()]
        self.child = subprocess.Popen([program("encke-bench"), verb, *words], text=True,
                                      start_new_session=session,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.started = None

    def tell(self, verb, **arguments):
        self.child.stdin.write(json.dumps({"do": verb, **arguments}) + "\n")
        self.child.stdin.flush()

    def hear(self):
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError(f"encke-bench ended with {self.child.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"encke-bench: {answer['error']}")
        return answer

    def ready(self):
        self.started = self.started or self.hear()
        return self

    def ask(self, verb, **arguments):
        self.tell(verb, **arguments)
        return self.hear()

    def quit(self):
        self.child.stdin.close()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Crew:
    """All clients of one room (or of many), spread over as many processes as comets.

    With the kernel's autogroup sessions share the cores, not processes, and each daemon has one.
    `sessions` gives each client process one, too: fifty clients keep up with fifty comets then.
    Without it they have one together."""

    def __init__(self, place, connections, first_mid=1, sessions=False, **flags):
        doors, share = place.doors, -(-connections // len(place.doors))
        self.connections, self.workers, begun = connections, [], 0
        for door in doors:
            count = min(share, connections - begun)
            if count > 0:
                self.workers.append(Worker("member", sessions, comets=door, http=place.http,
                                           connections=count, mid_base=first_mid + begun, **flags))
            begun += count
        for worker in self.workers:
            worker.ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self.workers:
            worker.quit()

    def pids(self):
        return [worker.child.pid for worker in self.workers]

    def all(self, verb, **arguments):
        """Told to all at once; the answers in order."""
        for worker in self.workers:
            worker.tell(verb, **arguments)
        return [worker.hear() for worker in self.workers]

    def connect(self, rate=0, verb="connect"):
        """{ready, failed, seconds, per_second, connect_ms}; rate: of the whole crew."""
        began = time.monotonic()
        answers = self.all(verb, ramp_rate=rate / len(self.workers))
        seconds = time.monotonic() - began
        connect = Histogram()
        for answer in answers:
            connect.add(answer["connect_us"])
        ready = sum(answer["ready"] for answer in answers)
        return {"ready": ready, "failed": self.connections - ready, "seconds": round(seconds, 2),
                "per_second": round(ready / seconds), "connect_ms": connect.summary()}

    def count(self):
        """Counters so far, summed; without the pushes."""
        answers = self.all("report", pushes=False)
        names = ("delivered", "duplicates", "out_of_order", "foreign", "closed", "ready",
                 "heartbeats")
        return {name: sum(answer.get(name, 0) for answer in answers) for name in names}

    def await_delivered(self, expected, patience=30):
        """Until `expected` deliveries came, or none for `patience` seconds; then a moment more."""
        last, since = -1, time.monotonic()
        while time.monotonic() - since < patience:
            delivered = self.count()["delivered"]
            if delivered >= expected:
                break
            if delivered != last:
                last, since = delivered, time.monotonic()
            time.sleep(0.2)
        time.sleep(0.5)

    def latency(self):
        merged = Histogram()
        for answer in self.all("report", pushes=False):
            merged.add(answer["latency_us"])
        return merged.summary()

    def account(self, pushed):
        """What a pusher says it got accepted against what arrived; one room."""
        answers = self.all("report")
        arrived = {}
        for answer in answers:
            for stream, first, last, members in answer["pushes"]:
                for number in range(first, last + 1):
                    arrived[stream, number] = arrived.get((stream, number), 0) + members
        ready = sum(answer["ready"] for answer in answers)
        accepted = {(stream, number) for stream, first, last, fate in pushed["pushes"]
                    for number in range(first, last + 1) if fate == 1}
        lost = sum(max(0, ready - arrived.get(push, 0)) for push in accepted)
        total = {name: sum(answer[name] for answer in answers)
                 for name in ("delivered", "duplicates", "out_of_order")}
        whole = sum(arrived.get(push, 0) == ready for push in accepted)
        return {"offered": pushed["offered"], "accepted": pushed["accepted"],
                "expected": len(accepted) * ready, **total, "lost": lost,
                "pushes_that_reached_all": whole,
                "exact": lost == 0 and total["duplicates"] == 0 and total["out_of_order"] == 0}


def push_and_drain(crew, pusher, run, patience=30, **job):
    """One stretch of pushes to the crew's room: its account and its latency."""
    crew.all("reset", run=run)
    pushed = pusher.ask("push", run=run, **job)
    crew.await_delivered(pushed["accepted"] * crew.connections, patience)
    return {**crew.account(pushed), "latency_ms": crew.latency(),
            "http_ms": Histogram().add(pushed["http_us"]).summary(),
            "seconds": pushed["seconds"]}
