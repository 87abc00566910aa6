"""What takes long and all processes of a session need alike: the first that asks makes it, the others read it."""

import json
import os

import filelock


def made_once(tmp_path_factory, name, make):
    """What ``make`` returns, as JSON has it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # each process has a folder of its own in it
    path = folder / f"{name}.json"
    with filelock.FileLock(path.with_suffix(".lock")):
        if not path.exists():
            path.write_text(json.dumps(make()))
    return json.loads(path.read_text())
