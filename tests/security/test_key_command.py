"""The key from a command: the user's own, outside the checkout, once, within bounds, and used as any other key."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from reconciler.adapters import key_command
from reconciler.model.errors import ConfigError, UsageError
from reconciler.model.redact import Redactor
from tests.cli.cli_support import answering, make_space
from tests.security.security_support import ATTACKER, KEY, PLAIN, network

NONE = '{"projects": [], "total": 0}'
OTHER = "sk-other-key-8d31ff"


def script(folder: Path, text: str, name: str = "vault") -> str:
    """A program that notes each of its runs beside itself."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\necho run >> "{path}.runs"\n{text}\n')
    path.chmod(0o755)
    return str(path)


def runs(program: str) -> int:
    path = Path(f"{program}.runs")
    return len(path.read_text().splitlines()) if path.exists() else 0


def keys(server) -> set[str | None]:
    return {key for _, _, key in server.heard}


@pytest.fixture
def server():
    with answering(200, NONE) as server:
        yield server


def space_at(tmp_path, server, **env):
    """A workspace without a key in the environment."""
    env = {"EVERSINCE_API_KEY": ""} | env
    return make_space(tmp_path / "w", PLAIN, f"workspace: acme\napi: {{url: {server.url}}}\n", **env)


# Where the command may come from


@pytest.mark.sampled(3)
@pytest.mark.parametrize("way", ["flag", "flag-after", "variable", "json", "name-on-path", "user-file"])
def test_the_users_own_places_may_name_it(tmp_path, server, way):
    # Intent: flag, variable and the user's own configuration; as words or as JSON; an absolute path or a name on PATH.
    program = script(tmp_path / "bin", f"echo {KEY}")
    space, args, env = space_at(tmp_path, server), ("plan",), {"HOME": str(tmp_path)}
    match way:
        case "flag":
            args = ("--key-command", f"{program} 'an argument'", "plan")
        case "flag-after":
            args = ("plan", "--key-command", program)
        case "variable":
            env["RECONCILER_KEY_COMMAND"] = program
        case "json":
            env["RECONCILER_KEY_COMMAND"] = json.dumps([program, "an argument"])
        case "name-on-path":
            env |= {"RECONCILER_KEY_COMMAND": "vault read", "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
        case _:
            folder = tmp_path / ".config" / "reconciler"
            folder.mkdir(parents=True)
            (folder / "config.yaml").write_text(f"key_command: [{program}, read]\n")
    ran = space.run(*args, **env)
    assert keys(server) == {f"Bearer {KEY}"}
    assert runs(program) == 1
    assert KEY not in ran.out + ran.err


def test_no_file_of_a_branch_may_name_it(tmp_path, server):
    # Intent: in reconciler.yaml, at the top, below api or in an environment, it is an error, and nothing runs.
    program = script(tmp_path / "bin", f"echo {KEY}")
    for text in (
        f"workspace: acme\nkey_command: [{program}]\n",
        f"workspace: acme\napi: {{key_command: [{program}]}}\n",
        f"workspace: acme\nenvironments: {{dev: {{key_command: [{program}]}}}}\ndefault_environment: dev\n",
    ):
        space = make_space(tmp_path / "w", PLAIN, text, EVERSINCE_API_URL=server.url)
        ran = space.run("plan", code=1)
        assert "reconciler.yaml:" in ran.err and "use --key-command, RECONCILER_KEY_COMMAND" in ran.err
    assert (server.heard, runs(program)) == ([], 0)


@pytest.mark.parametrize("git", [True, False])
def test_a_user_file_inside_the_checkout_is_refused(tmp_path, server, git):
    program = script(tmp_path / "bin", f"echo {KEY}")
    space = space_at(tmp_path, server)
    if git:
        (tmp_path / "w" / ".git").mkdir()
    space.write("config/reconciler/config.yaml", f"key_command: [{program}]\n")
    ran = space.run("plan", code=1, XDG_CONFIG_HOME=str(space.root / "config"))
    assert "inside the checkout" in ran.err and runs(program) == 0 and server.heard == []
    link = tmp_path / "linked"
    link.symlink_to(space.root / "config")
    space.run("plan", code=1, XDG_CONFIG_HOME=str(link))
    assert runs(program) == 0 and server.heard == []


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("key_command: op read\n", 0o600, "config.yaml:1:14"),
        ("key_commands: [op]\n", 0o600, "config.yaml:1:1"),
        ("key_command: [op]\n", 0o602, "every user of this machine can write it"),
        ("- key_command\n", 0o600, "is one mapping"),
        ("key_command: [\n", 0o600, "config.yaml:"),
    ],
)
def test_a_wrong_user_file_is_told_at_its_place(tmp_path, server, text, mode, told):
    path = tmp_path / ".config" / "reconciler" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(mode)
    ran = space_at(tmp_path, server).run("plan", code=1, HOME=str(tmp_path))
    assert told in ran.err and server.heard == []


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ["./vault", "bin/vault", "../w/vault", "{root}/vault", "{link}/vault", "vault"])
def test_no_program_of_the_checkout_runs(tmp_path, server, name):
    # Intent: not by a relative path, an absolute one, a link, nor a folder of the checkout on PATH ('.' and '' included).
    space = space_at(tmp_path, server)
    programs = [script(space.root / folder, f"echo {KEY}") for folder in ("", "bin")]
    link = tmp_path / "link"
    link.symlink_to(space.root)
    path = f"{os.environ['PATH']}:.::bin:{space.root}:{space.root / 'bin'}:{link}"
    ran = space.run("--key-command", name.format(root=space.root, link=link), "plan", code=1, PATH=path)
    assert "checkout" in ran.err
    assert [runs(program) for program in programs] == [0, 0] and server.heard == []


