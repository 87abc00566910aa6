"""Canaries: an API key and a value from the environment turn up in no file and on no screen."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from urllib.parse import quote

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.main import cli
from reconciler.model.redact import Redactor
from reconciler.sandbox.server import BackgroundServer
from reconciler.sandbox.store import Fault, Options
from tests import canaries
from tests.cli.cli_support import answering, make_space

KEY = "sk-canary-key-8d1f5c"
TOKEN = "canary-token-4b6e9a"
SPEC = """\
projects:
  teaser:
    brief: Ten seconds. ${env.WEBHOOK_TOKEN}
    settings:
      title: Teaser
      webhook_url: https://hooks.example.com/${env.WEBHOOK_TOKEN}/in
    messages: ["Softer, ${env.WEBHOOK_TOKEN}."]
"""
CONFIG = "workspace: acme\npolicy: {allowed_env: [WEBHOOK_TOKEN]}\n"


@pytest.fixture
def watched(tmp_path):
    """A served account that wants the key, a workspace pointed at it, and a run that looks for canaries."""
    options = Options(speed=200, requests_per_minute=0, strict=True)
    with BackgroundServer(options=options, key=KEY) as server:
        space = make_space(
            tmp_path / "w",
            SPEC,
            CONFIG,
            EVERSINCE_API_URL=server.url,
            EVERSINCE_API_KEY=KEY,
            WEBHOOK_TOKEN=TOKEN,
        )

        def run(*args, code=0, **env):
            ran = space.run(*args, code=code, **env)
            clean(ran.out + ran.err)
            for path, (data, mode) in space.files().items():
                clean(data.decode())
                if "state" in path or path.endswith(".plan"):
                    assert mode == 0o600, path
            return ran

        run.space, run.store = space, server.store
        yield run


def clean(text: str) -> None:
    for canary in (KEY, TOKEN):
        assert canary not in text, text


APPLY = ("-vv", "apply", "--auto-approve", "--poll-interval", "0.05")


@pytest.mark.sweep
def test_no_secret_reaches_a_file_or_a_screen_from_plan_to_destroy(watched):
    # Intent: the whole life of a project with a secret in brief, webhook and message, at -vv, drift included.
    watched("-vv", "plan", "--out", "saved.plan")
    watched("-vv", "show", "saved.plan", "--format", "json")
    watched("-vv", "apply", "saved.plan", "--poll-interval", "0.05", "--events", "events.jsonl")
    sent = {e.kind: e.detail for e in watched.store.ledger()}
    assert sent["create"]["webhook_url"] == f"https://hooks.example.com/{TOKEN}/in"
    assert TOKEN in sent["create"]["brief"] and TOKEN in sent["message"]["message"]
    project = watched.store.projects()[0]["id"]
    watched.store.person_sets(project, title=f"Now {TOKEN} {KEY}")
    for command in (("status", "--format", "json"), ("plan", "--format", "json"), ("messages", "teaser"), ("output",)):
        watched("-vv", *command)
    watched(*APPLY)
    changed = watched("plan", "--format", "html", WEBHOOK_TOKEN="canary-token-another")
    assert "canary" not in changed.out
    watched("destroy", "--auto-approve")


def test_a_failed_agent_that_repeats_the_secret_is_not_quoted_with_it(watched):
    # Intent: what the account itself says (error messages, failures) is redacted before it is stored or shown.
    watched(*APPLY)
    project = watched.store.projects()[0]["id"]
    watched.store.set_status(project, "failed", error_message=f"could not call {TOKEN} with {KEY}")
    assert "(secret)" in watched("status").out
    assert "(secret)" in watched("-vv", "plan", code=None).out


def test_an_interrupted_journal_holds_no_secret(watched):
    # Intent: the write-ahead record of a call with a secret is as clean as the state, and no one else may read it.
    watched.store.add_fault(Fault(kind="reset", method="POST", path="^/projects$", when="after"))
    watched.store.add_fault(Fault(kind="status", status=403, method="GET", skip=1, times=0))
    watched(*APPLY, code=None)
    watched.store.clear_faults()
    watched(*APPLY)
    assert [e.kind for e in watched.store.ledger()] == ["create", "message"]


def test_an_error_that_echoes_the_key_is_shown_without_it(tmp_path):
    # Intent: a proxy or server that prints the request's headers in its error gives nothing away through us.
    space = make_space(tmp_path / "w", SPEC, CONFIG, EVERSINCE_API_KEY=KEY, WEBHOOK_TOKEN=TOKEN)
    body = json.dumps({"error": {"code": "unauthorized", "message": "{key} " + TOKEN, "status": 401}})
    with answering(401, body, {"X-Request-Id": KEY}) as server:
        ran = space.run("--api-url", server.url, "-vv", "plan", "--format", "json", code=1)
    assert KEY in server.heard[0][2]
    clean(ran.out + ran.err)


AWKWARD = "ab&cd<\"ef>'gh\\n/ö%"


@pytest.mark.parametrize(
    "written",
    [str, html.escape, repr, json.dumps, lambda s: json.dumps(s, ensure_ascii=False), quote, lambda s: quote(s, safe="")],
)  # fmt: skip
def test_a_secret_is_known_in_every_way_it_is_written(written):
    # Intent: what quotes or escapes a text before it is shown hides no secret from the redaction.
    assert "cd" not in Redactor([AWKWARD])(f"before {written(AWKWARD)} after")


@given(secret=st.text(min_size=8, max_size=60), around=st.text(max_size=20))
def test_no_text_keeps_a_secret(secret, around):
    # Intent: whatever the secret is made of, redacting ends and leaves no whole copy of it.
    text = Redactor([secret])(around + secret + around + secret)
    assert secret not in text.replace("(secret)", "") or secret in around * 2


def test_a_secret_that_was_cut_or_broken_is_known():
    # Intent: the list cuts briefs, messages cut long values, logs are lines: a part of a secret is a secret.
    redact = Redactor(["0123456789abcdefghijklmnopqrstuvwxyz", "first line of it\nsecond line of it"])
    assert redact("so 0123456789abcdefghijk… and so on") == "so (secret)… and so on"
    assert redact("ends in 0123456789abcdef") == "ends in (secret)"
    assert redact("a first line of it\n  b second line of it") == "a (secret)\n  b (secret)"
    assert redact("0123456789 is a number") == "0123456789 is a number"


@pytest.mark.sweep
def test_an_awkward_secret_is_hidden_where_people_and_programs_read(tmp_path):
    # Intent: quotes, markup, a second line: drift in every format, a diagnostic that quotes it, and the diff of fmt.
    secret = "ab&cd<\"ef>'gh\nij kl/%mn"
    spec = "projects:\n  teaser:\n    brief: Ten. ${env.WEBHOOK_TOKEN}\n    settings: {title: Teaser}\n"
    space = make_space(
        tmp_path / "w", spec, CONFIG + "api: {url: sandbox}\nsandbox: {speed: 200}\n", WEBHOOK_TOKEN=secret
    )
    space.run(*APPLY)
    with space.account() as store:
        store.person_sets(store.projects()[0]["id"], title=secret)
    shown = [space.run("-v", "plan", "--refresh-only", "--format", f).out for f in ("text", "json", "markdown", "html")]
    quoted = json.dumps(secret)
    space.write("specs/b.yaml", f"projects: {{b: {{brief: x, settings: {{mode: {quoted}}}}}}}\n")
    for args in (("validate",), ("validate", "--format", "json"), ("fmt", "--diff")):
        ran = space.run(*args, code=1)
        shown += [ran.out, ran.err]
    for text in shown:
        for part in ("kl/%mn", "ij kl", "ef>", "ab&cd", "ab&amp;cd"):
            assert part not in text, text


def test_a_pull_request_from_a_fork_can_at_most_get_an_error_message(tmp_path):
    # Intent: whoever writes configuration and specs, `validate` calls nobody, writes nothing, shows no foreign byte.
    with answering(200, "{}") as server:
        space = make_space(
            tmp_path / "w",
            "projects:\n"
            "  a: {brief: '${env.WEBHOOK_TOKEN}', settings: {webhook_url: 'http://${env.WEBHOOK_TOKEN}'}}\n"
            "  b: {brief: x, aspect_ratio: '${env.WEBHOOK_TOKEN}', messages: ['${env.EVERSINCE_API_KEY}', m]}\n"
            "  c: {brief_file: environ}\n"
            "  d: {brief_file: ../outside.md}\n"
            "  e: {brief: '${env.HOME} ${env.WEBHOOK_TOKENS}'}\n",
            f"workspace: acme\napi: {{url: '{server.url}', key_env: EVERSINCE_OTHER_KEY}}\n"
            "policy: {allowed_env: [WEBHOOK_TOKEN]}\n",
            EVERSINCE_API_KEY=KEY,
            WEBHOOK_TOKEN=TOKEN,
        )
        (tmp_path / "outside.md").write_text(TOKEN)
        (space.root / "environ").symlink_to("/proc/self/environ")
        (space.root / "specs" / "link.yaml").symlink_to("/proc/self/environ")
        (space.root / "specs" / "up.yaml").symlink_to("../../outside.md")
        before = sorted(space.root.rglob("*"))
        for args in ((), ("--format", "json"), ("--format", "github"), ("--var-file", "environ")):
            ran = space.run("-vv", "validate", *args, code=1)
            clean(ran.out + ran.err)
        space.write("specs/a.yaml", "projects: {a: {brief: x, messages: [m]}}\n")
        for name in ("link.yaml", "up.yaml"):
            (space.root / "specs" / name).unlink()
        state = space.root / "reconciler.state.json"
        state.symlink_to("environ")
        ran = space.run("validate", code=1)  # the state is what the environment is
        clean(ran.out + ran.err)
        state.unlink()
        assert sorted(p for p in space.root.rglob("*")) == [p for p in before if p.exists() or p.is_symlink()]
        assert server.heard == []


def test_no_option_takes_a_key():
    # Intent: an argument stands in the shell's history and in every process list; the environment does not.
    def options(command):
        yield from (name for parameter in command.params for name in parameter.opts)
        for name in command.list_commands(click.Context(command)) if isinstance(command, click.Group) else ():
            yield from options(command.get_command(click.Context(command), name))

    found = set(options(cli))
    assert {"--state", "--var-file"} <= found
    idempotency = {"--key-seconds", "--forget-keys"}  # how long the sandbox remembers those
    # those that take a variable's name, or a program's
    taking = [name for name in found - idempotency if not name.endswith(("-env", "-command"))]
    assert not [name for name in taking if any(word in name for word in ("key", "token", "secret", "password"))]


def test_the_canaries_of_the_session_are_noticed(tmp_path):
    # Intent: what looks for leaks in the whole run finds one, in a stream, in a file and in a workspace's account.
    canary = os.environ[canaries.SECRET_NAME]
    shows = [sys.executable, "-c", f"import os; print(os.environ['{canaries.KEY_NAME}'])"]
    with pytest.raises(AssertionError, match="a secret is in what"):
        subprocess.run(shows, capture_output=True, check=False)
    (tmp_path / "account.db-wal").write_text(canary)
    canaries.look_through(tmp_path)
    for name in ("leak.json", ".reconciler/sandbox/account.db-wal"):
        leak = tmp_path / name
        leak.parent.mkdir(parents=True, exist_ok=True)
        leak.write_text(json.dumps({"hook": canary}))
        with pytest.raises(AssertionError, match=re.escape(name)):
            canaries.look_through(tmp_path)
        leak.unlink()
