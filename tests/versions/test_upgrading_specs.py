"""``fmt --upgrade-api``: specs and defaults in the words of another version, comments kept, and what has no words told."""

from __future__ import annotations

import pytest

from reconciler.adapters.specs.workspace_files import FileProblem
from reconciler.adapters.specs.yaml.upgrading import upgraded_config, upgraded_spec
from reconciler.model import contract
from tests.cli.cli_support import CONFIG, make_space

OLD, MIDDLE, NEW = "2025-03", "2026-04", "2026-05"


def upgraded(text, to, upgrade=upgraded_spec):
    result, left = upgrade(text, "a.yaml", contract.named(to))
    again, nothing = upgrade(result, "a.yaml", contract.named(to))
    assert (again, nothing) == (result, []), "what was rewritten is not rewritten again"
    return result, [(d.location.line, d.location.column, d.summary) for d in left]


def of_settings(settings, to):
    text = f"projects:\n  a:\n    brief: x\n    settings: {{{settings}}}\n"
    result, left = upgraded(text, to)
    return result.split("settings: {", 1)[1].strip()[:-1], left


@pytest.mark.parametrize(
    ("to", "before", "after"),
    [
        (NEW, "craft: cinema", "skills: [cinema]"),
        (NEW, "craft: general", "skills: []"),
        (NEW, "craft: music", "skills: [music]"),
        (NEW, "agent_model: opus", "agent_model: opus-4.7"),
        (NEW, "agent_model: sonnet", "agent_model: sonnet-4.6"),
        (NEW, "agent_model: opus-4.6", "agent_model: opus-4.6"),
        (NEW, 'title: "craft: cinema"', 'title: "craft: cinema"'),
        (MIDDLE, "craft: cinema, agent_model: opus", "agent_model: opus-4.7, craft: cinema"),
        (OLD, "skills: [ugc]", "craft: ugc"),
        (OLD, "skills: []", "craft: general"),
        (OLD, "agent_model: opus-4.7", "agent_model: opus"),
        (MIDDLE, "skills: [photography]", "craft: photography"),
        (NEW, "crfat: cinema, craft: ugc", "skills: [ugc], crfat: cinema"),
    ],
)
def test_what_has_words_is_said_in_them(to, before, after):
    assert of_settings(before, to) == (after, [])


@pytest.mark.parametrize(
    ("to", "before", "after", "told"),
    [
        (NEW, "craft: humor", "", "settings.craft: 'humor' was not carried over: version 2026-05 has nothing for it"),
        (NEW, "craft: auto", "", "'auto' was not carried over"),
        (NEW, "craft_auto: true", "", "craft_auto: true was not carried over"),
        (NEW, "expected_output: null", "", "expected_output: null was not carried over"),
        (NEW, "craft: ugc, skills: [cinema]", "skills: [cinema]", "skills is there already"),
        (NEW, 'craft: "${var.c}"', 'skills: ["${var.c}"]', "check that skills takes it"),
        (NEW, 'craft_auto: "${var.c}"', "", "'${var.c}' was not carried over"),
        (MIDDLE, "craft: humor", "", "version 2026-04 has nothing for it"),
        (OLD, "skills: [cinema, ugc]", "", "skills: ['cinema', 'ugc'] was not carried over"),
        (OLD, "skills: [01234567-89ab-cdef-0123-456789abcdef]", "", "was not carried over"),
        (OLD, "agent_model: opus-4.6", "", "'opus-4.6' was not carried over"),
        (OLD, "reasoning_mode: fast", "", "'fast' was not carried over"),
    ],
)
def test_what_has_no_words_is_taken_out_and_told_with_its_place(to, before, after, told):
    said, ((line, column, summary),) = of_settings(before, to)
    assert said == after
    assert (line, column) == (4, 16) and told in summary


COMMENTED = """\
# top
defaults: {settings: {craft: ugc}}   # shared
projects:
  teaser:
    brief: |
      craft: cinema
      # no comment
    settings:
      title: T
      # the craft
      craft: cinema   # because
      # auto
      craft_auto: false   # gone
      agent_model: &m opus   # best
    lifecycle:
      ignore_changes:   # these
        - craft   # first
        - title
  other:
    brief: x
    settings:
      agent_model: *m
---
# second
projects: {third: {brief: y, settings: {expected_output: assets}}}
# end
"""


def test_every_comment_stays_with_anchors_documents_and_texts():
    result, left = upgraded(COMMENTED, NEW)
    for comment in (
        "# top",
        "# shared",
        "# the craft",
        "# because",
        "# auto",
        "# gone",
        "# best",
        "# these",
        "# first",
        "# second",
        "# end",
    ):
        assert result.count(comment) == 1, comment
    assert "      craft: cinema\n      # no comment\n" in result, "a text is a text"
    assert result.count("opus-4.7") == 2 and "craft_auto" not in result and "expected_output" not in result
    assert [place[0] for place in left] == [13, 25]


