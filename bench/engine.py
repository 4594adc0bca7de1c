"""What the engine itself costs, without any transport: CPU per request, by phase, and per event of a stream. `python -m bench.engine`

The messages are those that Envoy sends for the official OpenAI SDK (recorded, then made of any size), the filters are all that there are:
a virtual key, a route among many, header rules, the exact cache (a miss, with a store in this process), and a meter with a journal on disk.
The no-op reads nothing and answers constants. Each round measures all of them in turns, in batches, since messages of different requests
come mixed; what is printed is the median of the rounds, and how far they lie apart.
"""

import argparse
import gc
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from bench import noop
from extproc.cachestore.local import LocalStore
from extproc.cachestore.shelf import Shelf
from extproc.config.model import Config, HeaderEdits, Model, Provider
from extproc.drive import Waiting
from extproc.engine import Engine
from extproc.envoy import names
from extproc.gate import GateSession
from extproc.keys import KeyState, StoredKey, digest, make_key
from extproc.ledger.journal import Journal
from extproc.snapshot import Settings, encode
from extproc.transport.seam import Opener
from extproc.wire.ext_proc_pb2 import HeaderMap, HttpBody, HttpHeaders, ProcessingRequest
from filters.auth import Auth
from filters.cache import Cache
from filters.conversations import Conversations
from filters.headers import Headers, Rule
from filters.meter import Meter
from filters.route import Route

PHASES = ("request headers", "request body", "response headers", "response body", "close")
BATCH = 32
"""Requests under way at a time."""
EVENTS = 200

_CACHE = 8 * 1024 * 1024
_KEY = make_key()
_MESSAGES = 19

# What Envoy hands on of a request by the official SDK, behind a company's usual proxy; 29 with those that differ each time.
_HEADERS = {
    ":authority": "gateway.example.com", ":path": "/v1/chat/completions", ":method": "POST", ":scheme": "https",
    "accept-encoding": "gzip, deflate", "authorization": f"Bearer {_KEY}", "accept": "application/json",
    "content-type": "application/json", "user-agent": "OpenAI/Python 3.52.0", "x-stainless-lang": "python",
    "x-stainless-package-version": "3.52.0", "x-stainless-os": "Linux", "x-stainless-arch": "x64", "x-stainless-runtime": "CPython",
    "x-stainless-runtime-version": "3.11.7", "x-stainless-async": "false", "x-stainless-retry-count": "0",
    "x-stainless-read-timeout": "600", "x-forwarded-for": "192.0.2.2", "x-forwarded-proto": "https",
    "x-envoy-external-address": "192.0.2.2", "via": "1.1 proxy.example.com", "x-app-version": "2026.11.3",
    "tracestate": "vendor=00f067aa0ba902b7", "priority": "u=3, i", "x-team": "search",
}  # fmt: skip

_ANSWER_HEADERS = {
    ":status": "200", "date": "Sat, 21 Nov 2026 13:19:11 GMT", "openai-organization": "acme",
    "openai-processing-ms": "843", "openai-version": "2020-10-01", "openai-project": "proj_0123456789abcdef",
    "x-ratelimit-limit-requests": "10000", "x-ratelimit-limit-tokens": "30000000", "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "29999000", "x-ratelimit-reset-requests": "6ms", "x-ratelimit-reset-tokens": "2ms",
    "x-request-id": "req_0123456789abcdef0123456789abcdef", "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
    "cf-cache-status": "DYNAMIC", "set-cookie": "__cf_bm=0123456789; path=/; HttpOnly; Secure", "x-content-type-options": "nosniff",
    "server": "cloudflare", "cf-ray": "8e1234567890abcd-FRA", "alt-svc": 'h3=":443"; ma=86400', "x-envoy-upstream-service-time": "850",
}  # fmt: skip

_USAGE = {
    "prompt_tokens": 2310, "completion_tokens": 412, "total_tokens": 2722, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}  # fmt: skip


