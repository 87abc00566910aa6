"""The whole suite's setting: commands find their modules compiled, properties are tried with fixed seeds and without time
limits, and canaries are set out that nothing may hold.
"""

import os
import sys

import pytest
from hypothesis import settings

from tests import canaries

if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    # Tests start the program hundreds of times; each would compile every module anew, half a second at a time.
    sys.dont_write_bytecode = False
canaries.set_out()
settings.register_profile("suite", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def no_secret_is_left(tmp_path_factory):
    """At the end of the session every file that its tests left is looked through."""
    yield
    canaries.look_through(tmp_path_factory.getbasetemp())
