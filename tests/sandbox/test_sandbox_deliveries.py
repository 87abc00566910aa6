"""The emulated renders and permanent links: as the vendor publishes them, and strict."""

import pytest


def render(api, project, quality="1080p"):
    return api("POST", f"/projects/{project}/render", {"quality": quality})


def test_a_render_takes_an_idle_project_and_gives_it_a_new_video(api):
    project = api.idle()
    before = api.status(project)
    answer = render(api, project)
    assert answer.status_code == 202
    assert set(answer.json()) == {"id", "status", "quality"} and answer.json()["status"] == "rendering"
    during = api.status(project)
    assert during["status"] == "rendering" and during["assembled_url"] is None
    api.store.finish_all()
    after = api.status(project)
    assert after["status"] == "idle"
    assert after["assembled_url"].partition("?")[0] != before["assembled_url"].partition("?")[0]
    path = after["assembled_url"].removeprefix("http://sandbox")
    assert api("GET", path, prefix="", key=None).status_code == 200
    effect = api.store.ledger()[-1]
    assert (effect.kind, effect.project_id, effect.detail["quality"]) == ("render", project, "1080p")


def test_4k_costs_credits_and_1080p_nothing(api, refused):
    project = api.idle()
    before = api.store.credits()
    render(api, project)
    api.store.finish_all()
    assert api.store.credits() == before
    render(api, project, "4k")
    api.store.finish_all()
    assert api.store.credits() == before - 10
    api.store.set_credits(9)
    refused(render(api, project, "4k"), 402, "insufficient_credits")
    assert render(api, project).status_code == 202


@pytest.mark.parametrize("status", ["running", "generating", "rendering", "queued", "failed", "cancelled"])
@pytest.mark.parametrize("call", ["render", "share"])
def test_only_an_idle_project_is_rendered_or_shared(api, refused, status, call):
    project = api.idle()
    api.store.set_status(project, status)
    body = {"quality": "4k"} if call == "render" else {}
    refused(api("POST", f"/projects/{project}/{call}", body), 400, "invalid_status")
    assert api.kinds() == ["create"]


def test_there_are_as_many_renders_in_24_hours_as_the_table_says(open_account, refused):
    api = open_account(requests_per_minute=0, active_projects=0, renders_per_day=2)
    for _ in range(2):
        project = api.idle()
        assert render(api, project).status_code == 202
        api.store.finish_all()
    assert "in a day" in refused(render(api, project), 429, "rate_limited")
    api.wait(86_401)
    assert render(api, project).status_code == 202


def test_a_link_is_permanent_listed_and_of_the_video_it_was_made_for(api):
    project = api.idle(title="Teaser")
    first = api("POST", f"/projects/{project}/share", {"title": "Summer", "description": "Short."})
    assert first.status_code == 201 and set(first.json()) == {"share_url", "video_url"}
    render(api, project)
    api.store.finish_all()
    second = api("POST", f"/projects/{project}/share", {})
    assert second.json()["video_url"] != first.json()["video_url"]
    api.wait(400 * 86_400)
    for url in (*first.json().values(), *second.json().values()):
        assert api("GET", url.removeprefix("http://sandbox"), prefix="", key=None).status_code == 200
    shares = api("GET", "/account/shares").json()["shares"]
    assert [s["title"] for s in shares] == ["Teaser", "Summer"]
    assert set(shares[0]) == {"share_url", "video_url", "title", "aspect_ratio", "view_count", "created_at"}
    assert api.kinds() == ["create", "share", "render", "share"]


def test_what_has_no_finished_render_is_not_shared(api, refused):
    project = api.idle(expected_output="assets")
    assert "no finished render" in refused(api("POST", f"/projects/{project}/share", {}), 400, "invalid_status")


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("render", {}),
        ("render", {"quality": "8k"}),
        ("render", {"quality": 4}),
        ("share", {"title": ""}),
        ("share", {"x": 1}),
    ],
)
def test_bodies_are_checked(api, refused, call, body):
    project = api.idle()
    refused(api("POST", f"/projects/{project}/{call}", body), 400, "validation_error")


def test_an_account_without_them_has_no_such_routes(open_account, refused):
    api = open_account(requests_per_minute=0, active_projects=0, beyond_contract=False)
    project = api.idle()
    refused(render(api, project), 404, "not_found")
    refused(api("POST", f"/projects/{project}/share", {}), 404, "not_found")
    refused(api("GET", "/account/shares"), 404, "not_found")
