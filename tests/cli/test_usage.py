"""What holds for every command: exit codes, where options come from, what is printed where, what is imported."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jsonschema
import pytest

from reconciler.adapters.state.lock import hold_lock
from reconciler.model.version import VERSION
from tests.cli import plan_schema
from tests.cli.cli_support import APPLY, CONFIG, ONE, REMOTE, ROOT, Space, answering, environment, on_terminal
from tests.command import command as started

SLOW = CONFIG.replace("200", "0.001")


# Exit codes


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("plan", "--nope"), "--nope"),
        (("paln",), "Did you mean `plan`?"),
        (("show",), "PLANFILE"),
        (("apply", "--timeout", "soon"), "30m"),
        ((), "Usage"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, tuple) else "",
)
def test_a_wrong_command_line_is_1_and_never_2(fresh, args, said):
    # Intent: CI can tell "there are changes" (2) from "you typed it wrong" (1).
    ran = fresh.run(*args, code=1)
    assert said in ran.err
    assert not ran.out


@pytest.mark.sampled(3)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_an_interrupted_apply_is_130_and_the_next_one_goes_on(fresh, number):
    # Intent: Ctrl-C and a CI job's SIGTERM both leave a whole state, and nothing is done twice afterwards.
    fresh.write("reconciler.yaml", SLOW)
    fresh.write("specs/a.yaml", ONE + "    messages: [Softer.]\n")
    with fresh.start("apply", "--auto-approve") as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "waits for" in line:
                process.send_signal(number)
                break
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, "".join(lines) + err
    assert "Run the same command again" in err and "Traceback" not in err
    assert "interrupted" in out.splitlines()[-1]
    assert fresh.state["projects"]["teaser"]["project_id"].startswith("proj_")
    assert not fresh.state_path.with_name("reconciler.state.json.journal").exists()
    with fresh.account() as store:
        store.finish_all()
    fresh.run(*APPLY)
    with fresh.account() as store:
        assert [e.kind for e in store.ledger()] == ["create", "message"]


@contextlib.contextmanager
def deaf_server():
    """A server that takes requests and never answers; ``heard`` tells of the first."""
    heard, over = threading.Event(), threading.Event()

    class Deaf(BaseHTTPRequestHandler):
        def do_GET(self):
            heard.set()
            over.wait(60)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Deaf) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api/v1", heard
        finally:
            over.set()
            server.shutdown()


def test_a_plan_that_waits_for_an_answer_can_be_interrupted(fresh):
    # Intent: no command hangs on a deaf server once the user has had enough; SIGTERM works as Ctrl-C does.
    with deaf_server() as (url, heard), fresh.start("plan", EVERSINCE_API_URL=url) as process:
        assert heard.wait(30)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert not out and err.strip() == "Interrupted."


# Where options come from


def test_environment_variables_stand_for_options_and_flags_beat_them(fresh):
    # Intent: RECONCILER_<COMMAND>_<OPTION> for a command's, RECONCILER_<OPTION> for global ones; flag, env, file.
    planned = fresh.run("plan", RECONCILER_PLAN_FORMAT="json").document
    assert planned["api_url"] == "sandbox"
    fresh.run("plan", code=0)
    fresh.run("plan", RECONCILER_PLAN_DETAILED_EXITCODE="1", code=2)
    assert "Plan:" in fresh.run("plan", "--format", "text", RECONCILER_PLAN_FORMAT="json").out
    fresh.run("apply", RECONCILER_APPLY_AUTO_APPROVE="1", RECONCILER_STATE="mine.json")
    assert (fresh.root / "mine.json").exists() and not fresh.state_path.exists()
    listed = fresh.run("--state", "mine.json", "state", "list", RECONCILER_STATE="other.json")
    assert "teaser" in listed.out


def test_the_apis_address_comes_from_flag_then_environment_then_file(fresh):
    # Intent: the same precedence for the URL; nobody plans against another API than they said.
    with answering(401, "{}") as in_file, answering(401, "{}") as in_env, answering(401, "{}") as in_flag:
        fresh.write("reconciler.yaml", REMOTE + f"api: {{url: '{in_file.url}'}}\n")
        fresh.run("plan", code=1, EVERSINCE_API_URL=in_env.url)
        assert (len(in_file.heard), len(in_env.heard)) == (0, 1)
        fresh.run("--api-url", in_flag.url, "plan", code=1, EVERSINCE_API_URL=in_env.url)
        assert (len(in_file.heard), len(in_env.heard), len(in_flag.heard)) == (0, 1, 1)


def test_another_directory_can_be_worked_in(fresh, tmp_path):
    # Intent: -C takes the workspace from anywhere, also by a relative path, and writes into it alone.
    elsewhere = Space(tmp_path / "elsewhere")
    elsewhere.root.mkdir()
    elsewhere.run("-C", "../w", *APPLY)
    assert fresh.state_path.exists()
    assert not list(elsewhere.root.iterdir())
    assert "no directory" in elsewhere.run("-C", "../nowhere", "plan", code=1).err


# What is printed where


@pytest.mark.sweep
def test_json_is_one_document_on_stdout_also_when_a_command_fails(fresh, tmp_path):
    # Intent: a program that reads stdout never has to guess, whatever goes wrong and wherever.
    fresh.run("plan", "--out", "old.plan")
    fresh.write("specs/b.yaml", "projects: {b: {brief: Two.}}")
    fresh.run(*APPLY, "--wait", "idle")
    fresh.run("plan", "--out", "stale.plan", "--replace", "teaser")
    fresh.run(*APPLY, "--replace", "teaser")

    def failure(*args: str, **env: str) -> str:
        ran = fresh.run(*args, code=1, **env)
        jsonschema.validate(ran.document, plan_schema.FAILURE)
        assert ran.err, "people see it too"
        return json.dumps(ran.errors)

    assert "--nope" in failure("plan", "--nope", "--format", "json")
    assert "--nope" in failure("plan", "--nope", RECONCILER_PLAN_FORMAT="json")
    assert "--auto-approve" in failure("apply", "--format", "json", "--replace", "teaser")
    ran = fresh.run("apply", "stale.plan", "--format", "json", code=1)
    jsonschema.validate(ran.document, plan_schema.APPLY)
    assert "stale" in ran.out
    with hold_lock(fresh.state_path, command="another", timeout=0):
        assert "locked" in failure("apply", "--format", "json", "--auto-approve", "--replace", "teaser")
    config = CONFIG.replace("policy: {", "policy: {max_replacements: 0, ")
    fresh.write("reconciler.yaml", config)
    assert "max_replacements" in failure("apply", "--format", "json", "--auto-approve", "--replace", "teaser")
    fresh.write("specs/b.yaml", "projects: {b: {breif: Two.}}")
    assert "breif" in failure("plan", "--format", "json")


@pytest.mark.sweep
def test_json_tells_of_an_api_that_cannot_be_reached(fresh):
    # Intent: no connection is an error with the call in it, not a plan for an empty account.
    with fresh.start("--api-url", "http://127.0.0.1:9/api/v1", "plan", "--format", "json") as process:
        process.wait(timeout=60)
        document = json.loads(process.stdout.read())
    assert process.returncode == 1
    jsonschema.validate(document, plan_schema.FAILURE)
    assert "GET /projects" in document["diagnostics"][0]["detail"]


@pytest.mark.sweep
def test_colours_and_the_question_are_for_terminals(fresh):
    # Intent: on a terminal there is colour and a y/n question that "n" ends; NO_COLOR is obeyed; pipes get plain text.
    shown, code = on_terminal(fresh, "apply", answer=b"n\n")
    assert code == 1
    assert "\x1b[" in shown and "[y/N]" in shown and "not approved: nothing was done" in shown
    plain, code = on_terminal(fresh, "apply", answer=b"y\n", NO_COLOR="1")
    assert code == 0
    assert "\x1b[3" not in plain and "Apply complete: 1 created." in plain
    shown, code = on_terminal(fresh, "--no-color", "destroy", answer=b"n\n")
    assert "Stop managing 1 of 1 projects?" in shown and code == 1
    assert "\x1b[3" not in shown
    assert set(fresh.state["projects"]) == {"teaser"}
    assert "\x1b" not in fresh.run("status").out


@pytest.mark.sweep
def test_nobody_reading_is_no_failure_of_the_program(fresh):
    # Intent: a closed or full stdout, or a reader that leaves, ends in no traceback and breaks off no apply.
    done = subprocess.run(
        ["bash", "-c", '"$0" apply --auto-approve 2>&1 >/dev/null | head -n 1', started()],
        cwd=fresh.root,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "created" in done.stdout and not done.stderr
    assert fresh.state["projects"]["teaser"]["project_id"]
    fresh.write("specs/a.yaml", ONE.replace("title: Teaser", "title: Another"))
    for redirection, code in ((">/dev/full", 1), (">&- 2>&-", 2)):
        shell = f'"$0" -m reconciler plan --detailed-exitcode {redirection}'
        done = subprocess.run(
            ["bash", "-c", shell, sys.executable],
            cwd=fresh.root,
            env=environment(PYTHONPATH=str(ROOT)),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode, "bug" in done.stderr, "Traceback" in done.stderr) == (code, False, False), redirection


def test_vv_tells_every_request(fresh):
    # Intent: what the help promises: each call with its status, on stderr.
    ran = fresh.run("-vv", *APPLY)
    assert "POST http://sandbox/api/v1/projects → 202" in ran.err


# What else is installed


PLUGIN = """
from pathlib import Path
class Watcher:
    def new_schema_validator(self, *args):
        Path(__file__).with_name("seen").touch()
        return None, None, None
