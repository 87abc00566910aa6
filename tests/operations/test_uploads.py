"""Files of the workspace as references: uploaded once for what is in them, before anything is paid, and never by guess."""

from __future__ import annotations

import asyncio
import hashlib
import io

import httpx
import pytest
from msgspec.structs import replace

from reconciler.adapters.media.client import MediaClient
from reconciler.model.errors import UploadError
from reconciler.model.events import Noted, Uploading
from reconciler.sandbox.faults import Fault
from tests.operations.operations_support import in_world
from tests.picture import image
from tests.planning.planning_support import created, desired

LOGO, OTHER = image("logo"), image("other")


def digest(content):
    return hashlib.sha256(content).hexdigest()


def reference(name="logo.png", content=LOGO):
    return {"file": name, "digest": digest(content)}


def with_file(address="a", *references, **more):
    creation = {"references": list(references) or [reference()]}
    return created(address, brief=f"{address}.", creation=creation, **more)


def told(*references):
    return created("a", brief="a.", messages=[("1", {"message": "Look.", "references": list(references)})])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "logo.png").write_bytes(LOGO)
    (tmp_path / "other.png").write_bytes(OTHER)
    return tmp_path


def effects(world, kind):
    return [effect for effect in world.store.ledger() if effect.kind == kind]


def posts(world):
    return [path for method, path in world.calls() if method == "POST"]


def error(result):
    (failed,) = [r.error for r in result.results if r.outcome == "failed"]
    return failed


async def settled(world, specs):
    result = await world.apply(specs)
    assert {r.outcome for r in result.results} <= {"done"}, result
    made = await world.plan(specs)
    assert not made.steps and not made.diagnostics, made
    return result


def test_a_file_is_uploaded_once_for_all_that_refer_to_it(folder):
    async def test(world):
        specs = desired(with_file("a"), with_file("b"), with_file("c", reference("other.png", OTHER), reference()))
        made = await world.plan(specs)
        assert [upload.file for upload in made.uploads] == ["logo.png", "other.png"]
        assert made.requests_needed == 3 + 2 * 2
        await settled(world, specs)
        uploads = {effect.detail["digest"]: effect.detail["upload_id"] for effect in effects(world, "upload")}
        assert len(effects(world, "upload")) == 2 and set(uploads) == {digest(LOGO), digest(OTHER)}
        sent = {e.detail["brief"]: e.detail["references"] for e in effects(world, "create")}
        logo, other = {"upload_id": uploads[digest(LOGO)]}, {"upload_id": uploads[digest(OTHER)]}
        assert sent == {"a.": [logo], "b.": [logo], "c.": [other, logo]}
        assert {key: value.id for key, value in world.state().uploads.items()} == uploads
        assert world.state().projects["a"].creation["references"] == [reference()]

    in_world(test, folder)


def test_the_next_apply_uses_the_upload_of_an_earlier_one_without_the_file(folder):
    async def test(world):
        await settled(world, desired(with_file("a")))
        (folder / "logo.png").unlink()
        specs = desired(with_file("a"), with_file("b"))
        assert not (await world.plan(specs)).uploads
        await settled(world, specs)
        assert len(effects(world, "upload")) == 1 and len(effects(world, "create")) == 2

    in_world(test, folder)


def test_another_name_is_no_change_another_content_is(folder):
    async def test(world):
        specs = desired(with_file("a", messages=[("1", {"message": "Look.", "references": [reference()]})]))
        await settled(world, specs)
        named = reference("brand/logo.png")
        renamed = desired(with_file("a", named, messages=[("1", {"message": "Look.", "references": [named]})]))
        made = await world.plan(renamed)
        assert not made.steps and not made.diagnostics
        changed = await world.plan(desired(with_file("a", reference("logo.png", OTHER))))
        assert [step.action for step in changed.steps] == ["replace"]
        assert changed.steps[0].changes[0].path == "references[0].digest"
        edited = await world.plan(
            desired(
                with_file("a", messages=[("1", {"message": "Look.", "references": [reference("logo.png", OTHER)]})])
            )
        )
        assert "was edited after it was sent" in edited.diagnostics[0].summary

    in_world(test, folder)


def test_a_message_has_its_file_uploaded(folder):
    async def test(world):
        await settled(world, desired(told(reference())))
        (message,) = effects(world, "message")
        (upload,) = effects(world, "upload")
        assert message.detail["references"] == [{"upload_id": upload.detail["upload_id"]}]

    in_world(test, folder)


