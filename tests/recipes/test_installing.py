"""A wheel as a tool of its own, in a home of its own; what is installed works. What pip does, `test_packaging.py` tests."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.command import ROOT
from tests.security.test_packaging import build

WAYS = {
    "pipx": '{tools}/pipx install -q --python {python} --pip-args="-q -c {lock}" "{wheel}[remote]"',
    "uv": '{tools}/uv tool install -q --python {python} --constraints {lock} "{wheel}[remote]"',
}


def shell(command, folder, env):
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.sweep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", WAYS)
def test_the_wheel_is_installed_by(way, tmp_path):
    """Intent: a command on PATH, with its manual, its man pages and its state in buckets."""
    index = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "UV_", "SSL_"))}
    places = {
        "PIPX_HOME": "pipx",
        "PIPX_BIN_DIR": "bin",
        "PIPX_MAN_DIR": "man",
        "UV_TOOL_BIN_DIR": "bin",
        "UV_TOOL_DIR": "uv",
    }
    env = {**index, **{name: str(tmp_path / place) for name, place in places.items()}}
    env |= {"HOME": str(tmp_path), "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    shell(f"{sys.executable} -m venv tools && tools/bin/pip install -q {way}", tmp_path, env)
    made = build("wheel", tmp_path / "wheel")
    where = {
        "python": sys.executable,
        "tools": f"{tmp_path}/tools/bin",
        "wheel": made,
        "lock": ROOT / "requirements.lock",
    }
    shell(WAYS[way].format(**where), tmp_path, env)
    (tmp_path / "work").mkdir()
    said = shell(
        "reconciler --version; reconciler init; reconciler --api-url sandbox plan; reconciler help --man man; "
        'mkdir store; reconciler --api-url sandbox --state "file://$PWD/store" apply --auto-approve; ls man/man1',
        tmp_path / "work",
        env,
    )
    assert "1 to create" in said and "1 created" in said and "reconciler-plan.1" in said
