"""``reconciler.yaml``: its defaults, what wins over it, and everything that can be wrong with it."""

from __future__ import annotations

import jsonschema
import pytest
from ruamel.yaml import YAML

from reconciler.adapters.specs.validation.codes import Code
from reconciler.adapters.specs.validation.json_schema import config_schema
from reconciler.model.config import Account, Config, Limits, Policy
from reconciler.model.errors import ConfigError, Location
from tests.spec_files import load_config

EXAMPLE = """\
workspace: acme-videos
api:
  url: https://eversince.example/api/v1/
  key_env: EVERSINCE_TEAM_KEY
account: {project: proj_abc123}
specs: projects
state: s3://bucket/prefix
defaults:
  settings: {mode: autonomous, title: "${address}"}
limits: {active_projects: 3, requests_per_minute: 60, settle_seconds: 0.5}
policy: {max_creates: 20, max_cancels: 0, max_replacements: null, max_messages: 50, min_credits: 100, max_share: null,
  allowed_env: [WEBHOOK_TOKEN]}
sandbox: {speed: 100}
"""


def test_every_key_is_read(tmp_path):
    """A full file gives exactly these values."""
    (tmp_path / "reconciler.yaml").write_text(EXAMPLE)
    assert load_config(tmp_path, env={"RECONCILER_ALLOWED_HOSTS": "eversince.example"}) == Config(
        root=tmp_path,
        workspace="acme-videos",
        api_url="https://eversince.example/api/v1",
        key_env="EVERSINCE_TEAM_KEY",
        account=Account(project="proj_abc123", location=Location("reconciler.yaml", 5, 20)),
        specs="projects",
        state="s3://bucket/prefix",
        defaults={"settings": {"mode": "autonomous", "title": "${address}"}},
        limits=Limits(active_projects=3, requests_per_minute=60, settle_seconds=0.5),
        policy=Policy(
            max_creates=20, max_cancels=0, max_messages=50, min_credits=100, max_share=None,
            allowed_env=("WEBHOOK_TOKEN",),
        ),
        sandbox_speed=100.0,
        file="reconciler.yaml",
    )  # fmt: skip


@pytest.mark.parametrize("text", [None, "", "# nothing\n---\n"])
def test_every_key_has_a_default(tmp_path, text):
    """Without a file, or with an empty one, the directory's name is the workspace."""
    root = tmp_path / "Äcme videos (1)"
    root.mkdir()
    if text is not None:
        (root / "reconciler.yaml").write_text(text)
    file = None if text is None else "reconciler.yaml"
    assert load_config(root, env={}) == Config(root=root, workspace="cme-videos-1", named=False, file=file)


def test_flags_beat_the_environment_which_beats_the_file(tmp_path):
    """For the state and the API's address; an empty variable is none."""
    (tmp_path / "reconciler.yaml").write_text("workspace: w\nstate: a\napi: {url: 'https://a.example'}\n")
    env = {"RECONCILER_STATE": "b", "EVERSINCE_API_URL": "http://b.example/"}

    def read(env, **flags):
        config = load_config(tmp_path, env=env, **flags)
        return config.state, config.api_url

    unset = {"RECONCILER_STATE": "", "EVERSINCE_API_URL": ""}
    assert read({**unset, "RECONCILER_ALLOWED_HOSTS": "a.example"}) == ("a", "https://a.example")
    assert read(env) == ("b", "http://b.example")
    assert read(env, state="c", api_url="sandbox") == ("c", "sandbox")


@pytest.mark.parametrize(
    ("flags", "env", "piece"),
    [
        ({"api_url": "ftp://x"}, {}, "--api-url is not a URL"),
        ({"api_url": ""}, {}, "--api-url is not a URL"),
        ({}, {"EVERSINCE_API_URL": "https://u:canary@x.example"}, "EVERSINCE_API_URL must have no user"),
        ({"state": " "}, {}, "--state: ' '"),
        ({}, {"RECONCILER_STATE": "\0"}, "RECONCILER_STATE"),
    ],
)
def test_wrong_flags_and_variables_are_named(tmp_path, flags, env, piece):
    """The error says which of them is wrong, and not what a password is."""
    with pytest.raises(ConfigError) as failure:
        load_config(tmp_path, env=env, **flags)
    (found,) = failure.value.diagnostics
    assert piece in found.summary
    assert "canary" not in repr(found)


