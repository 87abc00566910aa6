"""`output --download`: resumed, checked, skipped; and never with the key, never to where it should not go."""

import asyncio
import hashlib
import itertools
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import httpx
import msgspec
import pytest

from reconciler.adapters.media.client import MediaClient
from reconciler.adapters.media.files import Part
from reconciler.model.errors import DownloadError, NotFoundError
from reconciler.model.state import Entry, Outputs, Rendered
from reconciler.operations.read.download import download
from tests import command
from tests.sampling import square

NOW = "2026-01-01T00:00:00Z"
DATA = bytes(range(256)) * 400
ETAG = '"v1"'


class Host:
    """A media host: what it serves can be chosen, what it was asked is kept."""

    def __init__(self):
        self.data, self.etag, self.cut, self.redirect, self.ranges = DATA, ETAG, 0, None, True
        self.cuts = 0
        self.asked = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                host.asked.append(dict(self.headers))
                if host.redirect and not self.path.startswith("/to"):
                    self.send_response(302)
                    self.send_header("Location", host.redirect)
                    self.end_headers()
                    return
                if host.etag and self.headers.get("If-None-Match") == host.etag:
                    self.send_response(304)
                    self.end_headers()
                    return
                start = 0
                if host.ranges and "Range" in self.headers and self.headers.get("If-Range") == host.etag:
                    start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                body = host.data[start:]
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(host.data) - 1}/{len(host.data)}")
                if host.etag:
                    self.send_header("ETag", host.etag)
                self.send_header("Content-Type", "video/mp4; codecs=x")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if host.cuts:
                    host.cuts, host.cut = host.cuts - 1, 5000
                if host.cut:
                    body, host.cut = body[: host.cut], 0
                    self.close_connection = True
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/renders/secret-name.mp4?sig=1"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def host():
    with Host() as found:
        yield found


class Api:
    """The status call alone."""

    def __init__(self, url, status="idle"):
        self.url, self.status, self.expires, self.calls = url, status, None, 0

    async def project(self, project_id):
        self.calls += 1
        if project_id == "gone":
            raise NotFoundError("no such project", method="GET", path="/x")
        return SimpleNamespace(assembled_url=self.url, assembled_url_expires_at=self.expires, status=self.status)


def entry(url=None, expires=None, project_id="p1"):
    return Entry(
        project_id=project_id, origin="created", outputs=Outputs(assembled_url=url, assembled_url_expires_at=expires)
    )


def fetch(folder, api, *, local=True, limit=10**9, **entries):
    told = []

    async def work():
        async with MediaClient(local=local, limit=limit) as media:
            named = entries or {"teaser": entry()}
            return await download(api, media, named, folder, now=NOW, tell=lambda *what: told.append(what))

    results = asyncio.run(work())
    return results[0] if len(results) == 1 else {r.address: r for r in results}


def test_a_file_that_is_there_is_kept_once_its_address_is_dead(tmp_path, host):
    """Intent: a day later nobody can fetch it again, and nobody has to."""
    api = Api(host.url)
    assert fetch(tmp_path, api).outcome == "fetched"
    asked, api.expires = len(host.asked), "2025-12-31T00:00:00Z"
    assert fetch(tmp_path, api).outcome == "kept" and len(host.asked) == asked
    api.url = host.url.replace("secret-name", "another")
    host.data, host.etag = b"new", '"v2"'
    assert fetch(tmp_path, api).outcome == "fetched"
    (tmp_path / "teaser.mp4").unlink()
    assert fetch(tmp_path, api).outcome == "fetched"


@pytest.mark.parametrize("known", [{}, {"status": "rendering", "assembled_url": "URL"}])
def test_while_a_render_is_under_way_its_earlier_video_is_not_taken_for_it(tmp_path, host, known):
    """Intent: what is noted as downloaded is not downloaded again, so it must be that render's."""
    made = {name: host.url if value == "URL" else value for name, value in known.items()}
    outputs = Outputs(**made, assembled_url_expires_at="2999-01-01T00:00:00Z")
    rendered = Entry(project_id="p1", origin="created", outputs=outputs, rendered=Rendered(at=NOW, quality="4k"))
    api = Api(host.url, "rendering")
    assert fetch(tmp_path, api, teaser=rendered).outcome == "nothing"
    api.status = "idle"
    assert fetch(tmp_path, api, teaser=rendered).outcome == "fetched"


