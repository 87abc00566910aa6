"""A cluster's API in this process (kmock), and the operator as a real process that works for it."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import httpx
import kmock

from reconciler.cli.operator.resource import GROUP, KIND, PLURAL, VERSION
from tests import command

NAMESPACE = "videos"
_numbers = itertools.count(1)
SOON = 60.0
"""Seconds in which a busy machine gets to anything."""


class Api(kmock.KubernetesEmulator):
    """As kmock's, and with names for what is created without one, as events are."""

    async def _handle(self, request):
        metadata = request.data.get("metadata", {}) if request.method == "POST" else {}
        if "generateName" in metadata:
            metadata.setdefault("name", f"{metadata['generateName']}{next(_numbers)}")
        return await super()._handle(request)


class Cluster:
    """The API server. What a test does to it goes over HTTP, as the operator's own calls do."""

    def __init__(self):
        self._started, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.url = ""

    def __enter__(self):
        self._thread.start()
        assert self._started.wait(SOON)
        self.client = httpx.Client(base_url=self.url, trust_env=False)
        return self

    def __exit__(self, *_):
        self.client.close()
        self._ended.set()
        self._thread.join(SOON)

    async def _serve(self):
        async with Api() as api, kmock.Server(api) as server:
            verbs = ["get", "list", "watch", "patch", "create", "delete"]
            info = kmock.ResourceInfo(
                namespaced=True, kind=KIND, singular="workspace", verbs=verbs, subresources=["status"]
            )
            api.resources[f"{GROUP}/{VERSION}/{PLURAL}"] = info
            for name, kind in (("secrets", "Secret"), ("configmaps", "ConfigMap"), ("events", "Event")):
                api.resources[f"v1/{name}"] = kmock.ResourceInfo(namespaced=True, kind=kind, verbs=verbs)
            for name in ("v1/namespaces", "apiextensions.k8s.io/v1/customresourcedefinitions"):
                api.resources[name] = kmock.ResourceInfo(namespaced=False, kind=name, verbs=verbs)
            self.url = str(server.url).rstrip("/")
            self._started.set()
            await asyncio.to_thread(self._ended.wait)

    def _path(self, kind, name=""):
        base = f"/apis/{GROUP}/{VERSION}" if kind == PLURAL else "/api/v1"
        return f"{base}/namespaces/{NAMESPACE}/{kind}" + (f"/{name}" if name else "")

    def put(self, kind, name, **content):
        """Create it, or merge into what is there."""
        path = self._path(kind, name)
        if self.client.get(path).status_code == 404:
            metadata = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "resourceVersion": "1"}
            made = {"metadata": metadata, **content}
            if kind == PLURAL:
                made |= {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND}
            answer = self.client.post(self._path(kind), json=made)
        else:
            answer = self.client.patch(path, json=content)
        assert answer.status_code < 300, answer.text

    def secret(self, name, value):
        self.put("secrets", name, data={"EVERSINCE_API_KEY": base64.b64encode(value.encode()).decode()})

    def workspace(self, name, **spec):
        self.put(PLURAL, name, spec=spec)

    def get(self, name):
        answer = self.client.get(self._path(PLURAL, name))
        return None if answer.status_code == 404 else answer.json()

    def delete(self, name):
        assert self.client.delete(self._path(PLURAL, name)).status_code < 300

    def status(self, name):
        return (self.get(name) or {}).get("status") or {}

    def condition(self, name, kind="Ready"):
        found = [each for each in self.status(name).get("conditions") or () if each["type"] == kind]
        return (found[0]["status"], found[0]["reason"]) if found else ("", "")

    def events(self):
        items = self.client.get(self._path("events")).json()["items"]
        return Counter((each["type"], each["reason"], each["involvedObject"]["name"]) for each in items)

    def text(self):
        """All that left the operator for the cluster."""
        found = [self.client.get(self._path(kind)).text for kind in (PLURAL, "events")]
        return "\n".join(found)

    def until(self, what, operator):
        """Wait for something to be so; what it gives."""
        end = time.monotonic() + SOON
        while not (found := what()):
            assert operator.alive(), operator.err()
            assert time.monotonic() < end, f"it does not come to that\n{operator.err()}\n{self.text()}"
            time.sleep(0.1)
        return found

    def reaches(self, name, reason, operator):
        self.until(lambda: self.condition(name)[1] == reason, operator)
        return self.status(name)


class Operator:
    """`reconciler operator` as a process."""

    def __init__(self, cluster, folder, *more, **env):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.work = folder, folder / "work"
        config = folder / "kubeconfig"
        config.write_text(
            json.dumps(
                {
                    "current-context": "a",
                    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                    "clusters": [{"name": "a", "cluster": {"server": cluster.url}}],
                    "users": [{"name": "a", "user": {}}],
                }
            )
        )
        self._log = folder / f"operator-{len(list(folder.glob('operator-*')))}.log"
        quick = {f"RECONCILER_APPLY_{name}": value for name, value in (("POLL_INTERVAL", "0.02"), ("SETTLE", "0.2"))}
        args = ["--namespace", NAMESPACE, "--work", str(self.work), *more]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "reconciler", "operator", *args],
                cwd=command.ROOT,
                env=command.environment(**{"KUBECONFIG": str(config), "XDG_CACHE_HOME": str(folder), **quick, **env}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def alive(self):
        return self._process.poll() is None

    def err(self):
        return self._log.read_text()

    def logs(self):
        return "".join(path.read_text() for path in self.folder.glob("operator-*.log"))

    def kill(self):
        """As when the node dies, but what it started lives on: the harder case."""
        self._process.kill()
        self._process.wait()

    def stop(self):
        if self.alive():
            os.kill(self._process.pid, signal.SIGTERM)
        return self._process.wait(SOON)

    def children(self):
        """The processes that it started and that are still there."""
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]
