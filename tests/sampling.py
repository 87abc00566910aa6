"""Samples of tests that try every one of something: the default run has the sample, ``pytest -m sweep`` the others."""

import itertools
import zlib

import pytest
from hypothesis import HealthCheck, given, settings


def every(nth, values):
    """The values; the first of each ``nth`` is in the sample."""
    return [value if number % nth == 0 else swept(value) for number, value in enumerate(values)]


def square(nth, rows, columns):
    """The pairs; in the sample each row has one column in ``nth`` and each column one row in ``nth``."""
    pairs = itertools.product(enumerate(rows), enumerate(columns))
    return [(row, column) if (r + c) % nth == 0 else swept(row, column) for (r, row), (c, column) in pairs]


def swept(*values):
    """One that is not in the sample."""
    return pytest.param(*values, marks=pytest.mark.sweep)


def examples(few, many):
    """A property's number of examples: few in the sample."""
    return pytest.mark.parametrize("examples", [few, swept(many)])


def tried(claim, examples, **drawn):
    """A claim on so many examples that are drawn."""
    settings(max_examples=examples, suppress_health_check=list(HealthCheck))(given(**drawn)(claim))()


def outside_the_sample(nodeid, nth, before):
    """Is this case of a test with the marker ``sampled(nth)`` left to the sweep? ``before``: how many of the test came first.

    The first is in the sample and one in ``nth`` of the others, by a digest of their names: a place in the order would always
    take the same column of a table.
    """
    return before > 0 and zlib.crc32(nodeid.encode()) % nth != 0
