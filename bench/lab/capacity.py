#!/usr/bin/env python3
"""How many machines 10 and 100 million users need: arithmetic from the costs in costs.json.

usage: bench/lab/capacity.py            prints the tables of bench/CAPACITY.md
       bench/lab/capacity.py --write    puts them there, between the marks
       bench/lab/capacity.py --check    status 1 when they differ

No measurement happens here. Everything assumed is in ASSUMED and PROFILES; everything measured is
in costs.json (bench/lab/costs.py --write). A part is loaded to `load` of what it could do.
"""
import json
import math
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "CAPACITY.md"
MARKS = "<!-- capacity.py: begin -->\n", "<!-- capacity.py: end -->\n"

ASSUMED = {
    "cores of a machine": 16,
    "memory of a machine, GB": 64,
    "network of a machine, Gbit/s": 10,
    "load: share of a core, of memory, of the network that is planned for": 0.6,
    "connections of one comet, at most": 1_000_000,
    "connections of one machine, at most (all of them come back when it fails)": 4_000_000,
    "heartbeat, s": 240,
    "renewal of a session in Redis, s": 600,
    "everybody reconnects within, s (a region failed)": 300,
    "bytes of a delivery on the wire": 50 + 16 + 66,
}
# name: rooms of so many, pushes a second to each, pushes a day to each single user, and how many
# pushes share one write (batches grow under load; 1 = never).
PROFILES = {
    "chat": {"room": 20, "room_pushes": 0.05, "user_pushes_day": 20, "batch": 1},
    "live rooms": {"room": 1000, "room_pushes": 0.5, "user_pushes_day": 2, "batch": 1},
    "one stadium": {"room": 1_000_000, "room_pushes": 0.2, "user_pushes_day": 0, "batch": 1},
    "notifications": {"room": 0, "room_pushes": 0, "user_pushes_day": 50, "batch": 1},
}
USERS = (1_000_000, 10_000_000, 100_000_000)


def spread(members, comets):
    """Of how many comets a room has members, when users are spread evenly."""
    return comets * (1 - (1 - 1 / comets) ** members) if comets > 1 else 1.0


def cores(microseconds_per_s, load):
    return microseconds_per_s / 1e6 / load


def rates(users, profile):
    rooms = users / profile["room"] if profile["room"] else 0
    room_pushes = rooms * profile["room_pushes"]
    user_pushes = users * profile["user_pushes_day"] / 86_400
    deliveries = room_pushes * profile["room"] + user_pushes
    return {"pushes": room_pushes + user_pushes, "room_pushes": room_pushes,
            "user_pushes": user_pushes, "deliveries": deliveries,
            "writes": deliveries / profile["batch"]}


def comet_machines(users, profile, costs, a):
    """{limit: machines it asks for}."""
    load, rate = a["load: share of a core, of memory, of the network that is planned for"], \
        rates(users, profile)
    bytes_each = costs["bytes"]["comet"] + costs["bytes"]["kernel_one_end"]
    beats = users / a["heartbeat, s"]
    machines = max(1, math.ceil(users * bytes_each /
                                (a["memory of a machine, GB"] * 1e9 * load)))
    touched = rate["room_pushes"] * spread(max(profile["room"], 1), machines) + rate["user_pushes"]
    used = (rate["writes"] * costs["delivery_us"]["comet"] +
            beats * costs["heartbeat_us"]["comet"] + touched * costs["push_us"]["comet"])
    storm = users / a["everybody reconnects within, s (a region failed)"]
    bits = rate["deliveries"] * a["bytes of a delivery on the wire"] * 8
    return {
        "memory": users * bytes_each / (a["memory of a machine, GB"] * 1e9 * load),
        "CPU": cores(used, load) / a["cores of a machine"],
        "network": bits / (a["network of a machine, Gbit/s"] * 1e9 * load),
        "reconnects": cores(storm * costs["login_us"]["comet"], load) / a["cores of a machine"],
        "connections": users / a["connections of one machine, at most (all of them come back when "
                                 "it fails)"],
    }


