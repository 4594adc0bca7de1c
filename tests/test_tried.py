"""What came of attempts, as it is told."""

import re

from hypothesis import given
from hypothesis import strategies as some

from extproc.tried import NO_ANSWER, Tried, attempts_told, encode, header, metadata_key, soonest
from extproc.values import Target

TARGETS = (Target("openai", "gpt-5"), Target("lab", "a model"), Target("groq", "llama"))
# RFC 8941, sections 3.1 and 3.1.2: an item, and its parameters.
_ITEM = r'([A-Za-z*][!#$%&\'*+.^_`|~:/0-9A-Za-z-]*|"[ !#-\[\]-~]*")(;status=\d{1,15})?(;reason="[ !#-\[\]-~]*")?(;ms=\d{1,15})?'


def test_attempts_are_named_in_their_order() -> None:
    failed = Tried("openai", "gpt-5", 429, "rate_limit_exceeded", first=0.0123, resets=7.0)
    answered = Tried("groq", "llama", 200, first=0.31)
    told = {metadata_key(1): encode(failed), metadata_key(3): encode(answered)}
    tried = attempts_told(told, TARGETS, 3)
    assert tried == (failed, Tried("lab", "a model", reason=NO_ANSWER), answered)
    assert header(tried) == (
        'openai/gpt-5;status=429;reason="rate_limit_exceeded";ms=13, "lab/a model";reason="no_answer", groq/llama;status=200;ms=310'
    )


def test_what_was_not_tried_is_not_told() -> None:
    first = Tried("openai", "gpt-5", 200)
    # What a later attempt of another request would have left.
    assert attempts_told({metadata_key(1): encode(first), metadata_key(2): encode(first)}, TARGETS, 1) == (first,)
    assert attempts_told({}, TARGETS, 2, "upstream_per_try_timeout")[-1].reason == "upstream_per_try_timeout"


def test_who_has_asked_everybody_may_come_again_when_the_first_may_be_asked() -> None:
    limited = [Tried("p", name, 429, "rate_limit_exceeded", resets=wait) for name, wait in (("a", 2.5), ("b", 0.0), ("c", 30.0))]
    assert soonest(limited) == 2.5
    assert soonest(limited[1:2]) == 0
    assert soonest([Tried("p", "a", 429, resets=63_000_000.0)]) == 3600


@given(
    some.lists(
        some.builds(Tried, some.text(min_size=1), some.text(), some.integers(0, 999), some.text(), first=some.floats(0, 9)), min_size=1
    )
)
def test_the_header_is_a_list_whatever_names_there_are(tried: list[Tried]) -> None:
    assert re.fullmatch(f"{_ITEM}(, {_ITEM})*", header(tried))
