"""The emulated account on disk, as tests, oracles and people see it: everything in it, and ways to change it."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict, replace

from reconciler.model import contract
from reconciler.model.contract import Status
from reconciler.model.contract_tables import Contract
from reconciler.sandbox import columns, database, deliveries, views
from reconciler.sandbox.account import Account
from reconciler.sandbox.account_options import Options, restored
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.veil import Digests, Veil

__all__ = ["STUDIO_PROJECTS", "Effect", "Fault", "Options", "RequestRow", "Store", "StudioProject"]


class StudioProject(NamedTuple):
    """A project in the studio, waiting to be adopted."""

    id: str
    title: str | None
    brief: str


STUDIO_PROJECTS: Final = (
    StudioProject(
        "51d10000-0000-4000-8000-000000000001",
        "Harbour at dawn",
        "A slow drone shot over a harbour at dawn, ten seconds.",
    ),
    StudioProject(
        "51d10000-0000-4000-8000-000000000002", "Coffee launch", "Three product shots of a coffee tin, warm light."
    ),
)
"""What is in the studio of a fresh database."""


class Effect(Struct, frozen=True, kw_only=True):
    """Something that the API did to the account on a client's request."""

    n: int
    at: float
    kind: Literal["create", "adopt", "settings", "cancel", "message", "upload", "render", "share"]
    project_id: str
    """Empty for an upload, which belongs to the account."""
    request_id: str
    idempotency_key: str | None
    detail: dict[str, Any]
    """Of an account on disk with digests in place of texts. create, adopt: the body; settings: ``sent`` and ``before``; cancel: ``from``, the status it had; message: the body
    and the ``message_id``; render: the body and its ``id``; share: the body and its ``share_url``; upload: what it was confirmed with, its ``upload_id`` and its ``digest``.
    """


class RequestRow(Struct, frozen=True, kw_only=True):
    """A request that was received, refused ones too."""

    n: int
    at: float
    method: str
    path: str
    """Below ``/api/v1``."""
    query: dict[str, str]
    body: Any | None
    """The JSON (of an account on disk, its digests); the text of a body that is none; ``None`` without one, or for one that is too large."""
    status: int | None
    """``None``: no answer was sent."""
    request_id: str


