"""/v1: api/openapi.yaml against the server, every route, field and error."""
import json
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml

from native import HISTORY, JSON, PUSH, Api

ROOT = Path(__file__).resolve().parents[2]
SPEC = yaml.safe_load((ROOT / "api/openapi.yaml").read_text())


# What is known of each route: a call that is right.
GOOD = {
    ("post", "/v1/pushes"): ("/v1/pushes", PUSH),
    ("post", "/v1/pushes:batch"): ("/v1/pushes:batch", {"pushes": [PUSH]}),
    ("get", "/v1/pushes/{id}"): ("/v1/pushes/k-walked", None),
    ("get", "/v1/rooms/{room}/online"): ("/v1/rooms/live%3A%2F%2F1/online", None),
    ("get", "/v1/rooms/{room}/members"): ("/v1/rooms/live%3A%2F%2F1/members?limit=5", None),
    ("post", "/v1/rooms/join"): ("/v1/rooms/join", {"mids": [1], "room": "live://1"}),
    ("post", "/v1/rooms/leave"): ("/v1/rooms/leave", {"keys": ["k"], "room": "live://1"}),
    ("get", "/v1/users/{mid}"): ("/v1/users/5", None),
    ("post", "/v1/kick"): ("/v1/kick", {"keys": ["nobody"], "reason": "why"}),
    ("get", "/v1/history"): ("/v1/history?room=group%3A%2F%2Fwalk", None),
    ("delete", "/v1/history"): ("/v1/history?mid=99", None),
}


def resolve(schema):
    while "$ref" in schema:
        at = SPEC
        for step in schema["$ref"].removeprefix("#/").split("/"):
            at = at[step]
        schema = at
    return schema


def check(value, content, where):
    matches(value, content["application/json"]["schema"], where)


def matches(value, schema, where):
    """Types, required fields, and nothing that the description does not name."""
    schema = resolve(schema)
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
    assert isinstance(value, kinds[schema["type"]]), (where, value, schema)
    if schema["type"] == "array":
        for i, item in enumerate(value):
            matches(item, schema["items"], f"{where}[{i}]")
    if schema["type"] == "object" and ("properties" in schema or "additionalProperties" in schema):
        assert set(schema.get("required", [])) <= set(value), (where, value)
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            assert inner, (where, name, "is not described")
            matches(item, inner, f"{where}.{name}")


