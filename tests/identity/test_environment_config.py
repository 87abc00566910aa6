"""Environments in ``reconciler.yaml``: choosing one, merging its keys, and every error at its place."""

from __future__ import annotations

import jsonschema
import pytest
from ruamel.yaml import YAML

from reconciler.adapters.specs.validation.json_schema import config_schema
from reconciler.model.errors import ConfigError
from tests.cli.cli_support import APPLY, make_space
from tests.sampling import every
from tests.spec_files import load_config, load_specs

TWO = """\
workspace: acme-videos
default_environment: dev
policy: {max_creates: 1, max_cancels: 2, allowed_env: [A, B]}
limits: {active_projects: 3}
defaults: {settings: {mode: autonomous, craft: cinema}}
environments:
  dev:
    policy: {max_creates: 5, allowed_env: [C]}
    api: {key_env: EVERSINCE_DEV_API_KEY}
  prod:
    state: s3://acme-state/videos
    defaults: {settings: {craft: ugc}}
    specs: [specs, more]
  client-b: {api: {url: sandbox}}
"""
SPEC = "projects:\n  a: {brief: x}\n"


def write(root, config, files=()):
    root.mkdir(exist_ok=True)
    (root / "reconciler.yaml").write_text(config)
    for name, text in dict(files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_an_environment_is_merged_over_the_top(tmp_path):
    """Intent: maps key by key (also deep ones), lists and scalars replaced, the rest as it stands at the top."""
    root = write(tmp_path, TWO)
    dev = load_config(root, env={})
    assert (dev.environment, dev.environments) == ("dev", ("dev", "prod", "client-b"))
    assert (dev.policy.max_creates, dev.policy.max_cancels, dev.policy.allowed_env) == (5, 2, ("C",))
    assert (dev.key_env, dev.limits.active_projects, dev.specs) == ("EVERSINCE_DEV_API_KEY", 3, "specs")
    prod = load_config(root, env={}, environment="prod")
    assert (prod.policy.max_creates, prod.policy.allowed_env, prod.key_env) == (1, ("A", "B"), "EVERSINCE_API_KEY")
    assert prod.defaults == {"settings": {"mode": "autonomous", "craft": "ugc"}}
    assert prod.specs == prod.spec_folders == ("specs", "more")
    assert (dev.workspace, dev.identity, prod.identity) == ("acme-videos", "acme-videos@dev", "acme-videos@prod")


def test_a_flag_wins_over_the_variable_which_wins_over_the_default(tmp_path):
    root = write(tmp_path, TWO)
    env = {"RECONCILER_ENVIRONMENT": "prod"}
    assert load_config(root, env=env).environment == "prod"
    assert load_config(root, env=env, environment="client-b").environment == "client-b"
    assert load_config(root, env={"RECONCILER_ENVIRONMENT": ""}).environment == "dev"


@pytest.mark.parametrize(
    ("state", "environment", "flag", "place"),
    [
        (None, "dev", None, "reconciler.dev.state.json"),
        ("team.state.json", "dev", None, "team.dev.state.json"),
        ("kept/state.json", "dev", None, "kept/state.dev.json"),
        ("kept/state", "dev", None, "kept/state.dev"),
        ("s3://b/p", "dev", None, "s3://b/p/dev"),
        ("gs://b/", "dev", None, "gs://b/dev"),
        ("x", "prod", None, "s3://own/prefix/prod"),
        ("x", "file", None, "own.json"),
        ("x", "dev", "/else/where.json", "/else/where.json"),
        ("x", "prod", "file:///shared", "file:///shared/prod"),
    ],
)
def test_each_environment_has_a_place_of_its_own(tmp_path, state, environment, flag, place):
    """Intent: what environments share is divided by their names; a file named for one environment is that file."""
    own = "environments: {dev: {}, prod: {state: 's3://own/prefix'}, file: {state: own.json}}\n"
    root = write(tmp_path, f"workspace: w\n{f'state: {state}' if state else ''}\n{own}")
    assert load_config(root, env={}, environment=environment, state=flag).state_place == place


def test_the_sandbox_has_a_state_and_an_account_for_each(tmp_path):
    root = write(tmp_path, "workspace: w\napi: {url: sandbox}\nenvironments: {dev: {}, prod: {}}\n")
    made = [load_config(root, env={}, environment=name) for name in ("dev", "prod")]
    assert len({config.state_path for config in made} | {config.sandbox_db for config in made}) == 4


ENVIRONMENT = [
    ("policy: {max_creates: -1}", "E113", "max_creates: -1"),
    ("polcy: {}", "E111", "did you mean 'policy'"),
    ("workspace: other", "E111", "stands at the top of the file, once for all environments"),
    ("environments: {}", "E111", "stands at the top of the file"),
    ("default_environment: dev", "E111", "stands at the top of the file"),
    ("api: {url: x}", "E117", "is not a URL"),
    ("api: {url: 'https://attacker.example/v1'}", "E137", "RECONCILER_ALLOWED_HOSTS=attacker.example"),
    ("api: {url: 'http://eversince.ai/api/v1'}", "E137", "in the clear"),
    ("api: {key_env: GITHUB_TOKEN}", "E119", "begins with EVERSINCE_"),
    ("policy: {allowed_env: [FINE, AWS_SECRET_ACCESS_KEY]}", "E131", "reserved for a credential"),
    ("policy: {allowed_env: [EVERSINCE_API_KEY]}", "E131", "is the API's key"),
    ("policy: {allowed_env: [EVERSINCE_OTHER_KEY]}", "E131", "can't be allowed"),
    ("state: ../other/state.json", "E107", "not a path inside the workspace"),
    ("state: file:///elsewhere", "E107", "--state or RECONCILER_STATE"),
    ("state: .git/config", "E107", "git's own"),
    ("state: linked/state.json", "E107", "leads through a link"),
    ("specs: ../outside", "E107", "not a path inside"),
    ("specs: [specs, linked]", "E107", "leads out of the workspace"),
    ("vars_file: ../outside/vars.yaml", "E107", "not a path inside"),
    ("vars_file: linked/vars.yaml", "E107", "leads out of the workspace"),
    ("defaults: {settings: {crft: x}}", "E111", "did you mean 'craft'"),
]


@pytest.mark.parametrize("source", ["flag", "variable", "default"])
@pytest.mark.parametrize(("line", "code", "piece"), ENVIRONMENT)
def test_what_an_environment_says_is_checked_as_if_it_stood_at_the_top(tmp_path, line, code, piece, source):
    """Intent: shape and trust, at the line and column in the environment's block, however it was chosen."""
    (tmp_path / "outside").mkdir()
    default = "default_environment: prod" if source == "default" else "# none"
    text = f"workspace: w\n{default}\nenvironments:\n  dev: {{}}\n  prod:\n    {line}\n"
    root = write(tmp_path / "w", text)
    (root / "linked").symlink_to("../outside")
    with pytest.raises(ConfigError) as failure:
        load_config(
            root,
            env={"RECONCILER_ENVIRONMENT": "prod"} if source == "variable" else {},
            environment="prod" if source == "flag" else None,
        )
    (found,) = failure.value.diagnostics
    assert found.code == code
    assert str(found.location).startswith("reconciler.yaml:6:"), found
    assert piece in f"{found.summary}; {found.detail}", found


def test_a_host_of_another_environment_needs_no_trust(tmp_path):
    """Intent: the job of dev need not name the hosts of prod; its shape is checked all the same."""
    root = write(tmp_path, "environments: {dev: {}, prod: {api: {url: 'https://prod.example/v1'}}}\n")
    assert load_config(root, env={}, environment="dev").environment == "dev"
    hosts = {"RECONCILER_ALLOWED_HOSTS": "prod.example"}
    assert load_config(root, env=hosts, environment="prod").api_url == "https://prod.example/v1"


def test_a_key_at_the_top_and_a_name_in_the_environment_are_seen_together(tmp_path):
    """Intent: what is allowed at the top may not become the key of an environment."""
    text = "policy: {allowed_env: [EVERSINCE_DEV_KEY]}\nenvironments:\n  dev: {api: {key_env: EVERSINCE_DEV_KEY}}\n"
    with pytest.raises(ConfigError, match="is the API's key"):
        load_config(write(tmp_path, text), env={}, environment="dev")


@pytest.mark.parametrize(
    ("text", "environment", "place", "pieces"),
    [
        ("environments: {dev: {}, prod: {}}\n", None, "reconciler.yaml:1:1", ["no environment is chosen", "dev, prod"]),
        ("environments: {dev: {}, prod: {}}\n", "prd", "None", ["did you mean 'prod'", "Environments: dev, prod"]),
        ("environments: {dev: {}, prod: {}}\n", "", "None", ["there is no environment ''"]),
        ("default_environment: dve\nenvironments: {dev: {}}\n", None, "reconciler.yaml:1:22", ["did you mean 'dev'"]),
        ("default_environment: dev\n", None, "reconciler.yaml:1:22", ["there are no environments"]),
        ("workspace: w\n", "dev", "None", ["--environment: there are no environments"]),
        ("environments: {Dev: {}}\n", "Dev", "reconciler.yaml:1:16", ["1 to 32 of a-z"]),
        ("environments: {a/b: {}}\n", "a/b", "reconciler.yaml:1:16", ["1 to 32 of a-z"]),
        ("environments: {'..': {}}\n", "..", "reconciler.yaml:1:16", ["1 to 32 of a-z"]),
        ("environments: [dev]\n", "dev", "reconciler.yaml:1:15", ["must be a mapping"]),
        ("environments:\n  dev:\n", "dev", "reconciler.yaml:2:7", ["environments.dev can't be null", "write {}"]),
    ],
)
def test_a_wrong_choice_is_told_with_the_names(tmp_path, text, environment, place, pieces):
    with pytest.raises(ConfigError) as failure:
        load_config(write(tmp_path, text), env={}, environment=environment)
    (found,) = failure.value.diagnostics
    assert str(found.location) == place
    for piece in pieces:
        assert piece in f"{found.summary}; {found.detail}"


COMMANDS = [
    ("validate",),
    ("plan",),
    ("apply", "--auto-approve"),
    ("destroy", "--auto-approve"),
    ("watch",),
    ("status",),
    ("messages", "a"),
    ("output",),
    ("report", "--out", "x"),
    ("export", "--out", "x"),
    ("import", "a", "proj_1"),
    ("state", "list"),
    ("state", "show", "a"),
    ("state", "recover"),
    ("sandbox", "faults"),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("args", every(2, COMMANDS), ids=" ".join)
def test_every_command_that_reads_the_workspace_takes_an_environment(tmp_path, args):
    """Intent: before or after its name; unknown ones and a missing one are exit 1, with the names, and no file."""
    space = make_space(tmp_path / "w", SPEC, "workspace: w\napi: {url: sandbox}\nenvironments: {dev: {}, prod: {}}\n")
    before = space.files()
    for given in ((("-e", "prd"), ()), ((), ("--environment", "prd"))):
        told = space.run(*given[0], *args, *given[1], code=1)
        assert "did you mean 'prod'" in told.err + told.out, told
    assert "no environment is chosen" in (missing := space.run(*args, code=1)).err + missing.out
    assert "dev, prod" in missing.err + missing.out
    assert space.files() == before


@pytest.mark.sampled(3)
@pytest.mark.parametrize("value", [" ", "dev ", "DEV", "../dev", "dev\n", "dev,prod", "\x1b[31mdev", "a" * 500])
def test_a_strange_value_of_the_variable_is_told_by_the_variables_name(tmp_path, value):
    """Intent: nobody typed a flag; what was set by accident is shown, shortened, and harmless."""
    space = make_space(tmp_path / "w", SPEC, "workspace: w\napi: {url: sandbox}\nenvironments: {dev: {}, prod: {}}\n")
    told = space.run("plan", code=1, RECONCILER_ENVIRONMENT=value).err
    assert "RECONCILER_ENVIRONMENT: there is no environment '" in told and "dev, prod" in told
    assert "\x1b" not in told and len(told) < 400
    assert "--environment: there is no" in space.run("plan", "-e", value, code=1, RECONCILER_ENVIRONMENT=value).err


def test_two_different_environments_are_not_one(tmp_path):
    space = make_space(tmp_path / "w", SPEC, "workspace: w\napi: {url: sandbox}\nenvironments: {dev: {}, prod: {}}\n")
    assert "given twice: dev and prod" in space.run("-e", "dev", "plan", "-e", "prod", code=1).err
    space.run("-e", "dev", "plan", "-e", "dev")
    space.run("plan", "-e", "dev", RECONCILER_ENVIRONMENT="nonsense")
    space.run("-e", "dev", "plan", RECONCILER_PLAN_ENVIRONMENT="nonsense")


def test_the_schema_knows_environments():
    """Intent: an editor helps in an environment's block as at the top."""
    validator = jsonschema.Draft202012Validator(config_schema())
    assert validator.is_valid(YAML(typ="safe", pure=True).load(TWO))
    for wrong in ("workspace: w", "polcy: {}", "environments: {}", "api: {key: x}"):
        text = f"environments:\n  dev: {{{wrong}}}\n" if "{" not in wrong else f"environments:\n  dev:\n    {wrong}\n"
        assert not validator.is_valid(YAML(typ="safe", pure=True).load(text)), wrong


MARKETS = """\
variables:
  x: {default: default}
projects:
  a: {brief: "${var.x} in ${environment}"}
"""


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({}, "default"),
        ({"top_file"}, "top_file"),
        ({"top_file", "top"}, "top"),
        ({"top_file", "top", "file"}, "file"),
        ({"top_file", "top", "file", "vars"}, "vars"),
        ({"top_file", "top", "file", "vars", "env"}, "env"),
        ({"top_file", "top", "file", "vars", "env", "var_file"}, "var_file"),
        ({"top_file", "top", "file", "vars", "env", "var_file", "var"}, "var"),
    ],
)
def test_values_have_an_order(tmp_path, given, meant):
    """Intent: --var, --var-file, RECONCILER_VAR_x, the environment's vars, its vars_file, the top's, the default."""
    top = ["vars: {x: top}\n" if "top" in given else "", "vars_file: top.yaml\n" if "top_file" in given else ""]
    own = ["vars: {x: vars}" if "vars" in given else "", "vars_file: prod.yaml" if "file" in given else ""]
    config = f"workspace: w\napi: {{url: sandbox}}\n{''.join(top)}environments:\n  prod: {{{', '.join(filter(None, own))}}}\n"
    space = make_space(tmp_path / "w", MARKETS, config)
    for name, value in (("top", "top_file"), ("prod", "file"), ("flag", "var_file")):
        space.write(f"{name}.yaml", f"x: {value}\n")
    args = (("--var-file", "flag.yaml") if "var_file" in given else ()) + (("--var", "x=var") if "var" in given else ())
    env = {"RECONCILER_VAR_x": "env"} if "env" in given else {}
    plan = space.run("-e", "prod", "plan", "--format", "json", *args, **env).document
    assert plan["steps"][0]["request"]["body"]["brief"] == f"{meant} in prod"


