"""The holder of a lock or lease, written down for those who wait for it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import asdict

from reconciler.model.values import Json


class Holder(Struct, frozen=True):
    """A process that holds the state's lock. ``job`` is the URL of its CI job, if it runs in one."""

    host: str
    pid: int
    since: str
    command: str
    job: str

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"pid {self.pid} on {self.host} since {self.since}: `{self.command}`{job}"

    def to_json(self) -> dict[str, str | int]:
        return asdict(self)


def this_process(command: str) -> Holder:
    """The holder that this process is."""
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Holder(socket.gethostname(), os.getpid(), since, command, _job())


def holder_from(document: Mapping[str, Json]) -> Holder:
    """Read a holder. Raises KeyError, TypeError or ValueError if the document is not one."""
    texts = {name: str(document[name]) for name in ("host", "since", "command")}
    return Holder(pid=int(str(document["pid"])), job=str(document.get("job", "")), **texts)


def holder_from_text(text: str) -> Holder | None:
    """Read a holder from JSON; ``None`` if the text is not one."""
    try:
        return holder_from(json.loads(text))
    except (ValueError, KeyError, TypeError):
        return None


def _job() -> str:
    env = os.environ
    if env.get("CI_JOB_URL"):
        return env["CI_JOB_URL"]
    run = env.get("GITHUB_RUN_ID", "")
    if run and env.get("GITHUB_REPOSITORY"):
        server = env.get("GITHUB_SERVER_URL", "https://github.com")
        return f"{server}/{env['GITHUB_REPOSITORY']}/actions/runs/{run}"
    return run
