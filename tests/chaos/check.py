"""The exact-set check: what every client must have seen, and what it saw.

Version 2, timelines: every accepted push once and in order.  A push may be missing only when Redis
lost its data within `HELD_BACK` after it began, the client was told to reload after that, and the
timeline does not hold it any more: the hole was told.  After a reload pushes may come once more
(`again`): it says that what follows begins anew.

Durable history: every page of every epoch that anybody heard of, both ways: every accepted push is
there, once in an epoch, with the number that its answer named, and in order; in the newest epoch
as well, unless Redis lost it or its tail.  What was accepted before NATS lost its data may be
`gone`, unless Redis holds it; it was there until then.

Everything else (version 1, and what is outside timelines): every accepted push at least once by who
was connected from before it began until `PATIENCE` after its answer, else a reason must name it.
"""
from collections import Counter, defaultdict

PATIENCE = 40_000_000  # microseconds
LATE = 1_000_000
HELD_BACK = 15_000_000  # no fault may keep a push from who is connected for longer
NAMED_WITHIN = 15_000_000
TAIL = 3_000_000  # Redis writes once a second
EPOCHS = 4  # older ones that a timeline goes on from
LOG_LOST = 10_000_000  # what was accepted so shortly before the log was wiped may be lost with it


class Row:
    """One kind of fault."""

    def __init__(self):
        self.played = self.accepted = self.refused = self.late = 0
        self.lost = self.repeated = self.disorder = self.unnamed = self.again = self.told = 0
        self.gone = 0
        self.named = Counter()
        self.healed = []  # seconds, one per play

    def add(self, other):
        for name, value in vars(other).items():
            if isinstance(value, Counter):
                self.named.update(value)
            elif isinstance(value, list):
                self.healed += value
            else:
                setattr(self, name, getattr(self, name) + value)