CASES = [
    ("workspace: a/b\n", "IDENTIFIER", "1:12", "1 to 64"),
    (f"workspace: {'a' * 65}\n", "IDENTIFIER", "1:12", "is not valid"),
    ("workspace: 5\n", "TYPE", "1:12", 'quote it: "5"'),
    ("workspace:\n", "NULL", "1:11", "can't be null"),
    ("workspce: a\n", "UNKNOWN_KEY", "1:1", "did you mean 'workspace'?"),
    ("api: https://x.example\n", "TYPE", "1:6", "api must be a mapping"),
    ("api: {url: x}\n", "URL", "1:12", "is not a URL"),
    ("api: {url: 'https://x.example/?a=b'}\n", "URL", "1:12", "query"),
    ("api: {url: 'https://user:canary@x.example'}\n", "URL", "1:12", "password"),
    ("api: {key_env: 'EVERSINCE_A B'}\n", "IDENTIFIER", "1:16", "begins with EVERSINCE_"),
    ("api: {key: x}\n", "UNKNOWN_KEY", "1:7", "Valid keys: url, key_env"),
    ("specs: ../x\n", "OUTSIDE", "1:8", "not a path inside"),
    ("specs: /\n", "OUTSIDE", "1:8", "not a path inside"),
    ("specs: ''\n", "BLANK", "1:8", "must not be blank"),
    ("specs: 5\n", "TYPE", "1:8", "a string or a list of strings, not 5"),
    ("specs:\n", "NULL", "1:7", "can't be null"),
    ("specs: []\n", "BLANK", "1:8", "no folder"),
    ("specs: [a, 5]\n", "TYPE", "1:12", "must be a string, not 5"),
    ("specs: [a, ../x]\n", "OUTSIDE", "1:12", "not a path inside"),
    ("vars_file: ../x.yaml\n", "OUTSIDE", "1:12", "not a path inside"),
    ("state: ''\n", "BLANK", "1:8", "must not be blank"),
    ("limits: {active_projects: 0}\n", "LIMIT", "1:27", "greater than or equal to 1"),
    ("limits: {active_projects: 2.5}\n", "TYPE", "1:27", "an integer"),
    ("limits: {active_projects: true}\n", "TYPE", "1:27", "not true"),
    ("limits: {requests_per_minute: '60'}\n", "TYPE", "1:31", "an integer"),
    (f"limits: {{requests_per_minute: {'9' * 5000}}}\n", "TYPE", "1:31", "an integer"),
    ("limits: {settle_seconds: -1}\n", "LIMIT", "1:26", "greater than or equal to 0"),
    ("limits: {settle_seconds: .inf}\n", "LIMIT", "1:26", "out of range"),
    ("limits: {settle_seconds: .nan}\n", "LIMIT", "1:26", "out of range"),
    ("limits: {active: 3}\n", "UNKNOWN_KEY", "1:10", "did you mean 'active_projects'?"),
    ("policy: {max_creates: -1}\n", "LIMIT", "1:23", "greater than or equal to 0"),
    ("policy: {max_share: 30}\n", "LIMIT", "1:21", "less than or equal to 1"),
    ("policy: {max_share: 30%}\n", "TYPE", "1:21", "must be a number"),
    ("policy: {allowed_env: TOKEN}\n", "TYPE", "1:23", "must be a list"),
    ("policy: {allowed_env: ['*']}\n", "IDENTIFIER", "1:24", "'*' is not valid"),
    ("policy: {allowed_env: [EVERSINCE_API_KEY]}\n", "ENV_NOT_ALLOWED", "1:24", "the API's key"),
    (
        "api: {key_env: EVERSINCE_K}\npolicy: {allowed_env: [X, EVERSINCE_K]}\n",
        "ENV_NOT_ALLOWED",
        "2:27",
        "EVERSINCE_K is the",
    ),
    (
        "api: {key_env: EVERSINCE_K}\npolicy: {allowed_env: [EVERSINCE_API_KEY]}\n",
        "ENV_NOT_ALLOWED",
        "2:24",
        "the API's key",
    ),
    ("sandbox: {speed: 0}\n", "LIMIT", "1:18", "greater than 0"),
    ("defaults: {messages: []}\n", "UNKNOWN_KEY", "1:12", "messages can't be a default"),
    ("defaults: {settings: {mode: on}}\n", "CHOICE", "1:29", "'on' is not allowed"),
    ("defaults: $x\n", "TYPE", "1:11", "defaults must be a mapping"),
    ("defaults: {settings: $x}\n", "TYPE", "1:22", "must be a mapping"),
    ("defaults: {titel: '${address}'}\n", "UNKNOWN_KEY", "1:12", "unknown key 'titel'"),
    ("defaults: {extract_content: 'yes'}\n", "TYPE", "1:29", "true or false"),
    ("variables: {x: {type: int}}\n", "CHOICE", "1:23", "string, number, bool, list"),
    ("variables: {x: {typ: list}}\n", "UNKNOWN_KEY", "1:17", "did you mean 'type'?"),
    ("a: [\n", "SYNTAX", "2:1", "not YAML"),
    ("- a\n", "TYPE", "1:1", "one mapping"),
    ("workspace: a\n---\nworkspace: b\n", "TYPE", "3:1", "one mapping"),
    ("workspace: a\nworkspace: b\n", "DUPLICATE_KEY", "2:1", "first on line 1"),
]


