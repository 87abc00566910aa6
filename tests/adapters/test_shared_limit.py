"""Real processes of one account, its limit on: what they get is read from the server's ledger."""

import math
import os
import subprocess
import sys
from collections import Counter

import pytest

from reconciler.sandbox import account
from reconciler.sandbox.server import BackgroundServer
from reconciler.sandbox.store import Options
from tests.command import ROOT


def requests(server, count, *, window, windows, folders):
    """What so many processes that are busy for the same time ask for: when, who, and with what answer."""
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.adapters.paced",
                server.url,
                *map(str, (number, window * windows, window, 4)),
            ],
            cwd=ROOT,
            env={**os.environ, "XDG_CACHE_HOME": str(folders[number % len(folders)])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * count
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=window * windows + 120)[0] for process in processes]
    assert said == [""] * count  # no limiter had to do without the file
    assert [process.returncode for process in processes] == [0] * count
    return [(row.at, row.query["offset"], row.status) for row in server.store.requests()]


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("count", "window", "limit", "windows", "least"),
    [(3, 5.0, 30, 2.9, 0.5), (8, 30.0, 60, 2.9, 0.85)],  # of five seconds, a busy machine may lose some
)
def test_processes_of_one_account_share_its_limit_fairly(count, window, limit, windows, least, tmp_path, monkeypatch):
    monkeypatch.setattr(account, "WINDOW_SECONDS", window)
    with BackgroundServer(options=Options(requests_per_minute=limit)) as server:
        rows = requests(server, count, window=window, windows=windows, folders=[tmp_path])
    served = Counter(who for _, who, status in rows if status == 200)
    # Each window that begins in this time has the whole limit to give. In the last one there is time for it.
    possible = limit * math.ceil(windows)
    assert served.total() >= least * possible
    assert sum(status == 429 for *_, status in rows) <= max(2, 0.02 * len(rows))
    fair = served.total() / count
    assert len(served) == count
    assert all(fair / 2 <= share <= 2 * fair for share in served.values()), served
