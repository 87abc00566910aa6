"""Moving into environments: the real files of the version before go on, in place or as an environment's."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.cli.cli_support import APPLY, Account, Space, make_space

BEFORE = Path(__file__).parent / "before_environments"
"""A workspace as the version before left it: two projects (one replaced once), one more, a create that was killed after
the server acted, and a plan that was saved after that."""
OLD = (BEFORE / "reconciler.yaml").read_text()
NEW = OLD + "environments: {dev: {}, prod: {}}\n"
KEYS = ["acme/teaser/1", "acme/poster/1", "acme/poster/2", "acme/banner/1", "acme/flyer/1"]


@pytest.fixture
def space(tmp_path) -> Space:
    made = make_space(tmp_path / "w", (BEFORE / "a.yaml").read_text(), OLD)
    made.db.parent.mkdir(parents=True)
    for name in ("state.json", "state.json.journal"):  # under another name: git ignores files named as states are
        shutil.copy(BEFORE / f"before.{name}", made.db.parent / f"reconciler.{name}")
    shutil.copy(BEFORE / "saved.plan", made.root)
    account = sqlite3.connect(made.db)
    account.executescript((BEFORE / "account.sql").read_text() + "PRAGMA user_version=2;")
    account.close()
    return made


def keys(space: Space, environment: str = "") -> list[str]:
    """The keys of what was created, in order."""
    with Account(space.root / ".reconciler" / "sandbox" / environment / "account.db") as store:
        return [effect.idempotency_key for effect in store.ledger() if effect.kind == "create"]


def sent(space: Space, environment: str = "") -> list[str]:
    with Account(space.root / ".reconciler" / "sandbox" / environment / "account.db") as store:
        return [effect.kind for effect in store.ledger() if effect.kind != "create"]


def test_the_files_of_the_version_before_go_on(space):
    """Intent: its plan, state, journal: the killed create is found by its key, the saved plan executed as it is."""
    space.run("apply", "saved.plan", "--poll-interval", "0.05")
    space.run(*APPLY)
    assert keys(space) == [*KEYS, "acme/sticker/1"]
    assert sent(space) == ["message", "cancel"]
    assert space.run("plan", "--detailed-exitcode").code == 0
    assert space.state["projects"].keys() == {"teaser", "poster", "banner", "flyer", "sticker"}


def test_they_go_on_in_an_environment(space):
    """Intent: nothing is created twice, an open call ends under its old key, and what is new has the new one."""
    space.write("reconciler.yaml", NEW)
    told = space.run("state", "mv", "--to-environment", "prod").out
    assert told.startswith("3 projects of `.reconciler/sandbox/reconciler.state.json` moved into environment `prod`")
    space.run("-e", "prod", *APPLY)
    assert keys(space, "prod") == [*KEYS, "acme@prod/sticker/1"]
    assert sent(space, "prod") == ["message", "cancel"]
    assert space.run("-e", "prod", "plan", "--detailed-exitcode").code == 0
    entry = space.run("-e", "prod", "state", "show", "poster").document
    assert (entry["generation"], entry["key"]) == (2, "acme/poster/2")
    space.run("-e", "prod", *APPLY, "--replace", "poster")
    assert keys(space, "prod")[-1] == "acme@prod/poster/3"
    assert keys(space, "dev") == [] and keys(space) == KEYS


@pytest.mark.sampled(3)
@pytest.mark.parametrize("args", [("plan",), APPLY, ("status",), ("apply", "saved.plan")])
def test_a_checkout_without_environments_can_do_nothing_any_more(space, args):
    """Intent: a colleague on an old branch would ask for the same projects by their old keys."""
    space.write("reconciler.yaml", NEW)
    space.run("state", "mv", "--to-environment", "prod")
    space.write("reconciler.yaml", OLD)
    told = space.run(*args, code=1).err
    assert "the state has moved into environment `prod`" in told and "--environment prod" in told
    assert keys(space) == KEYS
    left = space.state
    assert left["format_version"] == 2  # the version before refuses it too
    assert not left["projects"] and left["moved_to"].endswith("reconciler.prod.state.json")


def test_a_saved_plan_from_before_is_refused_in_the_environment(space):
    space.write("reconciler.yaml", NEW)
    space.run("state", "mv", "--to-environment", "prod")
    assert (
        "the plan is for environment `none`, not for `prod`"
        in space.run("-e", "prod", "apply", "saved.plan", code=1).err
    )
    assert keys(space, "prod") == KEYS


def test_what_can_not_be_moved(space):
    """Intent: exit 1 and nothing changed: twice, onto another state, a wrong name, other addresses."""
    space.write("reconciler.yaml", NEW)
    before = space.files()
    assert "did you mean 'prod'" in space.run("state", "mv", "--to-environment", "prd", code=1).err
    assert "moves the whole state" in space.run("state", "mv", "a", "--to-environment", "prod", code=1).err
    assert "--environment is dev" in space.run("-e", "dev", "state", "mv", "--to-environment", "prod", code=1).err
    assert "missing SOURCE and DESTINATION" in space.run("-e", "dev", "state", "mv", code=1).err
    assert (
        "no state in `nowhere.json`"
        in space.run("--state", "nowhere.json", "state", "mv", "--to-environment", "prod", code=1).err
    )
    assert space.files().keys() - before.keys() <= {"nowhere.json.lock"}
    space.run("-e", "dev", "--state", "x.json", *APPLY, "--target", "banner")
    shutil.copy(space.root / "x.json", space.root / ".reconciler" / "sandbox" / "reconciler.dev.state.json")
    assert "has a state already" in space.run("state", "mv", "--to-environment", "dev", code=1).err


@pytest.mark.sampled(3)
@pytest.mark.parametrize("step", ["marked", "written"])
def test_a_move_that_was_cut_short_goes_on(space, step):
    """Intent: wherever it dies, no run takes the state for one without environment, and the same command ends it."""
    sandbox = space.root / ".reconciler" / "sandbox"
    space.write("reconciler.yaml", NEW)
    space.run("state", "mv", "--to-environment", "prod")
    target = sandbox / "reconciler.prod.state.json"
    shutil.copy(target, sandbox / "reconciler.state.json")
    if step == "marked":
        target.unlink()
    space.write("reconciler.yaml", OLD)
    assert "belongs to environment `prod`" in space.run(*APPLY, code=1).err
    space.write("reconciler.yaml", NEW)
    space.run("state", "mv", "--to-environment", "prod")
    assert json.loads((sandbox / "reconciler.state.json").read_text())["moved_to"]
    space.run("-e", "prod", *APPLY)
    assert keys(space, "prod") == [*KEYS, "acme@prod/sticker/1"]
    assert "has moved into" in space.run("state", "mv", "--to-environment", "prod", code=1).err


def test_into_a_bucket_and_within_one(space, tmp_path):
    """Intent: from a file into the environment's folder of a bucket, and from a bucket's prefix into its folder."""
    (tmp_path / "b").mkdir()
    url = f"file://{tmp_path / 'b'}"
    space.run("--state", url, "state", "push", "--auto-approve", str(space.state_path))
    space.write("reconciler.yaml", NEW)
    space.run("--state", url, "state", "mv", "--to-environment", "prod")
    space.run("-e", "prod", "--state", url, *APPLY, "--target", "teaser", "--target", "poster", "--target", "banner")
    assert space.run("-e", "prod", "--state", url, "state", "list", "--format", "json").document.keys() >= {
        "teaser",
        "poster",
    }
    space.write("reconciler.yaml", OLD)
    assert "has moved into environment `prod`" in space.run("--state", url, "plan", code=1).err


def test_a_reset_of_the_sandbox_forgets_the_environments_state_and_no_other(tmp_path):
    """Intent: an account without its state, or a state without its account, is of no use."""
    config = "workspace: acme\napi: {url: sandbox}\nenvironments: {dev: {}, prod: {}}\n"
    space = make_space(tmp_path / "w", "projects:\n  teaser: {brief: A teaser.}\n", config)
    for name in ("dev", "prod"):
        space.run(*APPLY, "-e", name)
    space.run("sandbox", "reset", "-e", "dev")
    left = space.root / ".reconciler" / "sandbox"
    assert [path.name for path in left.glob("*.state.json")] == ["reconciler.prod.state.json"]
    assert not (left / "dev" / "account.db").exists() and (left / "prod" / "account.db").exists()


@pytest.mark.sweep
def test_a_project_that_was_renamed_keeps_the_key_that_made_it(tmp_path):
    """Intent: by `moved` or `state mv`, once or twice, there and back, replaced since; before and in the environment."""
    config = "workspace: acme\napi: {url: sandbox}\nsandbox: {speed: 200}\n"
    names = ("once", "twice", "back", "by-hand", "replaced", "own")
    space = make_space(tmp_path / "w", "projects:\n" + "".join(f"  {n}: {{brief: Of {n}.}}\n" for n in names), config)

    def renamed(**new):
        lines = "".join(f"  {new.get(n, n)}: {{brief: Of {n}.}}\n" for n in names)
        moves = ", ".join(f"{{from: {moved[n]}, to: {new[n]}}}" for n in new if moved[n] != new[n])
        space.write("specs/a.yaml", f"projects:\n{lines}moved: [{moves}]\n")
        moved.update(new)

    def keys():
        space.run("state", "list")
        entries = {n: space.run("state", "show", moved[n]).document for n in names}
        return {n: entry.get("key") or f"{identity}/{moved[n]}/{entry['generation']}" for n, entry in entries.items()}

    moved, identity = {n: n for n in names}, "acme"
    space.run(*APPLY)
    one = {"once": "once2", "twice": "twice2", "back": "back2", "by-hand": "by-hand", "replaced": "replaced2"}
    renamed(**one)
    space.run(*APPLY)
    renamed(**{**one, "twice": "twice3", "back": "back", "by-hand": "by-hand2"})
    space.run("state", "mv", "by-hand", "by-hand2")
    space.run(*APPLY, "--replace", "replaced2", "--force")
    made = {n: f"acme/{n}/1" for n in names} | {"replaced": "acme/replaced2/2"}
    assert keys() == made

    space.write("reconciler.yaml", config + "environments: {prod: {}}\n")
    space.env["RECONCILER_ENVIRONMENT"], identity = "prod", "acme@prod"
    space.run("state", "mv", "--to-environment", "prod")
    assert keys() == made
    assert space.run("plan", "--detailed-exitcode").code == 0
    space.run("state", "mv", "own", "own2")
    moved["own"] = "own2"
    assert keys() == made


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("generations", "key"),
    [
        ({"old": 1, "teaser": 0}, "acme/old/1"),
        ({"old": 1, "other": 1, "teaser": 0}, None),
        ({"old": 1, "poster": 2, "teaser": 0}, "acme/old/1"),
        ({"teaser": 1, "old": 1}, "acme/teaser/1"),
        ({"teaser": 0}, None),
    ],
)
def test_a_project_that_the_version_before_renamed_gets_no_wrong_key(space, generations, key):
    """Intent: that version kept no key. Where just one address can have had the project, that is its key; else none."""
    state = space.state
    spent = {a: g for a, g in state["generations"].items() if a != "teaser"}
    space.state_path.write_text(json.dumps({**state, "generations": {**spent, **generations}}))
    space.state_path.with_name("reconciler.state.json.journal").unlink()
    space.write("reconciler.yaml", NEW)
    space.run("state", "mv", "--to-environment", "prod")
    assert space.run("-e", "prod", "state", "show", "teaser").document.get("key") == key
