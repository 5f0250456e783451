"""Real processes on free loopback ports with a private folder: redis, nats, logics, comets, jobs.

As a program it serves other test suites (the browser test): it starts a cluster, prints one line
of JSON with its doors, obeys "kill NAME", "start NAME", "term NAME" and "wipe NAME" (killed, its
data gone, started) on standard input, and ends when that ends.
"""
import atexit
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from backend import Backend, Http, metric
from goim_client import CLIENTS, SLOW

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("ENCKE_BUILD", ROOT / "build" / "release")).resolve()
READY_SECONDS = 30 * SLOW
STOP_SECONDS = 20 * SLOW
HOST = "127.0.0.1"

_libc = ctypes.CDLL(None)
_taken = set()


def _die_with_parent():
    """In the child: SIGKILL when the test process ends, however it ends (PR_SET_PDEATHSIG = 1)."""
    os.setsid()
    _libc.prctl(1, signal.SIGKILL)


def free_port():
    """Below the kernel's range for outgoing connections: still free after a restart."""
    while True:
        port = random.randrange(20000, 32000)
        if port in _taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        _taken.add(port)
        return port


class Process:
    """One program: start, kill, start again with the same command and environment."""

    def __init__(self, name, command, folder, env=None):
        self.name, self.command, self.folder = name, [str(c) for c in command], folder
        self.env = {**os.environ, **(env or {})}
        self.log = folder / f"{name}.log"
        self.child = None

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT,
                                          stdin=subprocess.DEVNULL, env=self.env,
                                          cwd=self.folder, preexec_fn=_die_with_parent)

    @property
    def alive(self):
        return self.child is not None and self.child.poll() is None

    def kill(self):
        """kill -9."""
        if self.alive:
            self.child.kill()
        if self.child:
            self.child.wait()

    def wipe(self):
        """kill -9, and what it has stored is gone."""
        self.kill()
        for entry in (self.folder / f"{self.name}.data").rglob("*"):
            if entry.is_file():
                entry.unlink()

    def term(self):
        """SIGTERM; answers the exit status, or kills and complains."""
        if self.alive:
            self.child.terminate()
        try:
            return self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {STOP_SECONDS} s") from None

    def pause(self):
        self.child.send_signal(signal.SIGSTOP)

    def resume(self):
        self.child.send_signal(signal.SIGCONT)

    def tail(self, lines=12):
        text = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        state = "running" if self.alive else f"ended with {self.child and self.child.returncode}"
        return "\n".join([f"--- {self.name} ({state})", *text[-lines:]])


class Daemon(Process):
    """A comet, logic or job with an admin door."""

    def __init__(self, kind, number, folder, doors, env, config=None):
        name = kind if number == 1 else f"{kind}-{number}"
        self.doors = doors
        listens = {f"ENCKE_{door.upper()}_LISTEN": f"{HOST}:{port}" for door, port in doors.items()}
        config = config or ROOT / "configs" / f"{kind}.yaml"
        command = [BUILD / kind, "--config", config]
        super().__init__(name, command, folder,
                         {f"ENCKE_{kind.upper()}_ID": name, **listens, **env})

    def __getattr__(self, door):
        try:
            return self.__dict__["doors"][door]
        except KeyError:
            raise AttributeError(door) from None

    def ready(self):
        try:
            return Http(self.admin, timeout=3).get("/readyz")[0] == 200
        except OSError:
            return False

    def await_ready(self):
        until = time.monotonic() + READY_SECONDS
        while not self.ready():
            assert self.alive, f"{self.name} ended before it was ready\n{self.tail()}"
            assert time.monotonic() < until, f"{self.name} is not ready\n{self.tail()}"
            time.sleep(0.05)

    def metric(self, name):
        return metric(self.admin, name)


