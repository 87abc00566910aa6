"""The recipes as files: valid by the services' schemas, least privilege, pinned, nothing interpolated into a shell."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.command import command
from tests.recipes.workflow import GITHUB, ROOT, git, listed, load

CI = ROOT / "examples" / "ci"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.yml"))
CHECKS = {
    "vendor.github-workflows": WORKFLOWS,
    "vendor.github-actions": ACTIONS,
    "vendor.gitlab-ci": [CI / "gitlab" / ".gitlab-ci.yml", CI / "gitlab" / "environments.gitlab-ci.yml"],
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("schema", CHECKS)
def test_recipes_are_valid(schema):
    """Intent: by the schemas that check-jsonschema carries, offline."""
    options = ["--data-transform", "gitlab-ci"] if "gitlab" in schema else []
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        schema,
        *options,
        *map(str, CHECKS[schema]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def steps(path):
    document = load(path)
    jobs = document["jobs"].values() if "jobs" in document else [document["runs"]]
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shell_steps_hold_no_expression_and_parse(path):
    """Intent: a title or a branch name can never become a command: values reach the shell by the environment alone."""
    for step in steps(path):
        if "run" in step:
            assert "${{" not in step["run"]
            subprocess.run(["bash", "-n", "-c", step["run"]], check=True)
        else:
            local = re.fullmatch(r"(?:\./recipe|\$)/\.github/(actions/\w+)", step["uses"])
            assert local or re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])
            if local:
                assert (GITHUB / local[1] / "action.yml").exists()
            if "checkout" in step["uses"]:
                assert step["with"]["persist-credentials"] is False


def scripts():
    """Every shell script of the recipes."""
    document = load(CI / "gitlab" / ".gitlab-ci.yml")
    jobs = [job for job in document.values() if isinstance(job, dict)]
    gitlab = [line for job in jobs for name in ("before_script", "script") for line in job.get(name, [])]
    return [*(step["run"] for path in (*WORKFLOWS, *ACTIONS) for step in steps(path) if "run" in step), *gitlab]


def test_every_interpreter_is_isolated_and_every_package_has_its_hash():
    """Intent: no module and no setting of the current folder; no dependency that the reviewed source does not pin."""
    for script in scripts():
        for line in script.splitlines():
            for call in re.finditer(r"(?<![\w/-])(?:python3?|pip3?)\s+\S+", line):
                assert re.fullmatch(r"python3? -I|pip --disable-pip-version-check", call[0]), line
            assert not re.search(r"\b(?:apt-get|curl|wget|npm|pipx|uvx)\b", line)


def test_the_recipes_install_in_the_same_way():
    """Intent: the two services' scripts say one thing."""
    github = {step.get("name"): step.get("run") for step in steps(GITHUB / "actions" / "reconciler" / "action.yml")}[
        "Install reconciler"
    ]
    (gitlab,) = load(CI / "gitlab" / ".gitlab-ci.yml")["default"]["before_script"]
    common = github.split("\n", 2)[2]
    assert "require-hashes" in common
    assert common in gitlab.replace("\n  ", "\n")


PINNED = "${{ vars.EVERSINCE_API_URL || 'https://eversince.ai/api/v1' }}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_the_api_s_host_is_pinned_from_outside_the_checkout(path):
    """Intent: wherever reconciler runs, with the key or without, the API's address is the same: what a branch says does not count."""
    for name, job in load(path)["jobs"].items():
        runs = [
            step for step in job["steps"] if re.search(r"tools/reconciler|actions/(reconciler|workspaces)\b", str(step))
        ]
        assert (name, job.get("env", {}).get("EVERSINCE_API_URL")) == (name, PINNED if runs else None)
        assert not [step for step in job["steps"] if "EVERSINCE_API_URL" in str(step)]


def test_the_api_s_host_is_the_pipeline_s_in_every_job():
    """Intent: as above, for GitLab: a variable of the file, which no job takes back."""
    document = pipeline("environments.gitlab-ci.yml")
    assert document["variables"]["EVERSINCE_API_URL"] == "https://eversince.ai/api/v1"
    for job in (each for name, each in document.items() if isinstance(each, dict) and name != "variables"):
        assert "inherit" not in job
        assert "EVERSINCE_API_URL" not in str(job)


