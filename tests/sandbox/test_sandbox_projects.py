"""The calls of the contract, one behaviour at a time, answered in exactly its shapes."""

import pytest

from reconciler.model import contract
from reconciler.model.contract import Status
from reconciler.sandbox.store import STUDIO_PROJECTS

STUDIO = STUDIO_PROJECTS[0]
EVERYTHING = {
    "title": "Summer",
    "mode": "collaborative",
    "aspect_ratio": "9:16",
    "craft": "cinema",
    "craft_auto": True,
    "video_model": "kling-3.0",
    "image_model": "nano",
    "agent_model": "sonnet",
    "expected_output": "assets",
    "webhook_url": "https://hooks.example.com/x",
    "idempotency_key": "acme/summer/1",
    "references": [{"upload_id": "upl_1"}],
    "extract_content": False,
}
STATUSES = [*Status, "archiving"]


def test_create_answers_202_with_the_contracts_fields_and_charges_the_account(api):
    answer = api("POST", "/projects", {"brief": "B"})
    assert answer.status_code == 202
    assert answer.json() == {
        "id": api.store.projects()[0]["id"],
        "status": "queued",
        "mode": "autonomous",
        "project_url": None,
        "credits_balance": 100_000 - api.store.options.create_cost,
        "created_at": "2025-06-15T15:06:40Z",
    }
    assert answer.json()["id"].startswith("proj_")


def test_create_keeps_everything_that_was_sent(api):
    project_id = api.create("Brief", **EVERYTHING)
    truth = api.store.projects()[0]
    assert {"brief": "Brief", "id": project_id, **EVERYTHING}.items() <= truth.items()


@pytest.mark.parametrize(
    ("sent", "craft", "auto"),
    [
        ({}, "auto", True),
        ({"craft": "auto"}, "auto", True),
        ({"craft": "ugc"}, "ugc", False),
        ({"craft": "ugc", "craft_auto": True}, "ugc", True),
        ({"craft_auto": False}, "auto", False),
    ],
)
def test_craft_auto_defaults_to_whether_craft_is_auto(api, sent, craft, auto):
    api.create(**sent)
    truth = api.store.projects()[0]
    assert (truth["craft"], truth["craft_auto"]) == (craft, auto)


def test_unsent_fields_take_the_contracts_defaults(api):
    api.create()
    truth = api.store.projects()[0]
    defaults = {
        "title": None,
        "mode": "autonomous",
        "aspect_ratio": "16:9",
        "agent_model": "opus",
        "video_model": None,
        "image_model": None,
        "expected_output": None,
        "webhook_url": None,
        "idempotency_key": None,
        "references": [],
        "extract_content": True,
    }
    assert defaults.items() <= truth.items()


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "failed"])
def test_a_key_that_a_non_failed_project_holds_answers_200_with_it_and_charges_nothing(api, status):
    project_id = api.create(idempotency_key="k")
    api.store.set_status(project_id, status)
    balance = api.store.credits()
    answer = api("POST", "/projects", {"brief": "Another", "idempotency_key": "k"})
    assert answer.status_code == 200
    assert answer.json() == {
        "id": project_id,
        "status": status,
        "message": "Project already exists for this idempotency key",
    }
    assert api.store.credits() == balance
    assert api.kinds() == ["create"]


def test_a_key_that_only_a_failed_project_holds_makes_a_new_one_which_then_holds_it(api):
    first = api.create(idempotency_key="k")
    api.store.set_status(first, "failed")
    second = api.create(idempotency_key="k")
    assert second != first
    assert api("POST", "/projects", {"brief": "B", "idempotency_key": "k"}).json()["id"] == second
    assert [effect.idempotency_key for effect in api.store.ledger()] == ["k", "k"]


def test_a_studio_project_is_adopted_once(api):
    answer = api("POST", "/projects/adopt", {"project_id": STUDIO.id})
    adopted = {
        "id": api.store.projects()[0]["id"],
        "status": "idle",
        "mode": "collaborative",
        "project_url": answer.json()["project_url"],
    }
    assert (answer.status_code, answer.json()) == (201, adopted)
    assert adopted["id"] != STUDIO.id
    assert adopted["project_url"]
    for known_as in (STUDIO.id, adopted["id"]):
        again = api("POST", "/projects/adopt", {"project_id": known_as, "mode": "autonomous"})
        assert (again.status_code, again.json()) == (200, adopted | {"message": "Project already adopted"})
    assert api.kinds() == ["adopt"]
    listed = api("GET", "/projects").json()["projects"][0]
    assert (listed["source_project_id"], listed["title"], listed["brief"]) == (STUDIO.id, STUDIO.title, STUDIO.brief)