def plan(users, profile, costs, a):
    load = a["load: share of a core, of memory, of the network that is planned for"]
    rate, limits = rates(users, profile), comet_machines(users, profile, costs, a)
    tightest = max(limits, key=limits.get)
    machines = max(1, math.ceil(limits[tightest]))
    comets = max(machines, math.ceil(users / a["connections of one comet, at most"]))
    touched = rate["room_pushes"] * spread(max(profile["room"], 1), comets) + rate["user_pushes"]
    storm = users / a["everybody reconnects within, s (a region failed)"]
    # A renewal and a look-up of a user cost Redis no more than a login, which is what was measured.
    calm = users / a["renewal of a session in Redis, s"] + rate["user_pushes"]
    push, login = costs["push_us"], costs["login_us"]
    parts = {
        "logic cores": cores(rate["pushes"] * push["logic"] + storm * login["logic"], load),
        "job cores": cores(rate["pushes"] * push["job"] + max(0, touched - rate["pushes"]) *
                           costs["push_further_comet_us"]["job"], load),
        "NATS cores": cores(rate["pushes"] * push["nats"], load),
        "Redis shards, calm": cores(calm * login["redis"], load),
        "Redis shards, all come back": cores((calm + storm) * login["redis"], load),
        "Redis memory, GB": users * costs["bytes"]["redis"] / 1e9,
    }
    return {"users": users, "pushes/s": rate["pushes"], "deliveries/s": rate["deliveries"],
            "comet machines": machines, "comets": comets, "because of": tightest,
            **{name: max(1, math.ceil(value)) for name, value in parts.items()}}


def cell(value):
    return value if isinstance(value, str) else f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def table(rows):
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(cell(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def shares(users, profile, costs, a):
    limits = comet_machines(users, profile, costs, a)
    return {f"machines for {limit}": value for limit, value in limits.items()}


def tables(costs):
    out = ["Measured, one of each (costs.json: " + costs["conditions"]["when"] + ", commit " +
           costs["conditions"]["commit"] + ", " + costs["conditions"]["cpu"] + "):\n"]
    rows = [{"what": name, **{kind: costs[key].get(kind, "") for kind in
                              ("comet", "logic", "redis", "nats", "job")}}
            for name, key in (("a login, µs", "login_us"), ("a heartbeat, µs", "heartbeat_us"),
                              ("a delivery, µs", "delivery_us"), ("a push, µs", "push_us"),
                              ("for each further comet, µs", "push_further_comet_us"),
                              ("a connection, bytes", "bytes"))]
    out.append(table(rows))
    kernel = costs["bytes"]["kernel_one_end"]
    out.append(f"Kernel memory for the server's end of a connection: {kernel:,.0f} bytes.\n")
    out.append("Assumed:\n")
    out.append(table([{"what": name, "value": value} for name, value in ASSUMED.items()]))
    for name, profile in PROFILES.items():
        told = (f"rooms of {profile['room']:,} with {profile['room_pushes']:g} pushes a second each"
                if profile["room"] else "no rooms")
        out.append(f"**{name}**: {told}, {profile['user_pushes_day']} pushes a day to each user.\n")
        sizes = [n for n in USERS if n >= profile["room"]]
        out.append(table([plan(n, profile, costs, ASSUMED) for n in sizes]))
        out.append(table([{"users": n, **shares(n, profile, costs, ASSUMED)} for n in sizes]))
    return "\n".join(out)


def main():
    costs = json.loads((HERE / "costs.json").read_text())
    text = tables(costs)
    if len(sys.argv) == 1:
        return print(text)
    page = PAGE.read_text()
    before, rest = page.split(MARKS[0])
    inside, behind = rest.split(MARKS[1])
    if sys.argv[1] == "--write":
        PAGE.write_text(before + MARKS[0] + text + MARKS[1] + behind)
    elif sys.argv[1] == "--check":
        sys.exit(0 if inside == text else "capacity: bench/CAPACITY.md is not what the costs say")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
