"""What backends do to clients of version 2 by /v1: leave out, keep, kick, join, leave, report."""
import pytest

from cluster import wait_until
from native import Api
from two_client import ACK, CLOSE, GAP, PUSH, SYNC, follow, pb, two

HISTORY = {"logic": "{group: {history: {messages: 50, age: 1h}}}"}


@pytest.fixture(scope="module")
def kept_cluster():
    from cluster import Cluster
    with Cluster(2, 1, 1, rooms=HISTORY) as cluster:
        yield cluster


@pytest.fixture
def kept(kept_cluster):
    yield kept_cluster
    kept_cluster.close_clients()


@pytest.fixture
def api(kept):
    return Api(kept.backend())


def test_v2_who_is_left_out_hears_the_number_and_fetches_nothing(kept, api):
    room = "group://out"
    out, inside = two(kept), two(kept, "ws", 1)
    out.connect(1, [room])
    inside.connect(2, [room], platform="tv")
    old = kept.client("tcp").auth(mid=1, room=room, key="old")
    api.push(room=room, body="secret", exclude_mids=[1])
    api.push(room=room, body="no tv", exclude_platforms=["tv"])
    api.push(room=room, body="all")
    gap = out.take(GAP)
    assert (gap.room, gap.to, gap.reason) == (room, 1, pb.Gap.EXCLUDED)
    assert [p.body for p in out.take_pushes(2)] == [b"no tv", b"all"]
    assert inside.take(PUSH).body == b"secret"
    assert inside.take(GAP).to == 2
    last = inside.take(PUSH)
    assert (last.body, last.seq) == (b"all", 3)
    assert old.push_bodies(2) == [b"no tv", b"all"]
    sync = out.ask(SYNC, room=room, epoch=last.epoch, after=0)
    assert [p.body for p in sync.pushes] == [b"no tv", b"all"] and sync.through == 3


def test_v2_a_kick_says_its_reason(kept, api):
    by_mid, by_room = two(kept), two(kept, "ws", 1)
    by_mid.connect(11)
    by_room.connect(12, ["live://kick"])
    api.ok("POST", "/v1/kick", {"mids": [11], "reason": "rude"})
    api.ok("POST", "/v1/kick", {"room": "live://kick", "reason": "closed"})
    for client, reason in ((by_mid, "rude"), (by_room, "closed")):
        close = client.take(CLOSE)
        assert (close.code, close.name, close.text, close.may_return) == (
            3502, "kicked", reason, False)


def test_v2_a_kick_reaches_whom_it_names_and_nobody_else(kept, api):
    """By key, by mid, by room: on either comet, whatever they speak."""
    named = [two(kept, "tcp", 1), two(kept, "ws", 0)]
    named[0].connect(13, ["live://calm"], key="named-one")
    named[1].connect(14, ["live://calm"], key="named-two")
    old = kept.client("ws", 1).auth(mid=15, room="live://calm", key="old-one")
    others = [two(kept, "ws", 1), kept.client("tcp").auth(mid=16, room="live://calm")]
    others[0].connect(13, ["live://calm"], key="not-named")
    api.ok("POST", "/v1/kick", {"keys": ["named-one", "old-one", "nowhere"], "reason": "by key"})
    close = named[0].take(CLOSE)
    assert (close.name, close.text, close.may_return) == ("kicked", "by key", False)
    old.gone()
    assert old.close_code == 3502
    api.ok("POST", "/v1/kick", {"mids": [14], "reason": "by mid"})
    assert named[1].take(CLOSE).text == "by mid"
    api.push(room="live://calm", body="still here")
    assert others[0].take(PUSH).body == b"still here"
    assert others[1].push().body == b"still here"
    assert [head for head in others[0].heard if head[0] == CLOSE] == []
    api.ok("POST", "/v1/kick", {"room": "live://calm", "reason": "closed"})
    assert others[0].take(CLOSE).text == "closed"
    others[1].gone()
    wait_until(lambda: not api.ok("GET", "/v1/users/13")["online"], 10, "nobody is online")


