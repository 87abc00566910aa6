"""The real command as a process of its own, for one workspace.

A process and not a call: recovery, the lease and the account's limits are proven for the command as it is; the API key
is in the environment of that one process only; a crash of one workspace can't take the others along; and when the
operator dies, what its child has begun is recorded by the child or found by the next one, as after any killed run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from reconciler.report.safe_text import clean

OUTPUT_MAX: Final = 64 << 20
GRACE: Final = 100.0
"""Seconds in which a command finishes and records its calls after SIGTERM."""
_ERROR_MAX: Final = 1000
_KEY: Final = "EVERSINCE_API_KEY"
_OWN: Final = ("CHDIR", "ENVIRONMENT", "KEY_COMMAND", "OPERATOR_", "STATE")
_NOT_PASSED: Final = (_KEY, "EVERSINCE_WEBHOOK_SECRET", "KUBE", "PYTHON", *(f"RECONCILER_{name}" for name in _OWN))
"""Beginnings of variables that are the operator's own, or that the resource says for each workspace."""


class Ended(Struct, frozen=True, kw_only=True):
    """How a command ended. ``error`` is what it said on stderr from its first error on, without the key."""

    code: int
    out: bytes
    error: str


class StoppedError(Exception):
    """The operator ends, or the resource was deleted, so that the command was ended in an orderly way."""


async def run_command(
    arguments: Sequence[str], *, folder: Path, key: str, state: str, environment: str, stop: asyncio.Event
) -> Ended:
    """Run ``reconciler`` on a workspace to its end.

    Raises:
        StoppedError: ``stop`` was set; the command was given the time to record its calls.

    """
    chosen = ("--environment", environment) if environment else ()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",  # nothing of the checkout or of a user's folder is imported
        "-m",
        "reconciler",
        "--chdir",
        str(folder),
        *arguments,
        *chosen,
        cwd="/",
        env=_environment(os.environ, key, state),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    reading: asyncio.Future[tuple[bytes, bytes, int]] = asyncio.gather(
        _read(process.stdout), _read(process.stderr), process.wait()
    )
    stopping: asyncio.Future[bool] = asyncio.ensure_future(stop.wait())
    waited: tuple[asyncio.Future[Any], ...] = (reading, stopping)
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            await _end(process, reading)
            raise StoppedError
        out, err, code = reading.result()
    except asyncio.CancelledError:
        await _end(process, reading)
        raise
    finally:
        stopping.cancel()
    return Ended(code=code, out=out, error=_said(err, key))


async def _end(process: asyncio.subprocess.Process, reading: asyncio.Future[tuple[bytes, bytes, int]]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(reading), GRACE)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await reading


async def _read(stream: asyncio.StreamReader) -> bytes:
    """All of it; what is beyond the limit is read and dropped, so that the command never waits for its reader."""
    kept = bytearray()
    while part := await stream.read(1 << 16):
        kept += part[: OUTPUT_MAX - len(kept)]
    return bytes(kept)


def _environment(own: Mapping[str, str], key: str, state: str) -> dict[str, str]:
    kept = {name: value for name, value in own.items() if not name.startswith(_NOT_PASSED)}
    return {**kept, _KEY: key, "RECONCILER_STATE": state, "NO_COLOR": "1"}


def _said(err: bytes, key: str) -> str:
    lines = err.decode(errors="replace").replace(key, "***").splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("error")), 0)
    return clean(" ".join(" ".join(lines[first:]).split()))[:_ERROR_MAX]
