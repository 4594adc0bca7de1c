"""How likely the tokens of a Gemini answer were: https://ai.google.dev/api/generate-content#LogprobsResult"""

from typing import Any

from extproc.dialects.hub import Extra, Logprob


def read_logprobs(value: Any) -> list[Logprob] | None:
    """A candidate's `logprobsResult`; None if there is none that can be read."""
    if type(value) is not dict or type(value.get("chosenCandidates")) is not list:
        return None
    tops = value.get("topCandidates")
    tops = tops if type(tops) is list else []
    found: list[Logprob] = []
    for i, chosen in enumerate(value["chosenCandidates"]):
        one = _read(chosen)
        if one is None:
            return None
        top = tops[i].get("candidates") if i < len(tops) and type(tops[i]) is dict else None
        one.top = [other for other in map(_read, top if type(top) is list else ()) if other is not None]
        found.append(one)
    return found


def _read(value: Any) -> Logprob | None:
    if type(value) is not dict:
        return None
    token, logprob = value.get("token"), value.get("logProbability", 0.0)
    if type(token) is not str or type(logprob) not in (int, float):
        return None
    return Logprob(token=token, logprob=logprob, bytes=list(token.encode("utf-8", "surrogatepass")))


def write_logprobs(given: list[Logprob]) -> Extra:
    """The members of a candidate that tell them; empty if there are none."""
    if not given:
        return {}
    result: Extra = {"chosenCandidates": [_write(one) for one in given]}
    if any(one.top for one in given):
        result["topCandidates"] = [{"candidates": [_write(other) for other in one.top]} for one in given]
    return {"logprobsResult": result, "avgLogprobs": sum(one.logprob for one in given) / len(given)}


def _write(one: Logprob) -> Extra:
    return {"token": one.token, "logProbability": one.logprob}
