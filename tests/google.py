"""A token server of Google's kind, and the key file of a service account for it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class TokenServer:
    """Answers as https://developers.google.com/identity/protocols/oauth2/service-account says: `token-1`, `token-2`, ..."""

    def __init__(self, lasts: float = 3600) -> None:
        self.lasts = lasts
        """Seconds that a token counts."""
        self.given = 0
        self.asked = 0
        self.refuses = False
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                status, body = owner.answer(form)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def answer(self, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        self.asked += 1
        if self.refuses or form.get("grant_type") != [GRANT]:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        self.given += 1
        return 200, {"access_token": f"token-{self.given}", "expires_in": self.lasts, "token_type": "Bearer"}

    def key_file(self) -> str:
        """The JSON of a service account whose tokens are to be had here."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "p-1",
                "private_key_id": "1",
                "private_key": pem,
                "client_email": "gateway@p-1.iam.gserviceaccount.com",
                "token_uri": self.url,
            }
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
