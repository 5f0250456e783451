"""The Push service (api/push_api.proto) against the server, and against HTTP's POST /v1/pushes."""
import base64
import json
import subprocess

import pytest

from cluster import BUILD, HOST, wait_until
from native import HISTORY, Api
from test_native_api import SPEC, base_for, body_schema, resolve, wrong_values

INVALID, NOT_FOUND, EXHAUSTED, UNAVAILABLE, NO_KEY = 3, 5, 8, 14, 16


class Caller:
    """tests/integration/push_call.cc, kept open: one line each way per call."""

    def __init__(self, logic, *metadata):
        self.child = subprocess.Popen(
            [BUILD / "tests/push_call", f"{HOST}:{logic.push_grpc}", *metadata],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, method, message):
        """(code, reply or message); bodies are text here."""
        def coded(push):
            if isinstance(push.get("body"), str):
                return {**push, "body": base64.b64encode(push["body"].encode()).decode()}
            return push
        if isinstance(message.get("pushes"), list):
            message = {"pushes": [coded(push) for push in message["pushes"]]}
        self.child.stdin.write(f"{method}\t{json.dumps(coded(message))}\n")
        self.child.stdin.flush()
        code, _, text = self.child.stdout.readline().rstrip("\n").partition("\t")
        return int(code), json.loads(text) if code == "0" else text

    def ok(self, method, **message):
        code, reply = self.call(method, message)
        assert code == 0, (method, message, code, reply)
        return reply

    def close(self):
        self.child.stdin.close()
        assert self.child.wait(20) == 0


def sayable(value, schema):
    """Of the field's type, so that a message can carry it; an empty list is no list there."""
    schema = resolve(schema)
    if schema["type"] == "array":
        return isinstance(value, list) and value and all(
            sayable(item, schema["items"]) for item in value)
    if schema["type"] == "integer":
        return type(value) is int and abs(value) < 1 << 31
    return schema["type"] == "string" and isinstance(value, str)


@pytest.fixture
def push(native):
    caller = Caller(native.logics[0])
    yield caller
    caller.close()


def test_grpc_a_push_to_a_room_arrives_and_has_its_number(native, push):
    client = native.client().auth(mid=1, room="group://grpc", key="grpc")
    reply = push.ok("Send", room="group://grpc", op=1000, body="hello")
    assert client.push_bodies(1) == [b"hello"]
    assert reply["timelines"][0]["timeline"] == "group://grpc"
    assert (reply["timelines"][0]["seq"], reply["duplicate"]) == ("1", False)
    again = [push.ok("Send", room="group://grpc", op=1000, body="once", idempotency_key="g-1")
             for _ in range(2)]
    assert [r["duplicate"] for r in again] == [False, True]
    assert again[0]["timelines"] == again[1]["timelines"]
    push.ok("Send", keys=["grpc"], op=1000, body="to a key")
    push.ok("Send", mids=["1"], op=1000, body="to a user")
    push.ok("Send", all=True, op=1000, body="to all")
    # Each target has its own order: a room, a comet's clients, everybody.
    assert sorted(client.push_bodies(4)) == [b"once", b"to a key", b"to a user", b"to all"]
    assert push.ok("Send", keys=["nobody"], op=1000)["unrouted"] == "1"


def test_grpc_a_batch_is_answered_in_its_order(native, push):
    client = native.client().auth(mid=2, room="live://grpc", key="batch")
    pushes = [{"room": "live://grpc", "op": 1000, "body": str(i)} for i in range(50)]
    results = push.ok("SendBatch", pushes=pushes)["results"]
    assert len({r["accepted"]["id"] for r in results}) == 50
    assert client.push_bodies(50) == [str(i).encode() for i in range(50)]
    for wrong, message in (([], "pushes: "), ([{"op": 1}], "pushes[0]: no target"),
                           ([pushes[0], {"room": "live://1"}], "pushes[1].op: is missing"),
                           ([{**pushes[0], "body": "x" * (512 * 1024 + 1)}],
                            "pushes[0].body: must not be longer than 524288 bytes"),
                           (pushes * 21, "pushes: must be a list of 1 to 1000 pushes")):
        code, text = push.call("SendBatch", {"pushes": wrong})
        assert code == INVALID and text.startswith(message), (code, text)


