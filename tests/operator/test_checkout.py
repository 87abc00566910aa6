"""A git source is a stranger's: what it says is fetched from allowed hosts only, and nothing of it is ever run."""

from __future__ import annotations

import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from reconciler.adapters.checkout import CheckoutError, check_out

HOSTS = {"github.com", "127.0.0.1"}


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///etc", "HTTPS"),
        ("/etc", "HTTPS"),
        ("../other", "HTTPS"),
        ("ext::sh -c 'touch /tmp/owned'", "HTTPS"),
        ("ssh://github.com/a/b", "HTTPS"),
        ("git@github.com:a/b", "HTTPS"),
        ("git://github.com/a/b", "HTTPS"),
        ("http://github.com/a/b", "HTTPS"),
        ("HTTPS://github.com/a/b", "HTTPS"),
        ("--upload-pack=touch /tmp/owned", "HTTPS"),
        ("https://github.com/a\nb", "HTTPS"),
        ("https://[::1/a", "not a URL"),
        ("https://me:secret@github.com/a/b", "password"),
        ("https://github.com@evil.example/a", "user name"),
        ("https://evil.example/a/b", "not allowed"),
        ("https://github.com.evil.example/a", "not allowed"),
        ("https://evil.example#github.com/", "not allowed"),
        ("https:///a", "not allowed"),
        ("https://169.254.169.254/latest", "not allowed"),
    ],
)
def test_only_https_to_a_host_that_the_operator_allows(url, why, tmp_path):
    with pytest.raises(CheckoutError) as error:
        check_out(url, "main", "", into=tmp_path / "source", hosts=HOSTS)
    said = error.value.diagnostics[0]
    assert why in said.summary + said.detail and "secret" not in said.summary + said.detail
    assert not (tmp_path / "source").exists(), "git was not even started"


@pytest.mark.parametrize("revision", ["", "--upload-pack=x", "-f", "a..b", "a b", "main:evil", "+main", "a\nb", "@{u}"])
def test_a_revision_is_a_name_and_no_option(revision, tmp_path):
    with pytest.raises(CheckoutError, match="revision"):
        check_out("https://github.com/a/b", revision, "", into=tmp_path / "source", hosts=HOSTS)


@pytest.mark.parametrize("path", ["/etc", "..", "a/../../b", ".git", "a/.GIT/hooks", "a\0b"])
def test_a_path_stays_in_the_repository(path, tmp_path):
    with pytest.raises(CheckoutError, match="path"):
        check_out("https://github.com/a/b", "main", path, into=tmp_path / "source", hosts=HOSTS)


class Handler(BaseHTTPRequestHandler):
    """`git http-backend`, and a redirect to it."""

    def do_GET(self):
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_CONFIG_KEY_1": "uploadpack.allowReachableSHA1InWant",
            "GIT_CONFIG_VALUE_1": "true",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode().split("\r\n") if line]
        status = next((value for name, _, value in lines if name == "Status"), "200")
        self.send_response(int(status.split()[0]))
        for name, _, value in lines:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


def git(folder, *arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", "-C", folder, *who, *arguments], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Served:
    def __init__(self, root):
        self.root, self.folder = root, root / "repo"
        self.folder.mkdir()
        git(self.folder, "init", "-q", "-b", "main")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.root = root
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.host = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{self.host}/repo/.git"

    def commit(self, **files):
        for name, text in files.items():
            path = self.folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-q", "-m", "a change", "--allow-empty")
        return git(self.folder, "rev-parse", "HEAD")

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def served(tmp_path):
    server = Served(tmp_path)
    yield server
    server.close()


def test_a_branch_and_a_commit_are_had_exactly_and_nothing_of_them_runs(served, tmp_path, monkeypatch):
    """Intent: filters, hooks, submodules and links of the repository; and the same of the operator's own git settings."""
    owned = tmp_path / "owned"
    (tmp_path / "home").mkdir()
    trap = f"sh -c 'touch {owned}; cat'"
    (tmp_path / "home" / ".gitconfig").write_text(
        f'[filter "lfs"]\n smudge = {trap}\n required = true\n[filter "evil"]\n smudge = {trap}\n'
        f"[core]\n fsmonitor = {trap}\n[credential]\n helper = !{trap}\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "home" / ".gitconfig"))
    monkeypatch.setenv("GIT_SSH_COMMAND", trap)
    (served.folder / "a").mkdir()
    (served.folder / "a" / "link").symlink_to("/etc/passwd")
    (served.folder / "out").symlink_to("/etc")
    first = served.commit(
        a__spec="one\n",
        **{
            ".gitattributes": "*.bin filter=lfs\nspec filter=evil\n",
            "big.bin": "version https://git-lfs.github.com/spec/v1\n",
            ".gitmodules": f'[submodule "s"]\n path = s\n url = {trap}\n',
            ".githooks__post-checkout": f"#!/bin/sh\ntouch {owned}\n",
        },
    )
    second = served.commit(a__spec="two\n")
    into = tmp_path / "source"
    commit, folder = check_out(served.url, "main", "a", into=into, hosts=HOSTS)
    assert (commit, (folder / "spec").read_text()) == (second, "two\n")
    commit, folder = check_out(served.url, first, "a", into=into, hosts=HOSTS)
    assert (commit, (folder / "spec").read_text()) == (first, "one\n")
    assert not (folder / "link").is_symlink() and (folder / "link").read_text() == "/etc/passwd"
    assert not (into / ".git").exists() and not owned.exists()
    for path in ("out", "nowhere", "a/spec"):
        with pytest.raises(CheckoutError, match="no folder"):
            check_out(served.url, "main", path, into=into, hosts=HOSTS)
    with pytest.raises(CheckoutError, match="git fetch failed"):
        check_out(served.url, "nobranch", "", into=into, hosts=HOSTS)


def test_a_redirect_is_not_followed(served, tmp_path):
    served.commit(spec="one\n")
    with pytest.raises(CheckoutError, match="git fetch failed"):
        check_out(f"{served.host}/moved/repo/.git", "main", "", into=tmp_path / "source", hosts=HOSTS)
