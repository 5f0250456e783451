"""bench/lab/heal.py on a small scale: Redis comes back empty, routing and timelines come back."""
import json
import os
import subprocess
import sys

from cluster import ROOT, SLOW


def test_redis_restarted_empty_routes_again_and_timelines_say_so(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "bench/lab/heal.py", "--connections=400", "--followers=40",
         "--rooms=8", "--rate=80", "--seconds=1", "--announce_rate=400"],
        env={**os.environ, "ENCKE_BENCH_OUT": str(tmp_path)}, capture_output=True, text=True,
        timeout=120 * SLOW)
    [written] = (tmp_path / "heal").glob("*.json")
    [row] = json.loads(written.read_text())["tables"]["turns"]
    assert row["afterwards by mids"] == row["afterwards by keys"] == 400, row
    assert row["repeats by mids"] == row["repeats by keys"] == row["sessions lost"] == 0, row
    assert row["reloaded"] == 40 and row["received"] == row["expected"] > 40 * 5, row
    assert row["missing"] == row["duplicates"] == row["out of order"] == 0, row
    assert row["by mids, s"] < 60 and row["by keys, s"] < 60, (done.stdout + done.stderr)[-3000:]
