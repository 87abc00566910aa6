"""The file through which runs share the rate limit: nobody else's, no link's, and nothing that tells of the key."""

import asyncio
import errno
import hashlib
import os
import time

import pytest

from reconciler.adapters.api import ledger_file
from reconciler.adapters.api.ledger_file import LedgerFile, file_name
from reconciler.adapters.api.limiter import RateLimiter

URL = "https://api.example.com/api/v1"
KEY = "es_live_0123456789abcdef"
NAME = file_name(URL, KEY)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "reconciler" / "limits"


def paced(folder):
    """What a limiter with this file says, after it let a request through."""
    said = []

    async def main():
        limiter = RateLimiter(120, LedgerFile(folder, NAME), said.append)
        await limiter.acquire()
        limiter.observe({})
        limiter.close()

    asyncio.run(main())
    return said


def all_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_folder_and_file_are_the_users_only(folder):
    old = os.umask(0)
    try:
        assert paced(folder) == []
    finally:
        os.umask(old)
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600
    assert all_below(folder) == [NAME]


def test_neither_name_nor_content_tells_of_key_or_address(folder):
    paced(folder)
    told = NAME + (folder / NAME).read_text()
    plain = [
        hashlib.new(kind, text.encode()).hexdigest()[:8] for kind in ("md5", "sha1", "sha256") for text in (KEY, URL)
    ]
    assert not [word for word in (KEY, KEY[8:], "example", *plain) if word in told]


def test_the_name_is_keyed_by_what_the_machine_draws_when_it_starts(tmp_path, monkeypatch):
    names = set()
    for drawn in (b"one", b"other"):
        (tmp_path / "boot").write_bytes(drawn)
        monkeypatch.setattr(ledger_file, "_START", tmp_path / "boot")
        names |= {file_name(URL, KEY)}
    monkeypatch.setattr(ledger_file, "_START", tmp_path / "missing")
    assert len(names | {file_name(URL, KEY)}) == 3


@pytest.mark.parametrize(
    ("url", "key", "same"),
    [
        ("https://API.example.com/api/v1/", KEY, True),
        ("https://api.example.com/other", KEY, True),
        ("https://api.example.org/api/v1", KEY, False),
        ("https://api.example.com:8443/api/v1", KEY, False),
        (URL, KEY + "x", False),  # another key of the same account: nothing here tells that
    ],
)
def test_an_account_is_known_by_host_and_key(url, key, same):
    assert (file_name(url, key) == NAME) is same


def link(path, target):
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.symlink_to(target)


def foreign(path):
    path.mkdir(parents=True, mode=0o700)
    os.chown(path, 12345, 12345)


def open_to_all(path):
    path.mkdir(parents=True)
    path.chmod(0o777)


def made(path, mode=0o600):
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text("")
    path.chmod(mode)


def hard_link(path, target):
    made(path.with_name("x"))
    os.link(target / "notes", path)


PLANTED = {
    "folder is a link": link,
    "folder above is a link": lambda folder, mine: link(folder.parent, mine),
    "folder is a link to nothing": lambda folder, mine: link(folder, mine / "new"),
    "folder is another user's": lambda folder, _: foreign(folder),
    "folder above is another user's": lambda folder, _: foreign(folder.parent),
    "folder is open to all": lambda folder, _: open_to_all(folder),
    "folder above is open to all": lambda folder, _: open_to_all(folder.parent),
    "folder is a file": lambda folder, _: made(folder),
    "file is a link": lambda folder, mine: link(folder / NAME, mine / "notes"),
    "file is a link to nothing": lambda folder, mine: link(folder / NAME, mine / "new"),
    "file is a hard link": lambda folder, mine: hard_link(folder / NAME, mine),
    "file is open to all": lambda folder, _: made(folder / NAME, 0o666),
    "file is a folder": lambda folder, _: (folder / NAME).mkdir(parents=True, mode=0o700),
    "file is a pipe": lambda folder, _: (folder.mkdir(parents=True, mode=0o700), os.mkfifo(folder / NAME, 0o600)),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_somebody_else_put_there_is_not_used(planted, folder, tmp_path):
    if "another user" in planted and os.geteuid() != 0:
        pytest.skip("needs a second user")
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    (mine / "notes").write_text("My notes.")
    PLANTED[planted](folder, mine)
    before = all_below(folder.parent.parent)
    assert [line.partition(":")[0] for line in paced(folder)] == ["this run counts its requests by itself"]
    assert all_below(mine) == ["notes"]
    assert (mine / "notes").read_text() == "My notes."
    assert {*all_below(folder.parent.parent)} - {*before} <= {"reconciler/limits"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("call", ["open", "mkdir", "pread", "pwrite", "ftruncate"])
def test_a_disk_that_fails_costs_nothing_but_the_sharing(call, number, folder, monkeypatch):
    paced(folder)
    (folder / NAME).write_text(" " * 5000)
    if call == "mkdir":
        (folder / NAME).unlink()
        folder.rmdir()

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(ledger_file.os, call, fail)
        said = paced(folder)
    assert said == [f"this run counts its requests by itself: {os.strerror(number)}"]
    assert paced(folder) == []  # what was left there is no harm to the next one


def test_a_part_that_was_written_is_thrown_away(folder, monkeypatch):
    write = os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(ledger_file.os, "pwrite", lambda fd, data, at: write(fd, data[:20], at))
        assert len(paced(folder)) == 1
    assert paced(folder) == []


def test_a_folder_that_is_emptied_meanwhile_is_filled_again(folder):
    file = LedgerFile(folder, NAME)
    assert file.exchange(lambda _: b"1")
    (folder / NAME).unlink()
    while not file.exchange(lambda old: old + b"2"):
        pass
    file.close()
    assert (folder / NAME).read_bytes() == b"2"


def test_one_process_at_a_time_has_it_and_what_it_does_not_write_is_kept(folder):
    one, other = LedgerFile(folder, NAME), LedgerFile(folder, NAME)
    assert one.exchange(lambda _: b"first, and long")

    def meanwhile(old):
        assert not other.exchange(lambda _: b"other")
        return old[:5]

    assert other.exchange(lambda old: old)
    assert one.exchange(meanwhile)
    assert (folder / NAME).read_bytes() == b"first"
    for file in (one, other):
        file.close()


def test_files_that_nobody_wrote_to_for_a_day_are_removed(folder):
    paced(folder)
    (folder / NAME).unlink()
    ages = {"00000001.json": 100_000, "00000002.json": 1000, "notes.txt": 100_000}
    for name, age in ages.items():
        (folder / name).write_text("")
        os.utime(folder / name, (time.time() - age,) * 2)
    (folder / "old").mkdir()
    paced(folder)
    assert all_below(folder) == sorted(["00000002.json", "notes.txt", "old", NAME])


def test_too_large_a_file_is_replaced(folder):
    paced(folder)
    (folder / NAME).write_bytes(b" " * (ledger_file.LARGEST * 2))
    assert paced(folder) == []
    assert (folder / NAME).stat().st_size < 1000