def test_every_image_is_pinned_by_digest():
    document = load(CI / "gitlab" / ".gitlab-ci.yml")
    images = [job["image"] for job in document.values() if isinstance(job, dict) and "image" in job]
    assert images
    assert all(re.fullmatch(r"[\w.:-]+@sha256:[0-9a-f]{64}", image) for image in images)


def test_the_pre_commit_example_pins_a_commit():
    for repo in load(CI / "pre-commit-config.yaml")["repos"]:
        assert re.fullmatch("[0-9a-f]{40}", repo["rev"])


def requirements(path):
    text = path.read_text().replace("\\\n", " ")
    return dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", text)), text


EXTRAS = ("otel", "policy", "remote")
"""What a run may turn on by a setting: recipes and the image have it all."""


def test_the_lock_with_hashes_is_the_lock():
    """Intent: what a recipe installs is what the tests ran with; each file has its hash, and no index is named."""
    tested, _ = requirements(ROOT / "requirements.lock")
    pinned, text = requirements(ROOT / "reconciler" / "runtime.lock")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert all("--hash=sha256:" in line for line in lines)
    assert len(lines) == len(pinned)
    assert "://" not in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(line for name in EXTRAS for line in project["optional-dependencies"][name])]
    names = {re.match(r"[\w.-]+", line)[0].replace(".", "-").lower() for line in wanted}
    assert names <= pinned.keys()
    builds = {"hatchling", "tomlkit", "trove-classifiers"}
    assert pinned.keys() - tested.keys() <= builds
    assert {name: version for name, version in pinned.items() if name in tested} == {
        name: version for name, version in tested.items() if name in pinned
    }


PIN = re.compile(r"(actions/[\w-]+)@([0-9a-f]{40}) # (v\d+)(\.\d+\.\d+)$", re.MULTILINE)


def test_an_action_is_pinned_to_the_same_release_everywhere():
    pins = {match.groups() for path in (*WORKFLOWS, *ACTIONS) for match in PIN.finditer(path.read_text())}
    assert sorted(name for name, *_ in pins) == ["actions/checkout", "actions/setup-python", "actions/upload-artifact"]


def linted(repository):
    """What actionlint says of a repository's workflows. It knows actions by release, not by commit, and in their place."""
    for path in repository.glob(".github/**/*.yml"):
        text = PIN.sub(r"\1@\3", path.read_text())
        path.write_text(re.sub(r"uses: (?:\./recipe|\$)/", "uses: ./", text))
    command = [Path(sys.executable).with_name("actionlint"), "-no-color", "-oneline", "-shellcheck=", "-pyflakes="]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


@pytest.fixture
def github(tmp_path):
    repository = tmp_path / "linted"
    shutil.copytree(GITHUB, repository / ".github")
    git(repository, "init", "-q")
    return repository


def test_actionlint_finds_nothing(github):
    done = linted(github)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def zizmor(repository):
    command = [Path(sys.executable).with_name("zizmor"), "--offline", "--no-progress", "--strict-collection", "."]
    return subprocess.run(
        [*command, "--format=plain", "--color=never"], cwd=repository, capture_output=True, text=True, check=False
    )


def test_zizmor_finds_nothing(github):
    done = zizmor(github)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("No findings to report.")
    assert all(path.name in done.stderr for path in WORKFLOWS)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("          persist-credentials: false\n", "", "artipacked"),
        ("  pull_request:", "  pull_request_target:", "dangerous-triggers"),
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "unpinned-uses"),
        ('"$CODE" != 1', "${{ github.head_ref }} != 1", "template-injection"),
        (" # zizmor: ignore[self-repository]", " #", "self-repository"),
    ],
    ids=lambda value: value[:30],
)
def test_zizmor_finds_a_mistake(github, right, wrong, said):
    path = github / ".github" / "workflows" / "reconciler-plan.yml"
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    done = zizmor(github)
    assert done.returncode != 0
    assert said in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("needs: [workspaces, validate, plan]", "needs: [workspaces, validated, plan]", "validated"),
        ("needs.workspaces.outputs.list)", "needs.workspaces.outputs.lists)", "lists"),
        ("persist-credentials:", "persist-credential:", "persist-credential"),
        ("${{ github.event.pull_request.number }}", "${{ github.event.pull_request.number", "unexpected EOF"),
        ("ubuntu-24.04", "ubuntu-2404", "ubuntu-2404"),
        ("steps.list.outputs.list", "steps.list.outputs.listed", "listed"),
    ],
    ids=lambda value: value[:30],
)
def test_actionlint_finds_a_mistake(github, right, wrong, said):
    """Intent: the check above is alive: it sees jobs, expressions, actions' inputs and the composite actions."""
    path = github / ".github" / "workflows" / "reconciler-plan.yml"
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    done = linted(github)
    assert done.returncode == 1
    assert said in done.stdout, done.stdout


