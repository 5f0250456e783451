"""The three promises: join means join, accepted means stored, a gap is never silent."""
import time

from cluster import await_port, wait_until
from goim_client import Closed, Collector


def test_join_means_join_after_auth(cluster):
    """200 logins into a fresh room each; the push leaves as soon as the auth reply is here."""
    backends = [cluster.backend(0), cluster.backend(1)]
    for i in range(200):
        client = cluster.client(("tcp", "ws")[i // 2 % 2], i % 2)
        client.auth(mid=80000 + i, room=f"live://join{i}")
        backends[i // 4 % 2].room(f"join{i}", b"welcome %d" % i)
        assert client.push(5).body == b"welcome %d" % i
        client.close()


def test_join_means_join_after_change_of_room(cluster, transport):
    backend = cluster.backend(1)
    clients = [cluster.client(transport, comet).auth() for comet in (0, 1)]
    for i in range(100):
        clients[i % 2].change_room(f"live://move{transport}{i}")
        backend.room(f"move{transport}{i}", b"%d" % i)
        assert clients[i % 2].push(5).body == b"%d" % i


def test_join_means_join_for_keys_and_mids(cluster):
    backends = [cluster.backend(0), cluster.backend(1)]
    for i in range(100):
        client = cluster.client(("tcp", "ws")[i // 2 % 2], i % 2)
        client.auth(mid=81000 + i, key=f"joinkey{i}")
        backends[i % 2].mids(81000 + i, b"mid")
        backends[1 - i % 2].keys(f"joinkey{i}", b"key")
        assert sorted(client.push_bodies(2, 5)) == [b"key", b"mid"]
        client.close()


def test_join_means_join_over_a_dead_stream(own_cluster):
    """The comet knows that the stream is dead and lets clients into rooms; the job does not yet."""
    cluster = own_cluster(1, 1, 1)
    backend, comet, job = cluster.backend(), cluster.comets[0], cluster.jobs[0]
    for turn in range(4):
        job.pause()
        wait_until(lambda: comet.metric("encke_comet_jobs") == 0, 10, "the comet misses the job")
        late = [cluster.client("tcp").auth(room=f"live://dead{turn}x{i}") for i in range(20)]
        for i in range(20):
            backend.room(f"dead{turn}x{i}", b"%d" % i)
        job.resume()
        for i, client in enumerate(late):
            assert client.push(10).body == b"%d" % i
        cluster.settle()
    assert comet.metric("encke_comet_interest_timeouts_total") == 0


def test_join_means_join_on_a_comet_that_nobody_knew(own_cluster):
    """The first client of a fresh comet: its doors open when the jobs have found it."""
    cluster = own_cluster(1, 1, 2)
    backend = cluster.backend()
    wanted = ("ENCKE_NATS", "ENCKE_RE")
    env = {k: v for k, v in cluster.comets[0].env.items() if k.startswith(wanted)}
    for number in range(2, 8):
        fresh = cluster.daemon("comet", number, list(cluster.comets[0].doors), env)
        cluster.comets.append(fresh)
        fresh.start()
        await_port(fresh, fresh.tcp)
        for attempt in range(100):  # until it has found a logic
            try:
                client = cluster.client("tcp", number - 1).auth(room=f"live://unknown{number}")
                break
            except (Closed, TimeoutError):
                time.sleep(0.01)
        backend.room(f"unknown{number}", b"welcome")
        assert client.push(5).body == b"welcome"
        assert fresh.metric("encke_comet_interest_timeouts_total") == 0


def test_no_wait_ran_out(cluster):
    """Runs after the ones above: nobody had to be let in before the jobs knew."""
    for comet in cluster.comets:
        assert comet.metric("encke_comet_interest_timeouts_total") == 0


def test_accepted_means_stored(own_cluster):
    """kill -9 the only job before it can have delivered, push more without it, start it again."""
    cluster = own_cluster(2, 1, 1)
    backend = cluster.backend()
    clients = [cluster.client(t, comet).auth(mid=82001, room="live://stored")
               for t in ("tcp", "ws") for comet in (0, 1)]
    reading = [Collector(client) for client in clients]
    wanted = []
    for i in range(100):
        backend.room("stored", b"room %d" % i)
        backend.mids(82001, b"mid %d" % i)
        wanted += [b"room %d" % i, b"mid %d" % i]
        if i == 50:
            cluster.jobs[0].kill()
    cluster.jobs[0].start()
    for one in reading:
        assert one.wait_for(lambda r: set(wanted) <= set(r.bodies()), 30), (
            sorted(set(wanted) - set(one.bodies())))
        bodies = one.bodies()
        assert len(bodies) == len(wanted), "comets drop repeats"
        for kind in (b"room", b"mid"):
            numbers = [int(b.split()[1]) for b in bodies if b.startswith(kind)]
            assert numbers == list(range(100)), kind
        one.stop()


def test_accepted_survives_the_log_server(own_cluster):
    """kill -9 of nats right after an accept: the message is on its disk."""
    cluster = own_cluster(1, 1, 1)
    backend = cluster.backend()
    client = cluster.client("ws").auth(room="live://disk")
    reading = Collector(client)
    cluster.jobs[0].pause()
    for i in range(50):
        backend.room("disk", b"%d" % i)
    cluster.nats.kill()
    cluster.nats.start()
    cluster.jobs[0].resume()
    assert reading.wait_for(lambda r: len(r.got) >= 50, 30), f"{len(reading.got)} of 50"
    time.sleep(0.3)
    assert [int(b) for b in reading.bodies()] == list(range(50))
    reading.stop()


def test_a_gap_is_never_silent(own_cluster):
    """Whatever a client that never reads did not get is in the counters, to the message."""
    cluster = own_cluster(1, 1, 1, env={"ENCKE_SESSION_OUTBOX_BYTES_MAX": "32k"})
    backend, comet = cluster.backend(), cluster.comets[0]
    slow = cluster.client("tcp", receive_buffer=4096).auth(room="live://gap")
    for i in range(600):
        backend.room("gap", b"%06d" % i + b"." * 20_000)
    fast = cluster.client("tcp").auth(room="live://gap")
    backend.room("gap", b"end")
    while fast.push().body != b"end":
        pass  # accepted before it joined, routed after
    dropped = comet.metric("encke_comet_dropped_total")
    got = 0
    try:
        while slow.fill(1):
            got += len(slow.pushes)
            slow.pushes.clear()
    except Exception as error:
        raise AssertionError(f"the slow client was cut off after {got}") from error
    assert dropped > 0 and got + dropped == 601
