"""A git revision as files, of a repository that is not trusted: nothing of it is ever run.

Only HTTPS to hosts that the operator's own configuration names (plain HTTP on this machine). Git gets no settings of any
file, so it knows no hook, filter (LFS among them), credential helper or rewritten URL; it follows no redirect and fetches
no submodule; links become files that hold their target.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from reconciler.model.errors import ReconcilerError
from reconciler.model.hosts import is_loopback

SECONDS_MAX: Final = 120.0
KIBIBYTES_MAX: Final = 256 << 10
"""What one file that git writes may have; a pack is one file."""
_STDERR_MAX: Final = 500
_SETTINGS: Final = (
    "core.fsmonitor=false",
    f"core.hooksPath={os.devnull}",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.symlinks=false",
    "credential.helper=",
    "fetch.fsckObjects=true",
    "gc.auto=0",
    "http.followRedirects=false",
    "submodule.recurse=false",
)
_REVISION: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}")
_PASSED: Final = ("PATH", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")


class CheckoutError(ReconcilerError):
    """The revision can't be had."""


def check_out(url: str, revision: str, path: str, *, into: Path, hosts: Collection[str]) -> tuple[str, Path]:
    """Put the files of a branch, tag or commit below ``into``, which is emptied first.

    Gives the commit, and the folder that ``path`` names in it.

    Raises:
        CheckoutError: the URL, the revision or the path is not allowed or not there, or git fails or takes too long.

    """
    _check_url(url, hosts)
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise CheckoutError("`revision` is not a branch, tag or commit", "Write it like `main`, `v1.2` or a full SHA.")
    parts = PurePosixPath(path).parts
    if path.startswith("/") or any(part in ("..", "") or part.lower() == ".git" for part in parts) or "\0" in path:
        raise CheckoutError("`path` is not a folder of the repository", "Write it relative to its top, like `teams/a`.")
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    _git(into, "init", "--quiet", "--template=")
    _git(into, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", url, revision)
    commit = _git(into, "rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()
    if not re.fullmatch("[0-9a-f]{40,64}", commit):
        raise CheckoutError("git names no commit for `revision`")
    _git(into, "checkout", "--quiet", "--detach", commit)
    shutil.rmtree(into / ".git")
    folder = into.joinpath(*parts)
    if not folder.is_dir():
        raise CheckoutError(f"there is no folder `{path}` in commit {commit}")
    return commit, folder


def _check_url(url: str, hosts: Collection[str]) -> None:
    try:
        found = urlsplit(url)
        host, port = (found.hostname or "").lower(), found.port
    except ValueError as error:
        raise CheckoutError("`url` is not a URL") from error
    secure = found.scheme == "https" or (found.scheme == "http" and is_loopback(host))
    if not secure or not url.startswith(("https://", "http://")) or not url.isascii() or not url.isprintable():
        raise CheckoutError("`url` is not an HTTPS URL", "Repositories are only fetched over https://.")
    if found.username is not None or found.password is not None or " " in url:
        raise CheckoutError("`url` has a user name or password in it", "Who reads the resource would see it.")
    if host not in hosts and f"{host}:{port}" not in hosts:
        raise CheckoutError(
            f"the host `{host}` is not allowed", "Who runs the operator allows it with `--git-host`, after a review."
        )


def _git(folder: Path, *arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        raise CheckoutError("git is not installed", "Install git in the operator's image.")
    options = [word for setting in _SETTINGS for word in ("-c", setting)]
    limit = ("/bin/sh", "-c", f'ulimit -f {KIBIBYTES_MAX * 2}; exec "$@"', "sh")  # in blocks of 512 bytes
    command = [*limit, git, "--no-pager", *options, "-C", str(folder), *arguments]
    try:
        done = subprocess.run(  # noqa: S603  git, found on the operator's own path
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment(os.environ),
            timeout=SECONDS_MAX,
            check=False,
            cwd="/",
        )
    except subprocess.TimeoutExpired as error:
        raise CheckoutError(f"git {arguments[0]} took longer than {SECONDS_MAX:.0f} seconds") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[:_STDERR_MAX]
        raise CheckoutError(f"git {arguments[0]} failed", said or "It was ended; the repository may be too large.")
    return done.stdout.decode(errors="replace")


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    return {
        **{name: own[name] for name in _PASSED if name in own},
        "GIT_ALLOW_PROTOCOL": "https:http",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": "/nonexistent",
        "LC_ALL": "C",
    }
