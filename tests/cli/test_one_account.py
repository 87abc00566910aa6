"""Workspaces of one account on one machine: its limits are for all of them."""

import fcntl
import json
import signal
import time
from collections import Counter

import pytest

from reconciler.adapters.api.ledger_file import file_name
from reconciler.sandbox.server import BackgroundServer
from reconciler.sandbox.store import Options
from tests.cli.cli_support import REMOTE, make_space

KEY = "es_live_shared"


@pytest.fixture
def account():
    with BackgroundServer(options=Options(speed=15, active_projects=5, requests_per_minute=120), key=KEY) as server:
        yield server


def space(folder, server, name="acme", count=1, **env):
    specs = "projects:\n" + "".join(f"  film-{n}: {{brief: Film {n} of {name}.}}\n" for n in range(count))
    config = REMOTE.replace("acme", name)
    env = {"EVERSINCE_API_KEY": KEY, "XDG_CACHE_HOME": str(folder / "cache")} | env
    return make_space(folder / name, specs, config, EVERSINCE_API_URL=server.url, **env)


def shared(folder, server):
    return folder / "cache" / "reconciler" / "limits" / file_name(server.url, KEY)


def files_of(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.sweep
def test_two_applies_at_once_share_the_active_slots(account, tmp_path):
    spaces = [space(tmp_path, account, name, 6) for name in ("one", "two")]
    runs = [each.start("apply", "--auto-approve", "--poll-interval", "0.5") for each in spaces]
    ends = [(run.communicate(timeout=100), run.returncode) for run in runs]
    assert [code for _, code in ends] == [0, 0], ends
    briefs = [project["brief"] for project in account.store.projects()]
    assert sorted(briefs) == [f"Film {n} of {name}." for n in range(6) for name in ("one", "two")]
    asked = [row for row in account.store.requests() if (row.method, row.path) == ("POST", "/projects")]
    statuses = Counter(row.status for row in asked)
    assert statuses.keys() <= {202, 429}
    assert statuses[429] <= 12  # the first of both at once, then one tries for all as often as it was told


def test_what_a_plan_writes_is_outside_the_workspace(account, tmp_path):
    workspace = space(tmp_path, account)
    before = files_of(workspace.root)
    workspace.run("plan")
    assert files_of(workspace.root) == before
    path = shared(tmp_path, account)
    asked = account.store.requests()
    assert sum(map(len, json.loads(path.read_bytes())["sent"].values())) == len(asked)
    assert KEY not in path.read_text() + path.name


def test_the_next_run_knows_what_the_last_one_sent_and_its_key_is_told_apart(account, tmp_path):
    space(tmp_path, account, "one").run("plan")
    space(tmp_path, account, "two").run("plan")
    runs = json.loads(shared(tmp_path, account).read_bytes())["sent"]
    assert len(runs) == 2
    assert len([*shared(tmp_path, account).parent.iterdir()]) == 1


@pytest.mark.parametrize("verbose", [True, False])
def test_without_a_usable_cache_folder_a_run_goes_on(verbose, account, tmp_path):
    (tmp_path / "cache").write_text("")
    ran = space(tmp_path, account).run(*["-v"] * verbose, "plan")
    assert ("this run counts its requests by itself" in ran.err) is verbose


def test_the_sandbox_in_the_process_shares_nothing(account, tmp_path):
    space(tmp_path, account).run("--api-url", "sandbox", "plan")
    assert not (tmp_path / "cache").exists()


@pytest.fixture
def full(account, tmp_path):
    """A workspace whose account is used up for a minute, as another run wrote down."""
    workspace = space(tmp_path, account)
    workspace.run("plan")
    path, now = shared(tmp_path, account), time.monotonic()
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps(document | {"paused": now + 60.0}))
    account.store.clear_requests()
    return workspace


@pytest.mark.sweep  # it takes ten seconds: a plan has that much time of its own
def test_the_timeout_ends_a_wait_for_other_runs(full, account):
    begun = time.monotonic()
    ran = full.run("apply", "--auto-approve", "--timeout", "2s", code=None)
    assert time.monotonic() - begun < 30
    assert ran.code != 0
    assert account.store.requests() == []


def test_ctrl_c_ends_a_wait_for_other_runs(full, account):
    with full.start("apply", "--auto-approve") as process:
        assert "waiting" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert account.store.requests() == []


@pytest.mark.sweep
def test_a_stopped_process_that_has_the_file_holds_nobody_up(account, tmp_path):
    workspace = space(tmp_path, account)
    workspace.run("plan")
    with shared(tmp_path, account).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        workspace.run("plan")