def test_a_value_in_the_configuration_has_a_place_and_a_type(tmp_path):
    """Intent: lists and numbers are taken as such; a wrong type is told at its place in the environment."""
    root = write(
        tmp_path, "environments:\n  dev: {vars: {m: [us, de]}}\n  prod: {vars: {m: us}}\n  qa: {vars: {m: 5}}\n"
    )
    (root / "specs").mkdir()
    (root / "specs" / "a.yaml").write_text(
        'variables: {m: {type: list}}\nprojects: {a: {for_each: "${var.m}", brief: "${each.key}"}}\n'
    )

    def projects(name):
        return set(load_specs(load_config(root, env={}, environment=name), env={}).projects)

    assert (projects("dev"), projects("prod")) == ({"a[us]", "a[de]"}, {"a[us]"})
    told = make_space(tmp_path, None, (root / "reconciler.yaml").read_text()).run("-e", "qa", "validate", code=1).err
    assert "reconciler.yaml:4:" in told and "must be a list of strings, not 5" in told


def test_environment_has_no_value_where_there_are_none(tmp_path):
    space = make_space(tmp_path / "w", MARKETS)
    assert "${environment} has no value" in space.run("validate", code=1).err


MEMBERS = (
    "projects:\n  everywhere: {brief: x}\n  big: {brief: x, only: [prod, qa]}\n  small: {brief: x, except: [prod]}\n"
)


