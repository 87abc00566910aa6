"""The agent: where a project stands at which time, and what the agent says on the way."""

import math

import pytest

from reconciler.sandbox.agent import FAIL_MARKER
from reconciler.sandbox.store import Options

LONG = 1000


def course(api, project_id, seconds):
    """The statuses seen by looking four times a second."""
    seen = []
    for _ in range(4 * seconds):
        status = api.status(project_id)["status"]
        if seen[-1:] != [status]:
            seen.append(status)
        api.wait(0.25)
    return seen


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("options", "fields", "statuses"),
    [
        ({}, {}, ["queued", "running", "generating", "idle"]),
        ({}, {"expected_output": "assembled"}, ["queued", "running", "generating", "idle"]),
        ({"rendering": True}, {}, ["queued", "running", "generating", "rendering", "idle"]),
        ({"rendering": True}, {"expected_output": "assets"}, ["queued", "running", "generating", "idle"]),
        ({}, {"brief": f"{FAIL_MARKER} B"}, ["queued", "running", "generating", "failed"]),
        (
            {"fail_briefs": False, "rendering": True},
            {"brief": f"{FAIL_MARKER} B"},
            ["queued", "running", "generating", "rendering", "idle"],
        ),
    ],
)
def test_a_new_project_goes_through_its_statuses_in_time(open_account, options, fields, statuses):
    api = open_account(requests_per_minute=0, **options)
    assert course(api, api.create(**fields), 25) == statuses


@pytest.mark.parametrize(
    ("after", "status"),
    [
        (0, "queued"),
        (0.5, "running"),
        (2, "generating"),
        (4, "rendering"),
        (4.7, "rendering"),
        (4.75, "idle"),
        (LONG, "idle"),
    ],
)
def test_statuses_change_at_their_nominal_seconds_divided_by_the_speed(open_account, after, status):
    for speed in (1, 10):
        api = open_account(speed=speed, rendering=True)
        project_id = api.create()
        api.wait(after / speed + 1e-6)  # a clock in seconds since the epoch has no finer grain than this
        assert api.status(project_id)["status"] == status


def test_a_message_runs_the_agent_again_without_a_queue(api):
    project_id = api.idle()
    api("POST", f"/projects/{project_id}/messages", {"message": "Softer"})
    assert course(api, project_id, 20) == ["running", "generating", "idle"]


def test_a_message_with_the_marker_makes_the_agent_fail_and_say_why(api):
    project_id = api.idle()
    api("POST", f"/projects/{project_id}/messages", {"message": f"Softer {FAIL_MARKER}"})
    api.wait(LONG)
    assert api.status(project_id)["status"] == "failed"
    assert api.status(project_id)["error_message"]


def test_an_unlimited_speed_is_idle_at_the_next_look(open_account):
    api = open_account(speed=math.inf)
    project_id = api.create()
    assert api.status(project_id)["status"] == "idle"


def test_the_agent_speaks_at_the_start_and_at_the_end_which_is_its_last_message(api):
    project_id = api.create()
    assert api.status(project_id)["agent_message"] is None
    api.wait(3)
    begun = api.status(project_id)["agent_message"]
    api.wait(LONG)
    said = [message["content"] for message in api.store.conversation(project_id) if message["role"] == "assistant"]
    assert said == [begun, api.status(project_id)["agent_message"]]


def test_some_messages_of_the_agent_are_empty_and_never_its_last_word(api):
    project_id = api.idle()
    api("POST", f"/projects/{project_id}/messages", {"message": "Softer"})
    api.wait(1.75)
    assert api.store.conversation(project_id)[-1]["content"] == ""
    assert api.status(project_id)["agent_message"]


def test_in_collaborative_mode_the_agent_asks_for_feedback(api):
    project_id = api.idle(mode="collaborative")
    assert api.status(project_id)["agent_message"].endswith("?")


def test_messages_and_updates_carry_the_time_of_the_step_not_of_the_look(api):
    project_id = api.create()
    api.wait(LONG)
    assert api.status(project_id)["updated_at"] == "2025-06-15T15:06:44Z"
    assert [message["created_at"][-3:] for message in api.store.conversation(project_id)] == ["40Z", "40Z", "44Z"]


def test_the_projects_address_is_unknown_until_the_agent_starts(api):
    project_id = api.create()
    assert api.status(project_id)["project_url"] is None
    assert api.status(project_id)["variation_id"] is None
    api.wait(2)
    assert api.status(project_id)["project_url"]
    assert api("GET", "/projects").json()["projects"][0]["project_url"]


@pytest.mark.parametrize(
    ("wish", "output_type"), [(None, "assembled"), ("assembled", "assembled"), ("assets", "assets")]
)
def test_the_output_is_pending_until_idle_and_then_of_the_wished_type(api, wish, output_type):
    project_id = api.create(**({} if wish is None else {"expected_output": wish}))
    assert api.status(project_id)["output_type"] == "pending"
    api.wait(LONG)
    shown = api.status(project_id)
    assert shown["output_type"] == output_type
    assert (shown["assembled_url"] is None) == (output_type == "assets")
    assert (shown["assembled_url_expires_at"] is None) == (output_type == "assets")
    api("POST", f"/projects/{project_id}/messages", {"message": "Softer"})
    assert (api.status(project_id)["output_type"], api.status(project_id)["assembled_url"]) == ("pending", None)


def test_a_wish_for_another_output_counts_for_the_next_run_only(api):
    project_id = api.idle(expected_output="assets")
    api("PATCH", f"/projects/{project_id}/settings", {"expected_output": None})
    assert api.status(project_id)["output_type"] == "assets"


def test_a_setting_changed_in_the_queue_shapes_the_run(api):
    project_id = api.create()
    api.wait(0.25)
    assert api("PATCH", f"/projects/{project_id}/settings", {"expected_output": "assets"}).status_code == 200
    assert course(api, project_id, 20) == ["queued", "running", "generating", "idle"]
    assert api.status(project_id)["output_type"] == "assets"


def test_the_lists_status_filter_sees_what_time_has_changed(api):
    project_id = api.create()
    assert api("GET", "/projects?status=queued").json()["total"] == 1
    api.wait(1)
    assert api("GET", "/projects?status=queued").json()["total"] == 0
    assert api("GET", "/projects?status=running").json()["projects"][0]["id"] == project_id


@pytest.mark.parametrize("name", ["speed", "credits", "requests_per_minute"])
def test_options_without_a_meaning_are_refused(name):
    with pytest.raises(ValueError, match=name):
        Options(**{name: -1})