def test_the_configuration_gets_the_version_and_its_defaults_the_words():
    text = """\
# ours
workspace: acme
api: {url: sandbox, version: 2025-03}   # the api
defaults: {settings: {craft: cinema, title: T}}
environments:
  dev: {api: {version: 2026-04}, defaults: {settings: {agent_model: opus}}}
  prod: {api: {key_env: EVERSINCE_X}}
"""
    result, left = upgraded(text, NEW, upgraded_config)
    assert left == []
    assert result == text.replace("version: 2025-03", f'version: "{NEW}"').replace(
        "version: 2026-04", f'version: "{NEW}"'
    ).replace("craft: cinema, title: T", "skills: [cinema], title: T").replace("opus", "opus-4.7")


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("workspace: acme\nspecs: s\n", f'workspace: acme\napi: {{version: "{NEW}"}}\nspecs: s\n'),
        ("api:\n  url: sandbox # x\n", f'api:\n  url: sandbox # x\n  version: "{NEW}"\n'),
        ("# nothing\n", f'api: {{version: "{NEW}"}}\n# nothing\n'),
    ],
)
def test_a_configuration_without_a_version_gets_one(text, after):
    result, _ = upgraded(text, NEW, upgraded_config)
    assert sorted(result.splitlines()) == sorted(after.splitlines())


@pytest.mark.parametrize("text", ["a: [", "projects: {a: {brief: x, brief: y}}\n", "a: !tag x\n"])
def test_what_is_not_a_spec_is_left_alone(text):
    with pytest.raises(FileProblem):
        upgraded_spec(text, "a.yaml", contract.named(NEW))


SPECS = """\
projects:
  a:
    brief: x
    settings: {craft: humor, title: T}
"""


def test_the_command_rewrites_the_workspace_and_says_what_is_left(tmp_path):
    space = make_space(tmp_path, SPECS)
    before = space.files()
    assert space.run("fmt", "--upgrade-api", NEW, "--check", code=1).out == "specs/a.yaml\nreconciler.yaml\n"
    assert "-    settings: {craft: humor" in space.run("fmt", "--upgrade-api", NEW, "--diff").out
    assert space.files() == before, "neither writes anything"
    done = space.run("fmt", "--upgrade-api", NEW)
    assert "warning[E139]" in done.err and "specs/a.yaml:4:16" in done.err and "4 |" in done.err
    assert f'version: "{NEW}"' in (space.root / "reconciler.yaml").read_text()
    space.run("validate")
    assert space.run("fmt", "--upgrade-api", NEW).out == ""
    space.run("fmt", "--check")


def test_one_file_is_rewritten_without_the_configuration(tmp_path):
    space = make_space(tmp_path, SPECS.replace("humor", "ugc"))
    space.write("specs/b.yaml", "projects: {b: {brief: x, settings: {craft: ugc}}}\n")
    done = space.run("fmt", "--upgrade-api", NEW, "specs/a.yaml", code=1)
    assert f"still uses api.version {OLD}" in done.err
    assert "skills" in (space.root / "specs/a.yaml").read_text()
    assert "craft" in (space.root / "specs/b.yaml").read_text()
    assert (space.root / "reconciler.yaml").read_text() == CONFIG


def test_without_a_configuration_it_says_what_to_set(tmp_path):
    space = make_space(tmp_path, SPECS.replace("humor", "ugc"))
    (space.root / "reconciler.yaml").unlink()
    assert "EVERSINCE_API_VERSION" in space.run("fmt", "--upgrade-api", NEW).err
    assert "EVERSINCE" not in space.run("fmt", "--upgrade-api", NEW, EVERSINCE_API_VERSION=NEW).err


def test_what_is_wrong_in_the_new_version_is_an_error_after_the_rewrite(tmp_path):
    # Intent: a text that is too long by now can't be rewritten; the user decides, and is told where.
    space = make_space(tmp_path, SPECS.replace("brief: x", f"brief: {'x' * 9000}").replace("humor", "ugc"))
    refused = space.run("fmt", "--upgrade-api", NEW, code=1)
    assert "error[E113]" in refused.err and "specs/a.yaml:3" in refused.err and "at most 8,000" in refused.err
    assert "skills: [ugc]" in (space.root / "specs/a.yaml").read_text()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("variable", ["", OLD, NEW])
def test_it_works_whatever_version_is_in_force(tmp_path, variable):
    # Intent: who has set the new version first is told to run it, so that it must read what is an error by then.
    space = make_space(tmp_path, SPECS.replace("humor", "ugc"), CONFIG + "defaults: {settings: {agent_model: opus}}\n")
    space.run("fmt", "--upgrade-api", NEW, EVERSINCE_API_VERSION=variable)
    assert "opus-4.7" in (space.root / "reconciler.yaml").read_text()
    space.run("validate")


def test_another_version_than_there_is_is_a_usage_error(tmp_path):
    assert NEW in make_space(tmp_path).run("fmt", "--upgrade-api", "2027-01", code=1).err
