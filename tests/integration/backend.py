"""The backend's side: HTTP calls to logic, and reading a daemon's metrics."""
import http.client
import json
import re
import threading
from urllib.parse import urlencode

from goim_client import SLOW

OK = b'{"code":0,"message":""}'


class Http:
    """Keep-alive connections to one server, one per thread."""

    def __init__(self, port, host="127.0.0.1", timeout=10):
        self.host, self.port, self.timeout = host, port, timeout * SLOW
        self.local = threading.local()

    def call(self, method, target, body=None, headers=None):
        """(status, headers, body); a kept connection that was closed meanwhile is dialled again."""
        connection = getattr(self.local, "connection", None)
        if connection is not None:
            try:
                return self.ask(connection, method, target, body, headers)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                connection.close()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        self.local.connection = connection
        return self.ask(connection, method, target, body, headers)

    def ask(self, connection, method, target, body, headers):
        try:
            connection.request(method, target, body=body, headers=headers or {})
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()
        except OSError:
            connection.close()
            self.local.connection = None
            raise

    def get(self, target, **options):
        return self.call("GET", target, **options)

    def post(self, target, body=b"", **options):
        return self.call("POST", target, body=body, **options)

    def data(self, target):
        """The `data` of a GET that must succeed."""
        status, _, body = self.get(target)
        reply = json.loads(body)
        assert status == 200 and reply["code"] == 0, (target, status, body)
        return reply.get("data")


class Backend(Http):
    """Pushes that must be accepted."""

    def push(self, kind, body, **query):
        body = body.encode() if isinstance(body, str) else body
        status, _, reply = self.post(f"/goim/push/{kind}?{urlencode(query, doseq=True)}", body)
        assert (status, reply) == (200, OK), (kind, query, status, reply)

    def try_push(self, kind, body, **query):
        """True when accepted; False when refused or the server is away."""
        try:
            self.push(kind, body, **query)
            return True
        except (OSError, http.client.HTTPException, AssertionError):
            return False

    def room(self, room, body, operation=1000, type="live"):
        self.push("room", body, operation=operation, type=type, room=room)

    def mids(self, mids, body, operation=1000):
        self.push("mids", body, operation=operation, mids=mids)

    def keys(self, keys, body, operation=1000):
        self.push("keys", body, operation=operation, keys=keys)

    def everybody(self, body, operation=1000, speed=0):
        self.push("all", body, operation=operation, speed=speed)


SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+([-+0-9.eEinfNa]+)$")


def metrics(port):
    """{name with labels: value} of a daemon's admin door."""
    status, _, body = Http(port).get("/metrics")
    assert status == 200, (status, body)
    found = {}
    for line in body.decode().splitlines():
        sample = SAMPLE.match(line)
        if sample:
            name, labels, value = sample.groups()
            found[f"{name}{{{labels}}}" if labels else name] = float(value)
    return found


def metric(port, name):
    """The sum over all labels of one name; the name must exist."""
    values = [v for k, v in metrics(port).items() if k == name or k.startswith(name + "{")]
    assert values, f"no metric {name} on port {port}"
    return sum(values)
