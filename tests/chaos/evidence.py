"""What a run left behind, read into memory: pushes, what each client saw, what daemons counted."""
import json
from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass
class Push:
    body: str
    kind: str      # kept, plain, mids, inbox, keys, all, said
    began: int     # microseconds, monotonic
    answered: int
    ok: bool
    unrouted: int = 0
    refused: str = ""
    places: dict = field(default_factory=dict)  # room -> [epoch, seq], as the answer said


@dataclass
class Client:
    id: str
    mid: int
    kind: str
    rooms: list
    sessions: list = field(default_factory=list)  # [up, down or None]
    events: list = field(default_factory=list)    # (when, "P" or "R", room, epoch, seq, body)
    got: dict = field(default_factory=dict)       # body -> first time
    lost_told: list = field(default_factory=list)  # when it was told of lost pushes

    @property
    def version(self):
        return int(self.kind[1])

    def covers(self, push, patience):
        """Connected from before the push until long after its answer."""
        return any(up <= push.began and (down is None or down > push.answered + patience)
                   for up, down in self.sessions)


class Evidence:
    def __init__(self, clients, folder):
        self.clients = {one["id"]: Client(one["id"], one["mid"], one["kind"], one["rooms"])
                        for one in clients}
        self.by_mid = {one.mid: one for one in self.clients.values()}
        self.to = {}      # room, "user://mid", "key://mid", "mid://mid" or "all" -> [Push]
        self.pushes = []
        self.bodies = {}  # body -> Push
        self.read_pushes(folder / "pushes.out")
        for name in ("cpp", "python", "js"):
            self.read_crowd(folder / f"{name}.out")
        for pushes in self.to.values():
            pushes.sort(key=lambda push: push.began)
        self.pushes.sort(key=lambda push: push.began)

    def add(self, push, targets):
        self.pushes.append(push)
        self.bodies[push.body] = push
        for target in targets:
            self.to.setdefault(target, []).append(push)

    def read_pushes(self, path):
        for line in path.read_text().splitlines():
            one = json.loads(line)
            what, _, _ = one["kind"].partition(" ")
            push = Push(one["body"], what, one["began"], one["answered"], one["ok"],
                        one["unrouted"], one.get("refused", ""), one["places"])
            prefix = {"inbox": "user://", "mids": "mid://", "keys": "key://"}.get(what)
            targets = [f"{prefix}{mid}" for mid in one["targets"]] if prefix else one["targets"]
            if what == "batch" and not push.ok and one["done"]:
                targets, push.ok = one["done"], True
            self.add(push, targets or ["all"])

    def epochs(self, room):
        """All that anybody heard of."""
        heard = {event[3] for client in self.clients.values() for event in client.events
                 if event[2] == room}
        return (heard | {push.places[room][0] for push in self.to.get(room, [])
                         if room in push.places}) - {0}

    def read_crowd(self, path):
        said = {}
        for line in path.read_text().splitlines():
            words = line.split(" ")
            when, client, verb = int(words[0]), self.clients[words[1]], words[2]
            if verb == "P":
                client.events.append((when, "P", words[3], int(words[4]), int(words[5]), words[6]))
                client.got.setdefault(words[6], when)
            elif verb == "R":
                client.events.append((when, "R", words[3], 0, 0, ""))
            elif verb == "U":
                client.sessions.append([when, None])
            elif verb == "D":
                if client.sessions and client.sessions[-1][1] is None:
                    client.sessions[-1][1] = when
            elif verb == "L":
                client.lost_told.append(when)
            elif verb == "S":
                said[words[4]] = push = Push(words[4], "said", when, 0, False)
                self.add(push, [words[3]])
            elif verb == "A":
                push = said[words[3]]
                push.answered, push.ok = when, words[4] == "0"
                push.refused = "" if push.ok else f"code {words[4]}"


# Counters that name a push that somebody did not get, and for which kinds of pushes.
ROUTED = ("mids", "inbox", "keys")
LOSSES = {
    "encke_comet_dropped_total": None, "encke_comet_push_dropped_total": None,
    "encke_comet_timeline_repeats_total": ("kept", "inbox", "said", "rooms", "batch"),
    "encke_comet_push_unknown_keys_total": ROUTED, "encke_job_unroutable_total": ROUTED,
    "encke_logic_pushes_unrouted_total": ROUTED,
    "encke_comet_interest_timeouts_total": None, "encke_job_left_behind_total": None,
    "encke_job_undeliverable_total": None, "encke_job_doubts_given_up_total": None,
    "encke_job_entries_skipped_total": None, "encke_job_new_logs_total": None,
}


class Counts:
    """When which of those counters grew."""

    def __init__(self, samples):
        self.grew = []  # (from, to, name, by, daemon)
        last = {}       # daemon -> (when, pid, values)
        for when, daemon, pid, values in samples:
            before, its_pid, old = last.get(daemon, (0, pid, {}))
            for name, value in values.items():
                bare = name.partition("{")[0]
                grown = value - (old.get(name, 0) if pid == its_pid else 0)
                if bare in LOSSES and grown > 0:
                    self.grew.append((before, when, bare, grown, daemon))
            last[daemon] = (when, pid, values)

    def total(self, name):
        return sum(by for _, _, bare, by, _ in self.grew if bare == name)

    def names(self, push, patience):
        """Counters that grew while this push was on its way."""
        found = []
        for begin, end, name, _, _ in self.grew:
            kinds = LOSSES[name]
            if end < push.began or begin > push.answered + patience or name in found:
                continue
            if kinds is None or push.kind in kinds:
                found.append(name)
        return found


class Windows:
    """Which fault a moment belongs to."""

    def __init__(self, faults):
        self.faults = faults  # [(when, name, victim)]
        self.starts = [when for when, _, _ in faults]

    def at(self, when):
        """(name, start); before the first: ("none", 0)"""
        i = bisect_right(self.starts, when) - 1
        return (self.faults[i][1], self.starts[i]) if i >= 0 else ("none", 0)
