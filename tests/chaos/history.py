"""Durable history as a backend reads it: page by page, both ways, each epoch that was seen."""
import json

LIMIT = 300  # small enough for several pages
HOT = 100  # the newest of a room, which Redis holds as well


class Unreadable(Exception):
    pass


def pages(http, by, border, epoch=0):
    """[(seq, body)] from one end to the other.  border: after_seq (ascending) or before_seq."""
    found, at, seen = [], "&after_seq=0" if border == "after_seq" else "", 0
    while True:
        target = f"/v1/history?{by}{at}&limit={LIMIT}" + (f"&epoch={epoch}" if epoch else "")
        status, _, text = http.get(target)
        if status != 200:
            raise Unreadable(f"{target} answers {status}: {text[:80]}")
        page = json.loads(text)
        seen = seen or page["epoch"]
        found += [(push["seq"], push.get("body", "")) for push in page["pushes"]]
        if not page["more"]:
            return found, seen
        if not page["pushes"]:
            raise Unreadable(f"{target} says that there is more, and shows nothing")
        at = f"&{border}={found[-1][0]}"


class Archive:
    """What a room's history holds at the end of a run."""

    def __init__(self, http, room, epochs):
        self.room, self.listings, self.broken = room, {}, []
        self.now = 0  # the epoch that is read when none is named
        self.read(http, 0)
        for epoch in sorted(set(epochs) - set(self.listings)):
            self.read(http, epoch)

    def read(self, http, epoch):
        try:
            found, seen = pages(http, f"room={self.room}", "after_seq", epoch)
            back, _ = pages(http, f"room={self.room}", "before_seq", epoch)
        except Unreadable as error:
            self.broken.append(str(error))
            return
        if found != back[::-1]:
            self.broken.append(f"{self.room}, epoch {epoch or seen}: {len(found)} pushes upwards, "
                               f"{len(back)} downwards, not the same")
        self.listings[epoch or seen] = found
        self.now = self.now or seen

    def is_hot(self, push):
        """By the number that its answer named: Redis must hold it."""
        epoch, seq = push.places.get(self.room, (0, 0))
        newest = max((number for number, _ in self.listings.get(self.now, [])), default=0)
        return epoch == self.now and seq > newest - HOT

    def bodies(self, epoch=None):
        """Of all epochs, or of one."""
        return {body for one, listing in self.listings.items() for _, body in listing
                if epoch in (None, one)}
