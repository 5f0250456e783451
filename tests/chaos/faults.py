"""What is done to the parts.

Each fault: play(stage, random) answers its victim, ends within a few seconds, and leaves every
process running (though not yet healed).
"""
import os
import shutil
import time

DOWN, STOPPED = 1.5, 3.0


def one_of(stage, chance, kind):
    return chance.choice([d for d in stage.cluster.daemons if d.name.startswith(kind)])


def kill(kind):
    def play(stage, chance):
        victim = one_of(stage, chance, kind)
        victim.kill()
        time.sleep(DOWN)
        victim.start()
        return victim.name
    return play


def stop(kind):
    def play(stage, chance):
        victim = one_of(stage, chance, kind)
        victim.pause()
        time.sleep(STOPPED)
        victim.resume()
        return victim.name
    return play


def empty(folder):
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def kill_server(name, wipe):
    def play(stage, _):
        server = stage.cluster.named(name)
        if wipe and name == "nats":
            stage.look_into_history()
        server.kill()
        if wipe:
            empty(stage.folder / f"{name}.data")
        time.sleep(DOWN)
        server.start()
        return name
    return play


def cut(prefix, count):
    """Connections of one or several parts, each after so many bytes more."""
    def play(stage, chance):
        names = [name for name, _, _ in stage.links if name.startswith(prefix)]
        for name in names if count > 1 else [chance.choice(names)]:
            stage.tools["proxy"].say({"cut": name, "count": count,
                                      "bytes": chance.randrange(1, 400)})
        time.sleep(1.2)
        return ", ".join(names) if count > 1 else name
    return play


def cut_clients(stage, chance):
    for via in ("tcp", "ws"):
        cut(via, 8)(stage, chance)
    return "some of those behind proxies"


def fill_disk(stage, _):
    """Until nothing fits; then somebody makes room and starts nats-server again."""
    filler = stage.disk / "filler"
    try:
        with open(filler, "wb", buffering=0) as file:
            while True:
                file.write(b"\0" * (1 << 20))
    except OSError:
        pass
    try:
        with open(filler, "ab", buffering=0) as file:  # the last pages too
            while True:
                file.write(b"\0" * 512)
    except OSError:
        pass
    time.sleep(2)
    os.unlink(filler)
    stage.cluster.nats.kill()
    stage.cluster.nats.start()
    return "jetstream"


def duplicate(stage, _):
    stage.tools["pusher"].say({"duplicate": 4})
    time.sleep(4)
    return "calls of /v1"


FAULTS = {
    "kill comet": kill("comet"), "kill logic": kill("logic"), "kill job": kill("job"),
    "stop comet": stop("comet"), "stop logic": stop("logic"), "stop job": stop("job"),
    "kill nats": kill_server("nats", False), "wipe nats": kill_server("nats", True),
    "kill redis": kill_server("redis", False), "wipe redis": kill_server("redis", True),
    "cut clients": cut_clients, "cut grpc comet": cut("grpc comet", 1),
    "cut grpc logic": cut("grpc logic", 1), "cut nats": cut("nats", 1),
    "fill disk": fill_disk, "duplicate calls": duplicate,
}
KILLS = ["kill comet", "kill logic", "kill job", "kill nats", "kill redis"]


def plan(count, chance, only=None):
    """A shuffled deck after the other, so that every kind is played."""
    names = []
    while len(names) < count:
        deck = list(only or FAULTS)
        chance.shuffle(deck)
        names += deck
    return names[:count]
