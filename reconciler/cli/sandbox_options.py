"""The options of an emulated account as command-line options, made of the fields and their help."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import click
import msgspec

from reconciler.sandbox.account_options import HELP, Options
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.habits import HABITS

F = TypeVar("F", bound=Callable[..., Any])

_HABITS: Final = "\n".join(f"  {name:<11} {meaning}" for name, (meaning, _) in HABITS.items())
FAULTS: Final = f"""\b
Habits, done one after the other:
{_HABITS}

\b
Faults, in the order in which they are used up (--fault KIND [NAME=VALUE]…, may be repeated):
  status      an error (status=500 code=… retry_after=…)
  html        a page, as proxies send (status=…)
  truncated   half of the answer
  empty       no body
  reset       a broken connection
  timeout     seconds=… without an answer, then a broken connection
  delay       seconds=… and then the answer
  shift       a person makes a project while a list is read
  with method=POST, path=REGEX (below /api/v1), when=before|after acting,
  skip=N requests first, times=N (1; 0: until they are cleared)

\b
To make a project fail, write [fail] into its brief or into a message.
"""
CONTROLS: Final = """\b
Control calls while it is served (with `Authorization: Bearer TOKEN`, below /_sandbox):
  GET  ledger, requests, projects   what was done, asked, and is there
  GET  options                      the options
  PATCH options                     changes them: {"strict": true, "title_habits": ["trim"]}
  GET, POST, DELETE faults          shows, adds ({"kind": "status", "status": 503}), clears
  POST finish                       every agent is done now
  POST forget-keys, forget-cursors  idempotency keys, message ids given so far are unknown
"""


def account_options(*leave_out: str) -> Callable[[F], F]:
    """Gives a command an option for each field but some; ``None`` where it is not given. See :func:`given`."""

    def decorate(command: F) -> F:
        for name in reversed([name for name in HELP if name not in leave_out]):
            command = _option(name)(command)
        return command

    return decorate


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Of a command's parameters those that are options of the account and were given."""
    return {name: value for name, value in values.items() if name in HELP and value is not None}


class FaultType(click.ParamType[Fault]):
    """``KIND [NAME=VALUE]…``."""

    name = "KIND [NAME=VALUE]…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fault:
        if isinstance(value, Fault):
            return value
        try:
            kind, *more = shlex.split(value)
            fields = dict(part.split("=", 1) for part in more)
            made = msgspec.convert({"kind": kind, **fields}, Fault, strict=False)
        except (ValueError, msgspec.ValidationError) as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        unknown = fields.keys() - set(Fault.__struct_fields__)
        if unknown:
            self.fail(f"{value!r}: no such field: {', '.join(sorted(unknown))}", param, ctx)
        return made


class _Several(click.ParamType[tuple[str, ...]]):
    """Choices with commas between them; none is `none`."""

    name = "NAME,…"

    def __init__(self, choices: tuple[str, ...]) -> None:
        self._choices = choices

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        found = tuple(part.strip() for part in value.split(",")) if value not in ("", "none") else ()
        for part in found:
            if part not in self._choices:
                self.fail(f"{part!r} is not one of {', '.join(self._choices)}", param, ctx)
        return found


def _option(name: str) -> Callable[[F], F]:
    flag = f"--{name.replace('_', '-')}"
    kind = get_type_hints(Options)[name]
    if kind is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=HELP[name])
    return click.option(flag, name, type=_type(kind), default=None, help=HELP[name])


def _type(kind: Any) -> Any:
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if get_origin(kind) is tuple:
        return _Several(get_args(get_args(kind)[0]))
    return kind
