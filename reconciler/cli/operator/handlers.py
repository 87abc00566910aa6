"""The operator on kopf, which watches the resources, keeps their finalizers, and ends their tasks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.cli.operator.child import StoppedError
from reconciler.cli.operator.cluster import Cluster
from reconciler.cli.operator.resource import FINALIZER, GROUP, INTERVAL_MIN, PLURAL, VERSION, Round, status_of
from reconciler.cli.operator.rounds import Settings, WorkspaceRounds
from reconciler.model.errors import ConfigError, ReconcilerError

if TYPE_CHECKING:
    import kopf

_LOOK: Final = 0.5
"""Seconds between looks at whether the spec has changed."""
_SOON: Final = 60.0
_POLL: Final = 1.0
"""Seconds between looks at whether the task of a deleted resource has ended, so that its finalizer can go."""


class Operator:
    """``parallel`` workspaces are worked on at a time. ``say`` gets one line for each round that brings something new."""

    def __init__(self, cluster: Cluster, settings: Settings, *, parallel: int, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._slots = asyncio.Semaphore(parallel)
        self._say = say
        self._working: dict[str, asyncio.Lock] = {}

    async def keep(self, body: kopf.Body, stopped: kopf.DaemonStopped) -> None:
        """Make rounds of one resource until it is deleted or the operator ends."""
        stop = asyncio.Event()
        hearing = asyncio.ensure_future(_hear(stopped, stop))
        uid = str(body.metadata.uid)
        rounds = WorkspaceRounds(self._cluster, self._settings, uid, stop)
        told = ""
        try:
            while not stop.is_set():
                spec = _spec_text(body)
                async with self._working.setdefault(uid, asyncio.Lock()), self._slots:
                    if stop.is_set():
                        break
                    made, seconds = await self._round(rounds, body)
                told = self._tell(body, made, told)
                end = asyncio.get_running_loop().time() + seconds
                while _spec_text(body) == spec:
                    left = end - asyncio.get_running_loop().time()
                    if left <= 0 or stop.is_set():
                        break
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), min(left, _LOOK))
        except StoppedError:
            pass
        finally:
            hearing.cancel()

    async def _round(self, rounds: WorkspaceRounds, body: kopf.Body) -> tuple[Round, float]:
        namespace, name = str(body.metadata.namespace), str(body.metadata.name)
        before = dict(body.status)
        try:
            made, spec = await rounds.run(namespace, body.spec, before.get("applied") or {})
        except (StoppedError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001  one workspace's bug never stops the others
            made, spec = Round(reason="Failed", message=f"A bug: {type(error).__name__}.", failed=True, keep=True), None
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        environment = "" if spec is None else spec.environment
        generation = body.metadata.get("generation")
        status = status_of(made, before, generation=generation, environment=environment, now=now)
        try:
            await self._cluster.write_status(namespace, name, status)
        except ReconcilerError as error:
            self._say(f"{namespace}/{name}: the status is not written: {error}")
        seconds = _SOON if spec is None else spec.seconds
        return made, max(INTERVAL_MIN, min(seconds, _SOON) if made.soon else seconds)

    def _tell(self, body: kopf.Body, made: Round, told: str) -> str:
        """An event and a line, once for each thing that is new."""
        import kopf  # noqa: PLC0415

        new = f"{made.reason}: {made.message}"
        if new != told:
            kopf.event(body, type="Warning" if made.failed else "Normal", reason=made.reason, message=made.message)
            self._say(f"{body.metadata.namespace}/{body.metadata.name}: {new}")
        return new

    async def part(self, body: kopf.Body) -> None:
        """Let a deleted resource go: its command has ended and so freed the state; the account stays as it is."""
        uid = str(body.metadata.uid)
        async with self._working.setdefault(uid, asyncio.Lock()):
            WorkspaceRounds(self._cluster, self._settings, uid, asyncio.Event()).forget()
        self._working.pop(uid, None)
        self._say(f"{body.metadata.namespace}/{body.metadata.name}: deleted; nothing in the account was changed.")


def _spec_text(body: kopf.Body) -> str:
    """The spec, to see whether it has changed."""
    return json.dumps(dict(body.spec), sort_keys=True, default=str)


async def _hear(stopped: kopf.DaemonStopped, stop: asyncio.Event) -> None:
    await stopped.wait()
    stop.set()


def serve(
    settings: Settings,
    *,
    namespaces: Collection[str],
    parallel: int,
    listen: tuple[str, int] | None,
    say: Callable[[str], None],
) -> None:
    """Run until SIGINT or SIGTERM.

    Raises:
        ConfigError: kopf is not installed, or there is no cluster.

    """
    try:
        import kopf  # noqa: PLC0415  the extra, and half a second
    except ModuleNotFoundError as error:
        raise ConfigError(
            "the operator needs a package that is not installed",
            "Install it: `pip install 'eversince-reconciler[operator]'`.",
        ) from error
    registry = kopf.OperatorRegistry()
    configured = kopf.OperatorSettings()
    configured.persistence.finalizer = FINALIZER
    configured.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    configured.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    configured.posting.loggers = False
    configured.background.cancellation_polling = _POLL
    configured.scanning.disabled = True

    def connect() -> kopf.ConnectionInfo:
        try:
            found = kopf.login_with_service_account(settings=configured) or kopf.login_with_kubeconfig(
                settings=configured
            )
        except Exception as error:
            raise ConfigError(f"the kubeconfig can't be used: {type(error).__name__}") from error
        if found is None:
            raise ConfigError(
                "there is no cluster to work for", "Run the operator in a pod with a token, or set KUBECONFIG."
            )
        return found

    connect()
    operator = Operator(Cluster(connect), settings, parallel=parallel, say=say)

    def log_in(**_: Any) -> kopf.ConnectionInfo:
        return connect()

    async def keep(body: kopf.Body, stopped: kopf.DaemonStopped, **_: Any) -> None:
        await operator.keep(body, stopped)

    async def part(body: kopf.Body, **_: Any) -> None:
        await operator.part(body)

    kind = (GROUP, VERSION, PLURAL)
    kopf.on.login(registry=registry)(log_in)
    kopf.daemon(*kind, registry=registry)(keep)
    kopf.on.delete(*kind, registry=registry)(part)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    kopf.run(
        registry=registry,
        settings=configured,
        standalone=True,
        namespaces=tuple(namespaces),
        liveness_endpoint=None if listen is None else f"http://{_host(listen[0])}:{listen[1]}/healthz",
    )


def _host(name: str) -> str:
    return f"[{name}]" if ":" in name else name
