"""Rooms with a history: what clients of version 1 get is what the timeline says, in its order."""
import threading
import time

import pytest

from goim_client import Collector
from native import HISTORY, Api

ENV = {**HISTORY, "ENCKE_ROOMS_GROUP_HISTORY_MESSAGES": "2000"}


@pytest.fixture
def racing(own_cluster):
    """Two logics that push to one room at once, clients on two comets that write down."""
    cluster = own_cluster(2, 2, 2, env=ENV)
    clients = [cluster.client(t, comet).auth(mid=0, room="group://race")
               for t in ("tcp", "ws") for comet in (0, 1)]
    return cluster, [Collector(client) for client in clients]


class Pushers:
    """Threads that push until told to stop; what was accepted, by body."""

    def __init__(self, cluster, logics, threads=3):
        self.accepted = {}
        self.refused = 0
        self.running = True
        self.threads = [
            threading.Thread(target=self.run, args=(Api(cluster.backend(logic)), f"{logic}{i}"))
            for logic in logics for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, api, name):
        n = 0
        while self.running:
            n += 1
            body = f"{name} {n}"
            try:
                status, reply = api.call("POST", "/v1/pushes", {
                    "room": "group://race", "op": 1000, "body": body,
                    "idempotency_key": body.replace(" ", "-")})
            except OSError:
                status = 0
            if status == 200:
                self.accepted[body] = reply["timelines"][0]["seq"]
            else:
                self.refused += 1
                time.sleep(0.02)

    def stop(self):
        self.running = False
        for thread in self.threads:
            thread.join()


def in_order(cluster, accepted, collectors):
    """Everybody got every accepted push once, ascending by its number."""
    def bodies(one):
        return [body.decode() for body in one.bodies()]
    for one in collectors:
        assert one.wait_for(lambda r: set(accepted) <= set(bodies(r)), 30), (
            sorted(set(accepted) - set(bodies(one)))[:10])
    history = {}
    after = 0
    while True:
        page = Api(cluster.backend(0)).history(room="group://race", after_seq=after, limit=1000)
        history |= {push["body"]: push["seq"] for push in page["pushes"]}
        if not page["more"]:
            break
        after = page["pushes"][-1]["seq"]
    assert {body: history.get(body) for body in accepted} == accepted
    for one in collectors:
        got = bodies(one)
        assert len(got) == len(set(got)), "something came twice"
        numbers = [history[body] for body in got]
        assert numbers == sorted(numbers)
        one.stop()


def test_two_logics_race_and_the_order_is_that_of_the_timeline(racing):
    cluster, collectors = racing
    pushers = Pushers(cluster, (0, 1))
    time.sleep(2)
    pushers.stop()
    assert pushers.refused == 0 and len(pushers.accepted) > 200
    in_order(cluster, pushers.accepted, collectors)


def test_a_logic_dies_between_append_and_publish(racing):
    cluster, collectors = racing
    pushers = Pushers(cluster, (0, 1))
    for _ in range(3):
        time.sleep(0.4)
        cluster.logics[1].kill()
        cluster.logics[1].start()
        cluster.logics[1].await_ready()
    pushers.stop()
    in_order(cluster, pushers.accepted, collectors)


def test_a_job_dies_and_another_goes_on(racing):
    cluster, collectors = racing
    pushers = Pushers(cluster, (0, 1), threads=1)
    for job in cluster.jobs:
        time.sleep(0.5)
        job.kill()
        time.sleep(0.2)
        job.start()
    time.sleep(0.5)
    pushers.stop()
    in_order(cluster, pushers.accepted, collectors)


def test_the_log_server_pauses(racing):
    cluster, collectors = racing
    pushers = Pushers(cluster, (0, 1), threads=1)
    time.sleep(0.3)
    cluster.nats.pause()
    time.sleep(1)
    cluster.nats.resume()
    time.sleep(0.5)
    pushers.stop()
    in_order(cluster, pushers.accepted, collectors)
