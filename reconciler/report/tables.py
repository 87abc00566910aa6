"""Tables and lists for ``status``, ``output``, ``state list`` and ``messages``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct, to_builtins
from msgspec.structs import asdict

from reconciler.model.contract import Status, is_active
from reconciler.model.errors import Diagnostic
from reconciler.model.live import LiveMessage, LiveProject
from reconciler.model.state import Entry, State
from reconciler.model.times import instant
from reconciler.model.values import Json, shown
from reconciler.report.fields import prose
from reconciler.report.safe_text import clean, columns, pad
from reconciler.report.shortening import NARROWEST, shortened_apart
from reconciler.report.style import Color, Style
from reconciler.report.words import age, plural

NONE_MANAGED: Final = (
    "No projects are managed.\n"
    "If there should be some, the state may be lost: `reconciler state recover` finds projects in the account.\n"
)
_STATUS_HEAD: Final = ("ADDRESS", "PROJECT", "STATUS", "AGE", "TITLE")
_WIDE_HEAD: Final = ("MODE", "UPDATED", "URL", "RENDERED", "PERMANENT LINK")
_TITLE: Final = _STATUS_HEAD.index("TITLE")
_PROBLEMS: Final = ("gone", "not read", Status.FAILED, Status.CANCELLED)
"""What needs a person, the most urgent first."""


class StatusRow(Struct, frozen=True, kw_only=True):
    """A managed project. ``live`` is ``None`` if it was not read; ``gone``: the API has no such project."""

    address: str
    entry: Entry
    live: LiveProject | None
    gone: bool = False


def none_managed(lost: Diagnostic | None) -> str:
    """That no projects are managed, or, where the account has some that look like the specs', that they may be lost."""
    if lost is None:
        return NONE_MANAGED
    return f"{lost.summary[0].upper()}{lost.summary[1:]}.\nIf they are yours, the state was lost: run `reconciler state recover`.\n"


def status_text(
    rows: Iterable[StatusRow],
    *,
    style: Style,
    at: str | None = None,
    lost: Diagnostic | None = None,
    wide: bool = False,
) -> str:
    """The table, what needs a person first, followed by the error messages of failed projects. ``at`` is now; ``wide``: all
    that is known, whatever the terminal's width.
    """
    rows = sorted(rows, key=lambda row: urgency(status_of(row)))
    if not rows:
        return none_managed(lost)
    head = (*_STATUS_HEAD, *_WIDE_HEAD) if wide else _STATUS_HEAD
    cells = [(*_status_cells(row, at), *(_wide_cells(row) if wide else ())) for row in rows]
    if style.columns is not None and not wide:
        cells = _fitted(cells, style.columns)
    text = table(head, cells, style, {2: status_color})
    errors = ((row.address, row.live.error_message) for row in rows if row.live is not None)
    failures = [f"{clean(address)}: {clean(message)}" for address, message in errors if message]
    return text + ("\n" + "\n".join(failures) + "\n" if failures else "")


def status_of(row: StatusRow) -> str:
    """The project's status; ``gone`` or ``not read`` without one."""
    return row.live.status if row.live is not None else "gone" if row.gone else "not read"


def urgency(status: str) -> int:
    """The rank of a status in a list: what needs a person first, then what is at work."""
    return _PROBLEMS.index(status) if status in _PROBLEMS else len(_PROBLEMS) + (not is_active(status))


def _status_cells(row: StatusRow, at: str | None) -> tuple[str | None, ...]:
    now, then = instant(at), instant(row.live.updated_at if row.live else None)
    since = age((now - then).total_seconds()) if now is not None and then is not None else None
    return row.address, row.entry.project_id, status_of(row), since, _setting(row, "title")


def _fitted(cells: list[tuple[str | None, ...]], width: int) -> list[tuple[str | None, ...]]:
    """The cells so that a line fits: titles are shortened first, then addresses."""
    whole = [max(columns(clean(row[i] or "-")) for row in cells) for i in range(len(_STATUS_HEAD))]
    whole = [max(size, len(name)) for size, name in zip(whole, _STATUS_HEAD, strict=True)]
    room = width - sum(whole) - 2 * (len(whole) - 1)
    title = max(NARROWEST, whole[_TITLE] + min(0, room))
    address = max(NARROWEST, whole[0] + min(0, room + whole[_TITLE] - title))
    addresses = shortened_apart([row[0] or "" for row in cells], address)
    titles = shortened_apart([row[_TITLE] or "" for row in cells], title)
    return [(a, *row[1:_TITLE], t) for a, row, t in zip(addresses, cells, titles, strict=True)]


