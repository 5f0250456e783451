"""What clients that read too slowly get, by the policy of the room's type and of the operation.

Whatever a policy gives up is counted, version 2 is told, and what has a number can be fetched.
"""
import pytest

from cluster import Cluster, wait_until
from goim_client import Closed
from native import Api
from two_client import CLOSE, GAP, PUSH, SYNC, two

POLICIES = """
  latest: {slow: latest}
  old: {slow: drop_old}
  group: {slow: drop_old}
  keep: {slow: keep}
  mixed: {slow: drop_new, slow_ops: {1007: latest, 1008: keep}}
"""
KEPT = "{group: {history: {messages: 1000, age: 1h}}}"
ENV = {"ENCKE_SESSION_OUTBOX_BYTES_MAX": "128k", "ENCKE_SESSION_SNDBUF_BYTES": "8192",
       "ENCKE_COMET_SHARDS": "1", "ENCKE_ROOM_BATCH_BYTES_MAX": "64k"}
MANY = 300
PADDING = "." * 5000  # 1.5 MB in all: more than every buffer between


@pytest.fixture(scope="module")
def slow_cluster():
    with Cluster(1, 1, 1, ENV, rooms={"comet": POLICIES, "logic": KEPT}) as cluster:
        yield cluster


@pytest.fixture
def place(slow_cluster):
    yield slow_cluster
    slow_cluster.close_clients()


@pytest.fixture
def api(place):
    return Api(place.backend())


@pytest.fixture
def dropped(place):
    """How many were dropped since the test began, by labels."""
    def now(labels):
        return place.comets[0].metric(f"encke_comet_dropped_total{{{labels}}}")
    names = [f'reason="slow",policy="{p}"' for p in ("drop_new", "keep", "drop_old", "latest")]
    names.append('reason="conflated",policy="latest"')
    before = {name: now(name) for name in names}
    return lambda name: next(now(n) - before[n] for n in names if name in n)


def slow_one(place, via, mid, room):
    """Version 1, not reading."""
    return place.client(via, receive_buffer=4096).auth(mid=mid, room=room)


def slow_two(place, via, mid, room):
    client = two(place, via, receive_buffer=4096)
    return client, client.connect(mid, [room])


def push_many(place, api, room, until=None, **fields):
    """Until the comet has had all of them, or something else is so."""
    def routed():
        return place.comets[0].metric('encke_comet_pushes_total{kind="room"}')
    before = routed()
    ids = []
    for i in range(MANY):
        more = {name: value(i) for name, value in fields.items()}
        ids.append(api.push(**{"room": room, "body": f"{i} {PADDING}", **more})["id"])
    wait_until(until or (lambda: routed() == before + MANY), 10, "the comet has them")
    return ids


def numbers(bodies):
    return [int(body.split()[0]) for body in bodies]


def read_all(client, seconds=1):
    """Until nothing more comes; the numbers of the pushes."""
    while client.fill(seconds):
        pass
    return numbers(p.body for p in client.pushes)


def read_two(client, whole):
    """Until `whole` pushes came or were told; (numbers, gaps)."""
    seen, gaps = [], []

    def count():
        for entry in list(client.heard):
            if entry[0] not in (PUSH, GAP):
                continue
            client.heard.remove(entry)
            (seen if entry[0] == PUSH else gaps).append(entry[2])
        return len(seen) + sum(gap.lost for gap in gaps)
    while (got := count()) < whole:
        assert client.fill(10), f"{got} of {whole}: {len(seen)} and {gaps}"
    assert got == whole
    return numbers(p.body for p in seen), gaps


def name_of(i):
    return f"n{i % 4}"


# ---- version 1 ----------------------------------------------------------------------------------
def test_s12_free_a_slow_client_gets_the_newest_of_each_name(place, api, dropped, transport):
    room = f"latest://one-{transport}"
    slow = slow_one(place, transport, 1, room)
    push_many(place, api, room, conflate=name_of)
    got = read_all(slow)
    assert got == sorted(set(got))
    assert got[-4:] == list(range(MANY - 4, MANY)), "the newest of each, in their order"
    assert len(got) < MANY / 2
    assert len(got) + dropped("conflated") == MANY
    assert slow.heartbeat() >= 1


def test_slow_drop_old_keeps_the_newest(place, api, dropped, transport):
    room = f"old://one-{transport}"
    slow = slow_one(place, transport, 2, room)
    push_many(place, api, room)
    got = read_all(slow)
    assert got == sorted(set(got)) and got[:3] == [0, 1, 2]
    assert got[-10:] == list(range(MANY - 10, MANY)), "the newest"
    assert len(got) < MANY / 2 and len(got) + dropped("drop_old") == MANY


def test_slow_drop_new_keeps_the_oldest(place, api, dropped, transport):
    room = f"plain://one-{transport}"
    slow = slow_one(place, transport, 3, room)
    push_many(place, api, room)
    got = read_all(slow)
    assert got == sorted(set(got))
    assert got[:10] == list(range(10)), "the oldest"
    assert len(got) < MANY / 2 and len(got) + dropped("drop_new") == MANY


