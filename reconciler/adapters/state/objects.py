"""Numbered, immutable objects in a store, with obstore: created only if absent, never overwritten.

Not compare-and-swap on an ETag: of 32 writers racing for one ETag two won on a widely used server.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import obstore
from msgspec import Struct
from obstore import exceptions
from obstore.store import LocalStore, ObjectStore, from_url

from reconciler import files
from reconciler.adapters.state.disk_errors import disk_failure, unsynced
from reconciler.adapters.state.format import MAX_BYTES
from reconciler.adapters.state.store_errors import failure, missing_folder, unusable
from reconciler.model.errors import StateError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

SCHEMES: Final = ("s3", "gs", "az", "file")
_NUMBER: Final = re.compile(r"(\d+)\.json")
_AT_ONCE: Final = 16
_ANSWERS: Final = (exceptions.BaseError, OSError, ValueError)
"""What obstore raises: its own exceptions, and the built-in ones that it maps to."""


class UnsyncedError(StateError):
    """A file of a shared folder is written, and only its folder can't be synced."""

    def __init__(self, path: Path, error: OSError) -> None:
        failed = disk_failure("write", path, error).diagnostics[0]
        super().__init__(failed.summary, failed.detail)
        self.warning = unsynced(path, error)


class Meta(Struct, frozen=True):
    """One object in a listing; ``at`` is by the store's clock."""

    number: int
    at: datetime
    size: int


