"""The real program, killed before, in and after every write of the state and every HTTP exchange, loses nothing and
does nothing twice. The judge is the server's own ledger.
"""

import itertools
import random

import pytest

from tests.recovery.campaign import judge, matrix_of, points_of, prepared, truth
from tests.recovery.runs import kill_at
from tests.sampling import every

CHUNKS = 28
SHARE = 28
"""One chunk in so many is in the sample of the default run."""
SAMPLED_PAIRS = 42
"""Of which one chunk in six is part of the default run."""
SECONDS = 8
"""Chunks of second kills all over the run, on the latest version of the API (test_other_versions.py)."""


@pytest.fixture(scope="session")
def matrix(zygote, accounts, shelf):
    base = prepared(zygote, accounts, shelf / "base")
    yield matrix_of(base, base.copy(shelf / "calm"))
    base.close()


def disturbed(matrix, folder, figures, first, second=None, *, plans=True):
    """One trial: killed at a point, perhaps killed again while recovering, then left in peace. What is wrong, as text.

    State and account are held against those of the calm run, whose plan is empty; ``plans`` asks the program as well.
    """
    base, wanted, _ = matrix
    world = base.copy(folder)
    try:
        ended = world.apply(orders=[kill_at(*first)])
        assert ended.killed or ended.code == 0, str(ended)
        figures["kill points reached" if second is None else "kills in a pair"] += ended.killed
        if second is not None:
            again = world.apply(orders=[kill_at(*second)])
            assert again.killed or again.code == 0, str(again)
            figures["kills while recovering"] += again.killed
        figures["killed runs"] += 1
        last = world.apply()
        left = world.plan() if plans else None
        wrong, twice, lost = judge(truth(world), wanted)
        figures["effects twice"] += twice
        figures["effects lost"] += lost
        figures["projects untracked"] += len(truth(world).untracked - wanted.untracked)
        if last.code or (left and left.code):
            wrong.append(f"the next apply did not converge\n{last}\n{left}")
        return [f"killed at {first}, {second}: {what}\n{last if wrong else ''}" for what in wrong]
    finally:
        world.close()


@pytest.mark.long
@pytest.mark.parametrize("chunk", every(SHARE, range(CHUNKS)))
def test_a_run_killed_at_any_point_is_completed_by_the_next_one(matrix, folder, figures, chunk):
    wrong = []
    for number, point in enumerate(points_of(matrix[2])[chunk::CHUNKS]):
        wrong += disturbed(matrix, folder / str(number), figures, point, plans=number % 3 == 0)
    assert not wrong, "\n\n".join(wrong[:5])


def _pairs(totals):
    """Second points are counted in a run that has less to do the later the first came; most fall into it all the same."""
    points = points_of(totals)
    return list(itertools.product(points, points))


@pytest.mark.sweep
@pytest.mark.long
@pytest.mark.parametrize("chunk", range(6))
def test_a_run_killed_again_while_it_recovers_is_completed_by_the_next_one(matrix, folder, figures, chunk):
    pairs = random.Random(3).sample(_pairs(matrix[2]), 50 * SAMPLED_PAIRS)
    early = [(a, b) for a, b in pairs if b[1] <= 30][:SAMPLED_PAIRS]
    wrong = []
    for number, (first, second) in enumerate(early[chunk::6]):
        wrong += disturbed(matrix, folder / str(number), figures, first, second, plans=number % 3 == 0)
    assert not wrong, "\n\n".join(wrong[:5])


def second_points(totals, chunk):
    """Every first point with a second one, at a different offset for each; those of a chunk.

    Lives (tests/simulation) have any two points, a thousand times over.
    """
    points = points_of(totals)
    return [(first, points[7 * number % len(points)]) for number, first in enumerate(points)][chunk::SECONDS]


def killed_twice(matrix, folder, figures, chunk):
    wrong = []
    for number, (first, second) in enumerate(second_points(matrix[2], chunk)):
        wrong += disturbed(matrix, folder / str(number), figures, first, second, plans=number % 3 == 0)
    assert not wrong, "\n\n".join(wrong[:5])


def test_every_point_is_a_first_one_and_a_second_one():
    totals = {"state": 151, "call": 60, "read": 101}
    pairs = [pair for chunk in range(SECONDS) for pair in second_points(totals, chunk)]
    assert {first for first, _ in pairs} == {second for _, second in pairs} == {*points_of(totals)}
