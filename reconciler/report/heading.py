"""Whose plan, result or list it is: the first line of what people read before they decide."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from msgspec import Struct

from reconciler.model.plan import Plan
from reconciler.report.safe_text import clean


class Where(Struct, frozen=True, kw_only=True):
    """Workspace, environment (if there are some), API, and the state: its place (a saved plan does not know it) and serial."""

    workspace: str
    environment: str | None
    api_url: str
    serial: int
    place: str | None = None


def of_plan(plan: Plan, place: str | None = None) -> Where:
    return Where(
        workspace=plan.workspace,
        environment=plan.environment,
        api_url=plan.api_url,
        serial=plan.serial,
        place=place,
    )


def heading(where: Where, quote: Callable[[str], str] = clean) -> str:
    """``Workspace acme, environment prod, API eversince.ai, state reconciler.prod.state.json (serial 3)``."""
    return f"Workspace {quote(where.workspace)}{place_text(where, quote)}"


def environment_name(where: Where) -> str:
    """``acme, environment prod``, or the workspace where there are no environments."""
    return clean(where.workspace) + (
        f", environment {clean(where.environment)}" if where.environment is not None else ""
    )


def place_text(where: Where, quote: Callable[[str], str] = clean) -> str:
    """What follows the workspace's name in a heading."""
    environment = f", environment {quote(where.environment)}" if where.environment is not None else ""
    place = f"state {quote(where.place)} (serial {where.serial})" if where.place else f"state serial {where.serial}"
    return f"{environment}, API {quote(api_host(where.api_url))}, {place}"


def api_host(url: str) -> str:
    """The host (and port) of the API; ``sandbox`` for the embedded one."""
    try:
        return urlsplit(url).netloc or url
    except ValueError:  # of a plan file that somebody edited
        return url
