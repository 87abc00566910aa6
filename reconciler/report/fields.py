"""Values and their changes for people: short ones on a line, long ones as a diff of lines and sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Final

from msgspec.structs import replace

from reconciler.model.live import Source
from reconciler.model.plan import Change
from reconciler.model.redact import REPLACEMENT
from reconciler.model.values import Json, Value, has_secret, shown
from reconciler.report.safe_text import clean, columns, pad
from reconciler.report.style import Color, Style
from reconciler.report.wrapping import LONGEST, broken

SHORT_LINES: Final = 6
"""How many lines of a long text are shown without ``-v``."""

_MARGIN: Final = "    "
"""Before the lines of a long value."""
_SENTENCE: Final = r"(?<=[.!?…]\s)(?=\S)"
_SOURCES: Final[dict[Source, str]] = {"sent": "as last sent", "patch": "as in the API's last answer"}
"""Where the value before comes from, unless it was just read or is unknown."""
_NOT_KNOWN: Final = "not known"
_SIGNS: Final[dict[str, Color]] = {"+": "green", "-": "red"}


def changes_lines(
    changes: tuple[Change, ...], *, style: Style, verbose: bool, fresh: bool, flush: bool = False
) -> list[str]:
    """Lines for the fields of one step, not indented.

    ``fresh``: the project is new, so there is nothing before. ``flush``: the signs of a long text's diff are at the margin
    too, where diff highlighting expects them.
    """
    names = {change.path: clean(change.path.removeprefix("settings.")) for change in changes}
    short = [change for change in changes if not _is_long(change, fresh, style.width)]
    width = max((columns(names[change.path]) for change in short), default=0)
    lines: list[str] = []
    for change in changes:
        sign = _sign(change, fresh)
        head = f"{style.paint(sign, _SIGNS.get(sign, 'yellow'))} "
        notes = _notes(change, fresh, style)
        if change in short:
            text = _one_line(change, fresh)
            lines.append(f"{head}{pad(names[change.path], width)} = {text}{notes}")
        else:
            unknown = "" if fresh or change.before_source != "none" else f"  (before: {_NOT_KNOWN})"
            lines.append(f"{head}{names[change.path]}:{unknown}{notes}")
            inner = replace(style, width=style.width - len(_MARGIN))
            block = _block(
                None if fresh or _is_kept(change, fresh) else change.before, change.after, inner, whole=verbose
            )
            margin = "" if flush and not fresh and change.before is not None else _MARGIN
            lines += [margin + line for line in shortened(block, verbose=verbose)]
    return lines


def value_text(value: Json) -> str:
    """A value on one line, clean."""
    value = shown(value)
    return REPLACEMENT if value == REPLACEMENT else clean(json.dumps(value, ensure_ascii=False))


def prose(text: str, width: int) -> list[str]:
    """Clean, wrapped lines of a text."""
    lines: list[str] = []
    for line in clean(text, multiline=True).rstrip("\n").split("\n"):
        lines += [clean(part) for part in _wrapped(line, width)] or [""]
    return lines


def _wrapped(line: str, width: int) -> Iterable[str]:
    """Parts that end before a space: like textwrap, many times faster. Longer words are whole; scripts without spaces and
    with wide characters are broken anywhere.
    """
    if not line.isascii() and columns(line) != len(line):
        return broken(line, width)
    parts = re.findall(rf"^.{{1,{width}}}(?= |$)|[^ ].{{0,{width - 1}}}(?= |$)|[^ ]{{1,{LONGEST}}}", line)
    return filter(None, map(str.rstrip, parts))


def shortened(lines: list[str], *, verbose: bool) -> list[str]:
    if verbose or len(lines) <= SHORT_LINES + 1:  # one hidden line would take as much room as it saves
        return lines
    kept = lines[:SHORT_LINES]
    while len(kept) > 1 and not kept[-1]:
        kept.pop()
    return [*kept, f"… {len(lines) - len(kept)} more lines"]


def _is_long(change: Change, fresh: bool, width: int) -> bool:
    values = (change.after,) if fresh or _is_kept(change, fresh) else (change.before, change.after)
    if len(values) == 2 and all(map(is_set, values)):
        return True  # a line for each item tells what comes and what goes
    lines = any(isinstance(value, str) and "\n" in value for value in values)
    room = min(width, 100) * 2 // 3 if len(values) == 2 else width - 10
    return lines or sum(columns(value_text(value)) for value in values) > room


def is_set(value: Json) -> bool:
    """Whether a value is a list of names."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_kept(change: Change, fresh: bool) -> bool:
    """Whether a replacement has the value that the project before it had."""
    return not fresh and change.before_source != "none" and not change.sensitive and change.before == change.after


