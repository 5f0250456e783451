"""Clients of a chaos run: version 1 over TCP and WebSocket, version 2 over WebSocket.

usage: crowd.py SPEC OUT       SPEC: JSON [{"id", "mid", "kind", "ports", "rooms"}, ...]

One process, one selector, lines as in crowd.cc.  kind: v1tcp, v1ws or v2ws.  Each dials one of its
ports, another one after a failure.  Ends when standard input ends.
"""
import base64
import errno
import json
import os
import random
import selectors
import socket
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
import two_client as two  # noqa: E402
from follower import Follower  # noqa: E402
from goim_client import HEADER, encode  # noqa: E402

HOST = "127.0.0.1"
BEAT_SECONDS, SILENCE_SECONDS, ANSWER_SECONDS, BACKOFF_MAX = 4, 12, 4, 2.0
MASK_OF_ZEROS = b"\0\0\0\0"


def frame(payload):
    """A WebSocket frame whose mask changes nothing."""
    if len(payload) < 126:
        return bytes([0x82, 0x80 | len(payload)]) + MASK_OF_ZEROS + payload
    return struct.pack(">BBH", 0x82, 0xFE, len(payload)) + MASK_OF_ZEROS + payload


def packages(data):
    """(op, seq, body) of each whole package, and what is left."""
    found, at = [], 0
    while len(data) - at >= HEADER.size:
        length, _, _, op, seq = HEADER.unpack_from(data, at)
        if len(data) - at < length:
            break
        found.append((op, seq, data[at + 16:at + length]))
        at += length
    return found, data[at:]


def messages(data):
    """(opcode, payload) of each whole WebSocket frame of a server, and what is left."""
    found, at = [], 0
    while len(data) - at >= 2:
        size, head = data[at + 1] & 0x7F, 2
        if size == 126 and len(data) - at >= 4:
            size, head = struct.unpack_from(">H", data, at + 2)[0], 4
        elif size == 127 and len(data) - at >= 10:
            size, head = struct.unpack_from(">Q", data, at + 2)[0], 10
        elif size >= 126:
            break
        if len(data) - at < head + size:
            break
        found.append((data[at] & 0x0F, data[at + head:at + head + size]))
        at += head + size
    return found, data[at:]


class Peer:
    """One client, whatever it speaks."""

    websocket = False

    def __init__(self, crowd, spec):
        self.crowd, self.id, self.mid = crowd, spec["id"], spec["mid"]
        self.ports, self.rooms = spec["ports"], spec["rooms"]
        self.sock, self.state = None, "down"
        self.turn, self.failures, self.dial_at = 0, 0, 0
        self.seq = 0

    def line(self, words):
        self.crowd.out.write(f"{time.monotonic_ns() // 1000} {self.id} {words}\n")

    # -- connection -------------------------------------------------------------------------------
    def dial(self, now):
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.state, self.data, self.since, self.heard_at = "dialling", b"", now, now
        error = self.sock.connect_ex((HOST, self.ports[self.turn % len(self.ports)]))
        self.turn += 1
        self.crowd.selector.register(self.sock, selectors.EVENT_WRITE, self)
        if error not in (0, errno.EINPROGRESS):
            self.drop("cannot dial")

    def drop(self, why):
        if self.sock is None:
            return
        self.crowd.selector.unregister(self.sock)
        self.sock.close()
        self.sock = None
        if self.state == "up":
            self.line(f"D {why}")
            self.failures = 0
            self.on_down()
        self.state = "down"
        self.failures += 1
        bound = min(0.2 * 2 ** self.failures, BACKOFF_MAX)
        self.dial_at = time.monotonic() + random.uniform(0, bound)

    def on_ready(self):
        if self.state == "dialling":
            if self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return self.drop("cannot dial")
            self.crowd.selector.modify(self.sock, selectors.EVENT_READ, self)
            return self.upgrade() if self.websocket else self.greet()
        try:
            got = self.sock.recv(1 << 18)
        except BlockingIOError:
            return None
        except OSError as error:
            return self.drop(error.strerror)
        if not got:
            return self.drop("closed")
        self.heard_at = time.monotonic()
        self.data += got
        return self.sort()

    def write(self, data):
        try:
            sent = self.sock.send(data)
        except OSError as error:
            return self.drop(error.strerror)
        if sent < len(data):
            self.drop("the server does not read")
        return None

    def send(self, op, body, version):
        self.seq += 1
        package = encode(op, self.seq, body, version)
        self.write(frame(package) if self.websocket else package)

    def upgrade(self):
        self.state = "upgrading"
        key = base64.b64encode(os.urandom(16)).decode()
        self.write(f"GET /sub HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\n"
                   f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   f"Sec-WebSocket-Key: {key}\r\n\r\n".encode())

    def upgraded(self):
        """True when the handshake is done."""
        if self.state != "upgrading":
            return True
        head, end, rest = self.data.partition(b"\r\n\r\n")
        if not end:
            return False
        if b" 101 " not in head.split(b"\r\n")[0]:
            self.drop("no upgrade")
            return False
        self.data = rest
        self.greet()
        return self.sock is not None

    def sort(self):
        if not self.websocket:
            found, self.data = packages(self.data)
            self.take(found)
            return
        if not self.upgraded():
            return
        found, self.data = messages(self.data)
        for opcode, payload in found:
            if opcode == 2:
                self.take(packages(payload)[0])

    def take(self, found):
        for package in found:
            if self.sock is not None:
                self.on_package(*package)

    def came_up(self):
        self.state, self.failures = "up", 0
        self.line("U")

    def tick(self, now):
        if self.sock is None:
            if now >= self.dial_at:
                self.dial(now)
        elif self.state != "up":
            if now - self.since > ANSWER_SECONDS:
                self.drop("no answer in time")
        elif now - self.heard_at > SILENCE_SECONDS:
            self.drop("silence")
        elif now - self.since > BEAT_SECONDS:
            self.since = now
            self.beat()

    def on_down(self):
        pass

    def token(self, room):
        return json.dumps({"mid": self.mid, "key": f"k{self.mid}", "room_id": room,
                           "platform": "chaos", "accepts": [1000]}).encode()


