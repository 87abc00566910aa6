"""Workspaces whose state lies in a store that several machines share."""

import itertools
import json
import os
import shutil
import time
from pathlib import Path

import obstore
from obstore.store import LocalStore

from reconciler.adapters.state.lease import CLOCK_STEP
from tests.recovery import runs
from tests.recovery.runs import World
from tests.recovery.seaweed import BUCKET

CONFIG = runs.CONFIG.replace("1000000}}", "1000000, lease_seconds: 20}}")
"""With leases that last, on a busy machine too."""
LEASE = 3
SHORT = CONFIG.replace("lease_seconds: 20", f"lease_seconds: {LEASE}")
"""For tests that wait for the end of a lease."""
EXPIRED = LEASE + CLOCK_STEP + 0.1
"""Seconds after which a killed run's lease is free: its length, and what a store's clock may be rounded by."""
_numbers = itertools.count(1)


class Place:
    """One prefix of a store."""

    def __init__(self, store, url, env):
        self.store = store
        self.url = url
        self.env = env

    def names(self, folder=""):
        found = obstore.list(self.store, prefix=folder or None).collect()
        return sorted(item["path"] for item in found)

    def read(self, name):
        return bytes(obstore.get(self.store, name).bytes())

    def write(self, name, data):
        obstore.put(self.store, name, data)

    def newest(self):
        return json.loads(self.read(self.names("state")[-1]))

    def lease(self):
        """The newest word on who holds the state, and its name."""
        names = [name for name in self.names("lease") if name.endswith(".json")]
        return (json.loads(self.read(names[-1])), names[-1]) if names else ({"standing": "released"}, "")

    def run_out(self):
        """Has the lease of one who died expire now, so that nobody waits for that."""
        lease, name = self.lease()
        if lease["standing"] == "held":
            self.write(name, json.dumps({**lease, "seconds": -CLOCK_STEP}).encode())

    def clear(self, folder=""):
        names = self.names(folder)
        if names:
            obstore.delete(self.store, names)

    def fill_from(self, other):
        """The newest snapshot of another place, and what was written on top of it."""
        name = other.names("state")[-1]
        for each in (name, *other.names(f"journal/{name[6:16]}")):
            self.write(each, other.read(each))


def in_bucket(seaweed, url=None):
    prefix = f"{os.getpid()}-{next(_numbers)}"
    return Place(seaweed.store(prefix), f"s3://{BUCKET}/{prefix}", seaweed.env(url))


def in_folder(folder):
    folder = Path(folder)
    folder.mkdir(parents=True)
    return Place(LocalStore(folder), folder.as_uri(), {})


class RemoteWorld(World):
    """A workspace folder, as one machine has it, and a state elsewhere. ``new_place`` makes places for copies."""

    def __init__(self, zygote, accounts, folder, *, new_place, place=None, account=None, **more):
        self.new_place = new_place
        self.place = place or new_place()
        super().__init__(zygote, accounts, folder, **more)
        self.env = {**self.place.env, "RECONCILER_STATE": self.place.url}

    @classmethod
    def new(cls, zygote, accounts, folder, specs, *, config=CONFIG, **more):
        return super().new(zygote, accounts, folder, specs, config=config, **more)

    def _twin(self, folder):
        place = self.new_place()
        if self.place.names("state"):
            place.fill_from(self.place)
        return type(self)(self.zygote, self.accounts, folder, source=self.store, new_place=self.new_place, place=place)

    def machine(self, folder):
        """Another machine with the same specs, for the same account and state."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.folder = Path(folder)
        other.folder.mkdir(parents=True)
        shutil.copy2(self.folder / "reconciler.yaml", other.folder)
        shutil.copytree(self.folder / "specs", other.folder / "specs")
        other._runs = 0
        return other

    def document(self):
        return self.place.newest()

    def lease(self):
        return self.place.lease()[0]

    def lose_state(self):
        self.place.clear()


def until_held(world):
    """Waits until a run has the lease."""
    end = time.monotonic() + 30
    while world.lease()["standing"] != "held":
        assert time.monotonic() < end
        time.sleep(0.02)
