"""A repository of one's own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workspaces.spaces_support import copied, make_repository


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    return make_repository(tmp_path_factory.mktemp("base") / "repo")


@pytest.fixture
def repo(base, tmp_path) -> Path:
    return copied(base, tmp_path / "repo")
