"""Pushes to all: everybody who accepts the operation, and no faster than asked."""
import time

from cluster import wait_until
from goim_client import SLOW, Collector

OPERATION = 4100


def members(cluster, count, operation):
    return [Collector(cluster.client(("tcp", "ws")[i // 2 % 2], i % 2).auth(accepts=[operation]))
            for i in range(count)]


def test_broadcast_reaches_everybody_once(cluster, backend):
    reading = members(cluster, 20, OPERATION)
    deaf = cluster.client().auth(accepts=[OPERATION + 1])
    for i in range(20):
        backend.everybody(b"%d" % i, operation=OPERATION)
    for one in reading:
        assert one.wait_for(lambda r: len(r.got) >= 20, 10), f"{len(one.got)} of 20"
        assert [int(b) for b in one.bodies()] == list(range(20))  # in order, too
        one.stop()
    deaf.no_push(0.1)


def test_broadcast_speed_is_honoured_over_two_comets(cluster, backend):
    """40 connections on two comets at 20 deliveries a second: 2 s, evenly spread."""
    reading = members(cluster, 40, OPERATION + 2)
    # Comets share the speed by their connections, of which they tell every 2 s.
    wait_until(lambda: {i["metadata"]["conn_count"]
                        for i in backend.data("/goim/nodes/instances")} == {"20"}, 10, "20 and 20")
    time.sleep(0.2)  # that was what logic knows; job hears it at about the same time
    start = time.monotonic()
    backend.everybody(b"slowly", operation=OPERATION + 2, speed=20)
    for one in reading:
        assert one.wait_for(lambda r: r.got, 15), "somebody got nothing"
    times = sorted(one.stop()[0][0] - start for one in reading)
    print("broadcast of 40 at speed 20 took", round(times[-1], 2), "s")
    assert 1.2 < times[-1] < 5, times
    per_second = [sum(second <= t < second + 1 for t in times) for second in range(5)]
    assert max(per_second) <= 30, per_second
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert max(gaps) < 1, gaps  # no bursts with long pauses between them


def test_slow_broadcast_does_not_hold_up_others(cluster, backend):
    reading = members(cluster, 20, OPERATION + 4)
    client = cluster.client("ws").auth(room="live://beside", key="beside", accepts=[1000])
    backend.everybody(b"slowly", operation=OPERATION + 4, speed=5)  # takes 4 s
    start = time.monotonic()
    for i in range(10):
        backend.room("beside", b"room")
        backend.keys("beside", b"key")
        client.push_bodies(2)
    assert time.monotonic() - start < 2 * SLOW
    assert sum(bool(one.got) for one in reading) < 20, "the broadcast was over at once"
    for one in reading:
        assert one.wait_for(lambda r: r.got, 15)
        one.stop()
