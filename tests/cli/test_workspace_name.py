"""A workspace's identity never depends on the folder that it is checked out into."""

import shutil

import pytest

from tests.cli.cli_support import CONFIG, REMOTE, Space, make_space
from tests.recovery.accounts import Accounts


@pytest.fixture
def account():
    with Accounts() as accounts:
        key, store = accounts.open()
        yield accounts.url, key, store


def nameless(text: str) -> str:
    return text.replace("workspace: acme\n", "")


NAMELESS = nameless(REMOTE)


def space_at(root, account, config=NAMELESS) -> Space:
    url, key, _ = account
    return make_space(root, "projects: {a: {brief: One film.}}\n", config, EVERSINCE_API_URL=url, EVERSINCE_API_KEY=key)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("config", [NAMELESS, None])
@pytest.mark.parametrize(
    "command", [("plan",), ("apply", "--auto-approve"), ("status",), ("destroy", "--auto-approve")]
)
def test_without_a_name_and_a_state_nothing_is_sent_and_the_line_to_write_is_shown(tmp_path, account, command, config):
    space = space_at(tmp_path / "checkout-1", account)
    if config is None:
        (space.root / "reconciler.yaml").unlink()

    ran = space.run(*command, code=1)

    assert "`workspace: checkout-1`" in ran.err and "reconciler.yaml" in ran.err
    assert not account[2].requests()
    assert not list(space.root.glob("reconciler.state.json*"))


def test_another_checkout_with_its_state_lost_never_creates_again(tmp_path, account):
    space = space_at(tmp_path / "one", account, REMOTE)
    space.run("apply", "--auto-approve", "--wait", "none")
    shutil.copytree(space.root, tmp_path / "two")
    second = Space(tmp_path / "two", space.env)
    second.write("reconciler.yaml", nameless(REMOTE))

    assert "No changes" in second.run("plan").out  # the state tells the name

    (second.root / "reconciler.state.json").unlink()
    second.run("apply", "--auto-approve", code=1)
    assert len(account[2].projects()) == 1


def test_validate_warns_and_the_sandbox_needs_no_name(tmp_path):
    space = make_space(tmp_path / "here", "projects: {a: {brief: One film.}}\n", nameless(REMOTE))
    warned = space.run("validate")
    assert "the workspace has no name" in warned.err + warned.out and "Valid: 1 project." in warned.out

    space.write("reconciler.yaml", nameless(CONFIG))
    assert "no name" not in space.run("validate").err
    space.run("apply", "--auto-approve", "--wait", "none")
    assert space.state["workspace"] == "here"
