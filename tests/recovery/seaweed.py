"""A real S3 server for the tests: SeaweedFS, one process on free ports of loopback, its data in memory.

As a script it serves all processes of a test session, until the one whose number it is given ends: a start takes seconds.
"""

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import httpx
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.command import ROOT
from tests.recovery.runs import scratch

WEED = Path(sys.executable).with_name("weed")
BUCKET = "states"
KEY, SECRET = "tests", "only-for-tests"
READER, READER_SECRET = "reader", "only-for-reading"
TRIES = 3
_PARTS = ("master", "volume", "filer", "s3")
_IDENTITIES = {
    "identities": [
        {
            "name": "all",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {
            "name": "some",
            "credentials": [{"accessKey": READER, "secretKey": READER_SECRET}],
            "actions": [f"Read:{BUCKET}", f"List:{BUCKET}"],
        },
    ]
}


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


_DIES_WITH_US = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
"""PR_SET_PDEATHSIG: no server outlives the tests, whatever ends them."""


class Seaweed:
    """The server, for as long as the ``with`` block lasts. ``url`` is its S3 endpoint."""

    def __init__(self, folder):
        self._folder = Path(folder)

    def __enter__(self):
        for _ in range(TRIES):
            self._start()
            if self._make_bucket():
                return self
            said = (self._folder / "log").read_text()[-2000:]
            self.__exit__()
        raise AssertionError(said)

    def _start(self):
        ports = iter(_free_ports(2 * len(_PARTS)))
        self._ports = {part: (next(ports), next(ports)) for part in _PARTS}
        self.url = f"http://127.0.0.1:{self._ports['s3'][0]}"
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "s3.json"
        config.write_text(json.dumps(_IDENTITIES))
        options = [f"-{part}.port={http}" for part, (http, _) in self._ports.items()]
        options += [f"-{part}.port.grpc={grpc}" for part, (_, grpc) in self._ports.items()]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _DIES_WITH_US,
                    WEED,
                    "server",
                    f"-dir={self._folder}",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    "-s3",
                    f"-s3.config={config}",
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                    "-master.telemetry=false",
                    "-master.volumeSizeLimitMB=64",
                    "-volume.max=100",
                    *options,
                ],
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _make_bucket(self):
        """Through the filer; done once the gateway knows it and there is a volume for its data, which may take seconds.

        False: the server ended (somebody took one of its ports meanwhile), or nothing comes of it.
        """
        end = time.monotonic() + 60
        made = ready = False
        with httpx.Client(
            verify=False, base_url=f"http://127.0.0.1:{self._ports['filer'][0]}", trust_env=False
        ) as filer:
            while not ready:
                if self._process.poll() is not None or time.monotonic() > end:
                    return False
                with contextlib.suppress(httpx.HTTPError, BaseError):
                    made = made or filer.post(f"/buckets/{BUCKET}/").is_success
                    if made:
                        Bucket(self.url).store().put("ready", b"x" * 1000)
                        ready = True
                time.sleep(0 if ready else 0.03)
        return True

    def __exit__(self, *_):
        self._process.kill()  # asked to end, it takes half a minute
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class Bucket:
    """One bucket of it, in the server of this process or of another. ``url``: the server's endpoint."""

    def __init__(self, url):
        self.url = url

    def store(self, prefix=None):
        """The bucket as the tests read and write it."""
        return S3Store(
            BUCKET,
            prefix=prefix,
            endpoint=self.url,
            access_key_id=KEY,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True, "timeout": timedelta(seconds=20)},
            retry_config={"max_retries": 0},
        )

    def env(self, url=None, key=KEY, secret=SECRET):
        """The environment of a program that keeps its state here; ``url`` where something stands in between."""
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url or self.url,
        }


def served():
    """The endpoint of a server that lasts as long as this session of tests."""
    main = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    keeper = subprocess.Popen(
        [sys.executable, "-m", "tests.recovery.seaweed", str(main)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,  # an interrupt is for the tests, which end first
        text=True,
    )
    _KEEPERS.append(keeper)
    with keeper.stdout as said:
        url = said.readline().strip()
    assert url, "no object store came up"
    return url


_KEEPERS = []
"""Kept, so that nobody complains of a process that is left running."""


def _serve(main):
    with scratch() as folder, Seaweed(folder / "seaweed") as server:
        print(server.url, flush=True)
        with contextlib.suppress(ProcessLookupError):
            select.select([os.pidfd_open(main)], [], [])


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