def test_adopting_takes_a_mode_and_projects_added_to_the_studio(api):
    api.store.add_studio_project(id="mine", title="Mine")
    assert api("POST", "/projects/adopt", {"project_id": "mine", "mode": "autonomous"}).json()["mode"] == "autonomous"


def test_adopted_ids_can_be_the_studios_own(open_account):
    api = open_account(adopted_id_is_studio_id=True)
    assert api("POST", "/projects/adopt", {"project_id": STUDIO.id}).json()["id"] == STUDIO.id
    assert api.store.projects()[0]["source_project_id"] == STUDIO.id


def test_a_released_project_can_be_adopted_again(api):
    project_id = api.idle()
    api("PATCH", f"/projects/{project_id}/settings", {"mode": "none"})
    answer = api("POST", "/projects/adopt", {"project_id": project_id})
    assert (answer.status_code, answer.json()["id"], answer.json()["mode"]) == (201, project_id, "collaborative")
    assert api("POST", f"/projects/{project_id}/messages", {"message": "Hi"}).status_code == 202


def test_the_list_shows_the_contracts_fields_with_the_brief_cut(api):
    project_id = api.idle("b" * 300, **EVERYTHING)
    page = api("GET", "/projects").json()
    assert page == {
        "projects": [
            {
                "id": project_id,
                "source_project_id": None,
                "status": "idle",
                "mode": "collaborative",
                "title": "Summer",
                "brief": "b" * contract.current().limits.list_brief,
                "expected_output": "assets",
                "assembled_url": None,
                "project_url": f"http://sandbox/app/projects/{project_id}",
                "created_at": "2025-06-15T15:06:40Z",
                "updated_at": "2025-06-15T15:06:40Z",
            }
        ],
        "total": 1,
        "limit": 20,
        "offset": 0,
    }


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_of_the_list_hold_every_project_once_in_the_accounts_order(open_account, order):
    api = open_account(list_order=order)
    ids = [api.store.person_creates(brief="B", title=str(n)) for n in range(25)]
    pages = [api("GET", f"/projects?limit=10&offset={offset}").json() for offset in (0, 10, 20, 30)]
    seen = [project["id"] for page in pages for project in page["projects"]]
    assert seen == (ids if order == "oldest" else ids[::-1])
    assert {page["total"] for page in pages} == {25}
    assert [len(page["projects"]) for page in pages] == [10, 10, 5, 0]
    assert len(api("GET", "/projects").json()["projects"]) == contract.current().limits.list_page_default


def test_the_list_is_searched_by_title_without_case_and_filtered_by_status(api):
    for title in ("Straße 50%", "strasse 5", None, "other"):
        api.store.person_creates(brief="STRASSE", title=title)
    api.store.person_creates(brief="B", title="STRASSE", status="archiving")

    def titles(query):
        page = api("GET", f"/projects?{query}").json()
        assert page["total"] == len(page["projects"])
        return {project["title"] for project in page["projects"]}

    assert titles("title=STRASSE") == {"Straße 50%", "strasse 5", "STRASSE"}
    assert titles("title=50%25") == {"Straße 50%"}
    assert titles("title=strasse&status=archiving") == {"STRASSE"}
    assert titles("status=running") == set()
    assert len(titles("title=")) == 5


def test_the_status_shows_the_contracts_fields(api):
    project_id = api.idle()
    shown = api.status(project_id)
    assert list(shown) == [
        "id",
        "status",
        "mode",
        "output_type",
        "assembled_url",
        "assembled_url_expires_at",
        "project_url",
        "agent_message",
        "variation_id",
        "created_at",
        "updated_at",
    ]
    assert shown["variation_id"].startswith("var_")
    assert shown["assembled_url_expires_at"] == "2025-06-16T15:06:40Z"


def test_an_error_message_shows_only_while_the_project_is_failed(api):
    project_id = api.idle()
    api.store.set_status(project_id, "failed", error_message="Out of ideas")
    assert api.status(project_id)["error_message"] == "Out of ideas"
    api.store.set_status(project_id, "cancelled")
    assert "error_message" not in api.status(project_id)


def test_a_low_balance_shows_as_a_warning(api):
    project_id = api.idle()
    api.store.set_credits(contract.current().limits.low_credits)
    assert "credits_warning" not in api.status(project_id)
    api.store.set_credits(contract.current().limits.low_credits - 1)
    assert "99" in api.status(project_id)["credits_warning"]