PERMISSIONS = {
    "reconciler-plan": {
        "workspaces": {"contents": "read", "pull-requests": "read"},
        "validate": {"contents": "read"},
        "plan": {"contents": "read", "actions": "read", "pull-requests": "write"},
        "reconciler": {},
    },
    "reconciler-apply": {
        "workspaces": {"contents": "read", "pull-requests": "read"},
        "apply": {"contents": "read", "actions": "read", "pull-requests": "read"},
        "again": {"actions": "write", "pull-requests": "read"},
    },
    "reconciler-comment": {
        "command": {"contents": "read", "pull-requests": "write"},
        "again": {"actions": "write", "pull-requests": "read"},
        "apply": {"contents": "read", "actions": "read", "pull-requests": "write"},
        "answer": {"pull-requests": "write"},
    },
    "reconciler-queue": {
        "workspaces": {"contents": "read", "pull-requests": "read"},
        "plan": {"contents": "read", "actions": "read", "pull-requests": "read"},
        "reconciler": {},
    },
    "reconciler-claim": {
        "workspaces": {"contents": "read", "pull-requests": "read"},
        "release": {"contents": "read"},
        "again": {"contents": "read", "actions": "write", "pull-requests": "read"},
    },
    "reconciler-drift-apply": {
        "command": {"contents": "read", "issues": "write"},
        "apply": {"contents": "read", "actions": "read", "issues": "read"},
        "answer": {"issues": "write"},
    },
    "reconciler-drift": {"workspaces": {"contents": "read"}, "drift": {"contents": "read", "issues": "write"}},
}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_may_do_just_what_they_need(path):
    """Intent: permissions, secrets, time limits and concurrency are as the comments say."""
    document = load(path)
    assert document["permissions"] == {}
    assert {name: job["permissions"] for name, job in document["jobs"].items()} == PERMISSIONS[path.stem]
    assert all(job["timeout-minutes"] <= 60 for job in document["jobs"].values())
    assert "pull_request_target" not in document["on"]
    for name, job in document["jobs"].items():
        holders = [step["name"] for step in job["steps"] if "secrets." in str(step)]
        assert holders == {"plan": ["Plan"], "apply": ["Apply"], "drift": ["Look"]}.get(name, [])
    concurrency = document.get("concurrency") or document["jobs"]["apply"]["concurrency"]
    writes = path.stem in ("reconciler-apply", "reconciler-comment", "reconciler-claim", "reconciler-drift-apply")
    assert concurrency["cancel-in-progress"] is not writes
    if path.stem == "reconciler-plan":
        here = "github.event.pull_request.head.repo.full_name == github.repository"
        assert document["jobs"]["plan"]["if"] == f"needs.workspaces.outputs.list != '[]' && {here}"
    environments = {name: job.get("environment") for name, job in document["jobs"].items() if "secrets." in str(job)}
    approved = (
        "${{ matrix.workspace.environment || 'production' }}"  # a GitHub environment for each, with its approvals
    )
    looks = "${{ matrix.workspace.plan || 'plan' }}"
    wanted = {
        "reconciler-apply": {"apply": approved},
        "reconciler-comment": {"apply": approved},
        "reconciler-drift-apply": {"apply": approved},
        "reconciler-claim": {},
        "reconciler-queue": {"plan": looks},
    }
    assert environments == wanted.get(path.stem, {path.stem[11:]: looks})


