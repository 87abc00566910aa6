"""Whole lives of the program in a simulated world: none breaks what must hold, and a seed always lives the same life."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.campaign import lived, many
from tests.simulation.course import draw
from tests.simulation.wire import FATES

ROOT = Path(__file__).parents[2]
DEFAULT = range(0, 5_000, 250)
"""The first seeds of the shares of the default run."""
SWEPT = range(10_000, 110_000, 2_500)
"""The same of the sweep."""


def python(*arguments, **env):
    """The same Python in a process of its own, since steps are taken out of the program for good."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=250
    )


ACTING = ("GET projects", "POST projects", "POST messages")
ON_DISK = ("EIO", "ENOSPC")
IN_BUCKET = ("store lost", "store late", "store unheard")
FURTHER = ("destroy", "recover", "report", "output", "state push", "unlock claim")
MUST_MEET = {
    *(
        ("create", "under way", what, "apply")
        for what in ("killed", "interrupted", "suspended", *ON_DISK, "store lost")
    ),
    *(("message", "under way", what, "apply") for what in ("killed", "suspended", *ON_DISK)),
    *((step, "under way", "killed", "apply") for step in ("update", "adopt")),
    *(("none", "between", what, "apply") for what in ("killed", "interrupted", "suspended", *ON_DISK, *IN_BUCKET)),
    *(("none", "between", "killed", command) for command in ("plan", "state rm", "resolve")),
    *((call, "request", fate, "apply") for call in ACTING for fate in FATES if fate != "closed"),
    ("GET projects", "request", "twice", "apply"),
    ("GET messages", "request", "closed", "apply"),
    *(("none", "between", "mistake", command) for command in ("apply", "plan", "import")),
    *(("none", "between", "killed", command) for command in FURTHER),
    *(("none", "between", what, "download") for what in ("killed", *ON_DISK)),
}
"""What must have happened in a share of the sweep: kind of step or call, phase, disturbance, command."""


def none_breaks(first, count):
    tally = many(range(first, first + count))
    told = "\n".join(f"--seed {found.seed}: {found.what}" for found in tally.found)
    assert not tally.found, told
    return tally


def test_the_life_of_this_seed(request):
    life = lived(draw(request.config.getoption("seed", None) or 0))
    print("\n" + "\n".join(life.world.log))
    assert not life.broken


@pytest.mark.long("busy")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", DEFAULT)
def test_no_life_breaks_what_must_hold(first):
    none_breaks(first, DEFAULT.step)


@pytest.mark.sweep
@pytest.mark.long("busy")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", SWEPT[1:])
def test_no_life_of_many_breaks_what_must_hold(first):
    none_breaks(first, SWEPT.step)


@pytest.mark.sweep
@pytest.mark.long("busy")
@pytest.mark.timeout(900)
def test_many_lives_meet_everything():
    tally = none_breaks(SWEPT[0], SWEPT.step)

    assert not MUST_MEET - tally.seen.keys()
