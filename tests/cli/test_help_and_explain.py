"""`help` and `explain`: what they find, what they suggest, and how a terminal shows it."""

from __future__ import annotations

import pytest

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.field_guide import field_guides
from reconciler.adapters.specs.validation.json_schema import config_schema, spec_schema
from reconciler.cli import manual
from reconciler.cli.main import COMMANDS
from tests.cli.cli_support import Space, on_terminal

TOPICS = manual.topics()


@pytest.fixture
def nowhere(tmp_path) -> Space:
    """A folder that is no workspace."""
    return Space(tmp_path)


def test_help_lists_every_topic_with_a_line_about_it(nowhere):
    listed = nowhere.run("help").out
    for topic, line in TOPICS.items():
        assert f"  {topic} " in listed and line in listed
    assert {path.stem for path in manual.FOLDER.glob("*.md")} - {manual.INDEX} == {*TOPICS}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_its_page_in_markdown(nowhere, topic):
    shown = nowhere.run("help", topic).out
    assert shown.startswith("# ") and manual.page(topic).rstrip() in shown
    assert "<!--" not in shown and "\x1b" not in shown


@pytest.mark.sweep
def test_a_name_of_both_a_topic_and_a_command_shows_both(nowhere):
    shown = nowhere.run("help", "codes").out
    assert "Usage:" not in shown
    for name in {*TOPICS} & {*COMMANDS}:
        shown = nowhere.run("help", name).out
        assert shown.startswith("# ") and shown.endswith(nowhere.run(name, "--help").out), name


@pytest.mark.parametrize(
    "path", [("show",), ("import",), ("help",), ("state", "recover"), ("sandbox", "serve")], ids=" ".join
)
def test_a_command_s_name_shows_its_help(nowhere, path):
    assert nowhere.run("help", *path).out.endswith(nowhere.run(*path, "--help").out)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("help", "paln"), "Did you mean `reconciler help plan`?"),
        (("help", "exitcodes"), "Did you mean `reconciler help exit-codes`?"),
        (("help", "zzz"), "`reconciler help` lists the topics"),
        (("help", "state", "nope"), "there is no help topic or command `state nope`"),
        (("help", "../codes"), "there is no help topic or command `../codes`"),
        (("explain", "E999"), "there is no error code E999"),
        (("explain", "E0"), "`reconciler help codes` lists all of them"),
        (("explain", "projects.setings.craft"), "Did you mean `projects.settings.craft`?"),
        (("explain", "projects.settings.crafts"), "Did you mean `projects.settings.craft`?"),
        (("explain", "craft"), "Did you mean `projects.settings.craft`?"),
        (("explain", "polcy.max_creates"), "Did you mean `policy.max_creates`?"),
        (("explain", "zzz"), "`reconciler explain` lists the fields to start from"),
        (("explain", ""), "there is no field ``"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_unknown_name_is_an_error_with_a_way_out(nowhere, args, said):
    ran = nowhere.run(*args, code=1)
    assert said in ran.err and not ran.out


@pytest.mark.sampled(3)
@pytest.mark.parametrize("code", Code)
def test_explain_prints_the_section_of_a_code(nowhere, code):
    """Intent: each code, in either case; the meaning, a wrong example and the fix, and no other code's section."""
    shown = nowhere.run("explain", code.value.lower()).out
    assert shown.startswith(f"## {code.value}: ") and "\nWrong:\n" in shown and "\nRight:\n" in shown
    assert shown.count("\n## ") == 0


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("projects.settings.craft", ["TYPE:      string", "product-shots", "DEFAULT:   auto", "at any time"]),
        (
            "projects.settings.title",
            ["string or null", "at most 30 characters", "title: Summer teaser"],
        ),
        ("projects.aspect_ratio", ['DEFAULT:   "16:9"', "fixed at creation", "21:9"]),
        ("projects.teaser.settings.craft", ["FIELD:     projects.settings.craft"]),
        ("projects.settings.agent_model", ["DEFAULT:   opus", "VALUES:    opus, sonnet"]),
        ("projects.messages[0].message", ["REQUIRED:  yes", "append only"]),
        ("projects.messages.0.references.1.url", ["FIELD:     projects.messages.references.url"]),
        ("projects.lifecycle.on_remove", ["stop, cancel, release, forget, protect", "DEFAULT:   stop"]),
        ("projects", ["TYPE:      map of mapping", "  settings ", "  import "]),
        ("policy.max_share", ["DEFAULT:   0.3", "reconciler.yaml", "number or null"]),
        ("limits", ["Limits of the account", "lease_seconds"]),
        ("defaults.settings.mode", ["spec files and reconciler.yaml"]),
        ("workspace", ["never: it is part of every idempotency key"]),
        ("variables.market.type", ["FIELD:     variables.type", "string, number, bool, list"]),
    ],
)
def test_explain_says_what_is_known_of_a_field(nowhere, path, said):
    shown = nowhere.run("explain", path).out
    for part in said:
        assert part in shown


