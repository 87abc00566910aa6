"""The account's rows inside one open transaction: what every call and every person works with."""

from __future__ import annotations

import functools
import json
import math
import secrets
import sqlite3
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from reconciler.model.contract import ErrorCode, Status
from reconciler.model.contract_tables import Contract
from reconciler.sandbox import agent, columns, habits, request_checks
from reconciler.sandbox.account_options import Options
from reconciler.sandbox.request_checks import Shape, Shapes
from reconciler.sandbox.veil import Digests, Veil
from reconciler.sandbox.wire import ApiError, Call

WINDOW_SECONDS: Final = 60.0
_DAY_SECONDS: Final = 86_400.0
_LONG_TEXTS: Final = ("brief", "refs", "agent_message")
_PAGING: Final = ("limit", "offset", "status", "after", "before")
_NEVER_STARTED: Final = (Status.QUEUED, Status.CANCELLED)


class Ration(NamedTuple):
    """How an account stands with its rate limit."""

    limit: int
    remaining: int
    reset: int
    """When the oldest counted request stops counting, in seconds since the epoch."""
    retry_after: int | None
    """Whole seconds to wait; ``None``: the request is let through."""


class Account:
    """Lives for one transaction, at one time (``now``, in seconds since the epoch)."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        options: Options,
        now: float,
        veil: Veil,
        digests: Digests | None,
        api: Contract,
    ) -> None:
        self.options = options
        self.contract = api
        self.now = now
        self.veil = veil
        self._digests = digests
        self._db = connection

    def one(self, sql: str, *values: object) -> sqlite3.Row | None:
        """The first row of a query."""
        row: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self._db.execute(sql, values).fetchall()

    def run(self, sql: str, *values: object) -> int:
        """Carries out a statement and gives the last row's number."""
        return self._db.execute(sql, values).lastrowid or 0

    def meta(self, name: str) -> Any:
        """A value of the account as a whole."""
        row = self.one("SELECT value FROM meta WHERE name = ?", name)
        return None if row is None else row[0]

    @functools.cached_property
    def secret(self) -> str:
        """What the account signs its addresses with."""
        return str(self.meta("secret"))

    def set_meta(self, name: str, value: object) -> None:
        """Sets a value of the account as a whole."""
        self.run("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", name, value)

    def log(self, call: Call, status: int | None) -> None:
        """Writes a request down, with the status it was answered with (``None``: no answer was sent)."""
        if not self.options.log_requests:
            return
        query = self.veil.hide_all(dict(call.query))
        text = (call.body or b"").decode(errors="replace")
        if self._digests is not None:
            query = {n: v if n in _PAGING else self._digests.of(v) for n, v in query.items()}
            text = text and self._digested(text)
        self.run(
            "INSERT INTO requests (at, method, path, query, body, status, request_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(self.now, call.method, self.veil.hide(call.path), json.dumps(query), text or None),
            *(status, call.request_id),
        )

    def _digested(self, text: str) -> str:
        assert self._digests is not None
        try:
            body = self.veil.hide_all(json.loads(text))
        except (ValueError, RecursionError):
            body = self.veil.hide(text)
        return json.dumps(self._digests.of_fields(body) if isinstance(body, dict) else self._digests.of(body))

    def veil_all(self) -> None:
        """Does with all that was written down before what is now done with every call."""
        self.run("DELETE FROM requests")
        for n, text in self.all("SELECT n, detail FROM effects"):
            self.run("UPDATE effects SET detail = ? WHERE n = ?", json.dumps(self._kept(json.loads(text))), n)
        for table, names in (("projects", (*self._texts(), *_LONG_TEXTS)), ("messages", ("content", "refs"))):
            for row in self.all(f"SELECT seq, {', '.join(map(columns.quoted, names))} FROM {table}"):  # noqa: S608 — names are ours
                hidden = {name: self._hidden_again(name, row[name]) for name in names}
                changed = {name: text for name, text in hidden.items() if text != row[name]}
                if "brief" in changed:
                    changed |= {"brief_head": changed["brief"]}
                if "title" in changed:
                    changed |= {"title_folded": _folded(changed["title"])}
                for name, text in changed.items():
                    self.run(f"UPDATE {table} SET {columns.quoted(name)} = ? WHERE seq = ?", text, row["seq"])  # noqa: S608

    def _hidden_again(self, name: str, text: str | None) -> str | None:
        if name == "refs":
            return json.dumps(self.veil.hide_all(json.loads(text or "[]")))
        return text and self.veil.hide(text)

    def record(self, call: Call, kind: str, project_id: str, detail: dict[str, Any]) -> None:
        """Writes an effect into the ledger."""
        self.run(
            "INSERT INTO effects (at, kind, project_id, request_id, idempotency_key, detail) VALUES (?, ?, ?, ?, ?, ?)",
            *(self.now, kind, project_id, call.request_id, detail.get("idempotency_key")),
            json.dumps(self._kept(detail)),
        )

    def _kept(self, detail: dict[str, Any]) -> dict[str, Any]:
        hidden: dict[str, Any] = self.veil.hide_all(detail)
        return hidden if self._digests is None else self._digests.of_fields(hidden)

    def body(self, call: Call, shape: Callable[[Shapes], Shape]) -> dict[str, Any]:
        """A call's body, checked as strictly as this server is. Raises ApiError."""
        strict, limit = self.options.strict, self.contract.limits.body_bytes
        return request_checks.body(call, shape(self.shapes), strict=strict, limit=limit)

    @property
    def shapes(self) -> Shapes:
        """The bodies and queries that this server takes."""
        return request_checks.shapes(self.contract, strict=self.options.strict)

    # Projects

    def project(self, project_id: str) -> sqlite3.Row:
        """A project's row; ``ApiError`` 404 when there is none."""
        row = self.one("SELECT * FROM projects WHERE id = ?", project_id)
        if row is None:
            raise ApiError(ErrorCode.NOT_FOUND, "Project not found", 404)
        return row

    def add_project(self, *, brief: str, origin: str, status: str, **given: Any) -> sqlite3.Row:
        """A new project with the contract's defaults for what is not given."""
        hidden = self.veil.hide(brief)
        references = self.veil.hide_all(given.pop("references", []))
        values = {
            "id": f"proj_{secrets.token_hex(8)}",
            **columns.stored(self.contract, columns.defaults(self.contract, given)),
            "started": False,
            **({} if status in _NEVER_STARTED else _started()),
            **self._hidden(columns.stored(self.contract, given)),
            "brief": hidden,
            # One character more than is shown tells whether more follows.
            "brief_head": brief[: self.contract.limits.list_brief + 1] if hidden == brief else hidden,
            "refs": json.dumps(references),
            "origin": origin,
            "status": status,
            "created_at": self.now,
            "updated_at": self.now,
        }
        values["title_folded"] = _folded(values.get("title"))
        if status == Status.IDLE:
            values |= _output(values, self.now)
        names = ", ".join(map(columns.quoted, values))
        marks = ", ".join("?" * len(values))
        seq = self.run(f"INSERT INTO projects ({names}) VALUES ({marks})", *values.values())  # noqa: S608 — names are ours
        if self.options.brief_is_message:
            sent = {"refs": values["refs"], "extract": values["extract_content"]}
            self.add_message(seq, "user", hidden, source=self.options.message_source, **sent)
        return self.project(values["id"])

    def change(self, seq: int, *, at: float | None = None, **values: Any) -> None:
        """Sets columns of a project, which counts as an update of it."""
        values = self._hidden(columns.stored(self.contract, values))
        if "title" in values:
            values["title_folded"] = _folded(values["title"])
        values["updated_at"] = self.now if at is None else at
        names = ", ".join(f"{columns.quoted(name)} = ?" for name in values)
        self.run(f"UPDATE projects SET {names} WHERE seq = ?", *values.values(), seq)  # noqa: S608 — names are ours

    def lagging(self, project: sqlite3.Row) -> dict[str, Any]:
        """What the list goes on to show of a project that is about to be changed, as columns."""
        if not self.options.list_lag:
            return {}
        shown = {name: project[name] for name in self.contract.shown_in("list")}
        late = json.loads(project["lagging"]) if project["lagging"] else {}
        if late.get("until", 0) > self.now:
            shown = late
        return {"lagging": json.dumps(shown | {"until": self.now + self.options.list_lag})}

    def add_message(
        self,
        seq: int,
        role: str,
        content: str,
        *,
        source: str,
        at: float | None = None,
        refs: str = "[]",
        extract: bool | None = None,
    ) -> str:
        """Appends to a project's conversation and gives the message's id, which says nothing about the order."""
        message_id, content = f"msg_{secrets.token_hex(8)}", self.veil.hide(content)
        if role == "user":
            options = self.options
            content = habits.stored_text(
                content, options.message_habits, maximum=options.message_max, line=options.message_line
            )
        self.run(
            "INSERT INTO messages (project, id, role, source, created_at, refs, extract_content, content)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(seq, message_id, role, source, self.now if at is None else at, refs, extract, content),
        )
        return message_id

    def _texts(self) -> tuple[str, ...]:
        """Columns of a project, besides its brief and references, that hold what a caller wrote."""
        fields = columns.plain_fields(self.contract)
        return (*(field.name for field in fields if field.kind in ("text", "https_url")), "error_message")

    def _hidden(self, given: dict[str, Any]) -> dict[str, Any]:
        hidden = given | {name: self.veil.hide_all(given[name]) for name in self._texts() if name in given}
        if hidden.get("title") is not None:
            hidden["title"] = habits.stored_text(hidden["title"], self.options.title_habits)
        return hidden

    # The agent

    def begin(self, project: sqlite3.Row, *, at: float) -> None:
        """Plans the first run; again, when what shapes it has changed while it was queued."""
        steps = _scheduled(self._plan(project, project["brief"], run=0, begins=at))
        self.run("UPDATE projects SET schedule = ?, next_change_at = ? WHERE seq = ?", *steps.values(), project["seq"])

    def resume(self, project: sqlite3.Row, prompt: str) -> None:
        """Sets an idle agent to work on a message: it runs from now on."""
        run = project["runs"] + 1
        sql = "UPDATE projects SET runs = ?, output_type = NULL, output_at = NULL, rendered = NULL WHERE seq = ?"
        self.run(sql, run, project["seq"])
        steps = self._plan(project, prompt, run=run, begins=self.now)
        self._carry_out(project, steps[:1], steps[1:])

    def render(self, project: sqlite3.Row, render_id: str) -> None:
        """Sets an idle project to rendering what its agent made; from then on its output is this render's."""
        self.run("UPDATE projects SET rendered = ? WHERE seq = ?", render_id, project["seq"])
        done = agent.Step(self.now + agent.RENDERING_SECONDS / self.options.speed, Status.IDLE)
        self.change(project["seq"], output_type=None, output_at=None)
        self._carry_out(project, [agent.Step(self.now, Status.RENDERING)], [done])

    def advance(self, *, until: float | None = None) -> None:
        """Carries out every step that is due now, or, as if it were due now, every one up to ``until``."""
        horizon = self.now if until is None else until
        # By id only, which costs less than all columns: mostly none is due.
        for (due,) in self.all("SELECT id FROM projects WHERE next_change_at <= ? ORDER BY next_change_at", horizon):
            row = self.project(due)
            steps = agent.load(row["schedule"])
            passed = [step for step in steps if step.at <= horizon]
            self._carry_out(row, passed, steps[len(passed) :])

    def finish_all(self) -> None:
        """Brings every agent to the end of its run."""
        self.advance(until=math.inf)

    def stop(self, project: sqlite3.Row, status: str, error: str | None = None) -> None:
        """Fixes a status, whatever the agent was about to do. One that is made idle has its output."""
        output: dict[str, Any] = {}
        if self.contract.is_active(status):
            output = {"output_type": None, "output_at": None}
        elif status == Status.IDLE and project["output_type"] is None:
            output = _output(project, self.now)
        started = {} if project["started"] or status in _NEVER_STARTED else _started()
        self.change(project["seq"], status=status, error_message=error, **_scheduled([]), **started, **output)

    def _plan(self, project: sqlite3.Row, prompt: str, *, run: int, begins: float) -> list[agent.Step]:
        work = agent.Work(
            mode=project["mode"],
            renders=self.options.rendering and _output_type(project) != "assets",
            fails=self.options.fail_briefs and agent.FAIL_MARKER in prompt,
            run=run,
        )
        return agent.plan(work, begins=begins, speed=self.options.speed)

    def _carry_out(self, project: sqlite3.Row, steps: list[agent.Step], rest: list[agent.Step]) -> None:
        seq = project["seq"]
        for step in steps:
            if step.says is not None:
                self.add_message(seq, "assistant", step.says, source="chat", at=min(step.at, self.now))
        said = [step.says for step in steps if step.says]
        spoken = {"agent_message": self.veil.hide(said[-1])} if said else {}
        last = steps[-1]
        at = min(last.at, self.now)
        started = {} if project["started"] else _started()
        output = _output(project, at) if last.status == Status.IDLE else {}
        if output and project["rendered"]:
            output["output_type"] = "assembled"
        changes = _scheduled(rest) | started | output | spoken
        self.change(seq, at=at, status=last.status, error_message=last.error, **changes)

    # Money and limits

    def require_credits(self, minimum: int) -> None:
        """``ApiError`` 402 when the balance is lower."""
        balance = self.meta("credits")
        if balance < minimum:
            message = f"Insufficient credits: {minimum} needed, {balance} left"
            raise ApiError(ErrorCode.INSUFFICIENT_CREDITS, message, 402)

    def require_slot(self) -> None:
        """``ApiError`` 429 when as many projects are at work as the account may have at once (published)."""
        limit = self.options.active_projects
        if not limit:
            return
        active = self.contract.active_statuses
        marks = ", ".join("?" * len(active))
        row = self.one(f"SELECT count(*) FROM projects WHERE status IN ({marks})", *active)  # noqa: S608
        if row is not None and row[0] >= limit:
            message = f"At most {limit} projects can be active at once"
            raise ApiError(ErrorCode.PROJECT_LIMIT, message, 429, _retry_after(self._next_end() - self.now))

    def _next_end(self) -> float:
        active = self.contract.active_statuses
        marks = ", ".join("?" * len(active))
        rows = self.all(f"SELECT schedule FROM projects WHERE status IN ({marks})", *active)  # noqa: S608
        ends = [steps[-1].at for row in rows if (steps := agent.load(row["schedule"]))]
        return min(ends, default=self.now + self.contract.rule(Status.RUNNING).poll_seconds)

    def require_day(self, kind: str, limit: int, what: str) -> None:
        """``ApiError`` 429 when as many effects of a kind came about in 24 hours as may; a ``limit`` of 0: any number."""
        if not limit:
            return
        since = self.now - _DAY_SECONDS
        rows = self.all("SELECT at FROM effects WHERE kind = ? AND at > ? ORDER BY at", kind, since)
        if len(rows) >= limit:
            message = f"At most {limit} {what} in a day"
            raise ApiError(ErrorCode.RATE_LIMITED, message, 429, _retry_after(rows[-limit]["at"] - since))

    def charge(self, seq: int, cost: int) -> None:
        """Takes credits for work on a project; a balance does not go below 0."""
        cost = min(cost, self.meta("credits"))
        self.run("UPDATE meta SET value = value - ? WHERE name = 'credits'", cost)
        self.run("UPDATE projects SET credits_spent = credits_spent + ? WHERE seq = ?", cost, seq)

    def ration(self, *, take: bool) -> Ration | None:
        """Counts a request against the rate limit (unless ``take`` is false); ``None`` when there is no limit.

        The window slides: in no 60 seconds more than the limit are let through. Refused ones do not count.
        """
        limit = self.options.requests_per_minute
        if not limit:
            return None
        used, oldest = self._hits()
        if oldest <= self.now - WINDOW_SECONDS:
            self.run("DELETE FROM hits WHERE at <= ?", self.now - WINDOW_SECONDS)
            used, oldest = self._hits()
        reset = math.ceil(oldest + WINDOW_SECONDS)
        if take and used >= limit:
            return Ration(limit, 0, reset, max(1, math.ceil(oldest + WINDOW_SECONDS - self.now)))
        if take:
            self.run("INSERT INTO hits (at) VALUES (?)", self.now)
            used += 1
        return Ration(limit, max(0, limit - used), reset, None)

    def _hits(self) -> tuple[int, float]:
        """Requests that were counted, and when the first of them came."""
        row = self.one("SELECT count(*), min(at) FROM hits")
        assert row is not None
        return row[0], self.now if row[1] is None else row[1]


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def _scheduled(steps: list[agent.Step]) -> dict[str, Any]:
    return {"schedule": agent.dump(steps), "next_change_at": steps[0].at if steps else None}


def _started() -> dict[str, Any]:
    return {"started": True, "variation_id": f"var_{secrets.token_hex(6)}"}


def _output(project: sqlite3.Row | dict[str, Any], at: float) -> dict[str, Any]:
    return {"output_type": _output_type(project), "output_at": at}


def _output_type(project: sqlite3.Row | dict[str, Any]) -> str:
    """What an agent makes of a project; not every version of the API lets it be chosen."""
    try:
        return project["expected_output"] or "assembled"
    except LookupError:
        return "assembled"


def _folded(title: str | None) -> str | None:
    return None if title is None else title.casefold()
