"""Projects of one ``for_each`` whose steps are alike, as one block: what they have in common once, and a table of the rest.

All views of a plan share this. What a reviewer must not miss is never in a group: a project that is replaced, cancelled, let
go, changed outside or that something was found about stands by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model.errors import Diagnostic
from reconciler.model.plan import Adopt, Change, Create, Message, Move, Render, Share, Step, describe, sent_body
from reconciler.model.values import Json, Value, canonical, has_secret, masked_fields, shown

LEAST: Final = 3
"""Fewer projects are read faster one by one."""
_OPEN, _CLOSE = "‹", "›"
_PIECE: Final = r"\w+|\s+|[^\w\s]"
_GAPS: Final = 3
"""A text that differs in more places is one gap from the first to the last."""
_WORK: Final = 4_000_000
"""How many pairs of words are compared at most; beyond, a text has one gap."""

_Run = str | tuple[str, ...]
"""A part of a text that is the same for all projects, or one for each."""


class Group(Struct, frozen=True, kw_only=True):
    """One project, or several with steps that are alike.

    Of several, ``address`` and ``steps`` have placeholders (``promo[‹1›]``, ``‹2›``) where the projects differ; such steps are
    for reading, not for sending. ``columns`` are the placeholders that the address does not explain, and ``rows`` what they
    stand for: a text for each column, in the order of ``addresses``. Two different texts of a column never look the same.
    """

    address: str
    steps: list[Step]
    addresses: tuple[str, ...]
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


class _Names(dict[tuple[str, ...], str]):
    """The placeholders, by what they stand for: a text for each project."""

    def __missing__(self, fills: tuple[str, ...]) -> str:
        self[fills] = f"{_OPEN}{len(self) + 1}{_CLOSE}"
        return self[fills]


class _UnclearError(Exception):
    """A group would hide something, or a text would look like a placeholder."""


def group_projects(projects: Mapping[str, list[Step]], diagnostics: Iterable[Diagnostic]) -> list[Group]:
    """The projects in the given order; those of a group stand where its first one does."""
    found = {d.address for d in diagnostics if d.severity != "note" or d.attention}
    alike: dict[object, list[str]] = {}
    for address, steps in projects.items():
        grouped = "[" in address and address not in found and not any(map(_stands_alone, steps))
        alike.setdefault(_shape(address, steps) if grouped else address, []).append(address)
    return [group for addresses in alike.values() for group in _groups({each: projects[each] for each in addresses})]


def _stands_alone(step: Step) -> bool:
    return describe(step).effect == "ends" or any(change.drift or change.forces for change in step.changes)


def _shape(address: str, steps: list[Step]) -> object:
    """What projects of one group have in common, whatever their texts."""
    name, key = _split(address)
    return name, len(key), tuple(map(_step_shape, steps))


def _step_shape(step: Step) -> object:
    own: object = None
    match step:
        case Create():
            own = step.generation
        case Message():
            own = step.message.id, step.resumes, tuple(step.message.body)
        case Share() | Render():
            own = tuple(step.body)
        case _:
            pass
    changes = tuple((c.path, c.before_source, c.sensitive, c.before is None, c.after is None) for c in step.changes)
    return step.action, own, step.project_id is None, len(step.after), changes


def _split(address: str) -> tuple[str, list[str]]:
    name, _, key = address.partition("[")
    return name, key.removesuffix("]").split(",")


def _groups(projects: Mapping[str, list[Step]]) -> Iterator[Group]:
    try:
        if len(projects) >= LEAST:
            yield _group(projects)
            return
    except _UnclearError:
        pass
    for address, steps in projects.items():
        yield Group(address=address, steps=steps, addresses=(address,))


def _group(projects: Mapping[str, list[Step]]) -> Group:
    names = _Names()
    base = _split(next(iter(projects)))[0]
    keys = zip(*(_split(address)[1] for address in projects), strict=True)
    address = f"{base}[{','.join(part[0] if len({*part}) == 1 else names[part] for part in keys)}]"
    explained = len(names)
    steps = [_common_step(each, address, names) for each in zip(*projects.values(), strict=True)]
    columns = [_distinct(fills) for fills in [*names][explained:]]
    return Group(
        address=address,
        steps=steps,
        addresses=tuple(projects),
        columns=tuple([*names.values()][explained:]),
        rows=tuple(zip(*columns, strict=True)) or ((),) * len(projects),
    )


def _distinct(fills: tuple[str, ...]) -> tuple[str, ...]:
    """The texts as they are; in quotes where white space or nothing would not be seen."""
    plain = all(fill and fill == fill.strip() and '"' not in fill for fill in fills)
    return fills if plain else tuple(map(canonical, fills))


# What steps have in common


def _common_step(steps: Sequence[Step], address: str, names: _Names) -> Step:
    first = steps[0]
    ids = [step.project_id or "" for step in steps]
    common = replace(
        first,
        address=address,
        project_id=_common_text(ids, names) if first.project_id else None,
        reason=_common_text([step.reason for step in steps], names),
        waits_for=_common_wait([step.waits_for for step in steps], names),
        after=tuple(_common_text(each, names) for each in zip(*(step.after for step in steps), strict=True)),
        changes=tuple(_common_change(each, names) for each in zip(*(step.changes for step in steps), strict=True)),
    )
    match common:
        case Message():
            body = _common_body(steps, names)
            return replace(common, message=replace(common.message, body=body))
        case Adopt() | Share() | Render():
            return replace(common, body=_common_body(steps, names))
        case Move():
            origins = [step.from_address for step in steps if isinstance(step, Move)]
            return replace(common, from_address=_common_text(origins, names))
        case _:
            return common


def _common_wait(waits: Sequence[str | None], names: _Names) -> str | None:
    """What all wait for, or how many of them do."""
    waiting = [wait for wait in waits if wait]
    if waiting and len({*waiting}) == 1 < len({*waits}):
        return f"{_common_text(waiting, names)}, {len(waiting)} of {len(waits)}"
    return _common_text([wait or "nothing" for wait in waits], names) if waiting else None


def _common_change(changes: Sequence[Change], names: _Names) -> Change:
    before = _common([shown(change.before) for change in changes], names)
    return replace(changes[0], before=before, after=_common([shown(change.after) for change in changes], names))


def _common_body(steps: Sequence[Step], names: _Names) -> Mapping[str, Value]:
    bodies = [sent_body(step) for step in steps]
    if all(body == bodies[0] for body in bodies):
        return bodies[0]
    if any(map(has_secret, bodies)):
        raise _UnclearError
    shown_bodies = [masked_fields(body) for body in bodies]
    return {field: _common([body[field] for body in shown_bodies], names) for field in bodies[0]}


def _common(values: Sequence[Json], names: _Names) -> Json:
    """The value with placeholders for what differs in its texts."""
    first = values[0]
    if texts := [value for value in values if isinstance(value, str)]:
        alike = len(texts) == len(values)
        return _common_text(texts, names) if alike else names[tuple(map(canonical, values))]
    maps = [value for value in values if isinstance(value, dict)]
    if len(maps) == len(values) and all(each.keys() == maps[0].keys() for each in maps):
        return {key: _common([each[key] for each in maps], names) for key in maps[0]}
    lists = [value for value in values if isinstance(value, list)]
    if len(lists) == len(values) and all(len(each) == len(lists[0]) for each in lists):
        return [_common(each, names) for each in zip(*lists, strict=True)]
    return first if all(value == first for value in values) else names[tuple(map(canonical, values))]


def _common_text(texts: Sequence[str], names: _Names) -> str:
    if any(_OPEN in text or _CLOSE in text for text in texts):
        raise _UnclearError
    if len({*texts}) == 1:
        return texts[0]
    runs = _runs([re.findall(_PIECE, text) for text in texts], names)
    return "".join(run if isinstance(run, str) else names[run] for run in runs)


def _runs(texts: list[list[str]], names: _Names) -> list[_Run]:
    """What is the same and what differs, in turn."""
    shortest = min(map(len, texts))
    start = next((i for i in range(shortest) if len({text[i] for text in texts}) > 1), shortest)
    room = shortest - start
    end = next((i for i in range(room) if len({text[-1 - i] for text in texts}) > 1), room)
    middles = [text[start : len(text) - end] for text in texts]
    inner = _merged(_inner(middles), names)
    if sum(not isinstance(run, str) for run in inner) > _GAPS:
        inner = [tuple(map("".join, middles))]
    first = texts[0]
    return ["".join(first[:start]), *inner, "".join(first[len(first) - end :])]


def _inner(texts: list[list[str]]) -> list[_Run]:
    """The runs of texts that differ at both ends."""
    runs: list[_Run] = []
    at = [0] * len(texts)
    same = ""
    for anchor in [*_anchors(texts), tuple(map(len, texts))]:
        fills = tuple("".join(text[i:j]) for text, i, j in zip(texts, at, anchor, strict=True))
        if any(fills):
            runs += [same, fills] if same else [fills]
            same = ""
        same += "".join(texts[0][anchor[0] : anchor[0] + 1])
        at = [index + 1 for index in anchor]
    return runs


def _merged(runs: list[_Run], names: _Names) -> list[_Run]:
    """The runs without those that are only a space or a mark between two differences, unless these have names already."""
    merged: list[_Run] = []
    for run in runs:
        if isinstance(run, tuple) and len(merged) > 1 and isinstance(merged[-1], str):
            between, before = merged[-1], merged[-2]
            known = run in names and before in names
            if not known and not re.search(r"\w", between):
                whole = tuple(f"{one}{between}{other}" for one, other in zip(before, run, strict=True))
                merged[-2:] = [whole]
                continue
        merged.append(run)
    return merged


def _anchors(texts: list[list[str]]) -> list[tuple[int, ...]]:
    """Where words that all texts share are in each of them, in order."""
    first, *others = texts
    if all(len(text) == len(first) for text in others):
        same = [i for i in range(len(first)) if all(text[i] == first[i] for text in others)]
        if len(same) * 2 >= len(first):
            return [(i,) * len(texts) for i in same]
    if len(first) * sum(map(len, others)) > _WORK:
        return []
    places = [_matches(first, other) for other in others]
    return [(i, *(found[i] for found in places)) for i in range(len(first)) if all(i in found for found in places)]


def _matches(first: list[str], other: list[str]) -> dict[int, int]:
    blocks = SequenceMatcher(None, first, other, autojunk=False).get_matching_blocks()
    return {block.a + i: block.b + i for block in blocks for i in range(block.size)}
