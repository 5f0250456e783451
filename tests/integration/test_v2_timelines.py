"""Version 2 against real daemons: connect, rooms, timelines, resume, publish, inbox."""
import re
import time

import pytest

from cluster import ROOT
from goim_client import Closed, SLOW
from two_client import (ACK, BEAT, CLOSE, JOIN, LEAVE, MESSAGES, PUBLISH, PUSH, SYNC, follow, pb,
                        two)

HISTORY = "{group: {history: {messages: 50, age: 1h}}, short: {history: {messages: 5, age: 1h}}}"


@pytest.fixture(scope="module")
def kept_cluster():
    from cluster import Cluster
    with Cluster(2, 2, 2, rooms={"logic": HISTORY}) as cluster:
        yield cluster


@pytest.fixture
def kept(kept_cluster):
    yield kept_cluster
    kept_cluster.close_clients()


def push_room(cluster, room, body, logic=0):
    kind, name = room.split("://")
    cluster.backend(logic).push("room", body, operation=1000, type=kind, room=name)


def test_v2_every_byte_example_of_the_specification_parses():
    text = (ROOT / "api" / "client.md").read_text()
    ops = []
    for block in re.findall(r"```\n(.*?)```", text, re.S):
        hexes = re.findall(r"^(?:[0-9a-f]+ ?)+(?=\s|$)", block, re.M)  # the rest is commentary
        data = b"".join(bytes.fromhex(line) for line in hexes)
        while data:
            size, op = int.from_bytes(data[:4], "big"), int.from_bytes(data[8:12], "big")
            assert data[4:8] == b"\0\x10\0\2" and size <= len(data)
            message = MESSAGES[op]()
            message.ParseFromString(data[16:size])
            assert message.SerializeToString() == data[16:size]
            ops.append(op)
            data = data[size:]
    assert ops == [18, 19, 29, 32]


@pytest.mark.parametrize("transport", ["tcp", "ws"])
def test_v2_shares_a_room_with_version_1(kept, transport):
    room = f"live://share-{transport}"
    ones = [kept.client(via).auth(mid=i + 1, room=room) for i, via in enumerate(("tcp", "ws"))]
    client = two(kept, transport)
    reply = client.connect(77, [room])
    assert reply.mid == 77 and reply.key and reply.heartbeat_ms > 0
    assert [(r.room, r.kept, r.HasField("error")) for r in reply.rooms] == [(room, False, False)]
    for i in range(5):
        push_room(kept, room, f"m{i}")
    for one in ones:
        assert one.push_bodies(5) == [b"m%d" % i for i in range(5)]
    got = client.take_pushes(5)
    assert [p.body for p in got] == [b"m%d" % i for i in range(5)]
    assert {(p.room, p.epoch, p.seq, p.op) for p in got} == {(room, 0, 0, 1000)}
    assert all(p.id and abs(p.time_us / 1e6 - time.time()) < 60 for p in got)


def test_v2_numbers_of_a_timeline_ascend_by_one_on_every_comet(kept):
    room = "group://numbers"
    clients = [two(kept, "tcp", 0), two(kept, "ws", 1)]
    for mid, client in enumerate(clients):
        assert client.connect(mid + 1, [room]).rooms[0].kept
    for i in range(30):
        push_room(kept, room, f"{i}", i % 2)
    for client in clients:
        got = client.take_pushes(30)
        assert [p.seq for p in got] == list(range(1, 31))
        assert [p.body for p in got] == [b"%d" % i for i in range(30)]
        assert len({p.epoch for p in got}) == 1 and got[0].epoch > 0


@pytest.mark.parametrize("comet", [0, 1])
def test_v2_resume_brings_exactly_what_was_missed(kept, comet):
    room = f"group://resume{comet}"
    client = two(kept)
    client.connect(5, [room])
    for i in range(5):
        push_room(kept, room, f"{i}")
    last = client.take_pushes(5)[-1]
    client.close()
    for i in range(5, 12):
        push_room(kept, room, f"{i}")
    again = two(kept, "ws", comet)
    reply = again.connect(5, cursors=[(room, last.epoch, last.seq)])
    joined = reply.rooms[0]
    assert joined.syncing and joined.known and joined.seq == 12 and joined.oldest == 1
    sync = again.take(29, 0)
    assert [p.body for p in sync.pushes] == [b"%d" % i for i in range(5, 12)]
    assert [p.seq for p in sync.pushes] == list(range(6, 13))
    assert sync.through == 12 and not sync.more and not sync.reload
    push_room(kept, room, "live")
    assert again.take_beyond(12, 1)[0].seq == 13
    assert [h.seq for h in again.ask(BEAT).heads if h.room == room] == [13]


def test_v2_what_is_not_kept_any_more_is_said(kept):
    room = "short://reload"
    client = two(kept)
    epoch = 0
    client.connect(6, [room])
    for i in range(12):
        push_room(kept, room, f"{i}")
        epoch = client.take(PUSH).epoch
    sync = client.ask(SYNC, room=room, epoch=epoch, after=1)
    assert sync.reload and [p.seq for p in sync.pushes] == [8, 9, 10, 11, 12]
    assert sync.oldest == 8 and sync.through == 12
    other = client.ask(SYNC, room=room, epoch=epoch - 1, after=3)
    assert other.reload and other.epoch == epoch and not other.pushes
    assert other.through == 7 and other.more
    page = client.ask(SYNC, room=room, epoch=epoch, after=8, limit=2)
    assert [p.seq for p in page.pushes] == [9, 10] and page.more and not page.reload


