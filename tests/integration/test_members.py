"""GET /v1/rooms/{room}/members: who is in a room, in pages by key."""
from urllib.parse import quote

import pytest

from cluster import wait_until
from native import Api
from two_client import LEAVE, two


@pytest.fixture
def api(cluster):
    return Api(cluster.backend())


def page(api, room, **query):
    text = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
    return api.ok("GET", f"/v1/rooms/{quote(room, safe='')}/members?{text}")


def everybody(api, room, limit):
    found, after = [], None
    while True:
        one = page(api, room, limit=limit, **({"after": after} if after is not None else {}))
        assert len(one["members"]) == limit or not one["more"]
        found += one["members"]
        if not one["more"]:
            return found
        after = found[-1]["key"]


def test_members_of_both_versions_on_all_comets(cluster, api):
    room = "live://members"
    wanted = {}
    for i in range(10):
        transport, comet = ("tcp", "ws")[i % 2], i // 2 % 2
        name = cluster.comets[comet].name
        cluster.client(transport, comet).auth(mid=100 + i, room=room, key=f"one-{i}")
        wanted[f"one-{i}"] = (100 + i, name)
        two(cluster, transport, comet).connect(200 + i, [room, "live://other"], key=f"two-{i}")
        wanted[f"two-{i}"] = (200 + i, name)
    for limit in (1, 7, 20, 1000):
        found = everybody(api, room, limit)
        assert [m["key"] for m in found] == sorted(wanted)
        assert {m["key"]: (m["mid"], m["comet"]) for m in found} == wanted
    assert len(page(api, "live://other")["members"]) == 10
    assert page(api, room, after="one-8", limit=2) == {
        "room": room, "more": True, "members": [
            {"key": key, "mid": wanted[key][0], "comet": wanted[key][1]}
            for key in ("one-9", "two-0")]}
    assert page(api, room, after="two-9") == {"room": room, "members": [], "more": False}
    assert page(api, "live://nobody") == {"room": "live://nobody", "members": [], "more": False}


def test_members_who_leave_are_gone_at_once(cluster, api):
    room = "live://leaving"
    stays, leaves = two(cluster), two(cluster, "ws", 1)
    stays.connect(301, [room], key="stays")
    leaves.connect(302, [room], key="leaves")
    closes = cluster.client("tcp", 1).auth(mid=303, room=room, key="closes")
    assert [m["key"] for m in page(api, room)["members"]] == ["closes", "leaves", "stays"]
    leaves.ask(LEAVE, rooms=[room])
    assert [m["key"] for m in page(api, room)["members"]] == ["closes", "stays"]
    closes.close()
    wait_until(lambda: [m["key"] for m in page(api, room)["members"]] == ["stays"], 5, "closed")


def test_members_of_a_large_room(cluster, api):
    """More than a shard looks at in one go would be slow to make; the unit test has that."""
    room = "live://large"
    for i in range(300):
        cluster.client("tcp", i % 2).auth(mid=1000 + i, room=room, key=f"k{i:03}")
    found = everybody(api, room, 64)
    assert [m["key"] for m in found] == [f"k{i:03}" for i in range(300)]
    assert {m["comet"] for m in found} == {comet.name for comet in cluster.comets}


def test_members_are_not_told_by_half(own_cluster):
    cluster = own_cluster(2, 1, 1)
    api = Api(cluster.backend())
    cluster.client("tcp", 0).auth(mid=1, room="live://1", key="a")
    cluster.client("tcp", 1).auth(mid=2, room="live://1", key="b")
    assert len(page(api, "live://1")["members"]) == 2
    cluster.comets[1].pause()
    status, reply = api.call("GET", "/v1/rooms/live%3A%2F%2F1/members")
    assert status == 503 and reply["error"]["retry"] is True
    assert "comet-2" in reply["error"]["message"]
    cluster.comets[1].resume()
    wait_until(lambda: api.call("GET", "/v1/rooms/live%3A%2F%2F1/members")[0] == 200, 10, "back")
    cluster.comets[1].kill()
    wait_until(lambda: api.call("GET", "/v1/rooms/live%3A%2F%2F1/members")[0] == 200, 20,
               "the dead one is not asked any more")
    assert [m["key"] for m in page(api, "live://1")["members"]] == ["a"]
