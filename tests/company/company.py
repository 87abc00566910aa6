"""A company in small: workspaces in one repository, its GitHub, and two accounts with what may have been paid in them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from reconciler.sandbox.server import BackgroundServer
from reconciler.sandbox.store import Fault, Options, Store
from tests import command
from tests.recipes import test_comment_commands as comments
from tests.recipes import test_github_flow as flow
from tests.recipes.workflow import GITHUB, GitHub, Job, git

NAMES = ("ads", "brand", "care", "events", "food", "games", "jobs", "kids", "music", "news", "shop", "travel")
ENVIRONMENTS = {"dev": "trial", "staging": "trial", "prod": "live"}
"""The account of each environment."""
OPTIONS = Options(speed=1e9, requests_per_minute=0, active_projects=0, renders_per_day=0)
"""An agent has ended its work when somebody looks: no step depends on the pace of the machine."""
SOFTER = "Make the music softer."


def film(name: str, *messages: str, only: str = "") -> dict[str, str | None]:
    """A file with a project, for its workspace."""
    said = f"    messages: [{', '.join(messages)}]\n" if messages else ""
    where = f"    only: [{only}]\n" if only else ""
    about = f"    brief: A calm film of ten seconds, called {name}.\n    settings: {{title: {name}}}\n"
    return {f"specs/{name}.yaml": f"projects:\n  {name}:\n{where}{about}{said}"}


@dataclass
class Account:
    """An emulated account, its key, and every effect that the story has paid for so far."""

    name: str
    key: str
    server: BackgroundServer
    paid: Counter[str] = field(default_factory=Counter)
    foreign: list[dict[str, Any]] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return self.server.store

    def effects(self) -> Counter[str]:
        """What the ledger says: each effect with the key of its project, a message with its text."""
        keys: dict[str, str] = {}
        found: Counter[str] = Counter()
        for effect in self.store.ledger():
            match effect.kind:
                case "create":
                    keys[effect.project_id] = effect.idempotency_key or "no key"
                    what = ""
                case "message":
                    what = f": {effect.detail['message']}"
                case "settings":
                    what = f": {effect.detail['sent']}"
                case _:
                    what = ""
            found[f"{effect.kind} {keys.get(effect.project_id, 'of somebody else')}{what}"] += 1
        return found

    def project(self, key: str) -> str:
        """The id of the project that was made with a key."""
        (found,) = [each.project_id for each in self.store.ledger() if each.idempotency_key == key]
        return found


class Company:
    """``workspaces`` of them, each in every one of ``environments``. Used with ``with``."""

    def __init__(self, root: Path, workspaces: int, environments: tuple[str, ...] = tuple(ENVIRONMENTS)) -> None:
        self.names = NAMES[:workspaces]
        self.environments = environments
        self.repository = root / "repository"
        self.told: list[str] = []
        self.figures: dict[str, tuple[int, float]] = {}
        """Requests and seconds, by what was done."""
        self._root = root
        self._branches: dict[int, str] = {}
        self._applied = 0
        """The run of the last merge."""
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.accounts = {}
        for name in dict.fromkeys(ENVIRONMENTS[each] for each in self.environments):
            key = f"es_live_{name}_key"
            server = self._open.enter_context(BackgroundServer(options=OPTIONS, key=key))
            self.accounts[name] = account = Account(name, key, server)
            account.store.person_creates(brief="Somebody's own film.", title="Not ours")
            account.foreign = account.store.projects()
        shutil.copytree(GITHUB, self.repository / ".github")
        git(self.repository, "init", "-q", "-b", "main")
        for text in ("A company.", "A company of many videos."):  # a push has one before it
            (self.repository / "README.md").write_text(f"{text}\n")
            git(self.repository, "add", ".")
            git(self.repository, "commit", "-qm", text)
        self._home = {f"XDG_{kind}_HOME": str(self._root / kind.lower()) for kind in ("CACHE", "CONFIG")}
        env = {
            "RECONCILER_APPLY_POLL_INTERVAL": "0.05",
            "RECONCILER_APPLY_SETTLE": "0.1",
            "RECONCILER_APPLY_PARALLELISM": "1",  # what was done before something goes wrong is no chance
            "GITHUB_ACTOR": "ann",
            **self._home,
        }
        self.github = GitHub(self._root / "github", env, {"RECONCILER_ENVIRONMENTS": " ".join(self.environments)})
        for each in self.environments:
            account = self.account(each)
            own = {"EVERSINCE_API_KEY": account.key, "EVERSINCE_API_URL": account.server.url}
            self.github.environments |= {each: dict(own), f"plan-{each}": dict(own)}
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def account(self, environment: str) -> Account:
        return self.accounts[ENVIRONMENTS[environment]]

    # What people do

    def write(self, files: dict[str, str | None], workspace: str) -> Callable[[Path], None]:
        """A change of a workspace's files, in the form of `reconciler fmt`; ``None``: the file goes."""

        def change(repository: Path) -> None:
            folder = repository / "teams" / workspace
            for name, text in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                if text is not None:
                    path.write_text(text)
            done = command.run("fmt", cwd=folder)
            assert done.returncode == 0, done.stderr

        return change

    def opens(self, number: int, title: str, *changes: Callable[[Path], None]) -> dict[str, Job]:
        """Somebody opens a pull request, or pushes to it."""
        again = number in self._branches
        self._branches[number] = branch = f"pull-{number}"
        git(self.repository, "checkout", "-q", branch if again else "main")

        def change(repository: Path) -> None:
            for each in changes:
                each(repository)

        flow.propose(self.repository, branch, change)
        self.tell(f"== {'Push to pull request' if again else 'Pull request'} #{number}: {title}")
        return self._planned(number)

    def plans_again(self) -> None:
        """The runs that a workflow asked GitHub to start again."""
        account = self.github.account
        for run in account.pop("reruns", []):
            (number,) = {each["number"] for each in account["pulls"] if each["head"]["sha"] == self._sha(account, run)}
            self.github.save(account)
            self.tell(f"== The plan of pull request #{number} is run again")
            self._planned(number, run)

    @staticmethod
    def _sha(account: dict[str, Any], run: int) -> str:
        return next(each["head_sha"] for each in account["runs"] if each["id"] == run)

    def _planned(self, number: int, again: int | None = None) -> dict[str, Job]:
        before = self._bodies(number)
        jobs = flow.planned(self.repository, self.github, self._branches[number], number=number, again=again)
        self._tell_jobs(jobs)
        now = self._bodies(number)
        self._tell_comments({name: body for name, body in now.items() if before.get(name) != body}, len(now))
        return jobs

    def closes(self, number: int) -> dict[str, Job]:
        """Somebody closes a pull request that is not to be merged."""
        self._on_main()
        account = self.github.account
        pull = next(each for each in account["pulls"] if each["number"] == number)
        pull["state"] = "closed"
        self.github.save(account)
        self.tell(f"== Pull request #{number} is closed")
        event = {"pull_request": {"number": number, "merged": False, "head": pull["head"]}}
        jobs = self.github.workflow("reconciler-claim", self.repository, {"event": event})
        self._tell_jobs(jobs)
        return jobs

    def merges(self, number: int) -> dict[str, Job]:
        self._on_main()
        flow.merged(self.repository, self.github, self._branches[number], number=number)
        self.tell(f"== Pull request #{number} is merged")
        return self.applies()

    def applies(self, again: bool = False) -> dict[str, Job]:
        """The workflow on the merge; ``again``: somebody runs its failed jobs again."""
        self._on_main()
        if again:
            self.tell("== Somebody runs the failed jobs again")
            jobs = self.github.failed_again(self._applied)
        else:
            jobs = self.github.workflow("reconciler-apply", self.repository, {})
            self._applied = self.github.account["runs"][-1]["id"]
        self._tell_jobs(jobs, summaries="apply")
        return jobs

    def comments(self, number: int, who: str, text: str) -> dict[str, Job]:
        self._on_main()
        before = self._bodies(number)
        self.github.env["GITHUB_ACTOR"] = who
        self.tell(f"== {who} comments on pull request #{number}: {text}")
        jobs = comments.comment(self.repository, self.github, text, login=who, number=number)
        self._tell_jobs(jobs, summaries="apply")
        self.tell(f"reactions: {' '.join(comments.reactions(self.github))}")
        for name, body in self._bodies(number).items():
            if before[name] != body:
                self.tell(f"the comment of {name} now ends: {body.splitlines()[-1]}")
        return jobs

    def queues(self, number: int) -> dict[str, Job]:
        self._on_main()
        self.tell(f"== Pull request #{number} enters the merge queue")
        jobs = comments.queued(self.repository, self.github, self._branches[number], number)
        self._tell_jobs(jobs)
        return jobs

    def night(self) -> dict[str, Job]:
        self._on_main()
        before = {each["number"]: each for each in self.github.account["issues"]}
        self.tell("== At night")
        jobs = self.github.workflow("reconciler-drift", self.repository, {})
        self._tell_jobs(jobs)
        for issue in self.github.account["issues"]:
            if issue != before.get(issue["number"]):
                self.tell(f"issue #{issue['number']} ({issue['state']}): {issue['title']}")
            if issue["number"] not in before:
                self.tell(issue["body"].rstrip())
        return jobs

    def runs(self, workspace: str, environment: str, *words: str, code: int = 0) -> str:
        """Somebody runs a command in a checkout of main, with the account's key."""
        self._on_main()
        state = self.github.home / "states" / f"teams%2f{workspace} {environment}" / "reconciler.state.json"
        own = self.github.environments[environment]
        env = {"RECONCILER_ENVIRONMENT": environment, "RECONCILER_STATE": str(state), **own, **self._home}
        done = command.run(*words, cwd=self.repository / "teams" / workspace, **env)
        self.tell(f"$ reconciler -e {environment} -C teams/{workspace} {' '.join(words)}", done.stdout.rstrip())
        self.tell(*filter(None, [done.stderr.rstrip()]), f"(exit code {done.returncode})")
        assert done.returncode == code, done.stderr
        return done.stdout

    def _on_main(self) -> None:
        git(self.repository, "checkout", "-q", "main")

    def _bodies(self, number: int) -> dict[str, str]:
        """The plans that the pull request's comments show, by the workspace's name."""
        found = [c for c in self.github.account["comments"] if c["issue"] == str(number) and c["user"] == flow.BOT]
        named = ((re.match("<!-- reconciler: (.+) -->", c["body"]), c["body"]) for c in found)
        return {match[1]: body for match, body in named if match}

    # What goes wrong

    @contextlib.contextmanager
    def machine_lost(self, account: Account, fault: Fault, effects: int) -> Iterator[None]:
        """Within the block, the machine of the apply dies by SIGKILL once there are so many effects; ``fault`` holds it there."""
        home = self.github.home
        pid, tool = home / "pid", home / "mortal"
        tool.write_text(
            f'#!/bin/sh\ncase " $* " in *" apply "*) echo $$ > "{pid}"; export PYTHONPATH="{command.ROOT}"\n'
            f'exec "{sys.executable}" "{command.ROOT}/tests/cheap_secrets.py" "$@";; esac\nexec "{command.command()}" "$@"\n'
        )
        tool.chmod(0o755)
        account.store.add_fault(fault)

        def kill() -> None:
            while len(account.store.ledger()) < effects:
                if over.is_set():
                    return
                time.sleep(0.01)
            os.kill(int(pid.read_text()), signal.SIGKILL)

        over, thread = threading.Event(), threading.Thread(target=kill)
        self.github.tool, self.github.machines_die = tool, True
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            account.store.clear_faults()
            self.github.tool, self.github.machines_die = None, False

    # What is told, and what is compared

    @contextlib.contextmanager
    def counted(self, what: str) -> Iterator[None]:
        """Count the requests to all accounts within the block, and the seconds."""
        for account in self.accounts.values():
            account.store.clear_requests()
        begin = time.monotonic()
        yield
        requests = sum(len(account.store.requests()) for account in self.accounts.values())
        self.figures[what] = requests, time.monotonic() - begin

    def tell(self, *lines: str) -> None:
        self.told += lines

    def _tell_jobs(self, jobs: dict[str, Job], summaries: str = "") -> None:
        shutil.rmtree(self.github.home / "runners")  # as GitHub does with its machines, of which there are hundreds
        kinds: dict[str, list[tuple[str, Job]]] = {}
        for title, job in jobs.items():
            kind, _, name = title.partition(" ")
            kinds.setdefault(kind, []).append((name, job))
        for kind, each in kinds.items():
            good = [name for name, job in each if not job.failed]
            names = f" ({', '.join(good)})" if good != [""] and 0 < len(good) <= len(self.environments) else ""
            if good:
                self.tell(f"  {kind}: {len(good)} green{names}")
            for name, job in each:
                if job.failed:
                    self.tell(f"  {kind} {name}: red at `{job.failed}`".replace(" :", ":"))
                    self.tell(*(f"    {line}" for line in job.log.splitlines() if line.startswith("::error")))
        for name, summary in [(name, job.summary) for name, job in kinds.get(summaries, []) if job.summary][-1:]:
            self.tell(f"-- summary of {summaries} {name}", summary.rstrip())

    def _tell_comments(self, changed: dict[str, str], total: int) -> None:
        self.tell(f"comments: {total}, {len(changed)} of them new or changed")
        for name, body in [*changed.items()][-1:]:
            self.tell(f"-- comment on {name}", body.rstrip())

    def transcript(self) -> str:
        """What was told since the last one, without ids, times and addresses."""
        text = "\n".join(self.told).replace(str(self._root / "github"), "…") + "\n"
        self.told.clear()
        for account in self.accounts.values():
            assert account.key not in text
            host = account.server.url.partition("//")[2].partition("/")[0]
            text = text.replace(f"http://{host}", f"https://{account.name}.example").replace(
                host, f"{account.name}.example"
            )
        for pattern, alike in ALIKE.items():
            text = re.sub(pattern, alike, text)
        return text

    def pay(self, environment: str, *effects: str) -> None:
        """The story says that these effects are paid for now, each once."""
        self.account(environment).paid.update(effects)

    def compare(self) -> None:
        """Every account has what the story paid for, each effect once, and what is somebody else's is as it was."""
        for account in self.accounts.values():
            effects = account.effects()
            assert effects == account.paid, (
                f"account {account.name}: too much: {dict(effects - account.paid)}; missing: {dict(account.paid - effects)}"
            )
            theirs = {each["id"] for each in account.foreign}
            assert [each for each in account.store.projects() if each["id"] in theirs] == account.foreign, account.name


ALIKE = {
    r"(?<=runs/)\d+|(?<=runners/)\d+(?=-)|(?<=artifacts/)\d+|(?<=<!-- drift: )\d+": "<run>",
    r"\b(proj|msg|req)_[0-9a-f]{16}\b": r"\1_0123456789abcdef",
    r"\b[0-9a-f]{64}\b": "<digest>",
    r"\b[0-9a-f]{40}\b": "<commit>",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z": "<time>",
    r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( UTC)?": "<time>",
    r"(?<=Requests: )\d+(?= used\.)": "…",
    r"\bin \d+(\.\d+)? (ms|s)\b": "in <time>",
}
