"""Workspaces that several tests start from: applied once, then copied."""

from __future__ import annotations

import pytest

from tests.cli.cli_support import APPLY, Ran, Space, campaign_space, copied, make_space


@pytest.fixture(scope="session")
def campaign(tmp_path_factory) -> tuple[Space, Ran]:
    """The repository's specs, applied in the sandbox, and what that printed. Not to be changed."""
    space = campaign_space(tmp_path_factory.mktemp("campaign") / "w")
    return space, space.run(*APPLY)


@pytest.fixture
def applied(campaign, tmp_path) -> Space:
    """A copy of the applied campaign, to do anything with."""
    return copied(campaign[0], tmp_path / "w")


@pytest.fixture
def fresh(tmp_path) -> Space:
    """One project in the specs and nothing anywhere else."""
    return make_space(tmp_path / "w")
