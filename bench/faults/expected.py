"""What becomes of each fault of a provider: alone, and with a good target behind it. The suite holds the gateway to every line."""

from typing import NamedTuple

from bench.faults.deeds import IN_OTHER_DIALECTS


class Fate(NamedTuple):
    """What callers get, as the words of `Told.word`, several of them separated by `|`; an error by its status alone."""

    what: str
    """The fault, in words."""
    whole: str
    """An answer that is no stream, from this target alone."""
    stream: str
    """A stream from it alone."""
    helped_whole: str = "200"
    """With a good target behind it."""
    helped_stream: str = "200"

    def of(self, *, stream: bool, helped: bool) -> set[str]:
        """All that may be."""
        words = (self.helped_stream if stream else self.helped_whole) if helped else (self.stream if stream else self.whole)
        return set(words.split("|"))


def _refused(what: str, told: str) -> Fate:
    """Nothing of use came, and nothing of it has reached the caller: another target is asked."""
    return Fate(what, told, told)


def _passed(what: str, told: str) -> Fate:
    """It is what the caller is to be told, whoever else could be asked."""
    return Fate(what, told, told, told, told)


def _fine(what: str) -> Fate:
    return Fate(what, "200", "200")


def _broken(what: str, whole: str = "502") -> Fate:
    """A stream that has begun is cut, or is a 502 if the gate had not passed its head on yet; what was held back is asked of another."""
    return Fate(what, whole, "cut|502", helped_stream="cut|502")


