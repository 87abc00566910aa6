"""Who may talk to `sandbox serve`: programs here, no web page, and whoever has the token may control it."""

from __future__ import annotations

import re
import signal
import subprocess

import httpx
import pytest

from reconciler.sandbox.server import BackgroundServer
from tests.cli.cli_support import make_space

KEY = {"Authorization": "Bearer any"}


@pytest.fixture(scope="module")
def server():
    with BackgroundServer() as running:
        yield running


@pytest.fixture
def root(server):
    with httpx.Client(verify=False, base_url=server.url.removesuffix("/api/v1"), trust_env=False) as client:
        yield client


@pytest.fixture
def port(server):
    return server.url.split(":")[2].split("/")[0]


CONTROLS = [
    ("GET", "ledger"),
    ("GET", "requests"),
    ("GET", "projects"),
    ("POST", "faults"),
    ("DELETE", "faults"),
    ("POST", "finish"),
    ("GET", "nothing"),
]


@pytest.mark.parametrize(("method", "name"), CONTROLS)
@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", "Basic TOKEN", "Bearer any", "TOKEN", "Bearer TOKENx"]
)
def test_a_control_call_needs_the_token(server, root, method, name, given):
    headers = {} if given is None else {"Authorization": given.replace("TOKEN", server.token)}
    answer = root.request(method, f"/_sandbox/{name}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert server.token not in answer.text


def test_the_token_opens_the_controls_and_is_no_key_of_anything_else(server, root):
    with_token = {"Authorization": f"Bearer {server.token}"}
    assert root.get("/_sandbox/ledger", headers=with_token).json() == {"ledger": []}
    assert root.get("/_sandbox/nothing", headers=with_token).status_code == 404


@pytest.mark.sampled(3)
@pytest.mark.parametrize("path", ["/api/v1/projects", "/_sandbox/ledger", "/media/proj_1.mp4", "/app/projects/x", "/"])
@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "attacker.example:PORT",
        "localhost.attacker.example:PORT",
        "127.0.0.1.nip.io:PORT",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost:80",
        "192.168.0.10:PORT",
        "0.0.0.0:PORT",
        "[::]:PORT",
        "user@127.0.0.1:PORT",
        "127.0.0.1:PORT/x",
        "127.0.0.1:PORTx",
        "",
    ],
)
def test_a_host_that_is_not_this_machine_and_port_is_refused(server, root, port, host, path):
    headers = {"Host": host.replace("PORT", port), "Authorization": f"Bearer {server.token}"}
    answer = root.get(path, headers=headers)
    assert answer.status_code in (400, 403), answer.text
    assert "proj" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "localhost:PORT", "LOCALHOST:PORT", "[::1]:PORT", "127.0.0.9:PORT"])
def test_every_name_of_this_machine_will_do(root, port, host):
    assert root.get("/api/v1/projects", headers=KEY | {"Host": host.replace("PORT", port)}).status_code == 200


FOREIGN = [
    {"Origin": "https://attacker.example"},
    {"Origin": "http://attacker.example:PORT"},
    {"Origin": "http://localhost:1"},
    {"Origin": "https://127.0.0.1:PORT"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
]
CALLS = [
    ("POST", "/api/v1/projects"),
    ("GET", "/api/v1/projects"),
    ("POST", "/_sandbox/finish"),
    ("PUT", "/storage/uploads/x"),
    ("OPTIONS", "/api/v1/projects"),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_what_a_browser_sends_for_another_sites_page_is_refused(server, root, port, method, path, headers):
    # Intent: whatever the kind of request, and even if such a page knew key and token; nothing happens, nothing is allowed.
    before = len(server.store.requests())
    sent = {name: value.replace("PORT", port) for name, value in headers.items()}
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json"):
        more = {"Authorization": f"Bearer {server.token}", "Content-Type": kind}
        answer = root.request(method, path, headers=sent | more, content=b'{"brief": "Paid."}')
        assert answer.status_code == 403, answer.text
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert len(server.store.requests()) == before and server.store.ledger() == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_simple_request_has_no_key_and_does_nothing(server, root, kind):
    # Intent: what an old browser may send without asking and without saying for whom.
    for path in ("/api/v1/projects", "/_sandbox/finish", "/_sandbox/faults"):
        answer = root.post(path, content=b'{"brief": "Paid."}', headers={"Content-Type": kind})
        assert answer.status_code == 401
    assert server.store.ledger() == []


def test_the_servers_own_pages_and_pictures_on_others_are_served(root, port):
    own = KEY | {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}
    assert root.get("/api/v1/projects", headers=own).status_code == 200
    picture = root.get("/media/proj_1.mp4", headers={"Sec-Fetch-Site": "cross-site"})
    assert "Not an address that the API gave out" in picture.text
    assert root.get("/app/projects/x", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 404


def test_curl_needs_a_key_and_nothing_else(root):
    # Intent: what `curl -d` sends by default is taken.
    like_curl = KEY | {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "curl/8"}
    with BackgroundServer() as other:
        assert httpx.post(f"{other.url}/projects", content=b'{"brief": "B"}', headers=like_curl).status_code == 202


def test_the_token_is_printed_and_kept_for_its_owner_while_the_server_runs(tmp_path):
    # Intent: one line that can be copied, and a 0600 file next to the database which is gone with the server.
    space = make_space(tmp_path / "w")
    with space.start("sandbox", "serve", "--port", "0") as process:
        url = process.stdout.readline().strip()
        line = next(line for line in process.stderr if "curl" in line)
        found = re.search(r'Bearer (\S+)" (http\S+)', line)
        file = space.db.with_name("account.db.token")
        assert (file.read_text().strip(), file.stat().st_mode & 0o777) == (found[1], 0o600)
        assert found[2].startswith(url.removesuffix("/api/v1"))
        answer = httpx.get(found[2], headers={"Authorization": f"Bearer {found[1]}"}, trust_env=False)
        assert answer.json() == {"ledger": []}
        process.send_signal(signal.SIGINT)
        assert found[1] not in process.communicate()[0]
    assert not file.exists()


def test_a_token_that_was_there_before_is_not_taken_and_a_link_is_not_followed(tmp_path):
    # Intent: a branch that commits the file knows no token, and names no file to be overwritten.
    space = make_space(tmp_path / "w")
    (outside := tmp_path / "outside").write_text("precious")
    file = space.db.with_name("account.db.token")
    file.parent.mkdir(parents=True)
    file.symlink_to(outside)
    with space.start("sandbox", "serve", "--port", "0") as process:
        process.stdout.readline()
        assert not file.is_symlink() and file.read_text().strip() not in ("", "precious")
        process.terminate()
        process.communicate()
    assert outside.read_text() == "precious"


def test_the_ledger_is_read_with_curl_as_printed(tmp_path):
    space = make_space(tmp_path / "w")
    with space.start("sandbox", "serve", "--port", "0") as process:
        process.stdout.readline()
        line = next(line for line in process.stderr if "curl" in line)
        done = subprocess.run(
            ["sh", "-c", line.partition(": ")[2]], capture_output=True, text=True, timeout=30, check=False
        )
        process.terminate()
        process.communicate()
    assert done.returncode in (0, 127) and (done.returncode or '"ledger": []' in done.stdout)
