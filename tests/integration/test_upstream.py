"""What clients say reaches backends: by NATS and by the webhook, which may be down or slow."""
import subprocess
import sys
import tempfile

import pytest

from backend import metrics
from cluster import ROOT, wait_until
from hook import SECRET, Receiver, Subscriber
from native import HISTORY
from two_client import PUBLISH, PUSH, two

_made = tempfile.mkdtemp(prefix="encke-push-proto-")
subprocess.run(["protoc", f"-I{ROOT}", f"--python_out={_made}", "api/push.proto",
                "api/logic.proto"], check=True)
sys.path.insert(0, f"{_made}/api")
import logic_pb2  # noqa: E402
import push_pb2  # noqa: E402

GENEROUS = {"ENCKE_VERSION2_PUBLISH_RATE": "100000", "ENCKE_VERSION2_PUBLISH_BURST": "100000"}
ROOM = "group://up"


@pytest.fixture
def receiver():
    one = Receiver().start()
    yield one
    one.stop()


@pytest.fixture
def hooked(own_cluster, receiver, tmp_path):
    (tmp_path / "secret").write_text(SECRET + "\n")

    def make(**env):
        return own_cluster(1, 1, 1, env={
            **HISTORY, **GENEROUS, "ENCKE_WEBHOOK_URL": f"http://127.0.0.1:{receiver.port}/hook",
            "ENCKE_WEBHOOK_SECRET_FILE": str(tmp_path / "secret"), **env})
    return make


def result(cluster, name):
    found = metrics(cluster.logics[0].admin)
    return found[f'encke_logic_webhook_events_total{{result="{name}"}}']


def publish(client, body, **fields):
    reply = client.ask(PUBLISH, room=ROOM, op=1000, body=body, stored=True, **fields)
    assert not reply.HasField("error"), reply
    return reply


def test_upstream_a_publish_is_told_by_nats_and_by_the_webhook(hooked, receiver):
    cluster = hooked()
    listener = Subscriber(cluster.nats_port, "encke.upstream.>")
    client = two(cluster)
    client.connect(7, [ROOM, "live://up"])
    replies = [publish(client, b"%d" % i, client_id=f"c{i}") for i in range(20)]
    events = receiver.await_events(20)
    assert [e["body"] for e in events] == [str(i) for i in range(20)]
    for i, (event, reply) in enumerate(zip(events, replies)):
        assert event == {"type": "group", "room": ROOM, "from_mid": 7, "op": 1000, "body": str(i),
                         "id": reply.id, "client_id": f"c{i}", "time_us": reply.time_us,
                         "epoch": reply.epoch, "seq": reply.seq}
        subject, payload = listener.take()
        push = push_pb2.PushMsg.FromString(payload)
        assert (subject, push.id, push.msg, push.seq) == (
            "encke.upstream.group", reply.id, b"%d" % i, reply.seq)
    client.ask(PUBLISH, to_mid=8, op=1000, body=b"\xff", client_id="d", stored=True)
    event = receiver.await_events(21)[20]
    assert (event["type"], event["to_mid"], event["body_base64"]) == ("user", 8, "/w==")
    assert listener.take()[0] == "encke.upstream.user"
    listener.close()


def test_upstream_op_4_is_told_only_when_configured(hooked, receiver):
    cluster = hooked()
    client = cluster.client().auth(mid=9, room=ROOM, key="old")
    assert client.request(4, b"told nobody").op == 4
    speaker = two(cluster)
    speaker.connect(7, [ROOM])
    publish(speaker, b"behind it")
    assert [e["body"] for e in receiver.await_events(1)] == ["behind it"]
    cluster.stop()
    cluster = hooked(ENCKE_CLIENT_PUBLISH_RAW="true", ENCKE_WEBHOOK_TYPES="raw")
    listener = Subscriber(cluster.nats_port, "encke.upstream.raw")
    client = cluster.client().auth(mid=9, room=ROOM, key="old")
    reply = client.request(4, b"hello")
    assert (reply.op, reply.body) == (4, b"")
    event = receiver.await_events(2)[1]
    assert (event["type"], event["from_mid"], event["from_key"], event["room"], event["op"],
            event["body"]) == ("raw", 9, "old", ROOM, 4, "hello")
    package = logic_pb2.Upstream.FromString(listener.take()[1])
    assert (package.op, package.key, package.body) == (4, "old", b"hello")
    listener.close()


def test_upstream_a_webhook_that_is_down_holds_nobody_up(hooked, receiver):
    receiver.stop()
    cluster = hooked(ENCKE_WEBHOOK_BACKOFF_MAX="200ms")
    client, other = two(cluster), two(cluster, "ws")
    client.connect(7, [ROOM])
    other.connect(8, [ROOM])
    for i in range(50):
        publish(client, b"%d" % i)
    assert [p.body for p in other.take_pushes(50)] == [b"%d" % i for i in range(50)]
    failed = 'encke_logic_webhook_posts_total{result="failed"}'
    wait_until(lambda: metrics(cluster.logics[0].admin)[failed] >= 2, 10, "it is tried again")
    assert result(cluster, "delivered") == 0
    receiver.start()
    assert [e["body"] for e in receiver.await_events(50)] == [str(i) for i in range(50)]
    wait_until(lambda: result(cluster, "delivered") == 50, 10, "all delivered")
    assert len(receiver.events) == 50


def test_upstream_a_slow_webhook_costs_events_that_are_counted_and_nothing_else(hooked, receiver):
    cluster = hooked(ENCKE_WEBHOOK_EVENTS_MAX="10", ENCKE_WEBHOOK_TIMEOUT="1m")
    client, other = two(cluster), two(cluster)
    client.connect(7, [ROOM])
    other.connect(8, [ROOM])
    receiver.open.clear()
    publish(client, b"0")
    wait_until(lambda: receiver.posts, 10, "the first post is under way")
    for i in range(1, 31):
        publish(client, b"%d" % i)
    assert len(other.take_pushes(31)) == 31
    assert (result(cluster, "full"), result(cluster, "delivered")) == (20, 0)
    receiver.open.set()
    assert [e["body"] for e in receiver.await_events(11)] == [str(i) for i in range(11)]
    wait_until(lambda: result(cluster, "delivered") == 11, 10, "what fit is delivered")
    assert metrics(cluster.logics[0].admin)["encke_logic_webhook_waiting"] == 0


def test_upstream_a_webhook_that_says_no_is_not_asked_again(hooked, receiver):
    cluster = hooked(ENCKE_WEBHOOK_RETRY_FOR="0ms")
    client = two(cluster)
    client.connect(7, [ROOM])
    for status, name in ((410, "refused"), (302, "refused"), (503, "given_up")):
        receiver.status = status
        before, posts = result(cluster, name), len(receiver.posts)
        publish(client, b"x")
        wait_until(lambda: result(cluster, name) == before + 1, 10, f"{status} is {name}")
        assert len(receiver.posts) == posts + 1
    receiver.status = 200
    publish(client, b"y")
    assert [e["body"] for e in receiver.await_events(1)] == ["y"]


def test_upstream_a_stop_delivers_what_waits(hooked, receiver):
    cluster = hooked()
    client = two(cluster)
    client.connect(7, [ROOM])
    receiver.open.clear()
    for i in range(5):
        publish(client, b"%d" % i)
    assert client.take(PUSH).body == b"0"
    cluster.logics[0].child.terminate()
    receiver.open.set()
    assert cluster.logics[0].term() == 0
    assert [e["body"] for e in receiver.await_events(5)] == [str(i) for i in range(5)]
