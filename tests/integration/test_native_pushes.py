"""/v1: what pushes do, and what is kept of them."""
import base64
import time
from urllib.parse import quote

import pytest

from native import HISTORY, PUSH, Api


def test_pushes_arrive_whatever_their_target(native, api):
    client = native.client().auth(mid=501, key="nk", room="live://native")
    api.push(room="live://native", body="room")
    api.push(rooms=["live://native", "live://other"], body="rooms")
    api.push(mids=[501], body="mids")
    api.push(keys=["nk", "nowhere"], body="keys")
    coded = base64.b64encode(b"\x00\xff").decode()
    api.ok("POST", "/v1/pushes", {"op": 1000, "all": True, "body_base64": coded})
    # Order holds per room and per user, not between them.
    wanted = [b"\x00\xff", b"keys", b"mids", b"room", b"rooms"]
    assert sorted(client.push_bodies(5)) == wanted
    assert api.push(keys=["nk", "nowhere"])["unrouted"] == 1


def test_raw_bodies_with_a_query(native, api):
    client = native.client().auth(mid=502, room="live://raw")
    raw = {"Content-Type": "application/octet-stream"}
    for query in ("room=live://raw&op=1000", "mids=502&mids=503&op=1000&keep=true",
                  "all=true&op=1000&ttl_ms=60000"):
        api.ok("POST", "/v1/pushes?" + query, b"\xfe raw", raw)
    assert client.push_bodies(3) == [b"\xfe raw"] * 3
    assert api.fault("POST", "/v1/pushes?room=live://raw&op=x", b"", raw) == "op"
    assert api.fault("POST", "/v1/pushes?room=live://raw&op=1&wrong=1", b"", raw) == "wrong"
    kept = api.history(mid=503)["pushes"][0]
    assert base64.b64decode(kept["body_base64"]) == b"\xfe raw"


def test_a_batch_keeps_its_order(native, api):
    client = native.client().auth(mid=504, room="group://batch")
    pushes = [{**PUSH, "room": "group://batch", "body": str(i)} for i in range(100)]
    results = api.ok("POST", "/v1/pushes:batch", {"pushes": pushes})["results"]
    assert [r["timelines"][0]["seq"] for r in results] == list(range(1, 101))
    assert client.push_bodies(100) == [b"%d" % i for i in range(100)]


def test_history_pages_both_ways(native, api):
    backend = native.backend()
    for i in range(1, 31):
        backend.room("pages", b"%d" % i, type="group")  # goim's pushes are kept, too
    def numbers(**query):
        page = api.history(room="group://pages", **query)
        return [push["seq"] for push in page["pushes"]], page["more"]
    assert numbers(after_seq=0, limit=3) == ([1, 2, 3], True)
    assert numbers(after_seq=28) == ([29, 30], False)
    assert numbers(before_seq=4) == ([3, 2, 1], False)
    assert numbers(limit=2) == ([30, 29], True)
    page = api.history(room="group://pages", after_seq=9, limit=1)["pushes"][0]
    assert (page["body"], page["op"]) == ("10", 1000)
    middle = api.history(room="group://pages", after_seq=14, limit=1)["pushes"][0]["time_ms"]
    later, _ = numbers(after_time=middle)
    earlier, _ = numbers(before_time=middle)
    assert later == sorted(later) and earlier == sorted(earlier, reverse=True)
    assert sorted(later + earlier) == list(range(1, 31)) and 15 in later
    api.ok("DELETE", "/v1/history?room=group://pages&before_seq=21")
    assert numbers(after_seq=0)[0] == list(range(21, 31))
    api.ok("DELETE", "/v1/history?room=group://pages")
    assert numbers(after_seq=0) == ([], False)
    backend.room("pages", b"31", type="group")
    assert numbers(after_seq=0)[0] == [31]


def test_the_hot_timeline_is_bounded(api):
    for _ in range(130):
        api.push(room="group://bound")
    page = api.history(room="group://bound", after_seq=0, limit=1000)
    assert (page["oldest"], page["newest"], len(page["pushes"])) == (31, 130, 100)


def test_kept_pushes_wait_in_the_inbox(native, api):
    reply = api.push(mids=[601, 602], body="offline", keep=True)
    assert {t["timeline"] for t in reply["timelines"]} == {"user://601", "user://602"}
    api.push(mids=[601], body="not kept")
    assert [p["body"] for p in api.history(mid=601)["pushes"]] == ["offline"]
    client = native.client().auth(mid=601)
    api.push(mids=[601], body="online", keep=True)
    assert client.push().body == b"online"
    assert [p["body"] for p in api.history(mid=601, after_seq=0)["pushes"]] == ["offline", "online"]


@pytest.mark.parametrize("room", ["group://once", "live://once"])
def test_an_idempotency_key_is_stored_once(native, api, room):
    client = native.client().auth(mid=603, room=room)
    key = "order-" + room[:4]
    first = api.push(room=room, idempotency_key=key)
    again = api.push(room=room, idempotency_key=key)
    assert again["id"] == first["id"] and again["timelines"] == first["timelines"]
    assert again["duplicate"] == room.startswith("group")
    api.push(room=room, body="last")
    assert client.push_bodies(2) == [b"hi", b"last"]


def test_users_and_rooms_are_found(native, api):
    client = native.client().auth(mid=604, key="find-me", room="live://found/ü")
    assert api.ok("GET", "/v1/users/604") == {
        "mid": 604, "online": True, "connections": [{"key": "find-me", "comet": "comet"}]}
    assert api.ok("GET", "/v1/users/605")["online"] is False
    path = f"/v1/rooms/{quote('live://found/ü', safe='')}/online"
    deadline = time.monotonic() + 10
    while api.ok("GET", path)["online"] != 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    client.close()


def test_a_report_is_there_at_once(api):
    pushed = api.push(keys=["nowhere1", "nowhere2"], report=True)
    counts = api.ok("GET", "/v1/pushes/" + pushed["id"])["counts"]
    assert counts["accepted"] == 1 and counts["unrouted"] == 2


def test_a_repeat_after_redis_lost_everything_begins_a_new_epoch(own_cluster):
    cluster = own_cluster(0, 1, 0, env=HISTORY)
    api = Api(cluster.backend())
    before = api.push(room="group://epoch")["timelines"][0]
    cluster.redis.kill()
    for file in (cluster.folder / "redis.data").rglob("*"):
        if file.is_file():
            file.unlink()
    cluster.redis.start()
    deadline = time.monotonic() + 20
    while True:
        status, reply = api.call("POST", "/v1/pushes", {**PUSH, "room": "group://epoch"})
        if status == 200:
            break
        assert status == 503 and time.monotonic() < deadline
    after = reply["timelines"][0]
    assert after["epoch"] > before["epoch"] and after["seq"] == 1