def operations():
    for path, methods in SPEC["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def wrong_values(schema):
    schema = resolve(schema)
    kind = schema["type"]
    if kind == "integer":
        yield from ("x", 1.5, True, [], 1 << 70)
        if "minimum" in schema:
            yield schema["minimum"] - 1
        if "maximum" in schema:
            yield schema["maximum"] + 1
    elif kind == "string":
        yield from (5, True, [], {})
        if "maxLength" in schema:
            yield "x" * (schema["maxLength"] + 1)
        if "pattern" in schema:
            yield from ("", "with blank", "ü")
        if schema.get("format") == "byte":
            yield from ("a", "a===", "ab=c", "????", "YWJ=YWJj")
    elif kind == "boolean":
        yield from ("true", 1, [])
    elif kind == "array":
        yield from ("x", {}, 5, [])
        item = resolve(schema["items"])
        if item["type"] == "object":
            return
        good = {"integer": 1, "string": "x"}[item["type"]]
        for wrong in wrong_values(item):
            yield [wrong]
        if item.get("minLength"):
            yield [""]
        yield [good] * (schema["maxItems"] + 1)


def body_schema(operation):
    content = operation.get("requestBody", {}).get("content", {})
    return resolve(content["application/json"]["schema"]) if content else None


def base_for(name, properties):
    """A right body in which `name` may stand."""
    target = {"speed": {"all": True}, "keep": {"mids": [1]}}.get(name, {"room": "live://1"})
    if name in ("keys", "mids", "room", "rooms", "all"):
        target = {}
    base = dict(target)
    if "op" in properties:
        base["op"] = 1000
    elif "reason" not in properties:  # join and leave
        base = {"room": "live://1", **({} if name in ("keys", "mids") else {"keys": ["k"]})}
    return base


def test_the_description_names_the_routes_there_are():
    source = (ROOT / "internal/native/api.cc").read_text()
    rows = set(re.findall(r'\{"([A-Z]+)", "([^"]+)", &NativeApi::', source))
    assert rows == {(method.upper(), path.removeprefix("/v1/"))
                    for method, path, _ in operations()}
    assert set(GOOD) == {(method, path) for method, path, _ in operations()}


@pytest.mark.parametrize("method,path", GOOD, ids=lambda x: x)
def test_a_right_call_is_answered_as_described(api, method, path):
    api.push(room="live://1", report=True, idempotency_key="walked")
    target, body = GOOD[method, path]
    operation = SPEC["paths"][path][method]
    reply = api.ok(method.upper(), target, body)
    check(reply, operation["responses"]["200"]["content"], path)


def test_every_field_that_is_wrong_is_named(api):
    seen = 0
    for method, path, operation in operations():
        schema = body_schema(operation)
        if schema is None:
            continue
        for name, inner in schema["properties"].items():
            for wrong in wrong_values(inner):
                body = {**base_for(name, schema["properties"]), name: wrong}
                assert api.fault(method.upper(), path, body) == name, (path, name, wrong)
                seen += 1
    assert seen > 150


def test_every_parameter_that_is_wrong_is_named(api):
    for method, path, operation in operations():
        for parameter in operation.get("parameters", []):
            if parameter["in"] != "query":
                continue
            name = parameter["name"]
            for wrong in wrong_values(parameter["schema"]):
                if not isinstance(wrong, (int, str)) or isinstance(wrong, bool):
                    continue
                if name == "after" and isinstance(wrong, int):
                    continue  # digits are text, too
                if resolve(parameter["schema"])["type"] == "string" and isinstance(wrong, int):
                    wrong = "nonsense"
                query = {name: wrong} if name in ("room", "mid") or "{room}" in path else {
                    "mid": 1, name: wrong}
                target = GOOD[method, path][0].split("?")[0]
                field = api.fault(method.upper(), f"{target}?{urlencode(query)}")
                assert field == name, (path, name, wrong)


def test_fields_of_a_batch_are_named_with_their_place(api):
    wrong = {"pushes": [PUSH, {**PUSH, "op": -1}]}
    assert api.fault("POST", "/v1/pushes:batch", wrong) == "pushes[1].op"
    assert api.fault("POST", "/v1/pushes:batch", {"pushes": [PUSH, 5]}) == "pushes[1]"
    assert api.fault("POST", "/v1/pushes:batch", {"pushes": [PUSH] * 1001}) == "pushes"
    assert api.fault("POST", "/v1/pushes:batch", {}) == "pushes"


@pytest.mark.parametrize("body,field", [
    ({"op": 1, "room": "live://1", "nonsense": 1}, "nonsense"),
    ({"op": 1}, ""),
    ({"room": "live://1"}, "op"),
    ({"op": 1, "room": "live://1", "keys": ["k"]}, "room"),
    ({"op": 1, "room": "live://1", "all": True}, "all"),
    ({"op": 1, "all": False}, "all"),
    ({"op": 1, "room": "live"}, "room"),
    ({"op": 1, "room": "user://5"}, "room"),
    ({"op": 1, "rooms": ["live://1", "x"]}, "rooms"),
    ({"op": 1, "room": "live://1", "keep": True}, "keep"),
    ({"op": 1, "room": "live://1", "speed": 5}, "speed"),
    ({"op": 1, "room": "live://1", "body": "a", "body_base64": "YQ=="}, "body_base64"),
    ({"op": 1, "keys": ["x" * 256] * 1025}, "keys"),
])
def test_what_does_not_go_together(api, body, field):
    assert api.fault("POST", "/v1/pushes", body) == field


def test_what_does_not_go_together_elsewhere(api):
    assert api.fault("POST", "/v1/kick", {"reason": "x"}) == ""
    assert api.fault("POST", "/v1/rooms/join", {"keys": ["k"]}) == "room"
    assert api.fault("POST", "/v1/rooms/leave", {"room": "live://1"}) == ""
    assert api.fault("GET", "/v1/history") == "room"
    assert api.fault("GET", "/v1/history?mid=5&room=group://1") == "room"
    assert api.fault("GET", "/v1/history?mid=5&after_seq=1&before_seq=9") == "after_seq"
    assert api.fault("GET", "/v1/history?mid=5&nonsense=1") == "nonsense"
    assert api.fault("GET", "/v1/users/x") == "mid"
    assert api.fault("GET", "/v1/users/0") == "mid"
    assert api.fault("GET", "/v1/rooms/nonsense/online") == "room"
    assert api.fault("GET", "/v1/rooms/nonsense/members") == "room"
    assert api.fault("GET", "/v1/rooms/live%3A%2F%2F1/members?nonsense=1") == "nonsense"
    assert api.fault("GET", "/v1/pushes/unknown", status=404) == "id"
    assert api.call("GET", "/v1/history?room=live://unkept")[0] == 404
    assert api.call("DELETE", "/v1/history?room=live://unkept")[0] == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b'{"op":1}x', b"\xff", b'{"a":"\xff"}'])
