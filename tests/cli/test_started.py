"""Runs that shells start from a zygote are as those of the command itself: streams, signals, exit codes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT, command, environment

ITSELF = Path(sys.executable).with_name("reconciler")
LINES = {
    "a result": "reconciler --version",
    "an exit code": 'reconciler plan --format json; echo "ended with $?"',
    "a wrong option": 'reconciler plan --nonsense; echo "ended with $?"',
    "a pipe in": "printf 'projects:\\n  a: {brief:   x}\\n' > s.yaml; reconciler fmt - < s.yaml",
    "a pipe out": "reconciler explain E101 | head -n 1",
    "a closed pipe": "reconciler help specs | true",
    "both streams": 'reconciler validate 2>&1 >out | sed "s/^/err: /"; sed "s/^/out: /" out',
    "arguments": "reconciler explain \"a b\" '' '*' ; echo $?",
    "an environment": "RECONCILER_VAR_x='a=b\n c' NO_COLOR= reconciler validate --var y=1; echo $?",
}  # fmt: skip


@pytest.fixture
def shell(tmp_path):
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "reconciler.yaml").write_text("workspace: w\napi: {url: sandbox}\n")
    (tmp_path / "w" / "specs").mkdir()
    (tmp_path / "w" / "specs" / "a.yaml").write_text("projects: {a: {brief: x, breef: y}}\n")

    def run(line, program):
        env = environment(PYTHONPATH=str(ROOT))
        line = f'reconciler() {{ "{program}" "$@"; }}\n{line}'
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path / "w", env=env, capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.sampled(3)
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_run_from_a_zygote_is_as_the_command_s(shell, line):
    """Intent: the tests that start it so show what holds for users."""
    assert shell(line, command()) == shell(line, ITSELF)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_run(tmp_path, number):
    with subprocess.Popen(
        [command(), "sandbox", "serve", "--port", "0"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        assert server.stdout.readline().startswith(b"http://")
        os.kill(server.pid, number)
        server.communicate(timeout=60)
    assert server.returncode == 0