@pytest.mark.parametrize(("text", "code", "place", "piece"), CASES, ids=lambda value: repr(value)[:50])
def test_says_what_is_wrong_and_where(tmp_path, text, code, place, piece):
    """One mistake gives one error, with its code, file:line:column and a helpful word."""
    (tmp_path / "reconciler.yaml").write_text(text)
    with pytest.raises(ConfigError) as failure:
        load_config(tmp_path, env={})
    said = [(Code(d.code).name, str(d.location), d.summary, d.detail) for d in failure.value.diagnostics]
    assert len(said) == 1, said
    assert said[0][:2] == (code, f"reconciler.yaml:{place}"), said
    assert piece in "; ".join(said[0][2:]), said
    assert "canary" not in repr(said)


def test_unusable_files_and_folders_are_named(tmp_path):
    """A missing folder, a file of another name, one that leaves the workspace, one that is no text."""
    root = tmp_path / "ws"
    with pytest.raises(ConfigError, match="no folder"):
        load_config(root, env={})
    root.mkdir()
    (root / "reconciler.yml").write_text("workspace: a\n")
    with pytest.raises(ConfigError, match=r"reconciler\.yml is never read"):
        load_config(root, env={})
    (tmp_path / "x.yaml").write_text("workspace: a\n")
    (root / "reconciler.yaml").symlink_to("../x.yaml")
    with pytest.raises(ConfigError, match="leads out of the workspace"):
        load_config(root, env={})
    (root / "reconciler.yaml").unlink()
    (root / "reconciler.yaml").write_bytes(b"workspace: \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(root, env={})


def test_the_schema_agrees_with_the_reader():
    """What the reader takes or refuses as a shape, the published schema takes or refuses too."""
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(YAML(typ="safe", pure=True).load(EXAMPLE))
    assert validator.is_valid({"api": {"url": "sandbox"}})
    beyond = {"SYNTAX", "DUPLICATE_KEY", "OUTSIDE", "ENV_NOT_ALLOWED"}
    for text, code, _, _ in CASES:
        if code in beyond or "---" in text or ".nan" in text or ".inf" in text or "9999" in text:
            continue
        assert not validator.is_valid(YAML(typ="safe", pure=True).load(text)), text
