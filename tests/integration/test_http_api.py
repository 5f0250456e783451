"""The HTTP API of logic as goim's backends know it, byte for byte."""
import json
import socket
import time

import pytest

from backend import OK, Http
from cluster import wait_until

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


def content_type(headers):
    return {k.lower(): v for k, v in headers.items()}["content-type"]


@pytest.mark.parametrize("target", [
    "push/keys?operation=1000&keys=a&keys=b", "push/keys?keys=a", "push/keys?operation=&keys=a",
    "push/mids?operation=1000&mids=1&mids=2", "push/mids?operation=1000",
    "push/mids?operation=1000&mids=", "push/room?operation=1000&type=live&room=1",
    "push/room?operation=-5&type=a&room=b&unknown=1", "push/all?operation=1000",
    "push/all?operation=1000&speed=10", "push/all?operation=1000&speed=",
    "push/room?operation=1000&operation=x&type=live&room=1",  # given twice: the first counts
])
def test_s12_07_push_answers(backend, target):
    status, headers, body = backend.post(f"/goim/{target}", b"message")
    assert (status, body) == (200, OK) and len(body) == 23
    assert content_type(headers) == JSON


def test_s12_07_keys_without_any_key(backend):
    status, headers, body = backend.post("/goim/push/keys?operation=1000", b"message")
    assert (status, body) == (200, b'{"code":-400,"message":""}')
    assert content_type(headers) == JSON


@pytest.mark.parametrize("target, message", [
    ("push/mids?operation=1000&mids=1,2", 'strconv.ParseInt: parsing "1,2": invalid syntax'),
    ("push/mids?operation=abc&mids=1", 'strconv.ParseInt: parsing "abc": invalid syntax'),
    ("push/mids?operation=1000&mids=1&mids=abc", 'strconv.ParseInt: parsing "abc": invalid syntax'),
    ("push/keys?operation=99999999999&keys=a",
     'strconv.ParseInt: parsing "99999999999": value out of range'),
    ("push/room?type=live&room=1",
     "Key: 'Op' Error:Field validation for 'Op' failed on the 'required' tag"),
    ("push/room?operation=0&type=live&room=1",
     "Key: 'Op' Error:Field validation for 'Op' failed on the 'required' tag"),
    ("push/room?operation=1000&room=1",
     "Key: 'Type' Error:Field validation for 'Type' failed on the 'required' tag"),
    ("push/room?operation=1000&type=&room=",
     "Key: 'Type' Error:Field validation for 'Type' failed on the 'required' tag\n"
     "Key: 'Room' Error:Field validation for 'Room' failed on the 'required' tag"),
    ("push/all", "Key: 'Op' Error:Field validation for 'Op' failed on the "
     "'required' tag"),
    ("push/all?operation=1000&speed=1.5", 'strconv.ParseInt: parsing "1.5": invalid syntax'),
])
def test_s12_07_binding_errors_of_pushes(backend, target, message):
    check_binding_error(*backend.post(f"/goim/{target}", b"message"), message)


