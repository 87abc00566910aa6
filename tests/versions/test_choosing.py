"""Which version of the API is spoken: configuration, environment, variable, default; and everything that follows it."""

from __future__ import annotations

import json

import pytest

from reconciler.model import contract
from reconciler.model.errors import ConfigError, SpecError
from reconciler.sandbox.store import Store
from tests.cli.cli_support import APPLY, make_space
from tests.spec_files import load_config, load_specs

VERSIONS = contract.versions()
OTHER = "2026-04"


def configured(root, text, env=None, **flags):
    (root / "reconciler.yaml").write_text(text)
    return load_config(root, env=env or {}, **flags)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_a_version_is_a_string_quoted_or_not(tmp_path, version, quote):
    # Intent: YAML 1.1 would read a date into it.
    config = configured(tmp_path, f"api: {{version: {quote}{version}{quote}}}\n")
    assert config.api_version == config.sandbox_version == contract.current().version == version


ENVIRONMENTS = f"""\
workspace: acme
api: {{version: "{OTHER}"}}
environments:
  dev: {{api: {{version: "2025-03"}}}}
  prod: {{}}
"""


@pytest.mark.parametrize(
    ("text", "environment", "variable", "expected"),
    [
        ("", None, None, "2025-03"),
        ("", None, OTHER, OTHER),
        ("", None, "", "2025-03"),
        (f"api: {{version: {OTHER}}}", None, None, OTHER),
        (f"api: {{version: {OTHER}}}", None, "2025-03", "2025-03"),
        (ENVIRONMENTS, "dev", None, "2025-03"),
        (ENVIRONMENTS, "prod", None, OTHER),
        (ENVIRONMENTS + "default_environment: dev\n", None, None, "2025-03"),
        (ENVIRONMENTS, "dev", OTHER, OTHER),
    ],
)
def test_the_variable_wins_over_the_environment_and_that_over_the_file(tmp_path, text, environment, variable, expected):
    env = {} if variable is None else {"EVERSINCE_API_VERSION": variable}
    config = configured(tmp_path, text, env, environment=environment)
    assert (config.api_version, contract.current().version) == (expected, expected)


@pytest.mark.parametrize(
    ("text", "env", "piece"),
    [
        ("api: {version: 2026-4}\n", {}, "'2026-04'"),
        ("api: {version: 2025}\n", {}, "2025-03"),
        ("api: {version: latest}\n", {}, ", ".join(VERSIONS)),
        ("api: {version: null}\n", {}, "can't be null"),
        ("sandbox: {api_version: v1}\n", {}, ", ".join(VERSIONS)),
        ("environments: {dev: {api: {version: v2}}}\ndefault_environment: dev\n", {}, ", ".join(VERSIONS)),
        ("", {"EVERSINCE_API_VERSION": "2026-4"}, "EVERSINCE_API_VERSION: '2026-4' is not allowed"),
        ("", {"EVERSINCE_API_VERSION": "../x"}, ", ".join(VERSIONS)),
    ],
)
def test_an_unknown_version_is_an_error_that_names_the_known_ones(tmp_path, text, env, piece):
    with pytest.raises(ConfigError) as failure:
        configured(tmp_path, text, env)
    (said,) = failure.value.diagnostics
    assert piece in f"{said.summary}; {said.detail}"
    assert env or str(said.location).startswith("reconciler.yaml:1:")


def test_defaults_of_an_environment_are_checked_by_its_own_version(tmp_path):
    # Intent: two environments may be on two versions, each with the words of its own, whichever one is worked in.
    text = f"""\
    environments:
      dev: {{api: {{version: {OTHER}}}, defaults: {{settings: {{agent_model: opus-4.6}}}}}}
      prod: {{defaults: {{settings: {{agent_model: sonnet}}}}}}
    """
    for name in ("dev", "prod"):
        configured(tmp_path, text, environment=name)
    for wrong in (text.replace("opus-4.6", "opus"), text.replace("sonnet", "sonnet-4.6")):
        for name in ("dev", "prod"):
            with pytest.raises(ConfigError, match="agent_model"):
                configured(tmp_path, wrong, environment=name)


def test_the_defaults_at_the_top_are_checked_by_the_version_in_force(tmp_path):
    text = f"defaults: {{settings: {{agent_model: sonnet}}}}\nenvironments: {{a: {{}}, b: {{api: {{version: {OTHER}}}}}}}\n"
    configured(tmp_path, text, environment="a")
    with pytest.raises(ConfigError, match=r"'sonnet' needs api\.version 2025-03"):
        configured(tmp_path, text, environment="b")


