"""The emulated look-ups: as the vendor publishes them, and strict."""

import pytest

from reconciler.model import contract
from reconciler.sandbox.store import STUDIO_PROJECTS, Store


def test_models_are_listed_by_type(api, refused):
    for kind, name in (("video", "kling-3.0"), ("image", "nano-banana-pro")):
        models = api("GET", f"/models?type={kind}").json()["models"]
        assert name in {each["id"] for each in models}
        assert all(each["type"] == kind and "16:9" in each["aspect_ratios"] for each in models)
    assert "type" in refused(api("GET", "/models"), 400, "validation_error")
    assert "type" in refused(api("GET", "/models?type=audio"), 400, "validation_error")
    assert "page" in refused(api("GET", "/models?type=video&page=2"), 400, "validation_error")


def test_studio_projects_are_discovered_until_they_are_adopted(api, refused):
    ids = [project.id for project in STUDIO_PROJECTS]
    whole = api("GET", "/projects/discover").json()
    assert [each["project_id"] for each in whole["projects"]] == ids and whole["total"] == len(ids)
    second = api("GET", "/projects/discover?limit=1&offset=1").json()
    assert [each["project_id"] for each in second["projects"]] == ids[1:] and second["limit"] == 1
    assert api("GET", "/projects/discover?title=harbour").json()["total"] == 1
    project = api("POST", "/projects/adopt", {"project_id": ids[0]}).json()["id"]
    assert [each["project_id"] for each in api("GET", "/projects/discover").json()["projects"]] == ids[1:]
    api("PATCH", f"/projects/{project}/settings", {"mode": "none"})
    assert api("GET", "/projects/discover").json()["total"] == len(ids)
    refused(api("GET", "/projects/discover?limit=101"), 400, "validation_error")


def test_credit_packages_name_where_to_buy(api):
    answer = api("GET", "/account/credit-packages").json()
    assert answer["credits_balance"] == api.store.credits()
    assert all(each["purchase_url"].startswith("http://sandbox/") for each in answer["packages"])


@pytest.mark.parametrize(("version", "status"), [("2025-03", 404), ("2026-04", 200), ("2026-05", 200)])
def test_own_skills_are_listed_where_the_version_has_them(version, status):
    from reconciler.sandbox import calls
    from reconciler.sandbox.wire import Call

    own = "0e000000-0000-4000-8000-000000000001"
    store = Store(":memory:", api=contract.named(version))
    try:
        store.add_skill(id=own)
        call = Call("GET", "/account/skills", [], b"", "Bearer x", "", "http://sandbox", "req_1")
        with store.account() as account:
            answer = calls.answer(account, call)
        assert answer.status == status
        assert (own.encode() in answer.body) == (status == 200)
    finally:
        store.close()


def test_without_the_calls_beyond_the_contract_there_are_none(open_account, refused):
    api = open_account(beyond_contract=False, requests_per_minute=0)
    for path in ("/models?type=video", "/projects/discover", "/account/credit-packages", "/account/skills"):
        refused(api("GET", path), 404, "not_found")
