"""What the report of a push says about those who got it, who did not, and why: the sums agree.

matched = sent + queued + dropped_* + excluded + filtered + expired + unknown, at any moment.
"""
import pytest

from cluster import wait_until
from native import Api
from two_client import PUSH, two

PARTS = {"sent", "queued", "dropped_slow", "dropped_conflated", "dropped_overflow", "excluded",
         "filtered", "expired", "unknown"}
# Not of connections: how many pushes logic took, how many targets were nowhere, how many inboxes it
# is in and how many devices acknowledged it.
LOGIC = {"accepted", "unrouted", "kept", "acknowledged"}


@pytest.fixture(scope="module")
def two_comets():
    from cluster import Cluster
    rooms = {"logic": "{group: {history: {messages: 50, age: 1h}}}"}
    with Cluster(2, 1, 1, rooms=rooms) as cluster:
        yield cluster


@pytest.fixture
def place(two_comets):
    yield two_comets
    two_comets.close_clients()


@pytest.fixture
def api(place):
    return Api(place.backend())


class Looks:
    """Every look at a report adds up, however early."""

    def __init__(self, api, push_id):
        self.api, self.target, self.counts = api, f"/v1/pushes/{push_id}", {}

    def look(self):
        status, reply = self.api.call("GET", self.target)
        if status == 404:
            return {}
        assert status == 200, reply
        self.counts = reply["counts"]
        names = set(self.counts)
        assert names <= PARTS | LOGIC | {"matched"}, names
        parts = sum(v for k, v in self.counts.items() if k in PARTS)
        assert self.counts.get("matched", 0) == parts, self.counts
        return self.counts

    def until(self, **wanted):
        """sent: those that were written at once, and those that wait in an outbox."""
        def told():
            counts = self.look()
            seen = dict(counts, sent=counts.get("sent", 0) + counts.get("queued", 0))
            return all(seen.get(k, 0) == v for k, v in wanted.items())
        try:
            wait_until(told, 10, f"{wanted}")
        except AssertionError:
            raise AssertionError(f"{wanted} wanted, {self.counts} told") from None
        return self.counts


@pytest.mark.parametrize("room", ["live://sum", "group://sum"])
def test_a_room_push_is_counted_at_everybody(place, api, room):
    """Both versions, both transports, both comets; with and without a timeline."""
    clients = [two(place, via, comet) for via in ("tcp", "ws") for comet in (0, 1)]
    for i, client in enumerate(clients):
        client.connect(100 + i, [room], platform="tv" if i == 1 else "web")
    ones = [place.client(via, i).auth(mid=110 + i, room=room)
            for i, via in enumerate(("tcp", "ws"))]
    looks = Looks(api, api.push(room=room, report=True, exclude_mids=[100],
                                exclude_platforms=["tv"])["id"])
    for client in clients[2:]:
        client.take(PUSH)
    for one in ones:
        one.push()
    counts = looks.until(matched=6, sent=4, excluded=2, accepted=1)
    assert counts.get("unrouted", 0) == 0


def test_users_who_are_away_and_keys_that_are_nowhere_are_unrouted(place, api):
    phone, laptop = two(place, "tcp", 0), two(place, "ws", 1)
    phone.connect(120, key="phone")
    laptop.connect(120, key="laptop")
    looks = Looks(api, api.push(mids=[120, 121], report=True)["id"])
    for client in (phone, laptop):
        client.take(PUSH)
    looks.until(matched=2, sent=2, unrouted=0)  # somebody is there
    Looks(api, api.push(mids=[121, 122], report=True)["id"]).until(matched=0, unrouted=2)
    looks = Looks(api, api.push(keys=["laptop", "nowhere"], report=True)["id"])
    laptop.take(PUSH)
    looks.until(matched=1, sent=1, unrouted=1)


def test_a_kept_push_is_counted_where_its_user_is(place, api):
    client = two(place)
    client.connect(130)
    looks = Looks(api, api.push(mids=[130, 131], keep=True, report=True)["id"])
    assert client.take(PUSH).seq == 1
    looks.until(matched=1, sent=1)
    assert [p["body"] for p in api.history(mid=131)["pushes"]] == ["hi"]


def test_operations_nobody_wants_are_filtered(place, api):
    client = two(place)
    client.connect(140, key="deaf", accepts=[1000])
    looks = Looks(api, api.push(keys=["deaf"], op=1007, report=True)["id"])
    looks.until(matched=1, filtered=1)
    client.nothing(0.2)


def test_what_comes_too_late_has_expired(own_cluster):
    cluster = own_cluster(1, 1, 1)
    api = Api(cluster.backend())
    client = two(cluster)
    client.connect(150, ["live://late"])
    cluster.jobs[0].pause()
    try:
        late = Looks(api, api.push(room="live://late", ttl_ms=1, report=True)["id"])
        good = Looks(api, api.push(room="live://late", body="good", report=True)["id"])
    finally:
        cluster.jobs[0].resume()
    assert client.take(PUSH, timeout=20).body == b"good"
    late.until(matched=1, expired=1)
    good.until(matched=1, sent=1)


def test_a_client_that_does_not_read_is_a_counted_reason(place, api):
    room = "live://stuck"
    slow = place.client("tcp", receive_buffer=4096).auth(mid=160, room=room)
    quick = two(place, "tcp", 1)
    quick.connect(161, [room])
    for i in range(41):  # 12 MB: more than every buffer between
        push_id = api.push(room=room, body="x" * 300_000, report=i == 40)["id"]
        if i < 40:
            quick.take(PUSH)
    looks = Looks(api, push_id)
    quick.take(PUSH)
    looks.until(matched=2, sent=1, dropped_slow=1)
    slow.close()


def test_no_report_is_kept_of_what_did_not_ask(place, api):
    client = two(place)
    client.connect(170, ["live://silent"])
    push_id = api.push(room="live://silent")["id"]
    client.take(PUSH)
    other = Looks(api, api.push(room="live://silent", report=True)["id"])
    other.until(matched=1, sent=1)
    assert api.call("GET", f"/v1/pushes/{push_id}")[0] == 404
