"""Fixtures of the recovery tests."""

import itertools

import pytest

from tests import command
from tests.made_once import made_once
from tests.recovery.accounts import Accounts
from tests.recovery.campaign import prepared
from tests.recovery.figures import FIGURES
from tests.recovery.remote import RemoteWorld, in_bucket, in_folder
from tests.recovery.runs import World, scratch
from tests.recovery.seaweed import Bucket, served


@pytest.fixture(scope="session")
def figures():
    return FIGURES


@pytest.fixture(scope="session")
def zygote():
    return command.zygote()


@pytest.fixture(scope="session")
def accounts():
    with Accounts() as served:
        yield served


@pytest.fixture(scope="session")
def shelf():
    """A folder in memory for the session's workspaces."""
    with scratch() as folder:
        yield folder


@pytest.fixture
def folder():
    with scratch() as path:
        yield path


@pytest.fixture(scope="session")
def applied(zygote, accounts, shelf):
    """``applied(specs)``: a workspace that was applied once, made once for each text; to be copied."""
    worlds = {}

    def get(specs):
        if specs not in worlds:
            worlds[specs] = World.new(zygote, accounts, shelf / f"applied-{len(worlds)}", specs)
            worlds[specs].converges()
        return worlds[specs]

    yield get
    for world in worlds.values():
        world.close()


@pytest.fixture
def new_world(zygote, accounts, applied, folder):
    """Makes workspaces: ``new_world(specs)``; ``new_world(specs, once=True)``: one that was applied once."""
    worlds = []

    def make(specs, *, once=False, **more):
        place = folder / str(len(worlds))
        world = applied(specs).copy(place) if once else World.new(zygote, accounts, place, specs, **more)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.close()


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory):
    return Bucket(made_once(tmp_path_factory, "seaweed", served))


@pytest.fixture(scope="session")
def remote_base(zygote, accounts, shelf, seaweed):
    """The kill matrix's workspace, with its state in a bucket; to be copied."""
    base = prepared(zygote, accounts, shelf / "remote", RemoteWorld, new_place=lambda: in_bucket(seaweed))
    yield base
    base.close()


@pytest.fixture
def new_remote(zygote, accounts, folder, request):
    """Makes workspaces with a remote state: ``new_remote(specs, place="bucket")``, or in a shared ``folder``."""
    worlds = []

    def make(specs, place="bucket", **more):
        number = len(worlds)
        if place == "bucket":
            server = request.getfixturevalue("seaweed")
            more.setdefault("new_place", lambda: in_bucket(server))
        else:
            count = itertools.count()
            more.setdefault("new_place", lambda: in_folder(folder / f"shared-{number}-{next(count)}"))
        world = RemoteWorld.new(zygote, accounts, folder / str(number), specs, **more)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.close()
