#!/usr/bin/env python3
"""Does the chaos suite fail when a promise is broken on purpose?

    tests/chaos/mutants.py            break one after the other: about ten minutes
    tests/chaos/mutants.py WORD ...   only those whose name contains a word
    tests/chaos/mutants.py --check    only look whether every edit fits

tests/chaos/mutants.toml says what to break, with which faults it must show, and how.  Builds in the
same scratch tree as scripts/mutants.py (build/mutants).
"""
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import mutants as base  # noqa: E402

base.TARGETS.append("encke-crowd")
SECONDS, CLIENTS, RATE = 20, 120, 200


def load(words):
    with open(ROOT / "tests/chaos/mutants.toml", "rb") as file:
        entries = tomllib.load(file)["mutant"]
    return [entry for entry in entries
            if not words or any(word in entry["name"] for word in words)]


def edits_of(entry):
    return [(edit["old"], edit["new"]) for edit in entry.get("edits", [entry])]


def misfits(entries):
    wrong = []
    for entry in entries:
        for old, _ in edits_of(entry):
            try:
                base.find(ROOT, old)
            except LookupError as error:
                wrong.append(f"{entry['name']}: {error}")
    return wrong


def play(faults, seconds=SECONDS):
    """(exit status, output)"""
    command = [sys.executable, str(base.TREE / "tests/chaos/chaos.py"), "--seed", "1", "--faults",
               faults, "--seconds", str(seconds), "--clients", str(CLIENTS), "--rate", str(RATE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False,
                          env={**os.environ, "ENCKE_BUILD": str(base.TREE / "build/release")})
    return done.returncode, done.stdout + done.stderr[-500:]


def judge(entry):
    """What came of it; empty: caught."""
    with base.Edited(edits_of(entry)):
        refused = base.build()
        if refused:
            return f"does not compile: {refused}"
        status, output = play(entry["faults"], entry.get("seconds", SECONDS))
    words = [entry["says"]] if isinstance(entry["says"], str) else entry["says"]
    hits = [line for line in output.splitlines()
            if "BROKEN" in line and all(word in line for word in words)]
    if status == 1 and hits:
        print(f"    {hits[0].strip()}"[:150])
        return ""
    return f"exit {status}: {output[-300:]}"


def main():
    words = [word for word in sys.argv[1:] if word != "--check"]
    entries = load(words)
    wrong = misfits(entries)
    print("\n".join(wrong) or f"{len(entries)} mutants of the chaos suite fit")
    if wrong or "--check" in sys.argv:
        return bool(wrong)
    base.copy_tree()
    subprocess.run([base.TREE / "scripts/browser.sh"], check=True)
    if refused := base.build():
        print(refused)
        return True
    faults = ",".join(sorted({entry["faults"] for entry in entries}))
    status, output = play(faults)
    if status:
        print(f"the tree as it is fails already: {output[-1000:]}")
        return True
    print(f"the tree as it is keeps its promises ({faults})", flush=True)
    survived = 0
    for entry in entries:
        began = time.monotonic()
        why = judge(entry)
        survived += bool(why)
        print(f"  {'NOT CAUGHT' if why else 'caught'}  {entry['name']}  "
              f"({time.monotonic() - began:.0f} s) {why}", flush=True)
    base.build()  # as it was
    print(f"{len(entries)} mutants, {survived} not caught")
    return bool(survived)


if __name__ == "__main__":
    sys.exit(main())
