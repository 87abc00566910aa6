"""Over a real socket: the server itself, what lies beside the API, and connections that really break."""

import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from reconciler.sandbox.server import BackgroundServer, serve
from reconciler.sandbox.store import STUDIO_PROJECTS, Fault, Options

KEY = {"Authorization": "Bearer es_live_test"}


@pytest.fixture(scope="module")
def now():
    return [1_750_000_000.0]


@pytest.fixture(scope="module")
def server(now):
    options = Options(requests_per_minute=0, active_projects=0)
    with BackgroundServer(options=options, clock=lambda: now[0]) as running:
        yield running


@pytest.fixture
def client(server):
    with httpx.Client(verify=False, base_url=server.url, headers=KEY) as client:
        yield client
    server.store.clear_faults()


@pytest.fixture
def root(server):
    """A client without a key, at the server's root."""
    with httpx.Client(verify=False, base_url=server.url.removesuffix("/api/v1")) as client:
        yield client


@pytest.fixture
def controls(server):
    """A client with the token, at the controls."""
    headers = {"Authorization": f"Bearer {server.token}"}
    with httpx.Client(
        verify=False, base_url=server.url.removesuffix("/api/v1") + "/_sandbox", headers=headers
    ) as client:
        yield client


def test_the_api_is_served_over_http(client, server):
    assert server.url.startswith("http://127.0.0.1:")
    assert client.post("/projects", json={"brief": "B"}).status_code == 202
    assert client.get("/projects").json()["total"] >= 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["reset", "timeout"])
def test_a_broken_connection_is_a_transport_error_and_the_next_request_goes_through(client, server, kind, when):
    effects = len(server.store.ledger())
    server.store.add_fault(Fault(kind=kind, when=when, seconds=0.001))
    with pytest.raises(httpx.TransportError):
        client.post("/projects", json={"brief": "B"})
    assert len(server.store.ledger()) == effects + (when == "after")
    assert client.get("/projects").status_code == 200


def test_a_client_with_less_patience_than_the_fault_times_out(client, server):
    server.store.add_fault(Fault(kind="timeout", when="after", seconds=3600))
    with pytest.raises(httpx.ReadTimeout):
        client.post("/projects", json={"brief": "B"}, timeout=0.05)
    assert server.store.requests()[-1].status is None


def test_an_effect_may_come_after_the_client_has_given_up(client, server):
    effects = len(server.store.ledger())
    server.store.add_fault(Fault(kind="delay", when="before", seconds=0.1))
    with pytest.raises(httpx.ReadTimeout):
        client.post("/projects", json={"brief": "B"}, timeout=0.01)
    while len(server.store.ledger()) == effects:
        time.sleep(0.01)
    assert server.store.ledger()[-1].kind == "create"


def test_a_body_that_is_too_large_gets_its_answer(client):
    assert client.post("/projects", content=b" " * 3_000_000).status_code == 413


def test_an_assembled_output_is_a_real_video_at_a_signed_address_that_expires(client, server, root, now):
    project_id = client.post("/projects", json={"brief": "B"}).json()["id"]
    server.store.finish_all()
    shown = client.get(f"/projects/{project_id}").json()
    listed = client.get("/projects?limit=1").json()["projects"][0]
    assert shown["assembled_url"] == listed["assembled_url"]
    first, second = root.get(shown["assembled_url"]), root.get(shown["assembled_url"])
    assert (first.status_code, first.headers["Content-Type"], first.content) == (200, "video/mp4", second.content)
    assert first.content[4:8] == b"ftyp"
    for forged in (shown["assembled_url"][:-1] + "é", shown["assembled_url"].replace("expires=1", "expires=2")):
        assert root.get(forged).status_code == 403
    now[0] += 24 * 3600
    assert root.get(shown["assembled_url"]).status_code == 410


def test_the_sandbox_is_controlled_over_http_too(client, controls):
    project_id = client.post("/projects", json={"brief": "B"}).json()["id"]
    assert controls.get("/ledger").json()["ledger"][-1]["project_id"] == project_id
    assert controls.get("/requests").json()["requests"][-1]["body"] == {"brief": "B"}
    assert controls.post("/finish").status_code == 200
    assert controls.get("/projects").json()["projects"][-1]["status"] == "idle"
    assert controls.post("/faults", json={"kind": "status", "status": 503, "times": 0}).status_code == 201
    assert client.get("/projects").status_code == 503
    assert controls.delete("/faults").status_code == 200
    assert client.get("/projects").status_code == 200


@pytest.mark.parametrize(
    "fault", [{}, {"kind": "explode"}, {"kind": "reset", "colour": 1}, [], {"kind": "reset", "skip": "x"}]
)
def test_a_fault_that_makes_no_sense_is_refused_over_http(controls, fault):
    assert controls.post("/faults", json=fault).status_code == 400


def test_a_project_url_leads_to_everything_about_the_project(client, server, root):
    adopted = client.post("/projects/adopt", json={"project_id": STUDIO_PROJECTS[0].id}).json()
    page = root.get(adopted["project_url"]).json()
    assert (page["id"], page["conversation"][0]["content"]) == (adopted["id"], STUDIO_PROJECTS[0].brief)
    assert root.get("/app/projects/proj_none").json()["error"]["status"] == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "example.com", "192.0.2.1", "::", ""])
def test_the_server_refuses_to_listen_beyond_loopback(tmp_path, host):
    with pytest.raises(ValueError, match="loopback"):
        serve(tmp_path / "account.db", host=host, port=0, on_ready=print)
    assert not (tmp_path / "account.db").exists()


def test_a_port_that_is_taken_is_an_os_error(tmp_path, server):
    port = int(server.url.split(":")[2].split("/")[0])
    with pytest.raises(OSError, match="in use"):
        serve(tmp_path / "account.db", port=port, on_ready=print)


@pytest.mark.sweep
def test_a_server_in_the_foreground_says_where_it_is_and_stops_on_a_signal(tmp_path):
    code = (
        "import signal, sys; from pathlib import Path; from reconciler.sandbox.server import serve;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"  # a shell's background jobs inherit that it is ignored
        "serve(Path(sys.argv[1]), host='127.0.0.1', port=0, key='k', on_ready=lambda url: print(url, flush=True))"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "account.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}/projects", headers={"Authorization": "Bearer k"}).status_code == 200
        assert httpx.get(f"{url}/projects", headers=KEY).status_code == 401
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode in (1, -signal.SIGINT)


def test_a_server_may_serve_a_store_that_stays_open_and_come_back_on_its_port(open_account):
    store = open_account().store
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for _ in range(2):
        with BackgroundServer(store=store, port=port) as server:
            assert httpx.post(f"{server.url}/projects", json={"brief": "B"}, headers=KEY).status_code == 202
    assert len(store.projects()) == 2