def test_v2_joins_and_leaves_many_rooms(kept):
    client = two(kept)
    client.connect(8)
    rooms = [f"live://many{i}" for i in range(100)]
    reply = client.ask(JOIN, rooms=[pb.Cursor(room=room) for room in rooms + ["live://more"]])
    errors = [r.error.code for r in reply.rooms if r.HasField("error")]
    assert errors == [pb.Error.LIMIT] and len(reply.rooms) == 101
    for room in (rooms[3], rooms[99]):
        push_room(kept, room, room)
        assert client.take(PUSH).body == room.encode()
    left = client.ask(LEAVE, rooms=rooms[:50])
    assert list(left.rooms) == rooms[:50]
    push_room(kept, rooms[3], "not for us")
    push_room(kept, rooms[60], "for us")
    assert client.take(PUSH).body == b"for us"
    client.nothing(0.3)


@pytest.mark.parametrize("room", ["group://talk", "live://talk"])
def test_v2_publish_reaches_the_room_once_however_often_it_is_said(kept, room):
    speaker, listener = two(kept), two(kept, "ws", 1)
    speaker.connect(21, [room])
    listener.connect(22, [room])
    replies = [speaker.ask(PUBLISH, room=room, client_id="c1", op=1000, body=b"hello", stored=True)
               for _ in range(2)]
    assert all(not r.HasField("error") and r.client_id == "c1" for r in replies), replies
    assert replies[0].id == replies[1].id and replies[0].seq == replies[1].seq
    for client in (speaker, listener):
        push = client.take(PUSH)
        assert (push.body, push.from_mid, push.client_id) == (b"hello", 21, "c1")
        assert push.seq == replies[0].seq and push.id == replies[0].id
        client.nothing(0.5)


def test_v2_errors_name_the_field(kept):
    client = two(kept)
    client.connect(30, ["live://e"])
    ask = client.ask
    for fields, code, field in [
            (dict(op=1000), "INVALID", "room"),
            (dict(room="live://e", to_mid=4, op=1000), "INVALID", "room"),
            (dict(room="nonsense", op=1000), "INVALID", "room"),
            (dict(room="user://4", op=1000), "INVALID", "room"),
            (dict(room="live://e", op=7), "INVALID", "op"),
            (dict(to_mid=-3, op=1000), "INVALID", "to_mid"),
            (dict(room="live://e", op=1000, client_id="x" * 65), "INVALID", "client_id"),
            (dict(room="live://other", op=1000), "NOT_JOINED", "room")]:
        error = ask(PUBLISH, **fields).error
        assert (pb.Error.Code.Name(error.code), error.field) == (code, field), (fields, error)
        assert error.message
    assert ask(SYNC, room="live://e").error.field == "room"  # is no timeline
    assert ask(SYNC, room="live://f").error.code == pb.Error.NOT_JOINED
    assert ask(SYNC, room="user://31").error.code == pb.Error.INVALID
    assert ask(ACK, seq=4).error.field == "epoch"
    joined = ask(JOIN, rooms=[pb.Cursor(room="a://b"), pb.Cursor(room="user://3")]).rooms
    assert joined[1].error.field == "rooms[1].room" and not joined[0].HasField("error")
    seq = client.next_seq()
    client.send(40, b"?", ver=2, seq=seq)
    assert client.take(35, seq).field == "op"
    for op in (JOIN, LEAVE, PUBLISH, ACK, SYNC):
        seq = client.send(op, b"\xff\xff", ver=2)
        assert client.take(op + 1, seq).error.field == "body"


def test_v2_a_bad_or_second_connect_is_closed_with_a_reason(kept):
    bad = two(kept)
    bad.send(18, b"\xff", ver=2)
    close = bad.take(CLOSE)
    assert (close.code, close.name, close.may_return) == (3004, "bad_connect", False)
    refused = two(kept, "ws")
    refused.send(18, pb.Connect(token=b"not json").SerializeToString(), ver=2)
    close = refused.take(CLOSE)
    assert (close.code, close.name, close.may_return) == (3500, "auth_refused", False)
    again = two(kept)
    again.connect(31)
    again.say(18)
    assert again.take(CLOSE).name == "bad_connect"
    for client in (bad, refused, again):
        with pytest.raises(Closed):
            while True:
                client.fill(10 * SLOW)


def test_v2_inbox_waits_for_every_device(kept):
    sender = two(kept)
    sender.connect(40)
    epoch = 0
    for i in range(6):
        reply = sender.ask(PUBLISH, to_mid=41, op=1000, body=b"%d" % i, client_id=f"m{i}",
                           stored=True)
        assert not reply.HasField("error") and reply.seq == i + 1, reply
        epoch = reply.epoch
    bodies = [b"%d" % i for i in range(6)]
    laptop = two(kept)
    assert follow(laptop, laptop.connect(41, device="laptop"), "user://41", 6) == bodies
    assert not laptop.ask(ACK, epoch=epoch, seq=2).HasField("error")
    laptop.close()
    phone = two(kept, "ws", 1)
    phone.connect(41, device="phone")
    assert not phone.ask(ACK, epoch=epoch, seq=4).HasField("error")
    phone.close()
    phone = two(kept)
    reply = phone.connect(41, device="phone")
    assert reply.inbox.cursor == 4
    assert follow(phone, reply, "user://41", 6) == bodies[4:]
    sender.ask(PUBLISH, to_mid=41, op=1000, body=b"live", client_id="m6", stored=True)
    push = phone.take(PUSH)
    assert (push.room, push.seq, push.body) == ("user://41", 7, b"live")
    laptop = two(kept)
    reply = laptop.connect(41, device="laptop")
    assert follow(laptop, reply, "user://41", 7) == [*bodies[2:], b"live"]