def test_a_file_is_fetched_named_after_its_address_and_not_fetched_again(tmp_path, host):
    api = Api(host.url)
    first = fetch(tmp_path, api)
    assert (first.outcome, first.fetched.file) == ("fetched", "teaser.mp4")
    assert (tmp_path / "teaser.mp4").read_bytes() == DATA
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["teaser"]["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert fetch(tmp_path, api).outcome == "kept"
    assert host.asked[-1]["If-None-Match"] == ETAG
    assert sorted(p.name for p in tmp_path.iterdir()) == ["manifest.json", "teaser.mp4"]
    assert not any("authorization" in {k.lower() for k in headers} for headers in host.asked)


def test_another_rendering_another_project_or_a_lost_file_is_fetched(tmp_path, host):
    api = Api(host.url)
    fetch(tmp_path, api)
    host.data, host.etag = DATA[::-1], '"v2"'
    assert fetch(tmp_path, api).outcome == "fetched"
    assert (tmp_path / "teaser.mp4").read_bytes() == DATA[::-1]
    (tmp_path / "teaser.mp4").unlink()
    assert fetch(tmp_path, api).outcome == "fetched"
    assert fetch(tmp_path, api, teaser=entry(project_id="p2")).outcome == "fetched"
    assert json.loads((tmp_path / "manifest.json").read_text())["teaser"]["project_id"] == "p2"


def test_without_validators_the_bytes_tell(tmp_path, host):
    host.etag = None
    api = Api(host.url)
    fetch(tmp_path, api)
    assert fetch(tmp_path, api).outcome == "kept"
    host.data = DATA[::-1]
    assert fetch(tmp_path, api).outcome == "fetched"


def test_what_broke_off_goes_on_where_it_stopped(tmp_path, host):
    host.cut = 5000
    assert fetch(tmp_path, Api(host.url)).outcome == "fetched"
    assert [h.get("Range") for h in host.asked] == [None, "bytes=5000-"]
    assert host.asked[1]["If-Range"] == ETAG
    assert (tmp_path / "teaser.mp4").read_bytes() == DATA


def test_a_part_of_an_earlier_run_is_used_only_if_it_belongs_to_the_file(tmp_path, host):
    (tmp_path / "teaser.part").write_bytes(DATA[:100])
    (tmp_path / "teaser.part.json").write_text(json.dumps({"validator": ETAG}))
    fetch(tmp_path, Api(host.url))
    assert host.asked[0]["Range"] == "bytes=100-"
    assert (tmp_path / "teaser.mp4").read_bytes() == DATA
    (tmp_path / "teaser.part").write_bytes(b"of another rendering")
    (tmp_path / "teaser.part.json").write_text(json.dumps({"validator": '"v0"'}))
    (tmp_path / "teaser.mp4").unlink()
    fetch(tmp_path, Api(host.url))
    assert (tmp_path / "teaser.mp4").read_bytes() == DATA


@pytest.mark.parametrize("call", ["_write", "begin"])
def test_a_part_of_another_rendering_is_gone_before_the_note_says_otherwise(tmp_path, host, monkeypatch, call):
    """Intent: a run is killed as it begins to write over what is left of an earlier video: the next one mixes no two."""

    class Killed(BaseException):
        pass

    async def dies(*_):
        raise Killed

    def noted_and_dies(part, *arguments):
        begin(part, *arguments)
        raise Killed

    begin = Part.begin
    (tmp_path / "teaser.part").write_bytes(b"of another rendering")
    (tmp_path / "teaser.part.json").write_text(json.dumps({"validator": '"v0"'}))
    with monkeypatch.context() as patched:
        place, run = (MediaClient, dies) if call == "_write" else (Part, noted_and_dies)
        patched.setattr(place, call, run)
        with pytest.raises(Killed):
            fetch(tmp_path, Api(host.url))
    assert fetch(tmp_path, Api(host.url)).outcome == "fetched"
    assert (tmp_path / "teaser.mp4").read_bytes() == DATA


SAME_SIZE = b"x" * len(DATA)
IN_THE_WAY = {
    "a file of the user": ("teaser.mp4", b"precious"),
    "a file of the user, as large": ("teaser.mp4", SAME_SIZE),
    "an empty file": ("teaser.mp4", b""),
    "a part that nobody knows": ("teaser.part", b"precious"),
    "a note that is none": ("teaser.part.json", b"precious"),
    "a note of something else": ("teaser.part.json", b'{"mine": 1}'),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("case", "etag"), square(2, IN_THE_WAY, [ETAG, None]))
def test_a_file_that_no_download_wrote_is_never_replaced(tmp_path, host, case, etag):
    """Intent: its download fails, names it and says what to do; the others come, and so does it once it is moved."""
    name, content = IN_THE_WAY[case]
    host.etag = etag
    path = tmp_path / name
    path.write_bytes(content)
    for _ in range(2):
        results = fetch(tmp_path, Api(host.url), teaser=entry(), other=entry(project_id="p2"))
        assert results["other"].outcome in ("fetched", "kept")
        failed = results["teaser"]
        assert failed.outcome == "failed"
        assert str(path) in failed.error.summary and "Move it away" in failed.error.detail
        assert path.read_bytes() == content
        assert {p.name for p in tmp_path.iterdir()} == {name, "other.mp4", "manifest.json"}
    path.rename(tmp_path / "moved")
    assert fetch(tmp_path, Api(host.url)).outcome == "fetched"


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("state", "change"),
    square(
        3, ["listed", "expired", "rendered"], itertools.product(["p1", "p2"], [False, True], [b"edited", SAME_SIZE])
    ),
)
def test_a_download_that_was_changed_by_hand_is_never_replaced(tmp_path, host, state, change):
    project_id, newer, content = change
    api, given = Api(host.url), entry()
    if state == "rendered":
        given = Entry(project_id="p1", origin="created", rendered=Rendered(at=NOW, quality="4k"))
    assert fetch(tmp_path, api, teaser=given).outcome == "fetched"
    (tmp_path / "teaser.mp4").write_bytes(content)
    if state == "expired":
        api.expires = "2025-12-31T00:00:00Z"
    if newer:
        host.data, host.etag = DATA[::-1], '"v2"'
    found = fetch(tmp_path, api, teaser=msgspec.structs.replace(given, project_id=project_id))
    assert found.outcome == "failed" and str(tmp_path / "teaser.mp4") in found.error.summary
    assert (tmp_path / "teaser.mp4").read_bytes() == content
    assert not list(tmp_path.glob("*.part*"))


