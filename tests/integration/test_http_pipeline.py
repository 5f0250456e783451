"""Pipelined requests to logic: many under way on one connection, answered in order."""
import socket
import time
from contextlib import contextmanager

from backend import metric

ROOM = "room?operation=1000&type=live&room="


def post(target, body):
    return (f"POST /goim/push/{target} HTTP/1.1\r\nHost: x\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


@contextmanager
def dial(cluster):
    with socket.create_connection(("127.0.0.1", cluster.logics[0].http), timeout=10) as sock:
        yield sock


def answers(sock, count=None):
    """(status, body) of so many answers, or of all until the server closes."""
    got, data, until = [], b"", time.monotonic() + 20
    while count is None or len(got) < count:
        head, end, rest = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if end and len(rest) >= length:
            got.append((int(head.split()[1]), rest[:length]))
            data = rest[length:]
            continue
        more = sock.recv(65536)
        if not more:
            assert not data, data
            return got
        data += more
        assert time.monotonic() < until, got
    return got


def test_100_pipelined_pushes_are_answered_and_delivered_in_order(cluster, transport):
    member = cluster.client(transport, 0).auth(room=f"live://pipe{transport}")
    with dial(cluster) as sock:
        sock.sendall(b"".join(post(f"{ROOM}pipe{transport}", str(i)) for i in range(100)))
        got = answers(sock, 100)
    assert got == [(200, b'{"code":0,"message":""}')] * 100
    assert [int(body) for body in member.push_bodies(100)] == list(range(100))


def test_answers_keep_the_order_of_requests_of_all_kinds(cluster):
    """Mistakes, which are answered at once, stand between pushes, which wait for the log."""
    wanted, requests = [], []
    for i in range(60):
        target, status, body = [(f"{ROOM}mixed", 200, b'{"code":0,"message":""}'),
                                ("keys?operation=1000", 200, b'{"code":-400,"message":""}'),
                                ("nowhere", 404, b"404 page not found"),
                                (f"{ROOM}mixed", 200, b'{"code":0,"message":""}')][i % 4]
        wanted.append((status, body))
        requests.append(post(target, "x"))
    with dial(cluster) as sock:
        sock.sendall(b"".join(requests))
        assert answers(sock, 60) == wanted


def test_a_slow_route_before_a_fast_one(cluster):
    """A page of members is asked of the comets; the pushes behind it wait for its answer."""
    member = cluster.client("tcp", 0).auth(key="slowroute", room="live://slowroute")
    slow = b"GET /v1/rooms/live%3A%2F%2Fslowroute/members HTTP/1.1\r\nHost: x\r\n\r\n"
    with dial(cluster) as sock:
        sock.sendall((slow + post(f"{ROOM}slowroute", "x")) * 5)
        got = answers(sock, 10)
    assert [status for status, _ in got] == [200] * 10
    assert all(b"slowroute" in body for _, body in got[::2])
    assert all(body == b'{"code":0,"message":""}' for _, body in got[1::2])
    assert member.push_bodies(5) == [b"x"] * 5


def test_a_bad_request_in_the_middle_ends_the_connection_behind_the_answers(cluster):
    member = cluster.client("tcp", 0).auth(room="live://badmiddle")
    refused = metric(cluster.logics[0].admin, "encke_logic_http_refused_total")
    pushes = [post(f"{ROOM}badmiddle", str(i)) for i in range(100)]
    with dial(cluster) as sock:
        sock.sendall(b"".join(pushes[:50]) + b"rubbish\r\n\r\n" + b"".join(pushes[50:]))
        got = answers(sock)
    assert [status for status, _ in got] == [200] * 50 + [400]
    assert [int(body) for body in member.push_bodies(50)] == list(range(50))
    member.no_push(0.3)
    assert metric(cluster.logics[0].admin, "encke_logic_http_refused_total") == refused + 1


def test_a_client_that_shuts_its_half_gets_its_answers(cluster):
    member = cluster.client("tcp", 0).auth(room="live://halfclosed")
    with dial(cluster) as sock:
        sock.sendall(b"".join(post(f"{ROOM}halfclosed", str(i)) for i in range(100)))
        sock.shutdown(socket.SHUT_WR)
        assert [status for status, _ in answers(sock)] == [200] * 100
    assert [int(body) for body in member.push_bodies(100)] == list(range(100))


def test_a_client_that_leaves_with_answers_pending(cluster):
    member = cluster.client("tcp", 0).auth(room="live://leaver")
    for turn in range(5):
        with dial(cluster) as sock:
            sock.sendall(b"".join(post(f"{ROOM}leaver", f"{turn}") for i in range(20)))
        # What was read is accepted, what was not is gone with the connection.
    with dial(cluster) as sock:
        sock.sendall(post(f"{ROOM}leaver", "last"))
        assert answers(sock, 1)[0][0] == 200
    seen = []
    while not seen or seen[-1] != b"last":
        seen += member.push_bodies(1)
    assert all(seen.count(b"%d" % turn) <= 20 for turn in range(5))
