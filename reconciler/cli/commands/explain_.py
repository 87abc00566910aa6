"""``reconciler explain``."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Final

import click

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.field_guide import CONFIG, SPECS, FieldGuide, canonical, field_guides
from reconciler.cli import manual
from reconciler.cli.console import Console
from reconciler.cli.inputs import choose_version
from reconciler.cli.options import api_version
from reconciler.model import contract
from reconciler.model.errors import UsageError

_WIDEST: Final = 110
"""Columns of a line of a listing; its end is cut."""


@click.command(
    epilog="""\b
Examples:
  reconciler explain                           # the fields at the top of each file
  reconciler explain E107                      # what an error means and how to fix it
  reconciler explain projects.settings.craft   # type, values, default, whether it can change
  reconciler explain policy                    # a key of `reconciler.yaml`
"""
)
@click.argument("what", required=False, metavar="[CODE | FIELD]")
@api_version("Version of the API [default: the workspace's].")
@click.pass_obj
def command(console: Console, *, what: str | None, api_version: str | None) -> None:
    """Explain an error code, or a field of spec files and `reconciler.yaml`.

    The path of a field leaves out addresses and positions: `projects.settings.title`. Needs no workspace.
    """
    choose_version(console, api_version)
    if what is None:
        manual.show(console, "", _top(field_guides()))
    elif re.fullmatch(r"[A-Za-z]\d+", what):
        manual.show(console, _code(what.upper()))
    else:
        manual.show(console, "", _field(what))


def _code(code: str) -> str:
    section = manual.code_section(code)
    if section is None:
        near = difflib.get_close_matches(code, list(Code), 1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"there is no error code {code}", f"{hint}`reconciler help {manual.CODES}` lists all of them.")
    return section


def _field(path: str) -> str:
    guides = field_guides()
    found = guides.get(canonical(path, guides))
    if found is None:
        having = _versions_with(path)
        if having and contract.current().version not in having:
            raise UsageError(
                f"there is no field `{path}` in version {contract.current().version} of the API",
                f"Version {' or '.join(having)} has it: add `--api-version {having[-1]}`.",
            )
        near = _suggestions(path, guides)
        hint = f"Did you mean {' or '.join(f'`{one}`' for one in near)}? " if near else ""
        raise UsageError(f"there is no field `{path}`", f"{hint}`reconciler explain` lists the fields to start from.")
    return _guide_text(found, guides)


def _versions_with(path: str) -> list[str]:
    """The other versions of the API that have a field."""
    having = []
    for version in contract.versions():
        with contract.kept():
            contract.choose(version)
            asked = canonical(path, guides := field_guides())
            having += [version] if any(f".{known}".endswith(f".{asked}") for known in guides) else []
    return having


def _suggestions(path: str, guides: Mapping[str, FieldGuide]) -> list[str]:
    """Fields that end as the path does, which names like `craft` do; else those that look like it."""
    asked = canonical(path, guides)
    ends = [
        known
        for known in guides
        if f".{known}".endswith(f".{asked}") and not known.startswith(("defaults.", "environments."))
    ]
    return ends[:3] or difflib.get_close_matches(asked, guides, 1)


def _top(guides: Mapping[str, FieldGuide]) -> str:
    parts = []
    for file, title in ((SPECS, "Spec files"), (CONFIG, "reconciler.yaml")):
        top = [guide for path, guide in guides.items() if "." not in path and file in guide.files]
        parts.append(f"{title}:\n{_listing(top)}")
    return (
        "\n\n".join(parts)
        + "\n\nGo on with `reconciler explain FIELD`, such as `reconciler explain projects.settings`."
    )


def _guide_text(guide: FieldGuide, guides: Mapping[str, FieldGuide]) -> str:
    rows = (
        ("FIELD", guide.path),
        ("FILE", " and ".join(guide.files)),
        ("TYPE", guide.type + (" or null" if guide.nullable else "")),
        ("VALUES", ", ".join(guide.values)),
        ("LIMITS", ", ".join(guide.limits)),
        ("REQUIRED", "yes" if guide.required else ""),
        ("DEFAULT", guide.default or ""),
        ("CHANGES", guide.changes or ""),
    )
    parts = ["\n".join(_row(name, text) for name, text in rows if text)]
    if guide.help:
        parts.append("DESCRIPTION:\n" + textwrap.fill(guide.help, 98, initial_indent="  ", subsequent_indent="  "))
    if guide.examples:
        parts.append("EXAMPLES:\n" + "\n".join(f"  {example}" for example in guide.examples))
    if guide.fields:
        parts.append("FIELDS:\n" + _listing(guides[f"{guide.path}.{name}"] for name in guide.fields))
    return "\n\n".join(parts)


def _row(name: str, text: str) -> str:
    return textwrap.fill(
        text, 98, initial_indent=f"{name + ':':11}", subsequent_indent=" " * 11, break_on_hyphens=False
    )


def _listing(guides: Iterable[FieldGuide]) -> str:
    """A line for each field: its name, its type, and the first sentence about it."""
    listed = list(guides)
    width = max(len(guide.name) for guide in listed)
    kinds = [guide.type if len(guide.type) <= 20 else guide.type.partition(" or ")[0] + " …" for guide in listed]
    second = max(map(len, kinds))
    lines = (
        f"  {guide.name:{width}}  {kind:{second}}  {re.split(r'(?<=[.;:])(?: |$)', guide.help)[0].rstrip('.;:')}"
        for guide, kind in zip(listed, kinds, strict=True)
    )
    return "\n".join(line.rstrip() if len(line) <= _WIDEST else f"{line[: _WIDEST - 2]} …" for line in lines)
