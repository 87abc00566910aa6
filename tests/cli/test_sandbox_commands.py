"""`sandbox serve` and `sandbox faults`: everything that a server may do to people, chosen on the command line."""

from __future__ import annotations

import httpx
import pytest

from tests.cli.cli_support import APPLY, make_space

KEY = {"Authorization": "Bearer any"}


def faults(space, *args):
    return space.run("sandbox", "faults", *args, "--format", "json").document


def test_habits_are_chosen_for_the_embedded_sandbox_and_taken_back(fresh):
    # Intent: what is chosen counts from the next command on, for the embedded sandbox too; --clear makes all as usual.
    chosen = faults(fresh, "--title-habits", "trim,lower", "--list-brief", "dots", "--strict", "--credits", "500")
    assert chosen["options"]["title_habits"] == ["trim", "lower"] and chosen["options"]["strict"] is True
    fresh.run(*APPLY)
    with fresh.account() as store:
        assert store.projects()[0]["title"] == "teaser"
        assert store.credits() == 500 - store.options.create_cost
    cleared = faults(fresh, "--fault", "status status=503 times=0 path=^/projects$", "--clear")
    assert cleared["options"]["title_habits"] == [] and cleared["options"]["strict"] is False
    assert [fault["status"] for fault in cleared["faults"]] == [503]
    assert faults(fresh, "--clear")["faults"] == []


def test_a_fault_hits_the_next_command_and_is_used_up(fresh):
    shown = fresh.run("sandbox", "faults", "--fault", "status status=403 code=forbidden method=GET").out
    assert "fault status method=GET status=403 code=forbidden" in shown
    assert "403" in fresh.run("plan", code=1).err
    fresh.run("plan")
    assert faults(fresh)["faults"] == []


def test_a_failed_project_is_made_as_the_help_says(fresh):
    fresh.write("specs/a.yaml", "projects: {teaser: {brief: 'Ten seconds. [fail]'}}\n")
    fresh.run(*APPLY, "--wait", "idle", code=None)
    with fresh.account() as store:
        assert [project["status"] for project in store.projects()] == ["failed"]


def test_keys_cursors_and_agents(fresh):
    fresh.run("apply", "--auto-approve", "--wait", "none")
    faults(fresh, "--finish", "--forget-keys", "--forget-cursors")
    with fresh.account() as store:
        (project,) = store.projects()
    assert (project["status"], project["idempotency_key"]) == ("idle", None)


def test_a_server_is_started_with_options_and_changed_while_it_runs(fresh):
    options = ("--speed", "0.01", "--page-max", "1", "--title-habits", "lower", "--fault", "status times=1")
    with fresh.start("sandbox", "serve", "--port", "0", *options) as process:
        try:
            url = process.stdout.readline().strip()
            with httpx.Client(verify=False, base_url=url, headers=KEY, trust_env=False) as client:
                assert client.get("/projects").status_code == 500
                for title in ("ONE", "TWO"):
                    client.post("/projects", json={"brief": "B", "title": title})
                page = client.get("/projects?limit=50").json()
                assert ([p["title"] for p in page["projects"]], page["limit"]) == (["two"], 1)
                faults(fresh, "--page-max", "50", "--active-projects", "2")
                assert len(client.get("/projects?limit=50").json()["projects"]) == 2
                refused = client.post("/projects", json={"brief": "B"})
                assert (refused.status_code, refused.json()["error"]["code"]) == (429, "project_limit")
                assert int(refused.headers["Retry-After"]) >= 1
        finally:
            process.terminate()
            process.communicate()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("command", ["serve", "faults"])
@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--title-habits", "shout", "'shout' is not one of trim"),
        ("--page-max", "0", "page_max"),
        ("--credits", "-1", "credits"),
        ("--list-brief", "much", "much"),
        ("--fault", "explode", "explode"),
        ("--fault", "status status=999", "status"),
        ("--fault", "status colour=red", "colour"),
        ("--fault", "status oops", "status oops"),
        ("--fault", "status path=(", "path"),
        ("--fault", '"', "closing quotation"),
    ],
)
def test_a_wrong_option_is_an_error_and_changes_nothing(fresh, command, option, value, says):
    ran = fresh.run("sandbox", command, option, value, code=1)
    assert says in ran.err and not fresh.db.exists()


@pytest.mark.parametrize("command", ["serve", "faults"])
def test_the_help_is_a_page_of_all_switches(fresh, command):
    shown = fresh.run("sandbox", command, "--help").out
    for part in ("--strict", "--title-habits", "--list-lag", "&amp;", "truncated", "[fail]", "times=N"):
        assert part in shown
    assert ("forget-cursors" in shown) and ("PATCH options" in shown or command == "faults")


def test_nothing_of_an_older_account_stands_in_the_way(tmp_path):
    # Intent: the embedded sandbox of a version without these options goes on, its projects included.
    space = make_space(tmp_path / "w")
    space.run(*APPLY)
    with space.account() as store, store.account() as account:
        account.run("ALTER TABLE projects DROP COLUMN lagging")
        account.set_meta("options", '{"speed": 200, "requests_per_minute": 120}')
    assert "No changes" in space.run("plan").out
