"""SIGHUP: what can be taken over is, the rest is named in the log, nonsense changes nothing."""
import shutil
import signal

import pytest

from cluster import ROOT, Cluster, wait_until


@pytest.fixture(scope="module")
def reloadable():
    """One of each, with files of their own."""
    cluster = Cluster(1, 1, 1)
    for daemon in cluster.daemons:
        daemon.file = cluster.folder / f"{daemon.name}.yaml"
        shutil.copy(ROOT / "configs" / f"{daemon.name}.yaml", daemon.file)
        daemon.command[daemon.command.index("--config") + 1] = str(daemon.file)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


def replace(daemon, old, new):
    text = daemon.file.read_text()
    assert old in text, (daemon.name, old)
    daemon.file.write_text(text.replace(old, new, 1))


def reload(daemon, word="process.reload"):
    """Sends the signal; answers the lines about it."""
    before = len(daemon.log.read_text())
    daemon.child.send_signal(signal.SIGHUP)
    lines = []

    def told():
        text = daemon.log.read_text()[before:]
        lines[:] = [line for line in text.splitlines() if word in line]
        return bool(lines)
    wait_until(told, 10, f"{daemon.name} says what came of it")
    return "\n".join(lines)


@pytest.mark.parametrize("kind", ["comet", "logic", "job"])
def test_reload_takes_what_it_can_and_names_the_rest(reloadable, kind):
    daemon = reloadable.named(kind)
    replace(daemon, "level: info", "level: debug")
    replace(daemon, "call_timeout: 2s", "call_timeout: 3s")
    assert "nats.call_timeout" in reload(daemon, "needs_restart")
    assert 'done changed="log.level"' in reload(daemon, "done changed")
    replace(daemon, "level: debug", "level: loud")
    assert "refused" in reload(daemon) and "log.level" in daemon.log.read_text()
    replace(daemon, "level: loud", "level: warn")
    daemon.child.send_signal(signal.SIGHUP)  # from here on the line itself is below the level
    daemon.await_ready()
    assert daemon.alive


def test_reload_of_a_comet_changes_what_others_see(reloadable):
    comet = reloadable.comets[0]
    backend = reloadable.backend()

    def instance():
        return backend.data("/goim/nodes/instances")[0]
    assert instance()["metadata"]["weight"] == "10"
    replace(comet, "weight: 10", "weight: 77")
    comet.child.send_signal(signal.SIGHUP)
    wait_until(lambda: instance()["metadata"]["weight"] == "77", 10, "the new weight is known")


def test_reload_of_logic_changes_who_may_push(reloadable):
    logic = reloadable.logics[0]
    backend = reloadable.backend()
    assert backend.try_push("all", b"x", operation=1000)
    replace(logic, "  keys: []                      # who may call",
            "  keys: [secret]                # who may call")
    logic.child.send_signal(signal.SIGHUP)
    wait_until(lambda: not backend.try_push("all", b"x", operation=1000), 10, "a key is needed")
    status, _, _ = backend.post("/goim/push/all?operation=1000", b"x",
                                headers={"X-API-Key": "secret"})
    assert status == 200
