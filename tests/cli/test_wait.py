"""`headgate wait`, for a port that is ready at once, later, or never."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from extproc.cli import main


class Ready(BaseHTTPRequestHandler):
    """Ready the third time that it is asked."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200 if self.asked >= 3 and self.path == "/readyz" else 503)
        self.end_headers()
        self.wfile.write(b"not yet")

    def log_message(self, format: str, *args: object) -> None:
        pass


class Sixth(HTTPServer):
    """By IPv6 alone."""

    address_family = socket.AF_INET6


@contextmanager
def serving(server: HTTPServer) -> Iterator[str]:
    Ready.asked = 0
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield str(server.server_port)
        finally:
            server.shutdown()
            thread.join()


def test_until_it_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(HTTPServer(("127.0.0.1", 0), Ready)) as port:
        assert main(["wait", "--port", port, "--within", "0"]) == 1
        assert "not ready after 0 s: not yet" in capsys.readouterr().err
        assert main(["wait", "--port", port, "--within", "60"]) == 0
        assert Ready.asked == 3
    assert main(["wait", "--port", port, "--within", "0"]) == 1


def test_where_there_is_ipv6_alone() -> None:
    with serving(Sixth(("::1", 0), Ready)) as port:
        assert main(["wait", "--port", port, "--within", "60"]) == 0
