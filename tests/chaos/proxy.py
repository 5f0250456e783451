"""TCP proxies between the parts, which can be told to cut a connection in the middle of a frame.

usage: proxy.py '[["name", listen, target], ...]'

Reads commands, one JSON object per line: {"cut": NAME, "count": N, "bytes": B}: up to N connections
of that proxy forward B bytes more towards whoever dialled and are then reset on both sides; those
that say nothing for a second are cut as they are.
"""
import asyncio
import json
import random
import socket
import struct
import sys

HOST = "127.0.0.1"
NEVER = 1 << 62


class Side(asyncio.Protocol):
    """One half of a connection; what it reads goes out of the other."""

    def __init__(self):
        self.transport = self.other = None
        self.early = []
        self.left = NEVER  # bytes that may still pass

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.opened()

    def opened(self):
        pass

    def data_received(self, data):
        if self.other is None or self.other.transport is None:
            self.early.append(data)
            return
        if self.left < NEVER:
            data = data[:self.left]
            self.left -= len(data)
        self.other.transport.write(data)
        if self.left <= 0:
            self.cut()

    def flush(self):
        for data in self.early:
            self.data_received(data)
        self.early = []

    def pause_writing(self):
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self):
        if self.other and self.other.transport:
            self.other.transport.resume_reading()

    def eof_received(self):
        return False

    def connection_lost(self, _):
        self.transport = None
        if self.other and self.other.transport:
            self.other.transport.close()

    def cut(self):
        for side in (self, self.other):
            if side and side.transport:
                sock = side.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.transport.abort()


class Dialled(Side):
    """The half towards the server."""

    def __init__(self, accepted):
        super().__init__()
        self.other = accepted

    def opened(self):
        self.other.other = self
        if self.other.transport is None:
            self.transport.abort()
            return
        self.other.flush()


class Proxy:
    def __init__(self, target):
        self.target, self.accepted = target, set()

    def accept(self):
        proxy = self

        class Accepted(Side):
            def opened(self):
                proxy.accepted.add(self)
                asyncio.ensure_future(proxy.dial(self))

            def connection_lost(self, why):
                proxy.accepted.discard(self)
                super().connection_lost(why)

        return Accepted()

    async def dial(self, accepted):
        try:
            await asyncio.get_running_loop().create_connection(lambda: Dialled(accepted), HOST,
                                                               self.target)
        except OSError:
            accepted.cut()

    def cut(self, count, size):
        linked = [side for side in self.accepted if side.other]
        chosen = random.sample(linked, min(count, len(linked)))
        for side in chosen:
            side.other.left = max(size, 1)
            asyncio.get_running_loop().call_later(1, side.cut)


async def main():
    loop = asyncio.get_running_loop()
    proxies = {}
    for name, listen, target in json.loads(sys.argv[1]):
        proxies[name] = Proxy(target)
        await loop.create_server(proxies[name].accept, HOST, listen, backlog=512)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    while line := await reader.readline():
        command = json.loads(line)
        proxies[command["cut"]].cut(command["count"], command["bytes"])


if __name__ == "__main__":
    asyncio.run(main())