def test_grpc_a_report(native, push):
    client = native.client().auth(mid=3, room="live://told", key="told")
    id_of = push.ok("Send", room="live://told", op=1000, body="x", report=True)["id"]
    assert client.push_bodies(1) == [b"x"]

    def told():
        code, reply = push.call("GetReport", {"id": id_of})
        return code == 0 and reply["counts"].get("matched") == "1"
    wait_until(told, 10, "the comet told")
    assert push.call("GetReport", {"id": "unknown"})[0] == NOT_FOUND
    assert push.call("GetReport", {}) == (INVALID, "id: is missing")


def test_grpc_whatever_http_refuses_is_refused_in_the_same_words(api, push):
    """Every wrong value of every field of the description that the messages can carry."""
    properties = body_schema(SPEC["paths"]["/v1/pushes"]["post"])["properties"]
    compared = set()
    for name, schema in properties.items():
        for wrong in wrong_values(schema):
            message = {**base_for(name, properties), name: wrong}
            if name == "body_base64" or not sayable(wrong, schema):
                continue
            error = api.call("POST", "/v1/pushes", message)[1]["error"]
            assert push.call("Send", message) == (
                INVALID, f"{error['field']}: {error['message']}"), message
            compared.add(name)
    assert compared == set(properties) - {"all", "keep", "report", "body", "body_base64"}
    for message in ({"op": 1}, {"op": 1, "room": "user://5"}, {"room": "live://1"},
                    {"op": 1, "room": "live://1", "keys": ["k"]}, {"op": 1, "all": False},
                    {"op": 1, "room": "live://1", "keep": True}):
        error = api.call("POST", "/v1/pushes", message)[1]["error"]
        text = f"{error['field']}: {error['message']}".removeprefix(": ")
        assert push.call("Send", message) == (INVALID, text), message


def test_grpc_a_body_has_its_limit(push):
    body = "x" * (512 * 1024)
    push.ok("Send", room="live://1", op=1000, body=body)
    code, text = push.call("Send", {"room": "live://1", "op": 1000, "body": body + "x"})
    assert (code, text) == (INVALID, "body: must not be longer than 524288 bytes")
    assert push.call("Send", {"room": "live://1", "op": 1000, "body": body * 4})[0] == EXHAUSTED
    push.ok("Send", room="live://1", op=1000, body="the next one passes")


def test_grpc_wants_a_key_and_says_when_to_try_again(own_cluster):
    cluster = own_cluster(0, 1, 0, env={**HISTORY, "ENCKE_API_KEYS": "s3cret"})
    message = {"room": "group://1", "op": 1000, "body": "x"}
    for metadata, code in (([], NO_KEY), (["x-api-key=wrong"], NO_KEY),
                           (["x-api-key=s3cret"], 0), (["authorization=Bearer s3cret"], 0)):
        caller = Caller(cluster.logics[0], *metadata)
        assert caller.call("Send", message)[0] == code, metadata
        assert caller.call("SendBatch", {"pushes": [message]})[0] == code
        assert caller.call("GetReport", {"id": "x"})[0] == (code or NOT_FOUND)
        caller.close()
    cluster.redis.kill()
    caller = Caller(cluster.logics[0], "x-api-key=s3cret")
    http = Api(cluster.backend())
    code, text = caller.call("Send", message)
    status, reply = http.call("POST", "/v1/pushes", message, {"X-API-Key": "s3cret"})
    assert (code, status) == (UNAVAILABLE, 503), (text, reply)
    results = caller.ok("SendBatch", pushes=[{**message, "room": "live://1"}, message])["results"]
    assert "accepted" in results[0] and results[1]["failure"]["retry"] is True
    caller.close()
    assert cluster.logics[0].metric("encke_logic_push_grpc_under_way") == 0
    assert cluster.logics[0].metric("encke_logic_push_grpc_refused_total") == 10
