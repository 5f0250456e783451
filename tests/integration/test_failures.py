"""Processes are killed and come back; what was accepted arrives.  Each test has its own cluster."""
import itertools
import shutil
import threading
import time

from backend import Backend
from cluster import wait_until
from goim_client import HEARTBEAT, SLOW, Closed, Collector, encode


class Pusher:
    """Pushes numbers to some rooms in turn at a steady rate; remembers what was accepted."""

    def __init__(self, ports, rooms, per_second, threads=4, first=0):
        self.accepted = {room: [] for room in rooms}
        self.failed = []
        self.stopping = threading.Event()
        self.numbers = itertools.count(first)
        self.lock = threading.Lock()
        self.rooms, self.pause = rooms, threads / per_second
        self.threads = [threading.Thread(target=self.run, args=(Backend(ports[i % len(ports)]), i))
                        for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, backend, offset):
        due = time.monotonic() + offset * self.pause / len(self.threads)
        while not self.stopping.is_set():
            with self.lock:
                number = next(self.numbers)
            room = self.rooms[number % len(self.rooms)]
            ok = backend.try_push("room", b"%d" % number, operation=1000, type="live", room=room)
            (self.accepted[room] if ok else self.failed).append(number)
            due += self.pause
            time.sleep(max(0, due - time.monotonic()))

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        print(f"{sum(map(len, self.accepted.values()))} accepted, {len(self.failed)} refused")
        return self.accepted


def longest_gap(got):
    times = [when for when, _, _ in got]
    return max(b - a for a, b in zip(times, times[1:]))


def check_all_arrived(reading, accepted, timeout=20):
    want = {b"%d" % n for n in accepted}
    for one in reading:
        assert one.wait_for(lambda r: want <= set(r.bodies()), timeout), (
            f"{len(want - set(one.bodies()))} of {len(want)} accepted pushes are missing")
        bodies = one.bodies()
        assert len(bodies) == len(set(bodies)), "a repeat reached a client"


def test_job_is_killed_under_load(own_cluster):
    """500 room pushes a second for 20 s over all partitions, kill -9 of one of two jobs.

    (A sanitizer cannot keep that rate; there are fewer then.)
    """
    cluster = own_cluster(2, 2, 2)
    rooms = [f"underfire{i}" for i in range(12)]  # so that both jobs have some of them
    reading = {room: [Collector(cluster.client(t, c).auth(room=f"live://{room}"))
                      for t, c in (("tcp", i % 2), ("ws", 1 - i % 2))]
               for i, room in enumerate(rooms)}
    pusher = Pusher([logic.http for logic in cluster.logics], rooms, 500 / SLOW)
    time.sleep(5)
    cluster.jobs[0].kill()
    time.sleep(8)
    cluster.jobs[0].start()  # partitions move once more, this time in good order
    time.sleep(7)
    accepted = pusher.stop()
    assert sum(map(len, accepted.values())) > 8000 / SLOW and not pusher.failed
    for room in rooms:
        check_all_arrived(reading[room], accepted[room])
    gaps = sorted(longest_gap(one.stop()) for both in reading.values() for one in both)
    print("longest gap of each client in seconds:", [round(gap, 2) for gap in gaps])
    assert gaps[-1] > 1, "the kill hit no partition of these rooms: this test proves nothing"
    assert gaps[0] < 1 * SLOW, "rooms of the other job had to wait as well"
    assert gaps[-1] <= 6 * SLOW


def await_auth(cluster, comet, mid):
    """Until a login works; answers how often it did not.  One that was under way may fail."""
    for failures in range(100):
        try:
            cluster.client("tcp", comet).auth(mid=mid)
            return failures
        except (Closed, TimeoutError):
            time.sleep(0.02)
    raise AssertionError("logins do not work again")


def test_logic_is_killed(own_cluster):
    """Whichever of two dies, comets move to the other, and those inside notice nothing."""
    cluster = own_cluster(2, 2, 1)
    reading = [Collector(cluster.client(t, c).auth(room="live://logic"))
               for t in ("tcp", "ws") for c in (0, 1)]
    accepted = []
    for dying, serving in ((0, 1), (1, 0)):
        pusher = Pusher([cluster.logics[serving].http], ["logic"], 100, 1, first=10_000 * dying)
        time.sleep(0.5)
        cluster.logics[dying].kill()
        start = time.monotonic()
        failures = [await_auth(cluster, comet, 83001 + comet) for comet in (0, 1)]
        took = time.monotonic() - start
        print(f"kill of logic {dying}: logins work after {took:.2f} s, {failures} failed")
        assert took <= 2 * SLOW and max(failures) <= 1
        accepted += pusher.stop()["logic"]
        assert len(pusher.failed) <= 1, pusher.failed
        cluster.logics[dying].start()
        cluster.logics[dying].await_ready()
    check_all_arrived(reading, accepted)
    for comet in cluster.comets:
        # After the first kill everybody was at the second, so that one was surely missed.
        assert comet.metric("encke_comet_logic_breaks_total") >= 1
        wait_until(lambda: comet.metric("encke_comet_logic_up") == 1, 2, "the stream is up")