class One(Peer):
    """Version 1: one room, whatever comes."""

    def greet(self):
        self.state = "greeting"
        self.send(7, self.token(self.rooms[0]), 1)

    def beat(self):
        self.send(2, b"", 1)

    def on_package(self, op, seq, body):
        if op == 9 and seq == 0:
            self.take(packages(body)[0])
        elif seq == 0 and op == 1000:
            self.line(f"P - 0 0 {body.decode()}")
        elif op == 8:
            self.came_up()


class OneWs(One):
    websocket = True


class TwoWs(Peer):
    """Version 2 with a Follower per timeline."""

    websocket = True

    def __init__(self, crowd, spec):
        super().__init__(crowd, spec)
        self.inbox = f"user://{self.mid}"
        self.followers = {}
        self.acknowledged = 0

    def say(self, op, **fields):
        if self.sock is not None:
            self.send(op, two.MESSAGES[op](**fields).SerializeToString(), 2)

    def follower(self, room):
        if room not in self.followers:
            self.followers[room] = Follower(room, self.deliver,
                                            lambda name: self.line(f"R {name}"))
        return self.followers[room]

    def cursor(self, room):
        known = self.followers.get(room)
        return two.pb.Cursor(room=room, epoch=known.epoch if known else 0,
                             seq=known.seq if known else 0)

    def greet(self):
        self.state = "greeting"
        more = {"inbox": self.cursor(self.inbox)} if self.inbox in self.followers else {}
        self.say(two.CONNECT, token=self.token(""), device=f"d{self.mid}", platform="chaos",
                 accepts=[1000], rooms=[self.cursor(room) for room in self.rooms], **more)

    def beat(self):
        inbox = self.followers.get(self.inbox)
        if inbox and inbox.seq:
            self.say(two.ACK, epoch=inbox.epoch, seq=inbox.seq)
        self.say(two.BEAT)

    def deliver(self, push):
        self.line(f"P {push.room or '-'} {push.epoch} {push.seq} {push.body.decode()}")

    def on_joined(self, joined):
        if joined.HasField("error"):
            return
        if joined.known:
            self.line(f"J {joined.room} {joined.epoch} {joined.seq}")
        self.follower(joined.room).on_joined(joined)

    def on_package(self, op, _, body):
        message = two.MESSAGES[op]()
        message.ParseFromString(body)
        if op == two.PUSH:
            if message.seq == 0:
                self.deliver(message)
            else:
                room = self.follower(message.room)
                room.on_push(message.epoch, message.seq, message)
        elif op == 19:
            self.came_up()
            for joined in [message.inbox, *message.rooms]:
                if joined.kept or joined.room != self.inbox:
                    self.on_joined(joined)
        elif op == 29 and message.room in self.followers:
            self.followers[message.room].on_sync(message)
        elif op == 31:
            for head in message.heads:
                if head.room in self.followers:
                    self.followers[head.room].on_head(head.epoch, head.seq)
        elif op == two.GAP:
            self.on_gap(message)
        elif op == two.CLOSE:
            return self.drop(f"{message.name}: {message.text}")
        for room, follower in self.followers.items():
            if follower.wanted and self.state == "up":
                follower.wanted = False
                self.say(two.SYNC, room=room, epoch=follower.epoch, after=follower.seq)
        return None

    def on_gap(self, gap):
        gap_from = getattr(gap, "from")
        if gap_from == 0:
            self.line(f"L {gap.room or '-'} {gap.lost}")
        elif gap.room in self.followers:
            self.followers[gap.room].on_gap(gap.epoch, gap_from, gap.to, gap.reason == 3)

    def on_down(self):
        for follower in self.followers.values():
            follower.on_down()


KINDS = {"v1tcp": One, "v1ws": OneWs, "v2ws": TwoWs}


class Crowd:
    def __init__(self, specs, out):
        self.out = out
        self.selector = selectors.DefaultSelector()
        self.peers = [KINDS[spec["kind"]](self, spec) for spec in specs]

    def run(self):
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        tick_at = 0
        while True:
            for key, _ in self.selector.select(0.05):
                if key.fileobj is sys.stdin:
                    if not os.read(0, 4096):
                        return
                elif key.data.sock is key.fileobj:
                    key.data.on_ready()
            now = time.monotonic()
            if now >= tick_at:
                tick_at = now + 0.05
                for peer in self.peers:
                    peer.tick(now)
                self.out.flush()


def main():
    random.seed(1)
    specs = json.loads(Path(sys.argv[1]).read_text())
    with open(sys.argv[2], "w", encoding="ascii") as out:
        Crowd(specs, out).run()


if __name__ == "__main__":
    main()