@pytest.mark.parametrize(
    ("name", "addresses"),
    [("dev", {"everywhere", "small"}), ("qa", {"everywhere", "small", "big"}), ("prod", {"everywhere", "big"})],
)
def test_a_project_may_be_in_some_environments_only(tmp_path, name, addresses):
    files = {"specs/a.yaml": MEMBERS}
    root = write(tmp_path, "environments: {dev: {}, qa: {}, prod: {}}\n", files)
    assert load_specs(load_config(root, env={}, environment=name), env={}).projects.keys() == addresses


@pytest.mark.parametrize(
    ("project", "column", "piece"),
    [
        ("only: [prd]", 23, "did you mean 'prod'"),
        ("except: [dev, prd]", 30, "did you mean 'prod'"),
        ("only: [prod], except: [dev]", 30, "can't be combined"),
        ("only: prod", 22, "must be a list of environments"),
        ("only: []", 22, "names no environment"),
        ("only: [5]", 22, "must be a list of environments"),
    ],
)
def test_wrong_members_are_told_at_their_place(tmp_path, project, column, piece):
    config = "workspace: w\napi: {url: sandbox}\nenvironments: {dev: {}, prod: {}}\n"
    space = make_space(tmp_path / "w", f"projects:\n  a: {{brief: x,{project}}}\n", config)
    told = space.run("-e", "dev", "validate", code=1).err
    assert f"specs/a.yaml:2:{column}" in told and piece in told, told


