"""encke-bench against a real cluster, tiny: every subcommand's accounts add up."""
import json
import subprocess
import time

import pytest

from cluster import BUILD, HOST, free_port

BENCH = BUILD / "bench" / "encke-bench"


def doors(cluster):
    comets = ",".join(f"{HOST}:{c.tcp}:{c.ws}" for c in cluster.comets)
    return [f"--comets={comets}", f"--http={HOST}:{cluster.logics[0].http}"]


def bench(cluster, subcommand, status=0, **options):
    """The JSON object of one run, which must end with that status."""
    flags = [f"--{name}={value}" for name, value in options.items()]
    pids = ",".join(f"{d.name}={d.child.pid}" for d in cluster.daemons)
    done = subprocess.run([BENCH, subcommand, *doors(cluster), f"--pids={pids}", *flags],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == status, (done.stdout[-600:], done.stderr[-600:])
    return json.loads(done.stdout)


def expect_exact(accounts, offered, expected):
    assert accounts["offered"] == accounts["accepted"] == offered, accounts
    assert accounts["expected"] == accounts["delivered"] == expected, accounts
    for wrong in ("lost", "duplicates", "out_of_order", "refused", "unconfirmed"):
        assert accounts[wrong] == 0, accounts


@pytest.mark.parametrize("transport", ["tcp", "ws", "mix"])
def test_bench_connect(cluster, transport):
    result = bench(cluster, "connect", connections=200, threads=2, transport=transport,
                   mid_base=900001)
    assert result["connect"]["count"] == 200 and result["connect"]["failed"] == 0
    assert result["connect"]["latency_us"]["count"] == 200
    assert result["phases"][-1]["dropped"] == 200
    assert set(result["processes"]) >= {"comet", "comet-2", "logic", "job", "bench"}
    assert result["conditions"]["nofile"] > 0 and result["conditions"]["commit"] != ""


def test_bench_ramp_rate(cluster):
    result = bench(cluster, "connect", connections=100, ramp_rate=200, mid_base=901001)
    assert 0.4 < result["connect"]["seconds"], "not faster than asked for"


def test_bench_idle(cluster):
    result = bench(cluster, "idle", connections=50, seconds=1.5, heartbeat=0.5, mid_base=902001)
    idle = result["phases"][-1]
    assert idle["ready"] == 50 and idle["closed"] == 0
    assert 100 <= idle["heartbeats"] <= 200
    assert idle["heartbeats"] - idle["heartbeat_replies"] < 20, "the newest may be under way"


@pytest.mark.parametrize("transport", ["tcp", "ws"])
def test_bench_room(cluster, transport):
    result = bench(cluster, "room", connections=40, push_rate=100, seconds=1, warmup=0.2,
                   transport=transport, room=f"bench://room-{transport}", mid_base=903001)
    expect_exact(result["accounting"], 100, 4000)
    assert result["latency_us"]["count"] == 4000 and result["http_us"]["count"] == 100


@pytest.mark.parametrize("transport", ["tcp", "ws"])
def test_bench_room_of_version_2(cluster, transport):
    """Batches, so that one message of WebSocket holds several packages."""
    result = bench(cluster, "room", connections=40, push_rate=200, seconds=1, batch=20,
                   transport=transport, version=2, room=f"bench://v2-{transport}",
                   mid_base=913001)
    expect_exact(result["accounting"], 200, 8000)


def test_bench_users_and_heartbeats_of_version_2(cluster):
    result = bench(cluster, "push", connections=20, push_rate=100, seconds=1, version=2,
                   heartbeat=0.2, mid_base=914001)
    expect_exact(result["accounting"], 100, 100)
    result = bench(cluster, "idle", connections=20, seconds=1, version=2, heartbeat=0.2,
                   mid_base=915001)
    idle = result["phases"][-1]
    assert idle["closed"] == 0 and 60 <= idle["heartbeats"] <= 120
    assert idle["heartbeats"] - idle["heartbeat_replies"] < 20


def test_bench_batches(cluster):
    """Frames of many packages, bodies that do not fit one read."""
    result = bench(cluster, "room", connections=10, push_rate=200, seconds=1, batch=50, body=9000,
                   room="bench://batches", mid_base=904001)
    expect_exact(result["accounting"], 200, 2000)


def test_bench_rooms(cluster):
    result = bench(cluster, "rooms", rooms=5, members=4, push_rate=10, seconds=1, threads=2,
                   http_connections=2, room="bench://rooms", mid_base=905001)
    expect_exact(result["accounting"], 50, 200)


def test_bench_push_to_users(cluster):
    result = bench(cluster, "push", connections=20, targets=2, push_rate=100, seconds=1,
                   mid_base=906001)
    expect_exact(result["accounting"], 100, 200)
    assert [p["name"] for p in result["phases"]] == ["connect", "mids", "keys"]


def test_bench_all(own_cluster):
    """A cluster of its own: nobody else listens."""
    result = bench(own_cluster(1, 1, 1), "all", connections=30, push_rate=20, seconds=1)
    expect_exact(result["accounting"], 20, 600)


def test_bench_storm(cluster):
    result = bench(cluster, "storm", connections=200, push_rate=20, room="bench://storm",
                   mid_base=907001)
    by_name = {p["name"]: p for p in result["phases"]}
    assert by_name["drop"]["dropped"] == 200
    assert by_name["reconnect"]["connect"]["count"] == 200
    expect_exact(result["accounting"], 20, 4000)


def test_bench_churn(cluster):
    result = bench(cluster, "churn", connections=100, churn_rate=100, seconds=1,
                   room="bench://churn", mid_base=908001)
    churn = result["phases"][1]
    assert churn["churned"] > 50 and churn["ready"] == 100 and churn["closed"] == 0
    expect_exact(result["accounting"], 20, 2000)


@pytest.mark.parametrize("options", [
    {}, {"pipeline": 8, "http_connections": 3}, {"route": "mids"}, {"route": "keys"}])
def test_bench_api(cluster, options):
    result = bench(cluster, "api", rooms=4, members=3, push_rate=500, seconds=1, body=30,
                   room="bench://api", mid_base=909001, **options)
    expect_exact(result["accounting"], 500, 1500)


@pytest.mark.parametrize("rooms", [4, 0])
def test_bench_api_batches(cluster, rooms):
    """The native batch route: 25 pushes in a request, 500 do not fill the last ones."""
    result = bench(cluster, "api", rooms=rooms, members=3 if rooms else 0, connections=12,
                   push_rate=500, seconds=1, route="batch", batch=25, http_connections=3,
                   room=f"bench://batch{rooms}", mid_base=916001)
    expect_exact(result["accounting"], 500, 500 * (3 if rooms else 12))
    assert result["http_us"]["count"] < 30, "requests"


def test_bench_as_fast_as_answered(cluster):
    result = bench(cluster, "api", rooms=2, members=2, push_rate=0, seconds=0.5,
                   room="bench://fast", mid_base=910001)
    offered = result["accounting"]["offered"]
    assert offered > 50
    expect_exact(result["accounting"], offered, 2 * offered)


def test_bench_says_what_is_wrong(own_cluster):
    """Nobody hears a push while there is no job: all of it is called lost, and the status is 1."""
    cluster = own_cluster(1, 1, 1)
    cluster.jobs[0].kill()
    result = bench(cluster, "room", status=1, connections=5, push_rate=10, seconds=1, drain=0.5)
    accounts = result["accounting"]
    assert accounts["accepted"] == 10
    assert accounts["lost"] == accounts["expected"] == 50 and accounts["delivered"] == 0


def test_bench_refuses_what_the_limits_cannot_carry(cluster):
    done = subprocess.run([BENCH, "room", *doors(cluster), "--connections=100000000"],
                          capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and done.stdout == ""
    assert "RLIMIT_NOFILE" in done.stderr


def relay(*flags):
    return subprocess.run([BUILD / "bench/floor/encke-relay", *flags], capture_output=True,
                          text=True, timeout=30)


def test_relay_hands_every_message_on():
    done = relay("--processes=2", "--rate=200", "--seconds=0.5", "--bytes=8")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["count"] == 100
    assert 0 < told["p50"] <= told["p90"] <= told["p99"] <= told["max"]


@pytest.mark.parametrize("flag,why", [
    ("--rate=10x", "--rate=10x is no flag of mine"), ("--help", "--help is no flag of mine"),
    ("--rate=0", "rate up to 10000"), ("--rate=nan", "rate up to 10000"),
    ("--processes=65", "processes are 1 to 64"), ("--bytes=7", "bytes 8 to 65536")])
def test_relay_says_what_is_wrong(flag, why):
    done = relay(flag)
    assert done.returncode == 2 and done.stdout == "" and why in done.stderr


def test_bench_counts_a_refused_dial_as_no_time(cluster):
    """A seldom push is made ready before its time, and fails before it."""
    result = bench(cluster, "room", status=1, connections=1, push_rate=20, seconds=0.5, drain=0.5,
                   http=f"{HOST}:{free_port()}", mid_base=916001)
    assert result["accounting"]["refused"] == 10
    assert result["http_us"]["max"] < 10_000_000


class Part:
    """A member or a pusher: a line in, a line out."""

    def __init__(self, role, cluster, **options):
        flags = [f"--{name}={value}" for name, value in options.items()]
        self.child = subprocess.Popen([BENCH, role, *doors(cluster), *flags], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.read()["did"] == "start"

    def read(self):
        return json.loads(self.child.stdout.readline())

    def send(self, verb, **fields):
        self.child.stdin.write(json.dumps({"do": verb, **fields}) + "\n")
        self.child.stdin.flush()

    def ask(self, verb, **fields):
        self.send(verb, **fields)
        answer = self.read()
        assert answer["did"] == verb, answer
        return answer

    def end(self):
        self.child.stdin.close()
        assert self.child.wait(10) == 0
        self.child.stdout.close()


def test_bench_members(cluster):
    """Two members and a pusher: every push reached every connection of both exactly once."""
    room = "bench://members"
    members = [Part("member", cluster, connections=n, room=room, mid_base=base)
               for n, base in ((30, 911001), (50, 912001))]
    pusher = Part("pusher", cluster, room=room)
    for member in members:
        member.send("connect", ramp_rate=1000, wait=False)
    assert [m.read()["wait"] for m in members] == [False, False]
    assert [m.ask("wait")["ready"] for m in members] == [30, 50]
    for round_ in (1, 2):
        for member in members:
            member.ask("reset", run=round_)
        pushed = pusher.ask("push", run=round_, rate=100, count=20, batch=2)
        assert pushed["accepted"] == 20 and pushed["pushes"] == [[0, 0, 19, 1]]
        for member, size in zip(members, (30, 50)):
            report = await_delivered(member, 20 * size)
            assert report["pushes"] == [[0, 0, 19, size]]
            assert report["groups_ready"] == [[0, 0, size]]
            assert sum(count for _, count in report["latency_us"]["buckets"]) == 20 * size
            assert not report["duplicates"] and not report["out_of_order"]
        if round_ == 1:
            assert [m.ask("drop")["dropped"] for m in members] == [30, 50]
            assert [m.ask("reconnect", ramp_rate=0)["ready"] for m in members] == [30, 50]
    assert members[0].ask("heartbeat", seconds=0.1)["seconds"] == 0.1
    assert members[0].ask("churn", rate=0)["rate"] == 0
    members[0].send("fly")
    assert members[0].read()["did"] == "error"
    assert members[0].ask("quit") == {"did": "quit"}
    for part in (*members, pusher):
        part.end()


def await_delivered(member, count):
    until = time.monotonic() + 10
    while (report := member.ask("report"))["delivered"] < count:
        assert time.monotonic() < until, report
        time.sleep(0.02)
    return report
