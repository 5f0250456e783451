"""Order holds per user and per room, over two comets and two jobs."""
import threading

from backend import Backend
from goim_client import Collector


def test_s12_free_order_of_200_pushes_to_one_mid(cluster, backend):
    """goim delivers all of them, in any order."""
    devices = [cluster.client(t, comet).auth(mid=70001) for t in ("tcp", "ws") for comet in (0, 1)]
    reading = [Collector(device) for device in devices]
    for i in range(200):
        backend.mids(70001, b"%d" % i)
    for one in reading:
        assert one.wait_for(lambda r: len(r.got) >= 200, 20), f"{len(one.got)} of 200"
        assert [int(b) for b in one.bodies()] == list(range(200))
        one.stop()


def test_s12_free_order_of_200_pushes_to_one_key_from_two_logics_in_turn(cluster, transport):
    client = cluster.client(transport, 1).auth(key=f"order{transport}")
    logics = [cluster.backend(0), cluster.backend(1)]
    for i in range(200):
        logics[i % 2].keys(f"order{transport}", b"%d" % i)
    assert [int(b) for b in client.push_bodies(200)] == list(range(200))


def test_s12_free_order_per_caller_of_2000_pushes_to_one_room(cluster):
    members = [cluster.client(t, comet).auth(room="live://ordered")
               for t in ("tcp", "ws") for comet in (0, 1)]
    reading = [Collector(member) for member in members]
    failures = []

    def caller(name):
        backend = Backend(cluster.logics[name % 2].http)
        try:
            for i in range(250):
                backend.room("ordered", b"%d %d" % (name, i))
        except Exception as error:
            failures.append(error)

    callers = [threading.Thread(target=caller, args=(name,)) for name in range(8)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert not failures, failures
    seen = []
    for one in reading:
        assert one.wait_for(lambda r: len(r.got) >= 2000, 30), f"{len(one.got)} of 2000"
        got = [tuple(map(int, body.split())) for body in one.bodies()]
        assert len(got) == len(set(got)) == 2000
        for name in range(8):
            assert [i for n, i in got if n == name] == list(range(250)), f"caller {name}"
        seen.append(got)
        one.stop()
    # One room, one order: every member on every comet saw the same interleaving.
    assert all(order == seen[0] for order in seen)
