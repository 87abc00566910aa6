"""Runs the jobs of the GitLab recipe for real, with bash in clones; GitLab itself and its REST API are ours, and strict."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.command import command
from tests.recipes.workflow import ROOT, git, load

RECIPE = ROOT / "examples" / "ci" / "gitlab" / ".gitlab-ci.yml"
PATH = "acme/videos"
TOKENS = {"bot-token": 7}
"""Whose they are."""
BEFORE_MERGE = {"RECONCILER_APPLY_BEFORE_MERGE": "true"}
_STATE_OF = """\
#!/bin/bash
# The state is where all runners reach it, for each workspace its own.
folder=$PWD
for ((n = 1; n < $#; n++)); do if [ "${!n}" = -C ]; then next=$((n + 1)); folder=${!next}; fi; done
export RECONCILER_STATE="STATES/$(basename "$folder")/reconciler.state.json"
exec COMMAND "$@"
"""


class Api:
    """Merge requests, their notes and pipelines, and issues: what the recipe uses, and nothing else."""

    def __init__(self) -> None:
        self.requests: dict[int, dict[str, Any]] = {}
        self.issues: list[dict[str, Any]] = []
        self.pipelines: list[int] = []
        self.calls: list[str] = []
        self.ids = 100

    def note(self, iid: int, author: int, body: str) -> dict[str, Any]:
        self.ids += 1
        note = {"id": self.ids, "author": {"id": author}, "body": body}
        self.requests[iid]["notes"].append(note)
        return note

    def answer(self, method: str, url: str, token: str | None, body: Any) -> tuple[int, Any]:
        """The status, and what is sent: a list is paged by the caller."""
        user = TOKENS.get(token or "")
        if user is None:
            return 401, {"message": "401 Unauthorized"}
        for text in (body or {}).values():
            command_ = re.search(r"(?m)^[^\S\n]*/\w+", text)
            assert command_ is None, f"GitLab would do {command_[0]}"
        path = url.removeprefix("/api/v4")
        if (method, path) == ("GET", "/user"):
            return 200, {"id": user}
        for pattern, found in (
            (r"/projects/1/merge_requests/(\d+)(?:/(notes|pipelines)(?:/(\d+))?)?", self._merge_request),
            (r"/projects/1/issues/(\d+)(?:/(notes))?", self._issue),
        ):
            if match := re.fullmatch(pattern, path):
                return found(method, user, body, *match.groups())
        if (method, path) == ("GET", "/projects/1/merge_requests"):
            return 200, [{"iid": iid} for iid, found in self.requests.items() if found["state"] == "opened"]
        if (method, path) == ("GET", "/projects/1/issues"):
            return 200, [i for i in self.issues if i["state"] == "opened" and i["author"]["id"] == user]
        if (method, path) == ("POST", "/projects/1/issues"):
            assert set(body) == {"title", "description", "labels"}
            self.issues.append({**body, "iid": len(self.issues) + 1, "state": "opened", "author": {"id": user}})
            return 201, self.issues[-1]
        return 404, {"message": "404 Not Found"}

    def _merge_request(
        self, method: str, user: int, body: Any, iid: str, part: str | None, number: str | None
    ) -> tuple[int, Any]:
        found = self.requests.get(int(iid))
        if found is None:
            return 404, {"message": "404 Not found"}
        match method, part, number:
            case "GET", None, None:
                return 200, {"iid": int(iid), "state": found["state"], "sha": found["sha"]}
            case "GET", "notes", None:
                return 200, found["notes"]
            case "POST", "notes", None:
                return 201, self.note(int(iid), user, body["body"])
            case "PUT", "notes", _:
                (note,) = [n for n in found["notes"] if n["id"] == int(number or 0)]
                if note["author"]["id"] != user:
                    return 403, {"message": "403 Forbidden"}
                note["body"] = body["body"]
                return 200, note
            case "POST", "pipelines", None:
                self.pipelines.append(int(iid))
                return 201, {"id": 1}
            case _:
                return 405, {"message": "405 Method Not Allowed"}

    def _issue(self, method: str, user: int, body: Any, iid: str, part: str | None) -> tuple[int, Any]:
        issue = self.issues[int(iid) - 1]
        if issue["author"]["id"] != user:
            return 403, {"message": "403 Forbidden"}
        if (method, part) == ("PUT", None):
            assert set(body) in ({"description"}, {"state_event"})
            issue.update({"state": "closed"} if body.pop("state_event", None) == "close" else {}, **body)
            return 200, issue
        return (201, {}) if (method, part) == ("POST", "notes") else (405, {})


@contextlib.contextmanager
def serving(api: Api) -> Iterator[str]:
    """The address of the API. Pages have two items each."""

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query))
            api.calls.append(f"{self.command} {self.path}")
            status, found = api.answer(self.command, url.path, self.headers.get("private-token"), body)
            self.send_response(status)
            if isinstance(found, list):
                page = int(query["page"])
                self.send_header("x-next-page", str(page + 1) if page * 2 < len(found) else "")
                found = found[page * 2 - 2 : page * 2]
            data = json.dumps(found).encode()
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do  # noqa: N815  the names of http.server

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/v4"
    finally:
        server.shutdown()
        server.server_close()


class Pipeline:
    """One pipeline: the jobs whose rules hold, with its variables; artifacts go from job to job."""

    def __init__(self, gitlab: GitLab, sha: str, variables: dict[str, str]) -> None:
        self.gitlab = gitlab
        self.sha = sha
        self.number = gitlab.pipelines = gitlab.pipelines + 1
        self.variables = {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_PROJECT_PATH": PATH,
            "CI_PROJECT_ID": "1",
            "CI_API_V4_URL": gitlab.url,
            "CI_DEFAULT_BRANCH": "main",
            "CI_COMMIT_SHA": sha,
            "CI_PIPELINE_ID": str(self.number),
            "CI_PIPELINE_URL": f"https://gitlab.example/{PATH}/-/pipelines/{self.number}",
            "GITLAB_USER_LOGIN": "ann",
            **gitlab.variables,
            **variables,
        }
        self.jobs = {name: how for name, job in jobs().items() if (how := chosen(job["rules"], self.variables))}
        self.results: dict[str, subprocess.CompletedProcess[str]] = {}
        for stage in load(RECIPE)["stages"]:
            for name, how in self.jobs.items():
                if jobs()[name]["stage"] == stage and how != "manual":
                    self.run(name)

    def run(self, name: str, workspace: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """A job, or all of its matrix; the last result."""
        assert name in self.jobs, f"{name} is not in this pipeline"
        job = jobs()[name]
        matrix = job.get("parallel", {}).get("matrix", [{"WORKSPACE": [None]}])[0]["WORKSPACE"]
        given = workspace or (self.gitlab.only if matrix != [None] else None)
        for value in [given] if given else matrix:
            self.results[f"{name} {value}" if value else name] = done = self._run(job, value, variables)
        return done

    def _run(self, job: Any, workspace: str | None, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
        home = self.gitlab.home
        checkout = home / "builds" / f"{self.number}-{len(list((home / 'builds').iterdir()))}"
        checkout.mkdir()
        if (strategy := job.get("variables", {}).get("GIT_STRATEGY")) is None:
            git(checkout, "clone", "-q", "--no-checkout", str(self.gitlab.origin), ".")
            git(checkout, "fetch", "-q", "origin", "+refs/*:refs/remotes/all/*")
            git(checkout, "checkout", "-q", "--detach", self.sha)
        assert strategy in (None, "empty")
        artifacts = home / "artifacts" / str(self.number)
        if "needs" not in job or job["needs"]:
            shutil.copytree(artifacts, checkout, dirs_exist_ok=True) if artifacts.exists() else None
        variables = {**self.variables, **({"WORKSPACE": workspace} if workspace else {}), **given}
        said = job.get("environment", "")
        environment = re.sub(r"\$(\w+)", lambda m: variables[m[1]], said if isinstance(said, str) else said["name"])
        secrets = [(n, v) for scope, n, v in self.gitlab.secrets if fnmatch.fnmatchcase(environment, scope)]
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("RECONCILER_", "EVERSINCE_", "GITHUB_", "CI"))
        }
        before = job.get("before_script", load(RECIPE)["default"]["before_script"])
        if before:
            tools = checkout.with_name(checkout.name + "-tools")
            tools.mkdir()
            before = [f"tools={tools}\nPATH=$tools:$PATH\n" + before[0].partition("PATH=$tools:$PATH\n")[2]]
        own = {name: str(value) for name, value in load(RECIPE)["variables"].items()}
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join([*before, *job["script"]])],
            cwd=checkout,
            env={**inherited, **own, **variables, **dict(secrets), "PATH": self.gitlab.path},
            capture_output=True,
            text=True,
            check=False,
        )
        kept = job.get("artifacts", {})
        if kept and (done.returncode == 0 or kept.get("when") == "always"):
            for path in kept["paths"]:
                if (checkout / path).exists():
                    shutil.copytree(checkout / path, artifacts / path, dirs_exist_ok=True)
        return done


class GitLab:
    """A project with its repository, settings and runners. ``secrets`` are (scope, name, value)."""

    def __init__(self, home: Path, origin: Path, api: Api, url: str, variables: dict[str, str]) -> None:
        self.home, self.origin, self.api, self.url, self.variables = home, origin, api, url, variables
        self.secrets: list[tuple[str, str, str]] = [
            ("plan/*", "EVERSINCE_API_KEY", "es_live_secret_key"),
            ("production/*", "EVERSINCE_API_KEY", "es_live_secret_key"),
            ("reports", "RECONCILER_GITLAB_TOKEN", "bot-token"),
            ("claims/*", "RECONCILER_GITLAB_TOKEN", "bot-token"),
        ]
        self.pipelines = 0
        self.only: str | None = None
        """The one workspace whose jobs are run."""
        bin_ = home / "bin"
        for folder in (bin_, home / "builds", home / "states"):
            folder.mkdir(parents=True)
        shim = bin_ / "reconciler"
        shim.write_text(_STATE_OF.replace("STATES", str(home / "states")).replace("COMMAND", str(command())))
        shim.chmod(0o755)
        self.path = f"{bin_}:{Path(sys.executable).parent}:{os.environ['PATH']}"

    def push(self, iid: int, branch: str, *, kind: str = "detached", source: str = PATH) -> Pipeline:
        """What GitLab does where a commit was pushed to the branch of a merge request."""
        head = git(self.origin, "rev-parse", branch)
        git(self.origin, "update-ref", f"refs/merge-requests/{iid}/head", head)
        self.api.requests.setdefault(iid, {"state": "opened", "notes": []})["sha"] = head
        variables = {
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_MERGE_REQUEST_IID": str(iid),
            "CI_MERGE_REQUEST_EVENT_TYPE": kind,
            "CI_MERGE_REQUEST_PROJECT_PATH": PATH,
            "CI_MERGE_REQUEST_PROJECT_URL": f"https://gitlab.example/{PATH}",
            "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": source,
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": git(self.origin, "merge-base", "main", branch),
        }
        if kind == "detached":
            return Pipeline(self, head, variables)
        main = git(self.origin, "rev-parse", "main")
        git(self.origin, "checkout", "-q", "--detach", "main")
        git(self.origin, "merge", "-q", "--no-ff", "-m", "merged result", branch)
        more = {"CI_MERGE_REQUEST_TARGET_BRANCH_SHA": main, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": head}
        return Pipeline(self, git(self.origin, "rev-parse", "HEAD"), {**variables, **more})

    def end(self, iid: int, pipeline: Pipeline, state: str) -> subprocess.CompletedProcess[str] | None:
        """Merged or closed: GitLab runs the job that stops the merge request's environments."""
        self.api.requests[iid]["state"] = state
        if "hold" not in pipeline.results or pipeline.results["hold"].returncode:
            return None
        return pipeline.run(jobs()["hold"]["environment"]["on_stop"])

    def branch(self, source: str) -> Pipeline:
        """A pipeline of the main branch: ``push`` or ``schedule``."""
        sha, before = git(self.origin, "rev-parse", "main"), "0" * 40
        if source == "push":
            before = git(self.origin, "rev-parse", "main^1")
        variables = {"CI_PIPELINE_SOURCE": source, "CI_COMMIT_BRANCH": "main", "CI_COMMIT_BEFORE_SHA": before}
        return Pipeline(self, sha, variables)


def jobs() -> dict[str, Any]:
    document = load(RECIPE)
    found = {name: job for name, job in document.items() if isinstance(job, dict) and "script" in job}
    return {name: {**document.get(job.get("extends"), {}), **job} for name, job in found.items()}


def chosen(rules: list[dict[str, str]], variables: dict[str, str]) -> str | None:
    """How a job is started by the first rule that holds, if one does."""
    for rule in rules:
        if all(_holds(part, variables) for part in rule["if"].split(" && ")):
            return rule.get("when", "on_success")
    return None


def _holds(part: str, variables: dict[str, str]) -> bool:
    left, operator, right = re.fullmatch(r"(\S+) (==|!=) (\S+)", part).groups()
    values = [variables.get(word[1:]) if word.startswith("$") else word.strip('"') for word in (left, right)]
    return (values[0] == values[1]) == (operator == "==")
