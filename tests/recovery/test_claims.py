"""A pull request's claim through kills, Ctrl-C, a full disk and races: taken as a whole or not at all, and by one."""

import json
import signal
import subprocess
import sys
import threading

import pytest

from reconciler.adapters.state.claims import claim_path
from reconciler.adapters.state.local import LocalStateStore
from reconciler.model.claim import Claim
from tests.command import ROOT
from tests.recovery.runs import kill_at
from tests.recovery.seaweed import READER, READER_SECRET
from tests.sampling import every, swept

ONE = "projects:\n  a: {brief: The brief of a.}\n"
A, B = "acme/shop#12", "acme/shop#13"
TAKE = """
import sys
from pathlib import Path
from reconciler.adapters.state.remote import RemoteStateStore
from reconciler.model.claim import Claim

url, spill, name = sys.argv[1:]
store = RemoteStateStore(url, version="0", spill=Path(spill), lease_seconds=60)
sys.stdin.readline()
print(store.claims.take(Claim(pull_request=name, since="2026-11-28T05:00:00Z")).pull_request)
"""


def apply(world, name, *more, **how):
    return world.apply("--pull-request", name, *more, **how)


def claimed(world):
    ended = world.run("claim", "--format", "json")
    assert ended.code == 0, str(ended)
    return json.loads(ended.out)["claim"]


@pytest.mark.parametrize("place", ["folder", swept("bucket")])
def test_a_claim_in_a_shared_store(new_remote, place):
    # Intent: taken, refused, released and taken by the next one, from machines that share only the store.
    world = new_remote(ONE, place)
    assert apply(world, A).code == 0
    assert "claim.json" in world.place.names()
    world.store.clear_requests()
    ended = apply(world, B)
    assert ended.code == 1
    assert f"`{A}` has claimed" in ended.err
    assert not world.store.requests()
    assert world.run("unlock", "--pull-request", B).code == 1
    assert world.run("unlock", "--pull-request", A).code == 0
    assert "no claim" in world.run("unlock", "--pull-request", A).out
    assert "claim.json" not in world.place.names()
    assert apply(world, B).code == 0
    assert claimed(world) is None  # there was nothing left to apply
    for foreign in (b"", b"[]", b"x" * 100_000):
        world.place.write("claim.json", foreign)
        ended = apply(world, A)
        assert ended.code == 1
        assert "claim.json" in ended.err
        assert "unlock --force" in ended.err
        assert "could not be read" in world.run("unlock", "--force").out
    assert claimed(world) is None


@pytest.mark.parametrize("place", ["folder", swept("bucket")])
def test_of_many_that_take_it_at_once_one_gets_it(new_remote, tmp_path, place):
    # Intent: create-if-absent decides, even among those who hold no lock.
    world = new_remote(ONE, place)
    env = {**world.place.env}
    names = [f"acme/shop#{number}" for number in range(6)]
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKE, world.place.url, str(tmp_path), name],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    try:
        for racer in racers:
            racer.stdin.write("\n")
            racer.stdin.flush()
        told = {racer.communicate(timeout=60)[0].strip() for racer in racers}
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    assert len(told) == 1
    assert told <= set(names)


@pytest.mark.parametrize("place", ["file", "folder", swept("bucket")])
def test_of_two_applies_that_race_one_gets_it(new_world, new_remote, place):
    # Intent: the second one waits for the lock, is refused by the claim, and makes no call.
    world = new_world(ONE) if place == "file" else new_remote(ONE, place)
    ended = {}

    def race(name):
        ended[name] = apply(world, name, "--lock-timeout", "60s")

    racers = [threading.Thread(target=race, args=(name,)) for name in (A, B)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    winner = claimed(world)["pull_request"]
    loser = B if winner == A else A
    assert ended[winner].code == 0, str(ended[winner])
    assert ended[loser].code == 1
    assert f"`{winner}` has claimed" in ended[loser].err
    assert world.kinds() == ["create"]


@pytest.mark.parametrize("at", every(6, range(1, 13)))
def test_a_kill_at_any_write_leaves_a_whole_claim_or_none(new_world, at):
    # Intent: what was killed is continued by the same pull request, whichever write it died at; nothing is done twice.
    world = new_world(ONE)
    ended = apply(world, A, orders=[kill_at("state", at)])
    assert ended.killed, str(ended)
    found = claimed(world)
    assert found is None or found["pull_request"] == A
    if world.kinds():
        assert found is not None
    assert apply(world, A).code == 0
    assert claimed(world)["pull_request"] == A
    assert world.kinds() == ["create"]
    assert not list(world.folder.glob(".*.tmp"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", every(6, range(1, 13)))
def test_ctrl_c_while_it_is_taken(new_world, at, number):
    # Intent: it is taken or not, and the run ends as interrupted; the next one of the same pull request continues.
    world = new_world(ONE)
    ended = apply(world, A, orders=[kill_at("state", at, number)])
    assert ended.code in (0, 130), str(ended)
    found = claimed(world)
    assert found is None or found["pull_request"] == A
    if world.kinds():
        assert found is not None
    assert apply(world, A).code == 0
    assert world.kinds() == ["create"]


def test_a_full_disk_takes_no_claim_and_calls_nothing(new_world):
    # Intent: the first write of an apply is the claim; without room nothing is sent.
    world = new_world(ONE)
    ended = apply(world, A, full=1)
    assert ended.code == 1
    assert "claim.json" in ended.err
    assert "No space left" in ended.err
    assert not world.kinds()
    assert claimed(world) is None
    assert apply(world, A).code == 0


@pytest.mark.sweep
def test_a_store_that_may_only_be_read(new_remote, seaweed):
    # Intent: credentials for plans see the claim, and can neither take nor release one.
    world = new_remote(ONE, "bucket")
    world.env |= seaweed.env(key=READER, secret=READER_SECRET)
    assert "may not write" in apply(world, A).err
    assert claimed(world) is None
    world.env |= world.place.env
    assert apply(world, A).code == 0
    world.env |= seaweed.env(key=READER, secret=READER_SECRET)
    assert "is behind" in world.plan("--pull-request", B).out
    ended = world.run("unlock", "--pull-request", A)
    assert ended.code == 1
    assert "may not write" in ended.err
    assert claimed(world)["pull_request"] == A


def test_the_claim_of_a_state_is_named_like_it(tmp_path):
    # Intent: two states in one folder never share a claim.
    names = ["reconciler.state.json", "reconciler.prod.state.json", "a.json", "a.state.json", "b"]
    paths = {claim_path(tmp_path / name) for name in names}
    assert len(paths) == len(names)
    assert not {path.name for path in paths} & set(names)
    assert claim_path(tmp_path / names[1]).name == "reconciler.prod.claim.json"


def test_a_claim_is_read_back_as_it_was_written(tmp_path):
    # Intent: nothing of it is lost or made up.
    claims = LocalStateStore(tmp_path / "s.state.json", version="0").claims
    claim = Claim(pull_request="größe/✓!7", url="https://x.example/7", actor=None, since="2026-11-28T05:00:00Z")
    other = Claim(pull_request="other", since=claim.since)
    assert claims.read() is None
    assert not claims.release()
    assert claims.take(claim) == claim == claims.read() == claims.take(other)
    assert claims.release()
    assert claims.take(other) == other
