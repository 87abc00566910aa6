"""Where a server may send a run for files, up and down: never into the user's own network, never without end."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from reconciler.adapters.media.client import MediaClient
from reconciler.model.errors import DownloadError, UploadError
from tests.sampling import every, square
from tests.virtual_time import run

INSIDE = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "10.0.0.8",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "2852039166",
    "169.254.0.1",
    "192.0.0.8",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fec0::1]",
    "[fd00:ec2::254]",
    "[fc00::1]",
    "[ff02::1]",
]
"""Hosts that lead to this machine, into a private network, to a cloud's metadata, or to nobody in particular."""
NAMES = ["localhost", "LOCALHOST", "files.attacker.example"]
"""Names that do; the last is made to, in the tests."""


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def names(monkeypatch, **known):
    """Let names lead to these addresses, one after the other at each question, and note what is connected to."""
    asked, real = [], socket.getaddrinfo

    def getaddrinfo(host, port, *args, **more):
        name = host.decode() if isinstance(host, bytes) else host
        asked.append(name)
        answers = known.get((name or "").replace(".", "_"))
        if answers is None:
            return real(host, port, *args, **more)
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found.split()]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def fetch(url, folder, *, local=False, api_host=None, transport=None, limit=10**9):
    async def work():
        async with MediaClient(local=local, api_host=api_host, limit=limit, transport=transport) as media:
            return await media.fetch(url, folder, "a", known=None, tell=lambda *_: None)

    return asyncio.run(work())


async def send(media, url):
    file = io.BufferedReader(io.BytesIO(b"x"))
    digest = hashlib.sha256(b"x").hexdigest()
    await media.put(url, file, size=1, content_type="image/png", digest=digest, tell=lambda *_: None)


def put(url, *, local=False, api_host=None):
    async def work():
        async with MediaClient(local=local, api_host=api_host) as media:
            await send(media, url)

    asyncio.run(work())


@pytest.fixture
def nobody_is_called(monkeypatch):
    """Any connection is a failure."""

    async def connect(*_, **__):
        raise AssertionError("connected")

    monkeypatch.setattr("anyio.connect_tcp", connect)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("host", "way"), square(2, [*INSIDE, *NAMES], ["down", "up"]))
def test_an_address_inside_is_not_called(host, way, tmp_path, monkeypatch, nobody_is_called):
    names(monkeypatch, files_attacker_example=["10.1.2.3"])
    with pytest.raises(DownloadError if way == "down" else UploadError) as caught:
        fetch(f"https://{host}/a", tmp_path) if way == "down" else put(f"https://{host}/a")
    words = "private network|not a URL|no https address"  # httpx takes some of the odd forms for no URL
    assert re.search(words, str(caught.value))


@pytest.mark.parametrize("host", every(3, INSIDE))
def test_nor_where_requests_stay_in_this_process(host, tmp_path):
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b"x"))
    with pytest.raises(DownloadError, match=r"private network|not a URL"):
        fetch(f"https://{host}/a", tmp_path, transport=transport)


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "localhost", "files.attacker.example"])
def test_nor_behind_a_proxy(host, tmp_path, monkeypatch, nobody_is_called):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    names(monkeypatch, files_attacker_example=["10.1.2.3"])
    with pytest.raises(DownloadError, match="private network"):
        fetch(f"https://{host}/a", tmp_path)


def test_a_name_with_one_address_inside_among_others_is_not_called(tmp_path, monkeypatch, nobody_is_called):
    names(monkeypatch, files_attacker_example=["93.184.215.14 192.168.0.1"])
    with pytest.raises(DownloadError, match="private network"):
        fetch("https://files.attacker.example/a", tmp_path)


def test_what_was_checked_is_what_is_called(tmp_path, monkeypatch):
    # Intent: a name that leads elsewhere at the second question (rebinding) is not asked for a second time.
    called = []

    async def connect(remote_host, **_):
        called.append(str(remote_host))
        raise OSError("nobody here")

    monkeypatch.setattr("anyio.connect_tcp", connect)
    asked = names(monkeypatch, files_attacker_example=["93.184.215.14 93.184.215.15", "127.0.0.1"])
    with pytest.raises(DownloadError):
        fetch("https://files.attacker.example/a", tmp_path)
    assert called == ["93.184.215.14", "93.184.215.15"]
    assert asked.count("files.attacker.example") == 2  # the next try asks again, and is refused


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("api_host", "host", "allowed"),
    [
        ("10.9.9.9", "10.0.0.8", True),
        ("api.inside.example", "10.0.0.8", True),
        ("api.inside.example", "files.attacker.example", True),
        ("10.9.9.9", "192.168.0.1", False),
        ("10.9.9.9", "127.0.0.1", False),
        ("10.9.9.9", "169.254.169.254", False),
        ("100.64.0.1", "100.100.100.200", False),
        ("169.254.169.254", "169.254.169.254", False),
        ("api.public.example", "10.0.0.8", False),
        ("api.here.example", "[::1]", True),
    ],
)
def test_files_may_lie_in_the_network_that_the_api_is_in(api_host, host, allowed, tmp_path, monkeypatch):
    called = []

    async def connect(remote_host, **_):
        called.append(remote_host)
        raise OSError("nobody here")

    monkeypatch.setattr("anyio.connect_tcp", connect)
    names(
        monkeypatch,
        api_inside_example=["10.200.0.1"],
        api_public_example=["93.184.215.14"],
        api_here_example=["127.0.0.1"],
        files_attacker_example=["10.1.2.3"],
    )
    with pytest.raises(DownloadError):
        fetch(f"https://{host}/a", tmp_path, api_host=api_host)
    assert bool(called) == allowed


