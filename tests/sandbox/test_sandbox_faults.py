"""Faults: what breaks, whether the effect took place, and how each is used up."""

import httpx
import pytest

from reconciler.sandbox.store import Fault

CREATE = ("POST", "/projects", {"brief": "B"})
BROKEN = {"reset": httpx.ReadError, "timeout": httpx.ReadTimeout}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["reset", "timeout"])
def test_a_broken_connection_leaves_no_answer_and_the_effect_only_when_it_comes_after(api, kind, when):
    api.store.add_fault(Fault(kind=kind, when=when))
    with pytest.raises(BROKEN[kind]):
        api(*CREATE)
    assert api.kinds() == (["create"] if when == "after" else [])
    assert [(request.path, request.status) for request in api.store.requests()] == [("/projects", None)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_status_fault_answers_with_an_error_envelope(api, refused, when):
    api.store.add_fault(Fault(kind="status", when=when, status=503, retry_after="7"))
    answer = api(*CREATE)
    refused(answer, 503, "rate_limited")
    assert answer.headers["Retry-After"] == "7"
    assert answer.headers["X-Request-Id"]
    assert api.kinds() == (["create"] if when == "after" else [])
    assert api.store.requests()[-1].status == 503


def test_a_status_fault_takes_any_status_and_code(api, refused):
    for status, code, found in (
        (409, None, "conflict"),
        (500, None, "internal_error"),
        (429, "project_limit", "project_limit"),
    ):
        api.store.add_fault(Fault(kind="status", status=status, code=code))
        refused(api(*CREATE), status, found)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_proxys_page_comes_in_place_of_the_answer(api, when):
    api.store.add_fault(Fault(kind="html", when=when, status=502))
    answer = api(*CREATE)
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert api.kinds() == (["create"] if when == "after" else [])


@pytest.mark.parametrize("kind", ["truncated", "empty"])
def test_a_cut_answer_keeps_its_status_and_is_no_json(api, kind):
    api.store.add_fault(Fault(kind=kind, when="after"))
    answer = api(*CREATE)
    assert answer.status_code == 202
    assert bool(answer.content) == (kind == "truncated")
    with pytest.raises(ValueError):
        answer.json()
    assert api.kinds() == ["create"]
    api.store.add_fault(Fault(kind=kind, when="before", status=502))
    assert api(*CREATE).status_code == 502
    assert api.kinds() == ["create"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delay_ends_in_the_true_answer(api, when):
    api.store.add_fault(Fault(kind="delay", when=when, seconds=0.001))
    assert api(*CREATE).status_code == 202


def test_a_shift_moves_the_list_while_it_is_read(api):
    ids = [api.store.person_creates(brief=str(n)) for n in range(4)]
    api.store.add_fault(Fault(kind="shift", method="GET", path="^/projects$", skip=1))
    pages = [api("GET", f"/projects?limit=2&offset={offset}").json() for offset in (0, 2)]
    seen = [project["id"] for page in pages for project in page["projects"]]
    assert seen == [ids[3], ids[2], ids[2], ids[1]]
    assert [page["total"] for page in pages] == [4, 5]


def test_a_fault_hits_only_the_requests_it_is_meant_for(api):
    project_id = api.idle()
    api.store.add_fault(Fault(kind="status", method="POST", path=r"/messages$"))
    assert api("GET", f"/projects/{project_id}/messages").status_code == 200
    assert api("POST", f"/projects/{project_id}/cancel").status_code == 200
    assert api("POST", f"/projects/{project_id}/messages", {"message": "M"}).status_code == 500


def test_a_fault_skips_then_hits_and_is_then_used_up(api):
    api.store.add_fault(Fault(kind="status", skip=2, times=2))
    assert [api("GET", "/projects").status_code for _ in range(6)] == [200, 200, 500, 500, 200, 200]


def test_a_fault_without_number_lasts_until_faults_are_cleared(api):
    api.store.add_fault(Fault(kind="status", times=0))
    assert [api("GET", "/projects").status_code for _ in range(3)] == [500] * 3
    api.store.clear_faults()
    assert api("GET", "/projects").status_code == 200


def test_faults_come_about_in_the_order_in_which_they_were_added(api):
    for status in (501, 502):
        api.store.add_fault(Fault(kind="status", status=status))
    assert [api("GET", "/projects").status_code for _ in range(3)] == [501, 502, 200]


def test_a_fault_is_used_up_once_whichever_process_serves(open_account, tmp_path):
    first = open_account(path=tmp_path / "account.db")
    second = open_account(path=tmp_path / "account.db")
    first.store.add_fault(Fault(kind="status"))
    assert [api("GET", "/projects").status_code for api in (second, first, second)] == [500, 200, 200]


def test_a_request_stopped_before_acting_does_not_count_against_the_rate(open_account):
    api = open_account(requests_per_minute=1)
    api.store.add_fault(Fault(kind="status", times=3))
    assert [api("GET", "/projects").status_code for _ in range(5)] == [500, 500, 500, 200, 429]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"kind": "explode"}, "kind"),
        ({"when": "during"}, "when"),
        ({"path": "("}, "path"),
        ({"status": 99}, "status"),
        ({"times": -1}, "negative"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wrong, problem):
    with pytest.raises(ValueError, match=problem):
        Fault(**{"kind": "reset", **wrong})
