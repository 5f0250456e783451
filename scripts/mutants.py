#!/usr/bin/env python3
"""Does every row of the compatibility list have a test that fails when the row is broken?

    scripts/mutants.py            break one row after the other, run its tests: some ten minutes
    scripts/mutants.py WORD ...   only mutants or rows whose name contains a word
    scripts/mutants.py --check    only look whether every edit fits and every row has a mutant

A row is a test named test_s12_...; tests/mutants.toml says how to break it: small edits, each found
by a text that occurs once in internal/ and clients/js, so that moved files do not matter.
Everything happens in a copy of this tree under build/mutants.  A mutant is caught when each of its
rows fails in a test's own steps, with every daemon still alive: a crash or a cluster that never
starts proves nothing.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TREE = ROOT / "build" / "mutants" / "tree"
TARGETS = ["comet_bin", "logic_bin", "job_bin"]
CODE = {".cc", ".h", ".js"}


class Mutant:
    def __init__(self, entry):
        self.name, self.rows = entry["name"], entry["rows"]
        self.edits = [(e["old"], e["new"]) for e in entry.get("edits", [entry])]

    def fits(self, wanted):
        return not wanted or any(w in name for w in wanted for name in (self.name, *self.rows))


def load():
    with open(ROOT / "tests" / "mutants.toml", "rb") as file:
        return [Mutant(entry) for entry in tomllib.load(file)["mutant"]]


def rows_of(tree):
    """Every test function of the list."""
    rows = set()
    for path in (tree / "tests" / "integration").glob("test_*.py"):
        for line in path.read_text().splitlines():
            if line.startswith("def test_s12_"):
                rows.add(line[len("def test_"):line.index("(")])
    return rows


def find(tree, old):
    """(path, text) of the one file that holds the text exactly once."""
    hits = []
    for path in sorted([*(tree / "internal").rglob("*"), *(tree / "clients/js").glob("*")]):
        if path.suffix in CODE:
            text = path.read_text()
            hits += [(path, text)] * text.count(old)
    if len(hits) != 1:
        raise LookupError(f"occurs {len(hits)} times in internal/, clients/js: {old.strip()!r}")
    return hits[0]


def check(mutants):
    """Complaints about the list itself."""
    wrong, rows, broken = [], rows_of(ROOT), set()
    for mutant in mutants:
        broken.update(mutant.rows)
        wrong += [f"{mutant.name}: no test is called test_{row}"
                  for row in mutant.rows if row not in rows]
        for old, _ in mutant.edits:
            try:
                find(ROOT, old)
            except LookupError as error:
                wrong.append(f"{mutant.name}: {error}")
    return wrong + [f"no mutant breaks {row}" for row in sorted(rows - broken)]


# ---- the scratch tree ---------------------------------------------------------------------------
def copy_tree():
    """Files git knows or would know; unchanged ones keep their time, so that little is rebuilt."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.split("\n")
    wanted = {name for name in listed if name and (ROOT / name).is_file()}
    for path in list(TREE.rglob("*")) if TREE.exists() else []:
        name = path.relative_to(TREE)
        if path.is_file() and name.parts[0] != "build" and str(name) not in wanted:
            path.unlink()
    for name in wanted:
        source, target = ROOT / name, TREE / name
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def build():
    """The compiler's last words when it refuses."""
    if not (TREE / "build/release/build.ninja").exists():
        subprocess.run(["cmake", "--preset", "release", "-DENCKE_WERROR=OFF"], cwd=TREE, check=True,
                       capture_output=True)  # broken code may well leave something unused
    done = subprocess.run(["cmake", "--build", "--preset", "release", "--target", *TARGETS],
                          cwd=TREE, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout[-2000:]


class Edited:
    def __init__(self, edits):
        self.edits, self.before = edits, {}

    def __enter__(self):
        for old, new in self.edits:
            path, text = find(TREE, old)
            self.before.setdefault(path, text)
            path.write_text(text.replace(old, new))

    def __exit__(self, *_):
        for path, text in self.before.items():
            path.write_text(text)


# ---- running rows -------------------------------------------------------------------------------
def run_rows(rows):
    """{row: passed, failed or died}.  After a row's first failure the rest of it is left out."""
    command = [sys.executable, str(TREE / "scripts/mutants.py"), "--rows", *rows]
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, timeout=1800,
                          env={**os.environ, "ENCKE_BUILD": str(TREE / "build/release")})
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise RuntimeError(f"pytest did not run: {done.stdout[-500:]} {done.stderr[-500:]}")


def rows_mode(rows):
    """Inside the scratch tree, in a process of its own."""
    import pytest

    class Watch:
        def __init__(self):
            self.found = {}

        @staticmethod
        def row(item):
            return item.name.partition("[")[0].removeprefix("test_")

        def pytest_collection_modifyitems(self, items):
            items[:] = [item for item in items if self.row(item) in rows]

        def pytest_runtest_setup(self, item):
            if self.found.get(self.row(item)) in ("failed", "died"):
                pytest.skip("this row has failed already")

        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport(self, item, call):
            report = (yield).get_result()
            row = self.row(item)
            if report.failed:
                alive = all(p.alive for c in sys.modules["cluster"].Cluster.live
                            for p in c.processes)
                self.found[row] = "failed" if report.when == "call" and alive else "died"
            elif report.when == "call":
                self.found.setdefault(row, "passed")

    watch = Watch()
    pytest.main(["-p", "no:cacheprovider", "-q", "--tb=line", str(ROOT / "tests/integration")],
                plugins=[watch])
    print("\n" + json.dumps(watch.found))


def verdict(mutant):
    with Edited(mutant.edits):
        refused = build()
        if refused:
            return {row: "does not compile" for row in mutant.rows}, refused
        found = run_rows(mutant.rows)
    return {row: found.get(row, "not run") for row in mutant.rows}, ""


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("words", nargs="*")
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--rows", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.rows:
        return rows_mode(set(options.words))
    mutants = load()
    wrong = check(mutants)
    print("\n".join(wrong) or f"{len(mutants)} mutants fit, {len(rows_of(ROOT))} rows")
    if options.check or wrong:
        return bool(wrong)

    chosen = [mutant for mutant in mutants if mutant.fits(options.words)]
    copy_tree()
    if refused := build():
        print(refused)
        return True
    rows = sorted({row for mutant in chosen for row in mutant.rows})
    whole = {row: state for row, state in run_rows(rows).items() if state != "passed"}
    if whole:
        print("these fail in the tree as it is:", whole)
        return True
    print(f"{len(rows)} rows pass in the tree as it is")

    survived = 0
    for mutant in chosen:
        began = time.monotonic()
        found, words = verdict(mutant)
        took = time.monotonic() - began
        for row, state in found.items():
            caught = state == "failed"
            survived += not caught
            print(f"  {'caught' if caught else 'NOT CAUGHT'}  {row:62} by {mutant.name}"
                  f"{'' if caught else f': {state}'}", flush=True)
        print(f"{words}  ({took:.0f} s)", flush=True)
    build()  # as it was
    print(f"{len(chosen)} mutants, {len(rows)} rows, {survived} not caught")
    return bool(survived)


if __name__ == "__main__":
    sys.exit(main())
