"""A claim that comes or goes while something else is under way."""

import asyncio

import pytest

from reconciler.model.claim import Claim, Claimant
from reconciler.model.errors import ClaimedError, StateError, UsageError
from reconciler.operations.apply.workflow import ApplyRequest, apply
from reconciler.operations.claims import release_claim
from reconciler.operations.read.plan import plan
from reconciler.planning.selection import Selection
from tests.operations.operations_support import in_world
from tests.operations.test_deliver import project, specs

OURS = Claim(pull_request="acme/shop#12", since="2026-11-28T05:00:00Z")
THEIRS = Claim(pull_request="acme/shop#13", since="2026-11-28T05:00:00Z")
TORN = StateError("torn")


class Seen:
    """A store's claims as they are read one time after another; the last one stays."""

    def __init__(self, *found, taken=None):
        self.found, self.taken, self.removed = list(found), taken, False

    def read(self):
        found = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(found, StateError):
            raise found
        return found

    def take(self, claim):
        return self.taken or claim

    def release(self):
        self.removed = True
        return True


@pytest.mark.parametrize("seen", [(None, THEIRS), (THEIRS, None), (THEIRS, THEIRS), (THEIRS, OURS)])
def test_a_plan_is_behind_a_claim_that_stood_at_any_time_while_it_was_made(tmp_path, seen):
    # Intent: what was read may have both of another's changes and none of them.
    async def go(world):
        world.states.claims = Seen(*seen)
        made, _ = await plan(world.workspace, world.api, specs(project()), Selection(), pull_request=OURS.pull_request)
        assert made.claim.pull_request == THEIRS.pull_request
        assert not made.claim.mine

    in_world(go, tmp_path)


@pytest.mark.parametrize("claimant", [Claimant(pull_request=OURS.pull_request), None])
def test_a_claim_that_is_taken_while_an_apply_plans_stops_it(tmp_path, claimant):
    # Intent: only `create` decides; nothing is sent after another got it.
    async def go(world):
        world.states.claims = Seen(None, THEIRS, taken=THEIRS)
        request = ApplyRequest(desired=specs(project()), claimant=claimant, confirm=lambda _: True)
        with pytest.raises(ClaimedError):
            await apply(world.workspace, world.api, request, emit=lambda _: None, stop=asyncio.Event())
        assert not world.writes()

    in_world(go, tmp_path)


@pytest.mark.parametrize(
    ("seen", "force", "removed"),
    [
        ((OURS, OURS), False, True),
        ((OURS, THEIRS), False, False),
        ((THEIRS, OURS), True, False),
        ((OURS, None), False, True),
        ((TORN, TORN), True, True),
        ((TORN, OURS), True, False),
        ((OURS, TORN), False, False),
        ((None,), True, False),
    ],
)
def test_only_the_claim_that_was_looked_at_is_released(tmp_path, seen, force, removed):
    # Intent: between the look and the removal, another pull request may have taken it.
    async def go(world):
        claims = world.states.claims = Seen(*seen)
        try:
            release_claim(world.workspace, pull_request=None, force=force, confirm=lambda _: True, lock_timeout=0)
        except StateError:
            assert not removed
        assert claims.removed is removed

    in_world(go, tmp_path)


def test_who_says_no_releases_nothing(tmp_path):
    async def go(world):
        claims = world.states.claims = Seen(OURS)
        with pytest.raises(UsageError):
            release_claim(world.workspace, pull_request=None, force=False, confirm=lambda _: False, lock_timeout=0)
        assert not claims.removed

    in_world(go, tmp_path)