def _sign(change: Change, fresh: bool) -> str:
    if _is_kept(change, fresh):
        return " "
    if fresh or (change.before is None and change.before_source in ("list", "status", "patch", "sent")):
        return "+"
    return "-" if change.after is None else "~"


def _one_line(change: Change, fresh: bool) -> str:
    after = "null (cleared)" if change.after is None and not fresh else value_text(change.after)
    if _sign(change, fresh) in "+ ":
        return after
    before = f"({_NOT_KNOWN})" if change.before_source == "none" else value_text(change.before)
    same = change.sensitive and before == after
    return f"{before} -> {after}" + (" (another secret)" if same else "")


def before_note(change: Change) -> str:
    """Where the value before comes from; empty if it was just read."""
    return _SOURCES.get(change.before_source, "")


def literally(value: Value) -> str:
    """A note on a value that looks like a variable and is sent literally."""
    return "" if has_secret(value) or "${env." not in json.dumps(value) else "  (sent literally)"


def _notes(change: Change, fresh: bool, style: Style) -> str:
    if _is_kept(change, fresh):
        return style.paint("  (unchanged)", "dim")
    source = before_note(change)
    notes = [f"({source})"] if source and not fresh else []
    if not change.sensitive and (note := literally(change.after)):
        notes.append(note.strip())
    if change.drift:
        notes.append("(drift: changed outside the reconciler)")
    forces = style.paint(f"  # forces replacement: {clean(change.forces)}", "red") if change.forces else ""
    return (style.paint("  " + "  ".join(notes), "dim") if notes else "") + forces


def _block(before: Json, after: Json, style: Style, *, whole: bool) -> list[str]:
    """A long value: in full if there was none before, else as a diff (``whole``: with all that is unchanged)."""
    if before is not None:
        return _diff(_units(before), _units(after), style, whole=whole)
    if isinstance(after, str):
        return prose(after, style.width)
    return _units(after)


def _units(value: Json) -> list[str]:
    """The parts by which a long value is compared: sentences of a text, items of a list."""
    value = shown(value)
    if value is None:
        return []
    if isinstance(value, str):
        return [unit for line in value.rstrip("\n").split("\n") for unit in re.split(_SENTENCE, line)]
    if isinstance(value, list):
        return [value_text(item) for item in value]
    return [value_text(value)]


def _diff(before: list[str], after: list[str], style: Style, *, whole: bool) -> list[str]:
    """Removed and added units with one unchanged unit around them; ``…`` stands for more unchanged ones."""
    if before == after:
        return ["(only white space at the end differs)", *_signed(" ", after, style)]
    lines: list[str] = []
    matcher = SequenceMatcher(a=before, b=after)
    for group in [matcher.get_opcodes()] if whole else matcher.get_grouped_opcodes(1):
        if group[0][1] > 0 and not whole:
            lines.append("…")
        for tag, a, b, c, d in group:
            if tag == "equal":
                lines += _signed(" ", before[a:b], style)
            else:
                lines += _signed("-", before[a:b], style)
                lines += _signed("+", after[c:d], style)
    return lines


def _signed(sign: str, units: list[str], style: Style) -> list[str]:
    lines = [f"{sign} {line}".rstrip() for unit in units for line in prose(unit, style.width - 2)]
    return [style.paint(line, _SIGNS[sign]) for line in lines] if sign in _SIGNS else lines