def test_redis_comes_back_empty(own_cluster):
    """The session map is gone; comets tell it again without anybody logging in."""
    cluster = own_cluster(2, 1, 1)
    backend = cluster.backend()
    clients = [cluster.client(t, c).auth(mid=84001, key=f"redis{t}{c}", room="live://redis")
               for t in ("tcp", "ws") for c in (0, 1)]
    backend.mids(84001, "before")
    for client in clients:
        assert client.push().body == b"before"
    cluster.redis.kill()
    for file in (cluster.folder / "redis.data").rglob("*"):
        if file.is_file():
            file.unlink()
    backend.room("redis", "rooms need no redis")
    for client in clients:
        assert client.push().body == b"rooms need no redis"
    cluster.redis.start()

    reading = [Collector(client) for client in clients]
    start = time.monotonic()
    while not all(one.got for one in reading):
        assert time.monotonic() - start < 20 * SLOW, [len(one.got) for one in reading]
        backend.try_push("mids", b"again", operation=1000, mids=84001)
        time.sleep(0.1)
    print(f"pushes by mid reach all four again after {time.monotonic() - start:.2f} s")
    backend.keys("redisws0", "by key too")
    assert reading[2].wait_for(lambda r: b"by key too" in r.bodies(), 5)
    for one in reading:
        one.stop()
    wait_until(lambda: backend.data("/goim/online/room?type=live&rooms=redis") == {"redis": 4}, 15,
               "counts are told again as well")


def test_redis_away_refuses_logins_but_serves_those_inside(own_cluster):
    cluster = own_cluster(1, 1, 1)
    backend = cluster.backend()
    inside = cluster.client("ws").auth(room="live://inside")
    cluster.redis.kill()
    outside = cluster.client("ws")
    outside.send(7, b'{"mid":1}')
    outside.gone(15)
    assert outside.close_code == 3002  # come back later
    backend.room("inside", "still served")
    assert inside.push().body == b"still served"
    status, _, body = backend.post("/goim/push/mids?operation=1000&mids=1", b"x")
    assert status == 200 and body.startswith(b'{"code":-500,')
    cluster.redis.start()
    start = time.monotonic()
    while True:
        try:
            cluster.client("tcp").auth(mid=1)
            break
        except Closed:
            assert time.monotonic() - start < 15 * SLOW
            time.sleep(0.2)


def test_nats_is_killed_and_started_again(own_cluster):
    cluster = own_cluster(2, 1, 2)
    backend = cluster.backend()
    reading = [Collector(cluster.client(t, c).auth(room="live://nats"))
               for t in ("tcp", "ws") for c in (0, 1)]
    pusher = Pusher([cluster.logics[0].http], ["nats"], 100)
    time.sleep(1)
    cluster.nats.kill()
    time.sleep(2)
    cluster.nats.start()
    started = time.monotonic()
    wait_until(lambda: backend.try_push("all", b"x", operation=4999), 20, "pushes are accepted")
    print(f"pushes are accepted {time.monotonic() - started:.2f} s after the restart")
    time.sleep(2)
    check_all_arrived(reading, pusher.stop()["nats"], 30)
    for one in reading:
        one.stop()


def test_nats_comes_back_empty(own_cluster):
    """Log, registry, leases and checkpoints are gone: pushes flow again and nobody is restarted."""
    cluster = own_cluster(2, 2, 2)
    backend = cluster.backend()
    clients = [cluster.client(t, c).auth(mid=86500 + c, room="live://void")
               for t in ("tcp", "ws") for c in (0, 1)]
    rooms = [f"void{i}" for i in range(40)]  # in all partitions, so that every job must recover
    everywhere = [cluster.client("tcp", i % 2).auth(room=f"live://{room}")
                  for i, room in enumerate(rooms)]
    for room in rooms:
        for i in range(5):  # places in the log that the new one will reach again
            backend.room(room, b"old %d" % i)
    for client in everywhere:
        assert client.push_bodies(5) == [b"old %d" % i for i in range(5)]
    cluster.nats.kill()
    for entry in (cluster.folder / "nats.data").iterdir():
        shutil.rmtree(entry)
    cluster.nats.start()
    started = time.monotonic()
    wait_until(lambda: backend.try_push("all", b"x", operation=4999), 10, "pushes are accepted")
    print(f"pushes are accepted again after {time.monotonic() - started:.2f} s")
    for room in rooms:
        backend.room(room, b"new")
    for client in everywhere:
        assert client.push(10).body == b"new"
    print(f"and have arrived in {len(rooms)} rooms after {time.monotonic() - started:.2f} s")
    assert time.monotonic() - started < 6
    for i in range(20):  # routing by user, and joins, as ever
        backend.mids(86500 + i % 2, b"to you %d" % i)
    for c, client in enumerate(clients):
        assert client.push_bodies(10) == [b"to you %d" % i for i in range(c % 2, 20, 2)]
    late = cluster.client("ws", 1).auth(room="live://fresh")
    backend.room("fresh", b"joined")
    assert late.push().body == b"joined"
    assert not late.pushes
    for daemon in cluster.daemons:
        daemon.await_ready()
    # Another life of the log: whoever reads next starts at its checkpoint, not at its beginning.
    time.sleep(1.5)
    cluster.jobs[0].kill()
    for room in rooms:
        backend.room(room, b"newer")
    for client in everywhere:
        assert client.push(10).body == b"newer"
    assert [i["hostname"] for i in backend.data("/goim/nodes/instances")] == ["comet", "comet-2"]