def test_only_needs_environments(tmp_path):
    space = make_space(tmp_path / "w", "projects:\n  a: {brief: x, only: [prod]}\n")
    assert "declares no environments" in space.run("validate", code=1).err


def test_what_is_elsewhere_is_not_needed_and_no_error(tmp_path):
    """Intent: a value that only prod has, and a move in prod, leave dev alone; a dependency says where it is."""
    config = "workspace: w\napi: {url: sandbox}\nenvironments: {dev: {}, prod: {vars: {x: y}}}\n"
    spec = 'projects:\n  a: {brief: "${var.x}", only: [prod]}\n  b: {brief: x}\nmoved: [{from: old, to: a}]\n'
    space = make_space(tmp_path / "w", spec, config)
    assert space.run("-e", "dev", "validate").out == "Valid: 1 project.\n"
    assert space.run("-e", "prod", "validate").out == "Valid: 2 projects.\n"
    space.write("specs/c.yaml", "projects:\n  c: {brief: x, depends_on: [a]}\n")
    assert "is not in this environment" in space.run("-e", "dev", "validate", code=1).err
    space.run("-e", "prod", "validate")


MESSY = "projects:   {a:   {brief: x}}\n"
FOLDERS = """\
workspace: w
api: {url: sandbox}
environments:
  dev: {specs: [specs, dev], policy: {allowed_env: []}}
  prod: {specs: [specs, prod], api: {url: 'https://prod.example/v1'}, state: 's3://x/y'}
"""


