"""Operations after auth: subscriptions, rooms, counts, and what operators see of them."""
import time

from cluster import wait_until
from goim_client import SLOW, SUB, UNSUB


def test_sub_and_unsub_change_what_is_delivered(cluster, backend, transport):
    key = f"ops{transport}"
    client = cluster.client(transport).auth(key=key, accepts=[2099])
    backend.keys(key, "before", operation=2100)
    backend.keys(key, "it has passed", operation=2099)  # filters are asked on delivery
    assert client.push().body == b"it has passed"
    client.request(SUB, b"2100,2101")
    backend.keys(key, "one", operation=2100)
    backend.keys(key, "two", operation=2101)
    assert client.push_bodies(2) == [b"one", b"two"]
    client.request(UNSUB, b"2100")
    backend.keys(key, "gone", operation=2100)
    backend.keys(key, "three", operation=2101)
    assert client.push_bodies(1) == [b"three"]
    client.no_push(0.2)


def test_changing_rooms_leaves_the_old_one(cluster, backend, transport):
    client = cluster.client(transport).auth(room=f"live://old{transport}")
    client.change_room(f"live://new{transport}")
    backend.room(f"old{transport}", "to the old room")
    backend.room(f"new{transport}", "to the new room")
    assert client.push().body == b"to the new room"
    client.no_push(0.2)
    client.change_room("")
    backend.room(f"new{transport}", "to nobody")
    client.no_push(0.2)
    client.change_room(f"live://new{transport}")
    backend.room(f"new{transport}", "back again")
    assert client.push().body == b"back again"


def test_a_hundred_changes_of_room_leave_one_membership(cluster, backend, transport):
    client = cluster.client(transport).auth()
    for i in range(100):
        client.change_room(f"live://hop{transport}{i % 7}")
    for i in range(7):
        backend.room(f"hop{transport}{i}", str(i))
    assert client.push().body == b"%d" % (99 % 7)
    client.no_push(0.3)


def test_heartbeat_count_follows_the_room(cluster, transport):
    room = f"live://counted{transport}"
    watcher = cluster.client(transport, 0).auth(room=room)
    others = [cluster.client(transport, i % 2).auth(room=room) for i in range(3)]
    wait_until(lambda: watcher.heartbeat() == 4, 10, "four are here")
    others[0].close()
    wait_until(lambda: watcher.heartbeat() == 3, 10, "three are here")
    others[1].change_room("")
    others[2].close()
    wait_until(lambda: watcher.heartbeat() == 1, 10, "one is here")


def test_online_total_and_top(cluster, backend):
    for i in range(9):
        cluster.client("tcp", i % 2).auth(room=f"top://room{min(i, 3)}")
    # 1, 1, 1 and 6 members; largest first.  Shards tell their counts one after the other.
    wait_until(lambda: [r["count"] for r in backend.data("/goim/online/top?type=top&limit=10")]
               == [6, 1, 1, 1], 10, "the rooms")
    assert backend.data("/goim/online/top?type=top&limit=1") == [{"room_id": "room3", "count": 6}]
    assert len(backend.data("/goim/online/top?type=top&limit=2")) == 2
    total = "/goim/online/total"
    # One address, seen by two comets; ip_count is the sum of what each comet sees, as in goim.
    wait_until(lambda: backend.data(total) == {"conn_count": 9, "ip_count": 2}, 15, "the total")


def test_both_logics_answer_the_same_counts(cluster):
    for i in range(3):
        cluster.client("ws", i % 2).auth(room="live://both")
    for logic in range(2):
        wait_until(lambda: cluster.backend(logic).data("/goim/online/room?type=live&rooms=both")
                   == {"both": 3}, 10, f"logic {logic} counts three")


def test_connections_and_closes_are_counted(cluster, transport):
    comet = cluster.comets[0]

    def now(name, labels=""):
        return comet.metric(f"encke_comet_{name}{labels}")

    wait_until(lambda: now("channels") == 0, 5, "those of other tests are gone")
    opened = now("connections_opened_total", f'{{via="{transport}"}}')
    closed = now("connections_closed_total", '{reason="peer"}')
    client = cluster.client(transport).auth()
    wait_until(lambda: now("channels") == 1, 5, "one channel")
    assert now("connections_opened_total", f'{{via="{transport}"}}') == opened + 1
    assert now("connections", f'{{via="{transport}"}}') == 1
    client.close()
    wait_until(lambda: now("channels") == 0, 5, "the channel is gone")
    assert now("connections_closed_total", '{reason="peer"}') == closed + 1


def test_upstream_messages_do_not_disturb(cluster, transport):
    client = cluster.client(transport).auth(mid=90001)
    start = time.monotonic()
    for i in range(200):
        assert client.request(5000 + i, b"upstream").op == 5000 + i
    assert time.monotonic() - start < 10 * SLOW


def test_admin_doors(cluster):
    from backend import Http, metrics
    for daemon in cluster.daemons:
        for path in ("/healthz", "/readyz", "/metrics"):
            status, headers, body = Http(daemon.admin).get(path)
            assert status == 200 and body, (daemon.name, path, status)
        assert Http(daemon.admin).get("/nothing")[0] == 404
        text = Http(daemon.admin).get("/metrics")[2].decode()
        kind = daemon.name.split("-")[0]
        names = {name.split("{")[0] for name in metrics(daemon.admin)}
        assert any(name.startswith(f"encke_{kind}_") for name in names), names
        for name in names:
            base = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            assert f"# TYPE {base} " in text or f"# TYPE {name} " in text, name
