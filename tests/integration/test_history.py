"""Durable history: what Redis has no longer is read from NATS."""
import time
from urllib.parse import quote

import pytest

from cluster import Cluster, wait_until
from native import HISTORY, Api

DURABLE = {**HISTORY,
           "ENCKE_ROOMS_GROUP_HISTORY_DURABLE_AGE": "8d",
           "ENCKE_ROOMS_GROUP_HISTORY_DURABLE_BYTES": "100m",
           "ENCKE_INBOX_MESSAGES": "10",
           "ENCKE_INBOX_DURABLE_AGE": "30d",
           "ENCKE_INBOX_DURABLE_BYTES": "100m"}
ROOM = "group://päges/" + "x" * 40


@pytest.fixture(scope="module")
def durable():
    cluster = Cluster(0, 1, 0, DURABLE)
    try:
        cluster.start()
        say(Api(cluster.backend()), ROOM, 450)
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def api(durable):
    return Api(durable.backend())


def say(api, room, count):
    pushes = [{"room": room, "op": 1000, "body": str(i)} for i in range(1, count + 1)]
    reply = api.ok("POST", "/v1/pushes:batch", {"pushes": pushes})
    assert all("id" in result for result in reply["results"])


def numbers(api, room=ROOM, **query):
    page = api.history(room=room, **query)
    got = [push["seq"] for push in page["pushes"]]
    assert [push["body"] for push in page["pushes"]] == [str(n) for n in got]
    return got, page["more"]


def test_back_from_the_newest_to_the_first(api):
    assert api.history(room=ROOM)["oldest"] == 351
    seen, before, more = [], {}, True
    while more:
        got, more = numbers(api, limit=70, **before)
        seen += got
        before = {"before_seq": got[-1]}
    assert seen == list(range(450, 0, -1))


def test_forward_from_the_first_to_the_newest(api):
    seen, after, more = [], 0, True
    while more:
        got, more = numbers(api, limit=70, after_seq=after)
        seen += got
        after = got[-1]
    assert seen == list(range(1, 451))


@pytest.mark.parametrize("query,wanted", [
    ({"after_seq": 98, "limit": 4}, [99, 100, 101, 102]),
    ({"before_seq": 202, "limit": 4}, [201, 200, 199, 198]),
    ({"before_seq": 2}, [1]),
    ({"before_seq": 1}, []),
    ({"after_seq": 449}, [450]),
    ({"after_seq": 450}, []),
    ({"before_seq": 353, "limit": 4}, [352, 351, 350, 349]),
    ({"after_seq": 348, "limit": 2}, [349, 350]),
])
def test_borders(api, query, wanted):
    assert numbers(api, **query)[0] == wanted


def test_times_in_the_archive(api):
    # The batch was accepted within a moment; what matters is that every number is on one side.
    when = api.history(room=ROOM, after_seq=119, limit=1)["pushes"][0]["time_ms"]
    later, before = [], []
    got, more = numbers(api, after_time=when, limit=1000)
    later += got
    while more:
        got, more = numbers(api, after_seq=got[-1], limit=1000)
        later += got
    got, more = numbers(api, before_time=when, limit=1000)
    before += got
    while more:
        got, more = numbers(api, before_seq=got[-1], limit=1000)
        before += got
    assert sorted(later + before) == list(range(1, 451))
    assert 120 in later
    assert numbers(api, before_time=1000) == ([], False)
    assert numbers(api, after_time=1, limit=2)[0] == [1, 2]
    assert numbers(api, after_time=int(time.time() * 1000) + 60_000)[0] == []


def test_an_inbox_is_durable_too(api):
    for i in range(1, 31):
        api.push(mids=[77], body=str(i), keep=True)
    page = api.history(mid=77, after_seq=0, limit=1000)
    seen = [push["seq"] for push in page["pushes"]]
    assert seen[:20] == list(range(1, 21)) and page["more"]
    assert [p["seq"] for p in api.history(mid=77, limit=1000)["pushes"]] == list(range(30, 0, -1))


