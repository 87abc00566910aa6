"""The whole suite's setting: commands find their modules compiled, properties are tried with fixed seeds and without time
limits, folders lie in memory, and canaries are set out that nothing may hold.
"""

import atexit
import itertools
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

from reconciler.model import contract
from tests import canaries, cheap_secrets, command
from tests.sampling import outside_the_sample

if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    # Tests start the program hundreds of times; each would compile every module anew, half a second at a time.
    sys.dont_write_bytecode = False
MEMORY = Path("/dev/shm")
"""Folders of tests lie here where there is room: the program syncs much, and a disk takes milliseconds for each."""
if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4 << 30:
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="cache-")
"""The list of models is kept here, and not where the user's is."""
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
pytest_plugins = ("tests.recovery.figures",)
canaries.set_out()
cheap_secrets.use()
settings.register_profile("suite", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("suite")


def pytest_xdist_auto_num_workers():
    """Two for each core: leases, back-offs and settle times are waited for in a third of the time."""
    return 2 * (os.cpu_count() or 1)


def pytest_configure(config):
    """All processes of a session have their zygotes from one."""
    if not hasattr(config, "workerinput"):
        os.environ.pop(command.SESSION, None)  # of a session that this one runs in
        if config.getoption("numprocesses", None):
            os.environ[command.SESSION] = command.offer_zygotes()


_collected: Counter[str] = Counter()


def pytest_itemcollected(item):
    """Cases of a test with the marker ``sampled`` that are not in the sample are left to the sweep."""
    if sampled := item.get_closest_marker("sampled"):
        test, _, _ = item.nodeid.partition("[")
        if outside_the_sample(item.nodeid, *sampled.args, _collected[test]):
            item.add_marker("sweep")
        _collected[test] += 1


@pytest.hookimpl(trylast=True)  # when those are left that will run
def pytest_collection_modifyitems(config, items):
    """Each process begins with its share of the long tests, else all are done but the one that got to them last. Half of the
    processes, one for each core, begin with those that are busy, the others with those that mostly wait.
    """
    processes = getattr(config, "workerinput", {}).get("workercount", 1)
    each = len(items) // processes  # what xdist gives to each before they take from one another
    marks = {item: item.get_closest_marker("long") for item in items}
    busy = [item for item in items if (mark := marks[item]) and "busy" in mark.args]
    long = [item for item in items if (mark := marks[item]) and "busy" not in mark.args]
    others = (item for item in items if not marks[item])
    half = processes // 2
    ordered = []
    for mine in [*_shares(busy, processes - half), *_shares(long, half)] if half else [[*busy, *long]]:
        ordered += [*mine, *itertools.islice(others, max(0, each - len(mine)))]
    items[:] = [*ordered, *others]


def _shares(items, count):
    """As many of them for each; neighbors share what is made for them."""
    most = -(-len(items) // count)
    return [items[number * most : (number + 1) * most] for number in range(count)]


_numbers = itertools.count()


@pytest.fixture
def tmp_path(request, tmp_path_factory):
    """As pytest's, which reads all folders of all tests before to find a free number: 2 ms after some thousands."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    return tmp_path_factory.mktemp(f"{name}{next(_numbers)}", numbered=False)


@pytest.fixture(autouse=True)
def version_of_the_api():
    """A test that chooses a version of the API chooses it for itself."""
    with contract.kept():
        yield


@pytest.fixture(scope="session", autouse=True)
def no_secret_is_left(tmp_path_factory):
    """At the end of the session every file that its tests left is looked through."""
    yield
    canaries.look_through(tmp_path_factory.getbasetemp())
