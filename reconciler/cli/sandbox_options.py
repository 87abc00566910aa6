"""Options of an emulated account as command-line options, made from its fields and their help."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args, get_origin, get_type_hints

import click
import msgspec

from reconciler.cli.options import Option, collect
from reconciler.sandbox.account_options import HELP, Options
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.habits import HABITS

Changes: TypeAlias = Mapping[str, object]
"""Options of an account to change, by name."""

_HABITS: Final = "\n".join(f"  {name:<11} {meaning}" for name, (meaning, _) in HABITS.items())
FAULTS: Final = f"""\b
Habits, applied in the order given:
{_HABITS}

\b
Faults, used up in this order (--fault "KIND [NAME=VALUE]…", repeatable):
  status      an error (status=500 code=… retry_after=…)
  html        an HTML page, as proxies send (status=…)
  truncated   half of the answer
  empty       an empty body
  reset       a broken connection
  timeout     no answer for seconds=…, then a broken connection
  delay       the answer after seconds=…
  shift       a new project appears while a list is read
  Each takes method=POST, path=REGEX (below /api/v1), when=before|after the call
  takes effect, skip=N requests first, times=N (default 1; 0: until cleared)

\b
To make a project fail, write [fail] in its brief or in a message.
"""
CONTROLS: Final = """\b
Control calls while it serves (with `Authorization: Bearer TOKEN`, below /_sandbox):
  GET  ledger, requests, projects   effects, requests and projects so far
  GET  options                      the options
  PATCH options                     change options: {"strict": true, "title_habits": ["trim"]}
  GET, POST, DELETE faults          show, add ({"kind": "status", "status": 503}) or clear faults
  POST finish                       finish the work of all agents
  POST forget-keys, forget-cursors  forget idempotency keys or message IDs
"""
account_file = click.option(
    "--db",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File of the account [default: the workspace's].",
)


def account_options(*, but: tuple[str, ...] = ()) -> Option:
    """Give a command an option for each field except some, and the given ones as :data:`Changes` (``changes``)."""
    names = [name for name in HELP if name not in but]
    return collect("changes", names, _keep_given, *map(_make_option, names))


def _keep_given(**values: object) -> Changes:
    return {name: value for name, value in values.items() if value is not None}


class FaultType(click.ParamType[Fault]):
    """``KIND [NAME=VALUE]…``."""

    name = "KIND [NAME=VALUE]…"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Fault:
        if isinstance(value, Fault):
            return value
        try:
            kind, *more = shlex.split(str(value))
            fields = dict(part.split("=", 1) for part in more)
            made = msgspec.convert({"kind": kind, **fields}, Fault, strict=False)
        except (ValueError, msgspec.ValidationError) as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        unknown = fields.keys() - set(Fault.__struct_fields__)
        if unknown:
            self.fail(f"{value!r}: unknown field {', '.join(sorted(unknown))}", param, ctx)
        return made


fault_option = click.option(
    "--fault", "faults", type=FaultType(), multiple=True, help="Add a fault, as described below. Repeatable."
)


class ChoicesType(click.ParamType[tuple[str, ...]]):
    """Choices separated by commas, or `none`."""

    name = "NAME,…"

    def __init__(self, choices: tuple[str, ...]) -> None:
        self._choices = choices

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        found = tuple(part.strip() for part in str(value).split(",")) if value not in ("", "none") else ()
        for part in found:
            if part not in self._choices:
                self.fail(f"{part!r} is not one of {', '.join(self._choices)}", param, ctx)
        return found


def _make_option(name: str) -> Option:
    flag = f"--{name.replace('_', '-')}"
    kind = get_type_hints(Options)[name]
    if kind is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=HELP[name])
    return click.option(flag, name, type=_parameter_type(kind), default=None, help=HELP[name])


def _parameter_type(kind: type) -> click.ParamType[object] | type:
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if get_origin(kind) is tuple:
        return ChoicesType(get_args(get_args(kind)[0]))
    return kind
