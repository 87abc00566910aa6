"""A state that was lost and is partly there again: what it does not have yet may be in the account all the same.

The oracle is the account's ledger: which projects were made.
"""

import pytest

from reconciler.sandbox.faults import Fault
from tests.cli.cli_support import make_space

RAIN = "  rain: {brief: A minute of rain., settings: {title: Rain}}\n"
SEA = "  sea: {brief: Ten seconds of sea., settings: {title: Sea}}\n"
APPLY = "apply", "--auto-approve", "--poll-interval", "0.05", "--wait", "none", "--parallelism", "1"
REFUSAL = Fault(kind="status", method="POST", path="^/projects$", status=422, skip=1)
"""Of the second create."""


def _targeted(space, store, rain, plan):
    space.run(*APPLY, "--target", "rain")


def _imported(space, store, rain, plan):
    space.run("import", "rain", rain)


def _refused(space, store, rain, plan):
    store.add_fault(REFUSAL)
    space.run(*APPLY, code=1)


def _saved(space, store, rain, plan):
    store.add_fault(REFUSAL)
    space.run("apply", plan, *APPLY[1:], code=1)


@pytest.mark.parametrize("partly", [_targeted, _imported, _refused, _saved], ids=lambda made: made.__name__.strip("_"))
def test_what_is_not_yet_in_the_state_again_is_not_bought_twice(tmp_path, accounts, partly):
    """Intent: a lost state has one of two projects again; the other fails and gets another title: a person is asked."""
    key, store = accounts.open()
    specs = "projects:\n" + RAIN + SEA
    space = make_space(tmp_path, specs, "workspace: agency\n", EVERSINCE_API_URL=accounts.url, EVERSINCE_API_KEY=key)
    space.run(*APPLY)
    store.finish_all()
    rain, sea = (effect.project_id for effect in store.ledger() if effect.kind == "create")
    (space.root / "reconciler.state.json").unlink()
    space.run("plan", "--out", "saved.plan")

    partly(space, store, rain, "saved.plan")
    store.set_status(sea, "failed")
    space.write("specs/a.yaml", "projects:\n" + RAIN + SEA.replace("title: Sea", "title: Waves"))

    ran = space.run(*APPLY, code=1)
    assert [effect.project_id for effect in store.ledger() if effect.kind == "create"] == [rain, sea]
    assert "`sea` may exist already" in ran.out
