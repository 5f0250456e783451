"""A goim client in plain sockets, TCP and WebSocket, written from the protocol text alone.

It shares no code with the servers and believes nothing: header lengths, versions, sequence numbers,
frame bits and the op-9 envelope are checked on everything that arrives.  A violation raises
Violation, which fails the test that reads it.
"""
import base64
import hashlib
import json
import os
import select
import socket
import struct
import threading
import time
from collections import deque, namedtuple

# Time limits are multiplied by this; a build with a sanitizer needs it (scripts/test.sh).
SLOW = float(os.environ.get("ENCKE_TEST_SLOW", "1"))

HEARTBEAT, HEARTBEAT_REPLY, AUTH, AUTH_REPLY, RAW = 2, 3, 7, 8, 9
CHANGE_ROOM, SUB, UNSUB = 12, 14, 16
HEADER = struct.Struct(">ihhii")

Package = namedtuple("Package", "ver op seq body")


class Violation(AssertionError):
    """The server broke the protocol."""


class Closed(Exception):
    """The connection is gone."""


def encode(op, seq, body=b"", ver=1, pack_len=None, header_len=16):
    length = HEADER.size + len(body) if pack_len is None else pack_len
    return HEADER.pack(length, header_len, ver, op, seq) + body


def check(truth, what):
    if not truth:
        raise Violation(what)


def take_package(data):
    """(Package, rest) or None while more bytes are needed."""
    if len(data) < HEADER.size:
        return None
    length, header, ver, op, seq = HEADER.unpack_from(data)
    check(header == 16, f"header length {header}")
    check(16 <= length <= 4 << 20, f"package length {length}")
    if len(data) < length:
        return None
    return Package(ver, op, seq, bytes(data[16:length])), data[length:]


