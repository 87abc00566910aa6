"""Who holds a state: said in the lock's companion file or in the lease, for those who have to wait."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict


class Holder(Struct, frozen=True):
    """A process that works on the state; ``job`` is the URL of its CI job, where it runs in one."""

    host: str
    pid: int
    since: str
    command: str
    job: str

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"pid {self.pid} on {self.host} since {self.since}: `{self.command}`{job}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def this_process(command: str) -> Holder:
    """A holder that stands for the process it is called in."""
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Holder(socket.gethostname(), os.getpid(), since, command, _job())


def holder_from(document: Mapping[str, Any]) -> Holder:
    """A holder as it was written down. Raises KeyError, TypeError, ValueError for what is none."""
    texts = {name: str(document[name]) for name in ("host", "since", "command")}
    return Holder(pid=int(document["pid"]), job=str(document.get("job", "")), **texts)


def holder_from_text(text: str) -> Holder | None:
    """The same from JSON; ``None`` where it can't be told."""
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
