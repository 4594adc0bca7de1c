"""`headgate wait`, for a port that is ready at once, later, or never."""

import threading
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


def test_until_it_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            port = str(server.server_port)
            assert main(["wait", "--port", port, "--within", "0"]) == 1
            assert "not ready after 0 s: not yet" in capsys.readouterr().err
            assert main(["wait", "--port", port, "--within", "60"]) == 0
            assert Ready.asked == 3
        finally:
            server.shutdown()
            thread.join()
    assert main(["wait", "--port", port, "--within", "0"]) == 1