class Client:
    """What both transports share.  Requests wait for their reply; pushes on the way are kept."""

    def __init__(self, port, host="127.0.0.1", receive_buffer=None, tls=None, name="localhost"):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(10 * SLOW)
        self.sock.connect((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.waiting = lambda: 0  # bytes that were read from the socket but not handed out yet
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=name)
            self.waiting = self.sock.pending
        self.seq = 0
        self.data = b""
        self.replies = deque()
        self.pushes = deque()
        self.pushed_at = deque()

    # -- sending ----------------------------------------------------------------------------------
    def next_seq(self):
        self.seq += 1
        return self.seq

    def send(self, op, body=b"", ver=1, seq=None):
        seq = self.next_seq() if seq is None else seq
        self.send_raw(encode(op, seq, body, ver))
        return seq

    def send_raw(self, package):
        self.sock.sendall(self.packed(package))

    def packed(self, package):
        """The bytes that carry it."""
        raise NotImplementedError

    # -- receiving --------------------------------------------------------------------------------
    def fill(self, timeout):
        """One read from the socket, sorted into replies and pushes; False when nothing came."""
        if not self.waiting() and not select.select([self.sock], [], [], max(timeout, 0))[0]:
            return False
        try:
            got = self.sock.recv(1 << 18)
        except ConnectionResetError:
            got = b""
        if not got:
            raise Closed()
        self.data += got
        self.sort()
        return True

    def sort(self):
        raise NotImplementedError

    def got_push(self, package):
        check(package.ver == 1, f"a push carries version {package.ver}")
        check(package.seq == 0, f"a push carries sequence {package.seq}")
        self.pushes.append(package)
        self.pushed_at.append(time.monotonic())

    def await_one(self, queue, timeout, what):
        until = time.monotonic() + timeout * SLOW
        while not queue:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no {what} within {timeout} s")
            self.fill(left)
        return queue.popleft()

    def reply(self, timeout=10):
        return self.await_one(self.replies, timeout, "reply")

    def push(self, timeout=10):
        package = self.await_one(self.pushes, timeout, "push")
        self.pushed_at.popleft()
        return package

    def push_bodies(self, count, timeout=20):
        until = time.monotonic() + timeout
        return [self.push(until - time.monotonic()).body for _ in range(count)]

    def no_push(self, seconds):
        """Nothing may come for that long."""
        until = time.monotonic() + seconds
        while not self.pushes and (left := until - time.monotonic()) > 0:
            self.fill(left)
        check(not self.pushes, f"pushes that should not be here: {list(self.pushes)[:3]}")

    def no_replies(self, seconds):
        """None may come for that long."""
        until = time.monotonic() + seconds
        while not self.replies and (left := until - time.monotonic()) > 0:
            self.fill(left)
        check(not self.replies, f"replies to nothing: {list(self.replies)[:3]}")

    def gone(self, timeout=10):
        """Waits for the server to close; answers the replies that came before."""
        until = time.monotonic() + timeout * SLOW
        try:
            while time.monotonic() < until:
                self.fill(until - time.monotonic())
        except Closed:
            return list(self.replies)
        raise Violation(f"the server did not close within {timeout} s")

    # -- conversations ----------------------------------------------------------------------------
    def request(self, op, body=b"", ver=1, timeout=10):
        seq = self.send(op, body, ver)
        reply = self.reply(timeout)
        check(reply.seq == seq, f"reply to {seq} carries sequence {reply.seq}")
        check(reply.ver == ver, f"reply to version {ver} carries version {reply.ver}")
        return reply

    def auth(self, mid=0, key="", room="", accepts=(1000,), **more):
        token = {"mid": mid, "key": key, "room_id": room, "platform": "test",
                 "accepts": list(accepts), **more}
        return self.auth_with(json.dumps(token).encode())

    def auth_with(self, body):
        reply = self.request(AUTH, body)
        check(reply.op == AUTH_REPLY, f"auth answered with op {reply.op}")
        check(reply.body == b"", f"the auth reply has a body: {reply.body}")
        return self

    def change_room(self, room):
        reply = self.request(CHANGE_ROOM, room.encode())
        check(reply.op == 13 and reply.body == room.encode(), f"change room answered {reply}")

    def heartbeat(self):
        """The online count."""
        reply = self.request(HEARTBEAT)
        check(reply.op == HEARTBEAT_REPLY and len(reply.body) == 4, f"heartbeat answered {reply}")
        return struct.unpack(">i", reply.body)[0]

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class TcpClient(Client):
    transport = "tcp"

    def packed(self, package):
        return package

    def sort(self):
        """Pushes carry sequence 0; this client never sends it, except where a test says so."""
        while (taken := take_package(self.data)) is not None:
            package, self.data = taken
            check(package.op != RAW or package.seq != 0, "TCP got an op-9 envelope")
            if package.seq == 0:
                self.got_push(package)
            else:
                self.replies.append(package)


class WsClient(Client):
    transport = "ws"
    GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    def __init__(self, port, host="127.0.0.1", path="/sub", headers=(), upgrade=True, **options):
        super().__init__(port, host, **options)
        self.close_code = None
        self.pongs = deque()
        self.envelopes = 0
        if upgrade:
            self.upgrade(host, port, path, headers)

    def upgrade(self, host, port, path, headers):
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket",
                 "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {key.decode()}", *headers]
        self.sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        while b"\r\n\r\n" not in self.data:
            got = self.sock.recv(4096)
            if not got:
                raise Closed()
            self.data += got
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        self.answer = head.decode().split("\r\n")
        check(self.answer[0] == "HTTP/1.1 101 Switching Protocols", self.answer[0])
        accept = base64.b64encode(hashlib.sha1(key + self.GUID).digest()).decode()
        check(f"Sec-WebSocket-Accept: {accept}" in self.answer, f"wrong accept: {self.answer}")

    def send_frame(self, payload, **bits):
        self.sock.sendall(self.frame(payload, **bits))

    def frame(self, payload, opcode=2, fin=True, masked=True, rsv=0):
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        bit = 0x80 if masked else 0
        if len(payload) < 126:
            head += bytes([bit | len(payload)])
        elif len(payload) < 65536:
            head += struct.pack(">BH", bit | 126, len(payload))
        else:
            head += struct.pack(">BQ", bit | 127, len(payload))
        if masked:
            mask = os.urandom(4)
            head += mask
            payload = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        return head + payload

    def packed(self, package):
        return self.frame(package)

    def sort(self):
        while (frame := self.take_frame()) is not None:
            opcode, payload = frame
            if opcode == 2:
                self.on_message(payload)
            elif opcode == 8:
                self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
            elif opcode == 10:
                self.pongs.append(payload)
            else:
                raise Violation(f"a frame with opcode {opcode}")

    def take_frame(self):
        data = self.data
        if len(data) < 2:
            return None
        check(data[0] & 0xF0 == 0x80, f"FIN unset or RSV bits set: {data[0]:#x}")
        check(not data[1] & 0x80, "a server frame is masked")
        size, at = data[1] & 0x7F, 2
        if size == 126:
            if len(data) < 4:
                return None
            size, at = struct.unpack_from(">H", data, 2)[0], 4
        elif size == 127:
            if len(data) < 10:
                return None
            size, at = struct.unpack_from(">Q", data, 2)[0], 10
        if len(data) < at + size:
            return None
        self.data = data[at + size:]
        return data[0] & 0x0F, data[at:at + size]

    def on_message(self, payload):
        """One outer package per frame, nothing around it; pushes only inside op 9."""
        taken = take_package(payload)
        check(taken is not None and taken[1] == b"", f"a frame is not one package: {payload[:64]}")
        outer = taken[0]
        if outer.op != RAW or outer.seq != 0:  # op 9 with a sequence: our own op 9, echoed
            check(outer.seq != 0, f"a bare package that is no reply: {outer}")
            self.replies.append(outer)
            return
        check(outer.ver == 1, f"the envelope carries version {outer.ver}")
        self.envelopes += 1
        rest = outer.body
        check(rest != b"", "an empty envelope")
        while rest:
            taken = take_package(rest)
            check(taken is not None, f"a cut inner package: {rest[:64]}")
            package, rest = taken
            self.got_push(package)


CLIENTS = {"tcp": TcpClient, "ws": WsClient}


class Collector:
    """Reads one client on a thread of its own until told to stop; keeps (when, op, body)."""

    def __init__(self, client):
        self.client = client
        self.got = []
        self.error = None
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stopping:
                self.client.fill(0.1)
                while self.client.pushes:
                    push = self.client.pushes.popleft()
                    self.got.append((self.client.pushed_at.popleft(), push.op, push.body))
        except Closed:
            pass
        except Exception as error:  # shown by stop()
            self.error = error

    def bodies(self):
        return [body for _, _, body in list(self.got)]

    def wait_for(self, enough, timeout):
        until = time.monotonic() + timeout * SLOW
        while time.monotonic() < until and not enough(self):
            time.sleep(0.02)
        return enough(self)

    def stop(self):
        self.stopping = True
        self.thread.join(5)
        if self.error:
            raise self.error
        return self.got
