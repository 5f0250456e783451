"""One timeline at a client, after api/client.md section 4: every push once and in order.

Written from that page alone; shares nothing with clients/cpp.  Whoever owns it sends the Sync that
`wanted` names and hands over what comes; `deliver` and `reload` are the application.
"""
HELD_MAX = 256


class Follower:
    def __init__(self, room, deliver, reload):
        self.room, self.deliver, self.reload = room, deliver, reload
        self.state = "down"
        self.placed, self.epoch, self.seq = False, 0, 0  # the position
        self.head = (0, 0)
        self.held, self.held_epoch = {}, 0  # seq -> push, or None: not for us
        self.wanted = False                # a Sync is to be sent
        self.failed = self.once_more = False
        self.began = 0

    def start_sync(self):
        self.state, self.wanted, self.began = "syncing", True, self.seq
        self.failed = self.once_more = False

    def behind(self):
        return bool(self.held) or self.head[0] != self.epoch or self.head[1] > self.seq

    def on_joined(self, joined):
        if joined.known:
            self.head = (joined.epoch, joined.seq)
            inbox = self.room.startswith("user://")
            if inbox and (not self.placed or self.epoch == joined.epoch):
                self.place(joined.epoch, max(self.seq, joined.cursor))
            elif not self.placed:
                self.place(joined.epoch, joined.seq)
        if joined.syncing:
            self.start_sync()
            self.wanted = False  # the server does it
            return
        self.state = "live"
        self.deliver_held()
        if self.placed and (not joined.known or self.behind()):
            self.start_sync()

    def place(self, epoch, seq):
        self.placed, self.epoch, self.seq = True, epoch, seq

    def on_head(self, epoch, seq):
        self.head = (epoch, seq)
        if self.state == "down":
            return
        if not self.placed:
            self.place(epoch, seq)
            self.deliver_held()
        elif self.behind() if self.state == "live" else self.failed:
            self.start_sync()

    def on_push(self, epoch, seq, push):
        if self.state == "live" and not self.placed:
            self.place(epoch, seq - 1)
        if epoch == self.epoch and seq <= self.seq:
            return
        if epoch != self.held_epoch:
            self.held, self.held_epoch = {}, epoch
        self.held.setdefault(seq, push)
        if len(self.held) > HELD_MAX:
            del self.held[max(self.held)]
            self.once_more = True
        if self.state == "live":
            self.deliver_held()
            if self.held:
                self.start_sync()

    def on_gap(self, epoch, first, last, excluded):
        if excluded:
            for seq in range(first, min(last + 1, first + HELD_MAX)):
                self.on_push(epoch, seq, None)
        elif self.state == "syncing":
            self.once_more = True
        elif self.state == "live" and self.placed:
            if epoch != self.epoch or last > self.seq:
                self.start_sync()

    def hand_out(self, seq, push):
        self.seq = seq
        if push is not None:
            self.deliver(push)

    def deliver_held(self):
        if self.held_epoch != self.epoch or not self.placed:
            return
        while self.held:
            seq = min(self.held)
            if seq > self.seq + 1:
                return
            push = self.held.pop(seq)
            if seq == self.seq + 1:
                self.hand_out(seq, push)

    def on_sync(self, reply):
        if self.state != "syncing":
            return
        if reply.HasField("error"):
            self.failed = True
            return
        if reply.reload:
            self.began = 0
            self.place(reply.epoch,
                       reply.pushes[0].seq - 1 if reply.pushes else reply.through)
            self.reload(self.room)
        self.epoch = reply.epoch
        for push in reply.pushes:
            if push.seq > self.seq:
                self.hand_out(push.seq, push)
        self.seq = max(self.seq, reply.through)
        if self.held_epoch != self.epoch:
            self.held = {}
        self.deliver_held()
        if reply.more:
            self.wanted = True
            return
        self.state = "live"
        moved = self.seq != self.began
        if self.once_more or (moved and self.behind() and self.head[0] == self.epoch):
            self.start_sync()

    def on_down(self):
        self.state, self.held, self.wanted = "down", {}, False
        self.failed = self.once_more = False