FATES = {
    "status-400": _passed("400", "400"),
    "status-401": _refused("401: it refuses the gateway's key", "502"),
    "status-402": _refused("402", "402"),
    "status-403": _refused("403", "502"),
    "status-404": _refused("404", "404"),
    "status-405": _refused("405", "405"),
    "status-408": _refused("408", "408"),
    "status-409": _refused("409", "409"),
    "status-410": _refused("410", "410"),
    "status-413": _passed("413", "413"),
    "status-422": _passed("422", "422"),
    "status-424": _refused("424", "424"),
    "status-425": _refused("425", "425"),
    "status-429": _refused("429", "429"),
    "status-429-after": _refused("429 with `retry-after`", "429"),
    "status-498": _refused("498 (Groq: no room in the flex tier)", "498|503"),
    "status-499": _refused("499", "499"),
    "status-500": _refused("500", "500"),
    "status-502": _refused("502", "502"),
    "status-503": _refused("503", "503"),
    "status-504": _refused("504", "504"),
    "status-529": _refused("529", "529"),
    "status-204": _refused("204", "502"),
    "status-205": _refused("205", "502"),
    **{f"redirect-{status}": _refused(f"{status} to where it would be answered", "502") for status in (301, 302, 303, 307, 308)},
    "slow-head": _fine("half a second until the head"),
    "drip-body": _fine("the body byte by byte"),
    "unhurried": _fine("a second of silence, and events that come slowly"),
    "silent": _refused("never answers", "504"),
    "silent-after-head": Fate("a head, and then nothing", "504", "cut"),
    "silent-mid-body": Fate("falls silent in mid-answer", "504", "error event", helped_stream="error event"),
    "drip-head": _refused("the head byte by byte, too slowly", "504"),
    "reset-at-once": _refused("resets every connection", "502|503"),
    "reset-before-body": _refused("resets after the request's head", "502|503"),
    "reset-after-body": _refused("resets after the request", "502|503"),
    "reset-in-head": _refused("resets within the head", "502"),
    "reset-after-head": Fate("resets after the head", "502", "cut|502"),
    "reset-mid-body": _broken("resets in mid-answer"),
    "reset-mid-chunk": _broken("resets in mid-chunk", "cut|502"),
    "reset-mid-event": _broken("resets in mid-event", "cut|502"),
    "closes": _refused("closes without a word", "502|503"),
    "end-mid-stream": Fate("ends in mid-answer, as if that were all", "502", "error event", helped_stream="error event"),
    "end-mid-event": Fate("ends in mid-event, as if that were all", "502", "error event", helped_stream="error event"),
    "error-in-200": Fate("200 with an error in it", "502", "error event"),
    "error-later": Fate("an error in mid-stream", "502", "error event", helped_stream="error event"),
    "empty": Fate("200 with nothing in it", "502", "error event"),
    "web-page": _refused("200 with a web page", "502"),
    "malformed-json": Fate("JSON that breaks off", "502", "error event"),
    "malformed-sse": Fate("events that are none", "502", "error event"),
    "malformed-later": Fate("garbage in mid-stream", "502", "error event", helped_stream="error event"),
    "not-http": _refused("no HTTP", "502"),
    "length-too-long": Fate("`content-length` longer than the body", "502", "502|cut", "200", "200|cut|502"),
    "length-too-short": _fine("`content-length` shorter than the body: what is left over is dropped"),
    "length-twice": _refused("two `content-length` that differ", "502"),
    "length-nonsense": _refused("`content-length: many`", "502"),
    "length-and-chunks": _refused("`content-length` beside chunks", "502"),
    "no-length": _fine("a body until the connection's end"),
    "http-1.0": _fine("HTTP/1.0"),
    "http-1.0-length": _fine("HTTP/1.0 with a length"),
    "huge-headers": _fine("a header of 80 KB"),
    "many-headers": _refused("3,000 headers", "502"),
    "endless-headers": _refused("headers without end", "502"),
    "endless-stream": Fate("an answer without end", "cut|502", "hung up", "cut|500|502", "hung up"),
    "endless-event": Fate("an event without end", "502", "cut|error event", "200", "cut|error event"),
    "gzip": _fine("gzip that nobody asked for"),
    "br": _refused("Brotli that nobody asked for", "502"),
    "zstd": _refused("Zstandard that nobody asked for", "502"),
    "gzip-false": Fate("says gzip, and is not", "502", "502|error event"),
    "br-false": _refused("says Brotli, and is not", "502"),
    "zstd-false": _refused("says Zstandard, and is not", "502"),
    "early-hints": _fine("103 before the answer"),
    "continue": _fine("100 before the answer"),
    "early-refusal": _passed("413 before the request was read", "413"),
    "h2": _fine("HTTP/2, as it should be"),
    "h2-trailers": _fine("HTTP/2: an answer that ends with trailers"),
    "h2-trailers-early": Fate("HTTP/2: trailers in mid-answer", "502|cut", "error event", helped_stream="error event"),
    "h2-end-early": Fate("HTTP/2: the end in mid-answer", "502|cut", "error event", helped_stream="error event"),
    "h2-length-too-long": Fate("HTTP/2: `content-length` longer than the body", "502|cut", "502|cut", "200", "200|cut|502"),
    "h2-refused": _refused("HTTP/2: refuses the stream", "502|503"),
    "h2-reset": _refused("HTTP/2: resets the stream before its head", "502|503"),
    "h2-reset-calm": _refused("HTTP/2: the same, and asks for calm", "502|503"),
    "h2-reset-no-error": _broken("HTTP/2: resets in mid-answer, without an error", "502|cut"),
    "h2-reset-after-head": Fate("HTTP/2: resets after the head", "502|cut", "cut|502"),
    "h2-reset-mid-body": _broken("HTTP/2: resets in mid-answer", "502|cut"),
    "h2-goaway": _refused("HTTP/2: GOAWAY, and nobody is answered", "502|503"),
    # What its connection is closed to while the adapter has it, Envoy does not ask again: docs/envoy.md.
    "h2-goaway-good": Fate("HTTP/2: GOAWAY, after this answer", "200|503", "200|503", "200|503", "200|503"),
    "h2-no-frames": _refused("HTTP/2: bytes that are no frames", "502|503"),
    "h2-no-window": _refused("HTTP/2: never opens its window", "503|504"),
    "h2-no-streams": _refused("HTTP/2: takes no streams", "503|504"),
    "refused": _refused("nobody listens", "503"),
    "unresolved": _refused("its name has no address", "503"),
    "tls": _fine("TLS, as it should be"),
    "tls-stranger": _refused("a certificate of an unknown authority", "503"),
    "tls-wrong-name": _refused("a certificate for another name", "503"),
    "tls-expired": _refused("a certificate that has expired", "503"),
    "tls-old": _refused("TLS 1.0 at most", "503"),
    "tls-none": _refused("plain HTTP where TLS is due", "503|504"),
    "tls-reset": _refused("resets in the handshake", "503"),
    "tls-silent": _refused("no word in the handshake", "503|504"),
}
"""By the fault's name."""
_MEANT = {
    ("anthropic", "error-in-200"): "500",
    ("anthropic", "error-later"): "500",
    ("gemini", "error-in-200"): "503",
    ("gemini", "error-later"): "503",
}
"""Where an error in an answer says what it means."""
for _dialect, _name in {"anthropic": "Anthropic", "gemini": "Gemini", "ollama": "Ollama", "bedrock": "Bedrock"}.items():
    for _one in IN_OTHER_DIALECTS:
        _fate = FATES[_one]
        FATES[f"{_dialect}-{_one}"] = _fate._replace(what=f"{_name}: {_fate.what}", whole=_MEANT.get((_dialect, _one), _fate.whole))


def fits(word: str, due: set[str]) -> bool:
    """Whether that is among what may be: an error's code is not looked at, because each dialect has words of its own."""
    return word in due or word.partition(" ")[0] in due
