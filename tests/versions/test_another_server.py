"""The server speaks another version than the workspace: one error that says so and which version to set."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.adapters.api.other_version import told_by_refusal, told_by_settings
from reconciler.adapters.media.client import MediaClient
from reconciler.model import contract
from reconciler.model.errors import DownloadError, RefusedError, VersionError
from reconciler.model.values import WireBody
from reconciler.model.version import VERSION
from reconciler.sandbox.app import create_app
from reconciler.sandbox.store import Store
from tests.cli.cli_support import APPLY, CONFIG, make_space

OLD, MIDDLE, NEW = "2025-03", "2026-04", "2026-05"
BRIEF = {"brief": "x"}


@pytest.mark.parametrize(
    ("ours", "call", "sent", "message", "told"),
    [
        (OLD, "create", {"craft": "cinema"}, "craft: unknown field", (NEW,)),
        (OLD, "create", {"craft": "cinema"}, "Unrecognized key(s) in object: 'craft'", (NEW,)),
        (OLD, "settings", {"craft_auto": True}, "Additional properties are not allowed ('craft_auto')", (NEW,)),
        (OLD, "create", {"expected_output": "assets"}, "expected_output is not supported", (NEW,)),
        (OLD, "create", {"agent_model": "opus"}, "agent_model: must be one of opus-4.7, opus-4.6", (NEW, MIDDLE)),
        (OLD, "create", {"agent_model": "opus", "craft": "ugc"}, "agent_model: must be one of opus-4.7", (MIDDLE,)),
        (OLD, "create", {"agent_model": "opus", "craft": "ugc"}, "agent_model: invalid; craft: unknown field", (NEW,)),
        (OLD, "create", {"craft": "humor"}, "craft: must be one of auto, general", (MIDDLE,)),
        (OLD, "message", {"message": "x" * 9000}, "message: must be at most 8000 characters", (NEW, MIDDLE)),
        (NEW, "create", {"skills": ["ugc"]}, "skills: unknown field", (MIDDLE, OLD)),
        (NEW, "settings", {"reasoning_mode": "fast"}, "reasoning_mode: unknown field", (MIDDLE, OLD)),
        (NEW, "create", {"skills": [], "agent_model": "opus-4.7"}, "agent_model: invalid; skills: unknown", (OLD,)),
        (MIDDLE, "create", {"agent_model": "opus-4.6"}, "agent_model: must be one of opus, sonnet", (OLD,)),
        # not a sign of another version
        (OLD, "create", {"craft": "cinema"}, "brief: must not be empty", ()),
        (OLD, "create", {"title": "x"}, "title: unknown field", ()),
        (OLD, "create", {"craft": "cinema"}, "something went wrong with the craft", ()),
        (OLD, "create", {"craft": "cinema"}, "handcrafted: unknown field", ()),
        (OLD, "message", {"message": "craft: unknown field"}, "message: blocked by moderation", ()),
        (NEW, "create", {"skills": ["01234567-89ab-cdef-0123-456789abcdef"]}, "no such skill", ()),
    ],
)
def test_a_refusal_tells_the_version_by_the_field_that_it_names(ours, call, sent, message, told):
    contract.choose(ours)
    assert told_by_refusal(call, BRIEF | sent, message) == told


SETTINGS = {
    OLD: b'{"title":null,"mode":"autonomous","aspect_ratio":"16:9","video_model":null,"image_model":null,"agent_model":'
    b'"opus","craft":"auto","craft_auto":true,"webhook_url":null,"expected_output":null}',
    MIDDLE: b'{"title":null,"mode":"autonomous","aspect_ratio":"16:9","video_model":null,"image_model":null,"agent_model":'
    b'"opus-4.7","craft":"auto","craft_auto":true,"webhook_url":null,"expected_output":null}',
    NEW: b'{"title":null,"mode":"autonomous","aspect_ratio":"16:9","video_model":null,"image_model":null,"agent_model":'
    b'"opus-4.7","reasoning_mode":"fast","skills":[],"webhook_url":null}',
}


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (OLD, OLD, ()),
        (MIDDLE, MIDDLE, ()),
        (NEW, NEW, ()),
        (OLD, NEW, (NEW,)),
        (MIDDLE, NEW, (NEW,)),
        (NEW, OLD, (OLD,)),
        (NEW, MIDDLE, (MIDDLE,)),
    ],
)
def test_the_answer_to_a_patch_tells_the_version_by_its_settings(ours, theirs, told):
    contract.choose(ours)
    assert told_by_settings(SETTINGS[theirs]) == told


def test_an_answer_with_some_of_its_settings_tells_too():
    assert told_by_settings(b'{"title": "T", "skills": ["cinema"]}') == (NEW,)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"title": "x"}', b'{"more": 1}'])
def test_an_answer_that_only_lacks_something_or_has_more_tells_nothing(body):
    assert told_by_settings(body) == ()


SPEC = "projects:\n" + "".join(
    f"  p{n}: {{brief: Number {n}., settings: {{title: T{n}, craft: cinema}}, messages: [Softer.]}}\n" for n in range(3)
)


def ledger(space):
    with space.account() as store:
        return [effect.kind for effect in store.ledger()]


def test_a_create_that_is_refused_is_one_error_and_nothing_was_done(tmp_path):
    space = make_space(tmp_path, SPEC, CONFIG.replace("{speed: 200}", f"{{speed: 200, api_version: {NEW}}}"))
    done = space.run(*APPLY, "--format", "json", code=1).document
    errors = [step["error"] for step in done["steps"] if step["error"]]
    assert len(errors) == 1
    assert errors[0]["summary"] == f"the API speaks version {NEW}, and this workspace {OLD}"
    assert f"Set `api.version` to `{NEW}`" in errors[0]["detail"] and "craft: unknown field" in errors[0]["detail"]
    assert {step["outcome"] for step in done["steps"]} == {"failed", "skipped"}
    assert ledger(space) == []
    space.run("fmt", "--upgrade-api", NEW)
    space.run(*APPLY)
    assert sorted(ledger(space)) == ["create"] * 3 + ["message"] * 3
    assert space.run("plan", "--format", "json").document["steps"] == []


def test_a_patch_whose_answer_shows_another_version_is_kept_and_nothing_else_is_sent(tmp_path):
    # Intent: a change that both versions know is made; its answer tells, so that no message is sent after it.
    text = "projects:\n  a: {brief: x, settings: {title: One}}\n"
    space = make_space(tmp_path, text)
    space.run(*APPLY, "--wait", "idle")
    space.write("specs/a.yaml", text.replace("One}", "Two}, messages: [Softer.]"))
    space.write("reconciler.yaml", CONFIG.replace("{speed: 200}", f"{{speed: 200, api_version: {NEW}}}"))
    refused = space.run(*APPLY, code=1)
    assert refused.err.count(f"the API speaks version {NEW}") == 1 and "The change was made" in refused.out
    assert ledger(space) == ["create", "settings"]
    space.write("reconciler.yaml", CONFIG.replace("sandbox}", f"sandbox, version: {NEW}}}"))
    assert [step["action"] for step in space.run("plan", "--format", "json").document["steps"]] == ["message"]


# ── who asks ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("version", "source"), [(OLD, None), (MIDDLE, b"reconciler"), (NEW, b"reconciler")])
def test_every_request_says_who_asks(version, source):
    contract.choose(version)
    heard = []

    async def run():
        store = Store(":memory:")
        app = create_app(store)

        async def listening(scope, receive, send):
            heard.append((scope["method"], dict(scope["headers"])))
            await app(scope, receive, send)

        transport = httpx.ASGITransport(listening)
        async with ApiClient("http://sandbox/api/v1", "k", limiter=RateLimiter(600), transport=transport) as api:
            made = await api.create(WireBody({"brief": "x"}))
            await api.project(made.id)
            await api.patch_settings(made.id, WireBody({"title": "T"}))
            await api.list_projects()
        store.close()

    asyncio.run(run())
    assert [method for method, _ in heard] == ["POST", "GET", "PATCH", "GET"]
    for _, headers in heard:
        assert headers[b"user-agent"] == f"eversince-reconciler/{VERSION}".encode()
        assert headers.get(b"x-eversince-source") == source


def test_downloads_say_so_too(tmp_path):
    heard = []

    def answer(request):
        heard.append((request.method, request.headers["user-agent"], "x-eversince-source" in request.headers))
        return httpx.Response(404)

    async def run():
        async with MediaClient(local=True, transport=httpx.MockTransport(answer)) as media:
            with pytest.raises(DownloadError):
                await media.fetch("http://127.0.0.1/a.mp4", tmp_path, "a", known=None, tell=lambda *_: None)

    contract.choose(NEW)
    asyncio.run(run())
    assert heard == [("GET", f"eversince-reconciler/{VERSION}", False)]


def test_the_client_sends_no_body_once_it_knows_better():
    contract.choose(OLD)

    async def run():
        store = Store(":memory:", api=contract.named(NEW))
        async with ApiClient(
            "http://sandbox/api/v1", "k", limiter=RateLimiter(600), transport=httpx.ASGITransport(create_app(store))
        ) as api:
            with pytest.raises(RefusedError) as plain:
                await api.create(WireBody({"brief": ""}))
            assert not isinstance(plain.value, VersionError)
            for body in ({"brief": "x", "craft": "ugc"}, {"brief": "x"}):
                with pytest.raises(VersionError):
                    await api.create(WireBody(body))
            assert api.requests == 2
            assert (await api.list_projects()).total == 0, "reads go on"
        store.close()

    asyncio.run(run())
