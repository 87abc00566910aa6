"""Money, active slots and the rate limit."""

import pytest

from reconciler.model import contract
from reconciler.sandbox.store import STUDIO_PROJECTS


def test_create_needs_the_minimum_balance(api, refused):
    api.store.set_credits(contract.current().limits.create_credits - 1)
    refused(api("POST", "/projects", {"brief": "B"}), 402, "insufficient_credits")
    api.store.set_credits(contract.current().limits.create_credits)
    assert api("POST", "/projects", {"brief": "B"}).json()["credits_balance"] == 0
    assert api.store.projects()[0]["credits_spent"] == contract.current().limits.create_credits
    assert api.kinds() == ["create"]


def test_a_message_needs_ten_credits(api, refused):
    project_id = api.idle()
    api.store.set_credits(contract.current().limits.message_credits - 1)
    refused(api("POST", f"/projects/{project_id}/messages", {"message": "M"}), 402, "insufficient_credits")
    api.store.set_credits(contract.current().limits.message_credits)
    assert api("POST", f"/projects/{project_id}/messages", {"message": "M"}).status_code == 202


def test_a_balance_never_goes_below_zero(open_account):
    api = open_account(credits=40, create_cost=500)
    api.create()
    assert api.store.credits() == 0


def test_creates_and_messages_take_an_active_slot_until_the_agent_is_done(open_account, refused):
    api = open_account(active_projects=2)
    idle = api.idle()
    api.create()
    api.create()
    for path, body in (("/projects", {"brief": "B"}), (f"/projects/{idle}/messages", {"message": "M"})):
        answer = api("POST", path, body)
        refused(answer, 429, "project_limit")
        assert 1 <= int(answer.headers["Retry-After"]) <= 5  # until the first of them is done
    api.wait(int(answer.headers["Retry-After"]))
    assert api("POST", f"/projects/{idle}/messages", {"message": "M"}).status_code == 202
    assert api("POST", "/projects", {"brief": "B"}).status_code == 202
    refused(api("POST", "/projects", {"brief": "B"}), 429, "project_limit")


def test_a_keyed_create_that_is_repeated_needs_neither_slot_nor_credits(open_account):
    api = open_account(active_projects=1)
    api.create(idempotency_key="k")
    api.store.set_credits(0)
    assert api("POST", "/projects", {"brief": "B", "idempotency_key": "k"}).status_code == 200


def test_a_persons_project_at_work_takes_a_slot_and_adopting_takes_none(open_account, refused):
    api = open_account(active_projects=1)
    api.store.person_creates(brief="B", status="generating")
    refused(api("POST", "/projects", {"brief": "B"}), 429, "project_limit")
    assert api("POST", "/projects/adopt", {"project_id": STUDIO_PROJECTS[1].id}).status_code == 201


def test_requests_over_the_rate_are_refused_with_the_time_to_wait_and_have_no_effect(open_account, refused):
    api = open_account(requests_per_minute=3)
    api.create()
    api.wait(10)
    api.create()
    last = api("GET", "/projects")
    assert [last.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")] == ["3", "0", "1750000060"]
    api.wait(0.5)
    answer = api("POST", "/projects", {"brief": "B"})
    refused(answer, 429, "rate_limited")
    assert (answer.headers["Retry-After"], answer.headers["X-RateLimit-Remaining"]) == ("50", "0")
    assert api.kinds() == ["create", "create"]


def test_waiting_as_long_as_told_lets_the_next_request_through_but_no_burst(open_account, refused):
    api = open_account(requests_per_minute=3)
    for _ in range(3):
        api("GET", "/projects")
        api.wait(10)
    answer = api("GET", "/projects")
    api.wait(int(answer.headers["Retry-After"]))
    assert api("GET", "/projects").status_code == 200
    refused(api("GET", "/projects"), 429, "rate_limited")


def test_the_rate_is_the_accounts_over_all_its_keys_and_processes(open_account, refused, tmp_path):
    first = open_account(path=tmp_path / "account.db", requests_per_minute=2)
    second = open_account(path=tmp_path / "account.db", given=False)
    first("GET", "/projects", key="one")
    second("GET", "/projects", key="two")
    for api in (first, second):
        refused(api("GET", "/projects"), 429, "rate_limited")


def test_requests_without_a_key_do_not_count(open_account):
    api = open_account(requests_per_minute=1)
    for _ in range(5):
        assert api("GET", "/projects", key=None).status_code == 401
    assert api("GET", "/projects").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "key"), [("GET", "/projects", "k"), ("GET", "/projects", None), ("POST", "/nothing", "k")]
)
def test_every_answer_is_labelled_with_its_request_and_the_rate(open_account, method, path, key):
    api = open_account()
    answer = api(method, path, key=key)
    assert answer.headers["X-Request-Id"] == api.store.requests()[-1].request_id
    assert all(f"X-RateLimit-{name}" in answer.headers for name in ("Limit", "Remaining", "Reset"))


def test_an_unlimited_account_says_nothing_of_a_rate(api):
    answer = api("GET", "/projects")
    assert "X-Request-Id" in answer.headers
    assert "X-RateLimit-Limit" not in answer.headers