@pytest.mark.parametrize("target, message", [
    ("online/top?type=live",
     "Key: 'Limit' Error:Field validation for 'Limit' failed on the 'required' tag"),
    ("online/top?limit=1",
     "Key: 'Type' Error:Field validation for 'Type' failed on the 'required' tag"),
    ("online/top?type=live&limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
    ("online/room?rooms=1",
     "Key: 'Type' Error:Field validation for 'Type' failed on the 'required' tag"),
    ("online/room?type=live",
     "Key: 'Rooms' Error:Field validation for 'Rooms' failed on the 'required' tag"),
])
def test_s12_07_binding_errors_of_queries(backend, target, message):
    check_binding_error(*backend.get(f"/goim/{target}"), message)


def check_binding_error(status, headers, body, message):
    assert status == 400
    assert content_type(headers) == TEXT
    assert json.loads(body) == {"code": -400, "message": message}
    assert body.startswith(b'{"code":-400,"message":"')


@pytest.mark.parametrize("method, path", [
    ("GET", "/"), ("GET", "/goim"), ("GET", "/goim/push/room?operation=1&type=a&room=b"),
    ("PUT", "/goim/push/all?operation=1"), ("DELETE", "/goim/online/total"),
    ("POST", "/goim/online/total"), ("POST", "/goim/push/mids=5"), ("GET", "/goim/Online/total"),
    ("POST", "/goim/push/unknown"),
])
def test_s12_07_everything_else_is_404(backend, method, path):
    status, headers, body = backend.call(method, path)
    assert (status, body) == (404, b"404 page not found")
    assert content_type(headers).startswith("text/plain")


def test_s12_07_head_on_a_push_is_404(backend):
    assert backend.call("HEAD", "/goim/push/all?operation=1")[0] == 404


@pytest.mark.parametrize("method, status", [("POST", 307), ("GET", 301)])
def test_s12_07_trailing_slash_redirects(backend, method, status):
    path = "/goim/push/all" if method == "POST" else "/goim/online/total"
    got, headers, _ = backend.call(method, path + "/?operation=1000")
    assert got == status
    assert {k.lower(): v for k, v in headers.items()}["location"].startswith(path)


def test_s12_07_body_is_raw_whatever_its_type(cluster, backend, transport):
    client = cluster.client(transport).auth(room=f"live://raw{transport}")
    bodies = [b'{"json":1}', b"a=1&b=%20", bytes(range(256)), "текст".encode()]
    types = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", ""]
    for body, kind in zip(bodies, types):
        reply = backend.post(f"/goim/push/room?operation=1000&type=live&room=raw{transport}", body,
                             headers={"Content-Type": kind})
        assert reply[2] == OK
    assert client.push_bodies(4) == bodies


def test_s12_07_lists_are_repeated_never_split(cluster, backend):
    comma = cluster.client().auth(key="k1,k2")
    first = cluster.client().auth(key="k1")
    backend.keys("k1,k2", "one key with a comma")
    assert comma.push().body == b"one key with a comma"
    first.no_push(0.1)


def test_s12_07_a_key_under_two_mids_gets_one(cluster, backend, transport):
    key = f"twomids{transport}"
    old = cluster.client(transport, 0).auth(mid=60001, key=key)
    new = cluster.client(transport, 1).auth(mid=60002, key=key)  # both connections live, as in goim
    backend.mids([60001, 60002], "once")
    assert new.push().body == b"once"
    new.no_push(0.2)
    old.no_push(0.1)


def test_s12_07_duplicate_keys_are_kept(cluster, backend):
    client = cluster.client().auth(key="twice")
    backend.keys(["twice", "twice"], "x")
    assert client.push_bodies(2) == [b"x", b"x"]


def test_s12_07_online_room_shape(cluster, backend):
    cluster.client().auth(room="shape://b")
    wait_until(lambda: backend.get("/goim/online/room?type=shape&rooms=c&rooms=b&rooms=a&rooms=1,2")
               [2] == b'{"code":0,"message":"","data":{"1,2":0,"a":0,"b":1,"c":0}}', 10,
               "sorted, with zeros")


def test_s12_07_online_top_shape_and_prefix(cluster, backend):
    cluster.client().auth(room="prefixed://one")
    want = b'{"code":0,"message":"","data":[{"room_id":"one","count":1}]}'
    wait_until(lambda: backend.get("/goim/online/top?type=prefi&limit=5")[2] == want, 10, "the top")
    assert (backend.get("/goim/online/top?type=nothing-like-it&limit=5")[2]
            == b'{"code":0,"message":"","data":[]}')


def test_s12_07_online_total_shape(backend):
    status, headers, body = backend.get("/goim/online/total")
    data = json.loads(body)["data"]
    assert status == 200 and content_type(headers) == JSON
    assert body == b'{"code":0,"message":"","data":{"conn_count":%d,"ip_count":%d}}' % (
        data["conn_count"], data["ip_count"])


def test_keep_alive_carries_many_requests(backend):
    for _ in range(50):
        backend.room("keepalive", "x")
    connection = backend.local.connection
    assert connection.sock is not None  # and the 50 went over it
    backend.room("keepalive", "x")
    assert backend.local.connection is connection


def test_pipelined_http_requests_are_answered_in_order(cluster):
    head = "POST /goim/push/{} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
    targets = ["room?operation=1000&type=live&room=p", "nowhere", "keys?operation=1000"] * 5
    with socket.create_connection(("127.0.0.1", cluster.logics[0].http), timeout=5) as sock:
        sock.sendall("".join(head.format(t) for t in targets).encode())
        data, until = b"", time.monotonic() + 10
        while data.count(b"HTTP/1.1 ") < 15 and time.monotonic() < until:
            data += sock.recv(65536)
    statuses = [part.split()[0] for part in data.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200"] * 5


def test_chunked_bodies_are_taken(cluster):
    with socket.create_connection(("127.0.0.1", cluster.logics[0].http), timeout=5) as sock:
        sock.sendall(b"POST /goim/push/all?operation=1000 HTTP/1.1\r\nHost: x\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
        assert sock.recv(65536).split()[1] == b"200"


def test_bodies_over_the_limit_are_refused(cluster):
    logic = Http(cluster.logics[0].http)
    try:
        status = logic.post("/goim/push/all?operation=1000", b"x" * (16 << 20))[0]
    except (BrokenPipeError, ConnectionResetError):
        status = 413  # it hung up on us while we were still sending
    assert status == 413


def test_demo_page_is_served(backend):
    for path, kind in [("/demo", "text/html"), ("/demo/demo.js", "text/javascript"),
                       ("/demo/talk.js", "text/javascript"),
                       ("/demo/encke.js", "text/javascript"),
                       ("/demo/v2.js", "text/javascript")]:
        status, headers, body = backend.get(path)
        assert status == 200 and body and content_type(headers).startswith(kind), path
