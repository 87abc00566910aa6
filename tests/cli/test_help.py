"""Every page of help, read as a stranger would: short summaries, whole sentences, no private words, an example."""

from __future__ import annotations

import re

import click
import pytest

from reconciler.cli.console import Console
from reconciler.cli.main import COMMAND_GROUPS, COMMANDS, cli

PRIVATE_WORDS = re.compile(
    r"\b(anew|afresh|lies?|mend(ed|s|ing)?|part(ed|ing)? with|whoever|whatever for|alone|colours?|told|for ever|"
    r"goes? on|have to be said|has to be said|take note of|for true|where they lie|unknown fate|for nothing|stands? for)\b",
    re.IGNORECASE,
)


def pages(command: click.Command, *path: str) -> dict[str, click.Command]:
    """Each command with its words: groups too."""
    found = {" ".join(path): command}
    if isinstance(command, click.Group):
        for name in command.list_commands(context(cli)):
            child = command.get_command(context(cli), name)
            found |= pages(child, *path, name)
    return found


def context(command: click.Command, *path: str) -> click.Context:
    return click.Context(command, info_name=" ".join(("reconciler", *path)), obj=Console(), terminal_width=80)


PAGES = pages(cli)


@pytest.fixture(params=PAGES, ids=lambda name: name or "reconciler")
def page(request):
    return request.param, PAGES[request.param]


def options(command):
    return [p for p in command.params if isinstance(p, click.Option) and not p.hidden]


def test_the_summary_is_a_short_sentence(page):
    name, command = page
    summary = (command.help or "").split("\n\n")[0].replace("\n", " ")
    for text in {summary, COMMANDS.get(name, summary)}:
        assert re.fullmatch(r"[A-Z].*[^.]\.", text), text
        assert len(text) <= (80 if text == summary and name in COMMANDS else 70), text


def test_a_listing_cuts_no_summary(page):
    name, command = page
    shown = command.get_help(context(command, name)).split("Examples:")[0].split("Habits")[0]
    assert not re.search(r"^  \S+ .*\.\.\.$", shown, re.MULTILINE), shown


def test_every_option_is_explained_in_sentences(page):
    for option in options(page[1]):
        assert option.help and re.fullmatch(r"([A-Z`]|none:).*[.\]]", option.help, re.DOTALL), option.name
        assert len(option.help) <= 180, option.name


def test_no_page_speaks_a_private_language(page):
    name, command = page
    shown = " ".join(command.get_help(context(command, name)).split())
    assert not PRIVATE_WORDS.search(shown), PRIVATE_WORDS.search(shown)


def test_every_page_shows_an_example(page):
    name, command = page
    assert "Example" in (command.epilog or ""), name


def test_the_main_page_lists_every_command_once_in_its_group():
    shown = cli.get_help(context(cli))
    for title, group in COMMAND_GROUPS.items():
        section = shown.partition(f"\n{title}:\n")[2].partition("\n\n")[0]
        listed = dict(re.findall(r"^  (\S+) +(.+)$", section, re.MULTILINE))
        assert listed == group
    assert shown.index("Commands:") < shown.index("Sandbox:")