def test_a_change_during_the_download_is_kept(tmp_path, host):
    """Intent: what was checked before the first byte may be another file at the last one."""
    fetch(tmp_path, Api(host.url))
    host.data, host.etag = DATA[::-1], '"v2"'

    def edit(*_):
        (tmp_path / "teaser.mp4").write_bytes(b"mine")

    async def work():
        async with MediaClient(local=True) as media:
            return await download(Api(host.url), media, {"teaser": entry()}, tmp_path, now=NOW, tell=edit)

    assert [r.outcome for r in asyncio.run(work())] == ["failed"]
    assert (tmp_path / "teaser.mp4").read_bytes() == b"mine"


@pytest.mark.sampled(6)
@pytest.mark.parametrize("lost", ["manifest", "record"])
def test_a_file_whose_record_was_lost_is_taken_over_if_it_is_the_same(tmp_path, host, lost):
    fetch(tmp_path, Api(host.url))
    if lost == "manifest":
        (tmp_path / "manifest.json").unlink()
    else:
        (tmp_path / "manifest.json").write_text("{}")
    assert fetch(tmp_path, Api(host.url)).outcome == "fetched"
    assert fetch(tmp_path, Api(host.url)).outcome == "kept"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["manifest.json", "teaser.mp4"]
    host.data, host.etag = b"newer", '"v2"'
    assert fetch(tmp_path, Api(host.url)).outcome == "fetched"


@pytest.mark.parametrize("text", ["", "my notes", "[1]", '{"name": "my app"}'])
def test_a_manifest_of_somebody_else_is_never_replaced(tmp_path, host, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DownloadError, match="is not a manifest of downloads"):
        fetch(tmp_path, Api(host.url))
    assert (tmp_path / "manifest.json").read_text() == text


def test_names_that_differ_in_case_only_are_not_written_at_the_same_time(tmp_path, host):
    """Intent: on a file system without case they are one file, and its part would be of two videos."""
    running, most = set(), []

    class Media:
        async def fetch(self, url, folder, stem, *, known, tell):
            running.add(stem)
            most.append(len({s for s in running if s.casefold() == stem.casefold()}))
            await asyncio.sleep(0)
            running.discard(stem)
            raise DownloadError("no")

    named = {address: entry(host.url, "2999-01-01T00:00:00Z") for address in ("p[US]", "p[us]", "p[Us]")}
    asyncio.run(download(Api(host.url), Media(), named, tmp_path, now=NOW, tell=lambda *_: None))
    assert most == [1, 1, 1]


LEFT = {
    "it broke off, and can be continued": ({"data": DATA, "cuts": 3}, {}, True),
    "it broke off, and can't be continued": ({"etag": None, "cuts": 3}, {}, False),
    "it is too large": ({}, {"limit": 1000}, False),
}


@pytest.mark.sampled(6)
@pytest.mark.parametrize("case", LEFT)
def test_a_failed_download_leaves_only_a_part_that_can_be_continued(tmp_path, host, case):
    values, options, stays = LEFT[case]
    for name, value in values.items():
        setattr(host, name, value)
    assert fetch(tmp_path, Api(host.url), **options).outcome == "failed"
    assert sorted(p.name for p in tmp_path.iterdir()) == (["teaser.part", "teaser.part.json"] if stays else [])
    assert fetch(tmp_path, Api(host.url)).outcome == "fetched"
    assert (tmp_path / "teaser.mp4").read_bytes() == DATA
    assert sorted(p.name for p in tmp_path.iterdir()) == ["manifest.json", "teaser.mp4"]


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_no_file_is_left_alone_and_no_part_is_left_beside_it(tmp_path, host, kind):
    path = tmp_path / "teaser.mp4"
    path.mkdir() if kind == "folder" else path.symlink_to("elsewhere")
    found = fetch(tmp_path, Api(host.url))
    assert found.outcome == "failed" and str(path) in found.error.summary
    assert [p.name for p in tmp_path.iterdir()] == ["teaser.mp4"]


