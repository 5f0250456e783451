"""Fixtures: one 2x2x2 cluster for all tests that kill nothing, and own clusters for the rest."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cluster import BUILD, Cluster  # noqa: E402
from native import HISTORY, Api  # noqa: E402


def pytest_sessionstart(session):
    missing = [d for d in ("comet", "logic", "job") if not (BUILD / d).exists()]
    if missing:
        pytest.exit(f"{BUILD} has no {', '.join(missing)}: make build, or set ENCKE_BUILD", 2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the last words of every process of the clusters it could see."""
    report = (yield).get_result()
    if report.failed:
        for cluster in Cluster.live:
            report.sections.append((f"processes in {cluster.folder}", cluster.tails()))


@pytest.fixture(scope="session")
def shared_cluster():
    """handshake_timeout is short, so that its test need not wait 8 s."""
    with Cluster(2, 2, 2, {"ENCKE_SESSION_HANDSHAKE_TIMEOUT": "3s"}) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster):
    yield shared_cluster
    shared_cluster.close_clients()


@pytest.fixture
def backend(cluster):
    return cluster.backend()


@pytest.fixture
def own_cluster():
    """own_cluster(comets, logics, jobs, env): started, and ended with the test."""
    made = []

    def make(*counts, **options):
        made.append(Cluster(*counts, **options))
        return made[-1].start()

    yield make
    for one in made:
        one.stop()


@pytest.fixture(params=["tcp", "ws"])
def transport(request):
    return request.param


@pytest.fixture(scope="session")
def native():
    with Cluster(1, 1, 1, HISTORY) as cluster:
        yield cluster


@pytest.fixture
def api(native):
    yield Api(native.backend())
    native.close_clients()
