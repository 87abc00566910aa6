"""The workspaces below a folder as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import asdict

from reconciler.model.errors import Diagnostic
from reconciler.model.plan import FORMAT_VERSION
from reconciler.model.plan_json import encode_diagnostic
from reconciler.model.values import Json
from reconciler.model.workspaces import Comparison, Reason, WorkspaceRow
from reconciler.report.claims import with_claims
from reconciler.report.safe_text import clean
from reconciler.report.style import Style
from reconciler.report.tables import table
from reconciler.report.words import plural

_SHOWN: Final = 3
"""Reasons, and projects of a deleted workspace, that a line names."""


def workspaces_text(
    rows: Sequence[WorkspaceRow], compared: Comparison | None, *, style: Style, whole: bool = False
) -> str:
    """A line for each workspace and environment that is affected or wrong, and how many others there are."""
    shown = [row for row in rows if row.changed or row.failed]
    others = len(rows) - len(shown)
    divided = any(row.environment is not None for row in rows)
    head = (
        "PATH",
        "NAME",
        *(("ENVIRONMENT",) if divided else ()),
        *(("WHY",) if compared or _any_failed(rows) else ()),
    )
    cells: list[tuple[str | None, ...]] = [
        (
            row.path,
            row.name,
            *((row.environment,) if divided else ()),
            *((_why(row, whole=whole),) if compared or _any_failed(rows) else ()),
        )
        for row in shown
    ]
    if not rows:
        return "No workspaces: no folder here has a `reconciler.yaml`.\n"
    text = table(*with_claims(head, cells, [row.claim for row in shown]), style, {}) if shown else ""
    if not compared or not others:
        return text
    last = f"{others} not affected.\n" if shown else f"None of {plural(others, 'workspace')} is affected.\n"
    return f"{text}\n{last}" if shown else last


def _any_failed(rows: Sequence[WorkspaceRow]) -> bool:
    return any(row.failed for row in rows)


def _why(row: WorkspaceRow, *, whole: bool) -> str | None:
    if row.deleted:
        return f"deleted; {_managed(row, whole=whole)}"
    said = _listed([_reason(reason) for reason in row.reasons], whole=whole)
    if row.failed:
        said = "; ".join(filter(None, ["can't be read", said]))
    return said or None


def _reason(reason: Reason) -> str:
    end = " (uncommitted)" if reason.uncommitted else ""
    if reason.kind == "renamed":
        return f"renamed from {clean(reason.source or '')}{end}"
    change = "" if reason.change == "modified" else f" {reason.change}"
    return f"{reason.kind}{change} {clean(reason.path)}{end}"


def _managed(row: WorkspaceRow, *, whole: bool) -> str:
    if row.managed is None:
        return (
            f"its state is not read: {clean(row.place)}"
            if row.place and "://" in row.place
            else "no state is known here"
        )
    if not row.managed:
        return "manages nothing"
    names = _listed([clean(each.address) for each in row.managed], whole=whole)
    return f"still manages {plural(len(row.managed), 'project')}: {names}"


def _listed(parts: Sequence[str], *, whole: bool) -> str:
    more = 0 if whole else len(parts) - _SHOWN
    return ", ".join([*parts[: len(parts) - max(more, 0)], *([f"and {more} more"] if more > 0 else [])])


def workspaces_document(
    rows: Sequence[WorkspaceRow], compared: Comparison | None, diagnostics: Sequence[Diagnostic]
) -> dict[str, Json]:
    """``workspaces --format json``."""
    return {
        "format_version": FORMAT_VERSION,
        "changed_since": None if compared is None else asdict(compared),
        "workspaces": [_row(row) for row in rows],
        "diagnostics": [encode_diagnostic(found) for found in diagnostics],
    }


def _row(row: WorkspaceRow) -> dict[str, Json]:
    return {
        "path": row.path,
        "name": row.name,
        "environment": row.environment,
        "changed": row.changed,
        "deleted": row.deleted,
        "reasons": [
            {
                "kind": reason.kind,
                "path": reason.path,
                "change": reason.change,
                "from": reason.source,
                "uncommitted": reason.uncommitted,
            }
            for reason in row.reasons
        ],
        "managed": None if row.managed is None else [asdict(each) for each in row.managed],
        "state": row.place,
        "claim": None if row.claim is None else asdict(row.claim),
        "diagnostics": [encode_diagnostic(found) for found in row.diagnostics],
    }
