"""What comes back over the wire, as values."""

from __future__ import annotations

import json
import re

import pytest

from reconciler.adapters.api import answers
from reconciler.model import contract
from reconciler.model.errors import AnswerError, RefusedError, UnauthorizedError
from reconciler.model.live import Created, LiveMessage, LiveProject
from tests.adapters.api_support import BY_NAME, ask, refusal, reply, script

LISTED = {
    "id": "proj_1",
    "source_project_id": "studio_1",
    "status": "idle",
    "mode": "autonomous",
    "title": None,
    "brief": "Your brief here…",
    "expected_output": "assembled",
    "assembled_url": "https://media.example/1",
    "project_url": "https://eversince.ai/app/projects/1",
    "created_at": "2025-03-15T10:30:00Z",
    "updated_at": "2025-03-15T10:35:00Z",
}


def test_a_listed_project_has_the_settings_that_the_list_shows():
    page = answers.listed(json.dumps({"projects": [LISTED], "total": 42}).encode(), limit=100, offset=300)
    assert (page.total, page.limit, page.offset) == (42, 100, 300)
    assert page.projects == (
        LiveProject(
            id="proj_1",
            status="idle",
            source="list",
            settings={"title": None, "mode": "autonomous", "expected_output": "assembled"},
            brief="Your brief here…",
            source_project_id="studio_1",
            project_url="https://eversince.ai/app/projects/1",
            assembled_url="https://media.example/1",
            created_at="2025-03-15T10:30:00Z",
            updated_at="2025-03-15T10:35:00Z",
        ),
    )


def test_the_page_says_itself_what_it_is():
    page = answers.listed(b'{"projects": [], "total": 0, "limit": 20, "offset": 5}', limit=100, offset=0)
    assert (page.limit, page.offset) == (20, 5)


def test_a_setting_that_an_answer_lacks_is_unknown_and_not_null():
    page = answers.listed(b'{"projects": [{"id": "a", "status": "idle"}], "total": 1}', limit=1, offset=0)
    assert page.projects[0].settings == {}


def test_a_status_shows_mode_alone_of_the_settings_whatever_else_comes():
    body = {
        **LISTED,
        "output_type": "pending",
        "error_message": "No.",
        "agent_message": "Yes?",
        "variation_id": "var_1",
        "assembled_url_expires_at": "2025-03-16T10:30:00Z",
        "nova": [1],
    }
    project = answers.project(json.dumps(body).encode())
    assert (project.source, project.settings, project.brief) == ("status", {"mode": "autonomous"}, None)
    assert (project.output_type, project.error_message, project.agent_message) == ("pending", "No.", "Yes?")
    assert (project.variation_id, project.assembled_url_expires_at) == ("var_1", "2025-03-16T10:30:00Z")


def test_a_status_never_seen_before_is_kept():
    assert answers.project(b'{"id": "a", "status": "daydreaming"}').status == "daydreaming"


@pytest.mark.parametrize(
    ("said", "read"),
    [(None, None), ("Low.", "Low."), (False, None), (True, "fewer than 100 credits are left"), ({"n": 9}, '{"n": 9}')],
)
def test_a_credits_warning_of_any_type_becomes_a_text(said, read):
    body = json.dumps({"id": "a", "status": "idle", "credits_warning": said}).encode()
    assert answers.project(body).credits_warning == read


@pytest.mark.parametrize(
    ("endpoint", "status", "existing"),
    [("create", 202, False), ("create", 200, True), ("adopt", 201, False), ("adopt", 200, True)],
)
def test_the_status_code_tells_a_new_project_from_one_that_was_there(endpoint, status, existing):
    server = script(reply(status, {"id": "proj_1", "status": "running", "message": "…"}))
    assert ask(server, BY_NAME[endpoint].make) == Created(id="proj_1", status="running", existing=existing)


@pytest.mark.parametrize(("endpoint", "status"), [("create", 201), ("adopt", 202), ("send", 200), ("cancel", 202)])
def test_a_good_status_that_the_contract_does_not_have_for_the_call_is_not_believed(endpoint, status):
    with pytest.raises(AnswerError, match=f"status {status} is not in the contract"):
        ask(script(reply(status, {"id": "proj_1", "status": "idle"})), BY_NAME[endpoint].make)


@pytest.mark.parametrize(("said", "read"), [(1450, 1450), (1450.5, 1450), (None, None), ("many", None), (True, None)])
def test_the_balance_in_an_answer_never_spoils_it(said, read):
    body = json.dumps({"id": "a", "status": "queued", "credits_balance": said}).encode()
    assert answers.made(body, existing=False).credits_balance == read


def test_the_settings_answered_are_the_known_ones():
    body = dict.fromkeys((*contract.current().settings, "aspect_ratio")) | {"title": "x", "craft_auto": False}
    assert answers.settings(json.dumps(body | {"skills": ["new"]}).encode()) == body
    assert list(answers.settings(b'{"mode": "none"}')) == ["mode"]


def test_messages_come_in_the_servers_order_and_may_be_empty():
    body = {
        "messages": [
            {"id": "m2", "role": "assistant", "content": None},
            {"id": "m1", "role": "user", "content": "Hi", "source": "chat", "created_at": "t", "new": 1},
        ],
        "has_more": True,
    }
    page = answers.messages(json.dumps(body).encode())
    assert page.has_more
    assert page.messages == (
        LiveMessage(id="m2", role="assistant", content=""),
        LiveMessage(id="m1", role="user", content="Hi", source="chat", created_at="t"),
    )