def test_patch_changes_only_what_is_sent_and_answers_all_ten_settings(api):
    project_id = api.idle(**EVERYTHING)
    change = {"title": None, "craft": "humor", "webhook_url": None, "expected_output": None, "mode": "autonomous"}
    answer = api("PATCH", f"/projects/{project_id}/settings", change)
    assert answer.status_code == 200
    assert answer.json() == {
        "title": None,
        "mode": "autonomous",
        "aspect_ratio": "9:16",
        "video_model": "kling-3.0",
        "image_model": "nano",
        "agent_model": "sonnet",
        "craft": "humor",
        "craft_auto": True,
        "webhook_url": None,
        "expected_output": None,
    }
    effect = api.store.ledger()[-1]
    assert (effect.kind, effect.detail["sent"]) == ("settings", change)
    assert effect.detail["before"]["title"] == "Summer"


def test_an_empty_patch_reads_the_settings_or_is_refused_as_the_account_has_it(open_account, refused):
    accepting, rejecting = open_account(), open_account(empty_patch="reject")
    path = f"/projects/{accepting.create()}/settings"
    assert len(accepting("PATCH", path, {}).json()) == 10
    refused(rejecting("PATCH", f"/projects/{rejecting.create()}/settings", {}), 400, "validation_error")


@pytest.mark.parametrize("status", STATUSES)
def test_each_call_is_refused_in_the_statuses_the_contract_names(api, refused, status):
    blocked = {
        "settings": contract.settings_blocked(status),
        "cancel": not contract.current().allows("cancel", status),
        "messages": not contract.current().allows("message", status),
    }
    calls = {"settings": ("PATCH", {"title": "T"}), "cancel": ("POST", None), "messages": ("POST", {"message": "M"})}
    for name, (method, body) in calls.items():
        project_id = api.create()
        api.store.set_status(project_id, status)
        effects = len(api.store.ledger())
        answer = api(method, f"/projects/{project_id}/{name}", body)
        if blocked[name]:
            assert status in refused(answer, 400, "invalid_status")
        else:
            assert answer.status_code == (202 if name == "messages" else 200)
        assert len(api.store.ledger()) == effects + (not blocked[name])


def test_cancel_stops_the_agent_for_good_and_a_second_one_is_refused(api, refused):
    project_id = api.create()
    answer = api("POST", f"/projects/{project_id}/cancel")
    assert (answer.status_code, answer.json()) == (200, {"id": project_id, "status": "cancelled"})
    api.wait(1000)
    assert api.status(project_id)["status"] == "cancelled"
    refused(api("POST", f"/projects/{project_id}/cancel"), 400, "invalid_status")
    assert api.kinds() == ["create", "cancel"]


def test_a_released_project_is_still_listed_and_takes_no_messages(api, refused):
    project_id = api.idle()
    assert api("PATCH", f"/projects/{project_id}/settings", {"mode": "none"}).json()["mode"] == "none"
    assert api("GET", "/projects").json()["projects"][0]["mode"] == "none"
    refused(api("POST", f"/projects/{project_id}/messages", {"message": "Hi"}), 400, "invalid_status")
    assert api("PATCH", f"/projects/{project_id}/settings", {"mode": "none"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/projects/proj_none", None),
        ("GET", "/projects/adopt", None),
        ("PATCH", "/projects/proj_none/settings", {}),
        ("POST", "/projects/proj_none/cancel", None),
        ("POST", "/projects/proj_none/messages", {"message": "M"}),
        ("GET", "/projects/proj_none/messages", None),
        ("POST", "/projects/adopt", {"project_id": "proj_none"}),
        ("GET", "/", None),
        ("GET", "/projects/", None),
        ("POST", "/renders", {}),
    ],
)
def test_what_does_not_exist_answers_404(api, refused, method, path, body):
    refused(api(method, path, body), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/projects/proj_1", "GET"),
        ("PUT", "/projects", "GET, POST"),
        ("GET", "/projects/proj_1/cancel", "POST"),
        ("POST", "/projects/proj_1/settings", "PATCH"),
    ],
)
def test_a_wrong_method_answers_405_and_says_which_there_are(api, refused, method, path, allowed):
    answer = api(method, path)
    refused(answer, 405, "validation_error")
    assert answer.headers["Allow"] == allowed


def test_the_credits_can_be_read_beyond_the_contract_unless_switched_off(open_account, refused):
    assert open_account(credits=7)("GET", "/account/credits").json() == {"credits_balance": 7}
    refused(open_account(beyond_contract=False)("GET", "/account/credits"), 404, "not_found")


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer  ", "Basic abc", "abc"])
def test_a_call_without_a_key_is_refused(api, refused, header):
    headers = {} if header is None else {"Authorization": header}
    refused(api("GET", "/projects", key=None, headers=headers), 401, "unauthorized")


def test_only_the_accounts_key_is_let_in_where_one_is_set(open_account, refused):
    api = open_account(key="es_live_right")
    assert api("GET", "/projects", key="es_live_right").status_code == 200
    refused(api("POST", "/projects", {"brief": "B"}, key="es_live_wrong"), 401, "unauthorized")
    assert api.kinds() == []
