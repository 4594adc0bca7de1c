"""How likely each token was: https://platform.openai.com/docs/api-reference/chat/object#chat-object-choices-logprobs"""

from typing import Any

from extproc.dialects.hub import Extra, Logprob


def read_logprobs(value: Any) -> list[Logprob] | None:
    """Those of the content, out of a choice's `logprobs`. What has another shape is passed over: nothing depends on it."""
    entries = value.get("content") if type(value) is dict else None
    if type(entries) is not list or not entries:
        return None
    return [logprob for logprob in map(_read, entries) if logprob]


def _read(entry: Any) -> Logprob | None:
    if type(entry) is not dict:
        return None
    token, logprob = entry.get("token"), entry.get("logprob")
    if type(token) is not str or not isinstance(logprob, float | int):
        return None
    given, top = entry.get("bytes"), entry.get("top_logprobs")
    likely = [_read({**other, "top_logprobs": None}) for other in top if type(other) is dict] if type(top) is list else []
    inside = given if type(given) is list and all(type(byte) is int for byte in given) else None
    return Logprob(token=token, logprob=logprob, bytes=inside, top=[other for other in likely if other])


def write_logprobs(logprobs: list[Logprob]) -> Extra:
    """A choice's `logprobs`."""
    return {"content": [{**_write(one), "top_logprobs": [_write(other) for other in one.top]} for one in logprobs], "refusal": None}


def _write(one: Logprob) -> Extra:
    inside = list(one.token.encode("utf-8", "surrogatepass")) if one.bytes is None else one.bytes
    return {"token": one.token, "logprob": one.logprob, "bytes": inside}
