"""The state and the journal as JSON: version sniffed first, a future version names its writer (OpenTofu's statefile)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import pydantic
import pydantic_core
from pydantic import Field, TypeAdapter

from reconciler.model.desired import ADDRESS
from reconciler.model.errors import StateError, StateMismatchError
from reconciler.model.journal import Begin, End, Record
from reconciler.model.state import FORMAT_VERSION, Entry, State
from reconciler.model.values import Json

MAX_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class JournalHeader:
    """First line of a journal: which state it continues. ``writer`` tells runs apart that share a store."""

    journal: int
    lineage: str
    serial: int
    workspace: str
    api_url: str
    writer: str = ""


@dataclass(frozen=True, slots=True)
class Follows:
    """What a snapshot in a store has folded in: the journal of ``serial`` up to its object number ``objects``."""

    serial: int
    objects: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """``state`` with the journal folded in; ``folded`` says that the journal held anything."""

    state: State | None
    folded: bool = False


@cache
def _state() -> TypeAdapter[State]:
    return TypeAdapter(State)


@cache
def _entry() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)


@cache
def _record() -> TypeAdapter[Record]:
    return TypeAdapter(Annotated[Begin | End, Field(discriminator="type")])


@cache
def _header() -> TypeAdapter[JournalHeader]:
    return TypeAdapter(JournalHeader)


def encode_state(state: State, version: str, *, follows: Follows | None = None, writer: str = "") -> bytes:
    """The snapshot, for people to read as well."""
    head: dict[str, Json] = {"format_version": FORMAT_VERSION, "reconciler_version": version}
    if follows is not None:
        head |= {"writer": writer, "follows": {"serial": follows.serial, "objects": follows.objects}}
    text = json.dumps(head, indent=1)
    return text.removesuffix("\n}").encode() + b"," + _state().dump_json(state, indent=1).removeprefix(b"{") + b"\n"


def decode_state(data: bytes, where: str) -> State:
    """Read a snapshot. Raises as :func:`decode_snapshot`."""
    return decode_snapshot(data, where)[0]


def decode_snapshot(data: bytes, where: str) -> tuple[State, Follows | None]:
    """Read a snapshot, and what it says of the journal before it.

    Raises:
        StateMismatchError: it is of a newer format.
        StateError: it is not a state, truncated or edited into something else; ``where`` names it.

    """
    try:
        document = pydantic_core.from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise StateError(f"`{where}` is not valid JSON", f"{error}. {_REMEDY}") from error
    if not isinstance(document, dict) or not isinstance(document.get("format_version"), int):
        raise StateError(f"`{where}` is not a reconciler state", f"It has no `format_version`. {_REMEDY}")
    if document["format_version"] > FORMAT_VERSION:
        writer = str(document.get("reconciler_version", "a later version"))
        raise StateMismatchError(
            f"`{where}` has format {document['format_version']}, this version reads up to {FORMAT_VERSION}",
            f"It was written by reconciler {writer}. Install that version or a later one.",
        )
    try:
        state = _state().validate_json(data, strict=True)
    except pydantic.ValidationError as error:
        raise StateError(f"`{where}` is damaged", f"{_first(error)}. {_REMEDY}") from error
    wrong = next((a for a in (*state.projects, *state.generations) if not ADDRESS.fullmatch(a)), None)
    if wrong is not None:
        raise StateError(f"`{where}` is damaged", f"{wrong!r} is not an address. {_REMEDY}")
    return state, _follows(document.get("follows"))


def _follows(said: Json) -> Follows | None:
    try:
        return Follows(int(said["serial"]), int(said["objects"]))
    except (TypeError, KeyError, ValueError):
        return None


def encode_entry(entry: Entry) -> Json:
    """One address' entry as the snapshot has it."""
    return _entry().dump_python(entry, mode="json")


def encode_record(record: Record) -> bytes:
    return _record().dump_json(record) + b"\n"


def encode_header(state: State, writer: str = "") -> bytes:
    header = JournalHeader(FORMAT_VERSION, state.lineage, state.serial, state.workspace, state.api_url, writer)
    return _header().dump_json(header, exclude_defaults=True) + b"\n"


def decode_journal(data: bytes, where: str) -> tuple[JournalHeader | None, list[Record], int]:
    """Header, records, and how many bytes of ``data`` are whole lines: a torn last line is normal and left out.

    Raises:
        StateMismatchError: of a newer format.
        StateError: a line that is not the last can't be read.

    """
    whole = data.rfind(b"\n") + 1
    lines = data[:whole].splitlines()
    if not lines:
        return None, [], 0
    try:
        header = _header().validate_json(lines[0], strict=True)
    except pydantic.ValidationError as error:
        raise StateError(f"`{where}` is not a reconciler journal", f"Line 1: {_first(error)}. {_JOURNAL}") from error
    if header.journal > FORMAT_VERSION:
        raise StateMismatchError(
            f"`{where}` has format {header.journal}, this version reads up to {FORMAT_VERSION}",
            "Install the version that wrote it, or a later one.",
        )
    records: list[Record] = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            records.append(_record().validate_json(line, strict=True))
        except pydantic.ValidationError as error:
            raise StateError(f"`{where}` is damaged", f"Line {number}: {_first(error)}. {_JOURNAL}") from error
    return header, records, whole


def _first(error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


_REMEDY = (
    "Restore it from git or a backup; or move it away and run `reconciler apply`, "
    "which finds what exists by the idempotency keys and makes nothing twice"
)
_JOURNAL = "Move it away and run `reconciler apply`: what it did is found in the account and not done again"
