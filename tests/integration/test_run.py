"""make run and make stop, beside a Redis and a NATS that belong to somebody else."""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import urllib.request

import pytest

from backend import Backend
from cluster import BUILD, HOST, ROOT, Process, await_port
from goim_client import TcpClient

DOORS = [3101, 3102, 3105, 3109, 3111, 3113, 3115, 3119, 3125]


def usable(port):
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
            return True
        except OSError:
            return False


def free_shift():
    """So much higher that every port of a start is free: of second instances, too, and the ones
    after Redis' and NATS'."""
    wanted = DOORS + [port + 100 for port in DOORS] + [6379, 6380, 4222, 4223, 8222]
    while True:
        shift = random.randrange(15000, 22000)
        if all(usable(port + shift) for port in wanted):
            return shift


class Checkout:
    """A folder that looks like a clone to scripts/trio.sh, so that run/ is its own."""

    def __init__(self, folder, shift):
        self.folder, self.shift = folder, shift
        for part in ("scripts", "configs"):
            shutil.copytree(ROOT / part, folder / part)

    def trio(self, *words, **env):
        return subprocess.run([self.folder / "scripts/trio.sh", *words], capture_output=True,
                              text=True, timeout=120, stdin=subprocess.DEVNULL,
                              env={**os.environ, "SHIFT": str(self.shift), **env})

    def files(self):
        return {path: path.read_bytes() for path in self.folder.rglob("*")
                if path.is_file() and path.relative_to(self.folder).parts[0] != "run"}

    def pids(self):
        return {path.stem: int(path.read_text()) for path in (self.folder / "run").glob("*.pid")}


@pytest.fixture
def checkout(tmp_path):
    made = Checkout(tmp_path / "clone", free_shift())
    yield made
    made.trio("stop")


@pytest.fixture
def foreigners(tmp_path, checkout):
    """A Redis and a NATS of the host, on the ports a start would like to have."""
    ports = {name: port + checkout.shift
             for name, port in (("redis", 6379), ("nats", 4222), ("monitor", 8222))}
    redis = Process("redis", ["redis-server", "--port", ports["redis"], "--dir", tmp_path,
                              "--save", ""], tmp_path)
    nats = Process("nats", ["nats-server", "-js", "-a", HOST, "-p", ports["nats"], "-m",
                            ports["monitor"], "-sd", tmp_path / "js"], tmp_path)
    for process, port in ((redis, ports["redis"]), (nats, ports["nats"])):
        process.start()
        await_port(process, port)
    yield redis, nats, ports
    redis.kill()
    nats.kill()


def redis_says(port, *words):
    with socket.create_connection((HOST, port), timeout=10) as sock:
        sock.sendall(b" ".join(w.encode() for w in words) + b"\r\nQUIT\r\n")
        said = b""
        while got := sock.recv(65536):
            said += got
    return said.decode()


def calls_of(port):
    """What a Redis was asked to do, by command; our own questions left out."""
    said = redis_says(port, "INFO", "commandstats")
    lines = [line for line in said.splitlines() if line.startswith("cmdstat_")]
    return sorted(line.split(",")[0] for line in lines
                  if line.split(":")[0] not in ("cmdstat_info", "cmdstat_quit"))


def nats_says(port, path):
    with urllib.request.urlopen(f"http://{HOST}:{port}/{path}", timeout=10) as reply:
        return json.load(reply)


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def check_it_works(checkout):
    """What the README promises: the push reaches a client."""
    with TcpClient(3101 + checkout.shift).auth(room="live://1000") as client:
        Backend(3111 + checkout.shift).room("1000", "hello from a backend")
        assert client.push().body == b"hello from a backend"


def test_run_leaves_the_redis_and_nats_of_the_host_alone(checkout, foreigners):
    redis, nats, ports = foreigners
    redis_says(ports["redis"], "SET", "mine", "untouched")
    before, files = calls_of(ports["redis"]), checkout.files()

    started = checkout.trio("start", str(BUILD))
    assert started.returncode == 0, started.stdout + started.stderr
    for taken in (ports["redis"], ports["nats"]):
        assert f"port {taken} is taken by another program" in started.stdout
    assert f"http://{HOST}:{3111 + checkout.shift}/goim/push/room" in started.stdout
    check_it_works(checkout)
    pids = checkout.pids()
    assert sorted(pids) == ["comet", "job", "logic", "nats", "redis"]
    for name, pid in pids.items():
        with open(f"/proc/{pid}/comm") as comm:
            assert comm.read().strip().removesuffix("-server") == name

    stopped = checkout.trio("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert all(gone(pid) for pid in pids.values()) and not checkout.pids()
    assert checkout.files() == files, "something was written outside run/"

    assert redis.alive and nats.alive
    assert calls_of(ports["redis"]) == before, "somebody spoke to the host's redis"
    assert "untouched" in redis_says(ports["redis"], "GET", "mine")
    assert nats_says(ports["monitor"], "varz")["in_msgs"] == 0
    assert nats_says(ports["monitor"], "jsz")["streams"] == 0


def test_run_starts_a_small_cluster(checkout):
    started = checkout.trio("start", str(BUILD), COMETS="2", LOGICS="2", JOBS="2")
    assert started.returncode == 0, started.stdout + started.stderr
    assert sorted(checkout.pids()) == ["comet", "comet-2", "job", "job-2", "logic", "logic-2",
                                       "nats", "redis"]
    check_it_works(checkout)
    with TcpClient(3201 + checkout.shift).auth(room="live://1000") as client:
        Backend(3211 + checkout.shift).room("1000", "second comet, second logic")
        assert client.push().body == b"second comet, second logic"
    again = checkout.trio("start", str(BUILD))
    assert again.returncode == 1 and "is running already" in again.stderr
    pids = checkout.pids()
    assert checkout.trio("stop").returncode == 0
    assert all(gone(pid) for pid in pids.values())
    assert checkout.trio("stop").stdout.strip() == "trio: nothing to stop"


def test_a_stale_pid_file_ends_nobody(checkout):
    """A pid that now belongs to another program is not ours to end."""
    with subprocess.Popen(["sleep", "600"]) as bystander:
        run = checkout.folder / "run"
        run.mkdir()
        (run / "comet.pid").write_text(f"{bystander.pid}\n")
        assert checkout.trio("stop").returncode == 0
        assert bystander.poll() is None and not (run / "comet.pid").exists()
        bystander.send_signal(signal.SIGKILL)


def test_a_door_in_use_is_named_and_nothing_stays_behind(checkout):
    with socket.socket() as taken:
        taken.bind((HOST, 3111 + checkout.shift))
        taken.listen()
        refused = checkout.trio("start", str(BUILD))
    assert refused.returncode == 1 and not checkout.pids()
    assert f"port {3111 + checkout.shift} of logic is in use" in refused.stderr