def test_it_runs_where_the_branch_has_no_say(tmp_path, server):
    # Intent: the folder is the user's home, and PATH leaves out the checkout: what the program starts isn't the branch's either.
    space = space_at(tmp_path, server)
    seen = tmp_path / "seen"
    program = script(tmp_path / "bin", f'pwd > "{seen}"; echo "$PWD:$PATH" >> "{seen}"; echo {KEY}')
    path = f".:{space.root}:{os.environ['PATH']}"
    space.run("--key-command", program, "plan", HOME=str(tmp_path), PATH=path)
    folder, shown = seen.read_text().splitlines()
    assert folder == str(tmp_path)
    assert shown.startswith(f"{tmp_path}:/") and str(space.root) not in shown.split(":")[1:]


# Which key wins, and when it is asked for


def test_a_flag_wins_over_the_variable_with_the_key_which_wins_over_the_rest(tmp_path, server):
    program = script(tmp_path / "bin", f"echo {KEY}")
    space = space_at(tmp_path, server, EVERSINCE_API_KEY=OTHER)
    space.run("plan", RECONCILER_KEY_COMMAND=program)
    assert (keys(server), runs(program)) == ({f"Bearer {OTHER}"}, 0)
    server.heard.clear()
    space.run("plan", "--key-command", program)
    assert (keys(server), runs(program)) == ({f"Bearer {KEY}"}, 1)


@pytest.mark.parametrize(
    "args", [("validate",), ("fmt", "--check"), ("state", "list"), ("schema",), ("--api-url", "sandbox", "plan")]
)
def test_it_runs_only_where_a_key_is_needed(tmp_path, server, args):
    program = script(tmp_path / "bin", f"echo {KEY}")
    space_at(tmp_path, server).run(*args, RECONCILER_KEY_COMMAND=program)
    assert runs(program) == 0


@pytest.mark.sweep
def test_it_runs_once_in_a_command_that_connects_more_than_once(tmp_path, server):
    program = script(tmp_path / "bin", f"echo {KEY}")
    space = space_at(tmp_path, server, RECONCILER_KEY_COMMAND=program)
    with space.start("watch", "--interval", "1", "--plan-only") as process:
        end = time.monotonic() + 60
        while len(server.heard) < 3 and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(server.heard) >= 3 and runs(program) == 1


def test_the_key_goes_only_where_any_key_may(tmp_path):
    # Intent: a host that a branch names gets nothing, and the command isn't even asked.
    program = script(tmp_path / "bin", f"echo {KEY}")
    space = make_space(tmp_path / "w", PLAIN, f"workspace: acme\napi: {{url: '{ATTACKER}'}}\n")
    with network() as net:
        ran = space.run("plan", code=1, RECONCILER_KEY_COMMAND=program, **net.env)
    assert (net.heard, runs(program)) == ([], 0) and "RECONCILER_ALLOWED_HOSTS" in ran.err


def test_what_the_server_says_of_the_key_is_hidden(tmp_path):
    program = script(tmp_path / "bin", f"echo {KEY}; echo unlocked {KEY} >&2")
    with answering(401, '{"error": {"code": "unauthorized", "message": "no such key: {key}"}}') as server:
        ran = space_at(tmp_path, server).run("plan", "--format", "json", code=1, RECONCILER_KEY_COMMAND=program)
    assert "says: unlocked (secret)" in ran.err
    assert KEY not in ran.out + ran.err


