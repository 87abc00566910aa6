"""The state and the journal as JSON. The version is read first, and a newer one names the program that wrote it."""

from __future__ import annotations

import re
from functools import cache
from typing import get_args, get_type_hints

import msgspec
from msgspec import Struct, ValidationError, convert, to_builtins
from msgspec.json import Decoder, decode, encode
from msgspec.structs import asdict

from reconciler.model.desired import ADDRESS
from reconciler.model.errors import StateError, StateMismatchError
from reconciler.model.journal import Record
from reconciler.model.state import FORMAT_VERSION, Entry, State
from reconciler.model.values import Json

MAX_BYTES = 512 * 1024 * 1024


class JournalHeader(Struct, frozen=True, omit_defaults=True):
    """The first line of a journal: the state that it continues. ``writer`` identifies a run among those that share a store."""

    journal: int
    lineage: str
    serial: int
    workspace: str
    api_url: str
    writer: str = ""
    environment: str | None = None

    @property
    def empty_state(self) -> State:
        """The state that it continues, without what that knows."""
        return State(lineage=self.lineage, workspace=self.workspace, environment=self.environment, api_url=self.api_url)


def _format_of(state: State) -> int:
    return 1 if state.environment is None else FORMAT_VERSION


class Follows(Struct, frozen=True):
    """What a snapshot in a store contains: the journal of ``serial`` up to its object number ``objects``."""

    serial: int
    objects: int


class _Head(Struct):
    """The members that every format has; the rest of the file is skipped."""

    format_version: int
    reconciler_version: Json = "a later version"
    follows: Json = None


@cache
def _records() -> Decoder[Record]:
    """Made once, and only if there is a journal: it takes 3 ms."""
    return Decoder(Record)


def encode_state(state: State, version: str, *, follows: Follows | None = None, writer: str = "") -> bytes:
    """The snapshot, indented for people."""
    head: dict[str, Json] = {"format_version": _format_of(state), "reconciler_version": version}
    if follows is not None:
        head |= {"writer": writer, "follows": {"serial": follows.serial, "objects": follows.objects}}
    fields = {key: value for key, value in asdict(state).items() if value is not None}
    return msgspec.json.format(encode({**head, **fields}), indent=1) + b"\n"


def decode_state(data: bytes, where: str) -> State:
    """Read a snapshot. Raises as :func:`decode_snapshot`."""
    return decode_snapshot(data, where)[0]


def decode_snapshot(data: bytes, where: str) -> tuple[State, Follows | None]:
    """Read a snapshot, and which part of the journal before it it contains.

    Raises:
        StateMismatchError: it is of a newer format.
        StateError: it is not a state, truncated or damaged; ``where`` names it.

    """
    try:
        head = decode(data, type=_Head)
    except ValidationError as error:
        raise StateError(f"`{where}` is not a reconciler state", f"It has no `format_version`. {_REMEDY}") from error
    except (ValueError, RecursionError) as error:
        raise StateError(f"`{where}` is not valid JSON", f"{error}. {_REMEDY}") from error
    if head.format_version > FORMAT_VERSION:
        raise StateMismatchError(
            f"`{where}` has format {head.format_version}, this version reads up to {FORMAT_VERSION}",
            f"It was written by reconciler {head.reconciler_version}. Install that version or a later one.",
        )
    try:
        state = decode(data, type=State)
    except (ValueError, RecursionError) as error:
        raise StateError(f"`{where}` is damaged", f"{_damage(error, data)}. {_REMEDY}") from error
    wrong = next((a for a in {**state.projects, **state.generations} if not ADDRESS.fullmatch(a)), None)
    if wrong is not None:
        raise StateError(f"`{where}` is damaged", f"{wrong!r} is not an address. {_REMEDY}")
    return state, _follows(head.follows)


def _follows(follows: Json) -> Follows | None:
    try:
        return convert(follows, Follows)
    except ValidationError:
        return None


def encode_entry(entry: Entry) -> Json:
    """The entry of one address as in the snapshot."""
    fields: Json = to_builtins(entry)
    return fields


def encode_record(record: Record) -> bytes:
    return encode(record) + b"\n"


def encode_header(state: State, writer: str = "") -> bytes:
    header = JournalHeader(
        _format_of(state), state.lineage, state.serial, state.workspace, state.api_url, writer, state.environment
    )
    return encode(header) + b"\n"


def decode_journal(data: bytes, where: str) -> tuple[JournalHeader | None, list[Record], int]:
    """Header, records, and how many bytes of ``data`` are complete lines. A torn last line is normal and left out.

    Raises:
        StateMismatchError: it is of a newer format.
        StateError: a line that is not the last can't be read.

    """
    whole = data.rfind(b"\n") + 1
    lines = data[:whole].splitlines()
    if not lines:
        return None, [], 0
    try:
        header = decode(lines[0], type=JournalHeader)
    except (ValueError, RecursionError) as error:
        raise StateError(f"`{where}` is not a reconciler journal", f"Line 1: {error}. {_JOURNAL}") from error
    if header.journal > FORMAT_VERSION:
        raise StateMismatchError(
            f"`{where}` has format {header.journal}, this version reads up to {FORMAT_VERSION}",
            "Install the version that wrote it, or a later one.",
        )
    records: list[Record] = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            records.append(_records().decode(line))
        except (ValueError, RecursionError) as error:
            raise StateError(f"`{where}` is damaged", f"Line {number}: {error}. {_JOURNAL}") from error
    return header, records, whole


def _damage(error: Exception, state: bytes) -> str:
    """What is wrong, and with which entry: msgspec leaves out the keys of mappings when it names a place."""
    keyed = re.search(r"`\$\.(\w+)\[\.\.\.\]", str(error))
    try:
        entries = decode(state)[keyed[1]] if keyed else None
    except ValueError:  # the rest is not even text
        entries = None
    if keyed and isinstance(entries, dict):  # it is not if a key comes twice
        kind = get_args(get_type_hints(State)[keyed[1]])[1]
        for key, entry in entries.items():
            try:
                convert(entry, kind)
            except ValidationError as wrong:
                return f"{keyed[1]}.{key}: {wrong}"
    return str(error)


_REMEDY = (
    "Restore it from git or a backup; or move it away and run `reconciler apply`, "
    "which finds existing projects by their idempotency keys and creates nothing twice"
)
_JOURNAL = "Move it away and run `reconciler apply`: it finds what was done in the account and does not repeat it"
