"""Whether the API key is of the account that the state, or `account` in the configuration, speaks of."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.config import Account, Config
from reconciler.model.errors import AccountError, Diagnostic, NotFoundError
from reconciler.model.live import Snapshot
from reconciler.model.state import Entry
from reconciler.operations.read.refresh import Reader, refresh
from reconciler.planning.findings import ACCOUNT_CODE, ACCOUNT_FROM, other_account


async def require_account(api: Reader, config: Config, entries: Mapping[str, Entry], *, at: str) -> None:
    """Where no plan has read the account: one GET, if all is well; none where nothing can tell.

    Raises:
        AccountError: the key is of another account.
        ApiError: it can't be found out.

    """
    if config.account is not None:
        if not await _has(api, config.account.project):
            raise _not_pinned(config.account)
    elif len(entries) >= ACCOUNT_FROM and not await _has(api, next(iter(entries.values())).project_id):
        ids = frozenset(entry.project_id for entry in entries.values())
        other = other_account(entries, await refresh(api, ids, at=at))
        if other is not None:
            raise AccountError((other,))


def check_pinned(config: Config, live: Snapshot) -> None:
    """Raises AccountError: what was read shows that the account does not have the project that the file names."""
    if config.account is not None and config.account.project in live.missing:
        raise _not_pinned(config.account)


async def read_managed(
    api: Reader, config: Config, entries: Mapping[str, Entry], *, managed: Mapping[str, Entry], at: str
) -> Snapshot:
    """Read the projects of ``entries``, which are some of the ``managed`` ones, and whose account it is: the list tells,
    in most cases.

    Raises:
        AccountError: the key is of another account.
        ApiError, ReconcilerError: as ``refresh``.

    """
    ids = frozenset(entry.project_id for entry in entries.values())
    live = await refresh(api, ids | ({config.account.project} if config.account is not None else set()), at=at)
    check_pinned(config, live)
    if (other := other_account(entries, live)) is not None:
        raise AccountError((other,))
    if config.account is None and ids <= live.missing:
        await require_account(api, config, managed, at=at)
    return live


async def _has(api: Reader, project_id: str) -> bool:
    try:
        await api.project(project_id)
    except NotFoundError:
        return False
    return True


def _not_pinned(account: Account) -> AccountError:
    return AccountError(
        (
            Diagnostic(
                severity="error",
                code=ACCOUNT_CODE,
                kind="identity",
                location=account.location,
                summary=f"the API key is of another account: it doesn't show `{account.project}`",
                detail="`account.project` names it, so nothing is planned and nothing is sent.\n"
                "Use the key of the account that has it, or correct `account` in the configuration.",
            ),
        )
    )