def _wide_cells(row: StatusRow) -> tuple[str | None, ...]:
    live, rendered, shared = row.live, row.entry.rendered, row.entry.shared
    quality = None if rendered is None else rendered.quality or "unknown"
    if rendered is not None and rendered.outdated:
        quality = f"{quality} (outdated)"
    return (
        _setting(row, "mode"),
        live.updated_at if live else None,
        (live.assembled_url or live.project_url) if live else row.entry.outputs.project_url,
        quality,
        shared.share_url if shared is not None else None,
    )


def _setting(row: StatusRow, name: str) -> str | None:
    """The value just read, or the state's if the API did not show it."""
    if row.live and name in row.live.settings:
        value = row.live.settings[name]
    else:
        known = row.entry.settings.get(name)
        value = known.value if known else None
    return None if value is None else str(shown(value))


def status_color(status: str) -> Color:
    """The color of a status, or of ``gone``."""
    if status in (Status.FAILED, "gone"):
        return "red"
    if status == Status.IDLE:
        return "green"
    return "yellow" if is_active(status) else "dim"


def status_document(rows: Iterable[StatusRow]) -> dict[str, Json]:
    """``status --format json``: one object for each address; ``live`` is null where it was not read."""
    return {
        row.address: {
            "project_id": row.entry.project_id,
            "gone": row.gone,
            "rendered": None if row.entry.rendered is None else asdict(row.entry.rendered),
            "shared": None if row.entry.shared is None else to_builtins(row.entry.shared),
            "live": None if row.live is None else {**asdict(row.live), "differing": sorted(row.live.differing)},
        }
        for row in rows
    }


def output_values(entry: Entry) -> dict[str, str | None]:
    """What ``output`` shows of a project: its id, its last known outputs, and its permanent links."""
    shared = entry.shared
    return {
        "project_id": entry.project_id,
        **asdict(entry.outputs),
        "share_url": shared.share_url if shared is not None else None,
        "video_url": shared.video_url if shared is not None else None,
    }


def output_text(entries: Mapping[str, Entry], *, style: Style, lost: Diagnostic | None = None) -> str:
    """Ids, URLs and the agent's last message, as last saved in the state."""
    if not entries:
        return none_managed(lost)
    return "\n".join(_output(address, entry, style) for address, entry in entries.items())


def _output(address: str, entry: Entry, style: Style) -> str:
    given = {name: value for name, value in output_values(entry).items() if value is not None}
    width = max(map(len, given))
    lines = [style.paint(clean(address), "bold")]
    for name, value in given.items():
        first, *more = (
            prose(value, style.width) if len(value.split()) > 1 else [clean(value)]
        )  # a broken URL can't be copied
        lines.append(f"  {name:<{width}} = {first}")
        lines += [f"{' ' * (width + 5)}{line}".rstrip() for line in more]
    return "\n".join(lines) + "\n"


def state_list_text(state: State, *, style: Style) -> str:
    """One line for each address, and how many calls have an unknown outcome."""
    if not state.projects:
        text = NONE_MANAGED
    else:
        rows = [(a, e.project_id, e.origin, str(e.generation)) for a, e in sorted(state.projects.items())]
        text = table(("ADDRESS", "PROJECT", "ORIGIN", "GENERATION"), rows, style, {})
    if state.pending:
        text += f"\n{plural(len(state.pending), 'call')} with an unknown outcome: the next `apply` resolves this.\n"
    return text


def messages_text(messages: Iterable[LiveMessage], *, style: Style) -> str:
    """A conversation, in the given order (oldest first), without messages that say nothing."""
    shown = [message_text(message, style=style) for message in messages if message.content.strip()]
    return "\n".join(shown) or "No messages.\n"


def message_text(message: LiveMessage, *, style: Style) -> str:
    """One message."""
    color: Color = "cyan" if message.role == "user" else "green"
    rest = "  ".join(clean(part) for part in (message.created_at, message.source, message.id) if part)
    body = prose(message.content, style.width - 2)
    head = f"{style.paint(clean(message.role), 'bold', color)}  {style.paint(rest, 'dim')}"
    return "\n".join([head, *(f"  {line}".rstrip() for line in body)]) + "\n"


def table(
    head: tuple[str, ...],
    rows: Iterable[tuple[str | None, ...]],
    style: Style,
    colors: Mapping[int, Callable[[str], Color]],
) -> str:
    """Aligned columns, ``-`` for unknown values. ``colors``: functions that choose a cell's color, by column number."""
    cells = [head, *(tuple(clean(cell) if cell else "-" for cell in row) for row in rows)]
    widths = [max(columns(row[i]) for row in cells) for i in range(len(head))]
    lines = []
    for number, row in enumerate(cells):
        parts = []
        for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
            padded = pad(cell, width)
            if number == 0:
                padded = style.paint(padded, "bold")
            elif i in colors:
                padded = style.paint(cell, colors[i](cell)) + padded[len(cell) :]
            parts.append(padded)
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines) + "\n"
