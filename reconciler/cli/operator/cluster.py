"""The few calls to the cluster that kopf leaves to its user: reading one Secret or ConfigMap, and writing a status."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from ssl import SSLContext
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from reconciler.cli.operator.resource import GROUP, PLURAL, VERSION
from reconciler.model.errors import ReconcilerError

_SECONDS = 20.0


class ClusterError(ReconcilerError):
    """The cluster does not give what the resource names."""


class Connection(Protocol):
    """How to reach the API server; kopf's ``ConnectionInfo``."""

    server: str

    def as_http_headers(self) -> dict[str, str]: ...
    def as_ssl_context(self) -> SSLContext: ...


class Cluster:
    """``connect`` is asked at each call, since tokens change."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect

    async def secret(self, namespace: str, name: str, key: str) -> str:
        """One value of a Secret. No message ever holds it. Raises ClusterError."""
        found = await self._call("GET", f"/api/v1/namespaces/{_safe(namespace)}/secrets/{_safe(name)}")
        value = (found.get("data") or {}).get(key)
        if not isinstance(value, str) or not value:
            raise ClusterError(f"the Secret `{name}` has no key `{key}`", "See `spec.keySecretRef`.")
        try:
            text = base64.b64decode(value, validate=True).decode("ascii").strip()
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        if not text or not text.isprintable():
            raise ClusterError(f"the key `{key}` of the Secret `{name}` is not an API key")
        return text

    async def config_map(self, namespace: str, name: str) -> dict[str, str]:
        """The texts of a ConfigMap by name. Raises ClusterError."""
        found = await self._call("GET", f"/api/v1/namespaces/{_safe(namespace)}/configmaps/{_safe(name)}")
        return {str(each): str(text) for each, text in (found.get("data") or {}).items()}

    async def write_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """Merge into the resource's status. Raises ClusterError."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{_safe(namespace)}/{PLURAL}/{_safe(name)}/status"
        await self._call("PATCH", path, {"status": status})

    async def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        connection = self._connect()
        headers = {"Content-Type": "application/merge-patch+json", **connection.as_http_headers()}
        secure = connection.server.startswith("https://")
        verify = connection.as_ssl_context() if secure else True
        try:
            async with httpx.AsyncClient(verify=verify, trust_env=False, timeout=_SECONDS) as client:
                answer = await client.request(
                    method,
                    connection.server.rstrip("/") + path,
                    json=body if body is not None else None,
                    headers=headers,
                )
        except httpx.HTTPError as error:
            raise ClusterError(f"the cluster does not answer: {type(error).__name__}") from error
        what = path.rpartition("/namespaces/")[2]
        if answer.status_code == 404:
            raise ClusterError(f"there is no `{what}` in the cluster")
        if answer.status_code >= 300:
            raise ClusterError(
                f"the cluster refuses {method} `{what}` with {answer.status_code}", "Look at the operator's Role."
            )
        found = answer.json()
        return found if isinstance(found, dict) else {}


def _safe(name: str) -> str:
    return quote(name, safe="")