def test_sigterm_says_goodbye(own_cluster):
    """WebSocket clients read 1001, TCP clients an orderly end, the process exits with 0."""
    cluster = own_cluster(2, 1, 1)
    ws = [cluster.client("ws", 0).auth(mid=85001, key=f"bye{i}") for i in range(20)]
    tcp = cluster.client("tcp", 0).auth()
    half_open = cluster.client("ws", 0)
    other = cluster.client("ws", 1).auth(key="other")
    assert cluster.comets[0].term() == 0
    for client in [*ws, half_open]:
        client.gone()
        assert client.close_code == 1001
    tcp.gone()
    # Goodbyes reached logic: nobody is left in the session map of that comet.
    backend = cluster.backend()
    wait_until(lambda: backend.data("/goim/online/total")["conn_count"] == 1, 15, "the count")
    instances = [i["hostname"] for i in backend.data("/goim/nodes/instances")]
    assert instances == ["comet-2"]
    backend.keys("other", "still here")
    assert other.push().body == b"still here"


def test_daemons_stop_on_sigterm_with_zero(own_cluster):
    cluster = own_cluster(1, 1, 1)
    for daemon in (cluster.jobs[0], cluster.logics[0], cluster.comets[0]):
        assert daemon.term() == 0, daemon.tail()


def test_comet_is_killed_and_comes_back(own_cluster):
    """Clients reconnect; entries of the dead comet do not stand in their way."""
    cluster = own_cluster(2, 1, 1)
    backend = cluster.backend()
    old = cluster.client("tcp", 0).auth(mid=86001, key="moves", room="live://moves")
    cluster.comets[0].kill()
    old.gone()
    new = cluster.client("ws", 1).auth(mid=86001, key="moves", room="live://moves")
    backend.mids(86001, "mid")
    backend.keys("moves", "key")
    backend.room("moves", "room")
    assert sorted(new.push_bodies(3)) == [b"key", b"mid", b"room"]
    cluster.comets[0].start()
    cluster.comets[0].await_ready()
    back = cluster.client("tcp", 0)
    back.auth(key="back", room="live://moves")
    cluster.settle()
    backend.room("moves", "to both")
    assert new.push().body == back.push().body == b"to both"


def test_paused_job_cannot_make_comets_lose_what_the_next_one_sends(own_cluster):
    """A job stopped for longer than its lease wakes up with old batches: they are refused."""
    cluster = own_cluster(1, 1, 2)
    reading = Collector(cluster.client("tcp").auth(room="live://fence"))
    pusher = Pusher([cluster.logics[0].http], ["fence"], 200)
    for job in cluster.jobs:
        time.sleep(1)
        job.pause()
        time.sleep(6)
        job.resume()
    time.sleep(2)
    check_all_arrived([reading], pusher.stop()["fence"])
    print(f"longest gap {longest_gap(reading.stop()):.2f} s")


def test_bench_client_of_goim(own_cluster):
    """The life of goim's own load client: ver 1 seq 0 auth, ver 0 heartbeats, one-package reads."""
    cluster = own_cluster(1, 1, 1)
    client = cluster.client("tcp")
    client.send_raw(encode(7, 0, b'{"mid":1,"key":"","room_id":"test://1","platform":"ios",'
                                 b'"accepts":[1000,1001,1002]}'))
    assert client.push().op == 8  # sequence 0, so our parser files it under pushes
    client.send(HEARTBEAT, b"", ver=0, seq=1)
    assert client.reply()[:3] == (0, 3, 1)
    backend = cluster.backend()
    for n in range(100):
        backend.post("/goim/push/room?operation=1000&type=test&room=1", b'{"test":%d}' % n,
                     headers={"Content-Type": "application/json"})
    assert client.push_bodies(100) == [b'{"test":%d}' % n for n in range(100)]
    assert backend.post("/goim/push/mids?operation=1000&mids=1", b'{"m":{"test":1},"u":1}',
                        headers={"Content-Type": "application/x-www-form-urlencoded"})[0] == 200
    assert client.push().body == b'{"m":{"test":1},"u":1}'
