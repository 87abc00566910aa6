"""Whoever is refused the state's lock is told by whom: the holder is named, or the lock is tried again."""

import json
import multiprocessing
import os
import re
import threading
import time

import filelock
import pytest

from reconciler.adapters.state.lock import hold_lock
from reconciler.model.errors import LockError

NAMED = re.compile(r"Held by pid (\d+) on \S+ since \d{4}-\S+Z: `reconciler apply \d+`\.")
RIVALS, ROUNDS = 8, 40


def rival(path, number, start, told, held):
    """Take the lock and let go at once, many times: most of the time somebody is just coming or going."""
    start.wait()
    for _ in range(ROUNDS):
        try:
            with hold_lock(path, command=f"reconciler apply {number}", timeout=0):
                held.put(os.getpid())
        except LockError as error:
            told.put(error.diagnostics[0].detail)


def drained(queue, processes):
    found = []
    while any(p.is_alive() for p in processes) or not queue.empty():
        while not queue.empty():
            found.append(queue.get())
        time.sleep(0.01)
    return found


@pytest.mark.sweep
def test_eight_processes_that_come_and_go_name_each_holder(tmp_path):
    context = multiprocessing.get_context("fork")
    start, told, held = context.Barrier(RIVALS), context.SimpleQueue(), context.SimpleQueue()
    path = tmp_path / "state.json"
    processes = [context.Process(target=rival, args=(path, n, start, told, held)) for n in range(RIVALS)]
    for process in processes:
        process.start()
    texts: list[str] = []
    reader = threading.Thread(target=lambda: texts.extend(drained(told, processes)))
    reader.start()
    holders = drained(held, processes)
    for process in processes:
        process.join(60)
    reader.join(60)
    assert len(texts) + len(holders) == RIVALS * ROUNDS
    assert [text for text in texts if not NAMED.match(text)] == []
    assert {int(NAMED.match(text)[1]) for text in texts} <= {p.pid for p in processes}


def note(path, pid):
    text = {"host": os.uname().nodename, "pid": pid, "since": "2026-01-01T00:00:00Z", "command": "reconciler apply 9"}
    path.write_text(json.dumps(text), encoding="utf-8")


def dead_pid():
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    process.join()
    return process.pid


@pytest.mark.sampled(3)
@pytest.mark.parametrize("before", ["nothing", "a dead holder", "half a note"])
def test_a_holder_that_has_yet_to_write_its_name_is_waited_for(tmp_path, before):
    path = tmp_path / "state.json"
    holder = tmp_path / "state.json.holder"
    if before == "a dead holder":
        note(holder, dead_pid())
    elif before == "half a note":
        holder.write_text('{"host": "he', encoding="utf-8")
    with filelock.FileLock(tmp_path / "state.json.lock"):
        later = threading.Timer(0.4, note, (holder, os.getpid()))
        later.start()
        with pytest.raises(LockError) as caught, hold_lock(path, command="reconciler apply", timeout=0):
            pass
        later.join()
    assert NAMED.match(caught.value.diagnostics[0].detail)[1] == str(os.getpid())


def test_a_holder_that_is_just_letting_go_refuses_nobody(tmp_path):
    path = tmp_path / "state.json"
    lock = filelock.FileLock(tmp_path / "state.json.lock", thread_local=False)
    lock.acquire()
    later = threading.Timer(0.4, lock.release)
    later.start()
    with hold_lock(path, command="reconciler apply", timeout=0):
        pass
    later.join()


def test_a_holder_that_never_says_its_name_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("reconciler.adapters.state.lock._NAMELESS", 0.3)
    with (
        filelock.FileLock(tmp_path / "state.json.lock"),
        pytest.raises(LockError) as caught,
        hold_lock(tmp_path / "state.json", command="reconciler apply", timeout=0),
    ):
        pass
    assert "its name is unknown" in caught.value.diagnostics[0].detail