@pytest.mark.parametrize(
    ("given", "formatted"),
    [
        ((), {"specs", "dev", "prod"}),
        (("-e", "dev"), {"specs", "dev"}),
        (("-e", "prod"), {"specs", "prod"}),
        (("--check",), {"specs", "dev", "prod"}),
        (("prod",), {"prod"}),
    ],
)
def test_fmt_formats_the_folders_of_all_environments_or_of_the_chosen_one(tmp_path, given, formatted):
    """Intent: formatting sends nothing and needs no value, so there is no environment to choose, and no host to trust."""
    env = {"RECONCILER_ALLOWED_HOSTS": "prod.example"} if "-e" in given else {}
    space = make_space(tmp_path / "w", None, FOLDERS, **env)
    for folder in ("specs", "dev", "prod"):
        space.write(f"{folder}/{folder}.yaml", MESSY.replace("{a:", f"{{{folder}:"))
    args = given[2:] if "-e" in given else given
    told = space.run(*given[: len(given) - len(args)], "fmt", *args, code="--check" in given)
    assert set(told.out.splitlines()) == {f"{name}/{name}.yaml" for name in formatted}
    changed = {p.parent.name for p in space.root.glob("*/*.yaml") if "   " not in p.read_text()}
    assert changed == (set() if "--check" in given else formatted)


def test_fmt_tells_each_environments_errors_once_and_keeps_those_files(tmp_path):
    space = make_space(tmp_path / "w", None, FOLDERS)
    space.write("specs/a.yaml", MESSY.replace("brief", "brif"))
    space.write("dev/b.yaml", MESSY.replace("{a:", "{b:").replace("x", '"${var.nowhere}"'))
    space.write("prod/c.yaml", MESSY.replace("{a:", "{c:").replace("x}", "x, only: [prd]}"))
    ran = space.run("fmt", code=1)
    assert ran.out == "dev/b.yaml\n"
    assert ran.err.count("error[") == 3 and "brif" in ran.err and "did you mean 'prod'" in ran.err


@pytest.mark.sampled(3)
@pytest.mark.parametrize("default", ["", "default_environment: dev\n"])
@pytest.mark.parametrize(
    "args", [("schema",), ("init",), ("help", "environments"), ("explain", "E107"), ("environments",)]
)
def test_what_is_not_of_one_environment_demands_none(tmp_path, args, default):
    space = make_space(
        tmp_path / "w", SPEC, f"workspace: w\napi: {{url: sandbox}}\n{default}environments: {{dev: {{}}}}\n"
    )
    space.run(*args)
    space.run(*args, RECONCILER_ENVIRONMENT="nonsense")


