"""Fixtures of the operator's tests."""

import pytest

from tests.recovery.conftest import accounts, folder, zygote  # noqa: F401  fixtures
from tests.recovery.remote import SHORT
from tests.recovery.runs import World


class Team:
    """One workspace: an account, a state on a volume, and the resource that names them."""

    def __init__(self, cluster, world, name, place):
        self.cluster, self.world, self.name, self.place = cluster, world, name, place
        self.state = (place / f"state-{name}").as_uri()
        (place / f"state-{name}").mkdir(parents=True)
        cluster.secret(name, world.key)

    def specs(self, text):
        config = SHORT.format(url=self.world.accounts.url).replace("recovery", self.name)
        data = {"reconciler.yaml": config, "all.yaml": text}
        self.cluster.put("configmaps", self.name, data=data)

    def resource(self, **more):
        source = {"configMap": {"name": self.name}}
        spec = {"source": source, "state": self.state, "keySecretRef": {"name": self.name}, "interval": "1h", **more}
        self.cluster.workspace(self.name, **spec)


@pytest.fixture
def cluster():
    pytest.importorskip("kopf")
    pytest.importorskip("kmock")
    from tests.operator.cluster import Cluster

    with Cluster() as served:
        yield served


@pytest.fixture
def team(cluster, zygote, accounts, folder):  # noqa: F811
    made = []

    def make(specs, name="one"):
        world = World(zygote, accounts, folder / f"world-{name}")
        made.append(world)
        team = Team(cluster, world, name, folder)
        team.specs(specs)
        return team

    yield make
    for world in made:
        world.close()


@pytest.fixture
def operator(cluster, folder):  # noqa: F811
    """Starts operators; none is left running."""
    from tests.operator.cluster import Operator

    started = []

    def start(*more, **env):
        started.append(Operator(cluster, folder / "operator", *more, **env))
        return started[-1]

    yield start
    for each in started:
        each.kill()
