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
SHARES = 4
LIVES = 40
"""Of each share in the default run."""
SWEPT = 1000
"""In the sweep."""


def python(*arguments, **env):
    """The same Python in a process of its own, since steps are taken out of the program for good."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=250
    )


ACTING = ("GET projects", "POST projects", "POST messages")
ON_DISK = ("EIO", "ENOSPC")
IN_BUCKET = ("store lost", "store late", "store unheard")
MUST_MEET = {
    *(
        ("create", "under way", what, "apply")
        for what in ("killed", "interrupted", "suspended", *ON_DISK, "store lost")
    ),
    *(("message", "under way", what, "apply") for what in ("killed", "suspended", *ON_DISK)),
    *((step, "under way", "killed", "apply") for step in ("update", "adopt")),
    *(("none", "between", what, "apply") for what in ("killed", "interrupted", "suspended", *ON_DISK, *IN_BUCKET)),
    *(("none", "between", "killed", command) for command in ("plan", "state rm", "resolve")),
    *((call, "request", fate, "apply") for call in ACTING for fate in FATES if fate not in ("closed", "twice")),
    *((call, "request", "twice", "apply") for call in ("GET projects", "POST projects")),
    ("GET messages", "request", "closed", "apply"),
    *(("none", "between", "mistake", command) for command in ("apply", "plan", "import")),
    *(("none", "between", what, "download") for what in ("killed", *ON_DISK)),
}
"""What must have happened in as many lives as the sweep has: kind of step or call, phase, disturbance, command."""


def none_breaks(first, count):
    tally = many(range(first, first + count))
    told = "\n".join(f"--seed {found.seed}: {found.what}" for found in tally.found)
    assert not tally.found, told
    return tally


def test_the_life_of_this_seed(request):
    life = lived(draw(request.config.getoption("seed", None) or 0))
    print("\n" + "\n".join(life.world.log))
    assert not life.broken


@pytest.mark.sampled(6)
@pytest.mark.long
@pytest.mark.parametrize("share", range(SHARES))
def test_no_life_breaks_what_must_hold(share):
    none_breaks(share * LIVES, LIVES)


@pytest.mark.sweep
@pytest.mark.timeout(1800)
def test_no_life_of_many_breaks_what_must_hold_and_they_meet_everything():
    tally = none_breaks(10_000, SWEPT)

    assert not MUST_MEET - tally.seen.keys()