def test_progress_is_told_from_nothing_to_all_in_tenths(folder):
    async def test(world):
        large = LOGO + bytes(3_000_000)
        (folder / "large.png").write_bytes(large)
        await settled(world, desired(with_file("a", reference("large.png", large))))
        told = [event.done for event in world.events if isinstance(event, Uploading)]
        assert told[0] == 0 and told[-1] == len(large) and told == sorted(told) and 5 <= len(told) <= 11

    in_world(test, folder)


def test_a_file_that_changed_since_the_plan_is_refused_before_anything_is_sent(folder):
    async def test(world):
        saved = await world.plan(desired(with_file("a")))
        (folder / "logo.png").write_bytes(OTHER)
        failed = error(await world.apply(saved=saved))
        assert failed.summary == "stale: `logo.png` has changed since the plan was made"
        assert not posts(world)

    in_world(test, folder)


@pytest.mark.parametrize("instead", ["gone", "link"])
def test_a_file_that_is_no_longer_there_or_leads_outside_is_refused(folder, tmp_path_factory, instead):
    async def test(world):
        saved = await world.plan(desired(with_file("a")))
        (folder / "logo.png").unlink()
        if instead == "link":
            outside = tmp_path_factory.mktemp("outside") / "logo.png"
            outside.write_bytes(LOGO)
            (folder / "logo.png").symlink_to(outside)
        failed = error(await world.apply(saved=saved))
        assert ("leads out of the workspace" if instead == "link" else "can't be read") in failed.summary
        assert not posts(world)

    in_world(test, folder)


def test_an_api_without_uploads_is_told_with_a_way_out_and_costs_nothing(folder):
    async def test(world):
        failed = error(await world.apply(desired(with_file("a"))))
        assert failed.summary == "this API takes no uploads"
        assert "refer to it by `url`" in failed.detail
        assert not effects(world, "create")

    in_world(test, folder, beyond_contract=False)


def test_an_api_that_does_not_allow_the_method_is_one_without_uploads(folder):
    async def test(world):
        world.store.add_fault(Fault(kind="status", method="POST", path="^/uploads$", status=405))
        assert error(await world.apply(desired(with_file("a")))).summary == "this API takes no uploads"

    in_world(test, folder)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("path", ["^/uploads$", "^/uploads/confirm$"])
def test_a_call_of_unknown_fate_is_harmless_to_repeat(folder, path, when):
    async def test(world):
        world.store.add_fault(Fault(kind="reset", method="POST", path=path, when=when))
        await settled(world, desired(with_file("a")))
        assert len(effects(world, "create")) == 1
        assert (
            world.state().uploads[digest(LOGO)].id == effects(world, "create")[0].detail["references"][0]["upload_id"]
        )

    in_world(test, folder)


def test_what_keeps_breaking_off_is_given_up(folder):
    async def test(world):
        world.store.add_fault(Fault(kind="reset", method="POST", path="^/uploads/confirm$", times=0))
        assert error(await world.apply(desired(with_file("a"))))
        assert posts(world).count("/uploads") == 3 and not effects(world, "create")
        world.store.clear_faults()
        await settled(world, desired(with_file("a")))

    in_world(test, folder)


def test_an_upload_that_is_gone_is_made_anew_by_the_next_apply(folder):
    async def test(world):
        await settled(world, desired(with_file("a")))
        world.store.lose_uploads()
        specs = desired(with_file("a"), with_file("b"))
        assert "no such upload" in error(await world.apply(specs)).detail
        (noted,) = [event.diagnostic for event in world.events if isinstance(event, Noted)]
        assert "next apply uploads the file again" in noted.detail
        await settled(world, specs)
        assert len(effects(world, "upload")) == 2 and len(effects(world, "create")) == 2

    in_world(test, folder)


def test_another_refusal_forgets_no_upload(folder):
    async def test(world):
        await settled(world, desired(with_file("a")))
        world.store.add_fault(Fault(kind="status", method="POST", path="^/projects$", status=400))
        assert error(await world.apply(desired(with_file("a"), with_file("b"))))
        assert world.state().uploads

    in_world(test, folder)


def test_no_upload_is_begun_once_the_user_asked_to_stop_or_the_time_is_up(folder):
    async def test(world):
        result = await world.apply(desired(with_file("a")), seconds=0)
        assert [r.outcome for r in result.results] == ["deferred"] and not posts(world)

    in_world(test, folder)