def test_the_state_s_address_is_used_while_it_is_good(tmp_path, host):
    api = Api(host.url)
    fetch(tmp_path, api, teaser=entry(host.url, "2026-01-01T00:00:01Z"))
    assert api.calls == 0
    fetch(tmp_path, api, teaser=entry("http://127.0.0.1:1/old.mp4", "2025-12-31T23:59:59Z"))
    fetch(tmp_path, api, teaser=entry("http://127.0.0.1:1/old.mp4", "some day"))
    assert api.calls == 2


def test_each_address_is_told_of(tmp_path, host):
    results = fetch(tmp_path, Api(host.url), a=entry(), b=entry(project_id="gone"), **{"../up": entry()})
    assert {address: r.outcome for address, r in results.items()} == {
        "a": "fetched",
        "b": "nothing",
        "../up": "nothing",
    }
    assert fetch(tmp_path, Api(None)).outcome == "nothing"


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.mp4",
        "ftp://example.com/a",
        "file:///etc/passwd",
        "https://user:pw@example.com/",
        "/etc/passwd",
        "https://",
        "http://[x",
        "http://sandbox/a.png",
    ],
)
def test_addresses_that_are_not_followed(tmp_path, url):
    result = fetch(tmp_path, Api(url))
    assert result.outcome == "failed"
    assert "pw" not in str(result.error)


def test_plain_http_to_this_machine_only_where_the_api_is_here(tmp_path, host):
    assert fetch(tmp_path, Api(host.url), local=False).outcome == "failed"
    assert host.asked == []


@pytest.mark.parametrize("target", ["http://example.com/a.mp4", "file:///etc/passwd", "ftp://x/", "https://u:p@x/"])
def test_redirects_never_leave_https(tmp_path, host, target):
    host.redirect = target
    assert fetch(tmp_path, Api(host.url)).outcome == "failed"
    assert len(host.asked) == 1


def test_a_redirect_is_followed_and_a_loop_is_not(tmp_path, host):
    host.redirect = "/to/a.mp4"
    assert fetch(tmp_path, Api(host.url)).outcome == "fetched"
    host.redirect = "/again"
    assert fetch(tmp_path / "other", Api(host.url)).outcome == "failed"


def test_what_is_too_large_is_refused(tmp_path, host):
    result = fetch(tmp_path, Api(host.url), limit=1000)
    assert (result.outcome, "1000 bytes" in result.error.summary) == ("failed", True)


def test_a_body_without_a_length_is_bounded_too(tmp_path):
    async def endless():
        while True:
            yield b"x" * 1000

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=endless()))

    async def work():
        async with MediaClient(local=False, limit=10_000, transport=transport) as media:
            await media.fetch("https://h/a", tmp_path, "a", known=None, tell=lambda *_: None)

    with pytest.raises(DownloadError, match="larger than 10000"):
        asyncio.run(work())


def test_a_host_that_does_not_answer_fails_that_file_alone(tmp_path, host):
    good = entry(host.url, "2027-01-01T00:00:00Z")
    results = fetch(tmp_path, Api("http://127.0.0.1:1/a.mp4"), good=good, bad=entry())
    assert (results["good"].outcome, results["bad"].outcome) == ("fetched", "failed")
    host.redirect, host.data = None, b""
    assert fetch(tmp_path, Api(host.url)).outcome == "fetched"


def test_the_command_with_the_embedded_sandbox(tmp_path):
    """Intent: no socket is needed, the second run has nothing to do, the key is on no disk and no screen."""
    (tmp_path / "specs").mkdir()
    spec = "projects: {teaser: {brief: A calm opening., settings: {expected_output: assembled}}}\n"
    (tmp_path / "specs" / "a.yaml").write_text(spec)
    (tmp_path / "reconciler.yaml").write_text("workspace: w\napi: {url: sandbox}\nsandbox: {speed: 500}\n")

    def run(*arguments):
        return command.run(*arguments, cwd=tmp_path)

    assert run("apply", "--auto-approve", "--wait", "idle").returncode == 0
    first = run("output", "--download", "renders")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("teaser: fetched: teaser.mp4, ")
    assert (tmp_path / "renders" / "teaser.mp4").read_bytes()[4:8] == b"ftyp"
    second = json.loads(run("output", "--download", "renders", "teaser", "--format", "json").stdout)
    assert second["teaser"]["outcome"] == "kept"
