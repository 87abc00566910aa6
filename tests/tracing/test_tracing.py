"""Traces answer why an apply was slow, hold no secret, cost nothing where nobody asks, and never get in the way."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from reconciler.sandbox.faults import Fault
from tests.canaries import ALLOWED, HOOK, SECRET_NAME
from tests.cli.cli_support import make_space
from tests.command import ROOT, environment
from tests.recovery.accounts import Accounts
from tests.tracing.collector import collecting

CONFIG = f"workspace: acme\npolicy: {{{ALLOWED}}}\n"
TEASER = f'projects:\n  teaser:\n    brief: Ten seconds.\n    settings: {{title: Teaser, webhook_url: "{HOOK}"}}\n'
TWO = TEASER + "    messages: [Softer.]\n  other: {brief: Twenty seconds.}\n"
QUICK = ("apply", "--auto-approve", "--poll-interval", "0.05")
TOKEN = "canary-token-of-the-collector"


@pytest.fixture
def account():
    with Accounts() as accounts:
        key, store = accounts.open()
        yield accounts.url, key, store


def space_at(tmp_path, account, specs=TEASER, **env):
    url, key, _ = account
    return make_space(tmp_path / "w", specs, CONFIG, EVERSINCE_API_URL=url, EVERSINCE_API_KEY=key, **env)


def test_a_run_is_one_trace_with_its_steps_and_their_requests(tmp_path, account):
    store = account[2]
    with collecting() as collector:
        space = space_at(tmp_path, account, TWO, **collector.env)
        space.run(*QUICK)
    (root,) = collector.named("apply")
    assert {span.trace for span in collector.spans} == {root.trace} and root.parent == "" and not root.failed
    assert root.about["reconciler.workspace"] == "acme" and root.about["reconciler.converged"] is True
    assert root.about["reconciler.steps.done"] == 3
    assert {resource["service.name"] for resource in collector.resources} == {"reconciler"}
    ids = {project["brief"]: project["id"] for project in store.projects()}
    steps = {(s.about["reconciler.address"], s.about["reconciler.action"]): s for s in collector.named("step ")}
    assert {*steps} == {("teaser", "create"), ("teaser", "message"), ("other", "create")}
    assert steps["teaser", "create"].about["reconciler.project_id"] == ids["Ten seconds."]
    assert all(step.parent == root.id and step.about["reconciler.outcome"] == "done" for step in steps.values())
    for step, calls in (("create", "POST /projects"), ("message", "POST /projects/{id}/messages")):
        (sent,) = [span for span in collector.below(steps["teaser", step]) if span.name == calls]
        assert sent.about["http.response.status_code"] in (200, 201, 202)
    assert steps["teaser", "create"].ended <= steps["teaser", "message"].ended


def test_it_answers_why_an_apply_was_slow(tmp_path, account):
    # Intent: the longest span that has no other below it is what the time went to: here a server that asks to wait.
    store = account[2]
    busy = Fault(
        kind="status", method="POST", path="^/projects$", status=503, code="unavailable", retry_after="3", times=1
    )
    store.add_fault(busy)
    with collecting() as collector:
        space_at(tmp_path, account, **collector.env).run(*QUICK, "--settle", "0", code=None)
    (root,) = collector.named("apply")
    leaves = [span for span in collector.below(root) if not collector.below(span)]
    slowest = max(leaves, key=lambda span: span.seconds)
    assert slowest.about == {"reconciler.waits_for": "lost call"}, [(s.name, s.seconds) for s in collector.spans]
    assert slowest.seconds > root.seconds / 3
    assert collector.named("step create")[0] in [span for span in collector.spans if span.id == slowest.parent]
    failed = [span for span in collector.named("POST /projects") if span.failed]
    assert [span.about["http.response.status_code"] for span in failed] == [503]


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (Fault(kind="status", method="POST", path="^/projects$", status=429, code="rate_limited", retry_after="2", times=1), "retry"),
        (Fault(kind="status", method="GET", path="^/projects$", status=503, code="unavailable", retry_after="2", times=1), "retry"),
        (Fault(kind="status", method="POST", path="^/projects$", status=429, code="project_limit", retry_after="2", times=1), "slot"),
    ],
    ids=["rate limit", "read again", "slot"],
)  # fmt: skip
def test_the_wait_has_a_span_of_its_own(tmp_path, account, fault, what):
    account[2].add_fault(fault)
    with collecting() as collector:
        space_at(tmp_path, account, **collector.env).run(*QUICK)
    longest = max(collector.named("wait"), key=lambda span: span.seconds)
    assert longest.seconds >= 1.5 and what in longest.about["reconciler.waits_for"]
    (root,) = collector.named("apply")
    assert longest in collector.below(root) and longest.seconds > root.seconds / 3


def test_an_error_is_in_the_trace(tmp_path, account):
    account[2].add_fault(Fault(kind="status", method="GET", status=401, code="unauthorized", times=0))
    with collecting() as collector:
        space_at(tmp_path, account, **collector.env).run("plan", code=1)
    (root,) = collector.named("plan")
    assert root.failed and any(span.about.get("http.response.status_code") == 401 for span in collector.spans)


@pytest.mark.sweep
def test_watch_has_a_trace_for_each_round(tmp_path, account):
    with collecting() as collector:
        env = {**collector.env, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with space_at(tmp_path, account, **env).start("watch", "--interval", "1", "--poll-interval", "0.2") as process:
            end = time.monotonic() + 60
            while len(collector.named("watch")) < 2 and time.monotonic() < end:
                time.sleep(0.05)
            process.terminate()
            _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    rounds = collector.named("watch")
    assert len({span.trace for span in rounds}) == len(rounds) >= 2
    assert len(collector.named("step create")) == 1


def test_a_trace_of_the_caller_is_continued(tmp_path, account):
    with collecting() as collector:
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        space_at(tmp_path, account, **collector.env, TRACEPARENT=parent).run("plan")
    (root,) = collector.named("plan")
    assert (root.trace, root.parent) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


def test_no_secret_is_in_a_trace_nor_is_the_collectors_token_shown(tmp_path, account):
    _, key, store = account
    secret = os.environ[SECRET_NAME]
    store.add_fault(Fault(kind="status", method="PATCH", status=422, code=f"validation_error {key} {secret}", times=0))
    with collecting() as collector:
        env = {**collector.env, "OTEL_EXPORTER_OTLP_HEADERS": f"x-token={TOKEN}"}
        space = space_at(tmp_path, account, **env)
        ran = space.run(*QUICK, "-vv")
        space.write("specs/a.yaml", TEASER.replace("title: Teaser", "title: Other"))
        again = space.run(*QUICK, "-vv", code=1)
    assert collector.headers[0]["x-token"] == TOKEN and collector.headers[0][":path"] == "/v1/traces"
    assert collector.named("step update")[0].failed
    assert not [text for text in (key, secret, TOKEN) if text.encode() in collector.raw]
    assert TOKEN not in ran.out + ran.err + again.out + again.err


@pytest.mark.sampled(6)
@pytest.mark.parametrize("habit", ["hang", "500", "404", "302 Location: http://127.0.0.1:1/", "503 Retry-After: 600"])
def test_no_collector_delays_or_fails_a_run(tmp_path, account, habit):
    with collecting(habit) as collector:
        begun = time.monotonic()
        ran = space_at(tmp_path, account, **collector.env, OTEL_EXPORTER_OTLP_HEADERS=f"x-token={TOKEN}").run(*QUICK)
        assert time.monotonic() - begun < 40
        assert "Apply complete: 1 created." in ran.out
        assert collector.headers and TOKEN not in ran.err and "127.0.0.1:" not in ran.err.replace(account[0][7:], "")


@pytest.mark.sweep
def test_a_collector_that_is_not_there_changes_nothing(tmp_path, account):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    assert space_at(tmp_path, account, **env).run("plan", "--format", "json").document["steps"]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "env",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_what_turns_traces_off(tmp_path, account, env):
    with collecting() as collector:
        ran = space_at(tmp_path, account, **{**collector.env, **env}).run("plan")
    assert collector.headers == []
    assert ("only the protocol http/protobuf" in ran.err) == ("OTEL_EXPORTER_OTLP_PROTOCOL" in env)


@pytest.mark.sweep
def test_without_variables_nothing_of_it_is_imported(tmp_path):
    # Intent: a start is measured; what few ask for costs nobody else.
    code = (
        "import sys; from reconciler.cli.main import cli\n"
        "sys.argv = ['reconciler', '--api-url', 'sandbox', 'apply', '--auto-approve', '--wait', 'none']\n"
        "from reconciler.cli.console import Console\n"
        "cli.main(sys.argv[1:], standalone_mode=False, obj=lambda: Console(sys.argv[1:]))\n"
        "bad = [name for name in sys.modules if name.startswith(('opentelemetry', 'requests', 'google.protobuf'))]\n"
        "sys.exit(', '.join(bad) or 0)"
    )
    space = make_space(tmp_path / "w", TEASER, CONFIG)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=space.root, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_without_the_extra_it_is_a_note(tmp_path):
    (tmp_path / "opentelemetry.py").write_text("raise ImportError\n")
    space = make_space(tmp_path / "w", TEASER, CONFIG + "api: {url: sandbox}\n")
    env = environment(PYTHONPATH=f"{tmp_path}:{ROOT}", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "plan"], cwd=space.root, env=env, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0 and "the extra `otel` is not installed" in done.stderr, done.stderr
