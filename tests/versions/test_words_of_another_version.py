"""A spec for another version of the API than the one in force: an error at its line that names both and the replacement."""

from __future__ import annotations

import json

import pytest

from reconciler.adapters.specs.validation.codes import Code
from reconciler.model.errors import ConfigError, SpecError
from tests.cli.cli_support import make_space
from tests.spec_files import load_config, load_specs

OLD, MIDDLE, NEW = "2025-03", "2026-04", "2026-05"


def errors(root, version, settings, place="settings"):
    (root / "specs").mkdir()
    (root / "specs" / "a.yaml").write_text(f"projects:\n  a:\n    brief: x\n    {place}:\n      {settings}\n")
    config = load_config(root, env={"EVERSINCE_API_VERSION": version})
    with pytest.raises(SpecError) as failure:
        load_specs(config, env={})
    return failure.value.diagnostics


@pytest.mark.parametrize(
    ("version", "settings", "column", "summary", "detail"),
    [
        (OLD, "skills: [cinema]", 7, f"skills needs api.version {NEW}; this workspace uses {OLD}", "write craft: cinema"),
        (MIDDLE, "skills: [music]", 7, f"skills needs api.version {NEW}; this workspace uses {MIDDLE}", "craft: music"),
        (OLD, "skills: [music]", 7, f"skills needs api.version {NEW}", "craft replaces it, but has nothing for"),
        (OLD, "skills: []", 7, f"skills needs api.version {NEW}", "write craft: general"),
        (OLD, "skills: [cinema, ugc]", 7, f"skills needs api.version {NEW}", "craft replaces it"),
        (NEW, "craft: cinema", 7, f"craft needs api.version {OLD} or {MIDDLE}; this workspace uses {NEW}",
         "write skills: [cinema]"),
        (NEW, "craft: general", 7, "this workspace uses 2026-05", "write skills: []"),
        (NEW, "craft: humor", 7, "this workspace uses 2026-05", "skills replaces it, but has nothing for 'humor'"),
        (NEW, "craft: auto", 7, "this workspace uses 2026-05", "skills replaces it, but has nothing for 'auto'"),
        (NEW, "craft_auto: false", 7, "craft_auto needs api.version", "leave it out"),
        (NEW, "expected_output: assets", 7, "expected_output needs api.version", "leave it out"),
        (OLD, "reasoning_mode: fast", 7, f"reasoning_mode needs api.version {NEW}", "leave it out"),
        (NEW, "agent_model: opus", 20, f"'opus' needs api.version {OLD}; this workspace uses {NEW}", "opus-4.7"),
        (MIDDLE, "agent_model: sonnet", 20, f"'sonnet' needs api.version {OLD}", "write agent_model: sonnet-4.6"),
        (OLD, "agent_model: opus-4.7", 20, f"'opus-4.7' needs api.version {MIDDLE} or {NEW}", "write agent_model: opus"),
        (OLD, "agent_model: opus-4.6", 20, f"needs api.version {MIDDLE} or {NEW}", "valid values: opus, sonnet"),
        (MIDDLE, "craft: humor", 14, f"'humor' needs api.version {OLD}; this workspace uses {MIDDLE}", "photography"),
    ],
)  # fmt: skip
def test_the_error_names_both_versions_and_what_to_write(tmp_path, version, settings, column, summary, detail):
    (said,) = errors(tmp_path, version, settings)
    assert said.code == Code.API_VERSION
    assert str(said.location) == f"specs/a.yaml:5:{column}"
    assert summary in said.summary and detail in said.detail


@pytest.mark.parametrize(
    ("version", "names", "detail"),
    [(NEW, "[craft]", "write skills"), (OLD, "[skills]", "write craft"), (NEW, "[expected_output]", "leave it out")],
)
def test_ignored_changes_are_words_too(tmp_path, version, names, detail):
    (said,) = errors(tmp_path, version, f"ignore_changes: {names}", "lifecycle")
    assert said.code == Code.API_VERSION and detail in said.detail


@pytest.mark.parametrize(
    ("version", "settings", "code"),
    [
        (NEW, "skill: [cinema]", Code.UNKNOWN_KEY),
        (NEW, "skills: cinema", Code.TYPE),
        (NEW, "skills: [cinmea]", Code.CHOICE),
        (NEW, "skills: [cinema, cinema]", Code.CHOICE),
        (NEW, "skills: [01234567-89ab-cdef-0123-456789abcdef, 01234567-89AB-CDEF-0123-456789ABCDEF]", Code.CHOICE),
        (NEW, "skills: [0123]", Code.TYPE),
        (NEW, "skills: null", Code.NULL),
        (OLD, "crafts: cinema", Code.UNKNOWN_KEY),
    ],
)
def test_what_no_version_has_is_an_error_as_ever(tmp_path, version, settings, code):
    (said,) = errors(tmp_path, version, settings)
    assert said.code == code
    assert str(said.location).startswith("specs/a.yaml:5:")


def test_a_text_that_another_version_allows_says_so(tmp_path):
    (said,) = errors(tmp_path, NEW, f"title: T\n    messages: [{'x' * 9000}]")
    assert (said.code, said.detail) == (Code.LIMIT, f"api.version {OLD} allows 10,000")


def test_defaults_of_the_workspace_are_checked_at_their_line_too(tmp_path):
    (tmp_path / "reconciler.yaml").write_text(f"api: {{version: {NEW}}}\ndefaults:\n  settings: {{craft: ugc}}\n")
    with pytest.raises(ConfigError) as failure:
        load_config(tmp_path, env={})
    (said,) = failure.value.diagnostics
    assert (str(said.location), said.code) == ("reconciler.yaml:3:14", Code.API_VERSION)
    assert "write skills: [ugc]" in said.detail


@pytest.mark.sweep
def test_every_format_of_validate_and_explain_name_the_other_version(tmp_path):
    space = make_space(tmp_path, "projects: {a: {brief: x, settings: {skills: [cinema]}}}\n")
    found = json.loads(space.run("validate", "--format", "json", code=1).out)["diagnostics"]
    assert [d["code"] for d in found] == ["E139"]
    assert f"skills needs api.version {NEW}" in space.run("validate", "--format", "github", code=1).out
    unknown = space.run("explain", "projects.settings.skills", code=1).err
    assert f"in version {OLD}" in unknown and f"--api-version {NEW}" in unknown
    assert f"--api-version {NEW}" in space.run("explain", "skills", code=1).err
    assert "cinema" in space.run("explain", "--api-version", NEW, "projects.settings.skills").out