def test_the_sandbox_may_speak_another_version_than_the_workspace(tmp_path):
    config = configured(tmp_path, f"sandbox: {{api_version: {OTHER}}}\n")
    assert (config.api_version, config.sandbox_version, contract.current().version) == ("2025-03", OTHER, "2025-03")


# ── what follows it ─────────────────────────────────────────────────────────────────────────────────────────────────

SPEC = "projects: {{teaser: {{brief: {}, settings: {{agent_model: {}}}}}}}\n"


@pytest.mark.sweep
def test_limits_values_schema_and_explain_follow_the_version(tmp_path):
    space = make_space(tmp_path, SPEC.format("x" * 9_000, "opus"))
    space.run("validate")
    refused = space.run("validate", code=1, EVERSINCE_API_VERSION=OTHER).err
    assert "9,000 characters, at most 8,000" in refused and "'opus' needs api.version 2025-03" in refused
    for args, env in (((), {"EVERSINCE_API_VERSION": OTHER}), (("--api-version", OTHER), {})):
        models = json.loads(space.run("schema", *args, **env).out)["$defs"]["Settings"]["properties"]["agent_model"]
        assert "opus-4.7" in json.dumps(models)
        assert "opus-4.7" in space.run("explain", *args, "projects.settings.agent_model", **env).out
    assert "opus-4.7" not in space.run("schema").out
    space.write("reconciler.yaml", f"workspace: acme\napi: {{version: {OTHER}}}\n")
    assert "opus-4.7" in space.run("schema").out, "without an option, the workspace's own"
    assert space.run("schema", "--api-version", "v9", code=1).err.count(OTHER) == 1


def test_the_embedded_sandbox_speaks_the_version_and_keeps_an_account_of_another(tmp_path):
    # Intent: a trial goes on when the workspace moves to another version, and back.
    space = make_space(tmp_path, SPEC.format("Ten seconds.", "opus"))
    space.run(*APPLY)
    space.write("specs/b.yaml", SPEC.format("Another.", "opus-4.6").replace("teaser", "later"))
    space.write("specs/a.yaml", SPEC.format("Ten seconds.", "opus-4.7"))
    space.run(*APPLY, EVERSINCE_API_VERSION=OTHER)
    assert space.run("plan", "--format", "json", EVERSINCE_API_VERSION=OTHER).document["steps"] == []
    with space.account() as store:
        assert [p["agent_model"] for p in store.projects()][-1] == "opus-4.6"
    refused = space.run("plan", code=1)
    assert "'opus-4.6' needs api.version 2026-04 or 2026-05" in refused.err


def test_the_sandbox_has_the_prices_and_limits_of_its_version():
    for version in VERSIONS:
        api = contract.named(version)
        store = Store(":memory:", api=api)
        assert store.contract.version == version
        store.close()
    assert [contract.named(v).limits.create_credits for v in ("2025-03", "2026-04")] == [30, 50]
    assert [contract.named(v).limits.low_credits for v in ("2025-03", "2026-04")] == [100, 101]


def test_serve_speaks_the_version_that_it_is_told(tmp_path):
    space = make_space(tmp_path, SPEC.format("Ten seconds.", "opus-4.6"))
    with space.start("sandbox", "serve", "--port", "0", "--api-version", OTHER) as server:
        try:
            env = {"EVERSINCE_API_URL": server.stdout.readline().strip(), "EVERSINCE_API_VERSION": OTHER}
            space.run("--state", "served.json", *APPLY, **env)
        finally:
            server.terminate()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["brief", "message", "title"])
@pytest.mark.parametrize(("character", "units"), [("x", 1), ("é", 1), ("\U0001f600", 2)])
def test_a_text_is_short_enough_in_code_points_and_in_utf_16(tmp_path, version, name, character, units):
    # Intent: nothing says how the API counts, so a text that is accepted here is accepted there.
    (tmp_path / "specs").mkdir()
    limit = contract.named(version).max_length(name)
    for length, good in ((limit // units, True), (limit // units + 1, False)):
        given = {"brief": "x", "title": "x", "message": "x"} | {name: character * length}
        spec = {"brief": given["brief"], "settings": {"title": given["title"]}, "messages": [given["message"]]}
        (tmp_path / "specs" / "a.yaml").write_text(json.dumps({"projects": {"a": spec}}, ensure_ascii=False))
        config = load_config(tmp_path, env={"EVERSINCE_API_VERSION": version})
        if good:
            load_specs(config, env={})
        else:
            with pytest.raises(SpecError, match=f"{length:,} characters.*at most {limit:,} are allowed"):
                load_specs(config, env={})
