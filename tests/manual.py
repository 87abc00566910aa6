"""The parts of the manual that are written from the program's tables: ``python -m tests.manual write`` renews them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import click

from reconciler.adapters.specs.validation.field_guide import CONFIG, SPECS, FieldGuide, field_guides
from reconciler.cli.main import COMMANDS, cli
from reconciler.cli.options import FormatOption
from reconciler.cli.reference import ENVIRONMENT, EXIT_CODES
from reconciler.model import contract
from reconciler.model.contract_tables import Contract
from reconciler.model.plan import KINDS
from tests.docs.pages import MANUAL, PAGES

_REGION = re.compile(r"(?<=<!-- generated: )([\w-]+)( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """A page with its generated parts as the program has them now."""
    return _REGION.sub(lambda found: f"{found[1]}{found[2]}\n{TABLES[found[1]]()}\n", text)


def _table(*rows: tuple[str, ...]) -> str:
    head, *body = ("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    return "\n".join((head, "|---" * len(rows[0]) + "|", *body)) + "\n"


def _exit_codes() -> str:
    return _table(("code", "meaning"), *((str(code), text) for code, text in EXIT_CODES.items()))


def _environment() -> str:
    return _table(("variable", "meaning"), *((f"`{name}`", text) for name, text in ENVIRONMENT.items()))


def _versions() -> str:
    """What the versions of the API say in different ways."""
    tables = [contract.named(version) for version in contract.versions()]
    names = dict.fromkeys(field.name for api in tables for field in api.fields if field.declared)
    rows: dict[str, list[str]] = {f"`{name}`": [_said(api, name) for api in tables] for name in names}
    rows["messages are taken when"] = [
        ", ".join(f"`{status}`" for status in api.statuses if api.allows("message", status)) for api in tables
    ]
    rows["credits that a create needs"] = [str(api.limits.create_credits) for api in tables]
    different = ((name, *cells) for name, cells in rows.items() if len({*cells}) > 1)
    return _table(("what", *(api.version for api in tables)), *different)


def _said(api: Contract, name: str) -> str:
    if not api.has(name):
        return "–"
    field = api.field(name)
    limit = "" if field.max_length is None else f"at most {field.max_length:,} characters"
    uuids = ("UUIDs",) if field.kind == "set" else ()
    return limit or ", ".join((*(f"`{value}`" for value in field.allowed("settings")), *uuids)) or field.kind


def _codes() -> str:
    titles = dict(re.findall(r"^## (E\d+): (.+)$", (MANUAL / "codes.md").read_text(encoding="utf-8"), re.MULTILINE))
    return _table(("code", "meaning"), *titles.items())


def _fields(file: str) -> str:
    return _table(
        ("field", "type", "default", "meaning"),
        *((f"`{guide.path}`", _kind(guide), _code(guide.default), guide.help) for guide in _own(file)),
    )


def _own(file: str) -> Iterator[FieldGuide]:
    """The fields of a kind of file; those of defaults and of environments the page names once, where they stand first."""
    for path, guide in field_guides().items():
        if file in guide.files and not path.startswith(("defaults.", "environments.")):
            yield guide


def _kind(guide: FieldGuide) -> str:
    kind = ", ".join(f"`{value}`" for value in guide.values) or guide.type
    return f"{kind} or `null`" if guide.nullable else kind


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def _commands() -> str:
    root = click.Context(cli, info_name="reconciler")
    parts = [f"## Options before the command\n\n{_options(cli, 'RECONCILER')}"]
    for name in COMMANDS:
        found = cli.get_command(root, name)
        assert found is not None
        parts += _command(found, click.Context(found, parent=root, info_name=name), f"RECONCILER_{name.upper()}", 2)
    return "\n".join(parts)


def _command(command: click.Command, ctx: click.Context, prefix: str, level: int) -> Iterator[str]:
    usage = " ".join(("reconciler", *ctx.command_path.split()[1:], *command.collect_usage_pieces(ctx)))
    yield f"{'#' * level} {' '.join(ctx.command_path.split()[1:])}\n\n```text\n{usage}\n```\n\n{_prose(command.help or '')}\n"
    if options := _options(command, prefix):
        yield options
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            assert inner is not None
            below = click.Context(inner, parent=ctx, info_name=name)
            yield from _command(inner, below, f"{prefix}_{name.upper()}", level + 1)


def _prose(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _options(command: click.Command, prefix: str) -> str:
    ctx = click.Context(command)
    rows = []
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden and not {"--help", "--version"} & {*option.opts}:
            flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
            metavar = "" if option.is_flag or option.count else f" `{option.make_metavar(ctx).removesuffix(' RANGE')}`"
            default = "" if option.is_flag or option.multiple or option.count else _default(option)
            rows.append((flags + metavar, f"{option.help or ''}{default}", f"`{_variable(option, prefix)}`"))
    return _table(("option", "meaning", "variable"), *rows) if rows else ""


def _default(option: click.Option) -> str:
    shown = option.default if isinstance(option.default, str | int | float) and option.show_default else None
    return f" Default: `{shown}`." if shown is not None else ""


def _variable(option: click.Option, prefix: str) -> str:
    if isinstance(option.envvar, str):
        return option.envvar
    return f"{prefix}_{'FORMAT' if isinstance(option, FormatOption) else (option.name or '').upper()}"


def _steps() -> str:
    rows = ((f"`{kind.words.symbol}`", action, kind.legend) for action, kind in KINDS.items())
    return _table(("symbol", "step", "meaning"), *rows)


TABLES = {
    "steps": _steps,
    "exit-codes": _exit_codes,
    "environment": _environment,
    "codes": _codes,
    "api-versions": _versions,
    "spec-fields": lambda: _fields(SPECS),
    "config-fields": lambda: _fields(CONFIG),
    "commands": _commands,
}

if __name__ == "__main__":
    if sys.argv[1:] != ["write"]:
        sys.exit("usage: python -m tests.manual write")
    for name in PAGES:
        page = MANUAL / f"{name}.md"
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
