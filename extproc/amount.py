"""What is counted where there are no tokens, or beside them: images, seconds of audio, characters of a text to be spoken,
searches where documents are ranked.
"""

from typing import Literal

import msgspec
from msgspec import Struct

Unit = Literal["", "images", "seconds", "characters", "searches"]


class Amount(Struct, frozen=True):
    """How much of what an answer is made of, as its provider counts it."""

    unit: Unit
    count: float


_MOST = 2**31
_ABSENT = msgspec.Raw(b"null")


class _Usage(Struct):
    seconds: float | None = None


class _Image(Struct):
    """One of `data`, at OpenAI; one of `predictions`, at Google: each has one of these members, and nothing else has."""

    b64_json: msgspec.Raw = _ABSENT
    url: msgspec.Raw = _ABSENT
    bytesBase64Encoded: msgspec.Raw = _ABSENT  # noqa: N815 - Google's word


class _Answer(Struct):
    usage: _Usage | None = None
    data: list[_Image] | None = None
    predictions: list[_Image] | None = None


class _Billed(Struct):
    search_units: float | None = None


class _Meta(Struct):
    billed_units: _Billed | None = None


class _Ranking(Struct):
    meta: _Meta | None = None


class _Speech(Struct):
    input: str = ""


_answer = msgspec.json.Decoder(_Answer, strict=False)
_ranking = msgspec.json.Decoder(_Ranking, strict=False)
_speech = msgspec.json.Decoder(_Speech)


def amount_of(body: bytes) -> Amount | None:
    """The amount in a whole answer; None if it tells none.

    Of a transcription its `usage` of type `duration` (https://platform.openai.com/docs/api-reference/audio/json-object), else the images
    (https://platform.openai.com/docs/api-reference/images/object).
    """
    try:
        answer = _answer.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if answer.usage is not None and (seconds := answer.usage.seconds or 0.0) > 0:
        return Amount("seconds", seconds)
    given = [*(answer.data or ()), *(answer.predictions or ())]
    images = sum(any(one != _ABSENT for one in (image.b64_json, image.url, image.bytesBase64Encoded)) for image in given)
    return Amount("images", images) if images else None


def searches_of(body: bytes) -> Amount | None:
    """The searches that an order of documents is paid for by: up to 100 documents with one query are one.

    https://docs.cohere.com/docs/how-does-cohere-pricing-work
    """
    if body.find(b'"search_units"') < 0:
        return None
    try:
        meta = _ranking.decode(body).meta
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    searches = meta.billed_units.search_units if meta and meta.billed_units else None
    return Amount("searches", searches) if searches and 0 < searches < _MOST else None


def spoken(body: bytes) -> Amount | None:
    """The characters of a request's text that is to be spoken, since the answer says nothing of them.

    https://platform.openai.com/docs/api-reference/audio/createSpeech
    """
    try:
        text = _speech.decode(body).input
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Amount("characters", len(text)) if text else None
