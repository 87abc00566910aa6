"""Notices as a team gets them: of what matters, once each, without a secret, and never in the way of the work."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from reconciler.sandbox.faults import Fault
from tests.canaries import ALLOWED, HOOK, SECRET_NAME
from tests.cli.cli_support import make_space
from tests.notices.receivers import PATH, SECRET, receiving, until
from tests.recovery.accounts import Accounts
from tests.security.security_support import network

CONFIG = f"workspace: acme\npolicy: {{{ALLOWED}}}\n"
TEASER = "projects:\n  teaser:\n    brief: Ten seconds.\n    settings: {title: Teaser}\n"
ASKING = TEASER.replace("title: Teaser", "title: Teaser, mode: collaborative")
FAILING = "projects: {teaser: {brief: 'Please [fail].'}}\n"
QUICK = ("apply", "--auto-approve", "--poll-interval", "0.05")


@pytest.fixture
def account(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Accounts() as accounts:
        key, store = accounts.open()
        yield accounts.url, key, store


def space_at(tmp_path, account, specs=TEASER, config=CONFIG, **env):
    url, key, _ = account
    return make_space(tmp_path / "w", specs, config, EVERSINCE_API_URL=url, EVERSINCE_API_KEY=key, **env)


# Facts, each once


def test_an_apply_is_told_once_and_an_empty_one_not_at_all(tmp_path, account):
    with receiving() as receiver:
        space = space_at(tmp_path, account, **receiver.env())
        space.run(*QUICK)
        space.run(*QUICK)
        assert receiver.facts == [("applied", None)]
        (document,) = receiver.documents
        assert "Apply complete: 1 created." in document["facts"][0]["summary"]
        assert (document["workspace"], document["environment"], document["more"]) == ("acme", None, 0)
        space.write("specs/a.yaml", TEASER.replace("Teaser}", "Other}"))
        space.run(*QUICK)
        assert receiver.facts == [("applied", None)] * 2


@pytest.mark.sweep
def test_a_failed_apply_is_told_once_until_one_succeeds(tmp_path, account):
    store = account[2]
    with receiving() as receiver:
        space = space_at(tmp_path, account, **receiver.env())
        store.add_fault(Fault(kind="status", method="GET", status=401, code="unauthorized", times=0))
        for _ in range(2):
            space.run(*QUICK, code=1)
        assert receiver.facts == [("apply_failed", None)]
        store.clear_faults()
        space.run(*QUICK)
        store.add_fault(Fault(kind="status", method="GET", status=401, code="unauthorized", times=0))
        space.run(*QUICK, code=1)
        assert receiver.facts == [("apply_failed", None), ("applied", None), ("apply_failed", None)]


def test_wrong_specs_and_failed_steps_are_failed_applies(tmp_path, account):
    with receiving() as receiver:
        space = space_at(tmp_path, account, "projects: {teaser: {}}\n", **receiver.env())
        space.run(*QUICK, code=1)
        space.write("specs/a.yaml", TEASER)
        account[2].add_fault(Fault(kind="status", method="POST", status=422, code="validation_error", times=0))
        space.run(*QUICK, code=1)
        assert receiver.facts == [("apply_failed", None)] * 2
        assert "teaser: " in receiver.documents[1]["facts"][0]["detail"]


def test_a_question_of_a_person_is_no_failure(tmp_path, account):
    with receiving() as receiver:
        ran = space_at(tmp_path, account, **receiver.env()).run("apply", code=1)
        assert "can't ask for approval" in ran.err and receiver.heard == []


@pytest.mark.sweep
def test_an_agent_that_waits_is_told_with_its_question_until_it_asks_again(tmp_path, account):
    # Intent: collaborative, idle, nothing of the specs left to send; once, however often one looks; again after a reply.
    store = account[2]
    with receiving() as receiver:
        space = space_at(tmp_path, account, ASKING, RECONCILER_NOTIFY_ON="waits", **receiver.env())
        space.run(*QUICK, "--wait", "none")
        store.finish_all()
        for _ in range(2):
            space.run(*QUICK)
        assert receiver.facts == [("waits", "teaser")]
        (fact,) = receiver.documents[0]["facts"]
        assert fact["detail"].endswith("What should be different?")
        assert fact["project_id"] == store.projects()[0]["id"]
        reads = [row.path for row in store.requests() if row.path == f"/projects/{fact['project_id']}"]
        space.run(*QUICK)
        assert [row.path for row in store.requests() if row.path == reads[0]] == reads, "told: not read again"
        space.write("specs/a.yaml", ASKING + "    messages: [Softer.]\n")
        space.run(*QUICK, "--wait", "none")
        store.finish_all()
        space.run(*QUICK)
        assert receiver.facts == [("waits", "teaser")] * 2


@pytest.mark.sampled(3)
@pytest.mark.parametrize("specs", [TEASER, ASKING + "    messages: [Softer.]\n"], ids=["autonomous", "more to send"])
def test_an_agent_that_waits_for_nobody_is_not_told(tmp_path, account, specs):
    store = account[2]
    with receiving() as receiver:
        space = space_at(tmp_path, account, specs, RECONCILER_NOTIFY_ON="waits", **receiver.env())
        space.run(*QUICK, "--wait", "none")
        store.finish_all()
        store.add_fault(Fault(kind="status", method="POST", path="/messages$", status=500, code="internal", times=0))
        space.run(*QUICK, "--wait", "none", "--settle", "0", code=None)
        assert receiver.facts == []


@pytest.mark.sweep
def test_a_failed_project_is_told_once_by_applies_and_plans(tmp_path, account):
    store = account[2]
    with receiving() as receiver:
        on = {"RECONCILER_NOTIFY_ON": "project_failed", **receiver.env()}
        space = space_at(tmp_path, account, FAILING, **on)
        space.run(*QUICK, "--wait", "none")
        store.finish_all()
        space.run("plan")
        for _ in range(2):
            space.run(*QUICK, code=None)
        space.run("plan")
        assert receiver.facts == [("project_failed", "teaser")]
        assert "could not complete" in receiver.documents[0]["facts"][0]["detail"]


@pytest.mark.sweep
def test_drift_is_told_once_and_again_when_it_comes_again(tmp_path, account):
    store = account[2]
    with receiving() as receiver:
        space = space_at(tmp_path, account, RECONCILER_NOTIFY_ON="drift", **receiver.env())
        space.run(*QUICK, "--wait", "none")
        store.finish_all()
        project = store.projects()[0]["id"]
        space.write("specs/a.yaml", TEASER.replace("Teaser}", "Mine}"))
        space.run("plan")
        assert receiver.facts == [], "a change of the spec is no drift"
        space.write("specs/a.yaml", TEASER)
        store.person_sets(project, title="By hand")
        for args in (("plan",), ("plan", "--refresh-only"), ("plan",)):
            space.run(*args)
        assert receiver.facts == [("drift", "teaser")]
        space.run(*QUICK)
        space.run("plan")
        assert receiver.facts == [("drift", "teaser")]
        store.person_sets(project, title="By hand again")
        space.run("plan")
        assert receiver.facts == [("drift", "teaser")] * 2


@pytest.mark.sampled(3)
@pytest.mark.parametrize("command", [("plan",), QUICK])
def test_low_credits_are_told_once_until_there_are_enough(tmp_path, account, command):
    store = account[2]
    with receiving() as receiver:
        config = "workspace: acme\npolicy: {min_credits: 500}\n"
        space = space_at(tmp_path, account, config=config, RECONCILER_NOTIFY_ON="credits", **receiver.env())
        store.change({"credits": 100})
        for _ in range(2):
            space.run(*command, code=1)
        assert receiver.facts == [("credits", None)]
        assert "100 credits" in receiver.documents[0]["facts"][0]["summary"]
        store.change({"credits": 10_000})
        space.run("plan")
        store.change({"credits": 100})
        space.run(*command, code=1)
        assert receiver.facts == [("credits", None)] * 2


def test_an_account_that_runs_out_of_credits_is_told(tmp_path, account):
    account[2].change({"credits": 0})
    with receiving() as receiver:
        space = space_at(tmp_path, account, **receiver.env())
        space.run(*QUICK, code=1)
        assert {kind for kind, _ in receiver.facts} == {"apply_failed", "credits"}


@pytest.mark.sweep
def test_what_a_part_shows_is_not_taken_for_the_whole(tmp_path, account):
    # Intent: an apply of one project doesn't see that the other one is still failed, and forgets nothing.
    store = account[2]
    two = TEASER + "  other: {brief: 'Please [fail].'}\n"
    with receiving() as receiver:
        space = space_at(tmp_path, account, two, RECONCILER_NOTIFY_ON="project_failed", **receiver.env())
        space.run(*QUICK, "--wait", "none")
        store.finish_all()
        for args in (QUICK, (*QUICK, "--target", "teaser"), QUICK):
            space.run(*args, code=None)
        assert receiver.facts == [("project_failed", "other")]


# Never in the way


@pytest.mark.sampled(6)
@pytest.mark.parametrize("habit", ["hang", "drip", "reset", "500", "429", "302 Location: /", "404", "garbage"])
def test_no_receiver_delays_or_fails_an_apply(tmp_path, account, habit):
    # Intent: exit code and output are the same; it takes the bounded time more at most; the next run tells it.
    with receiving(habit) as receiver:
        space = space_at(tmp_path, account, **receiver.env())
        begun = time.monotonic()
        ran = space.run(*QUICK)
        assert time.monotonic() - begun < 45
        assert "Apply complete: 1 created." in ran.out
        assert "warning: the notice to webhook was not delivered: it" in ran.err or "there is no connection" in ran.err
        assert receiver.heard and receiver.url not in ran.err and PATH not in ran.err
        assert len(account[2].projects()) == 1


def test_what_still_holds_and_was_not_delivered_is_told_by_the_next_run(tmp_path, account):
    store = account[2]
    with receiving("404", "200") as receiver:
        space = space_at(tmp_path, account, FAILING, RECONCILER_NOTIFY_ON="project_failed", **receiver.env())
        space.run(*QUICK, "--wait", "none")
        store.finish_all()
        for _ in range(3):
            space.run(*QUICK, code=None)
        assert receiver.facts == [("project_failed", "teaser")] * 2


def test_an_interrupt_while_a_receiver_hangs_ends_with_the_code_of_the_apply(tmp_path, account):
    with receiving("hang") as receiver, space_at(tmp_path, account, **receiver.env()).start(*QUICK) as process:
        until(lambda: receiver.heard)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Apply complete: 1 created." in out and "Traceback" not in err


@pytest.mark.sampled(6)
@pytest.mark.parametrize("command", [("plan", "--format", "json"), (*QUICK, "--format", "json")])
def test_documents_stay_one_document(tmp_path, account, command):
    with receiving("500") as receiver:
        assert space_at(tmp_path, account, **receiver.env()).run(*command).document["steps"]


@pytest.mark.sweep
def test_watch_tells_too_and_a_receiver_that_hangs_holds_up_no_round(tmp_path, account):
    store = account[2]
    with receiving("hang", "200") as receiver:
        space = space_at(tmp_path, account, ASKING, **receiver.env())
        with space.start("watch", "--interval", "1", "--poll-interval", "0.2") as process:
            until(lambda: receiver.heard)
            rounds = len(store.requests())
            until(lambda: len(store.requests()) > rounds + 3)
            store.finish_all()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert receiver.facts[0] == ("applied", None)


@pytest.mark.sweep
def test_watch_tells_each_fact_once(tmp_path, account):
    store = account[2]
    with receiving() as receiver:
        space = space_at(tmp_path, account, ASKING, **receiver.env())
        with space.start("watch", "--interval", "1", "--poll-interval", "0.2") as process:
            until(store.projects)
            store.finish_all()
            until(lambda: ("waits", "teaser") in receiver.facts)
            rounds = len(store.requests())
            until(lambda: len(store.requests()) > rounds + 3)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert sorted(receiver.facts, key=str) == [("applied", None), ("waits", "teaser")]


# What is sent, and where


def test_slack_gets_its_own_form_and_no_markup_of_others(tmp_path, account):
    # Intent: an agent, a title or a server can't mention a channel or set a link.
    store = account[2]
    with receiving() as receiver:
        space = space_at(tmp_path, account, ASKING, RECONCILER_NOTIFY_ON="waits", **receiver.env(slack=True))
        space.run(*QUICK, "--wait", "none")
        store.finish_all()
        hostile = "<!channel> <https://evil.example|Click> & \u202e\x1b[31m\n::error::x"
        with store._lock:
            store._db.execute("UPDATE projects SET agent_message = ?", (hostile,))
        space.run(*QUICK)
    ((headers, body),) = receiver.heard
    text = json.loads(body)["text"]
    assert {*json.loads(body)} == {"text", "unfurl_links", "unfurl_media"}
    assert text.startswith("reconciler, workspace acme\n• Waits for feedback `teaser`: ")
    assert "&lt;!channel&gt; &lt;https://evil.example|Click&gt; &amp;" in text
    assert not {"<", "\x1b", "\u202e"} & {*text}
    assert "X-Reconciler-Signature" not in headers


def test_the_summary_of_a_job_gets_them(tmp_path, account):
    summary = tmp_path / "summary.md"
    summary.write_text("")
    space = space_at(tmp_path, account, RECONCILER_NOTIFY="github", GITHUB_STEP_SUMMARY=str(summary))
    space.run(*QUICK)
    space.run(*QUICK)
    assert summary.read_text().count("* **Applied**: `Apply complete: 1 created.") == 1


@pytest.mark.sweep
def test_a_question_that_can_not_be_read_fails_nothing(tmp_path, account):
    # Intent: what is only read for notices can't end an apply that has done its work.
    with receiving() as receiver:
        space = space_at(tmp_path, account, ASKING, **receiver.env())
        space.run(*QUICK, "--wait", "none")
        account[2].finish_all()
        project = account[2].projects()[0]["id"]
        fault = Fault(kind="status", method="GET", path=f"/{project}$", status=500, code="internal", times=0)
        account[2].add_fault(fault)
        space.run(*QUICK)
        assert receiver.facts == [("applied", None)]


def test_no_secret_is_sent_shown_or_kept(tmp_path, account):
    # Intent: neither the key nor a `${env.…}` value in what is sent; neither address nor secret of a receiver anywhere.
    _, key, store = account
    specs = ASKING.replace("title: Teaser", f'title: Teaser, webhook_url: "{HOOK}"')
    with receiving("500") as receiver:
        space = space_at(tmp_path, account, specs, **receiver.env())
        space.run(*QUICK, "--wait", "none", RECONCILER_NOTIFY="none")
        store.finish_all()
        with store._lock:
            store._db.execute(
                "UPDATE projects SET agent_message = ?", (f"Is {key} or {os.environ[SECRET_NAME]} right?",)
            )
        ran = space.run(*QUICK, "-vv", "--format", "json")
        kept = "".join(path.read_text() for path in (tmp_path / "cache").rglob("*") if path.is_file())
    (document, *_) = receiver.documents
    assert document["facts"][0]["detail"] == "Is (secret) or (secret) right?"
    assert not [text for text in (key, os.environ[SECRET_NAME], SECRET) if text in str(receiver.heard)]
    assert not [text for text in (PATH, SECRET, receiver.url) if text in ran.out + ran.err + kept]
    assert "teaser" not in kept


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "config",
    [
        "notify: [{sink: webhook, url: https://attacker.example/}]\n",
        "notify: [slack]\n",
        "environments: {dev: {notify: [slack]}}\ndefault_environment: dev\n",
    ],
)
def test_a_branch_can_not_say_where_notices_go(tmp_path, account, config):
    space = space_at(tmp_path, account, config="workspace: acme\n" + config)
    with network() as net:
        ran = space.run("plan", code=1, **net.env)
    assert "reconciler.yaml:" in ran.err and "use --notify, RECONCILER_NOTIFY" in ran.err and net.heard == []


def test_receivers_may_stand_in_the_users_own_configuration_and_be_turned_off(tmp_path, account):
    folder = tmp_path / "config" / "reconciler"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("notify: [webhook]\n")
    with receiving() as receiver:
        env = {**receiver.env(), "RECONCILER_NOTIFY": "", "XDG_CONFIG_HOME": str(tmp_path / "config")}
        space = space_at(tmp_path, account, **env)
        space.run("--notify", "none", "plan")
        space.run(*QUICK)
        assert receiver.facts == [("applied", None)]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"RECONCILER_NOTIFY": "slack"}, "RECONCILER_NOTIFY_SLACK_URL, which is not set"),
        ({"RECONCILER_NOTIFY": "teams"}, "there is no receiver `teams`"),
        (
            {"RECONCILER_NOTIFY": "github", "RECONCILER_NOTIFY_ON": "drift,rain"},
            "RECONCILER_NOTIFY_ON: there is no `rain`",
        ),
        (
            {"RECONCILER_NOTIFY": "webhook", "RECONCILER_NOTIFY_WEBHOOK_URL": "https://h.example/x"},
            "RECONCILER_NOTIFY_WEBHOOK_SECRET, which is not set",
        ),
        (
            {"RECONCILER_NOTIFY": "slack", "RECONCILER_NOTIFY_SLACK_URL": "http://h.example/canary"},
            "RECONCILER_NOTIFY_SLACK_URL is not an https URL",
        ),
    ],
)
def test_a_wrong_setting_is_told_before_anything_is_done(tmp_path, account, env, told):
    ran = space_at(tmp_path, account, **env).run(*QUICK, code=1)
    assert told in ran.err and "canary" not in ran.err
    assert account[2].requests() == []