def engine(folder: Path, keys: KeyState, models: Iterable[str]) -> Engine:
    """The engine of a worker with all filters, its journal in `folder`, these keys, and a route for each of these names."""
    config = Config(
        providers={"openai": Provider(dialect="openai", base_url="https://api.openai.com/v1", key="sk-openai")},
        models=tuple(Model(name=name, targets=("openai",)) for name in models),
    )
    rule = Rule(request=HeaderEdits(set={"x-gateway": "headgate"}, remove=("x-team",)), response=HeaderEdits(remove=("openai-version",)))
    filters = {
        "meter": Meter(), "auth": Auth(), "route": Route(), "conversations": Conversations(), "headers": Headers(rules=(rule,)),
        "cache": Cache(),
    }  # fmt: skip
    settings = Settings(config, tuple((name, msgspec.Raw(msgspec.msgpack.encode(one))) for name, one in filters.items()))
    # Small enough to be full soon: a cache that still grows is slower, because its memory is new.
    made = Engine(Journal(folder, "bench"), LocalStore(Shelf(_CACHE, _CACHE)), lambda _: LocalStore(Shelf(_CACHE, _CACHE)))
    made.load(encode(settings, keys, keys_exist=True))
    return made


def usual(folder: Path) -> Engine:
    """The engine of a worker with a configuration of middling size."""
    keys = [StoredKey(f"key-{number}", digest(make_key()), "acme") for number in range(100)]
    models = [f"model-{number}" for number in range(100)]
    return engine(folder, KeyState(added=(*keys, StoredKey("alice", digest(_KEY), "acme"))), [*models, "gpt-*"])


def text(size: int, seed: int) -> str:
    """So many characters of words; of each seed others."""
    words = ("the answer", "depends", "on what", "one calls", "a question,", "and\n", "that is", "rarely", 'a "fact"', "at all:")
    said, at = "", seed
    while len(said) < size:
        said += words[at % len(words)] + " "
        at = at * 7 + 3
    return said[:size]