def test_the_time_out_is_below_the_job_s_limit():
    """Intent: what is deferred is written down before the service ends the job."""
    job = load(GITHUB / "workflows" / "reconciler-apply.yml")["jobs"]["apply"]
    given = next(re.search(r"--timeout (\d+)m", step["run"]) for step in job["steps"] if step.get("name") == "Apply")
    assert int(given[1]) < job["timeout-minutes"]
    gitlab = load(CI / "gitlab" / ".gitlab-ci.yml")["apply"]
    assert int(re.search(r"--timeout (\d+)m", gitlab["script"][-1])[1]) < int(gitlab["timeout"].removesuffix("m"))


SPEC = "projects:\n  teaser:\n    brief: A calm opening.\n"


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    for name in ("campaigns", "brand"):
        (root / name / "specs").mkdir(parents=True)
        (root / name / "reconciler.yaml").write_text(
            f"workspace: {name}\napi: {{url: sandbox}}\nsandbox: {{speed: 200}}\n"
        )
        (root / name / "specs" / "a.yaml").write_text(SPEC)
    return root


def pipeline(name):
    """A pipeline's file with what it includes and extends, as GitLab puts them together: mappings key by key."""
    document = load(CI / "gitlab" / name)
    for include in document.get("include", ()):
        assert include["file"] == "reconciler.gitlab-ci.yml"
        document = together(load(CI / "gitlab" / ".gitlab-ci.yml"), document)
    return {
        key: together(document[job["extends"]], job) if isinstance(job, dict) and "extends" in job else job
        for key, job in document.items()
    }


def together(base, over):
    both = isinstance(base, dict) and isinstance(over, dict)
    return {**base, **{k: together(base.get(k), v) for k, v in over.items()}} if both else over


def gitlab_job(name, checkout, workspace, document=None, **env):
    """The commands of a job, for one value of its matrix; reconciler is installed already."""
    document = document or pipeline(".gitlab-ci.yml")
    installs, end, rest = document["default"]["before_script"][0].partition("PATH=$tools:$PATH\n")
    assert installs and end and "out=" in rest
    script = [rest, *document[name]["script"]]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RECONCILER_", "EVERSINCE_API_URL", "GITHUB_"))}
    path = f"{command().parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(script)],
        cwd=checkout,
        env={
            **kept,
            **env,
            "WORKSPACE": workspace,
            "RECONCILER_STATE": f"{checkout.parent / workspace}{env.get('RECONCILER_ENVIRONMENT', '')}.json",
            "CI": "true",
            "GITLAB_CI": "true",
            "PATH": path,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.sweep
def test_the_gitlab_jobs_plan_apply_and_find_drift(checkout):
    """Intent: the scripts as they stand, one after another, as a pipeline would."""
    assert gitlab_job("validate", checkout, "campaigns").returncode == 0
    planned = gitlab_job("plan", checkout, "campaigns")
    assert planned.returncode == 0, planned.stderr
    (page,) = (checkout / "reconciler-plan").glob("*/plan.html")
    digest = re.search(r"Digest: <code>([0-9a-f]{64})</code>", page.read_text())[1]
    shutil.copytree(checkout / "reconciler-plan", checkout.parent / "kept")
    assert gitlab_job("drift", checkout, "campaigns").returncode == 2
    shutil.rmtree(checkout / "reconciler-plan")
    shutil.move(checkout.parent / "kept", checkout / "reconciler-plan")  # the drift's is another pipeline
    refused = gitlab_job("apply", checkout, "campaigns")
    assert refused.returncode == 1
    assert "Run this job with the variable DIGEST" in refused.stderr
    applied = gitlab_job("apply", checkout, "campaigns", DIGEST=digest)
    assert applied.returncode == 0, applied.stderr
    again = gitlab_job("apply", checkout, "campaigns", DIGEST=digest)
    assert "1 already done" in again.stdout
    assert gitlab_job("drift", checkout, "campaigns").returncode == 0


@pytest.mark.sweep
def test_gitlab_jobs_of_what_is_not_affected_end_at_once(checkout):
    """Intent: also where another workspace is broken; and where nothing tells, they do their work."""
    git(checkout, "init", "-q")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "Start")
    base = git(checkout, "rev-parse", "HEAD")
    (checkout / "brand" / "specs" / "a.yaml").write_text("projects: [\n")
    (checkout / "campaigns" / "specs" / "b.yaml").write_text(SPEC.replace("teaser", "more"))
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "Change")
    for since in ({"CI_MERGE_REQUEST_DIFF_BASE_SHA": base}, {"CI_COMMIT_BEFORE_SHA": base}):
        assert gitlab_job("plan", checkout, "campaigns", **since).returncode == 0
        assert list((checkout / "reconciler-plan").glob("*/saved.plan"))
        broken = gitlab_job("plan", checkout, "brand", **since)
        assert broken.returncode == 1
        assert "brand/specs/a.yaml" in broken.stderr or "specs/a.yaml" in broken.stderr
    (checkout / "brand" / "specs" / "a.yaml").write_text(SPEC)
    git(checkout, "commit", "-qam", "Right again")
    head = {"CI_COMMIT_BEFORE_SHA": git(checkout, "rev-parse", "HEAD^")}
    for job in ("validate", "plan", "apply"):
        done = gitlab_job(job, checkout, "campaigns", **head)
        assert done.returncode == 0, done.stderr
        assert "None of 1 workspace is affected" in done.stdout
    assert not (checkout / "reconciler-plan").exists()
    assert gitlab_job("plan", checkout, "brand", **head).returncode == 0
    shutil.rmtree(checkout / "reconciler-plan")
    unknown = gitlab_job("plan", checkout, "campaigns", CI_COMMIT_BEFORE_SHA="f" * 40)
    assert unknown.returncode == 0, unknown.stderr
    assert "there is no commit" in unknown.stderr
    assert list((checkout / "reconciler-plan").glob("*/saved.plan"))


