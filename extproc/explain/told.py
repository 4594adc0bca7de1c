"""An explanation as text: a word, and what there is to say of it."""

import textwrap
from collections.abc import Iterator

from extproc.explain.explanation import Asked, Explanation, Rule, Way

_MARGIN = 15
_WIDTH = 118
_VERBATIM = "\0"
"""Begins what is not wrapped."""


def told(of: Explanation) -> str:
    """All of it, in the order in which it happens."""
    lines: list[str] = []
    for word, what in _said(of):
        if what.startswith(_VERBATIM):
            lines.append(f"{' ' * _MARGIN}{what[1:]}")
            continue
        first, *more = what.split("\n")
        lines += textwrap.wrap(
            first, _WIDTH, initial_indent=f"{word:<{_MARGIN - 1}} ", subsequent_indent=" " * _MARGIN,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        for line in more:
            deeper = " " * (_MARGIN + len(line) - len(line.lstrip()))
            lines += textwrap.wrap(
                line.strip(), _WIDTH, initial_indent=deeper, subsequent_indent=f"{deeper}  ", break_long_words=False, break_on_hyphens=False
            )  # fmt: skip
    return "\n".join(lines) + "\n"


def _said(of: Explanation) -> Iterator[tuple[str, str]]:
    yield "request", of.request
    yield "listener", of.listener
    if not of.dialect:
        yield "Envoy's route", f"{_way(of.before)}; it leads past the gate, to {of.asks}"
        yield from (("note", note) for note in of.notes)
        return
    yield "Envoy's route", f"{_way(of.before)}; the gate is asked what next"
    yield "asks for", f"{of.asks}, in the dialect {of.dialect}"
    yield "caller", of.caller
    yield from _said_of_model(of)
    for name, why in of.passed_over.items():
        yield "not asked", f"{name}: {why}"
    yield "filters", ", ".join(f"{step.filter} ({step.did})" if step.did in ("answered", "refused") else step.filter for step in of.filters)
    for word, what in (("cache", of.cache), ("conversations", of.conversations)):
        if what:
            yield word, what
    for rule in of.limits:
        yield "limit", f"{rule.rule}: {_wanted(rule) if rule.wants else f'not asked; {rule.why}'}"
    if of.answer is not None:
        yield of.outcome, f"by {of.answer.by}: {of.answer.status} {of.answer.code}".rstrip()
        yield "", f"{_VERBATIM}{of.answer.body}"
    else:
        yield from _said_of_way(of)
    for note in of.notes:
        yield "note", note


def _said_of_model(of: Explanation) -> Iterator[tuple[str, str]]:
    if of.entry is None:
        if of.model:
            yield "model", f"{of.model}: no entry of `models`"
        return
    others = "".join(f"\n  not {name}: {why}" for name, why in of.entry.others.items())
    called = f"{of.model} is {of.entry.name}, {of.entry.why}" if of.model != of.entry.name else f"{of.model}, {of.entry.why}"
    yield "model", called + others
    yield "strategy", f"{of.entry.strategy}: {of.entry.order}"


def _said_of_way(of: Explanation) -> Iterator[tuple[str, str]]:
    many = len(of.targets) > 1
    for at, one in enumerate(of.targets, 1):
        yield f"target {at}" if many else "target", _asked(one)
    yield "attempts", f"made in the {of.made_in}; {of.retries}" if of.retries else f"made in the {of.made_in}"
    yield "Envoy's route", _way(of.after)
    yield "time-outs", of.timeouts
    if of.mirror:
        yield "mirror", of.mirror
    if of.headers:
        yield "answer", ", ".join(f"{name}: {value}" if value is not None else f"without {name}" for name, value in of.headers.items())


def _asked(one: Asked) -> str:
    if one.refused:
        return f"{one.target}: cannot be asked: {one.refused}"
    more = [f"body {one.body}", *([f"with its key {one.key}"] if one.key else [])]
    if one.drops:
        more.append(f"cannot be said there: {', '.join(one.drops)}")
    if one.sets:
        more.append(f"sets {', '.join(one.sets)}")
    if one.removes:
        more.append(f"takes off {', '.join(one.removes)}")
    return f"{one.target}, {one.url}\n  " + "\n  ".join(more)


def _wanted(rule: Rule) -> str:
    """What a request wants of a rule, and of which of its counters, where it has several."""
    return f"wants {rule.wants}" + (f", counted for {rule.counter.partition('|')[2]}" if "|" in rule.counter else "")


def _way(of: Way | None) -> str:
    return "none: Envoy answers 404" if of is None else f"{of.name}, since {of.why}"
