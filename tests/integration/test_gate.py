"""What a connection, a push and a delivery may cost: counted, never timed (bench/limits.yaml).

The gate program runs one shard's sessions on real sockets; its clients live in another process, so
that strace and callgrind see the server alone, and of it the pushes alone. Other builds than
release count differently: no tests there.
"""
import json
import re
import resource
import socket
import struct
import subprocess
import time

from cluster import BUILD, HOST, ROOT

GATE = BUILD / "tests" / "gate" / "encke-gate"
CACHE = BUILD / "CMakeCache.txt"
RELEASE = CACHE.exists() and "CMAKE_BUILD_TYPE:STRING=RelWithDebInfo" in CACHE.read_text()


def limits():
    found = {}
    for line in (ROOT / "bench" / "limits.yaml").read_text().splitlines():
        words = re.match(r"(\w+):\s+([\d.]+)", line)
        if words:
            found[words[1]] = float(words[2])
    return found


LIMITS = limits()
# Just past chunks and powers of two: what grows in steps has grown as often as the clients.
FEW, MANY = 4100, 12300


def check(name, measured):
    print(f"{name}: {measured:.4g}, limit {LIMITS[name]:g}")
    assert measured <= LIMITS[name], f"{name} is {measured:.4g}; bench/limits.yaml allows less"


def gate(clients, pushes, *under):
    result = subprocess.run([*under, GATE, str(clients), str(pushes)], capture_output=True,
                            text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-500:]
    return json.loads(result.stdout), result.stderr


def system_calls(clients, pushes, tmp_path):
    out = tmp_path / "calls"
    gate(clients, pushes, "strace", "-o", out)
    calls = out.read_text().split("/pushes/begin")[1].split("/pushes/end")[0]
    return calls.count("\n") - 1  # without the rest of the first mark's line


def instructions(clients, pushes):
    _, told = gate(clients, pushes, "valgrind", "--tool=callgrind", "--child-silent-after-fork=yes",
                   "--toggle-collect=*PushAll*", "--callgrind-out-file=/dev/null")
    return int(re.search(r"Collected\s*:\s*(\d+)", told)[1])


class OpenClients:
    """Plain sockets that have been authenticated into one room."""

    def __init__(self, port):
        self.port, self.sockets = port, []
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def grow_to(self, count):
        fresh = []
        while len(self.sockets) < count:
            one = socket.create_connection((HOST, self.port))
            body = json.dumps({"mid": len(self.sockets) + 1, "room_id": "gate://1",
                               "platform": "test", "accepts": [1000]}).encode()
            one.sendall(struct.pack(">ihhii", 16 + len(body), 16, 1, 7, 1) + body)
            self.sockets.append(one)
            fresh.append(one)
            if len(fresh) % 200 == 0:
                self.hear(fresh[-200:])
        self.hear(fresh[-(len(fresh) % 200):] if len(fresh) % 200 else [])

    @staticmethod
    def hear(sockets):
        for one in sockets:
            reply = one.recv(16, socket.MSG_WAITALL)
            assert struct.unpack(">ihhii", reply)[3] == 8, reply

    def close(self):
        for one in self.sockets:
            one.close()


def anonymous_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"^RssAnon:\s+(\d+)", status.read(), re.M)[1]) * 1024


def test_the_capacity_page_is_what_the_costs_say():
    subprocess.run([ROOT / "bench/lab/capacity.py", "--check"], check=True, timeout=60)


if RELEASE:
    def test_gate_counts():
        told, _ = gate(MANY, 50)
        assert told["deliveries"] == MANY * 50
        for name in ("heap_bytes_per_connection", "allocations_per_push",
                     "allocations_per_heartbeat", "writes_per_delivery"):
            check(name, told[name])

    def test_gate_system_calls_per_delivery(tmp_path):
        check("syscalls_per_delivery", system_calls(600, 40, tmp_path) / (600 * 40))

    def test_gate_instructions_per_delivery():
        check("instructions_per_delivery", instructions(600, 40) / (600 * 40))

    def test_gate_memory_per_connection_of_a_comet(own_cluster):
        cluster = own_cluster(1, 1, 1, env={"ENCKE_COMET_SHARDS": "1"})
        clients = OpenClients(cluster.comets[0].tcp)
        try:
            clients.grow_to(FEW)
            time.sleep(1)  # what is freed a moment later
            before = anonymous_bytes(cluster.comets[0].child.pid)
            clients.grow_to(MANY)
            time.sleep(1)
            after = anonymous_bytes(cluster.comets[0].child.pid)
        finally:
            clients.close()
        check("rss_bytes_per_connection", (after - before) / (MANY - FEW))