def test_slow_keep_ends_the_connection(place, api, dropped, transport):
    room = f"keep://one-{transport}"
    slow = slow_one(place, transport, 4, room)
    push_many(place, api, room, lambda: dropped("keep") > 0)
    with pytest.raises(Closed):
        while slow.fill(10):
            pass
    got = numbers(p.body for p in slow.pushes)
    assert got == list(range(len(got))), "and nothing is missing before that"


def test_slow_policies_are_by_operation(place, api, dropped):
    """Of one room: 1000 is dropped when there is no room, 1007 conflated."""
    room = "mixed://one"
    slow = slow_one(place, "tcp", 5, room)
    push_many(place, api, room, op=lambda i: 1007 if i % 2 else 1000)
    got = read_all(slow)
    assert got == sorted(set(got))
    assert got[-1] == MANY - 1, "the newest 1007"
    assert len(got) + dropped("conflated") + dropped("drop_new") == MANY
    assert dropped("conflated") > 0 and dropped("drop_new") > 0


def test_slow_an_operation_may_be_too_dear_to_lose(place, api, dropped):
    room = "mixed://dear"
    slow = slow_one(place, "ws", 6, room)
    push_many(place, api, room, lambda: dropped("keep") > 0,
              op=lambda i: 1008 if i > 200 else 1000)
    with pytest.raises(Closed):
        while slow.fill(10):
            pass


# ---- version 2 ----------------------------------------------------------------------------------
def test_slow_v2_is_told_how_many_were_conflated(place, api, dropped, transport):
    room = f"latest://two-{transport}"
    slow, _ = slow_two(place, transport, 7, room)
    push_many(place, api, room, conflate=name_of)
    got, gaps = read_two(slow, MANY)
    assert got == sorted(set(got)) and got[-4:] == list(range(MANY - 4, MANY))
    assert {(gap.room, getattr(gap, "from")) for gap in gaps} == {(room, 0)}
    assert sum(gap.lost for gap in gaps) == dropped("conflated")
    slow.nothing(0.2)


def test_slow_v2_without_names_gets_the_newest_of_each_operation(place, api):
    room = "latest://unnamed"
    slow, _ = slow_two(place, "tcp", 8, room)
    push_many(place, api, room, op=lambda i: 1000 + i % 3)
    got, _ = read_two(slow, MANY)
    assert got[-3:] == list(range(MANY - 3, MANY))


def test_slow_v2_fetches_what_a_room_with_history_dropped(place, api, dropped, transport):
    room = f"group://two-{transport}"
    slow, reply = slow_two(place, transport, 9, room)
    push_many(place, api, room)
    pushes, gaps, lost = {}, [], 0
    while len(pushes) + lost < MANY:
        assert slow.fill(10), (len(pushes), gaps)
        for op, _, message in slow.heard:
            if op == PUSH:
                pushes[message.seq] = message.body
                epoch = message.epoch
            elif op == GAP:
                gaps.append(message)
                lost += message.lost
        slow.heard.clear()
    missing = set(range(1, MANY + 1)) - set(pushes)
    assert len(missing) == lost == dropped("drop_old") > MANY / 2
    assert {(gap.room, gap.epoch) for gap in gaps} == {(room, epoch)}
    told = set().union(*(range(getattr(gap, "from"), gap.to + 1) for gap in gaps))
    assert missing <= told
    through = min(missing) - 1
    while through < max(missing):
        answer = slow.ask(SYNC, room=room, epoch=epoch, after=through)
        pushes |= {p.seq: p.body for p in answer.pushes}
        through = answer.through
    assert numbers(pushes[seq] for seq in range(1, MANY + 1)) == list(range(MANY))
    assert reply.rooms[0].kept


def test_slow_v2_of_a_room_that_keeps_is_told_why_it_must_go(place, api, dropped):
    room = "keep://two"
    slow, _ = slow_two(place, "tcp", 10, room)
    push_many(place, api, room, lambda: dropped("keep") > 0)
    with pytest.raises(Closed):
        while slow.fill(10):
            pass
    ends = [message for op, _, message in slow.heard if op == CLOSE]
    assert [(end.name, end.may_return) for end in ends] == [("slow", True)]


# ---- reports ------------------------------------------------------------------------------------
def test_slow_a_report_names_what_was_conflated(place, api):
    """And it adds up at any moment."""
    room = "latest://told"
    slow_one(place, "tcp", 11, room)
    ids = push_many(place, api, room, report=lambda i: i >= MANY - 2)

    def told(push_id):
        status, reply = api.call("GET", f"/v1/pushes/{push_id}")
        counts = reply.get("counts", {}) if status == 200 else {}
        parts = {k: v for k, v in counts.items() if v and k not in ("matched", "accepted")}
        assert counts.get("matched", 0) == sum(parts.values()), counts
        return parts
    wait_until(lambda: told(ids[-2]) == {"dropped_conflated": 1}, 10, "conflated")
    wait_until(lambda: told(ids[-1]) == {"queued": 1}, 10, "the newest waits")


def test_conflate_has_a_limit(api):
    push = {"room": "latest://1", "op": 1000, "body": "x"}
    assert api.fault("POST", "/v1/pushes", {**push, "conflate": "x" * 129}) == "conflate"
    assert api.fault("POST", "/v1/pushes", {**push, "conflate": ""}) == "conflate"
    assert api.fault("POST", "/v1/pushes", {**push, "conflate": 7}) == "conflate"
    api.push(room="latest://1", conflate="x" * 128)
