"""A state goes on at the same API, however its host is written, and keeps the address that it has."""

from __future__ import annotations

import json

import pytest

from tests.cli.cli_support import REMOTE, make_space
from tests.recovery.accounts import Accounts


@pytest.fixture
def space(tmp_path):
    with Accounts() as accounts:
        key, _ = accounts.open()
        space = make_space(
            tmp_path / "w", "projects: {a: {brief: One film.}}\n", REMOTE, EVERSINCE_API_URL=accounts.url
        )
        space.env["EVERSINCE_API_KEY"] = key
        yield space


@pytest.mark.sweep
def test_localhost_and_127_0_0_1_are_one_api(space):
    url = space.env["EVERSINCE_API_URL"]
    other = url.replace("127.0.0.1", "LocalHost") + "/"
    assert other != url
    space.run("plan", "--out", "saved.plan", EVERSINCE_API_URL=other)
    space.run("apply", "--wait", "none", "saved.plan")  # planned there, applied here

    assert "No changes" in space.run("plan", EVERSINCE_API_URL=other).out
    kept = json.loads((space.root / "reconciler.state.json").read_text())["api_url"]
    space.write("specs/a.yaml", "projects: {a: {brief: One film., settings: {title: New title}}}\n")
    space.run("apply", "--auto-approve", "--wait", "none", EVERSINCE_API_URL=other)
    assert json.loads((space.root / "reconciler.state.json").read_text())["api_url"] == kept

    assert "belongs to API" in space.run("plan", code=1, EVERSINCE_API_URL=url.replace("/v1", "/v2")).err
