"""What a backend brings to hear its clients: an HTTP server, and a subscriber of NATS."""
import hashlib
import hmac
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cluster import HOST, free_port, wait_until

SECRET = "s3cret"


class Receiver:
    """Keeps events of posts whose signature is right; answers `status`, while `open` is set."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.events, self.posts, self.wrong = [], [], []
        self.status, self.open = 200, threading.Event()
        self.open.set()
        self.server = None

    def start(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                receiver.take(self)

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer((HOST, self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def take(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        signature = dict(part.split("=") for part in request.headers["Encke-Signature"].split(","))
        right = hmac.new(SECRET.encode(), signature["t"].encode() + b"." + body,
                         hashlib.sha256).hexdigest()
        good = (hmac.compare_digest(right, signature["v1"])
                and abs(time.time() - int(signature["t"])) < 60
                and request.headers["Content-Type"] == "application/json")
        self.posts.append(request.headers["Encke-Delivery"])
        self.open.wait(60)
        if not good:
            self.wrong.append(body)
        elif self.status == 200:
            self.events += json.loads(body)["events"]
        request.send_response(self.status)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def await_events(self, count, timeout=20):
        wait_until(lambda: len(self.events) >= count, timeout, f"{count} events")
        assert not self.wrong
        return self.events

    def stop(self):
        self.open.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


class Subscriber:
    """One subject of NATS, in its plain text protocol; messages as (subject, bytes)."""

    def __init__(self, port, subject):
        self.socket = socket.create_connection((HOST, port), timeout=10)
        self.data = b""
        self.line()
        self.socket.sendall(b'CONNECT {"verbose":false}\r\nSUB %s 1\r\nPING\r\n' % subject.encode())
        assert self.line() == b"PONG"

    def fill(self):
        got = self.socket.recv(65536)
        assert got, "NATS closed"
        self.data += got

    def line(self):
        while b"\r\n" not in self.data:
            self.fill()
        line, _, self.data = self.data.partition(b"\r\n")
        return line

    def take(self):
        while True:
            words = self.line().split()
            if words[0] == b"PING":
                self.socket.sendall(b"PONG\r\n")
            elif words[0] == b"MSG":
                break
        length = int(words[-1])
        while len(self.data) < length + 2:
            self.fill()
        body, self.data = self.data[:length], self.data[length + 2:]
        return words[1].decode(), body

    def close(self):
        self.socket.close()
