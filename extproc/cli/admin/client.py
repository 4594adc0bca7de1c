"""The admin API, as commands ask it: one request after the other, and what is refused as an exception that says why."""

import http.client
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from extproc.admin import API

_TIMEOUT = 30.0
_PAGE = 200


class Refused(Exception):
    """It could not be done; says why, in words for people."""


class Client:
    """One API. Raises `Refused`."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Refused(f"{url!r} is no URL of an admin API, such as http://127.0.0.1:9181")
        self._url = url
        self._key = key
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT)
        self._base = parts.path.rstrip("/").removesuffix(API) + API

    def ask(self, method: str, path: str, body: Any = None, **query: str | int | None) -> Any:
        """What is answered; None for nothing."""
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        headers = {"authorization": f"Bearer {self._key}", "accept": "application/json"}
        content = None
        if body is not None:
            headers["content-type"], content = "application/json", msgspec.json.encode(body)
        try:
            self._connection.request(method, f"{self._base}{path}" + (f"?{asked}" if asked else ""), content, headers)
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            why = f"nobody can be asked at {self._url}: {str(error) or type(error).__name__}. Does the gateway run, and is its `api` on?"
            raise Refused(why) from None
        if answer.status >= 400:
            raise Refused(_told(answer.status, text))
        return msgspec.json.decode(text) if text else None

    def each(self, path: str, **query: str | int | None) -> Iterator[Any]:
        """All things of a list, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.ask("GET", path, limit=_PAGE, cursor=cursor or None, **query)
            yield from page["data"]
            cursor = page["next_cursor"]

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


def _told(status: int, text: bytes) -> str:
    try:
        error = msgspec.json.decode(text)["error"]
        about = f" ({error['param']})" if error.get("param") else ""
        return f"{error['message']}{about} [{status} {error['code']}, request {error['request_id']}]"
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"the answer has status {status}, and is none of an admin API"
