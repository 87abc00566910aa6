"""The account on disk: people in it, what it remembers, and several processes at once."""

import concurrent.futures
import multiprocessing
import sqlite3

import pytest

from reconciler.sandbox.store import STUDIO_PROJECTS, Options, Store


def test_a_person_makes_a_project_that_the_api_lists_and_the_ledger_does_not_have(api):
    project_id = api.store.person_creates(brief="By hand", title="Mine", status="running", craft="ugc")
    listed = api("GET", "/projects").json()["projects"][0]
    assert (listed["id"], listed["title"], listed["status"]) == (project_id, "Mine", "running")
    api.wait(1000)
    assert api.status(project_id)["status"] == "running"
    assert api.store.projects()[0]["craft_auto"] is False
    assert api.store.ledger() == []


def test_a_persons_message_sets_an_idle_agent_to_work_and_leaves_a_busy_one_alone(api):
    project_id = api.idle()
    for content in ("First", "Second"):
        message_id = api.store.person_writes(project_id, content)
        assert [m["role"] for m in api.store.conversation(project_id) if m["id"] == message_id] == ["user"]
        assert api.status(project_id)["status"] == "running"
    api.wait(17)
    assert api.status(project_id)["status"] == "idle"
    assert api.kinds() == ["create"]


def test_a_person_changes_settings_even_while_the_agent_works(api):
    project_id = api.store.person_creates(brief="B", status="generating")
    api.store.person_sets(project_id, title="Renamed", mode="none")
    listed = api("GET", "/projects?title=renamed").json()["projects"][0]
    assert (listed["title"], listed["mode"]) == ("Renamed", "none")
    with pytest.raises(TypeError, match="brief, colour"):
        api.store.person_sets(project_id, colour="red", brief="x")


@pytest.mark.parametrize("status", ["archiving", "idle", "failed", "queued"])
def test_a_fixed_status_stays_whatever_the_agent_was_about_to_do(api, status):
    project_id = api.create()
    api.store.set_status(project_id, status)
    api.wait(1000)
    assert api.status(project_id)["status"] == status
    assert api.status(project_id)["output_type"] == ("assembled" if status == "idle" else "pending")


def test_a_project_set_back_to_work_has_no_output(api):
    project_id = api.idle()
    api.store.set_status(project_id, "running")
    assert api.status(project_id)["output_type"] == "pending"


def test_an_id_that_the_account_does_not_hold_is_a_key_error(api):
    for act in (api.store.conversation, lambda name: api.store.person_writes(name, "x"), api.store.person_sets):
        with pytest.raises(KeyError):
            act("proj_none")


def test_finishing_brings_every_agent_to_its_end_at_the_present_time(api):
    ids = [api.create(brief) for brief in ("B", "[fail]")]
    api.store.finish_all()
    assert [api.status(project_id)["status"] for project_id in ids] == ["idle", "failed"]
    assert api.status(ids[0])["updated_at"] == "2025-06-15T15:06:40Z"


def test_the_ledger_numbers_effects_and_ties_them_to_their_requests(api):
    project_id = api.idle(idempotency_key="k")
    api("POST", "/projects", {"brief": "B", "idempotency_key": "k"})
    api("PATCH", f"/projects/{project_id}/settings", {"title": "T"})
    api("POST", f"/projects/{project_id}/messages", {"message": "M"})
    api.store.finish_all()
    api("POST", f"/projects/{project_id}/cancel")
    effects, requests = api.store.ledger(), api.store.requests()
    assert [(e.n, e.kind, e.idempotency_key) for e in effects] == [
        (1, "create", "k"),
        (2, "settings", None),
        (3, "message", None),
        (4, "cancel", None),
    ]
    assert [e.request_id for e in effects] == [requests[n].request_id for n in (0, 2, 3, 4)]
    assert {e.project_id for e in effects} == {project_id}


def test_every_request_is_remembered_with_its_query_body_and_status(api):
    api("GET", "/projects?limit=5&title=a%20b")
    api("POST", "/projects", content=b"{oops")
    api("POST", "/projects", {"brief": "B"}, key=None)
    assert [(r.method, r.path, r.query, r.body, r.status) for r in api.store.requests()] == [
        ("GET", "/projects", {"limit": "5", "title": "a b"}, None, 200),
        ("POST", "/projects", {}, "{oops", 400),
        ("POST", "/projects", {}, {"brief": "B"}, 401),
    ]
    api.store.clear_requests()
    assert api.store.requests() == []


def test_requests_need_not_be_remembered(open_account):
    api = open_account(log_requests=False)
    api.create()
    assert api.store.requests() == []


def test_an_account_outlives_its_process_with_its_options(open_account, tmp_path):
    path = tmp_path / "deep" / "account.db"
    first = open_account(path=path, credits=500, speed=2)
    project_id = first.create()
    first.store.close()
    again = open_account(path=path, given=False, now=first.now)
    assert again.store.options == Options(credits=500, speed=2)
    assert again.store.credits() == 500 - again.store.options.create_cost
    again.wait(1000)
    assert again.status(project_id)["status"] == "idle"
    open_account(path=path, speed=9)
    assert open_account(path=path, given=False).store.options.speed == 9


def test_an_exception_inside_a_transaction_leaves_nothing_behind(api):
    def spend_and_fail():
        with api.store.account() as account:
            account.set_meta("credits", 1)
            account.run("INSERT INTO studio VALUES (?, ?, ?)", STUDIO_PROJECTS[0].id, None, "B")

    with pytest.raises(sqlite3.IntegrityError):
        spend_and_fail()
    assert api.store.credits() == 100_000


def _create_many(path, count):
    store = Store(path)
    for _ in range(count):
        store.person_creates(brief="B")
    store.close()


@pytest.mark.sweep
def test_processes_that_open_a_new_account_at_once_lose_nothing(tmp_path):
    path = tmp_path / "account.db"
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_create_many, args=(path, 20)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    store = Store(path)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(store.projects()) == 80
    store.close()


def test_one_key_makes_one_project_however_many_ask_at_once(open_account, tmp_path):
    accounts = [open_account(path=tmp_path / "account.db") for _ in range(2)]
    body = {"brief": "B", "idempotency_key": "k"}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda n: accounts[n % 2]("POST", "/projects", body).status_code, range(16))]
    assert sorted(answers) == [200] * 15 + [202]
    assert accounts[0].kinds() == ["create"]
