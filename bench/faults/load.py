"""Callers: requests in three dialects, streamed and not, each with a marker that its answer has to repeat; and intruders without a key."""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp

from bench.faults.site import KEY
from bench.faults.words import MARKER

DIALECTS = ("openai", "anthropic", "gemini")
_ENDS = {"openai": b"data: [DONE]", "anthropic": b'"message_stop"', "gemini": b'"finishReason"'}
_ERRORS = (b"event: error", b'"error":')
PATIENCE = 45.0
"""Seconds that a caller waits at most."""
ENOUGH = 1 << 20
"""Bytes after which a caller hangs up: nobody wants to read a stream without end."""
WRONG_KEYS: tuple[dict[str, str], ...] = ({}, {"authorization": "Bearer sk-of-bob"}, {"x-api-key": KEY[:-1]}, {"x-goog-api-key": ""})
_LATER = 0.3
_numbers = itertools.count()


class Kind(NamedTuple):
    """A way to ask."""

    dialect: str
    stream: bool


KINDS = tuple(Kind(dialect, stream) for dialect in DIALECTS for stream in (False, True))


class Told(NamedTuple):
    """What came of a request, as its caller saw it."""

    kind: Kind
    model: str
    marker: str
    word: str
    """`200`; `503 overloaded`; or what happened to the connection: `cut`, `error event`, `no answer`, `too late`, `hung up`."""
    status: int
    id: str
    """Empty where no head came."""
    began: float
    ended: float
    mixed: bool
    """It was answered with somebody else's marker, or without any."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


def request(kind: Kind, model: str, text: str) -> tuple[str, dict[str, Any]]:
    """Path and body."""
    messages = [{"role": "user", "content": text}]
    if kind.dialect == "gemini":
        verb = "streamGenerateContent?alt=sse" if kind.stream else "generateContent"
        return f"/v1beta/models/{model}:{verb}", {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": kind.stream}
    if kind.dialect == "anthropic":
        return "/v1/messages", {**body, "max_tokens": 64}
    return "/v1/chat/completions", body


def code_of(text: bytes) -> str:
    """What an error says that it is, in any dialect; `unreadable` if it is none."""
    try:
        error = json.loads(text)["error"]
        return str(error.get("status") or error.get("code") or error["type"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "unreadable"


class Caller:
    """Asks, over connections that it keeps."""

    def __init__(self, url: str, *, anew: bool = False) -> None:
        """`anew`: a connection for each request."""
        self._url = url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=anew), max_line_size=1 << 20, max_field_size=1 << 20
        )

    async def close(self) -> None:
        """Hangs up."""
        await self._session.close()

    async def ask(
        self, kind: Kind, model: str, headers: dict[str, str] | None = None, tag: str = "x", *, again: int | None = None
    ) -> Told:  # fmt: skip
        """One request, heard to its end, whichever end that is. `headers`: others than the right key. `again`: the number of a question
        that is asked more than once, so that a cache may answer it.
        """
        marker = f"marker-{tag}-{next(_numbers) if again is None else again}"
        path, body = request(kind, model, f"Say {marker}.")
        if again is not None:
            body["temperature"] = 0
        given = {"authorization": f"Bearer {KEY}"} if headers is None else headers
        began, status, id, text = time.monotonic(), 0, "", b""
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self._session.post(self._url + path, json=body, headers=given, allow_redirects=False) as answer,
            ):
                status, id = answer.status, answer.headers.get("x-request-id", "")
                async for piece in answer.content.iter_any():
                    text += piece
                    if len(text) > ENOUGH or (kind.stream and any(error in piece for error in _ERRORS)):
                        # As the SDKs do, which raise at an error in a stream. Without this the rest would be read.
                        answer.close()
                        break
                word = _word(kind, status, text)
        except TimeoutError:
            word = "too late"
        except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, aiohttp.ClientResponseError):
            word = "cut" if status else "no answer"
        return Told(kind, model, marker, word, status, id, began, time.monotonic(), _mixed(word, marker, text))


def _word(kind: Kind, status: int, text: bytes) -> str:
    if status != 200:
        return f"{status} {code_of(text)}"
    if len(text) > ENOUGH:
        return "hung up"
    if any(error in text for error in _ERRORS):
        return "error event"
    if kind.stream and _ENDS[kind.dialect] not in text:
        return "cut"
    if not kind.stream and not text.rstrip().endswith(b"}"):
        return "cut"
    return "200"


def _mixed(word: str, marker: str, text: bytes) -> bool:
    return bool({*MARKER.findall(text)} - {marker.encode()}) or (word == "200" and marker.encode() not in text)


class Load:
    """Steady callers, each asking one thing after another, and intruders, from `async with` to its end."""

    def __init__(
        self,
        caller: Caller,
        models: Sequence[str],
        *,
        steady: int = 6,
        intruders: int = 2,
        pause: float = 0.05,
        tag: str = "s",
        again: int = 0,
    ) -> None:
        """`again`: every other question is one of so many, which are asked again and again, each of one kind."""
        self.told: list[Told] = []
        self.refused: list[Told] = []
        self._caller = caller
        self._models = models
        self._pause = pause
        self._tag = tag
        self._again = again
        self._stop = asyncio.Event()
        self._counts = (steady, intruders)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        steady, intruders = self._counts
        self._tasks = [asyncio.create_task(self._steady(number)) for number in range(steady)]
        self._tasks += [asyncio.create_task(self._intrude(number)) for number in range(intruders)]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    def since(self, moment: float) -> list[Told]:
        """What was asked after that moment, and has ended."""
        return [told for told in self.told if told.began > moment]

    async def _steady(self, number: int) -> None:
        # No two begin at the same model with the same kind.
        for turn in itertools.count(number * (len(KINDS) + 1)):
            if self._stop.is_set():
                return
            kind, model = KINDS[turn % len(KINDS)], self._models[turn // len(KINDS) % len(self._models)]
            if self._again and turn % 2:
                kind, model, again = KINDS[0], self._models[0], turn // 2 % self._again
            else:
                again = None
            self.told.append(await self._caller.ask(kind, model, tag=self._tag, again=again))
            await self._wait(self.told[-1])

    async def _intrude(self, number: int) -> None:
        for turn in itertools.count(number):
            if self._stop.is_set():
                return
            kind, model = KINDS[turn % len(KINDS)], self._models[turn % len(self._models)]
            self.refused.append(await self._caller.ask(kind, model, WRONG_KEYS[turn % len(WRONG_KEYS)], tag="intruder"))
            await self._wait(self.refused[-1])

    async def _wait(self, told: Told) -> None:
        # Not all at the same moment; and who finds nobody there comes again a little later.
        pause = _LATER if told.word == "no answer" else self._pause
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - a mixture, not a secret