@pytest.mark.sweep
def test_gitlab_environments_are_a_matrix(checkout):
    """Intent: each environment of reconciler.yaml has its own GitLab environments, plan and lock; none takes another's plan."""
    document = pipeline("environments.gitlab-ci.yml")
    config = checkout / "campaigns" / "reconciler.yaml"
    config.write_text(config.read_text() + "environments: {dev: {}, prod: {}}\n")
    matrix = [
        {"WORKSPACE": workspace, "RECONCILER_ENVIRONMENT": name}
        for row in document[".workspaces"]["parallel"]["matrix"]
        for workspace in row["WORKSPACE"]
        for name in row["RECONCILER_ENVIRONMENT"]
    ]
    assert len(matrix) == 4
    for job in ("validate", "plan", "apply", "drift"):
        assert document[job]["parallel"] == document[".workspaces"]["parallel"]
    taken = {}
    for job, key in (
        ("plan", "environment"),
        ("drift", "environment"),
        ("apply", "environment"),
    ):
        for values in matrix:
            said = document[job][key]["name"] if isinstance(document[job][key], dict) else document[job][key]
            name = re.sub(r"\$(\w+)", lambda found: values[found[1]], said)  # noqa: B023  used at once
            assert re.fullmatch(r"[a-zA-Z0-9_ .-]+(/[a-zA-Z0-9_ .-]+)*", name), name
            taken.setdefault(name, set()).add(
                (values["WORKSPACE"], values["RECONCILER_ENVIRONMENT"], key, job == "apply")
            )
    assert all(len(owners) == 1 for owners in taken.values()), taken
    assert {name.rpartition("/")[0] for name in taken if "/" in name} == {
        f"{w}/{n}" for w in ("plan", "apply") for n in ("dev", "prod")
    }
    group = document["apply"]["resource_group"]
    assert "RECONCILER_ENVIRONMENT" in group and "WORKSPACE" not in group  # limits are those of the account
    assert document["plan"]["environment"]["action"] == document["drift"]["environment"]["action"] == "access"

    digests = {}
    for name in ("dev", "prod"):
        chosen = {"RECONCILER_ENVIRONMENT": name}
        assert gitlab_job("validate", checkout, "campaigns", document, **chosen).returncode == 0
        shutil.rmtree(checkout / "reconciler-plan", ignore_errors=True)
        planned = gitlab_job("plan", checkout, "campaigns", document, **chosen)
        assert planned.returncode == 0, planned.stderr
        (page,) = (checkout / "reconciler-plan").glob("*/plan.html")
        assert f"environment {name}" in re.sub("<[^>]+>", "", page.read_text())
        digests[name] = re.search(r"Digest: <code>([0-9a-f]{64})</code>", page.read_text())[1]
        shutil.copytree(checkout / "reconciler-plan", checkout / "kept", dirs_exist_ok=True)
    shutil.copytree(checkout / "kept", checkout / "reconciler-plan", dirs_exist_ok=True)  # as `needs` brings them
    other = gitlab_job("apply", checkout, "campaigns", document, RECONCILER_ENVIRONMENT="prod", DIGEST=digests["dev"])
    assert other.returncode == 1 and "digest" in other.stderr
    for name, digest in digests.items():
        chosen = {"RECONCILER_ENVIRONMENT": name}
        assert gitlab_job("drift", checkout, "campaigns", document, **chosen).returncode == 2
        shutil.rmtree(checkout / "reconciler-plan")
        shutil.copytree(checkout / "kept", checkout / "reconciler-plan")  # the drift's is another pipeline
        applied = gitlab_job("apply", checkout, "campaigns", document, **chosen, DIGEST=digest)
        assert applied.returncode == 0, applied.stderr
        assert f"environment {name}" in applied.stdout
        assert gitlab_job("drift", checkout, "campaigns", document, **chosen).returncode == 0


