"""bench/lab/resume.py on a small scale: clients/cpp comes back with exactly what it missed."""
import json
import os
import subprocess
import sys

from cluster import ROOT, SLOW


def test_v2_clients_of_the_library_come_back_with_the_exact_set(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "bench/lab/resume.py", "--connections=300", "--rooms=6",
         "--rate=60", "--seconds=1"],
        env={**os.environ, "ENCKE_BENCH_OUT": str(tmp_path)}, capture_output=True, text=True,
        timeout=90 * SLOW)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    [written] = (tmp_path / "resume").glob("*.json")
    [row] = json.loads(written.read_text())["tables"]["turns"]
    assert row["clients with the exact set"] == row["resumed"] == row["lost their comet"] == 300
    assert row["received"] == row["expected"] > 300 * 10
