"""Downloads after an apply: Ctrl-C ends them, a full disk is an outcome of theirs, and what has come is kept."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from types import SimpleNamespace

import pytest

from reconciler import files
from reconciler.adapters.media.client import Fetched
from reconciler.cli.downloads import deliver_files
from reconciler.model.errors import DownloadError
from reconciler.model.state import Entry, Outputs

FAR = "2999-01-01T00:00:00Z"


class Media:
    """Fetches at once what is in ``ready``; waits for ever for the rest, with a part on the disk."""

    def __init__(self, ready):
        self.ready, self.asked, self.cancelled = ready, asyncio.Event(), []

    async def fetch(self, url, folder, stem, *, known, tell):
        (folder / f"{stem}.part").write_bytes(b"begun")
        if stem not in self.ready:
            self.asked.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.append(stem)
                raise
        (folder / f"{stem}.part").rename(folder / f"{stem}.mp4")
        return Fetched(f"{stem}.mp4", 5, "0" * 64, None)


def entry(address):
    return Entry(
        project_id=f"p-{address}",
        origin="created",
        outputs=Outputs(assembled_url=f"https://x/{address}", assembled_url_expires_at=FAR),
    )


def delivered(root, ready, addresses, *, interrupt=False):
    """What `deliver_files` gives, and the media client."""

    async def work():
        media, stop = Media(ready), asyncio.Event()

        @contextlib.asynccontextmanager
        async def opened(*, limit):
            yield media

        state = SimpleNamespace(projects={a: entry(a) for a in addresses})
        workspace = SimpleNamespace(now=lambda: "2026-01-01T00:00:00Z")
        context = SimpleNamespace(media=opened, state=lambda: state, workspace=workspace)
        result = SimpleNamespace(results=(), plan=SimpleNamespace(downloads=dict.fromkeys(addresses, "out")))
        going = asyncio.create_task(
            deliver_files(context, None, result, base=root, fresh=True, show=lambda *_: None, stop=stop)
        )
        if interrupt:
            await media.asked.wait()
            stop.set()
        return await asyncio.wait_for(going, 5), media

    return asyncio.run(work())


def test_an_interrupt_ends_downloads_at_once_and_keeps_what_has_come(tmp_path):
    found, media = delivered(tmp_path, {"a"}, ["a", "b", "c"], interrupt=True)
    assert found is None
    assert sorted(media.cancelled) == ["b", "c"]
    assert (tmp_path / "out" / "a.mp4").is_file() and (tmp_path / "out" / "b.part").is_file()


def test_without_an_interrupt_all_come(tmp_path):
    found, _ = delivered(tmp_path, {"a", "b"}, ["a", "b"])
    assert [(each.address, each.outcome) for each in found] == [("a", "fetched"), ("b", "fetched")]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_manifest_that_cannot_be_written_is_an_outcome_and_no_bug(tmp_path, monkeypatch, number):
    def full(path, *_, **__):
        raise OSError(number, "no", str(path))

    monkeypatch.setattr(files, "replace", full)
    found, _ = delivered(tmp_path, {"a"}, ["a"])
    assert found[0].outcome == "failed" and "manifest.json" in found[0].error.summary


def test_a_full_disk_is_told_for_each_file(tmp_path, monkeypatch):
    async def full(*_, **__):
        raise DownloadError("can't write `x`: No space left on device")

    monkeypatch.setattr(Media, "fetch", full)
    found, _ = delivered(tmp_path, set(), ["a", "b"])
    assert [each.outcome for each in found] == ["failed", "failed"]


def test_a_folder_that_became_a_link_out_of_the_workspace_is_refused(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    root = tmp_path / "w"
    root.mkdir()
    (root / "out").symlink_to(target)
    found, _ = delivered(root, {"a"}, ["a"])
    assert found[0].outcome == "failed" and not list(target.iterdir())


@pytest.mark.parametrize("name", ["a.mp4", "a.part", "manifest.json"])
def test_a_link_in_place_of_a_file_is_not_written_through(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "w" / "out"
    folder.mkdir(parents=True)
    (folder / name).symlink_to(victim)
    if name == "a.part":
        with pytest.raises(OSError):  # so the real client opens it
            files.open_to_append(folder / name, mode=0o666)
    else:
        with contextlib.suppress(DownloadError):
            delivered(tmp_path / "w", {"a"}, ["a"])
    assert victim.read_text() == "mine"
