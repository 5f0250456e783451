#!/usr/bin/env python3
"""Every experiment on a small scale, about five minutes: what `make bench` runs.

Each writes its own JSON and page under run/bench; this prints what was reached and what was missed.
The figures of bench/README.md come from the same programs with their own defaults.
"""
import json
import subprocess
import sys
import time
from pathlib import Path

from place import folder, program

HERE = Path(__file__).resolve().parent
PROGRAMS = (
    ["fanout.py", "--members=10000", "--transports=tcp,ws", "--batches=1,20", "--turns=2",
     "--seconds=2"],
    ["lone.py", "--idle=15000", "--turns=1", "--seconds=6"],
    ["mixed.py", "--seconds=10"],
    ["api.py", "--seconds=5", "--turns=1"],
    ["curve.py", "--sizes=1000,10000", "--seconds=5"],
    ["million.py", "--connections=15000", "--idle=5", "--pushes=20", "--push_rate=4"],
)


def newest(name):
    pages = sorted(folder(name).glob("*.json"))
    return json.loads(pages[-1].read_text()), pages[-1].with_suffix(".html")


def main():
    began, failed, pages = time.monotonic(), [], []
    for name, *arguments in PROGRAMS:
        print(f"== {name} {' '.join(arguments)}", flush=True)
        since = time.time()
        status = subprocess.run([sys.executable, HERE / name, *arguments]).returncode
        result, page = newest(name.removesuffix(".py"))
        if status not in (0, 1) or page.stat().st_mtime < since:
            failed.append(name)
            continue
        pages.append((result, page))
    print("== micro-benchmarks", flush=True)
    subprocess.run([program("micro/encke-micro"), "--benchmark_min_time=0.05",
                    "--benchmark_color=false"], check=False)
    print(f"\n== summary, after {time.monotonic() - began:.0f} s")
    for result, page in pages:
        print(result["title"], f"({page})")
        for check in result["checks"]:
            print(f"  {'reached' if check['reached'] else 'MISSED '}  {check['what']}: "
                  f"{check['measured']:,.4g} ({check['limit']})")
    if failed:
        sys.exit(f"did not run to the end: {', '.join(failed)}")


if __name__ == "__main__":
    main()