def test_every_field_of_both_files_can_be_explained():
    """Intent: walked independently of the program's own walk, no property of the schemas is missing."""
    found = set()

    def walk(node, definitions, at):
        if isinstance(node, dict):
            if "$ref" in node:
                walk(definitions[node["$ref"].rpartition("/")[2]], definitions, at)
            for key, inner in node.items():
                if key == "properties":
                    for name, field in inner.items():
                        found.add(".".join((*at, name)))
                        walk(field, definitions, (*at, name))
                elif key in ("items", "additionalProperties"):
                    walk(inner, definitions, at)
                elif key == "anyOf":
                    for choice in inner:
                        walk(choice, definitions, at)

    for schema in (spec_schema(), config_schema()):
        walk(schema, schema["$defs"], ())
    assert found == {*field_guides()}
    assert all(guide.type and guide.help for guide in field_guides().values())


def test_explain_alone_lists_where_to_start(nowhere):
    shown = nowhere.run("explain").out
    for name in ("projects", "moved", "workspace", "policy"):
        assert f"  {name} " in shown


def test_the_program_s_help_points_to_the_manual(nowhere):
    shown = nowhere.run("--help").out
    assert "reconciler help  " in shown and "reconciler explain E107" in shown


def test_a_terminal_gets_a_rendered_page_through_the_pager(nowhere):
    """Intent: as git and gh do; with NO_COLOR as it is written, and `cat` is as good a pager as any."""
    (pager := nowhere.write("pager", "#!/bin/sh\necho PAGED\nexec cat\n")).chmod(0o755)
    shown, code = on_terminal(nowhere, "explain", "E107", answer=b"", PAGER=str(pager))
    assert code == 0 and "PAGED" in shown and "\x1b[" in shown and "## E107" not in shown and "E107: " in shown
    plain, code = on_terminal(nowhere, "explain", "E107", answer=b"", PAGER="cat", NO_COLOR="1")
    assert code == 0 and "\x1b[" not in plain and "## E107: " in plain


@pytest.mark.sweep
def test_a_pager_that_is_left_early_or_missing_is_no_error(nowhere):
    shown, code = on_terminal(nowhere, "help", "codes", answer=b"", PAGER="head -n 2")
    assert code == 0 and "Traceback" not in shown
    shown, code = on_terminal(nowhere, "help", "codes", answer=b"", PAGER="no-such-pager-anywhere")
    assert code == 0 and "E160" in shown


def test_a_shell_completes_commands(nowhere):
    words = {"_RECONCILER_COMPLETE": "bash_complete", "COMP_WORDS": "reconciler ex", "COMP_CWORD": "1"}
    assert {line.partition(",")[2] for line in nowhere.run(**words).out.splitlines()} == {"export", "explain"}
