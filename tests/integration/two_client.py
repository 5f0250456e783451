"""A client of version 2 in plain sockets, written from api/client.md and api/client.proto alone.

It keeps whatever arrives, in order; a test takes what it looks for.  Header lengths, versions and
frames are checked on everything.
"""
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

from goim_client import HEADER, SLOW, TcpClient, WsClient, check, encode, take_package

ROOT = Path(__file__).resolve().parents[2]
_made = Path(tempfile.mkdtemp(prefix="encke-proto-"))
subprocess.run(["protoc", f"-I{ROOT / 'api'}", f"--python_out={_made}", "client.proto"], check=True)
sys.path.insert(0, str(_made))
import client_pb2 as pb  # noqa: E402

CONNECT, JOIN, LEAVE, PUBLISH, ACK, SYNC, BEAT = 18, 20, 22, 24, 26, 28, 30
PUSH, GAP, CLOSE = 32, 33, 34
MESSAGES = {18: pb.Connect, 19: pb.ConnectReply, 20: pb.Join, 21: pb.JoinReply, 22: pb.Leave,
            23: pb.LeaveReply, 24: pb.Publish, 25: pb.PublishReply, 26: pb.Ack, 27: pb.AckReply,
            28: pb.Sync, 29: pb.SyncReply, 30: pb.Beat, 31: pb.BeatReply, 32: pb.Push, 33: pb.Gap,
            34: pb.Close, 35: pb.Error}


class Two:
    """What both transports share; mixed into one of goim_client's."""

    def start(self):
        self.heard = deque()  # (op, seq, message), as they came
        return self

    def got(self, package):
        check(package.ver == 2, f"a package of version {package.ver}")
        message = MESSAGES[package.op]()
        message.ParseFromString(package.body)
        self.heard.append((package.op, package.seq, message))

    def say(self, what, /, _seq=None, **fields):
        seq = self.next_seq() if _seq is None else _seq
        self.send_raw(encode(what, seq, MESSAGES[what](**fields).SerializeToString(), ver=2))
        return seq

    def take(self, op, seq=None, timeout=10):
        """The first package of that operation; others stay."""
        until = time.monotonic() + timeout * SLOW
        while True:
            for i, (its_op, its_seq, message) in enumerate(self.heard):
                if its_op == op and seq in (None, its_seq):
                    del self.heard[i]
                    return message
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no operation {op} within {timeout} s: {self.heard}")
            self.fill(left)

    def ask(self, what, /, _timeout=10, **fields):
        return self.take(what + 1, self.say(what, **fields), _timeout)

    def connect(self, mid, rooms=(), cursors=(), key="", accepts=(1000,), device="d", **more):
        """rooms: names; cursors: (room, epoch, seq).  The reply."""
        token = {"mid": mid, "key": key, "room_id": "", "platform": "test",
                 "accepts": list(accepts)}
        wanted = [pb.Cursor(room=room) for room in rooms]
        wanted += [pb.Cursor(room=room, epoch=epoch, seq=seq) for room, epoch, seq in cursors]
        return self.ask(CONNECT, token=json.dumps(token).encode(), device=device, rooms=wanted,
                        **more)

    def take_pushes(self, count, timeout=20):
        return [self.take(PUSH, timeout=timeout) for _ in range(count)]

    def take_beyond(self, seq, count, timeout=20):
        """The next pushes of a timeline; what a sync brought already is a repeat."""
        got = []
        while len(got) < count:
            push = self.take(PUSH, timeout=timeout)
            if push.seq > seq:
                got.append(push)
        return got

    def nothing(self, seconds):
        """No push and no gap may come for that long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.fill(left)
        live = [entry for entry in self.heard if entry[0] in (PUSH, GAP)]
        check(not live, f"unexpected: {live[:3]}")


class TwoTcp(Two, TcpClient):
    def sort(self):
        while (taken := take_package(self.data)) is not None:
            package, self.data = taken
            self.got(package)


class TwoWs(Two, WsClient):
    def on_message(self, payload):
        """One or more whole packages."""
        check(len(payload) >= HEADER.size, "an empty message")
        while payload:
            taken = take_package(payload)
            check(taken is not None, f"a cut package: {payload[:64]}")
            package, payload = taken
            self.got(package)


TWOS = {"tcp": TwoTcp, "ws": TwoWs}


def two(cluster, transport="tcp", comet=0, **options):
    client = TWOS[transport](cluster.comets[comet].doors[transport], **options).start()
    cluster.open_clients.append(client)
    return client


def follow(client, reply, room, until_seq, timeout=20):
    """From a Joined on: the bodies up to number until_seq, by pushes, resumes and syncs."""
    joined = next(r for r in [*reply.rooms, reply.inbox] if r.room == room)
    bodies, last = [], joined.cursor if room == reply.inbox.room else 0
    until = time.monotonic() + timeout * SLOW
    while last < until_seq:
        check(time.monotonic() < until, f"stuck at {last} of {until_seq}: {client.heard}")
        for i, (op, _, message) in enumerate(client.heard):
            if op == 29 and message.room == room:
                check(not message.HasField("error"), f"{message.error}")
                bodies += [p.body for p in message.pushes if p.seq > last]
                last = max(last, message.through)
                if message.more:
                    client.say(SYNC, room=room, epoch=message.epoch, after=last)
                del client.heard[i]
                break
            if op == PUSH and message.room == room and message.seq <= last + 1:
                bodies += [message.body] if message.seq == last + 1 else []
                last = max(last, message.seq)
                del client.heard[i]
                break
        else:
            client.fill(0.2)
    return bodies