def test_a_purge_reaches_the_archive(api):
    room = "group://purged"
    say(api, room, 250)
    api.ok("DELETE", f"/v1/history?room={room}&before_seq=131")
    assert numbers(api, room, limit=1000)[0] == list(range(250, 130, -1))
    assert numbers(api, room, after_seq=0, limit=1)[0] == [131]
    api.ok("DELETE", f"/v1/history?room={room}")
    assert numbers(api, room) == ([], False)
    assert numbers(api, room, after_seq=0) == ([], False)


def test_an_archive_that_is_away_is_said(own_cluster):
    cluster = own_cluster(0, 1, 0, env=DURABLE)
    api = Api(cluster.backend())
    say(api, ROOM, 120)
    cluster.nats.kill()
    status, reply = api.call("GET", f"/v1/history?room={quote(ROOM)}&after_seq=0")
    assert status == 503 and reply["error"]["retry"] is True
    assert numbers(api, after_seq=118)[0] == [119, 120]


def test_redis_forgets_and_history_does_not(own_cluster):
    cluster = own_cluster(0, 1, 0, env=DURABLE)
    api = Api(cluster.backend())
    say(api, ROOM, 120)
    old = api.history(room=ROOM)["epoch"]
    cluster.redis.kill()
    for file in (cluster.folder / "redis.data").rglob("*"):
        if file.is_file():
            file.unlink()
    cluster.redis.start()
    deadline = time.monotonic() + 20
    while api.call("GET", "/v1/users/1")[0] != 200:
        assert time.monotonic() < deadline
    assert numbers(api, limit=1000)[0] == list(range(120, 0, -1))
    assert numbers(api, after_seq=118)[0] == [119, 120]
    say(api, ROOM, 3)
    assert numbers(api, after_seq=0) == ([1, 2, 3], False)
    assert api.history(room=ROOM)["epoch"] > old
    assert numbers(api, epoch=old, limit=2) == ([120, 119], True)


def test_nats_comes_back_empty_and_history_begins_anew(own_cluster):
    cluster = own_cluster(0, 1, 0, env=DURABLE)
    api = Api(cluster.backend())
    say(api, ROOM, 120)
    cluster.nats.wipe()
    cluster.nats.start()
    wait_until(lambda: api.call("POST", "/v1/pushes", {"room": ROOM, "op": 1, "body": "121"})[0]
               == 200, 20, "pushes are accepted again")
    newest = api.history(room=ROOM)["newest"]
    assert numbers_only(api, after_seq=newest - 2, limit=1000)[-1] == newest
    # What was in Redis is there; what was older is gone with NATS' data.
    assert numbers_only(api, limit=1000) == list(range(newest, newest - 100, -1))


def test_redis_starts_again_and_history_goes_on(own_cluster):
    cluster = own_cluster(0, 1, 0, env=DURABLE)
    api = Api(cluster.backend())
    say(api, ROOM, 150)
    epochs = {api.history(room=ROOM)["epoch"]}
    for count in (151, 152):
        cluster.redis.term()
        cluster.redis.start()
        wait_until(lambda: api.call("GET", "/v1/users/1")[0] == 200, 20, "redis is back")
        api.push(room=ROOM, body=str(count))
        epochs.add(api.history(room=ROOM)["epoch"])
    assert len(epochs) == 3
    assert numbers(api, limit=1000)[0] == list(range(152, 0, -1))
    when = api.history(room=ROOM, after_seq=20, limit=1)["pushes"][0]["time_ms"]
    assert 21 in numbers(api, after_time=when, limit=1000)[0]
    api.ok("DELETE", f"/v1/history?room={quote(ROOM)}&before_seq=31")
    assert numbers(api, limit=1000)[0] == list(range(152, 30, -1))


def numbers_only(api, **query):
    return [push["seq"] for push in api.history(room=ROOM, **query)["pushes"]]
