"""Signs of which version of the API the server speaks: in a refusal, in the answer to a PATCH, and in the list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Raw
from msgspec.json import decode

from reconciler.adapters.api.answers import Bytes
from reconciler.model import contract
from reconciler.model.contract_conversions import fits
from reconciler.model.contract_tables import Contract
from reconciler.model.values import Json

_UNKNOWN: Final = (
    r"unknown|unrecogni[sz]ed|unexpected|unsupported|additional|extra|no such|does not exist|removed|deprecated|gone|"
    r"not (?:a |an )?(?:known|allowed|permitted|supported|valid|recogni[sz]ed|defined|accepted|expected)|invalid"
)
_WRONG: Final = rf"{_UNKNOWN}|must be|one of|enum|expected|at most|too long|exceed|maximum|longer"
"""Compiled where a server refuses something, not at each start: that takes as long as a module."""


def told_by_refusal(call: contract.Call, sent: Mapping[str, Json], message: str) -> tuple[str, ...]:
    """The versions that a refused request speaks for: the server names a field as wrong that is right in the version in
    force, and would be wrong in these. None if it says nothing of the kind.
    """
    named = [name for name in sent if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", message)]
    scores: dict[str, int] = {}
    for api in _others():
        wrong = [name for name in sent if _is_wrong(api, call, name, sent[name])]
        told = [name for name in wrong if name in named and _complains(api, call, name, message)]
        if told:  # what would be wrong too and is not named speaks against it
            scores[api.version] = 2 * len(told) - len(wrong)
    best = max(scores.values(), default=0)
    return tuple(version for version, score in scores.items() if score == best)


def _complains(api: Contract, call: contract.Call, name: str, message: str) -> bool:
    """Whether a version may complain of a field in such words."""
    words = _WRONG if any(field.name == name for field in api.fields_of(call)) else _UNKNOWN
    return re.search(words, message, re.IGNORECASE) is not None


def _is_wrong(api: Contract, call: contract.Call, name: str, value: Json) -> bool:
    """Whether a version does not take a field's value."""
    field = next((field for field in api.fields_of(call) if field.name == name), None)
    if field is None:
        return True
    if isinstance(value, str) and field.max_length is not None and field.kind == "text":
        return len(value) > field.max_length
    return not fits(field, value)


def told_by_settings(body: Bytes) -> tuple[str, ...]:
    """The versions whose settings the answer to a PATCH shows, where it lacks some of the version in force."""
    try:
        shown = decode(body, type=dict[str, Raw])
    except (ValueError, RecursionError):
        return ()
    ours = {*contract.current().shown_in("settings")}
    missing, more = ours - shown.keys(), shown.keys() - ours
    scores: dict[str, int] = {}
    for api in _others():
        theirs = {*api.shown_in("settings")}
        if more & theirs and missing - theirs:
            scores[api.version] = sum(_fits(api, name, shown[name]) for name in theirs & shown.keys())
    best = max(scores.values(), default=0)
    return tuple(version for version, score in scores.items() if score == best)


def refusing(call: contract.Call, sent: Mapping[str, Json]) -> frozenset[str]:
    """The other versions that would refuse a request: a server that takes it speaks none of them."""
    return frozenset(
        api.version for api in _others() if any(_is_wrong(api, call, name, value) for name, value in sent.items())
    )


def telling_names(body: Bytes) -> frozenset[str]:
    """What a page of the list has of the settings that not every version shows there."""
    return frozenset(name for name in _telling() if re.search(rb'"%b"\s*:' % name.encode(), body))


def told_by_list(names: frozenset[str]) -> frozenset[str]:
    """The versions that a list with these :func:`telling_names` speaks for; none if it may be of the version in force."""
    telling = _telling()
    if telling & {*contract.current().shown_in("list")} == names:
        return frozenset()
    return frozenset(api.version for api in _others() if telling & {*api.shown_in("list")} == names)


def _telling() -> frozenset[str]:
    shown = [frozenset(api.shown_in("list")) for api in (contract.current(), *_others())]
    return frozenset().union(*shown) - frozenset.intersection(*shown)


def _fits(api: Contract, name: str, raw: Raw) -> bool:
    try:
        value: Json = decode(raw)
    except (ValueError, RecursionError):
        return False
    return value is None or fits(api.field(name), value)


def _others() -> Iterable[Contract]:
    """The other versions, the latest first."""
    force = contract.current().version
    return (contract.named(version) for version in reversed(contract.versions()) if version != force)