class Check:
    def __init__(self, evidence, counts, windows, history, archives, glimpses):
        self.evidence, self.counts, self.windows = evidence, counts, windows
        self.history = history  # timeline -> bodies that it holds at the end
        self.held, self.archives = {}, archives
        wiped = [start for start, name, _ in windows.faults if name == "wipe nats"]
        self.glimpses = list(zip(wiped, glimpses))
        self.rows = defaultdict(Row)
        self.broken = []        # sentences
        self.awaited = self.attended = 0  # deliveries that were looked for: timelines, elsewhere
        self.archived = 0       # pushes that durable history must hold
        self.glimpsed = 0       # those of them that went with NATS' data, and were seen before
        self.needless = 0       # reloads although Redis was left alone
        self.repeats_plain = 0  # outside timelines, on one connection

    def run(self):
        for _, name, _ in self.windows.faults:
            self.rows[name].played += 1
        self.traffic()
        for client in self.evidence.clients.values():
            if client.version == 2:
                for timeline in [*client.rooms, f"user://{client.mid}"]:
                    if not timeline.startswith("live://"):
                        self.follow(client, timeline)
            self.attend(client)
        for archive in self.archives:
            self.page_through(archive)
        return self

    def row(self, push):
        return self.rows[self.windows.at(push.began)[0]]

    def fail(self, push, client, what):
        self.fail_push(push, f"{what}: client {client.id} ({client.kind})")

    def fail_push(self, push, what):
        self.broken.append(f"{what}: push {push.body} of kind {push.kind}, "
                           f"{self.place(push.began)}")

    def place(self, when):
        name, start = self.windows.at(when)
        return f"{(when - start) / 1e6:.2f} s after {name}" if start else "before the first fault"

    # -- refusals, delays and healing -------------------------------------------------------------
    def traffic(self):
        last = {}  # start of a fault -> the last push that had trouble
        for push in self.evidence.pushes:
            row = self.row(push)
            row.accepted += push.ok
            row.refused += not push.ok
            if not push.ok:
                last[self.windows.at(push.began)[1]] = push.began
        for client in self.evidence.clients.values():
            for body, when in client.got.items():
                push = self.evidence.bodies[body]
                if push.ok and when > push.answered + LATE:
                    self.row(push).late += 1
                    start = self.windows.at(push.began)[1]
                    last[start] = max(last.get(start, 0), push.began)
        for when, name, _ in self.windows.faults:
            self.rows[name].healed.append((last.get(when, when) - when) / 1e6)

    # -- version 2, timelines ---------------------------------------------------------------------
    def follow(self, client, timeline):
        seen, ever, newest = set(), set(), 0
        place, reloads = (0, 0), []
        for when, verb, room, epoch, seq, body in client.events:
            if room != timeline:
                continue
            if verb == "R":
                reloads.append(when)
                seen, newest, place = set(), 0, (0, 0)
                self.judge_reload(client, timeline, when)
                continue
            push = self.evidence.bodies.get(body)
            if body in seen:
                self.row(push).repeated += 1
                self.fail(push, client, f"a repeat in {timeline}")
            elif body in ever:
                self.row(push).again += 1
            if epoch == place[0] and seq <= place[1]:
                self.row(push).disorder += 1
                self.fail(push, client, f"{timeline}: number {seq} after {place[1]}")
            elif push.ok and push.answered < newest:
                self.row(push).disorder += 1
                self.fail(push, client, f"{timeline}: behind a push that began after its answer")
            if push.ok:
                newest = max(newest, push.began)
            place = (epoch, seq)
            seen.add(body)
            ever.add(body)
        for push in self.evidence.to.get(timeline, []):
            self.awaited += push.ok
            if push.ok and push.body not in ever:
                self.missing(client, timeline, push, reloads)

    def missing(self, client, timeline, push, reloads):
        if timeline not in self.held:
            self.held[timeline] = self.history(timeline)
        wiped = [start for start, name, _ in self.windows.faults
                 if name == "wipe redis" and push.began - LATE < start < push.began + HELD_BACK]
        told = any(start < when for start in wiped for when in reloads)
        if told and push.body not in self.held[timeline]:
            self.row(push).told += 1
            return
        self.row(push).lost += 1
        why = "the timeline holds it" if push.body in self.held[timeline] else "no reload was told"
        self.fail(push, client, f"lost in {timeline} ({why})")

    def judge_reload(self, client, timeline, when):
        """A reload without any loss of Redis before it would be a false alarm."""
        if not any(start < when and name.endswith("redis")
                   for start, name, _ in self.windows.faults):
            self.needless += 1
            self.broken.append(f"a reload of {timeline} for nothing: client {client.id}, "
                               f"{self.place(when)}")

    # -- durable history --------------------------------------------------------------------------
    def page_through(self, archive):
        self.broken += [f"history: {what}" for what in archive.broken]
        for epoch, listing in archive.listings.items():
            self.judge_listing(archive.room, epoch, listing)
        held, shown = archive.bodies(), archive.bodies(archive.now)
        for push in self.evidence.to.get(archive.room, []):
            self.archived += push.ok
            if not push.ok or push.body in shown:
                continue
            if push.body in held:
                self.judge_hidden(archive.room, push)
                continue
            wipes = [wipe for wipe in self.glimpses if push.began < wipe[0] + LATE]
            if wipes and not archive.is_hot(push):
                self.row(push).gone += 1
                self.judge_gone(archive.room, push, *wipes[0])
                continue
            self.row(push).lost += 1
            self.fail_push(push, f"not in the history of {archive.room}")

    def judge_hidden(self, room, push):
        if not self.may_hide(push):
            self.row(push).lost += 1
            self.fail_push(push, f"hidden in an older epoch of {room}")

    def may_hide(self, push, until=float("inf")):
        """It may be in an older epoch only: that began anew, or ended without its tail."""
        since = [(name, start) for start, name, _ in self.windows.faults
                 if name.endswith("redis") and push.began < start + LATE and start < until]
        begun = any(name == "wipe redis" or push.answered > start - TAIL for name, start in since)
        return begun or len(since) > EPOCHS

    def judge_gone(self, room, push, wiped, glimpse):
        """Until NATS lost its data, it was there."""
        if glimpse is None or push.answered > glimpse[0]:
            return
        if push.body in glimpse[1][room]:
            self.glimpsed += 1
        elif not self.may_hide(push, wiped):
            self.row(push).lost += 1
            self.fail_push(push, f"not in the history of {room} when NATS still had its data")

    def judge_listing(self, room, epoch, listing):
        seen, newest, last = set(), 0, 0
        for seq, body in listing:
            push = self.evidence.bodies.get(body)
            where = f"history of {room}, epoch {epoch}, number {seq}"
            if push is None:
                self.broken.append(f"{where}: nobody ever said {body[:20]}")
                continue
            said_epoch, said_seq = push.places.get(room, (0, 0))
            if body in seen:
                self.row(push).repeated += 1
                self.fail_push(push, f"{where}: a repeat")
            elif seq <= last or (push.ok and push.answered < newest):
                self.row(push).disorder += 1
                self.fail_push(push, f"{where}: out of order")
            elif said_epoch == epoch and said_seq != seq:
                self.row(push).disorder += 1
                self.fail_push(push, f"{where}: its answer said {said_seq}")
            if push.ok:
                newest = max(newest, push.began)
            last = seq
            seen.add(body)

    # -- version 1, and what is in no timeline ----------------------------------------------------
    def attend(self, client):
        to = self.evidence.to
        rooms = [room for room in client.rooms
                 if client.version == 1 or room.startswith("live://")]
        kinds = ["mid", "key"] + (["user"] if client.version == 1 else [])
        for target in [*rooms, *(f"{kind}://{client.mid}" for kind in kinds), "all"]:
            for push in to.get(target, []):
                if not push.ok or not client.covers(push, PATIENCE):
                    continue
                self.attended += 1
                if push.body not in client.got:
                    self.judge_miss(client, push)
        if client.version == 2:
            self.count_repeats(client)

    def judge_miss(self, client, push):
        row = self.row(push)
        name = self.name(client, push)
        if name:
            row.named[name] += 1
        else:
            row.unnamed += 1
            self.fail(push, client, "missed, and nothing names it")

    def name(self, client, push):
        if push.unrouted:
            return "answered as unrouted"
        if any(push.began < when < push.answered + PATIENCE for when in client.lost_told):
            return "told to the client"
        for start, fault, _ in self.windows.faults:
            if fault == "wipe nats" and push.began <= start + LATE and \
                    push.answered >= start - LOG_LOST and \
                    self.counts.total("encke_job_new_logs_total"):
                return "log lost (encke_job_new_logs_total)"
        names = self.counts.names(push, NAMED_WITHIN)
        return names[0] if names else ""

    def count_repeats(self, client):
        seen, session = set(), 0
        ups = [up for up, _ in client.sessions]
        for when, verb, room, _, seq, body in client.events:
            while session < len(ups) and ups[session] <= when:
                session, seen = session + 1, set()
            if verb == "P" and seq == 0:
                if (room, body) in seen:
                    self.judge_repeat(client, self.evidence.bodies[body])
                seen.add((room, body))

    def judge_repeat(self, client, push):
        """NATS knows which pushes it has; without its data a retry is another push."""
        self.repeats_plain += 1
        if not any(name == "wipe nats" and push.began - LATE < start < push.answered + LATE
                   for start, name, _ in self.windows.faults):
            self.row(push).repeated += 1
            self.fail(push, client, "a repeat outside timelines")
