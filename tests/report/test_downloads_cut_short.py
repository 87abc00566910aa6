"""Downloads that end too early, come at once, or get something else than a video: what is under a video's name is the video."""

import asyncio
import os
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from reconciler import files
from reconciler.adapters.media.client import MediaClient
from reconciler.adapters.media.files import Part
from reconciler.model.errors import DownloadError
from reconciler.model.state import Rendered
from reconciler.operations.read import download as module
from reconciler.operations.read.download import download
from tests.report.test_downloads import DATA, NOW, Api, entry

URL = "https://127.0.0.1/a.mp4"


def client(handle):
    return MediaClient(local=True, transport=httpx.MockTransport(handle))


def video(data=DATA):
    async def pieces():
        yield data

    return lambda _: httpx.Response(200, content=pieces(), headers={"content-type": "video/mp4"})


def fetch(folder, handle=None, **entries):
    async def work():
        async with client(handle or video()) as media:
            return await download(Api(URL), media, entries or {"a": entry()}, folder, now=NOW, tell=lambda *_: None)

    (found,) = asyncio.run(work())
    return found


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_video_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Intent: where power fails, no name is left without its content."""
    synced, sync, put = set(), os.fsync, os.replace
    told = []

    def noted(fd):
        sync(fd)
        synced.add((os.fstat(fd).st_ino, os.fstat(fd).st_size))

    def checked(source, target):
        if Path(target).suffix == ".mp4":
            found = Path(source).stat()
            told.append((found.st_ino, found.st_size) in synced)
        put(source, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "replace", checked)
    assert fetch(tmp_path).outcome == "fetched"
    assert told == [True]


def test_a_video_whose_run_ended_before_the_manifest_was_written_is_ours(tmp_path, monkeypatch):
    """Intent: its successor replaces it, instead of taking it for somebody else's file."""
    replace = files.replace

    def full(path, data, **more):
        if path.name == module.MANIFEST:
            raise OSError(28, "No space left on device", str(path))
        return replace(path, data, **more)

    monkeypatch.setattr(files, "replace", full)
    assert "No space left" in fetch(tmp_path).error.summary
    assert (tmp_path / "a.mp4").read_bytes() == DATA
    monkeypatch.undo()

    assert fetch(tmp_path, video(b"newer")).outcome == "fetched"
    assert (tmp_path / "a.mp4").read_bytes() == b"newer"
    assert names(tmp_path) == ["a.mp4", "manifest.json"]


def test_such_a_video_that_somebody_changed_since_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_write", lambda *_: (_ for _ in ()).throw(DownloadError("full")))
    fetch(tmp_path)
    monkeypatch.undo()
    (tmp_path / "a.mp4").write_bytes(b"edited")

    assert "is in the way" in fetch(tmp_path, video(b"newer")).error.summary
    assert (tmp_path / "a.mp4").read_bytes() == b"edited"


def test_where_power_fails_in_the_midst_of_a_rename_both_names_are_ours(tmp_path, monkeypatch):
    """Intent: a file system may keep the old name beside the new one."""
    monkeypatch.setattr(module, "_write", lambda *_: (_ for _ in ()).throw(DownloadError("killed")))
    fetch(tmp_path)
    monkeypatch.undo()
    (tmp_path / "a.part").write_bytes(DATA)

    assert fetch(tmp_path, video(b"newer")).outcome == "fetched"
    assert names(tmp_path) == ["a.mp4", "manifest.json"]


def test_two_runs_that_download_into_one_folder_take_turns(tmp_path, monkeypatch):
    """Intent: they would write into the same parts, and a mixture of both would be the video."""
    monkeypatch.setattr(module, "_POLL", 0.001)
    under_way, most = 0, 0

    async def slow(_):
        nonlocal under_way, most

        async def pieces():
            nonlocal under_way
            for begin in range(0, len(DATA), 20_000):
                await asyncio.sleep(0)
                yield DATA[begin : begin + 20_000]
            under_way -= 1

        under_way += 1
        most = max(most, under_way)
        return httpx.Response(200, content=pieces(), headers={"content-type": "video/mp4"})

    async def one():
        async with client(slow) as media:
            return await download(Api(URL), media, {"a": entry()}, tmp_path, now=NOW, tell=lambda *_: None)

    async def both():
        return await asyncio.gather(one(), one())

    found = [each.outcome for (each,) in asyncio.run(both())]
    assert (sorted(found), most) == (["fetched", "kept"], 1)
    assert (tmp_path / "a.mp4").read_bytes() == DATA


def test_a_run_does_not_wait_for_another_one_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_POLL", 0.001)
    with files.locked(tmp_path), pytest.raises(DownloadError, match="another run downloads into") as told:
        fetch(tmp_path)
    assert "once that one has ended" in told.value.diagnostics[0].detail
    assert fetch(tmp_path).outcome == "fetched"


def test_what_a_killed_run_was_writing_beside_the_videos_is_removed(tmp_path):
    for name in ("manifest.json", "a.part.json"):
        (tmp_path / f".{name}.0123456789abcdef.tmp").write_text("{")
    assert fetch(tmp_path).outcome == "fetched"
    assert names(tmp_path) == ["a.mp4", "manifest.json"]


def test_what_was_begun_of_a_video_that_is_there_is_removed(tmp_path):
    """Intent: without validators a video is fetched again, to compare it; where that was killed, nothing is left of it."""
    rendered = replace(
        entry(URL, "2027-01-01T00:00:00Z"), rendered=Rendered(at="2025-12-31T00:00:00Z", quality="1080p", how="sent")
    )
    assert fetch(tmp_path, a=rendered).outcome == "fetched"
    Part(tmp_path, "a").begin('"v1"', 0)
    (tmp_path / "a.part").write_bytes(DATA[:100])

    assert fetch(tmp_path, a=rendered).outcome == "kept"
    assert names(tmp_path) == ["a.mp4", "manifest.json"]


def test_a_page_is_no_video(tmp_path):
    """Intent: what a proxy says instead of the storage is not kept for the video, which would never come then."""
    page = fetch(tmp_path, lambda _: httpx.Response(200, html="<h1>Maintenance</h1>"))
    assert (page.outcome, page.error.summary) == ("failed", "127.0.0.1 answered with a page, not with a file")
    assert names(tmp_path) == []
    assert fetch(tmp_path).outcome == "fetched"


@pytest.mark.parametrize("expires", ["2025-12-31T00:00:00Z", "2026-01-02T00:00:00Z"])
def test_an_address_that_is_refused_says_what_helps(tmp_path, expires):
    """Intent: once it has expired, running the command again does not help, and it says what does."""
    api = Api(URL)
    api.expires = expires

    async def work():
        async with client(lambda _: httpx.Response(410)) as media:
            return await download(api, media, {"a": entry(URL, expires)}, tmp_path, now=NOW, tell=lambda *_: None)

    (gone,) = asyncio.run(work())
    assert gone.error.summary == "127.0.0.1 answered 410"
    assert ("makes a permanent link" in gone.error.detail) == (expires < NOW)
    assert ("run the command again" in gone.error.detail) == (expires > NOW)
