"""A store that is wrongly addressed, refuses, is full or can't be reached: said plainly, nothing sent, no credential shown."""

import contextlib
import http.server
import socket
import subprocess
import sys
import threading

import pytest

from tests.command import environment
from tests.recovery.proxy import Proxy
from tests.recovery.seaweed import BUCKET, KEY, READER, READER_SECRET, SECRET

ONE = "projects:\n  a: {brief: The brief of a.}\n"
ANSWER = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"


@pytest.fixture
def world(new_world):
    return new_world(ONE)


def refused(world, *words, env=None, url=f"s3://{BUCKET}/errors", commands=("plan", "apply")):
    """Exit 1 and a diagnostic that says this; no call but GETs left; none of the credentials is shown."""
    world.env = {"RECONCILER_STATE": url, **(env or {})}
    world.store.clear_requests()
    for command in commands:
        more = ("--auto-approve",) if command == "apply" else ()
        ended = world.run(command, *more, timeout=100.0)
        assert ended.code == 1, str(ended)
        for word in words:
            assert word in ended.err, f"{word} is not in\n{ended.err}"
        for secret in (SECRET, READER_SECRET, "not-the-secret", "wrong-key"):
            assert secret not in ended.out + ended.err
    assert not world.store.requests()


def test_wrong_credentials(world, seaweed):
    words = ("rejects the credentials", "AWS_SECRET_ACCESS_KEY", "error")
    refused(world, *words, env=seaweed.env(secret="not-the-secret"))
    refused(world, *words, env=seaweed.env(key="wrong-key"))


def test_a_bucket_that_is_not_there(world, seaweed):
    refused(world, "there is no bucket", "s3://no-such-bucket/p", env=seaweed.env(), url="s3://no-such-bucket/p")


def test_credentials_that_may_only_read(world, seaweed):
    """They are enough for a plan, and an apply says that it can't take the lock."""
    env = seaweed.env(key=READER, secret=READER_SECRET)
    refused(world, "may not write", "lease/", env=env, commands=("apply",))
    ended = world.run("plan")
    assert ended.code == 0, str(ended)


@pytest.mark.sweep
def test_a_server_that_is_not_there(world, seaweed):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        refused(world, "can't be reached", "AWS_ENDPOINT_URL", env=seaweed.env(url), commands=("plan",))


@pytest.mark.sweep
def test_a_host_name_that_is_not_there(world, seaweed):
    env = seaweed.env("http://no-such-host.invalid")
    refused(world, "state's store can't be", "AWS_ENDPOINT_URL", env=env, commands=("plan",))


@contextlib.contextmanager
def answering(status, code, message="As it is."):
    """A store that always gives the same answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = ANSWER.format(code=code, message=message).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815  http.server looks for these names

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        }
        server.shutdown()


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "ExpiredToken", ("rejects the credentials", "expired")),
        (403, "AccessDenied", ("may not", "list, read, write and delete")),
        (400, "AuthorizationHeaderMalformed", ("another region", "AWS_REGION")),
        (404, "NoSuchBucket", ("there is no bucket",)),
        (400, "QuotaExceeded", ("is full", "Free some space")),
        (418, "Teapot", ("The store says: Teapot: As it is.",)),
    ],
)
def test_what_a_store_answers_is_said_in_words_that_help(world, status, code, words):
    with answering(status, code) as env:
        refused(world, *words, env=env, commands=("plan",))


@pytest.mark.sweep
def test_what_a_store_answers_can_t_draw_on_the_terminal(world):
    with answering(400, "Odd", "\x1b[31mred\x07 and http://h/?X-Amz-Signature=secret") as env:
        refused(world, "red", env=env, commands=("plan",))
        ended = world.run("plan")
    assert "\x1b" not in ended.err and "\x07" not in ended.err and "Signature=secret" not in ended.err


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host/path", ("can't be stored in `ftp://`", "s3://bucket/prefix")),
        ("s3://", ("can't hold the state",)),
        ("s3://key:secret@bucket/prefix", ("Put credentials into the environment",)),
        ("file://relative/path", ("three slashes",)),
        ("file:///no/such/folder", ("does not exist", "mount it")),
    ],
)
def test_an_address_that_can_t_be_used(world, url, words):
    refused(world, *words, url=url)
    assert "secret" not in world.run("plan").err


@pytest.mark.sweep
def test_without_the_package_it_says_how_to_install_it(world):
    """In a process that can't import it."""
    world.env = {}
    (world.folder / "obstore.py").write_text("raise ModuleNotFoundError('no', name='obstore')\n")
    run = f"import sys; sys.path.insert(0, {str(world.folder)!r}); sys.argv[0] = 'reconciler'\n"
    run += "from reconciler.cli.main import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", run, "--state", "s3://bucket/prefix", "plan"],
        cwd=world.folder,
        env=environment(EVERSINCE_API_KEY=world.key),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1 and "pip install 'eversince-reconciler[remote]'" in ended.stderr, ended.stderr
    planned = world.run("plan", "--detailed-exitcode")
    assert planned.code == 2, str(planned)


def test_a_store_that_overwrites_is_refused_before_anything_is_sent(world, seaweed):
    with Proxy(seaweed.url, loose=True) as proxy:
        env = seaweed.env(proxy.url)
        refused(world, "overwrites objects", "If-None-Match", env=env, url=f"s3://{BUCKET}/loose", commands=("apply",))