def test_the_old_project_is_kept_where_the_new_one_s_file_can_t_be_uploaded(folder):
    async def test(world):
        await settled(world, desired(with_file("a")))
        world.store.add_fault(Fault(kind="status", method="POST", path="^/uploads", status=400, times=0))
        assert error(await world.apply(desired(with_file("a", reference("other.png", OTHER)))))
        assert not effects(world, "cancel")

    in_world(test, folder)


# ── the address that a file is sent to ──────────────────────────────────────────────────────────────────────────────


def put(url, *, handle=None, content=LOGO, said=None, local=False):
    """Sends a file; the requests that were made."""
    seen = []

    def answer(request):
        seen.append(request)
        return handle(request) if handle else httpx.Response(200)

    async def go():
        client = MediaClient(local=local)
        client._http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        file = io.BufferedReader(io.BytesIO(content))
        async with client:
            size = len(said or content)
            await client.put(
                url, file, size=size, content_type="image/png", digest=digest(said or content), tell=lambda *_: None
            )

    try:
        asyncio.run(go())
    except UploadError as failed:
        return seen, failed
    return seen, None


def test_the_file_is_sent_as_it_is_and_without_any_key():
    (request,), failed = put("https://bucket.example/x?signature=abc")
    assert failed is None and request.method == "PUT" and request.content == LOGO
    assert request.headers["content-length"] == str(len(LOGO)) and "transfer-encoding" not in request.headers
    assert request.headers["content-type"] == "image/png"
    assert not {"authorization", "cookie"} & set(request.headers)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://bucket.example/x", False),
        ("http://bucket.example/x", True),
        ("http://127.0.0.1:1/x", False),
        ("http://169.254.169.254/latest", True),
        ("https://user:word@bucket.example/x", False),
        ("file:///etc/passwd", True),
        ("//bucket.example/x", True),
        ("https://", True),
    ],
)
def test_only_https_will_do_and_loopback_for_the_sandbox(url, local):
    seen, failed = put(url, local=local)
    assert not seen and "no https address" in failed.diagnostics[0].summary


def test_loopback_will_do_where_the_api_is_there_too():
    seen, failed = put("http://127.0.0.1:1/x", local=True)
    assert len(seen) == 1 and failed is None


def test_a_redirect_is_not_followed():
    seen, failed = put(
        "https://a.example/x", handle=lambda _: httpx.Response(307, headers={"location": "https://b.example/"})
    )
    assert len(seen) == 1 and "a.example answered 307" in failed.diagnostics[0].summary and not failed.again


@pytest.mark.parametrize(("status", "again"), [(403, False), (400, False), (500, True), (503, True), (408, True)])
def test_what_a_storage_answers_decides_whether_to_try_again(status, again):
    _, failed = put("https://a.example/x", handle=lambda _: httpx.Response(status))
    assert failed.again is again


def test_a_broken_connection_may_be_tried_again_and_its_url_is_not_shown():
    def broken(request):
        raise httpx.WriteError("https://a.example/x?signature=abc")

    _, failed = put("https://a.example/x?signature=abc", handle=broken)
    assert failed.again and "signature" not in str(failed.diagnostics)


@pytest.mark.parametrize("now", [OTHER, LOGO[:-1], b""])
def test_a_file_that_changes_while_it_is_sent_is_not_confirmed(now):
    _, failed = put("https://a.example/x", content=now, said=LOGO)
    assert failed.diagnostics[0].summary == "the file changed while it was sent"


def test_what_grew_is_sent_up_to_the_size_that_was_said():
    (request,), failed = put("https://a.example/x", content=LOGO + b"more", said=LOGO)
    assert failed is None and request.content == LOGO


def test_the_answers_of_the_upload_calls_are_held_against_their_shape(folder):
    async def test(world):
        world.store.add_fault(Fault(kind="html", method="POST", path="^/uploads$", status=200))
        result = await world.apply(desired(with_file("a")))
        assert {r.outcome for r in result.results} == {"done"}, (
            "an answer that is none is one of unknown fate: tried again"
        )

    in_world(test, folder)


def test_a_plan_that_names_a_file_twice_counts_it_once(folder):
    async def test(world):
        made = await world.plan(desired(with_file("a", reference(), reference("copy.png"))))
        assert len(made.uploads) == 1
        assert replace(made, uploads=()).requests_needed == 1

    in_world(test, folder)
