"""Everything that runs during one seed: the cluster behind proxies, the clients, the backends.

Rooms of three types: group:// has a history in Redis, saga:// a short one there and all of it in
NATS, live:// none.
"""
import json
import subprocess
import sys
import threading
import time
from http.client import HTTPException
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from backend import Http, metrics  # noqa: E402
from cluster import BUILD, HOST, Cluster, free_port  # noqa: E402
from history import HOT, Archive, Unreadable, pages  # noqa: E402

ROOMS_KEPT, ROOMS_PLAIN = 30, 20
CONFIG = {"logic": "{group: {history: {messages: 5000, age: 1h}}, saga: {history: "
                   f"{{messages: {HOT}, age: 1h, durable: {{age: 2h, bytes: 64m}}}}}}}}"}
ENV = {"ENCKE_NODE_HEARTBEAT": "5s"}  # so that a missing tail is noticed within the run
DISK_MEGABYTES = 96
CROWDS, TALKERS = ("cpp", "python", "js"), ("cpp", "js")  # talkers also publish


class Tool:
    """A program of ours with commands on its standard input."""

    def __init__(self, command, folder, name):
        self.log = open(folder / f"{name}.err", "wb")
        self.child = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=self.log, text=True)

    def say(self, command):
        self.child.stdin.write((command if isinstance(command, str) else json.dumps(command)) +
                               "\n")
        self.child.stdin.flush()

    def hear(self):
        return self.child.stdout.readline().strip()

    def end(self):
        self.child.stdin.close()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.log.close()


