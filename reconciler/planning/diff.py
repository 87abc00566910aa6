"""Differences between two JSON values. The only user of deepdiff, and only where they are not equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model.values import Json


def differences(before: Mapping[str, Json], after: Mapping[str, Json]) -> Iterator[tuple[str, Json, Json]]:
    """``(path, before, after)`` for every leaf that differs, with paths like ``references[1].url``. Absent is ``None``."""
    if before == after:
        return
    from deepdiff import DeepDiff  # noqa: PLC0415  80 ms that only a changed project costs

    found = DeepDiff(before, after, view="tree", verbose_level=2, threshold_to_diff_deeper=0)
    rows = [
        (_path(item.path(output_format="list")), _plain(item.t1), _plain(item.t2))
        for group in found.values()
        for item in group
    ]
    yield from sorted(rows, key=lambda row: row[0])


def _plain(value: Json) -> Json:
    return None if type(value).__name__ == "NotPresent" else value


def _path(parts: list[str | int]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
