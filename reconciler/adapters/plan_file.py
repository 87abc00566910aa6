"""Saved plans: a JSON document in a file that only its owner may read, since it contains briefs."""

from __future__ import annotations

import json
from math import isinf
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from reconciler import files
from reconciler.model.errors import Diagnostic, Location, PlanFileError
from reconciler.model.plan import Plan
from reconciler.model.plan_json import decode_plan, encode_plan, json_text
from reconciler.model.values import Json

MAX_BYTES: Final = 256 * 1024 * 1024
"""Far more than a plan of ten thousand projects: a larger file is something else."""

_REMEDY = "Create a plan file with `reconciler plan --out FILE`."


def write_plan(path: Path, plan: Plan) -> None:
    """Write the plan, without what a policy says of it, with mode 0600. A reader of ``path`` sees the old file or the new one, never a part.

    Raises:
        PlanFileError: the file can't be written; the old one is unchanged.

    """
    data = json_text(encode_plan(replace(plan, policy=None))).encode()
    try:
        files.replace(path, data)
    except OSError as error:
        remedy = "Use a file in an existing folder that you can write to and that is not a link."
        raise PlanFileError(f"can't write the plan file `{path}`: {error.strerror}", remedy) from error


def read_plan(path: Path) -> Plan:
    """The plan in the file.

    Raises:
        PlanFileError: the file does not exist, is not a plan file, was edited, or has another format version.

    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PlanFileError(f"can't read the plan file `{path}`: {error.strerror}", _REMEDY) from error
    if len(data) > MAX_BYTES:
        raise PlanFileError(f"`{path}` is too large for a plan file ({MAX_BYTES >> 20} MiB at most)", _REMEDY)
    try:
        return decode_plan(_parse(path, data))
    except PlanFileError as error:
        located = (replace(d, location=d.location or Location(str(path))) for d in error.diagnostics)
        raise PlanFileError(tuple(located)) from error


def _parse(path: Path, data: bytes) -> Json:
    try:
        document: Json = json.loads(
            data.decode("utf-8-sig"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_without_repetition,
        )
    except json.JSONDecodeError as error:
        place = Location(str(path), error.lineno, error.colno)
        summary = f"`{path}` is not a plan file: {error.msg}"
        raise PlanFileError((Diagnostic(severity="error", summary=summary, detail=_REMEDY, location=place),)) from error
    # not UTF-8, NaN, a key twice, a number of thousands of digits, a thousand levels
    except (ValueError, RecursionError) as error:
        raise PlanFileError(f"`{path}` is not a plan file: its content is not usable JSON", _REMEDY) from error
    return document


def _refuse_constant(name: str) -> Json:
    raise ValueError(name)


def _finite(text: str) -> float:
    if isinf(float(text)):  # 1e999, which could not be written again
        raise ValueError(text)
    return float(text)


def _without_repetition(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object without repeated keys: of two, another reader may show the one and we send the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(pairs)
    return found