def specs(count):
    """Who the clients are: by turns of all kinds, spread over rooms and comets."""
    kept = [f"{'saga' if i % 5 == 4 else 'group'}://{i}" for i in range(ROOMS_KEPT)]
    plain = [f"live://{i}" for i in range(ROOMS_PLAIN)]
    every = kept + plain
    found = []
    for i in range(count):
        kind = ("v1tcp", "v1ws", "v2tcp", "v2js" if i % 28 == 3 else "v2ws")[i % 4]
        if kind[1] == "1":
            rooms = [every[i // 2 % len(every)]]
        else:
            rooms = [kept[i // 2 % len(kept)], kept[(i // 2 * 7 + 11) % len(kept)],
                     plain[i // 2 % len(plain)]]
        found.append({"id": str(i), "mid": i + 1, "kind": kind, "comet": i // 4 % 2,
                      "proxied": i // 8 % 4 == 0, "rooms": list(dict.fromkeys(rooms))})
    return found, kept, plain


class Stage:
    def __init__(self, seed, clients, rate):
        self.seed = seed
        self.cluster = Cluster(2, 2, 2, ENV, CONFIG)
        self.folder = self.cluster.folder
        self.clients, self.kept, self.plain = specs(clients)
        self.durable = [room for room in self.kept if room.startswith("saga://")]
        self.rate = rate
        self.tools = {}
        self.disk = self.mount()
        self.put_proxies_between()
        self.counters, self.watching = [], threading.Event()
        self.glimpses = []  # one before each loss of NATS' data: (when, {room: bodies}) or None

    # -- what stands between the parts ------------------------------------------------------------
    def put_proxies_between(self):
        links = []

        def link(name, target):
            links.append([name, free_port(), target])
            return links[-1][1]

        for daemon in self.cluster.daemons:
            port = link(f"nats {daemon.name}", self.cluster.nats_port)
            daemon.env["ENCKE_NATS_SERVERS"] = f"nats://{HOST}:{port}"
        for daemon in [*self.cluster.logics, *self.cluster.comets]:
            port = link(f"grpc {daemon.name}", daemon.grpc)
            daemon.env["ENCKE_GRPC_ADVERTISE"] = f"{HOST}:{port}"
        self.doors = {}
        for comet in self.cluster.comets:
            for via in ("tcp", "ws"):
                self.doors[comet.name, via] = link(f"{via} {comet.name}", comet.doors[via])
        self.links = links

    def mount(self):
        """The JetStream folder is a small disk of its own, where that is allowed."""
        folder = self.folder / "nats.data"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "none",
                               str(folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            self.no_disk = done.stderr.strip()
            return None
        return folder

    # -- start and stop ---------------------------------------------------------------------------
    def start(self):
        self.tools["proxy"] = Tool([sys.executable, HERE / "proxy.py", json.dumps(self.links)],
                                   self.folder, "proxy")
        assert self.tools["proxy"].hear() == "ready"
        self.cluster.start()
        self.start_crowds()
        self.await_clients()
        for name in TALKERS:
            self.tools[name].say("talk")
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()
        spec = {"ports": [logic.http for logic in self.cluster.logics], "seed": self.seed,
                "rate": self.rate, "kept": self.kept, "plain": self.plain, "run": time.time_ns(),
                "mids": [one["mid"] for one in self.clients]}
        (self.folder / "pusher.json").write_text(json.dumps(spec))
        self.tools["pusher"] = Tool([sys.executable, HERE / "pusher.py",
                                     self.folder / "pusher.json", self.folder / "pushes.out"],
                                    self.folder, "pusher")

    def ports(self, one, via):
        """Its comet first, then the other one."""
        comets = self.cluster.comets
        comets = [*comets[one["comet"]:], *comets[:one["comet"]]]
        return [self.doors[comet.name, via] if one["proxied"] else comet.doors[via]
                for comet in comets]

    def start_crowds(self):
        lines, others = [], {"python": [], "js": []}
        for one in self.clients:
            if one["kind"] == "v2tcp":
                addresses = ",".join(f"{HOST}:{port}" for port in self.ports(one, "tcp"))
                publish_ms = 4000 + one["mid"] if one["mid"] % 2 else 0
                lines.append(f"{one['id']} {one['mid']} {publish_ms} {addresses} "
                             f"{','.join(one['rooms'])}")
            else:
                name = "js" if one["kind"] == "v2js" else "python"
                via = "tcp" if one["kind"].endswith("tcp") else "ws"
                others[name].append({**one, "ports": self.ports(one, via),
                                     "publishMs": 4000 + one["mid"]})
        (self.folder / "cpp.spec").write_text("\n".join(lines) + "\n")
        for name, its in others.items():
            (self.folder / f"{name}.spec").write_text(json.dumps(its))
        self.tools["cpp"] = Tool([BUILD / "tests/chaos/encke-crowd", self.folder / "cpp.spec",
                                  self.folder / "cpp.out"], self.folder, "cpp")
        for name, words in (("python", [sys.executable, HERE / "crowd.py"]),
                            ("js", ["node", HERE / "crowd.mjs"])):
            self.tools[name] = Tool([*words, self.folder / f"{name}.spec",
                                     self.folder / f"{name}.out"], self.folder, name)

    def await_clients(self):
        """All inside, and every client of version 2 knows where its timelines stand."""
        until = time.monotonic() + 40
        while True:
            paths = [self.folder / f"{name}.out" for name in CROWDS]
            up = sum(line.endswith(" U") for path in paths if path.exists()
                     for line in path.read_text().splitlines())
            if up >= len(self.clients):
                break
            assert time.monotonic() < until, f"{up} clients of {len(self.clients)} are inside"
            time.sleep(0.3)
        time.sleep(1)

    def quiet(self):
        """No more pushes from anywhere."""
        for name in TALKERS:
            self.tools[name].say("quiet")
        self.tools["pusher"].say({"quiet": True})
        assert self.tools["pusher"].hear() == "quiet"

    def end_crowds(self):
        for name in (*CROWDS, "pusher"):
            if name in self.tools:
                self.tools.pop(name).end()

    def stop(self):
        self.watching.set()
        self.end_crowds()
        for tool in self.tools.values():
            tool.end()
        for process in self.cluster.processes:
            process.kill()
        if self.disk:
            subprocess.run(["umount", str(self.disk)], check=False)
        self.cluster.stop()

    # -- what the daemons count -------------------------------------------------------------------
    def watch(self):
        """Every two seconds: (when, daemon, {counter: value})."""
        while not self.watching.wait(2):
            self.look()

    def look(self):
        for daemon in self.cluster.daemons:
            if not daemon.alive:
                continue
            try:
                found = metrics(daemon.admin)
            except (OSError, AssertionError, ValueError):
                continue
            self.counters.append((time.monotonic_ns() // 1000, daemon.name, daemon.child.pid,
                                  {name: value for name, value in found.items() if value}))

    # -- what is kept, as backends see it ---------------------------------------------------------
    def history(self, timeline):
        """Bodies that it still holds."""
        by = f"mid={timeline[7:]}" if timeline.startswith("user://") else f"room={timeline}"
        try:
            found, _ = pages(Http(self.cluster.logics[0].http), by, "after_seq")
        except Unreadable:
            return set()
        return {body for _, body in found}

    def look_into_history(self):
        """What rooms with durable history show now; nobody waits for logics that do not answer."""
        when = time.monotonic_ns() // 1000
        for logic in self.cluster.logics:
            http = Http(logic.http, timeout=3)
            try:
                rooms = {room: {body for _, body in pages(http, f"room={room}", "before_seq")[0]}
                         for room in self.durable}
            except (OSError, HTTPException, Unreadable):
                continue
            self.glimpses.append((when, rooms))
            return
        self.glimpses.append(None)

    def archives(self, evidence):
        """Of every room with durable history."""
        http = Http(self.cluster.logics[0].http)
        return [Archive(http, room, evidence.epochs(room)) for room in self.durable]

    def refusals(self):
        """Rooms that nobody can push to although nothing is done to anything any more."""
        found = []
        for logic in self.cluster.logics:
            http = Http(logic.http)
            for room in [*self.kept[3:6], self.plain[0]]:
                push = json.dumps({"room": room, "op": 1000, "body": f"end.{logic.name}.{room}"})
                status, _, text = http.post("/v1/pushes", push,
                                            headers={"Content-Type": "application/json"})
                if status != 200:
                    found.append(f"{logic.name} refuses a push to {room} at the end: {text[:80]}")
        return found