# What it may do


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("echo 'vault is locked' >&2; exit 3", "failed with exit code 3"),
        ("kill -9 $$", "failed with signal 9"),
        ("true", "printed no key"),
        ("echo; echo '  '", "printed no key"),
        ("printf 'one\\ntwo\\n'", "printed something that is not a key"),
        ("echo 'Enter password:'", "printed something that is not a key"),
        ("printf 'k\\377ey'", "printed no key"),
        ("yes sk-key-without-end", "printed more than 16,384 bytes"),
    ],
)
def test_a_failure_says_what_to_do_and_shows_nothing_secret(tmp_path, server, text, told):
    program = script(tmp_path / "bin", f"echo {KEY}; set -x; : {KEY}; {text}" if "exit" in text else text)
    ran = space_at(tmp_path, server).run("plan", code=1, RECONCILER_KEY_COMMAND=f"{program} sk-argument")
    assert f"the key command `vault` {told}" in ran.err
    assert KEY not in ran.err and "sk-argument" not in ran.err and "Enter" not in ran.err and server.heard == []
    if "locked" in text:
        assert "vault is locked" in ran.err


@pytest.mark.parametrize(
    "text", ["'", "[", '["op", 1]', "[]", '{"op": 1}', "''", '[""]', '["op\\u0000"]', '["op"'], ids=repr
)
def test_what_is_no_command_is_told(text):
    if text == '{"op": 1}':
        assert key_command.words(text, "--key-command") == ("{op:", "1}")  # words, of no such program
        return
    with pytest.raises(UsageError, match="--key-command is not a command"):
        key_command.words(text, "--key-command")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("op read op://a/b", ("op", "read", "op://a/b")),
        ("op 'read it' \"$HOME\" ~ *; ls | cat", ("op", "read it", "$HOME", "~", "*;", "ls", "|", "cat")),
        (' ["op", "", "$(id)"]', ("op", "", "$(id)")),
    ],
)
def test_words_are_split_as_a_shell_does_and_nothing_is_expanded(text, found):
    assert key_command.words(text, "x") == found


@pytest.mark.sampled(6)
@pytest.mark.parametrize("text", ["sleep 600 & wait", "exec sleep 600", "echo sk-1; sleep 600", "exec >&-; sleep 600"])
def test_it_is_stopped_with_all_that_it_started_when_its_time_is_up(tmp_path, text):
    program = script(tmp_path, f'echo $$ > "{tmp_path}/pid"; {text}')
    begun = time.monotonic()
    ran = key_command.ask([program], checkout=tmp_path / "w", env=os.environ, interactive=False, seconds=1)
    assert ran.code is None and time.monotonic() - begun < 30
    with pytest.raises(ConfigError, match="was stopped: it did not end within 60 seconds"):
        key_command.key_of([program], ran)
    assert ends(int((tmp_path / "pid").read_text()))


@pytest.mark.sweep
def test_a_program_that_it_leaves_behind_does_not_hold_the_run(tmp_path):
    program = script(tmp_path, f'sleep 600 & echo $! > "{tmp_path}/pid"; echo {KEY}')
    try:
        ran = key_command.ask([program], checkout=tmp_path / "w", env=os.environ, interactive=False, seconds=60)
        assert key_command.key_of([program], ran) == KEY
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_an_interrupt_ends_it(tmp_path, server, command):
    program = script(
        tmp_path / "bin", f'echo $$ > "{tmp_path}/new"; mv "{tmp_path}/new" "{tmp_path}/pid"; sleep 600; :'
    )
    args = (command, *(("--auto-approve",) if command == "apply" else ()))
    with space_at(tmp_path, server, RECONCILER_KEY_COMMAND=program).start(*args) as process:
        end = time.monotonic() + 60
        while not (tmp_path / "pid").exists() and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err and server.heard == []
    assert ends(int((tmp_path / "pid").read_text()))


def ends(group: int) -> bool:
    """Whether its processes are gone: what was killed takes a moment to end on a busy machine."""
    end = time.monotonic() + 60
    while in_group(group) and time.monotonic() < end:
        time.sleep(0.05)
    return not in_group(group)


def in_group(group: int) -> list[str]:
    """Processes of a group that still run."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in listed.splitlines())
    return [row[2] for row in rows if row[0] == str(group) and not row[1].startswith("Z")]


def test_a_redactor_that_is_in_use_learns_a_secret():
    redact = Redactor(["first-secret"])
    assert redact(f"{KEY} first-secret") == f"{KEY} (secret)"
    redact.learn([KEY])
    assert redact(f"{KEY} first-secret") == "(secret) (secret)"
