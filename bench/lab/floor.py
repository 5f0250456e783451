"""The bare send loop (bench/floor), asked for single stretches so that it can take turns."""
import json
import subprocess

from place import program


class Floor:
    """N connections between processes that only send and processes that only read."""

    def __init__(self, connections, processes=0, body=50):
        self.child = subprocess.Popen(
            [program("floor/encke-floor"), "--conducted", f"--connections={connections}",
             f"--processes={processes}", f"--body={body}"],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not self.child.stdout.readline():
            raise RuntimeError("encke-floor did not come up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.wait(60)

    def run(self, transport, batch, **more):
        """more: seconds, rounds, rounds_per_s (0 = as fast as the readers drain)."""
        self.child.stdin.write(json.dumps(
            {"do": "run", "transport": transport, "batch": batch, **more}) + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())
