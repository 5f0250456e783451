"""Where an experiment happens: redis, nats, logic, job and as many comets as it asks for.

The processes are those of the integration tests' cluster (tests/integration/cluster.py): own ports,
own data folders, one registry, gone when we are. Elsewhere is a server somebody else started.
"""
import os
import resource
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from backend import metrics  # noqa: E402
from cluster import BUILD, HOST, Cluster, await_port, wait_until  # noqa: E402
from sampler import kernel_memory  # noqa: E402

KERNEL_BYTES_BOTH_ENDS = 10_500  # per connection, as the bare prototype needed
FILES_FOR_OTHERS = 750  # of a process: not for clients
# Heartbeats of 4 minutes, as goim's clients; the pushes of one run fit the log.
QUIET = {"ENCKE_LOG_LEVEL": "warn"}


def per_process(most=19_250):
    """Clients one process can hold under this limit of open files; a comet and a member alike."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY or hard > 1_100_000:
        return 1_000_000
    return min(hard - FILES_FOR_OTHERS, most if hard <= 20_000 else hard)


def processes_for(connections):
    return -(-connections // per_process())


def for_many(comets, login_rate=7500):
    """Settings for hundreds of thousands: logins per second of all comets together, and patience
    with a Redis that shares two cores with a hundred other processes."""
    return {"ENCKE_LOGIC_CONNECTS_RATE": str(max(1, int(login_rate / comets))),
            "ENCKE_REDIS_TIMEOUT": "5s"}


def refuse_what_cannot_be(connections):
    """Before anything is started: the setting that stands in the way, and what to do."""
    tune = subprocess.run([ROOT / "scripts/tune.sh", f"--connections={connections}"],
                          capture_output=True, text=True)
    low = [line for line in tune.stdout.splitlines() if line.startswith("LOW")]
    for line in low:
        print("  " + line, flush=True)
    need = connections * KERNEL_BYTES_BOTH_ENDS + 2**30
    if kernel_memory()["available"] < need:
        sys.exit(f"{connections} connections with both ends here need {need >> 20} MB of "
                 f"memory; MemAvailable is {kernel_memory()['available'] >> 20} MB")
    if any("fs." in line for line in low):
        sys.exit("this machine's limits do not carry the run; as root: "
                 f"scripts/tune.sh --connections={connections} --apply")


class Place(Cluster):
    """Started with `with`; env overrides keys of the three daemons."""

    def __init__(self, comets=1, shards=0, env=None, logics=1, jobs=1, rooms=None):
        self.settings = {**QUIET, "ENCKE_COMET_SHARDS": str(shards), **(env or {})}
        super().__init__(comets, logics, jobs, self.settings, rooms)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            print(self.tails(), file=sys.stderr)
            self.stop()
            raise

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.tails()[-4000:], file=sys.stderr)
        self.stop()

    def start(self):
        """As the cluster's, but all comets are awaited together: there may be fifty."""
        Cluster.live.append(self)
        for process, port in ((self.redis, self.redis_port), (self.nats, self.nats_port)):
            process.start()
            await_port(process, port)
        for daemon in self.daemons:
            daemon.start()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda daemon: daemon.await_ready(), self.daemons))
        self.settle(60)
        return self

    @property
    def doors(self):
        """host:tcpport:wsport of each comet."""
        return [f"{HOST}:{c.tcp}:{c.ws}" for c in self.comets]

    @property
    def http(self):
        return ",".join(f"{HOST}:{logic.http}" for logic in self.logics)

    def pids(self):
        """{kind: [pid]} of everything that runs."""
        found = {}
        for process in self.processes:
            if process.alive:
                found.setdefault(process.name.split("-")[0], []).append(process.child.pid)
        return found

    def count(self, *names):
        """{name: sum over all comets and labels}."""
        with ThreadPoolExecutor(8) as pool:
            pages = list(pool.map(lambda comet: metrics(comet.admin), self.comets))
        return {name: sum(v for page in pages for k, v in page.items()
                          if k == name or k.startswith(name + "{")) for name in names}

    def redis_info(self, section, key):
        out = subprocess.run(["redis-cli", "-p", str(self.redis_port), "info", section],
                             capture_output=True, text=True, timeout=10).stdout
        for line in out.splitlines():
            if line.startswith(key + ":"):
                return float(line.split(":")[1])
        return 0.0


class Elsewhere:
    """A server given by address: HOST:TCPPORT:WSPORT, HOST:HTTPPORT and, on this machine, pids."""

    def __init__(self, door, http, pids=None):
        self.doors, self.http, self.given = [door], http, pids or {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def pids(self):
        return self.given


def folder(name):
    """run/bench/NAME, made."""
    path = Path(os.environ.get("ENCKE_BENCH_OUT", ROOT / "run" / "bench")) / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def program(name):
    """build/.../bench/encke-bench; ENCKE_BENCH names another."""
    if name == "encke-bench" and "ENCKE_BENCH" in os.environ:
        return os.environ["ENCKE_BENCH"]
    return str(BUILD / "bench" / name)


def after(seconds, action):
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
    return timer


__all__ = ["BUILD", "HOST", "ROOT", "Elsewhere", "Place", "after", "await_port", "folder",
           "for_many", "metrics", "per_process", "processes_for", "program",
           "refuse_what_cannot_be", "wait_until"]
