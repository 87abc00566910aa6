"""The accounts of the recovery tests, behind one server."""

from tests.recovery.conftest import accounts  # noqa: F401  a fixture
