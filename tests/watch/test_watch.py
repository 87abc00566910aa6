"""`reconciler watch` as people run it: a process for hours, signals, deliveries, failures, kills."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from reconciler.adapters.state.lock import hold_lock
from reconciler.sandbox.faults import Fault
from tests.recovery.runs import CONFIG, kill_at
from tests.watch.test_deliveries import SECRET

TEASER = """\
projects:
  teaser:
    brief: Ten seconds, one product.
    settings: {title: Teaser}
"""
TALKING = TEASER + "    messages: [Softer., Louder.]\n"
FAILING = TEASER.replace("one product.", '"[fail]"') + "    lifecycle: {on_failed: recreate}\n"


def title(world):
    return world.store.projects()[0]["title"]


def test_what_a_person_changes_is_mended_in_the_next_round(world, watching):
    w = world(TEASER)
    process = watching(w)
    process.reaches(1, "converged")
    w.store.finish_all()
    w.store.person_sets(w.created()[0], title="By hand")
    process.ask_and_wait()
    assert title(w) == "Teaser"
    assert process.err.count("teaser: updated") == 1
    w.store.person_sets(w.created()[0], title="By hand again")
    process.ask_and_wait()
    assert process.err.count("teaser: updated") == 2, "what was done is news, however often"
    assert process.metrics()["steps_total", "update", "done"] == 2
    assert w.created() == [w.store.projects()[0]["id"]]


@pytest.mark.sweep
def test_what_is_delivered_is_downloaded_as_an_apply_does(world, watching):
    # Intent: a loop in place of CI gives the same files, each once; what can't be written fails the round.
    deliver = "    deliver: {render: 1080p, download: renders/}\n"
    w = world(TEASER + deliver)
    process = watching(w)
    process.says("teaser: fetched: teaser.mp4")
    process.ask_and_wait()
    assert process.err.count("fetched") == 1
    (w.folder / "renders" / "teaser.mp4").unlink()
    process.ask_and_wait()
    process.says("teaser: fetched: teaser.mp4", times=2)
    (w.folder / "other").symlink_to("/")
    w.specs(TEASER + deliver.replace("renders/", "other/"))
    process.ask_and_wait()
    process.says("error")
    assert process.rounds("failed") >= 1 and w.kinds() == ["create", "render"]


def test_messages_wait_for_their_agent_over_several_short_rounds(world, watching):
    # Intent: nobody has to ring, and the lock is not held while an agent works.
    w = world(TALKING)
    process = watching(w)
    process.reaches(1, "converged")
    assert w.sent("teaser") == ["Softer.", "Louder."]
    assert process.rounds("waiting") >= 1
    assert w.kinds() == ["create", "message", "message"]


def test_specs_are_read_anew_in_each_round(world, watching):
    w = world(TEASER)
    process = watching(w)
    process.reaches(1, "converged")
    w.specs(TEASER.replace("Teaser}", "Renamed}"))
    process.ask_and_wait()
    process.until(lambda: title(w) == "Renamed")


def test_a_delivery_brings_a_round_and_nothing_else_does(world, watching):
    w = world(TEASER)
    process = watching(w)
    process.reaches(1)
    long_ago = f"{time.time() - 400:.0f}"
    assert process.deliver(secret="guessed") == 401
    assert process.deliver(timestamp=long_ago) == 401
    now = f"{time.time():.3f}"
    assert process.deliver(timestamp=now) == 202
    process.reaches(2)
    assert process.deliver(timestamp=now) == 200
    process.ask_and_wait()
    assert process.rounds() == 3
    metrics = process.metrics()
    assert [metrics["deliveries_total", v] for v in ("accepted", "unsigned", "stale", "repeated")] == [1, 1, 1, 1]
    assert process.err.count("a delivery is refused") == 2


def test_a_delivery_is_not_believed(world, watching):
    # Intent: what it says is not used, so one that lies (or whose secret leaked) can do no more than have us look.
    w = world(TEASER)
    process = watching(w)
    process.reaches(1)
    body = f'{{"event":"project.failed","id":"{w.created()[0]}","status":"failed","error_message":"gone"}}'
    assert process.deliver(body.encode()) == 202
    process.reaches(2)
    assert w.kinds() == ["create"]
    assert "gone" not in process.err


@pytest.mark.sampled(3)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_signal_between_rounds_ends_it_with_0(world, watching, number):
    w = world(TEASER)
    process = watching(w)
    process.reaches(1)
    ended = process.stop(number)
    assert ended.code == 0
    assert ended.err.endswith("Stopped.\n")
    assert w.converges()


@pytest.mark.sweep
def test_a_signal_during_a_round_finishes_the_call_under_way_and_begins_no_other(world, watching):
    w = world(TEASER + "  other: {brief: Another one.}\n")
    w.store.add_fault(Fault(kind="delay", method="POST", path="^/projects$", seconds=0.5))
    process = watching(w, "--parallelism", "1")
    process.until(lambda: not w.store.faults())  # the request has arrived
    ended = process.stop()
    assert ended.code == 0, str(ended)
    assert len(w.entries()) == 1
    assert w.kinds() == ["create"]
    assert not w.pending()


def test_a_second_signal_ends_it_at_once(world, watching):
    w = world(TEASER)
    w.store.add_fault(Fault(kind="delay", method="POST", path="^/projects$", seconds=20))
    process = watching(w)
    process.until(lambda: not w.store.faults())  # the request has arrived
    os.kill(process.pid, signal.SIGTERM)
    process.says("Stopping")
    assert process.stop().code == 130


@pytest.mark.sweep
def test_a_failing_round_is_said_once_and_ends_nothing(world, watching):
    w = world("projects: {teaser: {breef: x}}\n")
    process = watching(w)
    process.reaches(1, "failed")
    assert process.get("/healthz").status_code == 200
    for _ in range(2):
        process.ask_and_wait()
    answer = process.get("/healthz")
    assert answer.status_code == 503 and "rounds in a row failed" in answer.text
    assert process.err.count("unknown key 'breef'") == 1, process.err
    w.specs("projects: {teaser: {briief: x}}\n")
    process.ask_and_wait()
    assert "briief" in process.err, "another error is news"
    w.specs(TEASER)
    process.ask_and_wait()
    process.reaches(1, "converged")
    assert process.get("/healthz").status_code == 200
    assert process.metrics()["healthy",] == 1
    assert w.kinds() == ["create"]


def test_an_account_that_does_not_answer_is_said_once_and_tried_again(world, watching):
    w = world(TEASER)
    w.store.add_fault(Fault(kind="status", status=401, times=0))
    process = watching(w)
    for number in range(1, 4):
        process.reaches(number, "failed")
        process.ask()
    assert process.err.count("→ 401") == 1, process.err
    assert process.metrics()["requests_total",] >= 3
    w.store.clear_faults()
    process.ask()
    process.reaches(1, "converged")


def test_a_guard_holds_in_every_round(world, watching):
    two = TEASER + "  other: {brief: Another one.}\n"
    w = world(two, config=CONFIG.replace("max_share: null", "max_share: null, max_creates: 1"))
    process = watching(w)
    process.reaches(1, "failed")
    process.ask_and_wait()
    assert process.err.count("`policy.max_creates` allows 1") == 1
    assert w.kinds() == []
    w.specs(TEASER)
    process.ask_and_wait()
    assert w.kinds() == ["create"]


@pytest.mark.sweep
def test_a_project_that_keeps_failing_is_made_anew_once(world, watching):
    # Intent: nobody watches `watch`; a brief that always fails must not spend credits all night.
    w = world(FAILING)
    process = watching(w)
    for _ in range(4):
        process.ask_and_wait()
        w.store.finish_all()
    assert w.kinds() == ["create", "create"]
    assert process.err.count("creates no other one for a day") == 1
    assert process.metrics()["attention",] == 1


@pytest.mark.sweep
def test_another_process_knows_from_the_account_what_was_made_anew_today(world, watching):
    # Intent: a watch that is restarted, or its other replica, has no memory of its own and must not spend credits again.
    w = world(FAILING)
    process = watching(w)
    for _ in range(3):
        process.ask_and_wait()
        w.store.finish_all()
    assert w.kinds() == ["create", "create"]
    process.stop(signal.SIGKILL)
    process = watching(w)
    process.reaches(1)
    process.ask_and_wait()
    assert w.kinds() == ["create", "create"]
    assert process.err.count("creates no other one for a day") == 1


@pytest.mark.sweep
def test_the_lock_is_held_in_rounds_only_and_somebody_elses_is_respected(world, watching):
    w = world(TEASER)
    process = watching(w)
    process.reaches(1, "converged")
    w.specs(TEASER.replace("Teaser}", "From elsewhere}"))
    assert w.apply().code == 0
    with hold_lock(w.state, command="a person's apply", timeout=0):
        process.ask_and_wait()
        process.reaches(2, "locked")
        assert process.err.count("is locked") == 1
        assert process.get("/healthz").status_code == 200
    process.reaches(2, "converged")
    assert w.kinds().count("create") == 1


@pytest.mark.sweep
def test_it_says_first_what_is_watched(world, watching):
    # Intent: as plan and apply do: workspace, API, state, serial; once, and again where the configuration says otherwise.
    w = world(TEASER)
    process = watching(w)
    process.reaches(1, "converged")
    process.ask_and_wait()
    lines = process.err.splitlines()
    assert re.fullmatch(
        r"\S+ Workspace recovery, API 127\.0\.0\.1:\d+, state reconciler\.state\.json \(serial 0\)", lines[0]
    )
    assert process.err.count("Workspace recovery") == 1
    with (w.folder / "reconciler.yaml").open("a") as config:
        config.write("environments: {dev: {}}\ndefault_environment: dev\n")
    process.ask_and_wait()
    assert "Workspace recovery, environment dev, API 127.0.0.1" in process.err


@pytest.mark.sweep
def test_plan_only_changes_nothing_and_prints_a_plan_that_is_new(world, watching):
    w = world(TEASER)
    process = watching(w, "--plan-only")
    process.reaches(1, "differs")
    for _ in range(2):
        process.ask_and_wait()
    assert process.out.count("Plan: 1 to create") == 1
    w.specs(TEASER + "  other: {brief: Another one.}\n")
    process.ask_and_wait()
    assert process.out.count("Plan: 2 to create") == 1
    assert process.out.count("Requests: ") == 2 and "Requests: 0" not in process.out
    assert process.metrics()["steps_left",] == 2
    assert process.stop().code == 0
    assert {row.method for row in w.store.requests()} == {"GET"}
    assert not w.state.exists()


@pytest.mark.sampled(6)
@pytest.mark.parametrize("call", [2, 3, 5])  # the create sent, the create answered, a message sent
def test_killed_in_a_round_and_started_again_it_does_nothing_twice(world, watching, call):
    w = world(TALKING)
    process = watching(w, orders=[kill_at("call", call)])
    assert process.killed().killed
    process = watching(w)
    process.reaches(1, "converged")
    assert w.kinds() == ["create", "message", "message"]
    assert w.sent("teaser") == ["Softer.", "Louder."]
    assert process.stop().code == 0
    assert w.plan().code == 0


@pytest.mark.sweep
def test_lines_carry_their_time_and_no_secret_shows(world, watching):
    w = world("projects: {teaser: {breef: x}}\n")
    process = watching(w, "--events", "events.jsonl")
    process.reaches(1)
    w.specs(TEASER)
    process.ask_and_wait()
    process.deliver()
    process.reaches(3)
    ended = process.stop()
    for line in ended.err.splitlines():
        assert line.startswith(("20", "  ")), line  # a finding's details are indented below its line
    events = (w.folder / "events.jsonl").read_text(encoding="utf-8")
    assert events.count('"apply_ended"') == 2
    everything = ended.out + ended.err + events + w.state.read_text()
    assert SECRET not in everything and w.key not in everything


def test_the_webhook_s_secret_is_hidden_wherever_it_shows_up(world, watching):
    # Intent: like the key's; whoever wrote it into a title by mistake has it in no log.
    w = world(TEASER.replace("Teaser}", f"For {SECRET}}}"))
    process = watching(w, "--plan-only")
    process.reaches(1, "differs")
    assert "For (secret)" in process.out
    assert SECRET not in process.out


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--listen", "0.0.0.0:0"), "needs a secret, and EVERSINCE_WEBHOOK_SECRET is not set"),
        (("--listen", "0.0.0.0:0", "--secret-env", "HOOKS"), "HOOKS is not set"),
        (("--listen", "9090"), "not a valid address"),
        (("--interval", "0"), "less than a second"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_command_line_ends_it_before_it_begins(world, args, said):
    w = world(TEASER)
    w.env = {"EVERSINCE_WEBHOOK_SECRET": ""}
    ended = w.run("watch", *args)
    assert ended.code == 1
    assert said in ended.err
    assert w.store.requests() == []


def test_without_a_key_it_does_not_begin(world):
    w = world(TEASER, config='workspace: w\napi: {{url: "https://127.0.0.2.nip.example/api/v1"}}\n')
    w.env = {"EVERSINCE_API_KEY": "", "RECONCILER_ALLOWED_HOSTS": "127.0.0.2.nip.example"}
    ended = w.run("watch")
    assert ended.code == 1
    assert "no API key" in ended.err


def test_everybody_may_be_listened_to_with_a_secret(world, watching):
    w = world(TEASER)
    process = watching(w, "--listen", "0.0.0.0:0")
    assert process.url.startswith("http://0.0.0.0:")
    assert process.deliver() == 202
