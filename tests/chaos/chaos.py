#!/usr/bin/env python3
"""Kills everything for a while, then looks whether every promise was kept.

    tests/chaos/chaos.py                        ten seeds of 130 s each
    tests/chaos/chaos.py --seed 7               one of them
    tests/chaos/chaos.py --seed 7 --faults "kill job,wipe redis" --clients 100 --seconds 30

ENCKE_BUILD names the build (build/release).  The seed decides the order of the faults, their
victims and the mix of pushes.  Ends with 1 when a promise was broken; evidence stays in --keep.
"""
import argparse
import os
import random
import shutil
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from check import Check, Row  # noqa: E402
from evidence import Counts, Evidence, Windows  # noqa: E402
from faults import FAULTS, KILLS, plan  # noqa: E402
from report import WORDS, load, save, show  # noqa: E402
from stage import BUILD, Stage  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build/chaos"
EVERY = 5.0         # seconds from fault to fault
WARM_UP, AFTER, CALM = 3.0, 6.0, 14.0


def now_us():
    return time.monotonic_ns() // 1000


def play(stage, options):
    """[(when, name, victim)]"""
    chance = random.Random(options.seed)
    only = [name for name in FAULTS if name in options.faults] if options.faults else None
    names = plan(int(options.seconds / EVERY), chance, only)
    played = []
    time.sleep(WARM_UP)
    start = time.monotonic()
    for i, name in enumerate(names):
        time.sleep(max(0, start + i * EVERY - time.monotonic()))
        if name == "fill disk" and not stage.disk:
            print(f"  fill disk is not played: {stage.no_disk}", flush=True)
            continue
        when = now_us()
        victim = FAULTS[name](stage, chance)
        played.append((when, name, victim))
        print(f"  {i * EVERY:5.0f} s  {name}: {victim}", flush=True)
    time.sleep(max(0, start + len(names) * EVERY - time.monotonic()))
    return played


def one_seed(options):
    stage = Stage(options.seed, options.clients, options.rate)
    try:
        stage.start()
        played = play(stage, options)
        time.sleep(AFTER)
        stage.quiet()
        time.sleep(CALM)
        stage.look()
        for process in stage.cluster.processes:
            assert process.alive, process.tail()
        stage.end_crowds()
        evidence = Evidence(stage.clients, stage.folder)
        check = Check(evidence, Counts(stage.counters), Windows(played), stage.history,
                      stage.archives(evidence), stage.glimpses).run()
        check.broken += stage.refusals()
        if check.broken or options.keep:
            keep(stage, options)
        return check
    finally:
        stage.stop()


def keep(stage, options):
    target = Path(options.keep or RESULTS / f"seed-{options.seed}")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in stage.folder.iterdir():
        if path.is_file():
            shutil.copy(path, target)
    print(f"  logs and what clients saw: {target}")


def command(options):
    words = f"python3 tests/chaos/chaos.py --seed {options.seed} --seconds {options.seconds:g}"
    words += f" --clients {options.clients} --rate {options.rate:g}"
    return words + (f' --faults "{",".join(options.faults)}"' if options.faults else "")


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 1 on")
    parser.add_argument("--seconds", type=float, default=130, help="of faults, per seed")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--rate", type=float, default=300, help="pushes a second")
    parser.add_argument("--faults", default="", help="only these, with commas; kills = " +
                        ", ".join(KILLS))
    parser.add_argument("--summary", action="store_true",
                        help="play nothing, sum up what single seeds left in build/chaos")
    parser.add_argument("--keep", default="", help="a folder for the evidence, whatever came out")
    options = parser.parse_args()
    names = [name.strip() for name in options.faults.split(",") if name.strip()]
    options.faults = KILLS if names == ["kills"] else names
    unknown = set(options.faults) - set(FAULTS)
    if unknown:
        parser.error(f"no such faults: {', '.join(sorted(unknown))}; there are {list(FAULTS)}")
    return options


def summary():
    total, broken = defaultdict(Row), []
    paths = sorted(RESULTS.glob("seed-*.json"))
    for path in paths:
        rows, its_broken = load(path)
        broken += its_broken
        for name, row in rows.items():
            total[name].add(row)
    show(f"{len(paths)} seeds", total, broken)
    print(f"\n{WORDS}\n{len(broken)} broken promises")
    return 1 if broken else 0


def main():
    options = parse()
    if options.summary:
        return summary()
    missing = [name for name in ("comet", "logic", "job", "tests/chaos/encke-crowd")
               if not os.path.exists(BUILD / name)]
    if missing:
        sys.exit(f"{BUILD} has no {', '.join(missing)}: make build, or set ENCKE_BUILD")
    if not (ROOT / "build/browser/node_modules/ws").exists():
        sys.exit("the clients in JavaScript need ws: scripts/browser.sh fetches it")
    total, broken, failing = defaultdict(Row), 0, []
    seeds = [options.seed] if options.seed is not None else range(1, options.seeds + 1)
    for options.seed in seeds:
        print(f"seed {options.seed}: {options.clients} clients, {options.rate:g} pushes/s, a fault "
              f"every {EVERY:g} s for {options.seconds:g} s", flush=True)
        check = one_seed(options)
        extra = [f"looked for: {check.awaited} deliveries in timelines to version 2, "
                 f"{check.attended} elsewhere; {check.archived} pushes in durable history; "
                 f"{check.glimpsed} of those gone from it were seen there before",
                 f"repeats outside timelines, to version 2 on one connection: "
                 f"{check.repeats_plain}"]
        show(f"seed {options.seed}", check.rows, check.broken, extra)
        save(RESULTS / f"seed-{options.seed}.json", check.rows, check.broken)
        for name, row in check.rows.items():
            total[name].add(row)
        broken += len(check.broken)
        if check.broken:
            failing.append(command(options))
            print(f"to repeat it: {failing[-1]}", flush=True)
    print(f"\n{WORDS}")
    if len(seeds) > 1:
        show(f"{len(seeds)} seeds", total, [])
    print(f"{broken} broken promises" + "".join(f"\n  {line}" for line in failing))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
