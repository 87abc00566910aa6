"""Runs the jobs of the GitHub recipe: their shell steps for real, with bash in checkouts; `gh` is a stand-in.

Two more steps are not as they are there: Python is there already, and so is reconciler, unless ``installs`` is set.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.command import command
from tests.recipes.gh import COMMAND

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / "examples" / "ci" / "github"
REPOSITORY = "acme/videos"
EVENTS = ("pull_request", "issue_comment", "push", "schedule", "merge_group")
"""What starts the workflows; each has one of them."""
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def load(path: Path) -> Any:
    return _loaded(path.read_text(encoding="utf-8"))


@functools.cache
def _loaded(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@functools.cache
def _gh_port() -> str:
    """Where this test process's stand-in for `gh` listens."""
    serve = [sys.executable, "-I", Path(__file__).with_name("gh.py")]
    server = subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)
    return server.stdout.readline().strip()


@functools.cache
def _committed(repository: Path, sha: str, path: str) -> Any:
    """A YAML file as a commit has it."""
    return _loaded(git(repository, "show", f"{sha}:{path}"))


@dataclass
class Job:
    """What a run of a job came to. ``failed`` is the name of the step that failed, if one did."""

    failed: str | None = None
    log: str = ""
    summary: str = ""
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)


class GitHub:
    """A repository's runners and its account, as far as the recipe uses them.

    ``env`` holds the secrets and what the runner's environment has, ``vars`` the repository's variables.
    """

    def __init__(self, home: Path, env: dict[str, str], variables: dict[str, str] | None = None) -> None:
        self.home = home
        self.env = env
        self.vars = {"RECONCILER_SOURCE": "git+https://example.com/r.git@" + "0" * 40, **(variables or {})}
        self.installs = False
        """Whether reconciler is installed for real: in the first job for all of them, unless ``each_installs``."""
        self.each_installs = False
        self.tool: Path | None = None
        """The command that the jobs have."""
        self.only: str | None = None
        """The one workspace whose jobs are run."""
        self.environments: dict[str, dict[str, str]] = {}
        """The secrets and variables of GitHub's environments, by their names: a job has those of its own one."""
        self.machines_die = False
        """Whether a machine is lost with a command that is killed on it: none of its later steps runs."""
        bin_ = home / "bin"
        bin_.mkdir(parents=True)
        gh = bin_ / "gh"
        gh.write_text(COMMAND.replace("PORT", _gh_port()))
        gh.chmod(0o755)
        self.save({"calls": [], "comments": [], "issues": [], "pulls": [], "runs": []})
        self._runs = 0
        self._past: dict[int, Past] = {}

    def save(self, account: dict[str, Any]) -> None:
        (self.home / "account.json").write_text(json.dumps(account))

    @property
    def account(self) -> dict[str, Any]:
        return json.loads((self.home / "account.json").read_text())

    def failed_again(self, run: int) -> dict[str, Job]:
        """Another attempt of a run by "Re-run failed jobs": of those that failed, and of those that need them."""
        past = self._past[run]
        kept = {name: job for name, job in past.jobs.items() if not job.failed}
        return self.workflow(past.name, past.repository, past.github, run, kept)

    def workflow(
        self,
        name: str,
        repository: Path,
        github: dict[str, Any],
        again: int | None = None,
        kept: dict[str, Job] | None = None,
    ) -> dict[str, Job]:
        """Every job of a workflow in its order, each for every value of its matrix, each on a runner of its own.

        ``again`` is the number of a run of which this is another attempt: of the same commit. ``kept`` are jobs of the
        attempt before that are not run again.
        """
        document = load(GITHUB / "workflows" / f"{name}.yml")
        self._runs += 1
        place_name = str(self._runs)
        run = again or self._runs
        past = self._past.get(run)
        attempt = past.attempt + 1 if past else 1
        sha = past.sha if past else git(repository, "rev-parse", "HEAD")
        before = git(repository, "rev-list", "-1", "--skip=1", "--first-parent", sha)
        event = {"repository": {"default_branch": "main"}, "before": before, **github.get("event", {})}
        results: dict[str, Job] = {}
        ran: set[str] = set()
        needs: dict[str, Any] = {}
        for job_name, job in document["jobs"].items():
            context = {
                "github": {
                    "token": "t",
                    "repository": REPOSITORY,
                    "server_url": "https://github.com",
                    "run_id": str(run),
                    "run_attempt": str(attempt),
                    **github,
                    "event": event,
                },
                "needs": needs,
                "secrets": self.env,
                "vars": self.vars,
            }
            wanted = job.get("needs", [])
            wanted = [wanted] if isinstance(wanted, str) else wanted
            if job.get("if", "").startswith("always()"):
                context["needs"] = {name: needs.get(name, {"result": "skipped"}) for name in wanted}
                if not evaluated(job["if"], context):
                    continue
            elif any(needs.get(name, {}).get("result") != "success" for name in wanted) or (
                "if" in job and not evaluated(job["if"], context)
            ):
                continue
            matrix = [None]
            if "strategy" in job:
                matrix = json.loads(filled(job["strategy"]["matrix"]["workspace"], context))
            if self.only is not None:
                matrix = [item for item in matrix if item is None or item["path"] == self.only]
            for number, workspace in enumerate(matrix):
                title = f"{job_name} {workspace['name']}" if workspace else job_name
                done = None if ran & set(wanted) else (kept or {}).get(title)
                if done is None:
                    ran.add(job_name)
                    place = self.home / "runners" / f"{place_name}-{job_name}-{number}"
                    for folder in ("work", "temp"):
                        (place / folder).mkdir(parents=True)
                    where = {**context, "matrix": {"workspace": workspace}, "runner": {"temp": str(place / "temp")}}
                    done = Runner(self, repository, place, sha, str(run)).job(job, where)
                results[title] = done
                failed = done.failed or needs.get(job_name, {}).get("result") == "failure"
                needs[job_name] = {
                    "result": "failure" if failed else "success",
                    "outputs": {k: filled(v, {"steps": done_steps(done)}) for k, v in job.get("outputs", {}).items()},
                }
        failed = any(job.failed for job in results.values())
        account = self.account
        head = event.get("pull_request", {}).get("head", {}).get("repo", {}).get("full_name", REPOSITORY)
        account["runs"] = [each for each in account["runs"] if each["id"] != run]
        account["runs"].append(
            {
                "id": run,
                "workflow": f"{name}.yml",
                "path": f".github/workflows/{name}.yml",
                "event": next(kind for kind in EVENTS if kind in document["on"]),
                "head_branch": github.get("ref_name", "main"),
                "status": "completed",
                "head_sha": github.get("head_sha", sha),
                "conclusion": "failure" if failed else "success",
                "head_repository": {"full_name": head},
            }
        )
        self.save(account)
        self._past[run] = Past(name, repository, github, sha, attempt, results)
        return results