def test_pre_commit_hooks_do_what_they_say(checkout):
    """Intent: each hook's entry runs, passes on good specs and fails on bad ones; the example names just these hooks."""
    hooks = {hook["id"]: hook["entry"] for hook in load(ROOT / ".pre-commit-hooks.yaml")}
    used = [hook["id"] for repo in load(CI / "pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert used == list(hooks)
    for entry, bad in (("validate", "projects: {x: {breef: y}}\n"), ("fmt --check", "projects: {x:   {brief: 'y'}}\n")):
        assert f"reconciler {entry}" in hooks.values()
        hook = [command(), *entry.split()]
        good = subprocess.run(hook, cwd=checkout / "brand", capture_output=True, check=False)
        assert good.returncode == 0, good.stderr
        (checkout / "brand" / "specs" / "bad.yaml").write_text(bad)
        assert subprocess.run(hook, cwd=checkout / "brand", capture_output=True, check=False).returncode == 1
        (checkout / "brand" / "specs" / "bad.yaml").unlink()


@pytest.mark.sweep
def test_workspaces_are_listed_for_the_matrix(tmp_path):
    """Intent: every folder with a configuration, at the root and below, with a name that will do for an artifact."""
    repository = tmp_path / "r"
    repository.mkdir()
    git(repository, "init", "-q")
    assert listed(repository) == []
    for folder in (".", "teams/brand"):
        (repository / folder).mkdir(parents=True, exist_ok=True)
        (repository / folder / "reconciler.yaml").write_text("")
    git(repository, "add", ".")
    assert listed(repository) == [{"path": ".", "name": "."}, {"path": "teams/brand", "name": "teams%2fbrand"}]


ABOVE = {
    "workspace: w\nspecs: specs # and so on ...\n": False,
    "workspace: w.w\nspecs: [./specs, a.b]\n": False,
    "specs: ../shared\n": True,
    "specs: [specs, '../../shared']\n": True,
    "environments:\n  dev: {specs: ..}\n": True,
    "vars_file: a/../../vars.yaml\n": True,
    'specs: "\\x2e\\x2e/shared"\n': True,
    'specs: ".\\\n  ./shared"\n': True,
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("linked", [False, True])
def test_a_workspace_that_may_read_files_above_it_is_listed_with_all_files(tmp_path, linked):
    """Intent: whatever way YAML has to write it, also in a file that the configuration is a link to; links are not followed."""
    git(tmp_path, "init", "-q")
    for number, text in enumerate(ABOVE):
        folder = tmp_path / f"w{number}"
        folder.mkdir()
        (folder / "real.yaml").write_text(text)
        if linked:
            (folder / "reconciler.yaml").symlink_to("real.yaml")
        else:
            (folder / "reconciler.yaml").write_text(text)
    git(tmp_path, "add", ".")
    found = {item["path"]: item.get("files", item["path"]) for item in listed(tmp_path)}
    wanted = dict(zip(found, ABOVE.values(), strict=True))
    assert found == {path: "." if above or linked else path for path, above in wanted.items()}