class Objects:
    """The objects under ``scheme://bucket/prefix``. No connection is opened before it is used.

    ``timeout``: seconds for one request; passing failures are retried for as long again. ``own_folder``: of a ``file://``
    address the last folder is made if the one above it is there.

    Raises:
        StateError: the address can't be used. Every method: the store can't be reached, or refuses.

    """

    def __init__(self, url: str, *, timeout: float = 30.0, own_folder: bool = False) -> None:
        self.url = url
        parts = urlsplit(url)
        self._folder: Path | None = None
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise unusable(f"{parts.scheme}://…", "Put credentials into the environment, not into the address.")
        if parts.scheme == "file":
            if parts.netloc not in ("", "localhost") or len(parts.path) < 2:
                raise unusable(url, "Write `file:///absolute/path`, with three slashes.")
            self._folder = Path(unquote(parts.path))
        elif parts.scheme not in SCHEMES or not parts.netloc:
            raise unusable(url, "Write `s3://bucket/prefix`, `gs://…`, `az://…` or `file:///path`.")
        self._timeout = timeout
        self._own_folder = own_folder
        self._made: ObjectStore | None = None

    def create(self, name: str, data: bytes) -> bool:
        """Create an object; ``False`` if there is another one with this name.

        Raises:
            UnsyncedError: it is there, but may be lost.

        """
        with self._mapped("write", name):
            self._make_folder(name)
            try:
                # a multipart upload would not be create-if-absent
                obstore.put(self._store, name, data, mode="create", use_multipart=False)
            except exceptions.AlreadyExistsError:
                return self._is_ours(name, data)
            self._sync(name)
        return True

    async def create_async(self, name: str, data: bytes) -> bool:
        """Create an object without blocking the event loop."""
        with self._mapped("write", name):
            self._make_folder(name)
            try:
                await obstore.put_async(self._store, name, data, mode="create", use_multipart=False)
            except exceptions.AlreadyExistsError:
                return self._is_ours(name, data)
            self._sync(name)
        return True

    def is_strict(self, name: str, data: bytes) -> bool:
        """Whether the store refuses to create an object that is there; one that does not can't hold a state."""
        with self._mapped("write", name):
            try:
                obstore.put(self._store, name, data, mode="create", use_multipart=False)
            except exceptions.AlreadyExistsError:
                return True
        return False

    def read(self, name: str, limit: int = MAX_BYTES) -> bytes | None:
        """An object's content; ``None`` if there is none. Raises StateError for more than ``limit`` bytes, too."""
        with self._mapped("read", name):
            if shared := self._shared():
                with suppress(FileNotFoundError):
                    return files.read(shared / name, limit)
                return None
            try:
                found = obstore.get(self._store, name)
            except FileNotFoundError as error:
                if _no_bucket(error):
                    raise
                return None
            if found.meta["size"] > limit:
                raise files.UnsafeFileError(errno.EFBIG, f"it is larger than {limit:,} bytes", name)
            return bytes(found.bytes())

    def read_all(self, names: Iterable[str]) -> list[bytes | None]:
        """Read several objects at the same time."""
        wanted = list(names)
        if len(wanted) < 2:
            return [self.read(name) for name in wanted]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self.read, wanted))

    def numbered(self, folder: str, *, after: str | None = None) -> list[Meta]:
        """The numbered objects directly in a folder, in order; ``after``: only those after this name."""
        if self._is_missing():
            return []
        with self._mapped("list", folder):
            found = obstore.list(self._store, prefix=folder, offset=after).collect()
        metas = []
        for item in found:
            match = _NUMBER.fullmatch(item["path"].removeprefix(f"{folder}/"))
            if match:
                metas.append(Meta(int(match[1]), item["last_modified"], item["size"]))
        return sorted(metas, key=lambda meta: meta.number)

    def folders(self, folder: str) -> list[int]:
        """The numbered folders in a folder."""
        if self._is_missing():
            return []
        with self._mapped("list", folder):
            found = obstore.list_with_delimiter(self._store, prefix=folder)["common_prefixes"]
        return sorted(int(name) for path in found if (name := path.rpartition("/")[2]).isdigit())

    def delete(self, names: Iterable[str]) -> None:
        wanted = list(names)
        if wanted:
            with self._mapped("delete", wanted[0]):
                obstore.delete(self._store, wanted)

    def remove(self, name: str) -> bool:
        """Delete an object; ``False`` if there was none, as far as the store tells."""
        with self._mapped("delete", name):
            if shared := self._shared():
                return files.remove(shared / name)
            try:
                obstore.delete(self._store, name)
            except FileNotFoundError as error:
                if _no_bucket(error):
                    raise
                return False
            return True

    def now(self, name: str) -> datetime:
        """The store's own clock, read by writing an object and asking for its time."""
        with self._mapped("write", name):
            self._make_folder(name)
            obstore.put(self._store, name, b"{}", use_multipart=False)
            if self._folder is not None:
                (self._folder / name).chmod(files.PRIVATE)
            return obstore.head(self._store, name)["last_modified"]

    def where(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}"

    def _is_ours(self, name: str, data: bytes) -> bool:
        """Whether the object that is there is ours: an answer was lost, and the request was repeated."""
        return self.read(name) == data

    @property
    def _store(self) -> ObjectStore:
        if self._made is None:
            self._made = self._make()
        return self._made

    def _make(self) -> ObjectStore:
        if shared := self._shared():
            return LocalStore(shared, automatic_cleanup=True)
        options: ClientConfig = {"timeout": timedelta(seconds=self._timeout), "connect_timeout": timedelta(seconds=5)}
        if os.environ.get("AWS_ENDPOINT_URL", os.environ.get("AWS_ENDPOINT", "")).startswith("http://"):
            options["allow_http"] = True
        retries: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(seconds=self._timeout)}
        return from_url(self.url, client_options=options, retry_config=retries)

    def _shared(self) -> Path | None:
        """The shared folder of a ``file://`` address. It is not created: a volume may not be mounted yet."""
        if self._folder is not None:
            needed = self._folder.parent if self._own_folder else self._folder
            if not needed.is_dir():
                raise missing_folder(needed)
        return self._folder

    def _is_missing(self) -> bool:
        """Whether the folder of a ``file://`` address is still to be made, so that it has nothing."""
        return self._own_folder and (shared := self._shared()) is not None and not shared.is_dir()

    def _make_folder(self, name: str) -> None:
        """Create a subfolder of a shared folder; obstore would let everybody read it."""
        if shared := self._shared():
            files.make_folder((shared / name).parent, mode=files.PRIVATE_FOLDER)

    def _sync(self, name: str) -> None:
        """Sync a file of a shared folder and make it private, which obstore does not do."""
        if self._folder is None:
            return
        path = self._folder / name
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fchmod(fd, files.PRIVATE)
            os.fsync(fd)
        finally:
            os.close(fd)
        try:
            for folder in (path.parent, path.parent.parent):
                files.sync_folder(folder)
        except OSError as error:
            raise UnsyncedError(path, error) from error

    @contextmanager
    def _mapped(self, what: str, name: str) -> Iterator[None]:
        try:
            yield
        except _ANSWERS as error:
            raise failure(what, self.where(name), error) from error


def _no_bucket(error: Exception) -> bool:
    return "NoSuchBucket" in str(error) or "ContainerNotFound" in str(error)
