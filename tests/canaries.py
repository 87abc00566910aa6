"""A key and a secret that runs all over the test session have in their environment, and that nothing may ever show.

Streams are looked through when a test reads them, files at the end of the session. Only an emulated account that a test
serves by itself may hold the secret: it was sent it, and nobody told it which of its texts are secret.
"""

from __future__ import annotations

import os
import secrets
import stat
import subprocess
from pathlib import Path
from typing import Any

KEY_NAME = "EVERSINCE_API_KEY"
SECRET_NAME = "WEBHOOK_TOKEN"
HOOK = f"https://hooks.example.com/${{env.{SECRET_NAME}}}"
"""A value for ``webhook_url`` that holds the secret."""
ALLOWED = f"allowed_env: [{SECRET_NAME}]"
"""What ``policy`` has to say for it."""
_NAMES = {KEY_NAME: "es_live_canary", SECRET_NAME: "canary-secret"}


def set_out() -> None:
    """Put the canaries into this process's environment, which its children inherit, and watch their streams."""
    for name, start in _NAMES.items():
        if not os.environ.get(name, "").startswith(start):  # a worker has them from the process that started it
            os.environ[name] = f"{start}-{secrets.token_hex(8)}"
    subprocess.Popen = Watched


def look(where: str, data: str | bytes | None, *more: str) -> None:
    """Fail if a canary (or one of ``more``) is there."""
    text = data if isinstance(data, bytes) else (data or "").encode(errors="replace")
    for canary in (*map(os.environ.__getitem__, _NAMES), *more):
        assert canary.encode() not in text, f"a secret is in {where}"


def look_through(folder: Path, *more: str) -> int:
    """The same for every file below a folder but accounts outside of a workspace; the answer is how many there were."""
    count = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)  # noqa: PTH118  of a hundred thousand files
            if (".db" not in name or ".reconciler" in Path(path).parts) and stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb", buffering=0) as file:  # noqa: PTH123
                    look(path, file.read(), *more)
                count += 1
    return count


class Watched(subprocess.Popen):
    """A child process whose captured streams hold no canary."""

    def communicate(self, *args: Any, **kwargs: Any) -> Any:
        streams = super().communicate(*args, **kwargs)
        for data in streams:
            look(f"what {self.args} printed", data)
        return streams
