"""The main job as a user does it: specs, plan, apply, state; in the sandbox and over a socket."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import urllib.request

import jsonschema
import pytest

from tests.cli import plan_schema
from tests.cli.cli_support import APPLY, ROOT, Account, campaign_space


def valid(document, schema) -> None:
    jsonschema.Draft202012Validator(schema).validate(document)


def effects(store) -> list[str]:
    return [effect.kind for effect in store.ledger()]


# In the sandbox


def test_the_campaign_ends_as_its_specs_say_and_a_second_apply_finds_nothing_to_do(campaign, applied):
    # Intent: projects created with their settings, messages sent, state written; the second run acts on nothing.
    first = campaign[1]
    done = "Apply complete: 3 created, 1 adopted, 1 updated, 3 messages sent. 0 deferred, 0 failed."
    assert first.out.splitlines()[-1] == done
    with applied.account() as store:
        before = store.ledger()
        settings = {p["title"]: tuple(p[k] for k in ("mode", "craft", "aspect_ratio")) for p in store.projects()}
    assert settings == {
        "Autumn teaser": ("collaborative", "product-shots", "9:16"),
        "Autumn stills": ("autonomous", "product-shots", "1:1"),
        "Making of": ("autonomous", "cinema", "16:9"),
        "Lookbook": ("collaborative", "auto", "16:9"),
    }
    assert applied.state["workspace"] == "acme"
    assert set(applied.state["projects"]) == {"autumn-teaser", "autumn-stills", "making-of", "lookbook"}
    second = applied.run(*APPLY)
    assert "No changes. 4 projects match their specs." in second.out
    applied.run("plan", "--detailed-exitcode", code=0)
    with applied.account() as store:
        assert store.ledger() == before


def test_messages_are_sent_in_order_and_once(campaign):
    # Intent: the conversation holds the spec's messages in the spec's order, each one time.
    with Account(campaign[0].db) as store:
        teaser = next(p for p in store.projects() if p["title"] == "Autumn teaser")
        said = [m["content"] for m in store.conversation(teaser["id"]) if m["role"] == "user"]
    assert said[1:] == [
        "Make the music softer and end on the logo.",
        "Add a female voiceover that names the collection.",
    ]


@pytest.mark.sweep
def test_plan_show_and_apply_print_documents_of_the_published_form(tmp_path):
    # Intent: other tools can rely on the JSON that is promised (decisions/0013), from all three commands.
    space = campaign_space(tmp_path / "w")
    planned = space.run("plan", "--format", "json", "--out", "saved.plan", "--detailed-exitcode", code=2).document
    shown = space.run("show", "saved.plan", "--format", "json").document
    saved = json.loads((space.root / "saved.plan").read_text(encoding="utf-8"))
    for document in (planned, shown, saved):
        valid(document, plan_schema.PLAN)
    assert planned == shown == saved
    assert planned["summary"]["create"] == 3 and planned["summary"]["message"] == 3
    assert planned["state"]["serial"] == 0
    assert [s["action"] for s in planned["steps"] if s["address"] == "lookbook"] == ["adopt", "update", "message"]
    blocked = {s["action"] for s in planned["steps"] if not s["ready"]}
    assert blocked == {"message"}

    applied = space.run("apply", "saved.plan", "--format", "json", "--poll-interval", "0.05").document
    valid(applied, plan_schema.APPLY)
    assert {step["outcome"] for step in applied["steps"]} == {"done"}
    assert applied["converged"] is True
    assert all(step["project_id"] for step in applied["steps"])

    again = space.run("apply", "saved.plan", "--format", "json").document
    valid(again, plan_schema.APPLY)
    with space.account() as store:
        assert sorted(effects(store)) == ["adopt", "create", "create", "create", *["message"] * 3, "settings"]
    assert stat.S_IMODE((space.root / "saved.plan").stat().st_mode) == 0o600


def test_a_plan_makes_gets_only_and_writes_nothing_but_out(applied):
    # Intent: `plan` can be run anywhere, any time: no call but GET, every file byte-identical, no lock file either.
    applied.write("specs/campaign.yaml", (applied.root / "specs/campaign.yaml").read_text().replace("softer", "loud"))
    applied.write("specs/more.yaml", "projects: {extra: {brief: One more.}, lost: {brief: And another.}}")
    (applied.state_path.with_name("reconciler.state.json.lock")).unlink(missing_ok=True)
    before = applied.files()
    with applied.account() as store:
        store.clear_requests()
        ledger = store.ledger()
    for options in (
        ("--out", "saved.plan"),
        ("--destroy",),
        ("--refresh-only",),
    ):
        applied.run("plan", *options, code=None)
    with applied.account() as store:
        assert {request.method for request in store.requests()} == {"GET"}
        assert store.ledger() == ledger
    after = applied.files()
    after.pop("saved.plan", None)
    assert after == before


# Over a socket


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """`sandbox serve` as a process of its own, and the campaign's workspace pointed at it."""
    space = campaign_space(tmp_path_factory.mktemp("served") / "w", "workspace: acme\nsandbox: {speed: 200}\n")
    with space.start("sandbox", "serve", "--port", "0", "--db", str(space.root.parent / "account.db")) as process:
        url = process.stdout.readline().strip()
        space.env["EVERSINCE_API_URL"] = url
        try:
            yield space, url
        finally:
            process.terminate()
            out, err = process.communicate(timeout=20)
    assert process.returncode in (0, 130, -15), err
    assert "Traceback" not in out + err


def fetched(url):
    request = urllib.request.Request(url, headers={"Authorization": "Bearer any"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@pytest.mark.sweep
def test_over_a_socket_the_same_specs_give_the_same_and_a_plain_get_sees_it(served):
    # Intent: nothing depends on the embedded sandbox; loopback needs no key; other programs see the same projects.
    space, url = served
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/api/v1", url)
    before = space.files()
    space.run("plan")
    assert space.files() == before, "no lock and no folder on a real URL either"
    first = space.run(*APPLY)
    assert "3 created, 1 adopted, 1 updated, 3 messages sent. 0 deferred, 0 failed." in first.out
    listed = fetched(f"{url}/projects")["projects"]
    assert {p["title"] for p in listed} == {"Autumn teaser", "Autumn stills", "Making of", "Lookbook"}
    state = json.loads((space.root / "reconciler.state.json").read_text())
    assert {e["project_id"] for e in state["projects"].values()} == {p["id"] for p in listed}
    assert not (space.root / ".reconciler").exists()
    assert "No changes. 4 projects match their specs." in space.run(*APPLY, "--wait", "idle").out
    curl = ["curl", "-s", "-H", "Authorization: Bearer any", f"{url}/projects"]
    assert len(json.loads(subprocess.run(curl, capture_output=True, check=True).stdout)["projects"]) == 4
    with urllib.request.urlopen(space.run("output", "--format", "json").document["making-of"]["project_url"]) as page:
        assert page.status == 200


def test_the_repositorys_specs_are_what_was_applied(campaign):
    # Intent: these tests tell about specs/ as it is in the repository, not about a copy that has drifted.
    for path in (ROOT / "specs").rglob("*"):
        if path.is_file():
            assert (campaign[0].root / "specs" / path.relative_to(ROOT / "specs")).read_bytes() == path.read_bytes()
