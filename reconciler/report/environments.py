"""The environments of a workspace as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import asdict

from reconciler.model.environments import EnvironmentRow
from reconciler.model.plan import FORMAT_VERSION
from reconciler.model.plan_json import encode_diagnostic
from reconciler.model.values import Json
from reconciler.report.claims import with_claims
from reconciler.report.heading import api_host
from reconciler.report.style import Style
from reconciler.report.tables import table

_HEAD = ("ENVIRONMENT", "API", "ACCOUNT", "STATE", "SERIAL", "LAST APPLY", "MANAGED", "ATTENTION")


def environments_text(rows: Sequence[EnvironmentRow], *, style: Style) -> str:
    """One line for each; the default one has a star."""
    return table(*with_claims(_HEAD, [_cells(row) for row in rows], [row.claim for row in rows]), style, {})


def _cells(row: EnvironmentRow) -> tuple[str | None, ...]:
    name = f"{row.name}*" if row.default else row.name
    if row.errors:
        return (name, row.api_url and api_host(row.api_url), row.account, row.place, *[None] * 4)
    return (
        name,
        api_host(row.api_url or ""),
        row.account,
        row.place,
        None if row.serial is None else str(row.serial),
        row.last_apply,
        str(row.managed),
        str(row.attention),
    )


def environments_document(workspace: str, rows: Sequence[EnvironmentRow]) -> dict[str, Json]:
    """``environments --format json``."""
    return {
        "format_version": FORMAT_VERSION,
        "workspace": workspace,
        "environments": [
            {
                "name": row.name,
                "default": row.default,
                "api_url": row.api_url,
                "account": None if row.account is None else {"project": row.account},
                "state": {"place": row.place, "serial": row.serial},
                "last_apply": row.last_apply,
                "managed": row.managed,
                "attention": row.attention,
                "claim": None if row.claim is None else asdict(row.claim),
                "diagnostics": [encode_diagnostic(found) for found in (*row.errors, *row.warnings)],
            }
            for row in rows
        ],
    }
