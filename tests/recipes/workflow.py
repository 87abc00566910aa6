"""Runs the jobs of the GitHub recipe: their shell steps for real, with bash in a checkout; `gh` alone is a stand-in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / "examples" / "ci" / "github"
REPOSITORY = "acme/videos"
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclass
class Job:
    """What a run of a job came to. ``failed`` is the name of the step that failed, if one did."""

    failed: str | None = None
    log: str = ""
    summary: str = ""
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)


class GitHub:
    """A repository's runners and its account, as far as the recipe uses them."""

    def __init__(self, home: Path, env: dict[str, str]) -> None:
        self.home = home
        self.env = env
        bin_ = home / "bin"
        bin_.mkdir(parents=True)
        gh = bin_ / "gh"
        gh.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("gh.py")}" "$@"\n')
        gh.chmod(0o755)
        self.save({"calls": [], "comments": [], "issues": [], "pulls": [], "runs": []})
        self._runs = 0

    def save(self, account: dict[str, Any]) -> None:
        (self.home / "account.json").write_text(json.dumps(account))

    @property
    def account(self) -> dict[str, Any]:
        return json.loads((self.home / "account.json").read_text())

    def workflow(self, name: str, checkout: Path, github: dict[str, Any]) -> dict[str, Job]:
        """Every job of a workflow in its order, each for every value of its matrix, each in a clone of its own."""
        document = load(GITHUB / "workflows" / f"{name}.yml")
        self._runs += 1
        run = str(self._runs)
        sha = git(checkout, "rev-parse", "HEAD")
        results: dict[str, Job] = {}
        needs: dict[str, Any] = {}
        for job_name, job in document["jobs"].items():
            context = {
                "github": {"token": "t", "repository": REPOSITORY, **github},
                "needs": needs,
                "secrets": self.env,
            }
            wanted = job.get("needs", [])
            if any(
                r.failed
                for n, r in results.items()
                if n.partition(" ")[0] in ([wanted] if isinstance(wanted, str) else wanted)
            ):
                continue
            if "if" in job and not evaluated(job["if"], context):
                continue
            matrix = [None]
            if "strategy" in job:
                matrix = json.loads(filled(job["strategy"]["matrix"]["workspace"], context))
            for workspace in matrix:
                where = {**context, "matrix": {"workspace": workspace}}
                clone = self.home / "runners" / f"{run}-{job_name}-{workspace['name'] if workspace else ''}"
                subprocess.run(["git", "clone", "-q", str(checkout), str(clone)], check=True)
                git(clone, "checkout", "-q", sha)
                done = self._job(job, clone, where, run, sha)
                results[f"{job_name} {workspace['name']}" if workspace else job_name] = done
                needs[job_name] = {
                    "outputs": {k: filled(v, {"steps": done_steps(done)}) for k, v in job.get("outputs", {}).items()}
                }
        if not any(job.failed for job in results.values()):
            account = self.account
            account["runs"].append({"databaseId": int(run), "headSha": github.get("head_sha", sha)})
            self.save(account)
        return results

    def _job(self, job: Any, clone: Path, context: dict[str, Any], run: str, sha: str) -> Job:
        result = Job()
        context = {**context, "steps": {}}
        base = {k: filled(v, context) for k, v in job.get("env", {}).items()}
        for step in steps_of(job["steps"], clone):
            always = step.get("if") == "always()"
            if (result.failed and not always) or ("if" in step and not always and not evaluated(step["if"], context)):
                continue
            name = step.get("name") or step.get("uses")
            if "run" in step:
                env = {**base, **{k: filled(v, context) for k, v in step.get("env", {}).items()}}
                outputs = self._bash(step, clone, env, result, sha, context)
                if outputs is None:
                    result.failed = result.failed or name
                elif "id" in step:
                    context["steps"][step["id"]] = {"outputs": outputs}
                    result.outputs[step["id"]] = outputs
            elif step["uses"].startswith("actions/upload-artifact@"):
                self._upload(step["with"], clone, context, run)
            else:
                assert step["uses"].startswith("actions/checkout@"), step["uses"]
        return result

    def _bash(
        self, step: Any, clone: Path, env: dict[str, str], result: Job, sha: str, context: dict[str, Any]
    ) -> dict[str, str] | None:
        output, summary = self.home / "output", self.home / "summary"
        output.write_text("")
        summary.write_text("")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RECONCILER_", "EVERSINCE_", "GITHUB_"))}
        github = {
            "GITHUB_ACTIONS": "true",
            "CI": "true",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SHA": sha,
            "GITHUB_REF_NAME": context["github"].get("ref_name", "main"),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "FAKE_GITHUB": str(self.home),
            "PATH": f"{self.home / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        settings = {k: v for k, v in self.env.items() if k != "EVERSINCE_API_KEY"}
        if workspace := context.get("matrix", {}).get("workspace"):
            settings["RECONCILER_STATE"] = str(self.home / "states" / workspace["name"] / "reconciler.state.json")
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail"] if step.get("shell") == "bash" else ["bash", "-e"]
        done = subprocess.run(
            [*shell, "-c", step["run"]],
            cwd=clone,
            env={**inherited, **github, **settings, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        result.log += done.stdout + done.stderr
        result.summary += summary.read_text()
        if done.returncode:
            return None
        return dict(line.split("=", 1) for line in output.read_text().splitlines())

    def _upload(self, given: Any, clone: Path, context: dict[str, Any], run: str) -> None:
        source = clone / given["path"]
        if not source.exists() and given["if-no-files-found"] == "ignore":
            return
        target = self.home / "artifacts" / run / filled(given["name"], context)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            target.mkdir(parents=True)
            shutil.copy(source, target)


def done_steps(job: Job) -> dict[str, Any]:
    return {name: {"outputs": outputs} for name, outputs in job.outputs.items()}


def steps_of(steps: Any, clone: Path) -> list[Any]:
    """The steps with those of local actions in their place; what installs reconciler is done already."""
    result = []
    for step in steps:
        uses = step.get("uses", "")
        if uses == "./.github/actions/reconciler":
            continue
        if uses.startswith("./"):
            inside = load(clone / uses / "action.yml")["runs"]["steps"]
            result += [{**inner, "id": step.get("id", inner.get("id"))} for inner in inside]
        else:
            result.append(step)
    return result


def value(path: str, context: dict[str, Any]) -> Any:
    path = re.sub(r"^fromJSON\((.*)\)$", r"\1", path)
    found: Any = context
    for part in path.split("."):
        found = (found or {}).get(part, "")
    return found


def filled(text: Any, context: dict[str, Any]) -> str:
    return _EXPRESSION.sub(lambda match: str(value(match[1], context)), str(text))


def evaluated(condition: str, context: dict[str, Any]) -> bool:
    left, operator, right = re.fullmatch(r"(\S+) (==|!=) (\S+)", condition).groups()
    other = right.strip("'") if right.startswith("'") else value(right, context)
    return (value(left, context) == other) == (operator == "==")
