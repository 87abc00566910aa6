"""Diagnostics for people (like rustc's and uv's) and for GitHub (workflow annotations)."""

from __future__ import annotations

from typing import Final

from reconciler.model.errors import Diagnostic, Severity
from reconciler.report.safe_text import clean, columns
from reconciler.report.style import Color, Style

_COLORS: Final[dict[Severity, Color]] = {"error": "red", "warning": "yellow", "note": "cyan"}
_ORDER: Final[dict[Severity, int]] = {"error": 0, "warning": 1, "note": 2}


def diagnostic_text(diagnostic: Diagnostic, *, style: Style) -> str:
    """``error: …``, the place and the details, without a final newline. ``!`` marks what needs attention."""
    code = f"[{clean(diagnostic.code)}]" if diagnostic.code else ""
    mark = "! " if diagnostic.attention else ""
    label = style.paint(f"{mark}{diagnostic.severity}{code}:", "bold", _COLORS[diagnostic.severity])
    lines = [f"{label} {style.paint(clean(diagnostic.summary), 'bold')}"]
    place = _place(diagnostic)
    if place:
        lines.append(style.paint("  --> ", "cyan") + place)
    lines += _source(diagnostic, style)
    if diagnostic.detail:
        lines += [f"    {line}".rstrip() for line in clean(diagnostic.detail.rstrip(), multiline=True).split("\n")]
    return "\n".join(lines)


def _source(diagnostic: Diagnostic, style: Style) -> list[str]:
    """The source line, cut to the style's width, and a caret under the column."""
    at, line = diagnostic.location, diagnostic.source
    if at is None or at.line is None or at.column is None or line is None or not 0 < at.column <= len(line) + 1:
        return []
    gutter = f"{at.line:>5} | "
    space = max(style.width - len(gutter), 20)
    caret = at.column - 1
    start = 0 if len(line) <= space else max(0, min(caret - space // 2, len(line) - space))
    before = clean(("…" if start else "") + line[start + bool(start) : caret])
    cut = len(line) > start + space
    after = clean(line[caret : start + space - cut] + ("…" if cut else ""))
    mark = " " * columns(before) + style.paint("^", "bold", _COLORS[diagnostic.severity])
    return [
        style.paint(gutter, "cyan") + (before + after).rstrip(),
        style.paint(" " * (len(gutter) - 2) + "| ", "cyan") + mark,
    ]


def _place(diagnostic: Diagnostic) -> str:
    """The file and, unless the summary names it, the address."""
    address = clean(diagnostic.address or "")
    named = not address or address in diagnostic.summary
    if diagnostic.location is None:
        return "" if named else address
    return clean(str(diagnostic.location)) + ("" if named else f" ({address})")


def by_weight(diagnostics: tuple[Diagnostic, ...]) -> list[Diagnostic]:
    """Errors first, then what needs attention, warnings and notes; otherwise in the given order."""
    return sorted(diagnostics, key=lambda d: (d.severity != "error", not d.attention, _ORDER[d.severity]))


def diagnostic_github(diagnostic: Diagnostic) -> str:
    """A workflow command that makes GitHub annotate the file; nothing in the diagnostic can end it or start another."""
    location = diagnostic.location
    properties = {
        "file": location.file if location else None,
        "line": location.line if location else None,
        "col": location.column if location else None,
        "title": diagnostic.summary if diagnostic.detail else None,
    }
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items() if value is not None)
    command = "notice" if diagnostic.severity == "note" else diagnostic.severity
    message = _data(clean(diagnostic.detail or diagnostic.summary, multiline=True))
    return f"::{command} {given}::{message}" if given else f"::{command}::{message}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(clean(text)).replace(":", "%3A").replace(",", "%2C")