@pytest.mark.parametrize(
    ("read", "body", "place"),
    [
        (answers.project, {"id": 7, "status": "idle"}, "`$.id`"),
        (answers.project, {"id": "", "status": "idle"}, "`$.id`"),
        (answers.project, {"id": "a", "status": None}, "`$.status`"),
        (answers.project, {"id": "a", "status": "idle", "mode": 3}, "`$.mode`"),
        (answers.project, {"id": "a", "status": "failed", "error_message": ["x"]}, "`$.error_message`"),
        (answers.settings, {"craft_auto": "yes"}, "`$.craft_auto`"),
        (answers.settings, {"title": 5}, "`$.title`"),
        (answers.status, {"id": "a"}, "field `status`"),
        (answers.messages, {"messages": [], "has_more": "no"}, "`$.has_more`"),
        (answers.messages, {"messages": {}, "has_more": False}, "`$.messages`"),
        (answers.messages, {"messages": [{"id": "m"}], "has_more": False}, "field `role` - at `$.messages[0]`"),
    ],
)
def test_a_wrong_type_is_named_with_its_place(read, body, place):
    with pytest.raises(answers.ShapeError, match=rf"{re.escape(place)}$"):
        read(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"projects": [LISTED, {**LISTED, "title": 5}], "total": 2}, "`$.projects[1].title`"),
        ({"projects": [LISTED, None], "total": 2}, "`$.projects[1]`"),
        ({"projects": None, "total": 2}, "`$.projects`"),
        ({"projects": []}, "field `total`"),
        ({"projects": [], "total": -1}, "`$.total`"),
        ({"projects": [], "total": "1"}, "`$.total`"),
        ({"projects": [], "total": True}, "`$.total`"),
        ({"total": 0}, "field `projects`"),
    ],
)
def test_a_list_is_read_whole_or_not_at_all(body, place):
    with pytest.raises(answers.ShapeError, match=rf"{re.escape(place)}$"):
        answers.listed(json.dumps(body).encode(), limit=100, offset=0)


@pytest.mark.parametrize(
    ("answer", "credits_left"),
    [
        (reply(200, {"credits_balance": 12, "plan": "pro"}), 12),
        (reply(200, {"credits_balance": 12.9}), 12),
        (reply(200, {"credits_balance": "12"}), None),
        (reply(200, {"balance": 12}), None),
        (reply(200, b"<html>"), None),
        (reply(204, b""), None),
        (refusal(404, "not_found"), None),
        (reply(404, b"<html>"), None),
        (refusal(405, "validation_error"), None),
    ],
)
def test_credits_are_told_where_the_api_has_them_and_are_unknown_elsewhere(answer, credits_left):
    server = script(answer)
    assert ask(server, lambda client: client.credits()) == credits_left
    assert len(server.requests) == 1


def test_a_key_that_is_refused_is_refused_for_credits_too():
    with pytest.raises(UnauthorizedError):
        ask(script(refusal(401, "unauthorized")), lambda client: client.credits())


# ── what people write that is no text ──

HALF = rb"\ud83c"
"""What a cut inside an emoji leaves in JSON."""


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (HALF, "�"),
        (HALF + rb" a", "� a"),
        (rb"\udf89a", "�a"),
        (HALF + HALF + rb"\udf89", "�🎉"),
        (rb"\ud83c\udf89", "🎉"),
        (rb"a\u0000b", "a\0b"),
        (b"a\x07b", "a\x07b"),
        (b"a\nb", "a\nb"),
        (b"gr\xf6\xdfer", "gr��er"),
        (b"\xed\xa0\xbc", "���"),
        ("🎉".encode()[:2], "�"),
    ],
)
def test_what_people_write_never_makes_an_answer_unreadable(written, read):
    project = b'{"id": "a", "status": "idle", "title": "%s", "brief": "%s"}' % (written, written)
    page = answers.listed(b'{"projects": [%s], "total": 1}' % project, limit=1, offset=0)
    assert (page.projects[0].brief, page.projects[0].settings["title"]) == (read, read)
    status = answers.project(b'{"id": "a", "status": "failed", "error_message": "%s"}' % written)
    assert status.error_message == read
    said = answers.messages(
        b'{"messages": [{"id": "m", "role": "user", "content": "%s"}], "has_more": false}' % written
    )
    assert said.messages[0].content == read
    assert answers.settings(b'{"title": "%s"}' % written) == {"title": read}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_passed_over(encoding):
    body = '{"id": "a", "status": "idle", "agent_message": "größer"}'.encode(encoding)
    assert answers.project(body).agent_message == "größer"


@pytest.mark.parametrize(
    "body", [b"<html>" + HALF, b'{"id": "a" ' + HALF, b'{"id": "' + HALF, b"", b"[" * 100_000, b"\xff"]
)
def test_what_is_no_json_stays_unreadable(body):
    with pytest.raises(answers.UndecodableError):
        answers.project(body)


def test_half_a_character_hides_no_wrong_shape():
    with pytest.raises(answers.ShapeError, match=re.escape("`$.status`")):
        answers.project(b'{"id": "%s", "status": 5}' % HALF)
    with pytest.raises(answers.UndecodableError):
        answers.made(b'{"id": "%s", "status": "idle", "credits_balance": NaN}' % HALF, existing=False)


def test_an_error_that_quotes_half_a_character_is_told_as_the_apis_own():
    body = b'{"error": {"code": "validation_error", "message": "title %s is odd", "status": 400}}' % HALF
    with pytest.raises(RefusedError) as caught:
        ask(script(reply(400, body)), BY_NAME["create"].make)
    [told] = caught.value.diagnostics
    assert "title � is odd" in told.detail
    assert "api.url" not in told.detail