TWICE = [
    ("only: [dev]", "only: [prod]", None),
    ("only: [dev]", "except: [dev]", None),
    ("except: [dev, qa]", "except: [prod]", None),
    ("only: [dev, qa]", "only: [qa, prod]", "declared twice in environment qa"),
    ("only: [dev]", "state: present", "declared twice in environment dev"),
    ("except: [qa]", "except: [qa]", "declared twice in environment dev"),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("first", "second", "said"), TWICE)
@pytest.mark.parametrize("files", [("a.yaml", "b.yaml"), ("a.yaml", "a.yaml")])
def test_environments_may_each_have_their_own_project_of_one_name(tmp_path, first, second, said, files):
    """Intent: one address, one version for each environment; an overlap is an error in all, with the way out."""
    config = "workspace: w\napi: {url: sandbox}\nenvironments: {dev: {}, qa: {}, prod: {}}\n"
    space = make_space(tmp_path / "w", None, config)
    texts = [
        f"projects:\n  a: {{brief: {brief}, {line}}}\n" for brief, line in (("First.", first), ("Second.", second))
    ]
    if files[0] == files[1]:
        space.write("specs/a.yaml", "---\n".join(texts))
    else:
        for name, text in zip(files, texts, strict=True):
            space.write(f"specs/{name}", text)
    briefs = set()
    for name in ("dev", "qa", "prod"):
        ran = space.run("-e", name, "validate", code=1 if said else 0)
        assert (said or "Valid") in ran.out + ran.err
        if said:
            assert "E121" in ran.err and "only or except" in ran.err and "first at specs/a.yaml:2:3" in ran.err, ran.err
        else:
            steps = space.run("-e", name, "plan", "--format", "json").document["steps"]
            briefs.update(step["request"]["body"]["brief"] for step in steps)
    assert briefs == (set() if said else {"First.", "Second."})


def test_what_refers_to_a_name_finds_the_one_of_this_environment(tmp_path):
    """Intent: dependencies, moves and removals, whichever of the two stands first."""
    config = "workspace: w\napi: {url: sandbox}\nenvironments: {dev: {}, qa: {}, prod: {}}\n"
    space = make_space(tmp_path / "w", None, config)
    two = [
        "projects:\n  a: {brief: One., only: [dev]}\n",
        "projects:\n  a: {for_each: [x, y], brief: Two., only: [prod]}\n",
    ]
    rest = "projects:\n  b: {brief: x, depends_on: [a], except: [qa]}\nmoved: [{from: old, to: 'a'}]\n"
    for order in (two, two[::-1]):
        space.write("specs/a.yaml", order[0])
        space.write("specs/b.yaml", order[1])
        space.write("specs/c.yaml", rest)
        assert space.run("-e", "dev", "validate").out == "Valid: 2 projects.\n"
        assert "a is moved to" not in space.run("-e", "qa", "validate").err
        assert "old is moved to a, which is not declared" in space.run("-e", "prod", "validate", code=1).err
        space.write("specs/c.yaml", rest.partition("moved")[0].replace("[qa]", "[prod]"))
        assert "'a' is not in this environment" in space.run("-e", "qa", "validate", code=1).err


def test_a_move_to_a_project_of_other_environments_is_theirs(tmp_path):
    """Intent: a project is renamed in prod only; dev keeps it under its name, and nothing of it is made again."""
    config = "workspace: w\napi: {url: sandbox}\nsandbox: {speed: 200}\nenvironments: {dev: {}, prod: {}}\n"
    space = make_space(tmp_path / "w", "projects:\n  a: {brief: x}\n", config)
    for name in ("dev", "prod"):
        space.run("-e", name, *APPLY)
    both = "  a: {brief: x, only: [dev]}\n  b: {brief: x, only: [prod]}\n"
    space.write("specs/a.yaml", f"projects:\n{both}moved: [{{from: a, to: b}}]\n")
    assert space.run("-e", "dev", "plan", "--detailed-exitcode").code == 0
    steps = space.run("-e", "prod", "plan", "--format", "json").document["steps"]
    assert [(step["address"], step["action"]) for step in steps] == [("b", "move")]
