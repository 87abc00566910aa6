"""``--events FILE``: events as they happen, one JSON object per line."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from reconciler import files
from reconciler.cli.console import Console
from reconciler.model.errors import UsageError
from reconciler.model.values import Json


@contextlib.contextmanager
def open_event_file(console: Console, path: Path | None) -> Iterator[Callable[[dict[str, Json]], None]]:
    """A function that appends events, each line whole before the next. Without a path they go nowhere.

    If the file can't be written any more, the apply continues after one warning.

    Raises:
        UsageError: the file can't be opened; nothing was done yet.

    """
    if path is None:
        yield lambda _: None
        return
    try:
        file = open(files.open_stream(path), "a", encoding="utf-8", buffering=1)  # noqa: PTH123, SIM115  closed below
    except OSError as error:
        raise UsageError(f"can't write events to `{path}`: {error.strerror}") from error
    broken = False

    def write(document: dict[str, Json]) -> None:
        nonlocal broken
        if broken:
            return
        try:
            file.write(json.dumps(console.redact.value(document)) + "\n")
        except OSError as error:
            broken = True
            console.note(f"warning: no more events are written to `{path}`: {error.strerror}")

    try:
        yield write
    finally:
        with contextlib.suppress(OSError):
            file.close()
