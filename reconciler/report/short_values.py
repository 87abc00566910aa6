"""A plan's digests, tokens and signed URLs, shortened for people. Two that differ never look the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from reconciler.model.plan import Message, Plan, Share, Step
from reconciler.model.values import Json, has_secret, masked_fields, shown

_LONG: Final = 40
"""Shorter texts stay as they are."""
_OPAQUE: Final = r"(?a)(?<=\?)\S{25,}|(?<![\w-])(?=[\w-]*\d)[\w-]{40,}"
"""What nobody reads: the query of a URL, and digests and tokens, which have digits."""
_START, _END = 8, 6
"""The characters that stay."""


def with_short_values(plan: Plan) -> Plan:
    """The plan for display, without what would make its lines long and its differences hard to find."""
    short = _short_forms({text for step in plan.steps for text in _texts(step)})
    return replace(plan, steps=tuple(_shortened(step, short) for step in plan.steps)) if short else plan


def _short_forms(texts: set[str]) -> dict[str, str]:
    """The short forms that stand for only one text, which none of the texts reads like."""
    forms = {text: re.sub(_OPAQUE, lambda found: f"{found[0][:_START]}…{found[0][-_END:]}", text) for text in texts}
    counts = Counter(forms.values())
    return {text: form for text, form in forms.items() if form != text and counts[form] == 1}


def _texts(step: Step) -> Iterator[str]:
    """Values without spaces that may be shortened, such as URLs, digests and tokens, or look as if they were."""
    for change in step.changes:
        yield from _long(shown(change.before))
        yield from _long(shown(change.after))
    yield from _long(_body(step))


def _body(step: Step) -> dict[str, Json]:
    """The fields of the body that are shown as they are."""
    body = step.message.body if isinstance(step, Message) else step.body if isinstance(step, Share) else {}
    return masked_fields({name: value for name, value in body.items() if not has_secret(value)})


def _long(value: Json) -> Iterator[str]:
    match value:
        case str() if (len(value) > _LONG or "…" in value) and not re.search(r"\s", value):
            yield value
        case dict():
            for item in value.values():
                yield from _long(item)
        case list():
            for item in value:
                yield from _long(item)
        case _:
            pass


def _shortened(step: Step, short: Mapping[str, str]) -> Step:
    changes = tuple(
        replace(c, before=_with(shown(c.before), short), after=_with(shown(c.after), short)) for c in step.changes
    )
    step = replace(step, changes=changes)
    body = {name: _with(value, short) for name, value in _body(step).items()}
    match step:
        case Message():
            return replace(step, message=replace(step.message, body={**step.message.body, **body}))
        case Share():
            return replace(step, body={**step.body, **body})
        case _:
            return step


def _with(value: Json, short: Mapping[str, str]) -> Json:
    match value:
        case str():
            return short.get(value, value)
        case dict():
            return {key: _with(item, short) for key, item in value.items()}
        case list():
            return [_with(item, short) for item in value]
        case _:
            return value