watcher = Watcher()
"""


@pytest.mark.sweep
def test_no_plugin_of_pydantic_sees_the_values_of_secrets(fresh, tmp_path):
    # Intent: a package that watches validation, for tracing say, is not shown what the environment holds.
    (tmp_path / "watcher.py").write_text(PLUGIN)
    (tmp_path / "watcher-1.dist-info").mkdir()
    (tmp_path / "watcher-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: watcher\nVersion: 1\n")
    (tmp_path / "watcher-1.dist-info" / "entry_points.txt").write_text("[pydantic]\nwatcher = watcher:watcher\n")
    fresh.write("specs/a.yaml", ONE + "    nope: 1\n")

    def run(*command):
        env = environment(PYTHONPATH=os.pathsep.join((str(ROOT), str(tmp_path))))
        return subprocess.run(
            [sys.executable, *command], capture_output=True, encoding="utf-8", check=False, cwd=fresh.root, env=env
        )

    done = run("-m", "reconciler", "validate")
    assert done.returncode == 1 and "unknown key" in done.stderr, done.stderr
    assert not (tmp_path / "seen").exists()
    run("-c", "import pydantic; pydantic.TypeAdapter(int)")
    assert (tmp_path / "seen").exists(), "the plugin works where nothing keeps it out"


# What is imported


IMPORTED = """
import sys
from reconciler.cli.main import main
heavy, sys.argv = sys.argv[1].split(), ['reconciler', *sys.argv[2:]]
try: main()
except SystemExit as end: assert not end.code, end.code
print('loaded:', [name for name in heavy if name in sys.modules])
"""


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("heavy", "args"),
    [
        ("httpx ruamel.yaml pydantic_core reconciler.sandbox rich msgspec json pathlib asyncio", ("--version",)),
        ("httpx ruamel.yaml pydantic_core reconciler.sandbox rich msgspec json pathlib asyncio", ("--help",)),
        ("httpx deepdiff pydantic pydantic_core reconciler.sandbox rich starlette", ("validate",)),
        ("deepdiff pydantic pydantic_core uvicorn rich pygments filelock", ("--api-url", "sandbox", "plan")),
        ("reconciler.operations.apply.execute reconciler.operations.calls.create", ("--api-url", "sandbox", "plan")),
    ],
)
def test_a_command_starts_without_the_heavy_imports_of_others(fresh, heavy, args):
    # Intent: the command answers at once; the network, YAML and sandbox code is loaded by the commands that need it.
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, heavy, *args],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=fresh.root,
        env=environment(PYTHONPATH=str(ROOT)),
    )
    assert done.stdout.rstrip().endswith("loaded: []"), done.stdout


@pytest.mark.parametrize("command", [("plan",), ("show", "saved.plan")], ids=["plan", "show"])
def test_a_summary_is_only_for_people(fresh, command):
    fresh.run("plan", "--out", "saved.plan")

    assert "+ teaser  will be created" in fresh.run(*command, "--summary").out
    assert fresh.run(*command, "--summary", "--format", "json", code=1).errors[0]["summary"].startswith("`--summary`")


# How it ends


ENDING = """
import atexit, io, os, sys
from reconciler.cli.start import main

class Full(io.StringIO):
    def flush(self):
        raise OSError(28, "No space left on device")

atexit.register(os.write, 1, b"freed")
sys.argv = ["reconciler", "--version"]
sys.stdout = {stdout}
main()
"""


@pytest.mark.parametrize(
    ("stdout", "out", "code"), [("sys.stdout", f"reconciler {VERSION}\n", 0), ("Full()", "freed", 120)]
)
def test_what_is_done_is_not_taken_apart_unless_output_is_lost(stdout, out, code):
    # Intent: no time goes into freeing what ends anyway; a result that could not be written is never a success.
    done = subprocess.run(
        [sys.executable, "-c", ENDING.format(stdout=stdout)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=environment(PYTHONPATH=str(ROOT)),
    )
    assert (done.stdout, done.returncode) == (out, code), done.stderr