@dataclass
class Past:
    """What is kept of a run for its next attempt."""

    name: str
    repository: Path
    github: dict[str, Any]
    sha: str
    attempt: int
    jobs: dict[str, Job]


@dataclass
class Runner:
    """The machine of one job."""

    github: GitHub
    repository: Path
    place: Path
    sha: str
    run: str
    action_path: Path = Path()
    last_outputs: dict[str, str] = field(default_factory=dict)
    """Those of the shell step that ran last."""
    lost: bool = False

    def job(self, job: Any, context: dict[str, Any]) -> Job:
        result = Job()
        own = self.github.environments.get(filled(job.get("environment", ""), context), {})
        context = {**context, **{kind: {**context[kind], **own} for kind in ("secrets", "vars")}, "steps": {}}
        base = {k: filled(v, context) for k, v in job.get("env", {}).items()}
        defaults = job.get("defaults", {}).get("run", {})
        for step in job["steps"]:
            always = step.get("if") == "always()"
            if (result.failed and not always) or ("if" in step and not always and not evaluated(step["if"], context)):
                continue
            name = step.get("name") or step.get("uses")
            env = {**base, **{k: filled(v, context) for k, v in step.get("env", {}).items()}}
            if "run" in step:
                outputs = self._bash({**defaults, **step}, env, result, context)
            else:
                outputs = self._uses(step, base, result, context)
            if outputs is None:
                result.failed = result.failed or name
                outputs = self.last_outputs  # those that it set before it failed count, too
                if self.lost:
                    break
            if "id" in step:
                context["steps"][step["id"]] = {"outputs": outputs}
                result.outputs[step["id"]] = outputs
        return result

    def _uses(self, step: Any, base: dict[str, str], result: Job, context: dict[str, Any]) -> dict[str, str] | None:
        """What an action does; its outputs, or ``None`` where it fails."""
        uses, given = step["uses"], {k: filled(v, context) for k, v in step.get("with", {}).items()}
        if uses.startswith("actions/upload-artifact@"):
            return self._upload(given, result)
        if uses.startswith("actions/checkout@"):
            clone = self.place / "work" / given.get("path", ".")
            git(self.place, "clone", "-q", "--no-checkout", str(self.repository), str(clone))
            ref = given.get("ref") or self.sha
            if ref.startswith("refs/"):  # which a clone does not bring along
                git(clone, "fetch", "-q", "origin", ref)
                ref = "FETCH_HEAD"
            git(clone, "checkout", "-q", ref)
        elif uses.startswith(("./", "$/")):
            action = self._action(uses)
            self.action_path = self._action_path(uses)
            defaults = {name: item.get("default", "") for name, item in action.get("inputs", {}).items()}
            inside = {**context, "inputs": {**defaults, **given}, "steps": {}}
            return self._composite(action, inside, base, result)
        else:
            assert uses.startswith("actions/setup-python@"), uses
        return {}

    def _action(self, uses: str) -> Any:
        """Of the checkout, or with `$/` of the commit that runs."""
        if uses.startswith("./"):
            return load(self.place / "work" / uses / "action.yml")
        return _committed(self.repository, self.sha, f"{uses.removeprefix('$/')}/action.yml")

    def _action_path(self, uses: str) -> Path:
        """Where the runner has the action's files: in the checkout, or fetched for it."""
        if uses.startswith("./"):
            return self.place / "work" / uses
        fetched = self.place / "actions"
        if not fetched.exists():
            git(self.place, "clone", "-q", "--no-checkout", str(self.repository), str(fetched))
            git(fetched, "checkout", "-q", self.sha)
        return fetched / uses.removeprefix("$/")

    def _composite(
        self, action: Any, context: dict[str, Any], base: dict[str, str], result: Job
    ) -> dict[str, str] | None:
        for step in action["runs"]["steps"]:
            if "uses" in step:
                self._uses(step, base, result, context)
                continue
            if installing := step["name"] == "Install reconciler":
                tools = Path(context["runner"]["temp"]) / "tools"
                if not self.github.installs or self.github.tool:
                    tools.mkdir()
                    (tools / "reconciler").symlink_to(self.github.tool or command())
                    continue
            env = {**base, **{k: filled(v, context) for k, v in step.get("env", {}).items()}}
            outputs = self._bash(step, env, result, context)
            if outputs is None:
                return None
            if installing and not self.github.each_installs:
                self.github.tool = tools / "reconciler"
            context["steps"][step.get("id", "")] = {"outputs": outputs}
        return {k: filled(v["value"], context) for k, v in action.get("outputs", {}).items()}

    def _bash(self, step: Any, env: dict[str, str], result: Job, context: dict[str, Any]) -> dict[str, str] | None:
        home = self.github.home
        output, summary, later = home / "output", home / "summary", self.place / "env"
        output.write_text("")
        summary.write_text("")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RECONCILER_", "EVERSINCE_", "GITHUB_"))}
        github = {
            "GITHUB_ACTIONS": "true",
            "CI": "true",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_WORKSPACE": str(self.place / "work"),
            "RUNNER_TEMP": context["runner"]["temp"],
            "GITHUB_RUN_ID": self.run,
            "GITHUB_SHA": self.sha,
            "GITHUB_REF_NAME": context["github"].get("ref_name", "main"),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_ENV": str(later),
            "GITHUB_ACTION_PATH": str(self.action_path),
            "GITHUB_STEP_SUMMARY": str(summary),
            "FAKE_GITHUB": str(home),
            "FAKE_REPOSITORY": str(self.repository),
            "PATH": f"{home / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        settings = {k: v for k, v in self.github.env.items() if k != "EVERSINCE_API_KEY"}
        settings |= dict(line.split("=", 1) for line in later.read_text().splitlines()) if later.exists() else {}
        if workspace := context.get("matrix", {}).get("workspace"):
            settings["RECONCILER_STATE"] = str(home / "states" / workspace["name"] / "reconciler.state.json")
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail"] if step.get("shell") == "bash" else ["bash", "-e"]
        done = subprocess.run(
            [*shell, "-c", step["run"]],
            cwd=self.place / "work" / filled(step.get("working-directory", "."), context),
            env={**inherited, **github, **settings, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        result.log += done.stdout + done.stderr
        result.summary += summary.read_text()
        self.last_outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        self.lost = self.github.machines_die and done.returncode == 137
        return None if done.returncode else self.last_outputs

    def _upload(self, given: dict[str, str], result: Job) -> dict[str, str] | None:
        source = self.place / "work" / given["path"]
        if not source.exists():
            return {} if given["if-no-files-found"] == "ignore" else None
        assert not set('":<>|*?\r\n\\/') & set(given["name"]), "GitHub refuses such a name"
        target = self.github.home / "artifacts" / self.run / given["name"]
        if given.get("overwrite") == "true":
            shutil.rmtree(target, ignore_errors=True)
        if target.exists():  # whichever attempt it is of
            result.log += "(409) Conflict: an artifact with this name already exists on the workflow run\n"
            return None
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            target.mkdir(parents=True)
            shutil.copy(source, target)
        return {}


def listed(repository: Path) -> Any:
    """What the action that lists workspaces says of a checkout."""
    (step,) = load(GITHUB / "actions" / "workspaces" / "action.yml")["runs"]["steps"]
    with tempfile.NamedTemporaryFile() as output:
        env = {**os.environ, "GITHUB_OUTPUT": output.name}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        subprocess.run(command, cwd=repository, env=env, check=True)
        return json.loads(output.read().decode().removeprefix("list="))


def done_steps(job: Job) -> dict[str, Any]:
    return {name: {"outputs": outputs} for name, outputs in job.outputs.items()}


def value(expression: str, context: dict[str, Any]) -> Any:
    """An expression without parentheses but those of functions; as GitHub, `&&` and `||` give one of their operands."""
    found: Any = ""
    for alternative in expression.split(" || "):
        for part in alternative.split(" && "):
            found = _compared(part, context)
            if not truth(found):
                break
        if truth(found):
            break
    return found


def truth(found: Any) -> bool:
    return found not in ("", None, False)


def _compared(text: str, context: dict[str, Any]) -> Any:
    if compared := re.fullmatch(r"(\S+) (==|!=) (\S+)", text):
        left, right = (_operand(each, context) for each in compared.group(1, 3))
        literal = {"true": True, "false": False}.get(compared[3], right)
        return (left == literal) == (compared[2] == "==")
    return _operand(text, context)


def _operand(text: str, context: dict[str, Any]) -> Any:
    if text.startswith("'"):
        return text.strip("'")
    if text == "always()":
        return True
    if contains := re.fullmatch(r"contains\(needs\.\*\.result, '(\w+)'\)", text):
        return contains[1] in [job["result"] for job in context["needs"].values()]
    if starts := re.fullmatch(r"startsWith\((\S+), '([^']+)'\)", text):
        return _operand(starts[1], context).startswith(starts[2])
    if formatted := re.fullmatch(r"format\('([^']+)', (\S+)\)", text):
        return formatted[1].format(_operand(formatted[2], context))
    found: Any = context
    for part in re.sub(r"^fromJSON\((.*)\)$", r"\1", text).split("."):
        found = (found or {}).get(part, "")
    return found


def filled(text: Any, context: dict[str, Any]) -> str:
    def shown(match: re.Match[str]) -> str:
        found = value(match[1], context)
        return str(found).lower() if isinstance(found, bool) else str(found)

    return _EXPRESSION.sub(shown, str(text).lower() if isinstance(text, bool) else str(text))


def evaluated(condition: str, context: dict[str, Any]) -> bool:
    return truth(value(condition, context))
