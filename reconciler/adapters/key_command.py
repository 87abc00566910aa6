"""A command of the user's that prints the API key, such as a password manager's. Never one that a branch names.

It runs without a shell, in the user's home folder, and what it starts is looked up outside the checkout: a branch must
not be able to put a program in its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from reconciler.model.errors import ConfigError, UsageError

SECONDS: Final = 60.0
"""What the command may take: a person may have to unlock something first."""
KEY_MAX: Final = 16_384
ERRORS_MAX: Final = 65_536
"""Bytes that are read of its output and of its errors."""
_GRACE: Final = 1.0
"""Seconds for which pipes are read that a program left behind keeps open after the command's end."""
_PART: Final = 65_536


class Ran(Struct, frozen=True, kw_only=True):
    """What a command did. ``code`` is ``None`` if it was stopped; ``out`` may hold one byte more than a key may have."""

    code: int | None
    out: bytes
    err: bytes


def words(text: str, source: str) -> tuple[str, ...]:
    """The command and its arguments: a JSON array of strings, or words quoted as in a shell, of which nothing is expanded.

    Raises:
        UsageError: it is neither. ``source`` names what gave the text.

    """
    try:
        found = json.loads(text) if text.lstrip().startswith("[") else shlex.split(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(word, str) and "\0" not in word for word in found):
        found = []
    if not found or not found[0]:
        raise UsageError(
            f"{source} is not a command",
            'Write it as in a shell, like `op read op://vault/eversince/key`, or as a JSON array: `["op", "read", …]`.',
        )
    return tuple(found)


def ask(
    command: Sequence[str], *, checkout: Path, env: Mapping[str, str], interactive: bool, seconds: float = SECONDS
) -> Ran:
    """Run the command to its end. If anything is raised, Ctrl-C included, it is ended first.

    ``interactive``: it may use the terminal, as programs do that ask for a password.

    Raises:
        ConfigError: it isn't found outside the checkout, or can't be started.

    """
    path = os.pathsep.join(_search_path(env, checkout))
    program = _program(command[0], path, checkout)
    home = _home(env, checkout)
    try:
        process = subprocess.Popen(  # noqa: S603  the user's own command, without a shell
            [program, *command[1:]],
            cwd=home,
            env={**env, "PATH": path, "PWD": str(home)},
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=None if interactive else 0,  # a group of its own couldn't read from the terminal
        )
    except OSError as error:
        raise ConfigError(f"{named(command)} can't be started: {error.strerror}", _ADVICE) from error
    code = None
    with process:
        try:
            out, err = _read(process, time.monotonic() + seconds)
            code = process.poll()
        finally:
            if code is None:
                _end(process, group=not interactive)
    return Ran(code=code, out=out, err=err)


def key_of(command: Sequence[str], ran: Ran) -> str:
    """The key that a command printed.

    Raises:
        ConfigError: it failed, was stopped, or printed something else. What it printed is not shown.

    """
    if len(ran.out) > KEY_MAX:
        raise ConfigError(f"{named(command)} printed more than {KEY_MAX:,} bytes", _ONE_LINE)
    if ran.code is None:
        raise ConfigError(
            f"{named(command)} was stopped: it did not end within {SECONDS:.0f} seconds",
            "Run it in a terminal to see what it waits for, or set the variable with the key instead.",
        )
    if ran.code:
        ended = f"exit code {ran.code}" if ran.code > 0 else f"signal {-ran.code}"
        raise ConfigError(f"{named(command)} failed with {ended}", _ADVICE)
    try:
        key = ran.out.decode().strip()
    except UnicodeDecodeError:
        key = ""
    if not key:
        raise ConfigError(f"{named(command)} printed no key", _ONE_LINE)
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"{named(command)} printed something that is not a key", _ONE_LINE)
    return key


def named(command: Sequence[str]) -> str:
    """The command as messages name it: without arguments, which may hold a secret."""
    return f"the key command `{Path(command[0]).name if '/' in command[0] else command[0]}`"


_ADVICE: Final = "Run the command yourself to see why, or set the variable with the key instead."
_ONE_LINE: Final = "It has to print the key, and nothing else, on one line of its standard output."


def _search_path(env: Mapping[str, str], checkout: Path) -> Iterator[str]:
    """The folders of ``PATH`` that are absolute and outside the checkout."""
    for folder in env.get("PATH", os.defpath).split(os.pathsep):
        if folder.startswith("/") and not _is_within(Path(folder), checkout):
            yield folder


def _program(name: str, path: str, checkout: Path) -> str:
    if "/" in name and not name.startswith("/"):
        raise ConfigError(
            f"the key command `{name}` is a relative path, which could lead into the checkout",
            "Write its absolute path, or a name that is on your PATH.",
        )
    found = shutil.which(name, path=path)
    if found is None and not name.startswith("/"):
        raise ConfigError(
            f"the key command `{name}` was not found",
            "It is looked for on PATH, in absolute folders outside the checkout. Install it, or write its absolute path.",
        )
    if found is None:
        raise ConfigError(f"the key command `{name}` is not an executable file", "Check its path and permissions.")
    if _is_within(Path(found), checkout):
        raise ConfigError(
            f"the key command `{name}` is inside the checkout, where a branch can change it",
            "Use a program outside the checkout.",
        )
    return found


def _home(env: Mapping[str, str], checkout: Path) -> Path:
    home = Path(env.get("HOME") or "/")
    usable = home.is_absolute() and os.access(home, os.X_OK) and home.is_dir() and not _is_within(home, checkout)
    return home if usable else Path("/")


def _is_within(path: Path, checkout: Path) -> bool:
    """Whether a path is inside the checkout, by its name or by where its links lead."""
    try:
        return path.is_relative_to(checkout) or path.resolve().is_relative_to(checkout.resolve())
    except (OSError, RuntimeError):
        return True


def _read(process: subprocess.Popen[bytes], end: float) -> tuple[bytes, bytes]:
    """What the command prints until it ends, its time is up, or it printed too much for a key."""
    assert process.stdout is not None
    assert process.stderr is not None
    read = {process.stdout: bytearray(), process.stderr: bytearray()}
    ended = False
    with selectors.DefaultSelector() as selector:
        for pipe in read:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map() and time.monotonic() < end and len(read[process.stdout]) <= KEY_MAX:
            if not ended and process.poll() is not None:
                ended, end = True, min(end, time.monotonic() + _GRACE)
            for key, _ in selector.select(0.1):
                pipe = process.stdout if key.fileobj is process.stdout else process.stderr
                part = os.read(pipe.fileno(), _PART)
                if not part:
                    selector.unregister(pipe)
                most = KEY_MAX + 1 if pipe is process.stdout else ERRORS_MAX
                read[pipe] += part[: most - len(read[pipe])]
    if len(read[process.stdout]) <= KEY_MAX:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, end - time.monotonic()))
    return bytes(read[process.stdout]), bytes(read[process.stderr])


def _end(process: subprocess.Popen[bytes], *, group: bool) -> None:
    """End the command, and what it started where that is a group of its own."""
    if not group:
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