def test_v2_a_backend_joins_by_key_and_every_connection_by_mid(kept, api):
    phone, laptop = two(kept, "tcp"), two(kept, "ws", 1)
    phone.connect(22, key="put-phone")
    laptop.connect(22, key="put-laptop", rooms=["live://own"])
    api.ok("POST", "/v1/rooms/join", {"keys": ["put-phone"], "room": "live://by-key"})
    assert [r.room for r in phone.take(21, 0).rooms] == ["live://by-key"]
    api.push(room="live://by-key", body="phone only")
    assert phone.take(PUSH).body == b"phone only"
    laptop.nothing(0.3)
    api.ok("POST", "/v1/rooms/join", {"mids": [22], "room": "live://by-mid"})
    for client in (phone, laptop):
        assert [r.room for r in client.take(21, 0).rooms] == ["live://by-mid"]
    api.push(room="live://by-mid", body="both")
    assert [client.take(PUSH).body for client in (phone, laptop)] == [b"both"] * 2
    api.ok("POST", "/v1/rooms/leave", {"keys": ["put-phone"], "room": "live://by-mid"})
    assert list(phone.take(23, 0).rooms) == ["live://by-mid"]
    api.push(room="live://by-mid", body="laptop only")
    assert laptop.take(PUSH).body == b"laptop only"
    phone.nothing(0.3)
    api.push(room="live://own", body="its own room stays")
    assert laptop.take(PUSH).body == b"its own room stays"


def test_v2_backends_join_and_leave_for_a_user(kept, api):
    client = two(kept, "tcp", 1)
    client.connect(21)
    api.ok("POST", "/v1/rooms/join", {"mids": [21], "room": "group://put"})
    joined = client.take(21, 0).rooms[0]
    assert joined.room == "group://put" and joined.kept and joined.known
    api.push(room="group://put", body="in")
    assert client.take(PUSH).body == b"in"
    api.ok("POST", "/v1/rooms/leave", {"mids": [21], "room": "group://put"})
    assert list(client.take(23, 0).rooms) == ["group://put"]
    api.push(room="group://put", body="out")
    client.nothing(0.3)


def test_v2_what_is_kept_waits_for_who_is_away(kept, api):
    api.push(mids=[31], body="a", keep=True)
    client = two(kept)
    reply = client.connect(31)
    assert follow(client, reply, "user://31", 1) == [b"a"]
    api.push(mids=[31], body="b", keep=True)
    push = client.take(PUSH)
    assert (push.room, push.seq, push.body) == ("user://31", 2, b"b")


def test_v2_a_report_adds_up(kept, api):
    room = "live://report"
    clients = [two(kept, "tcp", i % 2) for i in range(4)]
    for mid, client in enumerate(clients):
        client.connect(41 + mid, [room])
    id_of = api.push(room=room, body="x", report=True, exclude_mids=[41])["id"]
    for client in clients[1:]:
        client.take(PUSH)
    counts = {}

    def told():
        status, reply = api.call("GET", f"/v1/pushes/{id_of}")
        counts.clear()
        counts.update(reply.get("counts", {}))
        return status == 200 and counts.get("matched") == 4
    wait_until(told, 10, "both comets told")
    assert counts["excluded"] == 1
    assert counts.get("sent", 0) + counts.get("queued", 0) == 3


def test_v2_a_report_counts_who_acknowledged(kept, api):
    id_of = api.push(mids=[51, 52], body="a", keep=True, report=True)["id"]

    def counts():
        told = api.ok("GET", f"/v1/pushes/{id_of}")["counts"]
        return told["kept"], told.get("acknowledged", 0)
    assert counts() == (2, 0)
    for n, mid in enumerate((51, 52)):
        client = two(kept, "tcp", n)
        reply = client.connect(mid)
        assert follow(client, reply, f"user://{mid}", 1) == [b"a"]
        assert counts() == (2, n)
        for _ in range(2):
            assert not client.ask(ACK, epoch=reply.inbox.epoch, seq=1).HasField("error")
        assert counts() == (2, n + 1)
