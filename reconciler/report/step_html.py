"""The steps of a plan as parts of a page: what they send and change, as a reviewer reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from reconciler.model.plan import Change, Message, Share, Step, describe
from reconciler.model.values import Json, Value, masked, shown
from reconciler.report.fields import before_note, is_set, literally
from reconciler.report.page import Html, el, folded, joined, prose
from reconciler.report.worddiff import excerpt, word_diff
from reconciler.report.words import plural, step_title, wait_text

_LONG: Final = 280
"""Longer texts (in characters) are folded."""
_LONG_LINES: Final = 5
_INLINE: Final = 80
"""Characters of two values whose difference fits in a line."""
_FIRST: Final = 90
_URL: Final = 96
"""Longer URLs (in characters) are folded."""
_ENDS: Final = (64, 20)
_DIGEST: Final = 12


def step_html(step: Step) -> Html:
    """What a step is, why, what it waits for, and its details."""
    head = [badge(step, step_title(step)), *([" ", prose(step.reason)] if step.reason else [])]
    wait = wait_text(step)
    waits = [" ", el("span", prose(wait), class_="soft")] if wait else []
    return el("div", el("p", *head, *waits), _details(step), class_="step")


def badge(step: Step, title: str = "") -> Html:
    words = describe(step).words
    return el("b", f"{words.symbol} {title or words.verb}", class_=f"badge {words.color}")


def _details(step: Step) -> Html:
    fresh = describe(step).begins == "project"
    sent = Html("")
    if isinstance(step, Message):
        text = step.message.body.get("message", "")
        rest = {name: value for name, value in step.message.body.items() if name != "message"}
        sent = joined(long_text("Message", value_text(masked(text)) + literally(text)), _fields(rest))
    elif isinstance(step, Share):
        sent = _fields(step.body)
    items = [_change(change, fresh=fresh) for change in step.changes]
    return joined(sent, el("ul", *items) if items else "")


def _fields(sent: Mapping[str, Value]) -> Html:
    """The fields of a request."""
    items = [el("li", el("b", name), " = ", _field(name, value)) for name, value in sent.items()]
    return el("ul", *items) if items else Html("")


def _field(name: str, value: Value) -> Html:
    readable = _references(masked(value)) if name == "references" else None
    return joined(readable or long_value(name, value_text(masked(value))), literally(value))


def _change(change: Change, *, fresh: bool) -> Html:
    name = el("b", change.path.removeprefix("settings."))
    return el("li", name, _notes(change, fresh=fresh), ": ", _values(change, fresh=fresh))


def _notes(change: Change, *, fresh: bool) -> Html:
    """What is to be said about a change, in brackets."""
    notes = [] if fresh else [before_note(change)]
    notes += ["drift: changed outside the reconciler"] if change.drift else []
    notes += [f"forces replacement: {change.forces}"] if change.forces else []
    notes += [] if change.sensitive else [literally(change.after).strip(" ()")]
    told = "; ".join(note for note in notes if note)
    return el("span", " (", prose(told), ")", class_="soft") if told else Html("")


def _values(change: Change, *, fresh: bool) -> Html:
    """The value after a change, as a difference where the one before is known."""
    before, after = shown(change.before), shown(change.after)
    text = "null (cleared)" if after is None and not fresh else value_text(after)
    listed = _reference_list(after) if change.path == "references" else None
    if fresh or before is None:
        value = el("ul", *(el("li", one) for one in listed)) if listed else long_value(change.path, text)
        unknown = before is None and change.before_source == "none"
        return value if fresh or not unknown else joined(el("span", "not known → ", class_="soft"), value)
    if is_set(before) and is_set(after):
        return _items(_names(before), _names(after))
    old = _reference_list(before) if listed is not None else None
    if old is not None and listed is not None:
        return _items(old, listed)
    if after is None:
        return joined(el("del", value_text(before)), f" → {text}")
    if value_text(before) == text:
        return joined(el("code", text), " (another secret)" if change.sensitive else "")
    return _difference(value_text(before), text)


def _difference(before: str, after: str) -> Html:
    runs = word_diff(before, after)
    if len(before) + len(after) <= _INLINE and "\n" not in before + after:
        return el("span", *(run_html(kind, part) for kind, part in runs))
    cut = excerpt(runs)
    diff = el("div", *(run_html(kind, part) for kind, part in cut), class_="text")
    if is_long(after) or cut != runs:
        return joined(diff, folded(f"Whole text ({plural(len(after), 'character')})", el("div", after, class_="text")))
    return diff


def _items(before: Sequence[str], after: Sequence[str]) -> Html:
    """The items of a list that come, stay and go."""
    gone = [el("li", el("del", name)) for name in before if name not in after]
    return el("ul", *gone, *(el("li", name if name in before else el("ins", name)) for name in after))


def _names(value: Json) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _references(value: Json) -> Html | None:
    listed = _reference_list(value)
    return el("ul", *(el("li", one) for one in listed)) if listed else None


def _reference_list(value: Json) -> list[Html] | None:
    """Each reference in words; ``None`` where the value is no list."""
    return [_reference(item) for item in value] if isinstance(value, list) else None


def _reference(item: Json) -> Html:
    match item:
        case {"project": str(address), "type": str(kind), **rest} if not rest:
            return joined(f"{kind} of project ", el("code", address))
        case {"file": str(path), "digest": str(digest), **rest} if not rest:
            return joined("file ", el("code", path), " ", el("code", f"{digest[:_DIGEST]}…", title=digest))
        case {"upload_id": str(name), **rest} if not rest:
            return joined("upload ", el("code", name))
        case {"url": str(url), "type": str(kind), **rest} if not rest:
            return joined(f"{kind} ", _url(url))
        case {"url": str(url), **rest} if not rest:
            return _url(url)
        case _:
            return el("code", value_text(item))


def _url(url: str) -> Html:
    """A URL as text; of a long one, the ends, and under them the whole."""
    if len(url) <= _URL:
        return el("code", url)
    start, end = _ENDS
    return folded(f"{url[:start]}…{url[-end:]}", el("div", url, class_="text mono"))


def run_html(kind: str, part: str) -> Html:
    """A run of a difference in words."""
    return el("del", part) if kind == "gone" else el("ins", part) if kind == "new" else joined(part)


def is_long(value: str) -> bool:
    return len(value) > _LONG or value.rstrip("\n").count("\n") >= _LONG_LINES


def long_value(label: str, value: str) -> Html:
    """A short value: words as they are, anything else as code. One of several lines or of many words as a text."""
    if "\n" in value or is_long(value):
        return long_text(label, value)
    words = value.split(" ")
    return joined(value) if value[:1].isalnum() and len(words) > 1 and all(words) else el("code", value)


def long_text(label: str, value: str) -> Html:
    """A text as written; a long one is folded under its first words."""
    block = el("div", value, class_="text")
    if not is_long(value):
        return block
    first = " ".join(value[: _FIRST * 2].split())[:_FIRST]
    name = el("span", f"{label.removeprefix('settings.')}: ", class_="sr")
    return folded(joined(name, f"{first}… ", el("span", f"({plural(len(value), 'character')})", class_="soft")), block)


def value_text(value: Json) -> str:
    value = shown(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