def test_a_body_that_is_no_object(api, body):
    for path in ("/v1/pushes", "/v1/pushes:batch", "/v1/kick", "/v1/rooms/join"):
        assert api.fault("POST", path, body, JSON) == ""


def test_json_goes_without_a_query(api):
    assert api.fault("POST", "/v1/pushes?op=1", json.dumps(PUSH).encode(), JSON) == ""


def test_paths_and_methods_that_are_not_there(api):
    for path in ("/v1/", "/v1/nothing", "/v1/pushes/", "/v1/pushes/a/b", "/v1/users/"):
        assert api.fault("GET", path, status=404) == ""
    for method, path in (("GET", "/v1/kick"), ("PUT", "/v1/pushes"), ("DELETE", "/v1/users/5")):
        status, headers, _ = api.http.call(method, path)
        assert status == 405 and headers["Allow"], (method, path)


def test_every_route_wants_a_key_when_there_are_keys(own_cluster):
    cluster = own_cluster(0, 1, 0, env={"ENCKE_API_KEYS": "s3cret"})
    api = Api(cluster.backend())
    for (method, path), (target, body) in GOOD.items():
        assert "401" in SPEC["paths"][path][method]["responses"]
        assert api.fault(method.upper(), target, body, status=401) == ""
        status, _ = api.call(method.upper(), target, body, {"X-API-Key": "s3cret"})
        assert status != 401, (method, path)
    assert api.ok("POST", "/v1/pushes", PUSH, {"Authorization": "Bearer s3cret"})


def test_every_route_says_when_it_may_be_tried_again(own_cluster):
    cluster = own_cluster(0, 1, 0, env=HISTORY)
    api = Api(cluster.backend())
    cluster.redis.kill()
    for (method, path), (target, body) in GOOD.items():
        if "503" not in SPEC["paths"][path][method]["responses"]:
            continue
        if path.endswith("/members"):  # asks no Redis: test_members.py
            continue
        if path == "/v1/pushes":
            body = {**body, "room": "group://1"}
        status, reply = api.call(method.upper(), target, body)
        assert status == 503 and reply["error"]["retry"] is True, (method, path, status, reply)
        check(reply, SPEC["components"]["responses"]["Failure"]["content"], path)
    batch = {"pushes": [PUSH, {**PUSH, "room": "group://1"}]}
    results = api.ok("POST", "/v1/pushes:batch", batch)["results"]
    assert "id" in results[0] and results[1]["error"]["retry"] is True