class Cluster:
    """env: overrides for all daemons, e.g. {"ENCKE_SESSION_HANDSHAKE_TIMEOUT": "2s"}.

    rooms: what a kind's configuration says under `rooms`, e.g.
    {"logic": "{group: {history: {messages: 9}}}"}; the environment cannot name new room types.
    """

    live = []

    def __init__(self, comets=1, logics=1, jobs=1, env=None, rooms=None):
        self.folder = Path(tempfile.mkdtemp(prefix="encke-test-"))
        self.configs = {kind: self.with_rooms(kind, text) for kind, text in (rooms or {}).items()}
        self.redis_port, self.nats_port = free_port(), free_port()
        for name in ("redis.data", "nats.data"):
            (self.folder / name).mkdir()
        self.redis = Process("redis", [
            "redis-server", ROOT / "configs/dev/redis.conf", "--port", self.redis_port,
            "--dir", self.folder / "redis.data"], self.folder)
        self.nats = Process("nats", [
            "nats-server", "-js", "-c", ROOT / "configs/dev/nats.conf", "-p", self.nats_port,
            "-sd", self.folder / "nats.data"], self.folder)
        shared = {"ENCKE_NATS_SERVERS": f"nats://{HOST}:{self.nats_port}",
                  "ENCKE_REDIS_ADDRESS": f"{HOST}:{self.redis_port}", **(env or {})}
        doors = ["tcp", "ws", "wss", "tls", "grpc", "admin"]
        self.comets = [self.daemon("comet", i + 1, doors, shared)
                       for i in range(comets)]
        first = self.comets[0].doors if comets else {"tcp": 3101, "ws": 3102}
        shared |= {f"ENCKE_NODE_{d.upper()}_PORT": str(first[d]) for d in ("tcp", "ws")}
        self.logics = [self.daemon("logic", i + 1, ["http", "grpc", "push_grpc", "admin"], shared)
                       for i in range(logics)]
        self.jobs = [self.daemon("job", i + 1, ["admin"], shared) for i in range(jobs)]
        self.open_clients = []

    def daemon(self, kind, number, doors, env):
        ports = {door: free_port() for door in doors}
        return Daemon(kind, number, self.folder, ports, env, self.configs.get(kind))

    def with_rooms(self, kind, text):
        """A copy of the configuration that says so under `rooms`."""
        whole = (ROOT / "configs" / f"{kind}.yaml").read_text()
        assert "\nrooms: {}" in whole
        path = self.folder / f"{kind}.yaml"
        path.write_text(whole.replace("\nrooms: {}", f"\nrooms: {text}", 1))
        return path

    @property
    def daemons(self):
        return [*self.logics, *self.comets, *self.jobs]

    @property
    def processes(self):
        return [self.redis, self.nats, *self.daemons]

    def named(self, name):
        return next(p for p in self.processes if p.name == name)

    def start(self):
        Cluster.live.append(self)
        self.redis.start()
        self.nats.start()
        await_port(self.redis, self.redis_port)
        await_port(self.nats, self.nats_port)
        for daemon in self.daemons:
            daemon.start()
        for daemon in self.daemons:
            daemon.await_ready()
        self.settle()
        return self

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def settle(self, timeout=20):
        """Until every job has its stream to every comet: from here on nothing is in motion."""
        jobs = sum(job.alive for job in self.jobs)
        alive = [comet for comet in self.comets if comet.alive]
        wait_until(lambda: all(comet.metric("encke_comet_jobs") == jobs for comet in alive),
                   timeout, "every job is connected to every comet")

    def stop(self):
        self.close_clients()
        if SLOW > 1:  # a sanitizer looks for leaks in a process that ends by itself only
            for daemon in self.daemons:
                if daemon.alive:
                    daemon.resume()
                    daemon.child.terminate()
            for daemon in self.daemons:
                if daemon.child:
                    daemon.term()
        for process in reversed(self.processes):
            process.kill()
        if self in Cluster.live:
            Cluster.live.remove(self)
        shutil.rmtree(self.folder, ignore_errors=True)

    def close_clients(self):
        for client in self.open_clients:
            client.close()
        self.open_clients.clear()

    def client(self, transport="tcp", comet=0, **options):
        door = self.comets[comet].doors[transport]
        client = CLIENTS[transport](door, **options)
        self.open_clients.append(client)
        return client

    def backend(self, logic=0):
        return Backend(self.logics[logic].http)

    def tails(self):
        servers = [p.tail(3) for p in (self.redis, self.nats) if p.child]
        return "\n".join(servers + [d.tail() for d in self.daemons if d.child])


def await_port(process, port):
    def answers():
        assert process.alive, process.tail()
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0
    wait_until(answers, READY_SECONDS, f"{process.name} answers on port {port}")


def wait_until(truth, timeout, what, every=0.02):
    """Polls; answers how long it took."""
    start = time.monotonic()
    while not truth():
        assert time.monotonic() - start < timeout * SLOW, f"not within {timeout} s: {what}"
        time.sleep(every)
    return time.monotonic() - start


@atexit.register
def stop_all():
    for cluster in list(Cluster.live):
        cluster.stop()


def serve():
    counts = {kind: int(os.environ.get(kind.upper(), 1)) for kind in ("comets", "logics", "jobs")}
    cluster = Cluster(**counts, rooms=json.loads(os.environ.get("ROOMS", "{}"))).start()
    print(json.dumps({p.name: getattr(p, "doors", {}) for p in cluster.processes}), flush=True)
    for line in sys.stdin:
        verb, name = line.split()
        process = cluster.named(name)
        {"kill": process.kill, "term": process.term, "start": process.start,
         "wipe": process.wipe}[verb]()
        if verb == "wipe":
            process.start()
        if verb == "start":
            process.await_ready()
        print(json.dumps({"done": line.strip()}), flush=True)
    cluster.stop()


if __name__ == "__main__":
    serve()
