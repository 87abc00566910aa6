"""The balance and the least that a plan needs; where credits can be bought once they ran out."""

import json

import httpx
import pytest
from msgspec.structs import replace

from reconciler.model import contract
from reconciler.model.config import Policy
from reconciler.model.errors import ApiError, Diagnostic
from reconciler.model.plan import Render, least_credits
from reconciler.model.plan_json import decode_plan, encode_plan
from reconciler.operations.read.plan import plan
from reconciler.planning.safety import too_dear
from reconciler.planning.selection import Selection
from reconciler.report.summary import cost_line
from reconciler.sandbox.app import create_app
from tests.operations.operations_support import World, in_world
from tests.operations.test_deliver import project, specs

PATH = "/account/credits"


async def planned(world, desired):
    """A plan as the command `plan` makes it."""
    world.store.clear_requests()
    made, refused = await plan(world.workspace, world.api, desired, Selection(), look_up=True)
    assert not refused
    return made


def asked(world):
    return [path for _, path in world.calls()].count(PATH)


def test_a_plan_that_spends_shows_the_balance_and_what_it_needs_at_least(tmp_path):
    async def go(world):
        world.store.set_credits(45)
        made = await planned(
            world, specs(project("a", render="4k"), project("b", messages=(), render=None, share=None))
        )
        assert asked(world) == 1
        least = contract.current().limits
        needed = 2 * least.create_credits + least.message_credits + 10
        assert (made.credit_balance, made.credits_needed) == (45, needed)
        assert f"The balance is 45 credits. This plan needs at least {needed}." in cost_line(made)
        document = encode_plan(made)
        assert document["credits"] == {"balance": 45, "needed": needed}
        assert encode_plan(decode_plan(json.loads(json.dumps(document)))) == document
        (warned,) = (d for d in made.diagnostics if "credits" in d.summary)
        assert warned.severity == "warning"
        assert warned.summary == f"the account has 45 credits, and this plan needs at least {needed}"

    in_world(go, tmp_path)


def test_where_the_state_may_be_lost_the_costs_are_an_upper_bound_and_nothing_is_needed_at_least(tmp_path):
    """Intent: what the account has already is not paid again, so the plan promises no least amount."""

    async def go(world):
        world.store.set_credits(5)
        made = await planned(world, specs(project("a", render=None, share=None)))
        assert [*too_dear(made)]
        lost = replace(made, diagnostics=(Diagnostic(severity="warning", summary="lost", kind="lost-state"),))
        assert "At most" in cost_line(lost) and "at least" not in cost_line(lost)
        assert "The balance is 5 credits." in cost_line(lost)
        assert not [*too_dear(lost)]

    in_world(go, tmp_path)


def test_a_plan_that_spends_nothing_does_not_ask(tmp_path):
    async def go(world):
        desired = specs(project("a", messages=(), render=None, share=None))
        await world.apply(desired)
        made = await planned(world, specs(project("a", messages=(), render="1080p", share=None)))
        assert [step.action for step in made.steps] == ["render"]
        assert asked(world) == 0 and "credits" not in encode_plan(made)

    in_world(go, tmp_path)


@pytest.mark.parametrize("version", contract.versions())
def test_the_minimums_are_those_of_the_version(version):
    with contract.kept():
        contract.choose(version)
        renders = [Render(address="a", reason="", body={"quality": quality}) for quality in ("1080p", "4k")]
        assert [least_credits([step]) for step in renders] == list(contract.current().renders.values())


class Otherwise(httpx.AsyncBaseTransport):
    """The emulated API, but for one path, which is answered with this (None: not at all)."""

    def __init__(self, world: World, path: str, answer: httpx.Response | None) -> None:
        self._inner, self._path, self._answer = httpx.ASGITransport(create_app(world.store)), path, answer
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith(self._path):
            return await self._inner.handle_async_request(request)
        self.asked += 1
        if self._answer is None:
            raise httpx.ReadError("broken")
        return self._answer


def through(world, path, answer):
    transport = Otherwise(world, path, answer)
    world.api._http = world.api._new = httpx.AsyncClient(transport=transport)
    return transport


ANSWERS = {
    "404": httpx.Response(404, json={"error": {"code": "not_found", "message": "No such route"}}),
    "405": httpx.Response(405, text=""),
    "403": httpx.Response(403, json={"error": {"code": "forbidden", "message": "no"}}),
    "500": httpx.Response(500, text="oops"),
    "429": httpx.Response(429, text="", headers={"Retry-After": "50"}),
    "nonsense": httpx.Response(200, json={"credits_balance": "many"}),
    "no JSON": httpx.Response(200, text="<html>"),
    "broken": None,
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("limited", [False, True])
def test_without_a_balance_the_plan_is_the_same_and_silent(tmp_path, answer, limited):
    """Intent: only where a limit needs the balance does a passing failure to read it stop the plan."""

    async def go(world):
        transport = through(world, PATH, ANSWERS[answer])
        desired = specs(project("a"))
        world.store.clear_requests()
        if limited and answer in {"500", "429", "broken"}:
            with pytest.raises(ApiError):
                await planned(world, desired)
            return
        made = await planned(world, desired)
        assert transport.asked == 1
        assert made.credit_balance is None and made.steps
        assert not [d for d in made.diagnostics if "credit" in d.summary]
        assert "balance" not in cost_line(made) and "credits" not in encode_plan(made)

    in_world(go, tmp_path, policy=Policy(max_share=None, min_credits=5 if limited else None))


def packages(*urls):
    return httpx.Response(200, json={"packages": [{"id": "p", "purchase_url": url} for url in urls]})


LINKS = {
    "its own": (None, "To buy credits: http://sandbox/credits/1000"),
    "https on its host": (packages("https://sandbox/buy?x=1"), "To buy credits: https://sandbox/buy?x=1"),
    "another host": (packages("https://evil.example/x"), "To buy credits: evil.example/x (another host)"),
    "a host that looks like it": (packages("https://notsandbox/x"), "To buy credits: notsandbox/x (another host)"),
    "the first that can be shown": (packages("javascript:alert(1)", "https://sandbox/b"), "https://sandbox/b"),
    "a password": (packages("https://sandbox@evil.example/x"), None),
    "an escape": (packages("https://sandbox/\x1b[2J"), None),
    "Markdown": (packages("https://sandbox/](https://evil.example)"), None),
    "too long": (packages("https://sandbox/" + "x" * 600), None),
    "no packages": (packages(), None),
    "not a list": (httpx.Response(200, json={"packages": "none"}), None),
    "no such call": (ANSWERS["404"], None),
    "a failure": (ANSWERS["500"], None),
}


@pytest.mark.parametrize("case", LINKS)
def test_once_credits_ran_out_the_failure_says_where_to_buy_them(tmp_path, case):
    answer, expected = LINKS[case]

    async def go(world):
        world.store.set_credits(0)
        transport = None if answer is None else through(world, "/account/credit-packages", answer)
        names = ("a", "b", "c")
        result = await world.apply(specs(*(project(name, messages=(), render=None, share=None) for name in names)))
        assert result.counts == {"failed": 1, "deferred": 2}
        asked = [path for _, path in world.calls()].count("/account/credit-packages")
        assert (asked if transport is None else transport.asked) == 1, "one look, whatever fails"
        details = [r.error.detail for r in result.results if r.error is not None]
        if expected is None:
            assert not any("To buy" in detail for detail in details)
        else:
            assert any(expected in detail for detail in details)

    in_world(go, tmp_path, active=1)
