"""Stands between a run and the store: it can hold things up, cut them off before or after they are done, or change them."""

import contextlib
import http.client
import http.server
import threading
import time
from urllib.parse import urlsplit


class Proxy:
    """An HTTP proxy in front of ``target``, for as long as the ``with`` block lasts.

    ``delay``: seconds before each request is passed on. ``cut``: what happens to connections: ``"before"`` the request
    is passed on, or ``"after"`` it was acted upon; ``cuts`` of them, or all. ``loose``: creates always succeed.
    """

    def __init__(self, target, *, delay=0.0, loose=False):
        self._target = urlsplit(target)
        self.delay, self.loose = delay, loose
        self.cut, self.cuts, self.methods = None, None, ("PUT", "GET", "HEAD", "POST", "DELETE")
        self.passed = 0
        self.on_request = lambda method, path: None

    def cut_off(self, when="before", *, times=None, methods=("PUT", "GET", "HEAD", "POST", "DELETE")):
        self.cut, self.cuts, self.methods = when, times, methods

    def mend(self):
        self.cut = None

    def _cuts(self, method, when):
        if self.cut != when or method not in self.methods or self.cuts == 0:
            return False
        if self.cuts is not None:
            self.cuts -= 1
        return True

    def __enter__(self):
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy.on_request(self.command, self.path)
                time.sleep(proxy.delay)
                if proxy._cuts(self.command, "before"):
                    self.close_connection = True
                    self.connection.close()
                    return
                inner = http.client.HTTPConnection(proxy._target.hostname, proxy._target.port, timeout=60)
                with contextlib.closing(inner):
                    inner.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for name, value in self.headers.items():
                        inner.putheader(name, value)
                    inner.endheaders(body)
                    answer = inner.getresponse()
                    data = answer.read()
                proxy.passed += 1
                if proxy._cuts(self.command, "after"):
                    self.close_connection = True
                    self.connection.close()
                    return
                loosely = proxy.loose and answer.status == 412
                self.send_response(200 if loosely else answer.status)
                if loosely:
                    self.send_header("ETag", '"0"')
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                if "content-length" not in {name.lower() for name, _ in answer.getheaders()} and self.command != "HEAD":
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815  http.server looks for these names

            def handle(self):
                with contextlib.suppress(OSError, ValueError):
                    super().handle()

            def finish(self):
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
