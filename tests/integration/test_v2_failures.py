"""Version 2 while daemons die: what was accepted is received once and in order."""
from cluster import wait_until
from two_client import BEAT, JOIN, PUSH, SYNC, follow, pb, two

HISTORY = {"logic": "{group: {history: {messages: 1000, age: 1h}}}"}


def push_room(cluster, room, body, logic=0):
    kind, name = room.split("://")
    cluster.backend(logic).push("room", body, operation=1000, type=kind, room=name)


def test_v2_a_comet_dies_and_its_client_resumes_on_another(own_cluster):
    cluster = own_cluster(2, 1, 1, rooms=HISTORY)
    room = "group://comet"
    client = two(cluster)
    reply = client.connect(1, [room])
    for i in range(20):
        push_room(cluster, room, f"{i}")
    got = follow(client, reply, room, 20)
    epoch = next(head.epoch for head in client.ask(BEAT).heads if head.room == room)
    cluster.comets[0].kill()
    for i in range(20, 40):
        push_room(cluster, room, f"{i}")
    again = two(cluster, "ws", 1)
    again.connect(1, cursors=[(room, epoch, 20)])
    sync = again.take(29)
    got += [p.body for p in sync.pushes]
    for i in range(sync.through, 45):
        push_room(cluster, room, f"{i}")
    got += [p.body for p in again.take_beyond(sync.through, 45 - sync.through)]
    assert got == [b"%d" % i for i in range(45)]


def test_v2_a_logic_dies_and_questions_go_to_another(own_cluster):
    cluster = own_cluster(1, 2, 1, rooms=HISTORY)
    room = "group://logic"
    client = two(cluster)
    client.connect(2, [room])
    push_room(cluster, room, "0")
    epoch = client.take(PUSH).epoch
    for logic in cluster.logics:
        logic.kill()
        other = cluster.logics[1 - cluster.logics.index(logic)]
        sync = client.ask(SYNC, room=room, epoch=epoch, after=0, _timeout=20)
        assert [p.body for p in sync.pushes] == [b"0"], sync
        assert not client.ask(JOIN, rooms=[pb.Cursor(room="live://x")]).rooms[0].HasField("error")
        logic.start()
        logic.await_ready()
        other.await_ready()


def test_v2_redis_comes_back_empty_and_clients_reload(own_cluster):
    cluster = own_cluster(1, 1, 1, rooms=HISTORY)
    room = "group://redis"
    client = two(cluster)
    client.connect(3, [room])
    for i in range(5):
        push_room(cluster, room, f"{i}")
    epoch = client.take_pushes(5)[-1].epoch
    cluster.redis.wipe()
    cluster.redis.start()

    def pushed():
        kind, name = room.split("://")
        status, _, _ = cluster.backend().post(
            f"/goim/push/room?operation=1000&type={kind}&room={name}", b"after")
        return status == 200
    wait_until(pushed, 20, "a push is accepted again")
    push = client.take(PUSH, timeout=20)
    assert push.body == b"after" and push.epoch != epoch and push.seq >= 1
    sync = client.ask(SYNC, room=room, epoch=epoch, after=5)
    assert sync.reload and sync.epoch == push.epoch
    again = client.ask(SYNC, room=room, epoch=sync.epoch, after=sync.through)
    assert again.pushes[0].body == b"after" and not again.reload


def test_v2_a_room_that_was_empty_lost_all_that_was_said_meanwhile(own_cluster):
    """Who joined before the first push must be told as well that its epoch is gone."""
    cluster = own_cluster(1, 1, 1, rooms=HISTORY)
    rooms = ["group://silent", "group://lost", "group://kept"]
    client = two(cluster)
    places = {joined.room: (joined.epoch, joined.seq)
              for joined in client.connect(4, rooms).rooms}
    assert all(epoch > 0 and seq == 0 for epoch, seq in places.values()), places
    client.close()
    for i in range(3):
        push_room(cluster, "group://lost", f"{i}")

    def come_back():
        again = two(cluster)
        reply = again.connect(4, cursors=[(room, *places[room]) for room in rooms])
        return again, {joined.room: joined for joined in reply.rooms}
    again, joined = come_back()
    assert joined["group://lost"].syncing and not joined["group://silent"].syncing, joined
    sync = again.take(29)
    assert [p.body for p in sync.pushes] == [b"0", b"1", b"2"] and not sync.reload, sync
    again.close()

    cluster.redis.wipe()
    cluster.redis.start()

    def pushed():
        status, _, _ = cluster.backend().post(
            "/goim/push/room?operation=1000&type=group&room=kept", b"after")
        return status == 200
    wait_until(pushed, 20, "a push is accepted again")
    again, joined = come_back()
    assert all(head.syncing for head in joined.values()), joined
    syncs = {sync.room: sync for sync in (again.take(29) for _ in rooms)}
    for room in rooms:
        assert syncs[room].reload and syncs[room].epoch > places[room][0], syncs[room]
    assert syncs["group://kept"].more and not syncs["group://lost"].pushes


def test_v2_sigterm_says_why_and_when_to_come_back(own_cluster):
    cluster = own_cluster(2, 1, 1)
    clients = [two(cluster, via) for via in ("tcp", "ws")]
    for mid, client in enumerate(clients):
        client.connect(mid + 10)
    assert cluster.comets[0].term() == 0
    for client in clients:
        close = client.take(34)
        assert (close.code, close.name, close.may_return) == (1001, "shutdown", True)
    assert clients[1].close_code == 1001
