"""The commands of the manifests as processes on a real bucket: killed at any moment, nothing twice, and the other takes over."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.kubernetes.manifests import EXAMPLE, container, environment, mount, rendered
from tests.recovery.conftest import accounts, folder, new_remote, seaweed, zygote  # noqa: F401  fixtures
from tests.recovery.remote import EXPIRED, LEASE, until_held
from tests.recovery.runs import kill_at
from tests.sampling import swept
from tests.watch.conftest import Watching
from tests.watch.test_deliveries import SECRET

MORE = """\
projects:
  a: {brief: The brief of a., settings: {title: A}, messages: [one, one, two]}
  b: {brief: The brief of b., messages: [hello]}
"""
EFFECTS = ["create"] * 3 + ["message"] * 5
SOON = 60.0
"""Seconds in which a busy machine gets to anything."""


class Cluster:
    """What the manifests make: pods on one account and one bucket. What time takes is set by variables, not by options."""

    def __init__(self, world, place, kind):
        self.world, self.folder = world, place
        self.resources = rendered(EXAMPLE / kind)
        self.pods = []

    def pod(self):
        """A new pod: its own folder, the workspace that it mounts with two more projects, its environment."""
        pod = self.world.machine(self.folder / f"pod-{len(self.pods)}")
        self.pods.append(pod)
        pod.folder = mount(self.resources, pod.folder)
        (pod.folder / "specs" / "more.yaml").write_text(MORE)
        with (pod.folder / "reconciler.yaml").open("a") as config:
            config.write(f"limits: {{lease_seconds: {LEASE}, requests_per_minute: 1000000}}\n")
        made = environment(self.resources, {"reconciler": self.secrets(pod)})
        for name in ("WATCH", "APPLY"):
            made |= {f"RECONCILER_{name}_POLL_INTERVAL": "0.1", f"RECONCILER_{name}_SETTLE": "0.2"}
        pod.env = made | pod.env | {"EVERSINCE_API_URL": pod.accounts.url}
        return pod

    def secrets(self, pod):
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        return {
            "EVERSINCE_API_KEY": pod.key,
            "EVERSINCE_WEBHOOK_SECRET": SECRET,
            **{name: pod.env[name] for name in keys},
        }

    @property
    def args(self):
        """The container's, at a free port of loopback."""
        args = container(self.resources)["args"]
        return ["127.0.0.1:0" if arg == "0.0.0.0:8080" else arg for arg in args]

    def whole(self):
        """Everything was done once, as the account's own ledger says."""
        assert sorted(self.world.kinds()) == EFFECTS
        assert len(set(self.world.created())) == 3
        assert self.world.sent("a") == ["one", "one", "two"]
        assert self.world.sent("b") == ["hello"]
        assert self.world.sent("summer-teaser") == ["Make the music softer."]


class Replica(Watching):
    """A pod of the Deployment."""

    def __init__(self, cluster, *, orders=()):
        command, *args = cluster.args
        assert command == "watch"
        super().__init__(cluster.pod(), *args, orders=orders, quick=())

    def ready(self):
        answer = self.get("/readyz")
        return answer.text.strip() if answer.status_code == 200 else None

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        assert self.killed().killed


@pytest.fixture
def cluster(new_remote, folder):  # noqa: F811
    return lambda kind: Cluster(new_remote("projects: {}\n"), folder, kind)


@pytest.fixture
def replicas():
    """Starts replicas; none is left running."""
    started = []

    def start(cluster, **how):
        started.append(Replica(cluster, **how))
        return started[-1]

    yield start
    for replica in started:
        try:
            os.kill(replica.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        replica.killed()


def a_moment(seed):
    """A moment of a round that has everything to do: at one of its calls or of its writes to the bucket."""
    chance = random.Random(seed)
    family = chance.choice(["call", "call", "state"])
    return kill_at(family, chance.randint(1, 8 if family == "call" else 16))


@pytest.mark.sweep
@pytest.mark.long
@pytest.mark.parametrize("seed", [3, *map(swept, range(4, 12))])
def test_the_standby_takes_over_within_the_lease_and_nothing_is_done_twice(cluster, replicas, seed):
    """Intent: two replicas; the active one is killed at a moment of the seed; its pod is replaced; the other one, too, is
    killed later, while it rests or works.
    """
    made = cluster("watch")
    active = replicas(made, orders=[a_moment(seed)])
    until_held(made.world)
    standby = replicas(made)
    assert active.killed().killed
    died = time.monotonic()
    standby.reaches(1, "converged")
    assert time.monotonic() - died < EXPIRED + SOON
    if standby.rounds("locked"):
        assert "note: the state" in standby.err and "is locked" in standby.err
    assert standby.ready() == "ok"
    made.whole()
    successor = replicas(made)
    time.sleep(random.Random(seed).uniform(0, 0.5))
    standby.kill()
    successor.reaches(1, "converged")
    made.whole()
    assert successor.stop().code == 0


@pytest.mark.sweep
@pytest.mark.long
def test_a_standby_waits_quietly_and_is_ready_to_take_over(cluster, replicas):
    made = cluster("watch")
    active = replicas(made, orders=[kill_at("call", 1, signal.SIGSTOP)])
    until_held(made.world)
    standby = replicas(made)
    standby.reaches(3, "locked")
    assert standby.ready() == "standby: another run holds the state"
    assert standby.get("/healthz").status_code == 200
    assert standby.err.count("is locked") == 1, "said once, however often it looks"
    assert "note: the state" in standby.err and "error" not in standby.err
    active.kill()
    standby.reaches(1, "converged")
    standby.until(lambda: standby.ready() == "ok")
    made.whole()
    assert standby.stop().code == 0


@pytest.mark.sweep
@pytest.mark.long
def test_two_replicas_and_no_accident_do_everything_once(cluster, replicas):
    made = cluster("watch")
    both = [replicas(made), replicas(made)]
    for each in both:
        each.reaches(1, "converged")
    made.whole()
    assert [each.stop().code for each in both] == [0, 0]


@pytest.mark.sweep
@pytest.mark.long
@pytest.mark.parametrize("seed", [1, *map(swept, range(2, 5))])
def test_a_job_that_was_killed_is_finished_by_the_next_one(cluster, seed):
    made = cluster("cronjob")
    ended = made.pod().run(*made.args, orders=[a_moment(seed)])
    assert ended.killed, str(ended)
    ended = made.pod().run(*made.args)  # it waits for the end of the lease
    assert ended.code == 0, str(ended)
    made.whole()
    ended = made.pod().run(*made.args)
    assert ended.code == 0 and "No changes" in ended.out + ended.err, str(ended)
    made.whole()