def chat(size: int, *, temperature: int | None, stream: bool) -> dict[str, object]:
    """A conversation of about `size` bytes."""
    share = max(1, (size - 200) // _MESSAGES - 40)
    turns = [{"role": "assistant" if at % 2 else "user", "content": text(share, at)} for at in range(_MESSAGES)]
    more: dict[str, object] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    if temperature is not None:
        more["temperature"] = temperature
    return {"messages": turns, "model": "gpt-4o", "max_completion_tokens": 512, **more}


def _head(headers: dict[str, str]) -> HttpHeaders:
    return HttpHeaders(headers=HeaderMap(headers=[{"key": name, "raw_value": value.encode()} for name, value in headers.items()]))


def _message(made: ProcessingRequest, more: bytes = b"") -> bytes:
    # Envoy sends an empty metadata_context along with everything.
    made.metadata_context.SetInParent()
    return made.SerializeToString() + more


def asked(document: dict[str, object]) -> list[bytes]:
    """A request like no other: its two messages."""
    id = str(uuid.uuid4())
    body = msgspec.json.encode({**document, "user": id})
    trace = f"00-{id.replace('-', '')}-{id[:8]}{id[-8:]}-01"
    headers = {**_HEADERS, "content-length": str(len(body)), "x-request-id": id, "traceparent": trace}
    # Envoy's first message also says which body modes are configured (protocol_config, which nobody reads).
    head = _message(ProcessingRequest(request_headers=_head(headers)), b"Z\x02\x08\x02")
    return [head, _message(ProcessingRequest(request_body=HttpBody(body=body, end_of_stream=True)))]


def _answer_head(headers: dict[str, str]) -> bytes:
    made = ProcessingRequest(response_headers=_head({**_ANSWER_HEADERS, **headers}))
    made.attributes[names.ATTRIBUTES].update(
        {names.CLUSTER_ATTRIBUTE: "provider_openai", names.ATTEMPT_ATTRIBUTE: 1, names.DETAILS_ATTRIBUTE: names.VIA_UPSTREAM}
    )
    return _message(made)


def answered() -> list[bytes]:
    """A whole answer of some 2 KB: head and body."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text(1600, 5), "refusal": None}, "finish_reason": "stop"}
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-2024-08-06", "choices": [choice], "usage": _USAGE}
    body = msgspec.json.encode(answer)
    head = _answer_head({"content-type": "application/json", "content-length": str(len(body))})
    return [head, _message(ProcessingRequest(response_body=HttpBody(body=body, end_of_stream=True)))]


def streamed() -> list[bytes]:
    """A stream: head, events with a word each, one with usage, the end."""
    outside: dict[str, object] = {
        "id": "chatcmpl-0123456789abcdefghij", "object": "chat.completion.chunk", "created": 1795267151, "model": "gpt-4o-2024-08-06",
        "service_tier": "default", "system_fingerprint": "fp_0123456789",
    }  # fmt: skip
    words = [{"index": 0, "delta": {"content": f" word{at}"}, "logprobs": None, "finish_reason": None} for at in range(EVENTS)]
    chunks: list[dict[str, object]] = [{**outside, "choices": [word], "usage": None} for word in words]
    chunks.append({**outside, "choices": [], "usage": _USAGE})
    events = [b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]
    messages = [_message(ProcessingRequest(response_body=HttpBody(body=event))) for event in events]
    messages.append(_message(ProcessingRequest(response_body=HttpBody(end_of_stream=True))))
    return [_answer_head({"content-type": "text/event-stream; charset=utf-8"}), *messages]


def _timed(step: Callable[[], object]) -> float:
    begun = time.process_time_ns()
    step()
    return (time.process_time_ns() - begun) / 1000


def batch(opener: Opener, requests: list[list[bytes]]) -> Iterator[float]:
    """Runs requests side by side, a message of each in turn. Yields the CPU time of each phase, in microseconds per request."""
    sessions = [opener() for _ in requests]

    def receive(phase: int) -> None:
        for session, messages in zip(sessions, requests, strict=True):
            if isinstance(session.receive(messages[phase]), Waiting):
                raise TypeError("nothing here waits")

    def close() -> None:
        for session in sessions:
            session.close()

    for phase in range(len(requests[0])):
        yield _timed(lambda phase=phase: receive(phase)) / len(requests)  # type: ignore[misc]
    yield _timed(close) / len(requests)


def phases(opener: Opener, document: dict[str, object], batches: int) -> list[float]:
    """CPU of each of `PHASES`, in microseconds per request."""
    answer = answered()
    made = [[[*asked(document), *answer] for _ in range(BATCH)] for _ in range(batches)]
    gc.collect()
    rows = [list(batch(opener, requests)) for requests in made]
    return [statistics.fmean(column) for column in zip(*rows, strict=True)]


def events(opener: Opener, document: dict[str, object]) -> float:
    """CPU of an event in a stream, in microseconds."""
    answer = streamed()
    made = [[*asked(document), *answer] for _ in range(BATCH)]
    gc.collect()
    return statistics.fmean(list(batch(opener, made))[3 : 3 + EVENTS])


def rounds(count: int, batches: int, opener: Opener) -> dict[str, list[list[float]]]:
    """All that is measured, in turns. By name: for each round, microseconds of each phase."""
    miss, any_answer = chat(10_000, temperature=0, stream=False), chat(10_000, temperature=None, stream=False)
    large, stream = chat(400_000, temperature=0, stream=False), chat(10_000, temperature=None, stream=True)
    found: dict[str, list[list[float]]] = {}
    for _ in range(count):
        found.setdefault("no-op", []).append(phases(noop.Session, miss, batches))
        found.setdefault("cache miss", []).append(phases(opener, miss, batches))
        found.setdefault("not cacheable", []).append(phases(opener, any_answer, batches))
        found.setdefault("400 KB, miss", []).append(phases(opener, large, 1))
        found.setdefault("no-op, event", []).append([events(noop.Session, stream)])
        found.setdefault("event", []).append([events(opener, stream)])
    return found


def report(found: dict[str, list[list[float]]]) -> str:
    """A table: medians, and the spread of the sums."""
    lines = [f"{'us of CPU':14}" + "".join(f"{phase:>18}" for phase in PHASES) + f"{'all':>10}{'spread':>16}"]
    for name, measured in found.items():
        sums = [sum(row) for row in measured]
        cells = [statistics.median(column) for column in zip(*measured, strict=True)] if len(measured[0]) > 1 else []
        middle = "".join(f"{cell:18.1f}" for cell in cells) or " " * 18 * len(PHASES)
        lines.append(f"{name:14}{middle}{statistics.median(sums):10.1f}{min(sums):8.1f}-{max(sums):.1f}")
    more = statistics.median(map(sum, found["cache miss"])) - statistics.median(map(sum, found["no-op"]))
    lines.append(f"the real pipeline adds {more:.1f} us to the no-op")
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batches", type=int, default=12, help=f"of {BATCH} requests, a round")
    parser.add_argument("--json", action="store_true", help="all rounds, as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        gate = usual(Path(folder))
        rounds(1, 2, lambda: GateSession(gate))
        found = rounds(given.rounds, given.batches, lambda: GateSession(gate))
    print(msgspec.json.encode(found).decode() if given.json else report(found))


if __name__ == "__main__":
    main()
