"""The kill matrix with the state in a bucket: the next run comes from another machine, and the killed one's disk is gone."""

import random

import pytest

from tests.recovery.campaign import judge, matrix_of, points_of, prepared, truth
from tests.recovery.remote import RemoteWorld, in_folder
from tests.recovery.runs import kill_at

PATIENT = ("--lock-timeout", "30s")
SAMPLED = 4
MORE = 8
"""Where there is no test of every point."""
PAIRS = 2
SWEPT_PAIRS = 60


@pytest.fixture(scope="session")
def matrix(remote_base, shelf):
    return matrix_of(remote_base, remote_base.copy(shelf / "remote-calm"))


@pytest.fixture(scope="session")
def shared_matrix(zygote, accounts, shelf):
    numbers = iter(range(10_000))
    base = prepared(
        zygote,
        accounts,
        shelf / "shared",
        RemoteWorld,
        new_place=lambda: in_folder(shelf / "places" / str(next(numbers))),
    )
    yield matrix_of(base, base.copy(shelf / "shared-calm"))
    base.close()


def disturbed(matrix, folder, figures, trials):
    """Killed at the first point, at the second while recovering, then left in peace."""
    base, wanted, _ = matrix
    wrong = []
    for number, kills in enumerate(trials):
        world = base.copy(folder / f"{number}")
        for again, point in enumerate(kills):
            machine = world.machine(folder / f"{number}-{again}") if again else world
            ended = machine.apply(*PATIENT, orders=[kill_at(*point)])
            assert ended.killed or ended.code == 0, str(ended)
            figures["remote: kills while recovering" if again else "remote: kill points reached"] += ended.killed
            world.place.run_out()
        other = world.machine(folder / f"{number}-last")
        last = other.apply(*PATIENT)
        left = other.plan() if number % 3 == 0 else None
        found = truth(other)
        what, twice, lost = judge(found, wanted)
        figures["remote: effects twice"] += twice
        figures["remote: effects lost"] += lost
        figures["remote: projects untracked"] += len(found.untracked - wanted.untracked)
        if last.code or (left and left.code):
            what.append(f"the next apply did not converge\n{left}")
        wrong += [f"killed at {kills}: {each}\n{last}" for each in what]
        world.close()
    assert not wrong, "\n\n".join(wrong[:5])


def _sampled(totals, count, seed):
    """Points all over the run, the same ones each time."""
    points = points_of(totals)
    step = len(points) / count
    return [points[int((number + random.Random(seed).random()) * step)] for number in range(count)]


@pytest.mark.long
def test_a_run_killed_anywhere_is_completed_from_another_machine(matrix, folder, figures):
    disturbed(matrix, folder, figures, [(point,) for point in _sampled(matrix[2], SAMPLED, 5)])


@pytest.mark.sweep
@pytest.mark.long
def test_a_run_killed_again_while_it_recovers_is_completed_from_a_third_machine(matrix, folder, figures):
    seconds = [("state", n) for n in range(1, 1 + 8 * PAIRS, 8)]
    disturbed(matrix, folder, figures, list(zip(_sampled(matrix[2], PAIRS, 6), seconds, strict=True)))


@pytest.mark.sweep
@pytest.mark.long
@pytest.mark.parametrize("count", [SAMPLED, MORE])
def test_a_state_in_a_shared_folder_survives_the_same(shared_matrix, folder, figures, count):
    disturbed(shared_matrix, folder, figures, [(point,) for point in _sampled(shared_matrix[2], count, 7)])


@pytest.mark.sweep
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("chunk", range(20))
def test_every_point(matrix, folder, figures, chunk):
    disturbed(matrix, folder, figures, [(point,) for point in points_of(matrix[2])[chunk::20]])


@pytest.mark.sweep
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("chunk", range(20))
def test_many_a_second_point_after_a_first_point(matrix, folder, figures, chunk):
    points = points_of(matrix[2])
    dice = random.Random(8)
    pairs = [(dice.choice(points), dice.choice([p for p in points if p[1] <= 40])) for _ in range(SWEPT_PAIRS)]
    disturbed(matrix, folder, figures, pairs[chunk::20])