class Files:
    """A media host of this machine, with what it should say."""

    def __init__(self, answer):
        self.asked = []
        files = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                files.asked.append((self.path, dict(self.headers)))
                answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def say(handler, status, body=b"", **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize("target", ["https://169.254.169.254/latest", "https://10.0.0.1/", "https://[fe80::1]/"])
def test_a_redirect_is_held_to_the_same_rule(target, tmp_path):
    with Files(lambda handler: say(handler, 302, Location=target)) as files:
        with pytest.raises(DownloadError, match="private network"):
            fetch(f"{files.url}/a", tmp_path, local=True)
        assert len(files.asked) == 1


def test_a_certificate_is_asked_of_the_name_and_not_of_the_address(monkeypatch):
    """Intent: calling an address that was checked does not weaken whose certificate is expected."""
    seen = []

    async def start_tls(_, ssl_context, server_hostname=None, **__):
        seen.append((server_hostname, ssl_context.verify_mode, ssl_context.check_hostname))
        raise OSError("enough")

    async def connect(*_, **__):
        class Stream:
            async def aclose(self):
                pass

            def extra(self, *_):
                return None

        return Stream()

    monkeypatch.setattr("anyio.connect_tcp", connect)
    monkeypatch.setattr("httpcore._backends.anyio.AnyIOStream.start_tls", start_tls)
    names(monkeypatch, files_attacker_example=["93.184.215.14"])
    with pytest.raises((DownloadError, UploadError, OSError)):
        put("https://files.attacker.example/a")
    assert seen == [("files.attacker.example", ssl.CERT_REQUIRED, True)]


# ── size and time ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("every", "size", "ends"), [(1.0, 1, "too slowly"), (29.0, 65_536, "too slowly"), (0.5, 100_000, "larger than")]
)
def test_a_file_that_drips_is_given_up_and_one_that_comes_is_not(every, size, ends, tmp_path):
    async def drip():
        while True:
            await asyncio.sleep(every)
            yield b"x" * size

    async def main():
        transport = httpx.MockTransport(lambda _: httpx.Response(200, content=drip(), headers={"ETag": '"v1"'}))
        async with MediaClient(local=False, limit=10_000_000, transport=transport) as media:
            with pytest.raises(DownloadError, match=ends):
                await media.fetch("https://h.example/a", tmp_path, "a", known=None, tell=lambda *_: None)
        assert asyncio.get_running_loop().time() < 120

    run(main())
    kept = (tmp_path / "a.part").exists()
    assert kept == (ends == "too slowly")  # the next run goes on from there


def test_a_head_that_never_comes_is_given_up(tmp_path):
    async def never(_):
        await asyncio.sleep(10**6)

    async def main():
        async with MediaClient(local=False, transport=httpx.MockTransport(never)) as media:
            with pytest.raises(DownloadError):
                await media.fetch("https://h.example/a", tmp_path, "a", known=None, tell=lambda *_: None)
            with pytest.raises(UploadError):
                await send(media, "https://h.example/a")
        assert asyncio.get_running_loop().time() < 300

    run(main())


def test_what_an_upload_is_answered_with_is_not_read():
    async def endless():
        while True:
            yield b" " * 65_536

    async def main():
        transport = httpx.MockTransport(lambda _: httpx.Response(200, content=endless()))
        async with MediaClient(local=False, transport=transport) as media:
            await send(media, "https://h.example/a")

    run(main())


DATA = bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("etag", "begins"),
    [('"v2"', 100), ('"v1"', 7), ('"v1"', 0)],
    ids=["a part of another file", "a part from elsewhere", "the beginning, as a part"],
)
def test_a_part_that_does_not_fit_is_not_glued_on(etag, begins, tmp_path):
    # Intent: what an earlier run left is only added to by what is known to follow it.
    def answer(handler):
        if "Range" in handler.headers:
            say(handler, 206, DATA[begins:], ETag=etag, Content_Range=f"bytes {begins}-{len(DATA) - 1}/{len(DATA)}")
        else:
            say(handler, 200, DATA, ETag=etag)

    (tmp_path / "a.part").write_bytes(b"y" * 100)
    (tmp_path / "a.part.json").write_text(json.dumps({"validator": '"v1"'}))
    with Files(answer) as files:
        fetched = fetch(f"{files.url}/a", tmp_path, local=True)
    assert (tmp_path / fetched.file).read_bytes() == DATA


def test_a_part_that_nobody_asked_for_is_no_file(tmp_path):
    with (
        Files(lambda h: say(h, 206, DATA[5:], Content_Range=f"bytes 5-{len(DATA) - 1}/{len(DATA)}")) as files,
        pytest.raises(DownloadError),
    ):
        fetch(f"{files.url}/a", tmp_path, local=True)
    assert not (tmp_path / "a.bin").exists()
