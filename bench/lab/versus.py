"""The workloads of bench/compare: the same clients and pushes against one server or another."""
from crew import Crew, Worker, push_and_drain
from sampler import Meter, anonymous_bytes

CASES = ({"case": "1,000 TCP", "members": 1000, "transport": "tcp"},
         {"case": "10,000 TCP", "members": 10_000, "transport": "tcp"},
         {"case": "10,000 WebSocket", "members": 10_000, "transport": "ws"})


def lone(place, seconds, first_mid):
    """One client, a push now and then."""
    with Crew(place, 1, first_mid=first_mid, room="lone://1") as one:
        one.connect()
        pusher = Worker("pusher", http=place.http, room="lone://1").ready()
        result = push_and_drain(one, pusher, 1, 5, rate=4, seconds=seconds)
        pusher.quit()
    return {"lone_p50_ms": result["latency_ms"]["p50"], "lone_p99_ms": result["latency_ms"]["p99"]}


def room(place, case, seconds, first_mid):
    """Connects, 40 pushes a second, everything counted; CPU and memory where pids are known."""
    pids = place.pids().get("comet", [])
    sends = Sends(place)
    with Crew(place, case["members"], first_mid=first_mid, room=f"versus://{first_mid}",
              transport=case["transport"], in_progress=64) as crew:
        memory = anonymous_bytes(pids)
        ramp = crew.connect()
        memory = anonymous_bytes(pids) - memory
        pusher = Worker("pusher", http=place.http, room=f"versus://{first_mid}",
                        pipeline=64).ready()
        push_and_drain(crew, pusher, 1, 10, rate=40, seconds=1)
        sends.begin()
        meter = Meter(pids)
        result = push_and_drain(crew, pusher, 2, 10, rate=40, seconds=seconds)
        cpu = meter.read()["cpu_s"]
        pusher.quit()
    row = {"case": case["case"], "connects_per_s": ramp["per_second"], "lost": result["lost"],
           "repeats": result["duplicates"], "p50_ms": result["latency_ms"]["p50"],
           "p99_ms": result["latency_ms"]["p99"]}
    if pids:
        row["bytes_per_connection"] = memory / case["members"]
        row["deliveries_per_cpu_s"] = result["delivered"] / max(cpu, 0.01)
        if sends.known:
            row["writes_per_cpu_s"] = sends.since() / max(cpu, 0.01)
    return row


class Sends:
    """Socket writes of our comet, from its own counter; another server does not say."""

    def __init__(self, place):
        self.place, self.known = place, hasattr(place, "count")
        self.at = 0

    def now(self):
        name = "encke_comet_sends_total"
        return self.place.count(name)[name] if self.known else 0

    def begin(self):
        self.at = self.now()

    def since(self):
        return self.now() - self.at
