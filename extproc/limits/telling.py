"""What clients are told of limits: headers of their answers, and why they are refused."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence

from extproc.errors import Reject, come_again
from extproc.limits.limit import Refused, State
from extproc.limits.news import count, moment
from extproc.limits.rule import Unit, title
from extproc.limits.ruling import Wish

WARNING = "x-headgate-limit-warning"
"""Response header: rules of which a threshold has been reached."""
_LONGEST = 1024

_THEIRS: dict[Unit, str] = {"requests": "requests", "tokens": "tokens", "input_tokens": "tokens", "output_tokens": "tokens"}
"""What OpenAI's clients are told of: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers"""
_ANTHROPICS: dict[Unit, str] = {
    "requests": "requests", "tokens": "tokens", "input_tokens": "input-tokens", "output_tokens": "output-tokens",
}  # fmt: skip
"""What Anthropic's are: https://docs.claude.com/en/api/rate-limits#response-headers"""


_OWN = re.compile(r"^key key_[a-z0-9-]+")
"""Begins the rule that a key has for itself."""
_BOUNDS = {
    "responses": "max_output_tokens", "gemini": "generationConfig.maxOutputTokens", "bedrock": "inferenceConfig.maxTokens",
    "ollama": "options.num_predict",
}  # fmt: skip
"""What bounds an answer, by the client's dialect, where that is not `max_tokens`."""


def headers(dialect: str, wishes: Sequence[Wish], states: Iterable[State], now: float) -> dict[str, str | None]:
    """Headers of an answer, as clients of its dialect know them: of each kind, those of the hard rule that has least left."""
    names = _ANTHROPICS if dialect == "anthropic" else _THEIRS
    least: dict[str, tuple[int, int, float]] = {}
    warnings = []
    for (ruling, want), state in zip(wishes, states, strict=True):
        rule = ruling.rule
        kind = names.get(rule.unit)
        if kind is not None and rule.hard and (kind not in least or state.left < least[kind][0]):
            least[kind] = state.left, rule.amount, state.resets
        if state.reached:
            until = f", starts anew at {moment(state.resets)}" if state.resets else ""
            warnings.append(f"{rule.id}: {state.reached:.0%} of {count(want.terms.most, rule.unit)} used{until}")
    told: dict[str, str | None] = dict(_told(dialect, least, now))
    if warnings:
        told[WARNING] = plain("; ".join(warnings))
    return told


def refusal(dialect: str, wish: Wish, refused: Refused, now: float, less: str = "", name: str = "") -> Reject:
    """Why a request is refused, and when to come again. `less`: how it could ask for less, see `shorter`. `name`: of the caller's key."""
    (rule, _, _), want = wish
    if refused.alone and rule.on_outage == "closed":
        message = f"Limits cannot be counted at the moment, and {rule.id!r} lets nobody pass meanwhile. Try again."
        return Reject(503, "limits_unavailable", message, headers=(come_again(1),))
    # Whoever calls knows his key by its name.
    whose = _OWN.sub(lambda _: f"key {name}", rule.id) if name else rule.id
    words, left = title(whose, rule.amount, rule.unit, rule.window), max(0, refused.left)
    if rule.unit == "concurrency":
        return Reject(429, "concurrency_limit", f"As many requests are under way as may be: {words}. Try again.", headers=(come_again(1),))
    wait = refused.resets - now
    said = ((come_again(wait)), *_shown(dialect, rule.unit, left, rule.amount, refused.resets, now))
    status, code = (402, "insufficient_quota") if rule.unit == "cost" else (429, "rate_limit_exceeded")
    if want.amount > rule.amount and rule.amount:
        # It need not come again as it is.
        message = f"This request may use up to {count(want.amount, rule.unit)}, which is more than may be used in all: {words}."
        return Reject(status, code, f"{message} Ask for less{f': {less}' if less else ', such as a shorter answer'}.", headers=said[1:])
    needs = f", of up to {count(want.amount, rule.unit)} that this request may use" if left and rule.unit != "requests" else ""
    hint = f" Or ask for less: {less}." if less and needs else ""
    message = f"The limit is reached: {words}. {count(left, rule.unit)} left{needs}. There is room again at {moment(refused.resets)}.{hint}"
    return Reject(status, code, message, headers=said)


def shorter(dialect: str, unit: Unit, assumed: int) -> str:
    """How to ask for less. `assumed`: tokens that an answer was taken to have because the request does not bound it; 0: it does."""
    if unit not in ("cost", "tokens", "output_tokens"):
        return ""
    name = _BOUNDS.get(dialect, "max_tokens")
    return f"allow a shorter answer with `{name}`{f' ({assumed} tokens were assumed)' if assumed else ''}"


def plain(text: str) -> str:
    """As a header's value: printable ASCII."""
    shown = text.encode("ascii", "replace").decode()[:_LONGEST]
    return "".join(letter if letter.isprintable() else "?" for letter in shown)


def _shown(dialect: str, unit: Unit, left: int, most: int, resets: float, now: float) -> tuple[tuple[str, str], ...]:
    kind = (_ANTHROPICS if dialect == "anthropic" else _THEIRS).get(unit)
    return tuple(_told(dialect, {kind: (left, most, resets)}, now)) if kind is not None else ()


def _told(dialect: str, least: dict[str, tuple[int, int, float]], now: float) -> Iterator[tuple[str, str]]:
    for kind, (left, most, resets) in least.items():
        if dialect == "anthropic":
            yield f"anthropic-ratelimit-{kind}-limit", str(most)
            yield f"anthropic-ratelimit-{kind}-remaining", str(max(0, left))
            yield f"anthropic-ratelimit-{kind}-reset", moment(math.ceil(resets))
        else:
            yield f"x-ratelimit-limit-{kind}", str(most)
            yield f"x-ratelimit-remaining-{kind}", str(max(0, left))
            yield f"x-ratelimit-reset-{kind}", _duration(resets - now)


def _duration(seconds: float) -> str:
    """As OpenAI writes it: `6m0s`, `1.5s`, `20ms`."""
    if seconds < 1:
        return f"{max(0, math.ceil(seconds * 1000))}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"