class Store:
    """An emulated account in a SQLite file, which several processes may have open, or in ``:memory:``.

    On disk no value of ``secret_values`` is written down, and the ledger and the requests keep ``digests`` of what was
    sent; in memory they keep it as it came.

    Every method is one transaction that first lets the agents do what they have had time for. Raises ``KeyError``
    for an id that the account doesn't hold, ``ConfigError`` on opening a file that can't be used.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        options: Options | None = None,
        changes: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.time,
        secret_values: Iterable[str] = (),
        api: Contract | None = None,
    ) -> None:
        self.contract = api or contract.current()
        self._clock = clock
        self._lock = threading.RLock()
        self._db = database.connect(path, self.contract)
        self.options = options or Options()
        self._stored = ""
        salt = self._salt()
        self._veil = Veil(secret_values, salt)
        self.digests = Digests(salt, self.contract.choices)
        self._on_disk = str(path) != ":memory:"
        self._begin = "BEGIN IMMEDIATE" if self._on_disk else "BEGIN"
        with self.account() as account:
            if account.meta("secret") is None:
                account.set_meta("secret", secrets.token_hex(16))
                account.set_meta("credits", (options or Options()).changed(changes or {}).credits)
                for project in STUDIO_PROJECTS:
                    account.run("INSERT INTO studio VALUES (?, ?, ?)", *project)
            self._keep(account, (options or self.options).changed(changes or {}))
        if database.version(self._db) < database.VERSION:
            self._bring_up_to_date()

    def _bring_up_to_date(self) -> None:
        """An account of before there were digests: nothing of what it was sent stays readable, as far as that is known."""
        with self.account() as account:
            if database.version(self._db) < database.VERSION:
                account.veil_all()
                self._db.execute(f"PRAGMA user_version={database.VERSION}")
        self._db.execute("VACUUM")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _salt(self) -> bytes:
        salt = secrets.token_hex(16)
        self._db.execute("INSERT INTO meta VALUES ('salt', ?) ON CONFLICT DO NOTHING", (salt,))
        row = self._db.execute("SELECT value FROM meta WHERE name = 'salt'").fetchone()
        return bytes.fromhex(row[0])

    def _keep(self, account: Account, options: Options) -> None:
        self._stored, self.options = options.stored(), options
        account.set_meta("options", self._stored)

    def _reload_options(self) -> None:
        """Take over the options that another process may have changed."""
        row = self._db.execute("SELECT value FROM meta WHERE name = 'options'").fetchone()
        if row is not None and row[0] != self._stored:
            self._stored, self.options = row[0], restored(row[0])

    def change(self, changes: Mapping[str, Any]) -> None:
        """Sets options, for every process that serves this account; ``credits`` is the balance from now on.

        Raises:
            ValueError: for an option that is unknown or wrong.

        """
        with self.account() as account:
            self._keep(account, self.options.changed(changes))
            if "credits" in changes:
                account.set_meta("credits", self.options.credits)

    def close(self) -> None:
        """Closes the file. The store can't be used afterwards."""
        self._db.close()

    @contextmanager
    def account(self) -> Iterator[Account]:
        """The account in a transaction of its own: all of what happens inside is kept, or nothing if it raises."""
        with self._lock:
            self._db.execute(self._begin)
            try:
                if self._on_disk:
                    self._reload_options()
                digests = self.digests if self._on_disk else None
                account = Account(self._db, self.options, self._clock(), self._veil, digests, self.contract)
                account.advance()
                yield account
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    # What is there

    def ledger(self, *, after: int = 0) -> list[Effect]:
        """Every effect of a call, in order; or those after the one with this number."""
        with self.account() as account:
            rows = account.all("SELECT * FROM effects WHERE n > ? ORDER BY n", after)
        return [Effect(**{**dict(row), "detail": json.loads(row["detail"])}) for row in rows]

    def requests(self) -> list[RequestRow]:
        """Every request received since the last ``clear_requests``, in order."""
        with self.account() as account:
            rows = account.all("SELECT * FROM requests ORDER BY n")
        return [
            RequestRow(**{**dict(row), "query": json.loads(row["query"]), "body": _json_or_text(row["body"])})
            for row in rows
        ]

    def clear_requests(self) -> None:
        """Forgets the requests received so far."""
        with self.account() as account:
            account.run("DELETE FROM requests")

    def projects(self) -> list[dict[str, Any]]:
        """Everything about every API project, oldest first."""
        with self.account() as account:
            return [views.truth(row, self.contract) for row in account.all("SELECT * FROM projects ORDER BY seq")]

    def conversation(self, project_id: str) -> list[dict[str, Any]]:
        """A project's whole conversation, oldest first, as the API shows messages, with their references."""
        with self.account() as account:
            seq = _project(account, project_id)["seq"]
            rows = account.all("SELECT * FROM messages WHERE project = ? ORDER BY seq", seq)
        return [views.message(row) | {"references": json.loads(row["refs"])} for row in rows]

    def credits(self) -> int:
        """The account's balance."""
        with self.account() as account:
            return int(account.meta("credits"))

    # Faults

    def add_fault(self, fault: Fault) -> None:
        """Queues a fault, for every process that serves this account."""
        with self.account() as account:
            account.run("INSERT INTO faults (fault) VALUES (?)", json.dumps(asdict(fault)))

    def clear_faults(self) -> None:
        """Forgets the faults that have not come about."""
        with self.account() as account:
            account.run("DELETE FROM faults")

    def take_fault(self, method: str, path: str) -> Fault | None:
        """Uses up the first fault that is meant for such a request now."""
        with self._lock:
            if self._db.execute("SELECT 1 FROM faults LIMIT 1").fetchone() is None:
                return None
        with self.account() as account:
            for n, text in account.all("SELECT n, fault FROM faults ORDER BY n"):
                fault = Fault(**json.loads(text))
                if not fault.matches(method, path):
                    continue
                if fault.skip:
                    left = replace(fault, skip=fault.skip - 1)
                elif fault.times == 1:
                    account.run("DELETE FROM faults WHERE n = ?", n)
                    return fault
                else:
                    left = replace(fault, times=max(0, fault.times - 1))
                account.run("UPDATE faults SET fault = ? WHERE n = ?", json.dumps(asdict(left)), n)
                if not fault.skip:
                    return fault
        return None

    # People and the studio

    def add_studio_project(self, *, id: str, title: str | None = None, brief: str = "Made in the studio.") -> None:  # noqa: A002 — the API's name
        """Puts a project into the studio, to be adopted."""
        with self.account() as account:
            account.run("INSERT INTO studio VALUES (?, ?, ?)", id, title, brief)

    def add_skill(self, *, id: str, name: str = "House style") -> None:  # noqa: A002 — the API's name
        """Gives the account a skill of its own."""
        with self.account() as account:
            account.run("INSERT INTO skills VALUES (?, ?)", id.lower(), account.veil.hide(name))

    def person_creates(self, *, brief: str, title: str | None = None, status: str = "idle", **settings: Any) -> str:
        """A project made by hand or by another tool; it stays in ``status``. Gives its id."""
        with self.account() as account:
            settings = self._settings(settings)
            project = account.add_project(brief=brief, title=title, status=status, origin="person", **settings)
            return str(project["id"])

    def person_writes(self, project_id: str, content: str) -> str:
        """A message typed by a person; an idle agent sets to work on it. Gives the message's id."""
        with self.account() as account:
            project = _project(account, project_id)
            message_id = account.add_message(project["seq"], "user", content, source="chat")
            if project["status"] == Status.IDLE:
                account.resume(project, content)
            return message_id

    def person_renders(self, project_id: str) -> None:
        """A render that a person asked for in the studio."""
        with self.account() as account:
            account.render(_project(account, project_id), f"studio{secrets.token_hex(4)}")

    def person_shares(self, project_id: str, *, title: str | None = None) -> str:
        """A permanent link that a person made in the studio. Gives its id."""
        with self.account() as account:
            return deliveries.add_link(account, _project(account, project_id), title=title)

    def person_sets(self, project_id: str, **settings: Any) -> None:
        """Settings changed by a person, whatever the agent is at."""
        with self.account() as account:
            account.change(_project(account, project_id)["seq"], **self._settings(settings))

    def _settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        known = {"references", *(field.name for field in columns.plain_fields(self.contract))}
        if unknown := settings.keys() - known:
            raise TypeError(f"not settings: {', '.join(sorted(unknown))}")
        return settings

    def forget_keys(self) -> None:
        """No idempotency key given so far is known any more: the contract does not say how long one lives."""
        with self.account() as account:
            account.run("UPDATE projects SET idempotency_key = NULL")

    def forget_cursors(self) -> None:
        """No message id given so far is known any more, as a cursor or otherwise: 404 from now on."""
        with self.account() as account:
            account.run("UPDATE messages SET id = 'msg_' || lower(hex(randomblob(8)))")
            account.set_meta("cursors_forgotten", 1)

    def faults(self) -> list[Fault]:
        """The faults that have not come about yet."""
        with self.account() as account:
            return [Fault(**json.loads(row["fault"])) for row in account.all("SELECT fault FROM faults ORDER BY n")]

    def set_status(self, project_id: str, status: str, *, error_message: str | None = None) -> None:
        """Fixes a project's status, also one that the contract doesn't know; its agent does nothing further."""
        with self.account() as account:
            account.stop(_project(account, project_id), status, error_message)

    def finish_all(self) -> None:
        """Lets every agent at work reach the end of its run now."""
        with self.account() as account:
            account.finish_all()

    def lose_uploads(self) -> None:
        """Lets every uploaded file be gone."""
        with self.account() as account:
            account.run("UPDATE uploads SET gone = 1")

    def set_credits(self, n: int) -> None:
        """Sets the balance."""
        with self.account() as account:
            account.set_meta("credits", n)


def _project(account: Account, project_id: str) -> sqlite3.Row:
    row = account.one("SELECT * FROM projects WHERE id = ?", project_id)
    if row is None:
        raise KeyError(project_id)
    return row


def _json_or_text(body: str | None) -> Any | None:
    try:
        return None if body is None else json.loads(body)
    except (ValueError, RecursionError):
        return body
