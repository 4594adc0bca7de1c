"""The requests that the load generator sends: a chat as an application has it, of an exact size, with the headers that an SDK sends."""

import msgspec

from bench.system import Target

_TURN = 900
"""Characters of one message of the conversation."""
_COUNTER = "#0000000000000000"
COUNTER_DIGITS = 16

_WORDS = (
    "The quarterly report shows that revenue grew in every region except one, and the team would like to know why. "
    'According to the notes of the last meeting, "the pipeline was thin in spring"; the figures in the table below say otherwise.\n\n'
    "- Region north: 14,120 orders, 3.2 % returned, average basket 48.90 €.\n- Region south: 9,871 orders, 4.7 % returned (section 3).\n"
    "Please compare both, name the three likeliest causes and say how each could be checked with the data that we already have. "
)
_ASCII = "and then, once more, with the figures of the year before, so that nobody has to look them up; "

_SDK_HEADERS = {
    "accept": "application/json",
    # Asked for as it is, so that no system spends its time on compressing what others pass on.
    "accept-encoding": "identity",
    "accept-language": "en-GB,en;q=0.9,de;q=0.7",
    "user-agent": "OpenAI/Python 3.2.0",
    "x-stainless-lang": "python",
    "x-stainless-package-version": "3.2.0",
    "x-stainless-os": "Linux",
    "x-stainless-arch": "x64",
    "x-stainless-runtime": "CPython",
    "x-stainless-runtime-version": "3.13.1",
    "x-stainless-async": "async:asyncio",
    "x-stainless-retry-count": "0",
    "x-stainless-read-timeout": "600",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tracestate": "vendor=t61rcWkgMzE,rojo=00f067aa0ba902b7",
    "baggage": "user.tier=gold,session.kind=interactive,deployment.environment=production,feature.rag=on",
    "x-client-request-id": "5f0c2a7e-1b1d-4f0e-9d0b-7f6f6f1f6a55",
    "x-app-name": "support-assistant",
    "x-app-version": "2026.11.3+build.8841",
    "x-forwarded-proto": "https",
    "x-tenant-context": "dGVuYW50PTQyO3JlZ2lvbj1ldS13ZXN0LTE7cGxhbj1lbnRlcnByaXNlO2ZlYXR1cmVzPXJhZyxzdHJlYW0sdG9vbHM" * 4,
    "cookie": "; ".join(f"preference_{number}={number * 7919:032x}" for number in range(12)),
}
"""With host, content-type, content-length and authorization these are 26, of about 1.9 KB."""


class Payload(msgspec.Struct, frozen=True):
    """One request, cut around the counter that makes each of them unique."""

    before: bytes
    """Head and body, up to the counter."""
    after: bytes
    """The rest of the body."""

    def with_number(self, number: int) -> list[bytes]:
        """The pieces of request number `number`. They are of the same size for every number."""
        return [self.before, b"%0*d" % (COUNTER_DIGITS, number), self.after]


def payload(target: Target, *, size: int, events: int = 0) -> Payload:
    """A request to `target` with a body of `size` bytes; with `events`, for a stream of as many."""
    body = chat(target.model, size=size, events=events)
    head = _head(target, len(body), stream=bool(events))
    before, after = body.split(_COUNTER.encode())
    return Payload(head + before + b"#", after)


def chat(model: str, *, size: int, events: int = 0) -> bytes:
    """A chat completion request of exactly `size` bytes. `max_tokens` tells the mock provider how many events to stream."""
    turns = -(-size // _TURN)
    while True:
        body = _encoded(model, turns, events, "")
        if (missing := size - len(body)) >= 0:
            return _encoded(model, turns, events, (_ASCII * (missing // len(_ASCII) + 1))[:missing])
        if not turns:
            raise ValueError(f"no chat is as short as {size} bytes")
        turns -= 1


def _encoded(model: str, turns: int, events: int, padding: str) -> bytes:
    text = (_WORDS * (_TURN // len(_WORDS) + 1))[:_TURN]
    messages = [{"role": "system", "content": "You are a careful analyst. Answer in English."}]
    messages += [{"role": ("user", "assistant")[number % 2], "content": text} for number in range(turns)]
    messages.append({"role": "user", "content": f"Question {_COUNTER}: {padding}"})
    document = {"model": model, "messages": messages, "temperature": 0, "max_tokens": events or 64}
    return msgspec.json.encode({**document, "stream": True} if events else document)


def _head(target: Target, length: int, *, stream: bool) -> bytes:
    headers = {
        "host": f"{target.host}:{target.port}",
        **_SDK_HEADERS,
        **({"accept": "text/event-stream"} if stream else {}),
        "authorization": "Bearer sk-bench-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH",
        "content-type": "application/json",
        "content-length": str(length),
        **target.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {target.path} HTTP/1.1\r\n{lines}\r\n".encode()
